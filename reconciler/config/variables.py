"""Fills in what is known at loading: ``${var.}``, ``${env:}``, ``${file:}`` and ``${environment}``.

Everything else remains in a :class:`~reconciler.model.Template` for the plan. The content of a file or an environment
variable is final: expressions in it are not filled in. The size of the result is limited.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from functools import reduce
from operator import getitem
from pathlib import Path as FilePath
from typing import Any, NamedTuple

from reconciler.config import expressions
from reconciler.config.given import Given
from reconciler.config.references import Templates, put, templated
from reconciler.config.yaml.node import MAX_DEPTH as DEEPEST
from reconciler.config.yaml.node import Node, PlainNode
from reconciler.model import Path, Pos, Reference, Template
from reconciler.model import problem_codes as codes
from reconciler.model.masking import looks_secret, private_name
from reconciler.model.paths import dotted
from reconciler.model.problems import Problem, Problems, did_you_mean, one_of
from reconciler.model.records import dataclass

MAX_FILE = 1024 * 1024
MAX_VALUES = 6_000_000
MAX_TEXT = 64 * 1024 * 1024
MAX_CHAIN = 64
MAX_DEPTH = 100


_MASKED_FAULT = (
    "an expression in this secret is wrong (it is not shown)",
    "${env:NAME} and ${var.name} are expressions; write $${ for a literal ${",
)

GIVEN = "var."  # before the name of a variable whose value is from the command line or the process's environment

# The environment variables, and the given values of variables, that the value at a path was built from
Env = dict[Path, frozenset[str]]


# What can be a part of a text, and is one value
_IN_TEXT = frozenset((str, int, float, bool, Template))
_NOWHERE = Pos("", 1, 1)


@dataclass(frozen=True, slots=True)
class _Value:
    value: Any
    size: int = 1
    depth: int = 0
    env: frozenset[str] = frozenset()


class Written(NamedTuple):
    """A resource as plain data: its ``value``, the ``templates`` in it, and what it is made of where that is simple:
    the plain data that were read, and what the texts at some paths of them have become.
    """

    value: Any
    templates: Templates
    parts: tuple[Any, Mapping[Path, Any]] | None = None


class Filler:
    """Fills one environment. ``files`` has the real path and the root of each YAML file by its display path; ``secret``
    is set before each value, and returns whether messages must not quote the value at a path; ``address`` is set before
    each resource, for its problems. ``given`` are the values in ``variables`` that are not from a file of the
    environment.
    """

    def __init__(
        self,
        name: str,
        variables: Node,
        *,
        environ: Mapping[str, str],
        files: Mapping[str, tuple[FilePath, FilePath]],
        given: Mapping[str, Given] | None = None,
    ) -> None:
        self.name = name
        self.environ = environ
        self.files = files
        self.given = given or {}
        self.declared: Mapping[str, Node] = variables.value
        self.secret: Callable[[Path], bool] = lambda _: False
        self.address = ""
        self.problems: list[Problem] = []
        self.unset: list[Problem] = []
        self.sensitive = {text for name, one in self.given.items() if private_name(name) for text in _texts(one.value)}
        self._yaml = {real for real, _ in files.values()}
        self._whole: dict[str, tuple[Any, int, int]] = {}  # what a text becomes, its size, and what of it was counted
        self._known: dict[tuple[str, ...], _Value | None] = {}
        self._chain: list[tuple[str, ...]] = []
        self._contents: dict[FilePath, str | Problem] = {}
        self._values = 0
        self._text = 0
        self._depth = 0

    def fill(self, node: Node, env: Env | None = None, path: Path = ()) -> Any:
        """``node`` as plain data; the environment variables it was built from are added to ``env``, by path.

        Raises Problems where a limit is exceeded.
        """
        if type(node) is PlainNode and (done := self._plainly(node)) is not None:
            return done
        value = node.value
        if isinstance(value, dict | list):
            return self._fill_members(node, env, path)
        self._count_one(node)
        if not isinstance(value, str) or "${" not in value:
            return value
        known, unset = len(self.problems), len(self.unset)
        made = self._filled(value, node.pos, hidden=self._hidden(path))
        if len(self.problems) > known or len(self.unset) > unset:
            self._locate(self.problems, known, node.pos, path)
            self._locate(self.unset, unset, node.pos, path)
        if made.env and env is not None:
            env[path] = made.env
        self._count(made.size, 0, node.pos)
        self._check_depth(self._depth + made.depth, node)
        return made.value

    def resource(self, node: Node, env: Env) -> Written:
        """A resource as plain data, and the texts in it with expressions that are left."""
        found = self._plain_texts(node) if type(node) is PlainNode else None
        if found is None or type(node) is not PlainNode:
            value = self.fill(node, env)
            return Written(value, templated(value))
        left = [(path, text) for path, text in found.items() if type(text) is Template]
        return Written(put(node.data, found), left, (node.data, found))

    def _plainly(self, node: PlainNode) -> Any:
        """The same for plain data in which nothing is to be said about any value; None where there may be."""
        found = self._plain_texts(node)
        return None if found is None else put(node.data, found)

    def _plain_texts(self, node: PlainNode) -> dict[Path, Any] | None:
        """What its texts with expressions become, by path, where nothing is to be said about any value of it."""
        found: dict[Path, Any] = {}
        text = self._text
        for path in node.sites:
            made = self._surely(reduce(getitem, path, node.data))
            if made is None:
                self._text = text
                return None
            found[path] = made
        values = self._values + node.values + len(found)
        if values > MAX_VALUES or self._depth + DEEPEST > MAX_DEPTH:
            self._text = text
            return None
        self._values = values
        return found

    def _surely(self, text: str) -> Any:
        """A text with its expressions filled in; None where that is not all that there is to do."""
        if (known := self._whole.get(text)) is not None:
            whole, size, counted = known
            if self._text + size > MAX_TEXT:
                return None
            self._text += counted
            return whole
        parts, faults = expressions.parse(text)
        values = [part if isinstance(part, str) else self._sure_value(part) for part in parts]
        if None in values:
            return None
        size, before = sum(map(len, map(str, values))), self._text
        if faults or before + size > MAX_TEXT:
            return None
        if len(values) == 1:
            whole = values[0]
        elif set(map(type, values)) == {str}:
            whole = "".join(values)
            self._text += size
        else:
            whole = self._joined(values, parts, _NOWHERE)
        self._whole[text] = whole, size, self._text - before
        return whole

    def _sure_value(self, part: Reference) -> Any:
        """What an expression in a text becomes; None where there is more to do."""
        if part.root == "environment":
            return self.name
        if part.root == "var":
            made = self._known.get(tuple(part.attr.split(".")))
            return None if made is None or made.env or type(made.value) not in _IN_TEXT else made.value
        return None if part.root in ("env", "file") else Template((part,))

    def _locate(self, problems: list[Problem], start: int, pos: Pos, path: Path) -> None:
        """Give the problems from ``start`` on that are about the value at ``pos`` its address and path."""
        for index in range(start, len(problems)):
            if problems[index].pos == pos and not problems[index].path:
                problems[index] = replace(problems[index], address=self.address, path=dotted(path))

    def _fill_members(self, node: Node, env: Env | None, path: Path) -> Any:
        self._count_one(node)
        self._depth += 1
        self._check_depth(self._depth, node)
        value: Any
        if isinstance(node.value, list):
            value = [
                item.value if self._is_final(item) else self.fill(item, env, (*path, index))
                for index, item in enumerate(node.value)
            ]
        else:
            value = {}
            for written, item in node.value.items():
                name = self._key(written, item) if "${" in written else written
                value[name] = item.value if self._is_final(item) else self.fill(item, env, (*path, name))
        self._depth -= 1
        return value

    def _is_final(self, node: Node) -> bool:
        """Whether the node is a scalar with nothing to fill in, as most are; if so, it is counted."""
        if type(node) is PlainNode:
            return False
        value = node.value
        if isinstance(value, dict | list) or (isinstance(value, str) and "${" in value):
            return False
        self._count_one(node)
        return True

    def _count_one(self, node: Node) -> None:
        """Count one value: called for every value of an environment."""
        self._values += 1
        if self._values > MAX_VALUES:
            self._count(0, 0, node.pos)

    def variables(self) -> dict[str, Any]:
        """Every variable's value; problems of unused variables are found too."""
        for name, node in self.declared.items():
            if type(node) is PlainNode and (name,) not in self._known and (made := self._plainly(node)) is not None:
                self._known[name,] = _Value(made, *_measured(made))
        values = {
            name: self._known[name,] if (name,) in self._known else self._variable((name,), node.pos)
            for name, node in self.declared.items()
        }
        return {name: made.value for name, made in values.items() if made is not None}

    def _key(self, name: str, node: Node) -> str:
        text, fault = expressions.key(name)
        if fault:
            self._problem(codes.BAD_EXPRESSION, fault.message, fault.hint, node.pos)
        return text

    def _hidden(self, path: Path) -> bool:
        """Whether the value at ``path``, or the variable that is being filled in, is a secret."""
        return any(map(private_name, map(str, (*path, *self._chain[-1:])))) or self.secret(path)

    def _filled(self, text: str, pos: Pos, *, hidden: bool) -> _Value:
        parts, faults = expressions.parse(text)
        for fault in faults:
            message, hint = _MASKED_FAULT if hidden else (fault.message, fault.hint)
            self._problem(codes.BAD_EXPRESSION, message, hint, pos)
        made = [_Value(part) if isinstance(part, str) else self._reference(part, pos) for part in parts]
        env = frozenset[str]().union(*(item.env for item in made))
        if len(made) == 1:
            return made[0]
        return _Value(self._joined([item.value for item in made], parts, pos), env=env)

    def _joined(self, values: list[Any], parts: tuple[str | Reference, ...], pos: Pos) -> Any:
        """One text, or a template where expressions are left for the plan."""
        flat: list[str | Reference] = []
        for value, part in zip(values, parts, strict=True):
            if isinstance(value, dict | list) or value is None:
                what = "a mapping" if isinstance(value, dict) else "a list" if value is not None else "nothing"
                message = f"{part} is {what} and cannot be used inside a text"
                hint = "use the expression alone as the value, so that it keeps its type"
                self._problem(codes.NOT_TEXT, message, hint, pos)
                continue
            if isinstance(value, bool):
                flat.append("true" if value else "false")
            else:
                flat += value.parts if isinstance(value, Template) else [str(value)]
        self._count(0, sum(len(part) for part in flat if isinstance(part, str)), pos)
        merged: list[str | Reference] = []
        for part in flat:
            last = merged[-1] if merged else None
            if isinstance(part, str) and isinstance(last, str):
                merged[-1] = last + part
            else:
                merged.append(part)
        return (
            Template(tuple(merged))
            if any(isinstance(part, Reference) for part in merged)
            else "".join(map(str, merged))
        )

    def _reference(self, part: Reference, pos: Pos) -> _Value:
        if part.root == "environment":
            return _Value(self.name)
        if part.root == "var":
            return self._variable(tuple(part.attr.split(".")), pos) or _Value(Template((part,)))
        if part.root == "file":
            content = self._file(part, pos)
            return _Value(Template((part,)) if content is None else content)
        if part.root != "env":
            return _Value(Template((part,)))
        name, default = expressions.environment_variable(part.attr)
        if default is not None and not self.environ.get(name):
            return _Value(default)
        if name not in self.environ:
            hint = did_you_mean(name, self.environ) or f"export {name}=..."
            message = f"the environment variable {name} is not set"
            self.unset.append(Problem(code=codes.UNSET_VARIABLE, message=message, hint=hint, warning=True, pos=pos))
            return _Value(Template((part,)), env=frozenset([name]))
        if looks_secret(name) and self.environ[name]:
            self.sensitive.add(self.environ[name])
        return _Value(self.environ[name], env=frozenset([name]))

    def _variable(self, path: tuple[str, ...], pos: Pos) -> _Value | None:
        """The value of ``${var.a.b}``; None after noting a problem."""
        if path in self._known:
            return self._known[path]
        if path in self._chain:
            self._cycle(path)
            return None
        if len(self._chain) >= MAX_CHAIN:
            message = f"variables refer to each other more than {MAX_CHAIN} levels deep"
            raise Problems([*self.problems, Problem(code=codes.TOO_LARGE, message=message, pos=pos)])
        self._chain.append(path)
        try:
            made = self._known[path] = self._looked_up(path, pos)
        finally:
            self._chain.pop()
        return made

    def _cycle(self, path: tuple[str, ...]) -> None:
        loop = self._chain[self._chain.index(path) :]
        first = loop.index(min(loop))
        ordered = [*loop[first:], *loop[:first], loop[first]]
        shown = " -> ".join(f"var.{'.'.join(item)}" for item in ordered)
        at = self.declared[ordered[0][0]].pos
        self._problem(codes.VARIABLE_CYCLE, f"variables form a cycle: {shown}", "give one of them a value", at)

    def _looked_up(self, path: tuple[str, ...], pos: Pos) -> _Value | None:
        members: Any = self.declared
        for index, name in enumerate(path):
            if isinstance(members, str) and "${" in members:
                whole = self._variable(path[:index], pos)
                return None if whole is None else self._member_of(whole, path, index, pos)
            if not isinstance(members, Mapping) or name not in members:
                self._undeclared(path, index, members, pos)
                return None
            node = members[name]
            members = node.value
        inside: Env = {}
        value = self.fill(node, inside)
        env = frozenset[str]().union(*inside.values())
        if path[0] in self.given:
            env |= {f"{GIVEN}{path[0]}"}
        return _Value(value, *_measured(value), env)

    def _member_of(self, whole: _Value, path: tuple[str, ...], index: int, pos: Pos) -> _Value | None:
        value = whole.value
        for depth, name in enumerate(path[index:], index):
            if isinstance(value, Template):
                hint = "its value is only known at plan time; use the whole expression instead"
                self._problem(codes.UNKNOWN_VARIABLE, f"var.{'.'.join(path[:depth])} is not known yet", hint, pos)
                return None
            if not isinstance(value, Mapping) or name not in value:
                self._undeclared(path, depth, value, pos)
                return None
            value = value[name]
        return _Value(value, whole.size, whole.depth, whole.env)

    def _undeclared(self, path: tuple[str, ...], index: int, members: Any, pos: Pos) -> None:
        message = f"there is no variable {'.'.join(path[: index + 1])}"
        names = list(members) if isinstance(members, Mapping) else []
        known = f"declared: {one_of(names)}" if names else "declare it under variables: in environment.yaml"
        if index and not names:
            known = f"{'.'.join(path[:index])} is not a mapping"
        self._problem(codes.UNKNOWN_VARIABLE, message, did_you_mean(path[index], names) or known, pos)

    def _file(self, part: Reference, pos: Pos) -> str | None:
        """The content of a file inside the directory of the environment that refers to it; None after a problem."""
        root = self.files[pos.file][1]
        path = root / part.attr
        try:
            real = path.resolve()
            inside = real.is_relative_to(root) and not FilePath(part.attr).is_absolute()
        except (OSError, ValueError, RuntimeError):
            inside = False
        if not inside:
            message = f"{part.attr} is outside the environment's directory"
            self._problem(codes.OUTSIDE_ENVIRONMENT, message, "copy the file in, and give its path relative to it", pos)
            return None
        if real in self._yaml:
            hint = f"move it below files/, whose content is not read as part of the environment: {part.attr}"
            self._problem(codes.BAD_FILE, f"{part.attr} is itself read as part of the environment", hint, pos)
            return None
        if real not in self._contents:
            self._contents[real] = _content(path, part.attr, root, self._yaml)
        found = self._contents[real]
        if isinstance(found, Problem):
            self._problem(found.code, found.message, found.hint, pos)
            return None
        return found

    def _check_depth(self, depth: int, node: Node) -> None:
        if depth > MAX_DEPTH:
            message = f"with variables filled in, nesting is deeper than {MAX_DEPTH} levels"
            raise Problems([*self.problems, Problem(code=codes.TOO_DEEP, message=message, pos=node.pos)])

    def _count(self, values: int, text: int, pos: Pos) -> None:
        self._values += values
        self._text += text
        if self._values > MAX_VALUES or self._text > MAX_TEXT:
            message = "with variables, defaults and aliases filled in, the environment is too large"
            hint = f"at most {MAX_VALUES:,} values and {MAX_TEXT:,} bytes of filled text"
            raise Problems([*self.problems, Problem(code=codes.TOO_LARGE, message=message, hint=hint, pos=pos)])

    def _problem(self, code: codes.ProblemCode, message: str, hint: str, pos: Pos) -> None:
        self.problems.append(Problem(code=code, message=message, hint=hint, pos=pos))


def _content(path: FilePath, shown: str, root: FilePath, read: Collection[FilePath]) -> str | Problem:
    """The text of a file; ``read`` are those of the environment itself, which are never suggested."""
    beside = (path if path.is_dir() else path.parent).glob("*")
    files = [item for item in sorted(beside)[:200] if item.is_file() and item.resolve() not in read]
    if path.is_dir():
        first = next((item.name for item in files), "NAME")
        hint = f"name a file in it, for example {'' if path == root else shown.rstrip('/') + '/'}{first}"
        return Problem(code=codes.BAD_FILE, message=f"{shown} is a directory", hint=hint)
    if not path.is_file():
        near = [item.relative_to(root).as_posix() for item in files]
        what = "is not a file" if path.exists() else "does not exist"
        hint = did_you_mean(shown, near) or f"the path is relative to the environment's directory, {root.name}/"
        return Problem(code=codes.BAD_FILE, message=f"{shown} {what}", hint=hint)
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_FILE + 1)
        text = data.decode("utf-8-sig")
    except OSError as error:
        return Problem(code=codes.BAD_FILE, message=f"{shown} cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        return Problem(code=codes.BAD_FILE, message=f"{shown} is not UTF-8 text", hint="give its base64 form instead")
    if len(data) > MAX_FILE:
        return Problem(code=codes.BAD_FILE, message=f"{shown} is larger than {MAX_FILE:,} bytes")
    return text


def _texts(value: Any) -> Iterator[str]:
    """Every text in a value."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def _measured(value: Any) -> tuple[int, int]:
    """The number of values in ``value``, and its depth."""
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    inner = [_measured(item) for item in items]
    depth = 1 + max((below for _, below in inner), default=0) if isinstance(value, dict | list) else 0
    return 1 + sum(size for size, _ in inner), depth
