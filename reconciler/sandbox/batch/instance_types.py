"""Which instance types a compute environment may name, and their architecture. Burstable ones (t2 to t4g) are not.

Source: https://docs.aws.amazon.com/batch/latest/APIReference/API_ComputeResource.html
Burstable: https://github.com/opensupplyhub/open-supply-hub/pull/1058
"""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.model.patterns import regex
from reconciler.sandbox.batch.messages import Invalid

GROUPS = {"optimal": "x86_64", "default_x86_64": "x86_64", "default_arm64": "arm64"}

_FAMILY_NAMES = """
a1 c3 c4 c5 c5a c5ad c5d c5n c6a c6g c6gd c6gn c6i c6id c6in c7a c7g c7gd c7gn c7i c7i-flex c8a c8g c8gd c8gn
c8i c8i-flex d2 d3 d3en f1 f2 g3 g3s g4ad g4dn g5 g5g g6 g6e g6f gr6 gr6f h1 hpc6a hpc6id hpc7a hpc7g i2 i3 i3en
i4g i4i i7i i7ie i8g i8ge im4gn inf1 inf2 is4gen m3 m4 m5 m5a m5ad m5d m5dn m5n m5zn m6a m6g m6gd m6i m6id m6idn
m6in m7a m7g m7gd m7i m7i-flex m8a m8g m8gd m8i m8i-flex p2 p3 p3dn p4d p4de p5 p5e p5en p6-b200 r3 r4 r5 r5a
r5ad r5b r5d r5dn r5n r6a r6g r6gd r6i r6id r6idn r6in r7a r7g r7gd r7i r7iz r8a r8g r8gb r8gd r8gn r8i r8i-flex
trn1 trn1n trn2 u-3tb1 u-6tb1 u7i-6tb u7i-8tb u7i-12tb vt1 x1 x1e x2gd x2idn x2iedn x2iezn x8g z1d
"""
FAMILIES = frozenset(_FAMILY_NAMES.split())
_SIZE = regex(r"(nano|micro|small|medium|large|(\d{1,3})?xlarge|metal(-\d+xl)?)")
_ARM = regex(r"(a1|[a-z]+\d+[a-z]*g[a-z]*)")


def architecture(instance_type: str) -> str:
    """`arm64` for Graviton families: a `g` after the generation, as in `m6gd`."""
    if instance_type in GROUPS:
        return GROUPS[instance_type]
    return "arm64" if _ARM.fullmatch(instance_type.partition(".")[0]) else "x86_64"


def check(instance_types: Sequence[str]) -> None:
    """Raise `Invalid` for an unknown instance type, or for two architectures."""
    for one in instance_types:
        family, dot, size = one.partition(".")
        if one in GROUPS or (family in FAMILIES and (not dot or _SIZE.fullmatch(size))):
            continue
        raise Invalid(
            f"Instance type can only be one of [{', '.join((*GROUPS, *sorted(FAMILIES)))}], got {one}.",
        )
    if len({architecture(one) for one in instance_types}) > 1:
        raise Invalid("arm-based instance type cannot be used with other instance types")
