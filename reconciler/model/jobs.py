"""Jobs of declared resources: what submitting one may change, and which queues take it.

What the requests look like is known to the kinds (``Kind.submits``, ``Kind.takes_jobs``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .records import dataclass
from .values import EMPTY, Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """What a submission changes of its definition; None leaves it as it is. ``memory`` is in MiB."""

    command: tuple[str, ...] | None = None
    environment: Mapping[str, str] = EMPTY
    vcpus: str | None = None
    memory: str | None = None
    gpus: str | None = None
    #: The container that they are for, where the definition has several.
    container: str | None = None

    @property
    def given(self) -> bool:
        """Whether anything is changed."""
        return bool(self.environment) or any(
            value is not None for value in (self.command, self.vcpus, self.memory, self.gpus)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """How jobs of one declared definition are submitted."""

    #: What they run on, and whether on several machines at once: a queue must offer it.
    platform: str
    multinode: bool = False
    #: The parameters that its commands need and that have no default.
    needed: frozenset[str] = frozenset()
    #: The members of the request that have these overrides. Raises ValueError with a sentence for what cannot be.
    request: Callable[[Overrides], Json]
    #: The members of the request that have an override as a file has it: those of the request itself, or the content
    #: of the one member that fits the definition. Raises ValueError.
    from_file: Callable[[Json], Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Takes:
    """Which jobs a declared queue takes; None where that does not follow from the declaration."""

    platforms: frozenset[str] | None
    multinode: bool | None
    #: Whether each job needs a share identifier.
    shares: bool | None
    enabled: bool = True

    def fits(self, wanted: Submission) -> bool:
        """Whether it may take jobs of this definition."""
        if wanted.multinode and self.multinode is False:
            return False
        return self.platforms is None or wanted.platform in self.platforms
