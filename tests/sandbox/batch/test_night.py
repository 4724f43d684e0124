"""A night of random jobs: after each step, what AWS Batch, ECS, EC2 and Auto Scaling say belongs together."""

from __future__ import annotations

from random import Random

import pytest

from tests.support.long import LONG
from tests.support.night import Night


@pytest.mark.parametrize("seed", [6, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(100, 110))])
def test_a_night(sandbox, seed):
    """Whatever happens, every job ends or says why it waits, and nothing is left behind."""
    night = Night(sandbox, Random(seed))
    for _ in range(150 if LONG else 12):
        night.step()
        night.check()
    night.finish()
    night.over()
