terraform {
  backend "http" {
    address        = "https://tfaudit.example.com/state/prod/database"
    lock_address   = "https://tfaudit.example.com/state/prod/database"
    unlock_address = "https://tfaudit.example.com/state/prod/database"
    username       = "gitlab"
    # the password is the identity token of the job: TF_HTTP_PASSWORD
  }
}

resource "terraform_data" "database" {
  input = "postgres"
}

output "database" {
  value = terraform_data.database.output
}
