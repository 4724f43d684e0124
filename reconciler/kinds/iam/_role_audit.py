"""What an audit looks for in the roles of Batch and its jobs: more than they need, and too much or too little trust.

Only what the documents say is judged, without asking IAM. A statement with a condition may be narrow, and one of a role
with a permissions boundary is; what a Deny takes away again is not looked at.

https://docs.aws.amazon.com/IAM/latest/UserGuide/best-practices.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any, Final

from reconciler.kinds.common.declared import items, mapping
from reconciler.kinds.common.policy_document.document import listed, parse, statements
from reconciler.model import Json, Live
from reconciler.model import problem_codes as codes
from reconciler.model.audit import Audit, Audited, AuditFinding, AuditSeverity, Evidence, at_once, seen
from reconciler.model.paths import as_written
from reconciler.model.patterns import regex

SECTION: Final = "roles"
ATTACHED: Final = "iam:ListAttachedRolePolicies"
# AWS-managed policies that allow everything, or to give oneself everything
ALL_POWERFUL: Final = ("AdministratorAccess", "PowerUserAccess", "IAMFullAccess")
_SERVICE: Final = regex(r"[a-z0-9-]+:\*")
_ANY: Final = regex(r"\*(:\*)?")
_ANY_ROLE: Final = regex(r"\*|arn:[\w*-]+:iam::[\d*]*:(role/)?\*")
_BETTER: Final = "allow the actions and resources that are needed, and nothing else"
_MOST_NAMED: Final = 3
# who must be able to assume the role in this field, or of an object of this section
_SERVICES: Final = {"jobRoleArn": "ecs-tasks.amazonaws.com", "executionRoleArn": "ecs-tasks.amazonaws.com"}
_OF_SECTIONS: Final = {"instanceProfiles": "ec2.amazonaws.com"}


def wide(live: Live, audited: Audited) -> Iterator[AuditFinding]:
    """Policies that allow everything, everything of a service, or to pass any role."""
    if live.managed_by or "/aws-service-role/" in live.attrs["arn"]:
        return
    used = _used(live, audited)
    for found in _findings(live, audited):
        bounded = live.props.get("permissionsBoundary") and found.severity == "warning"
        severity: AuditSeverity = "advice" if bounded else found.severity
        yield replace(found, message=f"{found.message}{used}", severity=severity)


def _findings(live: Live, audited: Audited) -> Iterator[AuditFinding]:
    for policy in items(live.props.get("managedPolicies")):
        name = str(policy).rpartition("/")[2]
        proof = seen(ATTACHED, "AttachedPolicies[].PolicyArn", policy)
        if ":iam::aws:" in str(policy):
            if name in ALL_POWERFUL:
                yield _finding("warning", f"{name} is attached to it", _BETTER, proof)
            elif name.endswith("FullAccess"):
                yield _finding("advice", f"{name} is attached to it", _BETTER, proof)
            continue
        own = audited.find("policies", policy)
        if own is not None:
            document = own.props.get("policyDocument")
            yield from of_document(document, f"its policy {name}", "iam:GetPolicyVersion", "PolicyVersion.Document")
    for name, document in mapping(live.props.get("inlinePolicies")).items():
        yield from of_document(document, f"its inline policy {name}", "iam:GetRolePolicy", "PolicyDocument")


def of_document(document: Any, what: str, call: str, member: str) -> Iterator[AuditFinding]:
    """What is too wide in one policy document; ``what`` names it in messages."""
    for index, statement in enumerate(statements(parse(document))):
        found = mapping(statement)
        if found.get("Effect") != "Allow" or found.get("Condition"):
            continue
        wide = _why(found)
        if wide:
            severity, why, key, value = wide
            yield _finding(severity, f"{what} {why}", _BETTER, seen(call, f"{member}.Statement[{index}].{key}", value))


def _why(statement: Json) -> tuple[AuditSeverity, str, str, Any] | None:
    """What an unconditional Allow statement allows too much of, with the member that does; None if nothing."""
    actions = [str(action).lower() for action in listed(statement.get("Action", []))]
    resources = [str(resource) for resource in listed(statement.get("Resource", []))]
    everything = "*" in resources or "NotResource" in statement
    shown = statement.get("Action")
    if everything and "NotAction" in statement:
        return "warning", "allows all but a few actions on every resource", "NotAction", statement["NotAction"]
    if everything and any(map(_ANY.fullmatch, actions)):
        return "warning", "allows every action on every resource", "Action", shown
    passing = [action for action in actions if fnmatchcase("iam:passrole", action)]
    if passing and (everything or any(map(_ANY_ROLE.fullmatch, resources))):
        return "warning", f"allows to pass any role to any service ({passing[0]})", "Action", shown
    services = [action for action in actions if _SERVICE.fullmatch(action)]
    if everything and services:
        return "advice", f"allows {', '.join(services)} on every resource", "Action", shown
    return None


def open_trust(live: Live, _: Audited) -> Iterator[AuditFinding]:
    """A trust policy that admits everyone, without a condition."""
    document = parse(live.props.get("assumeRolePolicyDocument"))
    for index, statement in enumerate(statements(document)):
        found = mapping(statement)
        principal = found.get("Principal")
        anyone = principal == "*" or (isinstance(principal, Mapping) and "*" in listed(principal.get("AWS", [])))
        if found.get("Effect") == "Allow" and anyone and not found.get("Condition"):
            where = as_written(("Role", "AssumeRolePolicyDocument", "Statement", index, "Principal"))
            yield AuditFinding(
                code=codes.OPEN_TRUST,
                severity="error",
                message="its trust policy lets everyone assume it, from any account",
                hint="name the service that uses it, for example Principal: {Service: ecs-tasks.amazonaws.com}",
                evidence=(seen("iam:GetRole", where, principal),),
            )


def missing_trust(live: Live, audited: Audited) -> Iterator[AuditFinding]:
    """A role of jobs or instances that its service may not assume. AWS Batch itself reports its own as INVALID."""
    document = parse(live.props.get("assumeRolePolicyDocument"))
    if not isinstance(document, Mapping) or not document:
        return
    needed: dict[str, set[str]] = {}
    for user in audited.users(SECTION, live):
        service = _SERVICES.get(str(user.path[-1])) or _OF_SECTIONS.get(user.section)
        if service is not None:
            needed.setdefault(service, set()).add(f"{user.live.physical} ({user.path[-1]})")
    for service, users in sorted(needed.items()):
        if not any(_admits(mapping(statement), service) for statement in statements(document)):
            shown = ", ".join(sorted(users)[:_MOST_NAMED]) + (" and others" if len(users) > _MOST_NAMED else "")
            yield AuditFinding(
                code=codes.MISSING_TRUST,
                severity="error",
                message=f"its trust policy does not let {service} assume it, which {shown} needs",
                hint=f"add a statement that allows sts:AssumeRole with Principal: {{Service: {service}}}",
                evidence=(seen("iam:GetRole", "Role.AssumeRolePolicyDocument", document),),
            )


def _admits(statement: Json, service: str) -> bool:
    """Whether a statement of a trust policy lets a service assume the role; its conditions are not looked at."""
    principal = statement.get("Principal")
    if statement.get("Effect") != "Allow" or "NotAction" in statement or "NotPrincipal" in statement:
        return statement.get("Effect") == "Allow"  # rare in a trust policy: in doubt there is no finding
    actions = (str(action).lower() for action in listed(statement.get("Action", [])))
    named = principal == "*" or (
        isinstance(principal, Mapping)
        and ("*" in listed(principal.get("AWS", [])) or service in listed(principal.get("Service", [])))
    )
    return named and any(fnmatchcase("sts:assumerole", action) for action in actions)


def _used(live: Live, audited: Audited) -> str:
    """``; used by train:3 (jobRoleArn)``; empty where no user was read."""
    users = [one for user in audited.users(SECTION, live) for one in audited.users(user.section, user.live) or (user,)]
    named = {f"{one.live.physical} ({one.path[-1]})" for one in users if isinstance(one.path[-1], str)}
    if not named:
        return ""
    shown = ", ".join(sorted(named)[:_MOST_NAMED])
    more = len(named) - _MOST_NAMED
    return f"; used by {shown}" + (f" and {more} more" if more > 0 else "")


def _finding(severity: AuditSeverity, message: str, hint: str, proof: Evidence) -> AuditFinding:
    return AuditFinding(code=codes.WIDE_ROLE, severity=severity, message=message, hint=hint, evidence=(proof,))


AUDIT: Final = Audit(
    shown_by="iam:GetRole",
    rules=(at_once(wide), at_once(open_trust), at_once(missing_trust)),
    reads=(
        *("iam:GetRole", "iam:ListAttachedRolePolicies", "iam:ListRolePolicies", "iam:ListInstanceProfilesForRole"),
        "iam:GetRolePolicy",
    ),
)
