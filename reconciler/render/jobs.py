"""Jobs as text: the table of a list, and one job with all its attempts. The documents are those that JSON prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from reconciler.render.mask import Mask
from reconciler.render.retries import duration
from reconciler.render.text import Paint, counted

_COLOURS: Final = {"SUCCEEDED": "+", "FAILED": "-", "RUNNING": "&", "STARTING": "&"}
_LINES: Final = (31, 32, 33, 34, 35, 36)  # colours that tell streams apart
LISTED: Final = 10  # children of an array that failed
HEADINGS: Final = ("STATUS", "NAME", "JOB ID", "QUEUE", "CREATED", "RAN", "")


def table(jobs: Sequence[Mapping[str, Any]], mask: Mask, paint: Paint) -> list[str]:
    """The jobs of a list, a line each, below headings."""
    rows = [HEADINGS, *(_row(job, mask) for job in jobs)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(HEADINGS))]
    lines = []
    for number, row in enumerate(rows):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        plain = "  ".join(cells).rstrip()
        lines.append(paint(plain, "bold") if not number else paint(plain, _COLOURS.get(row[0], "")))
    return lines


def _row(job: Mapping[str, Any], mask: Mask) -> tuple[str, ...]:
    return (
        job["status"],
        mask.line(job["job_name"]),
        job["job_id"],
        job["queue"],
        job["created_at"] or "",
        ran(job["started_at"], job["stopped_at"]),
        mask.line("; ".join(_details(job))),
    )


def _details(job: Mapping[str, Any]) -> Iterator[str]:
    if job["array"]:
        yield of_array(job["array"])
    if job["nodes"]:
        yield counted(job["nodes"], "node")
    if job["exit_code"]:
        yield f"exit code {job['exit_code']}"
    if job["status"] != "SUCCEEDED":
        yield from (text for text in (job["status_reason"], job["reason"]) if text)


def of_array(array: Mapping[str, Any]) -> str:
    """``array of 5: 2 RUNNING, 3 SUCCEEDED``."""
    counts = ", ".join(f"{count} {status}" for status, count in array["statuses"].items() if count)
    return f"array of {array['size']}{': ' if counts else ''}{counts}"


def ran(started: str | None, stopped: str | None) -> str:
    """How long something ran; empty while it runs or if it never did."""
    if not started or not stopped:
        return ""
    took = datetime.fromisoformat(stopped) - datetime.fromisoformat(started)
    seconds = int(took.total_seconds())
    return duration(seconds) if seconds > 0 else "0 s"


def listing(document: Mapping[str, Any], mask: Mask, paint: Paint) -> str:
    """A list with its summary."""
    jobs = document["jobs"]
    queues = ", ".join(document["queues"])
    if not jobs:
        return f"No jobs in {queues}." if queues else "No queues."
    cut = "" if document["complete"] else "; there are more: --limit N shows them"
    return "\n".join([*table(jobs, mask, paint), "", f"{counted(len(jobs), 'job')} in {queues}{cut}."])


def changed(job: Mapping[str, Any], mask: Mask) -> str:
    """One line about a job of which something has changed."""
    details = "; ".join(_details(job))
    return mask.line(f"{job['status']} {job['job_name']} {job['job_id']}{': ' if details else ''}{details}")


def whole(job: Mapping[str, Any], mask: Mask, paint: Paint) -> str:
    """One job with all its attempts."""
    lines = [paint(f"{mask.line(job['job_name'])}  {job['job_id']}", "bold"), *_facts(job, mask, paint)]
    for attempt in job["attempts"]:
        lines += ["", *_attempt(attempt, job, mask, paint)]
    failed = job["failed_children"]
    for child in failed[:LISTED]:
        code = "" if child["exit_code"] is None else f"exit code {child['exit_code']}; "
        reasons = "; ".join(filter(None, (child["status_reason"], child["reason"])))
        lines.append(f"  failed      {child['job_id']}: {code}{mask.line(reasons)}")
    if len(failed) > LISTED:
        lines.append(f"  failed      {len(failed) - LISTED} more")
    if job["running"]:
        running = job["running"]
        since = f", since {running['started_at']}" if running["started_at"] else ""
        lines += [
            "",
            paint(f"attempt {running['attempt']} of {job['attempts_allowed']}: {job['status']}{since}", "bold"),
        ]
        lines += [f"  {line}" for line in (*_place(running), *_logs(running))]
    return "\n".join(lines)


def _facts(job: Mapping[str, Any], mask: Mask, paint: Paint) -> Iterator[str]:
    reason = f": {mask.line(job['status_reason'])}" if job["status_reason"] else ""
    yield f"  status      {paint(job['status'], _COLOURS.get(job['status'], ''))}{reason}"
    declared = f" ({job['address']})" if job["address"] else ""
    if job["definition"]:
        yield f"  definition  {job['definition']}{declared}"
    yield f"  queue       {job['queue']}" + (f", share {mask.line(job['share'])}" if job["share"] else "")
    times = [f"{name} {job[f'{name}_at']}" for name in ("created", "started", "stopped") if job[f"{name}_at"]]
    yield f"  times       {', '.join(times)}"
    if job["array"]:
        yield f"  array       {of_array(job['array'])}"
    if job["nodes"]:
        yield f"  nodes       {job['nodes']}"
    if job["parameters"]:
        given = (f"{key}={value}" for key, value in mask.value(job["parameters"]).items())
        yield f"  parameters  {mask.line(' '.join(given))}"
    for container in job["containers"]:
        yield from (f"  {mask.line(line)}" for line in _container(mask.value(container)))
    for one in job["depends_on"]:
        yield f"  {'depends on':<10}  {' '.join(filter(None, (one.get('jobId'), one.get('type'))))}"


def _container(one: Mapping[str, Any]) -> Iterator[str]:
    """What a container runs, with its name and its nodes where it has any."""
    nodes = f"nodes {one['nodes']}" if one["nodes"] else ""
    if named := ", ".join(filter(None, (one["name"], nodes))):
        yield f"container   {named}"
    if one["image"]:
        yield f"image       {one['image']}"
    if one["resources"]:
        needs = (f"{each['type']} {each['value']}" for each in one["resources"])
        yield f"resources   {', '.join(needs)}"
    if one["command"]:
        yield f"command     {' '.join(map(str, one['command']))}"
    for each in one["environment"]:
        yield f"variable    {each['name']}={each.get('value', '')}"


def _attempt(one: Mapping[str, Any], job: Mapping[str, Any], mask: Mask, paint: Paint) -> Iterator[str]:
    took = ran(one["started_at"], one["stopped_at"])
    when = f"{one['started_at']} to {one['stopped_at']} ({took})" if took else f"never ran, ended {one['stopped_at']}"
    yield paint(f"attempt {one['attempt']} of {job['attempts_allowed']}", "bold") + f": {when}"
    texts = (("exit code", one["exit_code"]), ("reason", one["reason"]), ("statusReason", one["status_reason"]))
    for name, text in texts:
        if text is not None:
            yield f"  {name}: {mask.line(str(text))}"
    for container in one["containers"] if len(one["containers"]) > 1 else ():
        reason = f", {mask.line(container['reason'])}" if container["reason"] else ""
        code = "no exit code" if container["exit_code"] is None else f"exit code {container['exit_code']}"
        yield f"  container {container['name']}: {code}{reason}"
    if one["decision"]:
        yield from (f"  {line}" for line in _decision(one["decision"]))
    yield from (f"  {line}" for line in (*_place(one), *_logs(one)))


def _decision(found: Mapping[str, Any]) -> Iterator[str]:
    source = f" ({found['source']})" if found["source"] else ""
    if found["as_expected"]:
        yield f"{found['decision']}: {found['because']}{source}"
        if found["decision"] != "SUCCEEDED":
            yield from (f"  {each}" for each in found["assumptions"])
    else:
        yield f"{found['decision']}, although by the rules of the job: {found['because']}{source}"


def _place(one: Mapping[str, Any]) -> Iterator[str]:
    names = ("task", "container_instance", "address", "pod", "node", "resource")
    yield from (f"{name.replace('_', ' ')}: {one[name]}" for name in names if one[name])


def _logs(one: Mapping[str, Any]) -> Iterator[str]:
    for log in one["logs"]:
        name = f" of {log['container']}" if log["container"] else ""
        yield f"log{name}: {log['group']} {log['stream']}"
        yield f"  {log['url']}"


class Labels:
    """What comes before lines of several streams, in a colour of its own for each."""

    def __init__(self, paint: Paint) -> None:
        self._paint = paint
        self._seen: dict[str, int] = {}

    def __call__(self, label: str) -> str:
        """``label`` with what separates it from the line."""
        number = self._seen.setdefault(label, len(self._seen))
        code = _LINES[number % len(_LINES)]
        return f"\x1b[{code}m{label} |\x1b[0m " if self._paint.colour else f"{label} | "
