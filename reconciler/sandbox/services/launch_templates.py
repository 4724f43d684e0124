"""EC2 launch templates and their versions.

A version number is never used again. Moto counts existing versions, so a deleted version remains in its list and is
hidden here.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateLaunchTemplateVersion.html
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteLaunchTemplateVersions.html
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import Any

from reconciler.model.patterns import regex
from reconciler.sandbox.services._hooks import Rules, ServiceCall
from reconciler.sandbox.wire import Json, Refusal

RULES = Rules("ec2")

_NAME = regex(r"[A-Za-z0-9().\-/_]{3,128}")
_MAX_USER_DATA = 16384
_MAX_DELETED_PER_CALL = 200


def _template(call: ServiceCall) -> Any:
    """The template by id or name; raises :class:`Refusal` if it does not exist."""
    template_id, name = call.params.get("LaunchTemplateId"), call.params.get("LaunchTemplateName")
    if template_id is not None:
        found = call.backend.launch_templates.get(template_id)
        if found is None:
            message = f"The specified launch template, with template ID {template_id}, does not exist."
            raise Refusal("InvalidLaunchTemplateId.NotFound", message)
        return found
    found = next((one for one in call.backend.launch_templates.values() if one.name == name), None)
    if found is None:
        message = f"The specified launch template, with template name {name}, does not exist."
        raise Refusal("InvalidLaunchTemplateName.NotFoundException", message)
    return found


def _deleted(call: ServiceCall, template_id: str) -> set[int]:
    """The numbers of the deleted versions."""
    found: set[int] = call.account.memory["deleted versions"].setdefault((call.region, template_id), set())
    return found


def _latest(call: ServiceCall, template: Any) -> int:
    """The highest number of a version that exists."""
    deleted = _deleted(call, template.id)
    return int(max(version.number for version in template.versions if version.number not in deleted))


# --- templates -------------------------------------------------------------------------------------------------------


@RULES.before("CreateLaunchTemplate")
def names_are_valid(call: ServiceCall) -> None:
    """A name has 3 to 128 letters, digits and ``( ) . / _ -``, as the model says, which EC2 looks at itself.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateLaunchTemplate.html
    """
    if not _NAME.fullmatch(call.params.get("LaunchTemplateName", "")):
        message = "A launch template name must be between 3 and 128 characters, and may contain letters, numbers, and"
        raise Refusal(
            "InvalidLaunchTemplateName.MalformedException", f"{message} the following characters: - ( ) . / _"
        )


@RULES.before("CreateLaunchTemplate", "CreateLaunchTemplateVersion")
def templates_have_content(call: ServiceCall) -> None:
    """A version needs data; user data is base64 of at most 16 KB."""
    data = call.params.get("LaunchTemplateData")
    if not data:
        raise Refusal("MissingParameter", "The request must contain the parameter LaunchTemplateData")
    try:
        script = b64decode(data.get("UserData") or "", validate=True)
    except binascii.Error as error:
        raise Refusal("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data.") from error
    if len(script) > _MAX_USER_DATA:
        raise Refusal("InvalidParameterValue", "User data is limited to 16384 bytes")


@RULES.before("DeleteLaunchTemplate", "ModifyLaunchTemplate", "CreateLaunchTemplateVersion")
def templates_exist(call: ServiceCall) -> None:
    """Calls for a template that does not exist are refused."""
    _template(call)


@RULES.before("DescribeLaunchTemplates")
def templates_exist_by_id(call: ServiceCall) -> None:
    """DescribeLaunchTemplates by id or name is refused if one does not exist."""
    for one in call.params.get("LaunchTemplateIds") or []:
        if one not in call.backend.launch_templates:
            message = f"The specified launch template, with template ID {one}, does not exist."
            raise Refusal("InvalidLaunchTemplateId.NotFound", message)
    names = {one.name for one in call.backend.launch_templates.values()}
    if any(name not in names for name in call.params.get("LaunchTemplateNames") or []):
        message = "At least one of the launch templates specified in the request does not exist."
        raise Refusal("InvalidLaunchTemplateName.NotFoundException", message)


@RULES.after("DescribeLaunchTemplates", "ModifyLaunchTemplate")
def templates_show_their_tags_and_latest_version(call: ServiceCall, result: Json) -> None:
    """Moto always shows the tags that a template was created with."""
    one = result.get("LaunchTemplate")
    for shown in result.get("LaunchTemplates") or ([one] if one else []):
        template = call.backend.launch_templates[shown["LaunchTemplateId"]]
        tags = call.backend.tags.get(template.id, {})
        shown["Tags"] = [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
        shown["LatestVersionNumber"] = _latest(call, template)


# --- versions --------------------------------------------------------------------------------------------------------


@RULES.before("CreateLaunchTemplateVersion")
def the_source_version_is_merged(call: ServiceCall) -> None:
    """With a source version, the new data is merged over its data."""
    source = call.params.get("SourceVersion")
    if source is None:
        return
    shown = call.account.memory["versions"].get((call.region, _template(call).id, str(source)))
    if shown:
        call.rewrite(LaunchTemplateData={**shown, **call.params["LaunchTemplateData"]})


@RULES.after("CreateLaunchTemplate", "CreateLaunchTemplateVersion")
def data_is_kept_as_it_was_sent(call: ServiceCall, result: Json) -> None:
    """EC2 returns the data of a version as it was sent."""
    shown = result.get("LaunchTemplate") or result.get("LaunchTemplateVersion") or {}
    number = shown.get("VersionNumber", shown.get("LatestVersionNumber", 1))
    key = (call.region, shown["LaunchTemplateId"], str(number))
    call.account.memory["versions"][key] = call.params["LaunchTemplateData"]
    if "LaunchTemplateVersion" in result:
        result["LaunchTemplateVersion"]["LaunchTemplateData"] = call.params["LaunchTemplateData"]


@RULES.before("ModifyLaunchTemplate")
def the_default_version_exists(call: ServiceCall) -> None:
    """A version that does not exist cannot become the default."""
    template, wanted = _template(call), str(call.params.get("DefaultVersion") or "")
    numbers = {version.number for version in template.versions} - _deleted(call, template.id)
    if wanted and wanted not in map(str, numbers):
        raise _no_such_version(template.id, wanted)


@RULES.before("DescribeLaunchTemplateVersions")
def versions_exist(call: ServiceCall) -> None:
    """DescribeLaunchTemplateVersions is refused for a deleted version; $Latest is the latest that exists."""
    versions = [str(one) for one in call.params.get("Versions") or []]
    if not (call.params.get("LaunchTemplateId") or call.params.get("LaunchTemplateName")):
        return
    template = _template(call)
    deleted = set(map(str, _deleted(call, template.id)))
    missing = next((version for version in versions if version in deleted), None)
    if missing:
        raise _no_such_version(template.id, missing)
    if "$Latest" in versions:
        call.rewrite(Versions=[str(_latest(call, template)) if one == "$Latest" else one for one in versions])


@RULES.after("DescribeLaunchTemplateVersions")
def versions_are_shown_as_they_were_sent(call: ServiceCall, result: Json) -> None:
    """Without the tags of the template in the data, and without deleted versions."""
    kept = call.account.memory["versions"]
    listed = result.get("LaunchTemplateVersions", [])
    result["LaunchTemplateVersions"] = [
        one for one in listed if one["VersionNumber"] not in _deleted(call, one["LaunchTemplateId"])
    ]
    for one in result["LaunchTemplateVersions"]:
        data = kept.get((call.region, one["LaunchTemplateId"], str(one["VersionNumber"])))
        if data is not None:
            one["LaunchTemplateData"] = data


@RULES.before("DeleteLaunchTemplateVersions")
def versions_are_deleted(call: ServiceCall) -> Json:
    """At most 200 a call; the default version, and versions that do not exist, are reported as failures."""
    template = _template(call)
    deleted = _deleted(call, template.id)
    if len(call.params["Versions"]) > _MAX_DELETED_PER_CALL:
        raise Refusal("InvalidParameterValue", "The maximum number of versions to delete in one request is 200")
    done: list[Json] = []
    failed: list[Json] = []
    for asked in call.params["Versions"]:
        version = next((one for one in template.versions if str(one.number) == str(asked)), None)
        shown: Json = {
            "LaunchTemplateId": template.id,
            "LaunchTemplateName": template.name,
            "VersionNumber": int(asked),
        }
        if version is None or version.number in deleted:
            error = {"Code": "launchTemplateVersionDoesNotExist", "Message": "The version does not exist."}
            failed.append({**shown, "ResponseError": error})
        elif template.is_default(version):
            error = {"Code": "unexpectedError", "Message": "The default version cannot be deleted."}
            failed.append({**shown, "ResponseError": error})
        else:
            deleted.add(version.number)
            done.append(shown)
    call.touch()
    return {"SuccessfullyDeletedLaunchTemplateVersions": done, "UnsuccessfullyDeletedLaunchTemplateVersions": failed}


def _no_such_version(template_id: str, version: str) -> Refusal:
    message = f"Could not find the specified version {version} for the launch template with ID {template_id}."
    return Refusal("InvalidLaunchTemplateId.VersionNotFound", message)
