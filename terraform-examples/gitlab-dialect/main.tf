terraform {
  backend "http" {
    address        = "http://127.0.0.1:8920/state/gitlab-dialect"
    lock_address   = "http://127.0.0.1:8920/state/gitlab-dialect/lock"
    unlock_address = "http://127.0.0.1:8920/state/gitlab-dialect/lock"
    lock_method    = "POST"
    unlock_method  = "DELETE"
    username       = "tfaudit"
  }
}

resource "terraform_data" "greeting" {
  input = "hello from behind a picky proxy"
}

output "greeting" {
  value = terraform_data.greeting.output
}
