"""Models of AWS's services, cut down to the operations that earlier runs called.

botocore makes a client from the model of the whole service: EC2's 800 operations take 70 ms and 20 MB, for a look-up or
two. So what a service's model says about the operations that a run has called is kept in a file, from which the next
run makes its clients. The rest is as botocore has it (docs/adr/0022-cut-down-service-models.md):

- A model is cut from botocore's own, never written by hand, and is used with a botocore of the same version and file
  only: newest members, endpoint rules and errors are those of the full model.
- An operation that a cut-down model lacks is called with the full one, and kept for the next run.
- Where the user has models of his own for a service (``AWS_DATA_PATH``, ``~/.aws/models``), where the directory cannot
  be used, or where a file is damaged, the full model is used, without a word.

https://github.com/boto/botocore/blob/develop/botocore/loaders.py
"""

from __future__ import annotations

import atexit
import json
import os
import struct
import threading
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final

import botocore
from botocore.exceptions import DataNotFoundError
from botocore.loaders import Loader

from reconciler.account.cut_models import Model, cut, cut_pages
from reconciler.config import cache_files

FORMAT: Final = 3
# Services of which botocore itself makes clients, for credentials: their operations are all kept
_BOTOCORES: Final = frozenset({"sso", "sso-oidc", "sts"})
# Operations that botocore itself calls: to find the Region of a bucket, and for buckets of one zone
_ALSO: Final[Mapping[str, frozenset[str]]] = {"s3": frozenset({"CreateSession", "HeadBucket"})}
_SERVICE, _RULES, _PAGES = "service-2", "endpoint-rule-set-1", "paginators-1"
_ENDPOINTS: Final = "endpoints"


class ServiceModels(Loader):
    """botocore's loader, with the cut-down models in ``directory`` first; with None it is botocore's. Thread-safe."""

    def __init__(self, extra_paths: list[str] | None = None, directory: Path | None = None) -> None:
        super().__init__(extra_search_paths=extra_paths)
        self.directory = directory
        self._cut: dict[str, Model | None] = {}
        self._whole: set[str] = set()
        self._called: dict[str, set[str]] = {}
        self._resolved: set[str] = set()
        self._endpoints: tuple[Any, str] | None = None
        self._builtin = Path(self.BUILTIN_DATA_PATH)
        self._lock = threading.Lock()

    def load_service_model(self, service_name: str, type_name: str, api_version: str | None = None) -> Any:
        """As botocore's; of a cut-down model where there is one."""
        found = None if service_name in self._whole else self._cut_of(service_name)
        if found and type_name in found and api_version in (None, found[_SERVICE]["metadata"]["apiVersion"]):
            return found[type_name]
        return super().load_service_model(service_name, type_name, api_version)

    def load_data_with_path(self, name: str) -> tuple[Any, str]:
        """As botocore's; the list of endpoints has the services of earlier runs, and all once another is sought."""
        if name == _ENDPOINTS and self._endpoints is None and (found := self._cut_of(_ENDPOINTS)):
            known = frozenset(found["prefixes"])
            partitions = [{**one, "services": _Services(one, known, self)} for one in found[_ENDPOINTS]["partitions"]]
            ready = {**found[_ENDPOINTS], "partitions": partitions}
            self._endpoints = (ready, str(self._builtin / name))
        if name == _ENDPOINTS and self._endpoints:
            return self._endpoints
        whole: tuple[Any, str] = super().load_data_with_path(name)
        return whole

    def called(self, service: str, operation: str) -> None:
        """Keep what the models say about an operation for the next run."""
        known = self._called.get(service)
        if known is None or operation not in known:
            with self._lock:
                self._called.setdefault(service, set()).add(operation)

    def use_whole(self, service: str) -> bool:
        """Make the next clients of a service from its full model. False where all are, as there is no other."""
        self._whole.add(service)
        return self._cut_of(service) is not None

    def resolved(self, prefixes: Iterable[str]) -> None:
        """Keep the endpoints of services, by the prefixes of their names, for the next run."""
        with self._lock:
            self._resolved.update(prefixes)

    def save(self) -> None:
        """Write the models that lack operations which were called."""
        if self.directory is None:
            return
        with suppress(OSError, LookupError, TypeError, ValueError, DataNotFoundError):
            prefixes = set(self._resolved)
            for service, operations in sorted(self._called.items()):
                if model := self._lacking(service, operations):
                    prefixes.add(str(model[_SERVICE]["metadata"]["endpointPrefix"]))
                    self._write(service, model)
            if prefixes - self._prefixes():
                self._cut.pop(_ENDPOINTS, None)  # as above
                self._write(_ENDPOINTS, self._cut_endpoints(self._prefixes() | prefixes))

    def _lacking(self, service: str, operations: set[str]) -> Model | None:
        """What is to be written for a service; None where nothing is missing, or not all of it is botocore's own."""
        if operations <= self._kept(service) or (source := self._source_of(service)) is None:
            return None
        self._cut.pop(service, None)  # another command may have written it meanwhile, with operations of its own
        if operations <= (kept := self._kept(service)):
            return None
        load = super().load_service_model
        whole, pages = load(service, _SERVICE), {}
        with suppress(DataNotFoundError):
            pages = load(service, _PAGES)
        wanted = (
            set(whole["operations"]) if service in _BOTOCORES else operations | kept | _ALSO.get(service, frozenset())
        )
        found = {_SERVICE: cut(whole, wanted), _RULES: load(service, _RULES)}
        return {"source": source, **found, _PAGES: cut_pages(pages, wanted)}

    def _kept(self, service: str) -> set[str]:
        """The operations in the cut-down model of a service."""
        known = self._cut_of(service)
        return set(known[_SERVICE]["operations"]) if known else set()

    def _prefixes(self) -> set[str]:
        """The services in the list of endpoints of earlier runs."""
        known = self._cut_of(_ENDPOINTS)
        return set(known["prefixes"]) if known else set()

    def _cut_endpoints(self, prefixes: set[str]) -> Model:
        whole = super().load_data_with_path(_ENDPOINTS)[0]
        partitions = [
            {**one, "services": {name: found for name, found in one["services"].items() if name in prefixes}}
            for one in whole["partitions"]
        ]
        source = self._source_of(_ENDPOINTS)
        return {"source": source, "prefixes": sorted(prefixes), _ENDPOINTS: {**whole, "partitions": partitions}}

    def whole_services(self, partition: str) -> Mapping[str, Any]:
        """What botocore's own list of endpoints has for a partition."""
        found = super().load_data_with_path(_ENDPOINTS)[0]["partitions"]
        return next((one["services"] for one in found if one["partition"] == partition), {})

    def _cut_of(self, name: str) -> Model | None:
        """The cut-down model of a service, or the list of endpoints, where it may be used."""
        if self.directory is None:
            return None
        if name not in self._cut:
            self._cut[name] = self._read(name)
        return self._cut[name]

    def _read(self, name: str) -> Model | None:
        source = self._source_of(name)
        if source is None:
            return None
        try:
            found = json.loads(cache_files.read(self._file(name)) or b"")
            return found if found["source"] == source and found[name if name == _ENDPOINTS else _SERVICE] else None
        except (ValueError, LookupError, TypeError, RecursionError):
            return None

    def _write(self, name: str, model: Model) -> None:
        cache_files.write(self._file(name), json.dumps(model, separators=(",", ":")).encode())
        self._cut.pop(name, None)

    def _file(self, name: str) -> Path:
        assert self.directory is not None
        return self.directory / f"{name}.json"

    def _source_of(self, name: str) -> list[Any] | None:
        """What a cut-down model was made from: the content of botocore's file, wherever that is installed. None where
        botocore would find more than its own.
        """
        beside = [path for path in self.search_paths if path != self.BUILTIN_DATA_PATH]
        if name == _ENDPOINTS:
            if any(self.file_loader.exists(str(Path(path, name))) for path in beside):
                return None
            return [FORMAT, botocore.__version__, *_content_of(self._builtin / f"{name}.json")]
        if any(Path(path, name).is_dir() for path in beside):
            return None
        try:
            versions = sorted((self._builtin / name).iterdir())
        except OSError:
            return None
        facts = (fact for version in versions for fact in _content_of(version / f"{_SERVICE}.json.gz"))
        return [FORMAT, botocore.__version__, *facts]


class _Services(dict[str, Any]):
    """The services of a partition: those of earlier runs (``known``), and all once another one is sought."""

    def __init__(self, partition: Mapping[str, Any], known: frozenset[str], models: ServiceModels) -> None:
        super().__init__(partition["services"])
        self._partition, self._known, self._models = str(partition["partition"]), known, models

    def __contains__(self, name: object) -> bool:
        if super().__contains__(name) or name in self._known:
            return super().__contains__(name)
        self._models.resolved([str(name)])
        self.update(self._models.whole_services(self._partition))
        self._known = self._known | {str(name)}
        return super().__contains__(name)

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name, default) if name in self else default


def _content_of(file: Path) -> tuple[str, int, int] | tuple[()]:
    """The name of a file, and the length and checksum of its content; nothing where it cannot be read.

    Both are the last eight bytes of a gzip file: https://www.rfc-editor.org/rfc/rfc1952#section-2.3.1
    """
    try:
        with file.open("rb") as stream:
            if file.suffix == ".gz":
                stream.seek(-8, os.SEEK_END)
                checksum, length = struct.unpack("<II", stream.read())
            else:
                content = stream.read()
                checksum, length = zlib.crc32(content), len(content)
    except (OSError, struct.error):
        return ()
    return f"{file.parent.name}/{file.name}", length, checksum


def directory_for(environ: Mapping[str, str]) -> Path | None:
    """Where the cut-down models of this botocore are kept; None where nothing may be kept."""
    top = cache_files.directory(environ)
    return top / "models" / f"botocore-{botocore.__version__}" if top else None


@cache
def shared(data_path: str | None) -> ServiceModels:
    """The models for all sessions of this process, which are saved at its end. ``data_path`` is ``AWS_DATA_PATH``."""
    given = data_path.split(os.pathsep) if data_path else []
    paths = [str(Path(os.path.expandvars(path)).expanduser()) for path in given]
    found = ServiceModels(paths, directory_for(os.environ))
    atexit.register(found.save)
    return found
