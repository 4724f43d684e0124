"""What people declared against what AWS replied: nothing differs that is the same, nothing that differs goes unseen."""

from __future__ import annotations

import pytest

from tests.account import differences, environment, pairs, planned


@pytest.mark.parametrize("pair", pairs(), ids=str)
def test_nothing_differs(pair, tmp_path):
    env, problems = environment(pair, tmp_path)
    assert [str(problem) for problem in problems if not problem.warning] == []

    (found,), problems = planned(pair, env, pair.replies)

    assert problems == []
    assert differences(found) == []
    assert [step.action.operation for step in found.steps if "Tag" not in step.action.operation] == []
