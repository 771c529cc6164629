"""Policies are trained by rewards, alike alone and side by side. Whoever compares optimizers relies on it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import policy_examples as examples
import pytest

from rmsuite.errors import ContractError, RmsuiteError
from rmsuite.policies import (
    GRPO,
    PPO,
    RLOO,
    BestOf,
    BestOfKImitation,
    Choices,
    ClosedForm,
    MovingBaseline,
    OptimalBaseline,
    Optimizer,
    Optimum,
    Reinforce,
    ReMax,
    Step,
    Training,
    hyperparameters,
    largest_kl,
    train,
)


def streams(n: int, seed: int = 0) -> list[np.random.Generator]:
    return np.random.default_rng(seed).spawn(n)


QUICK = Training(steps=12, learning_rate=0.05, beta=0.1)


@pytest.mark.parametrize("training", [QUICK, replace(QUICK, prompts=2), replace(QUICK, hidden=5)], ids=str)
@pytest.mark.parametrize("name", examples.ALL)
def test_a_seed_goes_the_same_way_to_the_bit_whoever_goes_beside_it(name, training):
    choices = examples.make_choices(dtype=np.float32, sizes=(3, 1, 4, 2, 5, 7, 3))
    rewards = np.stack([examples.linear_rewards(choices, seed) for seed in range(10)], axis=1)
    together = train(choices, rewards, examples.ALL[name], training, seeds=range(10))[-1]
    for seed in (0, 4, 9):
        alone = train(choices, rewards[:, seed], examples.ALL[name], training, seeds=[seed])[-1]
        for one, all_ in zip(alone.policy.network.layers, together.policy.network.layers, strict=True):
            np.testing.assert_array_equal(one[0], all_[seed])
        assert alone.spent == together.spent
    assert all(np.any(layer[0] != layer[1]) for layer in together.policy.network.layers)


@pytest.mark.parametrize("name", [name for name in examples.ALL if name != "REINFORCE"])
def test_training_increases_its_objective_but_never_beyond_the_optimum(name):
    """And only by what a policy of so many nats may gain."""
    choices = examples.make_choices(sizes=(5,) * 20)
    rewards, beta = examples.linear_rewards(choices), 0.1
    training = Training(steps=200, learning_rate=0.05, beta=beta, watch=(50, 100, 150))
    path = train(choices, rewards, examples.ALL[name], training, seeds=(0, 1))
    found = [examples.objective(choices, shot.policy.log_probabilities(choices), rewards, beta) for shot in path]
    best = examples.objective(choices, Optimum(beta).log_probabilities(choices, rewards[:, None]), rewards, beta)
    assert [shot.step for shot in path] == [0, 50, 100, 150, 200]
    assert (found[-1].mean(axis=0) > found[0].mean(axis=0) + 0.5).all()
    assert all((value <= best + 1e-12).all() for value in found)
    assert (best.mean() - found[-1].mean(axis=0) < 0.5).all() or name in ("moving baseline", *examples.BIASED, "PPO")


@pytest.mark.parametrize("name", ["ReMax", "optimal baseline", "RLOO of 2", "GRPO of 2", "mean-only GRPO of 3"])
def test_constant_rewards_move_nothing(name):
    choices = examples.make_choices()
    path = train(choices, np.full(15, 0.1), examples.ALL[name], replace(QUICK, beta=0.0))
    assert not path[-1].policy.network.layers[0].any()


@pytest.mark.parametrize("name", examples.ALL)
def test_where_there_is_one_response_there_is_nothing_to_choose(name):
    choices = examples.make_choices(sizes=(1, 1, 1))
    shot = train(choices, np.array([1.0, 2, 3]), examples.ALL[name], QUICK)[-1]
    assert not shot.policy.network.layers[0].any()
    values = examples.worth(choices, shot.policy.log_probabilities(choices), np.array([1.0, 2, 3]))
    assert not values.kl.any()
    assert not values.entropy.any()
    assert (values.win_rate == 0.5).all()
    assert not largest_kl(choices).any()


@pytest.mark.parametrize("name", examples.ALL)
def test_what_the_reference_never_gives_is_never_given(name):
    """Even if it has by far the largest reward; a deterministic reference leaves nothing to learn."""
    rng = np.random.default_rng(0)
    log_reference = np.array([0, -np.inf, -np.inf, -np.inf, 0, 0, -np.inf, 1])
    choices = Choices(np.array([0, 4, 8]), rng.standard_normal((8, 3)), log_reference)
    rewards = np.where(np.isinf(log_reference), 1e3, rng.standard_normal(8))
    log_pi = train(choices, rewards, examples.ALL[name], QUICK, seeds=(0, 1))[-1].policy.log_probabilities(choices)
    assert (log_pi[np.isinf(log_reference)] == -np.inf).all()
    assert np.isfinite(log_pi[~np.isinf(log_reference)]).all()
    values = examples.worth(choices, log_pi, rewards)
    assert (values.kl[0] == 0).all()
    assert np.isfinite(values.kl).all()
    assert (values.proxy < 10).all()


def test_batches_go_through_all_prompts_before_one_comes_again():
    choices, seen = examples.make_choices(), []

    @dataclass(frozen=True)
    class Spy:
        def coefficients(self, step: Step) -> np.ndarray:
            seen.append(step.choices.embeddings[step.choices.prompts.starts, 0])
            rewards = step.reward(step.every())
            np.testing.assert_array_equal(rewards[:, 1], 7 * step.choices.embeddings[:, 0])
            return np.zeros(step.log_ratio.shape)

    rewards = np.outer(choices.embeddings[:, 0], [1, 7])
    train(choices, rewards, Spy(), Training(steps=6, prompts=2), seeds=(3, 4))
    assert [len(batch) for batch in seen] == [2, 2, 1, 2, 2, 1]
    firsts = np.sort(choices.embeddings[choices.prompts.starts, 0])
    epochs = np.concatenate(seen[:3]), np.concatenate(seen[3:])
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(epoch), firsts)
    assert (epochs[0] != epochs[1]).any()


def test_an_optimizer_of_several_passes_sees_the_policy_move_over_the_same_prompts():
    choices, seen = examples.make_choices(), []

    @dataclass(frozen=True)
    class Thrice:
        passes: int = 3

        def coefficients(self, step: Step) -> np.ndarray:
            seen.append((step.number, step.choices.embeddings[0, 0], step.log_ratio.sum()))
            return step.every() % 3 - 1

    train(choices, np.zeros(15), Thrice(), Training(steps=2, prompts=2))
    numbers, firsts, policies = zip(*seen, strict=True)
    assert numbers == (0, 1, 2) * 2
    assert (len(set(firsts[:3])), len(set(firsts[3:]))) == (1, 1)
    assert len(set(policies)) == 6


def test_a_step_takes_the_mean_over_prompts():
    """Prompts that are given twice change nothing. Adam forgets the scale of all but the least of slopes: so these."""
    once = examples.make_choices()
    twice = once.take(np.tile(np.arange(5), 2))
    least = returning(lambda step: 1e-8 * np.sign(step.choices.embeddings[:, :1]))
    one, other = (train(c, np.zeros(c.n_responses), least, QUICK)[-1].policy.network.layers[0] for c in (once, twice))
    np.testing.assert_allclose(one, other, rtol=1e-9)
    assert (np.abs(one) < 0.9 * QUICK.steps * QUICK.learning_rate).all()


SPENT = {  # samples and rewards a prompt and step
    Reinforce(): (1, 1),
    MovingBaseline(): (1, 1),
    ReMax(): (2, 2),
    ReMax(released=True): (2, 2),
    OptimalBaseline(): (1, 3),  # the mean number of responses of these prompts
    RLOO(4): (4, 4),
    GRPO(8): (8, 8),
    BestOfKImitation(5): (5, 5),
    PPO(): (1, 1),
}
NUMBERS = {
    Reinforce: [],
    MovingBaseline: ["decay"],
    ReMax: [],
    OptimalBaseline: [],
    RLOO: ["k"],
    GRPO: ["k", "epsilon"],
    BestOfKImitation: ["k"],
    PPO: ["clip", "passes", "value_rate"],
    BestOf: ["n"],
    Optimum: ["beta"],
}


@pytest.mark.parametrize("optimizer", SPENT, ids=repr)
def test_samples_and_rewards_are_counted_along_the_path(optimizer):
    choices = examples.make_choices()
    assert isinstance(optimizer, Optimizer)
    path = train(choices, np.zeros(15), optimizer, Training(steps=4, watch=(1,)), seeds=(0, 1, 2))
    samples, rewards = SPENT[optimizer]
    assert [shot.spent.samples for shot in path] == [0, 5 * samples, 20 * samples]
    assert [shot.spent.rewards for shot in path] == [0, 5 * rewards, 20 * rewards]


@pytest.mark.parametrize("kind", NUMBERS)
def test_hyperparameters_are_the_numbers_that_have_to_be_tuned(kind):
    assert list(hyperparameters(kind())) == NUMBERS[kind]
    assert hyperparameters(kind) == {}
    assert isinstance(kind(), Optimizer) != isinstance(kind(), ClosedForm)


def returning(make):
    class Other:
        def coefficients(self, step: Step) -> object:
            return make(step)

    return Other()


FAULTS = {
    "shape": (lambda step: np.zeros(3), r"real numbers of shape \(15, 1\), got float64 of shape \(3,\)"),
    "type": (lambda step: step.log_ratio.astype(str), "real numbers"),
    "NaN": (lambda step: np.where(step.every() == 4, np.nan, 0), "finite numbers, got 1 others .* nan in row 4"),
}


@pytest.mark.parametrize(("make", "message"), FAULTS.values(), ids=FAULTS)
def test_what_no_coefficients_are_is_refused_with_the_name_of_the_optimizer(make, message):
    choices = examples.make_choices()
    with pytest.raises(ContractError, match=f"coefficients of mine: expected {message}.*Do: "):
        train(choices, np.zeros(15), returning(make), QUICK, who="mine")


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_rewards_that_are_not_finite_are_refused(wrong):
    choices = examples.make_choices()
    rewards = np.zeros((15, 2))
    rewards[7, 1] = wrong
    for given, seeds in ((rewards, (0, 1)), (rewards[:, 1], (0,))):
        with pytest.raises(ContractError, match=r"optimised model.*expected finite rewards.*in row 7.*Do: "):
            train(choices, given, ReMax(), QUICK, seeds=seeds)
    with pytest.raises(ContractError, match=r"expected shape \(15,\) or \(15, 3\), got shape \(15, 2\)"):
        train(choices, np.zeros((15, 2)), ReMax(), QUICK, seeds=(0, 1, 2))


def test_a_policy_that_leaves_the_numbers_says_so():
    choices = examples.make_choices(dtype=np.float32)
    huge = returning(lambda step: np.full(step.log_ratio.shape, 1e39))
    with np.errstate(all="ignore"), pytest.raises(RmsuiteError, match="policy trained by mine: expected finite logits"):
        train(choices, np.zeros(15), huge, QUICK, who="mine")


SETTINGS = {
    "k": lambda: RLOO(1),
    "decay": lambda: MovingBaseline(1.0),
    "epsilon": lambda: GRPO(4, 0.0),
    "clip": lambda: PPO(clip=float("nan")),
    "passes": lambda: PPO(passes=0),
    "value_rate": lambda: PPO(value_rate=-1),
    "n": lambda: BestOf(0),
    "beta": lambda: Optimum(-0.1),
    "steps": lambda: Training(steps=-1),
    "prompts": lambda: Training(prompts=2.5),
    "learning_rate": lambda: Training(learning_rate=True),
    "weight_decay": lambda: Training(learning_rate=1, weight_decay=2),
    "watch": lambda: Training(steps=3, watch=(4,)),
}


@pytest.mark.parametrize(("name", "make"), SETTINGS.items(), ids=SETTINGS)
def test_a_hyperparameter_out_of_range_is_refused_by_name(name, make):
    with pytest.raises(RmsuiteError, match=f"hyperparameter '{name}': expected"):
        make()
