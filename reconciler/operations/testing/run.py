"""Runs tests: reads the environment with each change, plans where a plan is asked for, and compares."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from reconciler.config.given import Given
from reconciler.model import Options, Pos
from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem, Problems, did_you_mean, one_of
from reconciler.model.records import dataclass
from reconciler.operations import session
from reconciler.operations.masks import mask_of_environ
from reconciler.operations.pipeline import Planned
from reconciler.operations.session import Loaded, Location, Session
from reconciler.operations.testing import expectations, former
from reconciler.operations.testing.accounts import SandboxAccount
from reconciler.operations.testing.files import Case, CaseFile, address_of, read
from reconciler.render.mask import Mask
from reconciler.render.tested import Status, Tested
from reconciler.render.view import masked

_ASKS_FOR_A_PLAN: Final = ("account", "from", "options")


@dataclass(slots=True)
class Runner:
    """Runs the tests of environments, one after the other. ``environ`` and ``given`` are what every test has beside
    its own; ``done`` is called with the result of each.
    """

    environ: Mapping[str, str]
    given: Mapping[str, Given]
    done: Callable[[Tested], None] = lambda _: None
    sandbox: SandboxAccount = field(default_factory=SandboxAccount)

    def run(self, location: Location, files: Sequence[Path], wanted: Callable[[str], bool]) -> Iterator[Tested]:
        """The results of the tests in ``files`` whose names are ``wanted``."""
        directory = location.target if location.target.is_dir() else location.target.parent
        with TemporaryDirectory(prefix="reconcile-test-") as place:
            environment = _Environment(self, location, directory, Path(place))
            for path in files:
                found = read(path, directory)
                if found.problems:
                    yield self._reported(_unreadable(location, found))
                for test in found.tests:
                    if wanted(test.name):
                        yield self._reported(environment.run(test))

    def _reported(self, one: Tested) -> Tested:
        self.done(one)
        return one


@dataclass(slots=True)
class _Environment:
    """One environment; what it was at other commits is in ``place``, by commit."""

    runner: Runner
    location: Location
    directory: Path
    place: Path
    former: dict[str, Location] = field(default_factory=dict)

    def run(self, test: Case) -> Tested:
        started = time.monotonic()
        environ = {**self.runner.environ, **test.value.get("env", {})}
        mask = mask_of_environ(environ)
        status = Status.PASSED
        name = ""
        found: Sequence[Problem] = ()
        try:
            loaded, problems = self._read(test, environ)
            if loaded is not None:
                name, mask = loaded.env.name, mask | loaded.mask
                planned, more = self._planned(test, loaded, environ)
                problems = (*problems, *more)
                mask = mask | planned.mask if planned else mask
                found = self._unmet(test, loaded, planned, problems)
            else:
                found = self._unmet(test, None, None, problems)
            status = Status.FAILED if found else status
        except Problems as error:
            found, status = error.problems, Status.ERROR
        pos = test.pos
        return Tested(
            name=test.name,
            environment=name or self.location.target.resolve().name,
            file=f"{self.location.root}{pos.file}",
            line=pos.line,
            column=pos.column,
            status=status,
            took=time.monotonic() - started,
            problems=masked((one if one.pos else replace(one, pos=pos) for one in found), mask),
            root=self.location.root,
        )

    def _unmet(
        self, test: Case, loaded: Loaded | None, planned: Planned | None, problems: Sequence[Problem]
    ) -> list[Problem]:
        """What is not as expected. Raises Problems where there are errors that are not expected."""
        if "problems" in test.expect:
            return expectations.problems(test, expectations.of_errors(test.expect, problems))
        errors = [problem for problem in problems if not problem.warning]
        if errors or loaded is None:
            raise Problems(errors or problems)
        unmet = [
            *expectations.of_environment(test.expect, loaded.env),
            *expectations.of_retries(test, loaded.env),
        ]
        if planned is not None:
            unmet += expectations.of_plan(test.expect, planned.plan.resources)
        return expectations.problems(test, unmet)

    def _read(self, test: Case, environ: Mapping[str, str]) -> tuple[Loaded | None, Sequence[Problem]]:
        """The environment with the change of the test, or why it cannot be used."""
        own = {name: Given(value, f"variables of the test {test.name}") for name, value in _variables(test).items()}
        given = {**self.runner.given, **own}
        try:
            loaded = session.read(self.location, environ, strict=True, given=given, change=test.change)
        except Problems as error:
            return None, error.problems
        wrong = [_unknown_lookup(test, loaded, name) for name in _lookups(test) if name not in loaded.env.lookups]
        if wrong:
            raise Problems(wrong)
        return loaded, ()

    def _planned(
        self, test: Case, loaded: Loaded, environ: Mapping[str, str]
    ) -> tuple[Planned | None, Sequence[Problem]]:
        """The plan, where the test asks for one, and the errors of planning."""
        asked = [name for name in (*expectations.OF_PLANS, "problems") if name in test.expect]
        if not asked and not any(name in test.node.value for name in _ASKS_FOR_A_PLAN):
            return None, ()
        account = self._account(test, loaded, environ)
        known = _lookups(test)
        try:
            planned = session.make_plan(account, _options(test), parallelism=0, facts_known=known)
        except Problems as error:
            return None, error.problems
        return planned, planned.problems

    def _account(self, test: Case, loaded: Loaded, environ: Mapping[str, str]) -> Session:
        account = test.value.get("account", "sandbox")
        if isinstance(account, dict):
            from reconciler.operations import snapshots  # noqa: PLC0415  (few tests have one)

            file = Path(os.path.relpath(self.directory / account["snapshot"]))
            with _at(test.at("account", "snapshot")):
                return snapshots.connect(snapshots.read(file), loaded, environ)
        if account == "empty":
            return self.runner.sandbox.with_nothing(loaded, environ)
        with _at(test.at("from")):
            at = self._location_at(test.value.get("from"))
        base = session.read(at, environ, strict=True, given=self.runner.given)
        own = sorted(test.value.get("env", {}).items())
        key = (str(at.target), own, sorted(_lookups(test).items()))
        return self.runner.sandbox.with_applied(base, loaded, environ, _lookups(test), key)

    def _location_at(self, ref: str | None) -> Location:
        """The environment as of now, or as of a commit."""
        if ref is None:
            return self.location
        if ref not in self.former:
            into = self.place / str(len(self.former))
            into.mkdir()
            self.former[ref] = Location(former.at(ref, self.location.target, into), self.location.root)
        return self.former[ref]


@contextmanager
def _at(pos: Pos) -> Iterator[None]:
    """Places problems without a place at ``pos``."""
    try:
        yield
    except Problems as error:
        found = [problem if problem.pos else replace(problem, pos=pos) for problem in error.problems]
        raise Problems(found) from error


def _variables(test: Case) -> Mapping[str, Any]:
    found: Mapping[str, Any] = test.value.get("variables", {})
    return found


def _lookups(test: Case) -> Mapping[str, Any]:
    found: Mapping[str, Any] = test.value.get("lookups", {})
    return found


def _options(test: Case) -> Options:
    given = test.value.get("options", {})
    addresses = [address_of(written) for written in given.get("replace", ())]
    return Options(
        adopt=given.get("adopt", False),
        destroy=given.get("destroy", False),
        replace=tuple(address for address in addresses if address),
    )


def _unknown_lookup(test: Case, loaded: Loaded, name: str) -> Problem:
    known = list(loaded.env.lookups)
    return Problem(
        code=codes.UNKNOWN_REFERENCE,
        message=f'there is no look-up "{name}" in this environment',
        hint=did_you_mean(name, known) or (one_of(known) if known else "remove it"),
        pos=test.at("lookups", name),
    )


def _unreadable(location: Location, file: CaseFile) -> Tested:
    return Tested(
        name=file.shown,
        environment=location.target.resolve().name,
        file=f"{location.root}{file.shown}",
        line=1,
        column=1,
        status=Status.ERROR,
        took=0.0,
        problems=masked(file.problems, Mask()),
        root=location.root,
    )
