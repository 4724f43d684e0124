"""``reconcile import``: from live objects to YAML that a plan finds nothing to change in.

What was read is what the declaration is checked against: it is written to a copy of the environment, loaded as any
other, and planned against the same objects. A resource that does not pass is declared whole, without leaving anything
out; if that does not pass either, it is left out, and everything is written again without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from typing import Any, Final

from reconciler.account.everything import Everything
from reconciler.config.links import Linker, Place
from reconciler.model import OWNER_PREFIX, Address, Json, Kind, Live, Path, Resource
from reconciler.model.lookups import LOOKUP_KINDS
from reconciler.model.paths import dotted, values_at
from reconciler.model.records import dataclass
from reconciler.operations.importing import common_tags, verify, writer
from reconciler.operations.importing import existing as existing_files
from reconciler.operations.importing.attempt import Attempt, Request
from reconciler.operations.importing.existing import Existing
from reconciler.operations.importing.express import Expressions, literal, walked, written
from reconciler.operations.importing.facts import Facts
from reconciler.operations.importing.found import Imported, ImportedResource, LeftOut, Naming
from reconciler.operations.importing.hidden import Secrets
from reconciler.operations.importing.naming import Keys, shared_prefix
from reconciler.operations.importing.select import Index, Selected, name_of, select
from reconciler.operations.importing.writer import Written
from reconciler.planning.simplify import simplified, whole
from reconciler.schema import registry

MOST_TRIES: Final = 30  # each leaves something out, or declares it in another way
# a resource that does not pass is declared in other ways: with all defaults, then also without short forms
LONGEST: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """An import: what was found, and the files with it. ``secrets`` are values by environment variable."""

    imported: Imported
    written: Written
    existing: Existing
    secrets: Mapping[str, str]
    sensitive: frozenset[str]


def run(request: Request, everything: Everything, environ: Mapping[str, str]) -> Result:
    """Read the account and make the files; writes nothing. Raises Problems."""
    there = existing_files.read(request.target, environ)
    selected = select(everything, request.wanted)
    return _Import(request, everything, there, selected, environ).run()


@dataclass(slots=True)
class _Import:
    request: Request
    everything: Everything
    there: Existing
    selected: Selected
    environ: Mapping[str, str]
    left_out: list[LeftOut] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: dict[Address, str] = field(default_factory=dict)
    levels: dict[tuple[str, str], int] = field(default_factory=dict)
    simple: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    dangling: set[tuple[tuple[str, str], str]] = field(default_factory=set)
    refused: set[tuple[tuple[str, str], str]] = field(default_factory=set)
    first_errors: dict[tuple[str, str], str] = field(default_factory=dict)
    physical: dict[Address, str] = field(default_factory=dict)
    index: Index = field(init=False)

    def __post_init__(self) -> None:
        self.index = Index(self.everything)

    def run(self) -> Result:
        self.left_out += (*self.request.left_out, *self.selected.left_out)
        self.skip_declared()
        for _ in range(MOST_TRIES):
            result, secrets = self.attempt()
            found = verify.verify(self.request, result, self.everything, self.lives(), secrets, self.environ)
            if not self.improve(found):
                return self.finished(result, found, secrets)
        return self.finished(result, found, secrets)

    @property
    def kinds(self) -> Mapping[str, Kind]:
        return self.everything.kinds

    def skip_declared(self) -> None:
        """Leave out what the environment declares already; it is said of what was asked for."""
        for section, name in list(self.selected.lives):
            key = self.there.key_of(section, name)
            if key is not None:
                del self.selected.lives[section, name]
                if (section, name) in self.selected.asked:
                    why = (
                        f"already declared as {Address(section, key)}, at {self.there.declared[Address(section, key)]}"
                    )
                    self.left_out.append(LeftOut(section=section, name=name, why=why))

    # --- one declaration ---------------------------------------------------------------------------------------------

    def attempt(self) -> tuple[Attempt, Secrets]:
        """The declaration of all that is selected by now, and its files."""
        keys = self.keys()
        lives = {
            Address(section, keys.keys[section, name]): self.object((section, name))
            for section, name in self.selected.lives
        }
        props = {address: self.props(address, live) for address, live in lives.items()}
        self.physical = {Address(section, key): name for (section, name), key in keys.keys.items()}
        facts = Facts(self.everything.reader, self.kinds, self.there.lookups)
        express = Expressions(self.kinds, self.linker(lives, props), lives)
        secrets = Secrets()
        # all references first: an expression in a text is not to close a circle with any of them
        named = {address: dict(express.references(address, props[address])) for address in lives}
        made = {
            address: self.expressed(address, props[address], named[address], express, facts, secrets)
            for address in lives
        }
        resources = tuple(
            self.resource(address, lives[address], made[address], keys, express) for address in sorted(lives)
        )
        env = self.request.env
        common = dict(env.tags) if env else common_tags.shared(resources, self.kinds)
        imported = Imported(
            resources=common_tags.without(resources, common, self.kinds),
            lookups=facts.lookups,
            settings={**self.settings(keys), **({"tags": common} if common else {})},
            left_out=tuple(self.left_out),
        )
        files = writer.write(imported, self.there, single_file=self.request.single_file)
        return Attempt(imported=imported, written=files, lives=lives, facts=facts.values), secrets

    def keys(self) -> Keys:
        places = list(self.selected.lives)
        env, naming = self.request.env, self.request.wanted.naming or Naming()
        prefix = str(env.name_prefix) if env else shared_prefix(places, self.kinds, naming.keys)
        taken = {(one.section, one.name): (one.section, one.name) for one in self.there.declared}
        keys = Keys(self.kinds, prefix, naming.keys, taken)
        keys.assign(places)
        return keys

    def object(self, place: tuple[str, str]) -> Live:
        """The object of a name: of several revisions the latest."""
        return max(self.selected.lives[place], key=lambda live: live.revision)

    def props(self, address: Address, live: Live) -> dict[str, Any]:
        kind, scope = self.kinds[address.section], self.request.scope
        place = (address.section, name_of(live, kind))
        members = registry.members(address.section)
        if place not in self.simple:
            self.simple[place] = simplified(kind, live, scope, members)
        level = self.levels.get(place, 0)
        found = whole(kind, live, scope, members, short=level < LONGEST) if level else self.simple[place]
        for path in sorted(path for where, path in self.refused if where == place):
            found = _without(found, path.split("."))
        return found

    def linker(self, lives: Mapping[Address, Live], props: Mapping[Address, Json]) -> Linker:
        """Finds the resource that an ARN or id is of, as a plan of the finished declaration does."""
        scope, env = self.request.scope, self.request.env
        declared = dict(env.resources) if env else {}
        for address, live in lives.items():
            kind = self.kinds[address.section]
            name = name_of(live, kind)
            plain = kind.expanded(name, props[address])
            declared[address] = Resource(address=address, props=plain, physical="" if name == address.name else name)
        by_section: dict[str, list[Live]] = {}
        for address, live in lives.items():
            by_section.setdefault(address.section, []).append(live)
        place = Place(environment=scope.environment, account=scope.account, region=scope.region)
        return Linker(self.kinds, declared, place, by_section)

    def expressed(
        self,
        address: Address,
        props: dict[str, Any],
        named: Mapping[Path, str],
        express: Expressions,
        facts: Facts,
        secrets: Secrets,
    ) -> dict[str, Any]:
        """The properties with names, look-ups and expressions, as YAML has them."""
        final = dict(named)
        final |= self.of_nothing(address, props, express)
        for path, expression, comment in facts.found(address.section, props, list(final)):
            if expression:
                final[path] = expression
            if comment:
                express.comment(address, path, comment)
        final |= self.outside(address, props, facts, final)
        sites = {path for one in self.kinds[address.section].refs for path, _ in values_at(props, one)}
        hidden = secrets.hide(address, props, sites)

        def text(path: Path, value: str) -> str:
            return final[path] if path in final else written(express.text(address, path, value))

        done = walked(hidden, text)
        placed: dict[str, Any] = _with_literal_names(_placed(done, final))
        return placed

    def outside(self, address: Address, props: Json, facts: Facts, final: Mapping[Path, str]) -> dict[Path, str]:
        """Look-ups by name for the ARNs of what exists and is not imported (a shared role)."""
        found: dict[Path, str] = {}
        for pattern, ref in self.kinds[address.section].refs.items():
            target = self.kinds[ref.section]
            if not target.lookup or not LOOKUP_KINDS[target.lookup].by_text or ref.late:
                continue
            for path, value in values_at(props, pattern):
                if path in final or not isinstance(value, str) or not value.startswith("arn:"):
                    continue
                one = self.index.named(ref.section, value)
                if one and value in one.ids:
                    found[path] = facts.named(target.lookup, one.sought.name, value)
        return found

    def of_nothing(self, address: Address, props: Json, express: Expressions) -> dict[Path, str]:
        """ARNs instead of the plain names of what does not exist: a plan takes a name for something that does."""
        found: dict[Path, str] = {}
        place = (address.section, self.physical[address])
        for pattern, ref in self.kinds[address.section].refs.items():
            for path, value in values_at(props, pattern):
                if not isinstance(value, str) or value.startswith("arn:"):  # an ARN names nothing else
                    continue
                if (place, dotted(path)) in self.dangling:
                    target = self.kinds[ref.section]
                    attrs = target.attrs(self.request.scope, value, {})
                    if arn := attrs.get("arn") or attrs.get("arnPrefix"):
                        found[path] = literal(arn)
                        express.comment(address, path, f"there is no {target.name} {value} in the account")
        return found

    def resource(
        self, address: Address, live: Live, props: dict[str, Any], keys: Keys, express: Expressions
    ) -> ImportedResource:
        kind = self.kinds[address.section]
        name = name_of(live, kind)
        member = {one: literal(text) for one, text in keys.member((address.section, name)).items()}
        tags = {} if kind.container or kind.shared else _own_tags(live)
        comments = {dotted(path): text for path, text in express.comments.get(address, {}).items()}
        secret = [path for path, facts in kind.fields.items() if facts.secret and path in live.props]
        above = [self.notes[address]] if address in self.notes else []
        above += [f"its {path} is a secret and is not imported; to set it: {path}: ${{env:NAME}}" for path in secret]
        if above:
            comments[""] = "\n".join(above)
        done = {**member, **props, **({"tags": tags} if tags else {})}
        return ImportedResource(section=address.section, key=address.name, physical=name, props=done, comments=comments)

    def settings(self, keys: Keys) -> dict[str, Any]:
        scope = self.request.scope
        prefix = {}
        if keys.prefix:
            own = f"{scope.environment}-"
            prefix = {"namePrefix": "${environment}-" if keys.prefix == own else literal(keys.prefix)}
        return {"environment": scope.environment, "region": scope.region, "account": scope.account, **prefix}

    # --- what the check has found ------------------------------------------------------------------------------------

    def lives(self) -> dict[str, tuple[Live, ...]]:
        found: dict[str, list[Live]] = {}
        for (section, _), group in self.selected.lives.items():
            found.setdefault(section, []).extend(group)
        return {section: tuple(group) for section, group in found.items()}

    def improve(self, found: verify.Found) -> bool:
        """Change what did not pass; whether there was anything to change."""
        changed = False
        for address, wrong in found.items():
            if not wrong.error and not wrong.differs:
                continue
            place = (address.section, wrong.physical)
            if place not in self.selected.lives:
                continue
            if new := {(place, path) for path in wrong.dangling} - self.dangling:
                self.dangling |= new
                changed = True
            elif new := {(place, path) for path in wrong.refused} - self.refused:
                self.refused |= new
                changed = True
            elif self.levels.get(place, 0) < LONGEST:
                self.levels[place] = self.levels.get(place, 0) + 1
                if wrong.error:
                    self.first_errors.setdefault(place, wrong.error)
                changed = True
            elif wrong.error:
                del self.selected.lives[place]
                why = self.first_errors.get(place, wrong.error)
                self.left_out.append(LeftOut(section=place[0], name=place[1], why=why))
                changed = True
        return changed

    def finished(self, attempt: Attempt, found: verify.Found, secrets: Secrets) -> Result:
        """The result, with a comment and a warning for everything that a plan would change."""
        warnings = [*self.refusals(), *_hidden(secrets)]
        for address, live in sorted(attempt.lives.items()):
            if live.invalid:
                warnings.append(
                    f"{address} is {live.status}: {live.reason}" if live.reason else f"{address} is {live.status}"
                )
        for address, wrong in sorted(found.items()):
            place = (address.section, wrong.physical)
            if wrong.error and place in self.selected.lives:
                del self.selected.lives[place]
                self.left_out.append(LeftOut(section=place[0], name=place[1], why=wrong.error))
            elif wrong.differs:
                if place not in self.first_errors:  # no other way was better
                    self.levels[place] = 0
                self.notes[address] = f"a plan would change this: {wrong.differs}"
                warnings.append(f"{address}: a plan would change {wrong.differs}")
        if any(wrong.error or wrong.differs for wrong in found.values()):
            attempt, secrets = self.attempt()
        imported = replace(attempt.imported, warnings=tuple(warnings), left_out=tuple(self.left_out))
        return Result(
            imported=imported,
            written=attempt.written,
            existing=self.there,
            secrets=secrets.values,
            sensitive=frozenset(secrets.values.values()),
        )

    def refusals(self) -> Iterator[str]:
        for section, refusal in sorted(self.everything.refused.items()):
            why = f"{refusal.call.action} was refused ({refusal.refused.code})"
            yield f"{section} could not be read: {why}; {refusal.advice}"


def _placed(value: Any, final: Mapping[Path, str]) -> Any:
    """``value`` with the expressions that stand for whole lists."""
    for path, expression in final.items():
        inner = value
        for part in path[:-1]:
            inner = inner[part]
        if not isinstance(inner[path[-1]], str):
            inner[path[-1]] = expression
    return value


def _without(value: Any, parts: Sequence[str]) -> Any:
    """``value`` without the member at a dotted path."""
    first, *rest = parts
    if isinstance(value, list):
        return [_without(item, rest) if rest and str(number) == first else item for number, item in enumerate(value)]
    if not isinstance(value, Mapping):
        return value
    return {
        name: _without(item, rest) if name == first else item for name, item in value.items() if rest or name != first
    }


def _with_literal_names(value: Any) -> Any:
    """``value`` with its keys as YAML has them: those of conditions may contain what looks like expressions."""
    if isinstance(value, Mapping):
        return {literal(str(name)): _with_literal_names(item) for name, item in value.items()}
    return [_with_literal_names(item) for item in value] if isinstance(value, list) else value


def _own_tags(live: Live) -> dict[str, str]:
    """The tags that people set: neither AWS's nor those of ownership."""
    return {
        literal(name): literal(text)
        for name, text in sorted(live.tags.items())
        if not name.startswith(OWNER_PREFIX) and not name.lower().startswith("aws:")
    }


def _hidden(secrets: Secrets) -> Iterator[str]:
    for variable, places in sorted(secrets.places.items()):
        where = ", ".join(dict.fromkeys(f"{address} ({dotted(path)})" for address, path in places))
        yield (
            f"there is a secret in plain text in {where}; the YAML takes it from the environment variable {variable}, "
            "which plan and apply need: better keep it in a secret and refer to that"
        )
