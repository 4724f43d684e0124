"""Pages, for every list that moto returns whole, or truncates without a token.

The list is read from moto to its end and cut into pages here, with a token that contains the next position.
"""

from __future__ import annotations

from reconciler.model.records import dataclass
from reconciler.sandbox.services._hooks import ServiceCall
from reconciler.sandbox.wire import Json, Refusal

EVERYTHING = 1_000_000


@dataclass(frozen=True)
class Page:
    """How one operation pages: its lists (one after the other), the names of its token and limit, AWS's sizes."""

    lists: tuple[str, ...]
    token_in: str
    token_out: str
    limit: str
    default: int
    most: int
    more: str = ""
    bad_token: tuple[str, str] = ("ValidationError", "Invalid Marker.")
    blank: bool = False
    """Whether the last page has an empty token instead of none."""
    cut_at: int = 0
    """The number after which moto truncates without a token, unless the request has a higher limit."""


def _iam(*lists: str) -> Page:
    return Page(lists, "Marker", "Marker", "MaxItems", 100, 1000, "IsTruncated")


def _ec2(*lists: str, default: int = 1000, most: int = 1000, cut_at: int = 0) -> Page:
    bad = ("InvalidParameterValue", "Unable to parse pagination token")
    return Page(lists, "NextToken", "NextToken", "MaxResults", default, most, bad_token=bad, cut_at=cut_at)


def _json(items: str, limit: str, default: int, most: int) -> Page:
    """JSON services spell their token as they spell their list: both in lower or both in upper camel case."""
    token = "nextToken" if items[0].islower() else "NextToken"
    bad = ("InvalidParameterException", f"The specified {token} is invalid.")
    return Page((items,), token, token, limit, default, most, bad_token=bad)


def _autoscaling(items: str, default: int) -> Page:
    bad = ("InvalidNextToken", "The NextToken value is not valid.")
    return Page((items,), "NextToken", "NextToken", "MaxRecords", default, 100, bad_token=bad)


PAGES: dict[tuple[str, str], Page] = {
    ("iam", "GetAccountAuthorizationDetails"): _iam("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies"),
    ("iam", "ListRoles"): _iam("Roles"),
    ("iam", "ListPolicies"): _iam("Policies"),
    ("iam", "ListInstanceProfiles"): _iam("InstanceProfiles"),
    ("iam", "ListInstanceProfilesForRole"): _iam("InstanceProfiles"),
    ("iam", "ListInstanceProfileTags"): _iam("Tags"),
    ("iam", "ListRolePolicies"): _iam("PolicyNames"),
    ("iam", "ListAttachedRolePolicies"): _iam("AttachedPolicies"),
    ("iam", "ListRoleTags"): _iam("Tags"),
    ("iam", "ListPolicyTags"): _iam("Tags"),
    ("iam", "ListPolicyVersions"): _iam("Versions"),
    ("iam", "SimulatePrincipalPolicy"): _iam("EvaluationResults"),
    ("iam", "SimulateCustomPolicy"): _iam("EvaluationResults"),
    ("iam", "ListEntitiesForPolicy"): _iam("PolicyRoles", "PolicyUsers", "PolicyGroups"),
    ("ec2", "DescribeSecurityGroups"): _ec2("SecurityGroups"),
    ("ec2", "DescribeSecurityGroupRules"): _ec2("SecurityGroupRules"),
    ("ec2", "DescribeSubnets"): _ec2("Subnets"),
    ("ec2", "DescribeVpcs"): _ec2("Vpcs"),
    ("ec2", "DescribeNetworkInterfaces"): _ec2("NetworkInterfaces"),
    ("ec2", "DescribeLaunchTemplates"): _ec2("LaunchTemplates", default=200, most=200, cut_at=15),
    ("ec2", "DescribeLaunchTemplateVersions"): _ec2("LaunchTemplateVersions", default=200, most=200, cut_at=15),
    ("ecr", "DescribeRepositories"): _json("repositories", "maxResults", 100, 1000),
    ("ecs", "ListClusters"): _json("clusterArns", "maxResults", 100, 100),
    ("ecs", "ListContainerInstances"): _json("containerInstanceArns", "maxResults", 100, 100),
    ("ecs", "ListTasks"): _json("taskArns", "maxResults", 100, 100),
    ("autoscaling", "DescribeAutoScalingGroups"): _autoscaling("AutoScalingGroups", 50),
    ("autoscaling", "DescribeScalingActivities"): _autoscaling("Activities", 100),
    ("logs", "DescribeLogGroups"): _json("logGroups", "limit", 50, 50),
    ("logs", "ListLogGroups"): _json("logGroups", "limit", 50, 1000),
    ("secretsmanager", "ListSecrets"): _json("SecretList", "MaxResults", 100, 100),
    ("sns", "ListTopics"): Page(("Topics",), "NextToken", "NextToken", "", 100, 100),
    ("sns", "ListSubscriptions"): Page(("Subscriptions",), "NextToken", "NextToken", "", 100, 100),
    ("sns", "ListSubscriptionsByTopic"): Page(("Subscriptions",), "NextToken", "NextToken", "", 100, 100),
    ("events", "ListEventBuses"): _json("EventBuses", "Limit", 100, 100),
    ("events", "ListRules"): _json("Rules", "Limit", 100, 100),
    ("events", "ListRuleNamesByTarget"): _json("RuleNames", "Limit", 100, 100),
    ("events", "ListTargetsByRule"): _json("Targets", "Limit", 100, 100),
    ("tagging", "GetResources"): Page(
        ("ResourceTagMappingList",),
        "PaginationToken",
        "PaginationToken",
        "ResourcesPerPage",
        50,
        100,
        blank=True,
        bad_token=("PaginationTokenExpiredException", "The specified PaginationToken is invalid."),
    ),
}


def read_all(call: ServiceCall, page: Page) -> Json:
    """Moto's whole reply, however it pages."""
    asked = {name: value for name, value in call.params.items() if name not in (page.token_in, page.limit)}
    if page.cut_at:
        asked[page.limit] = EVERYTHING
    result = call.forward(asked)
    while token := result.pop(page.token_out, None):
        more = call.forward({**asked, page.token_in: token})
        for name in page.lists:
            result[name] = [*result.get(name, ()), *more.get(name, ())]
        if page.token_out in more:
            result[page.token_out] = more[page.token_out]
    return result


def cut_page(call: ServiceCall, page: Page, result: Json, cap: int) -> None:
    """Leave in ``result`` the requested page, with the token of the next."""
    size = int(call.params.get(page.limit) or page.default) if page.limit else page.default
    size = max(1, min(size, page.most, cap or page.most))
    start = _position(call.params.get(page.token_in), page)
    left, at = size, 0
    for name in page.lists:
        items = result.get(name, [])
        first = max(0, start - at)
        taken = items[first : first + left] if first < len(items) else []
        left -= len(taken)
        at += len(items)
        result[name] = taken
    result.pop(page.token_out, None)
    more = at > start + size
    if page.more:
        result[page.more] = more
    if more:
        result[page.token_out] = f"page-{start + size}"
    elif page.blank:
        result[page.token_out] = ""


def _position(token: str | None, page: Page) -> int:
    if not token:
        return 0
    kind, _, position = token.partition("-")
    if kind != "page" or not position.isdigit():
        raise Refusal(*page.bad_token)
    return int(position)
