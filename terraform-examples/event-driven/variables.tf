variable "name" {
  description = "Name of the bus, and what the other names begin with."
  type        = string
  default     = "tfaudit"
}

variable "region" {
  description = "Where all of it is made."
  type        = string
  default     = "eu-central-1"
}

variable "production" {
  description = "What the names of production's workspaces begin with."
  type        = string
  default     = "prod/"
}

variable "mail" {
  description = "Who gets a mail when a run goes wrong; each has to confirm it once."
  type        = set(string)
  default     = []
}

variable "phones" {
  description = "Who gets an SMS when a run goes wrong: numbers as +491701234567."
  type        = set(string)
  default     = []
}
