"""Whether a declared instance role lets instances join the cluster of a compute environment."""

import pytest

from reconciler.kinds.batch.compute_environment.kind import KIND
from reconciler.model import Declared
from tests.support.builders import resource

JOIN = {"Statement": [{"Effect": "Allow", "Action": ["ecs:Register*"], "Resource": "*"}]}
OTHER = {"Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}}
DENIED = {"Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
EC2 = {"type": "MANAGED", "computeResources": {"type": "EC2", "instanceRole": "nodes"}}


def warned(role, environment=EC2):
    """Whether a warning says that instances cannot join."""
    made = [
        resource("roles", "nodes", **role),
        resource("instanceProfiles", "nodes", role="nodes"),
        resource("policies", "joining", policyDocument=JOIN),
        resource("policies", "reading", policyDocument=OTHER),
        resource("computeEnvironments", "ce", **environment),
    ]
    declared = Declared({one.address: one for one in made})
    found = [finding.message for finding in KIND.relations(made[-1], declared)]
    return any("no policy that lets instances join" in message for message in found)


@pytest.mark.parametrize(
    "role",
    [
        {},
        {"managedPolicies": ["AmazonSSMManagedInstanceCore"]},
        {"managedPolicies": ["arn:aws:iam::aws:policy/service-role/AmazonEC2SpotFleetTaggingRole", "reading"]},
        {"inlinePolicies": {"a": OTHER, "b": DENIED}},
    ],
)
def test_a_role_that_cannot_join(role):
    assert warned(role)
    assert not warned(role, {**EC2, "eksConfiguration": {"eksClusterArn": "a"}})


@pytest.mark.parametrize(
    "role",
    [
        {"managedPolicies": ["service-role/AmazonEC2ContainerServiceforEC2Role"]},
        {"managedPolicies": ["arn:aws-cn:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role"]},
        {"managedPolicies": ["AmazonSSMManagedInstanceCore", "joining"]},
        {"inlinePolicies": {"a": JOIN}},
        {"inlinePolicies": {"a": '{"Statement": []}'}},  # text is not judged
        {"managedPolicies": ["somebody-elses"]},
        {"managedPolicies": ["arn:aws:iam::123456789012:policy/x"]},
    ],
)
def test_a_role_that_can_or_may(role):
    assert not warned(role)
