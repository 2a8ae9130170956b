terraform {
  backend "http" {
    address        = "https://tfaudit.example.com/state/prod/network"
    lock_address   = "https://tfaudit.example.com/state/prod/network"
    unlock_address = "https://tfaudit.example.com/state/prod/network"
    username       = "github"
    # the password is what the workflow got for its identity: TF_HTTP_PASSWORD
  }
}

resource "terraform_data" "network" {
  input = "10.0.0.0/16"
}

output "network" {
  value = terraform_data.network.output
}
