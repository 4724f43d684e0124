"""An environment's files to merged plain data, with the place of every value.

The order: read every file (:mod:`.files`), merge the settings of the layers, fill in variables, then merge each
resource from the lowest layer up: the environment's tags, the section's defaults, the layers' declarations.
Expressions that only a plan can fill in remain, as templates.

Details:

- Settings are read from ``environment.yaml`` (or the single file) only; the other files contain resources.
- ``null`` removes a value of a lower layer, of ``defaults`` or of the environment's ``tags``. Where it removes nothing,
  that is a warning; an empty resource is an error, since it is usually wrong indentation.
- ``environment``, ``extends`` and ``requiredVersion`` are read before variables are known, so they must be literal.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import field, replace
from functools import partial
from pathlib import Path as FilePath
from typing import Any

from reconciler import __version__
from reconciler.config import expressions, files
from reconciler.config import given as outside
from reconciler.config.files import Layer, Missing, Sources, displayed_from, find_environment
from reconciler.config.given import Given
from reconciler.config.merge import UselessNull, as_plain, patch
from reconciler.config.references import Templates, templated
from reconciler.config.variables import Env, Filler, Written
from reconciler.config.yaml.node import Node, Places
from reconciler.model import EMPTY, Address, Lookup, Path, Pos, Template, examples
from reconciler.model import problem_codes as codes
from reconciler.model.lookups import LOOKUP_KINDS
from reconciler.model.masking import Cover, is_no_name
from reconciler.model.problems import Problem, Problems, did_you_mean, one_of, ordered
from reconciler.model.records import dataclass
from reconciler.model.stand_ins import known
from reconciler.model.when_used import when_used
from reconciler.schema import registry

with when_used():
    from reconciler.config import required_version

__all__ = ["DeclaredResource", "LoadedEnvironment", "displayed_from", "find_environment", "load"]

SETTINGS = (
    *("environment", "region", "account", "profile", "roleArn", "externalId", "sessionName", "extends"),
    *("variables", "tags", "defaults", "ignoreTags", "ignoreRules", "lookups", "requiredVersion", "namePrefix"),
    "alerts",
)
_SURELY = 0.9  # similarity from which an unknown section is read as the known one
_ANY_LOOKUP = {"ssmParameter": ""}  # may have any value
_OWN = ("environment", "extends")
_NOT_OURS = {
    **dict.fromkeys(
        ("Resources", "AWSTemplateFormatVersion", "Parameters"),
        f"declare resources by section and name instead: {examples.RESOURCE}",
    ),
    **dict.fromkeys(("resource", "resources"), f"declare resources by section and name: {examples.RESOURCE}"),
    **dict.fromkeys(
        ("apiVersion", "kind", "metadata", "spec"),
        f"declare a resource under its section, by name: {examples.RESOURCE}",
    ),
    **dict.fromkeys(
        ("vpcs", "subnets", "vpc", "images", "parameters"),
        "use a look-up for an existing resource: lookups: {vpc: {vpc: {default: true}}}",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredResource:
    """One resource after merging and variables: plain data and templates.

    ``pos`` has the place of every member (its key) and item; ``()`` is the resource's own key. ``env`` has the
    environment variables that the value at a path was built from. ``written`` is what the files say, of which ``value``
    may since have been replaced.
    """

    value: Mapping[str, Any]
    pos: Mapping[Path, Pos]
    env: Mapping[Path, frozenset[str]] = field(default_factory=dict)
    written: Written = Written(None, ())

    def templates(self) -> Templates:
        """Every text with expressions that are not filled in yet."""
        return self.written.templates if self.written.value is self.value else templated(self.value)

    def parts(self) -> tuple[Any, Mapping[Path, Any]] | None:
        """What the value is made of, where it is plain data and what the texts at some paths of it become."""
        return self.written.parts if self.written.value is self.value else None

    def at(self, path: Path = ()) -> Pos:
        """The place of ``path``, or of its nearest ancestor that has one."""
        while path and path not in self.pos:
            path = path[:-1]
        return self.pos[path]

    def with_moved(self, moved: Mapping[Path, Path]) -> DeclaredResource:
        """The same with the places of what is ``moved``: written out at one path, declared at another."""
        if not moved:
            return self
        return replace(self, pos={**self.pos, **{path: self.at(declared) for path, declared in moved.items()}})


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedEnvironment:
    """An environment as read. ``root`` is its directory; places are relative to it.

    ``settings`` are the settings as written (variables filled in) with their places in ``settings_pos``. ``unset`` are
    environment variables that are not set: warnings here, errors where a plan needs their values. ``sensitive`` are the
    values of environment variables whose names look secret. ``missing`` and ``misplaced`` are of an environment with
    problems: what it may lack because of them, and the names of the resources in unknown sections. ``given`` are the
    values of variables that are not from its files; ``name_prefix`` is what physical names begin with, a text or a
    template; ``defaults`` are by section, and merged into the resources already.
    """

    name: str
    root: str
    region: str | None = None
    account: str | None = None
    profile: str | None = None
    role: Mapping[str, str] | None = None
    tags: Mapping[str, Any] = EMPTY
    ignore_tags: tuple[str, ...] = ()
    ignore_rules: tuple[str, ...] = ()
    variables: Mapping[str, Any] = EMPTY
    sections: Mapping[str, Mapping[str, DeclaredResource]] = EMPTY
    lookups: Mapping[str, Lookup] = EMPTY
    settings: Mapping[str, Any] = EMPTY
    settings_pos: Mapping[Path, Pos] = EMPTY
    missing: Missing = Missing.NOTHING
    misplaced: frozenset[str] = frozenset()
    unset: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    sensitive: frozenset[str] = frozenset()
    given: Mapping[str, Given] = EMPTY
    name_prefix: Any = ""
    defaults: Mapping[str, Any] = EMPTY


def load(
    target: FilePath,
    *,
    environ: Mapping[str, str],
    sections: Collection[str] | None = None,
    given: Mapping[str, Given] | None = None,
) -> LoadedEnvironment:
    """Read an environment: a directory, or a single file.

    ``environ`` has the variables for ``${env:}``; ``sections`` are the known section names, by default those with a
    schema; ``given`` are values of variables, by default those of ``environ``. Raises :class:`Problems` with everything
    that is wrong.
    """
    loaded, problems = load_what_is_right(target, environ=environ, sections=sections, given=given)
    if problems or loaded is None:
        raise Problems(problems)
    return loaded


def load_what_is_right(
    target: FilePath,
    *,
    environ: Mapping[str, str],
    sections: Collection[str] | None = None,
    given: Mapping[str, Given] | None = None,
    change: Node | None = None,
) -> tuple[LoadedEnvironment | None, tuple[Problem, ...]]:
    """As :func:`load`, but returns the problems, with the rest of the environment, so that it can be checked, too.

    The environment is None where nothing of it can be used. With problems it must not be planned. ``change`` is merged
    over its files: settings and sections.
    """
    read = files.read(target)
    given = outside.gather(environ) if given is None else given
    loading = _Loading(read, registry.sections() if sections is None else sections, given, change)
    loaded = loading.loaded(environ)
    problems = _masked(read.problems, loading.sensitive)
    if loaded and loaded.missing is Missing.VALUES:
        problems = tuple(one for one in problems if one.code not in _FOLLOW_UPS)
    return loaded, problems


def _masked(problems: list[Problem], sensitive: Collection[str]) -> tuple[Problem, ...]:
    hidden = Cover(sensitive)
    return ordered(replace(found, message=hidden(found.message), hint=hidden(found.hint)) for found in problems)


class _Loading:
    """The steps of one load; problems are added to ``read.problems``."""

    def __init__(
        self, read: Sources, sections: Collection[str], given: Mapping[str, Given], change: Node | None = None
    ) -> None:
        self.read = read
        self.change = change
        if change is not None:  # its ${file:} are below the environment's directory
            file = change.pos.file
            self.read.files.setdefault(file, ((read.root / file).resolve(), read.root))
        self.known = sections
        self.given = given
        self.useless_nulls: list[UselessNull] = []
        self.sensitive: set[str] = set()
        self.missing = read.missing
        self.misplaced: set[str] = set()

    def loaded(self, environ: Mapping[str, str]) -> LoadedEnvironment | None:
        if not self.read.layers:
            return None
        name = self.name(self.read.layers[-1])
        settings = self.settings()
        if refused := self.other_version(settings):  # whose settings and sections this one may not know
            self.read.problems[:] = [refused]
            return None
        declared = [self.resources(layer) for layer in self.read.layers]
        if self.change is not None:
            own = {key: node for key, node in self.change.value.items() if key not in SETTINGS}
            removed = {key for key, node in own.items() if node.value is None}
            declared = [{key: found for key, found in layer.items() if key not in removed} for layer in declared]
            declared.append(self.resources(Layer(self.read.root, Node(own, self.change.pos))))
        variables = settings.value.get("variables")
        broken = variables is not None and not isinstance(variables.value, dict)
        self.missing = Missing.VALUES if broken else self.missing
        if variables is None or broken:
            variables = Node({}, settings.pos)
        if self.given and not broken:
            variables = outside.declared(variables, self.given, self.read.problems)
            settings = Node({**settings.value, "variables": variables}, settings.mark, settings.size)
        filler = Filler(name, variables, environ=environ, files=self.read.files, given=self.given)
        try:
            return self.filled(filler, name, settings, declared)
        except Problems as error:
            self.read.problems += error.problems
            return None
        finally:
            self.read.problems += filler.problems
            self.sensitive = filler.sensitive

    def filled(
        self, filler: Filler, name: str, settings: Node, declared: list[dict[str, dict[str, Node]]]
    ) -> LoadedEnvironment | None:
        variables = filler.variables()
        places = Places(settings, _read_key)
        rest = Node({key: node for key, node in settings.value.items() if key not in ("defaults", *_OWN)}, settings.pos)
        values = registry.shipped().settings_with_texts(filler.fill(rest))
        own = {key: settings.value[key] for key in settings.value if key in ("defaults", *_OWN)}
        checked = {**values, **{name: filler.fill(node) for name, node in own.items()}}
        at = _at(places)
        found = registry.shipped().settings(checked, at=at)
        found += [
            self.unresolved_setting(key, at) for key in _PLAIN if key in values and not self.is_resolved(values[key])
        ]
        found += _not_mappings(settings, values, at)
        earlier = {problem.pos for problem in (*self.read.problems, *filler.problems)}
        found = [problem for problem in found if problem.pos not in earlier]
        self.read.problems += found
        wrong = {problem.path.split(".")[0] for problem in (*found, *filler.problems)}
        values, settings = self.without(wrong, values, settings)
        sections = self.sections(filler, settings, declared)
        return LoadedEnvironment(
            name=name,
            root=str(self.read.root),
            **_identity(values),
            tags=values.get("tags", {}),
            ignore_tags=tuple(values.get("ignoreTags", ())),
            ignore_rules=tuple(values.get("ignoreRules", ())),
            variables=variables,
            missing=self.missing,
            misplaced=frozenset(self.misplaced),
            sections=sections,
            lookups=_lookups(values.get("lookups", {}), at),
            settings={"environment": name, **values},
            settings_pos=places,
            unset=ordered(filler.unset),
            warnings=ordered([*map(_useless_null, self.useless_nulls), *self.read.warnings]),
            sensitive=frozenset(filler.sensitive),
            given=self.given,
            name_prefix=values.get("namePrefix", ""),
            defaults=checked.get("defaults") or {} if "defaults" not in wrong else {},
        )

    def without(
        self, wrong: Collection[str], values: Mapping[str, Any], settings: Node
    ) -> tuple[Mapping[str, Any], Node]:
        """The values and nodes of settings without those that are ``wrong``; look-ups keep their names."""
        if not wrong:
            return values, settings
        if "defaults" in wrong:
            self.missing = Missing.VALUES
        lookups = values.get("lookups")
        right = {name: value for name, value in values.items() if name not in wrong}
        if "lookups" in wrong and isinstance(lookups, dict):
            right["lookups"] = {name: dict(_ANY_LOOKUP) for name in lookups}
        nodes = {name: node for name, node in settings.value.items() if name not in wrong}
        return right, Node(nodes, settings.pos)

    def other_version(self, settings: Node) -> Problem | None:
        node = settings.value.get("requiredVersion")
        if node is None or isinstance(node.value, dict | list):
            return None
        return required_version.refusal(node, __version__)

    def is_resolved(self, value: Any) -> bool:
        """Whether ``value`` is plain, or only lacks an environment variable that is not set (reported by itself)."""
        if known(value):
            return True
        parts = value.parts if hasattr(value, "parts") else ()
        return bool(parts) and all(isinstance(part, str) or part.root == "env" for part in parts)

    def unresolved_setting(self, key: str, at: Any) -> Problem:
        hint = "${var.}, ${env:}, ${file:} and ${environment} can be used"
        message = f"{key} must be known before AWS is called"
        return Problem(code=codes.BAD_EXPRESSION, message=message, hint=hint, path=key, pos=at((key,)))

    def name(self, layer: Layer) -> str:
        node = layer.settings.value.get("environment")
        if node is not None and isinstance(node.value, str):
            if "${" in node.value:
                hint = "write the literal name: it identifies the owner of every resource"
                self.problem(
                    codes.BAD_EXPRESSION,
                    "environment is read before variables are known",
                    hint,
                    node.pos,
                    "environment",
                )
            return node.value
        others = [key for key in layer.settings.value if key not in SETTINGS and key not in self.known]
        if (node is None or node.value is None) and not did_you_mean("environment", others):
            hint = "give it one: environment: my-name"
            self.problem(codes.MISSING_FIELD, "the environment has no name", hint, layer.settings.pos, "environment")
        return ""

    def settings(self) -> Node:
        """The settings of all layers, merged."""
        folded = Node({}, self.read.layers[-1].settings.pos)
        for layer in self.read.layers:
            own = layer is self.read.layers[-1]
            mine = {
                key: node for key, node in layer.settings.value.items() if key in SETTINGS and (own or key not in _OWN)
            }
            folded = patch(folded, Node(mine, layer.settings.pos), self.useless_nulls)
        if self.change is not None:
            more = {key: node for key, node in self.change.value.items() if key in SETTINGS and key not in _OWN}
            folded = patch(folded, Node(more, folded.pos), self.useless_nulls)
        return folded

    def resources(self, layer: Layer) -> dict[str, dict[str, Node]]:
        """Section to name to declaration, over the files of a layer."""
        found: dict[str, dict[str, Node]] = {}
        for file, node in [("", layer.settings), *layer.others.items()]:
            for section, below in node.value.items():
                if section in SETTINGS:
                    if file:
                        message = f"{section}: is only read from environment.yaml; move it there"
                        self.problem(codes.MISPLACED_SETTING, message, "", below.pos, section)
                        self.missing = Missing.VALUES
                elif section not in self.known:
                    self.unknown(section, below)
                    if isinstance(below.value, dict):
                        self.guess(found, section, below)
                elif isinstance(below.value, dict):
                    self.collect(found.setdefault(section, {}), section, below)
                elif below.value is not None:
                    hint = f"write the resources below it by name, as in {_name_in(below.value)}: {{...}}"
                    self.problem(
                        codes.WRONG_TYPE, f"{section} must be a mapping of names to resources", hint, below.pos, section
                    )
        return found

    def guess(self, found: dict[str, dict[str, Node]], section: str, below: Node) -> None:
        """Read the resources of an unknown section as those of one that differs by a letter or two."""
        near = difflib.get_close_matches(section, self.known, n=1, cutoff=_SURELY)
        if near:
            self.collect(found.setdefault(near[0], {}), near[0], below)
        else:
            self.misplaced |= below.value.keys()

    def unknown(self, section: str, node: Node) -> None:
        setting = not isinstance(node.value, dict)
        what = "setting or section" if setting else "section"
        near = did_you_mean(section, [*SETTINGS, *self.known])
        hint = self.elsewhere(section) or near or one_of(list(self.known), most=30)
        self.problem(codes.UNKNOWN_SECTION, f'unknown {what} "{section}"', hint, node.pos, section)

    def elsewhere(self, section: str) -> str:
        """The hint for a section in the format of another tool; empty if there is none."""
        if any(char.isspace() and char != " " for char in section):
            return (
                "the key starts with a character such as U+00A0, which is not a space in YAML; indent with plain spaces"
            )
        folded = section[:1].lower() + section[1:]
        if folded.endswith("Name") and (owner := f"{folded.removesuffix('Name')}s".replace("ys", "ies")) in self.known:
            return f"put the AWS CLI's JSON below the name: {owner}: {{NAME: {{...}}}}, without {section}"
        meant = registry.shipped().meant_by(section)
        return _NOT_OURS.get(section) or (f'did you mean "{meant}"?' if meant else "")

    def collect(self, found: dict[str, Node], section: str, below: Node) -> None:
        for name, node in below.value.items():
            if "${" in name:
                message = f'resource names cannot contain expressions: "{name}"'
                self.problem(codes.BAD_EXPRESSION, message, "write the literal name", node.pos, section, name)
            if name in found:
                message = f'duplicate {section} "{name}"'
                hint = f"the other is declared at {found[name].pos}"
                self.problem(codes.DUPLICATE_RESOURCE, message, hint, node.pos, section, name)
            elif node.is_mapping() or node.value is None:
                found[name] = node
            else:
                hint = "write its properties below it"
                message = f'{section} "{name}" must be a mapping of properties'
                self.problem(codes.WRONG_TYPE, message, hint, node.pos, section, name)

    def sections(
        self, filler: Filler, settings: Node, declared: list[dict[str, dict[str, Node]]]
    ) -> dict[str, dict[str, DeclaredResource]]:
        defaults = settings.value.get("defaults", Node({}, settings.pos)).value
        for section, node in defaults.items():
            if section not in self.known:
                self.unknown(section, node)
        made: dict[str, dict[str, DeclaredResource]] = {}
        for section in dict.fromkeys(section for layer in declared for section in layer):
            below = self.common_properties(settings, defaults.get(section))
            filler.secret = partial(registry.is_secret, section)
            for name, node in self.folded(section, below, declared).items():
                env: Env = {}
                filler.address = str(Address(section, name))
                written = filler.resource(node, env)
                places = Places(node, _read_key)
                made.setdefault(section, {})[name] = DeclaredResource(
                    value=written.value, pos=places, env=env, written=written
                )
        return made

    def common_properties(self, settings: Node, defaults: Node | None) -> Node:
        """What is merged beneath every resource of a section: the environment's tags, then the section's defaults."""
        tags = settings.value.get("tags")
        start = Node({"tags": tags} if tags is not None and tags.value else {}, settings.pos)
        return as_plain(patch(start, defaults, self.useless_nulls) if defaults is not None else start)

    def folded(self, section: str, below: Node, declared: list[dict[str, dict[str, Node]]]) -> dict[str, Node]:
        made: dict[str, Node] = {}
        for layer in declared:
            for name, node in layer.get(section, {}).items():
                if node.is_mapping():
                    made[name] = patch(made.get(name, below), node, self.useless_nulls)
                elif made.pop(name, None) is None:
                    hint = f"write {name}: {{}} for one without properties; or is what follows not indented?"
                    self.problem(codes.EMPTY_RESOURCE, f'{section} "{name}" is empty', hint, node.pos, section, name)
        return made

    def problem(
        self, code: codes.ProblemCode, message: str, hint: str, pos: Pos, section: str = "", name: str = ""
    ) -> None:
        """Add a problem; of a setting or section, or of a resource."""
        address = str(Address(section, name)) if name else ""
        self.read.problems.append(
            Problem(code=code, message=message, hint=hint, address=address, path=section if not name else "", pos=pos)
        )


# What a variable, a default or a base that could not be read would explain
_FOLLOW_UPS = (codes.UNKNOWN_VARIABLE, codes.EMPTY_RESOURCE, codes.MISSING_FIELD)
_PLAIN = ("region", "account", "profile", "roleArn", "externalId", "sessionName", "ignoreTags", "ignoreRules")


def _name_in(value: Any) -> str:
    """The name of the first item of a list as AWS describes resources (``jobQueueName``); ``name`` if there is none."""
    first = value[0].value if isinstance(value, list) and value else None
    members = first.items() if isinstance(first, dict) else ()
    return next((str(node.value) for key, node in members if key.lower().endswith("name")), "name")


def _read_key(written: str) -> str:
    return expressions.key(written)[0]


def _at(pos: Mapping[Path, Pos]) -> Any:
    def at(path: Path) -> Pos:
        while path and path not in pos:
            path = path[:-1]
        return pos[path]

    return at


def _not_mappings(settings: Node, values: Mapping[str, Any], at: Any) -> Iterator[Problem]:
    """Settings that must be mappings before variables are known, and are expressions."""
    lookups = values.get("lookups")
    places: list[tuple[Path, Any]] = [(("tags",), values.get("tags")), (("lookups",), lookups)]
    for name, lookup in lookups.items() if isinstance(lookups, dict) else ():
        places.append((("lookups", name), lookup))
        kinds = lookup.items() if isinstance(lookup, dict) else ()
        places += [(("lookups", name, kind), args) for kind, args in kinds if not _by_text(kind)]
    defaults = settings.value.get("defaults")
    if defaults is not None:  # merged before variables are known
        sections = defaults.value.items() if isinstance(defaults.value, dict) else ()
        places += [(("defaults",), defaults.value), *((("defaults", name), node.value) for name, node in sections)]
    for path, value in places:
        if isinstance(value, Template) or (path[0] == "defaults" and isinstance(value, str)):
            shown = ".".join(map(str, path))
            hint = "write its members; expressions are allowed in their values"
            yield Problem(
                code=codes.BAD_EXPRESSION, message=f"{shown} must be a mapping", hint=hint, path=shown, pos=at(path)
            )


def _by_text(kind: str) -> bool:
    return kind in LOOKUP_KINDS and LOOKUP_KINDS[kind].by_text


def _useless_null(null: UselessNull) -> Problem:
    hint = "give it a value; null only removes an inherited setting"
    shown = "the value" if is_no_name(null.name) else null.name  # a secret may stand in a key's place
    return Problem(code=codes.IDLE_NULL, message=f"{shown} is empty", hint=hint, warning=True, pos=null.pos)


def _identity(values: Mapping[str, Any]) -> dict[str, Any]:
    """Region, account, profile and role; what needs an environment variable that is not set is left out."""
    known = {key: values[key] for key in _PLAIN if isinstance(values.get(key), str)}
    role = {key: known[key] for key in ("roleArn", "externalId", "sessionName") if key in known}
    return {
        **{key: known.get(key) for key in ("region", "account", "profile")},
        "role": role if "roleArn" in role else None,
    }


def _lookups(values: Mapping[str, Any], at: Any) -> dict[str, Lookup]:
    return {
        name: Lookup(name=name, kind=kind, args=args, pos=at(("lookups", name)))
        for name, value in values.items()
        for kind, args in value.items()
    }
