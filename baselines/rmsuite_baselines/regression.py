"""Regression of attribute ratings, merged into one reward by the order of validation pairs."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import ClassVar, Self

import numpy as np

from rmsuite import NotApplicable, PreferencePairs, RmsuiteError
from rmsuite_baselines.merging import best_levels
from rmsuite_baselines.networks import Schedule
from rmsuite_baselines.parameters import choice, number, numbers, text, whole, widths
from rmsuite_baselines.rating_heads import LinearHead, NetworkHead, Rated
from rmsuite_baselines.scaling import Scaling

POINTS = 1e7  # of the grid of weights, at most: the search visits them all


@dataclass
class Regression:
    """Predict the rating of each attribute; reward = their weighted sum (arXiv:2505.10775, its regression models).

    As in the paper, a linear map (or, here, an MLP) is fitted to the ratings by squared error, and the weights of the
    attributes are searched on a grid for the highest accuracy on validation pairs: 0, 0.05, ... 1 for each attribute
    and 0, -0.05, ... -1 for verbosity. Ratings keep their unit. The paper trains the base model too; here it is fixed.

    Parameters
    ----------
    head : {"ridge", "mlp"}
        A linear map of the standardised embeddings in closed form, or a network with an output an attribute.
    penalties : tuple of float
        Of the ridge, on the scale of the mean squared error; for each attribute that of the least validation error (the
        largest where no validation response is rated).
    steps : int
        Grid points of a weight, 0 left out; with ``together`` attributes, at most ten million points.
    negative : tuple of str
        Attributes of which less is better; their weights are 0 or below. All must be rated, but for verbosity.
    together : int
        Up to so many attributes the whole grid is searched, else windows of so many: see ``merging.best_levels``.
        Five attributes are four million points: some seconds for a thousand validation pairs.
    hidden, learning_rate, weight_decay, batch, epochs, patience
        Of the mlp: see ``mlp.RewardMLP``; a batch is of responses.
    """

    head: str = "ridge"
    penalties: tuple[float, ...] = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
    steps: int = 20
    negative: tuple[str, ...] = ("verbosity",)
    together: int = 5
    hidden: int | tuple[int, ...] = 256
    learning_rate: float = 3e-4
    weight_decay: float = 3.0
    batch: int = 512
    epochs: int = 30
    patience: int = 3

    who: ClassVar[str] = "regression"

    def __post_init__(self) -> None:
        choice("head", self.head, ("ridge", "mlp"))
        self.penalties = numbers("penalties", self.penalties, 1e-8, 1e8)
        for name in self.negative if isinstance(self.negative, tuple | list) else [None]:
            text("negative", name)
        whole("steps", self.steps)
        number(f"together at steps={self.steps}", whole("together", self.together), 1, int(log(POINTS, self.steps + 1)))
        widths("hidden", self.hidden)
        self._schedule()

    def _schedule(self) -> Schedule:
        return Schedule(self.learning_rate, self.weight_decay, self.batch, self.epochs, self.patience)

    def fit(self, pairs: PreferencePairs, *, rng: np.random.Generator) -> Self:
        """Fit each attribute, then search the weights of the attributes.

        Raises
        ------
        NotApplicable
            If no training response has a rating.
        RmsuiteError
            If an attribute of which less is better is unknown.
        """
        rated, held = Rated.of(pairs), Rated.of(pairs.validation)
        if rated is None or pairs.ratings is None:
            raise NotApplicable("it learns from attribute ratings of the responses, and no training response has any")
        self._refuse_unknown(pairs.ratings.names)
        self.predict = self._predictor(rated, held, Scaling.of(pairs.embeddings), rng)
        signs = np.where(np.isin(pairs.ratings.names, self.negative), -1.0, 1.0)
        self.weights = signs * self._levels(pairs.validation, signs) / self.steps
        return self

    def _refuse_unknown(self, names: tuple[str, ...]) -> None:
        unknown = set(self.negative) - {*names, *Regression.negative}
        if unknown:
            expected, got = f"rated attributes ({', '.join(names)})", ", ".join(sorted(unknown))
            raise RmsuiteError(who="parameter negative", expected=expected, got=got, do="change negative")

    def _predictor(
        self, rated: Rated, held: Rated | None, scaling: Scaling, rng: np.random.Generator
    ) -> LinearHead | NetworkHead:
        if self.head == "ridge":
            return LinearHead.fit(rated, held, scaling, self.penalties, self.who)
        return NetworkHead.fit(rated, held, scaling, widths("hidden", self.hidden), self._schedule(), self.who, rng)

    def _levels(self, pairs: PreferencePairs | None, signs: np.ndarray) -> np.ndarray:
        """Return the grid's levels, ``(n_attributes,)``; equal ones where there are no validation pairs."""
        if not pairs:
            return np.full(len(signs), self.steps)
        predicted = signs * self.attributes(pairs.embeddings)
        return best_levels(predicted[pairs.chosen] - predicted[pairs.rejected], self.steps, self.together)

    def attributes(self, embeddings: np.ndarray) -> np.ndarray:
        """Return the predicted ratings; ``(n, n_features) -> (n, n_attributes)``, in the unit of the ratings."""
        return self.predict(embeddings, self.who)

    def reward(self, embeddings: np.ndarray) -> np.ndarray:
        """Return the weighted sum of the predicted ratings; ``(n, n_features) -> (n,)``."""
        return np.asarray(self.attributes(embeddings) @ self.weights)
