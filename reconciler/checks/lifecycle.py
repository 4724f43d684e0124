"""A resource's ``lifecycle``: read, and checked against its kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.checks import ignored_rules
from reconciler.checks.references import addresses
from reconciler.config import references
from reconciler.config.loader import DeclaredResource
from reconciler.model import Address, Finding, Kind, Lifecycle, Path, Replace, examples
from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem, article, did_you_mean, one_of
from reconciler.model.when_used import when_used
from reconciler.schema import aws_model
from reconciler.schema.registry import Schemas

with when_used():
    from reconciler.checks.findings import as_problem


def read_lifecycle(
    address: Address, raw: DeclaredResource, schemas: Schemas, extension: aws_model.ModelExtension
) -> tuple[Lifecycle, list[Problem]]:
    """The lifecycle of a resource and its problems; the default one where the schema already refuses it."""
    written = raw.value.get("lifecycle")
    if not isinstance(written, Mapping) or schemas.lifecycle(written):
        return Lifecycle(), []  # the schema's check reports it
    findings = list(_invalid_members(written, extension, schemas.members(address.section)))
    depends = addresses(written.get("dependsOn", ()))
    if address in depends:
        at: Path = ("lifecycle", "dependsOn", depends.index(address))
        findings.append(Finding(at, "the resource depends on itself", "remove this", codes.REFERENCE_CYCLE))
    replaces = written.get("replace")
    lifecycle = Lifecycle(
        prevent_destroy=written.get("preventDestroy", False),
        ignore_changes=tuple(_items_of(written, "ignoreChanges")),
        replace=Replace(replaces) if isinstance(replaces, str) else None,
        depends_on=tuple(target for target in depends if target is not None),
        adopt=written.get("adopt", False),
        keep_revisions=written.get("keepRevisions", 2),
        drain=written.get("drain", "wait"),
        drain_timeout_minutes=written.get("drainTimeoutMinutes", 120),
    )
    problems = [as_problem(item, address, raw.at(item.path)) for item in findings]
    return lifecycle, problems


def _invalid_members(
    written: Mapping[str, Any], extension: aws_model.ModelExtension, members: Mapping[str, Any]
) -> Iterator[Finding]:
    kind = extension.kind
    for path, reference in references.templates(written, ("lifecycle",)):
        yield Finding(
            path, f"lifecycle cannot contain expressions: {reference}", "write a plain value", codes.BAD_EXPRESSION
        )
    yield from ignored_rules.misuses(written.get(ignored_rules.RULES), ("lifecycle", ignored_rules.RULES))
    if "replace" in written and kind.replace is Replace.FORBIDDEN:
        hint = "to change a property that cannot be updated, declare the resource under a new name"
        yield Finding(("lifecycle", "replace"), f"{article(kind.name)} is never replaced", hint)
    if "keepRevisions" in written and not (kind.versioned or kind.changed_by_update):
        yield Finding(("lifecycle", "keepRevisions"), f"{article(kind.name)} has no revisions", "remove the line")
    for name in ("drain", "drainTimeoutMinutes"):
        if name in written and kind.replace in (Replace.FORBIDDEN, Replace.DECLARED):
            hint = f"only {examples.DRAINED} can be drained; remove the line"
            yield Finding(("lifecycle", name), f"{article(kind.name)} is not drained", hint)
    for index, ignored in enumerate(_items_of(written, "ignoreChanges")):
        way_out = _unknown_path(ignored, members, kind) if isinstance(ignored, str) else None
        if way_out is not None and not extension.has(ignored):
            at: Path = ("lifecycle", "ignoreChanges", index)
            yield Finding(at, f'{article(kind.name)} has no property "{ignored}"', way_out, codes.UNKNOWN_FIELD)


def _items_of(written: Mapping[str, Any], name: str) -> list[Any]:
    """The items of a list; none where it is an expression, which is reported by itself."""
    value = written.get(name)
    return value if isinstance(value, list) else []


def _unknown_path(path: str, members: Mapping[str, Any], kind: Kind) -> str | None:
    """The hint for an ``ignoreChanges`` path that does not exist; None if it exists."""
    tree: Mapping[str, Any] = members
    walked = ""
    if path.startswith(f"{kind.section}.") and kind.section not in members:
        return f"write the path inside the resource only, as in {examples.PATH}"
    for step in path.replace("[]", "").split("."):
        if not walked and step in ("tags", "lifecycle"):
            return "list tags that are set outside reconcile in ignoreTags" if step == "tags" else "remove it"
        facts = kind.fields.get(walked)
        if step.isdigit() or (facts is not None and facts.key and step not in tree):
            continue
        if step not in tree and "*" not in tree:
            return did_you_mean(step, tree) or (one_of(list(tree)) if tree else f"{walked} has no members")
        tree, walked = tree.get(step, tree.get("*", {})), f"{walked}.{step}".lstrip(".")
    return None
