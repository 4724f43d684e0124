"""The variables in a saved plan: the values that are not from files, so that ``apply FILE`` needs no flags.

Of a secret it has a salted hash that is slow to compute, so that the value cannot be guessed: it is given again,
and compared.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from typing import Any, Final

from reconciler.config.given import PREFIX, Given
from reconciler.model import Environment
from reconciler.model import problem_codes as codes
from reconciler.model.exit_codes import ERROR, STALE
from reconciler.model.problems import Problem, Problems
from reconciler.model.records import dataclass
from reconciler.render.mask import Mask

_SALT: Final = 16  # bytes


@dataclass(frozen=True, slots=True)
class SavedVariable:
    """The value of a variable, or the salt and the hash that a secret one is compared with."""

    value: Any = None
    hashed: tuple[bytes, bytes] | None = None

    def as_json(self) -> dict[str, Any]:
        """As the file has it."""
        return {"value": self.value} if self.hashed is None else {"scrypt": [part.hex() for part in self.hashed]}

    @classmethod
    def parsed(cls, entry: Mapping[str, Any]) -> SavedVariable:
        """From the file. Raises ValueError, TypeError or KeyError for anything else."""
        if "scrypt" not in entry:
            return cls(entry["value"])
        salt, hashed = map(bytes.fromhex, entry["scrypt"])
        return cls(hashed=(salt, hashed))


def to_save(env: Environment, mask: Mask) -> dict[str, SavedVariable]:
    """What a plan file keeps of the values of variables that are not from files."""
    kept: dict[str, SavedVariable] = {}
    for name, value in env.given.items():
        secret = name in env.private or mask.value(value) != value
        salt = os.urandom(_SALT)
        kept[name] = SavedVariable(hashed=(salt, _hash(value, salt))) if secret else SavedVariable(value)
    return kept


def with_saved(saved: Mapping[str, SavedVariable], given: Mapping[str, Given]) -> dict[str, Given]:
    """The values with which a saved plan is planned again: those that it has, and the secret ones of ``given``.

    Other ``RECONCILE_VAR_`` variables have no effect. Raises Problems where a secret is missing or differs, or the
    command line gives another value.
    """
    found: dict[str, Given] = {}
    missing: list[Problem] = []
    other = [name for name, one in given.items() if one.option and name not in saved]
    for name, kept in saved.items():
        now = given.get(name)
        if kept.hashed is None:
            found[name] = Given(kept.value, "the saved plan")
            if now is not None and now.option and now.value != kept.value:
                other.append(name)
        elif now is None:
            message = f'the plan was created with a secret value of the variable "{name}", which is not saved'
            hint = f"give it again: {PREFIX}{name}, --var-file or --var"
            missing.append(Problem(code=codes.USAGE, message=message, hint=hint))
        else:
            found[name] = now
            salt, hashed = kept.hashed
            if not hmac.compare_digest(_hash(now.value, salt), hashed):
                other.append(name)
    if missing or other:
        raise Problems([*missing, *map(_other_value, other)], exit_code=ERROR if missing else STALE)
    return found


def _other_value(name: str) -> Problem:
    message = f'the plan was created with another value of the variable "{name}"'
    return Problem(code=codes.STALE_PLAN, message=message, hint="create a new one with `reconcile plan --out FILE`")


def _hash(value: Any, salt: bytes) -> bytes:
    return hashlib.scrypt(json.dumps(value, sort_keys=True).encode(), salt=salt, n=1 << 14, r=8, p=1)
