"""Reading again what is about to be deleted, where its tags need a call of their own.

The tags show whether it still exists, whose it is, and whether it is to be kept. Its settings end with it, whatever
they have become: they are not read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from reconciler.kinds.common.replies import ok
from reconciler.model import Call, Json, Live, Reads


def tags_again(
    lives: Sequence[Live], ask: Callable[[Live], Call], tags_in: Callable[[Json], Mapping[str, str]], *absent: str
) -> Reads[list[Live]]:
    """``lives`` with the tags that they have now; without those for which AWS refuses with a code of ``absent``."""
    calls = tuple(map(ask, lives))
    answers = [ok(call, reply, *absent) for call, reply in zip(calls, (yield calls), strict=True)]
    return [
        replace(live, tags=tags_in(answer)) for live, answer in zip(lives, answers, strict=True) if answer is not None
    ]
