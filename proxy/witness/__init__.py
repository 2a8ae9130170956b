"""A witness for logs of others: it vouches that each of them only grew (C2SP tlog-witness)."""
