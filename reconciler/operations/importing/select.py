"""Selects what to import: what is asked for, what it refers to, and what refers to it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from fnmatch import fnmatchcase

from reconciler.account.everything import Everything
from reconciler.model import EMPTY, Call, Existing, Json, Kind, Live, Ref, Refused, Unreadable
from reconciler.model.paths import values_at
from reconciler.model.patterns import regex
from reconciler.model.records import dataclass
from reconciler.model.stand_ins import walk
from reconciler.operations.importing.found import LeftOut, Naming

_REVISION = regex(r":\d+$")
_ARN = regex(r"arn:[^\s\"',]+")
_PATTERN = regex(r"[*?\[]")
_MOST_STEPS = 99
SHOWS_TAGS = "batch"  # the service whose lists have tags
FEW = 300  # objects of a kind that are all read, to find those that refer to others


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked for: an object must satisfy each kind of condition that is given.

    names   patterns of physical names; ``sections`` the sections, ``tags`` the tags with patterns of their values
    service everything of this service (``batch``)
    depth   how many steps references are followed; None: all that is referred to, and what refers to it directly
    naming  the names that another tool has: they select these
    """

    names: tuple[str, ...] = ()
    sections: tuple[str, ...] = ()
    tags: Mapping[str, str] = EMPTY
    service: str = ""
    depth: int | None = None
    naming: Naming | None = None


@dataclass(slots=True)
class Selected:
    """The live objects to import by section and name; ``asked`` are those that were asked for by themselves."""

    lives: dict[tuple[str, str], list[Live]] = field(default_factory=dict)
    asked: set[tuple[str, str]] = field(default_factory=set)
    left_out: list[LeftOut] = field(default_factory=list)


def name_of(live: Live, kind: Kind) -> str:
    """The name in the account, without a revision; of what is shared the name that it is declared under."""
    return live.physical if kind.shared else live.attrs.get("name") or live.physical


def select(everything: Everything, wanted: Wanted) -> Selected:
    """What to import."""
    return _Selector(everything, wanted).run()


@dataclass(slots=True)
class Index:
    """The objects of an account by everything that a property may name them with; listed when first needed."""

    everything: Everything
    _words: dict[str, dict[str, Existing]] = field(default_factory=dict)

    def words(self, section: str) -> Mapping[str, Existing]:
        """The objects of a section by name, ARN and id."""
        if section not in self._words:
            kind, scope = self.everything.kinds[section], self.everything.scope
            found: dict[str, Existing] = {}
            for one in self.everything.list([section]).get(section, ()):
                name, props = one.sought.name, one.sought.props
                attrs = () if kind.shared else kind.attrs(scope, name, props).values()
                for word in (name, *attrs, *one.ids):
                    found.setdefault(word.casefold() if kind.folds_case else word, one)
            self._words[section] = found
        return self._words[section]

    def named(self, section: str, value: str) -> Existing | None:
        """The object of a section that ``value`` names."""
        kind, words = self.everything.kinds[section], self.words(section)
        text = value.casefold() if kind.folds_case else value
        if found := words.get(text):
            return found
        if kind.versioned and (found := words.get(_REVISION.sub("", text))):
            return found
        scope = self.everything.scope
        if not value.startswith("arn:") or f":{scope.account}:" not in value:
            return None
        if f":{scope.region}:" not in value and not kind.spans_regions:
            return None
        for form in kind.arn_forms:
            match = re.fullmatch(form, value)
            name = match["name"] if match else ""
            if name and (found := words.get(name.casefold() if kind.folds_case else name)):
                return found
        return None

    def target(self, ref: Ref, value: object) -> tuple[str, Existing] | None:
        """The object that the value of a reference names, with its section."""
        if not isinstance(value, str) or not value:
            return None
        for section in ref.sections:
            if section in self.everything.kinds and (found := self.named(section, value)):
                return section, found
        return None


@dataclass(slots=True)
class _Selector:
    everything: Everything
    wanted: Wanted
    found: Selected = field(default_factory=Selected)
    index: Index = field(init=False)

    def __post_init__(self) -> None:
        self.index = Index(self.everything)

    def run(self) -> Selected:
        lives = self.chosen()
        self.found.asked = {(section, name_of(live, self.kinds[section])) for section, live in lives}
        self.add(lives)
        forward, backward = _MOST_STEPS, 1
        if self.wanted.depth is not None:
            forward = backward = self.wanted.depth
        elif self.wanted.naming:
            forward = backward = 0
        brought = lives
        for _ in range(backward):
            brought = self.add(self.referring(brought))
            if not brought:
                break
        new = [(section, live) for (section, _), group in self.found.lives.items() for live in group]
        for _ in range(forward):
            new = self.add(self.referred(new))
            if not new:
                break
        return self.found

    @property
    def kinds(self) -> Mapping[str, Kind]:
        return self.everything.kinds

    def add(self, lives: Iterable[tuple[str, Live]]) -> list[tuple[str, Live]]:
        """Those that are new and can be imported, by now in ``found``."""
        new = []
        before = set(self.found.lives)
        for section, live in lives:
            kind = self.kinds[section]
            key = (section, name_of(live, kind))
            if key in before:
                continue
            if why := self.obstacle(kind, live):
                left = LeftOut(section=section, name=key[1], why=why)
                if left not in self.found.left_out:
                    self.found.left_out.append(left)
                continue
            group = self.found.lives.setdefault(key, [])
            if group and not kind.versioned:
                why = f"another {kind.name} of this name is imported, and a name can be declared once"
                self.found.left_out.append(LeftOut(section=section, name=key[1], why=why))
                continue
            group.append(live)
            new.append((section, live))
        return new

    def obstacle(self, kind: Kind, live: Live) -> str:
        """Why an object cannot be imported; empty if it can."""
        scope = self.everything.scope
        if live.deleting:
            return f"the {kind.name} is {live.status or 'being deleted'}"
        if live.managed_by:
            return f"managed by {live.managed_by}, and AWS allows only that service to change it"
        if live.owner and not kind.owned(live, scope):
            return f"belongs to the environment {kind.owner(live, scope)}"
        return ""

    # --- what is asked for -------------------------------------------------------------------------------------------

    def chosen(self) -> list[tuple[str, Live]]:
        named = self.wanted.naming
        sections = [section for section, kind in self.kinds.items() if self.may_choose(section, kind)]
        if named:
            there = {section for section, _ in named.keys}
            sections = [section for section in sections if section in there]
        listed = self.everything.list(sections)
        chosen = {section: [one for one in found if self.is_named(section, one)] for section, found in listed.items()}
        if self.wanted.tags:
            chosen = self.tagged(chosen)
        lives = self.everything.read(chosen)
        return [(section, live) for section, found in lives.items() for live in found if self.has_tags(live)]

    def may_choose(self, section: str, kind: Kind) -> bool:
        wanted = self.wanted
        if wanted.sections:
            return section in wanted.sections
        if kind.shared:
            return bool(wanted.naming)
        return not wanted.service or (kind.api is not None and kind.api.service == wanted.service)

    def is_named(self, section: str, one: Existing) -> bool:
        wanted, name = self.wanted, one.sought.name
        if wanted.naming and (section, name) not in wanted.naming.keys:
            return False
        if wanted.naming and wanted.naming.props.get((section, name), one.sought.props) != one.sought.props:
            return False
        return not wanted.names or any(fnmatchcase(name, pattern) for pattern in wanted.names)

    def tagged(self, chosen: dict[str, list[Existing]]) -> dict[str, list[Existing]]:
        """``chosen`` without what the tagging index does not list, of kinds whose tags take a call for each object.

        The index has nothing of IAM; and where AWS refuses it, everything is read.
        """
        filters = [
            {"Key": name, **({} if _PATTERN.search(text) else {"Values": [text]})}
            for name, text in self.wanted.tags.items()
        ]
        call = Call("resourcegroupstaggingapi", "GetResources", {"TagFilters": filters}, all_pages=True)
        (reply,) = self.everything.reader.ask([call])
        if isinstance(reply, Refused):
            return chosen
        arns = {str(one["ResourceARN"]) for one in reply.get("ResourceTagMappingList", ())}
        ids = {arn.rpartition("/")[2] for arn in arns} | {arn.removesuffix(":*") for arn in arns} | arns
        return {
            section: [one for one in found if self.is_listed(self.kinds[section], one, ids)]
            if self.has_index(self.kinds[section])
            else found
            for section, found in chosen.items()
        }

    @staticmethod
    def has_index(kind: Kind) -> bool:
        """Whether the tagging index spares calls: it lags, and lists of AWS Batch show tags."""
        return not (kind.spans_regions or kind.container or (kind.api and kind.api.service == SHOWS_TAGS))

    def is_listed(self, kind: Kind, one: Existing, ids: Collection[str]) -> bool:
        """Whether ``ids`` have the object, with any revision."""
        attrs = kind.attrs(self.everything.scope, one.sought.name, one.sought.props)
        names = {text for name, text in attrs.items() if name in ("arn", "arnPrefix")}
        return any(word in ids for word in (*names, *one.ids)) or (
            kind.versioned and any(_REVISION.sub("", word) in names for word in ids)
        )

    def has_tags(self, live: Live) -> bool:
        return all(fnmatchcase(live.tags.get(name, ""), text) for name, text in self.wanted.tags.items())

    # --- references --------------------------------------------------------------------------------------------------

    def referred(self, lives: Iterable[tuple[str, Live]]) -> list[tuple[str, Live]]:
        """What ``lives`` refer to."""
        chosen: dict[str, list[Existing]] = {}
        for section, live in lives:
            for _, where, one in self.uses(section, live):
                chosen.setdefault(where, []).append(one)
        found = self.everything.read(chosen)
        return [(section, live) for section, group in found.items() for live in group]

    def referring(self, lives: Sequence[tuple[str, Live]]) -> list[tuple[str, Live]]:
        """What refers to ``lives``, late references aside (those are in documents), or has an ARN of theirs in a text
        (the pattern of an event rule).
        """
        targets = {(section, name_of(live, self.kinds[section])) for section, live in lives}
        sections = {section for section, _ in targets}
        users = [
            section
            for section, kind in self.kinds.items()
            if any(not ref.late and sections & {*ref.sections} for ref in kind.refs.values())
        ]
        arns = {live.attrs["arn"] for _, live in lives if live.attrs.get("arn")}
        found = self.everything.read({section: self.candidates(section, lives) for section in users})
        return [
            (section, live)
            for section, group in found.items()
            for live in group
            if any((where, one.sought.name) in targets for ref, where, one in self.uses(section, live) if not ref.late)
            or not arns.isdisjoint(_arns_in(live.props))
        ]

    def candidates(self, section: str, lives: Sequence[tuple[str, Live]]) -> Sequence[Existing]:
        """What of a section may refer to ``lives``: all there is; where that is much, what the kind finds by them."""
        kind, listed = self.kinds[section], self.everything.list([section])[section]
        if len(listed) <= FEW or kind.referrers is None:
            return listed
        targets: dict[str, list[Live]] = {}
        for where, live in lives:
            targets.setdefault(where, []).append(live)
        sections = {where for ref in kind.refs.values() for where in ref.sections}
        wanted = {where: group for where, group in targets.items() if where in sections}
        try:
            found = self.everything.reader.drive(kind.referrers(self.everything.scope, wanted))
        except Unreadable as refusal:
            self.everything.refused.setdefault(section, refusal)
            return ()
        asked = {name_of(live, self.kinds[where]) for where, live in lives}
        naming = (one for one in found if any(name in asked for name in self.named_by(kind, one.props)))
        users = (self.index.named(section, one.arn) for one in naming)
        return [user for user in users if user]

    def named_by(self, kind: Kind, props: Json) -> Iterator[str]:
        """The names of what ``props`` refer to."""
        for pattern, ref in kind.refs.items():
            for _, value in values_at(props, pattern):
                if found := self.index.target(ref, value):
                    yield found[1].sought.name

    def uses(self, section: str, live: Live) -> Iterator[tuple[Ref, str, Existing]]:
        """Every reference with the section and the object that it names."""
        for pattern, ref in self.kinds[section].refs.items():
            for _, value in values_at(live.props, pattern):
                if found := self.index.target(ref, value):
                    yield ref, *found


def _arns_in(value: object) -> Iterator[str]:
    for node in walk(value):
        if isinstance(node, str) and "arn:" in node:
            yield from _ARN.findall(node)
