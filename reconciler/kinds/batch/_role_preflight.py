"""Whether a role that is passed to a service trusts it, and allows what is needed.

The policies of declared roles are known from YAML, and ``validate`` warns about their trust; other roles are read. The
simulator does not know the policies of what is accessed (a repository, a key), so its refusal is likely, not certain.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRole.html
https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from reconciler.kinds.batch._role_rights import contains, may
from reconciler.kinds.common.declared import as_text, items, mapping
from reconciler.kinds.common.policy_document.document import parse, statements
from reconciler.kinds.common.replies import chunks
from reconciler.kinds.common.trusted_services import trusted_services
from reconciler.model import Call, Json, Path, Reads, Refused, Resource
from reconciler.model.preflight import Check, Fit, Ground
from reconciler.model.records import dataclass

NO_SUCH: Final = "NoSuchEntity"
_MOST: Final = 50  # ARNs in one simulation
_DENIED, _CONDITIONAL = "denied", "conditional"


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """A role that a service uses, at ``path``: as declared, and as known in the plan.

    ``needs`` are the actions that it must allow, each with the ARN that it is about. ``profile``: it is an instance
    profile, which has the role. ``together`` has those that others need of it, too: all are asked about
    at once.
    """

    path: Path
    declared: Any
    known: Any
    service: str
    needs: Sequence[tuple[str, str]] = ()
    profile: bool = False
    together: Callable[[], Collection[tuple[str, str]]] = tuple


def check(use: Use, ground: Ground) -> Reads[list[Check]]:
    """Whether it exists, trusts the service, and allows what is needed: once for all that need the same of it."""
    declared = is_declared(use.declared, ground) if use.profile else ground.declared.resource("roles", use.declared)
    needs = frozenset(action for action, _ in use.needs) if declared else tuple(use.needs)
    facts = (repr(use.declared), repr(use.known), use.path, use.service, use.profile, needs)
    return (yield from ground.shared.read_once(("role", *facts), lambda: _check(use, ground)))


def is_declared(profile: Any, ground: Ground) -> bool:
    """Whether an instance profile and its role are declared: their verdicts need no questions."""
    found = ground.declared.resource("instanceProfiles", profile)
    return found is not None and ground.declared.resource("roles", found.props.get("role")) is not None


def _check(use: Use, ground: Ground) -> Reads[list[Check]]:
    value = use.declared
    if use.profile:
        profile = ground.declared.resource("instanceProfiles", value)
        if profile is None:
            return (yield from _check_profile(use, ground))
        value = profile.props.get("role")
    own = ground.declared.resource("roles", value)
    if own is not None:
        return _check_declared(use, own, ground)
    arn = as_text(value) if use.profile else as_text(use.known)
    if arn is None:
        return [_result("role", use, Fit.unknown, "the role is not known before apply")]
    return (yield from _check_live(use, arn, ground))


def _result(check: str, use: Use, verdict: Fit, message: str, **more: Any) -> Check:
    return Check(check=check, verdict=verdict, message=message, path=use.path, reported=True, **more)


def _check_declared(use: Use, role: Resource, ground: Ground) -> list[Check]:
    """By its policies and its trust as they are declared; ``validate`` has informed people of the trust."""
    name = role.address.name
    trusted = trusted_services(role.props)
    if trusted is None:
        found = [_result("trust", use, Fit.unknown, f"whether {name} trusts {use.service} is not known")]
    else:
        trust = _trust_of(use, name, trusted)
        found = [replace(trust, reported=False, about=(role.address,))]
    known = {action: may(role.props, action, ground.declared) for action, _ in use.needs}
    missing = [action for action, allowed in known.items() if allowed is False]
    if missing:
        message, hint = f"the role {name} does not allow {', '.join(missing)}", f"allow it in {role.address}"
        found.append(_result("permissions", use, Fit.cannot, message, certain=False, hint=hint, about=(role.address,)))
    elif None in known.values():
        found.append(_result("permissions", use, Fit.unknown, f"not all policies of {name} are known"))
    elif known:
        message = f"{name} allows what is needed"
        found.append(_result("permissions", use, Fit.fits, message, certain=False))
    return found


def _check_profile(use: Use, ground: Ground) -> Reads[list[Check]]:
    """An instance profile that is not declared here, and its role."""
    name = (as_text(use.known) or "").rpartition("/")[2]
    if not name:
        return [_result("role", use, Fit.unknown, "the instance profile is not known before apply")]
    (reply,) = yield (Call("iam", "GetInstanceProfile", {"InstanceProfileName": name}),)
    if isinstance(reply, Refused):
        return [_unread(use, name, "iam:GetInstanceProfile", reply)]
    roles = items(mapping(reply.get("InstanceProfile")).get("Roles"))
    if not roles:
        message = f"the instance profile {name} has no role: no instance joins the cluster"
        return [_result("role", use, Fit.cannot, message, hint="add a role to it")]
    return (yield from _check_live(use, str(roles[0]["Arn"]), ground))


def _check_live(use: Use, arn: str, ground: Ground) -> Reads[list[Check]]:
    name = arn.rpartition("/")[2]
    if ":" in arn and arn.split(":")[4] != ground.scope.account:
        return [_result("role", use, Fit.unknown, f"{name} is in another account: not checked")]
    if ":role/aws-service-role/" in arn:
        return [_result("trust", use, Fit.fits, f"{name} belongs to its service")]
    (reply,) = yield (Call("iam", "GetRole", {"RoleName": name}),)
    if isinstance(reply, Refused):
        return [_unread(use, name, "iam:GetRole", reply)]
    role = mapping(reply.get("Role"))
    trust = _check_trust(use, name, role.get("AssumeRolePolicyDocument"))
    if not use.needs:
        return [trust]
    return [trust, (yield from _check_permissions(use, name, str(role.get("Arn") or arn), ground))]


def _unread(use: Use, name: str, action: str, reply: Refused) -> Check:
    if reply.code == NO_SUCH:
        what = "instance profile" if action.endswith("Profile") else "role"
        hint = "create it, or name one that exists"
        return _result("role", use, Fit.cannot, f"there is no {what} {name}", hint=hint)
    denied = action if reply.denied else ""
    return _result("role", use, Fit.unknown, f"{name} could not be read: {reply}", denied=denied)


def _check_trust(use: Use, name: str, document: Any) -> Check:
    whole = parse(document)
    trusted = trusted_services({"assumeRolePolicyDocument": whole})
    conditions = any(mapping(one).get("Condition") for one in statements(whole))
    if trusted is None or (conditions and use.service in trusted):
        return _result("trust", use, Fit.unknown, f"whether {name} trusts {use.service} depends on conditions")
    return _trust_of(use, name, trusted)


def _trust_of(use: Use, name: str, trusted: frozenset[str]) -> Check:
    if use.service in trusted:
        return _result("trust", use, Fit.fits, f"{name} trusts {use.service}")
    now = f"it trusts {', '.join(sorted(trusted))}" if trusted else "it trusts no service"
    message = f"the role {name} does not trust {use.service}, which uses it here: {now}"
    return _result("trust", use, Fit.cannot, message, hint=f"add {use.service} to its trust policy")


def _simulate(
    arn: str, needs: Collection[tuple[str, str]], policies: Sequence[str]
) -> Reads[Mapping[tuple[str, str], str] | Refused]:
    """What the simulator does not allow: the actions that are needed of the same ARNs in one call."""
    by_arn: dict[str, list[str]] = {}
    for action, resource in needs:
        if not any(contains(one, action) for one in policies):
            by_arn.setdefault(resource, []).append(action)
    alike: dict[tuple[str, ...], list[str]] = {}
    for resource, actions in by_arn.items():
        alike.setdefault(tuple(actions), []).append(resource)
    asked = [(actions, some) for actions, resources in alike.items() for some in chunks(resources, _MOST)]
    replies = yield tuple(
        Call(
            "iam",
            "SimulatePrincipalPolicy",
            {"PolicySourceArn": arn, "ActionNames": list(actions), "ResourceArns": list(resources)},
            all_pages=len(actions) * len(resources) > _MOST,
        )
        for actions, resources in asked
    )
    found: dict[tuple[str, str], str] = {}
    for (_, resources), reply in zip(asked, replies, strict=True):
        if isinstance(reply, Refused):
            return reply
        for one in map(mapping, items(reply.get("EvaluationResults"))):
            found.update(_decisions(one, resources))
    return found


def _decisions(result: Json, resources: Sequence[str]) -> Iterator[tuple[tuple[str, str], str]]:
    """What is not allowed of an action, by resource: each is in ``ResourceSpecificResults``, or has its own result."""
    action = str(result.get("EvalActionName"))
    specific = [mapping(one) for one in items(result.get("ResourceSpecificResults"))]
    for one in specific or [result]:
        name = str(one.get("EvalResourceName"))
        decision = one.get("EvalResourceDecision" if specific else "EvalDecision")
        if decision != "allowed":
            how = _CONDITIONAL if one.get("MissingContextValues") else _DENIED
            yield from (((action, each), how) for each in ([name] if name in resources else resources))


def _check_permissions(use: Use, name: str, arn: str, ground: Ground) -> Reads[Check]:
    """A known managed policy is enough; about the rest the simulator is asked, for all that use the role together."""
    (attached,) = yield (Call("iam", "ListAttachedRolePolicies", {"RoleName": name}, all_pages=True),)
    names: list[str] = []
    needs = list(dict.fromkeys(use.needs))
    if not isinstance(attached, Refused):
        names = [str(mapping(one).get("PolicyName")) for one in items(attached.get("AttachedPolicies"))]
        needs = [(action, one) for action, one in needs if not any(contains(each, action) for each in names)]
        if not needs:
            message = f"{name} has managed policies of AWS for this"
            return _result("permissions", use, Fit.fits, message, certain=False)
    together = use.together()
    asked = together if all(one in together for one in needs) else needs
    key = ("simulated", arn, id(together) if asked is together else tuple(needs))
    decided = yield from ground.shared.read_once(key, lambda: _simulate(arn, asked, names))
    if isinstance(decided, Refused):
        action = "iam:SimulatePrincipalPolicy" if decided.denied else ""
        message = f"the permissions of {name} could not be simulated: {decided}"
        return _result("permissions", use, Fit.unknown, message, denied=action)
    denied = [action for action, one in needs if decided.get((action, one)) == _DENIED]
    conditional = [action for action, one in needs if decided.get((action, one)) == _CONDITIONAL]
    if denied:
        listed = ", ".join(dict.fromkeys(denied))
        message = f"the role {name} does not allow {listed}, according to IAM's simulator"
        return _result("permissions", use, Fit.cannot, message, certain=False, hint="allow it in a policy of the role")
    if conditional:
        message = f"whether {name} allows {', '.join(dict.fromkeys(conditional))} depends on conditions"
        return _result("permissions", use, Fit.unknown, message)
    return _result("permissions", use, Fit.fits, f"{name} allows what is needed", certain=False)
