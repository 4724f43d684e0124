"""The known ways for an attempt of a job to end, with the words that AWS Batch and Amazon ECS use.

``statusReason`` of an attempt is why the task stopped, ``reason`` why its container did. So what concerns the task (a
Fargate task that could not be set up, a lost instance) is in the former, and only ``onStatusReason`` sees it.

The texts are examples: ids and quotes vary, and a reason has 255 characters at most. The beginnings are what rules can
rely on. Sources:

- UG: https://docs.aws.amazon.com/batch/latest/userguide/job_retries.html and job_timeouts.html
- ECS: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html
- Agent: https://github.com/aws/amazon-ecs-agent, which writes most reasons
- Kubernetes and shells: what these always say
- Seen: public reports (https://github.com/nextflow-io/nextflow, https://github.com/ASFHyP3/hyp3 and others)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from reconciler.model.attempts import Cause, Ending, Outcome

EC2, FARGATE, EKS = "EC2", "FARGATE", "EKS"
ECS = f"{EC2} {FARGATE}"
ALL = f"{ECS} {EKS}"

EXITED = "Essential container in task exited"
NOT_STARTED = "Task failed to start"
TIMED_OUT = "Job attempt duration exceeded timeout"
NO_DEPENDENCY = "Dependent Job failed"
HOST_LOST = "Host EC2"
SPOT_TASK = "Your Spot Task was interrupted"
NO_INTERFACE = "Timeout waiting for network interface"
RATE_OF_INTERFACES = "Rate limit exceeded while preparing network interface"
NO_ROLE = "ECS was unable to assume the role"
NOT_INITIALIZED = "ResourceInitializationError"
PULL = "CannotPull"
OUT_OF_MEMORY = "OutOfMemoryError"

# The beginnings of the texts, by the condition that sees them.
STATUS_REASONS: Final = (
    EXITED,
    HOST_LOST,
    NOT_STARTED,
    TIMED_OUT,
    SPOT_TASK,
    NO_INTERFACE,
    RATE_OF_INTERFACES,
    NO_ROLE,
)
REASONS: Final = (
    *("CannotPullContainerError", "CannotPullECRContainerError", "CannotPullContainerAuthError"),
    *("CannotPullImageManifestError", "CannotStartContainerError", "CannotCreateContainerError"),
    *("CannotInspectContainerError", "CannotStopContainerError", "CannotCreateVolumeError"),
    *("DockerTimeoutError", "DockerStateError", OUT_OF_MEMORY, "TaskStoppedBeforePullBeginError"),
    *("TaskDependencyError", "ContainerVanishedError", "ContainerNetworkingError", "HostConfigError"),
)
_BEFORE_THE_START: Final = (NOT_STARTED, NOT_INITIALIZED, NO_INTERFACE, RATE_OF_INTERFACES, NO_ROLE)

_PULL = "CannotPullContainerError: "
_START = "CannotStartContainerError: "
_INIT = f"{NOT_INITIALIZED}: "
_SECRETS = f"{_INIT}unable to pull secrets or registry auth: "

# name, what happened, where, statusReason, reason, exit code, source; in the order in which people ask
_ENDS: Final[tuple[tuple[str, str, str, str, str, int | None, str], ...]] = (
    ("host-lost", "Spot reclaim, or instance lost", EC2, f"{HOST_LOST} (instance i-0abc) terminated.", "", None, "UG"),
    ("fargate-spot", "Fargate Spot reclaim", FARGATE, f"{SPOT_TASK}.", "", 137, "Seen"),
    ("agent-lost", "the container agent was lost", EC2, "", "AGENT", None, "UG"),
    ("eni-timeout", "no network interface", FARGATE, f"{NO_INTERFACE} provisioning to complete.", "", None, "Seen"),
    ("eni-rate", "too many network interfaces", FARGATE, f"{RATE_OF_INTERFACES} to be attached", "", None, "Seen"),
    ("image-not-found", "image not found", ECS, NOT_STARTED, f"{_PULL}failed to resolve ref: not found", None, "ECS"),
    ("image-denied", "image pull denied", ECS, NOT_STARTED, f"{_PULL}pull access denied for app", None, "Agent"),
    ("image-rate", "image pull rate limit", ECS, NOT_STARTED, f"{_PULL}toomanyrequests: pull rate limit", None, "ECS"),
    ("image-network", "registry not reached", ECS, NOT_STARTED, f"{_PULL}request canceled", None, "Seen"),
    ("image-disk", "no disk space for the image", ECS, NOT_STARTED, f"{_PULL}no space left on device", None, "Seen"),
    ("image-arch", "image of another architecture", ECS, NOT_STARTED, f"{_PULL}no matching manifest", None, "Seen"),
    ("image-ecr", "ECR refuses the role", EC2, NOT_STARTED, "CannotPullECRContainerError: denied", None, "Agent"),
    ("repo-credentials", "registry refuses", EC2, NOT_STARTED, "CannotPullContainerAuthError: denied", None, "Agent"),
    ("ecr-auth-network", "ECR not reached", FARGATE, f"{_SECRETS}connection issue", "", None, "ECS"),
    ("oom", "out of memory", ECS, EXITED, f"{OUT_OF_MEMORY}: Container killed due to memory usage", 137, "Agent"),
    ("pod-oom", "out of memory", EKS, "", "OOMKilled", 137, "Kubernetes"),
    ("pod-image", "image pull failed", EKS, "", "ErrImagePull", None, "Kubernetes"),
    ("killed-137", "killed by SIGKILL", ALL, EXITED, "", 137, "Seen"),
    ("terminated-143", "ended by SIGTERM", ALL, EXITED, "", 143, "ECS"),
    ("cannot-execute", "command not executable", ALL, EXITED, "", 126, "shells"),
    ("not-found", "command not found", ALL, EXITED, "", 127, "shells"),
    ("entrypoint-missing", "entry point not found", ECS, NOT_STARTED, f"{_START}no such file", None, "Seen"),
    (
        "log-driver-init",
        "no log stream",
        ECS,
        NOT_STARTED,
        f"{_START}failed to initialize logging driver",
        None,
        "Seen",
    ),
    ("log-group-missing", "no log group", FARGATE, f"{_INIT}failed to validate logger args", "", None, "ECS"),
    ("create-failed", "cannot create container", ECS, NOT_STARTED, "CannotCreateContainerError: no space", None, "ECS"),
    ("docker-slow", "host overloaded", EC2, NOT_STARTED, "DockerTimeoutError: Could not transition", None, "UG"),
    ("inspect-timeout", "host overloaded", EC2, EXITED, "CannotInspectContainerError: timed out", None, "Seen"),
    ("secret-denied", "secrets not readable", EC2, NOT_STARTED, f"{_INIT}fetching secret data", None, "Agent"),
    ("secret-denied", "secrets not readable", FARGATE, f"{_SECRETS}AccessDeniedException", "", None, "ECS"),
    ("efs", "file system not mounted", FARGATE, f"{_INIT}failed to invoke EFS utils commands", "", None, "ECS"),
    ("job-role", "role not assumed", ECS, f"{NO_ROLE} that was provided for this task.", "", None, "Seen"),
    ("no-exit-code", "no exit code, no reason", ALL, "", "", None, "UG"),
)
_OVER: Final = (
    (Cause.timeout, "the attempt timed out", TIMED_OUT),
    (Cause.cancelled, "cancelled before it ran", None),
    (Cause.terminated, "terminated by a user", None),
    (Cause.dependency, "a dependency failed", NO_DEPENDENCY),
)


def exited(platform: str, code: int) -> Ending:
    """How the end of a program with exit code ``code`` is described."""
    return Ending(exit_code=code, status_reason=None if platform == EKS else EXITED)


def _rows(platform: str) -> Iterator[Outcome]:
    for name, title, where, status_reason, reason, code, source in _ENDS:
        if platform in where.split():
            ending = Ending(exit_code=code, reason=reason or None, status_reason=status_reason or None)
            started = not status_reason.startswith(_BEFORE_THE_START) and name != "pod-image"
            yield Outcome(id=name, title=title, ending=ending, started=started, source=source)
    for cause, title, words in _OVER:
        ending = Ending(cause=cause, status_reason=words)
        started = cause in (Cause.timeout, Cause.terminated)
        yield Outcome(id=cause.value, title=title, ending=ending, started=started, source="UG")


#: The ways that fit a platform.
OUTCOMES: Final[Mapping[str, tuple[Outcome, ...]]] = {
    platform: tuple(_rows(platform)) for platform in (EC2, FARGATE, EKS)
}
