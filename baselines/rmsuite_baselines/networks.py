"""Multilayer perceptrons in numpy: forward, backward, Adam, and the loop of epochs that stops on validation.

Layers are a flat list: weights and biases in turn, and a head without bias, as rewards have no origin. They may have
one more axis in front, of several networks of one shape that are trained together (``stacked``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from rmsuite import PreferencePairs, RmsuiteError
from rmsuite_baselines.losses import Loss
from rmsuite_baselines.parameters import number, whole
from rmsuite_baselines.scaling import Standardised

Layers = list[np.ndarray]

ROWS = 8192  # of a forward pass without gradient, to bound the memory


def initial(sizes: list[int], rng: np.random.Generator, n_heads: int = 1) -> Layers:
    """Return He-initialised float32 layers; heads start small, so that training starts from equal rewards."""
    layers: Layers = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [rng.normal(0, np.sqrt(2 / fan_in), (fan_in, fan_out)), np.zeros(fan_out)]
    head = rng.normal(0, 0.01 / np.sqrt(sizes[-1]), (sizes[-1], n_heads))
    return [layer.astype(np.float32) for layer in [*layers, head]]


def stacked(networks: list[Layers]) -> Layers:
    """Return networks of one shape as one list of layers; each layer is ``(n_networks, fan_in or 1, fan_out)``.

    They go forward and are trained as one network, whose heads are all of theirs, one network after the other.
    """
    return [np.stack([np.atleast_2d(layer) for layer in same]) for same in zip(*networks, strict=True)]


@dataclass(frozen=True)
class Dropout:
    """Zero a share of the hidden units at random and scale the others up, while training."""

    share: float = 0.0
    rng: np.random.Generator | None = None

    def __call__(self, hidden: np.ndarray) -> np.ndarray:
        """Drop units in place."""
        if self.rng is not None and self.share:
            hidden *= self.rng.random(hidden.shape, dtype=np.float32) >= self.share
            hidden /= np.float32(1 - self.share)
        return hidden


def forward(
    layers: Layers, embeddings: np.ndarray, dropout: Dropout = Dropout()
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return rewards ``(n, n_heads)`` and the input of each layer."""
    inputs = [embeddings]
    for weights, bias in zip(layers[:-1:2], layers[1::2], strict=True):
        hidden = inputs[-1] @ weights
        hidden += bias
        inputs.append(dropout(np.maximum(hidden, 0, out=hidden)))
    rewards = inputs[-1] @ layers[-1]
    return rewards if rewards.ndim == 2 else np.concatenate(list(rewards), axis=1), inputs


def backward(layers: Layers, inputs: list[np.ndarray], slope: np.ndarray, dropout: Dropout = Dropout()) -> Layers:
    """Return the gradient of each layer, given the loss's slope with respect to each reward, ``(n, n_heads)``."""
    if layers[-1].ndim == 3:
        slope = np.stack(np.split(slope, len(layers[-1]), axis=1))
    gradients = [_turned(inputs[-1]) @ slope]
    back = slope @ _turned(layers[-1])
    for depth in range(len(inputs) - 2, -1, -1):
        back *= inputs[depth + 1] > 0
        if dropout.share:
            back /= np.float32(1 - dropout.share)
        gradients += [back.sum(axis=-2).reshape(layers[2 * depth + 1].shape), _turned(inputs[depth]) @ back]
        if depth:
            back = back @ _turned(layers[2 * depth])
    return gradients[::-1]


def _turned(matrices: np.ndarray) -> np.ndarray:
    return np.swapaxes(matrices, -1, -2)


def rewards_of(layers: Layers, embeddings: Standardised) -> np.ndarray:
    """Return rewards of all rows, ``(n, n_heads)``, some thousand rows at a time."""
    return in_blocks(lambda rows: forward(layers, rows)[0], embeddings)


def in_blocks(function: Callable[[np.ndarray], np.ndarray], rows: Standardised | np.ndarray) -> np.ndarray:
    """Return what a function makes of all rows, which it is given some thousand at a time."""
    starts = range(0, max(len(rows), 1), ROWS)
    return np.concatenate([function(rows[start : start + ROWS]) for start in starts])


@dataclass
class Adam:
    """Adam (arXiv:1412.6980) over a list of arrays, which it updates in place; decoupled weight decay."""

    learning_rate: float
    decay: float
    moments: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = field(default_factory=list)
    steps: int = 0

    def step(self, layers: Layers, gradients: Layers) -> None:
        """Move the layers one step against the gradients, which it overwrites."""
        if not self.steps:
            self.moments = [(np.zeros_like(layer), np.zeros_like(layer), np.empty_like(layer)) for layer in layers]
        self.steps += 1
        rate = np.float32(self.learning_rate * np.sqrt(1 - 0.999**self.steps) / (1 - 0.9**self.steps))
        shrink = np.float32(1 - self.learning_rate * self.decay)
        for layer, gradient, (first, second, work) in zip(layers, gradients, self.moments, strict=True):
            np.multiply(gradient, gradient, out=work)
            work -= second
            work *= np.float32(0.001)
            second += work
            gradient -= first
            gradient *= np.float32(0.1)
            first += gradient
            np.sqrt(second, out=work)
            work += np.float32(1e-8)
            np.divide(first, work, out=work)
            work *= rate
            layer -= work
            layer *= shrink


@dataclass(frozen=True)
class Schedule:
    """How long and how fast a network is trained: the parameters of every method that has one.

    Parameters
    ----------
    learning_rate, weight_decay : float
        Of Adam.
    batch : int
        Items (pairs, for a reward model) a step.
    epochs : int
        At most so many passes over the items.
    patience : int
        Epochs without a better validation loss before training stops.
    """

    learning_rate: float
    weight_decay: float
    batch: int
    epochs: int
    patience: int

    def __post_init__(self) -> None:
        for name in ("batch", "epochs", "patience"):
            whole(name, getattr(self, name))
        number("learning_rate", self.learning_rate, 1e-9, 100)
        number("weight_decay", self.weight_decay, 0, min(100, 0.99 / self.learning_rate))

    def batches(self, group: np.ndarray, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """Yield the numbers of all items, so many at a time; groups come in random order, their items together.

        Pairs of one prompt share responses, each of which goes forward once in a batch: on 20 pairs a prompt this
        halves the time of an epoch, and loses nothing that was measured.
        """
        order = np.argsort(rng.permutation(group.max(initial=-1) + 1)[group], kind="stable")
        for start in range(0, len(order), self.batch):
            yield order[start : start + self.batch]


def _diverged(schedule: Schedule, value: float) -> RmsuiteError:
    rate = f"learning_rate={schedule.learning_rate:g}"
    do = "lower learning_rate, or look for features of odd sizes"
    return RmsuiteError(who=f"training with {rate}", expected="a finite validation loss", got=f"{value}", do=do)


def descend(
    layers: Layers,
    schedule: Schedule,
    group: np.ndarray,
    gradients: Callable[[np.ndarray], Layers],
    validation_loss: Callable[[], float] | None,
    rng: np.random.Generator,
) -> None:
    """Train ``layers`` in place; they end as they were after the epoch of the least validation loss.

    ``group``, ``(n_items,)``, numbers the group (prompt) of each item; ``gradients`` takes the numbers of a batch's
    items and returns the slope of the mean loss with respect to each layer. Without ``validation_loss`` all epochs are
    run and the last is kept.
    """
    adam = Adam(schedule.learning_rate, schedule.weight_decay)
    best, since = np.inf, 0
    kept = [layer.copy() for layer in layers]
    for _ in range(schedule.epochs):
        for batch in schedule.batches(group, rng):
            adam.step(layers, gradients(batch))
        value, since = validation_loss() if validation_loss else -np.inf, since + 1
        if np.isnan(value) or value == np.inf:
            raise _diverged(schedule, value)
        if value < best or not validation_loss:
            best, since, kept = value, 0, [layer.copy() for layer in layers]
        if since >= schedule.patience:
            break
    for layer, good in zip(layers, kept, strict=True):
        layer[...] = good


# Takes embeddings to rewards, and to the function that takes a slope by each reward to a gradient of each layer.
Run = Callable[[np.ndarray], tuple[np.ndarray, Callable[[np.ndarray], Layers]]]


def train(
    layers: Layers,
    pairs: PreferencePairs,
    embeddings: Callable[[PreferencePairs], Standardised],
    loss: Loss,
    schedule: Schedule,
    rng: np.random.Generator,
    dropout: float = 0.0,
    weight: np.ndarray | None = None,
) -> None:
    """Train a reward network in place on pairs; no unit is dropped for the validation loss.

    ``weight``, ``(n_pairs, n_heads)``, goes to the loss where it is given; validation pairs weigh all the same.
    """
    drop = Dropout(dropout, rng)

    def run(rows: np.ndarray) -> tuple[np.ndarray, Callable[[np.ndarray], Layers]]:
        rewards, inputs = forward(layers, rows, drop)
        return rewards, lambda slope: backward(layers, inputs, slope, drop)

    train_run(layers, run, lambda rows: rewards_of(layers, rows), pairs, embeddings, loss, schedule, rng, weight)


def train_run(
    layers: Layers,
    run: Run,
    rewards_of: Callable[[Standardised], np.ndarray],
    pairs: PreferencePairs,
    embeddings: Callable[[PreferencePairs], Standardised],
    loss: Loss,
    schedule: Schedule,
    rng: np.random.Generator,
    weight: np.ndarray | None = None,
) -> None:
    """Train the layers of any network in place on pairs; each distinct response of a batch goes forward once.

    ``run`` is the network in training; ``rewards_of`` gives the rewards of all rows without gradient.
    """
    rows = embeddings(pairs)

    def gradients(batch: np.ndarray) -> Layers:
        members, position = np.unique([pairs.chosen[batch], pairs.rejected[batch]], return_inverse=True)
        chosen, rejected = position.reshape(2, -1)
        rewards, back = run(rows[members])
        weights = () if weight is None else (weight[batch],)
        return back(loss(rewards, chosen, rejected, *weights)[1])

    held = pairs.validation
    if not held:
        return descend(layers, schedule, pairs.prompt, gradients, None, rng)
    held_rows = embeddings(held)

    def validation_loss() -> float:
        return loss(rewards_of(held_rows), held.chosen, held.rejected)[0]

    return descend(layers, schedule, pairs.prompt, gradients, validation_loss, rng)
