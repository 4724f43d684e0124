"""The report of `drift` as one HTML page, with the parts of a plan's: a section for each environment, worst first.

Search and filters go over all environments; without scripts all of it can be read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from reconciler.render import html, text
from reconciler.render.drift_text import details
from reconciler.render.drift_view import WORDS, Checked, Report, Status, statuses
from reconciler.render.mask import Mask

_CHOICES = {Status.ERROR: "with errors", Status.DRIFTED: "drifted", Status.CLEAN: "without drift"}
_MOST_CLEAN = 20  # environments without drift in the list at the top
_OPEN = 60  # lines of changes up to which all blocks are open


def report(found: Report) -> str:
    """A complete page."""
    return html.page(f"Drift: {found.summary}", "environments", _body(found))


def _body(found: Report) -> Iterator[str]:
    facts = {"checked": found.at, "version": found.version, **({"compared with": found.since} if found.since else {})}
    yield "<header>"
    yield "<h1>Drift</h1>"
    yield from html.facts(facts)
    wrong = found.count(Status.ERROR) or found.problems
    yield f'<p class="{"blocked" if wrong else "summary"}"><strong>{escape(found.summary)}</strong></p>'
    if found.since:
        yield f'<p class="limits">Since the last report: {escape(found.changes or "nothing new")}.</p>'
    if found.unchecked:
        yield f'<p class="limits">Not checked this time: {escape(", ".join(found.unchecked))}.</p>'
    yield "</header>"
    yield '<main id="main" tabindex="-1">'
    yield from html.problems("errors", "", found.problems)
    worst_first = found.worst_first
    yield from _contents(worst_first)
    entries = [entry for one in worst_first for entry in (one.view.entries if one.view else ())]
    if len(worst_first) > 1 or entries:
        yield from html.tools(entries, [*_statuses(found)])
    lines = sum(len([*text.body(group)]) for one in worst_first for _, groups in one.groups for group in groups)
    for number, one in enumerate(worst_first):
        yield from _environment(number, one, is_open=lines <= _OPEN)
    yield "</main>"
    yield "<footer>"
    yield from html.facts(facts)
    yield "</footer>"


def _contents(found: Sequence[Checked]) -> Iterator[str]:
    """Every environment with its result, to jump to; those without drift, which are last, folded if they are many."""
    wrong = sum(one is not Status.CLEAN for one in statuses(found))
    folded = len(found) - wrong > _MOST_CLEAN
    yield '<section aria-labelledby="environments">'
    yield '<h2 id="environments" tabindex="-1">Environments</h2>'
    yield "" if folded and not wrong else '<ul class="contents">'
    for number, one in enumerate(found):
        if folded and number == wrong:
            yield "</ul>" if wrong else ""
            yield f'<details class="members"><summary>{len(found) - wrong} without drift</summary><ul class="contents">'
        link = f'<a href="#environment-{number}">{escape(one.title)}</a>'
        yield f'<li class="status {one.status.value}">{link} {_badge(one)} {escape(one.numbers)}</li>'
    yield "</ul></details>" if folded else "</ul>"
    yield "</section>"


def _badge(one: Checked) -> str:
    """The status in words: colour is never the only sign of it."""
    return f'<span class="badge status {one.status.value}">{one.status.value}</span>'


def _statuses(found: Report) -> Iterator[str]:
    yield '<label class="sections">Environments <select id="status">'
    yield f'<option value="">All ({len(found.environments)})</option>'
    for status, words in _CHOICES.items():
        if count := found.count(status):
            yield f'<option value="{status.value}">{words} ({count})</option>'
    yield "</select></label>"


def _environment(number: int, one: Checked, *, is_open: bool) -> Iterator[str]:
    name = f"environment-{number}"
    yield f'<section class="environment" id="{name}" data-status="{one.status.value}" aria-labelledby="{name}-title">'
    yield f'<h2 id="{name}-title">{escape(one.title)} {_badge(one)}</h2>'
    if one.errors:
        yield '<div class="errors">'
        yield from html.listed(one.root, one.errors)
        yield "</div>"
    shown = [*details(one)]
    if shown:
        yield "<ul>"
        yield from (f"<li>{escape(line)}</li>" for line in shown)
        yield "</ul>"
    block = 0
    for how, groups in one.groups:
        yield f'<p class="how">{escape(WORDS[how])}</p>'
        for group in groups:
            yield from html.block(f"change-{number}-{block}", group, [], is_open=is_open or group.first.dangerous)
            block += 1
    if not one.drifts and not one.errors:
        yield "<p>No drift.</p>"
    advice = [*(Mask().lines(f"{each.address}: {each.message}".lstrip(": ")) for each in one.warnings), *one.advice]
    if advice:
        yield f'<details class="members"><summary>Advice, which is not drift: {len(advice)}</summary><ul>'
        yield from (f"<li>{escape(line)}</li>" for line in advice)
        yield "</ul></details>"
    yield "</section>"
