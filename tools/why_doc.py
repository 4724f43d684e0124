"""Write the table of causes in docs/why.md from reconciler/kinds/batch/_diagnosis/."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from reconciler.kinds.batch._diagnosis import causes
from reconciler.kinds.batch._diagnosis.causes import Row

TARGET = Path(__file__).parents[1] / "docs" / "why.md"
BEGIN = "<!-- Below: made by `make docs` from reconciler/kinds/batch/_diagnosis/*.toml: change those, not this. -->"
HEADS = {
    "waiting": "Jobs that do not start, queues that are blocked",
    "environments": "Compute environments that are INVALID or stuck",
    "attempts": "Jobs and attempts that failed",
}


def text() -> str:
    """The content of the file: what was written by hand, and the tables."""
    head, _, _ = TARGET.read_text(encoding="utf-8").partition(BEGIN)
    lines = [f"{head}{BEGIN}"]
    for table, title in HEADS.items():
        lines += ["", f"### {title}", "", "| id | cause | what to do | source |", "| --- | --- | --- | --- |"]
        lines += _rows(table)
    return "\n".join(lines) + "\n"


def _rows(table: str) -> Iterator[str]:
    for one in causes.rows():
        if one.table == table and one.id not in (causes.NONE, causes.UNKNOWN):
            yield f"| `{one.id}` | {_cause(one)} | {_cell(one.advice)} | {_source(one.source)} |"


def _cause(one: Row) -> str:
    sure = "" if one.certainty.value == "certain" else f" ({one.certainty.value})"
    return _cell(one.says.removesuffix(".")) + sure


def _source(text: str) -> str:
    address = causes.source(text)
    if not address.startswith("https://"):
        return address
    name = "AWS" if "docs.aws.amazon.com" in address else address.split("/")[2].removeprefix("www.")
    return f"[{name}]({address})"


def _cell(value: str) -> str:
    return " ".join(value.split()).replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
    print(f"wrote {TARGET}")
