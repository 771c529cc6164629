"""Bias and variance of every optimizer's estimate are what the formulas say. Who compares optimizers relies on it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import policy_examples as examples
import pytest
from differences import slopes

from rmsuite.policies import (
    GRPO,
    PPO,
    RLOO,
    BestOfKImitation,
    KnownMoments,
    MovingBaseline,
    OptimalBaseline,
    Reinforce,
    ReMax,
    Situation,
    Step,
    diagnose,
)
from rmsuite.policies.diagnostics import simulate
from rmsuite.policies.moments import one_sample


def streams(n: int, seed: int = 0) -> list[np.random.Generator]:
    return np.random.default_rng(seed).spawn(n)


def objective(choices, logits: np.ndarray, rewards: np.ndarray, beta: float) -> float:
    log_pi = choices.prompts.log_softmax(logits)
    return float((np.exp(log_pi) * (rewards - beta * (log_pi - choices.log_reference))).sum())


@pytest.mark.parametrize("beta", [0.0, 0.3])
def test_the_gradient_is_that_of_finite_differences(beta):
    situation = examples.make_situation(n_seeds=1, beta=beta)
    choices = situation.choices
    logits = situation.log_ratio[:, 0] + choices.log_reference
    numeric = slopes(lambda: objective(choices, logits, situation.rewards[:, 0], beta), logits)
    np.testing.assert_allclose(situation.gradient()[:, 0], numeric, atol=1e-7)


@pytest.mark.parametrize("name", examples.KNOWN)
def test_moments_are_those_of_an_enumeration_of_all_samples(name):
    """Prompt by prompt and policy by policy, of what the optimizer really returns."""
    optimizer = examples.KNOWN[name]
    assert isinstance(optimizer, KnownMoments)
    situation = examples.make_situation()
    for prompt in range(situation.choices.n_prompts):
        for column in range(2):
            one = examples.alone(situation, prompt, column)
            mean, second = examples.enumerated(optimizer, one)
            known = optimizer.moments(one)
            np.testing.assert_allclose(known.mean[:, 0], mean, atol=1e-12)
            np.testing.assert_allclose(known.second[0, 0], second, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in examples.KNOWN if name != "moving baseline"])
def test_moments_of_a_prompt_do_not_depend_on_the_others(name):
    """The moving baseline is what prompts share."""
    optimizer, situation = examples.KNOWN[name], examples.make_situation()
    whole = optimizer.moments(situation)
    for prompt, (start, stop) in enumerate(
        np.stack([situation.choices.offsets[:-1], situation.choices.offsets[1:]], 1)
    ):
        one = optimizer.moments(examples.alone(situation, prompt, 1))
        np.testing.assert_allclose(whole.mean[start:stop, 1], one.mean[:, 0], atol=1e-14)
        np.testing.assert_allclose(whole.second[prompt, 1], one.second[0, 0], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", examples.UNBIASED)
def test_the_mean_of_an_unbiased_estimate_is_the_gradient(name, seed):
    """ReMax, RLOO and every baseline that does not know the sample: exactly, on any pool and for any beta."""
    diagnosis = diagnose(examples.UNBIASED[name], examples.make_situation(seed), np.random.default_rng(0))
    assert diagnosis.exact
    np.testing.assert_allclose(diagnosis.bias, 0, atol=1e-12)
    assert not diagnosis.bias_error.any()
    assert not diagnosis.variance_error.any()


def test_a_first_pass_of_ppo_is_reinforce():
    """Its ratio is 1, and its value function knows nothing yet."""
    situation = examples.make_situation()
    for prompt in range(situation.choices.n_prompts):
        one = examples.alone(situation, prompt, 0)
        for found, known in zip(*(examples.enumerated(o, one) for o in (PPO(), Reinforce())), strict=True):
            np.testing.assert_allclose(found, known, rtol=1e-12)


@pytest.mark.parametrize("name", [*examples.KNOWN, "PPO"])
def test_simulation_agrees_with_the_formulas(name):
    """What a stranger's optimizer is diagnosed by; within five standard errors, of a fixed seed."""
    optimizer = examples.ALL[name]
    situation, draws = examples.make_situation(3), 2000
    known = (Reinforce() if name in ("PPO", "moving baseline") else optimizer).moments(situation)
    found, error = simulate(optimizer, situation, np.random.default_rng(1), draws)
    total = situation.choices.prompts.total
    far = np.sqrt(total((found.mean - known.mean) ** 2))
    variance = np.maximum(known.second - total(known.mean**2), 0)
    assert (far <= 5 * np.sqrt(variance / draws) + 1e-12).all()
    assert (np.abs(found.second - known.second) <= 5 * error + 1e-12).all()
    assert (error[[0, 2, 4]] > 0).all()


def test_the_variance_of_a_simulation_is_that_of_its_estimates():
    """With divisor draws - 1, summed over the logits of a prompt."""
    situation, draws = examples.make_situation(n_seeds=1), 5
    found = diagnose(GRPO(3), situation, np.random.default_rng(0), draws)
    estimates = GRPO(3).coefficients(Step(examples.repeated(situation, draws), streams(draws)))
    np.testing.assert_allclose(found.mean[:, 0], estimates.mean(axis=1), atol=1e-14)
    expected = situation.choices.prompts.total(estimates.var(axis=1, ddof=1))
    np.testing.assert_allclose(found.variance[:, 0], expected, atol=1e-12)


def test_an_ascent_is_the_mean_over_samples_of_advantage_times_the_slope_of_log_pi():
    situation = examples.make_situation()
    step, rng = Step(situation, streams(2)), np.random.default_rng(4)
    rows = step.sample(3)
    advantages = rng.standard_normal(rows.shape)
    found, choices = step.ascent(rows, advantages), situation.choices
    for column in range(2):
        logits = situation.log_ratio[:, column] + choices.log_reference
        given, weights = rows[..., column], advantages[..., column] / 3
        numeric = slopes(lambda g=given, w=weights, x=logits: (w * choices.prompts.log_softmax(x)[g]).sum(), logits)
        np.testing.assert_allclose(found[:, column], numeric, atol=1e-7)


def test_a_moving_baseline_is_a_mean_of_earlier_steps_whose_weights_sum_to_one():
    situation, kept = replace(examples.make_situation(beta=0.0), rewards=np.full((15, 2), 4.0)), {}
    pair, optimizer = streams(2), MovingBaseline(0.75)
    first, second = (optimizer.coefficients(Step(situation, pair, kept)) for _ in range(2))
    assert first.any()
    assert not second.any()
    optimizer.coefficients(Step(replace(situation, rewards=situation.rewards * 2), pair, kept))
    total, weight = kept["moving"]
    np.testing.assert_allclose(total / weight, (0.25 * 8 + 0.1875 * 4 + 0.140625 * 4) / 0.578125)


def test_a_diagnosis_by_simulation_states_its_errors():
    situation = examples.make_situation()
    optimizer = GRPO(3)
    assert optimizer.moments(situation) is None
    found = diagnose(optimizer, situation, np.random.default_rng(0), 1000)
    assert not found.exact
    assert (found.bias_error[[0, 2, 4]] > 0).all()
    for column in range(2):
        mean, second = examples.enumerated(optimizer, examples.alone(situation, 2, column))
        rows = slice(*situation.choices.offsets[[2, 3]])
        assert np.linalg.norm(found.mean[rows, column] - mean) <= 5 * found.bias_error[2, column]
        assert abs(found.variance[2, column] - (second - mean @ mean)) <= 5 * found.variance_error[2, column]


@pytest.mark.parametrize("k", [2, 3, 8])
def test_mean_only_grpo_is_a_share_of_rloo(k):
    """(k - 1) / k, sample by sample: with Adam, which divides scales out, the two are one optimizer."""
    situation = examples.make_situation()
    one, other = (
        optimizer.coefficients(Step(situation, streams(2))) for optimizer in (GRPO(k, mean_only=True), RLOO(k))
    )
    np.testing.assert_allclose(one, other * (k - 1) / k, rtol=1e-12, atol=1e-14)
    bias = diagnose(GRPO(k, mean_only=True), situation, np.random.default_rng(0)).bias
    length = np.sqrt(situation.choices.prompts.total(situation.gradient() ** 2))
    np.testing.assert_allclose(bias, length / k, rtol=1e-9, atol=1e-12)


def two_prompts(first: float, second: float) -> Situation:
    """Two prompts of two equally probable responses, whose rewards differ by so much."""
    choices = examples.make_choices(sizes=(2, 2))
    rewards = np.array([first, 0, second, 0])[:, None]
    return Situation(choices, np.log(0.5) - choices.log_reference[:, None], rewards)


def test_grpo_is_biased_and_no_multiple_of_the_gradient():
    """A gap of rewards ten times as large has ten times the slope, but the same estimate."""
    found = diagnose(GRPO(2, epsilon=1e-9), two_prompts(1, 10), np.random.default_rng(0))
    np.testing.assert_allclose(found.gradient[[0, 2], 0], [0.25, 2.5])
    np.testing.assert_allclose(found.mean[[0, 2], 0], np.sqrt(0.5) / 4, rtol=1e-6)  # A = 1 / sqrt 2, for unequal ones
    assert (found.bias > 0.1).all()


def test_the_clip_of_the_released_remax_is_biased_beyond_a_difference_of_five():
    small, large = (diagnose(ReMax(released=True), two_prompts(g, g), np.random.default_rng(0)).bias for g in (5, 6))
    assert not small.any()
    assert (large > 0.1).all()
    plain = examples.make_situation(beta=0.0)
    tame = replace(plain, rewards=plain.rewards / 100)
    for beta in (0.0, 0.5):
        step = (Step(replace(tame, beta=beta), streams(2)) for _ in range(2))
        released, paper = (ReMax(released=flag).coefficients(next(step)) for flag in (True, False))
        assert np.array_equal(released, paper) == (beta == 0)  # the KL term of the greedy response


def variance(optimizer, situation: Situation) -> np.ndarray:
    return diagnose(optimizer, situation, np.random.default_rng(0)).variance


@pytest.mark.parametrize("seed", range(3))
def test_remax_varies_less_than_reinforce_at_a_start_with_rewards_of_one_sign(seed):
    """P(y) is far from 0 and 1, and rewards have an origin that means nothing."""
    situation = examples.make_situation(seed, beta=0.0)
    rewards = 2 + np.random.default_rng(seed).random(situation.rewards.shape)
    situation = replace(situation, log_ratio=np.zeros_like(situation.log_ratio), rewards=rewards)
    less = variance(ReMax(), situation) < variance(Reinforce(), situation)
    assert less[situation.choices.prompts.sizes > 1].all()


def test_remax_may_vary_more_than_reinforce_near_a_deterministic_policy():
    """The rare response is worth 0, so that without baseline it teaches nothing; the greedy one hardly moves."""
    situation, rare = two_prompts(1, 1), 0.01
    pi = np.array([1 - rare, rare] * 2)[:, None]
    situation = replace(situation, log_ratio=np.log(pi) - situation.choices.log_reference[:, None])
    assert (variance(ReMax(), situation) > 50 * variance(Reinforce(), situation)).all()
    np.testing.assert_allclose(variance(ReMax(), situation), 2 * rare * (1 - rare) ** 2 * (1 - rare), rtol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_no_baseline_varies_less_than_the_optimal_one(seed):
    situation = examples.make_situation(seed)
    least = variance(OptimalBaseline(), situation)
    for optimizer in (Reinforce(), ReMax(), MovingBaseline()):
        assert (least <= variance(optimizer, situation) + 1e-12).all()
    for baseline in np.linspace(-10, 10, 41):
        second = one_sample(situation, situation.values - baseline).second
        squared = situation.choices.prompts.total(situation.gradient() ** 2)
        assert (least <= second - squared + 1e-12).all()


def test_more_samples_vary_less():
    situation = examples.make_situation()
    found = [variance(RLOO(k), situation) for k in (2, 3, 4, 8, 64)]
    assert all((b[[0, 2, 3, 4]] < a[[0, 2, 3, 4]]).all() for a, b in pairwise(found))


def test_imitation_goes_towards_the_best_whatever_it_is_worth():
    """With one sample it imitates itself: no direction, on the mean."""
    situation = two_prompts(1, 10)
    known = BestOfKImitation(2).moments(situation)
    np.testing.assert_allclose(known.mean[:, 0], [0.25, -0.25, 0.25, -0.25])
    np.testing.assert_allclose(BestOfKImitation(1).moments(situation).mean, 0, atol=1e-15)


@pytest.mark.parametrize("name", examples.KNOWN)
def test_constant_rewards_and_shifts_mean_nothing(name):
    """A reward model's origin, which no pair of responses can teach, moves no optimizer, on the mean."""
    optimizer, situation = examples.KNOWN[name], examples.make_situation(beta=0.0)
    constant = replace(situation, rewards=np.full_like(situation.rewards, 7))
    np.testing.assert_allclose(optimizer.moments(constant).mean, 0, atol=1e-12)
    shift = situation.choices.prompts.spread(np.arange(5.0))[:, None]
    shifted = optimizer.moments(replace(situation, rewards=situation.rewards + shift))
    np.testing.assert_allclose(shifted.mean, optimizer.moments(situation).mean, atol=1e-12)


NO_ORIGIN = ("ReMax", "released ReMax", "optimal baseline", "RLOO of 2", "RLOO of 4", "GRPO of 2", "GRPO of 3")


@pytest.mark.parametrize("name", [*NO_ORIGIN, "mean-only GRPO of 3"])
def test_constant_rewards_give_exactly_nothing_where_the_baseline_is_a_reward(name):
    situation = replace(examples.make_situation(beta=0.0), rewards=np.full((15, 2), 0.1))
    assert not examples.ALL[name].coefficients(Step(situation, streams(2))).any()


@pytest.mark.parametrize("name", [*sorted(set(NO_ORIGIN) - {"optimal baseline"}), "mean-only GRPO of 3", "best of 3"])
def test_a_shift_changes_no_bit_where_only_differences_count(name):
    """The differences of these rewards are exact."""
    situation = examples.make_situation(beta=0.0)
    situation = replace(situation, rewards=np.round(situation.rewards * 8) / 8)
    shift = situation.choices.prompts.spread(np.array([3.0, -17, 0.5, 100, 8]))[:, None]
    moved = replace(situation, rewards=situation.rewards + shift)
    one, other = (examples.ALL[name].coefficients(Step(given, streams(2))) for given in (situation, moved))
    np.testing.assert_array_equal(one, other)
    assert one.any()


def test_later_passes_of_ppo_go_along_the_clipped_objective():
    """By finite differences, at a policy that has left the one that sampled, on either side of the clip."""
    situation, optimizer = examples.make_situation(n_seeds=1), PPO(clip=0.2)
    choices, kept = situation.choices, {}
    optimizer.coefficients(Step(situation, streams(1), kept))
    batch = kept["batch"]
    logits = situation.log_ratio[:, 0] + choices.log_reference
    logits += 0.5 * np.random.default_rng(5).standard_normal(len(logits))

    def clipped() -> float:
        moved = choices.prompts.log_softmax(logits) - choices.log_reference
        ratio = np.exp(moved[batch.rows[0, :, 0]] - batch.log_ratio[0, :, 0])
        advantage = batch.advantages[0, :, 0]
        return float(np.minimum(ratio * advantage, np.clip(ratio, 0.8, 1.2) * advantage).sum())

    now = choices.prompts.log_softmax(logits)[:, None] - choices.log_reference[:, None]
    found = optimizer.coefficients(Step(replace(situation, log_ratio=now), (), kept, number=1))[:, 0]
    np.testing.assert_allclose(found, slopes(clipped, logits), atol=1e-7)
    per_prompt = choices.prompts.largest(np.abs(found))
    assert {bool(length) for length in per_prompt[choices.prompts.sizes > 1]} == {True, False}


def test_the_value_function_of_ppo_learns_the_mean_value_of_a_prompt():
    situation, optimizer, kept = examples.make_situation(n_seeds=2, beta=0.0), PPO(value_rate=0.1), {}
    rewards = np.repeat(situation.choices.prompts.spread(np.arange(5.0))[:, None], 2, axis=1)
    situation, pair = replace(situation, rewards=rewards), streams(2)
    for _ in range(1000):
        found = optimizer.coefficients(Step(situation, pair, kept))
    np.testing.assert_allclose(found, 0, atol=0.02)
