"""Key pairs: the same key however it is written, and what is no key."""

from __future__ import annotations

import pytest

from reconciler.kinds.ec2 import _ssh_key as ssh
from reconciler.kinds.ec2.key_pair import KIND
from reconciler.model import OWNER_TAG, Call, Effect, Live, On, Sought
from tests.support.service_kinds import (
    OWNED,
    TAGS,
    changed,
    differs,
    found,
    indexed,
    read,
    want,
    withstands_expressions,
)

ED = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFJUZHBomZdh8OY8E7+HVaF00kOnmQwvm0lHPXcm5G14"
ED_PRINT = "Kdl5bPJVOIMe4lQMLNtmRIMPvnQEeULSGWPXRPQy8/M="
RSA = (
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQCeXSoMvjUo7+COp5tIdedoEOHMwvFyabnTOhA33dAFWUHzj0Y2T6kmvAxBoh/F"
    "B1ybgNCW/eyC8fcv3vMD51Qx0uhBe6I97fxtrdbh2ubBZV0EdxF1bf+zUFic5t8jq75dUPedcSmGUFGVFv/JFJdMB3VreZYMhkhi"
    "GWaG6wuDKDBNu73vngYS91SyiBn86AdLRr3rf8tYu1glg/T8scxEXx39CJPRXt0zwEMpF4LrMYN8GLwjkdQcwHddX/1VRjDpf6ol"
    "PFQXAq5o3iZyMwtAqZZOVHQ0Q+phn9+gr4Svy8x5L5oWQBZiPb8yrdKsw3yj+5J/qleAAWca6a3IVcsf"
)
RSA_PRINT = "fc:7f:e8:9d:f6:30:1d:16:89:42:4d:18:09:4f:d6:51"


def live(key=ED, shown=""):
    return Live(
        physical="k",
        attrs={"name": "k", "id": "key-1"},
        props={"publicKey": key} if key else {},
        tags=OWNED,
        extra={"fingerprint": shown},
    )


def describe(name, *values):
    params = {"IncludePublicKey": True, "Filters": [{"Name": name, "Values": list(values)}]}
    return Call("ec2", "DescribeKeyPairs", params)


def test_read_asks_for_all_names_at_once_and_for_what_is_owned():
    item = {"KeyPairId": "key-1", "KeyName": "k", "KeyType": "ed25519", "KeyFingerprint": ED_PRINT, "Tags": TAGS}
    shown = {**item, "PublicKey": f"{ED} k\n"}

    got = read(
        KIND,
        [
            [
                (describe("key-name", "a", "k"), {"KeyPairs": [shown]}),
                (
                    describe(f"tag:{OWNER_TAG}", "e"),
                    {"KeyPairs": [shown, {**item, "KeyName": "old", "KeyPairId": "key-2"}]},
                ),
                indexed("arn:aws:ec2:eu-west-1:123456789012:key-pair/key-2"),
            ]
        ],
        Sought("k"),
        Sought("a"),
        owned=True,
    )

    assert [(one.physical, one.attrs["id"], one.props) for one in got] == [
        ("k", "key-1", {"publicKey": ED}),
        ("old", "key-2", {}),
    ]


@pytest.mark.parametrize("declared", [ED, f"{ED} me@here\n", f"  {ED}   a long comment"])
def test_the_comment_does_not_count(declared):
    assert differs(KIND, live(), want(KIND, "k", publicKey=declared)) == {}


@pytest.mark.parametrize(("key", "shown"), [(ED, ED_PRINT), (ED, f"SHA256:{ED_PRINT.rstrip('=')}"), (RSA, RSA_PRINT)])
def test_the_fingerprint_tells_where_ec2_does_not_say_the_key(key, shown):
    assert differs(KIND, live(None, shown), want(KIND, "k", publicKey=key)) == {}
    assert differs(KIND, live(None, "aa:bb"), want(KIND, "k", publicKey=key)).keys() == {"publicKey"}


def test_another_key_is_another_pair():
    wanted = want(KIND, "k", publicKey=RSA)

    assert differs(KIND, live(), wanted) == {"publicKey": (ED, RSA)}
    assert KIND.fields["publicKey"].effect is Effect.REPLACE
    assert changed(KIND, live(), wanted) == []


def test_create_imports_the_key_with_its_tags():
    assert KIND.create(want(KIND, "k", publicKey=f"{ED} me")) == [
        Call(
            "ec2",
            "ImportKeyPair",
            {
                "KeyName": "k",
                "PublicKeyMaterial": f"{ED} me",
                "TagSpecifications": [{"ResourceType": "key-pair", "Tags": TAGS}],
            },
            captures={"id": "KeyPairId"},
        )
    ]


def test_delete_and_tag():
    gone = (On("InvalidKeyPair.NotFound"),)
    fresh = (On("InvalidKeyPair.NotFound"), On("InvalidKeyPairId.NotFound"))

    assert KIND.delete(live(), {}) == [Call("ec2", "DeleteKeyPair", {"KeyName": "k"}, ok_if=gone)]
    assert KIND.tag(live(), {"a": "b"}, ["c"]) == [
        Call("ec2", "DeleteTags", {"Resources": ["key-1"], "Tags": [{"Key": "c"}]}),
        Call("ec2", "CreateTags", {"Resources": ["key-1"], "Tags": [{"Key": "a", "Value": "b"}]}, retry_on=fresh),
    ]


@pytest.mark.parametrize(
    ("key", "says"),
    [
        (None, "has no publicKey"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nabc", "private key"),
        ("-----BEGIN PUBLIC KEY-----\nabc", "one-line form"),
        ("---- BEGIN SSH2 PUBLIC KEY ----", "one-line form"),
        ("ecdsa-sha2-nistp256 AAAA", "ecdsa"),
        ("ssh-rsa AAAA", "not a public key"),
        (ED.replace("ssh-ed25519", "ssh-rsa"), "not a public key"),
        (ED[:-8], "not a public key"),
        ("hello", "not a public key"),
        (["x"], "is text"),
    ],
)
def test_check_finds_what_is_no_key(key, says):
    ((_, message),) = found(KIND, "k", **({} if key is None else {"publicKey": key})).items()

    assert says in message


def test_check_of_the_name():
    assert found(KIND, " k", publicKey=ED).keys() == {""}
    assert found(KIND, "k\u00e9y", publicKey=ED).keys() == {""}


def test_check_withstands_expressions():
    withstands_expressions(KIND, publicKey=ED)
    withstands_expressions(KIND, publicKey=RSA)


def test_the_length_of_an_rsa_key_is_known():
    assert ssh.rsa_bits(RSA) == 2048
    assert ssh.rsa_bits(ED) is None
