"""What the argument of `explain` means: a field, a resource's property, or a problem code."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Final

from reconciler.model import Address, Path
from reconciler.model import problem_codes as codes
from reconciler.model.patterns import regex
from reconciler.model.problem_codes import ProblemCode, catalogue
from reconciler.model.problems import Problem, Problems, did_you_mean
from reconciler.model.records import dataclass
from reconciler.operations.explaining.schemas import Place, found, root, roots

_STEP: Final = regex(r'\.?([^.\[\]"\']+)|\["([^"]*)"\]|\[\'([^\']*)\'\]|\[(\d*)\]')
_EXAMPLES: Final = "write a section, a field, the address of a resource with a property, or a problem code"


@dataclass(frozen=True, slots=True)
class Property:
    """A property of a resource, or with an empty path all of them; ``place`` is the field's."""

    address: Address
    path: Path
    place: Place


Subject = Place | Property | ProblemCode


@dataclass(frozen=True, slots=True)
class _Step:
    """One step as written; ``quoted``: it is a name for sure."""

    name: str
    quoted: bool = False
    item: bool = False


def subject(text: str, declared: Callable[[], Collection[Address]], *, in_environment: bool = False) -> Subject:
    """What ``text`` means. A section is followed by a field, or by the name of a resource, which ``declared`` gives;
    with ``in_environment`` the resource comes first. Raises Problems where it means nothing.
    """
    if text in catalogue():
        return catalogue()[text]
    first, *rest = _steps(text)
    start = root(first.name)
    if start is None:
        raise Problems([_unknown(text, first.name)])
    if not rest or start.kind is None:
        return _field(start, rest)
    name = rest[0].name
    known = {place.path for place in start.members()} | {"lifecycle"}
    address = Address(start.section, name)
    if rest[0].quoted or (name not in known and start.member(name) is None) or in_environment:
        if address in declared():
            path, place = _path(start, rest[1:])
            return Property(address, path, place)
        if rest[0].quoted or name not in known:
            raise Problems([_undeclared(start, address, known, declared())])
    return _field(start, rest)


def _steps(text: str) -> list[_Step]:
    steps: list[_Step] = []
    at = 0
    for match in _STEP.finditer(text):
        if match.start() != at:
            break
        at = match.end()
        plain, double, single, item = match.groups()
        if item is not None:
            steps.append(_Step(item or "0", item=True))
        elif plain is not None:
            steps.append(_Step(plain, item=plain.isdigit() and len(steps) > 1))
        else:
            steps.append(_Step(double if double is not None else single, quoted=True))
    if at != len(text) or not steps:
        message = f'cannot read "{text}"'
        raise Problems([Problem(code=codes.USAGE, message=message, hint=_EXAMPLES)])
    return steps


def _field(start: Place, steps: list[_Step]) -> Place:
    place, left = found(start, [one.name for one in steps if not one.item])
    if left:
        raise Problems([_no_field(place, str(left[0]))])
    return place


def _path(start: Place, steps: list[_Step]) -> tuple[Path, Place]:
    """The path of a property, with its field."""
    place = _field(start, steps)
    return tuple(int(one.name) if one.item else one.name for one in steps), place


def names(place: Place) -> Iterator[str]:
    """The names of the fields in a place."""
    return (one.path.rpartition(".")[2] for one in place.members())


# --- problems --------------------------------------------------------------------------------------------------------


def _unknown(text: str, first: str) -> Problem:
    hint = did_you_mean(text, catalogue()) if "-" in text else did_you_mean(first, [*roots(), *catalogue()])
    message = f'there is no section, setting or problem code "{first}"'
    return Problem(code=codes.UNKNOWN_SECTION, message=message, hint=hint or _EXAMPLES)


def _no_field(place: Place, name: str) -> Problem:
    where = f"{place.section}.{place.path}" if place.path else place.section
    known = list(names(place))
    hint = did_you_mean(name, known) or (f"one of {', '.join(known)}" if known else f"{where} has no fields")
    return Problem(code=codes.UNKNOWN_FIELD, message=f'there is no field "{name}" in {where}', hint=hint)


def _undeclared(start: Place, address: Address, known: Collection[str], declared: Collection[Address]) -> Problem:
    message = f'{start.section} has no field "{address.name}", and no environment given declares {address}'
    mine = [one.name for one in declared if one.section == start.section]
    hint = did_you_mean(address.name, [*known, *mine])
    if not declared:
        hint = hint or "pass the environment that declares the resource"
    return Problem(code=codes.UNKNOWN_ADDRESS, message=message, hint=hint)
