"""Checks of references without AWS: expressions, plain names, ``dependsOn``, cycles."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from reconciler.config import expressions, references
from reconciler.config.loader import LoadedEnvironment
from reconciler.config.section_order import by_section
from reconciler.model import Address, Kind, Path, Pos, Reference, Resource, Scope, examples
from reconciler.model import problem_codes as codes
from reconciler.model.paths import dotted
from reconciler.model.problems import Problem, did_you_mean, near, one_of

Kinds = Mapping[str, Kind]

_CLOSE = 0.8


def problems(loaded: LoadedEnvironment, kinds: Kinds, resources: Mapping[Address, Resource]) -> Iterator[Problem]:
    """References without a target, cycles, and plain names that are likely misspelt.

    ``resources`` are those that passed their own checks; of the others only that they are declared is used.
    """
    declared = {Address(section, name): raw for section, raws in loaded.sections.items() for name, raw in raws.items()}
    judge = ReferenceChecker(loaded, kinds, resources, frozenset(declared))
    for address, raw in declared.items():
        for path, reference in references.references(raw.templates()):
            yield from judge.check_reference(reference, partial(raw.at, path), address, path)
        if "lifecycle" in raw.value:
            yield from judge.check_depends_on(raw.value["lifecycle"], raw.at, str(address))
    for lookup in loaded.lookups.values():
        for path, reference in references.templates(lookup.args):
            yield from judge.check_lookup_reference(reference, lookup.pos, lookup.name, path)
    for resource in resources.values():
        yield from judge.check_names(resource)
    yield from judge.check_cycles()


def addresses(written: Any) -> list[Address | None]:
    """The items of ``dependsOn`` as addresses; None for an item that is not one."""
    items = written if isinstance(written, list) else []
    return [expressions.address(item) if isinstance(item, str) else None for item in items]


def _sorting(address: Address) -> tuple[str, str]:
    """The sort key of addresses: quicker than to compare them as dataclasses."""
    return address.section, address.name


class ReferenceChecker:
    """The checks of one environment, with what they compute only once."""

    def __init__(
        self,
        loaded: LoadedEnvironment,
        kinds: Kinds,
        resources: Mapping[Address, Resource],
        declared: frozenset[Address],
    ) -> None:
        self.loaded = loaded
        self.kinds = kinds
        self.resources = resources
        self.declared = declared
        self.scope = Scope("123456789012", "us-east-1", "aws", loaded.name)
        self.attrs: dict[Address, frozenset[str]] = {}
        self.slips: dict[tuple[tuple[str, ...], str], str] = {}
        self.by_section: dict[str, list[str]] = {}
        self.by_name: dict[str, list[Address]] = {}
        for address in sorted(declared, key=_sorting):
            self.by_section.setdefault(address.section, []).append(address.name)
            self.by_name.setdefault(address.name, []).append(address)

    def check_reference(
        self, reference: Reference, pos: Callable[[], Pos], address: Address, path: Path
    ) -> Iterator[Problem]:
        """The problem of one expression of a resource, if it has one; only then is its place looked up."""
        found = None
        if reference.root == "lookups" and reference.attr not in self.loaded.lookups:
            hint = did_you_mean(reference.attr, self.loaded.lookups) or "declare it under lookups: in environment.yaml"
            found = (f"there is no look-up {reference.attr}", hint)
        elif reference.address is not None:
            found = self.check_target(reference.address, reference.attr)
        if found:
            message, hint = found
            yield _problem(codes.UNKNOWN_REFERENCE, f"{reference.text}: {message}", hint, pos(), str(address), path)

    def check_target(self, target: Address, attr: str) -> tuple[str, str] | None:
        """Message and hint where ``target`` or its attribute does not exist."""
        if target.name in self.loaded.misplaced and target not in self.declared:
            return None  # it is in a section whose own name is unknown
        if target.section not in self.kinds:
            hint = did_you_mean(target.section, [*self.kinds, "var", "lookups"])
            return f"there is no section {target.section}", hint or "write $${...} for literal text"
        if target not in self.declared:
            return f"{target} is not declared", self.suggestion(target)
        known = self.attributes_of(target)
        if known and attr not in known:
            listed = f"it has {', '.join(sorted(known))}"
            near = did_you_mean(attr, known)
            return f"{target} has no {attr}", f"{near} {listed}" if near else listed
        return None

    def suggestion(self, target: Address) -> str:
        """The hint for a resource that is not declared: the nearest name, or what is declared."""
        names = self.by_section.get(target.section, [])
        if near := did_you_mean(target.name, names):
            return near
        if others := self.by_name.get(target.name):
            return f"did you mean {others[0]}?"
        return f"declared in {target.section}: {one_of(names)}" if names else f"{target.section} declares nothing"

    def whole_suggestion(self, target: Address) -> str:
        """As :meth:`suggestion`, with the whole address."""
        section = target.section if target.section in self.kinds else near(target.section, self.kinds)
        if not section:
            return one_of(list(self.kinds), most=30)
        if Address(section, target.name) in self.declared:
            return f"did you mean {Address(section, target.name)}?"
        if name := near(target.name, self.by_section.get(section, [])):
            return f"did you mean {Address(section, name)}?"
        known = self.suggestion(Address(section, target.name))
        return known if section == target.section else f"the section is called {section}; {known}"

    def attributes_of(self, target: Address) -> frozenset[str]:
        """The attributes of a declared resource; empty where its own declaration is broken."""
        resource, kind = self.resources.get(target), self.kinds[target.section]
        if resource is not None and target not in self.attrs:
            computed = kind.attrs(self.scope, target.name, resource.props)
            self.attrs[target] = frozenset({"name", "arn", *computed, *kind.assigned_by_aws})
        return self.attrs.get(target, frozenset())

    def check_depends_on(self, lifecycle: Any, at: Callable[[Path], Pos], address: str) -> Iterator[Problem]:
        """The problems of a resource's ``dependsOn``."""
        written = lifecycle.get("dependsOn") if isinstance(lifecycle, Mapping) else None
        items = written if isinstance(written, list) else []
        for index, (item, target) in enumerate(zip(items, addresses(items), strict=True)):
            path: Path = ("lifecycle", "dependsOn", index)
            if target is None:
                quoted = f"quote names with dots or slashes: '{examples.QUOTED_ADDRESS}'"
                message, hint = f'"{item}" is not an address', f"as in {examples.ADDRESS}; {quoted}"
                yield _problem(codes.UNKNOWN_REFERENCE, message, hint, at(path), address, path)
            elif target not in self.declared and target.name not in self.loaded.misplaced:
                hint = self.whole_suggestion(target)
                yield _problem(codes.UNKNOWN_REFERENCE, f"{target} is not declared", hint, at(path), address, path)

    def check_lookup_reference(self, reference: Reference, pos: Pos, name: str, path: Path) -> Iterator[Problem]:
        """The problem of one expression of a look-up, if it has one."""
        address = Address("lookups", name)
        if reference.address is not None:
            message = f"{reference.text} is not known yet when look-ups run"
            yield _problem(codes.BAD_EXPRESSION, message, "look up what exists already", pos, str(address), path)
        else:
            yield from self.check_reference(reference, lambda: pos, address, path)

    def check_names(self, resource: Resource) -> Iterator[Problem]:
        """Undeclared plain names that are likely misspelt; any other may exist in the account."""
        for path, ref, name in references.plain_names(resource, self.kinds[resource.address.section]):
            if name in self.loaded.misplaced:
                continue
            if name in self.loaded.sections.get(ref.section, ()):
                continue  # as most are
            if any(name in self.loaded.sections.get(section, ()) for section in ref.also):
                continue
            noun = self.kinds[ref.section].name if ref.section in self.kinds else ref.section
            message = f'no {noun} "{name}" is declared here; reconcile looks for it in the account'
            near, elsewhere = self.nearest_name(ref.sections, name), self.by_name.get(name)
            hint = f'did you mean "{near}"?' if near else ""
            if not near and elsewhere and not ref.optional:
                hint = f"{elsewhere[0]} is declared, but here it takes one of {ref.section}"
            if hint:
                found = _problem(
                    codes.UNDECLARED_NAME, message, hint, resource.at(path), str(resource.address), path, warning=True
                )
                yield found

    def dependencies_of(self, address: Address) -> set[Address]:
        """The other declared resources that must exist before ``address`` can be created."""
        used = references.dependencies(self.resources[address], self.kinds, self.resources)
        return {use.target for use in used if not use.ref.late} - {address}

    def nearest_name(self, sections: tuple[str, ...], name: str) -> str:
        """The declared name that ``name`` may be a misspelling of; empty if there is none."""
        if (sections, name) not in self.slips:
            names = [known for section in sections for known in self.by_section.get(section, ())]
            found = difflib.get_close_matches(name, names, n=1, cutoff=_CLOSE)
            self.slips[sections, name] = found[0] if found else ""
        return self.slips[sections, name]

    def loops(self, needs: Mapping[Address, Iterable[Address]]) -> Iterator[list[Address]]:
        """The cycles in what each resource needs."""
        every = sorted(needs, key=_sorting)
        place = {address: number for number, address in enumerate(every)}  # numbers are quicker keys than addresses
        graph = {place[one]: sorted(place[other] for other in needs[one]) for one in every}
        return ([every[number] for number in numbers] for numbers in _loops(graph))

    def check_cycles(self) -> Iterator[Problem]:
        """The cycles of resources, and those of look-ups."""
        needs = {address: self.dependencies_of(address) for address in self.resources}
        for loop in self.loops(needs) if by_section(needs) is None else ():
            text = " -> ".join(map(str, [*loop, loop[0]]))
            hint = "remove one of these references"
            first = self.resources[loop[0]]
            yield _problem(codes.REFERENCE_CYCLE, f"dependency cycle: {text}", hint, first.at(), str(loop[0]), ())
        lookups = {
            name: sorted({part.attr for _, part in references.templates(lookup.args) if part.root == "lookups"})
            for name, lookup in sorted(self.loaded.lookups.items())
        }
        for names in _loops(lookups):
            text = " -> ".join([*names, names[0]])
            pos = self.loaded.lookups[names[0]].pos
            yield _problem(
                codes.LOOKUP_CYCLE,
                f"look-ups form a cycle: {text}",
                "remove one of these references",
                pos,
                f"lookups.{names[0]}",
                (),
            )


def _loops(graph: Mapping[Any, Iterable[Any]]) -> Iterator[list[Any]]:
    """One cycle for each group of nodes that reach each other, starting with its smallest node."""
    done: set[Any] = set()
    for start in graph:
        if start in done:
            continue
        stack: list[tuple[Any, Iterator[Any]]] = [(start, iter(graph[start]))]
        trail = {start: None}  # ordered, with quick membership tests
        while stack:
            node, targets = stack[-1]
            target = next(targets, None)
            if target is None:
                done.add(node)
                stack.pop()
                trail.pop(node)
            elif target in trail:
                walked = list(trail)
                loop = walked[walked.index(target) :]
                first = loop.index(min(loop))
                yield [*loop[first:], *loop[:first]]
            elif target in graph and target not in done:
                stack.append((target, iter(graph[target])))
                trail[target] = None


def _problem(
    code: codes.ProblemCode, message: str, hint: str, pos: Pos, address: str, path: Path, *, warning: bool = False
) -> Problem:
    return Problem(code=code, message=message, hint=hint, warning=warning, address=address, path=dotted(path), pos=pos)
