"""Event rules: the whole rule is always sent, targets one by one, patterns compared by meaning."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from reconciler.applying.executor import render_parameters
from reconciler.kinds.events import _rule_targets as targets
from reconciler.kinds.events.rule import KIND, meaning
from reconciler.model import (
    Address,
    Call,
    Effect,
    JsonText,
    Later,
    On,
    Refused,
    Sought,
    Text,
    Unreadable,
    Verb,
)
from tests.support.builders import parsed
from tests.support.histories import Door, History, Killed
from tests.support.long import across
from tests.support.service_kinds import (
    INDEX,
    OWNED,
    SCOPE,
    TAGS,
    changed,
    differs,
    found,
    read,
    want,
    withstands_expressions,
)
from tests.support.tables import DATA, cases, with_long_texts

ARN = "arn:aws:events:eu-west-1:123456789012:rule/r"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:t"
QUEUE = "arn:aws:batch:eu-west-1:123456789012:job-queue/q"
ROLE = "arn:aws:iam::123456789012:role/ev"
PATTERN = {"source": ["aws.batch"], "detail": {"status": ["FAILED", "SUCCEEDED"]}}
MAIL = {"id": "mail", "arn": TOPIC}
JOB = {
    "id": "job",
    "arn": QUEUE,
    "roleArn": ROLE,
    "batchParameters": {"jobDefinition": "jd", "jobName": "jn", "arrayProperties": {"size": 3}},
}
BUSY, NEW_ROLE = On("ConcurrentModificationException"), On("ValidationException", "cannot be assumed by principal")
MISSING = On("ResourceNotFoundException")


def call(operation, *, retry_on=(BUSY,), ok_if=(), refuse_if="", all_pages=False, **params):
    return Call("events", operation, params, retry_on=retry_on, ok_if=ok_if, refuse_if=refuse_if, all_pages=all_pages)


def about(name, rule, listed=(), tags=TAGS, arn=ARN, **where):
    return [
        (call("DescribeRule", retry_on=(), Name=name, **where), rule),
        (call("ListTargetsByRule", retry_on=(), all_pages=True, Rule=name, **where), {"Targets": list(listed)}),
        (call("ListTagsForResource", retry_on=(), ResourceARN=arn), {"Tags": tags}),
    ]


def rule(**more):
    plain = {"Name": "r", "Arn": ARN, "State": "ENABLED", "EventBusName": "default", "CreatedBy": "123456789012"}
    return {**plain, **more}


def live(*listed, **more):
    shown = {"EventPattern": json.dumps(PATTERN), **more}
    listed = [render_parameters(targets.to_api(item), {}) for item in listed]
    (one,) = read(KIND, [about("r", rule(**shown), listed)], "r")
    return one


# --- reading ---------------------------------------------------------------------------------------------------------


def test_read():
    transformer = {"InputPathsMap": {"Job": "$.detail.jobName"}, "InputTemplate": '"<Job>"'}
    shown = rule(EventPattern=json.dumps(PATTERN), Description="d", RoleArn=ROLE, ScheduleExpression="rate(1 day)")
    listed = [
        {"Id": "z", "Arn": TOPIC, "InputTransformer": transformer},
        {"Id": "a", "Arn": QUEUE, "Input": '{"Key": 1}', "BatchParameters": {"JobDefinition": "jd", "JobName": "jn"}},
    ]
    (one,) = read(KIND, [about("r", shown, listed)], "r")

    assert (one.physical, one.attrs, one.tags) == ("r", {"name": "r", "arn": ARN}, OWNED)
    assert one.extra == {"bus": "default"}
    assert one.props == {
        "eventPattern": PATTERN,
        "scheduleExpression": "rate(1 day)",
        "state": "ENABLED",
        "description": "d",
        "roleArn": ROLE,
        "targets": [
            {"id": "a", "arn": QUEUE, "input": {"Key": 1}, "batchParameters": {"jobDefinition": "jd", "jobName": "jn"}},
            {
                "id": "z",
                "arn": TOPIC,
                "inputTransformer": {"inputPathsMap": {"Job": "$.detail.jobName"}, "inputTemplate": '"<Job>"'},
            },
        ],
    }


def test_what_is_owned_is_proposed_by_the_index_and_confirmed():
    arns = ["rule/o", "rule/aws.partner/x/y/p", "event-bus/b"]
    listed = [{"ResourceARN": f"arn:aws:events:eu-west-1:123456789012:{rest}"} for rest in arns]
    other = f"{ARN[:-1]}o"
    partner = f"{ARN[:-1]}aws.partner/x/y/p"
    rounds = [
        [(INDEX, {"ResourceTagMappingList": listed})],
        [
            *about("r", Refused("ResourceNotFoundException", ""))[:1],
            *about("p", rule(Name="p", Arn=partner), arn=partner, EventBusName="aws.partner/x/y"),
            *about("o", rule(Name="o", Arn=other), arn=other, tags=[]),
        ],
    ]
    (one,) = read(KIND, rounds, "r", owned=True)

    assert (one.physical, one.attrs["arn"]) == ("p", partner)
    assert one.props["eventBusName"] == one.extra["bus"] == "aws.partner/x/y"


@pytest.mark.parametrize("page", ["whole", "cut", "refused"])
def test_several_rules_are_looked_up_in_their_list(page):
    """Three of one bus and one of another; of the three ``jobs-c`` is not there."""
    arns = {name: f"{ARN[:-1]}{name}" for name in ("jobs-a", "jobs-b", "jobs-c", "x/q")}
    rules = {name: rule(Name=name.rpartition("/")[2], Arn=arn) for name, arn in arns.items()}
    pages = {
        "whole": {"Rules": [rules["jobs-a"], rules["jobs-b"], rule(Name="jobs-foreign")]},
        "cut": {"Rules": [rules["jobs-a"]], "NextToken": "more"},
        "refused": Refused("AccessDeniedException", "not authorized to perform: events:ListRules"),
    }
    absent = Refused("ResourceNotFoundException", "")
    about_c = about("jobs-c", absent, arn=arns["jobs-c"])
    rounds = [
        [(call("ListRules", retry_on=(), Limit=100, NamePrefix="jobs-"), pages[page])],
        about("q", rules["x/q"], arn=arns["x/q"], EventBusName="x"),
        about("jobs-a", rules["jobs-a"], arn=arns["jobs-a"])[0 if page == "refused" else 1 :],
        about("jobs-b", rules["jobs-b"], arn=arns["jobs-b"])[1 if page == "whole" else 0 :],
        [] if page == "whole" else about_c[:1],
    ]

    found = read(KIND, rounds, "jobs-a", "jobs-b", "jobs-c", Sought("q", {"eventBusName": "x"}))

    assert sorted(one.attrs["arn"] for one in found) == sorted(arn for name, arn in arns.items() if name != "jobs-c")


def test_a_rule_is_sought_on_its_bus():
    arn = f"{ARN[:-1]}b/r"
    bus = f"{ARN.partition(':rule')[0]}:event-bus/b"
    (one,) = read(
        KIND, [about("r", rule(Arn=arn), arn=arn, EventBusName="b")], Sought("r", {"eventBusName": bus, "state": "x"})
    )

    assert one.attrs["arn"] == arn
    assert KIND.attrs(SCOPE, "r", {"eventBusName": bus}) == {"name": "r", "arn": arn}
    assert KIND.attrs(SCOPE, "r", {}) == {"name": "r", "arn": ARN}
    with pytest.raises(Unreadable):
        read(KIND, [about("r", Refused("AccessDeniedException", ""))], "r")


# --- comparing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"source": ["a", "b"]}, {"source": ["b", "a", "b"]}),
        ({"x": [{"prefix": "a"}, "b", None, 1]}, {"x": [1, None, "b", {"prefix": "a"}]}),
        ({"x": [{"anything-but": ["a", "b"]}]}, {"x": [{"anything-but": ["b", "a"]}]}),
        ({"$or": [{"a": ["1"]}, {"b": ["2", "3"]}]}, {"$or": [{"b": ["3", "2"]}, {"a": ["1"]}]}),
    ],
)
def test_patterns_that_mean_the_same(one, other):
    assert meaning(one) == meaning(other)


def test_the_order_of_a_range_counts():
    one, other = ({"x": [{"numeric": numbers}]} for numbers in ([">", 0, "<", 5], ["<", 0, ">", 5]))

    assert meaning(one) != meaning(other)
    assert meaning(one) == one


def test_a_pattern_may_hold_what_is_not_known_yet():
    later = Later(Address("secrets", "s"), "arn")
    pattern = {"x": [later, "b", {"prefix": Text(("a", later))}, Text(("a", later))]}

    assert sorted(map(repr, meaning(pattern)["x"])) == sorted(map(repr, pattern["x"]))


@pytest.mark.parametrize(
    ("listed", "shown", "declared"),
    [
        ([], {}, {}),
        ([], {}, {"state": "ENABLED", "description": "", "eventBusName": "default"}),
        ([], {}, {"eventPattern": json.dumps(PATTERN, indent=2)}),
        ([], {}, {"eventPattern": {"detail": {"status": ["SUCCEEDED", "FAILED"]}, "source": ["aws.batch"]}}),
        ([MAIL, JOB], {}, {"targets": [JOB, MAIL]}),
        ([{**MAIL, "input": {"a": [1, 2]}}], {}, {"targets": [{**MAIL, "input": '{ "a": [1,2] }'}]}),
        ([{**MAIL, "input": '"text"'}], {}, {"targets": [{**MAIL, "input": '"text"'}]}),
        (
            [{**MAIL, "retryPolicy": {"maximumRetryAttempts": 185, "maximumEventAgeInSeconds": 86400}}],
            {},
            {"targets": [MAIL]},
        ),
        (
            [{**MAIL, "arn": "arn:aws:logs:eu-west-1:123456789012:log-group:/x:*"}],
            {},
            {"targets": [{**MAIL, "arn": "arn:aws:logs:eu-west-1:123456789012:log-group:/x"}]},
        ),
        (
            [{**JOB, "batchParameters": {"jobDefinition": "arn:aws:batch:x:1:job-definition/jd:3", "jobName": "j"}}],
            {},
            {"targets": [{**JOB, "batchParameters": {"jobDefinition": "jd:3", "jobName": "j"}}]},
        ),
    ],
)
def test_the_same(listed, shown, declared):
    assert differs(KIND, live(*listed, **shown), want(KIND, "r", **{"eventPattern": PATTERN, **declared})) == {}


@pytest.mark.parametrize(
    ("listed", "shown", "declared", "path"),
    [
        ([], {}, {"eventPattern": {**PATTERN, "source": ["x"]}}, "eventPattern.source"),
        ([], {"State": "DISABLED"}, {}, "state"),
        ([], {"Description": "d"}, {}, "description"),
        ([], {"ScheduleExpression": "rate(1 day)"}, {}, "scheduleExpression"),
        ([], {"RoleArn": ROLE}, {}, "roleArn"),
        ([], {}, {"eventBusName": "b"}, "eventBusName"),
        ([MAIL], {}, {"targets": [{**MAIL, "arn": TOPIC + "2"}]}, "targets.mail.arn"),
        ([MAIL], {}, {}, "targets.mail.arn"),
        ([JOB], {}, {"targets": [{**JOB, "input": {"a": 1}}]}, "targets.job.input.a"),
        (
            [JOB],
            {},
            {"targets": [{**JOB, "batchParameters": {**JOB["batchParameters"], "jobName": "other"}}]},
            "targets.job.batchParameters.jobName",
        ),
    ],
)
def test_different(listed, shown, declared, path):
    there, wanted = live(*listed, **shown), want(KIND, "r", **{"eventPattern": PATTERN, **declared})

    assert list(differs(KIND, there, wanted)) == [path]


def test_what_describe_shows_can_be_pasted():
    shown = {"name": "r", "arn": ARN, "createdBy": "123456789012", "managedBy": "x", "state": "ENABLED"}

    assert KIND.expand({**shown, "eventPattern": json.dumps(PATTERN)}) == {"state": "ENABLED", "eventPattern": PATTERN}


def test_another_bus_is_another_rule():
    assert KIND.fields["eventBusName"].effect is Effect.REPLACE


# --- writing ---------------------------------------------------------------------------------------------------------


def test_create():
    later = Later(Address("topics", "t"), "arn")
    declared = {"eventPattern": PATTERN, "description": "d", "eventBusName": "b", "targets": [{**MAIL, "arn": later}]}

    assert KIND.create(want(KIND, "r", **declared)) == [
        call(
            "PutRule",
            retry_on=(BUSY, NEW_ROLE),
            Name="r",
            EventBusName="b",
            EventPattern=JsonText(PATTERN),
            State="ENABLED",
            Description="d",
            Tags=TAGS,
        ),
        call(
            "PutTargets",
            retry_on=(BUSY, NEW_ROLE),
            refuse_if="FailedEntries",
            Rule="r",
            EventBusName="b",
            Targets=[{"Id": "mail", "Arn": later}],
        ),
    ]


def test_the_whole_rule_is_sent_without_tags():
    there = live(State="DISABLED", Description="d", RoleArn=ROLE)
    declared = want(KIND, "r", eventPattern=PATTERN, state="DISABLED", description="other", roleArn=ROLE)

    assert changed(KIND, there, declared) == [
        call(
            "PutRule",
            retry_on=(BUSY, NEW_ROLE),
            Name="r",
            EventPattern=JsonText(PATTERN),
            State="DISABLED",
            Description="other",
            RoleArn=ROLE,
        )
    ]


def mails(*names, **more):
    return [{"id": name, "arn": TOPIC, **more} for name in names]


def steps(there, listed):
    calls = changed(KIND, live(*there), want(KIND, "r", eventPattern=PATTERN, targets=listed))
    return [
        (one.operation, [item["Id"] for item in one.params.get("Targets", ())] or one.params["Ids"]) for one in calls
    ]


def test_only_targets_that_differ_are_put():
    assert steps(mails("a", "b"), [*mails("a"), *mails("b", inputPath="$.detail"), *mails("c")]) == [
        ("PutTargets", ["b", "c"])
    ]
    assert steps(mails("a", "b", "c"), mails("a")) == [("RemoveTargets", ["b", "c"])]
    assert steps(mails("a", "b"), mails("a", "c")) == [("PutTargets", ["c"]), ("RemoveTargets", ["b"])]
    assert steps(mails(*"abcde"), mails(*"abcdf")) == [("RemoveTargets", ["e"]), ("PutTargets", ["f"])]
    assert steps(mails("a"), []) == [("RemoveTargets", ["a"])]


def test_ten_targets_at_once():
    many = [f"t{number:02}" for number in range(23)]
    calls = KIND.create(want(KIND, "r", eventPattern=PATTERN, targets=mails(*many)))

    assert [len(one.params["Targets"]) for one in calls[1:]] == [10, 10, 3]


def test_targets_as_eventbridge_takes_them():
    ecs = {
        "taskDefinitionArn": "arn:td",
        "enableECSManagedTags": True,
        "capacityProviderStrategy": [{"capacityProvider": "c", "base": 1}],
        "placementStrategy": [{"type": "spread", "field": "x"}],
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["s"], "assignPublicIp": "ENABLED"}},
        "tags": {"a": "b"},
    }
    target = {
        **MAIL,
        "roleArn": None,
        "input": {"lower": {"none": None, "empty": []}},
        "ecsParameters": ecs,
        "httpParameters": {"headerParameters": {"x-y": "z"}},
        "deadLetterConfig": {},
    }
    told = targets.to_api(targets.from_yaml(target))

    assert told == {
        "Id": "mail",
        "Arn": TOPIC,
        "Input": JsonText({"lower": {"none": None, "empty": []}}),
        "EcsParameters": {
            "TaskDefinitionArn": "arn:td",
            "EnableECSManagedTags": True,
            "CapacityProviderStrategy": [{"capacityProvider": "c", "base": 1}],
            "PlacementStrategy": [{"type": "spread", "field": "x"}],
            "NetworkConfiguration": {"awsvpcConfiguration": {"Subnets": ["s"], "AssignPublicIp": "ENABLED"}},
            "Tags": [{"Key": "a", "Value": "b"}],
        },
        "HttpParameters": {"HeaderParameters": {"x-y": "z"}},
    }
    shown = {**told, "Input": '{"lower": {"none": null, "empty": []}}'}
    assert targets.from_api(shown) == {
        **MAIL,
        "input": target["input"],
        "ecsParameters": ecs,
        "httpParameters": {"headerParameters": {"x-y": "z"}},
    }


def test_delete_takes_the_targets_off_first():
    gone = {"ok_if": (MISSING,)}

    assert KIND.delete(live(MAIL, JOB), {}) == [
        call("RemoveTargets", refuse_if="FailedEntries", Rule="r", Ids=["job", "mail"], **gone),
        call("DeleteRule", Name="r", **gone),
    ]
    assert KIND.delete(live(), {}) == [call("DeleteRule", Name="r", **gone)]


def test_tag():
    assert KIND.tag(live(), {"a": "b"}, ["c"]) == [
        call("UntagResource", ResourceARN=ARN, TagKeys=["c"]),
        call("TagResource", ResourceARN=ARN, Tags=[{"Key": "a", "Value": "b"}]),
    ]


def test_what_an_aws_service_manages_is_told():
    (told,) = KIND.notes(live(ManagedBy="states.amazonaws.com"), want(KIND, "r"))

    assert "managed by states.amazonaws.com" in told
    assert list(KIND.notes(live(), want(KIND, "r"))) == []


# --- declarations ----------------------------------------------------------------------------------------------------


def targeted(**more):
    return {"eventPattern": PATTERN, "targets": [{**MAIL, **more}]}


def batch(**more):
    parameters = {**JOB["batchParameters"], **more}
    return {"eventPattern": PATTERN, "targets": [{**JOB, "batchParameters": parameters}]}


def patterned(**pattern):
    return {"eventPattern": pattern, "targets": [MAIL]}


def scheduled(expression, **more):
    return {"scheduleExpression": expression, "targets": [MAIL], **more}


DETAIL = {"source": ["aws.batch"], "detail-type": ["Batch Job State Change"]}
WRONG = with_long_texts(cases(DATA / "checking" / "event_rules.yaml"))["wrong"]


@pytest.mark.parametrize(
    ("name", "props", "path"), [(case.get("name", "r"), parsed(case["rule"]), case["at"]) for case in WRONG]
)
def test_check_finds_what_eventbridge_would_refuse_or_never_match(name, props, path):
    assert list(found(KIND, name, **props)) == [path]


@pytest.mark.parametrize(
    "props",
    [
        scheduled("rate(1 hour)"),
        scheduled("rate(12 minutes)"),
        scheduled("cron(0/15 8-17 ? * MON-FRI *)"),
        scheduled("cron(0 12 L-3 JAN-MAR,12 ? 2030-2035)"),
        scheduled("cron(5,35 14 ? * 2#1 *)"),
        scheduled("cron(0 9 15W * ? *)"),
        scheduled("cron(0 12 ? * MON-FRI *)"),
        scheduled("cron(0/15 12 1 * ? 2030)"),
        patterned(source=["aws.batch"], detail={"jobQueue": [QUEUE, {"suffix": "/q"}], "x": [None, 1, True]}),
        patterned(**DETAIL, detail={"status": ["FAILED", {"anything-but": ["RUNNING"]}]}),
        targeted(input='"hello"'),
        targeted(inputTransformer={"inputTemplate": '"<aws.events.rule-name>"'}),
        batch(retryStrategy={"attempts": 10}),
        {**batch(), "targets": [{**JOB, "arn": "q"}]},
        targeted(arn="/aws/events/batch"),
    ],
)
def test_check_has_nothing_against_what_is_right(props):
    assert found(KIND, "r", **props) == {}


def test_check_withstands_expressions():
    withstands_expressions(
        KIND,
        eventPattern={**PATTERN, **DETAIL, "$or": [{"x": ["y"]}]},
        scheduleExpression="rate(1 hour)",
        eventBusName="default",
        targets=[
            {**JOB, "input": {"a": 1}},
            {**MAIL, "inputTransformer": {"inputPathsMap": {"a": "$.b"}, "inputTemplate": "<a>"}},
        ],
    )
    withstands_expressions(KIND, eventPattern=json.dumps(PATTERN), targets=[{**MAIL, "input": "{}"}])


# --- in the sandbox --------------------------------------------------------------------------------------------------


@pytest.fixture
def history(sandbox):
    return History(sandbox)


def stack(history, targets_, **rule_):
    """A rule with a queue, a topic and a log group that its targets may name."""
    subnet = history.sandbox.client("ec2").describe_subnets()["Subnets"][0]["SubnetId"]
    compute = {"type": "FARGATE", "maxvCpus": 4, "subnets": [subnet], "securityGroupIds": ["g"]}
    job = {
        "type": "container",
        "platformCapabilities": ["FARGATE"],
        "containerProperties": {
            "image": "alpine",
            "executionRoleArn": "ev",
            "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "2048"}],
        },
    }
    declared = {"eventPattern": PATTERN, "targets": targets_, **rule_}
    return history.environment(
        {
            "eventRules": {"r": {name: value for name, value in declared.items() if value is not None}},
            "topics": {"t": {}},
            "logGroups": {"/aws/events/l": {}},
            "securityGroups": {"g": {}},
            "roles": {"ev": {"trust": ["events.amazonaws.com", "ecs-tasks.amazonaws.com"]}},
            "computeEnvironments": {"c": {"type": "MANAGED", "computeResources": compute}},
            "jobQueues": {"q": {"priority": 1, "computeEnvironmentOrder": [{"order": 1, "computeEnvironment": "c"}]}},
            "jobDefinitions": {"jd": job},
        }
    )


def aimed(history, bus="default"):
    events = history.sandbox.client("events")
    return {one["Id"]: one for one in events.list_targets_by_rule(Rule="r", EventBusName=bus)["Targets"]}


NAMED_JOB = {**JOB, "arn": "q", "roleArn": "ev"}
ALL = [{"id": "mail", "arn": "t"}, {"id": "log", "arn": "/aws/events/l"}, NAMED_JOB]


def test_a_rule_lives_and_dies_with_its_targets_by_name(history):
    events = history.sandbox.client("events")
    env = stack(history, ALL, tags={"a": "b"})
    history.converge(env)
    there = aimed(history)

    assert there["mail"]["Arn"].startswith("arn:aws:sns:") and there["mail"]["Arn"].endswith(":t")
    assert there["log"]["Arn"].endswith(":log-group:/aws/events/l")
    assert there["job"]["Arn"].endswith(":job-queue/q")
    assert there["job"]["RoleArn"].endswith(":role/ev")
    assert there["job"]["BatchParameters"] == {"JobDefinition": "jd", "JobName": "jn", "ArrayProperties": {"Size": 3}}
    arn = events.describe_rule(Name="r")["Arn"]
    assert {tag["Key"] for tag in events.list_tags_for_resource(ResourceARN=arn)["Tags"]} == {
        "a",
        "reconciler/environment",
    }

    history.converge(stack(history, ALL[:1], state="DISABLED", description="off", tags={"c": "d"}))
    assert list(aimed(history)) == ["mail"]
    assert events.describe_rule(Name="r")["State"] == "DISABLED"
    history.converge(
        stack(history, [*ALL[:1], {"id": "x", "arn": "t"}], eventPattern=None, scheduleExpression="rate(1 day)")
    )
    assert "EventPattern" not in events.describe_rule(Name="r")
    history.destroy(env)
    assert events.list_rules()["Rules"] == []


def test_all_five_places_change_hands(history):
    history.converge(stack(history, [{"id": name, "arn": "t"} for name in "abcde"]))
    history.converge(stack(history, [{"id": name, "arn": "t"} for name in "fghij"]))

    assert sorted(aimed(history)) == list("fghij")


def test_a_new_revision_leaves_the_rule_alone(history):
    env = stack(history, [NAMED_JOB])
    history.converge(env)
    changed_ = stack(history, [NAMED_JOB])
    address = Address("jobDefinitions", "jd")
    definition = changed_.resources[address]
    changed_.resources[address] = replace(definition, props={**definition.props, "parameters": {"a": "b"}})

    moved = [str(one.address) for one in history.plan(changed_).plan.resources if one.steps]
    assert moved == ["jobDefinitions.jd"]


def test_another_bus(history):
    history.sandbox.client("events").create_event_bus(Name="b")
    history.converge(stack(history, ALL[:1]))
    other = stack(history, ALL[:1], eventBusName="b")
    (one,) = [one for one in history.plan(other).plan.resources if one.steps]
    assert one.verb is Verb.REPLACE and "creating the new one are lost" in one.disruption
    history.converge(other)

    assert list(aimed(history, "b")) == ["mail"]
    assert history.sandbox.client("events").list_rules()["Rules"] == []
    history.destroy(other)


def test_what_others_changed_is_drift(history):
    env = stack(history, ALL[:2])
    history.converge(env)
    events = history.sandbox.client("events")
    events.put_targets(Rule="r", Targets=[{"Id": "theirs", "Arn": TOPIC}, {"Id": "log", "Arn": TOPIC}])
    events.disable_rule(Name="r")
    (one,) = [one for one in history.plan(env).plan.resources if one.steps]

    assert {".".join(map(str, change.path)) for change in one.changes} == {
        "state",
        "targets.theirs.arn",
        "targets.log.arn",
    }
    history.converge(env)
    assert sorted(aimed(history)) == ["log", "mail"]


@pytest.mark.parametrize(("dies_at", "after"), across(range(2), [False, True]))
def test_a_killed_run_is_finished(history, dies_at, after):
    history.converge(stack(history, ALL[:1]))
    second = stack(history, ALL[1:], description="second")
    with pytest.raises(Killed):
        history.run(second, Door(history.aws, dies_at=dies_at, after=after))
    history.converge(second)

    assert sorted(aimed(history)) == ["job", "log"]


def test_a_name_that_is_nowhere_is_told_with_all_the_places(history):
    (problem,) = history.plan(stack(history, [{"id": "x", "arn": "nowhere"}])).problems

    assert 'there is no job queue or topic or log group "nowhere"' in problem.message


def test_what_is_in_the_account_may_be_named(history):
    history.sandbox.client("sns").create_topic(Name="theirs")
    env = stack(history, [{"id": "x", "arn": "theirs"}])
    history.converge(env)

    assert aimed(history)["x"]["Arn"].endswith(":theirs")


def kept_by_a_service(history, name="r"):
    """From now on the rule is another service's."""
    moto, region = history.sandbox.account.moto, history.sandbox.region
    events = moto.backend("events", region)
    events.event_buses["default"].rules[name].managed_by = "states.amazonaws.com"
    moto.touched("events", region)


def test_a_rule_that_a_service_keeps_is_neither_changed_nor_taken_over(history):
    env = history.environment({"eventRules": {"r": {"eventPattern": PATTERN}}})
    history.converge(env)
    kept_by_a_service(history)
    history.expect_nothing(env)

    for other in ({"eventPattern": {"source": ["aws.ecs"]}}, {"eventPattern": PATTERN, "tags": {"a": "b"}}):
        (problem,) = history.plan(history.environment({"eventRules": {"r": other}})).problems
        assert (problem.code, problem.address) == ("managed-by-aws", "eventRules.r")
        assert "states.amazonaws.com" in problem.message
        assert "under another name" in problem.hint
    neighbour = History(history.sandbox, name="neighbour")
    history.sandbox.client("events").put_rule(Name="free", EventPattern='{"source": ["aws.batch"]}')
    kept_by_a_service(history, "free")
    env = neighbour.environment({"eventRules": {"free": {"eventPattern": {"source": ["aws.batch"]}}}})
    assert [problem.code for problem in neighbour.plan(env, adopt=True).problems] == ["managed-by-aws"]


@pytest.mark.parametrize("destroy", [False, True])
def test_a_rule_that_a_service_keeps_is_not_deleted(history, destroy):
    rest = {"logGroups": {"/a": {}}}
    history.converge(history.environment({"eventRules": {"r": {"eventPattern": PATTERN}}, **rest}))
    kept_by_a_service(history)

    env = history.environment(rest)
    (problem,) = history.plan(env, destroy=destroy).problems
    assert (problem.code, problem.address) == ("managed-by-aws", "eventRules.r")
    assert "--exclude 'eventRules.r'" in problem.hint
    left_out = history.plan(env, destroy=destroy, exclude=(Address("eventRules", "r"),))
    assert left_out.problems == ()
    assert not [one for one in left_out.plan.resources if one.address.section == "eventRules"]


@pytest.mark.parametrize(
    ("tags", "rival"), [(TAGS, ""), ([], ""), ([{"Key": "reconciler/environment", "Value": "b"}], "b")]
)
def test_who_overwrites_a_rule_of_another_environment_is_told(tags, rival):
    """PutRule keeps the tags of a rule that exists; tags that are not visible yet prove nothing."""
    reads = KIND.rival(want(KIND, "r", eventPattern=PATTERN), {})
    assert next(reads) == (call("ListTagsForResource", retry_on=(), ResourceARN=ARN),)
    with pytest.raises(StopIteration) as ended:
        reads.send(({"Tags": tags},))
    text, undo = ended.value.value

    assert undo == () and bool(text) is bool(rival)
    assert f"r was created by {rival} " in text or not rival
