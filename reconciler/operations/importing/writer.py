"""What an import has found -> the text of files: of a new environment, or of one that is there with more in it.

In files that are there nothing changes but that resources and look-ups are added: where their section is, else in the
file that other sections of the group are in, else in a new file. Settings are written for a new environment only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from typing import Any, Final

from reconciler.config.yaml import addition
from reconciler.config.yaml.edit import CannotEdit
from reconciler.config.yaml.emit import Member, Style, lines
from reconciler.model import Address
from reconciler.model import problem_codes as codes
from reconciler.model.patterns import regex
from reconciler.model.problems import Problem, Problems
from reconciler.model.records import dataclass
from reconciler.operations.importing import layout
from reconciler.operations.importing.existing import NOTHING, Existing
from reconciler.operations.importing.found import Imported, ImportedResource, LeftOut

SCHEMA_LINE: Final = "# yaml-language-server: $schema=environment.schema.json\n"
_REFERS: Final = regex(r"\ufeff?# yaml-language-server: \$schema=")
_LOOKUPS: Final = "lookups"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What is to be written.

    files       the new text of each file that is new or changes, by its path below the environment's directory
    added       the resources that are in them now
    left_alone  the resources that are declared already
    """

    files: Mapping[str, str] = field(default_factory=dict)
    added: tuple[ImportedResource, ...] = ()
    left_alone: tuple[LeftOut, ...] = ()


def write(imported: Imported, existing: Existing = NOTHING, *, single_file: bool = False) -> Written:
    """The files of an environment with what was imported; one file for all of a new one if ``single_file``.

    Raises Problems where something cannot be added to the file that has to have it.
    """
    left_alone = tuple(_left_alone(imported, existing))
    gone = {(one.section, one.name) for one in left_alone}
    resources = [one for one in imported.resources if (one.section, one.key) not in gone]
    if not existing.texts:
        single = single_file or existing.single
        files = _new(imported, resources, existing.settings_file, single=single)
        return Written(files=files, added=tuple(resources), left_alone=left_alone)
    lookups, resources = _without_clashes(_used(imported.lookups, resources), resources, existing)
    files = _Files(existing).with_more(lookups, resources)
    return Written(files=files, added=tuple(resources), left_alone=left_alone)


def _left_alone(imported: Imported, existing: Existing) -> Iterator[LeftOut]:
    for one in imported.resources:
        key = existing.key_of(one.section, one.physical)
        if key is not None:
            where = existing.declared.get(Address(one.section, key))
            other = f" as {key}" if key != one.key else ""
            yield LeftOut(section=one.section, name=one.key, why=f"already declared{other}, at {where}")
        elif where := existing.declared.get(Address(one.section, one.key)):
            yield LeftOut(
                section=one.section, name=one.key, why=f"another resource is declared by this name, at {where}"
            )


# --- a new environment -----------------------------------------------------------------------------------------------


def _new(
    imported: Imported, resources: Sequence[ImportedResource], settings_file: str, *, single: bool
) -> dict[str, str]:
    style = Style()
    head = [*_settings(imported.settings, style)]
    if imported.lookups:
        head += [
            "",
            *_section(_LOOKUPS, [Member(name=name, value=value) for name, value in imported.lookups.items()], style),
        ]
    blocks: dict[str, list[list[str]]] = {settings_file: [head]}
    for section in layout.in_order({one.section for one in resources}):
        file = settings_file if single else f"{layout.file_of(section)}.yaml"
        members = [_member(one) for one in resources if one.section == section]
        blocks.setdefault(file, []).append(_section(section, members, style))
    return {
        file: SCHEMA_LINE + "\n".join("".join(f"{line}\n" for line in block) for block in found if block)
        for file, found in blocks.items()
    }


def _settings(settings: Mapping[str, Any], style: Style) -> Iterator[str]:
    before = ""
    for name, value in layout.settings_in_order(settings).items():
        made = lines(Member(name=name, value=value), 0, style)
        if before and (isinstance(value, Mapping | list | tuple) or len(made) > 1 or before == "block"):
            yield ""
        yield from made
        before = "block" if isinstance(value, Mapping | list | tuple) or len(made) > 1 else "line"


def _section(section: str, members: Sequence[Member], style: Style) -> list[str]:
    made = [f"{section}:"]
    for number, member in enumerate(members):
        shown = lines(member, style.indent, style)
        made += ["", *shown] if number and section != _LOOKUPS and len(shown) > 1 else shown
    return made


def _member(one: ImportedResource) -> Member:
    return Member(name=one.key, value=layout.arranged(one.section, one.props), comments=one.comments, opened=True)


# --- an environment that is there ------------------------------------------------------------------------------------


def _used(lookups: Mapping[str, Any], resources: Sequence[ImportedResource]) -> dict[str, Any]:
    """The look-ups that resources refer to, and those that these refer to."""
    found: set[str] = set()
    texts = [*_texts([one.props for one in resources])]
    while texts:
        named = {match[2] for text in texts for match in _REFERENCE.finditer(text)} & lookups.keys()
        texts = [*_texts([lookups[name] for name in named - found])]
        found |= named
    return {name: value for name, value in lookups.items() if name in found}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(item)


def _without_clashes(
    lookups: Mapping[str, Any], resources: Sequence[ImportedResource], existing: Existing
) -> tuple[dict[str, Any], list[ImportedResource]]:
    """The look-ups that are missing. One whose name means something else gets another, and so do references to it."""
    renamed: dict[str, str] = {}
    for name, value in lookups.items():
        if name in existing.lookups and existing.lookups[name] != value:
            taken = {*existing.lookups, *lookups, *renamed.values()}
            renamed[name] = next(new for number in range(2, 10_000) if (new := f"{name}{number}") not in taken)
    missing = {
        renamed.get(name, name): _renamed(value, renamed)
        for name, value in lookups.items()
        if name not in existing.lookups or name in renamed
    }
    return missing, [replace(one, props=_renamed(one.props, renamed)) for one in resources]


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if not names:
        return value
    if isinstance(value, Mapping):
        return {name: _renamed(item, names) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_renamed(item, names) for item in value]
    if not isinstance(value, str):
        return value
    return _REFERENCE.sub(lambda match: f"{match[1]}{names.get(match[2], match[2])}{match[3]}", value)


_REFERENCE: Final = regex(r"""((?<!\$)\$\{lookups(?:\.|\["))([^\s"\]}.\[]+)((?:"\])?[.\[}])""")


class _Files:
    """The files of an environment, while resources are added to them."""

    def __init__(self, existing: Existing) -> None:
        self.existing = existing
        self.texts = dict(existing.texts)
        self.start = SCHEMA_LINE if any(_REFERS.match(text) for text in existing.texts.values()) else ""

    def with_more(self, lookups: Mapping[str, Any], resources: Sequence[ImportedResource]) -> dict[str, str]:
        """The text of each file that is new or changes."""
        if lookups:
            self.add(_LOOKUPS, [Member(name=name, value=value) for name, value in lookups.items()], only_settings=True)
        for section in layout.in_order({one.section for one in resources}):
            self.add(section, [_member(one) for one in resources if one.section == section])
        return {file: text for file, text in self.texts.items() if text != self.existing.texts.get(file)}

    def add(self, section: str, members: Sequence[Member], *, only_settings: bool = False) -> None:
        """Add to the first file that allows it."""
        settings = self.existing.settings_file
        only_settings = only_settings or self.existing.single
        refused: CannotEdit | None = None
        for file in [settings] if only_settings else self.fitting(section):
            try:
                self.texts[file] = addition.added(self.texts.get(file, self.start), section, members)
            except CannotEdit as error:
                refused = refused or error
            else:
                return
        message = f"{section} cannot be added to {settings}: {refused}"
        hint = "change the file so that its sections are ordinary mappings without anchors, and import again"
        raise Problems([Problem(code=codes.CANNOT_ADD, message=message, hint=hint)])

    def fitting(self, section: str) -> Iterator[str]:
        """The files that a section may be added to, the best first; the last is a new one."""
        group = layout.file_of(section)
        named = [file for file in self.texts if file.rpartition("/")[2].rpartition(".")[0] == group]
        having = sorted(self.texts, key=lambda file: -addition.size(self.texts[file], section))
        having = [file for file in having if addition.size(self.texts[file], section) >= 0]
        alike = [one for one in layout.sections() if one != section and layout.file_of(one) == group]
        near = [file for file in self.texts if any(addition.size(self.texts[file], one) > 0 for one in alike)]
        yield from dict.fromkeys([*(one for one in named if one in having), *having, *named, *near])
        new = (f"{group}{number}.yaml" for number in ("", *(f"-{count}" for count in range(2, 1000))))
        yield next(file for file in new if file not in self.texts)
