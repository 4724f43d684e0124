"""Tags that all imported resources have are a setting."""

from __future__ import annotations

from reconciler.kinds import discover
from reconciler.operations.importing import common_tags
from reconciler.operations.importing.found import ImportedResource

KINDS = discover()
TEAM, COST = {"team": "hpc"}, {"cost": "4711"}


def resource(section: str, key: str, tags: dict[str, str]) -> ImportedResource:
    return ImportedResource(section=section, key=key, physical=key, props={"tags": tags} if tags else {})


def test_tags_that_all_have() -> None:
    made = [
        resource("jobQueues", "a", {**TEAM, **COST}),
        resource("roles", "b", {**COST, "team": "hpc", "own": "1"}),
        resource("topics", "c", {**TEAM, "cost": "4712"}),
        resource("serviceLinkedRoles", "batch.amazonaws.com", {}),  # which has none
    ]
    common = common_tags.shared(made, KINDS)
    assert common == TEAM
    left = [dict(common_tags.tags_of(one)) for one in common_tags.without(made, common, KINDS)]
    assert left == [COST, {**COST, "own": "1"}, {"cost": "4712"}, {}]
    assert all("tags" in one.props for one in common_tags.without(made, common, KINDS)[:3])

    assert common_tags.shared([*made, resource("logGroups", "d", {})], KINDS) == {}
    assert common_tags.shared(made[:2], KINDS) == {}
