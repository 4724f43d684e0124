#!/usr/bin/env bash
# https://aws.amazon.com/blogs/compute/custom-logging-with-aws-batch/
# Wants the token of the HTTP Event Collector in SPLUNK_TOKEN.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
: "${SPLUNK_TOKEN:?}"

aws iam create-role --role-name ecsInstanceRole-custom-logging \
    --assume-role-policy-document file://ec2-trust-policy.json
aws iam create-instance-profile --instance-profile-name ecsInstanceProfile-custom-logging
aws iam add-role-to-instance-profile \
    --instance-profile-name ecsInstanceProfile-custom-logging \
    --role-name ecsInstanceRole-custom-logging
aws iam attach-role-policy --role-name ecsInstanceRole-custom-logging \
    --policy-arn arn:aws:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role

aws iam create-role --role-name AWSBatchServiceRole-custom-logging \
    --assume-role-policy-document file://svc-trust-policy.json
aws iam attach-role-policy --role-name AWSBatchServiceRole-custom-logging \
    --policy-arn arn:aws:iam::aws:policy/service-role/AWSBatchServiceRole

cat >policy.json <<'JSON'
{
  "Version": "2012-10-17",
  "Statement": [{
    "Effect": "Allow",
    "Action": [
      "logs:CreateLogGroup",
      "logs:CreateLogStream",
      "logs:PutLogEvents"
    ],
    "Resource": "*",
    "Condition": {
      "StringLikeIfExists": {
        "batch:LogDriver": ["awslogs"],
        "batch:AWSLogsGroup": ["/aws/batch/custom/*"]
      }
    }
  }]
}
JSON
aws iam create-policy --policy-name batch-awslog-policy \
    --policy-document file://policy.json
aws iam attach-role-policy --policy-arn "arn:aws:iam::${AWS_ACCT_ID}:policy/batch-awslog-policy" \
    --role-name ecsInstanceRole-custom-logging

# The article lets the first job make it.
aws logs create-log-group --log-group-name /aws/batch/custom/env-queue

# The article writes the token into the job definition.
SECRET_ARN=$(aws secretsmanager create-secret --name splunk-token --query ARN --output text)
aws secretsmanager put-secret-value --secret-id splunk-token --secret-string "$SPLUNK_TOKEN"
cat >tasks-trust-policy.json <<'JSON'
{
  "Version": "2012-10-17",
  "Statement": [{
    "Effect": "Allow",
    "Principal": {
      "Service": "ecs-tasks.amazonaws.com"
    },
    "Action": "sts:AssumeRole"
  }]
}
JSON
aws iam create-role --role-name splunk-execution-role \
    --assume-role-policy-document file://tasks-trust-policy.json
cat >read-splunk-token.json <<JSON
{
  "Version": "2012-10-17",
  "Statement": [{
    "Effect": "Allow",
    "Action": "secretsmanager:GetSecretValue",
    "Resource": "${SECRET_ARN}"
  }]
}
JSON
aws iam put-role-policy --role-name splunk-execution-role \
    --policy-name read-splunk-token --policy-document file://read-splunk-token.json

sleep "${IAM_PAUSE:-1}" # a role is not usable the moment it is made

cat >compute-environment.json <<JSON
{
  "computeEnvironmentName": "od-ce",
  "type": "MANAGED",
  "state": "ENABLED",
  "computeResources": {
    "type": "EC2",
    "allocationStrategy": "BEST_FIT_PROGRESSIVE",
    "minvCpus": 1,
    "maxvCpus": 8,
    "desiredvCpus": 1,
    "instanceTypes": ["m5.xlarge"],
    "subnets": ${SUBNETS},
    "securityGroupIds": ["${AWS_SG_DEFAULT}"],
    "instanceRole": "arn:aws:iam::${AWS_ACCT_ID}:instance-profile/ecsInstanceProfile-custom-logging",
    "tags": {"Name": "aws-batch-compute"},
    "bidPercentage": 0
  },
  "serviceRole": "arn:aws:iam::${AWS_ACCT_ID}:role/AWSBatchServiceRole-custom-logging"
}
JSON
aws batch create-compute-environment --cli-input-json file://compute-environment.json
environment_valid od-ce

cat >job-queue.json <<'JSON'
{
  "jobQueueName": "jq",
  "state": "ENABLED",
  "priority": 1,
  "computeEnvironmentOrder": [{
    "order": 0,
    "computeEnvironment": "od-ce"
  }]
}
JSON
aws batch create-job-queue --cli-input-json file://job-queue.json
queue_valid jq

cat >job-definition.json <<JSON
{
  "jobDefinitionName": "alpine-env",
  "type": "container",
  "containerProperties": {
  "image": "alpine",
  "vcpus": 1,
  "memory": 128,
  "command": ["env"],
  "readonlyRootFilesystem": true,
  "logConfiguration": {
    "logDriver": "awslogs",
    "options": {
      "awslogs-region": "${AWS_REGION}",
      "awslogs-group": "/aws/batch/custom/env-queue",
      "awslogs-create-group": "true"}
    }
  }
}
JSON
aws batch register-job-definition --cli-input-json file://job-definition.json

cat >job-definition-splunk.json <<JSON
{
  "jobDefinitionName": "alpine-splunk",
  "type": "container",
  "containerProperties": {
    "image": "alpine",
    "vcpus": 1,
    "memory": 128,
    "command": ["env"],
    "readonlyRootFilesystem": false,
    "executionRoleArn": "arn:aws:iam::${AWS_ACCT_ID}:role/splunk-execution-role",
    "logConfiguration": {
      "logDriver": "splunk",
      "options": {
        "splunk-url": "https://<splunk-url>"
      },
      "secretOptions": [
        {"name": "splunk-token", "valueFrom": "${SECRET_ARN}"}
      ]
    }
  }
}
JSON
aws batch register-job-definition --cli-input-json file://job-definition-splunk.json
