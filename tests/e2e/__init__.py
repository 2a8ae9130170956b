"""Real Terraform clients against a real server process."""
