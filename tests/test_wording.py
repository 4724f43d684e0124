"""Every text of ours is held to the words of docs/glossary.md: the field's own, in short plain sentences.

The words, and the sentences that users stumbled over once, are in ``data/wording.yaml``. Each text is taken from the
source by its syntax: all prose in string literals, whatever it is passed to (problems, hints, advice, titles of waits,
notes, reasons, help), with ``X`` for every value that is filled in. So a new message is held to them without anyone
listing it. Not among them are AWS's own words: what refusals and ``Cause`` are matched by, and what the sandbox
answers in AWS's name.

All 34 rows of the table of sentences are here; none is about a command that does not exist yet.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ruamel.yaml import YAML

from tests.support.sources import children_of, nodes_of

ROOT = Path(__file__).parents[1]
LONGEST = 180  # characters of one text; more is two sentences, or a document
GLOSSARY = "docs/glossary.md"
WHAT = ("messages", "schemas", "documents", "docstrings")

# The sandbox answers as AWS does, in AWS's words; these of its modules speak for themselves.
OURS_IN_SANDBOX = ("__main__.py", "process.py", "server.py", "clock.py")
# Arguments that hold what AWS writes (by position and by name), and calls that take patterns.
QUOTED: Mapping[str, tuple[tuple[int, ...], tuple[str, ...]]] = {
    "On": ((0, 1), ("code", "message")),
    "Cause": ((0,), ("text",)),
    "compile": ((0,), ()),
    "sub": ((0, 1), ()),
    "search": ((0,), ()),
    "fullmatch": ((0,), ()),
    "match": ((0,), ()),
    "TypeVar": ((0,), ()),
    "cast": ((0,), ()),
    "Repair": ((), ("on",)),
}
SILENT = (ast.Name, ast.Constant, ast.alias, ast.ImportFrom, ast.Import)  # which have no literal below them
PROSE = re.compile(r"[A-Za-z'\"`)]+[,:;.?]? [a-z(\"`$-]|^[A-Z][a-z]+ ")  # two words
STYLE = re.compile(r"\{ ?(font|background|color|cursor|border)|^default-src")
MARKUP = re.compile(r"</?(?:p|h1|pre|code|strong|title|summary|details)\b[^>]*>")


@dataclass(frozen=True)
class Text:
    """One text, where it is, and what it is: messages, schemas, documents or docstrings."""

    place: str
    what: str
    words: str

    def __str__(self) -> str:
        return f"{self.place}: {self.words}"


@pytest.fixture(autouse=True, scope="module")
def forget_the_texts() -> Iterator[None]:
    yield
    for kept in (spoken, texts, catalogue, rules):
        kept.cache_clear()


@cache
def catalogue() -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe").load(ROOT / "tests/data/wording.yaml")
    return found


class Spoken(NamedTuple):
    """What the sources say; the trees of all of them would take a tenth of what a test process may have."""

    messages: list[Text]
    docstrings: list[Text]
    names: list[tuple[str, str]]


@cache
def spoken() -> Spoken:
    """What every module says, of which one at a time is read."""
    every = Spoken([], [], [])
    for path in sorted((ROOT / "reconciler").rglob("*.py")):
        module, tree = str(path.relative_to(ROOT)), ast.parse(path.read_text("utf-8"))
        nodes = nodes_of(tree)
        every.messages.extend(messages_in(module, tree, nodes))
        every.docstrings.extend(docstrings_in(module, nodes))
        every.names.extend(
            (f"{module}:{node.lineno}", node.arg if isinstance(node, ast.arg) else node.name)
            for node in nodes
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.arg)
        )
    return every


def speaks_for_aws(module: str) -> bool:
    """Whether the texts of a module are AWS's."""
    parts = Path(module).parts
    return parts[1] == "sandbox" and (len(parts) > 3 or parts[-1] not in OURS_IN_SANDBOX)


def words_of(node: ast.AST) -> str | None:
    """The text of a literal, ``X`` for each value that is filled in; None for what is no text."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
    return None


def quoted(node: ast.AST) -> list[ast.AST]:
    """The arguments of a call that hold AWS's words, or a pattern."""
    if not isinstance(node, ast.Call):
        return []
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    positions, names = QUOTED.get(name, ((), ()))
    found: list[ast.AST] = [arg for index, arg in enumerate(node.args) if index in positions]
    return found + [keyword for keyword in node.keywords if keyword.arg in names]


def literals(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and text of each literal below ``node``, docstrings and AWS's words aside."""
    left = [node]
    while left:
        here = left.pop()
        if type(here) in SILENT:
            continue
        skipped = quoted(here)
        for child in children_of(here):
            if child in skipped or (isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)):
                continue
            words = words_of(child)
            if words is None:
                left.append(child)
                continue
            yield getattr(child, "lineno", 0), words
            if isinstance(child, ast.JoinedStr):
                left += [part for part in child.values if isinstance(part, ast.FormattedValue)]


def is_command(node: ast.AST) -> bool:
    """Whether a function's docstring is the help of a command."""
    decorators = getattr(node, "decorator_list", [])
    return any(
        isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute) and one.func.attr == "command"
        for one in decorators
    )


def messages_in(module: str, tree: ast.Module, nodes: list[ast.AST]) -> Iterator[Text]:
    if speaks_for_aws(module):
        return
    for line, words in literals(tree):
        if PROSE.search(words) and not STYLE.search(words):
            for part in MARKUP.sub("", words).strip().splitlines():
                yield Text(f"{module}:{line}", "messages", part.strip())
    for node in nodes:
        if isinstance(node, ast.FunctionDef) and is_command(node):
            yield Text(f"{module}:{node.lineno}", "messages", ast.get_docstring(node) or "")


def docstrings_in(module: str, nodes: list[ast.AST]) -> Iterator[Text]:
    for node in nodes:
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (words := ast.get_docstring(node)):
            line = getattr(node, "lineno", 1)
            yield Text(f"{module}:{line}", "docstrings", " ".join(words.split()))


def comments_on_members() -> Iterator[Text]:
    """What ``#:`` says of a member, which documentation shows as its docstring."""
    for path in sorted((ROOT / "reconciler").rglob("*.py")):
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
            if line.lstrip().startswith("#:"):
                yield Text(f"{path.relative_to(ROOT)}:{number}", "docstrings", line.lstrip(" #:"))


def schemas() -> Iterator[Text]:
    def within(value: Any, path: str) -> Iterator[Text]:
        members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for name, inner in members:
            if name == "description" and isinstance(inner, str):
                yield Text(path, "schemas", inner)
            else:
                yield from within(inner, f"{path}/{name}")

    for path in sorted((ROOT / "schemas").glob("*.json")):
        yield from within(json.loads(path.read_text("utf-8")), f"{path.relative_to(ROOT)}#")


def documents() -> Iterator[Text]:
    names = ("README.md", "CONTRIBUTING.md", "docs/**/*.md", "environments/*/README.md", "benchmarks/README.md")
    for path in sorted(path for name in names for path in ROOT.glob(name)):
        place = str(path.relative_to(ROOT))
        if place == GLOSSARY:  # it names the words not to use
            continue
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            yield Text(f"{place}:{number}", "documents", line)


@cache
def texts(what: str) -> tuple[Text, ...]:
    if what == "messages":
        return tuple(spoken().messages)
    if what == "docstrings":
        return (*spoken().docstrings, *comments_on_members())
    return tuple({"schemas": schemas, "documents": documents}[what]())


@cache
def rules(what: str) -> tuple[re.Pattern[str], tuple[tuple[re.Pattern[str], str], ...]]:
    """What texts of a kind must not have: all in one pattern, and each with what to write instead."""
    held = [rule for rule in catalogue()["rules"] if what in rule.get("in", ("messages", "schemas"))]
    each = tuple((re.compile(rule["words"], re.IGNORECASE), rule["better"]) for rule in held)
    return re.compile("|".join(f"(?:{pattern.pattern})" for pattern, _ in each), re.IGNORECASE), each


def wrong_words(text: Text) -> list[str]:
    """What a text has and should not, with what to write instead."""
    together, each = rules(text.what)
    if not together.search(text.words):
        return []
    allowed = [entry["words"] for entry in catalogue()["allow"] if entry["text"] in text.words]
    return [
        f'"{found[0]}" -> {better}'
        for pattern, better in each
        if pattern.pattern not in allowed and (found := pattern.search(text.words))
    ]


@pytest.mark.parametrize("what", WHAT)
def test_texts_use_the_words_of_the_trade(what: str) -> None:
    found = [f"{text}\n    {'; '.join(wrong)}" for text in texts(what) if (wrong := wrong_words(text))]
    assert not found, f"{len(found)} texts:\n" + "\n".join(found)


def is_long(text: Text) -> bool:
    """Whether a text is a sentence too long to read at a glance; tables of words in the source are none."""
    return len(text.words) > LONGEST and bool(re.search(r"[,;:.] ", text.words))


def test_no_message_is_long() -> None:
    found = [f"{len(text.words)} characters: {text}" for text in texts("messages") if is_long(text)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("row", catalogue()["sentences"], ids=lambda row: str(row["row"]))
def test_sentences_users_stumbled_over(row: Mapping[str, Any]) -> None:
    if "in" in row:
        here: tuple[Text, ...] = (Text(row["in"], "documents", (ROOT / row["in"]).read_text("utf-8")),)
    else:
        here = texts("messages")
    back = [str(text) for text in here for never in row["never"] if re.search(never, text.words, re.IGNORECASE)]
    missing = [phrase for phrase in row["present"] if not any(phrase in text.words for text in here)]
    assert not back, "\n".join(back)
    assert not missing, f"no text has: {missing}"


def test_names_are_words_of_the_trade() -> None:
    wrong = catalogue()["names"]
    found = []
    for place, name in spoken().names:
        parts = [] if name in catalogue()["name_exceptions"] else name.lower().split("_")
        found += [f"{place}: {name} -> {wrong[part]}" for part in parts if part in wrong]
    assert not found, f"{len(found)} names:\n" + "\n".join(sorted(set(found)))


def glossary() -> Iterator[tuple[str, str]]:
    """The terms of the glossary, and the words not to use for each."""
    for line in (ROOT / GLOSSARY).read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
        if len(cells) == 3 and cells[0] not in ("term", "---"):
            yield cells[0], cells[2]


def test_the_glossary_and_the_rules_agree() -> None:
    """Each word in quotes that the glossary warns of is one that a rule finds."""
    patterns = [rule["words"] for rule in catalogue()["rules"]]
    unheld = [
        f"{term}: {word}"
        for term, words in glossary()
        for word in re.findall(r'"([^"]+)"', words)
        if not any(re.search(pattern, word, re.IGNORECASE) for pattern in patterns)
    ]
    assert list(glossary()), "the glossary has no table"
    assert not unheld, "no rule finds these words of the glossary: " + ", ".join(unheld)


def test_every_exception_is_needed() -> None:
    every = [text for what in WHAT for text in texts(what)]
    unneeded = [
        entry["text"]
        for entry in catalogue()["allow"]
        if not any(
            entry["text"] in text.words and re.search(entry["words"], text.words, re.IGNORECASE) for text in every
        )
    ]
    assert not unneeded, unneeded
    assert all(entry["reason"] for entry in catalogue()["allow"])
