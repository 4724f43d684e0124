"""What other tools call a kind of resource: facts by which their files name resources of an account."""

from __future__ import annotations

from collections.abc import Mapping

from .records import dataclass
from .values import EMPTY


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherTools:
    """The types of a kind in terraform and CloudFormation.

    terraform       each type of the provider ``aws``, with the attributes that identify one (ARN, id or name), the
                    surest first
    cloudformation  each type, with the property that may give its name
    parts           the types of both that are a part of one here (a rule of a group, a policy in a role), each with the
                    attribute or property that names it

    The types of the provider ``awscc`` follow from those of CloudFormation.
    """

    terraform: Mapping[str, tuple[str, ...]] = EMPTY
    cloudformation: Mapping[str, str] = EMPTY
    parts: Mapping[str, str] = EMPTY


NOT_KNOWN = OtherTools()
