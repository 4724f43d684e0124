"""Write docs/reference/ from the schemas and the kinds: settings, expressions, look-ups, lifecycle, every section."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from reconciler.kinds import discover
from reconciler.model import Kind, Scope
from reconciler.model.lookups import LOOKUP_KINDS
from reconciler.schema import registry
from reconciler.schema.fields import REPLACEMENTS
from tools.reference_fields import Tables, code, escaped

TARGET = Path(__file__).parents[1] / "docs" / "reference"

MADE = "<!-- Made by `make docs` from schemas/ and reconciler/kinds/: change those, not this file. -->"
SCOPE = Scope("123456789012", "eu-west-1", "aws", "mine")
NAME = "NAME"
LIFECYCLE = {"lifecycle.schema.json": "[lifecycle](lifecycle.md)", "#/$defs/lookup": "[look-up](lookups.md)"}
ARGUMENTS = {"#/$defs/tags": "[tags](#tags)", "#/$defs/filters": "[filters](#filters)"}
_URL = re.compile(r" ?(https://\S+)")

INDEX = """\
# Reference

Every setting, section and field of an environment.

- [Settings](settings.md): what `environment.yaml` may have besides resources
- [Expressions](expressions.md): `${...}` in values
- [Look-ups](lookups.md): what is found in the account
- [Lifecycle](lifecycle.md): how reconcile treats a resource
- [Problem codes](../errors.md): what `validate` and the other commands report

## Sections

Resources are declared in these sections, as a mapping of names to properties:

| Section | What it is |
| --- | --- |
"""

READING = """
## How to read the tables

Field names are those of the AWS API, with the first letter lowered.
A field that names another resource takes its name in this environment, or what AWS takes: an ARN, an id,
or the name of one that exists.
Every value may be an [expression](expressions.md), unless its page says otherwise.

- **Type**: the items of a *set* have no order. *Text* is a string: quote what looks like a number.
- **Default**: what it means to leave the field out. *Set by AWS*: it is compared only where it is declared.
  An empty cell: it has no value.
- **A change**: what `apply` does when the field differs.

| A change | means |
| --- | --- |
| in place | the resource that exists is updated |
| scaling update | compute environments: an update that replaces no instances |
| infrastructure update | compute environments: AWS replaces the instances, as `updatePolicy` says |
| new revision | a new revision of a job definition, or version of a launch template; submitted jobs keep theirs |
| replacement | a new resource instead of the old one, in the order that the section's page names |
| not compared | a difference is not a change |

A plan shows which of them it is, and why, on the field itself.
What AWS has added since these pages were made is accepted, too, where the installed AWS model has it.
"""

EXPRESSIONS = """\
# Expressions

{made}

An expression may be in any value, alone or in a text; alone it keeps the type of what it stands for.
Keys cannot contain expressions.

| Expression | Stands for |
| --- | --- |
| `${{jobQueues.main.arn}}` | an attribute of a resource, which is then created first |
| `${{logGroups["/aws/batch/app"].name}}` | the same; names with dots or slashes are quoted |
| `${{lookups.vpc}}` | what a [look-up](lookups.md) found |
| `${{var.team}}`, `${{var.sizes.small}}` | a [variable](../environments.md#variables), or a member of one |
| `${{env:NAME}}` | a variable of the process's environment; it is an error if it is not set |
| `${{env:NAME:-latest}}` | the same, with a default for when it is not set or empty |
| `${{file:files/user-data.sh}}` | the content of a file, relative to the environment's directory |
| `${{account}}`, `${{region}}`, `${{partition}}` | where the environment is |
| `${{environment}}` | its name |
| `$${{...}}` | the text `${{...}}` itself |

The settings `environment`, `extends` and `requiredVersion` cannot contain expressions, and neither can `lifecycle`.

## Attributes of resources

Those that AWS assigns are known when the resource exists; until then a plan shows `(known after apply)`.

| Section | Attributes | Assigned by AWS |
| --- | --- | --- |
{attributes}

`arnPrefix` is the ARN of a job definition without its revision.
"""

LOOKUPS = """\
# Look-ups

{made}

`lookups:` maps names to look-ups, each of exactly one kind; `${{lookups.NAME}}` is what it found.
They are read when planning.
[The guide](../lookups.md) has examples, what happens when several match, and the permission that each needs.

```yaml
lookups:
  vpc:     {{vpc: {{default: true}}}}
  subnets: {{subnets: {{vpcId: "${{lookups.vpc}}", tags: {{tier: private}}}}}}
```

"""


def pages() -> dict[str, str]:
    """The content of every file, by name."""
    kinds = discover()
    documents = registry.shipped().documents
    by_section = registry.shipped().by_section
    sections = {section: documents[by_section[section]] for section in registry.sections()}
    made = {
        "README.md": _index(sections),
        "settings.md": _settings(documents["settings.schema.json"]),
        "lifecycle.md": _lifecycle(documents["lifecycle.schema.json"], sections["computeEnvironments"]["examples"][0]),
        "lookups.md": LOOKUPS.format(made=MADE) + _lookups(documents["settings.schema.json"]),
        "expressions.md": EXPRESSIONS.format(made=MADE, attributes=_attributes(sections, kinds)),
    }
    made |= {f"{section}.md": _section(section, sections[section], kinds[section]) for section in sections}
    return {name: text.rstrip("\n") + "\n" for name, text in made.items()}


def _index(sections: Mapping[str, Any]) -> str:
    rows = [f"| [{section}]({section}.md) | {escaped(_first(one))} |" for section, one in sections.items()]
    return INDEX.replace("\n\n", f"\n\n{MADE}\n\n", 1) + "\n".join(rows) + "\n" + READING


def _first(document: Mapping[str, Any]) -> str:
    """The title and the first sentence of a schema's description."""
    text = _URL.sub("", document.get("description", ""))
    return f"{document.get('title', '')}: {re.split(r'(?<=[.]) ', text)[0]}"


def _settings(document: Mapping[str, Any]) -> str:
    tables = Tables(document, None, LIFECYCLE)
    head = ["# Settings", "", MADE, "", escaped(document["description"]), ""]
    head += [_yaml(document["examples"][0])]
    return "\n".join([*head, *tables.lines(document)])


def _lifecycle(document: Mapping[str, Any], resource: Mapping[str, Any]) -> str:
    tables = Tables(document, None, {})
    head = ["# Lifecycle", "", MADE, "", f"Every resource may have `lifecycle`. {escaped(document['description'])}", ""]
    example = {"computeEnvironments": {"spot": {**resource, "lifecycle": document["examples"][0]}}}
    return "\n".join([*head, _yaml(example), *tables.lines(document)])


def _lookups(document: Mapping[str, Any]) -> str:
    lines: list[str] = []
    for name, schema in document["$defs"]["lookup"]["properties"].items():
        value = "a list" if LOOKUP_KINDS[name].many else "one text"
        lines += [f"## {name}", "", f"{escaped(schema['description'])} The value is {value}.", ""]
        if LOOKUP_KINDS[name].by_text:
            lines += [f"It takes one text: `NAME: {{{name}: VALUE}}`.", ""]
        else:
            lines += Tables(document, None, ARGUMENTS).lines(schema, title="")
    for name in ("tags", "filters"):
        schema = document["$defs"][name]
        lines += [f"## {name}", "", escaped(schema["description"]), ""]
    return "\n".join(lines)


def _attributes(sections: Mapping[str, Any], kinds: Mapping[str, Kind]) -> str:
    rows = []
    for section, document in sections.items():
        known, assigned = attributes(kinds[section], document)
        cells = [f"[{section}]({section}.md)", ", ".join(map(code, known)), ", ".join(map(code, assigned))]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def attributes(kind: Kind, document: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The attributes of a kind's resources that follow from what is declared, and those that AWS assigns."""
    example = document["examples"][0]
    known = {"name", *kind.attrs(SCOPE, NAME, kind.expanded(NAME, example))}
    return sorted(known - kind.assigned_by_aws), sorted(kind.assigned_by_aws)


def _section(section: str, document: Mapping[str, Any], kind: Kind) -> str:
    text = document.get("description", "")
    urls = _URL.findall(text)
    links = "".join(f" [AWS: {url.rstrip('.').rpartition('/')[2].removesuffix('.html')}]({url})" for url in urls)
    lines = [f"# {section}", "", MADE, "", f"{document['title']}. {escaped(_URL.sub('', text))}{links}", ""]
    lines += [*_facts(section, document, kind), ""]
    lines += [_yaml({section: {_named(section, kind): document["examples"][0]}})]
    tables = Tables(document, kind, LIFECYCLE)
    return "\n".join([*lines, *tables.lines(document), *tables.conditions()])


def _facts(section: str, document: Mapping[str, Any], kind: Kind) -> Iterator[str]:
    known, assigned = attributes(kind, document)
    written = f'{section}["QUEUE/SHARE"]' if kind.named_below else f"{section}.{NAME}"
    yield f"- Expressions: {', '.join(f'`${{{written}.{name}}}`' for name in [*known, *assigned])}"
    if kind.name_member:
        yield f"- Physical name: the key, after `namePrefix`; or `{kind.name_member}`"
    if kind.versioned:
        yield "- Every change registers a new revision"
    elif kind.shared:
        yield "- Shared with everything else in the account: created if it is missing, never deleted"
    else:
        yield f"- How it is replaced: {REPLACEMENTS[kind.replace]}"
    if kind.container is not None:
        section = kind.container.section
        yield f"- Ownership: that of its group, in [{section}]({section}.md)"


def _named(section: str, kind: Kind) -> str:
    if kind.named_below:
        return "queue/share"
    return {"serviceLinkedRoles": "batch.amazonaws.com", "logGroups": "/aws/batch/example"}.get(section, "example")


def _yaml(value: Any) -> str:
    stream = io.StringIO()
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.dump(value, stream)
    return f"```yaml\n{stream.getvalue()}```\n"


if __name__ == "__main__":
    TARGET.mkdir(exist_ok=True)
    made = pages()
    for file in TARGET.glob("*.md"):
        if file.name not in made:
            file.unlink()
    for name, content in made.items():
        (TARGET / name).write_text(content, encoding="utf-8")
    print(f"wrote {len(made)} files to {TARGET}")
