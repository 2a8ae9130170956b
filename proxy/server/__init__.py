"""HTTP and nothing else: requests in, one service call, answers out."""
