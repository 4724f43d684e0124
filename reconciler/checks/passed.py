"""Resources that passed their own checks before, which need not be made again.

What a resource's own checks find depends on what it declares, its names, which tags are its own, and this program
alone, so a resource in which an earlier run of the same program found nothing at all has nothing now. What depends on
other resources, and whatever was found, is checked each time.
"""

from __future__ import annotations

from collections.abc import Mapping
from marshal import dumps
from typing import Any, Final

from reconciler.config.loader import DeclaredResource
from reconciler.model import Address, Kind
from reconciler.model.identity import once_for_each_object
from reconciler.model.when_used import when_used

with when_used():
    from hashlib import blake2b

SIZE: Final = 16  # bytes of a digest


class Passed:
    """``earlier`` are the digests of an earlier run; :meth:`digests` has those of this one."""

    def __init__(self, earlier: frozenset[bytes] = frozenset()) -> None:
        self.earlier = earlier
        self.known: set[Address] = set()
        self._seen: dict[Address, bytes] = {}

    def before(
        self, address: Address, raw: DeclaredResource, kind: Kind, physical: str, common: Mapping[str, Any]
    ) -> bool:
        """Whether the resource has passed. Nothing is kept of one that may hold a secret, or that names members of
        which another program (botocore) knows whether they exist, nor where a check looks at more than the resource.
        """
        if raw.env or "lifecycle" in raw.value or kind.check_looks_around or _holds_secrets(kind):
            return False
        tags = raw.value.get("tags")
        own = [name for name in tags if tags[name] != common.get(name)] if isinstance(tags, Mapping) else []
        digest = blake2b(_written((address.section, address.name, physical, own), raw), digest_size=SIZE).digest()
        self._seen[address] = digest
        if digest in self.earlier:
            self.known.add(address)
        return digest in self.earlier

    def not_now(self, address: Address) -> None:
        """There is something in the resource that the next run must find, too."""
        self._seen.pop(address, None)

    def digests(self) -> frozenset[bytes]:
        """What the next run need not check."""
        return frozenset(self._seen.values())


def _written(names: Any, raw: DeclaredResource) -> bytes:
    """A text that differs for whatever a check could distinguish: 1 and "1", the order of members, parts of a text."""
    if parts := raw.parts():
        plain, texts = parts
        try:  # a third of the time of the other
            return dumps((*names, plain, [(path, repr(text)) for path, text in texts.items()]), 2)
        except ValueError:  # something that is not plain, such as a name that is an expression
            pass
    return repr((*names, raw.value)).encode("utf-8", "surrogatepass")


@once_for_each_object
def _holds_secrets(kind: Kind) -> bool:
    return any(field.secret for field in kind.fields.values())
