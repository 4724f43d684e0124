"""The difference between two values, as lines: complete on both sides, with little of what is equal.

- Text of several lines: a line diff with three lines around each change, as ``diff -u`` prints it.
- Lists: the elements that were added, removed and changed. Mappings in lists (statements, rules) are paired by what
  identifies them, else by likeness, and compared member by member.
- A long single line: the part that differs, with what surrounds it.

Both sides are plain JSON with secrets masked (:meth:`reconciler.render.mask.Mask.value`): nothing is masked here. Only
what is equal on both sides is shortened or left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from itertools import takewhile
from typing import Any, Final, NamedTuple
from unicodedata import normalize

from reconciler.model import compact
from reconciler.model.masking import SENSITIVE, single_line
from reconciler.model.patterns import regex
from reconciler.model.when_used import when_used
from reconciler.render.mask import UNKNOWN

with when_used():
    from reconciler.render.pairing import moved, pairs

WIDTH: Final = 110  # a value with more characters is not shown on one line with what it replaces
AROUND: Final = 30  # characters shown on each side of a difference in a long line
LINES: Final = 3  # lines shown on each side of a difference in a text, as `diff -u` does
MOST: Final = 1_000_000  # pairs of words to compare in two long lines; above this, all between their ends is shown
NO_END: Final = "\\ no line end"
_WORDS: Final = regex(r"\w+|\s+|[^\w\s]")


class Line(NamedTuple):
    """One line: ``sign`` is ``+``, ``-``, ``~`` (contains changes) or empty (equal, or an explanation)."""

    sign: str
    depth: int
    text: str


def single(value: Any) -> str:
    """A masked value on one line, complete."""
    return str(value) if value in (SENSITIVE, UNKNOWN) else compact(value)


def fits(old: Any, new: Any) -> bool:
    """Whether ``old -> new`` can stand on one line."""
    return not _has_lines([old, new]) and len(single(old)) + len(single(new)) + 4 <= WIDTH


def shift(old: Any, new: Any) -> str:
    """``old -> new`` on one line; characters that look alike are spelled out."""
    spell = _speller(old, new)
    return f"{spell(old)} -> {spell(new)}"


def between(old: Any, new: Any, depth: int = 1, *, ordered: bool = True) -> Iterator[Line]:
    """The lines from ``old`` to ``new``, which differ. ``ordered``: whether a moved element of a list is a change."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        yield from _mappings(old, new, depth)
    elif isinstance(old, list) and isinstance(new, list):
        plain = not any(isinstance(item, Mapping | list) for item in (*old, *new))
        yield from _scalars(old, new, depth) if plain else _elements(old, new, depth, ordered=ordered)
    elif isinstance(old, str) and isinstance(new, str) and (_of_lines(old) or _of_lines(new)):
        yield from _texts(old, new, depth)
    elif isinstance(old, str) and isinstance(new, str):
        spell = _speller(old, new)
        yield from _words(spell(old), spell(new), depth)
    else:
        yield from whole("-", "", old, depth)
        yield from whole("+", "", new, depth)


def whole(sign: str, label: str, value: Any, depth: int, room: int = WIDTH) -> Iterator[Line]:
    """One value that is on one side only, complete; a mapping of more than ``room`` characters member by member."""
    lead = f"{label} = " if label else ""
    if isinstance(value, str) and _of_lines(value):
        if label:
            yield Line(sign, depth, lead.rstrip())
        yield from (Line(sign, depth + bool(label), text) for text in _lines(value))
    elif isinstance(value, Mapping) and value and (len(compact(value)) > room or _has_lines(value)):
        for name, item in value.items():
            yield from whole(sign, f"{label}.{single_line(name)}".lstrip("."), item, depth, room)
    elif isinstance(value, list) and len(compact(value)) > WIDTH and not any(map(_has_parts, value)):
        if label:
            yield Line(sign, depth, lead.rstrip())
        yield from (Line(sign, depth + bool(label), text) for text in _wrapped(value))
    elif isinstance(value, list) and value and (len(compact(value)) > WIDTH or _has_lines(value)):
        for index, item in enumerate(value):
            yield from whole(sign, f"{label}[{index}]", item, depth, WIDTH)
    else:
        yield Line(sign, depth, f"{lead}{single(value)}")


def _has_parts(value: Any) -> bool:
    return isinstance(value, Mapping | list) or _of_lines(value)


def _wrapped(items: Sequence[Any]) -> Iterator[str]:
    """All of a list of texts and numbers, on as many lines as it takes."""
    line = ""
    for number, item in enumerate(items, 1):
        text = single(item) + "," * (number < len(items))
        if line and len(line) + len(text) >= WIDTH:
            yield line
            line = ""
        line += f" {text}" if line else text
    yield line


def _changed(label: str, old: Any, new: Any, depth: int) -> Iterator[Line]:
    """One named value that differs: on one line, or its lines below its name."""
    if fits(old, new):
        yield Line("~", depth, f"{label}: {shift(old, new)}")
    else:
        yield Line("~", depth, f"{label}:")
        yield from between(old, new, depth + 1)


def _mappings(old: Mapping[str, Any], new: Mapping[str, Any], depth: int, shown: int = 0) -> Iterator[Line]:
    """Member by member; ``shown`` of the equal ones are shown already."""
    names = sorted({*old, *new})
    equal = [name for name in names if name in old and name in new and compact(old[name]) == compact(new[name])]
    for name in names:
        label = single_line(name)
        if name not in new:
            yield from whole("-", label, old[name], depth)
        elif name not in old:
            yield from whole("+", label, new[name], depth)
        elif name not in equal:
            yield from _changed(label, old[name], new[name], depth)
    yield from _unchanged(len(equal) - shown, depth)


def _unchanged(count: int, depth: int) -> Iterator[Line]:
    if count:
        yield Line("", depth, f"({count} unchanged)")


# --- lists -----------------------------------------------------------------------------------------------------------


def _scalars(old: Sequence[Any], new: Sequence[Any], depth: int) -> Iterator[Line]:
    """Texts and numbers in their order, with two equal ones on each side of a difference."""
    left, right = [single(item) for item in old], [single(item) for item in new]
    done = 0
    for group in SequenceMatcher(a=left, b=right, autojunk=False).get_grouped_opcodes(2):
        yield from _unchanged(group[0][1] - done, depth)
        for kind, first, end, start, stop in group:
            if kind == "equal":
                yield from (Line("", depth, _shortened(text)) for text in left[first:end])
            else:
                yield from _replaced(old[first:end], new[start:stop], (first, start), depth)
        done = group[-1][2]
    yield from _unchanged(len(old) - done, depth)


def _replaced(old: Sequence[Any], new: Sequence[Any], places: tuple[int, int], depth: int) -> Iterator[Line]:
    """Neighbours of a list in the place of others, from ``places`` on: long ones one by one, others as they are."""
    if len(old) == len(new) and not all(map(fits, old, new)):
        for place, (one, other) in enumerate(zip(old, new, strict=True), places[1]):
            nested = _of_lines(one) or _of_lines(other)
            if nested:
                yield Line("~", depth, f"[{place}]")
            yield from between(one, other, depth + nested)
        return
    alike = {_seen(single(item)) for item in old} & {_seen(single(item)) for item in new}
    for sign, items, first in (("-", old, places[0]), ("+", new, places[1])):
        for place, item in enumerate(items, first):
            if _of_lines(item):
                yield from whole(sign, f"[{place}]", item, depth)
            else:
                yield Line(sign, depth, _in_ascii(item) if _seen(single(item)) in alike else single(item))


def _elements(old: Sequence[Any], new: Sequence[Any], depth: int, *, ordered: bool) -> Iterator[Line]:
    """The elements that were added (with their new places), removed (with their old ones), changed and moved."""
    partner = pairs(old, new)
    gone = [index for index in range(len(old)) if index not in partner.values()]
    went = moved(partner) if ordered else set()
    equal = 0
    for index, item in enumerate(new):
        was = partner.get(index)
        while gone and (was is None or gone[0] < was) and gone[0] <= index:
            yield from whole("-", f"[{gone[0]}]", old[gone[0]], depth)
            gone.pop(0)
        if was is None:
            yield from whole("+", f"[{index}]", item, depth)
        elif compact(old[was]) != compact(item):
            yield from _element(index, old[was], item, depth, f"was [{was}]" if index in went else "")
        elif index in went:
            yield Line("~", depth, f"[{was}] -> [{index}] {_shortened(single(item))}")
        else:
            equal += 1
    for index in gone:
        yield from whole("-", f"[{index}]", old[index], depth)
    yield from _unchanged(equal, depth)


def _element(index: int, old: Any, new: Any, depth: int, place: str) -> Iterator[Line]:
    """One element of a list that differs."""
    note = f" ({place})" if place else ""
    short = not _has_lines([old, new]) and max(len(single(old)), len(single(new))) <= WIDTH
    if short or not (isinstance(old, Mapping) and isinstance(new, Mapping)):
        yield Line("~", depth, f"[{index}]{note}")
        yield from whole("-", "", old, depth + 1) if short else between(old, new, depth + 1)
        yield from whole("+", "", new, depth + 1) if short else ()
        return
    same = {
        name: item
        for name, item in new.items()
        if name in old and not isinstance(item, Mapping | list) and compact(old[name]) == compact(item)
    }
    yield Line("~", depth, f"[{index}]{note}" + (f" {_shortened(compact(same))}" if same else ""))
    yield from _mappings(old, new, depth + 1, len(same))


def _shortened(text: str) -> str:
    """What is equal on both sides, on a line of limited length."""
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 4]} ..."


# --- texts -----------------------------------------------------------------------------------------------------------


def _of_lines(value: Any) -> bool:
    return isinstance(value, str) and "\n" in value


def _has_lines(value: Any) -> bool:
    """Whether a text of several lines is anywhere in ``value``."""
    if isinstance(value, Mapping | list):
        return any(map(_has_lines, value.values() if isinstance(value, Mapping) else value))
    return _of_lines(value)


def _lines(text: str) -> list[str]:
    """The lines of a text, and one more where the end of the last one is missing, as ``diff`` shows it."""
    lines = text.split("\n")
    return [*lines, NO_END] if lines[-1] else lines[:-1]


def _texts(old: str, new: str, depth: int) -> Iterator[Line]:
    left, right = _lines(old), _lines(new)
    groups = [*SequenceMatcher(a=left, b=right, autojunk=False).get_grouped_opcodes(LINES)]
    for group in groups:
        first, end, start, stop = group[0][1], group[-1][2], group[0][3], group[-1][4]
        if (first, start, end, stop) != (0, 0, len(left), len(right)):
            yield Line("", depth, f"@@ -{first + 1},{end - first} +{start + 1},{stop - start} @@")
        for kind, *at in group:
            if kind == "equal":
                yield from (Line("", depth, text) for text in left[at[0] : at[1]])
            else:
                yield from _other_lines(left[at[0] : at[1]], right[at[2] : at[3]], depth)


def _other_lines(old: list[str], new: list[str], depth: int) -> Iterator[Line]:
    """Lines in the place of others; of long ones the parts that differ."""
    if len(old) == len(new) and any(min(len(one), len(other)) > WIDTH for one, other in zip(old, new, strict=True)):
        for one, other in zip(old, new, strict=True):
            yield from _words(*_distinct(one, other), depth)
        return
    alike = {_seen(text) for text in old} & {_seen(text) for text in new}
    for sign, lines in (("-", old), ("+", new)):
        yield from (Line(sign, depth, _spelled_out(text) if _seen(text) in alike else text) for text in lines)


def _words(old: str, new: str, depth: int) -> Iterator[Line]:
    """Two lines, of which long equal parts are left out."""
    left, right = _WORDS.findall(old), _WORDS.findall(new)
    head = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(left, right, strict=False)))
    tails = zip(reversed(left[head:]), reversed(right[head:]), strict=False)
    tail = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], tails))
    one, other = left[head : len(left) - tail], right[head : len(right) - tail]
    inner: Sequence[tuple[str, int, int, int, int]] = [("replace", 0, len(one), 0, len(other))]
    if len(one) * len(other) <= MOST:
        inner = SequenceMatcher(a=one, b=other, autojunk=False).get_opcodes()
    start, end = "".join(left[:head]), "".join(left[len(left) - tail :])
    before = [(kind, "".join(one[at:to])) for kind, at, to, _, _ in inner]
    after = [(kind, "".join(other[at:to])) for kind, _, _, at, to in inner]
    for sign, parts in (("-", before), ("+", after)):
        shown = [_left_out(part, AROUND, AROUND) if kind == "equal" else part for kind, part in parts]
        yield Line(sign, depth, _left_out(start, 0, AROUND) + "".join(shown) + _left_out(end, AROUND, 0))


def _left_out(text: str, first: int, last: int) -> str:
    """An equal part without its middle, where that is long; the number of characters stands in its place."""
    count = len(text) - first - last
    return f"{text[:first]}...({count} unchanged)...{text[len(text) - last :]}" if count > AROUND else text


# --- what looks the same ---------------------------------------------------------------------------------------------


def _seen(text: str) -> str:
    """What is visible of a text: texts that differ only in blanks or in their encoding look the same."""
    return " ".join(normalize("NFKC", text).split())


def _spelled_out(text: str) -> str:
    """A line with blanks at its ends, tabs and all but ASCII spelled out."""
    plain = json.dumps(text)[1:-1].replace('\\"', '"')
    inner = plain.strip(" ")
    before = len(plain) - len(plain.lstrip(" ")) if inner else 0
    return "\\x20" * before + inner + "\\x20" * (len(plain) - before - len(inner))


def _distinct(old: str, new: str) -> tuple[str, str]:
    return (_spelled_out(old), _spelled_out(new)) if _seen(old) == _seen(new) else (old, new)


def _speller(old: Any, new: Any) -> Callable[[Any], str]:
    """How to write both on one line: in ASCII where they would look the same."""
    return _in_ascii if _seen(single(old)) == _seen(single(new)) else single


def _in_ascii(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
