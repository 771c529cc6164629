"""Policy optimisation against a reward model on pools, where a policy is a distribution over a prompt's responses.

So a policy's value, the slope of its objective, and bias and variance of every estimate of that slope are exact, and
a training of several seeds takes seconds. ``contract`` states what an optimizer is given and returns; ``singles``,
``groups`` and ``ppo`` hold the usual ones, ``closed`` the policies that need no training; ``training`` is the loop,
``evaluation`` what a policy is worth, ``diagnostics`` how good an estimate is.
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
from rmsuite.policies.singles import MovingBaseline, OptimalBaseline, Reinforce, ReMax
from rmsuite.policies.training import Snapshot, Training, train

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
    "SeveralPasses",
    "Situation",
    "Snapshot",
    "Spent",
    "Step",
    "Training",
    "Values",
    "diagnose",
    "evaluate",
    "hyperparameters",
    "largest_kl",
    "of_generators",
    "train",
    "uniform",
]
