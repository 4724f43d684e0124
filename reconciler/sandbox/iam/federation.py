"""Sign-in with a token of an OpenID Connect provider, as CI jobs do: its claims against the trust policy of the role.

The signature of the token is not checked, so that anyone who tries a policy can write one.

https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html#condition-keys-wif
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from reconciler.sandbox.iam.assuming import session_of
from reconciler.sandbox.iam.evaluation import Effect, Request, effect_among, names
from reconciler.sandbox.iam.existing import Existing
from reconciler.sandbox.iam.policies import statements, strings
from reconciler.sandbox.iam.principals import Session
from reconciler.sandbox.wire import Refusal

ACTION = "AssumeRoleWithWebIdentity"
_CLAIMS = frozenset({"amr", "aud", "oaud", "sub"})
# Claims of providers that IAM knows; all others are no condition keys.
_CLAIMS_OF: Mapping[str, frozenset[str]] = {
    "token.actions.githubusercontent.com": frozenset(
        {
            "actor",
            "actor_id",
            "enterprise_id",
            "environment",
            "job_workflow_ref",
            "ref",
            "repository",
            "repository_id",
            "repository_owner_id",
            "workflow",
        }
    ),
    "gitlab.com": frozenset(
        {
            "namespace_id",
            "pipeline_source",
            "project_id",
            "ref_protected",
            "runner_environment",
            "user_access_level",
            "user_email",
            "user_id",
            "user_login",
        }
    ),
}


def signed_in(params: Mapping[str, Any], there: Existing | None, now: float) -> Session:
    """The session that a request for AssumeRoleWithWebIdentity begins; raises :class:`Refusal`.

    ``there`` is the account of the role, None if it is not known.
    """
    arn, claims = str(params["RoleArn"]), _claims(str(params["WebIdentityToken"]))
    role = there.role(arn) if there and arn.startswith("arn:") else None
    if there is None or role is None:
        raise _denied()
    issuer = str(claims.get("iss", ""))
    host = issuer.partition("://")[2].rstrip("/")
    provider = f"arn:{there.partition}:iam::{there.account.id}:oidc-provider/{host}"
    known = there.account.moto.backend("iam", there.region).open_id_providers.get(provider)
    if known is None:
        raise _invalid(f"No OpenIDConnect provider found in your account for {issuer}")
    if not set(strings(claims.get("aud", []))) & set(known.client_id_list or ()):
        raise _invalid("Incorrect token audience")
    if float(claims.get("exp", now)) < now:
        raise Refusal("ExpiredTokenException", "Token expired: it must be used before its expiration")
    context: dict[str, tuple[str, ...]] = {"sts:rolesessionname": (str(params["RoleSessionName"]),)}
    for claim, value in claims.items():
        if claim in _CLAIMS | _CLAIMS_OF.get(host, frozenset()):
            context[f"{host}:{claim}".lower()] = strings(value)
    trust = [one for one in statements(role.assume_role_policy_document) if names(one, "Federated", (provider,))]
    if effect_among(Request(f"sts:{ACTION}", (arn,), context), trust) is not Effect.ALLOW:
        raise _denied()
    return session_of(role, params, there)


def _claims(token: str) -> Mapping[str, Any]:
    """The claims in a JSON Web Token."""
    parts = token.split(".")
    try:
        found = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, IndexError):
        found = None
    if not isinstance(found, dict):
        raise _invalid("The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
    return found


def _invalid(message: str) -> Refusal:
    return Refusal("InvalidIdentityToken", message)


def _denied() -> Refusal:
    return Refusal("AccessDenied", f"Not authorized to perform sts:{ACTION}", 403)
