"""The dependents, in the account, of what a plan would remove; they are read only where a plan removes something.

Two sources: what refers to an object by a property (``Kind.referrers``, found by the ``refs`` of its kind), and what
only the kind of the object knows how to find (``Kind.dependents``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from reconciler.account.reader import Reader
from reconciler.model import (
    Dependent,
    Kind,
    Live,
    Plan,
    Reads,
    Ref,
    Referrer,
    Removals,
    Replace,
    Scope,
    Unreadable,
    Verb,
)
from reconciler.model.paths import values_at
from reconciler.model.records import dataclass

Named: TypeAlias = Mapping[str, tuple[Dependent, ...]]
Used: TypeAlias = dict[tuple[str, str], tuple[Dependent, ...]]


def find_dependents(
    reader: Reader, kinds: Mapping[str, Kind], scope: Scope, plan: Plan, after: Plan | None = None
) -> tuple[Used, tuple[Unreadable, ...]]:
    """The dependents of the objects that ``plan`` removes, by section and physical name (``Observed.used``), and the
    reads that AWS refused.

    ``after`` is what became of the plan once objects in use were kept: what only those it removes depend on, which is
    not read otherwise, may count. What a refused read is about is kept: it may be in use. Any other error is raised.
    """
    removals = _removals(plan)
    leaving = removals if after is None else _removals(after)
    reads = {
        **_special_reads(kinds, scope, removals, leaving),
        **_reads_of_referrers(kinds, scope, removals, leaving),
    }
    used: Used = {}
    refused: list[Unreadable] = []
    jobs = {key: partial(_drive, reader, one) for key, one in reads.items()}
    for key, found in reader.run_all(jobs).items():
        if isinstance(found, Unreadable):
            refused.append(found)
            named = reads[key].unknown(found)
        elif isinstance(found, BaseException):
            raise found
        else:
            named = found
        for target, users in named.items():
            used[target] = (*used.get(target, ()), *users)
    return used, tuple(dict.fromkeys(refused))


def _removals(plan: Plan) -> dict[str, list[Live]]:
    """The objects that ``plan`` removes, by section."""
    found: dict[str, list[Live]] = {}
    for item in plan.resources:
        if item.removed_objects:
            found.setdefault(item.address.section, []).extend(item.removed_objects)
    return found


def confirmed(
    kept: frozenset[tuple[str, str]] | None, named: Used, plan: Plan, kinds: Mapping[str, Kind]
) -> frozenset[tuple[str, str]]:
    """Of the objects that a saved plan claims to keep because they are in use, those that are ``named`` now, and old
    revisions: jobs use them for a while, and the next plan deletes them.

    The claim may be forged: whatever else is in no use is deleted by the new ``plan``, which is then not the saved one.
    """
    old = {
        (item.address.section, live.physical)
        for item in plan.resources
        if kinds[item.address.section].versioned and item.verb not in (Verb.DELETE, Verb.REPLACE)
        for live in item.removed_objects
    }
    return frozenset(one for one in kept or () if one in named or one in old)


def kept_by_saved_plan(kept: Iterable[tuple[str, str]] | None) -> Used:
    """A dependent for each object that a saved plan keeps: that plan never deletes it."""
    return dict.fromkeys(kept or (), (Dependent(text="in use when the plan was saved"),))


def removed_objects(plan: Plan) -> frozenset[tuple[str, str]]:
    """Section and physical name of each object that ``plan`` removes."""
    return frozenset((item.address.section, live.physical) for item in plan.resources for live in item.removed_objects)


@dataclass(frozen=True, slots=True)
class _Source:
    """One read of dependents: ``start`` begins it, ``targets`` are what it is about; ``by_name`` as in Dependent."""

    start: Callable[[], Reads[Used]]
    targets: Removals
    by_name: frozenset[str] = frozenset()

    def unknown(self, failed: Unreadable) -> Used:
        """A dependent for every target, where the read was refused."""
        text = f"{failed.call.action} was refused ({failed.refused.code}), so it may be in use"
        return {
            (section, live.physical): (Dependent(text=text, hint=failed.advice, by_name=section in self.by_name),)
            for section, lives in self.targets.items()
            for live in lives
        }


def _drive(reader: Reader, source: _Source) -> Used:
    return reader.drive(source.start())


# --- what a kind finds in its own way --------------------------------------------------------------------------------


def _special_reads(
    kinds: Mapping[str, Kind], scope: Scope, removals: Removals, leaving: Removals
) -> dict[Any, _Source]:
    return {
        (section, number): _Source(partial(_special, section, source, scope, lives, leaving), {section: lives})
        for section, lives in removals.items()
        for number, source in enumerate(kinds[section].dependents)
    }


def _special(
    section: str,
    source: Callable[[Scope, Sequence[Live], Removals], Reads[Named]],
    scope: Scope,
    lives: Sequence[Live],
    leaving: Removals,
) -> Reads[Used]:
    return {(section, physical): users for physical, users in (yield from source(scope, lives, leaving)).items()}


# --- what refers by a property ---------------------------------------------------------------------------------------


def _reads_of_referrers(
    kinds: Mapping[str, Kind], scope: Scope, removals: Removals, leaving: Removals
) -> dict[Any, _Source]:
    """A read for each kind that may refer to what is removed; which revision a name means is known to its kind only."""
    found: dict[Any, _Source] = {}
    for kind in kinds.values():
        sections = {section for ref in kind.refs.values() for section in ref.sections}
        targets = {s: lives for s, lives in removals.items() if s in sections and not kinds[s].versioned}
        if kind.referrers is not None and targets:
            names = frozenset(
                section
                for section in targets
                if all(_by_name(ref, kinds[section]) for ref in kind.refs.values() if section in ref.sections)
            )
            found[kind.section] = _Source(partial(_referring, kind, kinds, scope, targets, leaving), targets, names)
    return found


def _referring(
    kind: Kind, kinds: Mapping[str, Kind], scope: Scope, targets: Removals, leaving: Removals
) -> Reads[Used]:
    assert kind.referrers is not None
    others = {section: lives for section, lives in leaving.items() if not kinds[section].versioned}
    referrers = yield from kind.referrers(scope, {**others, **targets})
    index = {section: _Index(lives, folds_case=kinds[section].folds_case) for section, lives in targets.items()}
    patterns = [
        (pattern, ref, section) for pattern, ref in kind.refs.items() for section in ref.sections if section in targets
    ]
    found: dict[tuple[str, str], dict[Dependent, None]] = {}
    for referrer in referrers:
        for pattern, ref, section in patterns:
            for _, value in values_at(referrer.props, pattern):
                for live in index[section].named(value):
                    if live.identity != referrer.arn:
                        user = _dependent(kind, referrer, live, by_name=_by_name(ref, kinds[section]))
                        found.setdefault((section, live.physical), {})[user] = None
    return {target: tuple(users) for target, users in found.items()}


def _by_name(ref: Ref, target: Kind) -> bool:
    """Whether the target of ``ref`` may be re-created under its name: that is how its kind is replaced, or AWS allows
    the deletion and the reference is the same afterwards.
    """
    same_afterwards = ref.attr not in target.assigned_by_aws
    return target.replace is not Replace.CREATE_FIRST or (same_afterwards and not ref.holds)


def _dependent(kind: Kind, referrer: Referrer, live: Live, *, by_name: bool) -> Dependent:
    """``referrer`` as a dependent of ``live``. A revision goes on naming what it was registered with."""
    words = frozenset() if kind.versioned else frozenset(_words(live))
    return Dependent(
        text=f"{referrer.text} names it", hint=referrer.hint, arn=referrer.arn, words=words, by_name=by_name
    )


@dataclass(slots=True, init=False)
class _Index:
    """Live objects by everything that a property may name them with."""

    folds_case: bool
    by_word: dict[str, list[Live]]

    def __init__(self, lives: Iterable[Live], *, folds_case: bool) -> None:
        self.folds_case, self.by_word = folds_case, {}
        for live in lives:
            for word in _words(live):
                self.by_word.setdefault(self._folded(word), []).append(live)

    def named(self, value: Any) -> Iterator[Live]:
        """The objects that ``value`` names; an ARN may go on behind a colon (``:*``, the key in a secret)."""
        if not isinstance(value, str) or not value:
            return
        word = self._folded(value)
        while word not in self.by_word and word.startswith("arn:") and word.count(":") > 5:
            word = word.rpartition(":")[0]
        yield from self.by_word.get(word, ())

    def _folded(self, word: str) -> str:
        return word.casefold() if self.folds_case else word


def _words(live: Live) -> set[str]:
    """Name, ARN, id; the name with its path, as IAM writes it with and without the first slash; and the ARN without
    the random characters that Secrets Manager ends it with.

    https://docs.aws.amazon.com/secretsmanager/latest/userguide/troubleshoot.html#ARN_secretnamehyphen
    """
    arn = live.attrs.get("arn", "")
    path = arn.rpartition(":")[2].partition("/")[2]
    named = {path, f"/{path}"} if path.rpartition("/")[2] == live.physical else set()
    partial = {arn[:-7]} if arn[-7:-6] == "-" and arn[:-7].endswith(f":{live.physical}") else set()
    return {live.physical, arn, live.attrs.get("id", ""), *named, *partial} - {""}
