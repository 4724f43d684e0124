"""The published schema of the plan's JSON, which a test process reads and checks once."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

PLAN_SCHEMA = json.loads((Path(__file__).parents[2] / "schemas" / "plan.schema.json").read_text("utf-8"))


@cache
def _validator() -> Draft202012Validator:
    Draft202012Validator.check_schema(PLAN_SCHEMA)
    return Draft202012Validator(PLAN_SCHEMA)


def valid_plan(document: Any) -> Any:
    """The document again, if it is what the schema promises; else jsonschema's ValidationError."""
    _validator().validate(document)
    return document


@cache
def _report_validator(name: str) -> Draft202012Validator:
    schema = json.loads((Path(__file__).parents[2] / "schemas" / name).read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    known: Registry[Any] = Registry().with_resources(
        (one["$id"], Resource.from_contents(one)) for one in (schema, PLAN_SCHEMA)
    )
    return Draft202012Validator(schema, registry=known)


def valid_drift(document: Any) -> Any:
    """As above, for the report of `drift`."""
    _report_validator("drift.schema.json").validate(document)
    return document


def valid_retry(document: Any) -> Any:
    """As above, for the output of `retry`."""
    _report_validator("retry.schema.json").validate(document)
    return document


def valid_tests(document: Any) -> Any:
    """As above, for the report of `test`."""
    _report_validator("test_report.schema.json").validate(document)
    return document
