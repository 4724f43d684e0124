"""Amounts with a unit, in the unit of the field."""

from __future__ import annotations

import pytest

from reconciler.model.units import amount_in, unit_of


@pytest.mark.parametrize(
    ("text", "unit", "amount"),
    [
        ("16GB", "MiB", 16384),
        ("16 GiB", "MiB", 16384),
        ("1.5Gi", "MiB", 1536),
        ("512m", "MiB", 512),
        ("100k", "MiB", 1),
        ("1T", "GiB", 1024),
        ("2h", "seconds", 7200),
        ("90 minutes", "seconds", 5400),
        ("90s", "minutes", 2),
        ("1 week", "days", 7),
        ("30 days", "days", 30),
        ("2hr", "minutes", 120),
        ("16", "MiB", None),
        ("GB", "MiB", None),
        ("2h", "MiB", None),
        ("16GB", "seconds", None),
        ("16GB", "", None),
        ("2 houses", "seconds", None),
        ("-1h", "seconds", None),
    ],
)
def test_an_amount_in_the_unit_of_the_field(text: str, unit: str, amount: int | None) -> None:
    assert amount_in(text, unit) == amount


@pytest.mark.parametrize(
    ("name", "description", "unit"),
    [
        ("attemptDurationSeconds", "", "seconds"),
        ("retentionInDays", "", "days"),
        ("sizeInGiB", "", "GiB"),
        ("memory", "Older form of a resourceRequirement MEMORY (MiB), EC2 only.", "MiB"),
        ("throughput", "MiB/s of a gp3 volume.", ""),
        ("priority", "Which comes first. Default: 7 days.", ""),
    ],
)
def test_the_unit_of_a_field(name: str, description: str, unit: str) -> None:
    assert unit_of(name, description) == unit
