"""An audited, tamper-evident state backend for Terraform and OpenTofu."""
