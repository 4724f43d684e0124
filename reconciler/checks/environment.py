"""Everything about an environment that can be judged without AWS.

Schema first; then, for resources that pass it, conveniences are expanded and the kind's own rules applied; then what
resources say about each other: references that lead nowhere, cycles, names that look like a slip. All problems are
found in one go, each once even where many resources inherit it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from reconciler.checks import reference_targets as fits
from reconciler.checks import references as links
from reconciler.checks import secrets as secrecy
from reconciler.checks import settings
from reconciler.config import expressions
from reconciler.config import references as refs
from reconciler.config.loader import Loaded, RawResource
from reconciler.config.variables import looks_secret
from reconciler.model import (
    OWNER_PREFIX,
    Address,
    Environment,
    Finding,
    Kind,
    Lifecycle,
    Path,
    Pos,
    Replace,
    Resource,
    Template,
)
from reconciler.model.masking import SHORT, Cover
from reconciler.model.problems import Problem, did_you_mean, one_of, ordered
from reconciler.schema import aws_model as awsmodel
from reconciler.schema import registry as schema
from reconciler.schema.registry import Schemas

Kinds = Mapping[str, Kind]

# Those whose API describes the characters of a tag, and refuses others:
# https://docs.aws.amazon.com/IAM/latest/APIReference/API_Tag.html
_PLAIN_TAGS = ("roles", "policies", "instanceProfiles", "logGroups")
_TAG_TEXT = re.compile(r"[\w\s.:/=+\-@]*")

# AWS allows 50 user tags on nearly everything; two of them are the tool's own.
# https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html#tag-conventions
MAX_TAGS = 48


def environment(
    loaded: Loaded, kinds: Kinds, schemas: Schemas | None = None
) -> tuple[Environment, tuple[Problem, ...]]:
    """The environment, and every problem found, errors and warnings; with an error it must not be planned."""
    known = schemas or schema.shipped()
    found: list[Problem] = [*loaded.warnings, *settings.problems(loaded)]
    resources: dict[Address, Resource] = {}
    for section, raws in loaded.sections.items():
        if section not in kinds:
            found.append(_unknown_section(section, raws, kinds))
            continue
        for name, raw in raws.items():
            address = Address(section, name)
            resource, problems = _resource(address, raw, kinds[section], known, loaded.tags)
            found += problems
            if resource is not None:
                resources[address] = resource
        found += _clashing(section, raws, kinds[section])
    found += links.problems(loaded, kinds, resources)
    wrong = {problem.pos for problem in found if not problem.warning}
    found += (problem for problem in fits.problems(loaded, kinds, resources) if problem.pos not in wrong)
    private = secrecy.declared(loaded, kinds)
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
    )
    return env, _folded(found, Cover(private))


def _folded(problems: Iterable[Problem], hidden: Callable[[str], str]) -> tuple[Problem, ...]:
    """In order, a repeat at the same place left out, and nothing sensitive in any."""
    first: dict[Any, Problem] = {}
    for found in ordered(problems):
        first.setdefault((found.pos, found.code, found.message), found)
    return tuple(replace(found, message=hidden(found.message), hint=hidden(found.hint)) for found in first.values())


def _unknown_section(section: str, raws: Mapping[str, RawResource], kinds: Kinds) -> Problem:
    hint = did_you_mean(section, kinds) or one_of(list(kinds), most=30)
    pos = next(iter(raws.values())).at() if raws else None
    return Problem(code="unknown-section", message=f'unknown section "{section}"', hint=hint, pos=pos)


def _clashing(section: str, raws: Mapping[str, RawResource], kind: Kind) -> Iterator[Problem]:
    """Names that differ in case alone, where AWS takes them for the same."""
    seen: dict[str, str] = {}
    for name, raw in raws.items():
        other = seen.setdefault(name.lower(), name)
        if kind.folds_case and other != name:
            message = f'"{name}" and "{other}" are the same name to AWS'
            hint = f"the other stands at {raws[other].at()}"
            address = str(Address(section, name))
            yield Problem(code="duplicate-resource", message=message, hint=hint, address=address, pos=raw.at())


def _resource(
    address: Address, raw: RawResource, kind: Kind, schemas: Schemas, common: Mapping[str, Any]
) -> tuple[Resource | None, list[Problem]]:
    at = raw.at
    asked = awsmodel.Asked(kind)
    found = schemas.resource(address.section, raw.value, at=at, address=str(address), name=address.name, beyond=asked)
    found += _tags(address, raw, kind)
    found += _untaggable(address, raw, kind, common)
    found += _foreign(address, raw)
    lifecycle, problems = _lifecycle(address, raw, schemas, asked)
    found += [*problems, *_secrets(address, raw, kind)]
    if any(not problem.warning for problem in found):
        return None, found
    given = {name: value for name, value in raw.value.items() if name not in ("tags", "lifecycle")}
    props = kind.expanded(address.name, given)
    findings = list(kind.check(address.name, props))
    if len(address.name) > kind.max_name and not any(finding.path == () for finding in findings):
        message = f"the name has {len(address.name)} characters; a {kind.name} may have {kind.max_name}"
        findings.append(Finding((), message, "choose a shorter one", "out-of-range"))
    found += [_finding(finding, address, at(finding.path)) for finding in findings]
    tags = raw.value.get("tags", {})
    resource = Resource(address=address, props=props, tags=tags, lifecycle=lifecycle, pos=raw.pos, newer=asked.newer)
    return resource, found


def _finding(finding: Finding, address: Address, pos: Pos) -> Problem:
    return Problem(
        code=finding.code,
        message=finding.message,
        hint=finding.hint,
        warning=finding.warning,
        address=str(address),
        path=refs.dotted(finding.path),
        pos=pos,
    )


def _foreign(address: Address, raw: RawResource) -> Iterator[Problem]:
    """Expressions written another tool's way, which here are text like any other."""
    for path, text in _texts(raw.value, expressions.may_be_foreign):
        if (written := expressions.foreign(text)) and not schema.is_secret(address.section, path):
            inner = written.strip("{}()$ ")
            hint = f"an expression is written ${{{inner}}}"
            message = f"{written} stays as it is: it is not an expression"
            yield _finding(Finding(path, message, hint, "foreign-expression", warning=True), address, raw.at(path))


def _texts(value: Any, wanted: Callable[[str], bool]) -> list[tuple[Path, str]]:
    """Every text in ``value``, keys aside, that is wanted."""
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


def _secrets(address: Address, raw: RawResource, kind: Kind) -> Iterator[Problem]:
    """A secret that goes where everyone may read it, or that stands in the file."""
    for pattern in (path for path, facts in kind.fields.items() if facts.secret):
        for path, value in refs.values_at(raw.value, pattern):
            if _plain_text(value) and not any(place[: len(path)] == path for place in raw.env):
                message, hint = "the secret stands in the file", "take it from the environment: ${env:NAME}"
                yield _finding(Finding(path, message, hint, "secret-in-clear", warning=True), address, raw.at(path))
    for path, names in raw.env.items():
        for name in sorted(filter(looks_secret, names)):
            if not schema.is_secret_of(kind, path):
                message = f"the value of {name} goes into {refs.dotted(path)}, which AWS shows in clear text"
                hint = "keep it in a secret and refer to that"
                yield _finding(Finding(path, message, hint, "secret-in-clear", warning=True), address, raw.at(path))


def _plain_text(value: Any) -> bool:
    """Whether there is any final text in ``value``: neither an expression nor empty."""
    if isinstance(value, Mapping):
        return any(map(_plain_text, value.values()))
    return isinstance(value, str) and bool(value)


def _untaggable(address: Address, raw: RawResource, kind: Kind, common: Mapping[str, Any]) -> Iterator[Problem]:
    """Tags of its own on what belongs to the account; those of the whole environment are for the others."""
    tags = raw.value.get("tags")
    own = [name for name in tags if tags[name] != common.get(name)] if isinstance(tags, Mapping) else []
    if kind.shared and own:
        message = f"a {kind.name} belongs to the account: its tags are left alone"
        finding = Finding(("tags",), message, "leave out its tags", "tags-unused", warning=True)
        yield _finding(finding, address, raw.at(("tags", own[0])))


# --- tags ------------------------------------------------------------------------------------------------------------


def _tags(address: Address, raw: RawResource, kind: Kind) -> Iterator[Problem]:
    tags = raw.value.get("tags")
    if not isinstance(tags, Mapping):
        return
    seen: dict[str, str] = {}
    for name, value in tags.items():
        at: Path = ("tags", name)
        other = seen.setdefault(name.lower(), name)
        if finding := _tag(name, value, at) or _told_apart(name, other, kind, at) or _plain_tag(name, value, kind, at):
            yield _finding(finding, address, raw.at(at))
    if len(tags) > MAX_TAGS:
        message = f"these are {len(tags)} tags; AWS allows 50, of which two are kept for the ownership tags"
        finding = Finding(("tags",), message, "remove some, here or in the environment's tags", "out-of-range")
        yield _finding(finding, address, raw.at(("tags",)))


def _tag(name: str, value: Any, path: Path) -> Finding | None:
    if name.lower().startswith("aws:"):
        return Finding(path, f'the tag "{name}" cannot be set: aws: is reserved for AWS', "choose another name")
    if name.startswith(OWNER_PREFIX):
        return Finding(path, f'the tag "{name}" is set by reconcile itself', "choose another name")
    if len(name) > 128:
        return Finding(path, f"the tag's name has {len(name)} characters; at most 128", "shorten it", "out-of-range")
    if isinstance(value, str) and len(value) > 256:
        return Finding(path, f'the tag "{name}" has {len(value)} characters; at most 256', "shorten it", "out-of-range")
    return None


def _told_apart(name: str, other: str, kind: Kind, path: Path) -> Finding | None:
    if other == name or not kind.folds_case:
        return None
    return Finding(path, f'the tags "{other}" and "{name}" differ in case alone, and to IAM are the same', "keep one")


def _plain_tag(name: str, value: Any, kind: Kind, path: Path) -> Finding | None:
    odd = [char for text in (name, value) if isinstance(text, str) for char in text if not _TAG_TEXT.fullmatch(char)]
    if not odd or kind.section not in _PLAIN_TAGS:
        return None
    hint = "letters, digits, spaces and _ . : / = + - @"
    return Finding(path, f'a {kind.name} cannot have "{odd[0]}" in a tag', hint)


# --- lifecycle -------------------------------------------------------------------------------------------------------


def _lifecycle(
    address: Address, raw: RawResource, schemas: Schemas, asked: awsmodel.Asked
) -> tuple[Lifecycle, list[Problem]]:
    written = raw.value.get("lifecycle")
    if not isinstance(written, Mapping) or schemas.lifecycle(written):
        return Lifecycle(), []  # the schema has said what is wrong
    findings = list(_unfit(written, asked, schemas.members(address.section)))
    depends = links.addresses(written.get("dependsOn", ()))
    if address in depends:
        at: Path = ("lifecycle", "dependsOn", depends.index(address))
        findings.append(Finding(at, "the resource depends on itself", "remove this", "reference-cycle"))
    replaces = written.get("replace")
    lifecycle = Lifecycle(
        prevent_destroy=written.get("preventDestroy", False),
        ignore_changes=tuple(_listed(written, "ignoreChanges")),
        replace=Replace(replaces) if isinstance(replaces, str) else None,
        depends_on=tuple(target for target in depends if target is not None),
        adopt=written.get("adopt", False),
        keep_revisions=written.get("keepRevisions", 2),
        drain=written.get("drain", "wait"),
        drain_timeout_minutes=written.get("drainTimeoutMinutes", 120),
    )
    problems = [_finding(item, address, raw.at(item.path)) for item in findings]
    return lifecycle, problems


def _unfit(written: Mapping[str, Any], asked: awsmodel.Asked, members: Mapping[str, Any]) -> Iterator[Finding]:
    kind = asked.kind
    for path, reference in refs.templates(written, ("lifecycle",)):
        yield Finding(path, f"lifecycle cannot wait for {reference}", "write a plain value", "bad-expression")
    if "replace" in written and kind.replace is Replace.FORBIDDEN:
        hint = "what cannot be changed in place is declared under a new name"
        yield Finding(("lifecycle", "replace"), f"a {kind.name} is never replaced", hint)
    if "keepRevisions" in written and not (kind.versioned or kind.renews):
        yield Finding(("lifecycle", "keepRevisions"), f"a {kind.name} has no revisions", "remove the line")
    for name in ("drain", "drainTimeoutMinutes"):
        if name in written and kind.replace in (Replace.FORBIDDEN, Replace.DECLARED):
            hint = "it is for compute environments that are replaced; remove the line"
            yield Finding(("lifecycle", name), f"a {kind.name} is not drained", hint)
    for index, ignored in enumerate(_listed(written, "ignoreChanges")):
        way_out = _unknown_path(ignored, members, kind) if isinstance(ignored, str) else None
        if way_out is not None and not asked.has(ignored):
            at: Path = ("lifecycle", "ignoreChanges", index)
            yield Finding(at, f'a {kind.name} has no property "{ignored}"', way_out, "unknown-field")


def _listed(written: Mapping[str, Any], name: str) -> list[Any]:
    """The items of a list; none where an expression stands in its place, which has its own problem."""
    value = written.get(name)
    return value if isinstance(value, list) else []


def _unknown_path(path: str, members: Mapping[str, Any], kind: Kind) -> str | None:
    """The hint for an ``ignoreChanges`` path that leads nowhere; None where it leads somewhere."""
    tree: Mapping[str, Any] = members
    walked = ""
    if path.startswith(f"{kind.section}.") and kind.section not in members:
        return "write the path inside the resource only, as in computeResources.maxvCpus"
    for step in path.replace("[]", "").split("."):
        if not walked and step in ("tags", "lifecycle"):
            return "tags that others put on are listed in ignoreTags" if step == "tags" else "remove it"
        facts = kind.fields.get(walked)
        if step.isdigit() or (facts is not None and facts.key and step not in tree):
            continue
        if step not in tree and "*" not in tree:
            return did_you_mean(step, tree) or (one_of(list(tree)) if tree else f"{walked} has no members")
        tree, walked = tree.get(step, tree.get("*", {})), f"{walked}.{step}".lstrip(".")
    return None
