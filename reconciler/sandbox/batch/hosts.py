"""The EC2 instances of compute environments: launched for waiting jobs and `minvCpus`, ended when they are idle.

Each environment has one Auto Scaling group. An instance that has started joins the ECS cluster of its environment and
registers what it offers; only the group's activities show launches that fail.

Source: https://docs.aws.amazon.com/batch/latest/userguide/compute_resource_AMIs.html (the agent),
https://docs.aws.amazon.com/batch/latest/userguide/memory-management.html (registered memory) and
https://docs.aws.amazon.com/batch/latest/userguide/job_stuck_in_runnable_capacity.html (failed launches)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from functools import partial

from reconciler.sandbox.batch.compute_resources import ORDERED, on_fargate
from reconciler.sandbox.batch.store import Activity, Host, Json, Need, Row, Store
from reconciler.sandbox.batch.surroundings import Launch, Machine

RESERVED = 32
"""MiB that the agent of AWS Batch's AMI keeps of the memory."""
_MOST_ACTIVITIES = 100
_LONGEST_RETRY = 3600.0
_CANNOT_JOIN = ("AmazonECSTaskExecutionRolePolicy", "AmazonSSMManagedInstanceCore", "AWSBatchServiceRole")
_QUOTA = (
    "VcpuLimitExceeded - You have requested more vCPU capacity than your current vCPU limit of {} allows for the "
    "instance bucket that the specified instance type belongs to. Please visit "
    "http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit."
)
_SPOT_QUOTA = "MaxSpotInstanceCountExceeded - Max spot instance count exceeded."
_NO_CAPACITY = (
    "InsufficientInstanceCapacity - We currently do not have sufficient {} capacity in the Availability Zone you "
    "requested ({}). Our system will be working on provisioning additional capacity."
)
_NO_SPOT = (
    "UnfulfillableCapacity - Unable to fulfill capacity due to your request configuration. Please adjust your request "
    "and try again."
)
_UNSUPPORTED = (
    "Could not launch Instances. Unsupported - Your requested instance type ({}) is not supported in your requested "
    "Availability Zone ({}). Launching EC2 instance failed."
)
_LOST = (
    "an instance was taken out of service in response to an EC2 health check indicating it has been terminated or "
    "stopped."
)
_SCALED_IN = "instance {} was taken out of service in response to a user request, shrinking the capacity from {} to {}."
NONE_JOINED = (
    "CLIENT_ERROR - The compute environment was INVALIDATED and scaled down because none of the instances joined the "
    "underlying ECS Cluster. Common issues preventing instances joining are the following: VPC/Subnet configuration "
    "preventing communication to ECS, incorrect Instance Profile policy preventing authorization to ECS, or "
    "customized AMI or LaunchTemplate configurations affecting ECS agent."
)


def has_hosts(environment: Row) -> bool:
    """Whether AWS Batch runs EC2 instances for the environment."""
    resources: Json = environment.props.get("computeResources", {})
    return "instanceTypes" in resources and not on_fargate(resources)


def brings_hosts(environment: Row) -> bool:
    """Whether the instances of the environment are the caller's own, started with the name of its cluster."""
    return environment.props.get("type") == "UNMANAGED"


def join(store: Store, cluster: str, instance: str, type_: str, subnet: str) -> bool:
    """An instance of the caller's has started, whose agent joins a cluster; False if that is not of AWS Batch."""
    environment = next(
        (
            row
            for row in store.environments
            if brings_hosts(row) and row.props.get("ecsClusterArn", "").endswith(f":cluster/{cluster}") and not row.gone
        ),
        None,
    )
    machine = next(iter(store.surroundings.machines((type_,))), None)
    if environment is None or machine is None:
        return False
    _add(store, Host(instance, environment.arn, machine, subnet, store.surroundings.zone(subnet)))
    return True


def of(store: Store, environment: Row) -> list[Host]:
    """The instances of an environment."""
    return [host for host in store.hosts.values() if host.environment == environment.arn]


def group_name(environment: Row) -> str:
    """The name of the Auto Scaling group of an environment."""
    return f"AWSBatch-{environment.name}-asg-{environment.props['uuid']}"


def types(store: Store, environment: Row) -> Sequence[Machine]:
    """The instance types of an environment, in the order in which they are tried."""
    resources: Json = environment.props["computeResources"]
    found = store.surroundings.machines(tuple(resources["instanceTypes"]))
    if resources.get("allocationStrategy") in ORDERED:
        return found
    return sorted(found, key=lambda one: (one.gpus, one.vcpus, one.memory, one.name))


def suits(machine: Machine, need: Need) -> bool:
    """Whether an empty instance seems to be enough, by what EC2 advertises; less memory than that is registered."""
    return (
        need.vcpus <= machine.vcpus
        and need.memory <= machine.memory - RESERVED
        and need.gpus <= machine.gpus
        and (not need.types or machine.name in need.types)
    )


def launch_for(store: Store, environment: Row, need: Need, waiting: float = 0) -> Host | None:
    """A new instance that seems to be enough, larger if more vCPUs are waited for; None if there can be none now."""
    if store.launches.get(environment.arn, (0.0, 0))[0] > store.now:
        return None
    fitting = [one for one in types(store, environment) if suits(one, need)]
    if environment.props["computeResources"].get("allocationStrategy") not in ORDERED:
        most = max((one.vcpus for one in fitting), default=0)
        least = min(max(waiting, need.vcpus), most)
        fitting.sort(key=lambda one: (one.vcpus < least, one.gpus))
    return next((host for host in _attempts(store, environment, fitting) if host is not None), None)


def scale_to(store: Store, environment: Row, vcpus: float) -> None:
    """Launch until the instances have this many vCPUs."""
    while (missing := vcpus - sum(host.machine.vcpus for host in of(store, environment))) > 0:
        machines = types(store, environment)
        enough = [one for one in machines if one.vcpus >= missing] or machines[::-1]
        if not any(host is not None for host in _attempts(store, environment, enough)):
            return


def trim(store: Store, environment: Row) -> None:
    """End what has been idle for long enough, down to `minvCpus`."""
    if not has_hosts(environment):
        return
    resources: Json = environment.props["computeResources"]
    least = resources.get("minvCpus", 0)
    running = sum(host.machine.vcpus for host in of(store, environment))
    for host in of(store, environment):
        idle = not host.jobs and host.idle_since + store.settings.instances_idle <= store.now
        if idle and running - host.machine.vcpus >= least:
            running -= host.machine.vcpus
            end(store, host)


def release(store: Store, job: str, ids: Iterable[str] = ()) -> None:
    """A job has left its instances; all of them are looked through where they are not known."""
    for host in [store.hosts[one] for one in ids if one in store.hosts] or list(store.hosts.values()):
        for key in [key for key in host.jobs if key == job or key.startswith(f"{job}#")]:
            host.give_back(key)
            if not host.jobs:
                host.idle_since = store.now
                environment = store.environments.find(host.environment)
                if environment is not None:
                    store.after(store.settings.instances_idle, partial(trim, store, environment))


def end(store: Store, host: Host, *, lost: bool = False, reclaimed: bool = False) -> None:
    """The instance is terminated: by AWS Batch, or if it is `lost` by EC2 or a caller; only Spot is reclaimed."""
    environment = store.environments.find(host.environment)
    number = len([one for one in store.hosts.values() if one.environment == host.environment])
    if store.hosts.pop(host.id, None) is None:
        return
    store.surroundings.end(host.id, store.now, reclaimed=reclaimed and host.spot)
    if environment is not None:
        cause = _LOST if lost else _SCALED_IN.format(host.id, number, number - 1)
        ended = Activity(store.new_id(), store.now, host.machine.name, host.subnet, host.zone, host.id, ended=cause)
        _record(store, environment, ended)


def _attempts(store: Store, environment: Row, machines: Sequence[Machine]) -> Iterator[Host | None]:
    """Try one type after the other, in every subnet, until one is launched."""
    resources: Json = environment.props["computeResources"]
    subnets = resources.get("subnets", [])
    if not subnets or not machines:
        return
    failed = False
    for machine in machines:
        if not _allowed(store, environment, machine):
            continue
        zones = [one for one in subnets if store.surroundings.offers(machine.name, one)]
        if not zones:
            failed = True
            zone = store.surroundings.zone(subnets[0])
            why = _UNSUPPORTED.format(machine.name, zone)
            _record(
                store, environment, Activity(store.new_id(), store.now, machine.name, subnets[0], zone, failure=why)
            )
        at = len(store.hosts) % len(zones) if zones else 0
        for subnet in [*zones[at:], *zones[:at]]:
            zone = store.surroundings.zone(subnet)
            wanted = _wanted(store, environment, machine, subnet)
            failure = _failure(store, wanted, zone) or store.surroundings.cannot_launch(wanted)
            if not failure:
                yield _launch(store, environment, machine, wanted)
                return
            failed = True
            _record(
                store, environment, Activity(store.new_id(), store.now, machine.name, subnet, zone, failure=failure)
            )
    if failed:
        _, failures = store.launches.get(environment.arn, (0.0, 0))
        pause = min(store.settings.instances_retry * 2**failures, _LONGEST_RETRY)
        store.launches[environment.arn] = (store.now + pause, failures + 1)
    yield None


def _allowed(store: Store, environment: Row, machine: Machine) -> bool:
    """`maxvCpus` may be exceeded by one instance, except with BEST_FIT (API_ComputeResource, maxvCpus)."""
    resources: Json = environment.props["computeResources"]
    running = sum(host.machine.vcpus for host in of(store, environment))
    if resources.get("allocationStrategy", "BEST_FIT") == "BEST_FIT":
        return bool(running + machine.vcpus <= resources["maxvCpus"])
    return bool(running < resources["maxvCpus"])


def _failure(store: Store, wanted: Launch, zone: str) -> str:
    """Why EC2 has no instance for the account; the quota first, as it is asked first."""
    market = "Spot" if wanted.spot else "On-Demand"
    for pattern, most in store.settings.vcpu_quotas.items():
        if not fnmatchcase(wanted.type, pattern):
            continue
        alike = [h for h in store.hosts.values() if h.spot == wanted.spot and fnmatchcase(h.machine.name, pattern)]
        asked = next(one.vcpus for one in store.surroundings.machines((wanted.type,)))
        if sum(h.machine.vcpus for h in alike) + asked > most:
            why = _SPOT_QUOTA if wanted.spot else _QUOTA.format(most)
            return f"Could not launch {market} Instances. {why} Launching EC2 instance failed."
    for pattern in store.settings.no_capacity:
        kind, _, where = pattern.partition("@")
        if fnmatchcase(wanted.type, kind) and fnmatchcase(zone, where or "*"):
            why = _NO_SPOT if wanted.spot else _NO_CAPACITY.format(wanted.type, zone)
            return f"Could not launch {market} Instances. {why} Launching EC2 instance failed."
    return ""


def _wanted(store: Store, environment: Row, machine: Machine, subnet: str) -> Launch:
    resources: Json = environment.props["computeResources"]
    images = [one.get("imageIdOverride", "") for one in resources.get("ec2Configuration", [])]
    return Launch(
        environment.name,
        group_name(environment),
        machine.name,
        subnet,
        tuple(resources.get("securityGroupIds", ())),
        resources.get("instanceRole", ""),
        resources.get("ec2KeyPair", ""),
        next((image for image in images if image), resources.get("imageId", "")),
        _template(resources),
        resources.get("placementGroup", ""),
        resources.get("tags", {}),
        resources.get("type") == "SPOT",
        store.now,
    )


def _launch(store: Store, environment: Row, machine: Machine, wanted: Launch) -> Host:
    host = Host(
        store.surroundings.launch(wanted),
        environment.arn,
        machine,
        wanted.subnet,
        store.surroundings.zone(wanted.subnet),
        spot=wanted.spot,
        efa=machine.efa and store.surroundings.launch_template_efa(*wanted.template),
        joins=_joins(store, environment),
    )
    _add(store, host)
    store.launched.add(environment.arn)
    store.launches.pop(environment.arn, None)
    _record(store, environment, Activity(store.new_id(), store.now, machine.name, host.subnet, host.zone, host.id))
    return host


def _add(store: Store, host: Host) -> None:
    host.memory = int(host.machine.memory * store.settings.registered_memory) - RESERVED
    host.launched = host.idle_since = store.now
    host.container_instance = store.new_id().replace("-", "")
    host.vcpus_left, host.memory_left, host.gpus_left = host.machine.vcpus, host.memory, host.machine.gpus
    store.hosts[host.id] = host
    store.after(store.settings.instances_launch, lambda: store.on_started(host))


def _template(resources: Json) -> tuple[str, str]:
    given: Json = resources.get("launchTemplate", {})
    named = given.get("launchTemplateId") or given.get("launchTemplateName") or ""
    return str(named), str(given.get("version") or "$Default")


def _joins(store: Store, environment: Row) -> bool:
    if any(fnmatchcase(environment.name, pattern) for pattern in store.settings.unjoined):
        return False
    profile = store.surroundings.instance_profile(environment.props["computeResources"].get("instanceRole", ""))
    role = store.surroundings.role(profile.role_arn) if profile is not None and profile.role_arn else None
    return role is None or any(not policy.endswith(_CANNOT_JOIN) for policy in role.policies)


def _record(store: Store, environment: Row, activity: Activity) -> None:
    store.activities.setdefault(environment.arn, deque(maxlen=_MOST_ACTIVITIES)).append(activity)
