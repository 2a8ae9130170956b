terraform {
  backend "http" {
    address        = "http://127.0.0.1:8920/state/consumer"
    lock_address   = "http://127.0.0.1:8920/state/consumer"
    unlock_address = "http://127.0.0.1:8920/state/consumer"
    username       = "tfaudit"
  }
}

variable "producer_address" {
  description = "The address of the state whose outputs are read."
  type        = string
  default     = "http://127.0.0.1:8920/state/quickstart"
}

# The password comes from TF_HTTP_PASSWORD, as for the backend above.
data "terraform_remote_state" "quickstart" {
  backend = "http"
  config = {
    address  = var.producer_address
    username = "tfaudit"
  }
}

resource "terraform_data" "answer" {
  input = "quickstart says ${data.terraform_remote_state.quickstart.outputs.greeting}"
}

output "answer" {
  value = terraform_data.answer.output
}
