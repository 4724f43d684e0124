"""Every check of an environment that needs no AWS.

First the schema; then, for resources that pass it, short forms are expanded and the kind's own checks run; then what
concerns several resources: references without a target, cycles, likely misspellings. One run finds all problems, and
reports each once, even where many resources inherit it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from reconciler.checks import containers, reference_targets, references, secrets, setting_resources, settings
from reconciler.checks.findings import as_problem
from reconciler.checks.ignored_rules import by_address, without_ignored
from reconciler.checks.lifecycle import read_lifecycle
from reconciler.checks.passed import Passed
from reconciler.checks.tags import tag_problems, unused_tags
from reconciler.config import expressions, links, names
from reconciler.config import references as references_in
from reconciler.config.files import Missing
from reconciler.config.loader import DeclaredResource, LoadedEnvironment
from reconciler.config.variables import GIVEN
from reconciler.model import (
    EMPTY,
    Address,
    Environment,
    Field,
    Finding,
    Json,
    Kind,
    Lifecycle,
    Path,
    Reference,
    Resource,
    Template,
    UnknownMember,
)
from reconciler.model import problem_codes as codes
from reconciler.model.identity import once_for_each_object
from reconciler.model.masking import SHORT, Cover, looks_secret, private_name
from reconciler.model.paths import dotted, values_by
from reconciler.model.problems import Problem, article, did_you_mean, one_of, ordered
from reconciler.model.when_used import when_used
from reconciler.schema import aws_model, registry
from reconciler.schema.registry import Schemas

with when_used():
    from reconciler.checks.findings import as_problem

Kinds = Mapping[str, Kind]

# Codes of problems of one value, which it has whatever is merged with it
_OF_ONE_VALUE = (
    *(codes.UNKNOWN_FIELD, codes.WRONG_TYPE, codes.BAD_EXPRESSION, codes.FOREIGN_EXPRESSION, codes.SECRET_IN_CLEAR),
    *(codes.OUT_OF_RANGE, codes.NEWER_MEMBER, codes.NEWER_VALUE),
)


def environment(
    loaded: LoadedEnvironment, kinds: Kinds, schemas: Schemas | None = None, passed: Passed | None = None
) -> tuple[Environment, tuple[Problem, ...]]:
    """The checked environment, and all its errors and warnings; with an error it must not be planned.

    Of one that has problems already, what these may have caused is not checked. The own checks of resources that
    ``passed`` them before are not made again; those that pass them now are added.
    """
    known = schemas or registry.shipped()
    loaded, of_settings = setting_resources.with_settings(loaded, kinds)
    loaded = containers.with_containers(loaded, kinds)
    found: list[Problem] = [*loaded.warnings, *settings.problems(loaded), *of_settings]
    named = names.physical_names(loaded, kinds)
    found += names.problems(loaded, kinds, named)
    resources, problems = _each(loaded, kinds, known, named, passed)
    found += problems
    place = links.Place(environment=loaded.name, account=loaded.account, region=loaded.region)
    linked = links.link(resources, kinds, place)
    wrong = {problem.pos for problem in found if not problem.warning}
    if loaded.missing is Missing.NOTHING:
        found += references.problems(loaded, kinds, linked)
        wrong = {problem.pos for problem in found if not problem.warning}
        found += (problem for problem in reference_targets.problems(loaded, kinds, linked) if problem.pos not in wrong)
    found = [one for one in found if one.code is not codes.UNQUOTED_NUMBER or one.pos not in wrong]
    found = without_ignored(loaded, found)
    private = secrets.secret_texts(loaded, kinds, passed)
    env = Environment(
        name=loaded.name,
        root=loaded.root,
        region=loaded.region,
        account=loaded.account,
        profile=loaded.profile,
        role=loaded.role or {},
        tags=loaded.tags,
        ignore_tags=loaded.ignore_tags,
        lookups=loaded.lookups,
        resources=resources,
        sensitive=loaded.sensitive | {text for text in private if len(text) >= SHORT},
        given={name: one.value for name, one in loaded.given.items()},
        private=secrets.secret_variables(loaded, kinds),
        name_prefix=loaded.name_prefix,
        ignored=by_address(loaded),
    )
    return env, _without_repeats(found, Cover(private))


def _each(
    loaded: LoadedEnvironment, kinds: Kinds, schemas: Schemas, named: Mapping[Address, Any], passed: Passed | None
) -> tuple[dict[Address, Resource], list[Problem]]:
    """The resources that may be planned, and what is wrong with single ones."""
    resources: dict[Address, Resource] = {}
    found: list[Problem] = []
    for section, raws in loaded.sections.items():
        if section not in kinds:
            found.append(_unknown_section(section, raws, kinds))
            continue
        for name, raw in raws.items():
            address = Address(section, name)
            given = named[address]
            physical, kind = names.likely(given, loaded), kinds[section]
            if passed and passed.before(address, raw, kind, physical, loaded.tags):
                resource: Resource | None = _unchecked(address, raw, kind, Lifecycle(), EMPTY)
            else:
                resource, problems = _resource(address, raw, kind, schemas, loaded.tags, physical, passed)
                if passed and (problems or resource is None or resource.unknown_members):
                    passed.not_now(address)
                if loaded.missing is Missing.VALUES:
                    problems = [problem for problem in problems if problem.code in _OF_ONE_VALUE]
                found += problems
            if resource is not None:
                resources[address] = resource if given == name else replace(resource, physical=given)
        found += _same_names(section, raws, kinds[section])
    return resources, found


def independent(found: Iterable[Problem], earlier: Iterable[Problem]) -> Iterator[Problem]:
    """What was ``found`` at other places than the ``earlier`` problems, which may explain it."""
    explained = {problem.pos for problem in earlier}
    return (problem for problem in found if problem.pos is None or problem.pos not in explained)


def _without_repeats(problems: Iterable[Problem], hidden: Callable[[str], str]) -> tuple[Problem, ...]:
    """The problems in order, without repeats at the same place, and with secrets masked."""
    first: dict[Any, Problem] = {}
    for found in ordered(problems):
        first.setdefault((found.pos, found.code, found.message), found)
    return tuple(
        replace(found, message=hidden(found.message), hint=hidden(found.hint), path=hidden(found.path))
        for found in first.values()
    )


def _unknown_section(section: str, raws: Mapping[str, DeclaredResource], kinds: Kinds) -> Problem:
    hint = did_you_mean(section, kinds) or one_of(list(kinds), most=30)
    pos = next(iter(raws.values())).at() if raws else None
    return Problem(code=codes.UNKNOWN_SECTION, message=f'unknown section "{section}"', hint=hint, pos=pos)


def _same_names(section: str, raws: Mapping[str, DeclaredResource], kind: Kind) -> Iterator[Problem]:
    """Names that differ in case only, where they are the same name to AWS."""
    seen: dict[str, str] = {}
    for name, raw in raws.items():
        other = seen.setdefault(name.lower(), name)
        if kind.folds_case and other != name:
            message = f'"{name}" and "{other}" are the same name to AWS'
            hint = f"the other is declared at {raws[other].at()}"
            address = str(Address(section, name))
            yield Problem(code=codes.DUPLICATE_RESOURCE, message=message, hint=hint, address=address, pos=raw.at())


def _resource(
    address: Address,
    raw: DeclaredResource,
    kind: Kind,
    schemas: Schemas,
    common: Mapping[str, Any],
    physical: str,
    passed: Passed | None,
) -> tuple[Resource | None, list[Problem]]:
    at = raw.at
    if (value := names.without_name(raw.value, kind)) is not raw.value:
        raw = replace(raw, value=value)
    extension = aws_model.ModelExtension(kind)
    validate = partial(
        schemas.resource, address.section, at=at, address=str(address), name=address.name, extension=extension
    )
    found = validate(raw.value)
    if found and any(problem.code is codes.WRONG_TYPE for problem in found):
        raw = replace(raw, value=schemas.with_texts(address.section, raw.value))
        found = validate(raw.value)
        if passed:  # the check has changed what is declared
            passed.not_now(address)
    found += tag_problems(address, raw, kind)
    found += unused_tags(address, raw, kind, common)
    found += _foreign_expressions(address, raw)
    lifecycle, problems = read_lifecycle(address, raw, schemas, extension)
    found += [*problems, *_secrets(address, raw, kind)]
    if found and any(not problem.warning for problem in found):
        return None, [*found, *_of_the_rest(address, raw, kind, physical, found, validate)]
    if _lacks_values(raw):
        return None, found
    resource = _unchecked(address, raw, kind, lifecycle, extension.unknown_members)
    findings = list(kind.check(physical, _by_name(kind, address, physical, resource.props)))
    if len(physical) > kind.max_name and not any(finding.path == () for finding in findings):
        message = f"the name has {len(physical)} characters; {article(kind.name)} may have {kind.max_name}"
        findings.append(Finding((), message, "choose a shorter one", codes.OUT_OF_RANGE))
    found += [as_problem(finding, address, resource.at(finding.path)) for finding in findings]
    return resource, found


def _unchecked(
    address: Address, raw: DeclaredResource, kind: Kind, lifecycle: Lifecycle, unknown: Mapping[str, UnknownMember]
) -> Resource:
    """The resource, of which nothing is checked."""
    value = names.without_name(raw.value, kind)
    given = {name: item for name, item in value.items() if name not in ("tags", "lifecycle")}
    props = kind.expanded(address.name, given)
    resource = Resource(
        address=address,
        props=props,
        tags=raw.value.get("tags", {}),
        lifecycle=lifecycle,
        pos=raw.with_moved(kind.declared_at(raw.value)).pos,
        unknown_members=unknown,
    )
    references_in.remember(resource, given, raw.templates())
    return resource


_OF_MEMBERS: Final = (codes.MISSING_FIELD, codes.UNKNOWN_FIELD)
_UNKNOWN: Final = Template((Reference("var", "${var.unknown}"),))


def _of_the_rest(
    address: Address,
    raw: DeclaredResource,
    kind: Kind,
    physical: str,
    wrong: Sequence[Problem],
    validate: Callable[[Any], Sequence[Problem]],
) -> Iterator[Problem]:
    """The problems that the kind finds in values that are not ``wrong``, which count as unknown: what depends on them
    is not judged. None where the rest does not pass the schema, by ``validate``: kinds rely on it.
    """
    errors = {problem.pos for problem in wrong if not problem.warning and problem.code is not codes.MISSING_FIELD}
    value: Any = {name: item for name, item in raw.value.items() if name not in ("tags", "lifecycle")}
    for path, pos in raw.pos.items():
        if pos in errors and path:
            value = _with_unknown(value, path)
    if any(not problem.warning and problem.code not in _OF_MEMBERS for problem in validate(value)):
        return
    raw = raw.with_moved(kind.declared_at(raw.value))
    for finding in kind.check(physical, _by_name(kind, address, physical, kind.expanded(address.name, value))):
        pos = raw.at(finding.path)
        if finding.path and finding.code in (codes.INVALID_VALUE, *_OF_ONE_VALUE) and pos not in errors:
            yield as_problem(finding, address, pos)


def _by_name(kind: Kind, address: Address, physical: str, props: Json) -> Json:
    """The properties, with what the physical name implies in place of what the logical one does."""
    logical = kind.implied(address.name)
    real = kind.implied(physical).items()
    return {**props, **{name: value for name, value in real if props.get(name) == logical.get(name)}}


def _with_unknown(value: Any, path: Path) -> Any:
    """``value`` in which what is at ``path`` is an expression; as it is where nothing is there."""
    if not path:
        return _UNKNOWN
    if isinstance(value, Mapping) and path[0] in value:
        return {**value, path[0]: _with_unknown(value[path[0]], path[1:])}
    if isinstance(value, list) and isinstance(path[0], int) and path[0] < len(value):
        return [_with_unknown(item, path[1:]) if index == path[0] else item for index, item in enumerate(value)]
    return value


def _lacks_values(raw: DeclaredResource) -> bool:
    """Whether there is a variable or a file in it that could not be filled in, which is reported by itself."""
    return any(reference.root in ("var", "file") for _, reference in references_in.references(raw.templates()))


def _foreign_expressions(address: Address, raw: DeclaredResource) -> Iterator[Problem]:
    """Expressions in the syntax of another tool, which are plain text here."""
    if not expressions.may_be_foreign(repr(raw.value)):  # the quickest way to see all of it
        return
    for path, text in _texts(raw.value, expressions.may_be_foreign):
        if (written := expressions.foreign(text)) and not registry.is_secret(address.section, path):
            inner = written.strip("{}()$ ")
            hint = f"an expression is written ${{{inner}}}"
            message = f"{written} is not an expression and is used literally"
            yield as_problem(
                Finding(path, message, hint, codes.FOREIGN_EXPRESSION, warning=True), address, raw.at(path)
            )


def _texts(value: Any, wanted: Callable[[str], bool]) -> list[tuple[Path, str]]:
    """Every text in ``value``, keys excepted, for which ``wanted`` is true, with its path."""
    if isinstance(value, str):
        return [((), value)] if wanted(value) else []
    if isinstance(value, Template):
        return [((), part) for part in value.parts if isinstance(part, str) and wanted(part)]
    members: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict | Mapping):
        members = value.items()
    elif isinstance(value, list):
        members = enumerate(value)
    found: list[tuple[Path, str]] = []
    for name, item in members:
        if (type(item) is not str or wanted(item)) and (below := _texts(item, wanted)):
            found += [((name, *at), text) for at, text in below]
    return found


def _secrets(address: Address, raw: DeclaredResource, kind: Kind) -> Iterator[Problem]:
    """A secret in plain text in the file, or in a property that AWS shows in plain text."""
    for path, _, value in values_by(raw.value, _secret_fields(kind)):
        if _plain_text(value) and not any(place[: len(path)] == path for place in raw.env):
            message = "the secret is in plain text in this file"
            hint = "take it from the environment: ${env:NAME}"
            yield as_problem(Finding(path, message, hint, codes.SECRET_IN_CLEAR, warning=True), address, raw.at(path))
    for path, used in raw.env.items():
        for name in sorted(filter(_named_secret, used)):
            if not registry.is_secret_of(kind, path):
                message = f"the value of {name} is used in {dotted(path)}, which AWS shows in plain text"
                hint = "keep it in a secret and refer to that"
                yield as_problem(
                    Finding(path, message, hint, codes.SECRET_IN_CLEAR, warning=True), address, raw.at(path)
                )


@once_for_each_object
def _secret_fields(kind: Kind) -> Mapping[str, Field]:
    return {path: facts for path, facts in kind.fields.items() if facts.secret}


def _named_secret(name: str) -> bool:
    """Whether an environment variable, or a given value of a variable, has a name like that of a secret."""
    return private_name(name) if name.startswith(GIVEN) else looks_secret(name)


def _plain_text(value: Any) -> bool:
    """Whether there is any final text in ``value``: neither an expression nor empty."""
    if isinstance(value, Mapping):
        return any(map(_plain_text, value.values()))
    return isinstance(value, str) and bool(value)
