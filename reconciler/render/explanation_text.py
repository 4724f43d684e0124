"""What `explain` shows, as text for a terminal: a title, what it means, and one fact a row."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from reconciler.model import MISSING, Effect
from reconciler.model.problem_codes import ProblemCode
from reconciler.render.explanation import Brief, Change, FieldFacts, Leaf, Origin, ValueFacts
from reconciler.render.provenance import yaml_text
from reconciler.schema.fields import EFFECTS, either

_WIDTH: Final = 100
_LABEL: Final = 11  # columns of the name of a row
_PARAGRAPHS: Final = 4  # of AWS's text; JSON has all
_VALUES: Final = 24


def field(facts: FieldFacts) -> str:
    """The text about a field or a section."""
    lines = [facts.address, ""]
    if facts.about:
        lines += [*_wrapped(facts.about), ""]
    lines += _row("type", [facts.type + (", masked" if facts.secret else "") if facts.type else ""])
    lines += _row("values", [_listed(facts.values) if any(str(one) not in facts.type for one in facts.values) else ""])
    lines += _row("default", ["required" if facts.required else facts.default])
    lines += _row("limits", [facts.limits])
    lines += _row("read-only", ["set by AWS; accepted in pasted output and ignored" if facts.read_only else ""])
    lines += _row("a change", _changes(facts.changes, "where", compared=not facts.not_compared))
    lines += _row("jobs", _interruptions(facts.changes, "where"))
    lines += _row("replaced", [facts.replaced])
    lines += _row("left out", [facts.left_out])
    if facts.fields:
        lines += ["", "fields:", *_table(facts.fields)]
    if facts.example is not MISSING:
        name = facts.path.rpartition(".")[2] or facts.section
        inside = facts.example if facts.type else {"NAME": facts.example}
        lines += ["", f"example (from {facts.example_from}):", *_yaml(name, inside)]
    if facts.aws:
        more = [f"({len(facts.aws) - _PARAGRAPHS} more in --format json)"] if len(facts.aws) > _PARAGRAPHS else []
        lines += ["", "documentation of AWS:"]
        for paragraph in [*facts.aws[:_PARAGRAPHS], *more]:
            lines += [f"  {line}" for line in _wrapped(paragraph, _WIDTH - 2)]
    if facts.sources:
        lines += ["", *_row("source", facts.sources)]
    return _text(lines)


def value(facts: ValueFacts, about: FieldFacts) -> str:
    """The text about a property of a resource, with what the field means."""
    title = f"{facts.address}.{facts.path}" if facts.path else facts.address
    lines = [title, ""]
    if about.about:
        lines += [*_wrapped(about.about), ""]
    if not facts.declared:
        default = "none" if not about.default else about.default
        lines += _row("value", [f"not declared; the default is {default}"])
    elif facts.leaves:
        lines += [*_leaves(facts.leaves), ""]
    else:
        lines += _row("value", [_shown(facts.value)])
    lines += _row("from", [_origin(one) for one in facts.origins])
    lines += _row("a change", _changes(facts.changes, "to", compared=not about.not_compared))
    lines += _row("jobs", _interruptions(facts.changes, "to"))
    if any(one.effect == Effect.REPLACE.value for one in facts.changes):
        lines += _row("replaced", [about.replaced])
    lines += _row("limits", [about.limits])
    lines += ["", f"reconcile explain {about.address} has more about this {'field' if about.path else 'section'}"]
    return _text(lines)


def code(found: ProblemCode) -> str:
    """The text about a problem code."""
    lines = [str(found), "", *_wrapped(f"{' or '.join(found.severities).capitalize()}. {found.meaning}"), ""]
    lines += [*_row("fix", [found.fix]), *_row("source", [found.source])]
    return _text(lines)


def _text(lines: Sequence[str]) -> str:
    """The lines, with one empty line at most between two others."""
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)) + "\n"


# --- parts -----------------------------------------------------------------------------------------------------------


def _changes(changes: Sequence[Change], word: str, *, compared: bool = True) -> list[str]:
    """A line for each effect: when, as values of other fields or of this one, and the reason that a plan gives."""
    if not compared:
        return ["not compared: a difference is not a change"]
    lines = []
    for one in changes:
        when = f"{word} {either(list(one.when))}" if one.when else ""
        if not one.when and not one.because and any(other.when for other in changes):
            when = "otherwise"
        lines.append(": ".join(part for part in (EFFECTS[Effect(one.effect)], when, one.because) if part))
    return lines


def _interruptions(changes: Sequence[Change], word: str) -> list[str]:
    """What the changes do to jobs, each with its effect and its condition where there are several."""
    found = [one for one in changes if one.interrupts]
    if len(found) == len(changes) == 1 and not found[0].when:
        return [found[0].interrupts]
    return list(dict.fromkeys(f"{_condition(one, word)}: {one.interrupts}" for one in found))


def _condition(one: Change, word: str) -> str:
    return EFFECTS[Effect(one.effect)] + (f" {word} {either(list(one.when))}" if one.when else "")


def _origin(one: Origin) -> str:
    words = {"declared": "", "extends": "extends: ", "defaults": "defaults: ", "tags": "tags of the environment: "}
    if one.source in ("variable", "environment variable"):
        return f"{one.source} {one.name}" + (f", {one.place}" if one.place else "")
    text = f"{words[one.source]}{one.place}"
    written = _shown(one.written) if not isinstance(one.written, dict | list) else ""
    if one.used:
        return f"{text}, written as {written}" if "${" in written else text
    return f"{text} ({f'{written}, overridden' if written else 'merged beneath'})"


def _leaves(leaves: Sequence[Leaf]) -> Iterator[str]:
    rows = [(one.path, _shown(one.value), one.place, one.change) for one in leaves]
    return _columns(rows)


def _table(fields: Sequence[Brief]) -> Iterator[str]:
    rows = [(one.name, one.type + (", required" if one.required else ""), one.change) for one in fields]
    return _columns(rows)


def _columns(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    widths = [min(width, 48) for width in widths]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield f"  {'  '.join(cells)}".rstrip()


def _row(label: str, values: Sequence[str]) -> list[str]:
    """The lines of one fact: its name before the first of them; none where it has no values."""
    lines: list[str] = []
    for one in filter(None, values):
        for number, line in enumerate(_wrapped(one, _WIDTH - _LABEL)):
            lines.append(f"{'' if lines else label:<{_LABEL}}{'  ' if number else ''}{line}")
    return lines


def _wrapped(text: str, width: int = _WIDTH) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def _listed(values: Sequence[Any]) -> str:
    shown = ", ".join(map(str, values[:_VALUES]))
    return f"{shown} and {len(values) - _VALUES} more" if len(values) > _VALUES else shown


def _shown(one: Any) -> str:
    return one if isinstance(one, str) and one else json.dumps(one, ensure_ascii=False)


def _yaml(name: str, example: Any) -> list[str]:
    whole = example if name == "*" or name.endswith("[]") else {name: example}
    return [f"  {line}" for line in _block(whole)]


def _block(one: Any) -> list[str]:
    """A value in YAML's block style."""
    if isinstance(one, Mapping) and one:
        return [line for name, item in one.items() for line in _entry(f"{yaml_text(str(name))}:", item)]
    if isinstance(one, list | tuple) and one:
        return [line for item in one for line in _entry("-", item)]
    if isinstance(one, str):
        return [yaml_text(one)]
    return [json.dumps(one, ensure_ascii=False)]


def _entry(start: str, item: Any) -> list[str]:
    """A member of a mapping, or an item of a list, which begins with ``start``."""
    inner = _block(item)
    if start == "-":
        return [f"{'-' if not number else ' '} {line}" for number, line in enumerate(inner)]
    if not isinstance(item, Mapping | list | tuple) or not item:
        return [f"{start} {inner[0]}"]
    return [start, *(f"  {line}" for line in inner)]
