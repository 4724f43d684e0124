"""The grammar of ``${...}``."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.config import expressions
from reconciler.model import Address, Reference


def refs(text):
    """(root, address, attribute) of every expression in a text without faults."""
    parts, faults = expressions.parse(text)
    assert faults == ()
    return [(p.root, str(p.address or ""), p.attr) for p in parts if isinstance(p, Reference)]


@pytest.mark.parametrize(
    ("text", "root", "address", "attr"),
    [
        ("${jobQueues.queue-0.arn}", "resource", "jobQueues.queue-0", "arn"),
        ('${logGroups["/aws/x"].arn}', "resource", 'logGroups["/aws/x"]', "arn"),
        ("${logGroups['/aws/x'].arn}", "resource", 'logGroups["/aws/x"]', "arn"),
        ('${roles["a}b"].arn}', "resource", 'roles["a}b"]', "arn"),
        ("${lookups.vpc}", "lookups", "", "vpc"),
        ("${var.team}", "var", "", "team"),
        ("${var.a.b}", "var", "", "a.b"),
        ("${ var.team }", "var", "", "team"),
        ("${env:DCV_PASSWORD}", "env", "", "DCV_PASSWORD"),
        ("${env:TAG:-latest}", "env", "", "TAG:-latest"),
        ("${env:TAG:-}", "env", "", "TAG:-"),
        ("${file:files/user data.sh}", "file", "", "files/user data.sh"),
        ("${account}", "account", "", ""),
        ("${region}", "region", "", ""),
        ("${partition}", "partition", "", ""),
        ("${environment}", "environment", "", ""),
    ],
)
def test_every_form_is_understood(text, root, address, attr):
    assert refs(text) == [(root, address, attr)]


def test_text_around_expressions_is_kept():
    parts, faults = expressions.parse("arn:${partition}:s3:::${var.b}/*")

    assert faults == ()
    assert [str(part) for part in parts] == ["arn:", "${partition}", ":s3:::", "${var.b}", "/*"]


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("$${aws:username}", "${aws:username}"),
        ("a$${b}c", "a${b}c"),
        ("$$${x}", "$${x}"),
        ("$", "$"),
        ("$$", "$$"),
        ("costs $5 {net}", "costs $5 {net}"),
        ("", ""),
    ],
)
def test_two_dollars_are_the_text_itself(text, plain):
    assert expressions.parse(text) == ((plain,), ())


@pytest.mark.parametrize(
    ("text", "way_out"),
    [
        ("${aws:username}", "$${aws:username}"),
        ("${HOME}", "$${HOME}"),
        ("${}", "$${}"),
        ("${var.}", "$${var.}"),
        ("${AWS::Region}", "did you mean ${region}?"),
        ("${regoin}", "did you mean ${region}?"),
        ("${env.X}", "did you mean ${env:X}?"),
        ("${var:x}", "did you mean ${var.x}?"),
        ("${env:1X}", "${env:NAME:-default}"),
        ("${env:X-default}", "did you mean ${env:X:-default}?"),
        ("${env:X:=default}", "did you mean ${env:X:-default}?"),
        ("${env:X, default}", "did you mean ${env:X:-default}?"),
        ("${env:X:-${region}", "in a variable of its own"),
        ("${file:}", "${file:files/user-data.sh}"),
        ("${jobQueues.q}", "${jobQueues.q.arn}"),
        ("${serviceLinkedRoles.batch.amazonaws.com.arn}", "${serviceLinkedRoles['batch.amazonaws.com'].arn}"),
        ("${lookups.a.b}", "${lookups.a}"),
        ("${var.a", "close it"),
        ("${var.a\n}", "close it"),
    ],
)
def test_a_fault_names_the_way_out(text, way_out):
    _, faults = expressions.parse(text)

    assert len(faults) == 1
    assert way_out in faults[0].hint


def test_every_fault_of_a_text_is_found():
    _, faults = expressions.parse("${a} ${var.x} ${b}")

    assert [fault.message for fault in faults] == ["cannot read ${a}", "cannot read ${b}"]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("roles.x", Address("roles", "x")),
        ('logGroups["/aws/x"]', Address("logGroups", "/aws/x")),
        ("roles", None),
        ("roles.x.arn", None),
        ("", None),
        ("7.x", None),
    ],
)
def test_addresses_are_read_as_they_are_printed(text, address):
    assert expressions.address(text) == address


@given(st.text(alphabet='abc./-_[]"$ {}', max_size=12))
def test_an_address_reads_back_as_itself(name):
    address = Address("roles", name)
    if name and '"' not in name:
        assert expressions.address(str(address)) == address


@given(st.text())
def test_escaping_gives_back_any_text(text):
    assert expressions.parse(text.replace("${", "$${")) in [((text,), ()), (("",), ())]


@given(st.text(alphabet='ab.:[]"${} \n'))
def test_anything_is_read_without_a_crash(text):
    parts, _ = expressions.parse(text)

    assert all(isinstance(part, str | Reference) for part in parts)
