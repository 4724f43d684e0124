"""A fleet that several machines check: each its part, and one report of all of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.sandbox.server import Sandbox
from tests.support import reports
from tests.support.shell import Shell

BASE = """\
region: eu-west-1
account: "123456789012"
logGroups:
  jobs: {logGroupName: "/${environment}/jobs", retentionInDays: 30}
"""
NAMES = [f"team-{number}" for number in range(7)]
FORMATS = ("markdown", "html", "junit", "sarif")


@pytest.fixture
def estate(shell: Shell, served: Sandbox) -> Path:
    """Seven environments of one base, of which one is broken, one drifted, and one was never applied."""
    place = shell.home / "environments"
    (place / "base").mkdir(parents=True)
    (place / "base" / "environment.yaml").write_text(BASE)
    logs = served.attach().client("logs", region_name="eu-west-1")
    for name in NAMES:
        (place / name).mkdir()
        (place / name / "environment.yaml").write_text(f"environment: {name}\nextends: ../base\n")
        tags = {"reconciler/environment": name, "reconciler/name": "jobs"}
        if name != "team-6":
            logs.create_log_group(logGroupName=f"/{name}/jobs", tags=tags)
            logs.put_retention_policy(logGroupName=f"/{name}/jobs", retentionInDays=7 if name == "team-3" else 30)
    (place / "team-5" / "environment.yaml").write_text("environment: team-5\njobQueues: {q: {priority: high}}\n")
    return place


def told(shell: Shell, *argv: str, code: int = 0) -> str:
    found = shell("drift", *argv)
    assert found.code == code, found.told
    return found.out


@pytest.mark.usefixtures("estate")
def test_parts_become_the_report_of_one_machine(shell: Shell, served: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [word for name in FORMATS for word in ("--format", f"{name}=one.{name}")]
    (shell.home / "text").write_text(told(shell, "--all", *asked, "--format", "text", code=1))
    (shell.home / "json").write_text(told(shell, "--all", "--format", "json", code=1))

    # --- a part says which it is, and succeeds once its result is there ---
    monkeypatch.setenv("AWS_BATCH_JOB_ID", "run-1:0")
    for number in (1, 2):
        out = told(shell, "--all", "--shard", f"{number}/3", "--results", "parts")
        assert out.startswith(f"Part {number} of 3: ") and "stored in parts." in out
    monkeypatch.setenv("AWS_BATCH_JOB_ARRAY_INDEX", "2")
    monkeypatch.setenv("AWS_BATCH_JOB_ARRAY_SIZE", "3")
    assert told(shell, "--all", "--shard", "auto", "--results", "parts").startswith("Part 3 of 3: ")
    assert sorted(file.name for file in Path("parts").iterdir()) == [f"part-{n}-of-3.jsonl" for n in (1, 2, 3)]

    # --- the report is that of one machine, in every format, and nothing is asked of AWS for it ---
    served.calls.clear()
    words = [word.replace("one.", "all.") for word in asked]
    merged = json.loads(told(shell, "--merge", "parts", *words, "--format", "json", code=1))
    assert not served.calls
    whole = json.loads((shell.home / "json").read_text())
    assert reports.report(merged)["summary"] == {"clean": 4, "drifted": 2, "error": 1}
    assert [one["environment"] for one in merged["environments"]] == NAMES
    for one, other in zip(merged["environments"], whole["environments"], strict=True):
        for plan in filter(None, (one["plan"], other["plan"])):
            del plan["timestamp"]
        assert one == other
    assert told(shell, "--merge", "parts", code=1) == (shell.home / "text").read_text()
    reports.sarif(Path("all.sarif").read_text())
    assert len(reports.junit(Path("all.junit").read_text())) == len(NAMES)
    for name in ("html", "markdown"):
        one, other = (Path(f"{which}.{name}").read_text().split("2026-") for which in ("one", "all"))
        assert len(one) == len(other) and one[0] == other[0]

    # --- compared with the last report, which is a file or in the bucket ---
    s3 = served.attach().client("s3", region_name="eu-west-1")
    s3.create_bucket(Bucket="estate", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    remote = ("--since", "s3://estate/last.json", "--format", "json=s3://estate/last.json")
    assert "does not exist yet" in shell("drift", "--merge", "parts", *remote).err
    again = json.loads(told(shell, "--merge", "parts", *remote[:2], "--format", "json", code=1))
    since = [
        entry.get("since") for one in again["environments"] if one["plan"] for entry in one["plan"]["resource_changes"]
    ]
    assert since.count("still") == 2 and again["environments"][5]["since"] == "still"

    # --- parts in a bucket ---
    for file in sorted(Path("parts").iterdir()):
        s3.upload_file(str(file), "estate", f"drift/{file.name}")
    told(shell, "--all", "--shard", "2/3", "--results", "s3://estate/drift/")
    assert told(shell, "--merge", "s3://estate/drift", code=1) == (shell.home / "text").read_text()
    assert "NoSuchBucket" in shell("drift", "--merge", "s3://nowhere/drift").err
    assert "NoSuchBucket" in shell("drift", "team-0", "--results", "s3://nowhere/drift").err


@pytest.mark.usefixtures("estate")
def test_what_is_wrong_with_parts_is_an_error_and_the_rest_is_reported(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_RUN_ID", "100")
    clean = ("team-0", "team-1", "team-2", "team-4")
    for number in (1, 2):
        told(shell, *clean, "--shard", f"{number}/2", "--results", f"parts/{number}")
    assert told(shell, "--merge", "parts").endswith("4 environments: 4 clean.\n")
    first, second = Path("parts/1/part-1-of-2.jsonl"), Path("parts/2/part-2-of-2.jsonl")
    texts = {file: file.read_text() for file in (first, second)}
    left = len(texts[first].splitlines()) // 2 - 1

    def wrong(says: str, found: int) -> None:
        report = shell("drift", "--merge", "parts", "--format", "json", "--format", "junit=x.xml")
        assert report.code == 1
        problems = [one["message"] for one in report.json["problems"]]
        assert any(says in one for one in problems), problems
        assert len(report.json["environments"]) == found
        assert shell("drift", "--merge", "parts").out.endswith(" clean. The report is incomplete.\n")
        assert any(
            case.find("error") is not None
            for suite in reports.junit(Path("x.xml").read_text()).values()
            for case in suite.values()
        )
        for file, text in texts.items():
            file.write_text(text)

    second.unlink()
    wrong(f"1 of 2 parts is missing (2): {4 - left} of 4 environments were not checked", left)
    for cut in (
        "\n".join(texts[second].splitlines()[:-1]) + "\n",
        texts[second][:-2],
        "{}\n",
        "[]\n",
        texts[second] + "x",
    ):
        second.write_text(cut)
        wrong("is truncated, or is not part of a report", left)
    second.write_text(texts[second].replace('"run": "100"', '"run": "99"').replace('"at": "2', '"at": "1', 1))
    wrong("belongs to another run 99", left)
    twice = Path("parts/twice")
    twice.mkdir()
    (twice / first.name).write_text(texts[first])
    wrong("part 1 of 2 is duplicated: 1/part-1-of-2.jsonl and twice/part-1-of-2.jsonl", 4)
    (twice / first.name).unlink()

    # --- of the options, and where there is nothing ---
    for argv, says in (
        (("--merge", "nowhere"), "there are no parts of a report in nowhere"),
        (("--merge", "s3:///x"), "names no bucket"),
        (("team-0", "--shard", "1/2", "--accept", "logGroups.jobs"), "--shard cannot be combined with --accept"),
        (("team-0", "--merge", "parts"), "--merge cannot be combined with ENV"),
        (("--all", "--results", "x", "--format", "json=y.json"), "--results cannot be combined with --format"),
        (("nowhere", "team-1", "--shard", "1/2"), "nowhere"),
        (("--all", "--shard", "auto"), "none of AWS_BATCH_JOB_ARRAY_INDEX"),
        (("--all", "--results", first), "cannot be written"),
        (("team-0", "--format", "json=s3://estate/"), "names no file"),
    ):
        refused = shell("drift", *map(str, argv))
        assert refused.code == 1 and says in refused.told, (argv, refused.told)
    assert "part 1 of 2: " in shell("drift", *clean, "--shard", "1/2").err
