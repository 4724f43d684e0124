"""A kind with every sort of field, and properties of it that hypothesis makes up."""

from __future__ import annotations

from hypothesis import strategies as st

from reconciler.model import Effect, Field
from tests.support.builders import kind

FIELDS = {
    "state": Field(default="ON"),
    "set": Field(unordered=True),
    "env": Field(key="name"),
    "env[].value": Field(normalize=str),
    "size": Field(effect=Effect.REPLACE),
    "size.unit": Field(normalize=str.lower),
    "filled": Field(computed=True),
    "inner.filled": Field(computed=True),
    "moves": Field(ignore=True),
    "password": Field(secret=True),
    "sub.level": Field(default=3),
    "docs.*": Field(effect=Effect.INFRASTRUCTURE),
    "scaled": Field(effect=lambda live, want: (Effect.SCALING, f"from {live.get('scaled')}")),
}
THING = kind("things", fields=FIELDS)

scalars = st.none() | st.booleans() | st.integers(2, 5) | st.text("ab", max_size=2)
names = st.sampled_from(["state", "set", "env", "name", "value", "x", "size", "unit", "docs"])
trees = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=12
)
props = st.dictionaries(st.sampled_from(["a", "b", "state", "sub", "docs", "rows"]), trees, max_size=4)
