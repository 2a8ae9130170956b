terraform {
  backend "http" {
    address        = "http://127.0.0.1:8920/state/event-driven"
    lock_address   = "http://127.0.0.1:8920/state/event-driven"
    unlock_address = "http://127.0.0.1:8920/state/event-driven"
    username       = "tfaudit"
  }

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.0"
    }
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = { application = "tfaudit" }
  }
}

locals {
  # Every rule asks for the source as well: nobody else's events start anything.
  patterns = {
    all               = { source = ["tfaudit"] }
    run_completed     = { source = ["tfaudit"], detail = { event = ["run.completed"], workspace = [{ prefix = var.production }] } }
    workspace_created = { source = ["tfaudit"], detail = { event = ["workspace.created"] } }
    run_errored       = { source = ["tfaudit"], detail = { event = ["run.errored"] } }
  }
}

# ---------------------------------------------------------------- the bus

resource "aws_cloudwatch_event_bus" "tfaudit" {
  name = var.name
}

resource "aws_cloudwatch_event_rule" "this" {
  for_each = local.patterns

  name           = "${var.name}-${replace(each.key, "_", "-")}"
  event_bus_name = aws_cloudwatch_event_bus.tfaudit.name
  event_pattern  = jsonencode(each.value)
}

# What tfaudit itself needs, and no more: attach it to the role that its server runs with.
resource "aws_iam_policy" "put_events" {
  name   = "${var.name}-put-events"
  policy = data.aws_iam_policy_document.put_events.json
}

data "aws_iam_policy_document" "put_events" {
  statement {
    actions   = ["events:PutEvents", "events:DescribeEventBus"]
    resources = [aws_cloudwatch_event_bus.tfaudit.arn]
  }
}

# ---------------------------------------------------------------- all events: a log group and a queue

resource "aws_cloudwatch_log_group" "events" {
  name              = "/aws/events/${var.name}"
  retention_in_days = 400
}

# EventBridge writes into a log group by the group's own policy, not by a role.
resource "aws_cloudwatch_log_resource_policy" "events" {
  policy_name     = "${var.name}-events"
  policy_document = data.aws_iam_policy_document.logs.json
}

data "aws_iam_policy_document" "logs" {
  statement {
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.events.arn}:*"]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com", "delivery.logs.amazonaws.com"]
    }
  }
}

resource "aws_cloudwatch_event_target" "logs" {
  rule           = aws_cloudwatch_event_rule.this["all"].name
  event_bus_name = aws_cloudwatch_event_bus.tfaudit.name
  arn            = aws_cloudwatch_log_group.events.arn

  depends_on = [aws_cloudwatch_log_resource_policy.events]
}

resource "aws_sqs_queue" "events" {
  name                      = "${var.name}-events"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
  policy                    = data.aws_iam_policy_document.queue["events"].json
}

# Where EventBridge puts what a target did not take.
resource "aws_sqs_queue" "undelivered" {
  name                      = "${var.name}-undelivered"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
  policy                    = data.aws_iam_policy_document.queue["undelivered"].json
}

data "aws_iam_policy_document" "queue" {
  for_each = toset(["events", "undelivered"])

  statement {
    actions = ["sqs:SendMessage"]
    # By its name: the queue does not exist yet when its policy is written.
    resources = ["arn:${data.aws_partition.this.partition}:sqs:${var.region}:${data.aws_caller_identity.this.account_id}:${var.name}-${each.key}"]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [for rule in aws_cloudwatch_event_rule.this : rule.arn]
    }
  }
}

resource "aws_cloudwatch_event_target" "queue" {
  rule           = aws_cloudwatch_event_rule.this["all"].name
  event_bus_name = aws_cloudwatch_event_bus.tfaudit.name
  arn            = aws_sqs_queue.events.arn

  dead_letter_config {
    arn = aws_sqs_queue.undelivered.arn
  }
}

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}

# ---------------------------------------------------------------- run.completed in production: Lambda

resource "aws_lambda_function" "after_apply" {
  function_name    = "${var.name}-after-apply"
  filename         = "${path.module}/after_apply.zip"
  source_code_hash = filebase64sha256("${path.module}/after_apply.zip")
  handler          = "after_apply.handler"
  runtime          = "python3.13"
  timeout          = 30
  role             = aws_iam_role.this["lambda"].arn

  depends_on = [aws_cloudwatch_log_group.after_apply]
}

resource "aws_cloudwatch_log_group" "after_apply" {
  name              = "/aws/lambda/${var.name}-after-apply"
  retention_in_days = 30
}

resource "aws_lambda_permission" "after_apply" {
  statement_id  = "AllowEventBridge"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.after_apply.function_name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.this["run_completed"].arn
}

resource "aws_cloudwatch_event_target" "after_apply" {
  rule           = aws_cloudwatch_event_rule.this["run_completed"].name
  event_bus_name = aws_cloudwatch_event_bus.tfaudit.name
  arn            = aws_lambda_function.after_apply.arn

  dead_letter_config {
    arn = aws_sqs_queue.undelivered.arn
  }
}

# ---------------------------------------------------------------- workspace.created: Step Functions

resource "aws_sfn_state_machine" "onboarding" {
  name       = "${var.name}-onboarding"
  role_arn   = aws_iam_role.this["states"].arn
  definition = templatefile("${path.module}/onboarding.asl.json", { topic = aws_sns_topic.alarms.arn })
}

resource "aws_cloudwatch_event_target" "onboarding" {
  rule           = aws_cloudwatch_event_rule.this["workspace_created"].name
  event_bus_name = aws_cloudwatch_event_bus.tfaudit.name
  arn            = aws_sfn_state_machine.onboarding.arn
  role_arn       = aws_iam_role.this["events"].arn

  dead_letter_config {
    arn = aws_sqs_queue.undelivered.arn
  }
}

# ---------------------------------------------------------------- run.errored: SNS, by mail and SMS

resource "aws_sns_topic" "alarms" {
  name = "${var.name}-alarms"
}

resource "aws_sns_topic_policy" "alarms" {
  arn    = aws_sns_topic.alarms.arn
  policy = data.aws_iam_policy_document.alarms.json
}

data "aws_iam_policy_document" "alarms" {
  statement {
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.alarms.arn]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [aws_cloudwatch_event_rule.this["run_errored"].arn]
    }
  }
}

resource "aws_sns_topic_subscription" "mail" {
  for_each = var.mail

  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = each.value
}

resource "aws_sns_topic_subscription" "sms" {
  for_each = var.phones

  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "sms"
  endpoint  = each.value
}

resource "aws_cloudwatch_event_target" "alarms" {
  rule           = aws_cloudwatch_event_rule.this["run_errored"].name
  event_bus_name = aws_cloudwatch_event_bus.tfaudit.name
  arn            = aws_sns_topic.alarms.arn

  input_transformer {
    input_paths = {
      message   = "$.detail.message"
      workspace = "$.detail.workspace"
      index     = "$.detail.evidence.index"
    }
    input_template = "\"A run on <workspace> went wrong: <message> (entry <index> of the audit log)\""
  }

  dead_letter_config {
    arn = aws_sqs_queue.undelivered.arn
  }

  depends_on = [aws_sns_topic_policy.alarms]
}

# ---------------------------------------------------------------- who may what

locals {
  roles = {
    lambda = {
      actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      resources = ["${aws_cloudwatch_log_group.after_apply.arn}:*"]
    }
    states = {
      actions   = ["sns:Publish"]
      resources = [aws_sns_topic.alarms.arn]
    }
    events = {
      actions   = ["states:StartExecution"]
      resources = [aws_sfn_state_machine.onboarding.arn]
    }
  }
}

resource "aws_iam_role" "this" {
  for_each = toset(["lambda", "states", "events"])

  name               = "${var.name}-${each.key}"
  assume_role_policy = data.aws_iam_policy_document.assume[each.key].json
}

data "aws_iam_policy_document" "assume" {
  for_each = toset(["lambda", "states", "events"])

  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["${each.key}.amazonaws.com"]
    }

    # Lambda says nothing of the account that it acts for.
    dynamic "condition" {
      for_each = each.key == "lambda" ? [] : [data.aws_caller_identity.this.account_id]

      content {
        test     = "StringEquals"
        variable = "aws:SourceAccount"
        values   = [condition.value]
      }
    }
  }
}

resource "aws_iam_role_policy" "this" {
  for_each = local.roles

  name   = each.key
  role   = aws_iam_role.this[each.key].name
  policy = data.aws_iam_policy_document.allowed[each.key].json
}

data "aws_iam_policy_document" "allowed" {
  for_each = local.roles

  statement {
    actions   = each.value.actions
    resources = each.value.resources
  }
}
