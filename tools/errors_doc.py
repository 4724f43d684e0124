"""Write docs/errors.md from the catalogue of problem codes."""

from __future__ import annotations

from pathlib import Path

from reconciler.model.problem_codes import ProblemCode, catalogue

TARGET = Path(__file__).parents[1] / "docs" / "errors.md"

HEAD = """\
# Problem codes

<!-- Made by `make docs` from reconciler/model/problem_codes.py: change that file, not this one. -->

Every problem has a code, which is the same in every version, while its message may change.
Text has it after the severity, as in `error[unknown-field]`, JSON as `code`.

- An **error** makes the command fail.
- A **warning** does not, except with `validate --strict`.
- A **note** never does.
- **Advice** is in reports of `audit` only, which also gives some warnings as advice: see [auditing](audit.md).

Warnings and notes can be turned off by their codes: in `environment.yaml` for the whole environment
(`ignoreRules: [no-timeout]`), or for one resource (`lifecycle: {ignoreRules: [no-timeout]}`). Errors cannot.

The message of a problem describes one place, and its hint how to fix it there.
This page describes each code in general.
"""


def text() -> str:
    """The content of the file."""
    return "\n".join([HEAD, *map(_entry, catalogue().values())])


def _entry(code: ProblemCode) -> str:
    lines = [f"## {code}", "", f"{' or '.join(code.severities).capitalize()}. {code.meaning}", ""]
    lines += [f"Fix: {code.fix}", ""]
    if code.source:
        lines += [f"Source: <{code.source}>", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
    print(f"wrote {TARGET}")
