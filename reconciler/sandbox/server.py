"""The sandbox: an AWS account, served to any AWS client, and others at the same endpoint.

The access key of a request says whose it is: twelve digits are an account's id, as elsewhere (LocalStack); the keys of
an assumed role, or of a user, are its account's; any other key is the main account's. Roles and users may do what their
policies allow, the accounts themselves everything.

Requests for AWS Batch are sent to our own service, all others to moto with corrections, ``/_sandbox/`` to the admin
API. There are two ways in: :meth:`Sandbox.serve` over HTTP on loopback, and :meth:`Sandbox.attach`, which replies to a
boto3 session without sockets, for thousands of short histories.

One sandbox per process: moto's objects belong to the process. Requests are processed one at a time.
"""

from __future__ import annotations

import json
import random
import threading
import time
import traceback
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import asdict, fields, replace
from typing import Any
from urllib.parse import parse_qs, unquote

from reconciler.model.patterns import regex
from reconciler.model.records import dataclass
from reconciler.sandbox import admin_api, collector, event_delivery, outbox, pushing, setting_values, transport, wire
from reconciler.sandbox.account import AccountSurroundings
from reconciler.sandbox.batch import Batch, BatchError, Settings
from reconciler.sandbox.batch.fleet import Fleet
from reconciler.sandbox.clock import Clock
from reconciler.sandbox.faults import Died, Faults, Lost
from reconciler.sandbox.iam import federation
from reconciler.sandbox.iam.assuming import ASSUMABLE, assumed
from reconciler.sandbox.iam.existing import Existing
from reconciler.sandbox.iam.guard import authorize
from reconciler.sandbox.iam.needs import Asked, Need, of_s3
from reconciler.sandbox.iam.principals import Session, user_with
from reconciler.sandbox.iam.simulation import simulated
from reconciler.sandbox.services import Account, ServiceSettings, answer, scheduler
from reconciler.sandbox.services._moto import BACKENDS, Moto, partition_of
from reconciler.sandbox.wire import Refusal, Reply, Request

ACCOUNT = "123456789012"
REGION = "eu-west-1"
_MASKED = frozenset(
    {"WebIdentityToken", "SecretString", "SecretBinary", "SecretAccessKey", "KeyMaterial", "value", "UserData"}
)
_SECRET = regex(r"(?i)pass(word|wd|phrase)$|secret$|[-_.]token$")
_LONGEST_LOG = 20_000
_ACCOUNT = regex(r"[0-9]{12}")
_ROLE = regex(r"arn:aws[a-z-]*:iam::(?P<account>[0-9]{12}):role/.+")
_USER_KEY = regex(r"AKIA\w{16}")
_ROLE_KEY = regex(rb"<AccessKeyId>(ASIA\w+)</AccessKeyId>")


@dataclass(frozen=True)
class Record:
    """One request with the status of its reply; secret values are masked."""

    n: int
    at: float
    service: str
    operation: str
    region: str
    params: Mapping[str, Any]
    status: int
    code: str = ""


class Sandbox:
    """The account, its clock, its faults, and the log of its requests."""

    def __init__(
        self,
        *,
        account: str = ACCOUNT,
        region: str = REGION,
        clock: Clock | None = None,
        settings: ServiceSettings | None = None,
        batch: Settings | None = None,
        main: Sandbox | None = None,
    ) -> None:
        self.main = main
        self.region = region
        self.clock = clock or Clock(speed=0)
        self.settings = settings or ServiceSettings()
        self.batch_settings = batch or Settings()
        self.faults: Faults = main.faults if main else Faults()
        self.calls: list[Record] = []
        self.checked: list[Need] = main.checked if main else []
        """What roles and users were allowed, one after the other."""
        self.shuffle: int | str | None = None
        self.account = Account(
            Moto(account),
            self.clock,
            self.settings,
            batch_tags=self._batch_tags,
            batch_fleet=self._batch_fleet,
            batch_lose=self._batch_lose,
            batch_join=lambda region, *about: self.batch(region).join(*about),
            batch_roles=self._batch_roles,
            vcpu_quotas=lambda: self.batch_settings.vcpu_quotas,
            simulate=self._simulate,
            deliver=self._deliver,
        )
        self._batches: dict[str, Batch] = {}
        self._chance = random.Random(0)  # noqa: S311  an order, not a secret
        self.lock: threading.RLock = main.lock if main else threading.RLock()
        self._asked = 0
        self._others: dict[str, Sandbox] = {}
        self._role_keys: dict[str, str] = {}
        self._sessions: dict[str, Session] = main._sessions if main else {}  # noqa: SLF001  another account of this one

    # --- the ways in ---------------------------------------------------------------------------------------------

    def attach(self, session: Any = None) -> Any:
        """Reply to every client that ``session`` (boto3's or botocore's) creates from now on; None: a new session."""
        return transport.attach(self, session)

    def serve(self, port: int = 0) -> transport.Server:
        """A threaded HTTP server on loopback; call its ``serve_forever`` and ``shutdown``."""
        return transport.Server(self, port)

    def warm(self) -> None:
        """Load what moto otherwise loads at the first request to each service, about a second in all."""
        for service in BACKENDS:
            with self.lock:  # released in between, for other requests
                self.account.moto.ready(service, self.region)

    # --- state ---------------------------------------------------------------------------------------------------

    def reset(self) -> None:
        """Empty every account: resources, faults, log and lags are deleted; the clock and its speed are kept."""
        with self.lock:
            for sandbox in (self, *self._others.values()):
                sandbox.empty()
            self.faults.clear()
            self.calls.clear()
            self.checked.clear()
            self._asked = 0

    def empty(self) -> None:
        """Delete the resources of this account."""
        with self.lock:
            for batch in self._batches.values():
                batch.reset()
            self.account.reset()

    def defaults(self) -> None:
        """Set every setting to its default."""
        self.change({**asdict(Settings()), **asdict(ServiceSettings())})

    def change(self, values: Mapping[str, Any]) -> None:
        """Change settings by name, of AWS Batch and of other services; raises ``KeyError`` for an unknown name and
        ``ValueError`` for a value of another type.
        """
        for kind in (type(self.batch_settings), type(self.settings)):
            setting_values.check(kind, values)
        known = {field.name for field in fields(self.settings)}
        ours = {name: value for name, value in values.items() if name in known}
        theirs = {name: value for name, value in values.items() if name not in ours}
        self.batch_settings.change(theirs)
        self.settings.change(ours)
        if "shuffle" in theirs:
            for sandbox in (self, *self._others.values()):
                sandbox.shuffle_by(theirs["shuffle"])

    def shuffle_by(self, seed: int | str | None) -> None:
        """Shuffle the lists of every reply, by chance that begins with ``seed``; None: leave them as they are."""
        self.shuffle = seed
        self._chance = random.Random(seed)  # noqa: S311  an order, not a secret

    def settings_json(self) -> dict[str, Any]:
        """All settings by name."""
        return {**asdict(self.batch_settings), **asdict(self.settings)}

    def batch(self, region: str | None = None) -> Batch:
        """AWS Batch in one Region."""
        where = region or self.region
        with self.lock:
            if where not in self._batches:
                self._batches[where] = Batch(
                    account=self.account.id,
                    region=where,
                    partition=partition_of(where),
                    clock=self.clock,
                    surroundings=AccountSurroundings(self.account, where),
                    settings=self.batch_settings,
                )
            return self._batches[where]

    # --- other accounts ------------------------------------------------------------------------------------------

    @property
    def accounts(self) -> tuple[str, ...]:
        """The ids of the accounts that were used, the main one first."""
        return (self.account.id, *self._others)

    def of(self, account: str) -> Sandbox:
        """The account with this id, which begins empty; clock, settings, faults and log are those of this one."""
        with self.lock:
            if account == self.account.id:
                return self
            if account not in self._others:
                other = Sandbox(
                    account=account,
                    region=self.region,
                    clock=self.clock,
                    settings=self.settings,
                    batch=self.batch_settings,
                    main=self,
                )
                other.shuffle_by(self.shuffle)
                self._others[account] = other
            return self._others[account]

    def write_log(self, job: str, texts: Sequence[str], container: str = "") -> list[str]:
        """A job that runs writes lines; returns the group and stream, or the driver. Raises ``ValueError``."""
        with self.lock:
            missing = ""
            for sandbox in (self, *self._others.values()):
                for batch in sandbox._batches.values():  # noqa: SLF001  another account of this one
                    try:
                        return batch.write(job, texts, container)
                    except BatchError as error:
                        missing = missing if missing and error.message.startswith("No job") else error.message
            raise ValueError(missing or f"No job {job} is RUNNING.")

    def push(self, image: str, platforms: Sequence[str] = ()) -> str:
        """Put an image into the ECR of its account; its digest. Raises ``ValueError``."""
        with self.lock:
            account = image.partition(".")[0]
            where = self.of(account) if account in self.accounts else self
            return pushing.push(where.account, image, platforms)

    def settle(self) -> None:
        """Let everything happen that is due, in every account."""
        with self.lock:
            for sandbox in (self, *self._others.values()):
                sandbox._fire_schedules()  # noqa: SLF001  another account of this one
                sandbox._settle()  # noqa: SLF001

    def let_assume(self, role: str) -> None:
        """Let the role with this ARN be assumed from within its account, although IAM does not have it."""
        found = _ROLE.fullmatch(role)
        if not found:
            raise ValueError(f"{role} is not the ARN of a role")
        self.of(found["account"]).account.memory[ASSUMABLE][role] = True

    def _account_of(self, key: str) -> Sandbox:
        """The account of an access key: one of twelve digits is the account's id, and a role's belongs to its account.
        All others are keys of the main account.
        """
        account = self._role_keys.get(key, key)
        return self.of(account) if _ACCOUNT.fullmatch(account) else self

    # --- answering -----------------------------------------------------------------------------------------------

    def answer(self, request: Request) -> Reply:
        """The reply to one request; raises ``Lost`` or ``Died`` for a fault with no reply."""
        if request.path.startswith("/_sandbox"):
            return admin_api.answer(self, request)
        if request.path.startswith(collector.PATH):
            with self.lock:
                return collector.answer(self.account, request)
        if not request.scope[0] and wire.operation_of("", request) == federation.ACTION:  # it is not signed
            request = wire.signed_for("sts", self.region, request)
        caller = self._caller(request.access_key, request.scope[1])
        account = self.of(caller.account) if caller else self._account_of(request.access_key)
        reply = account.answered(request, caller)
        if request.scope[0] == "sts" and (keys := _ROLE_KEY.findall(reply.body)):
            self._role_keys |= dict.fromkeys(map(bytes.decode, keys), account.account.id)
        if "x-amzn-requestid" in reply.headers:
            return reply
        return replace(reply, headers={"x-amzn-requestid": str(uuid.uuid4()), **reply.headers})

    def arn_of(self, key: str) -> str | None:
        """The role session or user of an access key; None for an account's own."""
        found = self._caller(key, self.region)
        return found.arn if found else None

    def _caller(self, key: str, region: str) -> Session | None:
        if key in self._sessions:
            return self._sessions[key]
        if not _USER_KEY.fullmatch(key):
            return None
        with self.lock:
            accounts = (self, *self._others.values())
            users = (user_with(one.account.moto.backend("iam", region), key, one.account.id) for one in accounts)
            return next(filter(None, users), None)

    def answered(self, request: Request, caller: Session | None = None) -> Reply:
        """The reply of this account to one request of ``caller``, or its own; raises as :meth:`answer`."""
        service, region = request.scope
        operation = wire.operation_of(service, request)
        params: wire.Json = {}
        sent: Mapping[str, Any] = {}
        shown: Mapping[str, Any] = {}
        try:
            params = _params(service, operation, request)
            sent, shown = dict(params), _masked(params)
            with self.lock:
                fault = self.faults.striking(service, operation)
            if fault and fault.delay:
                self._wait(fault.delay)
            with self.lock:
                if fault:
                    fault.refuse(service, operation)
                session = self._authorized(caller, params, request)
                reply = self._performed(service, operation, params, request)
                if session:
                    self._sessions |= dict.fromkeys(map(bytes.decode, _ROLE_KEY.findall(reply.body)), session)
        except (Lost, Died):
            raise
        except Exception as error:  # noqa: BLE001  moto's objects raise what they like for what they do not expect
            lacking = "" if service == "batch" else wire.missing(service, operation, params)
            refused = _as_refusal(error, f"{service}:{operation}", lacking)
            self.log(service, operation, region, shown, refused.status, refused.code)
            self.account.trail.record(service, operation, region, sent, request, refusal=refused)
            return wire.refused(service, request, refused)
        self.log(service, operation, region, shown, reply.status, reply.headers.get("x-amzn-errortype", ""))
        self.account.trail.record(service, operation, region, sent, request, reply=reply)
        if fault and fault.lost:
            raise Lost
        return reply

    def _authorized(self, caller: Session | None, params: wire.Json, request: Request) -> Session | None:
        """Raises :class:`Refusal` for what the caller may not do; the caller of the keys in the reply of STS."""
        service, region = request.scope
        operation = wire.operation_of(service, request)
        if service == "sts" and operation in ("AssumeRole", federation.ACTION):
            account = str(params["RoleArn"]).split(":")[4:5]
            main = self.main or self
            there = Existing(main.of(account[0]).account, region) if account and account[0] in main.accounts else None
            if operation == federation.ACTION:
                return federation.signed_in(params, there, self.clock.now())
            return assumed(caller, params, there, Existing(self.account, region))
        if caller:
            asked = (
                of_s3(request)
                if service == "s3"
                else Asked(service, operation, {**params, **_in_url(service, request)})
            )
            self.checked += authorize(caller, asked, Existing(self.account, region), self.clock.now())
            del self.checked[: max(0, len(self.checked) - _LONGEST_LOG)]
        return caller if service == "sts" else None

    def _performed(self, service: str, operation: str, params: wire.Json, request: Request) -> Reply:
        self._fire_schedules()
        if service == "batch":
            reply = self._batch_reply(request)
            self._submit(event_delivery.submissions(self.account), "events.amazonaws.com")
            return reply
        self._settle()
        return answer(self.account, request, operation, params, self._chance if self.shuffle is not None else None)

    def _settle(self) -> None:
        for batch in list(self._batches.values()):
            batch.settle()
        self._submit(event_delivery.submissions(self.account), "events.amazonaws.com")

    def _fire_schedules(self) -> None:
        """Submit the jobs of the schedules that are due."""
        self._submit(scheduler.due(self.account), scheduler.PRINCIPAL)

    def _submit(self, asked: Iterable[tuple[str, str, wire.Json]], service: str) -> None:
        """Submit jobs (Region, role, parameters) as EventBridge or its Scheduler does, with the role of each."""
        for region, role, params in asked:
            status, code = 200, ""
            by = scheduler.identity(role, self.account.id, service)
            try:
                who = Session(self.account.id, by["arn"], role, "")
                authorize(who, Asked("batch", "SubmitJob", params), Existing(self.account, region), self.clock.now())
                self.batch(region).handle("POST", "/v1/submitjob", {}, json.dumps(params).encode())
            except (BatchError, Refusal) as error:
                status, code = error.status, error.code
                why = f"{code}: {error.message}"
                outbox.undelivered(self.account, params["jobQueue"], service, why, self.clock.now())
            self.log("batch", "SubmitJob", region, _masked(params), status, code)
            self.account.trail.record_service(service, "batch", "SubmitJob", region, params, by)

    def _batch_reply(self, request: Request) -> Reply:
        region = request.scope[1]
        query = {name: values if len(values) > 1 else values[0] for name, values in parse_qs(request.query).items()}
        try:
            status, body = self.batch(region).handle(request.method, request.path, query, request.body)
            if consistency := self.account.eventual_consistency:
                body = dict(deepcopy(body))
                named = {"resourceArn": unquote(request.path.rpartition("/v1/tags/")[2])}
                consistency.process_reply("batch", wire.operation_of("batch", request), named, body)
        except BatchError as error:
            raise Refusal(error.code, error.message, error.status) from error
        return Reply(status, {"content-type": "application/json"}, json.dumps(body).encode())

    def _batch_tags(self, region: str) -> dict[str, dict[str, str]]:
        return self.batch(region).tagged()

    def reclaim(self, job_or_instance: str) -> list[str]:
        """EC2 or Fargate takes capacity back, of an instance or a job of any account and Region; what was lost."""
        with self.lock:
            accounts = (self, *self._others.values())
            regions = (batch for one in accounts for batch in one._batches.values())  # noqa: SLF001  (of this class)
            return next((lost for batch in regions if (lost := batch.reclaim(job_or_instance))), [])

    def _batch_fleet(self, region: str) -> Fleet:
        return self.batch(region).fleet()

    def _batch_lose(self, region: str, instances: Sequence[str], how: str) -> list[str]:
        return self.batch(region).lose(instances, reclaimed=False, how=how)

    def _batch_roles(self) -> dict[str, dict[str, str]]:
        return {region: batch.service_roles() for region, batch in self._batches.items()}

    def _simulate(self, operation: str, params: wire.Json, region: str) -> wire.Json:
        return simulated(operation, params, Existing(self.account, region))

    def _deliver(self, region: str, event: wire.Json, bus: str) -> str:
        return event_delivery.deliver(self.account, region, event, self.clock.now(), bus)

    def _wait(self, seconds: float) -> None:
        if self.clock.speed:
            time.sleep(seconds / self.clock.speed)
        else:
            self.clock.advance(seconds)

    def log(self, service: str, operation: str, region: str, params: Mapping[str, Any], status: int, code: str) -> None:
        """Record a request and its reply; those of all accounts are in one log."""
        if self.main:
            self.main.log(service, operation, region, params, status, code)
            return
        with self.lock:
            self._asked += 1
            record = Record(self._asked, self.clock.now(), service, operation, region, params, status, code)
            self.calls.append(record)
            del self.calls[: max(0, len(self.calls) - _LONGEST_LOG)]


def _as_refusal(error: Exception, operation: str, lacking: str) -> Refusal:
    """The refusal that a client receives instead of a traceback, which is printed to the log of the sandbox.

    ``lacking`` is a required parameter that the request does not have: the services refuse that before anything else.
    """
    if isinstance(error, Refusal):
        return error
    if isinstance(error, UnicodeDecodeError):
        return Refusal("SerializationException", "the request is not UTF-8")
    if lacking:
        code = "MissingParameter" if operation.startswith("ec2:") else "ValidationException"
        return Refusal(code, f"The request must contain the parameter {lacking}")
    if isinstance(error, RecursionError):
        return Refusal("SerializationException", "the request is nested too deeply")
    traceback.print_exception(error)
    return Refusal("SandboxFailure", f"the sandbox failed at {operation} ({type(error).__name__}): see its log", 501)


def _params(service: str, operation: str, request: Request) -> wire.Json:
    """The parameters of a request; those of AWS Batch, which parses its own requests, only for the log."""
    if service != "batch":
        return wire.params_of(service, operation, request)
    with suppress(ValueError, RecursionError):
        asked = json.loads(request.body or b"{}")
        if isinstance(asked, dict):
            return asked
    return {}


def _in_url(service: str, request: Request) -> wire.Json:
    """What requests to AWS Batch have in the URL instead of the body: the resource of tags, and the tags to remove."""
    if service != "batch" or "/v1/tags/" not in request.path:
        return {}
    return {"resourceArn": unquote(request.path.rpartition("/v1/tags/")[2]), **parse_qs(request.query)}


def _masked(value: Any, *, name: str = "") -> Any:
    if isinstance(value, Mapping):
        return {key: _masked(item, name=str(key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_masked(item) for item in value]
    if name in _MASKED or (_SECRET.search(name) and isinstance(value, str)):
        return "(masked)"
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def operations(records: Iterable[Record]) -> list[str]:
    """``service:Operation`` of each record, for tests."""
    return [f"{record.service}:{record.operation}" for record in records]
