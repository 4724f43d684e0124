"""EC2 launch templates and their versions.

A version's number is never given out again. Moto counts what is there, so a deleted version stays in its list here,
and out of sight.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateLaunchTemplateVersion.html
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteLaunchTemplateVersions.html
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import Any

from reconciler.sandbox.services._hooks import Rules, ServiceCall
from reconciler.sandbox.wire import Json, Refusal

RULES = Rules("ec2")

_USER_DATA_MOST = 16384
_DELETED_MOST = 200


def _template(ask: ServiceCall) -> Any:
    template_id, name = ask.params.get("LaunchTemplateId"), ask.params.get("LaunchTemplateName")
    if template_id is not None:
        found = ask.backend.launch_templates.get(template_id)
        if found is None:
            told = f"The specified launch template, with template ID {template_id}, does not exist."
            raise Refusal("InvalidLaunchTemplateId.NotFound", told)
        return found
    found = next((one for one in ask.backend.launch_templates.values() if one.name == name), None)
    if found is None:
        told = f"The specified launch template, with template name {name}, does not exist."
        raise Refusal("InvalidLaunchTemplateName.NotFoundException", told)
    return found


def _deleted(ask: ServiceCall, template_id: str) -> set[int]:
    """The numbers of the versions that are no more."""
    found: set[int] = ask.account.memory["deleted versions"].setdefault((ask.region, template_id), set())
    return found


def _latest(ask: ServiceCall, template: Any) -> int:
    gone = _deleted(ask, template.id)
    return int(max(version.number for version in template.versions if version.number not in gone))


# --- templates -------------------------------------------------------------------------------------------------------


@RULES.before("CreateLaunchTemplate", "CreateLaunchTemplateVersion")
def templates_have_content(ask: ServiceCall) -> None:
    data = ask.params.get("LaunchTemplateData")
    if not data:
        raise Refusal("MissingParameter", "The request must contain the parameter LaunchTemplateData")
    try:
        script = b64decode(data.get("UserData") or "", validate=True)
    except binascii.Error as error:
        raise Refusal("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data.") from error
    if len(script) > _USER_DATA_MOST:
        raise Refusal("InvalidParameterValue", "User data is limited to 16384 bytes")


@RULES.before("DeleteLaunchTemplate", "ModifyLaunchTemplate", "CreateLaunchTemplateVersion")
def templates_exist(ask: ServiceCall) -> None:
    _template(ask)


@RULES.before("DescribeLaunchTemplates")
def templates_exist_by_id(ask: ServiceCall) -> None:
    for one in ask.params.get("LaunchTemplateIds") or []:
        if one not in ask.backend.launch_templates:
            told = f"The specified launch template, with template ID {one}, does not exist."
            raise Refusal("InvalidLaunchTemplateId.NotFound", told)
    names = {one.name for one in ask.backend.launch_templates.values()}
    if any(name not in names for name in ask.params.get("LaunchTemplateNames") or []):
        told = "At least one of the launch templates specified in the request does not exist."
        raise Refusal("InvalidLaunchTemplateName.NotFoundException", told)


@RULES.after("DescribeLaunchTemplates", "ModifyLaunchTemplate")
def templates_show_their_tags_and_latest_version(ask: ServiceCall, result: Json) -> None:
    """Moto shows the tags a template was created with, for ever."""
    one = result.get("LaunchTemplate")
    for shown in result.get("LaunchTemplates") or ([one] if one else []):
        template = ask.backend.launch_templates[shown["LaunchTemplateId"]]
        tags = ask.backend.tags.get(template.id, {})
        shown["Tags"] = [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
        shown["LatestVersionNumber"] = _latest(ask, template)


# --- versions --------------------------------------------------------------------------------------------------------


@RULES.before("CreateLaunchTemplateVersion")
def the_source_version_is_merged(ask: ServiceCall) -> None:
    source = ask.params.get("SourceVersion")
    if source is None:
        return
    shown = ask.account.memory["versions"].get((ask.region, _template(ask).id, str(source)))
    if shown:
        ask.send(LaunchTemplateData={**shown, **ask.params["LaunchTemplateData"]})


@RULES.after("CreateLaunchTemplate", "CreateLaunchTemplateVersion")
def data_is_kept_as_it_was_sent(ask: ServiceCall, result: Json) -> None:
    shown = result.get("LaunchTemplate") or result.get("LaunchTemplateVersion") or {}
    number = shown.get("VersionNumber", shown.get("LatestVersionNumber", 1))
    key = (ask.region, shown["LaunchTemplateId"], str(number))
    ask.account.memory["versions"][key] = ask.params["LaunchTemplateData"]
    if "LaunchTemplateVersion" in result:
        result["LaunchTemplateVersion"]["LaunchTemplateData"] = ask.params["LaunchTemplateData"]


@RULES.before("ModifyLaunchTemplate")
def the_default_version_exists(ask: ServiceCall) -> None:
    template, wanted = _template(ask), str(ask.params.get("DefaultVersion") or "")
    numbers = {version.number for version in template.versions} - _deleted(ask, template.id)
    if wanted and wanted not in map(str, numbers):
        raise _no_such_version(template.id, wanted)


@RULES.before("DescribeLaunchTemplateVersions")
def versions_exist(ask: ServiceCall) -> None:
    versions = [str(one) for one in ask.params.get("Versions") or []]
    if not (ask.params.get("LaunchTemplateId") or ask.params.get("LaunchTemplateName")):
        return
    template = _template(ask)
    gone = set(map(str, _deleted(ask, template.id)))
    missing = next((version for version in versions if version in gone), None)
    if missing:
        raise _no_such_version(template.id, missing)
    if "$Latest" in versions:
        ask.send(Versions=[str(_latest(ask, template)) if one == "$Latest" else one for one in versions])


@RULES.after("DescribeLaunchTemplateVersions")
def versions_are_shown_as_they_were_sent(ask: ServiceCall, result: Json) -> None:
    """Tags of the template stay out of the data, and deleted versions out of the list."""
    kept = ask.account.memory["versions"]
    listed = result.get("LaunchTemplateVersions", [])
    result["LaunchTemplateVersions"] = [
        one for one in listed if one["VersionNumber"] not in _deleted(ask, one["LaunchTemplateId"])
    ]
    for one in result["LaunchTemplateVersions"]:
        data = kept.get((ask.region, one["LaunchTemplateId"], str(one["VersionNumber"])))
        if data is not None:
            one["LaunchTemplateData"] = data


@RULES.before("DeleteLaunchTemplateVersions")
def versions_are_deleted(ask: ServiceCall) -> Json:
    template = _template(ask)
    gone = _deleted(ask, template.id)
    if len(ask.params["Versions"]) > _DELETED_MOST:
        raise Refusal("InvalidParameterValue", "The maximum number of versions to delete in one request is 200")
    done: list[Json] = []
    failed: list[Json] = []
    for asked in ask.params["Versions"]:
        version = next((one for one in template.versions if str(one.number) == str(asked)), None)
        shown: Json = {
            "LaunchTemplateId": template.id,
            "LaunchTemplateName": template.name,
            "VersionNumber": int(asked),
        }
        if version is None or version.number in gone:
            error = {"Code": "launchTemplateVersionDoesNotExist", "Message": "The version does not exist."}
            failed.append({**shown, "ResponseError": error})
        elif template.is_default(version):
            error = {"Code": "unexpectedError", "Message": "The default version cannot be deleted."}
            failed.append({**shown, "ResponseError": error})
        else:
            gone.add(version.number)
            done.append(shown)
    ask.touch()
    return {"SuccessfullyDeletedLaunchTemplateVersions": done, "UnsuccessfullyDeletedLaunchTemplateVersions": failed}


def _no_such_version(template_id: str, version: str) -> Refusal:
    told = f"Could not find the specified version {version} for the launch template with ID {template_id}."
    return Refusal("InvalidLaunchTemplateId.VersionNotFound", told)
