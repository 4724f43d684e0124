# What benchmarks/terraform_estate.py writes for an estate of any size; @name is the estate's name

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }
}

provider "aws" {
  default_tags {
    tags = {
      team    = "hpc"
      project = "benchmark"
    }
  }
}

locals {
  registry = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
}

data "aws_vpc" "default" {
  default = true
}

data "aws_subnets" "all" {
  filter {
    name   = "vpc-id"
    values = [data.aws_vpc.default.id]
  }
}

resource "aws_iam_role" "execution" {
  name        = "@name-execution"
  description = "What ECS needs to start the jobs"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "ecs-tasks.amazonaws.com" } }]
  })
}

resource "aws_iam_role_policy_attachment" "execution" {
  role       = aws_iam_role.execution.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
}

resource "aws_iam_role_policy_attachment" "execution_secrets" {
  role       = aws_iam_role.execution.name
  policy_arn = aws_iam_policy.read_secrets.arn
}

resource "aws_iam_role" "events" {
  name = "@name-events"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "events.amazonaws.com" } }]
  })
}

resource "aws_iam_role_policy" "events_submit" {
  name = "submit"
  role = aws_iam_role.events.id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "batch:SubmitJob", Resource = "*" }]
  })
}

resource "aws_iam_policy" "read_secrets" {
  name        = "@name-read-secrets"
  description = "Read the secrets of the jobs"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["secretsmanager:GetSecretValue"]
      Resource = [aws_secretsmanager_secret.db.arn]
    }]
  })
}

resource "aws_security_group" "batch" {
  name        = "@name-batch"
  description = "Batch instances"
  vpc_id      = data.aws_vpc.default.id
  ingress {
    protocol    = "tcp"
    from_port   = 22
    to_port     = 22
    cidr_blocks = ["10.0.0.0/8"]
  }
  egress {
    protocol    = "-1"
    from_port   = 0
    to_port     = 0
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_launch_template" "instances" {
  name = "@name-instances"
  block_device_mappings {
    device_name = "/dev/xvda"
    ebs {
      volume_size           = 100
      volume_type           = "gp3"
      encrypted             = true
      delete_on_termination = true
    }
  }
  metadata_options {
    http_tokens = "required"
  }
}

resource "aws_ecr_repository" "tools" {
  name                 = "@name/tools"
  image_tag_mutability = "IMMUTABLE"
  image_scanning_configuration {
    scan_on_push = true
  }
}

resource "aws_secretsmanager_secret" "db" {
  name        = "@name-db"
  description = "Where the jobs keep their results; its value is not ours"
}

resource "aws_sns_topic" "alerts" {
  name         = "@name-alerts"
  display_name = "Alerts"
}

resource "aws_sns_topic_policy" "alerts" {
  arn = aws_sns_topic.alerts.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sns:Publish"
      Resource  = aws_sns_topic.alerts.arn
    }]
  })
}

resource "aws_batch_scheduling_policy" "fair" {
  name = "@name-fair"
  fair_share_policy {
    share_decay_seconds = 3600
    compute_reservation = 1
    share_distribution {
      share_identifier = "research"
      weight_factor    = 0.5
    }
    share_distribution {
      share_identifier = "production"
      weight_factor    = 1
    }
  }
}

resource "aws_placement_group" "cluster" {
  name     = "@name-cluster"
  strategy = "cluster"
}

resource "aws_cloudwatch_event_rule" "failed" {
  name        = "@name-failed"
  description = "Tell of jobs that failed"
  event_pattern = jsonencode({
    source      = ["aws.batch"]
    detail-type = ["Batch Job State Change"]
    detail      = { status = ["FAILED"] }
  })
}

resource "aws_cloudwatch_event_target" "failed_alerts" {
  rule      = aws_cloudwatch_event_rule.failed.name
  target_id = "alerts"
  arn       = aws_sns_topic.alerts.arn
}

resource "aws_cloudwatch_event_rule" "nightly" {
  name                = "@name-nightly"
  schedule_expression = "rate(1 day)"
}

resource "aws_cloudwatch_event_target" "nightly_job" {
  rule      = aws_cloudwatch_event_rule.nightly.name
  target_id = "job"
  arn       = aws_batch_job_queue.queue_0000.arn
  role_arn  = aws_iam_role.events.arn
  batch_target {
    job_definition = aws_batch_job_definition.job_00000.arn
    job_name       = "nightly"
  }
}
