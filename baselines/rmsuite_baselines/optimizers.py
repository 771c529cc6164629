"""The optimizers of policies that others are compared with; what they do is in ``rmsuite.policies``."""

from __future__ import annotations

from rmsuite import PolicyOptimizer
from rmsuite.policies import (
    GRPO,
    PPO,
    RLOO,
    BestOf,
    BestOfKImitation,
    MovingBaseline,
    OptimalBaseline,
    Optimum,
    Reinforce,
    ReMax,
)


def mean_only(k: int = 4) -> GRPO:
    """GRPO without the division by the group's standard deviation: (k - 1) / k times RLOO.

    Parameters
    ----------
    k : int
        Samples a prompt, at least 2.
    """
    return GRPO(k=k, mean_only=True)


def group_relative(k: int = 4, epsilon: float = 1e-4) -> GRPO:
    """Group-relative policy optimisation: advantages are divided by the group's standard deviation.

    Parameters
    ----------
    k : int
        Samples a prompt, at least 2.
    epsilon : float
        Added to the standard deviation.
    """
    return GRPO(k=k, epsilon=epsilon)


OPTIMIZERS = (
    PolicyOptimizer(
        "remax",
        ReMax,
        "REINFORCE with the reward of the greedy response as baseline",
        "arXiv:2310.10505",
    ),
    PolicyOptimizer(
        "reinforce",
        Reinforce,
        "the reward itself times the slope of the sample's log probability, no baseline",
        "Williams 1992, doi:10.1007/BF00992696",
    ),
    PolicyOptimizer(
        "reinforce-moving-baseline",
        MovingBaseline,
        "REINFORCE with the moving mean of earlier rewards as baseline",
        "Williams 1992, doi:10.1007/BF00992696",
    ),
    PolicyOptimizer(
        "rloo",
        RLOO,
        "REINFORCE whose baseline is the mean reward of the prompt's other samples",
        "arXiv:2402.14740",
    ),
    PolicyOptimizer(
        "grpo",
        group_relative,
        "rewards of a prompt's samples less their mean, divided by their standard deviation",
        "arXiv:2402.03300",
    ),
    PolicyOptimizer(
        "grpo-mean-only",
        mean_only,
        "rewards of a prompt's samples less their mean, not divided",
        "arXiv:2503.20783",
    ),
    PolicyOptimizer(
        "ppo",
        PPO,
        "several passes over a batch, held back by a clip, with a learned value function",
        "arXiv:1707.06347",
    ),
    PolicyOptimizer(
        "optimal-baseline",
        OptimalBaseline,
        "REINFORCE with the baseline of least variance, which only a pool allows: a floor",
        "Greensmith, Bartlett and Baxter 2004",
    ),
    PolicyOptimizer(
        "best-of-n",
        BestOf,
        "closed form: the best, by reward, of n independent responses of the reference",
        "arXiv:2401.01879",
    ),
    PolicyOptimizer(
        "rejection",
        BestOfKImitation,
        "imitates the best of k samples (rejection fine-tuning)",
        "arXiv:2304.06767",
    ),
    PolicyOptimizer(
        "optimum",
        Optimum,
        "closed form: the policy of the largest reward less beta times KL; no other can do better on the reward",
        "arXiv:2305.18290",
    ),
)
