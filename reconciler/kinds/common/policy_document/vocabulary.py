"""The words of policy documents. Lists that AWS adds to are only used to find misspelt words."""

from __future__ import annotations

import re

# The names in service principals; not complete, and only used to find misspelt ones.
SERVICES = re.findall(
    r"\S+",
    """
    access-analyzer airflow airflow-env apigateway appconfig application-autoscaling apprunner appsync athena
    automation autoscaling backup batch bedrock budgets ce chatbot cloudformation cloudfront cloudtrail cloudwatch
    codebuild codecommit codedeploy codepipeline cognito-idp config datapipeline datasync dax delivery.logs dlm dms
    dynamodb ec2 ec2fleet ecr ecs ecs-tasks edgelambda eks eks-fargate-pods elasticache elasticbeanstalk
    elasticfilesystem elasticloadbalancing elasticmapreduce emr-serverless es events export.rds firehose fsx glacier
    glue greengrass guardduty imagebuilder inspector inspector2 iot kafka kafkaconnect kinesis kinesisanalytics
    lakeformation lambda lex logs macie mediaconvert monitoring monitoring.rds opensearchservice ops.apigateway
    organizations pipes pods.eks ram rds redshift redshift-serverless rekognition resource-groups route53 s3
    sagemaker scheduler secretsmanager securityhub serverlessrepo servicecatalog servicediscovery ses sms-voice sns
    spot spotfleet sqs ssm ssm-incidents states storagegateway sts support swf tagging.resource-groups textract
    transcribe transfer trustedadvisor vpc-flow-logs waf workspaces xray
    """,
)

# Service prefixes of actions; not complete, and only used to find misspelt ones.
# https://docs.aws.amazon.com/service-authorization/latest/reference/
PREFIXES = frozenset(
    (
        *(
            "autoscaling",
            "batch",
            "cloudformation",
            "cloudwatch",
            "dynamodb",
            "ec2",
            "ec2messages",
            "ecr",
            "ecr-public",
        ),
        *("ecs", "eks", "elasticfilesystem", "elasticloadbalancing", "events", "fsx", "iam", "kms", "lambda", "logs"),
        *(
            "organizations",
            "s3",
            "secretsmanager",
            "servicequotas",
            "sns",
            "sqs",
            "ssm",
            "ssmmessages",
            "states",
            "sts",
        ),
        *("tag", "athena", "glue", "kinesis", "firehose", "rds", "route53", "sagemaker", "scheduler", "xray"),
    )
)
OTHER_NAMES = {"cloudwatchlogs": "logs", "log": "logs", "efs": "elasticfilesystem", "elb": "elasticloadbalancing"}
TRUSTING = (
    *("sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity", "sts:TagSession"),
    *("sts:SetSourceIdentity", "sts:SetContext", "sts:GetWebIdentityToken", "sts:AssumeRoot"),
)

OPERATORS = (
    *("StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "StringLike"),
    *("StringNotLike", "NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericLessThanEquals"),
    *("NumericGreaterThan", "NumericGreaterThanEquals", "DateEquals", "DateNotEquals", "DateLessThan"),
    *("DateLessThanEquals", "DateGreaterThan", "DateGreaterThanEquals", "Bool", "BinaryEquals", "IpAddress"),
    *("NotIpAddress", "ArnEquals", "ArnNotEquals", "ArnLike", "ArnNotLike", "Null"),
)
