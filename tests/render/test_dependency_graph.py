"""`reconcile graph`: what depends on what, in every format, and what a saved plan changes in it; without AWS."""

from __future__ import annotations

import builtins
import json
import re
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.cli import main as cli
from reconciler.model import Address, Environment, Options, Plan, ResourcePlan, Scope, Verb
from reconciler.model.resources import Disruption
from reconciler.operations import saved_plan, shown_plan
from reconciler.operations.pipeline import Planned
from reconciler.render import json as as_json
from reconciler.render.dependency_graph.dot import dot
from reconciler.render.dependency_graph.graph import Direction, Graph, Node, NodeType, Use, around
from reconciler.render.dependency_graph.mermaid import mermaid
from reconciler.render.dependency_graph.svg import svg
from reconciler.render.dependency_graph.tree import tree
from reconciler.render.mask import Mask
from tests.support.long import LONG

Run = Callable[..., tuple[int, str, str]]
QUEUE = {"priority": 1, "computeEnvironmentOrder": [{"order": 1, "computeEnvironment": "theirs"}]}
GROUP = {"description": "d", "vpcId": "${lookups.vpc}"}
ENVIRONMENT: dict[str, Any] = {
    "environment": "prod",
    "region": "eu-west-1",
    "account": "123456789012",
    "lookups": {"vpc": {"vpc": {"default": True}}, "subnets": {"subnets": {"vpcId": "${lookups.vpc}"}}},
    "roles": {"end": {"trust": ["batch.amazonaws.com"]}, "fleet": {"trust": ["spotfleet.amazonaws.com"]}},
    "securityGroups": {
        one: {**GROUP, "ingress": [{"ipProtocol": "-1", "userIdGroupPairs": [{"groupId": other}]}]}
        for one, other in (("one", "two"), ("two", "one"))
    },
    "computeEnvironments": {
        "end": {
            "type": "MANAGED",
            # of a role that is declared here, by its ARN; of one that is not
            "serviceRole": "arn:aws:iam::123456789012:role/end",
            "computeResources": {
                "type": "EC2",
                "allocationStrategy": "BEST_FIT_PROGRESSIVE",
                "minvCpus": 0,
                "maxvCpus": 4,
                "instanceTypes": ["c5"],
                "subnets": "${lookups.subnets}",
                "securityGroupIds": ["one"],
                "instanceRole": "arn:aws:iam::${account}:instance-profile/nodes",
            },
        }
    },
    "jobQueues": {
        "q": {"priority": 1, "computeEnvironmentOrder": [{"order": 1, "computeEnvironment": "end"}]},
        "other": QUEUE,
    },
}
TREE = """\
jobQueues.other
└── computeEnvironments.theirs  (not declared here)
~ jobQueues.q  (update)
└── -/+ computeEnvironments.end  (replace, interrupts jobs)
    ├── arn:aws:iam::${account}:instance-profile/nodes  (not declared here)
    ├── lookups.subnets  (look-up)
    │   └── lookups.vpc  (look-up)
    ├── roles.end
    └── securityGroups.one
        ├── lookups.vpc  (look-up)
        └── securityGroups.two
            ├── lookups.vpc  (look-up)
            └── securityGroups.one (see above)
+ roles.fleet  (create)
- schedulingPolicies.old  (delete)
└── roles.end
"""


DIRECT = """\
computeEnvironments.end

depends on:
  ├── arn:aws:iam::${account}:instance-profile/nodes  (not declared here)
  ├── lookups.subnets  (look-up)
  ├── roles.end
  └── securityGroups.one

used by:
  └── jobQueues.q
"""
LOOKED_UP = """\
lookups.subnets  (look-up)

depends on:
  └── lookups.vpc  (look-up)

used by:
  └── computeEnvironments.end
      └── jobQueues.q
"""


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    def refused(*_: Any) -> None:
        raise AssertionError("AWS was asked")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(socket.socket, "connect", refused)
    (tmp_path / "prod.yaml").write_text(json.dumps(ENVIRONMENT), encoding="utf-8")

    def once(*argv: str) -> tuple[int, str, str]:
        codes: list[int] = []
        cli.main(["graph", *argv], leave=codes.append)
        return codes[0], *capsys.readouterr()

    return once


def planned(address: str, verb: Verb, *needs: str, **more: Any) -> ResourcePlan:
    first, *rest = (Address(*one.split(".")) for one in (address, *needs))
    return ResourcePlan(address=first, verb=verb, physical="", before={}, after={}, depends_on=tuple(rest), **more)


def save(path: Path, name: str = "prod") -> None:
    """A plan file that changes something of every kind."""
    plan = Plan(
        scope=Scope("123456789012", "eu-west-1", "aws", name),
        resources=(
            planned("jobQueues.q", Verb.UPDATE, "computeEnvironments.end"),
            planned(
                "computeEnvironments.end", Verb.REPLACE, "roles.end", create_first=False, disruption=Disruption("ends")
            ),
            planned("roles.end", Verb.NOOP),
            planned("roles.fleet", Verb.CREATE),
            planned("schedulingPolicies.old", Verb.DELETE, "roles.end"),
        ),
    )
    document = as_json.plan(plan, timestamp="2026-01-31T12:00:00Z", mask=Mask())
    result = Planned(env=Environment(name=name), plan=plan, mask=Mask())
    shown = shown_plan.to_save(shown_plan.planned(result, document=document, at=""))
    saved_plan.write(path, document, where=saved_plan.Place(name, "prod.yaml"), options=Options(), shown=shown)


def test_the_tree_of_an_environment_and_what_a_saved_plan_changes_in_it(run: Run, tmp_path: Path) -> None:
    save(tmp_path / "prod.plan")
    save(tmp_path / "test.plan", "test")

    assert run("--plan", "prod.plan") == (0, TREE, "")
    code, plain, _ = run("prod.yaml")
    gone = ("- schedulingPolicies.old  (delete)\n└── roles.end\n", "-/+ ", "~ ", "+ ")
    bare = re.sub(r"  \((update|create|replace, interrupts jobs)\)", "", TREE)
    for text in gone:
        bare = bare.replace(text, "")
    assert (code, plain) == (0, bare)
    turned = {
        name: dict(reversed(value.items())) if isinstance(value, dict) else value for name, value in ENVIRONMENT.items()
    }
    (tmp_path / "prod.yaml").write_text(json.dumps(dict(reversed(turned.items()))), encoding="utf-8")
    assert run("prod.yaml")[1] == bare

    (tmp_path / "prod.yaml").unlink()
    code, out, err = run("--plan", "prod.plan")
    assert code == 0 and "the environment of the plan is not found here" in err
    assert (
        "~ jobQueues.q  (update)\n└── -/+ computeEnvironments.end  (replace, interrupts jobs)\n    └── roles.end\n"
        in out
    )

    (tmp_path / "prod.yaml").write_text(json.dumps(ENVIRONMENT), encoding="utf-8")
    code, out, err = run("prod.yaml", "--plan", "test.plan")
    assert (code, out) == (1, "") and "the plan is for environment test, but the current one is prod" in err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["roles.end", "--direction", "dependencies"], "roles.end\n\ndepends on:\n  none\n"),
        (
            ["roles.end", "--direction", "dependents"],
            "roles.end\n\nused by:\n  └── computeEnvironments.end\n      └── jobQueues.q\n",
        ),
        (
            ["computeEnvironments.end", "--depth", "1"],
            DIRECT,
        ),
        (
            ["lookups.subnets"],
            LOOKED_UP,
        ),
    ],
)
def test_the_part_around_one_resource(run: Run, words: list[str], expected: str) -> None:
    assert run("prod.yaml", "--of", *words) == (0, expected, "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--of", "roles.ende"], 'did you mean "roles.end"?'),
        (["--of", "roles"], '"roles" is not an address'),
        (["--depth", "2"], "--depth needs --of ADDRESS"),
        (["--direction", "both"], "--direction needs --of ADDRESS"),
        (["--plan", "prod.yaml"], "is not a saved plan"),
        (["--format", "text"], "'text' is not one of 'tree', 'mermaid', 'dot', 'svg'"),
    ],
)
def test_what_is_refused(run: Run, words: list[str], said: str) -> None:
    code, out, err = run("prod.yaml", *words)
    assert (code, out) == (1, "") and said in err


def test_mermaid_dot_and_svg_say_in_words_and_by_borders_what_they_colour(run: Run, tmp_path: Path) -> None:
    save(tmp_path / "prod.plan")
    words = [word for form in ("mermaid", "dot", "svg") for word in ("--format", f"{form}=it.{form}")]
    assert run("--plan", "prod.plan", *words) == (0, "", "")
    made = {form: (tmp_path / f"it.{form}").read_text(encoding="utf-8") for form in ("mermaid", "dot", "svg")}

    lines = made["mermaid"].splitlines()
    assert lines[0] == "flowchart RL"
    assert any(line.endswith('["roles.fleet<br/>create (+)"]:::is-create') for line in lines)
    assert any("computeEnvironments.end<br/>replace (-/+), interrupts jobs" in line for line in lines)
    assert any(line.startswith("    classDef is-delete fill:") and "stroke-dasharray" in line for line in lines)
    assert sum("-.->" in line for line in lines) == 2  # security groups that name each other
    assert_mermaid(made["mermaid"])

    statements = [parts for line in made["dot"].splitlines()[4:-1] if (parts := STATEMENT.fullmatch(line))]
    assert len(statements) == len(made["dot"].splitlines()) - 5
    nodes = {found["start"]: found["attributes"] for found in statements if not found["end"]}
    edges = {(found["start"], found["end"]): found["attributes"] for found in statements if found["end"]}
    assert 'style="filled,dashed"' in nodes["schedulingPolicies.old"]
    assert r'label="roles.fleet\ncreate (+)"' in nodes["roles.fleet"]
    tooltip = 'tooltip="computeEnvironmentOrder[].computeEnvironment"'
    assert edges["jobQueues.q", "computeEnvironments.end"] == tooltip

    root = ET.fromstring(made["svg"])
    texts = ["".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"roles.fleet", "create (+)", "delete (-)", "replace (-/+), interrupts jobs", "look-up"} <= set(texts)
    assert len(list(root.iter("{http://www.w3.org/2000/svg}path"))) - 1 == len(edges)


def test_without_the_library_the_error_names_two_ways_out(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__
    missing = "graphlay"

    def importing(name: str, *rest: Any, **more: Any) -> Any:
        if name == missing:
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", importing)
    code, out, err = run("prod.yaml", "--format", "svg")

    assert (code, out) == (1, "")
    assert "error[missing-extra]: SVG needs the package graphlay" in err
    assert "pip install 'batch-reconcile[graph]', or draw it with Graphviz: --format dot | dot -Tsvg" in err


# --- any names at all ------------------------------------------------------------------------------------------------

NODE = re.compile(
    r'    n[0-9a-f]{10}(?:\[|\(\[|\[\[)"(?:[\w .,:/()\[\]@+=~-]|#\d+;|<br/>)*"(?:\]|\]\)|\]\])(?::::is-\w+)?'
)
EDGE = re.compile(r"    n[0-9a-f]{10} (?:-->|-\.->) n[0-9a-f]{10}")
OTHER = re.compile(r"flowchart RL|    %% .*|    classDef is-\w+ [\w:#,. -]+|    style n[0-9a-f]{10} font-weight:bold")
# one token of the language after another; nothing between them but blanks
DOT = re.compile(r'\s*(?:digraph|node|edge|"(?:[^"\\]|\\.)*"|->|[{}\[\],=]|\w+)')
STATEMENT = re.compile(r'  "(?P<start>[^"]*)"(?: -> "(?P<end>[^"]*)")?(?: \[(?P<attributes>.*)\])?')
ODD = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=12) | st.sampled_from(
    [
        "end",
        "graph",
        'a"b',
        "a\\",
        "#quot;",
        "- one",
        "1. one",
        "`x`",
        "<b>",
        "&lt;",
        "]]",
        "--> x",
        "名前",
        "%%",
        "]]>",
    ]
)


def assert_mermaid(text: str) -> None:
    """Every line is a node, an edge or a style, and no character in a label means anything to mermaid."""
    assert [line for line in text.splitlines() if not any(rule.fullmatch(line) for rule in (NODE, EDGE, OTHER))] == []


def of_names(names: list[str]) -> Graph:
    """The names in a circle, the first of them in the middle."""
    keys = sorted({str(Address("jobQueues", name)) for name in names})
    types = list(NodeType)
    nodes = {key: Node(key=key, type=types[at % 3]) for at, key in enumerate(keys)}
    uses = {key: (Use(keys[at - 1], ('a"\\',), at % 2 == 0),) for at, key in enumerate(keys) if keys[at - 1] != key}
    return around(Graph(title=names[0], nodes=nodes, uses=uses), keys[0], Direction.BOTH)


@settings(max_examples=60 if LONG else 25, deadline=None)
@given(st.lists(ODD, min_size=1, max_size=5))
def test_no_name_breaks_a_format(names: list[str]) -> None:
    graph = of_names(names)

    assert_mermaid(mermaid(graph))
    assert DOT.sub("", dot(graph)).strip() == ""
    assert len(tree(graph).splitlines()) >= len(graph.nodes)
    titles = [text.text or "" for text in ET.fromstring(svg(graph)).iter("{http://www.w3.org/2000/svg}title")]
    assert all(any(title.startswith(key) for title in titles) for key in graph.nodes)


def test_a_thousand_resources_and_a_long_chain_take_seconds() -> None:
    keys = [f"jobDefinitions.j{number:04}" for number in range(1000)]
    roles = [f"roles.r{number:02}" for number in range(30)]
    nodes = {key: Node(key=key) for key in keys + roles}
    wide = Graph(title="t", nodes=nodes, uses={key: (Use(roles[at % 30]),) for at, key in enumerate(keys)})
    deep = Graph(title="t", nodes=nodes, uses={keys[at]: (Use(keys[at + 1]),) for at in range(999)})
    start = time.process_time()

    assert svg(wide).count("<rect") == 1031
    assert tree(deep).count("└──") == 999
    assert len(around(deep, keys[0], Direction.DEPENDENCIES, 10).nodes) == 11
    assert time.process_time() - start < 10
