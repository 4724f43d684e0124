"""A code host on loopback: as much of GitHub's API, and of GitLab's, as pipelines use, with the hosts' rules.

It keeps what is posted, refuses tokens without the permission and bodies that are too long, and pages its lists.
Shapes are those of https://docs.github.com/en/rest and https://docs.gitlab.com/api.
"""

from __future__ import annotations

import io
import json
import re
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

BOT = "github-actions[bot]"
LONGEST = 65_536
TOKEN = "ghs_" + "t" * 36


class Refused(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class GitHubStandIn:
    """Repository ``o/r``. ``may`` are the permissions of the job's token; ``requests`` is what arrived."""

    url: str = ""
    repository: str = "o/r"
    may: set[str] = field(default_factory=lambda: {"pull-requests", "issues", "actions"})
    comments: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    issues: dict[int, dict[str, Any]] = field(default_factory=dict)
    pulls: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    runs: list[dict[str, Any]] = field(default_factory=list)
    artifacts: dict[int, dict[str, bytes]] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    failures: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    _ids: Iterator[int] = field(default_factory=lambda: iter(range(1000, 10**6)))

    # --- what a test does as a person, or as the host ---

    def say(self, number: int, author: str, body: str) -> dict[str, Any]:
        made = {"id": next(self._ids), "user": {"login": author}, "body": body}
        made["html_url"] = f"https://github.example/o/r/pull/{number}#issuecomment-{made['id']}"
        self.comments.setdefault(number, []).append(made)
        return made

    def bodies(self, number: int, author: str = BOT) -> list[str]:
        return [one["body"] for one in self.comments.get(number, []) if one["user"]["login"] == author]

    def keep(self, head: str, files: dict[str, bytes], *, repository: str = "o/r", event: str = "pull_request") -> int:
        """A run of the workflow that plans, with its artifacts; each is a zip with the file of its name."""
        run = next(self._ids)
        self.runs.insert(0, {"id": run, "head_sha": head, "event": event, "head_repository": {"full_name": repository}})
        self.artifacts[run] = files
        return run

    def merge(self, number: int, head: str, commit: str, *, repository: str = "o/r") -> None:
        pull = {"number": number, "merged_at": "2026-01-31T12:00:00Z", "merge_commit_sha": commit}
        self.pulls[commit] = [{**pull, "head": {"sha": head, "repo": {"full_name": repository}}}]

    # --- the API ---

    def answer(self, method: str, path: str, query: dict[str, str], body: dict[str, Any] | None) -> Any:
        for pattern, permission, call in self._routes():
            verb, where = pattern.split(" ")
            if verb == method and (found := re.fullmatch(where, path)):
                if permission and permission not in self.may:
                    raise Refused(403, "Resource not accessible by integration")
                if body and len(body.get("body") or "") > LONGEST:
                    raise Refused(422, "Validation Failed")
                return call(*found.groups(), query=query, body=body or {})
        raise Refused(404, "Not Found")

    def _routes(self) -> list[tuple[str, str, Callable[..., Any]]]:
        root = f"/repos/{self.repository}"
        return [
            (rf"GET {root}/issues/(\d+)/comments", "", self._comments),
            (rf"POST {root}/issues/(\d+)/comments", "", self._comment),
            (rf"PATCH {root}/issues/comments/(\d+)", "pull-requests", self._edit),
            (rf"GET {root}/issues", "issues", self._issues),
            (rf"POST {root}/issues", "issues", self._open),
            (rf"PATCH {root}/issues/(\d+)", "issues", self._change),
            (rf"GET {root}/commits/(\w+)/pulls", "", lambda sha, query, **_: page(self.pulls.get(sha, []), query)),
            (rf"GET {root}/actions/workflows/reconcile-plan.yml/runs", "actions", self._runs),
            (rf"GET {root}/actions/runs/(\d+)", "actions", self._run),
            (rf"GET {root}/actions/runs/(\d+)/artifacts", "actions", self._artifacts),
            (rf"GET {root}/actions/artifacts/(\d+)/zip", "actions", self._zip),
        ]

    def _comments(self, number: str, query: dict[str, str], **_: Any) -> Any:
        return page(self.comments.get(int(number), []), query)

    def _comment(self, number: str, body: dict[str, Any], **_: Any) -> Any:
        if ("issues" if int(number) in self.issues else "pull-requests") not in self.may:
            raise Refused(403, "Resource not accessible by integration")
        return self.say(int(number), BOT, body["body"])

    def _edit(self, which: str, body: dict[str, Any], **_: Any) -> Any:
        found = next(one for those in self.comments.values() for one in those if one["id"] == int(which))
        found["body"] = body["body"]
        return found

    def _issues(self, query: dict[str, str], **_: Any) -> Any:
        found = [one for one in self.issues.values() if one["state"] == query.get("state", "open")]
        return page([one for one in found if query.get("labels", "") in one["labels"] or "labels" not in query], query)

    def _open(self, body: dict[str, Any], **_: Any) -> Any:
        number = next(self._ids)
        url = f"https://github.example/o/r/issues/{number}"
        self.issues[number] = {"number": number, "state": "open", "user": {"login": BOT}, "html_url": url, **body}
        return self.issues[number]

    def _change(self, number: str, body: dict[str, Any], **_: Any) -> Any:
        self.issues[int(number)] |= body
        return self.issues[int(number)]

    def _runs(self, query: dict[str, str], **_: Any) -> Any:
        found = [one for one in self.runs if one["head_sha"] == query["head_sha"] and one["event"] == query["event"]]
        return {"total_count": len(found), "workflow_runs": page(found, query)}

    def _run(self, which: str, **_: Any) -> Any:
        return next(one for one in self.runs if one["id"] == int(which))

    def _artifacts(self, run: str, query: dict[str, str], **_: Any) -> Any:
        kept = [
            (number, name) for number, name in enumerate(self.artifacts[int(run)]) if name == query.get("name", name)
        ]
        found = [{"id": int(run) * 100 + number, "name": name, "expired": False} for number, name in kept]
        return {"total_count": len(found), "artifacts": page(found, query)}

    def _zip(self, which: str, **_: Any) -> bytes:
        run, number = divmod(int(which), 100)
        name, content = list(self.artifacts[run].items())[number]
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as file:
            file.writestr(name, content)
        return packed.getvalue()


@dataclass
class GitLabStandIn:
    """Project 7; user 42 is who the token of the project belongs to."""

    url: str = ""
    notes: list[dict[str, Any]] = field(default_factory=list)
    issues: list[dict[str, Any]] = field(default_factory=list)
    merged: dict[str, int] = field(default_factory=dict)
    pipelines: list[dict[str, Any]] = field(default_factory=list)
    jobs: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    files: dict[tuple[int, str], bytes] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    failures: list[tuple[int, dict[str, str]]] = field(default_factory=list)

    def answer(self, method: str, path: str, query: dict[str, str], body: dict[str, Any] | None) -> Any:  # noqa: PLR0911
        body = body or {}
        where = path.removeprefix("/projects/7")
        found: re.Match[str] | None
        if path == "/user":
            return {"id": 42}
        if where == "/merge_requests/3/notes":
            if method == "GET":
                return page(self.notes, query)
            self.notes.append({"id": len(self.notes) + 1, "system": False, "author": {"id": 42}, **body})
            return self.notes[-1]
        if method == "PUT" and (found := re.fullmatch(r"/merge_requests/3/notes/(\d+)", where)):
            self.notes[int(found[1]) - 1] |= body
            return self.notes[int(found[1]) - 1]
        if where == "/issues":
            if method == "GET":
                return page([one for one in self.issues if one["state"] == query["state"]], query)
            made = {"iid": len(self.issues) + 1, "state": "opened", "web_url": "https://gitlab.example/i", **body}
            self.issues.append(made)
            return made
        if method == "POST" and re.fullmatch(r"/issues/\d+/notes", where):
            return {"id": 1}
        if method == "PUT" and (found := re.fullmatch(r"/issues/(\d+)", where)):
            state = {"state": "closed"} if body.pop("state_event", "") == "close" else {}
            self.issues[int(found[1]) - 1] |= {**body, **state}
            return self.issues[int(found[1]) - 1]
        if found := re.fullmatch(r"/repository/commits/(\w+)/merge_requests", where):
            return [{"iid": self.merged[found[1]], "state": "merged"}] if found[1] in self.merged else []
        if where == "/merge_requests/3/pipelines":
            return page(self.pipelines, query)
        if found := re.fullmatch(r"/pipelines/(\d+)/jobs", where):
            return page(self.jobs[int(found[1])], query)
        if (found := re.fullmatch(r"/jobs/(\d+)/artifacts/(.*)", where)) and (int(found[1]), found[2]) in self.files:
            return self.files[int(found[1]), found[2]]
        raise Refused(404, "404 Not Found")


def page(items: list[Any], query: dict[str, str]) -> list[Any]:
    size, number = int(query.get("per_page", 30)), int(query.get("page", 1))
    return items[(number - 1) * size : number * size]


Standin = TypeVar("Standin", GitHubStandIn, GitLabStandIn)


@contextmanager
def serve(host: Standin) -> Iterator[Standin]:
    """Serves ``host`` over HTTP; its ``url`` is set."""

    class Handler(BaseHTTPRequestHandler):
        def handle_one(self) -> None:
            parts = urlsplit(self.path)
            host.requests.append((self.command, parts.path))
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"null")
            headers: dict[str, str] = {}
            try:
                if TOKEN not in (self.headers.get("Authorization") or self.headers.get("PRIVATE-TOKEN") or ""):
                    raise Refused(401, "Bad credentials")
                if host.failures:
                    code, headers = host.failures.pop(0)
                    raise Refused(code, "busy")
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                code, answer = 200, host.answer(self.command, parts.path, query, body)
            except Refused as error:
                code, answer = error.code, {"message": str(error)}
            sent = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(code)
            for name, value in {**headers, "Content-Length": str(len(sent))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(sent)

        do_GET = do_POST = do_PATCH = do_PUT = handle_one  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    host.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.05), daemon=True)
    thread.start()
    try:
        yield host
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
