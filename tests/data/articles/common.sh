# What the three scripts share: read by them, not run by itself.
#
# They are the articles' own commands, run by hand: braces the text lost are put back, mistakes that AWS would refuse or
# that would leave something broken are mended as in environments/, and names that two articles share have the same
# suffix as there. They run against the sandbox only.

set -euo pipefail
: "${AWS_ENDPOINT_URL:?point the shell at a sandbox first: eval "$(reconcile sandbox start)"}"
: "${AWS_REGION:?}"
export AWS_PAGER='' AWS_DEFAULT_OUTPUT=json AWS_DEFAULT_REGION=$AWS_REGION

ARTICLES=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT

# The articles ask the metadata of the instance they are typed on.
VPC_ID=$(aws ec2 describe-vpcs --filters Name=is-default,Values=true --query 'Vpcs[0].VpcId' --output text)
SUBNETS=$(aws ec2 describe-subnets --filters "Name=vpc-id,Values=$VPC_ID" --query 'Subnets[].SubnetId')
AWS_ACCT_ID=$(aws sts get-caller-identity --query Account --output text)
AWS_SG_DEFAULT=$(aws ec2 describe-security-groups \
    --filters Name=group-name,Values=default "Name=vpc-id,Values=$VPC_ID" \
    --query 'SecurityGroups[0].GroupId' --output text)

# until_valid QUERY COMMAND...: "once this is complete".
until_valid() {
    local query=$1 status=
    shift
    for _ in $(seq 300); do
        status=$("$@" --query "$query" --output text)
        case $status in
            VALID) return ;;
            INVALID) break ;;
        esac
        sleep 0.1
    done
    echo "$* is $status" >&2
    return 1
}

environment_valid() {
    until_valid 'computeEnvironments[0].status' aws batch describe-compute-environments --compute-environments "$1"
}

queue_valid() {
    until_valid 'jobQueues[0].status' aws batch describe-job-queues --job-queues "$1"
}

cat >ec2-trust-policy.json <<'JSON'
{
  "Version": "2012-10-17",
  "Statement": [{
    "Effect": "Allow",
    "Principal": {
      "Service": "ec2.amazonaws.com"
    },
    "Action": "sts:AssumeRole"
  }]
}
JSON

cat >svc-trust-policy.json <<'JSON'
{
  "Version": "2012-10-17",
  "Statement": [{
    "Effect": "Allow",
    "Principal": {
      "Service": "batch.amazonaws.com"
    },
    "Action": "sts:AssumeRole"
  }]
}
JSON
