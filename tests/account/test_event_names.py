"""Names of events: ours are botocore's, found sooner."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from botocore.hooks import EVENT_ALIASES, EventAliaser, HierarchicalEmitter
from hypothesis import given
from hypothesis import strategies as st

from reconciler.account.event_names import QuickAliaser, QuickSession

PARTS = sorted({part for names in EVENT_ALIASES.items() for name in names for part in name.split(".")})


class Ended(Exception):
    """Ends a call before it is sent."""


def _end(found: list[str]) -> Any:
    def handler(event_name: str, **_: Any) -> None:
        found.append(event_name)
        raise Ended

    return handler


class Heard(HierarchicalEmitter):
    """Remembers the names that were emitted."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def emit(self, event_name: str, **kwargs: Any) -> Any:
        self.names.append(event_name)
        return super().emit(event_name, **kwargs)


def heard(kind: type[EventAliaser], name: str) -> list[str]:
    emitter = Heard()
    kind(emitter).emit(name)
    return emitter.names


@given(st.lists(st.sampled_from(PARTS) | st.sampled_from(["before-call", "batch", "iam", "", "a-b"]), max_size=5))
def test_every_name_means_what_it_means_to_botocore(parts: list[str]) -> None:
    name = ".".join(parts)
    assert heard(QuickAliaser, name) == heard(EventAliaser, name)


@pytest.mark.parametrize("alias", sorted(EVENT_ALIASES))
def test_an_alias_still_means_the_new_name(alias: str) -> None:
    for name in (alias, f"before-call.{alias}", f"before-call.{alias}.ListThings", f"x{alias}.y", f"x.{alias}y"):
        assert heard(QuickAliaser, name) == heard(EventAliaser, name), name


REGISTERED = """
from botocore.hooks import HierarchicalEmitter
from botocore.session import Session
from reconciler.account.event_names import QuickSession

class Registered(HierarchicalEmitter):
    def __init__(self):
        super().__init__()
        self.found = []

    def register(self, event_name, handler, *_):
        self.found.append(("between", event_name, type(handler)))

    def register_first(self, event_name, handler, *_):
        self.found.append(("first", event_name, type(handler)))

    def register_last(self, event_name, handler, *_):
        self.found.append(("last", event_name, type(handler)))

ours, theirs = Registered(), Registered()
QuickSession(event_hooks=ours)
Session(event_hooks=theirs)
print(len(theirs.found) > 100, ours.found == theirs.found)
"""


def test_the_handlers_of_botocore_are_registered_as_by_botocore() -> None:
    """In a process of its own: in this one they are registered once for all sessions."""
    done = subprocess.run([sys.executable, "-c", REGISTERED], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("True True\n", "")


def test_clients_translate_old_names_of_events() -> None:
    session = QuickSession()
    client = session.create_client("logs", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
    found: list[str] = []

    client.meta.events.register("before-call.logs.DescribeLogGroups", _end(found))
    with pytest.raises(Ended):
        client.describe_log_groups()

    assert isinstance(session.get_component("event_emitter"), QuickAliaser)  # or botocore has changed: see event_names
    assert isinstance(client.meta.events, QuickAliaser)
    assert found == ["before-call.cloudwatch-logs.DescribeLogGroups"]
