"""What AWS Batch does with an attempt that has ended, case by case, and against the sandbox's own rules."""

from hypothesis import given
from hypothesis import strategies as st

from reconciler.kinds.batch.job_definition import retry_rules, retry_strategy, rule_sets
from reconciler.kinds.batch.job_definition.kind import KIND
from reconciler.kinds.batch.job_definition.retry_rules import Rule
from reconciler.model import Reference, Template
from reconciler.model.attempts import Cause, Ending, Verdict
from reconciler.sandbox.batch.retry import again
from reconciler.sandbox.batch.settings import Outcome
from reconciler.schema import registry
from tests.support.tables import DATA, cases

TABLE = cases(DATA / "retry" / "rules.yaml")
CASES = TABLE["cases"]


def ending(told):
    cause = Cause(told["cause"]) if "cause" in told else None
    return Ending(exit_code=told.get("code"), reason=told.get("reason"), status_reason=told.get("status"), cause=cause)


def decided(strategy, told):
    """`RETRY 0 ? ORDER`, as the table has it."""
    found = retry_rules.decide(
        TABLE["strategies"][strategy], ending(told), told.get("attempt", 1), containers=told.get("containers", 1)
    )
    entry = "-" if found.entry is None else found.entry
    assumed = " ".join(rule.name for rule in Rule if rule in found.assumed)
    return f"{found.verdict.value} {entry}" + (f" ? {assumed}" if assumed else "")


def test_every_case_comes_out_as_documented():
    wrong = []
    for strategy, told, expected, source in CASES:
        found = decided(strategy, TABLE["endings"][told] if isinstance(told, str) else told)
        if found != expected:
            wrong.append(f"{strategy}, {told}: {found}, not {expected} ({source})")

    assert wrong == []
    assert len(CASES) >= 100
    assert {row[0] for row in CASES} == set(TABLE["strategies"])


TEXTS = ("", "Host EC2 (instance i-0) terminated.", "host ec2", "Task failed to start", "OutOfMemoryError: x", "AGENT")
PATTERNS = ("*", "Host EC2*", "Task failed to start", "Task*", "OutOfMemoryError*", "OutOfMemoryError", "AGENT")
CODES = (None, 0, 1, 2, 13, 137, 255)
CODE_PATTERNS = ("*", "1", "1*", "13*", "137", "0", "2*")
TEXT = st.sampled_from(PATTERNS)
ENTRY = st.fixed_dictionaries(
    {"action": st.sampled_from(["RETRY", "EXIT", "retry", "exit"])},
    optional={"onExitCode": st.sampled_from(CODE_PATTERNS), "onReason": TEXT, "onStatusReason": TEXT},
).filter(lambda entry: len(entry) > 1)
STRATEGY = st.none() | st.fixed_dictionaries(
    {"attempts": st.integers(1, 4)}, optional={"evaluateOnExit": st.lists(ENTRY, max_size=5)}
)
TOLD = st.builds(
    Ending,
    exit_code=st.sampled_from(CODES),
    reason=st.sampled_from(TEXTS).map(lambda text: text or None),
    status_reason=st.sampled_from(TEXTS).map(lambda text: text or None),
)


@given(strategy=STRATEGY, told=TOLD, attempt=st.integers(1, 4))
def test_the_sandbox_which_has_rules_of_its_own_agrees(strategy, told, attempt):
    found = retry_rules.decide(strategy, told, attempt)
    outcome = Outcome(exit_code=told.exit_code, reason=told.reason, status_reason=told.status_reason)

    assert (found.verdict is Verdict.RETRY) == again(strategy, attempt, outcome)
    assert (found.verdict is Verdict.SUCCEEDED) == (told.exit_code == 0)


@given(one=ENTRY, other=ENTRY, told=TOLD)
def test_what_an_entry_covers_it_matches(one, other, told):
    """An entry that is said never to be reached is not: the earlier one matches whatever it would match."""
    if retry_rules.covers(one, other) and retry_rules.entry_matches(other, told):
        assert retry_rules.entry_matches(one, told)
    if retry_rules.catches_all(one):
        assert retry_rules.entry_matches(one, told)


LINTER = cases(DATA / "retry" / "linter.yaml")


def linted(entries, platform="EC2"):
    rest = {"onReason": "*", "action": "EXIT"}
    strategy = {"attempts": 3, "evaluateOnExit": [rest if entry == "*" else entry for entry in entries]}
    return [finding.message for finding in retry_strategy.check(("retryStrategy",), strategy, platform)]


def test_the_linter_finds_what_never_matches_and_nothing_else():
    wrong = [
        (row[0], linted(row[0], *row[2:])) for row in LINTER["found"] if not said(row[1], linted(row[0], *row[2:]))
    ]
    wrong += [(row[0], linted(*row)) for row in LINTER["silent"] if linted(*row)]

    assert wrong == []


def said(expected, found):
    return len(expected) == len(found) and all(part in message for part, message in zip(expected, found, strict=True))


REST = {"onReason": "*", "action": "EXIT"}
OWN = {"onExitCode": "75", "action": "RETRY"}


def expanded(**strategy):
    return KIND.expand({"retryStrategy": {"attempts": 5, **strategy}})["retryStrategy"]


def test_named_sets_become_plain_entries_after_the_definitions_own():
    spot, oom, images = (rule_sets.SETS[name] for name in ("spot-reclaim", "oom-fails", "image-pull-fails-fast"))

    assert expanded(use=["spot-reclaim", "oom-fails"]) == {"attempts": 5, "evaluateOnExit": [spot, oom]}
    assert expanded(use=["image-pull-fails-fast"], evaluateOnExit=[OWN, REST])["evaluateOnExit"] == [OWN, images, REST]
    assert expanded(use=["everything-else-fails", "oom-fails"])["evaluateOnExit"] == [oom, REST]
    assert expanded(use=[]) == {"attempts": 5}
    assert expanded(evaluateOnExit=[REST, OWN]) == {"attempts": 5, "evaluateOnExit": [REST, OWN]}
    places = KIND.declared_at({"retryStrategy": {"use": ["oom-fails"], "evaluateOnExit": [OWN, REST]}})
    at = ("retryStrategy", "evaluateOnExit")
    assert places[(*at, 1)] == places[(*at, 1, "onReason")] == ("retryStrategy", "use", 0)
    assert places[(*at, 2, "onReason")] == (*at, 1, "onReason")
    assert KIND.declared_at({"retryStrategy": {"evaluateOnExit": [REST, OWN]}}) == {}


def test_an_expression_is_no_name_of_a_set():
    strategy = expanded(use=[Template((Reference("jobDefinitions", "${jobDefinitions.a.name}"),)), "oom-fails"])
    found = [finding for finding in retry_strategy.check(("retryStrategy",), strategy) if not finding.warning]

    assert [(finding.path, finding.message) for finding in found] == [
        (("retryStrategy", "use", 0), "a set of retry rules is named by plain text")
    ]


def test_every_set_is_described_and_has_no_finding_of_its_own():
    members = registry.published("jobDefinitions")["properties"]["retryStrategy"]["properties"]
    schema = members["use"]
    assert schema["items"]["anyOf"][0]["enum"] == list(rule_sets.SETS)
    assert all(name in schema["description"] for name in rule_sets.SETS)
    for name, entry in rule_sets.SETS.items():
        platform = "FARGATE" if name in ("fargate-spot-reclaim", "network-interface-retries") else "EC2"
        assert linted([entry] if entry == REST else [entry, REST], platform) == [], name
