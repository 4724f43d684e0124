"""A template of CloudFormation, or the list of a stack's resources -> the resources of our kinds, by their logical ids.

A template has the names that it gives itself; those that CloudFormation makes are in the list of the stack's resources:
``aws cloudformation describe-stack-resources`` or ``list-stack-resources``, or read from the account. Where CDK made
the template, a resource is called by its path in the application.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from typing import Any, Final

from reconciler.account.client import AwsClient
from reconciler.model import EMPTY, Call, Live, Pos, Refused
from reconciler.model import problem_codes as codes
from reconciler.model.patterns import regex
from reconciler.model.problems import Problem, Problems
from reconciler.model.records import dataclass
from reconciler.operations.importing.other_tools import (
    NO_KIND,
    Collected,
    Foreign,
    Named,
    cloudformation_types,
    key_of,
    part_types,
    place_of,
)

_LISTS: Final = ("StackResources", "StackResourceSummaries")
_LOGICAL_ID: Final = "aws:cloudformation:logical-id"
_STACK: Final = "aws:cloudformation:stack-name"
_PATH: Final = "aws:cdk:path"
_ENDS: Final = ("Resource", "Default")
_HASH: Final = regex(r"(?<=.)[0-9A-F]{8}$")
_SUBSTITUTED: Final = regex(r"\$\{(!?)([^}]*)\}")
_NESTED: Final = "AWS::CloudFormation::Stack"
_SILENT: Final = (
    "AWS::CDK::Metadata",
    "AWS::CloudFormation::WaitConditionHandle",
    "AWS::CloudFormation::WaitCondition",
)
_NOT_CREATED: Final = "the stack does not have it: its condition is not met"
_GONE: Final = "DELETE_COMPLETE"
_MOST: Final = 8 * 1024 * 1024
_GIVE: Final = "give a template (YAML or JSON), or the output of `aws cloudformation describe-stack-resources`"


@dataclass(frozen=True, slots=True)
class Listed:
    """A stack's resources: type and physical id by logical id; ``whole`` if these are all it has."""

    resources: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    whole: bool = False


def stack_resources(aws: AwsClient, stack: str) -> Listed:
    """The resources of a stack in the account. Raises Problems where they cannot be read."""
    call = Call("cloudformation", "ListStackResources", {"StackName": stack}, all_pages=True)
    reply = aws.call_or_raise(call)
    if isinstance(reply, Refused):
        message = f"cannot read the resources of the stack {stack}: {reply.code}: {reply.message}"
        hint = "check the stack's name and the Region, and allow cloudformation:ListStackResources"
        raise Problems([aws.problem_of(call, reply) or Problem(code=codes.UNREADABLE, message=message, hint=hint)])
    return _listed(reply)


def tagged(lives: Mapping[str, Iterable[Live]], stack: str = "") -> Listed:
    """The resources of a stack by the tags that CloudFormation has put on them; without ``stack`` those whose logical
    id is that of no other stack's.
    """
    found: dict[str, set[tuple[str, str]]] = {}
    types = {section: type_ for type_, (section, _) in cloudformation_types().items()}
    for section, group in lives.items():
        for live in group:
            logical = live.tags.get(_LOGICAL_ID)
            if logical and section in types and live.tags.get(_STACK) == (stack or live.tags.get(_STACK)):
                identifier = live.attrs.get("id") or live.attrs.get("arn") or live.physical
                found.setdefault(logical, set()).add((types[section], identifier))
    return Listed({logical: one for logical, (one, *others) in sorted(found.items()) if not others})


def read(
    texts: Iterable[tuple[str, str]], listed: Listed | None = None, facts: Mapping[str, str] = EMPTY
) -> list[Named]:
    """The resources of templates, with the physical ids that lists of a stack's resources have; without a template
    those of the lists.

    ``texts`` are the contents of files, each with its name, ``listed`` what was read from the account; ``facts`` are
    values of pseudo parameters (``AWS::Region``) and of parameters. Raises Problems where a text is neither.
    """
    loaded = [(_template_in(_loaded(text, file), file), file) for text, file in texts]
    lists = [_listed(data) for data, _ in loaded if any(name in data for name in _LISTS)]
    lists += [listed] if listed else []
    templates = [(data, file) for data, file in loaded if not any(name in data for name in _LISTS)]
    if not templates:
        return [of_stack(one) for one in lists]
    found = {logical: resource for one in lists for logical, resource in one.resources.items()}
    together = Listed(found, whole=bool(lists) and all(one.whole for one in lists))
    made: list[Named] = []
    for data, file in templates:
        resources = data.get("Resources")
        if not isinstance(resources, dict):
            raise _not_a_template(file, _other(data))
        made.append(_Template(data, resources, together, facts).named())
    return made


def of_stack(listed: Listed) -> Named:
    """The resources of a stack, without its template."""
    resources = {logical: {"Type": type_} for logical, (type_, _) in listed.resources.items()}
    return _Template({}, resources, listed, EMPTY).named()


def _listed(data: Mapping[str, Any]) -> Listed:
    found: dict[str, tuple[str, str]] = {}
    for one in next((data[name] for name in _LISTS if isinstance(data.get(name), list)), ()):
        if (
            isinstance(one, dict)
            and one.get("ResourceStatus") != _GONE
            and isinstance(one.get("LogicalResourceId"), str)
        ):
            found[one["LogicalResourceId"]] = (str(one.get("ResourceType")), str(one.get("PhysicalResourceId") or ""))
    return Listed(found, whole=True)


class _Template:
    """The resources of a template, and the facts about its stack."""

    def __init__(
        self, data: Mapping[str, Any], resources: Mapping[str, Any], listed: Listed, facts: Mapping[str, str]
    ) -> None:
        self.resources = {name: one for name, one in resources.items() if isinstance(one, dict)}
        self.loops = [name for name, one in resources.items() if isinstance(one, list)]
        self.listed = listed
        self.facts = {**_defaults(data.get("Parameters")), **facts}
        self.paths = dict(self.cdk_paths())
        rules = data.get("Rules")
        made_by_cdk = bool(self.paths) or any(one.get("Type") == _SILENT[0] for one in self.resources.values())
        self.by_cdk = made_by_cdk or (isinstance(rules, dict) and "CheckBootstrapVersion" in rules)
        self.start = _shared(list(self.paths.values()))

    def named(self) -> Named:
        found = Collected()
        for logical, one in self.resources.items():
            if "Condition" in one and self.listed.whole and logical not in self.listed.resources:
                found.leave_out(str(one.get("Type", "")), logical, _NOT_CREATED)
            else:
                self.add(found, logical, str(one.get("Type", "")), _mapping(one.get("Properties")))
        for name in self.loops:
            found.leave_out("Fn::ForEach", name, "loops are not read: give the stack's resources by --stack NAME")
        return found.named()

    def add(self, found: Collected, logical: str, type_: str, properties: Mapping[str, Any]) -> None:
        """One resource of the template."""
        if type_ in cloudformation_types():
            section, member = cloudformation_types()[type_]
            _, physical = self.listed.resources.get(logical, ("", ""))
            given = self.text(properties.get(member))
            words = tuple(dict.fromkeys(filter(None, (physical, given))))
            region, account = place_of(words)
            found.resources.append(
                Foreign(
                    address=logical,
                    section=section,
                    key=self.key(logical),
                    identifiers=words,
                    region=region,
                    account=account,
                )
            )
        elif type_ in part_types():
            section, member = part_types()[type_]
            owners = properties.get(member)
            words = tuple(filter(None, map(self.owner, owners if isinstance(owners, list) else [owners])))
            if member in properties:
                found.part(type_, logical, section, words)
            elif properties:  # a list of resources has none; a policy of users has no roles
                found.leave_out(type_, logical, NO_KIND)
        elif type_ == _NESTED:
            found.leave_out(type_, logical, "a nested stack has a template and a list of resources of its own")
        elif type_ not in _SILENT:
            found.leave_out(type_, logical, NO_KIND)

    # --- names -------------------------------------------------------------------------------------------------------

    def cdk_paths(self) -> Iterator[tuple[str, list[str]]]:
        """The path of each resource in the application of CDK."""
        for logical, one in self.resources.items():
            path = _mapping(one.get("Metadata")).get(_PATH)
            if isinstance(path, str) and path:
                yield logical, path.split("/")

    def key(self, logical: str) -> str:
        """The path below the stack, else the logical id, without what CDK adds to them."""
        if path := self.paths.get(logical):
            steps = path[min(self.start, len(path) - 1) :]
            while len(steps) > 1 and steps[-1] in _ENDS:
                steps.pop()
            return key_of(steps)
        return key_of([_HASH.sub("", logical) if self.by_cdk else logical])

    def owner(self, value: Any) -> str | None:
        """The logical id or the name of what a property refers to."""
        if isinstance(value, dict) and len(value) == 1:
            ((function, argument),) = value.items()
            if function == "Ref" and argument in self.resources:
                return str(argument)
            if function == "Fn::GetAtt":
                return str(argument[0] if isinstance(argument, list) and argument else argument).partition(".")[0]
        return self.text(value)

    def text(self, value: Any) -> str | None:
        """A name as text; None where it needs what only CloudFormation knows."""
        if isinstance(value, str):
            return value or None
        if not isinstance(value, dict) or len(value) != 1:
            return None
        ((function, argument),) = value.items()
        if function == "Ref":
            return self.facts.get(str(argument))
        if function == "Fn::Join" and isinstance(argument, list) and len(argument) == 2:
            parts = [self.text(one) for one in argument[1]] if isinstance(argument[1], list) else [None]
            return None if None in parts else str(argument[0]).join(part for part in parts if part)
        if function == "Fn::Sub":
            return self.substituted(argument)
        return None

    def substituted(self, argument: Any) -> str | None:
        """The text of ``Fn::Sub``."""
        own: dict[str, Any] = {}
        if isinstance(argument, list) and len(argument) == 2 and isinstance(argument[1], dict):
            argument, own = argument
        if not isinstance(argument, str):
            return None
        values = {
            name: self.text(own[name]) if name in own else self.facts.get(name)
            for literal, name in _SUBSTITUTED.findall(argument)
            if not literal
        }
        if None in values.values():
            return None
        return _SUBSTITUTED.sub(lambda m: f"${{{m[2]}}}" if m[1] else str(values[m[2]]), argument)


def _defaults(parameters: Any) -> dict[str, str]:
    """The defaults of parameters, those aside that are names of values elsewhere."""
    return {
        name: str(one["Default"])
        for name, one in _mapping(parameters).items()
        if isinstance(one, dict)
        and isinstance(one.get("Default"), str | int)
        and not str(one.get("Type", "")).startswith("AWS::SSM::")
        and one.get("NoEcho") not in (True, "true")
    }


def _shared(paths: list[list[str]]) -> int:
    """How many steps all paths begin with, at least that of the stack."""
    if not paths:
        return 0
    same = next(
        (number for number, steps in enumerate(zip(*paths, strict=False)) if len(set(steps)) > 1),
        min(map(len, paths)) - 1,
    )
    return max(same, 1)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


# --- reading ---------------------------------------------------------------------------------------------------------


def _loaded(text: str, file: str) -> dict[str, Any]:
    if len(text) > _MOST:
        raise _not_a_template(file, f"more than {_MOST:,} characters")
    try:
        data = json.loads(text)
    except ValueError:
        data = _from_yaml(text, file)
    except RecursionError:
        raise _not_a_template(file, "nested too deeply") from None
    if not isinstance(data, dict):
        raise _not_a_template(file, "no mapping")
    return data


def _template_in(data: dict[str, Any], file: str) -> dict[str, Any]:
    """The template in the output of ``aws cloudformation get-template``; anything else as it is."""
    body = data.get("TemplateBody")
    if isinstance(body, str):
        return _loaded(body, file)
    return body if isinstance(body, dict) else data


def _from_yaml(text: str, file: str) -> Any:
    """YAML with the short forms of functions: ``!Ref x`` is ``{Ref: x}``, ``!Sub x`` is ``{Fn::Sub: x}``."""
    from reconciler.config.yaml import nodes  # noqa: PLC0415  (few imports need it)

    try:
        return _value(nodes.compose(text), {})
    except (nodes.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        pos = Pos(file, mark.line + 1, mark.column + 1) if mark else None
        raise _not_a_template(file, "neither JSON nor YAML", pos) from None
    except RecursionError:
        raise _not_a_template(file, "nested too deeply") from None


def _value(node: Any, known: dict[int, Any]) -> Any:
    """The value of a node, of an alias the same object."""
    if node is None:
        return None
    if id(node) in known:
        return known[id(node)]
    tag = str(node.tag or "")
    if isinstance(node.value, list) and node.value and isinstance(node.value[0], tuple):
        made: Any = {}
        known[id(node)] = made
        for key, item in node.value:
            made[str(key.value)] = _value(item, known)
    elif isinstance(node.value, list):
        made = {} if tag.endswith(":map") else []
        known[id(node)] = made
        for item in node.value:
            made.append(_value(item, known))
    else:
        made = node.value
    if tag.startswith("!") and not tag.startswith("!!"):
        name = tag[1:]
        made = made.split(".", 1) if name == "GetAtt" and isinstance(made, str) else made
        made = {name if name in ("Ref", "Condition") else f"Fn::{name}": made}
    known[id(node)] = made
    return made


def _other(data: Mapping[str, Any]) -> str:
    if "terraform_version" in data or "lineage" in data:
        return "a file of terraform, which --from-terraform-state reads"
    return "no Resources"


def _not_a_template(file: str, why: str, pos: Pos | None = None) -> Problems:
    message = f"{file} is not a template of CloudFormation or a list of a stack's resources: {why}"
    return Problems([Problem(code=codes.FOREIGN_FILE, message=message, hint=_GIVE, pos=pos or Pos(file, 1, 1))])
