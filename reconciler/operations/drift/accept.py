"""Ends drift the other way: writes the live value of a resource into its YAML, with comments and order as they are.

Only what the resource itself declares in a file of its own environment is changed. What it inherits (from a base,
``defaults``, the environment's ``tags``) or takes from an expression or an anchor is refused, with the place where it
can be changed; secrets are never written. Afterwards the resource is planned again: unless nothing differs any more,
the files are as they were.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any, Final

from reconciler.config import files
from reconciler.config.yaml.edit import CannotEdit, Text
from reconciler.config.yaml.node import Node
from reconciler.model import MISSING, Address, Change, Effect, Options, Path, Plan, Pos, ResourcePlan, Verb
from reconciler.model import problem_codes as codes
from reconciler.model.paths import dotted, located
from reconciler.model.problems import Problem, Problems
from reconciler.model.values import OWNER_PREFIX
from reconciler.operations import session
from reconciler.operations.pipeline import Planned
from reconciler.operations.session import Loaded, Session
from reconciler.render import changes
from reconciler.render.mask import Mask

_WHY_NOT: Final = {
    Verb.CREATE: ("the resource is not in the account", "remove it from the YAML to accept that"),
    Verb.DELETE: ("the resource is not declared", "declare it to keep it"),
    Verb.ADOPT: ("the resource does not have the tags of this environment", "adopt it with `reconcile apply --adopt`"),
}


class _Refused(Exception):
    """Why a change cannot be accepted; ``pos`` is where it can be changed."""

    def __init__(self, why: str, hint: str, path: Path = (), pos: Pos | None = None) -> None:
        super().__init__(why)
        self.hint, self.path, self.pos = hint, path, pos


def accept(account: Session, addresses: Sequence[Address], again: Callable[[], Session]) -> list[str]:
    """Write the live values of resources into their YAML: of all of them, or of none. ``again`` reads the files again
    and connects as before. Returns what was written, a line each. Raises Problems.
    """
    accepted: list[str] = []
    backup: dict[FilePath, bytes] = {}
    try:
        for address in addresses:
            account = again() if backup else account  # what was written has moved the lines
            item = _item(session.make_plan(account, Options()), address)
            accepted += _accept(account, item, backup, again)
    except BaseException:
        for path, data in backup.items():
            _put(path, data)
        raise
    return accepted


def _item(planned: Planned, address: Address) -> ResourcePlan:
    """The resource. Raises Problems where there is none, or where it could not be planned."""
    found = next((one for one in planned.plan.resources if one.address == address), None)
    if found is None:
        if why := [problem for problem in planned.problems if problem.address == str(address)]:
            raise Problems(why)
        hint = "`reconcile drift` prints the addresses"
        raise Problems([Problem(code=codes.BAD_ADDRESS, message=f"there is no resource {address}", hint=hint)])
    return found


def _accept(
    account: Session, item: ResourcePlan, backup: dict[FilePath, bytes], again: Callable[[], Session]
) -> list[str]:
    """The values of one resource, written. Raises Problems."""
    if item.verb is Verb.NOOP:
        return []
    try:
        return _written(account, item, backup, again)
    except _Refused as refused:
        raise Problems([_problem(item, refused)]) from None
    except CannotEdit as error:
        pos = Pos(item.declared.at().file, *error.place) if error.place and item.declared else item.pos
        raise Problems([_problem(item, _Refused(str(error), "change it there", pos=pos))]) from None
    except OSError as error:
        raise Problems([Problem(code=codes.FILE, message=f"{error.filename}: {error.strerror}")]) from None


def _written(
    account: Session, item: ResourcePlan, backup: dict[FilePath, bytes], again: Callable[[], Session]
) -> list[str]:
    """Lists are changed item by item; where that does not lead to what is live, since the order in the file is another,
    they are written whole.
    """
    if item.verb in _WHY_NOT or item.declared is None or not item.changes:
        why, hint = _WHY_NOT.get(item.verb, ("nothing differs that could be written", "end it with `reconcile apply`"))
        raise _Refused(why, hint)
    file = _File(account.loaded, item)
    backup.setdefault(file.path, file.before)
    left = ""
    for whole in (False, True):
        try:
            lines = [*file.edit(account.mask, whole=whole)]
        except CannotEdit:
            if whole:
                raise
            continue
        file.write()
        left = _left(again, item.address)
        if not left:
            return lines
        _put(file.path, file.before)
    raise _Refused(f"with the live values in its YAML it would still be changed: {left}", "change the YAML by hand")


def _left(again: Callable[[], Session], address: Address) -> str:
    """What the resource still differs in, in words; empty where it does not."""
    try:
        plan: Plan = session.make_plan(again(), Options()).plan
    except Problems as error:
        return error.problems[0].message
    item = next((one for one in plan.resources if one.address == address), None)
    if item is None or item.verb is Verb.NOOP:
        return ""
    return ", ".join(dotted(change.path) for change in item.changes) or item.verb.value


def _problem(item: ResourcePlan, refused: _Refused) -> Problem:
    return Problem(
        code=codes.CANNOT_ACCEPT,
        message=str(refused),
        hint=refused.hint,
        address=str(item.address),
        path=dotted(refused.path),
        pos=refused.pos or item.pos,
    )


def _is_written(address: Address, contents: Iterable[Node]) -> bool:
    """Whether one of the files declares the resource."""
    sections = (content.value.get(address.section) for content in contents)
    return any(address.name in found.value for found in sections if found is not None and isinstance(found.value, dict))


def _put(path: FilePath, data: bytes) -> None:
    """Write a file whole or not at all, with the permissions that it has."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        shutil.copymode(path, part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


class _File:
    """The file of one resource, and the edits that make it say what is live."""

    def __init__(self, loaded: Loaded, item: ResourcePlan) -> None:
        assert item.declared is not None
        self.item, self.declared = item, item.declared
        self.root = loaded.location.root
        self.name = self.declared.at().file
        read = files.read(loaded.location.target)
        own = read.layers[-1]
        if self.name not in {own.settings.pos.file, *own.others} or self.name.startswith("../"):
            why = "the resource is declared in a base, which other environments share"
            raise _Refused(why, "change it there, or declare the property in this environment", pos=item.pos)
        if not _is_written(item.address, (own.settings, *own.others.values())):
            why = "no file declares the resource: it follows from a setting, or from other resources"
            raise _Refused(why, "change these, or end the drift with `reconcile apply`", pos=item.pos)
        target = loaded.location.target
        self.path = ((target if target.is_dir() else target.parent) / self.name).resolve()
        self.before = self.path.read_bytes()
        self.original = Text(self.before.decode("utf-8-sig"))
        self.text = self.original

    def edit(self, mask: Mask, *, whole: bool) -> Iterator[str]:
        """Change the text; yields what was changed."""
        self.text = Text(self.before.decode("utf-8-sig"))
        done: set[Path] = set()
        for change in self.item.changes:
            path = self._checked(change, mask)
            if path in done:
                continue
            done.add(path)
            self._write(change, path, whole=whole)
            yield f"{mask.line(located(self.root, self._pos(path)))}: {self._message_of(change, path, mask)}"

    def _message_of(self, change: Change, path: Path, mask: Mask) -> str:
        """What was declared and is declared now, on as many lines as it takes."""
        old, new = (change.after, change.before) if path == change.path else (_at(self.item.after, path), None)
        new = _at(self.item.before, path) if new is None else new
        written = Change(path=path, before=old, after=new, effect=Effect.IN_PLACE)
        lines = (
            f"{'  ' * line.depth}{line.sign + ' ' if line.depth else ''}{line.text}"
            for line in changes.lines([written], mask)
        )
        return "\n    ".join(lines)

    def write(self) -> None:
        """Write the file, with the mark that it may begin with."""
        start = b"\xef\xbb\xbf" if self.before.startswith(b"\xef\xbb\xbf") else b""
        _put(self.path, start + self.text.text.encode())

    def _checked(self, change: Change, mask: Mask) -> Path:
        """The path to write at: that of the change, or of the list that it is in. Raises _Refused."""
        path = self._up_to_a_list(change.path)
        if change.secret or mask.hides(change.before) or mask.hides(_at(self.item.before, path)):
            raise _Refused("secrets are never written into YAML", "change the secret where it comes from", path)
        if path[0] == "tags" and str(path[-1]).startswith(OWNER_PREFIX):
            raise _Refused("the tags of ownership are not declared", "restore them with `reconcile apply`", path)
        inner = self.original.text_on(self._in_file(path))
        known = own = path if inner is None else inner[0][2:]
        while known and known not in self.declared.pos:
            known = known[:-1]
        pos = self.declared.pos.get(known)
        if known != own or pos is None:  # declared nowhere: it can be added
            return path
        here = self.original.place(self._in_file(own))
        if pos.file != self.name or here is None or (pos.line, pos.column) != here:
            raise _Refused("the value is inherited", f"change it at {located(self.root, pos)}", path, pos)
        return path

    def _up_to_a_list(self, path: Path) -> Path:
        """``path``, or its beginning that is a list in the declaration or in the account."""
        for length in range(1, len(path)):
            values = (_at(self.item.before, path[:length]), _at(self.item.after, path[:length]))
            if any(isinstance(value, list | tuple) for value in values):
                return path[:length]
        return path

    def _in_file(self, path: Path) -> Path:
        return (self.item.address.section, self.item.address.name, *path)

    def _write(self, change: Change, path: Path, *, whole: bool) -> None:
        live, declared = _at(self.item.before, path), _at(self.item.after, path)
        place = self._in_file(path)
        live = _plain(change.before if path == change.path and live is MISSING else live)
        inner = self.text.text_on(place)
        text, within = (self.text, place) if inner is None else (inner[1], place[len(inner[0]) :])
        if live is MISSING:
            text.remove(within)
        elif not whole and isinstance(live, list):
            text.update(within, *_in_file_order(_at(self.declared.props, path), _plain(declared), live))
        else:
            text.set(within, live)
        if inner:
            self.text.set_text(*inner)

    def _pos(self, path: Path) -> Pos:
        place = self.text.place(self._in_file(path))
        return Pos(self.name, *place) if place else self.declared.at(path)


def _in_file_order(written: Any, declared: Any, live: list[Any]) -> tuple[Any, list[Any]]:
    """The declared and the live items of a list in the order of the file, where that is another than the one in which
    they are compared: then the order has no meaning. An item that differs keeps its place, new ones are the last.
    """
    items = _plain(written)
    if not isinstance(items, list) or not isinstance(declared, list) or len(items) != len(declared):
        return declared, live
    left = list(range(len(declared)))
    order: list[int] = []
    for item in items:
        found = next((number for number in left if _means(item, declared[number])), None)
        if found is None:
            return declared, live
        left.remove(found)
        order.append(found)
    if order == sorted(order):
        return declared, live
    old = [declared[number] for number in order]
    new, rest = list(old), list(live)
    gone = [number for number, item in enumerate(old) if not _taken(item, rest)]
    for number in list(gone):
        near = max(rest, key=lambda item: _equal_members(old[number], item), default=None)
        if near is not None and _equal_members(old[number], near):
            rest.remove(near)
            new[number] = near
            gone.remove(number)
    return old, [item for number, item in enumerate(new) if number not in gone] + rest


def _means(written: Any, declared: Any) -> bool:
    """Whether an item of the file is this one of the declaration, which has defaults, too."""
    if isinstance(written, dict) and isinstance(declared, dict):
        return all(declared.get(name) == value for name, value in written.items())
    return bool(written == declared)


def _taken(item: Any, rest: list[Any]) -> bool:
    """Take ``item`` out of ``rest``; whether it was there."""
    if item not in rest:
        return False
    rest.remove(item)
    return True


def _equal_members(one: Any, other: Any) -> int:
    """How many members are equal."""
    if not isinstance(one, dict) or not isinstance(other, dict):
        return 0
    return sum(other.get(name) == value for name, value in one.items())


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _at(value: Any, path: Path) -> Any:
    for part in path:
        if not isinstance(value, Mapping) or part not in value:
            return MISSING
        value = value[part]
    return value
