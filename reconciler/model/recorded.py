"""How CloudTrail records the calls that change a kind of resource: what `drift --who` looks for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from .records import dataclass
from .resources import Change
from .values import Json


def _any(_event: str, _parameters: Json, _change: Change) -> bool:
    return True


def _none(_attrs: Mapping[str, str]) -> Iterable[str]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recorded:
    """The events of one kind.

    service  the service that they are of, ``batch`` for ``batch.amazonaws.com``
    named    where in ``requestParameters`` the resource is named, by name, ARN or id: paths with dots, ``[]`` for every
             element of a list and ``*`` for any member; ``a/b`` joins two, of which one left out is ``default``
    create   the events that create one
    delete   the events that delete one
    update   the events that may have made a change, the likeliest first; of more than two only two are looked up
    tag      the events that set and that remove a tag
    by       the attribute (``id``, ``arn``, ``name``) by which CloudTrail finds events as ResourceName; empty: by none
    touches  whether a call with these parameters can have made a change: an update that does not name a member did not
    also     what else names one, by its attributes
    at_home  whether they are recorded in the home Region of the partition only, as those of IAM are
    """

    service: str
    named: tuple[str, ...]
    update: Callable[[Change], tuple[str, ...]]
    create: tuple[str, ...] = ()
    delete: tuple[str, ...] = ()
    tag: tuple[str, str] = ("TagResource", "UntagResource")
    by: str = ""
    touches: Callable[[str, Json, Change], bool] = _any
    also: Callable[[Mapping[str, str]], Iterable[str]] = _none
    at_home: bool = False
