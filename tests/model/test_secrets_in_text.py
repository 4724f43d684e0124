"""Secrets inside scripts, commands and URLs, and texts that are secrets themselves."""

import re
from base64 import b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model import secrets_in_text
from reconciler.model.secrets_in_text import (
    decoded,
    is_itself_a_secret,
    secret_arguments,
    secrets_in,
    without_secrets,
)

KEY = "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("export DB_PASSWORD=hunter2", "hunter2"),
        ('API_KEY="with space"; next', "with space"),
        ("MYSQL_PWD='single'", "single"),
        ("password: yaml-one", "yaml-one"),
        ("password = ini-one", "ini-one"),
        ('{"user": "u", "password":"json-one"}', "json-one"),
        ("tool --password one --region x", "one"),
        ("tool --token=two", "two"),
        ("psql postgres://u:three@host/db", "three"),
        ('echo "user:four" | chpasswd', "four"),
        ("echo five | sudo passwd --stdin user", "five"),
        ("echo six | docker login -u u --password-stdin registry", "six"),
        ("id AKIAIOSFODNN7EXAMPLE here", "AKIAIOSFODNN7EXAMPLE"),
        (f"cat > key <<E\n{KEY}\nE", KEY),
        ('{\\"user\\":\\"u\\",\\"password\\":\\"json-two\\"}', "json-two"),
        ("setx DB_PASSWORD seven", "seven"),
        ("aws configure set aws_secret_access_key eight --profile p", "eight"),
        ("AWS_SECRET_ACCESS_KEY=/wJalrXUtnFEMIK7MDENG+bPxRfiCYEXAMPLEKEY", "/wJalrXUtnFEMIK7MDENG+bPxRfiCYEXAMPLEKEY"),
        ("docker build --build-arg x . && tailscale up --authkey=nine", "nine"),
        ("Connect -Password ten", "ten"),
        ("PASSWORD=$'eleven'", "eleven"),
        (': "${DB_PASSWORD:=twelve}"', "twelve"),
        ("PASSWORD=${DB_PASSWORD:-thirteen}", "thirteen"),
        ("<password>fourteen</password>", "fourteen"),
        ("password => 'fifteen'", "fifteen"),
        ("curl -sf -u admin:sixteen https://host", "sixteen"),
        ("curl -s \\\n  --user 'admin:seventeen' https://host", "seventeen"),
        ('curl -H "Authorization: Bearer eighteen" https://host', "eighteen"),
        ("mysql -u root -pnineteen < x", "nineteen"),
        ("sshpass -p 'twenty' ssh host", "twenty"),
        ("docker login -u u -p twenty-one registry", "twenty-one"),
        ("printf '%s' twenty-two | docker login -u u --password-stdin registry", "twenty-two"),
        ("chpasswd <<< root:twenty-three", "twenty-three"),
        ("chpasswd <<EOF\nroot:twenty-four\nEOF", "twenty-four"),
        ("passwd --stdin root <<< twenty-five", "twenty-five"),
        ("CREATE USER u IDENTIFIED BY 'twenty-six';", "twenty-six"),
        ('ConvertTo-SecureString "twenty-seven" -AsPlainText -Force', "twenty-seven"),
        ("net user admin twenty-eight /add", "twenty-eight"),
        ("openssl rsa -passin pass:twenty-nine -in key", "twenty-nine"),
        ("machine host login u password thirty", "thirty"),
        ("requirepass thirty-one", "thirty-one"),
    ],
)
def test_a_secret_is_found_and_nothing_else_is_masked(text, secret):
    assert secrets_in(text) == {secret}
    assert without_secrets(text) == text.replace(secret, "(sensitive)")


@pytest.mark.parametrize(
    "text",
    [
        "TOKEN=$(curl -s -X PUT http://169.254.169.254/latest/api/token)",
        'curl -H "X-aws-ec2-metadata-token: $TOKEN" -H "X-aws-ec2-metadata-token-ttl-seconds: 21600" http://x',
        "aws secretsmanager get-secret-value --secret-id arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbC",
        "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf",
        "PASSWORD=$PASSWORD SECRET_KEY=${KEY} DB_PASSWORD=Ref::password",
        "password = get_secret('x')",
        "the password is changed; pass the file, and the token too",
        "PASSWORD_FILE=/run/secrets/db",
        "password=(sensitive)",
        "please set token to the value; docker login, curl -u $NAME:$PASSWORD, mysql -u root -p",
        "mysql -p$PASSWORD; curl --user $USER_AND_PASSWORD; sshpass -e; net user /delete; PASSWORD=${PASSWORD:-$1}",
        "secret: prod/db",
        "retries of the token = 5; pass=0",
        'curl -H "Authorization: Bearer $TOKEN" https://host',
        "",
    ],
)
def test_what_is_no_secret_stays(text):
    assert not secrets_in(text)
    assert without_secrets(text) == text


def test_the_word_after_an_option_is_a_secret():
    words = ["tool", "--db-password", "one", "--token", "$T", "--user", "u", "--password=x", "y", 3]

    assert list(secret_arguments(words)) == ["one"]


@pytest.mark.parametrize(
    "text", ["hunter2!", "AKIAIOSFODNN7EXAMPLE", "P@ssw0rd123", "wJalrXUtnFEMIK7MDENGbPxRf", "a b"]
)
def test_a_text_that_is_a_secret(text):
    assert is_itself_a_secret(text)


@pytest.mark.parametrize(
    "text",
    ["db", "prod/db-2", "MyApp/DbPassword", "ops@example.com", "arn:aws:ssm:x", "/a b", "db:password::", "${x.y}", ""],
)
def test_a_text_that_names_one(text):
    assert not is_itself_a_secret(text)


def test_base64_is_decoded_where_it_is_text():
    assert decoded(b64encode(b"password: x").decode()) == "password: x"
    assert decoded("#!/bin/sh") == "#!/bin/sh"
    assert decoded("/////w==") == "/////w=="


@pytest.mark.parametrize(
    ("words", "pattern"), secrets_in_text._PLACES, ids=lambda one: one[0] if isinstance(one, list) else ""
)
def test_every_text_that_a_pattern_fits_has_one_of_the_words_by_which_it_is_tried(words, pattern):
    @settings(max_examples=15, deadline=None, database=None)
    @given(st.from_regex(re.compile(pattern.pattern, re.ASCII), alphabet=st.characters(codec="ascii")))
    def holds(text):
        assert any(word in text.lower() for word in words)

    holds()
