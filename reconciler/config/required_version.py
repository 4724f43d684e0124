"""``requiredVersion``: which versions of the tool may read an environment; the only importer of packaging.

The forms are those of https://packaging.python.org/en/latest/specifications/version-specifiers/
"""

from __future__ import annotations

from contextlib import suppress

from reconciler.config.yaml.node import Node
from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem


def refusal(node: Node, version: str) -> Problem | None:
    """The problem of an environment that requires another version than ``version``; None for one that does not.

    A pre-release counts as a version like any other, in its place before the release.
    """
    from packaging.specifiers import InvalidSpecifier, SpecifierSet  # noqa: PLC0415  (20 ms, and few need it)
    from packaging.version import InvalidVersion, Version  # noqa: PLC0415

    try:
        required = SpecifierSet(str(node.value))
    except InvalidSpecifier:
        hint = 'write it as in requiredVersion: ">=0.3,<1"'
        with suppress(InvalidVersion):
            hint = f'did you mean "=={Version(str(node.value))}", or ">={Version(str(node.value))}"?'
        message = f'"{node.value}" is not a version specifier'
        return _problem(codes.INVALID_VALUE, message, hint, node)
    if required.contains(version, prereleases=True):
        return None
    message = f"the environment requires reconcile {required}, but this is {version}"
    return _problem(codes.OTHER_VERSION, message, "install a version that it allows, or change requiredVersion", node)


def _problem(code: codes.ProblemCode, message: str, hint: str, node: Node) -> Problem:
    return Problem(code=code, message=message, hint=hint, path="requiredVersion", pos=node.pos)
