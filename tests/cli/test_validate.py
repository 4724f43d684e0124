"""``validate`` as linters behave: what is checked, where the findings go, and in which formats."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli import main as cli
from reconciler.model.problem_codes import catalogue

Run = Callable[..., tuple[int, str, str]]
BASE = """\
region: eu-west-1
jobQueues:
  q: {priority: 1, stat: ENABLED, computeEnvironmentOrder: [{order: 1, computeEnvironment: ce}]}
"""


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def once(*argv: str) -> tuple[int, str, str]:
        codes: list[int] = []
        cli.main(list(argv), leave=codes.append)
        return codes[0], *capsys.readouterr()

    return once


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """dev and prod of one base that has a mistake; prod has one of its own, and team/alone is fine."""
    files = {
        "base/environment.yaml": BASE,
        "dev/environment.yaml": "environment: the-dev\nextends: ../base\n",
        "prod/environment.yaml": "environment: the-prod\nextends: ../base\n",
        "prod/logs/a.yaml": "logGroups:\n  a: {retentionDays: 7}\n",
        "prod/files/run.sh": "#!/bin/sh\n",
        "team/alone/environment.yaml": "environment: alone\nregion: eu-west-1\nlogGroups: {a: {}}\n",
        "single.yaml": "environment: single\nregion: eu-west-1\nlogGroups: {a: {}, b: {}}\n",
        "README.md": "# environment: what is here\n",
    }
    for name, content in files.items():
        path = tmp_path / "environments" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def problems(out: str) -> list[tuple[str, str, str]]:
    return [(one["environment"], one["file"], one["path"]) for one in json.loads(out)["problems"]]


SHARED, OWN = "environments/base/environment.yaml", "environments/prod/logs/a.yaml"
OF_DEV = [("the-dev", SHARED, "stat")]
OF_PROD = [("the-prod", SHARED, "stat"), ("the-prod", OWN, "retentionDays")]
EVERYTHING = [*OF_DEV, *OF_PROD]


@pytest.mark.parametrize(
    ("argv", "found"),
    [
        ([], EVERYTHING),
        (["--all"], EVERYTHING),
        (["dev"], OF_DEV),
        (["single", "environments/team/alone"], []),
        ([OWN], OF_PROD),
        (["environments/prod/files/run.sh", OWN, "prod"], OF_PROD),
        ([SHARED], EVERYTHING),
    ],
)
def test_what_is_checked(run: Run, repository: Path, argv: list[str], found: list[tuple[str, str, str]]) -> None:
    code, out, err = run("validate", *argv, "--format", "json")

    assert (code, err) == (1 if found else 0, "")
    assert sorted(problems(out)) == sorted(found)


def test_findings_are_the_result_and_shared_ones_are_told_once(run: Run, repository: Path) -> None:
    code, out, err = run("validate")

    assert (code, err) == (1, "")
    assert out.splitlines() == [
        f'{SHARED}:3:20: error[unknown-field]: jobQueues.q: unknown field "stat" (in the-dev, the-prod)',
        '    did you mean "state"?',
        f'{OWN}:2:7: error[unknown-field]: logGroups.a: unknown field "retentionDays"',
        '    did you mean "retentionInDays"?',
        "2 errors, 0 warnings",
    ]


def test_what_is_fine_is_counted(run: Run, repository: Path) -> None:
    assert run("validate", "single", "environments/team/alone") == (
        0,
        "3 resources in 2 environments: no problems\n",
        "",
    )


def test_inside_an_environment_that_one_is_meant(run: Run, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository / "environments/prod")
    expected = [("the-prod", "../base/environment.yaml", "stat"), ("the-prod", "logs/a.yaml", "retentionDays")]

    for argv in ([], ["logs/a.yaml"], ["environment.yaml"], ["."]):
        assert problems(run("validate", *argv, "--format", "json")[1]) == expected, argv


def test_a_member_file_means_its_environment_in_every_command(run: Run, repository: Path) -> None:
    assert run("render", OWN) == run("render", "prod")


def test_a_file_with_a_name_of_its_own_is_an_environment_of_its_own(run: Run, repository: Path) -> None:
    (repository / "environments/prod/own.yaml").write_text("environment: own\nregion: eu-west-1\nlogGroups: {a: {}}\n")
    assert run("validate", "environments/prod/own.yaml") == (0, "1 resource: no problems\n", "")


def test_one_unknown_argument_hides_nothing(run: Run, repository: Path) -> None:
    code, out, _ = run("validate", "nope", "dev")
    assert (
        code == 1 and 'error[no-environment]: there is no environment "nope"' in out and "error[unknown-field]" in out
    )


def test_all_takes_no_environment_and_wants_one(run: Run, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, _ = run("validate", "dev", "--all")
    assert code == 1 and "error[usage]: --all cannot be combined with ENV" in out
    monkeypatch.chdir(repository / "environments/team")
    code, out, _ = run("validate", "--all")
    assert code == 1 and "error[no-environment]" in out


# --- formats of code hosts ---------------------------------------------------------------------------------------------


def test_githubs_annotations(run: Run, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository / "environments")  # paths are those from the top of the repository nevertheless
    code, out, _ = run("validate", "prod", "--format", "github")

    assert code == 1
    assert out.splitlines() == [
        (
            f"::error file={SHARED},line=3,col=20,title=reconcile (unknown-field)"
            '::jobQueues.q: unknown field "stat"%0Adid you mean "state"?'
        ),
        (
            f"::error file={OWN},line=2,col=7,title=reconcile (unknown-field)"
            '::logGroups.a: unknown field "retentionDays"%0Adid you mean "retentionInDays"?'
        ),
    ]
    assert run("validate", "team/alone", "--format", "github") == (0, "", "")


def test_githubs_limit_of_annotations(run: Run, repository: Path) -> None:
    """It shows ten of a severity, and drops the others without a word."""
    many = "".join(f"  a{number}: {{retentionDays: 7}}\n" for number in range(13))
    (repository / "environments/prod/logs/a.yaml").write_text(f"logGroups:\n{many}", encoding="utf-8")
    lines = run("validate", "prod", "--format", "github")[1].splitlines()

    assert [line.startswith("::error ") for line in lines] == [True] * 10 + [False] * 4
    assert lines[-1] == (
        f'not annotated: {OWN}:14:9: error: logGroups.a12: unknown field "retentionDays" / did you mean "retentionInDays"?'
    )


def test_a_command_of_githubs_cannot_be_forged(run: Run, repository: Path) -> None:
    odd = repository / "environments/prod/50%, a:b.yaml"
    odd.write_text('"\\n::error::forged": {a: {}}\n', encoding="utf-8")
    lines = run("validate", "prod", "--format", "github")[1].splitlines()

    assert all(line.startswith("::error file=environments/") for line in lines)
    assert any("file=environments/prod/50%25%2C a%3Ab.yaml,line=1" in line for line in lines)


def test_gitlabs_code_quality(run: Run, repository: Path) -> None:
    code, out, _ = run("validate", "--format", "gitlab")
    issues = json.loads(out)

    assert code == 1
    assert [(issue["location"], issue["severity"], issue["check_name"]) for issue in issues] == [
        ({"path": SHARED, "lines": {"begin": 3}}, "major", "unknown-field"),
        ({"path": OWN, "lines": {"begin": 2}}, "major", "unknown-field"),
    ]
    (repository / OWN).write_text("# moved down\n\nlogGroups:\n  a: {retentionDays: 7, retentionDay: 7}\n")
    later = json.loads(run("validate", "--format", "gitlab")[1])
    assert {issue["fingerprint"] for issue in issues} < {issue["fingerprint"] for issue in later}
    assert len({issue["fingerprint"] for issue in later}) == len(later) == 3
    assert json.loads(run("validate", "single", "--format", "gitlab")[1]) == []


def test_sarif(run: Run, repository: Path) -> None:
    code, out, _ = run("validate", "--format", "sarif")
    log: Any = json.loads(out)
    (one,) = log["runs"]

    assert (code, log["version"]) == (1, "2.1.0")
    assert [rule["id"] for rule in one["tool"]["driver"]["rules"]] == ["unknown-field"]
    for result in one["results"]:
        assert one["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("error", "warning", "note") and result["message"]["text"]
    places = [result["locations"][0]["physicalLocation"] for result in one["results"]]
    assert [place["artifactLocation"]["uri"] for place in places] == [SHARED, OWN]
    assert [place["region"] for place in places] == [
        {"startLine": 3, "startColumn": 20},
        {"startLine": 2, "startColumn": 7},
    ]
    assert json.loads(run("validate", "single", "--format", "sarif")[1])["runs"][0]["results"] == []


def test_every_code_can_be_linked_to(repository: Path) -> None:
    errors = (Path(__file__).parents[2] / "docs/errors.md").read_text(encoding="utf-8")
    assert [code for code in catalogue() if f"\n## {code}\n" not in errors] == []


@pytest.mark.parametrize("form", ["github", "gitlab", "sarif"])
def test_what_cannot_be_found_is_a_finding_too(run: Run, repository: Path, form: str) -> None:
    code, out, err = run("validate", "nope", "--format", form)
    assert (code, err) == (1, "") and "there is no environment" in out


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        (
            'account: "111122223333"\nregion: eu-west-1',
            'account: "111122223333"\nregion: eu-west-1',
            "same-environment",
        ),
        ('account: "111122223333"\nregion: eu-west-1', 'account: "111122223333"\nregion: us-east-1', None),
        ('account: "111122223333"\nregion: eu-west-1', 'account: "444455556666"\nregion: eu-west-1', None),
        ("roleArn: arn:aws:iam::444455556666:role/r", 'account: "111122223333"', None),
        ("region: eu-west-1", "region: eu-west-1", "same-name"),
        ('account: "111122223333"', 'account: "111122223333"\nregion: eu-west-1', "same-name"),
        ("region: eu-west-1\nignoreRules: [same-name]", "region: eu-west-1", None),
        ("account: [", 'account: "111122223333"\nregion: eu-west-1', "same-name"),
    ],
)
def test_two_environments_of_one_name(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one: str, other: str, found: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    for place, settings in (("eu/prod", one), ("us/prod", other), ("alone", "region: eu-west-1")):
        path = tmp_path / "environments" / place
        path.mkdir(parents=True)
        name = "alone" if place == "alone" else "prod"
        (path / "environment.yaml").write_text(f"environment: {name}\n{settings}\n")

    code, out, _ = run("validate", "--all", "--format", "json")

    told = json.loads(out)
    about = [one for one in told["problems"] if one["code"].startswith("same-")]
    assert [one["code"] for one in about] == ([found] if found else [])
    assert all("environments/eu/prod" in one["message"] for one in about)
    assert all(one["file"] == "environments/us/prod/environment.yaml" and one["line"] == 1 for one in about)
    assert code == (found == "same-environment" or "[" in one.replace("[same", ""))
    ids = {one["path"]: one["id"] for one in told["environments"]}
    assert ids == {
        "environments/alone": "alone",
        "environments/eu/prod": "prod.environments.eu.prod",
        "environments/us/prod": "prod.environments.us.prod",
    }
    alone = json.loads(run("validate", "environments/alone", "--format", "json")[1])
    assert [one["id"] for one in alone["environments"]] == ["alone"] and alone["problems"] == []
