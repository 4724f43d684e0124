"""Whether a topic's policy lets EventBridge publish."""

from __future__ import annotations

import pytest

from reconciler.kinds.events._topic_delivery import delivery_problems
from tests.support.builders import resource


@pytest.mark.parametrize(
    ("principal", "fine"),
    [("events.amazonaws.com", True), ("events.amazonaws.com.cn", True), ("ecs.amazonaws.com.cn", False)],
)
def test_the_name_that_events_may_have_in_china_is_theirs_too(principal: str, fine: bool) -> None:
    statement = {"Effect": "Allow", "Principal": {"Service": principal}, "Action": "sns:Publish", "Resource": "*"}
    topic = resource("topics", "t", policy={"Statement": [statement]})

    assert (not list(delivery_problems(topic))) is fine
