output "bus" {
  description = "For the sink's option bus."
  value       = aws_cloudwatch_event_bus.tfaudit.name
}

output "region" {
  description = "For the sink's option region."
  value       = var.region
}

output "policy" {
  description = "ARN of the policy that tfaudit's own role needs."
  value       = aws_iam_policy.put_events.arn
}

output "queue" {
  description = "URL of the queue that gets all events."
  value       = aws_sqs_queue.events.url
}

output "log_group" {
  description = "Name of the log group that gets all events."
  value       = aws_cloudwatch_log_group.events.name
}
