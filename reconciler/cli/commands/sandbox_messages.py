"""``reconcile sandbox log | outbox | push``: lines, mails and messages, and images of jobs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from reconciler.cli.commands.sandbox_verbs import ask
from reconciler.cli.options import Format, FormatOption
from reconciler.cli.root import examples

_JOB = "The id of a job that is RUNNING (a child: ID:INDEX, a node: ID#NODE), or its name."


def add_to(app: typer.Typer) -> None:
    """Add the verbs to ``reconcile sandbox``."""
    app.command("log", epilog=examples('reconcile sandbox log train "epoch 1: loss 0.31" "epoch 2: loss 0.27"'))(log)
    app.command(
        "outbox",
        epilog=examples(
            "reconcile sandbox outbox", "reconcile sandbox outbox --confirm", "reconcile sandbox outbox --format json"
        ),
    )(outbox)
    app.command(
        "push",
        epilog=examples(
            "reconcile sandbox push 123456789012.dkr.ecr.eu-west-1.amazonaws.com/tools:1.4",
            "reconcile sandbox push 123456789012.dkr.ecr.eu-west-1.amazonaws.com/tools --platform linux/arm64",
        ),
    )(push)


def log(
    job: Annotated[str, typer.Argument(metavar="JOB", help=_JOB)],
    text: Annotated[list[str], typer.Argument(metavar="TEXT...", help="The lines, one argument each.")],
    container: Annotated[
        str, typer.Option("--container", metavar="NAME", help="Which of several containers writes.", show_default=False)
    ] = "",
) -> None:
    """Let a job write lines to its log, wherever its definition sends it."""
    written = ask("log", {"job": job, "lines": text, "container": container})["written"]
    typer.echo(f"Written to {' '.join(written)}.", err=True)


def outbox(
    output: FormatOption = Format.text,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Confirm every email subscription, as its recipient would.")
    ] = False,
    logs: Annotated[
        bool, typer.Option("--logs", help="Show what log drivers sent to Splunk and other collectors instead.")
    ] = False,
    clear: Annotated[bool, typer.Option("--clear", help="Forget it, once it is shown.")] = False,
) -> None:
    """Show the mails and messages that would have been sent, oldest first, and what could not be delivered.

    An address gets mail of a topic once its subscription is confirmed.
    """
    endpoint, member = ("collector", "received") if logs else ("outbox", "messages")
    confirmed = ask("outbox", {"confirm": True})["confirmed"] if confirm else []
    for one in confirmed:
        typer.echo(f"{one['endpoint']} has confirmed {one['topic']}.", err=True)
    found = ask(endpoint)
    if output is Format.json:
        typer.echo(json.dumps({member: found[member]}, indent=2))
    else:
        for one in found[member]:
            typer.echo(_line(one) if logs else _message(one))
    if clear:
        ask(endpoint, {"clear": True})


def push(
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="An image in the ECR of an account of the sandbox.")],
    platform: Annotated[
        list[str] | None,
        typer.Option(
            "--platform",
            metavar="OS/ARCH",
            help="A platform that the image is for, such as linux/arm64 (repeatable). [default: all]",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Put an image into the sandbox's ECR, so that jobs can pull it: it has a manifest and a digest, and no content."""
    digest = ask("push", {"image": image, "platforms": platform or []})["digest"]
    typer.echo(f"Pushed {image}, digest {digest}.", err=True)


def _message(one: Mapping[str, Any]) -> str:
    time = str(one["time"]).replace("T", " ").replace("Z", " UTC")
    if one["kind"] == "undelivered":
        return f"{time}  not delivered to {one['to']}: {one['why']}\n  by {one['rule']}\n"
    head = [f"{time}  {one['kind']} to {one['to']}", *([f"  {one['subject']}"] if one.get("subject") else [])]
    return "\n".join([*head, *(f"    {line}" for line in str(one["text"]).splitlines()), ""])


def _line(one: Mapping[str, Any]) -> str:
    event = one.get("event", "")
    text = event.get("line", "") if isinstance(event, dict) else event
    where = " ".join(str(part) for part in (one["driver"], one["address"]) if part)
    return f"{where}: refused, {one['refused']}" if "refused" in one else f"{where}: {text}"
