"""Policy optimisation against a reward model on pools, where a policy is a distribution over a prompt's responses.

So a policy's value, the slope of its objective, and bias and variance of every estimate of that slope are exact, and
a training of several seeds takes seconds. ``contract`` states what an optimizer is given and returns; ``singles``,
``groups`` and ``ppo`` hold the usual ones, ``closed`` the policies that need no training; ``training`` is the loop,
``evaluation`` what a policy is worth, ``diagnostics`` how good an estimate is.

Examples
--------
Two prompts of three responses, whose reward is the first feature; five policies learn it side by side.

>>> import numpy as np
>>> offsets, embeddings = np.array([0, 3, 6]), np.tile(np.eye(3), (2, 1))
>>> choices, rewards = Choices(offsets, embeddings, uniform(offsets)), embeddings[:, 0]
>>> path = train(choices, rewards, RLOO(k=4), Training(steps=200, learning_rate=0.05, beta=0.2), seeds=range(5))
>>> log_pi = path[-1].policy.log_probabilities(choices)
>>> values = evaluate(choices, log_pi, gold=rewards, proxy=rewards, length=np.ones(6))
>>> values.gold.shape, bool((values.gold > 0.9).all()), path[-1].spent
((2, 5), True, Spent(samples=1600, rewards=1600))
"""

from rmsuite.policies.choices import Choices, Scale, of_generators, uniform
from rmsuite.policies.closed import BestOf, ClosedForm, Optimum
from rmsuite.policies.contract import (
    KnownMoments,
    Moments,
    Optimizer,
    SeveralPasses,
    Situation,
    Spent,
    Step,
    hyperparameters,
)
from rmsuite.policies.diagnostics import Diagnosis, diagnose
from rmsuite.policies.evaluation import Values, evaluate, largest_kl
from rmsuite.policies.groups import GRPO, RLOO, BestOfKImitation
from rmsuite.policies.policy import Policy
from rmsuite.policies.ppo import PPO
from rmsuite.policies.segments import Segments
from rmsuite.policies.singles import MovingBaseline, OptimalBaseline, Reinforce, ReMax
from rmsuite.policies.training import Snapshot, Training, train
from rmsuite.policies.units import Unit

__all__ = [
    "GRPO",
    "PPO",
    "RLOO",
    "BestOf",
    "BestOfKImitation",
    "Choices",
    "ClosedForm",
    "Diagnosis",
    "KnownMoments",
    "Moments",
    "MovingBaseline",
    "OptimalBaseline",
    "Optimizer",
    "Optimum",
    "Policy",
    "ReMax",
    "Reinforce",
    "Scale",
    "Segments",
    "SeveralPasses",
    "Situation",
    "Snapshot",
    "Spent",
    "Step",
    "Training",
    "Unit",
    "Values",
    "diagnose",
    "evaluate",
    "hyperparameters",
    "largest_kl",
    "of_generators",
    "train",
    "uniform",
]
