"""PPO: several passes over one batch, held back by a clip, with a learned value function."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rmsuite.policies.adam import Adam
from rmsuite.policies.contract import Step, at
from rmsuite.policies.networks import columns
from rmsuite.policies.settings import number, whole


@dataclass
class _Batch:
    rows: np.ndarray
    values: np.ndarray
    advantages: np.ndarray
    log_ratio: np.ndarray


@dataclass(frozen=True)
class PPO:
    """Proximal policy optimisation (arXiv:1707.06347, clipped, and a squared loss for the values).

    ``A = v(y) - V(x)``; each pass goes up along the slope of ``min(q A, clip(q, 1 - clip, 1 + clip) A)``, q the ratio
    of the policy now to the one that sampled. V is linear in the mean embedding of the prompt's responses, learned by
    Adam on the same batch, once a pass. A response of a pool is one action, so generalised advantage estimation is
    trivial: for any lambda and discount it is ``v - V``. Advantages are not normalised. One sample and one reward a
    prompt and step.

    Parameters
    ----------
    clip : float
        How far the ratio may leave 1.
    passes : int
        Updates of the policy a batch.
    value_rate : float
        Learning rate of the value function.
    """

    clip: float = 0.2
    passes: int = 4
    value_rate: float = 0.01

    def __post_init__(self) -> None:
        number("clip", self.clip, 0, 1e9)
        whole("passes", self.passes, 1)
        number("value_rate", self.value_rate, 0, 100)

    def coefficients(self, step: Step) -> np.ndarray:
        """Return the slope of the clipped objective, and let the value function learn."""
        if not step.number:
            step.kept["batch"] = self._sampled(step)
        batch: _Batch = step.kept["batch"]
        self._learn(step, batch.values[0])
        ratio = np.exp(at(step.log_ratio, batch.rows) - batch.log_ratio)
        held = np.where(batch.advantages > 0, ratio > 1 + self.clip, ratio < 1 - self.clip)
        return step.ascent(batch.rows, np.where(held, 0, ratio) * batch.advantages)

    def _sampled(self, step: Step) -> _Batch:
        rows = step.sample()
        values = step.value(rows)
        if "value" not in step.kept:
            zeros = [np.zeros((step.choices.embeddings.shape[1] + 1, rows.shape[-1]))]
            step.kept["value"] = zeros, Adam(self.value_rate)
        return _Batch(rows, values, values - _estimate(step), at(step.log_ratio, rows))

    def _learn(self, step: Step, values: np.ndarray) -> None:
        layers, adam = step.kept["value"]
        error = values - _estimate(step)
        adam.ascend(layers, [columns(_features(step).T, error / len(error))])


def _features(step: Step) -> np.ndarray:
    """Return the mean embedding of each prompt, and a 1, ``(n_prompts, n_features + 1)``."""
    embeddings = step.choices.prompt_embeddings
    return np.column_stack([embeddings, np.ones(len(embeddings))])


def _estimate(step: Step) -> np.ndarray:
    return columns(_features(step), step.kept["value"][0][0])
