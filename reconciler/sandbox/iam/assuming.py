"""Who may assume a role: its trust policy and, where that names an account, the caller's own policies.

Within an account, a trust policy that names the caller is enough. Session policies narrow what the session may do.

https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create_for-user_externalid.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from reconciler.sandbox.iam.evaluation import Effect, Request, effect_among, evaluate, names
from reconciler.sandbox.iam.existing import Existing
from reconciler.sandbox.iam.policies import Statement, statements
from reconciler.sandbox.iam.principals import Session, context_of, policies_of, root
from reconciler.sandbox.wire import Refusal

ASSUMABLE = "assumable roles"
"""In an account's memory: the ARNs of roles that may be assumed although IAM does not have them: an environment's
``roleArn`` exists before the environment, and an empty account does not have it.
"""
_LONGEST = 2048
_MOST = 10
_Params = Mapping[str, Any]


def assumed(caller: Session | None, params: _Params, there: Existing | None, here: Existing) -> Session:
    """The session that a request for AssumeRole begins; raises :class:`Refusal`.

    ``here`` is the account of the caller, None for the account itself; ``there`` that of the role, None if it is not
    known.
    """
    arn = str(params["RoleArn"])
    account = arn.split(":")[4] if arn.count(":") >= 5 else ""
    role = there.role(arn) if there and arn.startswith("arn:") else None
    if role is None:
        announced = account == here.account.id and arn in here.account.memory[ASSUMABLE]
        if not announced or _own(caller, Request("sts:AssumeRole", (arn,)), here) is not Effect.ALLOW:
            raise _denied(caller, arn, here)
        name = f"{arn.rpartition('/')[2]}/{params['RoleSessionName']}"
        return Session(account, f"arn:{here.partition}:sts::{account}:assumed-role/{name}", arn, "", announced=True)
    _require_allowed(caller, params, role, here)
    return session_of(role, params, there or here)


def session_of(role: Any, params: _Params, there: Existing) -> Session:
    """The session of a role of ``there`` that a request for it begins; raises :class:`Refusal`."""
    name = str(params["RoleSessionName"])
    account = there.account.id
    tags = {str(tag["Key"]): str(tag["Value"]) for tag in params.get("Tags") or []}
    arn = f"arn:{there.partition}:sts::{account}:assumed-role/{role.name}/{name}"
    return Session(account, arn, role.arn, f"{role.id}:{name}", _session_policies(params, there), tags)


def _require_allowed(caller: Session | None, params: _Params, role: Any, here: Existing) -> None:
    account = caller.account if caller else here.account.id
    everyone = (account, root(account, here.partition))
    alone = caller.principals if caller else ()
    context: dict[str, tuple[str, ...]] = {
        "sts:rolesessionname": (str(params["RoleSessionName"]),),
        **({"sts:externalid": (str(params["ExternalId"]),)} if params.get("ExternalId") else {}),
        **{f"aws:requesttag/{tag['Key']}".lower(): (str(tag["Value"]),) for tag in params.get("Tags") or []},
        "aws:principalaccount": (account,),
        "aws:principalarn": (everyone[1],),
    }
    context |= {key.lower(): values for key, values in context_of(caller, here).items()} if caller else {}
    request = Request("sts:AssumeRole", (role.arn,), context)
    trust = statements(role.assume_role_policy_document)

    def effect(principals: Iterable[str]) -> Effect:
        return effect_among(request, _about(trust, tuple(principals)))

    own = _own(caller, request, here)
    same = role.arn.split(":")[4] == account
    trusted = effect((*alone, *everyone))
    by_name = same and bool(alone) and effect(alone) is Effect.ALLOW and own is Effect.IMPLICIT_DENY
    if trusted is not Effect.ALLOW or not (own is Effect.ALLOW or by_name):
        raise _denied(caller, role.arn, here)


def _own(caller: Session | None, request: Request, here: Existing) -> Effect:
    """The effect of the caller's policies; those of an account, and of a role that was announced, allow everything."""
    if caller is None or caller.announced:
        return Effect.ALLOW
    policies = policies_of(caller, here)
    return evaluate(request, policies).effect if policies else Effect.EXPLICIT_DENY


def _about(trust: Iterable[Statement], principals: tuple[str, ...]) -> list[Statement]:
    return [one for one in trust if names(one, "AWS", principals)]


def _session_policies(params: _Params, there: Existing) -> tuple[str, ...] | None:
    """The documents given to a session, at most 2,048 characters in all and ten managed policies; None if none are."""
    given = params.get("Policy")
    arns = [str(one.get("arn", "")) for one in params.get("PolicyArns") or []]
    if len(arns) > _MOST:
        raise Refusal("LimitExceeded", f"Cannot exceed quota for PolicyArns: {_MOST}", 409)
    if not given and not arns:
        return None
    try:
        statements(str(given or "{}"))
    except ValueError:
        raise Refusal("MalformedPolicyDocument", "The policy is not in the valid JSON format.") from None
    if len(str(given or "")) + sum(map(len, arns)) > _LONGEST:
        message = f"Packed size of session tags and policies consumes more than 100% of allotted space ({_LONGEST})."
        raise Refusal("PackedPolicyTooLarge", message)
    documents = [str(given)] if given else []
    for arn in arns:
        document = there.document(arn)
        if document is None:
            raise Refusal("NoSuchEntity", f"Policy {arn} was not found.", 404)
        documents.append(document)
    return tuple(documents)


def _denied(caller: Session | None, arn: str, here: Existing) -> Refusal:
    user = caller.arn if caller else root(here.account.id, here.partition)
    message = f"User: {user} is not authorized to perform: sts:AssumeRole on resource: {arn}"
    return Refusal("AccessDenied", message, 403)
