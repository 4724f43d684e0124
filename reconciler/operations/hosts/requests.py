"""Requests to a code host's API: JSON over HTTP, with the standard library alone."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from http.client import HTTPException
from typing import Any, Final

from reconciler import __version__
from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem, Problems

_SECONDS: Final = 30
_TRIES: Final = 4
_LONGEST_WAIT: Final = 60
_PAGE: Final = 100
_MOST_PAGES: Final = 50
_MOST_BYTES: Final = 64 * 1024 * 1024
_AGENT: Final = f"batch-reconcile/{__version__}"


class _WithoutToken(urllib.request.HTTPRedirectHandler):
    """Follows redirects of what is read, to another host (artifacts are kept elsewhere) without the token."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        """The request that follows; None to refuse the redirect."""
        old, new = urllib.parse.urlsplit(req.full_url), urllib.parse.urlsplit(newurl)
        if req.get_method() != "GET" or new.scheme != old.scheme:
            return None
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        if following is not None and new.netloc != old.netloc:
            following.headers = {"User-agent": _AGENT}
        return following


class Api:
    """The API at ``url``. ``needs`` returns, for a method and a path, what a refused token lacks, in words."""

    def __init__(
        self,
        host: str,
        url: str,
        headers: Mapping[str, str],
        needs: Callable[[str, str], str],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._host, self._url, self._needs, self._sleep = host, url.rstrip("/"), needs, sleep
        self._headers = {"User-Agent": _AGENT, "Accept": "application/json", **headers}
        self._opener = urllib.request.build_opener(_WithoutToken())

    def pages(self, path: str, within: str = "", **query: str | int) -> Iterator[Any]:
        """The items of every page of a list; it is the member ``within`` of each answer, or the answer."""
        for page in range(1, _MOST_PAGES + 1):
            answer = self.get(path, **query, per_page=_PAGE, page=page)
            found = answer[within] if within else answer
            yield from found
            if len(found) < _PAGE:
                return

    def get(self, path: str, **query: str | int) -> Any:
        """The answer to a GET. Raises Problems."""
        return self.send("GET", f"{path}?{urllib.parse.urlencode(query)}" if query else path)

    def maybe(self, path: str) -> bytes | None:
        """What is at ``path``; None if there is nothing. Raises Problems."""
        try:
            return self.content("GET", path)
        except Problems as error:
            cause = error.__cause__
            if isinstance(cause, urllib.error.HTTPError) and cause.code == 404:
                return None
            raise

    def send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """The answer to a request. Tries again where the host is busy. Raises Problems where it refuses."""
        return json.loads(self.content(method, path, body) or b"null")

    def content(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> bytes:
        """The same, as it was sent."""
        data = None if body is None else json.dumps(body).encode()
        headers = {**self._headers, **({"Content-Type": "application/json"} if data else {})}
        request = urllib.request.Request(f"{self._url}{path}", data, headers, method=method)  # noqa: S310  (the job's host)
        for last in [*(False for _ in range(_TRIES - 1)), True]:
            try:
                with self._opener.open(request, timeout=_SECONDS) as answer:
                    return bytes(answer.read(_MOST_BYTES))
            except urllib.error.HTTPError as error:
                wait = _wait(error, method)
                if last or wait is None:
                    raise self._refused(method, path, error) from error
            except (OSError, HTTPException) as error:
                wait = 1
                if last or method == "POST":  # it may have been carried out
                    message = f"{self._host} cannot be reached at {self._url}: {getattr(error, 'reason', error)}"
                    raise Problems([Problem(code=codes.HOST_REFUSED, message=message)]) from error
            self._sleep(wait)
        raise AssertionError

    def _refused(self, method: str, path: str, error: urllib.error.HTTPError) -> Problems:
        try:
            said = str(json.loads(error.read()).get("message", ""))[:300]
        except (OSError, ValueError, AttributeError):
            said = ""
        place = path.partition("?")[0]
        message = f"{self._host} refused {method} {place}: {error.code} {said or error.reason}"
        hint = self._needs(method, place) if error.code in (403, 404) else ""
        if error.code == HTTPStatus.UNAUTHORIZED:
            hint = "the token is not valid, or has expired"
        return Problems([Problem(code=codes.HOST_REFUSED, message=message, hint=hint)])


def _wait(error: urllib.error.HTTPError, method: str) -> float | None:
    """The seconds to wait before a request is tried again; None if it must not be. A POST that failed in the host may
    have been carried out.
    """
    after = error.headers.get("Retry-After", "")
    limited = error.code == 429 or (error.code == 403 and (after or error.headers.get("X-RateLimit-Remaining") == "0"))
    if limited or (error.code >= 500 and method != "POST"):
        return min(float(after), _LONGEST_WAIT) if after.isdecimal() else 2
    return None
