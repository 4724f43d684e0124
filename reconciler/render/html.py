"""The plan as one HTML page, for the artifacts of a pipeline and for reviewers.

The page loads nothing: its policy allows this style and this script alone, by their digests. Without scripts all of it
can be read; the script adds search, filters and keys. Everything from YAML and AWS is escaped.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import Final

from reconciler.model import Verb
from reconciler.model.paths import located
from reconciler.model.problems import Problem
from reconciler.render import equal_problems, picture, text
from reconciler.render.banner import counted
from reconciler.render.difference import Line
from reconciler.render.mask import Mask
from reconciler.render.ranges import ranges
from reconciler.render.view import Entry, Group, LookupView, View

OPEN: Final = 60  # lines of changes up to which all blocks are open
_DANGERS: Final = 12  # dangerous blocks up to which these are open
_MEMBERS: Final = 12  # resources of a block up to which their list is open with it
_TITLES: Final = {"delete": "Delete", "replace": "Replace", "update": "Update", "adopt": "Adopt", "create": "Create"}
_NOTES: Final = "Only notes"
_INTERRUPTS: Final = "interrupts"
_WHAT: Final = {"errors": "Errors", "warnings": "Warnings and notes"}


def plan(view: View) -> str:
    """A complete page."""
    return page(
        text.title(view),
        "changes" if view.groups else "main",
        [
            *_header(view),
            '<main id="main" tabindex="-1">',
            *problems("errors", view.root, [one for one in view.problems if not one.warning]),
            *_banner(view),
            *_picture(view),
            *_changes(view),
            *problems("warnings", view.root, [one for one in view.problems if one.warning]),
            *_lookups(view.lookups),
            "</main>",
            *_footer(view),
        ],
    )


def page(title: str, start: str, body: Iterable[str]) -> str:
    """A page with the style and the script of plans; ``start`` is the id of what readers skip to."""
    style, script = asset("style.css"), asset("script.js")
    policy = (
        f"default-src 'none'; style-src '{digest(style)}'; script-src '{digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            '<meta name="referrer" content="no-referrer">',
            f"<title>{escape(title)}</title>",
            f"<style>{style}</style>",
            "</head>",
            "<body>",
            f'<a class="skip" href="#{start}">Skip to the changes</a>',
            *body,
            f"<script>{script}</script>",
            "</body>",
            "</html>",
            "",
        ]
    )


@cache
def asset(name: str) -> str:
    """The text of the page's style or script."""
    return (files("reconciler.render") / "page" / name).read_text("utf-8")


def digest(content: str) -> str:
    """What a content security policy calls this text."""
    return f"sha256-{b64encode(sha256(content.encode()).digest()).decode()}"


# --- the head and the foot -------------------------------------------------------------------------------------------


def _header(view: View) -> Iterator[str]:
    yield "<header>"
    yield f"<h1>{escape(view.environment)}</h1>"
    yield from facts(_where(view) | dict(view.facts))
    if blocked := text.blocked(view.problems):
        yield f'<p class="blocked"><strong>{escape(blocked)}</strong></p>'
    if not view.refused:
        yield f'<p class="summary"><strong>{escape(view.summary)}</strong></p>'
    if not view.refused and view.limits:
        yield f'<p class="limits">{escape(view.limits)}</p>'
    if view.preflight:
        yield f'<p class="limits">{escape(view.preflight)}</p>'
    warnings = sum(one.warning and not one.note for one in view.problems)
    notes = sum(one.note for one in view.problems)
    moved = sum(bool(one.moved) for one in view.lookups)
    links = [
        *([f'<a href="#warnings">{text.counted(warnings, "warning")}</a>'] if warnings else []),
        *([f'<a href="#warnings">{text.counted(notes, "note")}</a>'] if notes else []),
        *([f'<a href="#lookups">{text.counted(moved, "look-up")} moved</a>'] if moved else []),
    ]
    if links:
        yield f'<p class="links">{" ".join(links)}</p>'
    yield "</header>"


def _footer(view: View) -> Iterator[str]:
    yield "<footer>"
    yield from facts({"environment": view.environment} | _where(view) | dict(view.facts))
    yield "</footer>"


def _where(view: View) -> dict[str, str]:
    return {"account": view.account, "Region": view.place}


def facts(found: Mapping[str, str]) -> Iterator[str]:
    """A list of names and values."""
    yield '<dl class="facts">'
    for name, value in found.items():
        yield f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
    yield "</dl>"


# --- what must not be overlooked -------------------------------------------------------------------------------------


def problems(kind: str, root: str, found: Sequence[Problem]) -> Iterator[str]:
    """Problems of a page, under their heading."""
    if not found:
        return
    yield f'<section class="{kind}" aria-labelledby="{kind}">'
    yield f'<h2 id="{kind}">{_WHAT[kind]}</h2>'
    yield from listed(root, found)
    yield "</section>"


def listed(root: str, found: Sequence[Problem]) -> Iterator[str]:
    """Problems; those that are equal in all but the resource are one, with all of their messages folded."""
    yield "<ul>"
    for equal in equal_problems.grouped(found):
        yield f"<li>{_problem(equal[0], root, len(equal))}"
        if len(equal) > 1:
            yield f'<details class="members"><summary>{len(equal)} resources</summary><ul>'
            yield from (f"<li>{_problem(one, root)}</li>" for one in equal)
            yield "</ul></details>"
        yield "</li>"
    yield "</ul>"


def _problem(one: Problem, root: str, times: int = 1) -> str:
    """One problem, or the first of several that are equal."""
    mask = Mask()  # makes every line after the first begin with a blank
    severity = escape(f"{one.severity}[{one.code}]" + (f" {times} times, the first:" if times > 1 else ""))
    message = escape(mask.lines(f"{one.address}: {one.message}" if one.address else one.message))
    hint = f'<p class="hint">{escape(mask.lines(one.hint))}</p>' if one.hint else ""
    place = escape(mask.line(located(root, one.pos))) if one.pos and one.pos.file else ""
    shown_place = f'<p class="place">{place}</p>' if place else ""
    return f"<p><strong>{severity}</strong> {message}</p>{hint}{shown_place}"


def _banner(view: View) -> Iterator[str]:
    """Every deletion, replacement and interruption, with all names."""
    if not view.dangers:
        return
    yield '<section class="banner" aria-labelledby="dangers">'
    yield f'<h2 id="dangers">{counted(view.dangers)}</h2>'
    yield "<ul>"
    for number, group in enumerate(view.groups):
        if group.first.dangerous:
            yield f'<li class="{_action(group.first)}">{"".join(_danger(number, group))}</li>'
    yield "</ul>"
    yield "</section>"


def _danger(number: int, group: Group) -> Iterator[str]:
    link = f'<a href="#{picture.anchor(number)}">{escape(_name(group))}</a>'
    place = _place(group.first) if len(group.entries) == 1 else ""
    yield f"{_sign(group.first)}{link} {_badges(group.first)}{place}"
    if group.jobs:
        yield f'<p class="jobs">running jobs: {escape(group.jobs)}</p>'
    if group.first.reason:
        yield f'<p class="reason">{escape(group.first.reason)}</p>'
    if len(group.entries) > 1:
        names = ranges([one.name for one in group.entries])
        yield f'<p class="names">{", ".join(f"<code>{escape(name)}</code>" for name in names)}</p>'


def _picture(view: View) -> Iterator[str]:
    if drawn := picture.svg(view):
        yield '<section aria-labelledby="dependencies">'
        yield '<h2 id="dependencies">Dependencies</h2>'
        yield "<p>Each resource is right of those it depends on. Unchanged ones are grey and dashed.</p>"
        yield '<div class="picture" tabindex="0" role="region" aria-labelledby="dependencies">'
        yield drawn
        yield "</div>"
        yield "</section>"


# --- the changes -----------------------------------------------------------------------------------------------------


def _changes(view: View) -> Iterator[str]:
    if not view.groups:
        return
    lines = sum(len([*text.body(group)]) for group in view.groups)
    all_open, some_open = lines <= OPEN, len(view.dangers) <= _DANGERS
    yield '<section aria-labelledby="changes">'
    yield '<h2 id="changes" tabindex="-1">Changes</h2>'
    yield from tools([*view.entries])
    warnings: dict[str, list[Problem]] = {}
    for problem in view.problems:
        if problem.warning and not problem.note:
            warnings.setdefault(problem.address, []).append(problem)
    for number, group in enumerate(view.groups):
        is_open = all_open or (some_open and group.first.dangerous)
        found = [problem for one in group.entries for problem in warnings.get(one.address, ())]
        yield from block(picture.anchor(number), group, found, is_open=is_open)
    if view.unchanged:
        yield f'<p class="unchanged">{text.counted(view.unchanged, "resource")} without changes, not shown</p>'
    yield "</section>"


def tools(entries: Sequence[Entry], more: Iterable[str] = ()) -> Iterator[str]:
    """Search and filters, and ``more`` of them; the script shows them."""
    actions = {verb: sum(one.verb == verb for one in entries) for verb in _TITLES}
    interrupts, notes = sum(one.interrupts for one in entries), sum(one.verb == Verb.NOOP.value for one in entries)
    choices = [(_INTERRUPTS, "Interrupts jobs", interrupts)]
    choices += [(verb, title, actions[verb]) for verb, title in _TITLES.items()]
    choices += [(Verb.NOOP.value, _NOTES, notes)]
    sections: dict[str, int] = {}
    for one in entries:
        sections[one.section] = sections.get(one.section, 0) + 1
    yield '<div class="tools" role="search" hidden>'
    yield '<label class="find">Search <kbd>/</kbd> <input id="search" type="search" autocomplete="off" '
    yield 'spellcheck="false" placeholder="address, attribute or value"></label>'
    yield '<fieldset class="filters"><legend>Actions</legend>'
    for value, title, count in choices:
        if count:
            box = f'<input type="checkbox" name="action" value="{value}">'
            yield f'<label class="pill {value}">{box} {title} <span class="count">{count}</span></label>'
    yield "</fieldset>"
    yield '<label class="sections">Section <select id="section">'
    yield f'<option value="">All ({len(entries)})</option>'
    for name in sorted(sections):
        yield f'<option value="{escape(name)}">{escape(name)} ({sections[name]})</option>'
    yield "</select></label>"
    yield from more
    yield '<div class="buttons"><button type="button" id="expand">Expand all</button>'
    yield '<button type="button" id="collapse">Collapse all</button></div>'
    yield f'<p id="shown" role="status" aria-live="polite">{text.counted(len(entries), "resource")}</p>'
    yield "</div>"


def block(name: str, group: Group, warnings: Sequence[Problem], *, is_open: bool) -> Iterator[str]:
    """One group: what changes, in all of its resources, what warns of it, and where they are declared."""
    one, several = group.first, len(group.entries) > 1
    actions = f"{one.verb} {_INTERRUPTS}" if one.interrupts else one.verb
    yield f'<details class="group {_action(one)}" id="{name}" data-actions="{actions}"'
    yield f' data-section="{escape(one.section)}" data-count="{len(group.entries)}"{" open" if is_open else ""}>'
    reason = f' <span class="reason">{escape(one.reason)}</span>' if one.reason else ""
    physical = f' <span class="physical">as {escape(one.physical)}</span>' if one.physical and not several else ""
    heading = f"<h3>{_sign(one)}{escape(_name(group))}</h3>{physical} {_badges(one, warns=bool(warnings))}{reason}"
    yield f"<summary>{heading}{'' if several else _place(one)}</summary>"
    yield '<div class="body">'
    if shown := [*map(_line, group.lines)]:
        yield f"<pre>{''.join(shown)}</pre>"
    if group.jobs:
        yield f'<p class="jobs">running jobs: {escape(group.jobs)}</p>'
    yield from (f'<p class="notes">note: {escape(note)}</p>' for note in group.notes)
    for problem in warnings:
        who = f"{problem.address}: " if several else ""
        yield f'<p class="warns"><strong>{problem.severity}:</strong> {escape(Mask().lines(who + problem.message))}</p>'
    if rest := _unchanged(group):
        yield f'<p class="rest">{rest}</p>'
    if several:
        addresses = text.counted(len(group.entries), "resource")
        listed = " open" if len(group.entries) <= _MEMBERS else ""
        yield f'<details class="members"{listed}><summary>{addresses}</summary>'
        yield "<ul>"
        for member in group.entries:
            yield f"<li>{''.join(_member(member, group))}</li>"
        yield "</ul></details>"
    else:
        yield from _calls(one)
    yield "</div></details>"


def _member(one: Entry, group: Group) -> Iterator[str]:
    """One resource of several: its address and place, and what only it has."""
    physical = f' <span class="physical">as {escape(one.physical)}</span>' if one.physical else ""
    yield f"<code>{escape(one.address)}</code>{physical}{_place(one)}"
    own = [] if one.lines == group.lines else [*map(_line, one.lines)]
    if one.jobs and one.jobs != group.jobs:
        own.append(_line(Line("", 0, f"running jobs: {one.jobs}")))
    yield from _calls(one, own)


def _calls(one: Entry, own: Iterable[str] = ()) -> Iterator[str]:
    """The steps of one resource, folded, after what only it has."""
    own = [*own]
    steps = [_line(Line("", 0, f"{number}. {step}")) for number, step in enumerate(one.steps, 1)]
    if not own and not steps:
        return
    waits = len(steps) - one.calls
    parts = ["full change"] * bool(own) + [text.counted(one.calls, "API call")] * bool(one.calls)
    parts += [text.counted(waits, "wait")] * bool(waits)
    yield f'<details class="calls"><summary>{", ".join(parts)}</summary><pre>{"".join((*own, *steps))}</pre></details>'


# --- the look-ups ----------------------------------------------------------------------------------------------------


def _lookups(found: tuple[LookupView, ...]) -> Iterator[str]:
    if not found:
        return
    yield '<section class="lookups" aria-labelledby="lookups">'
    yield '<h2 id="lookups">Look-ups</h2>'
    yield "<dl>"
    for one in sorted(found, key=lambda one: not one.moved):
        moved = f"<dd><strong>moved:</strong> {escape(one.moved)}, used by {escape(', '.join(one.users))}</dd>"
        yield f"<dt>{escape(one.name)}</dt><dd>{escape(one.value)}</dd>{moved if one.moved else ''}"
    yield "</dl>"
    yield "</section>"


# --- parts -----------------------------------------------------------------------------------------------------------


def _action(one: Entry) -> str:
    return f"{one.verb} {_INTERRUPTS}" if one.interrupts else one.verb


def _name(group: Group) -> str:
    return group.first.address if len(group.entries) == 1 else f"{len(group.entries)} {group.first.section}"


def _sign(one: Entry) -> str:
    return f'<span class="sign">{escape(one.sign)}</span> ' if one.sign.strip() else ""


def _badges(one: Entry, *, warns: bool = False) -> str:
    """The action in words: colour is never the only sign of it."""
    what = "notes" if one.verb == Verb.NOOP.value else one.verb
    more = f' <span class="badge {_INTERRUPTS}">interrupts jobs</span>' if one.interrupts else ""
    more += ' <span class="badge warning">warning</span>' if warns else ""
    return f'<span class="badge {one.verb}">{what}</span>{more}'


def _place(one: Entry) -> str:
    return f' <span class="place">{escape(one.place)}</span>' if one.place else ""


def _unchanged(group: Group) -> str:
    """How many attributes do not differ."""
    counts = {one.unchanged for one in group.entries}
    each = " each" if len(group.entries) > 1 else ""
    return "".join(text.counted(count, "unchanged attribute") + each for count in counts if count and len(counts) == 1)


def _line(line: Line) -> str:
    """A line of a block: what is added and removed is marked as such, also for those who do not see colours."""
    shown = escape(f"{'  ' * line.depth}{line.sign or ' '} {line.text}")
    element = {"+": "ins", "-": "del", "~": "b"}.get(line.sign, "span")
    return f"<{element}>{shown}\n</{element}>"
