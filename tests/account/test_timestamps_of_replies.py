"""Timestamps are read as botocore reads them."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.utils import parse_timestamp

from reconciler.account.json_replies import Parsers


@pytest.mark.parametrize(
    "written",
    [
        "2020-01-02T03:04:05Z",
        "2020-01-02T03:04:05.123Z",
        "2020-01-02T03:04:05.123456Z",
        "2020-01-02T03:04:05+01:00",
        "2020-02-30T03:04:05Z",
        "2020-01-02",
        "Thu, 02 Jan 2020 03:04:05 GMT",
        "1577934245",
        1577934245,
        1577934245.5,
        "soon",
    ],
)
@pytest.mark.parametrize("protocol", ["rest-json", "json", "query", "ec2"])
def test_as_botocore_does(written: Any, protocol: str) -> None:
    read = Parsers().create_parser(protocol)._timestamp_parser
    try:
        expected = parse_timestamp(written)
    except ValueError:
        with pytest.raises(ValueError):
            read(written)
    else:
        assert read(written) == expected
        assert read(written).utcoffset() == expected.utcoffset()
