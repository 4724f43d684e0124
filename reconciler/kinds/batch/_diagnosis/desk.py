"""Asks AWS for one diagnosis: keeps what was asked and what was refused, and turns rows of the table into suspects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from reconciler.kinds.batch._diagnosis import causes, facts
from reconciler.kinds.batch._diagnosis.causes import Row
from reconciler.model import EMPTY, Call, Json, Reads, Refused, Reply, Unreadable
from reconciler.model.diagnosis import Certainty, Evidence, Question, Setting, Suspect, Unread

DEFINITIONS: Final = "jobDefinitions"
QUEUES: Final = "jobQueues"
ENVIRONMENTS: Final = causes.SECTION_OF_ENVIRONMENTS
TEMPLATES: Final = "launchTemplates"

_OF_TASKS: Final = frozenset({"networkConfiguration", "ephemeralStorage", "runtimePlatform", "volumes"})
_OF_PODS: Final = frozenset({"image", "command"})
_ORDER: Final = {Certainty.certain: 0, Certainty.likely: 1, Certainty.hint: 2}


class Desk:
    """One diagnosis in the making."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self.unread: dict[str, Unread] = {}
        self.asked: dict[str, None] = {}

    def ask(self, *calls: Call) -> Reads[tuple[Json | None, ...]]:
        """The replies to calls that are made at once; None for each that was refused."""
        if not calls:
            return ()
        replies = yield calls
        return tuple(self._recorded(call, reply) for call, reply in zip(calls, replies, strict=True))

    def one(self, call: Call, absent: tuple[str, ...] = ()) -> Reads[Json | None]:
        """The reply to one call; None if it was refused. The codes ``absent`` say that there is nothing to read."""
        (reply,) = yield (call,)
        if isinstance(reply, Refused) and reply.code in absent:
            self.asked[str(call)] = None
            return None
        return self._recorded(call, reply)

    def must(self, call: Call) -> Reads[Json]:
        """The reply to a call without which nothing can be said. Raises Unreadable."""
        (reply,) = yield (call,)
        self.asked[str(call)] = None
        if isinstance(reply, Refused):
            raise Unreadable(call, reply)
        return reply

    def _recorded(self, call: Call, reply: Reply) -> Json | None:
        self.asked[str(call)] = None
        if isinstance(reply, Refused):
            self.refused(call, reply)
            return None
        return reply

    def refused(self, call: Call, reply: Refused) -> None:
        """Keep what was refused, with the permission that it needs."""
        self.asked[str(call)] = None
        permission = call.action if reply.denied else ""
        self.unread[str(call)] = Unread(call=str(call), permission=permission, why=str(reply))

    def age(self, at: Any) -> float | None:
        """How many seconds ago a time of AWS was: a date, or milliseconds since the epoch."""
        found = seconds(at)
        return None if found is None else self.question.now - found


def seconds(at: Any) -> float | None:
    """A time of AWS (a date, or milliseconds since the epoch) in seconds since the epoch."""
    if hasattr(at, "timestamp"):
        return float(at.timestamp())
    return at / 1000 if isinstance(at, int | float) and not isinstance(at, bool) else None


def evidence(call: str, field: str, value: Any) -> Evidence:
    """One piece of evidence."""
    return Evidence(call=call, field=field, value=value)


def suspect(
    row: Row,
    seen: Sequence[Evidence],
    names: Mapping[str, str] = EMPTY,
    job: Json | None = None,
    *,
    message: str = "",
    advice: str = "",
    values: Mapping[str, Any] = EMPTY,
    about: str = "",
) -> Suspect:
    """A row of the table as a suspect; ``names`` are those of the objects in question, by section, and ``values`` are
    values that work, by the row's property.
    """
    return Suspect(
        id=row.id,
        certainty=row.certainty,
        message=message or row.says,
        evidence=tuple(seen),
        advice=advice or row.advice,
        settings=tuple(setting for change in row.change if (setting := _setting(change, names, job, values))),
        about=about,
    )


def sorted_suspects(found: Iterable[Suspect]) -> tuple[Suspect, ...]:
    """The surest first, each cause of the same subject once."""
    once: dict[tuple[str, str], Suspect] = {}
    for one in found:
        once.setdefault((one.id, one.about), one)
    return tuple(sorted(once.values(), key=lambda one: _ORDER[one.certainty]))


def sure(found: Iterable[Suspect]) -> bool:
    """Whether a cause is certain, so that nothing more needs to be read."""
    return any(one.certainty is Certainty.certain and one.id != causes.UNKNOWN for one in found)


def _setting(change: str, names: Mapping[str, str], job: Json | None, values: Mapping[str, Any]) -> Setting | None:
    section, _, path = change.partition(".")
    if section not in names:
        return None
    of_type = asked = ""
    if section == DEFINITIONS:
        path, of_type = _in_definition(path, job or {})
        asked = facts.asked(job or {}, of_type)
    value = values.get(change)
    return Setting(section=section, name=names[section], path=path, value=value, of_type=of_type, asked=asked)


def _in_definition(path: str, job: Json) -> tuple[str, str]:
    """The path in a definition of the job's shape, and the type of the entry of a list of resources."""
    head, _, rest = path.partition(".")
    base = ".".join(facts.shape(job))
    pod, task = bool(job.get("eksProperties")), bool(job.get("ecsProperties"))
    if head == "resourceRequirements":
        return (f"{base}.resources", "") if pod else (f"{base}.{head}", rest)
    if head == "jobRoleArn":
        of_task = "ecsProperties.taskProperties.0.taskRoleArn" if task else f"{base}.{head}"
        return ("eksProperties.podProperties.serviceAccountName" if pod else of_task), ""
    if head == "executionRoleArn":
        of_task = f"ecsProperties.taskProperties.0.{head}" if task else f"{base}.{head}"
        return ("eksProperties" if pod else of_task), ""
    if head != "containerProperties":
        return path, ""
    if pod:
        return (f"{base}.{rest}" if rest in _OF_PODS else "eksProperties"), ""
    if task and rest.partition(".")[0] in _OF_TASKS:
        return f"ecsProperties.taskProperties.0.{rest}", ""
    return (f"{base}.{rest}" if rest else base), ""
