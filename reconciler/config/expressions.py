"""The grammar of ``${...}``: text to parts; errors are returned as values.

    ${jobQueues.etl.arn}  ${logGroups["/aws/x"].arn}   an attribute of a resource
    ${lookups.vpc}                                     a look-up
    ${var.team}  ${var.sizes.small}                    a variable, or a member of one
    ${env:NAME}  ${file:files/user-data.sh}            an environment variable, a file's content
    ${env:NAME:-text}                                  the same, or a text where it is not set or is empty
    ${account}  ${region}  ${partition}  ${environment}
    $${...}                                            the text ${...} itself

An expression becomes a :class:`~reconciler.model.Reference`; for ``var``, ``env`` and ``file`` its ``attr`` is the text
after the first ``.`` or ``:``.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from reconciler.model import Address, Reference
from reconciler.model.patterns import regex
from reconciler.model.problems import did_you_mean
from reconciler.model.records import dataclass

SCOPE = ("account", "region", "partition", "environment")

_TOKEN = regex(r"\$?\$\{")
_STEP = regex(r"""\.?\[\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)')\s*\]|\.?([A-Za-z0-9_-]+)""")
_WORD = regex(r"[A-Za-z][A-Za-z0-9]*")
_PLAIN = regex(r"[A-Za-z0-9_.:-]+")  # without quotes, in which a brace would not close an expression
_LONGEST = 1024
_UNQUOTED = regex(r"([A-Za-z][A-Za-z0-9]*)\.([A-Za-z0-9_./-]*/[A-Za-z0-9_./-]*)\.([A-Za-z0-9_-]+)")
DEFAULT = ":-"  # between an environment variable and the text that is used without it, as in shells
_OTHER_DEFAULT = regex(r"([A-Za-z_][A-Za-z0-9_]*)(?::=|:\?|-|:|,|\|\||\|)\s*([^:=?|]*)")
_ENV_NAME = regex(r"[A-Za-z_][A-Za-z0-9_]*")

_ELSEWHERE = {
    "AWS::AccountId": "${account}",
    "AWS::Region": "${region}",
    "AWS::Partition": "${partition}",
    "aws.region": "${region}",
    "data.aws_caller_identity.current.account_id": "${account}",
    "data.aws_region.current.name": "${region}",
}


# What users write instead of ``var`` and ``lookups``, which are not sections
_MEANT = {
    **dict.fromkeys(("vars", "variable", "variables", "local", "locals", "param", "params", "parameters"), "var"),
    "var": "var",
    **dict.fromkeys(("lookup", "lookups", "data"), "lookups"),
}
# Expressions in the syntax of other tools
_FOREIGN = regex(
    r"\{\{\s*(?:var|vars|variables|lookups?|env|environ)[.:][^{}]*\}\}|\$\((?:var|lookups|env)[.:][^()]*\)"
    r"|(?<![$\w])\$(?:var|lookups)\.[A-Za-z0-9_.-]+"
)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with an expression, and how to fix it."""

    message: str
    hint: str


def parse(text: str) -> tuple[tuple[str | Reference, ...], tuple[Fault, ...]]:
    """The parts of ``text`` in order, adjacent plain text joined, and a fault for each expression that cannot be read.

    Such an expression is left out of the parts.
    """
    if "${" not in text:
        return (text,), ()
    parts: list[str | Reference] = []
    faults: list[Fault] = []
    at = 0
    while found := _TOKEN.search(text, at):
        _add(parts, text[at : found.start()])
        if found[0] == "$${":
            _add(parts, "${")
            at = found.end()
            continue
        end = _end(text, found.end())
        if end is None:
            shown = text[found.start() : found.start() + 40].splitlines()[0]
            faults.append(Fault(f"{shown} has no closing }}", "close it, or write $${ for a literal ${"))
            at = len(text)
            break
        part = _expression(text[found.end() : end].strip(), text[found.start() : end + 1])
        if isinstance(part, Fault):
            faults.append(part)
        else:
            parts.append(part)
        at = end + 1
    _add(parts, text[at:])
    return tuple(parts) or ("",), tuple(faults)


def may_be_foreign(text: str) -> bool:
    """Whether ``text``, or one in a value that it is the ``repr`` of, may contain an expression of another tool."""
    return "{{" in text or "$(" in text or "$var." in text or "$lookups." in text


def foreign(text: str) -> str:
    """The first part of ``text`` that looks like another tool's expression; empty if there is none."""
    found = _FOREIGN.search(text)
    return found[0] if found else ""


def address(text: str) -> Address | None:
    """``jobQueues.etl`` or ``logGroups["/aws/x"]`` as an address; None for anything else."""
    steps = _steps(text)
    return Address(steps[0], steps[1]) if steps and len(steps) == 2 else None


def key(text: str) -> tuple[str, Fault | None]:
    """A mapping's key with ``$${`` unescaped, and a fault where it contains an expression."""
    if "${" not in text:
        return text, None
    if any(found[0] == "${" for found in _TOKEN.finditer(text)):
        hint = "expressions are allowed in values only; write $${ for a literal ${"
        return text, Fault(f'keys cannot contain expressions: "{text}"', hint)
    return text.replace("$${", "${"), None


def _add(parts: list[str | Reference], text: str) -> None:
    if not text:
        return
    last = parts[-1] if parts else None
    if isinstance(last, str):
        parts[-1] = last + text
    else:
        parts.append(text)


def _end(text: str, start: int) -> int | None:
    """The index of the closing brace: the first one outside quotes in brackets."""
    first = text.find("}", start, start + _LONGEST)
    if first < 0:
        return None
    if _PLAIN.fullmatch(text, start, first):
        return first
    quote = ""
    for index in range(start, min(len(text), start + _LONGEST)):
        char = text[index]
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'" and text[index - 1] == "[":
            quote = char
        elif char == "}":
            return index
        elif char == "\n":
            return None
    return None


@lru_cache(1024)
def _expression(inner: str, written: str) -> Reference | Fault:
    scheme, colon, rest = inner.partition(":")
    if colon and scheme in ("env", "file"):
        return _outside(scheme, rest.strip(), written)
    if inner in _ELSEWHERE:
        return Fault(f"{written} is another tool's expression", f"did you mean {_ELSEWHERE[inner]}?")
    if inner in SCOPE:
        return Reference(inner, written)
    steps = _steps(inner)
    if steps is None or len(steps) < 2:
        return Fault(f"cannot read {written}", _hint(inner, written))
    return _dotted(steps, inner, written)


def _dotted(steps: list[str], inner: str, written: str) -> Reference | Fault:
    head, *rest = steps
    if head == "var":
        return Reference("var", written, attr=".".join(rest))
    if head == "lookups":
        if len(steps) == 2:
            return Reference("lookups", written, attr=steps[1])
        return Fault(f"{written} reads a part of a look-up", f"a look-up is one value: ${{lookups.{steps[1]}}}")
    if head == "env":
        return Fault(f"cannot read {written}", f"did you mean ${{env:{steps[1]}}}?")
    if meant := _MEANT.get(head.lower()):
        return Fault(f"cannot read {written}", f"did you mean ${{{'.'.join((meant, *rest))}}}?")
    if head == "self":
        return Fault(f"cannot read {written}", f"write its address: ${{section.name.{rest[-1]}}}")
    return _attribute(steps, inner, written)


def _attribute(steps: list[str], inner: str, written: str) -> Reference | Fault:
    """``section.name.attribute`` of a resource."""
    head = steps[0]
    if len(steps) == 2:
        return Fault(f"{written} names no attribute", f"for example ${{{inner}.arn}} or ${{{inner}.name}}")
    if len(steps) > 3:
        dotted = ".".join(steps[1:-1])
        return Fault(f"{written} has too many parts", _quoted(head, dotted, steps[-1]))
    return Reference("resource", written, address=Address(head, steps[1]), attr=steps[2])


def environment_variable(attr: str) -> tuple[str, str | None]:
    """The name in an expression ``env``, and the text that is used where it is not set or is empty; None without."""
    name, given, default = attr.partition(DEFAULT)
    return name, default if given else None


def _outside(scheme: str, rest: str, written: str) -> Reference | Fault:
    name, default = environment_variable(rest)
    if scheme == "env" and default is not None and "${" in default:
        hint = "the default is plain text; to compute one, write it in a variable of its own"
        return Fault(f"the default in {written} contains an expression", hint)
    if scheme == "env" and not _ENV_NAME.fullmatch(name.strip()):
        return Fault(f"{written} does not name an environment variable", _env_hint(name))
    if not rest:
        return Fault(f"{written} does not name a file", "as in ${file:files/user-data.sh}")
    return Reference(scheme, written, attr=rest)


def _env_hint(name: str) -> str:
    """How to write an environment variable: other shells' forms of a default have other signs."""
    found = _OTHER_DEFAULT.fullmatch(name)
    return f"did you mean ${{env:{found[1]}:-{found[2]}}}?" if found else "as in ${env:NAME}, or ${env:NAME:-default}"


def _steps(text: str) -> list[str] | None:
    """``a.b["c.d"].e`` as its parts."""
    first = _WORD.match(text)
    if not first:
        return None
    steps, at = [first[0]], first.end()
    while at < len(text):
        found = _STEP.match(text, at)
        if not found or (found[3] and text[at] != "."):
            return None
        steps.append(next(part for part in found.groups() if part is not None))
        at = found.end()
    return steps


def _quoted(section: str, name: str, attr: str) -> str:
    # in single quotes, since most texts with an expression are in double ones
    return f"quote names with / or .: ${{{section}['{name}'].{attr}}}"


def _hint(inner: str, written: str) -> str:
    """How to write an expression that cannot be read."""
    if found := _UNQUOTED.fullmatch(inner):
        return _quoted(*found.groups())
    literal = f"write ${written} for literal text"
    if inner.startswith("lookups.") and "[" in inner:
        return f"a look-up is one value: ${{{inner.partition('[')[0]}}}"
    scheme, colon, rest = inner.partition(":")
    if colon and scheme in ("var", "lookups"):
        return f"did you mean ${{{scheme}.{rest}}}?"
    near = "" if colon else did_you_mean(inner, SCOPE).replace('"', "")
    if near:
        return near.replace("mean ", "mean ${").replace("?", "}?") + f" {literal}"
    return f"{literal}; expressions look like ${{section.name.arn}}, ${{var.name}}, ${{env:NAME}}"


def references(parts: tuple[str | Reference, ...]) -> Iterator[Reference]:
    """The expressions among ``parts``."""
    return (part for part in parts if isinstance(part, Reference))
