"""The bundled table gives the numbers of its paper, and those recomputed from it. Who cites them relies on it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from rmsuite.choice import coverage
from rmsuite.choice.correlations import Draws, correlate, critical
from rmsuite.choice.gains import gains
from rmsuite.choice.results import read_results
from rmsuite.choice.scores import read_scores
from rmsuite.choice.spread import agreements, spreads
from rmsuite.choice.stages import stages
from rmsuite.reports.choice import IN_SAMPLE, PARAMETERS, UNSEEN, Settings, study

BASES = read_results("ahrabian2025")
REGRESSION, BRADLEY_TERRY = BASES.quality.T
SIZE, TOKENS = BASES.parameters, BASES.facts["pre-training tokens"]
STEPS = {(one.method, one.stage): one for one in stages(BASES.steps)}


@pytest.fixture(scope="module")
def found():
    return study(BASES, read_scores(["bundled"]), Settings(n_draws=200))


def test_the_table_is_whole():
    assert (len(BASES.models), BASES.methods) == (40, ("regression", "bradley-terry"))
    assert list(BASES.categories) == ["chat", "chat_hard", "safety", "reasoning"]
    assert not np.isnan(BASES.quality).any()
    assert (SIZE.min(), SIZE.max()) == (0.49, 10.3)
    mean = np.mean(list(BASES.categories.values()), axis=0)
    assert np.abs(mean - BASES.quality).max() < 0.0501


CORRELATIONS = {
    "parameters, regression": (SIZE, REGRESSION, "0.768", "0.798"),
    "parameters, Bradley-Terry": (SIZE, BRADLEY_TERRY, "0.287", "0.284"),
    "tokens, regression": (TOKENS, REGRESSION, "0.235", "0.398"),
    "tokens, Bradley-Terry": (TOKENS, BRADLEY_TERRY, "0.044", "0.011"),
    "the two methods": (REGRESSION, BRADLEY_TERRY, "0.370", "0.312"),
}


@pytest.mark.parametrize(("first", "second", "pearson", "spearman"), CORRELATIONS.values(), ids=CORRELATIONS)
def test_correlations_to_the_digit(first, second, pearson, spearman):
    ours = correlate(first, second)
    assert [f"{ours[name][0]:.3f}" for name in ("pearson", "spearman")] == [pearson, spearman]
    for name, oracle in (("pearson", stats.pearsonr), ("spearman", stats.spearmanr), ("kendall", stats.kendalltau)):
        assert ours[name] == pytest.approx(tuple(oracle(first, second)))


def test_the_logarithm_of_parameters_goes_a_little_better_with_quality():
    assert f"{correlate(np.log(SIZE), REGRESSION)['pearson'][0]:.3f}" == "0.795"


def test_the_threshold_of_significance_is_the_exact_one():
    assert f"{critical(40):.3f}" == "0.312"  # the paper quotes 0.316


COVERED = {
    "most parameters": (SIZE, REGRESSION, [0.40, 0.50, 0.57, 0.62, 0.67, 0.70]),
    "the other method": (BRADLEY_TERRY, REGRESSION, [0.40, 0.33, 0.43, 0.38, 0.33, 0.40]),
}


@pytest.mark.parametrize(("predictor", "quality", "expected"), COVERED.values(), ids=COVERED)
def test_coverage_with_ties_in_the_tables_order_to_the_digit(predictor, quality, expected):
    curve = coverage.coverage(predictor, quality, "table-order")
    assert [round(float(curve[k - 1]), 2) for k in coverage.TOP] == pytest.approx(expected)


def test_ties_of_parameters_decide_coverage_and_the_other_method_has_none_there():
    assert (SIZE == 8.03).sum() == 5
    in_order, expected = (coverage.coverage(SIZE, REGRESSION, ties) for ties in ("table-order", "expected"))
    assert in_order[4] == expected[4]
    assert in_order[9] - expected[9] == pytest.approx(0.08)
    shuffled = np.random.default_rng(0).permutation(40)
    np.testing.assert_allclose(coverage.coverage(SIZE[shuffled], REGRESSION[shuffled]), expected)


GAINS = [
    ("regression", "< 3 B", "Llama-3.2-1B-Instruct", "Qwen2.5-1.5B-Instruct", "+10.8"),
    ("regression", "3-6 B", "Llama-3.2-3B-Instruct", "Qwen2.5-3B-Instruct", "+3.1"),
    ("regression", ">= 6 B", "Llama-3.1-8B-Instruct", "gemma-2-9b-it", "+4.9"),
    ("bradley-terry", "< 3 B", "Llama-3.2-1B-Instruct", "gemma-2-2b-it", "+14.3"),
    ("bradley-terry", "3-6 B", "Llama-3.2-3B-Instruct", "Qwen2.5-3B-Instruct", "+13.6"),
    ("bradley-terry", ">= 6 B", "Llama-3.1-8B-Instruct", "Qwen2.5-7B-Instruct", "+7.4"),
]


def test_gains_over_the_default_to_the_digit():
    ours = gains(BASES, BASES.defaults)
    assert [(g.method, g.size, g.default, g.best, f"{g.points:+.1f}") for g in ours] == GAINS
    assert min(g.relative for g in ours) == pytest.approx(0.04, abs=0.005)
    assert max(g.relative for g in ours) == pytest.approx(0.26, abs=0.005)


SPREADS = {"regression": [2.4, 10.8, 10.4, 12.3, 8.2], "bradley-terry": [9.5, 5.8, 7.0, 8.8, 5.4]}


@pytest.mark.parametrize("method", SPREADS)
def test_standard_deviations_to_the_digit(method):
    ours = [one for one in spreads(BASES) if one.method == method]
    assert [one.of for one in ours] == [*BASES.categories, "quality"]
    assert [round(one.deviation, 1) for one in ours] == SPREADS[method]


def test_regression_is_ahead_of_bradley_terry_but_for_three_models():
    (one,) = agreements(BASES, "table-order", Draws(20, 0))
    assert f"{one.difference:+.1f}" == "+13.1"
    assert set(one.ahead) == {"Phi-3-small-8k-instruct", "Qwen2.5-0.5B-Instruct", "Falcon3-1B-Instruct"}


def test_the_agreement_of_the_methods_has_the_interval_of_a_bootstrap_of_models():
    (one,) = agreements(BASES, "expected", Draws(4000, 0))
    found = one.correlations["spearman"]
    columns = tuple(BASES.quality.T)
    other = stats.bootstrap(
        columns, lambda x, y: stats.spearmanr(x, y).statistic, paired=True, vectorized=False, n_resamples=4000,
        method="percentile", rng=np.random.default_rng(1),
    )  # fmt: skip
    # Each end has a standard error of about 2.7 / sqrt(4000) of the spread: 0.006.
    assert [found.low, found.high] == pytest.approx(other.confidence_interval, abs=0.03)
    assert round(found.value, 3) == 0.312


def test_post_training_to_the_digit():
    tuned, preferred, rewarded = (STEPS["regression", name] for name in ("SFT", "DPO", "RLVR"))
    assert [one.values[-1] for one in (tuned, preferred, rewarded)] == [84.2, 81.6, 80.2]
    assert f"{tuned.start_relative[-1]:+.1%}" == "+15.5%"
    assert [round(100 * one.values[-1] / tuned.values[-1] - 100, 1) for one in (preferred, rewarded)] == [-3.1, -4.8]
    after = [one for (method, name), one in STEPS.items() if method == "regression" and name != "pre-trained"]
    hard_and_safe = np.array([one.start_relative[1:3] for one in after])
    assert len(after) == 5
    assert [f"{x:.0%}" for x in (hard_and_safe.min(), hard_and_safe.max())] == ["22%", "33%"]
    assert f"{tuned.start_relative[3]:+.1%}" == "+8.5%"
    assert abs(rewarded.start_relative[3]) < 0.01


def test_there_is_no_base_of_the_stages_for_bradley_terry():
    assert np.isnan(STEPS["bradley-terry", "SFT"].start).all()
    assert STEPS["bradley-terry", "DPO"].before[-1] == pytest.approx(58.6 - 62.1)


def test_scores_from_elsewhere_are_known_of_some_models_only(found):
    assert found.matched.n_with_scores == 17
    assert all(sum(~np.isnan(column)) < 32 for column in found.matched.benchmarks.values())
    assert found.components is None


def test_a_selector_of_size_and_tokens_beats_size_on_its_own_models_only(found):
    for one in found.methods:
        top = {way.name: way.top for way in one.candidates}
        assert one.n_compared == 40
        assert top[IN_SAMPLE] > top[PARAMETERS] > top[UNSEEN]


def test_a_selector_stands_beside_the_mean_of_the_other_families(found):
    publishers = np.array(BASES.families)
    for method, quality in zip(found.methods, BASES.quality.T, strict=True):
        means = [quality[publishers != family].mean() for family in publishers]
        assert method.by_mean == pytest.approx(np.abs(quality - means).mean())
    errors = [one.error for method in found.methods for one in method.candidates if one.name == UNSEEN]
    assert errors[0] < found.methods[0].by_mean
    assert errors[1] > found.methods[1].by_mean  # of Bradley-Terry size and tokens tell nothing of new families


def test_the_order_of_the_table_moves_no_number_of_the_default_rule(found):
    order = np.random.default_rng(0).permutation(40)
    shuffled = type(BASES)(
        **{
            **vars(BASES),
            "models": tuple(BASES.models[row] for row in order),
            "families": tuple(BASES.families[row] for row in order),
            "quality": BASES.quality[order],
            "parameters": SIZE[order],
            "facts": {name: one[order] for name, one in BASES.facts.items()},
            "categories": {name: one[order] for name, one in BASES.categories.items()},
        }
    )
    again = study(shuffled, read_scores(["bundled"]), Settings(n_draws=200))
    for one, other in zip(found.methods, again.methods, strict=True):
        assert [p.correlations for p in one.predictors] == [p.correlations for p in other.predictors]
        np.testing.assert_array_equal(one.selected.unseen[order], other.selected.unseen)
        np.testing.assert_array_equal(one.selected.in_sample[order], other.selected.in_sample)
        assert [way.top for way in one.candidates] == pytest.approx([way.top for way in other.candidates], nan_ok=True)
