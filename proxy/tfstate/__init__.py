"""Terraform's and OpenTofu's state documents: read as raw slices, compared, redacted. Pure."""
