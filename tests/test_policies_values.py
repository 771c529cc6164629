"""What policies are worth, and those that need no training, exactly. Who reads a table of policies relies on it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import policy_examples as examples
import pytest

from rmsuite.errors import ContractError
from rmsuite.policies import (
    RLOO,
    BestOf,
    Choices,
    Optimum,
    ReMax,
    Step,
    Training,
    evaluate,
    largest_kl,
    train,
    uniform,
)


@pytest.mark.parametrize("beta", [0.0, 1e-3, 0.1, 1.0, 1e6])
def test_no_policy_has_a_larger_objective_than_the_optimum(beta):
    choices, rng = examples.make_choices(), np.random.default_rng(0)
    rewards = rng.standard_normal(15)
    best = examples.objective(choices, Optimum(beta).log_probabilities(choices, rewards[:, None]), rewards, beta)
    logits = rng.standard_normal((15, 500)) * rng.choice([0.1, 1, 10], 500)
    near = Optimum(beta or 0.01).log_probabilities(choices, rewards[:, None]) + 0.1 * rng.standard_normal((15, 100))
    for given in (logits, near):
        other = examples.objective(choices, choices.prompts.log_softmax(given), rewards, beta)
        assert (other <= best + 1e-9 * max(beta, 1)).all()


def test_the_optimum_without_penalty_is_the_limit_of_that_with_a_small_one():
    """The reference among the best responses that it gives at all; a better one that it never gives does not count."""
    log_reference = np.log([0.2, 0.2, 0.1, 0.5]), np.array([0, -np.inf])
    choices = Choices(np.array([0, 4, 6]), np.zeros((6, 1)), np.concatenate(log_reference))
    rewards = np.array([1.0, 3, 3, 2, -5, 9])[:, None]
    limit = np.exp(Optimum(0).log_probabilities(choices, rewards))[:, 0]
    np.testing.assert_allclose(limit, [0, 2 / 3, 1 / 3, 0, 1, 0])
    for beta in (1e-3, 1e-300, 5e-324):
        np.testing.assert_allclose(np.exp(Optimum(beta).log_probabilities(choices, rewards))[:, 0], limit, atol=1e-12)
    far = np.exp(Optimum(1e9).log_probabilities(choices, rewards))[:, 0]
    np.testing.assert_allclose(far, choices.reference, atol=1e-6)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_best_of_n_is_that_of_all_tuples_of_draws(n):
    """Ties go to the first draw."""
    choices = examples.make_choices(sizes=(4, 1, 3))
    rewards = np.array([1.0, 2, 2, 0, 5, 3, 3, 3])
    found = np.exp(BestOf(n).log_probabilities(choices, np.stack([rewards, -rewards], axis=1)))
    for part, (column, sign) in product(examples.parts(choices.prompts), enumerate((1, -1))):
        p, r = choices.reference[part], sign * rewards[part]
        expected = np.zeros(len(p))
        for drawn in product(range(len(p)), repeat=n):
            expected[drawn[int(np.argmax(r[list(drawn)]))]] += p[list(drawn)].prod()
        np.testing.assert_allclose(found[part, column], expected, rtol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 4, 16, 500, 100_000])
def test_best_of_n_diverges_by_at_most_the_formula_and_gains_with_n(n):
    """Log n - (n - 1) / n, which a continuum of rewards reaches; the limit is the best response."""
    choices = examples.make_choices(sizes=(1, 2, 300, 40))
    rewards = np.round(np.random.default_rng(0).standard_normal(343), 1)
    values, more = (
        examples.worth(choices, BestOf(m).log_probabilities(choices, rewards[:, None]), rewards) for m in (n, 2 * n)
    )
    assert (values.kl <= np.log(n) - (n - 1) / n + 1e-12).all()
    assert (values.kl[:, 0] <= largest_kl(choices) + 1e-12).all()
    assert (more.proxy >= values.proxy - 1e-12).all()
    fine = Choices(np.array([0, 20000]), np.zeros((20000, 1)), np.zeros(20000))
    if n <= 16:
        kl = examples.worth(fine, BestOf(n).log_probabilities(fine, np.arange(20000.0)[:, None]), np.arange(20000.0)).kl
        np.testing.assert_allclose(kl, np.log(n) - (n - 1) / n, atol=1e-3)


def test_values_are_those_of_a_loop_over_prompts_and_responses():
    situation = examples.make_situation()
    choices, rng = situation.choices, np.random.default_rng(1)
    gold, length = np.round(rng.standard_normal(15)), rng.integers(1, 9, 15)
    found = evaluate(choices, np.log(situation.probabilities), gold=gold, proxy=situation.rewards, length=length)
    for prompt, part in enumerate(examples.parts(choices.prompts)):
        pi, reference, g = situation.probabilities[part, 1], choices.reference[part], gold[part]
        credit = (g[:, None] > g) + 0.5 * (g[:, None] == g)
        expected = {
            "gold": pi @ g,
            "proxy": pi @ situation.rewards[part, 1],
            "length": pi @ length[part],
            "win_rate": pi @ credit @ reference,
            "kl": pi @ np.log(pi / reference),
            "entropy": -pi @ np.log(pi),
        }
        for name, value in expected.items():
            assert getattr(found, name)[prompt, 1] == pytest.approx(value, abs=1e-12), name


MISFITS = {
    "one axis": (lambda log_pi: log_pi[:, 0], r"expected shape \(15, n_seeds\), got shape \(15,\)"),
    "logits": (lambda log_pi: log_pi + 1, r"sum to 1, got 2\.718\d+ for prompt 0 of seed 0"),
    "NaN": (lambda log_pi: np.where(np.arange(15)[:, None] == 3, np.nan, log_pi), "got nan for prompt 1 of seed 0"),
}


@pytest.mark.parametrize(("change", "message"), MISFITS.values(), ids=MISFITS)
def test_what_no_distribution_is_has_no_values(change, message):
    choices = examples.make_choices()
    with pytest.raises(ContractError, match=f"log probabilities of a policy: .*{message}"):
        examples.worth(choices, change(choices.log_reference[:, None]), np.zeros(15))


@pytest.mark.parametrize("form", [BestOf(3), Optimum(0.1), Optimum(0)], ids=repr)
def test_a_policy_in_closed_form_takes_rewards_of_one_seed_or_of_several(form):
    choices, rewards = examples.make_choices(), np.random.default_rng(0).standard_normal((15, 2))
    found = form.log_probabilities(choices, rewards)
    for seed in range(2):
        np.testing.assert_array_equal(form.log_probabilities(choices, rewards[:, seed])[:, 0], found[:, seed])
    rewards[3, 1] = np.nan
    with pytest.raises(ContractError, match="expected finite rewards"):
        form.log_probabilities(choices, rewards)


def test_the_reference_wins_half_and_has_no_divergence():
    choices, gold = examples.make_choices(), np.round(np.random.default_rng(0).standard_normal(15))
    values = examples.worth(choices, choices.log_reference[:, None], gold)
    np.testing.assert_allclose(values.win_rate, 0.5)
    assert not values.kl.any()


def test_the_budget_is_what_the_least_likely_response_costs():
    """No policy exceeds it; a uniform reference gives the log of the number of responses."""
    choices = examples.make_choices()
    values = examples.worth(
        choices, choices.prompts.log_softmax(50 * np.random.default_rng(0).standard_normal((15, 99))), np.ones(15)
    )
    assert (values.kl <= largest_kl(choices)[:, None] + 1e-12).all()
    least = np.where(choices.log_reference == -choices.prompts.spread(largest_kl(choices)), 0.0, -np.inf)
    np.testing.assert_allclose(examples.worth(choices, least[:, None], np.ones(15)).kl[:, 0], largest_kl(choices))
    offsets = np.array([0, 500])
    assert largest_kl(Choices(offsets, np.zeros((500, 1)), uniform(offsets))) == pytest.approx(np.log(500))


def test_a_policy_has_values_on_prompts_that_it_was_not_trained_on():
    """What it learned of embeddings holds there."""
    choices = examples.make_choices(sizes=(4,) * 60)
    rewards = choices.embeddings[:, 0]
    learned, held = choices.take(np.arange(40)), choices.take(np.arange(40, 60))
    policy = train(learned, rewards[:160], ReMax(), Training(steps=60, learning_rate=0.05))[-1].policy
    values = examples.worth(held, policy.log_probabilities(held), rewards[160:])
    assert values.win_rate.mean() > 0.6


def test_an_optimizer_of_a_few_lines_is_enough():
    """The example of the contract: two samples, compared."""

    @dataclass(frozen=True)
    class Mine:
        def coefficients(self, step: Step) -> np.ndarray:
            rows = step.sample(2)
            values = step.value(rows)
            return step.ascent(rows, values - values[::-1])

    situation = examples.make_situation()
    found, known = (o.coefficients(Step(situation, np.random.default_rng(0).spawn(2))) for o in (Mine(), RLOO(2)))
    np.testing.assert_allclose(found, known, atol=1e-12)
