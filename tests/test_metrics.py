"""Metrics against independent oracles and worked numbers. Whoever cites a value relies on the formula."""

from __future__ import annotations

import gc
import weakref
from itertools import combinations, pairwise
from math import comb

import numpy as np
import pytest
from metric_examples import many, with_probability
from scipy import optimize, stats
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from rmsuite.metrics import best_of_n, length, metric, pairs
from rmsuite.metrics.ranks import average_ranks
from rmsuite.metrics.shared import once
from rmsuite.statistics import Sample, resample
from rmsuite.tested import ASKED_PAIRS, Answers, TestSet


def one_prompt(gold: np.ndarray) -> TestSet:
    n = len(gold)
    zero = np.zeros(1, int)
    return TestSet(zero, zero, np.arange(n), np.array([0, n]), np.ones(n, int), np.asarray(gold, float))


def value(name: str, test: TestSet, rewards: np.ndarray) -> float:
    return metric(name).value(test, Answers(np.asarray(rewards, float)))


def every_pair(test: TestSet):
    """All (prompt, chosen, rejected) by a plain loop: the oracle of the vectorised blocks."""
    for i, (start, stop) in enumerate(pairwise(test.offsets)):
        for a in range(start, stop):
            for b in range(start, stop):
                if test.gold[a] > test.gold[b]:
                    yield i, a, b


def test_what_metrics_share_is_computed_once_for_the_same_answers_and_goes_with_them():
    asked = []

    @once
    def shared(test: TestSet, answers: Answers) -> np.ndarray:
        asked.append((test, answers))
        return answers.rewards + test.gold

    tests, said = [one_prompt([1, 2]), one_prompt([1, 2])], [Answers(np.zeros(2)), Answers(np.zeros(2))]
    found = [shared(test, answers) for _ in range(2) for test in tests for answers in said]
    assert len(asked) == 4
    assert all(one is other for one, other in pairwise(found[::4]))
    assert not found[0].flags.writeable
    one = weakref.ref(said[0])
    asked.clear()
    del said
    gc.collect()
    assert one() is None


def test_blocks_hold_every_pair_of_unequal_gold_once(monkeypatch):
    test = many((5, 1, 4, 5, 2), gold=np.round(np.random.default_rng(1).standard_normal(17)))
    whole = sorted((a, b) for _, a, b in every_pair(test))
    for limit in (3, 10_000):
        monkeypatch.setattr("rmsuite.tested.PAIR_BLOCK", limit)
        found = [pair for block in test.pairs() for pair in zip(*block, strict=True)]
        assert sorted(found) == whole


def test_asked_pairs_are_few_fair_and_depend_on_their_own_prompt_only():
    test = many((30,) * 40)
    asked = test.asked
    assert (np.bincount(test.prompt[asked.first]) == ASKED_PAIRS).all()
    better = test.gold[asked.first] > test.gold[asked.second]
    np.testing.assert_array_equal(better, asked.first_chosen)
    assert 0.45 < asked.first_chosen.mean() < 0.55
    assert len({*zip(asked.first.tolist(), asked.second.tolist(), strict=True)}) == len(asked.first)
    fewer = many((30,) * 40)
    fewer = TestSet(
        fewer.prompt_id[:7], fewer.category[:7], np.arange(210), fewer.offsets[:8], fewer.length[:210], fewer.gold[:210]
    )
    np.testing.assert_array_equal(fewer.asked.first, asked.first[: 7 * ASKED_PAIRS])


def test_pair_accuracy_by_hand():
    """Gold 3 > 2 = 2 > 1; rewards tie the best with the worst: 5 pairs, 3 won, 1 tied, 1 lost."""
    sums = pairs.pair_accuracy(one_prompt([3, 2, 2, 1]), Answers(np.array([1.0, 5.0, 0.5, 1.0])))
    # won: 3>2b, 2a>1; tied: 3~1; lost: 3<2a, 2b<1
    assert sums.tolist() == [[2.5, 5]]


def test_pair_accuracy_on_binary_gold_is_the_area_under_the_roc_curve():
    rng = np.random.default_rng(0)
    gold, rewards = rng.integers(0, 2, 50), np.round(rng.standard_normal(50), 1)
    assert value("pair-accuracy", one_prompt(gold), rewards) == pytest.approx(roc_auc_score(gold, rewards))


def test_pair_accuracy_of_given_pairs_equals_that_of_the_same_gold():
    rng = np.random.default_rng(1)
    gold, rewards = rng.standard_normal(12), np.round(rng.standard_normal(12))
    full = one_prompt(gold)
    better, worse = np.array([(i, j) for i in range(12) for j in range(12) if gold[i] > gold[j]]).T
    given = TestSet(full.prompt_id, full.category, full.rows, full.offsets, full.length, None, better, worse)
    answers = Answers(rewards)
    np.testing.assert_array_equal(pairs.pair_accuracy(given, answers), pairs.pair_accuracy(full, answers))


@pytest.mark.parametrize("seed", range(5))
def test_ranks_and_spearman_agree_with_scipy_with_and_without_ties(seed):
    rng = np.random.default_rng(seed)
    gold, rewards = rng.standard_normal(30), rng.standard_normal(30)
    if seed % 2:
        gold, rewards = np.round(gold), np.round(rewards)
    np.testing.assert_allclose(average_ranks(rewards), stats.rankdata(rewards))
    test = one_prompt(gold)
    assert value("spearman", test, rewards) == pytest.approx(stats.spearmanr(rewards, gold).statistic)
    assert value("kendall", test, rewards) == pytest.approx(stats.kendalltau(rewards, gold).statistic)


def brute_best_of(rewards: np.ndarray, gold: np.ndarray, n: int) -> float:
    """Average over all subsets of size n; among equal best rewards, the mean of their gold."""
    best = []
    for subset in combinations(range(len(gold)), n):
        chosen = [i for i in subset if rewards[i] == max(rewards[list(subset)])]
        best.append(np.mean(gold[chosen]))
    return float(np.mean(best))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("size", [1, 2, 5, 9])
def test_best_of_n_equals_the_mean_over_all_subsets(size, ties):
    rng = np.random.default_rng(size)
    rewards, gold = rng.standard_normal(size), rng.standard_normal(size)
    rewards = np.round(rewards) if ties else rewards
    expected = [brute_best_of(rewards, gold, n) for n in range(1, size + 1)]
    np.testing.assert_allclose(best_of_n.curve(rewards, gold), expected, rtol=1e-12)


def test_rank_weights_equal_the_binomials_and_sum_to_one_at_every_n():
    weights = best_of_n.rank_weights(40)
    exact = [[comb(i, n - 1) / comb(40, n) for n in range(1, 41)] for i in range(40)]
    np.testing.assert_allclose(weights, exact, rtol=1e-10, atol=1e-300)
    np.testing.assert_allclose(best_of_n.rank_weights(500).sum(axis=0), 1, rtol=1e-9)


def test_best_of_one_is_random_and_best_of_all_is_the_top_response():
    rng = np.random.default_rng(3)
    rewards, gold = rng.standard_normal((4, 55)), rng.standard_normal((4, 55))
    curve = best_of_n.curve(rewards, gold)
    np.testing.assert_allclose(curve[:, 0], gold.mean(axis=1))
    np.testing.assert_allclose(curve[:, -1], gold[np.arange(4), rewards.argmax(axis=1)])


def test_ragged_prompts_give_the_curves_of_each_prompt_alone():
    rng = np.random.default_rng(4)
    offsets = np.array([0, 3, 10, 13])
    gold, rewards = rng.standard_normal(13), rng.standard_normal(13)
    test = TestSet(np.arange(3), np.zeros(3), np.arange(13), offsets, np.ones(13), gold)
    curves = best_of_n.curves(test, rewards)
    for row, (start, stop) in zip(curves, pairwise(offsets), strict=True):
        np.testing.assert_allclose(row[: stop - start], best_of_n.curve(rewards[start:stop], gold[start:stop]))
        assert np.isnan(row[stop - start :]).all()


def test_normalised_gain_is_one_minus_the_normalised_regret():
    """By hand, n = 2: gold (0, 1, 4), rewards reversed, so the best of two is the lower gold."""
    gold = np.array([0.0, 1.0, 4.0])
    ((gain, room),) = best_of_n.normalised_gain(one_prompt(gold), Answers(-gold), n=2)
    random, oracle, mine = 5 / 3, (1 + 4 + 4) / 3, (0 + 0 + 1) / 3
    assert room == pytest.approx(oracle - random)
    assert gain / room == pytest.approx(1 - (oracle - mine) / (oracle - random))


def test_a_prompt_with_fewer_than_n_responses_has_no_weight():
    test = one_prompt(np.arange(5.0))
    answers = Answers(np.arange(5.0))
    assert metric("best-of-4").per_prompt(test, answers)[0, 1] > 0
    assert metric("best-of-8").per_prompt(test, answers).tolist() == [[0, 0]]


def test_kl_of_best_of_n_is_what_choosing_among_many_responses_tends_to():
    """The oracle is the divergence itself, of the chances of the ranks from equal chances."""
    assert best_of_n.kl(1) == 0
    for n in (2, 8, 30):
        chance = best_of_n.rank_weights(5000)[:, n - 1]
        chance = chance[chance > 0]
        assert best_of_n.kl(n) == pytest.approx(chance @ np.log(chance * 5000), rel=0.01)


def test_noise_alone_makes_no_over_optimisation_on_average():
    """Rewards without information: peak and last chosen on the same prompts would give a clearly positive mean."""
    test = many((24,) * 40)
    rng = np.random.default_rng(0)
    draws = [Answers(rng.standard_normal(len(test.rows))) for _ in range(300)]
    found = np.array([metric("over-optimisation").value(test, answers) for answers in draws])
    naive = []
    for answers in draws:
        curve, oracle = (best_of_n.curves(test, rewards).mean(axis=0) for rewards in (answers.rewards, test.gold))
        naive.append((curve.max() - curve[-1]) / (oracle[-1] - oracle[0]))
    error = found.std() / np.sqrt(300)
    assert abs(found.mean()) < 3 * error
    assert np.mean(naive) > 5 * error


def test_a_reward_that_errs_at_the_top_is_over_optimised_by_how_far_gold_falls():
    """Gold 0..11; the reward agrees but for the best three, which it puts on top in reverse, lowest gold first."""
    gold = np.tile(np.arange(12.0), 30)
    rewards = np.tile(np.array([20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11.0]), 30)
    test = many((12,) * 30, gold=gold)
    curve = best_of_n.curve(rewards[:12], gold[:12])[np.array([1, 2, 3, 4, 6, 8, 12]) - 1]
    expected = (curve.max() - curve[-1]) / (11 - 5.5)
    assert value("over-optimisation", test, rewards) == pytest.approx(expected)
    peak = np.array([1, 2, 3, 4, 6, 8, 12])[curve.argmax()]
    assert value("peak-position", test, rewards) == pytest.approx(np.log(peak) / np.log(12))


def test_worst_category_is_the_lowest_of_the_accuracies_of_large_categories():
    test = many((4,) * 20)
    rewards = test.gold + np.random.default_rng(0).standard_normal(80)
    accuracies = []
    for category in range(3):
        right = [rewards[a] > rewards[b] for i, a, b in every_pair(test) if test.category[i] == category]
        accuracies.append(np.mean(right))
    assert value("worst-category", test, rewards) == pytest.approx(min(accuracies))
    test.category[:4] = 7  # four prompts: too few to be the worst
    assert 7 not in pairs.large_categories(test)


def test_the_length_of_responses_alone_is_worth_half_when_length_is_taken_out():
    rng = np.random.default_rng(2)
    gold = rng.standard_normal(600)
    lengths = np.round(200 + 60 * gold + 40 * rng.standard_normal(600)).clip(1)  # the judge likes long answers
    test = many((12,) * 50, gold=gold, length=lengths)
    assert value("pair-accuracy", test, lengths) > 0.75
    assert value("length-matched", test, lengths) == pytest.approx(0.5, abs=1e-9)
    assert value("length-adjusted", test, lengths) == pytest.approx(0.5, abs=1e-9)
    quality = gold + 0.1 * rng.standard_normal(600)
    assert value("length-adjusted", test, quality) > 0.85


def test_length_matched_by_a_plain_loop():
    test = many((6,) * 30)
    rewards = test.gold + np.random.default_rng(3).standard_normal(180)
    groups: dict[tuple[int, bool], list[float]] = {}
    for _, a, b in every_pair(test):
        la, lb = float(test.length[a]), float(test.length[b])
        if la != lb:
            stratum = int(np.searchsorted([0.1, 0.25, 0.5, 1.0], abs(la - lb) / ((la + lb) / 2)))
            groups.setdefault((stratum, la > lb), []).append(float(rewards[a] > rewards[b]))
    top = bottom = 0.0
    for stratum in range(5):
        longer, shorter = groups.get((stratum, True), []), groups.get((stratum, False), [])
        weight = min(len(longer), len(shorter))
        if weight:
            top += weight * (np.mean(longer) + np.mean(shorter)) / 2
            bottom += weight
    assert value("length-matched", test, rewards) == pytest.approx(top / bottom)


def test_the_logistic_fit_is_the_optimum_that_scipy_finds():
    rng = np.random.default_rng(4)
    total = rng.integers(1, 60, length.N_BINS).astype(float)
    right = rng.binomial(total.astype(int), 0.5 + 0.3 * length.CENTRES / 2 + 0.1).astype(float)
    weight = np.minimum(total, total[::-1])
    share = right / total

    def objective(theta: np.ndarray) -> float:
        margin = theta[0] + theta[1] * length.CENTRES
        loss = weight @ (np.logaddexp(0, margin) - share * margin)
        return float(loss + length.RIDGE * weight.sum() * theta[1] ** 2 / 2)

    best = optimize.minimize(objective, np.zeros(2), tol=1e-12).x[0]
    sums = np.stack([right, total], axis=1).ravel()
    assert float(length.adjusted_accuracy(sums)) == pytest.approx(1 / (1 + np.exp(-best)), abs=1e-5)


def test_generator_bias_by_a_plain_loop_and_of_a_reward_that_sees_only_the_generator():
    rng = np.random.default_rng(5)
    generator = np.concatenate([rng.permutation(6) for _ in range(25)])
    gold = 0.6 * generator + rng.standard_normal(150)
    test = many((6,) * 25, gold=gold, generator=generator)
    rewards = gold + generator
    ranks = np.concatenate([(stats.rankdata(gold[a:b]) - 1) / 5 for a, b in pairwise(test.offsets)])
    sides: tuple[list[float], list[float]] = ([], [])
    for i, a, b in every_pair(test):
        outside = test.prompt != i
        qa, qb = (ranks[outside & (generator == generator[r])].mean() for r in (a, b))
        if abs(qa - qb) > 1e-12:
            sides[int(qa < qb)].append(0.5 + 0.5 * np.sign(rewards[a] - rewards[b]))
    assert value("generator-bias", test, rewards) == pytest.approx(np.mean(sides[0]) - np.mean(sides[1]))
    assert value("generator-bias", test, generator) == pytest.approx(1.0)


def test_brier_and_log_loss_are_those_of_scikit_learn():
    test, answers = with_probability()
    labels = test.asked.first_chosen
    assert metric("brier").value(test, answers) == pytest.approx(brier_score_loss(labels, answers.probability))
    assert metric("log-loss").value(test, answers) == pytest.approx(log_loss(labels, answers.probability))


def test_probabilities_that_are_true_are_calibrated():
    """Labels are drawn with the stated probability: what is left is noise of ten bins."""
    rng = np.random.default_rng(6)
    test = many((2,) * 20_000)
    p = rng.random(len(test.asked.first))
    right = np.where(rng.random(len(p)) < p, 1.0, 0.0) == test.asked.first_chosen
    stated = np.where(right, p, 1 - p)  # orient so that the label is a draw of p
    test.__dict__["asked"].__dict__["first_chosen"][:] = rng.random(len(p)) < stated
    assert metric("calibration-error").value(test, Answers(test.gold, None, stated)) < 0.01


def test_risk_and_coverage_by_sorting_all_pairs():
    test = many((8,) * 25)
    rng = np.random.default_rng(7)
    answers = Answers(test.gold + rng.standard_normal(200), rng.random(200) + 0.1)
    first, second = test.asked.first, test.asked.second
    gap = answers.rewards[first] - answers.rewards[second]
    certainty = np.abs(gap) / np.hypot(answers.uncertainty[first], answers.uncertainty[second])
    wrong = ((gap > 0) != test.asked.first_chosen)[np.argsort(-certainty)]
    n = len(wrong)
    assert n % 20 == 0
    risks = [wrong[: n * k // 20].mean() for k in range(1, 21)]
    assert metric("risk-coverage-area").value(test, answers) == pytest.approx(np.mean(risks))
    assert metric("selective-accuracy").value(test, answers) == pytest.approx(1 - wrong[: n // 2].mean())


def test_uncertainty_that_knows_where_it_errs_raises_selective_accuracy():
    test = many((8,) * 40)
    rng = np.random.default_rng(8)
    noise = rng.choice([0.1, 4.0], 320)
    rewards = test.gold + noise * rng.standard_normal(320)
    knows, does_not = Answers(rewards, noise + 0.1), Answers(rewards, rng.permutation(noise) + 0.1)
    better, worse = (metric("selective-accuracy").value(test, answers) for answers in (knows, does_not))
    assert better > worse + 0.03


def test_a_choice_that_is_worse_than_the_oracle_reversed_keeps_its_whole_interval():
    """Skewed gold: the range of a correlation is none of best-of-n."""
    rng = np.random.default_rng(0)
    test = many((40,) * 30, gold=-(rng.exponential(size=30 * 40) ** 3))
    answers = Answers(-test.gold + 0.1 * rng.standard_normal(len(test.rows)))
    sums = metric("best-of-8").per_prompt(test, answers)
    found = resample(Sample(sums[None], -1, 1, 30, 1), np.random.default_rng(1), 2000)
    e = found.estimate(0)
    assert e.value < -1
    assert e.low == pytest.approx(np.quantile(found.draws, 0.02), rel=0.1)
    assert e.low < e.value < e.high
