"""Launch templates: the default version is compared, a change is a new one, old ones go unless somebody asks for them."""

from __future__ import annotations

import gzip
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from reconciler.applying.executor import Executor
from reconciler.kinds.ec2.launch_template import user_data
from reconciler.kinds.ec2.launch_template.kind import ENVIRONMENTS, KIND
from reconciler.model import (
    Address,
    Base64,
    Call,
    Effect,
    Later,
    Lifecycle,
    On,
    Reference,
    Refused,
    Template,
    Text,
    Unreadable,
    Verb,
)
from tests.support.histories import Door, History, Killed, Ticking
from tests.support.long import across, some
from tests.support.service_kinds import (
    OWNED,
    SOMETHING,
    TAGS,
    changed,
    differs,
    found,
    indexed,
    read,
    want,
    withstands_expressions,
)
from tests.support.tables import DATA, cases, with_long_texts

SCRIPT = '#!/bin/bash\necho "grüße" > /etc/motd\n'
MIME = 'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="//"\n\n--//--\n'


def encoded(text):
    return b64encode(text.encode()).decode()


def described(name, values):
    params = {"Filters": [{"Name": name, "Values": values}]}
    return Call("ec2", "DescribeLaunchTemplates", params, all_pages=True)


def versions_of(template_id):
    return Call("ec2", "DescribeLaunchTemplateVersions", {"LaunchTemplateId": template_id}, all_pages=True)


BY_NAME, BY_OWNER = described("launch-template-name", ["tpl"]), described("tag:reconciler/environment", ["e"])
SHOWN = {"LaunchTemplateId": "lt-1", "LaunchTemplateName": "tpl", "DefaultVersionNumber": 2, "LatestVersionNumber": 2}


def version(number, *, default=False, description="", **data):
    told = {"VersionDescription": description} if description else {}
    return {
        "LaunchTemplateId": "lt-1",
        "LaunchTemplateName": "tpl",
        "VersionNumber": number,
        "DefaultVersion": default,
        "LaunchTemplateData": data,
        **told,
    }


def there(*versions, environments=()):
    """The one template with these versions, read as the environment's own."""
    first = [(BY_NAME, {"LaunchTemplates": [{**SHOWN, "Tags": TAGS}]}), indexed()]
    listed = {"LaunchTemplateVersions": list(versions)}
    users = environments if isinstance(environments, Refused) else {"computeEnvironments": list(environments)}
    (one,) = read(KIND, [first, [(versions_of("lt-1"), listed), (ENVIRONMENTS, users)]], "tpl", owned=True)
    return one


def live(**data):
    return there(version(1, default=True, **data))


def wanted(**data):
    return want(KIND, "tpl", launchTemplateData=data)


def asks(name, number, **template):
    """A compute environment that asks for a version by number."""
    asked = {"launchTemplateName": "tpl", **template, "version": number}
    return {"computeEnvironmentName": name, "computeResources": {"launchTemplate": asked}}


# --- reading ---------------------------------------------------------------------------------------------------------


def test_the_default_version_is_what_is_compared():
    one = there(version(3, ImageId="ami-3"), version(1, ImageId="ami-1"), version(2, default=True, ImageId="ami-2"))

    assert one.physical == "tpl"
    assert one.attrs == {"name": "tpl", "id": "lt-1", "defaultVersion": "2", "latestVersion": "3"}
    assert one.props == {"launchTemplateData": {"imageId": "ami-2"}}
    assert one.tags == OWNED
    assert one.extra["numbers"] == [1, 2, 3]


def test_data_is_read_as_people_write_it():
    when = datetime(2030, 1, 1, tzinfo=UTC)
    one = there(
        version(
            1,
            default=True,
            description="first",
            UserData=encoded(SCRIPT),
            TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "a", "Value": "b"}]}],
            MetadataOptions={"State": "applied", "HttpTokens": "required"},
            InstanceMarketOptions={"SpotOptions": {"ValidUntil": when}},
            InstanceRequirements={"VCpuCount": {"Min": 2}},
        )
    )

    assert one.props == {
        "versionDescription": "first",
        "launchTemplateData": {
            "userData": SCRIPT,
            "tagSpecifications": [{"resourceType": "instance", "tags": {"a": "b"}}],
            "metadataOptions": {"httpTokens": "required"},
            "instanceMarketOptions": {"spotOptions": {"validUntil": "2030-01-01T00:00:00Z"}},
            "instanceRequirements": {"vCpuCount": {"min": 2}},
        },
    }


def test_what_is_not_there_and_what_vanishes():
    assert read(KIND, [[(BY_NAME, {"LaunchTemplates": []})]], "tpl") == []
    gone = Refused("InvalidLaunchTemplateId.NotFound", "")
    first = [(BY_NAME, {"LaunchTemplates": [SHOWN]})]
    assert read(KIND, [first, [(versions_of("lt-1"), gone)]], "tpl") == []
    with pytest.raises(Unreadable):
        read(KIND, [[(BY_NAME, Refused("UnauthorizedOperation", ""))]], "tpl")


def test_who_asks_for_which_version_is_read_for_what_is_owned():
    override = {"launchTemplateId": "lt-1", "version": "4", "targetInstanceTypes": ["c5"]}
    overrides = {"launchTemplateName": "other", "version": "9", "overrides": [override]}
    environments = [
        asks("a", "1"),
        asks("b", "$Latest"),
        {"computeEnvironmentName": "c", "computeResources": {"launchTemplate": overrides}},
        {"computeEnvironmentName": "d"},
    ]
    one = there(version(1, default=True), environments=environments)

    assert one.extra["users"] == [("1", "a"), ("4", "c")]
    assert there(version(1, default=True), environments=Refused("AccessDenied", "")).extra["users"] is None


# --- comparing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shown", "declared"),
    [
        ({"ImageId": "ami-1"}, {"imageId": "ami-1"}),
        ({"UserData": encoded(SCRIPT)}, {"userData": SCRIPT}),
        ({"UserData": encoded(SCRIPT)}, {"userData": encoded(SCRIPT)}),
        ({"UserData": encoded(SCRIPT)}, {"userData": encoded(SCRIPT)[:20] + "\n" + encoded(SCRIPT)[20:] + "\n"}),
        ({"ImageId": "ami-1", "KernelId": "", "EbsOptimized": False}, {"imageId": "ami-1"}),
        ({"ImageId": "ami-1"}, {"imageId": "ami-1", "disableApiTermination": False, "keyName": ""}),
        (
            {"BlockDeviceMappings": [{"DeviceName": "b", "NoDevice": ""}, {"DeviceName": "a"}]},
            {"blockDeviceMappings": [{"deviceName": "a"}, {"deviceName": "b", "noDevice": ""}]},
        ),
        (
            {"TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "b"}, {"Key": "a", "Value": "1"}]}]},
            {"tagSpecifications": [{"resourceType": "instance", "tags": [{"key": "a", "value": "1"}, {"key": "b"}]}]},
        ),
        (
            {
                "NetworkInterfaces": [
                    {"DeviceIndex": 1, "NetworkCardIndex": 1},
                    {"DeviceIndex": 0, "Groups": ["sg-2", "sg-1"]},
                ]
            },
            {
                "networkInterfaces": [
                    {"deviceIndex": 0, "networkCardIndex": 0, "groups": ["sg-1", "sg-2"], "interfaceType": "interface"},
                    {"deviceIndex": 1, "networkCardIndex": 1},
                ]
            },
        ),
        (
            {"IamInstanceProfile": {"Arn": "arn:aws:iam::123456789012:instance-profile/hpc/p"}},
            {"iamInstanceProfile": {"name": "p"}},
        ),
        ({"IamInstanceProfile": {"Name": "p"}}, {"iamInstanceProfile": {"name": "p"}}),
        (
            {"InstanceMarketOptions": {"SpotOptions": {"MaxPrice": "0.050000"}}},
            {"instanceMarketOptions": {"spotOptions": {"maxPrice": "0.05", "spotInstanceType": "one-time"}}},
        ),
        (
            {"InstanceMarketOptions": {"SpotOptions": {"ValidUntil": datetime(2030, 1, 1, 12, tzinfo=UTC)}}},
            {"instanceMarketOptions": {"spotOptions": {"validUntil": "2030-01-01T13:00:00+01:00"}}},
        ),
        (
            {"MetadataOptions": {"State": "pending", "HttpTokens": "required", "HttpEndpoint": "enabled"}},
            {"metadataOptions": {"httpTokens": "required", "state": "applied"}},
        ),
        ({"ImageId": "ami-1", "BrandNew": {"X": 1}}, {"imageId": "ami-1"}),
    ],
)
def test_the_same(shown, declared):
    assert differs(KIND, live(**shown), wanted(**declared)) == {}


@pytest.mark.parametrize(
    ("shown", "declared", "path"),
    [
        ({"ImageId": "ami-1"}, {"imageId": "ami-2"}, "imageId"),
        ({"ImageId": "ami-1", "KeyName": "k"}, {"imageId": "ami-1"}, "keyName"),
        ({"UserData": encoded(SCRIPT)}, {"userData": SCRIPT + "\n"}, "userData"),
        ({"UserData": encoded(SCRIPT)}, {"imageId": "ami-1", "userData": SCRIPT}, "imageId"),
        ({"DisableApiStop": True}, {"disableApiStop": False}, "disableApiStop"),
        (
            {"BlockDeviceMappings": [{"DeviceName": "a", "Ebs": {"VolumeSize": 1}}, {"DeviceName": "b"}]},
            {"blockDeviceMappings": [{"deviceName": "b"}, {"deviceName": "a", "ebs": {"volumeSize": 2}}]},
            "blockDeviceMappings.a.ebs.volumeSize",
        ),
        (
            {"TagSpecifications": [{"ResourceType": "volume", "Tags": [{"Key": "a", "Value": "1"}]}]},
            {"tagSpecifications": [{"resourceType": "volume", "tags": {"a": "2"}}]},
            "tagSpecifications.volume.tags.a",
        ),
        (
            {"NetworkInterfaces": [{"DeviceIndex": 0, "Groups": ["sg-1"]}]},
            {"networkInterfaces": [{"deviceIndex": 0, "groups": ["sg-2"]}]},
            "networkInterfaces.0.groups",
        ),
        (
            {"IamInstanceProfile": {"Name": "q"}},
            {"iamInstanceProfile": {"name": "p"}},
            "iamInstanceProfile.name",
        ),
        ({"MetadataOptions": {"HttpTokens": "required"}}, {"metadataOptions": {}, "imageId": "x"}, "imageId"),
    ],
)
def test_different(shown, declared, path):
    assert f"launchTemplateData.{path}" in differs(KIND, live(**shown), wanted(**declared))


def test_what_describe_shows_can_be_pasted():
    pasted = {"launchTemplateId": "lt-1", "launchTemplateName": "tpl", "versionNumber": 2, "defaultVersion": True}
    declared = want(KIND, "tpl", launchTemplateData={"imageId": "ami-1"}, **pasted, createTime="2020", createdBy="me")

    assert differs(KIND, live(ImageId="ami-1"), declared) == {}


def test_another_description_is_another_version():
    one = there(version(1, default=True, description="one", ImageId="ami-1"))
    other = want(KIND, "tpl", versionDescription="two", launchTemplateData={"imageId": "ami-1"})

    assert differs(KIND, one, other) == {"versionDescription": ("one", "two")}
    assert KIND.fields["versionDescription"].effect is Effect.NEW_REVISION
    made = changed(KIND, one, other)[0]
    assert made.params["VersionDescription"] == "two" and made.params["LaunchTemplateData"] == {"ImageId": "ami-1"}


# --- user data -------------------------------------------------------------------------------------------------------


def test_user_data_is_text_wherever_it_can_be():
    packed = b64encode(gzip.compress(SCRIPT.encode(), mtime=0)).decode()

    assert user_data.decode(SCRIPT) == user_data.decode(encoded(SCRIPT)) == SCRIPT
    assert user_data.decode(packed[:30] + "\n" + packed[30:]) == packed
    assert user_data.decode("abcd") == "abcd"
    assert user_data.decode(SOMETHING) is SOMETHING
    assert user_data.decode("") == ""


def test_user_data_is_encoded_when_it_is_sent_and_only_once():
    packed = b64encode(gzip.compress(b"x")).decode()
    later = Text(("a ", Later(Address("secrets", "s"), "arn")))

    assert user_data.encode(SCRIPT) == Base64(SCRIPT)
    assert user_data.encode(packed + "\n") == packed
    assert user_data.encode(encoded(SCRIPT)) == encoded(SCRIPT)
    assert user_data.encode(later) == Base64(later)


def test_the_size_of_user_data_is_counted_before_it_is_encoded():
    packed = b64encode(gzip.compress(b"x" * 50000)).decode()

    assert user_data.size("ä") == 2
    assert user_data.size(packed) < 200
    assert user_data.is_multipart(MIME) and user_data.is_multipart(packed)
    assert not user_data.is_multipart(SCRIPT) and not user_data.is_multipart("MIME-Version: 1.0\n\nplain")


# --- writing ---------------------------------------------------------------------------------------------------------


def test_create():
    declared = {
        "imageId": "ami-1",
        "userData": SCRIPT,
        "keyName": None,
        "networkInterfaces": [],
        "blockDeviceMappings": [{"deviceName": "a", "noDevice": "", "ebs": {"iops": None}}],
        "tagSpecifications": [{"resourceType": "instance", "tags": {"b": "2", "a": "1"}}],
        "instanceRequirements": {"vCpuCount": {"min": 2}},
    }
    (made,) = KIND.create(want(KIND, "tpl", launchTemplateData=declared))

    assert made == Call(
        "ec2",
        "CreateLaunchTemplate",
        {
            "LaunchTemplateName": "tpl",
            "LaunchTemplateData": {
                "ImageId": "ami-1",
                "UserData": Base64(SCRIPT),
                "BlockDeviceMappings": [{"DeviceName": "a", "NoDevice": ""}],
                "InstanceRequirements": {"VCpuCount": {"Min": 2}},
                "TagSpecifications": [
                    {"ResourceType": "instance", "Tags": [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]}
                ],
            },
            "TagSpecifications": [{"ResourceType": "launch-template", "Tags": TAGS}],
        },
        captures={
            "id": "LaunchTemplate.LaunchTemplateId",
            "latestVersion": "LaunchTemplate.LatestVersionNumber",
            "defaultVersion": "LaunchTemplate.DefaultVersionNumber",
        },
        retry_on=(On("InvalidParameterValue", "Invalid IAM Instance Profile"),),
    )


def test_a_change_is_a_new_version_that_becomes_the_default():
    made, chosen = changed(KIND, live(ImageId="ami-1"), wanted(imageId="ami-2"))

    assert (made.operation, made.params) == (
        "CreateLaunchTemplateVersion",
        {"LaunchTemplateId": "lt-1", "LaunchTemplateData": {"ImageId": "ami-2"}},
    )
    assert made.captures == {"latestVersion": "LaunchTemplateVersion.VersionNumber"}
    number = Later(Address("launchTemplates", "tpl"), "latestVersion")
    assert (chosen.operation, chosen.params) == (
        "ModifyLaunchTemplate",
        {"LaunchTemplateId": "lt-1", "DefaultVersion": number},
    )
    assert chosen.retry_on == (On("InvalidLaunchTemplateId.VersionNotFound"),)


def test_a_newest_version_that_says_the_same_is_used():
    one = there(version(1, default=True, ImageId="ami-1"), version(2, UserData=encoded(SCRIPT), ImageId="ami-2"))
    (chosen,) = changed(KIND, one, wanted(imageId="ami-2", userData=SCRIPT))

    assert chosen.params == {"LaunchTemplateId": "lt-1", "DefaultVersion": "2"}
    assert chosen.captures.keys() == {"latestVersion", "defaultVersion"}
    assert [call.operation for call in changed(KIND, one, wanted(imageId="ami-3"))] == [
        "CreateLaunchTemplateVersion",
        "ModifyLaunchTemplate",
    ]


def deleted(one, keep=2):
    declared = want(KIND, "tpl", launchTemplateData={"imageId": "ami-new"})
    calls = changed(KIND, one, replace(declared, lifecycle=Lifecycle(keep_revisions=keep)))
    return [number for call in calls[2:] for number in call.params["Versions"]]


def test_old_versions_go():
    five = [version(number, default=number == 5) for number in range(1, 6)]

    assert deleted(there(*five)) == ["1", "2", "3", "4"]
    assert deleted(there(*five), keep=3) == ["1", "2", "3"]
    assert deleted(there(*five), keep=1) == ["1", "2", "3", "4"]
    assert deleted(there(*five), keep=9) == []
    (call,) = changed(KIND, there(*five), wanted(imageId="x"))[2:]
    assert call.refuse_if == "UnsuccessfullyDeletedLaunchTemplateVersions"
    assert call.ok_if == (On("launchTemplateVersionDoesNotExist"),)


def test_a_version_somebody_asks_for_stays():
    five = [version(number, default=number == 5) for number in range(1, 6)]

    assert deleted(there(*five, environments=[asks("c", "2")])) == ["1", "3", "4"]
    assert deleted(there(*five, environments=Refused("AccessDenied", ""))) == []
    many = [version(number, default=number == 450) for number in range(1, 451)]
    assert [len(call.params["Versions"]) for call in changed(KIND, there(*many), wanted(imageId="x"))[2:]] == [
        200,
        200,
        49,
    ]


def test_notes():
    three = [version(1, ImageId="a"), version(2, default=True, ImageId="b"), version(3, ImageId="c")]

    def told(one, image):
        return list(KIND.notes(one, wanted(imageId=image)))

    assert told(there(*three), "b") == [
        "version 3 is newer than the default and was not created by reconcile: $Latest resolves to it"
    ]
    assert told(there(*three), "c") == []
    assert told(there(*three, environments=[asks("c", "1"), asks("d", "3"), asks("e", "8")]), "c") == [
        "version 1 is kept: in use by compute environment c"
    ]


def test_delete_and_tag():
    one = live()

    (gone,) = KIND.delete(one, {})
    assert gone.params == {"LaunchTemplateId": "lt-1"}
    assert On("InvalidLaunchTemplateId.NotFound") in gone.ok_if
    untag, tag = KIND.tag(one, {"a": "b"}, ["c"])
    assert untag.params == {"Resources": ["lt-1"], "Tags": [{"Key": "c"}]}
    assert tag.params == {"Resources": ["lt-1"], "Tags": [{"Key": "a", "Value": "b"}]}


def test_what_a_change_does_is_said():
    there_, wanted_ = live(ImageId="ami-1"), wanted(imageId="ami-2")
    found_ = type("Diff", (), {"replaces": False})()

    assert "running" not in KIND.disruption(there_, wanted_, found_)
    assert "next infrastructure update" in KIND.disruption(there_, wanted_, found_)


# --- declarations ----------------------------------------------------------------------------------------------------


WRONG = with_long_texts(cases(DATA / "checking" / "launch_templates.yaml"))["wrong"]


@pytest.mark.parametrize(("data", "path"), [(case["data"], case["at"]) for case in WRONG])
def test_check_finds_what_ec2_would_refuse(data, path):
    listed = [] if path is None else [f"launchTemplateData.{path}"]
    if path is None and "instanceRequirements" in data:
        listed = ["launchTemplateData.instanceRequirements"]

    assert list(found(KIND, "tpl", launchTemplateData=data)) == listed


@pytest.mark.parametrize(
    ("name", "props", "path"),
    [
        ("ab", {"launchTemplateData": {"imageId": "ami-1"}}, ""),
        ("a b c", {"launchTemplateData": {"imageId": "ami-1"}}, ""),
        ("abc", {}, ""),
        ("abc", {"launchTemplateData": {}}, ""),
        ("abc", {"launchTemplateData": {"imageId": "ami-1"}, "versionDescription": "x" * 256}, "versionDescription"),
    ],
)
def test_check_of_the_template_itself(name, props, path):
    assert list(found(KIND, name, **props)) == [path]


def test_check_withstands_expressions():
    withstands_expressions(
        KIND,
        versionDescription="x",
        launchTemplateData={
            "imageId": "ami-1",
            "userData": MIME,
            "iamInstanceProfile": {"name": "p"},
            "blockDeviceMappings": [
                {
                    "deviceName": "a",
                    "ebs": {"volumeType": "io2", "volumeSize": 10, "iops": 100, "encrypted": True, "kmsKeyId": "k"},
                }
            ],
            "networkInterfaces": [{"deviceIndex": 0, "networkCardIndex": 0, "groups": ["sg-1"]}],
            "tagSpecifications": [{"resourceType": "instance", "tags": {"a": "b"}}],
            "metadataOptions": {"httpPutResponseHopLimit": 2},
            "cpuOptions": {"coreCount": 2, "threadsPerCore": 1},
            "instanceRequirements": {"vCpuCount": {"min": 2}, "memoryMiB": {"min": 1}},
            "creditSpecification": {"cpuCredits": "standard"},
        },
    )


# --- in the sandbox --------------------------------------------------------------------------------------------------


@pytest.fixture
def history(sandbox):
    return History(sandbox)


def shown(history, number="$Default"):
    ec2 = history.sandbox.client("ec2")
    found_ = ec2.describe_launch_template_versions(LaunchTemplateName="tpl", Versions=[number])
    return found_["LaunchTemplateVersions"][0]


def numbers(history):
    ec2 = history.sandbox.client("ec2")
    listed = ec2.describe_launch_template_versions(LaunchTemplateName="tpl")["LaunchTemplateVersions"]
    return sorted(one["VersionNumber"] for one in listed)


def stack(history, image, **more):
    data = {"imageId": image, "userData": MIME, **more.pop("data", {})}
    return history.environment({"launchTemplates": {"tpl": {"launchTemplateData": data, **more}}})


def test_a_template_lives_and_dies(history):
    history.converge(stack(history, "ami-1", tags={"a": "b"}))
    assert shown(history)["LaunchTemplateData"] == {"ImageId": "ami-1", "UserData": encoded(MIME)}

    for number in (2, 3, 4):
        history.converge(stack(history, f"ami-{number}", tags={"a": str(number)}))
        assert shown(history)["VersionNumber"] == number
    assert numbers(history) == [3, 4]

    history.converge(stack(history, "ami-4", tags={}))
    assert numbers(history) == [3, 4]
    history.converge(stack(history, "ami-3"))
    assert shown(history)["VersionNumber"] == 5
    history.destroy(stack(history, "ami-3"))
    assert history.sandbox.client("ec2").describe_launch_templates()["LaunchTemplates"] == []


def test_every_member_arrives_and_comes_back(history):
    data = {
        "ebsOptimized": True,
        "blockDeviceMappings": [
            {"deviceName": "/dev/xvda", "ebs": {"volumeSize": 100, "volumeType": "gp3", "iops": 4000}}
        ],
        "networkInterfaces": [{"deviceIndex": 0, "interfaceType": "efa", "groups": ["nodes"]}],
        "metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 2},
        "instanceRequirements": {"vCpuCount": {"min": 2}, "memoryMiB": {"min": 512}, "memoryGiBPerVCpu": {"max": 4.5}},
        "instanceMarketOptions": {"marketType": "spot", "spotOptions": {"validUntil": "2030-01-01T00:00:00Z"}},
        "tagSpecifications": [{"resourceType": "instance", "tags": {"a": "b", "c": ""}}],
        "placement": {"groupName": "mpi"},
        "iamInstanceProfile": {"name": "prof"},
        "keyName": "k",
    }
    rest = {
        "securityGroups": {"nodes": {}},
        "placementGroups": {"mpi": {}},
        "roles": {"r": {"trust": ["ec2.amazonaws.com"]}},
        "instanceProfiles": {"prof": {"role": "r"}},
        "keyPairs": {"k": {"publicKey": KEY}},
    }
    env = history.environment({"launchTemplates": {"tpl": {"launchTemplateData": data}}, **rest})
    history.converge(env)
    sent = shown(history)["LaunchTemplateData"]

    assert sent["NetworkInterfaces"][0]["Groups"][0].startswith("sg-")
    assert sent["Placement"] == {"GroupName": "mpi"}
    history.destroy(env)


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHL5mLT5UQjPPCbyYPbgkkOHyoh7xEsyVMt1S9RPDWXe a"


@pytest.mark.parametrize(("dies_at", "after"), across(range(3), [False, True]))
def test_a_killed_change_is_finished_with_one_version(history, dies_at, after):
    history.converge(stack(history, "ami-1"))
    history.converge(stack(history, "ami-2"))
    with pytest.raises(Killed):
        history.run(stack(history, "ami-3"), Door(history.aws, dies_at=dies_at, after=after))
    history.converge(stack(history, "ami-3"))

    assert shown(history)["VersionNumber"] == 3
    assert numbers(history)[-2:] == [2, 3]


def test_what_others_did_is_drift(history):
    history.converge(stack(history, "ami-1"))
    ec2 = history.sandbox.client("ec2")
    ec2.create_launch_template_version(LaunchTemplateName="tpl", LaunchTemplateData={"ImageId": "ami-9"})
    assert "version 2 is newer" in history.plan(stack(history, "ami-1")).plan.resources[0].notes[0]
    ec2.modify_launch_template(LaunchTemplateName="tpl", DefaultVersion="2")

    (one,) = history.plan(stack(history, "ami-1")).plan.resources
    assert one.verb is Verb.UPDATE and one.diff.tops() == {"launchTemplateData"}
    history.converge(stack(history, "ami-1"))
    assert shown(history)["LaunchTemplateData"]["ImageId"] == "ami-1"


def latest(attr="latestVersion"):
    address = Address("launchTemplates", "tpl")
    return Template((Reference("resource", "${launchTemplates.tpl." + attr + "}", address, attr),))


def with_compute(history, image, **template):
    ec2 = history.sandbox.client("ec2")
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    resources = {
        "type": "EC2",
        "minvCpus": 0,
        "maxvCpus": 4,
        "instanceTypes": ["m5.large"],
        "allocationStrategy": "BEST_FIT_PROGRESSIVE",
        "subnets": [subnet],
        "securityGroupIds": ["nodes"],
        "instanceRole": "prof",
        "placementGroup": "mpi",
        "launchTemplate": {"launchTemplateName": "tpl", **template},
    }
    compute = {"type": "MANAGED", "computeResources": resources}
    return history.environment(
        {
            "launchTemplates": {"tpl": {"launchTemplateData": {"imageId": image}}},
            "computeEnvironments": {"ce": compute},
            "securityGroups": {"nodes": {}},
            "placementGroups": {"mpi": {}},
            "roles": {"r": {"trust": ["ec2.amazonaws.com"]}},
            "instanceProfiles": {"prof": {"role": "r"}},
        }
    )


def template_of(history):
    described_ = history.sandbox.client("batch").describe_compute_environments(computeEnvironments=["ce"])
    return described_["computeEnvironments"][0]["computeResources"]["launchTemplate"]


def test_a_compute_environment_moves_to_the_new_version_in_the_same_run(history):
    history.converge(with_compute(history, "ami-1", version=latest()))
    assert template_of(history)["version"] == "1"

    second = with_compute(history, "ami-2", version=latest())
    plan = {str(one.address): one for one in history.plan(second).plan.resources}["computeEnvironments.ce"]
    ((change),) = plan.changes
    assert (change.path[-1], change.before, change.unknown) == ("version", "1", True)
    assert change.effect is Effect.INFRASTRUCTURE
    history.converge(second)
    assert template_of(history)["version"] == "2"
    history.destroy(second)


def test_a_compute_environment_that_pins_nothing_stays_as_it_is(history):
    history.converge(with_compute(history, "ami-1"))
    second = with_compute(history, "ami-2")

    assert [str(one.address) for one in history.plan(second).plan.resources if one.steps] == ["launchTemplates.tpl"]
    history.converge(second)


def test_a_pinned_version_outlives_those_to_keep(history):
    history.converge(with_compute(history, "ami-1", version="1"))
    for number in (2, 3, 4):
        history.converge(with_compute(history, f"ami-{number}", version="1"))

    assert numbers(history) == [1, 3, 4]
    plan = {str(one.address): one for one in history.plan(with_compute(history, "ami-4", version="1")).plan.resources}
    assert plan["launchTemplates.tpl"].notes == ("version 1 is kept: in use by compute environment ce",)


def test_a_template_that_is_not_declared_must_be_in_the_account(history):
    env = with_compute(history, "ami-1")
    resources = {address: one for address, one in env.resources.items() if address.section != "launchTemplates"}
    without = replace(env, resources=resources)

    problems = history.plan(without).problems
    assert 'there is no launch template "tpl"' in str(problems[0])
    ec2 = history.sandbox.client("ec2")
    ec2.create_launch_template(LaunchTemplateName="tpl", LaunchTemplateData={"ImageId": "ami-1"})
    assert not history.plan(without).problems


def test_a_template_is_taken_over(history):
    ec2 = history.sandbox.client("ec2")
    ec2.create_launch_template(LaunchTemplateName="tpl", LaunchTemplateData={"ImageId": "ami-1"})
    history.converge(stack(history, "ami-1"), adopt=True)

    assert shown(history)["VersionNumber"] == 2


@pytest.mark.parametrize("keep_going", some([False, True], 2))
def test_versions_that_cannot_be_removed_hold_nobody_up(history, keep_going):
    for number in (1, 2):
        history.converge(with_compute(history, f"ami-{number}", version=latest()))
    third = with_compute(history, "ami-3", version=latest())
    history.sandbox.faults.add(operation="DeleteLaunchTemplateVersions", code="UnauthorizedOperation", times=0)

    made = history.plan(third)
    outcome = Executor(
        history.aws, Ticking(history.sandbox), lambda _: None, parallelism=0, keep_going=keep_going, jitter=lambda: 0.0
    ).run(made.plan)

    assert [step for step in outcome.failed if "launchTemplates.tpl" not in step] == []
    assert (len(outcome.failed), outcome.skipped, outcome.never_started) == (1, (), ())
    assert (template_of(history)["version"], numbers(history)) == ("3", [1, 2, 3])
    history.sandbox.faults.clear()
    history.converge(with_compute(history, "ami-4", version=latest()))
    assert numbers(history) == [3, 4]
