"""EC2 key pairs, imported by their public key.

What is peculiar about them:

- A key pair is always imported: if EC2 created it, the private key would be returned once and be lost.
- Only its tags can be changed. A name is unique, so another key means delete, then import.
- Keys are equal when type and body are, whatever the comment. Where EC2 does not return the key, the fingerprint is
  compared.
- EC2 deletes a key pair without checking for dependents; running instances keep the key they were started with.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ImportKeyPair.html
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteKeyPair.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from reconciler.kinds.common.listing import listing
from reconciler.kinds.common.visibility import not_visible
from reconciler.kinds.ec2 import _common as ec2
from reconciler.model import (
    Access,
    Action,
    Call,
    CompleteList,
    Diff,
    Effect,
    Field,
    Finding,
    Json,
    Kind,
    Live,
    On,
    OtherTools,
    Proof,
    Query,
    ReadMany,
    Reads,
    Replace,
    Scope,
    Want,
)
from reconciler.model import problem_codes as codes
from reconciler.model.recorded import Recorded
from reconciler.model.stand_ins import known
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.kinds.common.replies import tag_list, tag_map
    from reconciler.kinds.ec2 import _ssh_key as ssh

FIELDS = {"publicKey": Field(effect=Effect.REPLACE)}

NOT_VISIBLE_YET = tuple(
    On(code, because=not_visible("key pair")) for code in ("InvalidKeyPair.NotFound", "InvalidKeyPairId.NotFound")
)
NOT_FOUND = (On("InvalidKeyPair.NotFound"),)
RSA_BITS = (1024, 2048, 4096)
DESCRIBE = Call("ec2", "DescribeKeyPairs", {"IncludePublicKey": True})


def attrs(_: Scope, name: str, __: Json) -> Mapping[str, str]:
    """The name; the id is assigned by AWS."""
    return {"name": name}


def read(query: Query) -> Reads[Sequence[Live]]:
    """DescribeKeyPairs with public keys, by name and by owner tag; sorted by name."""
    found = yield from ec2.find_by_name_or_owner(DESCRIBE, "key-name", "KeyPairs", ("KeyPairId", "key-pair/"), query)
    return [_live(item) for item in sorted(found, key=lambda item: str(item["KeyName"]))]


def _live(item: Json) -> Live:
    key = item.get("PublicKey")
    return Live(
        physical=item["KeyName"],
        attrs={"name": item["KeyName"], "id": item["KeyPairId"]},
        props={"publicKey": ssh.without_comment(key)} if key else {},
        tags=tag_map(item.get("Tags")),
        extra={"fingerprint": item.get("KeyFingerprint", "")},
    )


def normalize(live: Live, want: Want) -> tuple[Json, Json]:
    """Keys without their comments; compared by fingerprint where EC2 did not return the key."""
    wanted = want.props.get("publicKey")
    if not isinstance(wanted, str):
        return live.props, want.props
    right = {**want.props, "publicKey": ssh.without_comment(wanted)}
    if "publicKey" in live.props:
        return {**live.props, "publicKey": ssh.without_comment(live.props["publicKey"])}, right
    shown = live.extra.get("fingerprint", "")
    same = ssh.same_fingerprint(shown, ssh.fingerprint(wanted))
    return {"publicKey": right["publicKey"] if same else f"(a key with fingerprint {shown})"}, right


def create(want: Want) -> Sequence[Action]:
    """ImportKeyPair, with tags."""
    params = {
        "KeyName": want.physical,
        "PublicKeyMaterial": want.declared["publicKey"],
        "TagSpecifications": [{"ResourceType": "key-pair", "Tags": tag_list(want.tags)}],
    }
    return [Call("ec2", "ImportKeyPair", params, captures={"id": "KeyPairId"}, proof=Proof.EXISTS)]


def update(_: Live, __: Want, ___: Diff) -> Sequence[Action]:
    """No calls: a change of the only property replaces the key pair."""
    return []


def delete(live: Live, _: Json) -> Sequence[Action]:
    """DeleteKeyPair by name."""
    return [Call("ec2", "DeleteKeyPair", {"KeyName": live.physical}, ok_if=NOT_FOUND)]


def tag(live: Live, add: Mapping[str, str], remove: Sequence[str]) -> Sequence[Action]:
    """DeleteTags and CreateTags by id."""
    resources = {"Resources": [live.attrs["id"]]}
    calls: list[Action] = []
    if remove:
        calls.append(Call("ec2", "DeleteTags", {**resources, "Tags": [{"Key": name} for name in sorted(remove)]}))
    if add:
        calls.append(Call("ec2", "CreateTags", {**resources, "Tags": tag_list(add)}, retry_on=NOT_VISIBLE_YET))
    return calls


def check(name: str, props: Json) -> Iterator[Finding]:
    """Findings about the name and the public key; an expression is accepted as a key."""
    if not (name.isascii() and name.isprintable() and 0 < len(name) <= 255 and name == name.strip()):
        yield Finding((), f'"{name}" is not a valid key pair name', "at most 255 ASCII characters")
    key = props.get("publicKey")
    if key is None or key == "":
        hint = "publicKey: ${file:files/key.pub}; key pairs are imported, since AWS shows a private key only once"
        yield Finding((), "the key pair has no publicKey", hint, code=codes.MISSING_FIELD)
    elif isinstance(key, str):
        yield from _check_key(key)
    elif known(key):
        yield Finding(("publicKey",), "a public key is text", "publicKey: ${file:files/key.pub}")


def _check_key(key: str) -> Iterator[Finding]:
    path, kind = ("publicKey",), key.split(maxsplit=1)[0] if key.split() else ""
    if "PRIVATE KEY" in key:
        hint = "give the .pub file instead, and treat this private key as compromised"
        yield Finding(path, "publicKey contains a private key", hint)
    elif kind.startswith("---"):
        hint = "write the one line that `ssh-keygen -i -f FILE` prints (add -m PKCS8 for BEGIN PUBLIC KEY)"
        yield Finding(path, "the key is not in OpenSSH's one-line form", hint)
    elif kind.startswith(("ecdsa-", "ssh-dss", "sk-")):
        yield Finding(path, f"EC2 does not support keys of type {kind}", "generate one with ssh-keygen -t ed25519")
    elif ssh.decode(key) is None:
        hint = "one line: ssh-ed25519 or ssh-rsa, then the key, as in a .pub file"
        yield Finding(path, "publicKey is not a public key", hint)
    elif ssh.rsa_bits(key) not in (None, *RSA_BITS):
        yield Finding(
            path, f"EC2 does not support RSA keys of {ssh.rsa_bits(key)} bits", "1024, 2048 or 4096, or ed25519"
        )


ACCESS = Access(
    types=("ec2:key-pair",),
    reads=("ec2:DescribeKeyPairs",),
    creates=("ec2:ImportKeyPair",),
    deletes=("ec2:DeleteKeyPair",),
    tags=("ec2:CreateTags", "ec2:DeleteTags"),
    arns=lambda scope, name, _: (scope.arn("ec2", f"key-pair/{name}"),),
)


RECORDED = Recorded(
    service="ec2",
    named=("keyName", "keyPairId", ec2.TAGGED),
    create=("ImportKeyPair", "CreateKeyPair"),
    update=lambda _: ("ImportKeyPair", "CreateKeyPair"),
    delete=("DeleteKeyPair",),
    tag=ec2.TAG_EVENTS,
)

OTHER_TOOLS = OtherTools(
    terraform={"aws_key_pair": ("key_name", "id")},
    cloudformation={"AWS::EC2::KeyPair": "KeyName"},
)

KIND = Kind(
    name="key pair",
    section="keyPairs",
    file="instances",
    other_tools=OTHER_TOOLS,
    access=ACCESS,
    complete_lists=(
        CompleteList(
            "DescribeKeyPairs",
            frozenset({"Filters", "IncludePublicKey"}),
            Call("ec2", "DescribeKeyPairs", {}, all_pages=True),
        ),
    ),
    recorded=RECORDED,
    name_member="keyName",
    everything=listing(replace(DESCRIBE, all_pages=True), "KeyPairs", "KeyName", "KeyPairId"),
    read=read,
    read_many=ReadMany(read),
    attrs=attrs,
    create=create,
    update=update,
    delete=delete,
    tag=tag,
    fields=FIELDS,
    assigned_by_aws=frozenset({"id"}),
    replace=Replace.DELETE_FIRST,
    max_name=255,
    normalize=normalize,
    check=check,
)
