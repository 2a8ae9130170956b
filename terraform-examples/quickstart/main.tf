terraform {
  backend "http" {
    address        = "http://127.0.0.1:8920/state/quickstart"
    lock_address   = "http://127.0.0.1:8920/state/quickstart"
    unlock_address = "http://127.0.0.1:8920/state/quickstart"
    username       = "tfaudit"
  }
}

variable "greeting" {
  description = "Change it, apply, and see the change in the audit log."
  type        = string
  default     = "hello"
}

resource "terraform_data" "greeting" {
  input = var.greeting
}

output "greeting" {
  value = terraform_data.greeting.output
}
