#!/usr/bin/env bash
# https://aws.amazon.com/blogs/compute/how-to-run-3d-interactive-applications-with-nice-dcv-in-aws-batch/
# Where the article clicks through the console, the commands that do the same. Wants user001's password in DCV_PASSWORD.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
: "${DCV_PASSWORD:?}"

# 1.2 Store user credentials and notification data
LOGIN_ARN=$(aws secretsmanager create-secret --name Run_DCV_in_Batch --query ARN --output text)
aws secretsmanager put-secret-value --secret-id Run_DCV_in_Batch \
    --secret-string "{\"user001\":\"${DCV_PASSWORD}\"}"

TOPIC_ARN=$(aws sns create-topic --name DCV_Session_Ready_Notification --query TopicArn --output text)
aws sns subscribe --topic-arn "$TOPIC_ARN" --protocol email \
    --notification-endpoint "${DCV_EMAIL:-user001@example.com}"

NOTICE_ARN=$(aws secretsmanager create-secret --name DCV_Session_Ready_Notification --query ARN --output text)
aws secretsmanager put-secret-value --secret-id DCV_Session_Ready_Notification \
    --secret-string "{\"sns_topic_arn\":\"${TOPIC_ARN}\"}"

# 1.3 Create required role and policy
cat >trust-policy.json <<'JSON'
{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Principal": {
        "Service": "ec2.amazonaws.com"
      },
      "Action": "sts:AssumeRole"
    },
    {
      "Effect": "Allow",
      "Principal": {
        "Service": "ecs-tasks.amazonaws.com"
      },
      "Action": "sts:AssumeRole"
    }
  ]
}
JSON
aws iam create-role --role-name dcv-ecs-batch-role --assume-role-policy-document file://trust-policy.json
for policy in \
    AmazonEC2ContainerRegistryFullAccess \
    service-role/AmazonEC2ContainerServiceforEC2Role \
    SecretsManagerReadWrite \
    AmazonSNSFullAccess \
    service-role/AmazonECSTaskExecutionRolePolicy; do
    aws iam attach-role-policy --role-name dcv-ecs-batch-role --policy-arn "arn:aws:iam::aws:policy/$policy"
done
cat >license-policy.json <<'JSON'
{
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "s3:GetObject",
            "Resource": "arn:aws:s3:::dcv-license.eu-west-1/*"
        }
    ]
}
JSON
aws iam put-role-policy --role-name dcv-ecs-batch-role \
    --policy-name DCVLicensePolicy --policy-document file://license-policy.json
# The console makes this along with a role for EC2.
aws iam create-instance-profile --instance-profile-name dcv-ecs-batch-role
aws iam add-role-to-instance-profile \
    --instance-profile-name dcv-ecs-batch-role --role-name dcv-ecs-batch-role
aws iam create-role --role-name AWSBatchServiceRole-dcv-desktop \
    --assume-role-policy-document file://svc-trust-policy.json
aws iam attach-role-policy --role-name AWSBatchServiceRole-dcv-desktop \
    --policy-arn arn:aws:iam::aws:policy/service-role/AWSBatchServiceRole

# 1.4 Create required Security Group
SG_ID=$(aws ec2 create-security-group --group-name dcv-sg --description "DCV sessions and clients" \
    --vpc-id "$VPC_ID" --query GroupId --output text)
aws ec2 authorize-security-group-ingress --group-id "$SG_ID" --protocol tcp --port 8443 --cidr 0.0.0.0/0

# 3.1 Push DCV image into Amazon ECR repository
aws ecr create-repository --repository-name=dcv --region "${AWS_REGION}"
DCV_REPOSITORY=$(aws ecr describe-repositories --repository-names=dcv --region "${AWS_REGION}" \
    --query 'repositories[0].repositoryUri' --output text)

sleep "${IAM_PAUSE:-1}" # a role is not usable the moment it is made

# 4.1 Compute environment
AMI=$(aws ssm get-parameter --name /aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended/image_id \
    --query Parameter.Value --output text)
cat >compute-environment.json <<JSON
{
  "computeEnvironmentName": "DCV-GPU-CE",
  "type": "MANAGED",
  "computeResources": {
    "type": "EC2",
    "minvCpus": 0,
    "maxvCpus": 16,
    "allocationStrategy": "BEST_FIT_PROGRESSIVE",
    "instanceTypes": ["g4dn.2xlarge", "g5.2xlarge", "g6.2xlarge"],
    "subnets": ${SUBNETS},
    "securityGroupIds": ["${SG_ID}"],
    "instanceRole": "arn:aws:iam::${AWS_ACCT_ID}:instance-profile/dcv-ecs-batch-role",
    "imageId": "${AMI}",
    "tags": {"Name": "DCV-GPU-Batch-Instance"}
  },
  "serviceRole": "arn:aws:iam::${AWS_ACCT_ID}:role/AWSBatchServiceRole-dcv-desktop"
}
JSON
aws batch create-compute-environment --cli-input-json file://compute-environment.json
environment_valid DCV-GPU-CE

# 4.2 Job Queue
aws batch create-job-queue --job-queue-name DCV-GPU-Queue --priority 1 \
    --compute-environment-order order=1,computeEnvironment=DCV-GPU-CE
queue_valid DCV-GPU-Queue

# 4.3 Job Definition
cat >job-definition.json <<JSON
{
  "jobDefinitionName": "DCV-GPU-JD",
  "type": "container",
  "timeout": {"attemptDurationSeconds": 3600},
  "parameters": {"command": "--network=host"},
  "containerProperties": {
    "jobRoleArn": "arn:aws:iam::${AWS_ACCT_ID}:role/dcv-ecs-batch-role",
    "image": "${DCV_REPOSITORY}",
    "vcpus": 8,
    "memory": 2048,
    "privileged": true,
    "user": "root",
    "resourceRequirements": [{"type": "GPU", "value": "1"}],
    "environment": [
      {"name": "DISPLAY", "value": "0"},
      {"name": "DCV_LOGIN_SECRET", "value": "${LOGIN_ARN}"},
      {"name": "DCV_TOPIC_SECRET", "value": "${NOTICE_ARN}"}
    ]
  }
}
JSON
aws batch register-job-definition --cli-input-json file://job-definition.json
