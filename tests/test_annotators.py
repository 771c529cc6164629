"""An annotator's noise is what its name says. Whoever reads a noise curve relies on it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import binom, norm

from rmsuite.annotators import ANNOTATORS, annotator, bradley_terry, flip, human, perfect
from rmsuite.errors import RmsuiteError, TaskError, UnknownNameError

MARGINS = np.array([-40.0, -3.0, -1.0, -0.2, -1e-9, 1e-9, 0.2, 1.0, 3.0, 40.0])
# Expected agreement with gold, E sigmoid(|x|) for normal x, by the variance of x.
AGREEMENT = {1: 0.67486, 2: 0.72521, 4: 0.77799, 10: 0.84280}


class Grid:
    """Stands in for a generator: equally spaced draws, so that a mean of labels is a probability."""

    def random(self, n):
        return (np.arange(n) + 0.5) / n


def probability(who, margin, scale=1.0, n=20_000):
    """Return the probability that the first response is chosen, to 1 / n."""
    return float(np.mean(who.prefers_first(np.full(n, margin), scale, Grid())))


def labels(who, margin, scale=1.0, seed=0):
    return who.prefers_first(np.asarray(margin), scale, np.random.default_rng(seed))


def margins(n=100_000, seed=1):
    return np.random.default_rng(seed).standard_normal(n) * math.sqrt(2)


def test_the_perfect_annotator_always_agrees_with_gold():
    np.testing.assert_array_equal(labels(perfect(), MARGINS), MARGINS > 0)
    np.testing.assert_array_equal(labels(perfect(), margins(), seed=5), margins() > 0)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.25, 0.5, 0.9, 1.0])
def test_labels_are_flipped_at_the_stated_rate(rate):
    """Within the bounds that a binomial count leaves with a chance of one in a million."""
    margin = margins()
    flipped = np.count_nonzero(labels(flip(rate), margin, seed=3) != (margin > 0))
    low, high = binom.interval(1 - 1e-6, len(margin), rate)
    assert low <= flipped <= high


@pytest.mark.parametrize("rate", [0.1, 0.4])
def test_flips_do_not_depend_on_the_margin_or_on_the_side(rate):
    for margin in MARGINS:
        right = probability(flip(rate), margin) if margin > 0 else 1 - probability(flip(rate), margin)
        assert right == pytest.approx(1 - rate, abs=1e-4)


def test_a_flip_rate_of_zero_is_the_perfect_annotator():
    np.testing.assert_array_equal(labels(flip(0), margins(1000)), labels(perfect(), margins(1000)))


@pytest.mark.parametrize("quality", [0.1, 1.0, 3.0])
@pytest.mark.parametrize("scale", [0.5, 1.0, 20.0])
def test_bradley_terry_is_the_sigmoid_of_quality_times_margin_over_scale(quality, scale):
    for margin in MARGINS:
        expected = expit(quality * margin / scale)
        assert probability(bradley_terry(quality), margin, scale) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("variance", "agreement"), AGREEMENT.items())
def test_the_closed_form_of_the_expected_agreement_holds(variance, agreement):
    """The table is right: integrated over the normal density."""
    deviation = math.sqrt(variance)
    value, _ = quad(lambda x: 2 * expit(x * deviation) * norm.pdf(x), 0, 40)
    assert value == pytest.approx(agreement, abs=6e-6)


@pytest.mark.parametrize(("variance", "agreement"), AGREEMENT.items())
def test_bradley_terry_agrees_with_gold_as_the_closed_form_says(variance, agreement):
    """Two independent standard normal gold rewards differ by a variance of 2; quality scales it."""
    who, deviation = bradley_terry(math.sqrt(variance / 2)), math.sqrt(2)
    quantiles = norm.ppf((np.arange(2000) + 0.5) / 2000) * deviation
    right = [probability(who, abs(margin), n=2000) for margin in quantiles[1000:]]
    assert np.mean(right) == pytest.approx(agreement, abs=1e-3)


@pytest.mark.parametrize(("variance", "agreement"), AGREEMENT.items())
def test_simulated_labels_agree_with_gold_as_the_closed_form_says(variance, agreement):
    margin = margins()
    agreed = np.count_nonzero(labels(bradley_terry(math.sqrt(variance / 2)), margin, seed=2) == (margin > 0))
    low, high = binom.interval(1 - 1e-6, len(margin), agreement)
    assert low <= agreed <= high


def test_a_large_quality_is_the_perfect_annotator():
    margin = margins(5000)
    np.testing.assert_array_equal(labels(bradley_terry(1e12), margin), margin > 0)


def test_a_small_quality_is_a_coin():
    for margin in MARGINS:
        assert probability(bradley_terry(1e-9), margin) == pytest.approx(0.5, abs=1e-4)


def test_quality_raises_agreement():
    margin = np.abs(margins(4000))
    means = [labels(bradley_terry(quality), margin, seed=4).mean() for quality in (0.01, 0.1, 0.5, 1, 2, 5, 10, 100)]
    assert means == sorted(means)


def test_the_scale_of_gold_does_not_matter():
    """Gold in other units has another scale, and the same labels."""
    margin = margins(5000)
    for factor in (2**-6, 0.25, 1024.0):
        np.testing.assert_array_equal(
            labels(bradley_terry(2.0), margin * factor, scale=1.5 * factor),
            labels(bradley_terry(2.0), margin, scale=1.5),
        )


def test_an_extreme_margin_overflows_nothing():
    """Warnings are errors here."""
    extreme = np.array([-1e38, 1e38, 1e-38, -1e-38])
    assert labels(bradley_terry(1e5), extreme, scale=1e-10).tolist()[:2] == [False, True]
    assert probability(bradley_terry(), 1.0, scale=0.0) == 1.0


def test_which_side_is_first_does_not_matter():
    for margin in MARGINS:
        one, other = (probability(bradley_terry(0.7), sign * margin) for sign in (1, -1))
        assert one + other == pytest.approx(1, abs=1e-4)


def test_the_human_annotator_has_no_rule():
    assert human().prefers_first is None


@pytest.mark.parametrize("text", ["human", "perfect", "bradley-terry", "flip"])
def test_every_annotator_is_found_by_its_name_with_its_default(text):
    assert set(ANNOTATORS) == {"human", "perfect", "bradley-terry", "flip"}
    assert annotator(text).label.startswith(text)


def test_a_label_says_the_parameters_in_one_spelling():
    assert annotator("bradley-terry[quality=0.5]").label == "bradley-terry[quality=0.5]"
    assert annotator("flip[ rate = 0.10 ]").label == "flip[rate=0.1]"
    assert annotator("flip").label == annotator("flip[rate=0.25]").label == "flip[rate=0.25]"
    assert annotator("bradley-terry[quality=1]").label == annotator("bradley-terry").label
    assert annotator("flip[rate=0]").label == annotator("flip[rate=0.0]").label


@pytest.mark.parametrize(
    "text",
    [
        "flip[rate=-0.1]",
        "flip[rate=1.1]",
        "flip[rate=nan]",
        "flip[rate=high]",
        "flip[rate=None]",
        "flip[quality=1]",
        "flip[rate=0.1,more=2]",
        "bradley-terry[quality=0]",
        "bradley-terry[quality=-1]",
        "bradley-terry[quality=nan]",
        "bradley-terry[quality='1']",
        "bradley-terry[beta=1]",
        "perfect[rate=0.1]",
        "human[votes=3]",
    ],
)
def test_a_parameter_that_makes_no_sense_is_an_error_with_four_parts(text):
    with pytest.raises(TaskError) as error:
        annotator(text)
    assert "annotator" in error.value.who
    assert all((error.value.who, error.value.expected, error.value.got, error.value.do))


@pytest.mark.parametrize("text", ["bradly-terry", "", "flip[rate=0.1", "flip[0.1]", "perfect human"])
def test_a_specification_that_is_none_is_an_error(text):
    with pytest.raises(RmsuiteError) as error:
        annotator(text)
    assert isinstance(error.value, UnknownNameError)
    assert error.value.do
