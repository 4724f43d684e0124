"""EC2 beside security groups: launch templates, key pairs, instances.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateLaunchTemplateVersion.html
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ImportKeyPair.html
"""

from __future__ import annotations

import re
from typing import Any

from reconciler.sandbox.around._rules import Ask, Rules
from reconciler.sandbox.wire import Json, Refusal

RULES = Rules("ec2")

_DATE = re.compile(r"(?<!\d)(20\d\d)([01]\d)([0-3]\d)(?!\d)")


# --- launch templates ------------------------------------------------------------------------------------------------


def _template(ask: Ask) -> Any:
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


@RULES.before("CreateLaunchTemplate")
def templates_have_content(ask: Ask) -> None:
    if not ask.params.get("LaunchTemplateData"):
        raise Refusal("MissingParameter", "The request must contain the parameter LaunchTemplateData")


@RULES.before("DeleteLaunchTemplate", "ModifyLaunchTemplate", "CreateLaunchTemplateVersion")
def templates_exist(ask: Ask) -> None:
    _template(ask)


@RULES.before("DescribeLaunchTemplates")
def templates_exist_by_id(ask: Ask) -> None:
    for one in ask.params.get("LaunchTemplateIds") or []:
        if one not in ask.backend.launch_templates:
            told = f"The specified launch template, with template ID {one}, does not exist."
            raise Refusal("InvalidLaunchTemplateId.NotFound", told)
    names = {one.name for one in ask.backend.launch_templates.values()}
    if any(name not in names for name in ask.params.get("LaunchTemplateNames") or []):
        told = "At least one of the launch templates specified in the request does not exist."
        raise Refusal("InvalidLaunchTemplateName.NotFoundException", told)


@RULES.before("CreateLaunchTemplateVersion")
def the_source_version_is_merged(ask: Ask) -> None:
    source = ask.params.get("SourceVersion")
    if source is None:
        return
    shown = ask.account.memory["versions"].get((ask.region, _template(ask).id, str(source)))
    if shown:
        ask.send(LaunchTemplateData={**shown, **ask.params["LaunchTemplateData"]})


@RULES.after("CreateLaunchTemplate", "CreateLaunchTemplateVersion")
def data_is_kept_as_it_was_sent(ask: Ask, result: Json) -> None:
    shown = result.get("LaunchTemplate") or result.get("LaunchTemplateVersion") or {}
    number = shown.get("VersionNumber", shown.get("LatestVersionNumber", 1))
    key = (ask.region, shown["LaunchTemplateId"], str(number))
    ask.account.memory["versions"][key] = ask.params["LaunchTemplateData"]
    if "LaunchTemplateVersion" in result:
        result["LaunchTemplateVersion"]["LaunchTemplateData"] = ask.params["LaunchTemplateData"]


@RULES.after("DescribeLaunchTemplateVersions")
def tags_of_the_template_stay_out_of_the_data(ask: Ask, result: Json) -> None:
    kept = ask.account.memory["versions"]
    for one in result.get("LaunchTemplateVersions", ()):
        data = kept.get((ask.region, one["LaunchTemplateId"], str(one["VersionNumber"])))
        if data is not None:
            one["LaunchTemplateData"] = data


@RULES.before("DeleteLaunchTemplateVersions")
def versions_are_deleted(ask: Ask) -> Json:
    template = _template(ask)
    done: list[Json] = []
    failed: list[Json] = []
    for asked in ask.params["Versions"]:
        version = next((one for one in template.versions if str(one.number) == str(asked)), None)
        shown: Json = {
            "LaunchTemplateId": template.id,
            "LaunchTemplateName": template.name,
            "VersionNumber": int(asked),
        }
        if version is None:
            error = {"Code": "launchTemplateVersionDoesNotExist", "Message": "The version does not exist."}
            failed.append({**shown, "ResponseError": error})
        elif template.is_default(version):
            error = {"Code": "unexpectedError", "Message": "The default version cannot be deleted."}
            failed.append({**shown, "ResponseError": error})
        else:
            template.versions.remove(version)
            done.append(shown)
    ask.touch()
    return {"SuccessfullyDeletedLaunchTemplateVersions": done, "UnsuccessfullyDeletedLaunchTemplateVersions": failed}


# --- images, key pairs, instances ------------------------------------------------------------------------------------


@RULES.after("DescribeImages")
def images_have_the_date_in_their_name(_: Ask, result: Json) -> None:
    """Moto makes them all when it starts, so that none would be the newest."""
    for image in result.get("Images", ()):
        date = _DATE.search(image.get("Name", ""))
        if date:
            image["CreationDate"] = f"{date[1]}-{date[2]}-{date[3]}T00:00:00.000Z"


@RULES.before("CreateTags")
def reserved_tags_are_refused(ask: Ask) -> None:
    if any(tag["Key"].lower().startswith("aws:") for tag in ask.params.get("Tags") or []):
        told = "Tag keys starting with 'aws:' are reserved for internal use"
        raise Refusal("InvalidParameterValue", told)


@RULES.before("ImportKeyPair")
def keys_are_keys(ask: Ask) -> None:
    material = ask.params.get("PublicKeyMaterial", b"")
    text = material.decode(errors="replace") if isinstance(material, bytes) else str(material)
    if not re.match(r"(ssh-rsa|ssh-ed25519) [A-Za-z0-9+/]+=*( .*)?\s*$", text.strip()):
        raise Refusal("InvalidKey.Format", "Key is not in valid OpenSSH public key format")


@RULES.before("RunInstances")
def instances_need_a_profile_that_is_there(ask: Ask) -> None:
    asked = ask.params.get("IamInstanceProfile") or {}
    profiles = ask.account.moto.backend("iam", "").instance_profiles.values()
    for member, attribute in (("Name", "name"), ("Arn", "arn")):
        value = asked.get(member)
        if value is not None and value not in {getattr(one, attribute) for one in profiles}:
            told = f"Value ({value}) for parameter iamInstanceProfile.{member.lower()} is invalid."
            kind = "name" if member == "Name" else "ARN"
            raise Refusal("InvalidParameterValue", f"{told} Invalid IAM Instance Profile {kind}")
