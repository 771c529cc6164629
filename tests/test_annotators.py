"""An annotator's noise is what its name says. Whoever reads a noise curve relies on it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import binom, norm

from rmsuite.annotators import ABSTAINED, ANNOTATORS, FIRST, SECOND, TIE, Offered, annotator
from rmsuite.annotators.single import bradley_terry, flip, human, perfect
from rmsuite.data import Votes
from rmsuite.errors import RmsuiteError, TaskError, UnknownNameError

MARGINS = np.array([-40.0, -3.0, -1.0, -0.2, -1e-9, 1e-9, 0.2, 1.0, 3.0, 40.0])
# Expected agreement with gold, E sigmoid(|x|) for normal x, by the variance of x.
AGREEMENT = {1: 0.67486, 2: 0.72521, 4: 0.77799, 10: 0.84280}


class Grid:
    """Stands in for a generator: equally spaced draws, so that a mean of labels is a probability."""

    def random(self, n):
        return (np.arange(n) + 0.5) / n


def offered(margin, scale=1.0, length=None, response=None, votes=None):
    margin = np.asarray(margin, float)
    pairs = np.arange(2 * len(margin)).reshape(-1, 2) if response is None else np.asarray(response)
    length = np.ones((len(margin), 2)) if length is None else np.asarray(length, float)
    return Offered(margin, scale, length, pairs, votes)


def probability(who, margin, scale=1.0, n=20_000):
    """Return the probability that the first response is chosen, to 1 / n."""
    return float(np.mean(who.judge(offered(np.full(n, margin), scale), Grid()) == FIRST))


def answers(who, margin, scale=1.0, seed=0, **more):
    return who.judge(offered(margin, scale, **more), np.random.default_rng(seed))


def labels(who, margin, scale=1.0, seed=0):
    """Whether the first response is chosen, of an annotator that always chooses."""
    given = answers(who, margin, scale, seed)
    assert who.decisive
    assert np.isin(given, (FIRST, SECOND)).all()
    return given == FIRST


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
    assert human().judge is None


@pytest.mark.parametrize("text", ANNOTATORS)
def test_every_annotator_is_found_by_its_name_with_its_default_and_by_its_label(text):
    found = annotator(text)
    assert found.label.startswith(text)
    assert annotator(found.label).label == found.label


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
        "bradley-terry[normaliser=0]",
        "bradley-terry[normaliser=mean]",
        "crowd[raters=0]",
        "crowd[raters=2.5]",
        "crowd[spread=-1]",
        "crowd[quality=0]",
        "votes[of=flip]",
        "length-biased[weight=nan]",
        "length-biased[of=human]",
        "abstaining[rate=2]",
        "abstaining[within=-1]",
        "tie-giving[within=nan]",
        "majority[k=0]",
        "majority[k=True]",
        "majority[of=flip[rate=2]]",
        "majority[find=flip]",
    ],
)
def test_a_parameter_that_makes_no_sense_is_an_error_with_four_parts(text):
    with pytest.raises((TaskError, UnknownNameError)) as error:
        annotator(text)
    assert "annotator" in error.value.who
    assert all((error.value.who, error.value.expected, error.value.got, error.value.do))


@pytest.mark.parametrize(
    "text", ["bradly-terry", "", "flip[rate=0.1", "flip[0.1]", "perfect human", "majority[of=flop]"]
)
def test_a_specification_that_is_none_is_an_error(text):
    with pytest.raises(RmsuiteError) as error:
        annotator(text)
    assert isinstance(error.value, UnknownNameError)
    assert error.value.do


# Of another kind than noise on one gold margin


@pytest.mark.parametrize(
    "text",
    [
        "majority[k=5,of=flip[rate=0.3]]",
        "abstaining[of=length-biased[of=bradley-terry[normaliser=6.0,quality=2.0],weight=-0.5],rate=0.1,within=0.0]",
        "tie-giving[of=majority[k=3,of=votes],within=0.1]",
    ],
)
def test_a_composed_label_is_read_back_as_itself(text):
    assert annotator(text).label == annotator(annotator(text).label).label == text


def test_a_constant_normaliser_stands_in_for_the_spread_of_gold():
    margin = margins(5000)
    one = labels(annotator("bradley-terry[normaliser=6.0,quality=2.0]"), margin, scale=123.0)
    np.testing.assert_array_equal(one, labels(bradley_terry(2.0), margin, scale=6.0))


def test_infinite_quality_is_the_perfect_annotator():
    margin = margins(1000)
    np.testing.assert_array_equal(labels(bradley_terry(math.inf), margin), margin > 0)


@pytest.mark.parametrize(("k", "rate"), [(1, 0.3), (3, 0.3), (5, 0.3), (5, 0.45), (9, 0.2)])
def test_a_majority_is_right_as_the_binomial_says(k, rate):
    """Wrong if more than half of k independent judgements are, within bounds of one in a million."""
    margin = margins()
    wrong = np.count_nonzero(labels(annotator(f"majority[of=flip[rate={rate}],k={k}]"), margin) != (margin > 0))
    low, high = binom.interval(1 - 1e-6, len(margin), binom.sf(k // 2, k, rate))
    assert low <= wrong <= high


def test_an_even_majority_ties_as_the_binomial_says():
    found = answers(annotator("majority[of=flip[rate=0.3],k=4]"), margins())
    low, high = binom.interval(1 - 1e-6, len(found), binom.pmf(2, 4, 0.3))
    assert low <= np.count_nonzero(found == TIE) <= high
    assert not annotator("majority[of=flip,k=4]").decisive


def test_a_majority_of_one_is_the_annotator_itself_and_of_the_silent_is_silence():
    margin = margins(1000)
    for of in ("flip[rate=0.3]", "crowd", "abstaining[of=flip,rate=0.5]"):
        one = answers(annotator(f"majority[of={of},k=1]"), margin)
        np.testing.assert_array_equal(one, answers(annotator(of), margin))
    silent = answers(annotator("majority[of=abstaining[rate=1]]"), margin)
    assert (silent == ABSTAINED).all()


def test_a_crowd_of_equal_raters_is_the_bradley_terry_annotator():
    margin = margins(5000)
    found = labels(annotator("crowd[quality=2.0,raters=7,spread=0]"), margin, scale=1.5)
    np.testing.assert_array_equal(found, labels(bradley_terry(2.0), margin, scale=1.5))


def test_a_crowd_agrees_with_gold_as_its_raters_do_on_average():
    """Raters have the quantiles of a lognormal quality, and each pair goes to any of them."""
    qualities = 2 * np.exp(0.8 * norm.ppf((np.arange(5) + 0.5) / 5))
    agreed = np.count_nonzero(labels(annotator("crowd[quality=2,raters=5,spread=0.8]"), np.full(100_000, 0.7)))
    low, high = binom.interval(1 - 1e-6, 100_000, expit(0.7 * qualities).mean())
    assert low <= agreed <= high


def test_a_length_bias_of_nothing_is_none_and_a_large_one_decides_alone():
    rng, margin = np.random.default_rng(0), margins(2000)
    length = rng.permuted(np.tile([10, 400], (2000, 1)), axis=1)
    plain = annotator("length-biased[weight=0]")
    np.testing.assert_array_equal(answers(plain, margin, length=length) == FIRST, margin > 0)
    longer = length[:, 0] > length[:, 1]
    np.testing.assert_array_equal(
        answers(annotator("length-biased[weight=99]"), margin, length=length) == FIRST, longer
    )
    short = answers(annotator("length-biased[weight=-99]"), margin, length=length) == FIRST
    np.testing.assert_array_equal(short, ~longer)


def test_a_length_bias_adds_its_weight_for_each_doubling():
    """15 is one less than four times four: two doublings of 1 + length, against margins a little below and above."""
    length, who = [[3, 15]] * 2, annotator("length-biased[weight=0.5]")
    assert answers(who, [2.9, 3.1], scale=3.0, length=length).tolist() == [SECOND, FIRST]
    inner = annotator("length-biased[of=bradley-terry[quality=2.0],weight=0.5]")
    even = answers(inner, np.full(100_000, 3.0), scale=3.0, length=np.tile([3, 15], (100_000, 1))) == FIRST
    low, high = binom.interval(1 - 1e-6, 100_000, 0.5)
    assert low <= np.count_nonzero(even) <= high


@pytest.mark.parametrize("rate", [0.0, 0.2, 1.0])
def test_abstentions_are_of_the_stated_rate_and_leave_the_other_labels_as_they_are(rate):
    margin = margins()
    found = answers(annotator(f"abstaining[of=flip[rate=0.3],rate={rate},within=0]"), margin)
    said = found != ABSTAINED
    low, high = binom.interval(1 - 1e-6, len(margin), rate)
    assert low <= np.count_nonzero(~said) <= high
    np.testing.assert_array_equal(found[said], answers(annotator("flip[rate=0.3]"), margin)[said])


def test_small_margins_are_ties_or_silence():
    margin = [-3.0, -0.9, 0.9, 3.0]
    assert answers(annotator("tie-giving[within=0.5]"), margin, scale=2.0).tolist() == [SECOND, TIE, TIE, FIRST]
    silent = answers(annotator("abstaining[within=0.5]"), margin, scale=2.0).tolist()
    assert silent == [SECOND, ABSTAINED, ABSTAINED, FIRST]
    both = answers(annotator("tie-giving[of=abstaining[within=0.5],within=2]"), margin, scale=2.0).tolist()
    assert both == [TIE, ABSTAINED, ABSTAINED, TIE]


RATED = Votes(
    response=np.array([0, 1, 0, 1, 0, 2, 3, 3, 2]),
    rater=np.array([0, 0, 1, 1, 2, 2, 5, 5, 5]),
    value=np.array([5.0, 1.0, 2.0, 4.0, 3.0, 3.0, 1.0, 4.0, 2.0]),
)


def test_a_vote_is_that_of_a_rater_who_rated_both():
    """Raters 0 and 1 disagree on (0, 1); rater 2 ties (0, 2); nobody rated (1, 3); rater 5's mean says 3 over 2."""
    pairs = [(0, 1), (1, 0), (0, 2), (1, 3), (2, 3)]
    found = np.array(
        [answers(annotator("votes"), np.ones(5), response=pairs, votes=RATED, seed=seed) for seed in range(400)]
    )
    assert set(found[:, 0]) == {FIRST, SECOND}
    low, high = binom.interval(1 - 1e-6, 400, 0.5)
    assert low <= np.count_nonzero(found[:, 0] == FIRST) <= high
    np.testing.assert_array_equal(np.unique(found[:, 2:], axis=0), [[TIE, ABSTAINED, SECOND]])
    turned = answers(annotator("votes"), np.ones(5), response=np.array(pairs)[:, ::-1], votes=RATED, seed=3)
    same = answers(annotator("votes"), np.ones(5), response=pairs, votes=RATED, seed=3)
    np.testing.assert_array_equal(turned, np.where(np.abs(same) == 1, -same, same))


def test_votes_need_a_pool_that_has_them():
    with pytest.raises(TaskError, match="expected a pool with the votes of single raters"):
        answers(annotator("votes"), MARGINS)


@pytest.mark.parametrize("text", [name for name in ANNOTATORS if name not in ("human", "votes")])
def test_which_side_is_first_says_nothing_to_any_annotator(text):
    """Turned pairs get turned answers as often; ties and silence stay."""
    length = np.random.default_rng(1).integers(1, 500, (60_000, 2))
    margin = margins(60_000)
    one = answers(annotator(text), margin, length=length, seed=1)
    other = answers(annotator(text), -margin, length=length[:, ::-1], seed=2)
    for answer, turned in ((FIRST, SECOND), (TIE, TIE), (ABSTAINED, ABSTAINED)):
        counts = np.count_nonzero(one == answer), np.count_nonzero(other == turned)
        assert abs(counts[0] - counts[1]) <= 6 * math.sqrt(60_000 / 2)
    if text in ("flip", "bradley-terry", "crowd", "majority", "perfect"):
        assert np.mean((one == FIRST) == (margin > 0)) > 0.6


@pytest.mark.parametrize("text", ["majority[k=99999999999]", "crowd[raters=1001]", "majority[k=0]"])
def test_counts_that_only_fill_the_memory_are_refused(text):
    with pytest.raises(TaskError, match="a whole number from 1 to 1,000"):
        annotator(text)


def test_annotators_within_annotators_end_somewhere():
    def nested(depth: int) -> str:
        return "majority[of=" * depth + "flip[rate=0.1]" + "]" * depth

    assert annotator(nested(5)).label.count("majority") == 5
    with pytest.raises(TaskError, match="at most 6 annotators within one another, got 401"):
        annotator(nested(400))
