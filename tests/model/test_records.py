"""``reconciler.model.records.dataclass`` is the standard library's ``dataclass``, made later."""

import copy
import dataclasses
import inspect
import itertools
import pickle
import re
import sys
from dataclasses import FrozenInstanceError, field, replace

import pytest

from reconciler.model import records
from reconciler.model.values import Pos

OPTIONS = [
    {"frozen": frozen, "slots": slots, "kw_only": kw_only, "eq": eq, "order": order}
    for frozen, slots, kw_only, (eq, order) in itertools.product(
        (True, False), (True, False), (True, False), ((True, True), (True, False), (False, False))
    )
]
MADE = {}  # the classes that pickle finds by their name


def made(decorate, **options):
    class One:
        """Of everything that a field can be."""

        a: int
        b: list[int] = field(default_factory=list, compare=False)
        c: str = field(default="c", repr=False, hash=False)
        d: int = field(default=4, init=False)
        e: tuple[int, ...] = field(init=False)
        f: int = field(default=6, kw_only=True)

        def __post_init__(self):
            object.__setattr__(self, "e", (self.a, *self.b))

    One.__qualname__ = One.__name__ = f"Made{len(MADE)}"
    found = decorate(**options)(One)
    setattr(sys.modules[__name__], found.__name__, found)
    MADE[found.__name__] = found
    return found


def told(cls):
    """All that can be told of a class and its instances, without its name."""
    one, same, other = cls(a=1, b=[2]), cls(a=1, b=[2]), cls(a=1, b=[3], c="d", f=7)

    def outcome(of):
        try:
            return repr(of()).replace(cls.__name__, "One")
        except (TypeError, AttributeError, ValueError) as error:
            return type(error).__name__, isinstance(error, FrozenInstanceError) and str(error)

    return (
        re.sub("<(object object at 0x[0-9a-f]+|factory)>", "factory", str(inspect.signature(cls))).replace(
            "-> None", ""
        ),
        [(f.name, f.type, f.kw_only, f.init, f.compare) for f in dataclasses.fields(cls)],
        cls.__match_args__,
        cls.__hash__ is None,
        cls.__doc__,
        cls.__init__.__qualname__.rsplit(".", 1)[-1],
        [outcome(lambda of=of: of) for of in (one, other, dataclasses.asdict(one))],
        [one == same, one == other, one != other, one == 1, one.__eq__(1) is NotImplemented],
        outcome(lambda: (one < other, one <= same, one > other, one >= other)),
        outcome(lambda: one < 1),
        outcome(lambda: hash(one) == hash(same)),
        outcome(lambda: hash(one) == hash(other)),
        outcome(lambda: setattr(one, "a", 5)),
        outcome(lambda: delattr(one, "c")),
        isinstance(outcome(lambda: setattr(same, "z", 5)), str),  # a TypeError of frozen slots in the standard library
        outcome(lambda: replace(other, a=9)),
        outcome(lambda: replace(other, d=9)),
        outcome(lambda: copy.copy(other)),
        outcome(lambda: copy.deepcopy(other)),
        outcome(lambda: pickle.loads(pickle.dumps(other))),
        outcome(cls),
        outcome(lambda: cls(1, [], "c", 4, 5)),
        outcome(lambda: cls(a=1).b is not cls(a=1).b),
    )


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: " ".join(name for name in options if options[name]))
def test_it_is_as_the_standard_library_s(options):
    ours, theirs = told(made(records._dataclass, **options)), told(made(dataclasses.dataclass, **options))

    assert ours == theirs


def test_what_a_class_says_itself_stays():
    def own(decorate):
        @decorate(frozen=True, slots=True)
        class One:  # noqa: PLW1641
            """One."""

            a: int

            def __repr__(self):
                return "mine"

            def __eq__(self, other):
                return True

        return repr(One(1)), One(1) == 2, hash(One(1)) == hash((1,))

    assert own(records._dataclass) == own(dataclasses.dataclass) == ("mine", True, True)


def test_a_class_without_fields_and_one_derived_from_another():
    def of(decorate):
        @decorate(frozen=True, slots=True)
        class Base:
            """A base."""

            a: int = 1

        @decorate(frozen=True, slots=True)
        class Derived(Base):
            """Derived."""

            b: int = 2

        @decorate
        class Empty:
            """Empty."""

        class Plain(Derived):
            """Takes the methods of what it is derived from."""

        return (
            [repr(one).rpartition(".")[2] for one in (Derived(3, 4), Empty(), Plain(5))],
            [
                Base() == Derived(),
                Derived() == Derived(1),
                Empty() == Empty(),
                Plain() == Derived(),
                Plain() == Plain(),
            ],
            len({Derived(), Derived(1, 2), Base()}),
        )

    assert of(records._dataclass) == of(dataclasses.dataclass)


def test_a_method_is_written_once_and_when_it_is_looked_up():
    @records._dataclass(frozen=True)
    class One:
        """One."""

        a: int

    assert type(vars(One)["__init__"]) is type(vars(One)["__eq__"]) is records._WhenAsked
    One(1)
    assert inspect.isfunction(vars(One)["__init__"])
    assert type(vars(One)["__eq__"]) is records._WhenAsked
    assert One(1) == One(1)
    assert inspect.isfunction(vars(One)["__eq__"])


def test_the_model_is_made_of_them():
    assert sorted([Pos("b", 1, 1), Pos("a", 2, 1)]) == [Pos("a", 2, 1), Pos("b", 1, 1)]
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'line'"):
        Pos("a", 1, 1).line = 2
