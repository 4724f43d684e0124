"""Input that means harm: files, names, replies and plans made to crash, to lead out, to forge, or to take over who reads.

Whatever comes, it ends with a problem that says what is wrong, within bounds, and nothing of it reaches the terminal, a
pull request or a page as anything but text.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import boto3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from reconciler.account import client
from reconciler.cli import main as cli
from reconciler.config import files
from reconciler.model import Options, Plan
from reconciler.model.problems import Problem, Problems
from reconciler.operations import saved_plan, shown_plan
from reconciler.planning import planner
from reconciler.render import html, markdown, text
from reconciler.render import json as as_json
from reconciler.render.mask import Mask
from tests.render.test_render import KINDS
from tests.support.builders import OWNED, SCOPE, env, live, observed, resource
from tests.support.long import LONG
from tests.support.shown import as_html, as_markdown, as_text

# C0 and C1, bidirectional controls, what has no width, line ends of other kinds, halves of pairs
RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
ESCAPES = (
    "\x1b[31mred\x1b]8;;http://evil.example\x07link\x1b]8;;\x07\x9b2J\u202eDLOG\u2066\u200b\x08\x7f\r\x1b]0;title\x07"
)
FORGED = f"{ESCAPES}\nPlan: 0 to create.\n::error::forged\nDone."
IN_XML = re.sub("[\x00-\x08\x0b-\x1f]", "", FORGED)  # what a service that answers in XML can say of it

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """One command in ``tmp_path``: exit code, stdout and stderr, in which nothing is raw."""
    monkeypatch.chdir(tmp_path)

    def once(*argv: str) -> tuple[int, str, str]:
        codes: list[int] = []
        cli.main(list(argv), leave=codes.append)
        out, err = capsys.readouterr()
        for said in (out, err):
            assert not RAW.search(said)
            assert not re.search(r"^(::|Plan: 0 to create\.|Done\.)", said, re.MULTILINE), "a line was forged"
            assert "a bug in reconcile" not in said, said
        return codes[0], out, err

    return once


def write(folder: Path, content: str | bytes, name: str = "environment.yaml") -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content)


# --- files that are too much ------------------------------------------------------------------------------------------

HEAD = "environment: x\n"
DEEP = 50_000 if LONG else 4_000
LISTS, MAPPINGS = "[" * DEEP + "]" * DEEP, '{"a":' * DEEP + "1" + "}" * DEEP
SECONDS = 60 if LONG else 4
MANY = 3_900_000 if LONG else 60_000
SEVERAL = 60_000 if LONG else 2_000
FIFTY_MEGABYTES = "# and so on "  # written a megabyte at a time: no process of tests need hold it
TOO_MUCH: dict[str, str | bytes] = {
    "a billion laughs": "variables:\n  a0: &a0 x\n"
    + "".join(f"  a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)),
    "a billion laughs in variables": "variables:\n"
    + "".join(f'  a{n}: "${{var.a{n + 1}}}${{var.a{n + 1}}}"\n' for n in range(40))
    + f'  a40: {"x" * 20}\nroles: {{r: {{description: "${{var.a0}}"}}}}',
    "deep in brackets": f"variables: {LISTS}",
    "deep in lines": "variables:\n" + "".join(f"{' ' * n}a:\n" for n in range(1, 1500)),
    "deep documents": f"policies: {{p: {{policyDocument: '{LISTS}'}}, q: {{policyDocument: '{MAPPINGS}'}}}}\n"
    f"roles: {{r: {{assumeRolePolicyDocument: '{MAPPINGS}', inlinePolicies: {{a: '{LISTS}'}}}}}}\n"
    f"repositories: {{rr: {{lifecyclePolicy: '{MAPPINGS}', repositoryPolicy: '{LISTS}'}}}}",
    "deep patterns": f"eventRules: {{r: {{eventPattern: '{MAPPINGS}', targets: [{{id: a, arn: b, input: '{LISTS}'}}]}}}}\n"
    f"topics: {{t: {{policy: '{MAPPINGS}', subscriptions: [{{protocol: sqs, endpoint: e, "
    f"attributes: {{FilterPolicy: '{LISTS}'}}}}]}}}}",
    "a deep secret": f"secrets: {{s: {{value: '{MAPPINGS}'}}}}\njobQueues: {{q: {{priority: a}}}}",
    "fifty megabytes": FIFTY_MEGABYTES,
    "a long text": f"roles: {{r: {{description: '{'x' * MANY}'}}}}",
    "a long name": f"roles: {{{'r' * MANY}: {{trust: [a]}}}}",
    "a long key": f"{'x' * MANY}: 1",
    "many quotes": f"roles: {{r: {{description: '{chr(39) * 2 * (MANY // 2)}'}}}}",
    "many beginnings of expressions": f"roles: {{r: {{description: '{'${a' * (MANY // 3)}'}}}}",
    "many beginnings of others'": f"roles: {{r: {{description: '{'{{var.$(var.' * (MANY // 12)}'}}}}",
    "many slashes": f"jobDefinitions: {{j: {{type: container, containerProperties: {{image: '{'a/' * (MANY // 2)}'}}}}}}",
    "a number without end": f"jobQueues: {{q: {{priority: {'9' * 100_000}}}}}",
    "numbers in documents": f"policies: {{p: {{policyDocument: '{{\"Version\": {'9' * 100_000}}}'}}, "
    'q: {policyDocument: \'{"Version": NaN, "Statement": -Infinity}\'}}',
    "a key many times": f"policies: {{p: {{policyDocument: '{{{','.join(f'{chr(34)}k{n}{chr(34)}:1' for n in range(SEVERAL))},"
    '"k1":1}\'}}',
    "many unknown sections": "".join(f"r{n}: {{a: 1}}\n" for n in range(SEVERAL // 6)),
    "many tags": "jobQueues:\n q:\n  priority: 1\n  tags:\n" + "".join(f"   t{n}: a\n" for n in range(SEVERAL)),
}


# Forks a process for every directory it is told, with a gigabyte and so many seconds of work: whatever takes more is ended by
# the system. What each of them imports is imported once, as something ordinary is validated first.
BOUNDED = """
import contextlib, gc, io, os, resource, sys
import jsonschema, ruamel.yaml
from reconciler import __main__
from reconciler.cli import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(sys.stdout):
    main.main(["validate", sys.argv[1]], leave=lambda code: None)
gc.freeze()
for folder in sys.stdin:
    child = os.fork()
    if not child:
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
        resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[2]), int(sys.argv[2])))
        os.chdir(folder.rstrip("\\n"))
        said = os.open("said", os.O_CREAT | os.O_WRONLY)
        os.dup2(said, 1), os.dup2(said, 2)
        sys.argv = ["reconcile", "validate"]
        __main__.main()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def bounded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Path], tuple[int, str]]]:
    """Validates a directory within bounds: how it ended, and what it said."""
    ordinary = tmp_path_factory.mktemp("ordinary")
    write(ordinary, HEAD + "jobQueues: {q: {priority: many}}\npolicies: {p: {policyDocument: '{}'}}\n")
    command, pipe = [sys.executable, "-c", BOUNDED, str(ordinary), str(SECONDS)], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as forking:

        def validate(folder: Path) -> tuple[int, str]:
            assert forking.stdin is not None and forking.stdout is not None
            forking.stdin.write(f"{folder}\n")
            forking.stdin.flush()
            code = int(forking.stdout.readline())
            return code, (folder / "said").read_text("utf-8")

        yield validate


@pytest.mark.parametrize("content", TOO_MUCH.values(), ids=TOO_MUCH)
def test_too_much_is_refused_within_bounds(tmp_path: Path, content: str, bounded: Any) -> None:
    write(tmp_path, HEAD + content)
    if content is FIFTY_MEGABYTES:
        with (tmp_path / "environment.yaml").open("a") as file:
            for _ in range(50):
                file.write("x" * 1_000_000)

    code, said = bounded(tmp_path)

    assert code == 1, said[:500]
    assert "environment.yaml:" in said
    assert "a bug in reconcile" not in said
    assert len(max(said.splitlines(), key=len)) < 1000 or "name" in said


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(
    "content",
    [HEAD.encode("utf-16"), HEAD.encode("utf-16-le"), HEAD.encode("utf-32"), b"environment: x\ntags: {a: \xe9}",
     b"environment: x\ntags: {a: \x00}", b"environment: x\ntags: {a: \x1b[31m}", b"\xff", b"\xef\xbb\xbf\xef\xbb\xbfa: 1",
     b"environment: x\ntags: {a: '\xed\xa0\x80'}", b'environment: x\ntags: {a: "\\ud800"}'],
)  # fmt: skip
def test_what_is_no_text_is_refused(run: Run, tmp_path: Path, content: bytes, form: str) -> None:
    write(tmp_path, content)

    code, out, err = run("validate", "--format", form)

    assert code == 1
    assert "environment.yaml" in out + err


# --- files that lead elsewhere ----------------------------------------------------------------------------------------

OUTSIDE = "the-content-of-a-file-outside"


def led_out(folder: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """Ways to get at ``secret.yaml`` beside the environment, or at what never ends."""
    asking = HEAD + "secrets: {{s: {{value: '${{file:{}}}'}}}}"

    def asks(path: str) -> Callable[[], None]:
        return lambda: write(folder, asking.format(path))

    def linked(link: str, target: str, content: str = HEAD) -> Callable[[], None]:
        def made() -> None:
            if link != "environment.yaml":
                write(folder, content)
            (folder / link).parent.mkdir(parents=True, exist_ok=True)
            (folder / link).symlink_to(target)

        return made

    def piped(name: str, content: str = HEAD) -> Callable[[], None]:
        def made() -> None:
            write(folder, content)
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            os.mkfifo(folder / name)

        return made

    yield from ((path, asks(path)) for path in ("../secret.yaml", "files/../../secret.yaml", "/proc/self/environ"))
    yield "an absolute path", asks(str(folder.parent / "secret.yaml"))
    yield "a name too long", asks("a" * 5000)
    yield "a link to a file", linked("files/l", "../../secret.yaml", asking.format("files/l"))
    yield "a link to a directory", linked("files", "..", asking.format("files/secret.yaml"))
    yield "a link to no end", linked("files/zero", "/dev/zero", asking.format("files/zero"))
    yield "links in a circle", linked("files/l", "l", asking.format("files/l"))
    yield "a pipe", piped("files/p", asking.format("files/p"))
    yield "YAML that is a link", linked("more.yaml", "../secret.yaml")
    yield "a directory that is a link", linked("more", "..")
    yield "YAML that is a link to no end", linked("more.yaml", "/dev/zero")
    yield "YAML that is a link to itself", linked("more.yaml", "more.yaml")
    yield "YAML that is a pipe", piped("more.yaml")
    yield "settings that are a link", linked("environment.yaml", "../secret.yaml")
    yield "settings that are a link to no end", linked("environment.yaml", "/dev/zero")
    yield "no end to extend", lambda: write(folder, HEAD + "extends: /dev/zero")
    yield "a base that is not YAML", lambda: write(folder, HEAD + "extends: ../secret.yaml")


WAYS_OUT = [name for name, _ in led_out(Path("/nowhere/x"))]


@pytest.mark.parametrize("way", WAYS_OUT)
def test_nothing_leads_out_of_the_environment(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    folder = tmp_path / "x"
    folder.mkdir()
    (tmp_path / "secret.yaml").write_text(OUTSIDE, encoding="ascii")
    dict(led_out(folder))[way]()
    monkeypatch.chdir(folder)

    for argv in (("validate",), ("validate", "--format", "json"), ("render",)):
        code, out, err = run(*argv)

        assert code == 1, out
        assert OUTSIDE not in out + err


def test_directories_without_end_are_told(run: Run, tmp_path: Path) -> None:
    write(tmp_path, HEAD)
    (tmp_path / "/".join("d" * 300)).mkdir(parents=True)

    code, out, _ = run("validate")

    assert code == 1
    assert "nested more than" in out


def test_more_files_than_an_environment_has_are_told(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``extends: /``, or a disk that was unpacked into the directory; here with limits that are soon reached."""
    write(tmp_path, HEAD)
    for number in range(30):
        write(tmp_path, f"# {'x' * 1000}\nroles: {'' if number % 2 else '&a '}{{}}", f"d{number}/a.yaml")

    for limit in ("_MOST_ENTRIES", "_MOST_BYTES", "_MOST_VALUES"):
        with monkeypatch.context() as patch:
            patch.setattr(files, limit, 20)
            code, out, _ = run("validate")
        assert code == 1
        assert "the rest is not read" in out
        assert out.count("error[") == 1
    assert run("validate")[0] == 0
    for number in range(30):
        write(tmp_path, f"# {'x' * 1000}\nroles: [", f"d{number}/a.yaml")
    monkeypatch.setattr(files, "_MOST_VALUES", 5000)  # a file that cannot be read counts as what it may have
    assert run("validate")[1].count("error[") == 11


@pytest.mark.parametrize(
    "path", ['"\\0"', "l", "x" * 300, "x/" * 5000, '"\\e[31m\\n::error::forged"', "[[a]]", "5", "."]
)
def test_what_cannot_be_extended(run: Run, tmp_path: Path, path: str) -> None:
    write(tmp_path, f"{HEAD}extends: {path}")
    (tmp_path / "l").symlink_to("l")

    code, out, _ = run("validate")

    assert code == 1
    assert "environment.yaml:2:" in out


# --- what a terminal would obey ----------------------------------------------------------------------------------------


def test_names_and_values_of_files(run: Run, tmp_path: Path) -> None:
    quoted = json.dumps(FORGED)
    write(
        tmp_path,
        f"{HEAD}variables: {{v: {quoted}}}\n{quoted}: {{a: 1}}\njobQueues: {{{quoted}: {{priority: {quoted}}}}}\n",
    )
    write(tmp_path, "a: [", f"{ESCAPES}.yaml")
    write(tmp_path, "a: [", "x\nDone.\n.yaml")

    for argv in (("validate",), ("validate", "--format", "json"), ("render",), ("plan", "--format", "json")):
        assert run(*argv)[0] == 1
    (tmp_path / f"{ESCAPES}.yaml").unlink()
    (tmp_path / "x\nDone.\n.yaml").write_text(
        f"jobQueues: {{q: {{priority: 1, tags: {{{quoted}: {quoted}}}}}}}", "utf-8"
    )
    write(tmp_path, f"{HEAD}variables: {{v: {quoted}}}\n")

    assert run("render")[0] == 0
    for argv in (("validate",), ("validate", "--format", "json")):
        assert run(*argv)[0] == 1


@pytest.mark.parametrize(
    "argv",
    [
        (f"plan{ESCAPES}",),
        ("plan", FORGED),
        ("plan", f"--{ESCAPES}"),
        ("plan", "--format", ESCAPES),
        ("apply", "--parallelism", ESCAPES),
        ("plan", "--target", ESCAPES),
        ("schema", FORGED),
        ("init", "--template", FORGED, "d"),
        ("plan", "\udcff\udcfe"),
        ("apply", "\udcff.plan"),
        ("plan", "\x00"),
        ("validate", "x" * 5000),
        ("plan", "a/" * 5000),
        ("apply", f"{'x' * 300}.plan", "--format", "json"),
        ("init", "x" * 300),
        ("sandbox", "start", "--port", "65536"),
        ("sandbox", "start", "--port", ESCAPES),
    ],
)
def test_words_of_the_command_line(run: Run, argv: tuple[str, ...]) -> None:
    assert run(*argv)[0] == 1


@pytest.mark.parametrize("name", [ESCAPES, FORGED, "a; echo b", "\udcff"])
def test_names_in_commands_that_can_be_copied(run: Run, account: Any, name: str) -> None:
    name = name.replace("/", "")

    code, _, err = run("plan", "--out", f"{name}.plan")

    assert code == 0
    assert len(shlex.split(err.splitlines()[-1].partition("apply it with: ")[2])) == 3

    code, out, _ = run("init", name)

    assert code == 0
    assert shlex.split(out)[:3] == ["next:", "reconcile", "validate"]
    assert len(shlex.split(out)) == 4


STACK = """\
environment: x
region: eu-west-1
logGroups: {/x/jobs: {retentionInDays: 7}}
topics: {alarms: {attributes: {DisplayName: a}}}
schedulingPolicies: {fair: {fairsharePolicy: {shareDecaySeconds: 60}}}
"""


@pytest.fixture
def account(served: Any, tmp_path: Path) -> Any:
    write(tmp_path, STACK)
    return served


FORMS = ("text", "json", "markdown", "html")


def test_refusals_of_aws(run: Run, account: Any) -> None:
    account.faults.add(operation="DescribeLogGroups", times=0, code="Weird\x1b[31m", message=FORGED, status=400)
    for form in FORMS:
        code, out, err = run("plan", "--format", form)
        assert code == 1
        assert "red" in out + err
    account.faults.clear()
    account.faults.add(operation="CreateSchedulingPolicy", times=0, code="Weird\x1b[31m", message=FORGED, status=400)
    account.faults.add(operation="CreateTopic", times=0, code="Weird\u202e", message=IN_XML, status=400)
    for form in ("text", "json"):
        code, out, err = run("apply", "-y", "--format", form, "--journal", f"{form}.jsonl")
        assert code == 3
        assert "red" in out + err
        assert not RAW.search(Path(f"{form}.jsonl").read_text("utf-8"))
    account.faults.clear()
    account.faults.add(operation="GetCallerIdentity", times=0, code="Weird\x1b[31m", message=FORGED, status=400)
    assert run("plan")[0] == 1


def test_what_lives_in_the_account(run: Run, account: Any, tmp_path: Path) -> None:
    """Tags, descriptions and names that somebody else put there."""
    assert run("apply", "-y")[0] == 0
    batch, sns = boto3.client("batch"), boto3.client("sns")
    (policy,) = batch.list_scheduling_policies()["schedulingPolicies"]
    harmful = {f"a{ESCAPES}": f"b{FORGED}"[:200]}
    batch.tag_resource(resourceArn=policy["arn"], tags=harmful)
    mine = {"reconciler/environment": "x", f"</details>{ESCAPES}": "<script>"}
    batch.create_scheduling_policy(name="left", tags={**harmful, **mine})
    (topic,) = sns.list_topics()["Topics"]
    sns.set_topic_attributes(TopicArn=topic["TopicArn"], AttributeName="DisplayName", AttributeValue=IN_XML)

    for form in FORMS:
        code, out, err = run("plan", "--detailed-exitcode", "--format", form)
        assert code == 2, err
        assert "red" in out
    for form in ("text", "json"):
        code, _, err = run("apply", "-y", "--format", form, "--journal", "journal.jsonl")
        assert code == 0, err
    assert not RAW.search((tmp_path / "journal.jsonl").read_text("utf-8"))


@pytest.mark.parametrize(
    "said",
    [
        *({"AWS_ENDPOINT_URL": url} for url in (ESCAPES, FORGED, "http://[::1", f"file://{FORGED}", "http://\udcff/")),
        *({"AWS_REGION": name} for name in (ESCAPES, FORGED, "@evil.example/#", "eu-west-1.evil.example/", "\udcff")),
        *({"AWS_PROFILE": name} for name in (FORGED, "../../x", "\udcff")),
        *({"AWS_STS_REGIONAL_ENDPOINTS": name} for name in (FORGED, "\udcff")),
        {"config": b"[default\n"},
        {"config": b"\xff\xfe"},
        {"config": b"[default]\nrole_arn=x\nsource_profile=\x1b[31mq\n"},
        {"config": b"[default]\nsso_session=\x1b[31m\nsso_account_id=1\nsso_role_name=x\n"},
        {"config": b"[default]\ncredential_process=/bin/echo \x1b[31mno JSON\n"},
        {"config": b'[default]\ncredential_process=/bin/sh -c "echo \x1b[31mDone. >&2; exit 3"\n'},
    ],
)
def test_how_aws_is_reached(
    run: Run, account: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: dict[str, Any]
) -> None:
    write(tmp_path, STACK.replace("region: eu-west-1\n", ""))
    for name, value in said.items():
        if name == "config":
            write(tmp_path, value, "config")
            monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
            monkeypatch.delenv("AWS_ACCESS_KEY_ID")
            monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        else:
            monkeypatch.setenv(name, value)

    code, _, err = run("plan")

    assert code == 1
    assert "error[" in err


def test_a_password_in_an_address_is_not_told(run: Run, account: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://somebody:from-the-proxy@/")

    code, _, err = run("plan")

    assert code == 1
    assert "somebody:(sensitive)@/" in err


@pytest.mark.parametrize("arn", ["x", "", "arn:aws", f"arn:{ESCAPES}:iam::123456789012:user/x", "arn:aws:iam::1:root"])
def test_somebody_else_says_who_we_are(run: Run, account: Any, monkeypatch: pytest.MonkeyPatch, arn: str) -> None:
    """An endpoint that is not AWS, and answers as if it were."""
    monkeypatch.setattr(client.AwsClient, "call", lambda *_: {"Arn": arn, "Account": FORGED})

    code, _, err = run("plan")

    assert code == 1
    assert "did not answer like AWS" in err


@pytest.mark.parametrize(
    "value",
    [
        json.dumps({"run": "r", "who": FORGED, "machine": "m", "process": FORGED, "since": FORGED}),
        "[" * 2000 + "]" * 2000,
        '"text"',
        '{"run": [], "who": {}, "machine": 1, "process": null, "since": 2, "breaks": {}}',
        ESCAPES,
    ],
)
def test_who_holds_the_lock(run: Run, account: Any, value: str) -> None:
    boto3.client("ssm").put_parameter(Name="/reconcile/locks/x", Value=value, Type="String")

    for form in ("text", "json"):
        assert run("apply", "-y", "--format", form)[0] == 4
    assert run("unlock")[0] == 4  # nobody there to say yes
    assert run("unlock", "--auto-approve", "--format", "json")[0] == 0


def resealed(says: Any) -> bytes:
    """A plan file as somebody would forge it: the digest is right."""
    return saved_plan._sealed(says["asked"], says["plan"], says["shown"])


def spoilt(node: Any, bad: Any) -> Iterator[Any]:
    """``node`` with ``bad`` in the place of each of its parts in turn, and without each of its members."""
    if isinstance(node, dict):
        for name, inner in node.items():
            yield from ({**node, name: other} for other in spoilt(inner, bad))
            yield {other: value for other, value in node.items() if other != name}
    elif isinstance(node, list):
        for at, inner in enumerate(node):
            yield from ([*node[:at], other, *node[at + 1 :]] for other in spoilt(inner, bad))
    yield bad


WRONG: list[Any] = [None, [], {}, FORGED, [[[]]], [{}], {"a": []}, "\ud800", "\x00", "x" * 5000, 1e400, -1, True]


def test_saved_plans(run: Run, account: Any, tmp_path: Path) -> None:
    assert run("plan", "--out", "good.plan")[0] == 0
    good = (tmp_path / "good.plan").read_bytes()
    says = json.loads(good)
    bad = [LISTS.encode(), MAPPINGS.encode(), b"", b"\xff\xfe", b"\x00" * 100, b"null", b"[]", ESCAPES.encode()]
    bad += [good.replace(b'"', b'"\x1b'), good[:-1], good + b" "]
    bad += [resealed({**says, "asked": {**says["asked"], "path": "x" * 5000}})]
    bad += [
        resealed({**says, "plan": {**says["plan"], name: FORGED}})
        for name in ("environment", "account", "region", "checksum")
    ]
    for content in bad:
        write(tmp_path, content, "bad.plan")
        code, _, err = run("apply", "bad.plan")
        assert code == 1 or (code == 5 and b"checksum" in content), err
    for path in ("\ud800", "\x00", FORGED):  # looked for from here as well
        write(tmp_path, resealed({**says, "asked": {**says["asked"], "path": path}}), "moved.plan")
        assert run("apply", "moved.plan")[0] in (0, 5)


def test_what_a_saved_plan_says(run: Run, account: Any, tmp_path: Path) -> None:
    """Every part of it in turn is something else, and its digest right: it is no plan, or one that does not hold."""
    assert run("plan", "--out", "good.plan")[0] == 0
    says = json.loads((tmp_path / "good.plan").read_bytes())
    for wrong in WRONG:
        for member in ("asked", "plan") if wrong in WRONG[:6] else ("asked",):
            for other in spoilt(says[member], wrong):
                write(tmp_path, resealed({**says, member: other}), "bad.plan")
                try:
                    saved = saved_plan.read(tmp_path / "bad.plan")
                except Problems:
                    continue
                found = [*saved_plan.wrong_scope(saved, SCOPE), *saved_plan.out_of_date(saved, says["plan"])]
                assert not RAW.search(text.problems(found, Mask(), text.Paint(colour=False)))


def test_what_a_saved_plan_shows(run: Run, account: Any, tmp_path: Path) -> None:
    """Every part of what `show` reads in turn is something else: it is no plan, or it is shown without harm."""
    assert run("plan", "--out", "good.plan")[0] == 0
    says = json.loads((tmp_path / "good.plan").read_bytes())
    refused = 0
    for wrong in (None, [], {}, FORGED, {"a": []}, -1, True):
        for other in spoilt(says["shown"], wrong):
            saved = saved_plan.Saved(saved_plan.Place("x", "."), Options(), says["plan"], other)
            try:
                shown = shown_plan.of(saved, tmp_path / "x.plan")
            except Problems:
                refused += 1
                continue
            viewed = shown.view()
            assert not RAW.search(text.plan(viewed, text.Paint(colour=False), verbose=True))
            assert "<b>" not in html.plan(viewed) + markdown.plan(viewed)
    assert refused > 100


# --- fuzz -------------------------------------------------------------------------------------------------------------

PIECES = st.sampled_from(
    ["\x1b[31m", "\x9b", "\u202e", "\u2028", "\r\n", "\n", "|", "`", "```", "~~~", "</details>", "</pre>", "<script>",
     "<!--", "-->", "](http://e)", "![", "<http://e>", "@octocat", "#1", "GH-1", "http://e.example", "www.e.example",
     "a@b.example", "\\", "*", "_", "&#64;", "&lt;", "\ufeff", "\ud800", "\t", "    ", "- ", "# ", "> ", "$x$", ":smile:"]
)  # fmt: skip
TEXTS = st.lists(st.one_of(PIECES, st.text(max_size=8)), min_size=1, max_size=6).map("".join)
VALUES = st.recursive(
    st.one_of(TEXTS, st.integers(), st.booleans(), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """One of each: created, changed, adopted's look-alike and deleted, with anything for names, values and tags."""
    names = draw(st.lists(TEXTS, min_size=4, max_size=4, unique=True))
    some = st.dictionaries(TEXTS, VALUES, max_size=3)
    declared = env(
        resource("engines", names[0], note=draw(VALUES), fuel=draw(TEXTS)),
        resource("engines", names[1], note=draw(VALUES), fuel="b"),
        resource("cars", names[2], engine=names[0], code=draw(TEXTS), seats=draw(some)),
    )
    tags = {**OWNED, **draw(st.dictionaries(TEXTS, TEXTS, max_size=2))}
    seen = observed(
        engines=[live(names[1], tags, note=draw(VALUES), fuel="a"), live(names[3], tags, note=draw(VALUES))]
    )
    return planner.make(declared, KINDS, SCOPE, seen, lookups=draw(some))[0]


@settings(max_examples=300 if LONG else 15)
@given(made=plans())
def test_a_plan_as_text_and_json_is_text(made: Plan) -> None:
    document = as_json.plan(made, timestamp="", mask=Mask())
    for written in (as_json.dumps(document), as_json.dumps(document, indent=2)):
        assert json.loads(written)["summary"].keys() >= {"create", "delete"}
        assert not RAW.search(written)
    shown = as_text(made, Mask())
    assert not RAW.search(shown)
    for line in shown.splitlines():
        ours = r"(  |[+~&-]|Plan: |Look-ups:|test in account|This plan|No changes|\+/- |-/\+ |\d+ API calls? \(|$)"
        assert re.match(ours, line), line


class Page(HTMLParser):
    """Reads a page and takes note of what is in it."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: set[str] = set()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links |= {value for name, value in attrs if name == "href" and value}
        if tag not in ("meta", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)


PROBLEMS = st.lists(
    st.builds(Problem, code=st.just("x"), message=TEXTS, hint=TEXTS, address=TEXTS, warning=st.booleans()), max_size=3
)


@settings(max_examples=600 if LONG else 25)
@given(made=plans(), problems=PROBLEMS, refused=st.booleans())
def test_a_plan_as_a_page_has_our_tags_alone(made: Plan, problems: list[Problem], refused: bool) -> None:
    shown = as_html(made, Mask(), problems=problems, refused=refused)
    page = Page()
    page.feed(shown)
    page.close()

    assert not RAW.search(shown)
    ours = (
        "html head meta title style script body header main footer section h1 h2 h3 p a strong b span ins del pre code"
    )
    ours += " ul li dl dt dd div details summary label input kbd fieldset legend select option button"
    drawn = "svg path g rect text"
    assert page.tags <= {*ours.split(), *drawn.split()}
    assert not [name for name in page.attributes if name.startswith("on") or name in ("src", "style", "action")]
    assert all(re.fullmatch(r"#\w+", link) for link in page.links)
    assert shown.count("<script>") == 1
    assert not page.open


@settings(max_examples=600 if LONG else 25)
@given(made=plans(), limit=st.integers(2500, 8000), problems=PROBLEMS, refused=st.booleans())
def test_a_plan_as_a_comment_stays_what_it_is(made: Plan, limit: int, problems: list[Problem], refused: bool) -> None:
    """By a parser: the headings, lists, fences and tags are ours, and there are no links, pictures or mentions."""
    shown = as_markdown(made, Mask(), limit=limit, problems=problems, refused=refused)
    tokens = MarkdownIt("commonmark", {"linkify": False}).enable("table").parse(shown)
    inline = [child for token in tokens for child in token.children or ()]

    assert not RAW.search(shown)
    assert len(shown) <= limit
    kinds = {token.type for token in (*tokens, *inline)}
    assert not kinds & {"link_open", "image", "table_open", "ordered_list_open", "code_block", "hr"}
    assert sum(token.type == "heading_open" for token in tokens) == 1
    assert sum(token.type == "blockquote_open" for token in tokens) == len(re.findall(r"(?m)^> \[!", shown)) <= 2
    assert sum(token.type == "list_item_open" for token in tokens) == len(re.findall(r"(?m)^(?:> )?- [*n]", shown))
    assert all(token.level <= 1 for token in tokens if token.type == "bullet_list_open")
    assert all(token.info in ("text", "diff") for token in tokens if token.type == "fence")
    tags = [
        tag
        for token in (*tokens, *inline)
        if token.type.startswith("html")
        for tag in re.findall(r"<[^>]*>", token.content)
    ]
    ours = {"<details>", "<details open>", "</details>", "<summary>", "</summary>", "<code>", "</code>", "<!-- -->"}
    assert {*tags} <= {*ours, f"<!-- reconcile: test {SCOPE.account} {SCOPE.region} -->"}
    counts = {
        name: sum(tag in (f"<{name}>", f"<{name} open>") for tag in tags) for name in ("details", "summary", "code")
    }
    assert all(tags.count(f"</{name}>") == count for name, count in counts.items())
    alerts = ("[!CAUTION]", "[!WARNING]", "[!NOTE]")
    written = [token.content for token in inline if token.type == "text" and token.content not in alerts]
    for token in tokens:
        if token.type == "html_block":
            written += [unescape(part) for part in re.split(r"<[^>]*>", token.content)]
    linking = re.compile(r"@\w|#\w|://|www\.\w|GH-\d|:[\w+-]+:|[!$%&~]\w")
    assert [part for part in written if linking.search(part)] == []


@settings(max_examples=600 if LONG else 25)
@given(message=TEXTS, hint=TEXTS, address=TEXTS)
def test_a_problem_is_text(message: str, hint: str, address: str) -> None:
    found = Problem(code="x", message=message, hint=hint, address=address, path=address)
    shown = text.problems([found], Mask(), text.Paint(colour=False))
    written = as_json.dumps(as_json.problem(found, Mask()))

    assert not RAW.search(shown + written)
    assert all(line.startswith(("error[x]: ", " ", "\t")) or not line for line in shown.split("\n"))
    assert json.loads(written)["code"] == "x"
