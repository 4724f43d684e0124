"""How nodes are drawn, by their style: the same colours in every format, dark text on a light ground in all of them.

A style differs from the others in its border, too, and the note of a node says in words what its style shows.
"""

from __future__ import annotations

from typing import Final

from reconciler.model.records import dataclass

TEXT: Final = "#1f2328"
LINE: Final = "#57606a"


@dataclass(frozen=True, slots=True)
class Style:
    """A ground, a border and its width in pixels; ``dashes`` are the lengths of dash and gap, empty for a solid one."""

    ground: str
    border: str
    width: int = 1
    dashes: str = ""


STYLES: Final = {
    "plain": Style("#ffffff", LINE),
    "lookup": Style("#f6f8fa", LINE, 1, "2 3"),
    "outside": Style("#f6f8fa", LINE, 1, "6 3"),
    "create": Style("#dafbe1", "#116329", 2),
    "adopt": Style("#ddf4ff", "#0a4fa0", 2),
    "update": Style("#fff3c9", "#7a4b00", 2),
    "replace": Style("#ffebe9", "#a40e26", 3),
    "delete": Style("#ffebe9", "#a40e26", 2, "6 3"),
    "interrupts": Style("#ffebe9", "#a40e26", 4),
}
