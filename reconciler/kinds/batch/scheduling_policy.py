"""AWS Batch scheduling policies.

What is peculiar about them:

- There is no status: every change takes effect immediately. A policy that a queue uses cannot be deleted.
- A policy is a fair-share or a quota-share policy, which cannot be changed. With neither, it is a fair-share policy of
  defaults.
- An update replaces the whole policy, so it is always sent complete: AWS resets what is left out to its default.
- Zeros, an empty distribution and an absent one are equal. Weights are single-precision numbers, by default 1.
- A list has ARNs only, and a describe takes ARNs only.
- Queues refer to a policy by its ARN and can exchange it. So a replacement is created under a derived name, the queues
  are updated, and then the old policy is deleted.

https://docs.aws.amazon.com/batch/latest/APIReference/API_SchedulingPolicyDetail.html
https://docs.aws.amazon.com/batch/latest/APIReference/API_FairsharePolicy.html
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from typing import Any

from reconciler.kinds.batch import _common as batch
from reconciler.kinds.batch import _queue_dependents as queue_users
from reconciler.kinds.common.declared import as_text, at, entries, is_given, items, mapping, repeats
from reconciler.kinds.common.normal_forms import bare, unless, without
from reconciler.model import (
    Access,
    Action,
    Api,
    Call,
    CompleteList,
    Diff,
    Effect,
    Existing,
    Field,
    Finding,
    Json,
    Kind,
    Live,
    OtherTools,
    Proof,
    Query,
    ReadMany,
    Reads,
    Replace,
    Scope,
    Sought,
    Want,
)
from reconciler.model.audit import Audit
from reconciler.model.patterns import regex
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.kinds.common import ownership_index
    from reconciler.kinds.common.replies import chunks

FAIR, QUOTA = "fairsharePolicy", "quotaSharePolicy"
SHARES = f"{FAIR}.shareDistribution"
MOST_SHARES = 500
COMPLETE = {"shareDecaySeconds": 0, "computeReservation": 0, "shareDistribution": []}
# Letters and digits are what AWS documents for share identifiers.
# https://docs.aws.amazon.com/batch/latest/APIReference/API_ShareAttributes.html
ACCEPTED, DOCUMENTED = regex(r"[0-9A-Za-z_-]+\*?"), regex(r"[0-9A-Za-z]+\*?")


def _kind_of_policy(live: Json, want: Json) -> tuple[Effect, str]:
    if is_given(live.get(QUOTA)) == is_given(want.get(QUOTA)):
        return Effect.IN_PLACE, ""
    return Effect.REPLACE, "a policy cannot change between fair-share and quota-share"


def _single_precision(value: Any) -> Any:
    """A weight rounded to single precision (7 digits); other values unchanged."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or abs(value) > 1e30:
        return value
    return float(f"{struct.unpack('f', struct.pack('f', value))[0]:.7g}")


LIST = Call("batch", "ListSchedulingPolicies", {}, all_pages=True)

FIELDS = {
    "name": Field(ignore=True),
    FAIR: Field(effect=_kind_of_policy),
    f"{FAIR}.shareDecaySeconds": Field(normalize=unless(0)),
    f"{FAIR}.computeReservation": Field(normalize=unless(0)),
    SHARES: Field(key="shareIdentifier"),
    f"{SHARES}[].weightFactor": Field(default=1.0, normalize=_single_precision),
    QUOTA: Field(effect=_kind_of_policy),
}


def read(query: Query) -> Reads[Sequence[Live]]:
    """The policies of sought names and those that the index proposes, or all listed ones if there is no index."""
    arns = sorted({query.scope.arn("batch", f"scheduling-policy/{sought.name}") for sought in query.sought})
    every = (LIST,) if query.owned and not query.indexed else ()
    ask, calls = every or ownership_index.index(query), _describing(arns)
    replies = (yield (*ask, *calls)) if ask or calls else ()
    if every:
        more = [item["arn"] for item in batch.items_in(every, replies[:1], "schedulingPolicies")]
    else:
        tagged = yield from ownership_index.tags_from_index(ask, replies[: len(ask)])
        more = [arn for arn in tagged if arn.startswith(query.scope.arn("batch", "scheduling-policy/"))]
    items = batch.items_in(calls, replies[len(ask) :], "schedulingPolicies")
    others = _describing(sorted(set(more) - set(arns)))
    items += (yield from batch.listed(others, "schedulingPolicies")) if others else []
    found = [_live(item) for item in items if batch.matches_query(query, item["name"], item.get("tags") or {})]
    return sorted(found, key=lambda live: live.physical)


def _describing(arns: Sequence[str]) -> tuple[Call, ...]:
    return tuple(Call("batch", "DescribeSchedulingPolicies", {"arns": list(some)}) for some in chunks(arns, 100))


def everything(_: Scope) -> Reads[Sequence[Existing]]:
    """Every policy of the account; the list has their ARNs only."""
    found = yield from batch.listed((LIST,), "schedulingPolicies")
    return [Existing(Sought(bare(str(item["arn"])))) for item in found]


def _live(item: Json) -> Live:
    return Live(
        physical=str(item["name"]),
        attrs={"name": str(item["name"]), "arn": str(item["arn"])},
        props=without(item, "name", "arn", "tags"),
        tags=dict(item.get("tags") or {}),
    )


def expand(props: Json) -> Json:
    """The properties without the ARN, which the output of a describe contains."""
    return without(props, "arn")


def create(want: Want) -> Sequence[Action]:
    """One call: there is no status to wait for."""
    props = {name: value for name, value in without(want.declared, "name").items() if value is not None}
    params = {"name": want.physical, **props, **({"tags": dict(want.tags)} if want.tags else {})}
    return [batch.write("CreateSchedulingPolicy", params, proof=Proof.EXISTS)]


def update(live: Live, want: Want, _diff: Diff) -> Sequence[Action]:
    """One call with the complete policy: AWS resets what is left out.

    https://docs.aws.amazon.com/batch/latest/APIReference/API_UpdateSchedulingPolicy.html
    """
    return [batch.write("UpdateSchedulingPolicy", {"arn": live.attrs["arn"], **_complete(want.props)})]


def _complete(props: Json) -> dict[str, Any]:
    others = {name: value for name, value in without(props, "name", FAIR, QUOTA).items() if value is not None}
    if is_given(props.get(QUOTA)):
        return {**others, QUOTA: props[QUOTA]}
    given = {name: value for name, value in mapping(props.get(FAIR)).items() if value is not None}
    return {**others, FAIR: {**COMPLETE, **given}}


def delete(live: Live, _declared: Json) -> Sequence[Action]:
    """One call, retried while AWS does not see yet that no queue uses the policy."""
    params = {"arn": live.attrs["arn"]}
    return [batch.write("DeleteSchedulingPolicy", params, retry_on=(batch.BUSY, batch.RELATED), ok_if=(batch.MISSING,))]


def disruption(_live: Live, _want: Want, diff: Diff) -> str:
    """The effect of ``diff`` on jobs: a policy only ranks waiting ones."""
    if diff.replaces:
        return "the queues move to a new policy; running jobs are not affected"
    return "waiting jobs are ranked by the new policy; running jobs are not affected"


# --- checks ----------------------------------------------------------------------------------------------------------


def check(name: str, props: Json) -> Iterator[Finding]:
    """Findings about the name, the type of the policy and its share identifiers."""
    yield from batch.check_name(name, "scheduling policy")
    if is_given(props.get(FAIR)) and is_given(props.get(QUOTA)):
        hint = f"keep {FAIR} for container queues, {QUOTA} for SageMaker training queues"
        yield Finding((QUOTA,), f"{FAIR} cannot be combined with {QUOTA}", hint)
    yield from _check_shares(items(at(props, FAIR, "shareDistribution")))


def _check_shares(listed: list[Any]) -> Iterator[Finding]:
    here = (FAIR, "shareDistribution")
    if len(listed) > MOST_SHARES:
        hint = "combine entries: team* stands for all that begin with team"
        yield Finding((*here, MOST_SHARES), f"{len(listed)} share identifiers; {MOST_SHARES} at most", hint)
    named = [(index, as_text(item.get("shareIdentifier"))) for index, item in entries(listed)]
    known = [(index, name) for index, name in named if name is not None]
    for index, name in known:
        yield from _check_identifier((*here, index, "shareIdentifier"), name)
    same = list(repeats([((*here, index, "shareIdentifier"), name) for index, name in known]))
    for path, name in same:
        yield Finding(path, f'two weights for the share "{name}"', "keep one")
    prefixes = [name[:-1] for _, name in known if name.endswith("*") and name != "*"]
    for index, name in known:
        wider = next((one for one in prefixes if _covers(one, name)), None)
        if wider is not None:
            why = f'"{name}" overlaps "{wider}*", and AWS allows no overlap'
            yield Finding((*here, index, "shareIdentifier"), why, "remove one of the two, or rename one")


def _covers(prefix: str, name: str) -> bool:
    """Whether ``prefix*`` matches ``name``, which is not ``prefix*`` itself."""
    return name != f"{prefix}*" and name.startswith(prefix)


def _check_identifier(path: tuple[str | int, ...], name: str) -> Iterator[Finding]:
    bare = name.removesuffix("*")
    if not bare:
        hint = "a share that is not listed has the weight 1" if name else "name a share, or a prefix of shares: team*"
        yield Finding(path, f'"{name}" is not a share identifier', hint)
    elif "*" in bare:
        yield Finding(path, f'"{name}": an asterisk is allowed only at the end', "write the prefix, then one asterisk")
    elif len(name) > 255:
        yield Finding(path, f"the share identifier has {len(name)} characters; 255 at most", "shorten it")
    elif not ACCEPTED.fullmatch(name):
        hint = "letters, digits, - and _, and an asterisk at the end"
        yield Finding(path, f'"{name}" is not a share identifier', hint)
    elif not DOCUMENTED.fullmatch(name):
        why = f'"{name}": AWS documents letters and digits only for share identifiers'
        yield Finding(path, why, "it may be refused; a name without other characters is safe", warning=True)


AUDIT = Audit(
    shown_by="batch:DescribeSchedulingPolicies",
    everything=True,
    users="job queue",
    reads=("batch:ListSchedulingPolicies", "batch:DescribeSchedulingPolicies"),
)

ACCESS = Access(
    types=("batch:scheduling-policy",),
    reads=("batch:DescribeSchedulingPolicies",),
    removals=("batch:DescribeJobQueues",),
    creates=("batch:CreateSchedulingPolicy",),
    changes=("batch:UpdateSchedulingPolicy",),
    deletes=("batch:DeleteSchedulingPolicy",),
    tags=batch.TAGS,
)

OTHER_TOOLS = OtherTools(
    terraform={"aws_batch_scheduling_policy": ("arn", "name")},
    cloudformation={"AWS::Batch::SchedulingPolicy": "Name"},
)

KIND = Kind(
    name="scheduling policy",
    section="schedulingPolicies",
    audit=AUDIT,
    file="batch",
    other_tools=OTHER_TOOLS,
    access=ACCESS,
    complete_lists=(
        CompleteList(
            "DescribeSchedulingPolicies",
            frozenset({"arns"}),
            LIST,
        ),
    ),
    recorded=batch.recorded("SchedulingPolicy", "arn", "name"),
    name_member="name",
    everything=everything,
    read=read,
    read_many=ReadMany(read),
    attrs=batch.attrs("scheduling-policy"),
    create=create,
    update=update,
    delete=delete,
    tag=batch.tag,
    fields=FIELDS,
    api=Api(
        service="batch",
        create=("CreateSchedulingPolicy",),
        update=("UpdateSchedulingPolicy",),
        reply="DescribeSchedulingPolicies.schedulingPolicies[]",
        aside=frozenset({"arn"}),
    ),
    replace=Replace.CREATE_FIRST,
    expand=expand,
    check=check,
    disruption=disruption,
    dependents=(queue_users.naming("schedulingPolicyArn"),),
)
