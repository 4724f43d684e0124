"""What a command does without: libraries that are long to import and that nothing asked for."""

import json
import os
import subprocess
import sys

import pytest

from benchmarks import estate
from reconciler.model import Environment, Options, Plan, Scope
from reconciler.operations import saved_plan, shown_plan
from reconciler.operations.pipeline import Planned
from reconciler.render import json as as_json
from reconciler.render.mask import Mask

LONG = ("botocore", "boto3", "deepdiff", "jsonschema", "pydantic", "rich", "ruamel", "http.client", "ssl")


#: Of the standard library, what few commands use
SELDOM = ("argparse", "email", "hashlib", "html", "importlib.metadata", "logging", "multiprocessing", "tomllib")
#: What a part of a kind is called that neither validation nor a plan without changes asks for
PARTS = ("audit", "dependents", "diagnosis", "drain", "preflight", "retries", "status", "submission", "waits")


def ours(modules):
    """Those of the tool, without its name, by room: ``kinds`` -> ``batch.job_queue.kind``."""
    found = {}
    for name in sorted(name for name in modules if name.startswith("reconciler.")):
        room, _, rest = name.removeprefix("reconciler.").partition(".")
        found.setdefault(room, []).append(rest)
    return found


def parts(kinds):
    """Which of :data:`PARTS` are among modules of kinds."""
    return [
        name
        for name in kinds
        if name.rpartition(".")[2].strip("_").removeprefix("role_") in PARTS or "_diagnosis" in name
    ]


@pytest.fixture
def imported(tmp_path):
    """The modules that a process has imported by the time each of its command lines leaves with 0, one after the other."""

    def run(*lines: tuple[str, ...]) -> list[set[str]]:
        code = (
            "import json, sys; from reconciler.cli import main as cli\n"
            "for line in json.loads(sys.argv[1]):\n"
            "    codes = []; cli.main(line, leave=codes.append); print('left', *codes, *sys.modules, file=sys.stderr)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, json.dumps(lines)], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        left = [line.split() for line in done.stderr.splitlines() if line.startswith("left ")]
        assert [code for _, code, *_ in left] == ["0"] * len(lines), done.stderr + done.stdout
        return [set(modules) for _, _, *modules in left]

    return run


HELP = ("plan", "apply", "show", "validate", "import")


def test_help_and_what_is_right_take_no_long_library_and_little_of_the_tool(imported, tmp_path):
    one = estate.write(tmp_path / "one", 20, one_file=True)
    target = estate.write(tmp_path / "estate", 20, one_file=False)

    version, *others, helped, validated, again, policy = imported(
        ("--version",),
        *((command, "--help") for command in HELP),
        ("validate", str(one)),
        ("validate", str(target)),
        ("permissions", str(target), "--for", "apply"),
    )

    assert sorted(version & {*LONG, *SELDOM, "yaml"}) == []
    assert sum(map(len, ours(version).values())) <= 40  # 34 when this was written
    assert sorted(helped & {*LONG, *SELDOM}) == []
    assert not {"account", "applying", "checks", "kinds", "planning", "sandbox", "schema"} & {*ours(helped)}
    assert sum(map(len, ours(others[0]).values())) <= 55  # 47: the help of a plan
    for found in (validated, again):
        rooms = ours(found)
        assert sorted(found & {*LONG, *SELDOM} - {"hashlib"}) == []  # for what passed before (docs/adr/0024)
        assert not {"account", "applying", "planning", "sandbox"} & {*rooms}
        assert parts(rooms["kinds"]) == []
        assert set(rooms["render"]) <= {"", "broken_pipe", "mask"}
        assert sum(map(len, rooms.values())) <= 200  # 182, the help of other commands before it included
    assert sorted(policy & set(LONG)) == []


def test_a_plan_without_changes_imports_what_it_reads_and_compares_with(sandbox_url, tmp_path):
    target = tmp_path / "environment.yaml"
    target.write_text("environment: e\naccount: '123456789012'\nregion: eu-west-1\njobQueues: {}\n")
    code = (
        "import sys; from reconciler.cli import main as cli; cli.main(sys.argv[1:], leave=lambda code: "
        "sys.stderr.write('\\n' + ' '.join(sys.modules)) and sys.exit(code))"
    )
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true"}
    done = subprocess.run(
        [sys.executable, "-c", code, "plan", str(target)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **keys, "AWS_ENDPOINT_URL": sandbox_url},
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert "No changes" in done.stdout

    found = {*done.stderr.splitlines()[-1].split()}
    rooms = ours(found)
    assert sorted(found & {"argparse", "deepdiff", "jsonschema", "rich", "ruamel", "tomllib"}) == []
    assert "applying" not in rooms
    assert parts(rooms["kinds"]) == []
    assert not {"html", "markdown", "picture", "progress", "json", "failure", "page"} & {*rooms["render"]}
    assert not {"diagnosis", "jobs", "status"} & {*rooms["model"]}
    assert sum(map(len, rooms.values())) <= 230  # 216 when this was written


def test_nor_does_applying_without_a_terminal():
    code = "import sys; from reconciler.cli.commands import apply; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "rich" not in done.stdout.split()


def test_nor_does_planning_from_a_snapshot_ask_for_what_talks_to_aws():
    code = (
        "import sys; from reconciler.cli.commands import plan, snapshot; from reconciler.operations import snapshots, "
        "pipeline; from reconciler.account import recorded, reader; print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert not {"boto3", "botocore", "rich"} & {*done.stdout.split()}


def test_showing_a_saved_plan_does_not_import_what_talks_to_aws(imported, tmp_path):
    plan = Plan(scope=Scope("123456789012", "eu-west-1", "aws", "e"), resources=())
    planned = Planned(env=Environment(name="e"), plan=plan, mask=Mask())
    document = as_json.plan(plan, timestamp="2026-01-31T12:00:00Z", mask=Mask())
    shown = shown_plan.to_save(shown_plan.planned(planned, document=document, at=""))
    place = saved_plan.Place("e", ".")
    saved_plan.write(tmp_path / "a.plan", document, where=place, options=Options(), shown=shown)

    formats = [word for form in ("text", "json", "markdown", "html") for word in ("--format", f"{form}=out.{form}")]
    (shown,) = imported(("show", "a.plan", *formats))
    assert sorted(shown & set(LONG)) == []


def test_what_is_wrong_is_told_by_jsonschema(imported, tmp_path):
    (tmp_path / "environment.yaml").write_text(
        "environment: e\njobQueues:\n  q: {priority: 1, schedulingPolicyArn: &p true, state: *p}\n"
    )
    code = "import sys; from reconciler.cli import main as cli; cli.main(['validate'], leave=lambda _: print(*sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert {"jsonschema"} <= set(done.stdout.split())
    assert "ruamel" not in done.stdout.split()
    assert "schedulingPolicyArn must be text" in done.stdout


def test_the_estate_of_the_benchmarks_is_as_it_says(tmp_path):
    from reconciler.operations import pipeline

    env, found = pipeline.read_environment(estate.write(tmp_path / "estate", 40), {}, strict=True)
    counted = [address.section for address in env.resources]

    assert found == ()
    assert counted.count("jobDefinitions") == 40
    assert counted.count("jobQueues") == 4
    assert [counted.count(section) for section in ("computeEnvironments", "instanceProfiles", "logGroups")] == [2, 2, 2]
    one, _ = pipeline.read_environment(estate.write(tmp_path / "one", 40, one_file=True), {}, strict=True)
    assert {a: r.props for a, r in one.resources.items()} == {a: r.props for a, r in env.resources.items()}
