"""Whether a job can run on a compute environment: its platform, vCPUs, memory, GPUs, architecture, EFA, nodes.

Each rule gives a verdict with its place in the job definition. A job needs one instance type that offers all of it.

https://docs.aws.amazon.com/batch/latest/userguide/job_stuck_in_runnable.html
https://docs.aws.amazon.com/batch/latest/userguide/multi-node-parallel-jobs.html
https://docs.aws.amazon.com/batch/latest/userguide/efa.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any, Final

from reconciler.kinds.batch import _instance_offers as offers
from reconciler.kinds.batch._instance_offers import Offer, memory_fits
from reconciler.kinds.batch.job_definition.needs import EKS, GPU, MEMORY, VCPU, Need, Needs
from reconciler.kinds.common.declared import as_int, as_text, at, items
from reconciler.model import Json, Path
from reconciler.model.preflight import Fit
from reconciler.model.records import dataclass

MOST_GROUPS: Final = 5  # security groups of a multi-node job
_PLATFORMS: Final = {
    "EC2": "EC2",
    "SPOT": "EC2",
    "FARGATE": "FARGATE",
    "FARGATE_SPOT": "FARGATE",
    "ECS_MANAGED_INSTANCES": "MANAGED_INSTANCES",
}
_UNITS: Final = {VCPU: "vCPU", MEMORY: "MiB of memory", GPU: "GPU"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What one rule says about a job on an environment. Without ``decides`` the job starts nevertheless; ``final``:
    only another declaration helps.
    """

    check: str
    verdict: Fit
    message: str
    path: Path = ()
    certain: bool = True
    hint: str = ""
    denied: str = ""
    decides: bool = True
    final: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A compute environment: its name and properties, and the instance types that it may start.

    ``offers`` is None where they could not be read, as ``unread`` says, with the action where it was not permitted.
    ``where`` are the zones that have them.
    """

    name: str
    props: Json
    offers: Sequence[Offer] | None = None
    unread: str = ""
    denied: str = ""
    where: str = "the Region"


def rulings(needs: Needs, place: Place, images: frozenset[str] | None = None) -> list[Ruling]:
    """What each rule says; ``images`` are the architectures of the job's images, None where they are not known."""
    platform = _platform(needs, place)
    if platform.verdict is not Fit.fits:
        return [platform]
    found = [platform, *_check_most(needs, place)]
    if needs.multinode:
        found += _check_nodes(needs, place)
    if needs.platform == "FARGATE":
        return [*found, *_check_fargate(needs, place, images)]
    for need in needs.hosts:
        found += _check_host(needs, need, place, images)
    return found


def platform_of(props: Json) -> str:
    """What the jobs of an environment run on; empty if that is not known, or if it is not managed."""
    kind = as_text(at(props, "computeResources", "type")) or ""
    found = _PLATFORMS.get(kind, "")
    return EKS if found == "EC2" and props.get("eksConfiguration") else found


def _platform(needs: Needs, place: Place) -> Ruling:
    path: Path = ("platformCapabilities",)
    offered = platform_of(place.props)
    if not needs.platform or not offered:
        why = (
            "the environment is not managed"
            if place.props.get("type") == "UNMANAGED"
            else "the platform is not known yet"
        )
        if needs.multinode and place.props.get("type") == "UNMANAGED":
            why = "multi-node jobs need a managed environment"
            return Ruling(check="platform", verdict=Fit.cannot, message=why, path=("nodeProperties",))
        return Ruling(check="platform", verdict=Fit.unknown, message=why, path=path)
    if needs.platform == offered:
        return Ruling(check="platform", verdict=Fit.fits, message=f"runs on {offered}", path=path)
    message = f"the job definition is for {needs.platform}, the environment runs {offered}"
    other = f", or set platformCapabilities: [{offered}]" if _may_move(needs, offered) else ""
    hint = f"declare a queue with {needs.platform} environments{other}"
    return Ruling(check="platform", verdict=Fit.cannot, message=message, path=path, hint=hint, final=False)


def _may_move(needs: Needs, platform: str) -> bool:
    """Whether the job could be declared for this platform as it is."""
    alone = not needs.multinode and not any(one.gpus for one in needs.hosts)
    return alone and {needs.platform, platform} == {"EC2", "FARGATE"}


def _check_most(needs: Needs, place: Place) -> Iterator[Ruling]:
    """Whether a whole job is within ``maxvCpus``."""
    most = as_int(at(place.props, "computeResources", "maxvCpus"))
    if not needs.hosts:
        return
    path = needs.hosts[0].paths.get(VCPU, needs.hosts[0].path)
    amounts = [None if one.vcpus is None or one.nodes is None else one.vcpus * one.nodes for one in needs.hosts]
    if most is None or any(one is None for one in amounts):
        yield Ruling(check="maxvCpus", verdict=Fit.unknown, message="an amount is not known yet", path=path)
        return
    total = sum((one for one in amounts if one is not None), Decimal(0))
    verdict = Fit.fits if total <= most else Fit.cannot
    of_all = " on all nodes" if needs.multinode else _of_all(needs.hosts[0])
    message = f"{_number(total)} vCPU{'s' * (total != 1)}{of_all}, and maxvCpus is {most}"
    hint = "" if verdict is Fit.fits else f"raise maxvCpus to {_number(total)} or more, or request less"
    yield Ruling(check="maxvCpus", verdict=verdict, message=message, path=path, hint=hint)


def _check_nodes(needs: Needs, place: Place) -> Iterator[Ruling]:
    path: Path = ("nodeProperties",)
    resources = at(place.props, "computeResources") or {}
    if resources.get("type") == "SPOT":
        message = "multi-node jobs run on On-Demand instances only"
        yield Ruling(check="multinode", verdict=Fit.cannot, message=message, path=path, hint="use type: EC2")
        return
    groups = items(resources.get("securityGroupIds"))
    if len(groups) > MOST_GROUPS:
        message = f"multi-node jobs take {MOST_GROUPS} security groups; the environment has {len(groups)}"
        hint = f"name at most {MOST_GROUPS} in securityGroupIds"
        yield Ruling(check="multinode", verdict=Fit.cannot, message=message, path=path, hint=hint)
        return
    message = f"{len(needs.hosts)} range{'s' * (len(needs.hosts) != 1)} of nodes on On-Demand instances"
    yield Ruling(check="multinode", verdict=Fit.fits, message=message, path=path)


def _check_fargate(needs: Needs, place: Place, images: frozenset[str] | None) -> Iterator[Ruling]:
    """Fargate has every size that ``validate`` admits; what is left is the image, and what Spot has not."""
    spot = at(place.props, "computeResources", "type") == "FARGATE_SPOT"
    if spot and needs.spot_refused:
        path: Path = ("containerProperties", "runtimePlatform", "operatingSystemFamily")
        hint = "use an environment of type: FARGATE"
        yield Ruling(check="platform", verdict=Fit.cannot, message=needs.spot_refused, path=path, hint=hint)
    for kind, check in ((VCPU, "vcpu"), (MEMORY, "memory")):
        for need in needs.hosts:
            amount = _amount(need, kind)
            path = need.paths.get(kind, need.path)
            if amount is None:
                yield Ruling(check=check, verdict=Fit.unknown, message=f"the {check} is not known yet", path=path)
            else:
                message = f"{_number(amount)} {_UNITS[kind]} is a Fargate size"
                yield Ruling(check=check, verdict=Fit.fits, message=message, path=path)
    if images is not None:
        path = needs.hosts[0].images[0][0] if needs.hosts and needs.hosts[0].images else ()
        verdict = Fit.fits if needs.architecture in images else Fit.cannot
        message = f"{_image_for(images)}, and the job runs on {needs.architecture}"
        hint = "" if verdict is Fit.fits else "set runtimePlatform.cpuArchitecture, or build the image for both"
        yield Ruling(check="architecture", verdict=verdict, message=message, path=path, hint=hint, final=False)


# --- instance types --------------------------------------------------------------------------------------------------

Holds = Callable[[Offer], "bool | None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """What an instance type must offer; ``best`` says what the types have, where none offers it."""

    check: str
    holds: Holds
    wanted: str
    best: Callable[[Sequence[Offer]], str]
    path: Path
    hint: Callable[[Sequence[Offer]], str] = lambda _: ""
    known: bool = True


def _check_host(needs: Needs, need: Need, place: Place, images: frozenset[str] | None) -> Iterator[Ruling]:
    names = [str(one) for one in items(at(place.props, "computeResources", "instanceTypes")) if isinstance(one, str)]
    bundle = next((one for one in names if one in offers.BUNDLES), "")
    if need.gpus and names and all(one in offers.BUNDLES for one in names):
        path = need.paths.get(GPU, need.path)
        message = f"{_number(need.gpus)} GPU{'s' * (need.gpus != 1)}, and {bundle} has no instance types with GPUs"
        yield Ruling(check="gpu", verdict=Fit.cannot, message=message, path=path, hint="name types with GPUs")
        return
    if place.offers is None:
        why = place.unread or "its instance types are not known"
        yield Ruling(check="types", verdict=Fit.unknown, message=why, path=need.path, denied=place.denied)
        return
    listed: Sequence[Offer] = place.offers
    if need.instance_type:
        listed = [one for one in place.offers if offers.belongs(one.type, need.instance_type)]
        if not listed:
            message = f"the nodes need {need.instance_type}, which is not among {', '.join(names)}"
            hint = f"add {need.instance_type} to instanceTypes, or name one of these in instanceType"
            yield Ruling(check="instanceType", verdict=Fit.cannot, message=message, path=need.path, hint=hint)
            return
    if not listed:
        message = f"{place.where} has none of {', '.join(names) or 'its instance types'}"
        hint = "use types that are offered there, or subnets in other zones"
        yield Ruling(check="types", verdict=Fit.cannot, message=message, path=need.path, hint=hint)
        return
    yield from _judge(list(_rules(needs, need, images)), listed, bundle)


def _judge(rules: list[_Rule], listed: Sequence[Offer], bundle: str) -> Iterator[Ruling]:
    """The verdict of each rule by itself, then of all on one type. Groups of types may change: then it is likely."""
    sure = not bundle
    alone = [(rule, _best(map(rule.holds, listed))) for rule in rules]
    for rule, held in alone:
        if held is False:
            yield Ruling(
                check=rule.check,
                verdict=Fit.cannot,
                message=f"{rule.wanted}, and {rule.best(listed)}",
                path=rule.path,
                certain=sure,
                final=rule.check != "architecture",
                hint=rule.hint(listed),
            )
    if any(held is False for _, held in alone):
        return
    together = [(one, [rule.holds(one) for rule in rules]) for one in listed]
    fitting = [one for one, held in together if all(each is True for each in held)]
    open_ones = [(one, held) for one, held in together if not any(each is False for each in held)]
    if fitting:
        best = min(fitting, key=lambda one: (one.vcpus, one.memory, one.type))
        for rule in rules:
            message = f"{rule.wanted}: fits on {best.type}"
            yield Ruling(check=rule.check, verdict=Fit.fits, message=message, path=rule.path, certain=False)
    elif open_ones:
        yield from _undecided(rules, open_ones)
    else:
        failing = [rule for rule in rules if any(rule.holds(one) is False for one in listed)]
        message = f"no single instance type has {' and '.join(rule.wanted for rule in failing)}"
        wanted = max(failing, key=lambda rule: sum(rule.holds(one) is False for one in listed))
        hint = "request less, or add a type that has all of it"
        yield Ruling(check="together", verdict=Fit.cannot, message=message, path=wanted.path, certain=sure, hint=hint)


def _undecided(rules: list[_Rule], open_ones: Sequence[tuple[Offer, list[bool | None]]]) -> Iterator[Ruling]:
    one, held = min(open_ones, key=lambda each: sum(value is None for value in each[1]))
    for rule, value in zip(rules, held, strict=True):
        if value is None:
            depends = f"{rule.wanted}: whether {one.type} has that depends on the instance; {rule.best([one])}"
            message, hint = (depends, rule.hint([one])) if rule.known else (f"the {rule.check} is not known yet", "")
            yield Ruling(check=rule.check, verdict=Fit.unknown, message=message, path=rule.path, hint=hint)
        else:
            yield Ruling(check=rule.check, verdict=Fit.fits, message=f"{rule.wanted}: fits", path=rule.path)


def _best(held: Iterable[bool | None]) -> bool | None:
    found = set(held)
    return True if True in found else None if None in found else False


def _rules(needs: Needs, need: Need, images: frozenset[str] | None) -> Iterator[_Rule]:
    eks = needs.platform == EKS
    vcpus, memory, gpus = need.vcpus, need.memory, need.gpus
    yield _Rule(
        check="vcpu",
        holds=lambda one: _vcpus_fit(vcpus, one, eks=eks),
        wanted=f"{_number(vcpus)} vCPU{'s' * (vcpus != 1)}{_of_all(need)}",
        best=lambda listed: _most(listed, lambda one: one.vcpus, "vCPUs"),
        path=need.paths.get(VCPU, need.path),
        hint=lambda listed: f"request at most {max(one.vcpus for one in listed)}, or add a larger type",
        known=vcpus is not None,
    )
    yield _Rule(
        check="memory",
        holds=lambda one: None if memory is None else memory_fits(float(memory), one, eks=eks),
        wanted=f"{_number(memory)} MiB of memory{_of_all(need)}",
        best=_memory_of,
        path=need.paths.get(MEMORY, need.path),
        hint=lambda listed: f"request at most {_most_memory(listed, eks=eks)}, or add a larger type",
        known=memory is not None,
    )
    if gpus is None or gpus > 0:
        yield _Rule(
            check="gpu",
            holds=lambda one: None if gpus is None or one.gpus is None else gpus <= one.gpus,
            wanted=f"{_number(gpus)} GPU{'s' * (gpus != 1)}{_of_all(need)}",
            best=_gpus_of,
            path=need.paths.get(GPU, need.path),
            hint=lambda _: "add an instance type with as many GPUs",
            known=gpus is not None,
        )
    if images is not None:
        yield _Rule(
            check="architecture",
            holds=lambda one: bool(images & one.architectures),
            wanted=_image_for(images),
            best=lambda listed: f"the instances have {_words({each for one in listed for each in one.architectures})}",
            path=need.images[0][0] if need.images else need.path,
            hint=lambda _: "build the image for both, or use instances of its architecture",
        )
    if need.efa:
        yield _Rule(
            check="efa",
            holds=lambda one: one.efa,
            wanted="an EFA device",
            best=lambda listed: f"{_names(listed)} has no EFA" if len(listed) == 1 else "none of the types has EFA",
            path=need.path,
            hint=lambda _: "use instance types that support EFA",
        )


def _vcpus_fit(wanted: Decimal | None, one: Offer, *, eks: bool) -> bool | None:
    if wanted is None:
        return None
    if wanted > one.vcpus:
        return False
    return None if eks and wanted > Decimal(str(offers.ON_EKS)) * one.vcpus else True


def _memory_of(listed: Sequence[Offer]) -> str:
    best = max(listed, key=lambda one: (one.usual_memory, one.type))
    if best.registered is not None:
        return f"{best.type} has registered {best.registered} MiB"
    most = best.type if len(listed) == 1 else f"the largest, {best.type},"
    return f"{most} has {best.memory} MiB less what the system takes"


def _most_memory(listed: Sequence[Offer], *, eks: bool) -> int:
    """What to request at most, in MiB."""
    return max(int(offers.ON_EKS * one.memory) if eks else one.usual_memory for one in listed)


def _gpus_of(listed: Sequence[Offer]) -> str:
    if all(one.gpus == 0 for one in listed):
        return f"{listed[0].type} has none" if len(listed) == 1 else "none of the types has any"
    if all(one.gpus is None for one in listed):
        return f"{listed[0].type} has a part of one" if len(listed) == 1 else "the types have parts of one"
    return _most(listed, lambda one: one.gpus or 0, "GPUs")


def _most(listed: Sequence[Offer], amount: Callable[[Offer], int], noun: str) -> str:
    best = max(listed, key=lambda one: (amount(one), one.type))
    return (
        f"{best.type} has {amount(best)}" if len(listed) == 1 else f"the most is {best.type} with {amount(best)} {noun}"
    )


def _names(listed: Sequence[Offer]) -> str:
    return ", ".join(sorted(one.type for one in listed))


def _amount(need: Need, kind: str) -> Decimal | None:
    return {VCPU: need.vcpus, MEMORY: need.memory, GPU: need.gpus}[kind]


def _of_all(need: Need) -> str:
    return f" for its {len(need.images)} containers" if len(need.images) > 1 else ""


def _number(value: Any) -> str:
    return "an unknown number of" if value is None else f"{value.normalize():f}"


def _image_for(architectures: frozenset[str]) -> str:
    return f"the image is for {_words(architectures)}" if architectures else "the images have no architecture in common"


def _words(values: Iterable[str]) -> str:
    return " and ".join(sorted(values))
