"""The services around AWS Batch: moto, corrected where it differs from AWS in ways that matter.

One module per service has its rules; :func:`answer` applies them to a request. Each rule describes what AWS does where
moto does something else; the tests in ``tests/sandbox/services`` check them one by one.
"""

from __future__ import annotations

import importlib
import pkgutil
import random
from collections.abc import Callable
from functools import cache

from reconciler.sandbox import wire
from reconciler.sandbox.faults import shuffled
from reconciler.sandbox.services import _model_constraints, _paging
from reconciler.sandbox.services._hooks import Account, Rules, ServiceCall, ServiceSettings
from reconciler.sandbox.wire import MODELS, Json, Refusal, Reply, Request

__all__ = ["Account", "ServiceCall", "ServiceSettings", "answer"]

# The services of the sandbox, by signing name: what the kinds need, and what their look-ups and targets name.
HAS = frozenset({*MODELS, "s3", "sqs"})
_ONLY = {
    "cloudtrail": frozenset({"LookupEvents"}),
    "servicequotas": frozenset({"GetServiceQuota", "ListServiceQuotas"}),
    "ecs": frozenset(
        {
            "DescribeClusters",
            "DescribeContainerInstances",
            "DescribeTasks",
            "ListClusters",
            "ListContainerInstances",
            "ListTasks",
        }
    ),
    "autoscaling": frozenset({"DescribeAutoScalingGroups", "DescribeScalingActivities"}),
}


@cache
def _rules() -> dict[str, Rules]:
    found: dict[str, Rules] = {}
    for module in pkgutil.iter_modules(__path__):
        if not module.name.startswith("_"):
            rules: Rules = importlib.import_module(f"{__name__}.{module.name}").RULES
            found.setdefault(rules.service, Rules(rules.service)).add(rules)
    return found


def answer(account: Account, request: Request, operation: str, params: Json, chance: random.Random | None) -> Reply:
    """The account's reply to a request for anything but AWS Batch; raises :class:`Refusal`."""
    service, region = request.scope
    _require_service(service, operation)
    rules = _rules().get(service)
    _model_constraints.require_valid(service, operation, params)
    if rules is None or not operation:
        return _moto(account, service, operation, region, request)
    call = ServiceCall(
        service, operation, region, params, account, _onward(account, service, operation, region, request)
    )
    page = _paging.PAGES.get((service, operation))
    afters = rules.afters[operation]
    consistency = account.eventual_consistency
    if consistency:
        consistency.refuse(service, operation, params)
    result = _before(call, rules)
    if result is None and not call.rewritten and page is None:
        reply = _moto(account, service, operation, region, request)
        result = wire.result_of(service, operation, request, reply) if afters or chance or consistency else None
        if result is None:
            return reply
    if result is None:
        result = _paging.read_all(call, page) if page else call.forward(call.params)
    for after in afters:
        after(call, result)
    if consistency:
        consistency.process_reply(service, operation, params, result)
    if page is not None:
        _paging.cut_page(call, page, result, account.settings.page_size)
    return wire.written(service, operation, request, shuffled(result, chance, call.partition) if chance else result)


def _before(call: ServiceCall, rules: Rules) -> Json | None:
    """The reply that a rule gives in moto's place; None if no rule does."""
    for before in rules.befores[call.operation]:
        result = before(call)
        if result is not None:
            return result
    return None


def _onward(account: Account, service: str, operation: str, region: str, request: Request) -> Callable[[Json], Json]:
    def onward(asked: Json) -> Json:
        body = wire.body_of(service, operation, request, asked)
        sent = Request(request.method, request.path, "", request.headers, body, request.host)
        reply = _moto(account, service, operation, region, sent)
        result = wire.result_of(service, operation, sent, reply)
        if result is None:
            raise wire.refusal_of(service, operation, sent, reply)
        return result

    return onward


def _require_service(service: str, operation: str) -> None:
    """Refuse a service whose objects the others would not see: CloudFormation would make compute environments of moto's
    own, beside those of the sandbox. Requests that are not signed (a presigned URL of S3) pass.
    """
    if service and service not in HAS:
        message = f"the sandbox has no {service}; it has {', '.join(sorted(HAS))}"
        raise Refusal("NotImplemented", message, 501)
    if service in _ONLY and operation not in _ONLY[service]:
        raise Refusal("NotImplemented", f"the sandbox has no {service}:{operation}", 501)


def _moto(account: Account, service: str, operation: str, region: str, request: Request) -> Reply:
    try:
        return account.moto.answer(service, operation, region, request)
    except NotImplementedError as error:
        raise Refusal("NotImplemented", f"the sandbox has no {service}:{operation} ({error})", 501) from error
