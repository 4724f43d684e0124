"""What refusals just after a creation mean, in plain words.

https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_general.html#troubleshoot_general_eventual-consistency
https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html
"""

from __future__ import annotations

STILL_IN_USE = "AWS still sees something that uses this (normal after deleting it)"


def not_visible(what: str) -> str:
    """That AWS does not see something new everywhere yet; ``what`` is ``role``, ``role's permissions``."""
    return f"AWS does not see the new {what} yet (normal after creating it)"
