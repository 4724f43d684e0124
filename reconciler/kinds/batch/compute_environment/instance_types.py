"""Whether a text can be an EC2 instance type or an instance family.

AWS adds types every few weeks, so these lists are only used to find misspelt ones.
https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from reconciler.kinds.batch import _common as batch
from reconciler.model import Finding, Path
from reconciler.model.patterns import regex

FAMILY_NAMES = """
a1 c3 c4 c5 c5a c5ad c5d c5n c6a c6g c6gd c6gn c6i c6id c6in c7a c7g c7gd c7gn c7i c7i-flex c8a c8g c8gd c8gn c8i
c8i-flex d2 d3 d3en f1 f2 g3 g3s g4ad g4dn g5 g5g g6 g6e g6f gr6 gr6f h1 hpc6a hpc6id hpc7a hpc7g i2 i3 i3en i4g
i4i i7i i7ie i8g i8ge im4gn inf1 inf2 is4gen m3 m4 m5 m5a m5ad m5d m5dn m5n m5zn m6a m6g m6gd m6i m6id m6idn m6in
m7a m7g m7gd m7i m7i-flex m8a m8g m8gd m8i m8i-flex p2 p3 p3dn p4d p4de p5 p5e p5en p6-b200 r3 r4 r5 r5a r5ad r5b
r5d r5dn r5n r6a r6g r6gd r6i r6id r6idn r6in r7a r7g r7gd r7i r7iz r8a r8g r8gb r8gd r8gn r8i r8i-flex trn1
trn1n trn2 u-3tb1 u-6tb1 u7i-6tb u7i-8tb u7i-12tb vt1 x1 x1e x2gd x2idn x2iedn x2iezn x8g z1d
"""
FAMILIES = frozenset(FAMILY_NAMES.split())
_SIZE = regex(r"nano|micro|small|medium|large|\d{0,3}xlarge|metal(-\d+xl)?")
_SIZES = (
    "nano",
    "micro",
    "small",
    "medium",
    "large",
    "xlarge",
    *(f"{n}xlarge" for n in (2, 3, 4, 6, 8, 9, 12, 16, 24)),
)
_RUN_TOGETHER = regex(r"(?P<family>[a-z]+\d[a-z]*?)[-_ ]?(?P<size>nano|micro|small|medium|\d*x?large|metal)")


def findings(value: str, path: Path) -> Iterator[Finding]:
    """Findings about an instance type or family at ``path``, of valid characters."""
    family, dot, size = value.partition(".")
    if batch.is_burstable(value):
        hint = f"use for example {'m6g.medium' if family == 't4g' else 'm6i.large'}"
        yield Finding(path, f'"{value}" is burstable, and AWS Batch has no burstable instance types', hint)
        return
    together = _RUN_TOGETHER.fullmatch(value)
    if not dot and together and value not in FAMILIES:
        hint = f'did you mean "{together["family"]}.{together["size"]}"?'
        yield Finding(path, f'"{value}" is not an instance type: put a dot before the size', hint)
    elif family not in FAMILIES and (near := _near(family)):
        hint = f'did you mean "{near}{dot}{size}"?'
        yield Finding(path, f'unknown instance family "{family}"', hint, warning=True)
    elif dot and not _SIZE.fullmatch(size):
        meant = difflib.get_close_matches(size, _SIZES, n=1, cutoff=0.5)
        hint = f'did you mean "{family}.{meant[0]}"?' if meant else "sizes look like large, xlarge, 2xlarge, metal"
        yield Finding(path, f'unknown instance size "{size}"', hint, warning=True)


def _near(family: str) -> str:
    """A known family of the same letters and digits in another order, or a similar one; empty if there is none."""
    same = sorted(known for known in FAMILIES if sorted(known) == sorted(family))
    close = difflib.get_close_matches(family, sorted(FAMILIES), n=1, cutoff=0.85) if len(family) > 3 else []
    return next(iter([*same, *close]), "")
