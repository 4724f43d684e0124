"""What a plan asks of AWS, and that it sees the same however it asks.

Calls are counted where they arrive, in the sandbox. The estate is the one of the benchmarks: N job definitions, N/10
queues, N/20 compute environments, roles, profiles and log groups, and a handful of everything else.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import pytest

from benchmarks import crowd, estate
from reconciler.account.client import identity
from reconciler.account.reader import Reader
from reconciler.account.refresh import observe
from reconciler.kinds import discover
from reconciler.kinds.batch.job_definition.kind import KIND
from reconciler.model import Call, Environment, Live, Query, Refused, Sought, Unreadable, Verb
from reconciler.operations import pipeline
from tests.support.histories import History
from tests.support.long import some_rows

ONCE = (
    "batch:DescribeComputeEnvironments",
    "batch:DescribeConsumableResource",
    "batch:DescribeJobDefinitions",
    "batch:DescribeJobQueues",
    "batch:DescribeSchedulingPolicies",
    "ec2:DescribeLaunchTemplateVersions",
    "ec2:DescribeLaunchTemplates",
    "ec2:DescribePlacementGroups",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
    "ecr:DescribeRepositories",
    "ecr:GetLifecyclePolicy",
    "ecr:GetRepositoryPolicy",
    "events:ListRules",
    "iam:GetAccountAuthorizationDetails",
    "iam:GetInstanceProfile",
    "iam:GetPolicy",
    "iam:ListInstanceProfiles",
    "iam:ListRoles",
    "logs:DescribeLogGroups",
    "secretsmanager:DescribeSecret",
    "sns:GetDataProtectionPolicy",  # a policy that is no longer declared shows nowhere else
    "sns:GetTopicAttributes",
    "tagging:GetResources",
)
LEAST = {**dict.fromkeys(ONCE, 1), "events:ListTargetsByRule": 2}
INDEX = "tagging:GetResources"


@pytest.fixture
def history(sandbox: Any) -> Iterator[History]:
    sandbox.change({"environments_most": 1000, "queues_most": 1000})
    yield History(sandbox, "estate")
    sandbox.defaults()


@pytest.fixture
def built(history: History, tmp_path: Any) -> Callable[[int], Environment]:
    """Builds the estate and lets everything come to rest."""

    def build(n: int) -> Environment:
        env, _ = pipeline.read_environment(estate.write(tmp_path / "estate", n), {}, strict=True)
        outcome = history.run(env)
        assert outcome.ok, outcome
        history.sandbox.clock.advance(3600)
        return env

    return build


def asked(history: History, env: Environment, *, changes: bool = False) -> Counter[str]:
    """The calls that a plan makes."""
    history.sandbox.calls.clear()
    made = history.plan(env)
    assert not made.problems
    assert changes or not made.plan.applyable, [item for item in made.plan.resources if item.verb is not Verb.NOOP]
    return Counter(f"{one.service}:{one.operation}" for one in history.sandbox.calls)


def beyond(calls: Mapping[str, int]) -> dict[str, int]:
    """How many more calls than the least these are, by operation."""
    return {name: count for name in {*calls, *LEAST} if (count := calls.get(name, 0) - LEAST.get(name, 0))}


# --- how many --------------------------------------------------------------------------------------------------------


def test_what_is_there_once_is_asked_for_once(history, built):
    assert beyond(asked(history, built(20))) == {}


def test_ten_times_the_estate_takes_a_page_more(history, built):
    more = beyond(asked(history, built(200)))

    assert more.pop("iam:GetInstanceProfile") == estate.groups(200) - 1  # no list has the tags of profiles
    assert more == {"batch:DescribeJobDefinitions": 1}


def test_what_belongs_to_others_costs_pages(history, built):
    env = built(20)
    crowd.foreign(history.sandbox, 20)

    # any profile may be owned, whosever role it holds, and no list has its tags
    others = len(history.sandbox.client("iam").list_instance_profiles()["InstanceProfiles"]) - estate.groups(20)
    assert beyond(asked(history, env)) == {"batch:DescribeJobDefinitions": 2, "iam:GetInstanceProfile": others}


def test_old_revisions_cost_pages(history, built):
    env = built(20)
    crowd.revisions(history.sandbox, 20)

    more = beyond(asked(history, env, changes=True))

    assert more["batch:DescribeJobDefinitions"] == 3  # 400 revisions are 4 pages
    assert more["batch:ListJobs"] == estate.queues(20)  # jobs may use those that are to be removed


def test_where_pages_are_short_what_is_missing_is_asked_for_by_name(history, built):
    env = built(20)
    crowd.foreign(history.sandbox, 20)
    history.sandbox.change({"page_size": 0})
    batch = history.sandbox.client("batch")
    for i in range(110):
        batch.create_job_queue(
            jobQueueName=f"crowd-{i:03}",
            priority=1,
            computeEnvironmentOrder=[{"order": 1, "computeEnvironment": "estate-compute-0000"}],
        )
    history.sandbox.clock.advance(60)

    more = beyond(asked(history, env))

    assert more.pop("batch:DescribeJobDefinitions") == 2
    more.pop("iam:GetInstanceProfile")
    assert set(more) <= {"batch:DescribeJobQueues", INDEX}
    assert max(more.values(), default=0) <= 1


def test_services_that_are_not_used_are_not_asked(history):
    env = history.environment({"logGroups": {"/a": {}}, "topics": {"t": {}}})
    history.converge(env)

    assert asked(history, env) == {
        "iam:GetAccountAuthorizationDetails": 1,
        "iam:ListInstanceProfiles": 1,
        "logs:DescribeLogGroups": 1,
        "sns:GetDataProtectionPolicy": 1,
        "sns:GetTopicAttributes": 1,
        INDEX: 2,
    }


class Pages:
    """AWS Batch with so many definitions; ours are where they are."""

    def __init__(self, names: Sequence[str]) -> None:
        self.items = [item(name) for name in names]
        self.calls: list[Call] = []

    def call(self, call: Call) -> Any:
        self.calls.append(call)
        if call.operation == "GetResources":
            return {"ResourceTagMappingList": []}
        name = call.params.get("jobDefinitionName")
        if name:
            return {"jobDefinitions": [one for one in self.items if one["jobDefinitionName"] == name]}
        start = int(call.params.get("nextToken", 0))
        more = {"nextToken": str(start + 100)} if start + 100 < len(self.items) else {}
        return {"jobDefinitions": self.items[start : start + 100], **more}


def item(name: str) -> dict[str, Any]:
    arn = f"arn:aws:batch:eu-west-1:123456789012:job-definition/{name}:1"
    return {"jobDefinitionName": name, "jobDefinitionArn": arn, "revision": 1, "status": "ACTIVE", "type": "container"}


@pytest.mark.parametrize("place", ["first", "last", "between"])
@pytest.mark.parametrize(
    ("ours", "others"),
    [(20, 200), (20, 5_000), (200, 2_000), *some_rows([(200, 20_000), (2_000, 20_000)], 3, 2)],
)
def test_definitions_are_swept_through_or_asked_for_by_name_as_is_cheaper(history, place, ours, others):
    mine, theirs = [f"ours-{i}" for i in range(ours)], [f"theirs-{i}" for i in range(others)]
    every = others // ours
    between = [name for i, one in enumerate(mine) for name in (one, *theirs[i * every : (i + 1) * every])]
    account = Pages({"first": [*mine, *theirs], "last": [*theirs, *mine], "between": between}[place])
    query = Query(history.scope, tuple(map(Sought, mine)), owned=True)

    lives = Reader(account, parallelism=0).drive(KIND.read(query))

    sweep, by_name = -(-len(account.items) // 100), ours
    assert len(lives) == ours
    assert len(account.calls) <= 1.5 * min(sweep, by_name) + 12


# --- the same however it is asked ------------------------------------------------------------------------------------


def seen(history: History, env: Environment, **query: Any) -> dict[str, list[Live]]:
    """What each kind reads of what is declared, and owned."""
    reader, found = Reader(history.aws, parallelism=0), {}
    for section, kind in discover().items():
        names = [resource for address, resource in env.resources.items() if address.section == section]
        sought = tuple(Sought(one.address.name, one.props) for one in names)
        lives = reader.drive(kind.read(Query(history.scope, sought, declared=frozenset({section}), **query)))
        found[section] = sorted(lives, key=lambda live: live.physical)
    return found


def test_in_bulk_by_name_and_without_the_index_everything_is_the_same(history, built):
    env = built(20)
    by_name = seen(history, env)
    bulk, own_ways = seen(history, env, owned=True), seen(history, env, owned=True, indexed=False)

    for section, lives in by_name.items():
        assert [(live.physical, live.attrs, live.tags) for live in lives] == [
            (live.physical, live.attrs, live.tags) for live in bulk[section]
        ]
        assert [live.props for live in lives] == [live.props for live in bulk[section]]
        assert bulk[section] == own_ways[section]


def test_what_is_owned_and_no_longer_declared_is_found(history, built):
    env = built(20)
    nothing = Environment(name=env.name)

    found = observe(Reader(history.aws, parallelism=0), discover(), history.scope, {})

    assert {section for section, lives in found.lives.items() if lives} == {a.section for a in env.resources}
    made = history.plan(nothing, destroy=True)
    assert {item.address for item in made.plan.resources} == set(env.resources)


@pytest.mark.parametrize("denied", ["GetResources", "GetAccountAuthorizationDetails"])
def test_who_may_not_read_in_bulk_still_gets_a_plan_and_no_deletions(history, built, denied):
    env = built(20)
    keep = {address: one for address, one in env.resources.items() if address.name != "estate-events"}
    without = Environment(name=env.name, lookups=env.lookups, resources=keep)
    history.sandbox.faults.add(operation=denied, code="AccessDeniedException", times=0)

    whole, less = history.plan(env), history.plan(without)

    assert not whole.problems
    assert not whole.plan.applyable
    assert whole.warnings
    assert all(denied in problem.message for problem in whole.warnings)
    assert all(item.verb is not Verb.DELETE for item in less.plan.resources)


def test_an_index_that_does_not_know_a_type_is_asked_for_everything(history, built):
    built(20)
    aws, made = history.aws, list[Call]()

    class Older:
        def call(self, call: Call) -> Any:
            made.append(call)
            if "ResourceTypeFilters" in call.params:
                return Refused("InvalidParameterException", "not a supported resource type")
            return aws.call(call)

    found = observe(Reader(Older(), parallelism=0), discover(), history.scope, {})

    assert found.lives["topics"] and found.lives["jobDefinitions"]
    assert not found.incomplete
    assert sum(call.operation == "GetResources" for call in made) == 3


# --- an index that is behind -----------------------------------------------------------------------------------------


def test_tags_that_show_late_are_neither_set_again_nor_missed(history, built):
    env = built(20)
    history.sandbox.change({"index_lag": 600})
    logs = history.sandbox.client("logs")
    arn = logs.describe_log_groups()["logGroups"][0]["logGroupArn"]
    logs.tag_resource(resourceArn=arn, tags={"team": "others"})
    history.sandbox.clock.advance(601)
    logs.tag_resource(resourceArn=arn, tags={"team": "hpc"})

    assert not history.plan(env).plan.applyable  # the index still says "others"

    logs.tag_resource(resourceArn=arn, tags={"team": "others"})
    history.sandbox.client("resourcegroupstaggingapi").get_resources()  # it takes note of what is there when asked
    history.sandbox.clock.advance(601)
    (item,) = [item for item in history.plan(env).plan.resources if item.verb is not Verb.NOOP]
    assert [change.path for change in item.changes] == [("tags", "team")]


def test_reads_raise_what_they_do_not_understand(history):
    class Odd:
        def call(self, call: Call) -> Any:
            return Refused("ValidationException", "odd")

    found = observe(Reader(Odd(), parallelism=0), discover(), identity(history.aws, "estate"), {"topics": ()})

    assert all(isinstance(error, Unreadable) for errors in found.partial.values() for error in errors)
    assert set(found.partial) >= {"jobQueues", "topics", "roles"}


def test_reads_go_on_as_their_replies_come() -> None:
    """Equal calls are sent once, an error is that of its read, and an interrupt ends all of them."""
    sent: list[str] = []

    class Account:
        def call(self, call: Call) -> Any:
            sent.append(call.operation)
            if call.operation == "Interrupted":
                raise KeyboardInterrupt
            return {"of": call.operation}

    def asking(*rounds: tuple[str, ...]) -> Any:
        found: list[str] = []
        for operations in rounds:
            replies = yield tuple(Call("batch", operation) for operation in operations)
            found += [reply["of"] for reply in replies]
        return found

    def broken() -> Any:
        yield (Call("batch", "A"),)
        raise ValueError

    for parallelism in (0, 4):
        sent.clear()
        reader = Reader(Account(), parallelism=parallelism)
        reads = {"one": asking(("A",), ("B", "C")), "none": asking(), "empty": asking(()), "wrong": broken()}
        found = reader.read_all(reads, {"later": lambda: asking(("C",), ("D",)), "never": lambda: 1 / 0})
        assert isinstance(found.pop("wrong"), ValueError)
        assert isinstance(found.pop("never"), ZeroDivisionError)
        assert found == {"one": ["A", "B", "C"], "none": [], "empty": [], "later": ["C", "D"]}
        assert sorted(sent) == ["A", "B", "C", "D"]
        reader.close()
    with pytest.raises(KeyboardInterrupt):
        Reader(Account(), parallelism=4).read_all({"one": asking(("Interrupted",), ("A",))})


def test_thousands_of_replies_are_each_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    real = Future.done

    def counted(future: Future[Any]) -> bool:
        nonlocal looks
        looks += 1
        return real(future)

    class Account:
        def call(self, call: Call) -> Any:
            time.sleep(0)  # so that the reads go on meanwhile
            return {"of": call.operation}

    def asking(number: int) -> Any:
        replies = yield tuple(Call("batch", f"A{n}") for n in range(number))
        return len(replies)

    monkeypatch.setattr(Future, "done", counted)
    reader = Reader(Account(), parallelism=1)
    assert reader.read_all({"many": asking(2000)}) == {"many": 2000}
    reader.close()
    assert looks < 10 * 2000
