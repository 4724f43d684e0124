#!/usr/bin/env bash
# https://aws.amazon.com/blogs/compute/introducing-retry-strategies-for-aws-batch/
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

aws iam create-role --role-name ecsInstanceRole \
    --assume-role-policy-document file://ec2-trust-policy.json
aws iam create-instance-profile --instance-profile-name ecsInstanceProfile
aws iam add-role-to-instance-profile \
    --instance-profile-name ecsInstanceProfile \
    --role-name ecsInstanceRole
aws iam attach-role-policy --role-name ecsInstanceRole \
    --policy-arn arn:aws:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role

aws iam create-role --role-name AWSBatchServiceRole \
    --assume-role-policy-document file://svc-trust-policy.json
aws iam attach-role-policy --role-name AWSBatchServiceRole \
    --policy-arn arn:aws:iam::aws:policy/service-role/AWSBatchServiceRole

# The article has the key already.
aws ec2 import-key-pair --key-name batch-ssh-key \
    --public-key-material "fileb://$ARTICLES/../../../environments/retry-strategies/files/batch-ssh-key.pub"

sleep "${IAM_PAUSE:-1}" # a role is not usable the moment it is made

cat >compute-environment.json <<JSON
{
  "computeEnvironmentName": "compute-0",
  "type": "MANAGED",
  "state": "ENABLED",
  "computeResources": {
    "type": "SPOT",
    "allocationStrategy": "SPOT_CAPACITY_OPTIMIZED",
    "minvCpus": 2,
    "maxvCpus": 32,
    "desiredvCpus": 4,
    "instanceTypes": [ "m5.xlarge","m5.2xlarge","m4.xlarge","m4.2xlarge","m5a.xlarge","m5a.2xlarge"],
    "subnets": ${SUBNETS},
    "securityGroupIds": ["${AWS_SG_DEFAULT}"],
    "instanceRole": "arn:aws:iam::${AWS_ACCT_ID}:instance-profile/ecsInstanceProfile",
    "tags": {"Name": "aws-batch-instances"},
    "ec2KeyPair": "batch-ssh-key",
    "bidPercentage": 0
  },
  "serviceRole": "arn:aws:iam::${AWS_ACCT_ID}:role/AWSBatchServiceRole"
}
JSON
aws batch create-compute-environment --cli-input-json file://compute-environment.json
environment_valid compute-0

cat >job-queue.json <<'JSON'
{
  "jobQueueName": "queue-0",
  "state": "ENABLED",
  "priority": 1,
  "computeEnvironmentOrder": [{
    "order": 0,
    "computeEnvironment": "compute-0"
  }]
}
JSON
aws batch create-job-queue --cli-input-json file://job-queue.json
queue_valid queue-0

cat >jdef-spot.json <<'JSON'
{
    "jobDefinitionName": "spot",
    "type": "container",
    "containerProperties": {
        "image": "alpine:latest",
        "vcpus": 2,
        "memory": 256,
        "command":  ["sleep","600"],
        "readonlyRootFilesystem": false
    },
    "retryStrategy": {
        "attempts": 5,
        "evaluateOnExit": [{
            "onStatusReason" :"Host EC2*",
            "action": "RETRY"
        },{
            "onReason" : "*",
            "action": "EXIT"
        }]
    }
}
JSON
aws batch register-job-definition --cli-input-json file://jdef-spot.json

cat >jdef-randomEC.json <<'JSON'
{
    "jobDefinitionName": "randomEC",
    "type": "container",
    "containerProperties": {
        "image": "qnib/random-ec:2020-10-13.3",
        "vcpus": 2,
        "memory": 256,
        "readonlyRootFilesystem": false
    },
    "retryStrategy": {
        "attempts": 10,
        "evaluateOnExit": [{
            "onExitCode": "1",
            "action": "RETRY"
        },{
            "onExitCode": "2",
            "action": "RETRY"
        },{
            "onExitCode": "3",
            "action": "EXIT"
        }]
    }
}
JSON
aws batch register-job-definition --cli-input-json file://jdef-randomEC.json

cat >jdef-noContainer.json <<'JSON'
{
    "jobDefinitionName": "noContainer",
    "type": "container",
    "containerProperties": {
        "image": "no-container-image",
        "vcpus": 2,
        "memory": 256,
        "readonlyRootFilesystem": false
    },
    "retryStrategy": {
        "attempts": 10,
        "evaluateOnExit": [{
            "onReason": "CannotPullContainerError:*",
            "action": "EXIT"
        }]
    }
}
JSON
aws batch register-job-definition --cli-input-json file://jdef-noContainer.json
