"""What one saved plan needs: its steps by their parameters, and the reads to plan it again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

from reconciler.model import EMPTY, OWNER_TAG, Address, Call, Kind, Resource
from reconciler.model import problem_codes as codes
from reconciler.model.masking import single_line
from reconciler.model.problems import Problem, Problems
from reconciler.operations.permissions import actions
from reconciler.operations.permissions.needs import (
    ANY,
    Needs,
    anywhere,
    creation,
    fitting,
    lock,
    more,
    narrowed,
    of_plan,
    others,
    passing,
)
from reconciler.operations.permissions.resources import Estate, texts


def of_saved_plan(estate: Estate, document: Mapping[str, Any]) -> Needs:
    """What planning again reads, and the calls of the plan ``document`` (the contract's section 7). Raises Problems for
    a call that no plan has.
    """
    entries = [entry for entry in document["resource_changes"] if str(entry["type"]) in estate.kinds]
    removed = frozenset(str(entry["type"]) for entry in entries if _removes(estate.kinds[str(entry["type"])], entry))
    needs = of_plan(estate, [str(entry["type"]) for entry in entries], removed)
    changes = [entry for entry in entries if entry.get("steps")]
    if changes:
        lock(needs)
    for entry in changes:
        _check(entry)
        _entry(needs, estate.kinds[str(entry["type"])], entry)
    return needs


def _check(entry: Mapping[str, Any]) -> None:
    """Raises Problems for a call that reconcile does not make: the file is forged."""
    for step in entry["steps"]:
        if "call" in step and not actions.known(_action(str(step["call"]))):
            message = f"the plan has a step that reconcile does not make: {single_line(str(step['call']))}"
            hint = "save one with `reconcile plan --out FILE`"
            raise Problems([Problem(code=codes.PLAN_FILE, message=message, hint=hint)])


def _removes(kind: Kind, entry: Mapping[str, Any]) -> bool:
    """Whether anything is deleted: the resource, the object that it replaces, old revisions."""
    only = {*kind.access.deletes} - {*kind.access.changes}
    return any(_action(str(step["call"])) in only for step in entry.get("steps") or () if "call" in step)


def _entry(needs: Needs, kind: Kind, entry: Mapping[str, Any]) -> None:
    """The calls of one resource of the plan, and what they bring with them."""
    estate, address, access = needs.estate, Address(kind.section, str(entry["name"])), kind.access
    declared = estate.known(address) if address in estate.env.resources else None
    calls = [
        (_action(str(step["call"])), list(texts(step.get("parameters")))) for step in entry["steps"] if "call" in step
    ]
    mentioned = [text for action, here in calls if action not in access.tags for text in here]
    creates = [action for action, _ in calls if action in access.creates and entry["action"] != "update"]
    for action in access.waits if _removes(kind, entry) else ():
        needs.add(action, anywhere(estate, kind, action), f"wait: {address}")
    for action in access.leaving if _removes(kind, entry) else ():
        needs.add(action, anywhere(estate, kind, action), f"read again before a deletion: {address}")
    for action, here in calls:
        arns = _own(estate, kind, entry, here, declared)
        if action in access.creates and (action in creates or action not in access.upserts):
            creation(needs, kind, action, arns, address)
        else:
            _change(needs, kind, action, arns or _own(estate, kind, entry, mentioned, declared), here, address)
        if declared is not None:
            others(needs, kind, action, declared, partial(_mentioned, mentioned=here))
    whole = _own(estate, kind, entry, [text for _, here in calls for text in here], declared)
    for action in (*access.rechecks, *(access.repairs if entry["action"] != "delete" else ())):
        _change(needs, kind, action, whole, mentioned, address, "read again or repair")
    if declared is not None and entry["action"] != "delete":
        more(needs, kind, declared, created=bool(creates))
        planned = [text for text in texts(entry["change"].get("after")) if text.startswith("arn:")]
        for one in estate.passed_roles(declared):
            if _mentioned(one.named, mentioned) or one.path in access.repairs.values():
                roles = _mentioned(one.roles, mentioned) or _mentioned(one.roles, planned) or one.roles
                passing(needs, address, one.service, roles)


def _action(call: str) -> str:
    service, _, operation = call.partition(":")
    return Call(service, operation).action


def _own(
    estate: Estate, kind: Kind, entry: Mapping[str, Any], mentioned: Sequence[str], declared: Resource | None
) -> list[str]:
    """The ARNs of the resource, and of the object that it replaces, that a request with these texts names."""
    forms = [actions.form(one, estate.scope) for one in kind.access.types]
    found = [text for text in mentioned if text.startswith("arn:") and any(form.fullmatch(text) for form in forms)]
    if kind.access.id_form:
        pattern = actions.pattern(kind.access.types[0], estate.scope)
        return found + [pattern.replace("*", text) for text in mentioned if re.fullmatch(kind.access.id_form, text)]
    physical = str(entry.get("physical_name") or entry["name"]).partition(":" if kind.versioned else "\0")[0]
    names = {text for text in mentioned if text == physical or re.match(rf"{re.escape(str(entry['name']))}[-_]", text)}
    if declared is not None:
        names |= {text for text in mentioned if text.startswith(f"{declared.name}-") or text == declared.name}
    props = estate.placed(declared) if declared is not None else entry["change"].get("before") or EMPTY
    return found + [arn for name in sorted(names) for arn in estate.of_name(kind.section, name, props)]


def _change(
    needs: Needs,
    kind: Kind,
    action: str,
    arns: Iterable[str],
    mentioned: Sequence[str],
    address: Address,
    verb: str = "update or delete",
) -> None:
    """A call about an object that exists: on its ARN, or where AWS has still to assign that, by its tag."""
    estate, why = needs.estate, f"{verb}: {address}"
    types = [one for one in kind.access.types if one in actions.types(action)]
    if not types:
        needs.add(action, _of_another(estate, action, mentioned), why)
        return
    key = {name: _mentioned(values, mentioned) or values for name, values in narrowed(estate, kind, action).items()}
    if known := fitting(estate, kind, action, arns):
        needs.under(action, known, why, key)
        return
    for one in types:
        tag = {f"{actions.RESOURCE_TAG}/{OWNER_TAG}": (estate.scope.environment,)}
        known_by_tag = actions.supports(action, one, actions.RESOURCE_TAG)
        needs.under(action, (actions.pattern(one, estate.scope),), why, {**key, **tag} if known_by_tag else key)


def _of_another(estate: Estate, action: str, mentioned: Sequence[str]) -> list[str]:
    """The ARNs of an object of another kind that the request names: the profile that a role is taken out of."""
    kinds = [kind for kind in estate.kinds.values() if {*kind.access.types} & {*actions.types(action)}]
    found = [arn for kind in kinds for text in mentioned for arn in estate.of_name(kind.section, text)]
    return found or [actions.pattern(one, estate.scope) for one in actions.types(action)]


def _mentioned(arns: Iterable[str], mentioned: Sequence[str]) -> list[str]:
    """Those of the ARNs and patterns that the texts name, as they do: by ARN, or by the name at its end."""
    found: dict[str, None] = {}
    for arn in arns:
        cut = max(arn.rfind("/"), arn.rfind(":")) + 1
        for text in mentioned:
            if text.startswith("arn:"):
                found |= {text: None} if fnmatchcase(text, arn) else {}
            elif arn[cut:] != ANY and fnmatchcase(text, arn[cut:]):
                found[arn[:cut] + text] = None
    return list(found)
