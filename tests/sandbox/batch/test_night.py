"""A night of random jobs: after each step, what AWS Batch, ECS, EC2 and Auto Scaling say belongs together."""

from __future__ import annotations

from random import Random

import pytest

from tests.support.long import some
from tests.support.night import Night


@pytest.mark.parametrize(("seed", "steps"), [(1, 14), *[pytest.param(n, 150, marks=pytest.mark.long) for n in range(2, 6)]])
def test_a_night(sandbox, seed, steps):
    """Whatever happens, every job ends or says why it waits, and nothing is left behind."""
    night = Night(sandbox, Random(seed), lambda *_: None)
    for _ in range(steps):
        night.step()
        night.check()
    night.finish()
    night.over()
