"""An error says who, what was expected, what came and what to do, and survives a process border. Users rely on it."""

from __future__ import annotations

import ast
import copy
import inspect
import pickle
from pathlib import Path

import cloudpickle
import pytest

import rmsuite
from rmsuite import errors
from rmsuite.errors import NotApplicable, RmsuiteError, unknown_name

KINDS = [
    kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__
]  # those that this module defines
FOUR_PARTS = [kind for kind in KINDS if issubclass(kind, RmsuiteError)]
PARTS = {"who": "reward of 'mine'", "expected": "shape (3,)", "got": "shape (3, 1)", "do": "return (3,)"}
SOURCES = sorted(Path(rmsuite.__file__).parent.rglob("*.py"))


def test_every_error_but_the_refusal_has_the_four_parts():
    assert [kind for kind in KINDS if kind not in FOUR_PARTS] == [NotApplicable]
    assert not issubclass(NotApplicable, RmsuiteError)
    assert len(FOUR_PARTS) > 5


@pytest.mark.parametrize("kind", FOUR_PARTS)
def test_the_text_is_one_sentence_of_the_four_parts(kind):
    assert str(kind(**PARTS)) == "reward of 'mine': expected shape (3,), got shape (3, 1). Do: return (3,)."


@pytest.mark.parametrize("kind", FOUR_PARTS)
@pytest.mark.parametrize("missing", PARTS)
def test_an_error_without_one_of_the_parts_cannot_be_made(kind, missing):
    with pytest.raises(TypeError, match=missing):
        kind(**{part: text for part, text in PARTS.items() if part != missing})


@pytest.mark.parametrize("kind", FOUR_PARTS)
@pytest.mark.parametrize(
    "again", [copy.copy, lambda e: pickle.loads(pickle.dumps(e)), lambda e: pickle.loads(cloudpickle.dumps(e))]
)
def test_an_error_survives_pickling_whole(kind, again):
    error = again(kind(**PARTS))
    assert type(error) is kind
    assert {part: getattr(error, part) for part in PARTS} == PARTS
    assert str(error) == str(kind(**PARTS))
    assert error.args == kind(**PARTS).args


def test_a_kind_of_error_of_a_plugins_own_survives_pickling_too():
    class OwnError(errors.ContractError):
        """As a plugin may define one."""

    error = pickle.loads(cloudpickle.dumps(OwnError(**PARTS)))
    assert (type(error).__name__, str(error)) == ("OwnError", str(OwnError(**PARTS)))


def test_a_refusal_survives_pickling():
    assert str(pickle.loads(pickle.dumps(NotApplicable("needs attributes")))) == "needs attributes"


def test_an_unknown_name_gives_the_nearest_and_all_known_ones_in_order():
    error = unknown_name("task", "toy", ["tool", "toys", "alpha"], "see `rmsuite list tasks`")
    assert error.expected == "one of alpha, tool, toys"
    assert error.got == "'toy' (nearest is 'toys')"
    assert error.who == "task 'toy'"


@pytest.mark.parametrize(("known", "expected"), [([], "one of (none)"), (["zzz"], "one of zzz")])
def test_an_unknown_name_that_is_near_to_none_gives_no_advice_on_spelling(known, expected):
    error = unknown_name("task", "toy", known, "look")
    assert (error.expected, error.got) == (expected, "'toy'")


def raised():
    """Every place of the package that makes a four-part error: file, line, and its arguments."""
    names = {kind.__name__ for kind in FOUR_PARTS}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
                yield f"{path.name}:{node.lineno}", {keyword.arg: keyword.value for keyword in node.keywords}


def test_every_error_of_the_package_is_made_with_all_four_parts():
    places = dict(raised())
    assert len(places) > 30
    assert {place: set(given) for place, given in places.items() if set(given) != set(PARTS)} == {}


@pytest.mark.parametrize("part", PARTS)
def test_no_part_ends_with_a_stop_of_its_own(part):
    """The sentence adds it; advice begins like an order, in lower case."""
    texts = {place: given[part].value for place, given in raised() if isinstance(given[part], ast.Constant)}
    assert texts
    assert {place: text for place, text in texts.items() if text.endswith(".") or not text.strip()} == {}
    assert part != "do" or all(text[0].islower() for text in texts.values())
