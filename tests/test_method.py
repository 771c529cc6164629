"""One setting has one label, and the label reads back as the setting. Command lines and tables rely on it."""

from __future__ import annotations

import itertools
import random
import string
from functools import partial

import pytest

from rmsuite.errors import PluginError, UnknownNameError
from rmsuite.method import Configured, Method, configure, parse, spell

SIMPLE = [None, True, False, 0, 1, -3, 10**30, 0.1, 1.0, -0.0, 1e-300, 1e22, float("inf"), 1 + 2j, b"raw", b"a,b]"]
STRINGS = ["uwo", "3", "1e3", "1_000", "0777", "None", "True", "nan", "inf", "", " ", "a b", " a", "é", "a|b", "x:y"]
AWKWARD = [",", "a,b", "=", "a=b", "[", "]", "][", "(", ")", "{[]:1}", "'", '"', "it's", "'\"", "\\", "\\'", "\n", "#"]
NESTED = [(), (1,), ((1, 2), (3, 4)), [[1, [2]], {"a": (1,)}], {"k": "],"}, {1}, ("a, b", ["'"]), [None, "x=[1"]]
VALUES = [*SIMPLE, *STRINGS, *AWKWARD, *NESTED]


def same(one, other):
    """Equal in type and value, at every depth."""
    return one == other and repr(one) == repr(other)


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_spelled_value_reads_back_with_its_type(value):
    assert same(parse(spell("mine", {"x": value})), ("mine", {"x": value}))


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_does_not_run_into_its_neighbours(value):
    parameters = {"a": value, "b": 1, "c": value}
    assert same(parse(spell("mine", parameters)), ("mine", parameters))


def test_random_strings_read_back():
    draw = random.Random(0)
    alphabet = string.printable + "éÅ\N{SNOWMAN}" + ",'\"[](){}=\\" * 5
    for length in range(1, 500):
        parameters = {"a": "".join(draw.choices(alphabet, k=length % 9 + 1)), "b": 1}
        assert same(parse(spell("mine", parameters)), ("mine", parameters))


def test_the_order_of_parameters_and_blanks_do_not_change_the_label():
    for order in itertools.permutations(["a=1", "b = 'x y'", " c=(2, 3)"]):
        assert spell(*parse(f" mine [{','.join(order)},] ")) == "mine[a=1,b='x y',c=(2, 3)]"


@pytest.mark.parametrize("value", ["uwo", "bt-2", "a.b/c", "1.2.3"])
def test_a_plain_string_needs_no_quotes(value):
    assert spell("mine", {"x": value}) == f"mine[x={value}]"
    assert parse(f"mine[x='{value}']") == parse(f"mine[x={value}]") == ("mine", {"x": value})


BROKEN = ["", "[", "mine[", "mine]", "mine[a=1", "mine a", "mine[a]", "mine[=1]", "mine[a=1,b]", "mine[a=(1]"]
BROKEN += ["mine[a=1]]", "mine[a=1][b=2]", "mine[a=1]x", "[a=1]", "mine[a=1,a=2]", "mine[a=)(]", "a b[c=1]"]


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_specification_is_refused_with_an_example(text):
    with pytest.raises(UnknownNameError) as error:
        parse(text)
    assert error.value.got == repr(text)
    assert "'mine[hidden=128]'" in error.value.do


@pytest.mark.parametrize(
    "text", ["mine[a=1", "mine[a={[]: 1}]", "mine[a=" + "(" * 1000 + ")" * 1000 + "]", "mine[a=1\0]"]
)
def test_nothing_that_is_typed_raises_anything_but_the_four_part_error(text):
    try:
        name, parameters = parse(text)
    except UnknownNameError:
        return
    assert (name, list(parameters)) == ("mine", ["a"])


def make(rate=0.5, hidden=16, rule="mean", sizes=(1, 2), early=True, seed=None):
    return rate, hidden, rule, sizes, early, seed


MINE = Method(name="mine", make=make)


def test_a_method_states_its_parameters_and_defaults():
    assert MINE.defaults() == {"rate": 0.5, "hidden": 16, "rule": "mean", "sizes": (1, 2), "early": True, "seed": None}
    assert Method(name="mine", make=lambda needed, *more, option=1, **others: 0).defaults() == {
        "needed": ...,
        "option": 1,
    }
    assert Method(name="mine", make=dict).defaults() == {}
    assert Method(name="mine", make=partial(make, hidden=3)).defaults()["hidden"] == 3


@pytest.mark.parametrize("text", ["rate=0.5", "hidden=16", "rule=mean", "rule='mean'", "sizes=(1,2)", "seed=None", ""])
def test_a_parameter_at_its_default_gives_the_bare_label(text):
    assert configure(MINE, parse(f"mine[{text}]")[1]).label == "mine"


@pytest.mark.parametrize(
    ("text", "label"),
    [("rate=1", "mine[rate=1.0]"), ("rate=1.0", "mine[rate=1.0]"), ("hidden=16.0", "mine[hidden=16.0]")],
)
def test_a_whole_number_for_a_real_one_is_the_same_setting(text, label):
    assert configure(MINE, parse(f"mine[{text}]")[1]).label == label


@pytest.mark.parametrize("text", ["early=1", "hidden='16'", "sizes=[1,2]", "seed=0"])
def test_a_value_of_another_type_is_another_setting(text):
    assert configure(MINE, parse(f"mine[{text}]")[1]).label == f"mine[{text}]".replace("[1,2]", "[1, 2]")


def test_make_receives_what_was_asked_for_and_a_label_leads_back_to_it():
    configured = configure(MINE, {"rule": "a, b", "hidden": 16, "rate": 2})
    assert configured.make() == (2.0, 16, "a, b", (1, 2), True, None)
    assert configure(MINE, parse(configured.label)[1]) == configured
    assert Configured(MINE).label == "mine"


def test_an_unknown_parameter_lists_the_known_and_the_nearest():
    with pytest.raises(UnknownNameError) as error:
        configure(MINE, {"hiden": 3})
    assert str(error.value) == (
        "parameter of method 'mine', 'hiden': expected one of early, hidden, rate, rule, seed, sizes, "
        "got 'hiden' (nearest is 'hidden'). Do: see `rmsuite info mine`."
    )


@pytest.mark.parametrize("name", ["", "Mine", "my method", "mine_2", "-mine", "mine\n", "mine[1]", "é", None, 3])
def test_a_name_that_cannot_be_typed_is_refused(name):
    with pytest.raises(PluginError, match="lower-case letters, digits and hyphens"):
        Method(name=name, make=make)


@pytest.mark.parametrize("not_callable", [None, "mine", object()])
def test_a_make_that_cannot_be_called_is_refused(not_callable):
    with pytest.raises(PluginError, match="give the class itself"):
        Method(name="mine", make=not_callable)


# Methods that are built over methods


@pytest.mark.parametrize(
    "inner",
    [
        "bt[hidden=64]",
        "bt[sizes=(2, 3),rule=uwo]",
        "outer[base='bt[hidden=64]',n=2]",
        "outer[base=outer[base=bt[n=1]]]",
    ],
)
@pytest.mark.parametrize("typed", [str, repr], ids=["bare", "quoted"])
def test_a_method_within_a_method_reads_back(inner, typed):
    """Ensembles are typed so, with quotes or without, and tables spell them."""
    text = f"outer[base={typed(inner)},members=5]"
    expected = ("outer", {"base": inner, "members": 5})
    assert parse(text) == expected
    assert parse(spell(*expected)) == expected
    assert parse(parse(spell(*expected))[1]["base"]) == parse(inner)


def test_typed_with_quotes_or_without_it_is_one_setting():
    nested = Method(name="outer", make=lambda base="bt", members=3: (base, members))
    labels = {
        configure(nested, parse(f"outer[base={text}]")[1]).label for text in ("bt[n=1]", "'bt[n=1]'", '"bt[n=1]"')
    }
    assert labels == {"outer[base='bt[n=1]']"}


def test_nests_of_any_depth_read_back():
    text = "bt[hidden=64]"
    for depth in range(6):
        outer = spell("outer", {"base": text, "depth": depth})
        assert parse(outer) == ("outer", {"base": text, "depth": depth})
        text = outer


def over(base):
    """A method whose object is its base's, inside a tuple."""
    return Method(name=f"over-{base}", make=lambda depth=0: ("over", METHODS[base].make()))


METHODS = {"bt": Configured(Method(name="bt", make=lambda: "model"))}
METHODS |= {"twice": Configured(over("bt")), "one": Configured(over("other")), "other": Configured(over("one"))}


def test_a_method_over_itself_is_refused_and_the_circle_is_shown():
    """Without that it would be made until the stack is full."""
    with pytest.raises(PluginError, match="got over-other over over-one over over-other"):
        METHODS["one"].make()
    with pytest.raises(PluginError):
        METHODS["one"].make()  # as before: a refusal leaves nothing behind


def test_methods_over_other_methods_are_made():
    assert METHODS["twice"].make() == ("over", "model")
    assert METHODS["twice"].make() == ("over", "model")
    nested = Method(name="nested", make=lambda depth=3: depth and configure(nested, {"depth": depth - 1}).make())
    assert Configured(nested).make() == 0
