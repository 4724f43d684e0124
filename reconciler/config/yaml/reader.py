"""The bytes of one YAML file -> nodes with their places.

The YAML is YAML 1.2 without tags and with few types (see ``node.scalar``). What has nothing special in it is read by
line (:mod:`.by_line`). libyaml reads the other valid files. ruamel's own parser reads all others: it is twelve times
slower, reports the place of an error better, and accepts some forms that libyaml refuses.
"""

from __future__ import annotations

from reconciler.config.yaml import by_line
from reconciler.config.yaml.node import MAX_BYTES, MAX_DEPTH, MAX_NODES, Node, place
from reconciler.model import Pos
from reconciler.model import problem_codes as codes
from reconciler.model.patterns import regex
from reconciler.model.problems import Problem, Problems

__all__ = ["MAX_BYTES", "MAX_DEPTH", "MAX_NODES", "Node", "read"]

_ORDINARY = bytes([*b"\t\n\r", *range(0x20, 0x7F)])
_CONTROL = regex("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def read(data: bytes, file: str) -> Node:
    """The one document of a file, with ``file`` as its name in messages; an empty file is an empty mapping.

    Raises :class:`Problems` for anything that is not plain YAML 1.2 as the module describes it.
    """
    text = _decode(data, file)

    def compose() -> Node:
        return quickly(text, file) or fully(text, file)

    return by_line.document(text, file, compose) or compose()


def quickly(text: str, file: str) -> Node | None:
    """The mapping or list that libyaml reads; None for any other value, and for any error."""
    from reconciler.config.yaml import composer, libyaml  # noqa: PLC0415  (8 ms, which `--version` saves)

    try:
        events = libyaml.events(text)
        root = composer.document(events, file, pairs=False) if events else None
    except libyaml.Refused:
        return None
    except Problems as error:
        if any(one.code is codes.TOO_LARGE for one in error.problems):  # which the slow parser would find, too
            raise
        return None
    return root if root and isinstance(root.value, dict | list) else None


def fully(text: str, file: str) -> Node:
    """The document as ruamel's own parser reads it. Raises :class:`Problems`."""
    from reconciler.config.yaml import full_parser  # noqa: PLC0415  (valid files do not need it)

    return full_parser.read(text, file)


def _decode(data: bytes, file: str) -> str:
    start = Pos(file, 1, 1)
    if len(data) > MAX_BYTES:
        message = f"the file has {len(data):,} bytes; the maximum is {MAX_BYTES:,}"
        hint = "split it: an environment can have any number of files"
        raise Problems([Problem(code=codes.TOO_LARGE, message=message, hint=hint, pos=start)])
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Problems(
            [Problem(code=codes.NOT_UTF8, message="the file is UTF-16", hint="save the file as UTF-8", pos=start)]
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig", "replace")
        message = f"the byte 0x{data[error.start]:02x} is not UTF-8"
        raise Problems(
            [Problem(code=codes.NOT_UTF8, message=message, hint="save the file as UTF-8", pos=place(before, file))]
        ) from None
    if data.translate(None, _ORDINARY) and (found := _CONTROL.search(text)):
        message = f"the control character U+{ord(found[0]):04X} is not allowed in YAML"
        hint = "remove it, or write it as an escape inside double quotes"
        raise Problems(
            [Problem(code=codes.YAML_SYNTAX, message=message, hint=hint, pos=place(text[: found.start()], file))]
        )
    return text
