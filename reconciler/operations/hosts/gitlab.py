"""GitLab's API, as far as pipelines need it.

Sources: https://docs.gitlab.com/api/notes/, .../api/issues/, .../api/commits/ (merge requests of a commit),
.../api/merge_requests/ (pipelines), .../api/jobs/, .../api/job_artifacts/
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, Final

from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem, Problems
from reconciler.operations.hosts.posts import Post
from reconciler.operations.hosts.requests import Api

LABEL: Final = "reconcile-drift"
TOKEN: Final = "RECONCILE_GITLAB_TOKEN"  # noqa: S105  (its name)


class GitLab:
    """The project of the job. The token of a job cannot write notes: a token of the project can."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        token, project = environ.get(TOKEN), environ.get("CI_PROJECT_ID", "")
        if not token or not project:
            hint = "add a masked CI/CD variable of this name: a project access token, scope api, role Reporter"
            message = f"{'CI_PROJECT_ID' if token else TOKEN} is not set"
            raise Problems([Problem(code=codes.HOST_REFUSED, message=message, hint=hint)])
        url = environ.get("CI_API_V4_URL", "https://gitlab.com/api/v4")
        self.api = Api("GitLab", url, {"PRIVATE-TOKEN": token}, _needs)
        self._root = f"/projects/{urllib.parse.quote(project, safe='')}"
        self._project = project
        self._web = environ.get("CI_PROJECT_URL", "")

    @cached_property
    def _author(self) -> int:
        return int(self.api.get("/user")["id"])

    def comments(self, number: int) -> Iterator[Post]:
        """See :class:`reconciler.operations.hosts.posts.Host`."""
        for found in self.api.pages(f"{self._root}/merge_requests/{number}/notes", sort="asc", order_by="created_at"):
            if not found.get("system") and (found.get("author") or {}).get("id") == self._author:
                yield Post(found["id"], found.get("body") or "", self._note(number, found))

    def add_comment(self, number: int, body: str) -> str:
        """See :class:`reconciler.operations.hosts.posts.Host`."""
        path = f"{self._root}/merge_requests/{number}/notes"
        return self._note(number, self.api.send("POST", path, {"body": body}))

    def edit_comment(self, number: int, post: Post, body: str) -> str:
        """See :class:`reconciler.operations.hosts.posts.Host`."""
        path = f"{self._root}/merge_requests/{number}/notes/{post.id}"
        return self._note(number, self.api.send("PUT", path, {"body": body}))

    def issues(self) -> Iterator[Post]:
        """See :class:`reconciler.operations.hosts.posts.Host`."""
        path = f"{self._root}/issues"
        for found in self.api.pages(path, state="opened", labels=LABEL, author_id=self._author):
            yield Post(found["iid"], found.get("description") or "", found.get("web_url", ""))

    def add_issue(self, title: str, body: str) -> str:
        """See :class:`reconciler.operations.hosts.posts.Host`."""
        made = self.api.send("POST", f"{self._root}/issues", {"title": title, "description": body, "labels": LABEL})
        return str(made.get("web_url", ""))

    def edit_issue(self, post: Post, body: str) -> str:
        """See :class:`reconciler.operations.hosts.posts.Host`."""
        return str(self.api.send("PUT", f"{self._root}/issues/{post.id}", {"description": body}).get("web_url", ""))

    def close_issue(self, post: Post, comment: str) -> str:
        """See :class:`reconciler.operations.hosts.posts.Host`."""
        self.api.send("POST", f"{self._root}/issues/{post.id}/notes", {"body": comment})
        return str(self.api.send("PUT", f"{self._root}/issues/{post.id}", {"state_event": "close"}).get("web_url", ""))

    def merged(self, commit: str) -> int | None:
        """The merge request that brought ``commit``."""
        found = self.api.pages(f"{self._root}/repository/commits/{commit}/merge_requests")
        return next((int(one["iid"]) for one in found if one.get("state") == "merged"), None)

    def approved_plan(self, name: str, workflow: str, commits: Iterable[str]) -> tuple[int | None, bytes | None]:
        """As :meth:`GitHub.approved_plan`: ``workflow`` is the job that has kept the plan, as ``plans/NAME``."""
        first = None
        for commit in commits:
            number = self.merged(commit)
            first = first or number
            if number and (job := self._job(number, workflow)):
                path = f"{self._root}/jobs/{job}/artifacts/plans/{urllib.parse.quote(name)}"
                if (plan := self.api.maybe(path)) is not None:
                    return number, plan
        return first, None

    def _job(self, number: int, name: str) -> int | None:
        """The job ``name`` of the last pipeline of a merge request; one of a fork is of another project."""
        for pipeline in self.api.pages(f"{self._root}/merge_requests/{number}/pipelines"):
            if pipeline.get("source") == "merge_request_event" and str(pipeline["project_id"]) == self._project:
                jobs = self.api.pages(f"{self._root}/pipelines/{pipeline['id']}/jobs")
                return next(
                    (int(job["id"]) for job in jobs if job["name"] == name and job["status"] == "success"), None
                )
        return None

    def _note(self, number: int, note: Mapping[str, Any]) -> str:
        return f"{self._web}/-/merge_requests/{number}#note_{note['id']}"


def _needs(method: str, path: str) -> str:
    del path
    scope = "read_api or api" if method == "GET" else "api"
    return f"the token in {TOKEN} needs the scope {scope}, and the role Reporter in this project"
