"""The trainable policy: a softmax over log reference plus a function of the embedding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rmsuite.policies.choices import Choices
from rmsuite.policies.networks import Back, Network


@dataclass(frozen=True, eq=False)
class Policy:
    """``pi(y | x)`` in proportion to ``reference(y | x) * exp(f(embedding of y))``, for several seeds at once.

    Where ``f`` is 0 it is the reference, and what the reference never gives it never gives. It has a value for
    responses that it was not trained on.
    """

    network: Network

    @property
    def n_seeds(self) -> int:
        """How many policies there are."""
        return self.network.n_seeds

    def logits(self, choices: Choices) -> np.ndarray:
        """Return log reference plus ``f``, ``(n_responses, n_seeds)``, float64."""
        return choices.log_reference[:, None] + self.network.run(choices.embeddings)[0].astype(np.float64)

    def log_probabilities(self, choices: Choices) -> np.ndarray:
        """Return log pi in nats, ``(n_responses, n_seeds)``, -inf where the reference is."""
        return choices.log_reference[:, None] + self.log_ratio(choices)

    def log_ratio(self, choices: Choices) -> np.ndarray:
        """Return log pi - log reference in nats, ``(n_responses, n_seeds)``, finite for all responses."""
        return self.run(choices)[0]

    def run(self, choices: Choices) -> tuple[np.ndarray, Back]:
        """Return ``log_ratio``, and what makes of slopes by the logits those by each layer of the network."""
        found, back = self.network.run(choices.embeddings)
        values = found.astype(np.float64)
        normaliser = choices.prompts.log_sum_exp(choices.log_reference[:, None] + values)
        return values - choices.prompts.spread(normaliser), back

    def backward(self, choices: Choices, coefficients: np.ndarray) -> list[np.ndarray]:
        """Return, for each layer, the sum over responses of coefficient times slope of the logit by that layer.

        ``coefficients`` is ``(n_responses, n_seeds)``.
        """
        return self.network.run(choices.embeddings)[1](coefficients)
