"""What manages a live object, as far as its tags say.

Terraform and most tools tag nothing by themselves: what people configure for them are tags such as ``ManagedBy``.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-resource-tags.html
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Final

from reconciler.model import Kind, Live
from reconciler.model import problem_codes as codes
from reconciler.model.audit import AuditFinding, seen
from reconciler.model.patterns import regex

STACK: Final = "aws:cloudformation:stack-name"
_OF_AWS: Final = "aws:"
_MANAGER: Final = regex(
    r"(managed|created|provisioned|deployed|maintained)[-_. ]?(by|with)|provisioner|iac|owner|contact", re.IGNORECASE
)
_TOOL: Final = regex(r"terraform|tofu|pulumi|\bcdk\b|cloudformation|crossplane|ansible|serverless", re.IGNORECASE)


def owner(live: Live) -> str:
    """``environment prod``, ``CloudFormation stack s``, ``ManagedBy: terraform``; empty where no tag says it."""
    if live.owner:
        return f"environment {live.owner}"
    if live.managed_by:
        return live.managed_by
    if stack := live.tags.get(STACK):
        return f"CloudFormation stack {stack}"
    for key, value in sorted(live.tags.items()):
        if _MANAGER.fullmatch(key.rpartition(":")[2]) or _TOOL.search(f"{key} {value}"):
            return f"{key}: {value}"
    return next((f"tag {key}" for key in sorted(live.tags) if key.startswith(_OF_AWS)), "")


def findings(kind: Kind, live: Live, known: Collection[str]) -> Iterator[AuditFinding]:
    """Findings about the tags of an object; ``known`` are the environments at hand, empty if there are none."""
    if live.deleting or live.managed_by or kind.audit is None:
        return
    call = kind.audit.shown_by
    proof = seen(call, "tags", {name: live.tags[name] for name in sorted(live.tags)})
    if live.owner and known and live.owner not in known:
        yield AuditFinding(
            code=codes.UNKNOWN_OWNER,
            severity="advice",
            message=f"its tags name the environment {live.owner}, which this repository does not have",
            hint="look for it in other repositories; if there is none, declare it again and run `reconcile destroy`",
            evidence=(proof,),
        )
    if not owner(live):
        yield AuditFinding(
            code=codes.NO_OWNER,
            severity="advice",
            message="no tag names what manages it",
            hint="declare it and adopt it with `reconcile apply --adopt`, tag it with its owner, or delete it",
            evidence=(proof,),
        )
    if not any(not key.startswith(_OF_AWS) for key in live.tags):
        yield AuditFinding(
            code=codes.NO_TAGS,
            severity="advice",
            message="has no tags",
            hint="tag it, for example with team and purpose, so that its costs can be assigned",
            evidence=(proof,),
        )
