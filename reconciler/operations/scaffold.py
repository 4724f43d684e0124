"""``reconcile init``: writes a starting environment. The templates are the examples, which tests plan and apply."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from reconciler.model import examples
from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem, Problems, did_you_mean, one_of
from reconciler.operations import editor_schema

HERE: Final = Path(__file__).parents[1]
MINIMAL: Final = "minimal"
_SCHEMA_LINE: Final = "# yaml-language-server: $schema=environment.schema.json\n"
_OF_REPOSITORIES: Final = ("README", "LICENSE", "LICENCE", "COPYING", "CODEOWNERS")
_NAME = re.compile(r"[^a-z0-9-]+")


def _templates_directory() -> Path:
    installed = HERE / "templates"
    return installed if installed.is_dir() else HERE.parent / "environments"


def templates() -> dict[str, str]:
    """Every template by name, with its description."""
    found = {MINIMAL: "A Fargate compute environment, a queue and a job definition."}
    for path in sorted(_templates_directory().iterdir()):
        if (path / "environment.yaml").is_file():
            found[path.name] = _about(path)
    return found


def write(directory: Path, template: str) -> list[Path]:
    """Write a template into ``directory``, which must be missing, empty or a fresh repository.

    Returns the paths of the files, with that of the schema for editors if the project has no copy of it yet. Raises
    Problems for an unknown template or a directory that has other files.
    """
    known = templates()
    if template not in known:
        hint = did_you_mean(template, known) or one_of(list(known))
        raise Problems([Problem(code=codes.UNKNOWN_TEMPLATE, message=f'there is no template "{template}"', hint=hint)])
    if directory.exists() and not _is_free(directory):
        hint = "choose a directory that is empty or does not exist yet"
        raise Problems([Problem(code=codes.DIRECTORY_IN_USE, message=f"{directory} is not empty", hint=hint)])
    name = _NAME.sub("-", directory.resolve().name.lower()).strip("-")[:63] or "environment"
    schema = editor_schema.place(directory)
    if template == MINIMAL:
        files = {"environment.yaml": _SCHEMA_LINE + examples.ENVIRONMENT.replace("my-environment", name)}
    else:
        source = _templates_directory() / template
        files = {
            str(path.relative_to(source)): path.read_text(encoding="utf-8")
            for path in sorted(source.rglob("*"))
            if path.is_file() and path.name != "README.md"
        }
    if taken := [where for where in files if (directory / where).exists()]:
        message = f"{directory / taken[0]} exists already"
        raise Problems(
            [Problem(code=codes.DIRECTORY_IN_USE, message=message, hint="move it, or choose another directory")]
        )
    written = [_write_file(directory / where, text, name, schema) for where, text in files.items()]
    if schema.exists():  # that of the project, which has other environments
        return written
    return [*written, editor_schema.write_copy(schema)]


def _is_free(directory: Path) -> bool:
    """Whether nothing is in ``directory`` but what a code host or ``git init`` begins a repository with."""
    return directory.is_dir() and all(
        path.name.startswith(".git") or path.name == ".editorconfig" or path.stem.upper() in _OF_REPOSITORIES
        for path in directory.iterdir()
    )


def _write_file(path: Path, text: str, name: str, schema: Path) -> Path:
    if path.name == "environment.yaml":
        text = re.sub(r"^environment:.*$", f"environment: {name}", text, count=1, flags=re.MULTILINE)
    if path.suffix in (".yaml", ".yml"):
        text = editor_schema.with_line(text, path, schema)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("x", encoding="utf-8") as new:  # a file that has appeared since is not overwritten
        new.write(text)
    return path


def _about(path: Path) -> str:
    readme = path / "README.md"
    lines = readme.read_text(encoding="utf-8").splitlines() if readme.is_file() else []
    text = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return text[0] if text else ""
