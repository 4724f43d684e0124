"""docs/reference/ is made from the schemas and the kinds, and complete."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache

import pytest

from reconciler.config import expressions
from reconciler.kinds import discover
from reconciler.model.lookups import LOOKUP_KINDS
from reconciler.schema import registry
from tools import reference_doc
from tools.reference_fields import Tables, Target, anchor, escaped

SECTIONS = registry.sections()
LINK = re.compile(r"\]\((?P<file>[\w.-]+\.md)?(?:#(?P<anchor>[^)]*))?\)")


@cache
def pages() -> Mapping[str, str]:
    """Every page; made where a test asks, as each process reads this module."""
    return reference_doc.pages()


def test_the_files_are_up_to_date():
    written = {file.name: file.read_text(encoding="utf-8") for file in reference_doc.TARGET.glob("*.md")}

    assert written.keys() == pages().keys(), "make docs"
    assert [name for name, text in pages().items() if written[name] != text] == [], "make docs"


def mentioned(text: str) -> set[str]:
    return set(re.findall(r"`([\w-]+)`", text))


def names(tree: Mapping[str, Mapping[str, object]]) -> Iterator[str]:
    for name, below in tree.items():
        yield name
        yield from names(below)  # type: ignore[arg-type]


@pytest.mark.parametrize("section", SECTIONS)
def test_every_field_of_a_section_is_on_its_page(section):
    expected = set(names({name: tree for name, tree in registry.members(section).items() if name != "lifecycle"}))

    assert expected - mentioned(pages()[f"{section}.md"]) == {"*"} & expected
    assert (
        f"[{section}]({section}.md)" in pages()["README.md"]
        and f"[{section}]({section}.md)" in pages()["expressions.md"]
    )


def test_every_setting_look_up_and_member_of_lifecycle_is_on_its_page():
    documents = registry.shipped().documents
    for file, page in (("settings.schema.json", "settings.md"), ("lifecycle.schema.json", "lifecycle.md")):
        assert set(documents[file]["properties"]) <= mentioned(pages()[page])
    assert set(re.findall(r"^## (\w+)", pages()["lookups.md"], re.MULTILINE)) == {*LOOKUP_KINDS, "tags", "filters"}


def test_pages_link_to_headings_that_exist_and_their_tables_are_tables():
    headings = {name: re.findall(r"^#+ (.+)$", text, re.MULTILINE) for name, text in pages().items()}
    anchors = {name: [anchor(heading) for heading in found] for name, found in headings.items()}

    for page, text in pages().items():
        for found in LINK.finditer(text):
            assert (found["anchor"] or "") in ["", *anchors[found["file"] or page]], f"{page} links to {found[0]}"
        assert len(set(anchors[page])) == len(anchors[page]), page
        for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
            assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}) == 1, table


def test_the_expressions_can_be_read_and_have_these_attributes():
    page = pages()["expressions.md"]
    examples = re.findall(r"`(\$\{[^`]*\})`", page.partition("## ")[0])

    assert len(examples) > 10
    assert [expressions.parse(text)[1] for text in examples if text != "${...}"] == [()] * (len(examples) - 1)
    assert "| [jobDefinitions](jobDefinitions.md) | `arnPrefix`, `name` | `arn`, `revision` |" in page
    assert "| [securityGroups](securityGroups.md) | `name` | `arn`, `id` |" in page


@pytest.mark.parametrize(
    ("section", "field", "cells"),
    [
        ("jobQueues", "priority", "| integer | **required** | in place |"),
        ("jobQueues", "state", "| `ENABLED` or `DISABLED` | `ENABLED` | in place |"),
        ("jobQueues", "jobQueueType", "| derived from its environments | replacement |"),
        ("jobQueues", "schedulingPolicyArn", "| in place or replacement [(1)](#when-a-change-replaces) |"),
        ("jobQueues", "computeEnvironment", "| name or ARN of [computeEnvironments](computeEnvironments.md) |"),
        ("computeEnvironments", "computeResources", "| [mapping](#computeresources) |  | depends on the field |"),
        ("computeEnvironments", "maxvCpus", "| integer, at least 0 | **required** | scaling update |"),
        ("computeEnvironments", "desiredvCpus", "| not compared |"),
        ("computeEnvironments", "instanceTypes", "| infrastructure update or replacement [("),
        ("computeEnvironments", "subnets", "| set of text, or a look-up of [subnets](lookups.md#subnets) |"),
        ("computeEnvironments", "subnets", "| scaling update, infrastructure update or replacement [("),
        ("jobDefinitions", "timeout", "| [mapping](#timeout) | never (Fargate: after 14 days) | new revision |"),
        ("jobDefinitions", "container", "| [as containerProperties](#containerproperties) |"),
        ("jobDefinitions", "tags", "| mapping of names to text |  | in place |"),
        ("launchTemplates", "userData", "| new revision |"),
        ("roles", "path", "| text | `/` | replacement |"),
        ("roles", "roleName", "| text | the key above, after namePrefix | replacement |"),
        ("secrets", "value", "| text or mapping, masked |"),
        ("securityGroups", "fromPort", "| integer, -1 to 65535 or text |"),
    ],
)
def test_a_field_has_its_type_its_default_and_what_a_change_does(section, field, cells):
    assert any(row.startswith(f"| `{field}` |") and cells in row for row in pages()[f"{section}.md"].splitlines())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a | b", r"a \| b"),
        ("rate(*), <name>, [x]", r"rate(\*), \<name\>, \[x\]"),
        ("takes ${var.a} and $${", "takes `${var.a}` and $${"),
        ('as "${environment}-" here', 'as `"${environment}-"` here'),
    ],
)
def test_texts_are_safe_in_a_table(text, expected):
    assert escaped(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What. Default: none.", ("none", "What.")),
        ("What. Default: 100 (0 is the same). More.", ("`100` (0 is the same)", "What. More.")),
        ("Default: LATEST.", ("`LATEST`", "")),
        ("ENABLED or DISABLED (default).", ("`DISABLED`", "ENABLED or DISABLED (default).")),
        (f"Default: {'long ' * 20}.", ("see description", f"Default: {'long ' * 20}.")),
        ("What.", ("", "What.")),
    ],
)
def test_the_default_is_taken_out_of_the_description(text, expected):
    tables = Tables({}, None, {})

    assert tables.default("x", text, required=False) == expected
    assert tables.default("x", text, required=True) == ("**required**", text)


def test_a_kind_without_an_example_has_no_variants_but_nothing():
    tables = Tables({}, discover()["jobQueues"], {})

    assert tables.variants == [{}]
    assert tables.change(discover()["jobQueues"], "priority", Target({}, "priority")) == "in place"
