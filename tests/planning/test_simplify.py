"""What AWS is on record to have replied, as the least declaration: it is accepted, and means what is there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.account.reader import Reader
from reconciler.account.refresh import observe
from reconciler.kinds import discover
from reconciler.model import Sought
from reconciler.operations.importing.express import literal, walked
from reconciler.planning.simplify import simplified, whole
from reconciler.schema import registry
from tests.support.long import some
from tests.support.recorded_account import Pair, Recorded, differences, environment, pairs, planned

# a page with made-up ids; and a schedule with a plain name of a definition, which must exist
NOT_PLANNED = ("huocorp_terraform_goat_security_group", "nightly")
REPLIES = list(
    {(pair.section, pair.name, str(pair.replies)): pair for pair in pairs() if pair.name not in NOT_PLANNED}.values()
)


def live_of(pair: Pair, folder: Path) -> Any:
    """The object that the pair is about, read without its declaration but for what helps to find it."""
    kind = discover()[pair.section]
    env, _ = environment(pair, folder)
    (resource,) = (one for address, one in env.resources.items() if address.name == pair.name)
    hints = {
        name: item for name, item in resource.props.items() if name in ("path", "vpcId", "eventBusName", "groupName")
    }
    sought = {pair.section: (Sought(pair.name, {name: item for name, item in hints.items() if isinstance(item, str)}),)}
    seen = observe(Reader(Recorded(pair, pair.replies), parallelism=0), {kind.section: kind}, pair.scope, sought)
    return kind, max(seen.lives[pair.section], key=lambda live: live.revision)


@pytest.mark.parametrize("full", [False, True], ids=["least", "whole"])
@pytest.mark.parametrize("pair", some(REPLIES, 4), ids=lambda pair: f"{pair.section}-{pair.name}")
def test_a_reply_as_a_declaration_means_the_same(pair: Pair, full: bool, tmp_path: Path) -> None:
    kind, live = live_of(pair, tmp_path)
    props = (
        whole(kind, live, pair.scope) if full else simplified(kind, live, pair.scope, registry.members(pair.section))
    )
    if kind.container:
        props.pop(kind.container.member)  # the group of the environment, in which they are by default
    tags = {name: text for name, text in live.tags.items() if not name.startswith(("aws:", "reconciler/"))}
    declared = walked(
        {**props, **({"tags": tags} if tags and not kind.container else {})}, lambda _, text: literal(text)
    )
    again = replace(pair, declared=declared)

    env, problems = environment(again, tmp_path)
    assert [str(problem) for problem in problems if not problem.warning] == [], declared
    resources, problems = planned(again, env, pair.replies)
    assert [str(problem) for problem in problems] == [], declared
    (found,) = resources
    assert differences(found) == [], declared
