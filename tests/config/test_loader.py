"""Loading: files, layers, merging, variables, places, and bounds that hold."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.config import loader, variables
from reconciler.config.yaml import reader
from reconciler.model import Pos, Reference, Template
from reconciler.model.problems import Problems
from reconciler.render.provenance import provenance
from tests.support.effort import effort
from tests.support.long import LONG

SECTIONS = ("jobQueues", "roles", "secrets")


@pytest.fixture
def tree(tmp_path):
    """Writes files: ``tree({"environment.yaml": ...})`` gives the directory."""

    def write(files, root="env"):
        for name, text in files.items():
            path = tmp_path / root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path / root

    return write


def loaded(target, **environ):
    return loader.load(target, environ=environ, sections=SECTIONS)


def refused(target, **environ):
    """(code, place, message) of every problem."""
    with pytest.raises(Problems) as caught:
        loaded(target, **environ)
    return [(p.code, str(p.pos or ""), p.message) for p in caught.value.problems]


def values(env):
    return {f"{section}.{name}": r.value for section, below in env.sections.items() for name, r in below.items()}


# --- files -----------------------------------------------------------------------------------------------------------


def test_a_directory_is_read_with_its_subdirectories(tree):
    env = loaded(
        tree(
            {
                "environment.yaml": "environment: t\nroles: {a: {path: /a/}}\n",
                "batch.yaml": "jobQueues:\n  q: {priority: 1}\n",
                "jobs/more.yml": "jobQueues:\n  r: {priority: 2}\n",
                "README.md": "# not: [yaml",
                ".hidden/x.yaml": "not: [yaml",
                ".hidden.yaml": "not: [yaml",
                "files/data.yaml": "not: [yaml",
                "jobs/files/data.yaml": "not: [yaml",
            }
        )
    )

    assert values(env) == {"roles.a": {"path": "/a/"}, "jobQueues.q": {"priority": 1}, "jobQueues.r": {"priority": 2}}
    assert env.sections["jobQueues"]["r"].pos == {
        (): Pos("jobs/more.yml", 2, 3),
        ("priority",): Pos("jobs/more.yml", 2, 7),
    }


def test_one_file_is_an_environment_of_its_own(tree):
    root = tree({"one.yaml": "environment: t\nroles: {a: {}}\n", "other.yaml": "roles: {b: {}}\n"})

    assert values(loaded(root / "one.yaml")) == {"roles.a": {}}


def test_the_settings_file_stands_for_its_directory(tree):
    root = tree({"environment.yaml": "environment: t\n", "other.yaml": "roles: {b: {}}\n"})

    assert values(loaded(root / "environment.yaml")) == {"roles.b": {}}


def test_settings_elsewhere_are_refused(tree):
    root = tree({"environment.yaml": "environment: t\n", "b.yaml": "tags: {a: b}\nregion: x\n"})

    assert refused(root) == [
        ("misplaced-setting", "b.yaml:1:1", "tags: is only read from environment.yaml; move it there"),
        ("misplaced-setting", "b.yaml:2:1", "region: is only read from environment.yaml; move it there"),
    ]


def test_a_resource_in_two_files_names_both_places(tree):
    root = tree({"environment.yaml": "environment: t\n", "a.yaml": "roles:\n  x: {}\n", "b.yaml": "roles:\n  x: {}\n"})

    with pytest.raises(Problems, match=r"b\.yaml:2:3: error: roles.x: duplicate roles \"x\"\n +.*a\.yaml:2:3"):
        loaded(root)


def test_every_broken_file_is_told_at_once(tree):
    root = tree({"environment.yaml": "environment: [\n", "a.yaml": "a: b: c\n", "b.yaml": "- x\n"})

    assert [(code, place) for code, place, _ in refused(root)] == [
        ("yaml-syntax", "a.yaml:1:5"),
        ("wrong-type", "b.yaml:1:1"),
        ("yaml-syntax", "environment.yaml:2:1"),
    ]


def test_an_environment_without_resources_is_legal(tree):
    assert loaded(tree({"environment.yaml": "environment: t\n", "a.yaml": "", "b.yaml": "jobQueues:\n"})).sections == {}


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"other.yaml": "roles: {}\n"},
    ],
)
def test_a_directory_without_settings_is_no_environment(tree, files):
    root = tree({"README.md": "", **files})

    assert [code for code, _, _ in refused(root)] == ["no-environment"]


def test_two_settings_files_are_refused(tree):
    root = tree({"environment.yaml": "environment: t\n", "environment.yml": "environment: t\n"})

    assert [code for code, _, _ in refused(root)] == ["duplicate-settings"]


def test_an_environment_inside_another_is_refused(tree):
    root = tree({"environment.yaml": "environment: t\n", "sub/environment.yaml": "environment: u\n"})

    assert [(code, place) for code, place, _ in refused(root)] == [("nested-environment", "sub/environment.yaml:1:1")]


def test_a_base_below_the_environment_is_not_read_twice(tree):
    root = tree({"environment.yaml": "environment: t\nextends: base\n", "base/environment.yaml": "roles: {a: {}}\n"})

    assert values(loaded(root)) == {"roles.a": {}}


@pytest.mark.parametrize("name", ["link.yaml", "link"])
def test_links_that_lead_out_are_refused(tree, tmp_path, name):
    root = tree({"environment.yaml": "environment: t\n"})
    outside = tree({"a.yaml": "roles: {a: {}}\n"}, root="outside")
    (root / name).symlink_to(outside / "a.yaml" if name.endswith(".yaml") else outside)

    assert [code for code, _, _ in refused(root)] == ["outside-environment"]


def test_links_inside_are_followed_once(tree):
    root = tree({"environment.yaml": "environment: t\n", "..data/a.yaml": "roles: {a: {}}\n", "jobs/b.yaml": ""})
    (root / "a.yaml").symlink_to(root / "..data" / "a.yaml")
    (root / "again.yaml").symlink_to(root / "..data" / "a.yaml")
    (root / "jobs" / "up").symlink_to(root)

    assert values(loaded(root)) == {"roles.a": {}}


def test_a_link_to_nowhere_and_a_pipe_are_told(tree):
    root = tree({"environment.yaml": "environment: t\n"})
    (root / "a.yaml").symlink_to(root / "nowhere.yaml")
    os.mkfifo(root / "b.yaml")

    assert [(code, place) for code, place, _ in refused(root)] == [
        ("unreadable-file", "a.yaml:1:1"),
        ("unreadable-file", "b.yaml:1:1"),
    ]


# --- which environment -----------------------------------------------------------------------------------------------


def test_an_environment_is_found_by_directory_file_or_name(tree, tmp_path):
    production = tree({"environment.yaml": "environment: t\n"}, root="environments/production")
    tree({"one.yaml": ""}, root="environments")

    assert loader.find_environment("environments/production", tmp_path) == production
    assert loader.find_environment("production", tmp_path) == production
    assert loader.find_environment("environments/production/environment.yaml", tmp_path) == production
    assert loader.find_environment(None, tmp_path) == production
    assert loader.find_environment(None, production) == production
    assert loader.find_environment("one", tmp_path) == tmp_path / "environments" / "one.yaml"


@pytest.mark.parametrize(
    ("arg", "said"),
    [
        ("prodution", 'did you mean "production"?'),
        ("other", "under environments/ there are production, staging"),
        ("environments", "environments/production"),
        (None, "give one of production, staging"),
    ],
)
def test_what_is_not_found_is_told_with_what_there_is(tree, tmp_path, arg, said):
    tree({"environment.yaml": "environment: t\n"}, root="environments/production")
    tree({"environment.yaml": "environment: t\n"}, root="environments/staging")

    with pytest.raises(Problems) as caught:
        loader.find_environment(arg, tmp_path)

    assert said in caught.value.problems[0].hint


def test_problems_can_be_shown_as_seen_from_elsewhere(tree, tmp_path):
    root = tree({"environment.yaml": "environment: t\n", "jobs/a.yaml": "a: b: c\n"})

    with pytest.raises(Problems) as caught:
        loaded(root)

    (problem,) = loader.displayed_from(caught.value.problems, root, tmp_path)
    assert str(problem.pos) == "env/jobs/a.yaml:1:5"


def test_nowhere_at_all_leads_to_init(tmp_path):
    with pytest.raises(Problems, match="reconcile init"):
        loader.find_environment(None, tmp_path)


# --- layers ----------------------------------------------------------------------------------------------------------


def test_the_later_layer_patches_the_earlier(tree):
    tree(
        {
            "environment.yaml": "environment: base\nregion: eu-west-1\naccount: '123456789012'\n"
            "variables: {size: 1, team: x}\ntags: {a: base, b: base}\n",
            "r.yaml": "jobQueues:\n"
            '  q: {priority: "${var.size}", state: ENABLED, tags: {c: base}}\n'
            "  gone: {priority: 1}\n",
        },
        root="base",
    )
    root = tree(
        {
            "environment.yaml": "environment: t\nextends: ../base\naccount: null\n"
            "variables: {size: 5}\ntags: {b: null, d: own}\njobQueues: {gone: null, q: {state: null}}\n"
        }
    )

    env = loaded(root)

    assert (env.name, env.region, env.account) == ("t", "eu-west-1", None)
    assert env.variables == {"size": 5, "team": "x"}
    assert values(env) == {"jobQueues.q": {"tags": {"a": "base", "d": "own", "c": "base"}, "priority": 5}}
    assert env.sections["jobQueues"]["q"].pos["priority",] == Pos("../base/r.yaml", 2, 7)


def test_null_takes_away_what_a_default_gives(tree):
    root = tree(
        {
            "environment.yaml": "environment: t\ntags: {team: x}\n"
            "defaults: {jobQueues: {state: DISABLED, priority: 1, tags: {team: y}}}\n"
            "jobQueues: {a: {}, b: {state: null, tags: {team: null}}, c: {tags: null}}\n"
        }
    )

    assert values(loaded(root)) == {
        "jobQueues.a": {"state": "DISABLED", "priority": 1, "tags": {"team": "y"}},
        "jobQueues.b": {"priority": 1, "tags": {}},
        "jobQueues.c": {"state": "DISABLED", "priority": 1},
    }


def test_null_in_an_extending_layer_takes_away_a_default_too(tree):
    tree({"environment.yaml": "defaults: {jobQueues: {state: DISABLED}}\njobQueues: {q: {priority: 1}}\n"}, root="base")
    root = tree({"environment.yaml": "environment: t\nextends: ../base\njobQueues: {q: {state: null}}\n"})

    assert values(loaded(root)) == {"jobQueues.q": {"priority": 1}}


def test_several_bases_apply_in_order_and_a_common_one_once(tree):
    tree({"environment.yaml": "variables: {a: common, b: common}\n"}, root="common")
    tree({"environment.yaml": "extends: ../common\nvariables: {a: one}\n"}, root="one")
    tree({"environment.yaml": "extends: ../common\nvariables: {b: two}\n"}, root="two")
    tree({"extra.yaml": "variables: {c: extra}\n"}, root=".")
    root = tree({"environment.yaml": "environment: t\nextends: [../one, ../two, ../extra.yaml]\n"})

    assert loaded(root).variables == {"a": "one", "b": "two", "c": "extra"}


def test_extends_in_a_circle_is_told(tree):
    tree({"environment.yaml": "environment: b\nextends: ../env\n"}, root="b")
    root = tree({"environment.yaml": "environment: t\nextends: ../b\n"})

    assert refused(root) == [("extends-cycle", "../b/environment.yaml:2:1", "extends form a cycle: . -> ../b -> .")]


@pytest.mark.parametrize("value", [".", "../env", "[]x", "{a: b}", "3", "[3]", '"${var.x}"', "nowhere", "empty"])
def test_extends_must_lead_somewhere(tree, value):
    (tree({"environment.yaml": f"environment: t\nextends: {value}\n"}) / "empty").mkdir()

    assert len(refused(tree({}))) == 1


def test_null_that_removes_nothing_is_worth_a_warning(tree):
    env = loaded(tree({"environment.yaml": "environment: t\nroles:\n  a:\n    path:\n"}))

    assert [(p.code, str(p.pos), p.warning) for p in env.warnings] == [("idle-null", "environment.yaml:4:5", True)]


# --- YAML ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("True", True),
        ("TRUE", True),
        ("False", False),
        ("FALSE", False),
        ("tRUE", "tRUE"),
        ("true", True),
        ("false", False),
        ("12", 12),
        ("-3", -3),
        ("0", 0),
        ("012", "012"),
        ("0o14", "0o14"),
        ("0x1f", "0x1f"),
        ("1_000", "1_000"),
        ("+1", "+1"),
        ("1.5", 1.5),
        ("1.10", "1.10"),
        ("1e3", "1e3"),
        (".5", ".5"),
        (".inf", ".inf"),
        ("12:30:45", "12:30:45"),
        ("2024-01-01", "2024-01-01"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("'12'", "12"),
        ('"true"', "true"),
        ('"null"', "null"),
        ('"a\\u00e9\\ud83d\\ude00"', "aé😀"),
        ("=", "="),
        ("|\n      x\n      y\n", "x\ny\n"),
        (">-\n      x\n      y\n", "x y"),
    ],
)
def test_scalars_stay_what_they_look_like(tree, written, value):
    env = loaded(tree({"environment.yaml": f"environment: t\nroles:\n  a:\n    x: {written}\n"}))

    got = env.sections["roles"]["a"].value["x"]
    assert (got, type(got)) == (value, type(value))


SETTINGS = "region: '${var.r}'\nnonsense: 1\nlookups: {a: {vpc: {vpcId: '${file:none}'}}}\n"
RESOURCES = (
    "roles:\n  r: {description: 'x ${var.a}'}\n  s: 1\n  t: null\n"
    "  u: {inlinePolicies: {p: {Statement: [{Sid: '${file:none}'}]}}}\n"
)


@pytest.mark.parametrize(
    ("text", "places"),
    [
        (
            SETTINGS,
            {
                ("unknown-variable", "", "region"),
                ("unknown-section", "", "nonsense"),
                ("bad-file", "", "lookups.a.vpc.vpcId"),
            },
        ),
        (
            RESOURCES,
            {
                ("unknown-variable", "roles.r", "description"),
                ("wrong-type", "roles.s", ""),
                ("empty-resource", "roles.t", ""),
                ("bad-file", "roles.u", "inlinePolicies.p.Statement.0.Sid"),
            },
        ),
    ],
)
def test_errors_of_loading_have_an_address_and_a_path(tree, text, places):
    with pytest.raises(Problems) as error:
        loaded(tree({"environment.yaml": f"environment: t\n{text}"}))

    assert {(p.code, p.address, p.path) for p in error.value.problems} == places


@pytest.mark.parametrize("written", ["null", "Null", "NULL", "~", ""])
def test_every_word_for_null_removes(tree, written):
    env = loaded(
        tree({"environment.yaml": f"environment: t\ndefaults: {{roles: {{x: 1}}}}\nroles:\n  a:\n    x: {written}\n"})
    )

    assert "x" not in env.sections["roles"]["a"].value


@pytest.mark.parametrize("written", ["012", "0x1F", "0o14", "1e3", "1.10", "+1", ".5", "1."])
def test_what_other_readers_make_a_number_is_a_warning(tree, written):
    text = "environment: t\nroles:\n  a:\n    x: {0}\n    y: [a, {0}]\n    z: '{0}'\n    {0}: z\n"
    env = loaded(tree({"environment.yaml": text.format(written)}))

    assert [(p.code, str(p.pos)) for p in env.warnings] == [
        ("unquoted-number", "environment.yaml:4:5"),
        ("unquoted-number", "environment.yaml:5:12"),
    ]
    assert all(p.hint == f'write it in quotes: "{written}"' for p in env.warnings)


@pytest.mark.parametrize(
    "written", ["12", "0", "-3", "1.5", "123456789012345678901", "1.2.3", "2024-01-01", "no", "1-2"]
)
def test_what_loses_nothing_is_no_warning(tree, written):
    assert not loaded(tree({"environment.yaml": f"environment: t\nroles:\n  a:\n    x: {written}\n"})).warnings


def test_anchors_and_merge_keys_keep_the_place_they_came_from(tree):
    env = loaded(
        tree(
            {
                "environment.yaml": "environment: t\nroles:\n"
                "  a: &base\n    path: /a/\n    list: [x]\n"
                "  b:\n    <<: *base\n    path: /b/\n"
                "  c: *base\n"
                "  d: {<<: [{path: /d/}, *base]}\n"
            }
        )
    )

    b = env.sections["roles"]["b"]
    assert b.value == {"path": "/b/", "list": ["x"]}
    assert b.pos["list",] == Pos("environment.yaml", 5, 5)
    assert b.pos["list", 0] == Pos("environment.yaml", 5, 12)
    assert b.pos["path",] == Pos("environment.yaml", 8, 5)
    assert env.sections["roles"]["c"].pos[()] == Pos("environment.yaml", 9, 3)
    assert env.sections["roles"]["d"].value == {"path": "/d/", "list": ["x"]}


def test_crlf_and_a_byte_order_mark_do_not_matter(tree):
    env = loaded(tree({"environment.yaml": b"\xef\xbb\xbfenvironment: t\r\nroles:\r\n  a: {path: /x/}\r\n"}))

    assert env.sections["roles"]["a"].pos["path",] == Pos("environment.yaml", 3, 7)


@pytest.mark.parametrize(
    ("data", "code", "place"),
    [
        (b"environment: t\n# caf\xe9\n", "not-utf8", "2:6"),
        ("environment: t\n".encode("utf-16"), "not-utf8", "1:1"),
        (b"environment: t\n# \x00\n", "yaml-syntax", "2:3"),
        (b'environment: t\nroles: {a: {x: "\\ud800"}}\n', "yaml-syntax", "2:16"),
        (b'environment: t\nroles: {a: {x: "\\UFFFFFFFF"}}\n', "yaml-syntax", "1:1"),
        (b"[" * 100_000, "too-deep", "1:65"),
        (b"- " * 100_000, "too-deep", "1:129"),
        (b"x" * (reader.MAX_BYTES + 1), "too-large", "1:1"),
    ],
)
def test_what_is_no_text_or_too_much_of_it_is_refused(tree, data, code, place):
    assert [(c, p) for c, p, _ in refused(tree({"environment.yaml": data}))] == [(code, f"environment.yaml:{place}")]


def test_a_billion_laughs_are_refused_at_once(tree, monkeypatch):
    monkeypatch.setattr(reader, "fully", None)  # the slow parser need not find it again
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    root = tree({"environment.yaml": "environment: t\nvariables:\n  " + "\n  ".join(lines)})

    codes: list[str] = []
    work = effort(lambda: codes.extend(code for code, _, _ in refused(root)))

    assert codes == ["too-large"]
    assert work < 200_000


@pytest.mark.parametrize(
    "form", ["[{0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}]", "{0}{0}{0}{0}{0}{0}{0}{0}{0}{0}"]
)
def test_a_billion_laughs_by_variables_are_refused_too(tree, form):
    lines = ['a0: "xxxxxxxxxx"']
    lines += [
        f"a{n}: "
        + (form if form[0] == "[" else f'"{form}"').format(
            f'"${{var.a{n - 1}}}"' if form[0] == "[" else f"${{var.a{n - 1}}}"
        )
        for n in range(1, 14)
    ]
    root = tree({"environment.yaml": "environment: t\nvariables:\n  " + "\n  ".join(lines)})

    assert [code for code, _, _ in refused(root)] == ["too-large"]


def test_a_long_chain_and_a_deep_tower_of_variables_are_refused(tree):
    chain = "".join(f'  a{n}: "${{var.a{n + 1}}}"\n' for n in range(200))
    tower = "".join(f'  b{n}: [[[["${{var.b{n + 1}}}"]]]]\n' for n in range(60))

    assert refused(tree({"environment.yaml": f"environment: t\nvariables:\n{chain}  a200: x\n"}))[0][0] == "too-large"
    assert refused(tree({"environment.yaml": f"environment: t\nvariables:\n{tower}  b60: x\n"}))[0][0] == "too-deep"


def test_ten_times_the_environment_is_ten_times_the_work(tree):
    def work(queues: int) -> int:
        some = (f"{queues}-{number}" for number in range(queues))  # no line of which was read before
        declared = "".join(f'  q{n}:\n    priority: 1\n    tags: {{n: "{n}"}}\n' for n in some)
        root = tree({"environment.yaml": f"environment: t\njobQueues:\n{declared}"})
        return effort(lambda: found.append(len(loaded(root).sections["jobQueues"])))

    found: list[int] = []

    assert work(2000) < 12 * work(200)
    assert found == [2000, 200]


def test_a_text_that_repeats_counts_each_time(tree, monkeypatch):
    queues = "".join(f"  q{n}:\n    tags: {{a: 'x${{var.v}}'}}\n" for n in range(30))
    root = tree({"environment.yaml": f"environment: t\nvariables: {{v: {'y' * 99}}}\njobQueues:\n{queues}"})
    assert len(loaded(root).sections["jobQueues"]) == 30

    monkeypatch.setattr(variables, "MAX_TEXT", 2_500)  # of 3,000
    with pytest.raises(Problems):
        loaded(root)


PIECES = (
    *(
        "environment: t\n",
        "roles:\n",
        "  a:\n",
        "    x: ",
        "variables:\n",
        "  v: ",
        "tags: ",
        "extends: .",
        "lookups:\n",
    ),
    *(
        "- ",
        "{",
        "}",
        "[",
        "]",
        ": ",
        ",",
        "&a ",
        "*a",
        "<<: ",
        "|",
        ">",
        "? ",
        "!",
        "!!str ",
        "%",
        "---\n",
        "...\n",
        "#",
    ),
    *("'", '"', "\\", "\\u", "\\ud800", "\t", "\n", " ", "${", "${var.", "null", "é", "\u2028", "0" * 30),
    *("%YAML 1.1\n", "%TAG ! x\n"),
)
YAMLISH = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)


@settings(
    max_examples=300 if LONG else 30,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
)
@given(st.binary(max_size=60) | YAMLISH.map(str.encode))
def test_any_bytes_load_or_are_refused_with_a_place(tmp_path, data):
    (tmp_path / "environment.yaml").write_bytes(data)

    try:
        found = loaded(tmp_path).warnings
    except Problems as error:
        found = error.problems or pytest.fail("refused without a problem")

    assert all(problem.pos for problem in found)


# --- variables -------------------------------------------------------------------------------------------------------


def test_a_whole_expression_keeps_its_type_and_a_part_becomes_text(tree):
    env = loaded(
        tree(
            {
                "environment.yaml": "environment: t\n"
                "variables: {n: 3, yes: true, list: [a, b], m: {k: {deep: 1.5}}, again: '${var.list}', team: x}\n"
                "roles:\n  a:\n"
                "    n: ${var.n}\n    list: ${var.again}\n    deep: ${var.m.k.deep}\n    m: ${var.m}\n"
                '    text: "${var.team}-${var.n}-${var.yes}-${environment}"\n    literal: $${var.n}\n'
            }
        )
    )

    assert env.sections["roles"]["a"].value == {
        "n": 3,
        "list": ["a", "b"],
        "deep": 1.5,
        "m": {"k": {"deep": 1.5}},
        "text": "x-3-true-t",
        "literal": "${var.n}",
    }


def test_what_a_plan_must_fill_in_stays(tree):
    env = loaded(
        tree(
            {
                "environment.yaml": "environment: t\nvariables: {arn: 'arn:${partition}:x'}\n"
                'roles: {a: {x: "${var.arn}:${var.arn}", y: "${roles.b.arn}"}}\n'
            }
        )
    )

    partition = Reference("partition", "${partition}")
    a = env.sections["roles"]["a"].value
    assert a["x"] == Template(("arn:", partition, ":x:arn:", partition, ":x"))
    assert a["y"].whole.attr == "arn"


def test_contents_of_files_and_environment_variables_are_final(tree):
    env = loaded(
        tree(
            {
                "environment.yaml": 'environment: t\nroles: {a: {f: "${file:files/x}", e: "${env:E}", p: "<${env:E}>"}}\n',
                "files/x": "echo ${HOME} ${var.none}\n",
            }
        ),
        E="${var.none}",
    )

    assert env.sections["roles"]["a"].value == {
        "f": "echo ${HOME} ${var.none}\n",
        "e": "${var.none}",
        "p": "<${var.none}>",
    }


def test_a_file_of_a_base_is_looked_for_in_the_base(tree):
    tree({"environment.yaml": 'variables: {x: "${file:files/x}"}\n', "files/x": "base"}, root="base")
    root = tree(
        {"environment.yaml": "environment: t\nextends: ../base\nroles: {a: {x: '${var.x}'}}\n", "files/x": "own"}
    )

    assert loaded(root).sections["roles"]["a"].value["x"] == "base"


def test_files_reached_by_a_link_that_leads_out_are_refused(tree, tmp_path):
    root = tree({"environment.yaml": 'environment: t\nroles: {a: {x: "${file:files/x}"}}\n'})
    (root / "files").mkdir()
    (tmp_path / "secret").write_text("x")
    (root / "files" / "x").symlink_to(tmp_path / "secret")

    assert [code for code, _, _ in refused(root)] == ["outside-environment"]


@pytest.mark.parametrize(
    ("name", "data"), [("big", b"x" * (1024 * 1024 + 1)), ("binary", b"\xff\xfe\x00"), ("dir/x", b"")]
)
def test_files_that_are_no_reasonable_text_are_refused(tree, name, data):
    root = tree(
        {"environment.yaml": f'environment: t\nroles: {{a: {{x: "${{file:{name.split("/")[0]}}}"}}}}\n', name: data}
    )

    assert [(code, place) for code, place, _ in refused(root)] == [("bad-file", "environment.yaml:2:13")]


def test_yaml_that_is_read_as_part_of_the_environment_cannot_be_a_files_content(tree):
    root = tree(
        {"environment.yaml": 'environment: t\nroles: {a: {x: "${file:b.yaml}"}}\n', "b.yaml": "roles: {b: {}}\n"}
    )

    assert [code for code, _, _ in refused(root)] == ["bad-file"]


def test_an_environment_variable_that_is_not_set_is_a_warning_and_stays_open(tree):
    env = loaded(tree({"environment.yaml": 'environment: t\nregion: "${env:R}"\nroles: {a: {x: "${env:NOPE}"}}\n'}))

    assert [(p.code, p.warning, str(p.pos)) for p in env.unset] == [
        ("unset-variable", True, "environment.yaml:2:1"),
        ("unset-variable", True, "environment.yaml:3:13"),
    ]
    assert env.sections["roles"]["a"].value["x"] == Template((Reference("env", "${env:NOPE}", attr="NOPE"),))
    assert env.region is None


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("DCV_PASSWORD", True),
        ("splunk_token", True),
        ("AWS_SECRET_ACCESS_KEY", True),
        ("API_KEY", True),
        ("DBPASSWORD", True),
        ("DB_PASS", True),
        ("PWD", False),
        ("SSH_PUBLIC_KEY", False),
        ("KEY_NAME", False),
        ("COMPASS", False),
        ("TEAM", False),
    ],
)
def test_values_are_sensitive_when_their_names_look_secret(tree, name, secret):
    env = loaded(
        tree(
            {
                "environment.yaml": f'environment: t\nvariables: {{v: "${{env:{name}}}"}}\nroles: {{a: {{x: "${{var.v}}"}}}}\n'
            }
        ),
        **{name: "hush"},
    )

    assert env.sensitive == (frozenset({"hush"}) if secret else frozenset())
    assert env.sections["roles"]["a"].env == {("x",): frozenset({name})}


def test_a_sensitive_value_is_in_no_message(tree):
    root = tree({"environment.yaml": 'environment: t\nregion: "${env:TOKEN}"\n'})

    with pytest.raises(Problems) as caught:
        loaded(root, TOKEN="hunter2")

    assert "hunter2" not in str(caught.value)


def test_the_settings_come_out_as_values(tree):
    env = loaded(
        tree(
            {
                "environment.yaml": "environment: t\nregion: eu-west-1\naccount: '123456789012'\nprofile: p\n"
                "roleArn: arn:aws:iam::123456789012:role/x\nexternalId: abc\nignoreTags: ['aws-auto:*']\n"
                "tags: {a: '${account}'}\n"
                "lookups:\n  v: {vpc: {default: true}}\n  s: {subnets: {vpcId: '${lookups.v}'}}\n"
            }
        )
    )

    assert (env.region, env.account, env.profile) == ("eu-west-1", "123456789012", "p")
    assert env.role == {"roleArn": "arn:aws:iam::123456789012:role/x", "externalId": "abc"}
    assert env.ignore_tags == ("aws-auto:*",)
    assert env.lookups["v"].kind == "vpc"
    assert env.lookups["v"].args == {"default": True}
    assert env.lookups["s"].pos == Pos("environment.yaml", 11, 3)
    assert env.tags["a"].whole.root == "account"


def test_only_plain_python_comes_out(tree):
    text = "environment: t\nroles:\n  a: {s: 'x', i: 1, f: 1.5, l: [a], m: {k: v}, b: true}\n  b:\n    t: |\n      x\n"
    env = loaded(tree({"environment.yaml": text}))

    def types(value):
        yield type(value)
        for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            yield from types(item)

    assert {kind for role in env.sections["roles"].values() for kind in types(role.value)} == {
        dict,
        list,
        str,
        int,
        float,
        bool,
    }


# --- provenance ------------------------------------------------------------------------------------------------------


def test_provenance_shows_the_merged_environment_and_where_it_came_from(tree):
    tree({"environment.yaml": "tags: {team: x}\njobQueues: {q: {priority: 1}}\n"}, root="base")
    root = tree(
        {
            "environment.yaml": "environment: t\nextends: ../base\n"
            "jobQueues: {q: {priority: 2, list: [{a: 'b: c'}]}}\n"
            'secrets: {s: {value: "${env:P}", note: "-${env:PASSWORD}-", empty: {}}}\n'
        }
    )

    text = provenance(
        loaded(root, P="open", PASSWORD="hidden"),
        secret=lambda section, path: (section, path) == ("secrets", ("value",)),
    )

    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "team: x # ../base/environment.yaml:1" in lines
    assert "priority: 2 # environment.yaml:3" in lines
    assert 'a: "b: c" # environment.yaml:3' in lines
    assert "value: (sensitive) # environment.yaml:4" in lines
    assert "note: (sensitive) # environment.yaml:4" in lines
    assert "open" not in text
    assert "hidden" not in text


def test_provenance_is_yaml_that_means_the_same(tree):
    root = tree(
        {
            "environment.yaml": "environment: t\nroles:\n"
            "  a: {x: 'yes: no', y: '$${z}', e: {}, l: [], n: [[1, 2], {b: true}], t: \"1.5\", q: 'a\"b', \"k k\": 'null'}\n"
        }
    )
    first = loaded(root)
    again = tree({"environment.yaml": provenance(first, secret=lambda *_: False)}, root="again")

    assert values(loaded(again)) == values(first)


def test_the_example_environments_load(request):
    root = Path(request.config.rootpath) / "environments"

    names = [loader.load(path, environ={}).name for path in sorted(root.iterdir()) if path.is_dir()]

    assert {"custom-logging", "dcv-desktop", "retry-strategies"} <= set(names)


@pytest.mark.parametrize(
    ("environ", "value"), [({}, "app:a:-b 1"), ({"TAG": ""}, "app:a:-b 1"), ({"TAG": "x"}, "app:x 1")]
)
def test_an_environment_variable_may_have_a_default(tree, environ, value):
    """As in shells: where it is not set, or is empty. The default is text in the file, not of the environment."""
    root = tree({"e.yaml": "environment: t\nroles: {a: {x: 'app:${env:TAG:-a:-b} 1', y: '${env:NO:-}'}}\n"})
    env = loaded(root / "e.yaml", **environ)

    assert values(env)["roles.a"] == {"x": value, "y": ""} and env.unset == ()
    assert env.sections["roles"]["a"].env == ({("x",): {"TAG"}} if environ.get("TAG") else {})


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ('">=0.0.1"', None),
        ('">=0.0.1,<1000"', None),
        ("~=1000.2", "the environment requires reconcile ~=1000.2, but this is"),
        ("'<0.0.1'", "the environment requires reconcile <0.0.1, but this is"),
        ("1.10", '"1.10" is not a version specifier'),
        ("newest", '"newest" is not a version specifier'),
    ],
)
def test_another_version_is_refused(tree, written, told):
    """Before anything else is told: a newer version's settings and sections are unknown to this one."""
    body = f"requiredVersion: {written}\n"
    root = tree({"environment.yaml": f"environment: t\nextends: [../base]\n{body}newer: {{x: {{}}}}\n"})
    tree({"environment.yaml": "requiredVersion: '>=1'\nroles: {a: {}}\n"}, "base")

    ((code, place, message),) = refused(root)

    if told is None:
        assert (code, message) == ("unknown-section", 'unknown section "newer"')
    else:
        assert message.startswith(told) and place == "environment.yaml:3:1"
        assert code == ("other-version" if "requires" in told else "invalid-value")


def test_the_version_that_a_base_requires(tree):
    tree({"environment.yaml": "requiredVersion: '>=1000'\nroles: {a: {}}\n"}, "base")

    assert refused(tree({"environment.yaml": "environment: t\nextends: ../base\n"}))[0][:2] == (
        "other-version",
        "../base/environment.yaml:1:1",
    )
