"""What is declared for later: imports (``when_used``) and regular expressions (``regex``)."""

import builtins
import importlib
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import reconciler
from reconciler.model import patterns
from reconciler.model.patterns import regex
from reconciler.model.when_used import StandIn, when_used

SOURCES = Path(reconciler.__file__).parent


def modules_with(text):
    """The modules of the tool in whose source ``text`` is, imported; not those of the sandbox, which takes seconds."""
    files = (
        file
        for file in sorted(SOURCES.rglob("*.py"))
        if file.relative_to(SOURCES).parts[0] != "sandbox" and text in file.read_text(encoding="utf-8")
    )
    names = (".".join(file.relative_to(SOURCES.parent).with_suffix("").parts) for file in files)
    return [importlib.import_module(name.removesuffix(".__init__")) for name in names]


@pytest.fixture
def lamps(tmp_path, monkeypatch):
    """A package that says when it is imported."""
    package = tmp_path / "lamps"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "bulb.py").write_text(
        "WATTS = 40\nclass Bulb:\n    on = 1\nBULB = Bulb()\ndef light(n, *, to):\n    return n, to\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield lambda: [name for name in sys.modules if name.startswith("lamps")]
    for name in [name for name in sys.modules if name.startswith("lamps")]:
        del sys.modules[name]


def test_what_is_imported_when_used_is_imported_by_a_call_or_an_attribute(lamps):
    within = {"__name__": "within", "__package__": "", "when_used": when_used}
    exec(
        "with when_used():\n from lamps import bulb\n from lamps.bulb import light as shine, BULB\n from lamps.bulb import NONE",
        within,
    )
    assert lamps() == []
    assert repr(within["shine"]) == "<lamps.bulb.light, when used>"

    assert within["shine"](2, to=3) == (2, 3)
    assert lamps() == ["lamps", "lamps.bulb"]
    assert (within["bulb"].WATTS, within["BULB"].on) == (40, 1)
    with pytest.raises(ImportError):
        within["NONE"]()
    with pytest.raises(AttributeError):
        _ = within["BULB"].off


def test_only_the_module_that_asks_is_served_and_imports_are_ordinary_afterwards(lamps):
    ordinary = builtins.__import__
    within = {"__name__": "within", "__package__": "", "when_used": when_used}
    elsewhere = {"__name__": "elsewhere"}
    within["other"] = lambda: exec("from lamps.bulb import light", elsewhere)
    exec("with when_used():\n other()\n import lamps", within)

    assert elsewhere["light"](1, to=2) == (1, 2)
    assert within["lamps"].bulb.WATTS == 40
    assert builtins.__import__ is ordinary
    with pytest.raises(ZeroDivisionError):
        exec("with when_used():\n 1 / 0", within)
    assert builtins.__import__ is ordinary


def test_a_pattern_is_compiled_once_and_is_as_python_s():
    for given, flags in (("(?P<a>x+)|y", re.IGNORECASE), (rb"\d", 0)):
        ours, theirs = regex(given, flags), re.compile(given, flags)
        assert type(ours) is patterns._Declared
        text = "aXXy" if isinstance(given, str) else b"a1"
        assert ours.search(text).span() == theirs.search(text).span()
        assert type(ours) is patterns._Compiled
        assert (ours.pattern, ours.flags, ours.groupindex) == (theirs.pattern, theirs.flags, theirs.groupindex)
        assert ours.sub(text[:1], text) == theirs.sub(text[:1], text)
    with pytest.raises(AttributeError):
        _ = regex("a").nothing
    with ThreadPoolExecutor(4) as pool:
        for _ in range(20):
            one = regex("[a-z]+")
            assert all(pool.map(lambda text, one=one: one.fullmatch(text), ["a", "b", "c", "d"]))


def test_every_pattern_of_the_tool_compiles():
    found = 0
    for module in modules_with("regex("):
        values = list(vars(module).values())
        for value in values + [one for some in values if isinstance(some, tuple) for one in some]:
            if isinstance(value, patterns._Compiled):
                assert value.pattern is not None, module
                found += 1
    assert found > 150


def test_everything_that_is_imported_when_used_can_be():
    late = [
        value
        for module in modules_with("with when_used():")
        for value in vars(module).values()
        if isinstance(value, StandIn)
    ]
    assert len(late) > 10
    for value in late:
        assert value._it is not None, value


def test_relative_imports_are_of_the_package(lamps):
    within = {"__name__": "lamps.within", "__package__": "lamps", "when_used": when_used}
    exec("with when_used():\n from . import bulb\n from .bulb import light", within)

    assert (within["bulb"].WATTS, within["light"](1, to=2)) == (40, (1, 2))


def test_only_the_module_that_asks_gets_stand_ins(lamps):
    """Another thread may be importing at that moment."""
    elsewhere = {"__name__": "elsewhere", "__package__": ""}
    within = {
        "__name__": "within",
        "__package__": "",
        "when_used": when_used,
        "meanwhile": lambda: exec("from lamps.bulb import WATTS", elsewhere),
    }
    exec("with when_used():\n meanwhile()\n from lamps.bulb import BULB", within)
    assert elsewhere["WATTS"] == 40
    assert isinstance(within["BULB"], StandIn)
