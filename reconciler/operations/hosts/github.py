"""GitHub's API, as far as pipelines need it.

Sources: https://docs.github.com/en/rest/issues/comments, .../issues/issues, .../commits/commits (pull requests of a
commit), .../actions/workflow-runs, .../actions/artifacts
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem, Problems
from reconciler.operations.hosts.posts import Post
from reconciler.operations.hosts.requests import Api

LABEL: Final = "reconcile-drift"
MOST_BYTES: Final = 64 * 1024 * 1024  # of a plan
BOT: Final = "github-actions[bot]"  # who writes with the token of a job
_NEEDS: Final = {
    "comments": "pull-requests: write",
    "issues": "issues: write",
    "pulls": "pull-requests: read",
    "runs": "actions: read",
    "artifacts": "actions: read",
}


class GitHub:
    """The repository of the job; ``author`` is who writes with its token."""

    def __init__(self, environ: Mapping[str, str], author: str = BOT) -> None:
        token = environ.get("GITHUB_TOKEN") or environ.get("GH_TOKEN")
        self.repository = environ.get("GITHUB_REPOSITORY", "")
        if not token or not self.repository:
            hint = "pass it to the step: env: {GITHUB_TOKEN: ${{ github.token }}}"
            message = f"{'GITHUB_REPOSITORY' if token else 'GITHUB_TOKEN'} is not set"
            raise Problems([Problem(code=codes.HOST_REFUSED, message=message, hint=hint)])
        url = environ.get("GITHUB_API_URL", "https://api.github.com")
        headers = {"Authorization": f"Bearer {token}", "X-GitHub-Api-Version": "2022-11-28"}
        self.api = Api("GitHub", url, {**headers, "Accept": "application/vnd.github+json"}, _needs)
        self.author = author
        self._root = f"/repos/{self.repository}"

    def comments(self, number: int) -> Iterator[Post]:
        """See :class:`reconciler.operations.hosts.posts.Host`."""
        for found in self.api.pages(f"{self._root}/issues/{number}/comments"):
            if (found.get("user") or {}).get("login") == self.author:
                yield _post(found)

    def add_comment(self, number: int, body: str) -> str:
        """See :class:`reconciler.operations.hosts.posts.Host`."""
        return _url(self.api.send("POST", f"{self._root}/issues/{number}/comments", {"body": body}))

    def edit_comment(self, number: int, post: Post, body: str) -> str:  # noqa: ARG002  (other hosts need the number)
        """See :class:`reconciler.operations.hosts.posts.Host`."""
        return _url(self.api.send("PATCH", f"{self._root}/issues/comments/{post.id}", {"body": body}))

    def issues(self) -> Iterator[Post]:
        """See :class:`reconciler.operations.hosts.posts.Host`."""
        for found in self.api.pages(f"{self._root}/issues", state="open", labels=LABEL):
            if (found.get("user") or {}).get("login") == self.author and "pull_request" not in found:
                yield Post(found["number"], found.get("body") or "", found["html_url"])

    def add_issue(self, title: str, body: str) -> str:
        """See :class:`reconciler.operations.hosts.posts.Host`."""
        return _url(self.api.send("POST", f"{self._root}/issues", {"title": title, "body": body, "labels": [LABEL]}))

    def edit_issue(self, post: Post, body: str) -> str:
        """See :class:`reconciler.operations.hosts.posts.Host`."""
        return _url(self.api.send("PATCH", f"{self._root}/issues/{post.id}", {"body": body}))

    def close_issue(self, post: Post, comment: str) -> str:
        """See :class:`reconciler.operations.hosts.posts.Host`."""
        self.add_comment(post.id, comment)
        closed = {"state": "closed", "state_reason": "completed"}
        return _url(self.api.send("PATCH", f"{self._root}/issues/{post.id}", closed))

    def pull_requests(self, commit: str) -> list[tuple[int, str]]:
        """Number and head commit of the merged pull requests that brought ``commit``; those from forks excepted, since
        their runs have no plan.
        """
        return [
            (found["number"], found["head"]["sha"])
            for found in self.api.pages(f"{self._root}/commits/{commit}/pulls")
            if found.get("merged_at") and self._is_ours(found["head"].get("repo"))
        ]

    def plan_of_run(self, run: int, name: str) -> bytes | None:
        """The file ``name`` of the artifact of the same name that a run has kept; None if it has none."""
        found = self.api.pages(f"{self._root}/actions/runs/{run}/artifacts", within="artifacts", name=name)
        kept = [one["id"] for one in found if one["name"] == name and not one.get("expired")]
        if not kept:
            return None
        with zipfile.ZipFile(
            io.BytesIO(self.api.content("GET", f"{self._root}/actions/artifacts/{kept[-1]}/zip"))
        ) as file:
            if name not in file.namelist() or file.getinfo(name).file_size > MOST_BYTES:
                return None
            return file.read(name)

    def has_run(self, run: int) -> bool:
        """Whether ``run`` is for a commit of this repository: the pull request of a fork has runs here as well."""
        return self._is_ours(self.api.get(f"{self._root}/actions/runs/{run}").get("head_repository"))

    def approved_plan(self, name: str, workflow: str, commits: Iterable[str]) -> tuple[int | None, bytes | None]:
        """The number of the newest merged pull request that brought one of ``commits`` (newest first) and for which a
        run of ``workflow`` has kept the plan ``name``, and the plan. Without one, the newest pull request if any.
        """
        first = None
        for commit in commits:
            for number, head in self.pull_requests(commit):
                first = first or number
                for run in self._runs(workflow, head):
                    if (plan := self.plan_of_run(run, name)) is not None:
                        return number, plan
        return first, None

    def merged(self, commit: str) -> int | None:
        """The pull request that brought ``commit``."""
        return next((number for number, _ in self.pull_requests(commit)), None)

    def _runs(self, workflow: str, head: str) -> Iterator[int]:
        """The runs of a workflow for pull requests with the commit ``head``, newest first."""
        path = f"{self._root}/actions/workflows/{workflow}/runs"
        for run in self.api.pages(path, within="workflow_runs", head_sha=head, event="pull_request"):
            # a fork can have a run for any commit that it has, with any artifact
            if self._is_ours(run.get("head_repository")) and run.get("event") == "pull_request":
                yield int(run["id"])

    def _is_ours(self, repository: Mapping[str, Any] | None) -> bool:
        return str((repository or {}).get("full_name", "")).lower() == self.repository.lower()


def pull_request_of(environ: Mapping[str, str]) -> int | None:
    """The number of the pull request that the job runs for; None if there is none."""
    try:
        event = json.loads(Path(environ["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8"))
        return int(event["pull_request"]["number"])
    except (KeyError, TypeError, ValueError, OSError):
        found = re.fullmatch(r"refs/pull/(\d+)/(?:merge|head)", environ.get("GITHUB_REF", ""))
        return int(found[1]) if found else None


def _post(found: Mapping[str, Any]) -> Post:
    return Post(found["id"], found.get("body") or "", found.get("html_url", ""))


def _url(answer: Any) -> str:
    return str((answer or {}).get("html_url", ""))


def _needs(method: str, path: str) -> str:
    """The permission that a job lacks: hosts say only that something is not accessible."""
    last = next((part for part in reversed(path.split("/")) if part in _NEEDS), "")
    need = _NEEDS.get(last, "")
    need = need.replace("write", "read") if method == "GET" else need
    return f"the job needs permissions: {{{need}}}" if need else ""
