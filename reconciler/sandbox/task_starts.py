"""Why ECS does not start a task: roles, secrets, images and log groups, in its own words.

Only what is certain counts: a permission that depends on a condition, or that a resource policy may grant, is taken to
be there, and so is everything of another account.

Source: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html,
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/resource-initialization-error.html and
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_cannot_pull_image.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from typing import Any

from reconciler.model.patterns import regex
from reconciler.sandbox import collector
from reconciler.sandbox.batch.surroundings import Container, Failure, Log, Start
from reconciler.sandbox.services import Account
from reconciler.sandbox.services._documents import parsed, statements
from reconciler.sandbox.services._moto import partition_of
from reconciler.sandbox.wire import Refusal

_NOT_STARTED = "Task failed to start"
IMAGE = regex(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?"
    r"/(?P<name>[^:@]+)(?::(?P<tag>[^@]+))?(?:@(?P<digest>sha256:\w+))?"
)
_LISTS = ("application/vnd.docker.distribution.manifest.list.v2+json", "application/vnd.oci.image.index.v1+json")
_EFA = "/dev/infiniband"
_ASM = "unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve "
_DAEMON = "Error response from daemon: "
_LOGGING = f"CannotStartContainerError: {_DAEMON}failed to initialize logging driver: "


def cannot_start(account: Account, region: str, start: Start) -> Failure | None:
    """The first reason why a task cannot start; None: it starts."""
    return next(_Agent(account, region, start).failures(), None)


class _Agent:
    """What the agent on an instance, or Fargate, tries in turn."""

    def __init__(self, account: Account, region: str, start: Start) -> None:
        self._account = account
        self._region = region
        self._partition = partition_of(region)
        self._start = start

    def failures(self) -> Iterator[Failure]:
        """Every failure, in the order in which they would be met."""
        yield from self._roles()
        for container in self._start.containers:
            for _, source in container.secrets:
                yield from self._secret(source)
            for source in container.log.secrets.values():
                yield from self._secret(source)
        for container in self._start.containers:
            yield from self._image(container)
        for container in self._start.containers:
            yield from self._log(container.log)
        for container in self._start.containers:
            yield from self._devices(container)

    def _devices(self, container: Container) -> Iterator[Failure]:
        """Of devices only those of EFA are known: a host has them if its type and its launch template do."""
        missing = next((one for one in container.devices if one.startswith(_EFA) and not self._start.efa), "")
        if missing:
            text = (
                f'error gathering device information while adding custom device "{missing}": no such file or directory'
            )
            yield Failure(_NOT_STARTED, f"CannotStartContainerError: {_DAEMON}{text}")

    # --- roles ---------------------------------------------------------------------------------------------------

    def _roles(self) -> Iterator[Failure]:
        for named in (self._start.job_role, self._start.execution_role):
            if not named or (named.startswith("arn:") and named.split(":")[4] != self._account.id):
                continue
            role = self._role(named)
            if role is None or not _trusts(role.assume_role_policy_document, "ecs-tasks.amazonaws.com"):
                arn = named if named.startswith("arn:") else self._iam_arn(f"role/{named}")
                yield Failure(
                    f"ECS was unable to assume the role '{arn}' that was provided for this task. Please verify that "
                    "the role being passed has the proper trust relationship and permissions and that your IAM user "
                    "has permissions to pass this role."
                )

    def _role(self, named: str) -> Any:
        roles = self._account.moto.backend("iam", self._region).roles.values()
        return next((one for one in roles if named in (one.arn, one.name)), None)

    def _iam_arn(self, suffix: str) -> str:
        return f"arn:{self._partition}:iam::{self._account.id}:{suffix}"

    @cached_property
    def _agents_role(self) -> Any:
        """The role that pulls images and opens logs: the execution role, or else that of the instance."""
        if self._start.execution_role:
            return self._role(self._start.execution_role)
        profiles = self._account.moto.backend("iam", self._region).instance_profiles.values()
        found = next((one for one in profiles if self._start.profile in (one.arn, one.name)), None)
        return found.roles[0] if found and found.roles else None

    def _denied(self, action: str, resource: str) -> str:
        """The refusal of a call that the agent's role certainly may not make; empty if it may."""
        role = self._agents_role
        if role is None:
            return ""
        known = self._account.moto.until_written("iam", self._region)
        key = (role.arn, action, resource.rpartition("/")[0] if ":log-stream:" in resource else resource)
        if key not in known:
            known[key] = self._decision(role.arn, action, resource)
        if known[key] == "allowed":
            return ""
        why = f"because no identity-based policy allows the {action} action"
        if known[key] == "explicitDeny":
            why = "with an explicit deny in an identity-based policy"
        session = f"arn:{self._partition}:sts::{self._account.id}:assumed-role/{role.name}/{self._start.machine}"
        return f"User: {session} is not authorized to perform: {action} on resource: {resource} {why}"

    def _decision(self, role: str, action: str, resource: str) -> str:
        """What the simulator says; allowed, if that depends on what it does not know."""
        asked = {"PolicySourceArn": role, "ActionNames": [action], "ResourceArns": [resource]}
        try:
            result = self._account.simulate("SimulatePrincipalPolicy", asked, self._region)["EvaluationResults"][0]
        except (Refusal, ValueError):
            return "allowed"
        return "allowed" if result["MissingContextValues"] else str(result["EvalDecision"])

    # --- secrets -------------------------------------------------------------------------------------------------

    def _secret(self, source: str) -> Iterator[Failure]:
        parts = source.split(":")
        if len(parts) > 5 and parts[4] != self._account.id:
            return
        if len(parts) > 6 and parts[2] == "secretsmanager":
            yield from self._of_secrets_manager(":".join(parts[:7]), parts[7] if len(parts) > 7 else "", parts[3])
        else:
            yield from self._of_parameter_store(source, parts[3] if len(parts) > 5 else self._region)

    def _of_secrets_manager(self, arn: str, key: str, region: str) -> Iterator[Failure]:
        found = next((one for one in self._secrets(region) if arn in (one.arn, one.arn[:-7])), None)
        trouble = ""
        denied = self._denied("secretsmanager:GetSecretValue", found.arn if found else arn)
        if denied and not (found and found.policy):
            trouble = f"AccessDeniedException: {denied}"
        elif found is None:
            trouble = "ResourceNotFoundException: Secrets Manager can't find the specified secret."
        elif found.is_deleted():
            trouble = (
                "InvalidRequestException: You can't perform this operation on the secret because it was marked for "
                "deletion."
            )
        else:
            trouble = _value_trouble(found, key)
        if not trouble:
            return
        if self._start.fargate:
            text = f"{_ASM}secret from asm: service call has been retried 1 time(s): failed to fetch secret {arn} from "
            yield Failure(f"ResourceInitializationError: {text}secrets manager: {trouble}")
        else:
            where = f"Fetching secret data from AWS Secrets Manager in region {region}"
            yield Failure(f"{where}: secret {arn}: {trouble}")

    def _secrets(self, region: str) -> list[Any]:
        return list(self._backend("secretsmanager", region).secrets.values())

    def _of_parameter_store(self, source: str, region: str) -> Iterator[Failure]:
        name = source.split(":parameter/", 1)[-1]
        tail = name.lstrip("/")
        denied = self._denied(
            "ssm:GetParameters", f"arn:{self._partition}:ssm:{region}:{self._account.id}:parameter/{tail}"
        )
        known = self._backend("ssm", region).get_parameters([name, tail, f"/{tail}"])
        if known and not denied:
            return
        invalid = f"invalid parameters: {name}"
        fetching = f"fetching secret data from SSM Parameter Store in {region}: "
        if self._start.fargate:
            text = f"service call has been retried 1 time(s): AccessDeniedException: {denied}"
            told = f"{_ASM}secrets from ssm: {text if denied else fetching + invalid}"
            yield Failure(f"ResourceInitializationError: {told}")
        else:
            text = f"AccessDeniedException: {denied}" if denied else invalid
            yield Failure(f"{fetching.capitalize().replace('ssm parameter store', 'SSM Parameter Store')}{text}")

    def _backend(self, service: str, region: str) -> Any:
        return self._account.moto.backend(service, region)

    # --- images --------------------------------------------------------------------------------------------------

    def _image(self, container: Container) -> Iterator[Failure]:
        if container.missing:
            yield self._not_pulled(container.image, "manifest unknown: manifest unknown")
            return
        found = IMAGE.fullmatch(container.image)
        if found is None or found["account"] != self._account.id:
            return
        denied = self._denied("ecr:GetAuthorizationToken", "*")
        if denied:
            yield self._without_token(denied)
            return
        repository = self._backend("ecr", found["region"]).repositories.get(found["name"])
        resource = f"arn:{self._partition}:ecr:{found['region']}:{self._account.id}:repository/{found['name']}"
        denied = "" if repository is not None and repository.policy else self._denied("ecr:BatchGetImage", resource)
        if denied:
            yield self._pull_denied(container.image, found["tag"] or found["digest"] or "latest", denied)
            return
        if self._start.scripted:
            return
        if repository is None:
            unknown = f"The repository with name '{found['name']}' does not exist in the registry with id "
            yield self._not_pulled(container.image, f"name unknown: {unknown}'{self._account.id}'", "repository")
            return
        image = _image_in(repository, found["tag"], found["digest"])
        if image is None:
            yield self._not_pulled(container.image, "manifest unknown: Requested image not found")
        elif not _runs_on(image, self._start.architecture):
            yield self._wrong_platform()

    def _not_pulled(self, image: str, daemon: str, what: str = "manifest for") -> Failure:
        full = image if ":" in image.rpartition("/")[2] or "@" in image else f"{image}:latest"
        if self._start.fargate:
            full = full if "." in full.partition("/")[0] else f"docker.io/{'' if '/' in full else 'library/'}{full}"
            text = f"pull image manifest has been retried 5 time(s): failed to resolve ref {full}: {full}: not found"
        else:
            named = full if what != "repository" else image.rpartition("@")[0] or image.partition(":")[0]
            text = f"{_DAEMON}{what} {named} not found: {daemon}"
        return Failure(_NOT_STARTED, f"CannotPullContainerError: {text}")

    def _without_token(self, denied: str) -> Failure:
        if self._start.fargate:
            text = f"{_ASM}ecr registry auth: service call has been retried 1 time(s): AccessDeniedException: {denied}"
            return Failure(f"ResourceInitializationError: {text}")
        return Failure(_NOT_STARTED, f"CannotPullECRContainerError: AccessDeniedException: {denied}")

    def _pull_denied(self, image: str, reference: str, denied: str) -> Failure:
        if self._start.fargate:
            host = image.partition("/")[0]
            text = (
                f"pull image manifest has been retried 1 time(s): failed to resolve ref {image}: pulling from host "
                f"{host} failed with status code [manifests {reference}]: 403 Forbidden"
            )
        else:
            text = (
                f"{_DAEMON}pull access denied for {image.partition(':')[0]}, repository does not exist or may require "
                f"'docker login': denied: {denied}"
            )
        return Failure(_NOT_STARTED, f"CannotPullContainerError: {text}")

    def _wrong_platform(self) -> Failure:
        platform = f"linux/{self._start.architecture}"
        text = f"{_DAEMON}no matching manifest for {platform} in the manifest list entries"
        if platform == "linux/arm64":
            text = text.replace(platform, f"{platform}/v8")
        if self._start.fargate:
            text = (
                "pull image manifest has been retried 1 time(s): image Manifest does not contain descriptor matching "
                f"platform '{platform}'"
            )
        return Failure(_NOT_STARTED, f"CannotPullContainerError: {text}")

    # --- logs ----------------------------------------------------------------------------------------------------

    def _log(self, log: Log) -> Iterator[Failure]:
        if log.driver == "splunk":
            wrong = collector.unknown_option(log)
            if wrong and not self._start.fargate:
                yield Failure(_NOT_STARTED, f"CannotCreateContainerError: {_DAEMON}{wrong}")
            trouble = wrong or collector.trouble(self._account, log, self._region)
            yield from [self._logging(trouble)] if trouble else []
        if log.driver != "awslogs":
            return
        region = log.options.get("awslogs-region", self._region)
        group = log.options["awslogs-group"]
        arn = f"arn:{self._partition}:logs:{region}:{self._account.id}:log-group:{group}"
        exists = group in self._backend("logs", region).groups
        if log.own_group and not exists:
            if log.options.get("awslogs-create-group") != "true":
                text = "ResourceNotFoundException: The specified log group does not exist."
                yield self._logging(f"failed to create Cloudwatch log stream: {text}")
                return
            denied = self._denied("logs:CreateLogGroup", f"{arn}:log-stream:")
            if denied:
                yield self._logging(f"failed to create Cloudwatch log group: AccessDeniedException: {denied}")
                return
        denied = self._denied("logs:CreateLogStream", f"{arn}:log-stream:{log.stream}")
        if denied:
            yield self._logging(f"failed to create Cloudwatch log stream: AccessDeniedException: {denied}")

    def _logging(self, text: str) -> Failure:
        if self._start.fargate:
            text = f"failed to validate logger args: create stream has been retried 1 times: {text}: exit status 1"
            return Failure(f"ResourceInitializationError: {text}")
        return Failure(_NOT_STARTED, f"{_LOGGING}{text}")


def _trusts(document: str, service: str) -> bool:
    """Whether a trust policy may let a service assume the role: conditions are taken to hold."""
    with suppress(Refusal):
        for one in statements(parsed(document)):
            principal = one.get("Principal", {})
            named = principal.get("Service", []) if isinstance(principal, dict) else [principal]
            if one.get("Effect") == "Allow" and {service, "*"} & {*([named] if isinstance(named, str) else named)}:
                return True
    return False


def _value_trouble(secret: Any, key: str) -> str:
    """What is wrong with the value of a secret of which `key`, or all, is asked for."""
    current = [one for one in secret.versions.values() if "AWSCURRENT" in one.get("version_stages", ())]
    if not current:
        text = "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT"
        return f"ResourceNotFoundException: {text}"
    if not key:
        return ""
    try:
        value = json.loads(current[0].get("secret_string") or "")
    except ValueError:
        text = str(current[0].get("secret_string") or " ")
        return f"invalid character '{text[0]}' looking for beginning of value"
    return "" if isinstance(value, dict) and key in value else f"retrieved secret did not contain json key {key}"


def _image_in(repository: Any, tag: str | None, digest: str | None) -> Any:
    wanted = tag or ("" if digest else "latest")
    for one in repository.images:
        if (digest and one.get_image_digest() == digest) or (not digest and wanted in one.image_tags):
            return one
    return None


def _runs_on(image: Any, architecture: str) -> bool:
    """False if a list of manifests has none for the platform; a single manifest does not show it."""
    with suppress(ValueError, TypeError, AttributeError):
        manifest = json.loads(image.image_manifest)
        kind = image.image_manifest_media_type or manifest.get("mediaType")
        if kind in _LISTS or "manifests" in manifest:
            platforms = [one.get("platform") or {} for one in manifest["manifests"]]
            return any((one.get("os"), one.get("architecture")) == ("linux", architecture) for one in platforms)
    return True
