"""What the cards of embedding sets say of their base models, and which of these differ in one thing only."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

UNTRAINED = ", untrained"  # how the family of random weights ends, on cards
LAST = "last"
NOTHING = "none"  # how the hash of weights begins where nothing is learnt
BILLION = 1e9
MOST = 1e30  # parameters, features or seconds: what is more is no measurement


@dataclass(frozen=True)
class Embedded:
    """A base model as the card of an embedding set describes it; what a card does not say is empty or NaN.

    Attributes
    ----------
    name : str
        Of the embedding set; tasks call it ``base_model``.
    published : str
        The name under which others know the model, with what was done to its weights after a comma.
    parameters : float
        In billions.
    seconds : float
        Of one core, to embed 1,000 responses.
    stage, after : str
        How the model was trained on, and the embedding set of the model that it was trained from.
    """

    name: str
    published: str = ""
    family: str = ""
    weights: str = ""
    precision: str = ""
    layer: str = ""
    pooling: str = ""
    stage: str = ""
    after: str = ""
    parameters: float = math.nan
    n_features: float = math.nan
    seconds: float = math.nan

    @property
    def stem(self) -> str:
        """The published name without what was done to the weights."""
        return self.published.partition(",")[0].strip()


@dataclass(frozen=True)
class Related:
    """Two base models, the first of which differs from the second in one thing; ``what`` says in which."""

    first: str
    second: str
    what: str


def of_card(name: str, card: Mapping[str, Any]) -> Embedded:
    """Return what a card says of a base model."""
    weights = str(card.get("weights_sha256", ""))
    parameters, seconds = (_number(card.get(key)) for key in ("parameters", "seconds_per_1000_responses"))
    return Embedded(
        name,
        published=str(card.get("base_model_name", "")),
        family=str(card.get("family", "")),
        weights="" if weights.startswith(NOTHING) else weights,
        precision=str(card.get("precision", "")),
        layer=str(card.get("layer", "")),
        pooling=str(card.get("pooling", "")),
        stage=str(card.get("stage", "")),
        after=str(card.get("after", "")),
        parameters=parameters / BILLION,
        n_features=_number(card.get("n_features")),
        seconds=seconds,
    )


def _number(value: Any) -> float:
    known = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MOST
    return float(value) if known else math.nan


def scored_as(sets: Sequence[Embedded]) -> dict[str, str]:
    """Return the published name by which each base model's scores elsewhere may be found.

    Weights of another precision are looked up under the name of the weights that they were made of, unless one of the
    sets, or several, would take the same scores.

    Examples
    --------
    >>> scored_as([Embedded("a", "org/m"), Embedded("b", "org/m, 8-bit"), Embedded("c", "org/n, 4-bit")])
    {'a': 'org/m', 'c': 'org/n'}
    """
    stems = [one.stem for one in sets]
    alone = {stem for stem in stems if stems.count(stem) == 1}
    return {one.name: one.stem for one in sets if one.stem and (one.published == one.stem or one.stem in alone)}


def related(sets: Sequence[Embedded]) -> list[Related]:
    """Return the pairs of base models that differ in one thing: training, stage, precision, layer, pooling or width.

    Of layers, each is held against the last one; of widths, the smaller against the larger one.

    Examples
    --------
    >>> l6, last = (Embedded(n, weights="w", pooling="mean", layer=l) for n, l in (("m-6", "6"), ("m", "last")))
    >>> related([l6, last])
    [Related(first='m-6', second='m', what='layer: 6, not last')]
    """
    return [Related(one.name, other.name, what) for one, other in permutations(sets, 2) for what in _what(one, other)]


def _what(one: Embedded, other: Embedded) -> Iterator[str]:
    if one.after == other.name:
        yield f"stage: {one.stage or 'trained further'}"
    elif one.family and other.family == one.family + UNTRAINED and one.published == one.stem:
        yield "trained weights, not random ones"
    elif one.weights and one.weights == other.weights:
        yield from _same_weights(one, other)
    elif one.stem and one.stem == other.stem and one.published != one.stem and other.published == other.stem:
        yield from [] if _differ(one, other) else [f"precision: {one.precision}, not {other.precision}"]


def _differ(one: Embedded, other: Embedded) -> list[str]:
    """Return which facts differ; what neither card says does not."""
    return [name for name in ("layer", "pooling", "n_features") if str(getattr(one, name)) != str(getattr(other, name))]


def _same_weights(one: Embedded, other: Embedded) -> Iterator[str]:
    differ = _differ(one, other)
    if differ == ["layer"] and other.layer == LAST:
        yield f"layer: {one.layer}, not {LAST}"
    elif differ == ["pooling"] and one.pooling < other.pooling:
        yield f"pooling: {one.pooling}, not {other.pooling}"
    elif differ == ["n_features"] and one.n_features < other.n_features:
        yield f"width: {one.n_features:g}, not {other.n_features:g}"
