"""Groups of schedules: tags, and nothing else."""

from __future__ import annotations

from reconciler.kinds.scheduler.schedule_group import KIND
from reconciler.model import Call, On, Proof, Refused
from tests.support.histories import History
from tests.support.service_kinds import INDEX, OWNED, TAGS, found, read, want, withstands_expressions

ARN = "arn:aws:scheduler:eu-west-1:123456789012:schedule-group/g"
BUSY, MISSING = On("ConflictException"), On("ResourceNotFoundException")


def call(operation, *, all_pages=False, **params):
    return Call("scheduler", operation, params, all_pages=all_pages)


def about(name="g", state="ACTIVE", tags=TAGS, reply=None):
    arn = ARN[:-1] + name
    shown = {"Arn": arn, "Name": name, "State": state}
    return [
        (call("GetScheduleGroup", Name=name), reply or shown),
        (call("ListTagsForResource", ResourceArn=arn), reply or {"Tags": tags}),
    ]


def live(**more):
    (one,) = read(KIND, [about(**more)], "g")
    return one


def test_read():
    one = live()

    assert (one.physical, one.attrs, one.props, one.tags) == ("g", {"name": "g", "arn": ARN}, {}, OWNED)
    assert not one.deleting and live(state="DELETING").deleting
    assert read(KIND, [about(reply=Refused("ResourceNotFoundException", ""))], "g") == []


def test_what_is_owned_is_proposed_by_the_index_or_listed():
    proposed = INDEX, {"ResourceTagMappingList": [{"ResourceARN": ARN}, {"ResourceARN": ARN[:-1] + "x"}]}
    listed = call("ListScheduleGroups", all_pages=True), {"ScheduleGroups": [{"Name": "g"}, {"Name": "x"}]}
    both = [*about(), *about("x", tags=[])]

    assert [one.physical for one in read(KIND, [[proposed], both], owned=True)] == ["g"]
    assert [one.physical for one in read(KIND, [[listed], both], owned=True, indexed=False)] == ["g"]


def test_calls():
    (made,) = KIND.create(want(KIND, "g"))
    assert (made.params, made.proof) == ({"Name": "g", "Tags": TAGS}, Proof.EXISTS)
    gone, wait = KIND.delete(live(), {})
    assert (gone.params, gone.retry_on, gone.ok_if) == ({"Name": "g"}, (BUSY,), (MISSING,))
    assert wait.gone and wait.absent == (MISSING,)
    untag, tag = KIND.tag(live(), {"a": "b"}, ["c"])
    assert untag.params == {"ResourceArn": ARN, "TagKeys": ["c"]}
    assert tag.params == {"ResourceArn": ARN, "Tags": [{"Key": "a", "Value": "b"}]}


def test_check():
    assert list(found(KIND, "a/b")) == [""]
    assert list(found(KIND, "default")) == [""]
    assert found(KIND, "g") == {}
    withstands_expressions(KIND)


def test_an_adopted_group_brings_its_schedules():
    (note,) = KIND.notes(live(tags=[]), want(KIND, "g"))

    assert "become this environment's" in note
    assert list(KIND.notes(live(), want(KIND, "g"))) == []


def test_a_group_lives_and_dies_in_the_sandbox(sandbox):
    history = History(sandbox)
    scheduler = sandbox.client("scheduler")
    history.converge(history.environment({"scheduleGroups": {"g": {"tags": {"a": "b"}}}}))
    there = history.environment({"scheduleGroups": {"g": {"tags": {"c": "d"}}}})
    history.converge(there)
    arn = scheduler.get_schedule_group(Name="g")["Arn"]
    listed = {tag["Key"] for tag in scheduler.list_tags_for_resource(ResourceArn=arn)["Tags"]}
    assert listed == {"c", "reconciler/environment"}
    history.destroy(there)
    assert [one["Name"] for one in scheduler.list_schedule_groups()["ScheduleGroups"]] == ["default"]
