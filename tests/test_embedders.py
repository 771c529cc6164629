"""Embedders are found like methods, and the one that is built in gives the same bytes. Whoever embeds relies on it."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace

import numpy as np
import pytest
from plugin_files import write

import rmsuite
from rmsuite import embedders, plugins
from rmsuite.embedders import Hashed
from rmsuite.errors import EmbedderError, PluginError, UnknownNameError

TEXTS = [
    ("What is two and two?", "It is four. It is four!"),
    ("", ""),
    ("¿Qué?", "naïve ＡＢＣ 日本語 🙂\ud800"),
    ("What is two and two?", "Five."),
]
PLUGIN = """
import rmsuite

@rmsuite.hookimpl
def rmsuite_embedders():
    return [rmsuite.Embedder(name={name!r}, make=dict, summary="a test's")]
"""


def offering(name):
    hook = rmsuite.hookimpl(lambda: [rmsuite.Embedder(name=name, make=dict)])
    hook.__name__ = "rmsuite_embedders"
    return SimpleNamespace(rmsuite_embedders=hook)


def test_rows_depend_on_their_own_texts_only():
    whole = Hashed(64).embed(TEXTS)
    assert (whole.shape, whole.dtype) == ((4, 64), np.float32)
    for i, text in enumerate(TEXTS):
        np.testing.assert_array_equal(Hashed(64).embed([text])[0], whole[i])
    np.testing.assert_array_equal(Hashed(64).embed(TEXTS[::-1])[::-1], whole)
    assert Hashed(64).embed([]).shape == (0, 64)


def test_known_texts_have_known_bytes_on_every_machine():
    rows = Hashed().embed([TEXTS[0], TEXTS[3]]).astype("<f4")
    assert hashlib.sha256(rows.tobytes()).hexdigest()[:16] == "52a5425100b16e02"


def test_every_gram_adds_the_signed_root_of_its_count():
    """With as many columns as grams may ever need, the squares sum to the number of 1- and 2-grams."""
    (row,) = Hashed(2**20).embed([("", "a b a b a")])
    # a 3, b 2, "a b" 2, "b a" 2
    np.testing.assert_allclose(np.sort(np.abs(row[row != 0])), np.sqrt([2, 2, 2, 3]), rtol=1e-6)


def test_case_and_width_of_letters_do_not_count_and_the_side_does():
    same = Hashed().embed([("Q", "Straße ＡＢＣ"), ("q", "STRASSE abc")])
    np.testing.assert_array_equal(same[0], same[1])
    one, other = Hashed().embed([("yes", ""), ("", "yes")])
    assert (one != other).any()


def test_a_text_of_a_million_characters_is_embedded_whole():
    long = " ".join(f"word{i % 5000}" for i in range(120_000))
    whole, cut = Hashed(32).embed([("p", long + " last"), ("p", long)])
    assert len(long) > 10**6
    assert np.isfinite(whole).all()
    assert (whole != cut).any()


@pytest.mark.parametrize("features", [0, -1, 1.5, "many", True, 2**21])
def test_a_number_of_features_that_is_none_is_refused(features):
    with pytest.raises(EmbedderError, match="features from 1 to"):
        Hashed(features)


def test_every_parameter_that_decides_a_number_is_in_the_name_of_the_base_model():
    assert Hashed().card()["base_model"] != Hashed(64).card()["base_model"]


def test_parameters_are_bound_as_those_of_methods():
    found = plugins.load(installed=False).embedder("hashed[features=64]")
    assert (found.label, found.make()) == ("hashed[features=64]", Hashed(64))
    assert plugins.load(installed=False).embedder("hashed[features=512]").label == "hashed"
    with pytest.raises(UnknownNameError, match="nearest is 'features'"):
        plugins.load(installed=False).embedder("hashed[feature=64]")
    with pytest.raises(UnknownNameError, match="nearest is 'hashed'"):
        plugins.load(installed=False).embedder("hashd")
    with pytest.raises(EmbedderError, match="expected the parameter model"):
        plugins.load(installed=False).embedder("openai-endpoint")


def test_a_broken_plugin_hides_no_embedder(tmp_path):
    files = [write(tmp_path / "sound.py", PLUGIN.format(name="mine")), write(tmp_path / "broken.py", "1 / 0")]
    catalogue = plugins.load(files, installed=False, strict=False)
    assert {"mine", *(e.name for e in embedders.BUILT_IN)} == set(catalogue.embedder_owners)
    with pytest.raises(UnknownNameError, match="unusable: broken"):
        catalogue.embedder("absent")


@pytest.mark.parametrize(("names", "who"), [(("mine", "mine"), "'a'.*'b'"), (("hashed", "b"), "'rmsuite'.*'a'")])
def test_two_embedders_of_one_name_are_an_error_that_names_both(names, who):
    found = plugins.load(objects=dict(zip("ab", map(offering, names), strict=True)), installed=False)
    with pytest.raises(PluginError, match=who):
        found.embedder(names[0])


@pytest.mark.parametrize(("name", "make"), [("Mine", dict), (3, dict), ("mine", 3)])
def test_a_record_without_a_good_name_or_make_is_refused(name, make):
    with pytest.raises(PluginError, match="Embedder"):
        rmsuite.Embedder(name=name, make=make)
