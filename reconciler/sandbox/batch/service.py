"""The entry point of the service: a request in, a status and a JSON body out."""

from __future__ import annotations

import copy
import json
import random
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import parse_qs, unquote

from reconciler.sandbox.batch import (
    compute_environments,
    consumables,
    fleet,
    hosts,
    job_definitions,
    job_logs,
    job_queues,
    jobs,
    paging,
    quota_shares,
    running,
    scheduling_policies,
    service_environments,
    service_jobs,
    snapshots,
    tags,
    validate,
)
from reconciler.sandbox.batch.fleet import Fleet
from reconciler.sandbox.batch.installed import shapes
from reconciler.sandbox.batch.messages import BatchError, Invalid
from reconciler.sandbox.batch.settings import Settings
from reconciler.sandbox.batch.shapes import OPERATIONS, operation_at
from reconciler.sandbox.batch.store import Json, Store
from reconciler.sandbox.batch.surroundings import Surroundings
from reconciler.sandbox.clock import Clock

ROUTES: Mapping[str, Callable[[Store, Json], Json]] = {
    "CancelJob": jobs.cancel,
    "CancelJobs": jobs.cancel_many,
    "CreateComputeEnvironment": compute_environments.create,
    "CreateConsumableResource": consumables.create,
    "CreateJobQueue": job_queues.create,
    "CreateQuotaShare": quota_shares.create,
    "CreateSchedulingPolicy": scheduling_policies.create,
    "CreateServiceEnvironment": service_environments.create,
    "DeleteComputeEnvironment": compute_environments.delete,
    "DeleteConsumableResource": consumables.delete,
    "DeleteJobQueue": job_queues.delete,
    "DeleteQuotaShare": quota_shares.delete,
    "DeleteSchedulingPolicy": scheduling_policies.delete,
    "DeleteServiceEnvironment": service_environments.delete,
    "DeregisterJobDefinition": job_definitions.deregister,
    "DescribeComputeEnvironments": compute_environments.describe,
    "DescribeConsumableResource": consumables.describe,
    "DescribeJobDefinitions": job_definitions.describe,
    "DescribeJobQueues": job_queues.describe,
    "DescribeJobs": jobs.describe,
    "DescribeQuotaShare": quota_shares.describe,
    "DescribeSchedulingPolicies": scheduling_policies.describe,
    "DescribeServiceEnvironments": service_environments.describe,
    "DescribeServiceJob": service_jobs.describe,
    "GetJobQueueSnapshot": snapshots.snapshot,
    "ListConsumableResources": consumables.list_all,
    "ListJobs": jobs.list_jobs,
    "ListJobsByConsumableResource": consumables.list_jobs,
    "ListQuotaShares": quota_shares.list_all,
    "ListSchedulingPolicies": scheduling_policies.list_all,
    "ListServiceJobs": service_jobs.list_all,
    "ListTagsForResource": tags.list_for_resource,
    "RegisterJobDefinition": job_definitions.register,
    "SubmitJob": jobs.submit,
    "SubmitServiceJob": service_jobs.submit,
    "TagResource": tags.tag,
    "TerminateJob": jobs.terminate,
    "TerminateJobs": jobs.terminate_many,
    "TerminateServiceJob": service_jobs.terminate,
    "TerminateServiceJobs": service_jobs.terminate_many,
    "UntagResource": tags.untag,
    "UpdateComputeEnvironment": compute_environments.update,
    "UpdateConsumableResource": consumables.update,
    "UpdateJobQueue": job_queues.update,
    "UpdateQuotaShare": quota_shares.update,
    "UpdateSchedulingPolicy": scheduling_policies.update,
    "UpdateServiceEnvironment": service_environments.update,
    "UpdateServiceJob": service_jobs.update,
}


class Batch:
    """AWS Batch of one account and Region. Safe to call from several threads; time is the clock's."""

    def __init__(
        self, *, account: str, region: str, partition: str, clock: Clock, surroundings: Surroundings, settings: Settings
    ) -> None:
        self._store = Store(
            account=account,
            region=region,
            partition=partition,
            clock=clock,
            surroundings=surroundings,
            settings=settings,
        )
        self._store.on_started = partial(running.joined, self._store)
        self._lock = threading.Lock()
        self._replies = 0

    def handle(
        self, method: str, path: str, query: Mapping[str, Any] | str, body: bytes
    ) -> tuple[int, Mapping[str, Any]]:
        """The status and body of the reply to a request; raises `BatchError`, whose `code` is sent in
        `x-amzn-ErrorType`.

        `query` may be the raw string, or a mapping whose values are lists if a member repeats (only `tagKeys` does);
        `path` may be percent-encoded.
        """
        fields = parse_qs(query, keep_blank_values=True) if isinstance(query, str) else query
        with self._lock:
            try:
                return 200, self._answered(method, path, fields, body)
            except Invalid as error:
                wrapped = f"Error executing request, Exception : {error}, RequestId: {self._store.new_id()}"
                raise BatchError(error.code, error.status, wrapped) from error

    def tagged(self) -> dict[str, dict[str, str]]:
        """The tags of resources that can be found by them, by ARN."""
        with self._lock:
            self._store.settle()
            rows = (row for table in tags.tables(self._store) for row in table if not row.gone)
            return {row.arn: dict(row.tags) for row in rows if row.tags and row.state != "INACTIVE"}

    def fleet(self) -> Fleet:
        """The instances, Auto Scaling groups, clusters and tasks of the environments, as they are now."""
        with self._lock:
            self._store.settle()
            return fleet.of(self._store)

    def lose(self, instances: Iterable[str], *, reclaimed: bool = True, how: str = "terminated") -> list[str]:
        """EC2 instances are terminated, or stopped; returns those that belong to an environment."""
        with self._lock:
            self._store.settle()
            return running.lose_instances(self._store, instances, reclaimed=reclaimed, how=how)

    def join(self, cluster: str, instance: str, type_: str, subnet: str) -> bool:
        """An EC2 instance of the caller's joins a cluster; False if that is not of an UNMANAGED environment."""
        with self._lock:
            self._store.settle()
            return hosts.join(self._store, cluster, instance, type_, subnet)

    def reclaim(self, job_or_instance: str) -> list[str]:
        """Spot capacity is taken back: of an instance, or of a job's instances or its Fargate task; what was lost."""
        with self._lock:
            self._store.settle()
            store = self._store
            row = store.jobs.find(job_or_instance)
            if row is None:
                return running.lose_instances(store, [job_or_instance], reclaimed=True)
            if running.interrupt(store, row):
                return [row.name]
            ids = store.runs[row.name].hosts
            if "parent_node" in row.props:
                index = row.props["nodeDetails"]["nodeIndex"]
                ids = store.runs[row.props["parent"]].hosts[index : index + 1]
            return running.lose_instances(store, list(ids), reclaimed=True)

    def write(self, job: str, texts: Sequence[str], container: str = "") -> list[str]:
        """A job that runs writes lines now; returns the group and stream, or the driver. Raises `BatchError`."""
        with self._lock:
            self._store.settle()
            return job_logs.write(self._store, job, texts, container)

    def service_roles(self) -> dict[str, str]:
        """The service role of each environment, both as ARNs."""
        with self._lock:
            self._store.settle()
            rows = [row for row in self._store.environments if not row.gone]
            return {row.arn: row.props["serviceRole"] for row in rows if row.props.get("serviceRole")}

    def settle(self) -> None:
        """Bring the account up to the clock, before other services are read."""
        with self._lock:
            self._store.settle()

    def scale(self, environment: str, vcpus: int) -> None:
        """Change `desiredvCpus` as the service itself does, within the environment's limits."""
        with self._lock:
            self._store.settle()
            compute_environments.scale(self._store, self._store.environments.need(environment), vcpus)

    def reset(self) -> None:
        """Empty the account; clock, surroundings and settings are kept."""
        with self._lock:
            self._store.reset()

    def _answered(self, method: str, path: str, query: Mapping[str, Any], body: bytes) -> Json:
        operation = operation_at(method, path)
        if operation is None:
            raise BatchError("UnknownOperationException", 404, f"Unknown operation {method} {path}")
        self._store.settle()
        given = validate.request(operation, self._given(operation, path, query, body))
        reply = ROUTES[operation](self._store, given)
        if beyond := shapes().beyond(operation, given):
            self._keep(reply or given, beyond)
        self._store.settle()
        seed = self._store.settings.shuffle
        if seed is None:
            copied: Json = _copied(reply)
            return copied
        self._replies += 1
        chance = random.Random(f"{seed}/{self._replies}")  # noqa: S311 (an order, not a secret)
        scattered: Json = paging.scatter(_copied(reply), chance)
        return scattered

    def _keep(self, about: Json, members: Json) -> None:
        """Store members that only the installed client has, with the resources in the reply, or else in the request."""
        arns = {value for value in about.values() if isinstance(value, str) and value.startswith("arn:")}
        for row in (row for table in tags.tables(self._store) for row in table if row.arn in arns):
            row.props.update(members)

    def _given(self, operation: str, path: str, query: Mapping[str, Any], body: bytes) -> Mapping[str, Any]:
        try:
            given = json.loads(body) if body else {}
        except (ValueError, RecursionError):
            raise BatchError("SerializationException", 400, "The request body is not JSON") from None
        if path.startswith("/v1/tags/"):
            known = {**given, "resourceArn": unquote(path.removeprefix("/v1/tags/"))}
            if operation == "UntagResource":
                keys = query.get("tagKeys", [])
                known["tagKeys"] = [keys] if isinstance(keys, str) else list(keys)
            return known
        if not isinstance(given, dict):
            raise BatchError("SerializationException", 400, "The request body is not an object")
        return given


def _copied(value: Any) -> Any:
    """A copy of plain data that the caller may change; several times as fast as ``copy.deepcopy``."""
    if isinstance(value, dict):
        return {name: _copied(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_copied(item) for item in value]
    return value if isinstance(value, str | int | float | None) else copy.deepcopy(value)


assert set(ROUTES) == set(OPERATIONS), "every operation of the table is answered"
