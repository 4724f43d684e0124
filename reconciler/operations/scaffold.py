"""``reconcile init``: writes a starting environment. The templates are the examples, which tests plan and apply.

What is written has the directory's name in every name in the account, so that environments of one template stand side
by side: by ``namePrefix``, and where that has no effect (names that begin with a slash) by the member with the name.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from reconciler.config import files as config_files
from reconciler.config import loader
from reconciler.kinds import discover
from reconciler.model import examples
from reconciler.model import problem_codes as codes
from reconciler.model.patterns import regex
from reconciler.model.problems import Problem, Problems, did_you_mean, one_of
from reconciler.operations import editor_schema

HERE: Final = Path(__file__).parents[1]
MINIMAL: Final = "minimal"
_SCHEMA_LINE: Final = "# yaml-language-server: $schema=environment.schema.json\n"
_OF_REPOSITORIES: Final = ("README", "LICENSE", "LICENCE", "COPYING", "CODEOWNERS")
_NAME = regex(r"[^a-z0-9-]+")
_README: Final = "README.md"
_ELSEWHERE = regex(r"^.*\]\(\.\./\.\..*\n+", re.MULTILINE)  # lines on documents that only this repository has
_PREFIX: Final = """\
environment: {name}

# What the names in the account begin with, so that several environments of one template fit in an account. Without it
# they are as below: remove it to adopt resources that exist under those names already.
namePrefix: "${{environment}}-"
"""


def templates_directory() -> Path:
    """The directory of the templates but the minimal one: inside an installed package, or next to it in a checkout."""
    installed = HERE / "templates"
    return installed if installed.is_dir() else HERE.parent / "environments"


def templates() -> dict[str, str]:
    """Every template by name, with its description. One has a README.md."""
    found = {MINIMAL: "A Fargate compute environment, a queue and a job definition."}
    for path in sorted(templates_directory().iterdir()):
        if (path / "environment.yaml").is_file() and (about := _about(path)):
            found[path.name] = about
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
        files = _from_template(template, name, directory)
        if directory.exists() and any(path.stem.upper() == "README" for path in directory.iterdir()):
            del files[_README]
    if taken := [where for where in files if (directory / where).exists()]:
        message = f"{directory / taken[0]} exists already"
        raise Problems(
            [Problem(code=codes.DIRECTORY_IN_USE, message=message, hint="move it, or choose another directory")]
        )
    written = [_write_file(directory / where, text, schema) for where, text in files.items()]
    if not schema.exists():  # else that of the project, which has other environments
        written.append(editor_schema.write_copy(schema))
    return [*written, *editor_schema.write_copy_for_tests(schema, written)]


def _is_free(directory: Path) -> bool:
    """Whether nothing is in ``directory`` but what a code host or ``git init`` begins a repository with."""
    return directory.is_dir() and all(
        path.name.startswith(".git") or path.name == ".editorconfig" or path.stem.upper() in _OF_REPOSITORIES
        for path in directory.iterdir()
    )


def _from_template(template: str, name: str, directory: Path) -> dict[str, str]:
    """The files of a template, by path, as those of the environment ``name``."""
    source = templates_directory() / template
    texts = {
        str(path.relative_to(source)): path.read_text(encoding="utf-8")
        for path in sorted(source.rglob("*"))
        if path.is_file()
    }
    loaded = loader.load(config_files.find_environment(str(source), Path.cwd()), environ={})
    for where, line, member, physical in sorted(_absolute_names(loaded), reverse=True):
        texts[where] = _with_name(texts[where], line, member, physical)
    setting = _PREFIX.format(name=name)
    texts["environment.yaml"] = re.sub(
        r"^environment:.*\n", lambda _: setting, texts["environment.yaml"], count=1, flags=re.MULTILINE
    )
    declared = [logical for names in loaded.sections.values() for logical in names if not logical.startswith("/")]
    in_commands = re.compile(rf"(--[a-z-]+ |:role/)({'|'.join(map(re.escape, declared))})(?![\w-])")
    for where, text in texts.items():
        if where == _README:
            texts[where] = _readme(text, template, name, directory)
        texts[where] = "".join(
            in_commands.sub(rf"\1{name}-\2", line) if where == _README or line.lstrip().startswith("#") else line
            for line in texts[where].splitlines(keepends=True)
        )
    return texts


def _absolute_names(loaded: loader.LoadedEnvironment) -> Iterator[tuple[str, int, str, str]]:
    """File, line, member and physical name of the resources that take no prefix."""
    for section, resources in loaded.sections.items():
        for name, raw in resources.items():
            if name.startswith("/") and (member := discover()[section].name_member):
                head, _, last = name.rpartition("/")
                yield raw.at().file, raw.at().line, member, f"{head}/${{environment}}-{last}"


def _with_name(text: str, number: int, member: str, physical: str) -> str:
    """``text`` with the physical name given to the resource whose key is in the line ``number``."""
    lines = text.splitlines(keepends=True)
    key = lines[number - 1]
    indent = " " * (len(key) - len(key.lstrip()) + 2)
    lines[number - 1] = f'{re.sub(r" *{} *$", "", key.rstrip())}\n{indent}{member}: "{physical}"\n'
    return "".join(lines)


def _readme(text: str, template: str, name: str, directory: Path) -> str:
    """The template's README with the name and the directory of the new environment."""
    typed = shlex.quote(os.path.relpath(directory)).encode("utf-8", "replace").decode()
    where = "" if directory.resolve() == Path.cwd() else typed
    commands = re.compile(rf"^(reconcile(?: \w+)+) {template}(?= |$)", re.MULTILINE)
    text = commands.sub(lambda found: f"{found[1]} {where}".rstrip(), text)
    text = _ELSEWHERE.sub("", text)
    text = text.replace(f"environments/{template}/", f"{where}/" if where else "")
    about = f"In the account its names begin with `{name}-` (`namePrefix` in `environment.yaml`).\n\n## "
    return re.sub(r"^# .*", f"# {name}", text, count=1).replace("## ", about, 1)


def _write_file(path: Path, text: str, schema: Path) -> Path:
    if path.suffix in (".yaml", ".yml"):
        text = editor_schema.with_line(text, path, schema)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("x", encoding="utf-8") as new:  # a file that has appeared since is not overwritten
        new.write(text)
    return path


def _about(path: Path) -> str:
    readme = path / _README
    lines = readme.read_text(encoding="utf-8").splitlines() if readme.is_file() else []
    text = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return text[0] if text else ""
