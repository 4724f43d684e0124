"""yaml-language-server, which VS Code, Neovim and others ask about YAML files, as a process to talk to.

`YAML_LANGUAGE_SERVER` names one to use. Else npm installs one, once, in a cache of the user's, so that its version does
not change by itself. It gets no network: schemas are local files, and the store of public schemas is turned off.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support import npm

VERSION = "1.25.0"
NAME = "yaml-language-server"
_MINUTE = 60


def command() -> list[str] | str:
    """The command that starts the server; where there is none and none can be installed, a sentence that says why."""
    if given := os.environ.get("YAML_LANGUAGE_SERVER"):
        return [given]
    place = npm.package(NAME, VERSION)
    if isinstance(place, Path):
        return [str(shutil.which("node")), str(place / "bin" / NAME)]
    if found := shutil.which(NAME):
        return [found]
    return f"{NAME} is not installed, and {place}"


class LanguageServer:
    """One server: documents are opened by their paths, which need not exist, with their text."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.requests = 0
        self.versions: dict[str, int] = {}
        self.found: dict[str, list[dict[str, Any]]] = {}
        formats = {"documentationFormat": ["markdown"], "snippetSupport": True}
        capabilities = {
            "textDocument": {"completion": {"completionItem": formats}, "hover": {"contentFormat": ["markdown"]}}
        }
        self.ask("initialize", {"processId": os.getpid(), "rootUri": None, "capabilities": capabilities})
        self.tell("initialized", {})
        settings = {"schemaStore": {"enable": False, "url": ""}, "validate": True, "hover": True, "completion": True}
        self.tell("workspace/didChangeConfiguration", {"settings": {"yaml": settings}})

    def diagnostics(self, texts: dict[Path, str]) -> dict[Path, list[str]]:
        """What the editor shows in each file, as ``line:column message``, once it has shown it in all of them."""
        wanted = {path.as_uri(): path for path in texts}
        for uri in wanted:
            self.found.pop(uri, None)
        for path, text in texts.items():
            self._open(path, text)
        self._until(lambda: all(uri in self.found for uri in wanted))
        return {path: sorted(map(_shown, self.found[uri])) for uri, path in wanted.items()}

    def completion(self, path: Path, text: str) -> dict[str, str]:
        """What is offered at the ``|`` in the text: the labels, each with its description."""
        found = self.ask("textDocument/completion", self._cursor(path, text))
        items = found["items"] if isinstance(found, dict) else found
        return {item["label"]: _text(item.get("documentation")) for item in items}

    def hover(self, path: Path, text: str) -> str:
        """What is shown about what is at the ``|`` in the text, without Markdown's escapes."""
        found = self.ask("textDocument/hover", self._cursor(path, text))
        return re.sub(r"\\(?=[^\w\s])", "", _text(found["contents"])) if found else ""

    def _cursor(self, path: Path, text: str) -> dict[str, Any]:
        before, _, after = text.partition("|")
        self._open(path, before + after)
        position = {"line": before.count("\n"), "character": len(before) - before.rfind("\n") - 1}
        return {"textDocument": {"uri": path.as_uri()}, "position": position}

    def _open(self, path: Path, text: str) -> None:
        uri = path.as_uri()
        version = self.versions[uri] = self.versions.get(uri, 0) + 1
        document = {"uri": uri, "languageId": "yaml", "version": version}
        if version == 1:
            self.tell("textDocument/didOpen", {"textDocument": {**document, "text": text}})
        else:
            self.tell("textDocument/didChange", {"textDocument": document, "contentChanges": [{"text": text}]})

    # --- the protocol ------------------------------------------------------------------------------------------------

    def ask(self, method: str, params: Any) -> Any:
        """Send a request, and return its result."""
        self.requests += 1
        number, answers = self.requests, []
        self._send({"id": number, "method": method, "params": params})

        def answered() -> bool:
            return bool(answers)

        self._until(answered, lambda message: answers.append(message) if message.get("id") == number else None)
        assert "error" not in answers[0], answers[0]
        return answers[0]["result"]

    def tell(self, method: str, params: Any) -> None:
        """Send a notification."""
        self._send({"method": method, "params": params})

    def _until(self, done: Callable[[], bool], look: Callable[[dict[str, Any]], Any] = lambda _: None) -> None:
        while not done():
            message = self._receive()
            if "method" in message and "id" in message:
                self._send({"id": message["id"], "result": None})
            elif message.get("method") == "textDocument/publishDiagnostics":
                params = message["params"]
                # The diagnostics of an earlier text of the same file may still be on their way
                if params.get("version") in (None, self.versions.get(params["uri"])):
                    self.found[params["uri"]] = params["diagnostics"]
            else:
                look(message)

    def _send(self, message: dict[str, Any]) -> None:
        content = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self.process.stdin
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(content) + content)
        self.process.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        stream = self.process.stdout
        assert stream
        length = 0
        while line := stream.readline().strip():
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        assert length, "the language server has ended"
        message: dict[str, Any] = json.loads(stream.read(length))
        return message


@contextmanager
def started(start: list[str]) -> Iterator[LanguageServer]:
    """A server, which ends with the block."""
    arguments = [*start, "--stdio"]
    with subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        limit = threading.Timer(2 * _MINUTE, process.kill)  # instead of waiting forever for a message
        limit.start()
        try:
            yield LanguageServer(process)
        finally:
            limit.cancel()
            process.kill()


def _shown(diagnostic: dict[str, Any]) -> str:
    start = diagnostic["range"]["start"]
    return f"{start['line'] + 1}:{start['character'] + 1} {diagnostic['message']}"


def _text(markup: Any) -> str:
    return markup if isinstance(markup, str) else (markup or {}).get("value", "")
