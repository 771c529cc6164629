"""What a policy is worth, exactly: means over its distribution, no samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rmsuite.errors import ContractError
from rmsuite.policies.choices import Choices
from rmsuite.policies.contract import reward_columns
from rmsuite.policies.segments import ranked


@dataclass(frozen=True, eq=False)
class Values:
    """Values of policies, one row a prompt and one column a seed: ``(n_prompts, n_seeds)``.

    Attributes
    ----------
    gold, proxy : array
        Expected gold reward, and expected reward of the model that was optimised.
    win_rate : array
        Chance that its response has more gold than an independent one of the reference; a tie counts a half. The
        reference has one half.
    kl : array
        KL(pi || reference) in nats.
    entropy : array
        Of the policy, in nats.
    length : array
        Expected length of its response, in the pool's unit.
    """

    gold: np.ndarray
    proxy: np.ndarray
    win_rate: np.ndarray
    kl: np.ndarray
    entropy: np.ndarray
    length: np.ndarray


def evaluate(
    choices: Choices, log_probabilities: np.ndarray, *, gold: np.ndarray, proxy: np.ndarray, length: np.ndarray
) -> Values:
    """Return the values of policies.

    Parameters
    ----------
    log_probabilities : (n_responses, n_seeds)
        Log pi in nats, -inf for none; as ``Policy`` and ``ClosedForm`` give them.
    gold, length : (n_responses,)
        Of each response.
    proxy : (n_responses,) or (n_responses, n_seeds)
        Rewards that were optimised.

    Raises
    ------
    ContractError
        If a reward or a length is not finite, a shape does not fit, or the probabilities of a prompt do not sum to 1.
    """
    prompts, pi = choices.prompts, probabilities(choices, log_probabilities)
    n, n_seeds = pi.shape
    columns = reward_columns(proxy, n, n_seeds, who="the optimised model")
    gold, length = (reward_columns(given, n, 1, who=who) for given, who in ((gold, "gold"), (length, "length")))
    wins = quantile(choices, gold[:, 0])[:, None]
    kl, entropy = information(choices, log_probabilities)
    gold, proxy, wins, length = (prompts.total(pi * given) for given in (gold, columns, wins, length))
    return Values(gold=gold, proxy=proxy, win_rate=wins, kl=kl, entropy=entropy, length=length)


def probabilities(choices: Choices, log_probabilities: np.ndarray) -> np.ndarray:
    """Return the probabilities of policies, ``(n_responses, n_seeds)``.

    Raises
    ------
    ContractError
        If the shape does not fit, or the probabilities of a prompt do not sum to 1, but for a millionth.
    """
    who, do = "log probabilities of a policy", "give what `log_probabilities` returns for these choices"
    if log_probabilities.ndim != 2 or len(log_probabilities) != choices.n_responses:
        expected, got = f"shape ({choices.n_responses}, n_seeds)", f"shape {log_probabilities.shape}"
        raise ContractError(who=who, expected=expected, got=got, do=do)
    with np.errstate(over="ignore"):
        pi = np.exp(log_probabilities)
    sums = choices.prompts.total(pi)
    bad = np.argwhere(~(np.abs(sums - 1) < 1e-6))
    if len(bad):
        expected, got = (
            "probabilities that sum to 1",
            f"{sums[tuple(bad[0])]} for prompt {bad[0][0]} of seed {bad[0][1]}",
        )
        raise ContractError(who=who, expected=expected, got=got, do=do)
    return pi


def quantile(choices: Choices, gold: np.ndarray) -> np.ndarray:
    """Return the chance that a response wins against one of the reference, a tie counting a half, ``(n_responses,)``.

    Examples
    --------
    >>> from rmsuite.policies.choices import uniform
    >>> choices = Choices(np.array([0, 4]), np.zeros((4, 1)), uniform(np.array([0, 4])))
    >>> quantile(choices, np.array([1.0, 2.0, 2.0, 3.0])).tolist()
    [0.125, 0.5, 0.5, 0.875]
    """
    below, upto = ranked(choices.prompts, choices.reference, gold)
    return (below + upto) / 2


def information(choices: Choices, log_probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return KL to the reference and entropy of policies, in nats, each ``(n_prompts, n_seeds)``; 0 log 0 is 0."""
    pi = np.exp(log_probabilities)
    logs = np.where(pi > 0, log_probabilities, 0)
    reference = np.where(pi > 0, choices.log_reference[:, None], 0)
    total = choices.prompts.total
    return np.maximum(total(pi * (logs - reference)), 0), np.maximum(-total(pi * logs), 0)


def largest_kl(choices: Choices) -> np.ndarray:
    """Return the KL, in nats, that no policy on the pool exceeds, ``(n_prompts,)``: the budget of an optimizer.

    It is the log of one over the smallest chance that the reference gives to a response; for a uniform reference, of
    the number of responses: 500 give 6.2 nats. A policy reaches it that always gives this one response.
    """
    return choices.prompts.largest(np.where(choices.log_reference > -np.inf, 0 - choices.log_reference, 0))
