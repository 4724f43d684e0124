"""IAM's policy simulator: what the policies of a principal, or those in the request, say about actions on resources.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulateCustomPolicy.html
"""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model.patterns import regex
from reconciler.sandbox.iam.evaluation import Effect, Policies, Request, evaluate
from reconciler.sandbox.iam.existing import Existing
from reconciler.sandbox.iam.policies import Context, matches_action, matches_resource, statements
from reconciler.sandbox.iam.principals import Session, policies_of
from reconciler.sandbox.services._documents import parsed
from reconciler.sandbox.wire import Json, Refusal

_ENTITY = regex(r"arn:[^:]+:iam::(\d{12}):(role|user)/(?:.+/)?([^/]+)")
_DECISIONS = {
    Effect.ALLOW: "allowed",
    Effect.EXPLICIT_DENY: "explicitDeny",
    Effect.IMPLICIT_DENY: "implicitDeny",
}


def simulated(operation: str, params: Json, existing: Existing) -> Json:
    """The reply to SimulatePrincipalPolicy, or to SimulateCustomPolicy, which is about the documents in it alone."""
    policies = _of_principal(params, existing) if operation == "SimulatePrincipalPolicy" else Policies(())
    given = tuple(params.get("PolicyInputList") or ())
    boundaries = tuple(params.get("PermissionsBoundaryPolicyInputList") or ())
    for document in (*given, *boundaries):
        parsed(document)
    boundary = boundaries[0] if boundaries else policies.boundary
    context = {
        entry["ContextKeyName"].lower(): tuple(entry.get("ContextKeyValues") or ())
        for entry in params.get("ContextEntries") or ()
    }
    asked = Policies((*policies.identity, *given), boundary)
    results = [
        _result(Request(action, (resource,), context), asked)
        for action in params["ActionNames"]
        for resource in params.get("ResourceArns") or ["*"]
    ]
    return {"EvaluationResults": results, "IsTruncated": False}


def _of_principal(params: Json, existing: Existing) -> Policies:
    """The policies of a role or user; a session has none that the simulator could read."""
    arn = params["PolicySourceArn"]
    found = _ENTITY.fullmatch(arn)
    if not found:
        raise Refusal("InvalidInput", f"Invalid Entity Arn: {arn} does not clearly define entity type and name.")
    policies = policies_of(Session(existing.account.id, arn, arn, ""), existing)
    if policies is None:
        raise Refusal("NoSuchEntity", f"The {found[2]} with name {found[3]} cannot be found.", 404)
    return policies


def _result(request: Request, policies: Policies) -> Json:
    decision = evaluate(request, policies)
    result: Json = {
        "EvalActionName": request.action,
        "EvalResourceName": request.resources[0],
        "EvalDecision": _DECISIONS[decision.effect],
        "MatchedStatements": [],
        "MissingContextValues": sorted(set(_missing(request, policies))),
    }
    if policies.boundary is not None:
        within = evaluate(request, Policies((policies.boundary,))).allowed
        result["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": within}
    return result


def _missing(request: Request, policies: Policies) -> Iterator[str]:
    """The keys that conditions of the statements about a request ask for, and that it does not have."""
    context: Context = request.context
    for document in (*policies.identity, *([policies.boundary] if policies.boundary else ())):
        for one in statements(document):
            if matches_action(one, request.action) and matches_resource(one, request.resources[0], context):
                yield from (key for _, key, _ in one.conditions if key.lower() not in context)
