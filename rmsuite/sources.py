"""A pool together with one of its embedding sets: what a task tests on, or trains on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from rmsuite.data import Pool
from rmsuite.errors import TaskError, unknown_name
from rmsuite.pools import (
    COST_CARD,
    COSTS,
    EMBEDDINGS_CARD,
    GOLD_CARD,
    POOL_CARD,
    EmbeddingSet,
    GoldRewards,
    load_embeddings,
    load_gold,
    load_pool,
    read_card,
    sign,
)
from rmsuite.splits import FRACTIONS, PARTS, generators_in_second_half, part_of


@dataclass(frozen=True, eq=False)
class Source:
    """A pool in memory, its card, and one of its embedding sets (mapped).

    With a gold reward model, the pool's gold is that model's, and its human pairs are left out.
    """

    pool: Pool
    pool_card: Mapping[str, Any]
    embeddings: EmbeddingSet
    gold: GoldRewards | None = None

    @cached_property
    def part(self) -> np.ndarray:
        """The part of each prompt, ``(n_prompts,)``, a name in ``PARTS``."""
        if self.pool.part is not None:
            return np.array(PARTS)[self.pool.part]
        return part_of(self.pool.prompt_id if self.pool.split_id is None else self.pool.split_id)

    def in_second_half(self, task: str) -> np.ndarray:
        """Return which responses, ``(n_responses,)``, are by a generator of the second half.

        Raises
        ------
        TaskError
            If the card does not name the generators, or all of them are in one half.
        """
        names = [str(name) for name in self.pool_card.get("generators", ())]
        known = len(names) > int(np.max(self.pool.generator))
        second = generators_in_second_half(names)[self.pool.generator] if known else np.zeros(1, bool)
        if second.all() or not second.any():
            who, got = f"task {task}: pool {self.pool.name!r}", ", ".join(names) or "no names of generators"
            expected, do = "generators in both halves", "leave out generators=split, or choose another pool"
            raise TaskError(who=who, expected=expected, got=got, do=do)
        return second


@dataclass(frozen=True)
class Signed:
    """What signatures say of a source; from its cards alone, so that no array is read but that of a stated split."""

    pool: str
    embeddings: str
    split: str
    gold: str


def signed(root: Path, name: str, base_model: str, gold: str = "") -> Signed:
    """Return what signatures say of a pool, one of its embedding sets and a gold; raises as ``load_source``."""
    folder = _home(root, name, base_model, gold)
    card = read_card(folder / POOL_CARD)
    sets, golds = folder / "embeddings" / base_model, folder / "golds" / gold
    return Signed(
        pool=sign(str(card.get("name")), folder / POOL_CARD),
        embeddings=sign(base_model, sets / EMBEDDINGS_CARD),
        split=_split(folder, card),
        gold=sign(gold, golds / GOLD_CARD) if gold else "",
    )


def _split(folder: Path, card: Mapping[str, Any]) -> str:
    columns = card.get("sha256", {})
    if "part.npy" in columns:
        part = np.load(folder / "part.npy", allow_pickle=False)
        return f"stated({'/'.join(str(np.count_nonzero(part == number)) for number in range(len(PARTS)))})"
    unit = "group" if "split_id.npy" in columns else "prompt"
    return f"{unit}-hash-1({'/'.join(f'{FRACTIONS[part]:g}' for part in PARTS)})"


def load_source(root: Path, name: str, base_model: str, gold: str = "") -> Source:
    """Read and verify the pool of that name in a folder of pools, one of its embedding sets and, if asked, a gold.

    Raises
    ------
    TaskError
        If a file is not what its card says.
    UnknownNameError
        If there is no such pool, base model or gold reward model.
    """
    folder = _home(root, name, base_model, gold)
    pool = load_pool(folder)[0]
    embeddings = load_embeddings(folder, base_model, len(pool.response_id))
    card = read_card(folder / POOL_CARD)
    if not gold:
        return Source(pool, card, embeddings)
    rewards = load_gold(folder, gold, len(pool.response_id))
    return Source(replace(pool, gold=rewards.reward, human_pairs=None, votes=None), card, embeddings, rewards)


def embedding_card(root: Path, name: str, base_model: str) -> dict[str, Any]:
    """Return the card of one of a pool's embedding sets, by names; raises as ``load_source`` for what is not there.

    What is said beside the card of what the set cost is part of it, unless the card says it too. Nothing else that
    stands there is: only the card itself is part of the set's digest.
    """
    home = _home(root, name, base_model) / "embeddings" / base_model
    cost = read_card(home / COST_CARD) if (home / COST_CARD).is_file() else {}
    return {**{key: cost[key] for key in COSTS if key in cost}, **read_card(home / EMBEDDINGS_CARD)}


def _home(root: Path, name: str, base_model: str, gold: str = "") -> Path:
    folder = root / "pools" / name
    _known("pool", name, root / "pools", POOL_CARD)
    _known("base model", base_model, folder / "embeddings", EMBEDDINGS_CARD)
    if gold:
        _known("gold reward model", gold, folder / "golds", GOLD_CARD)
    return folder


def _known(kind: str, name: str, home: Path, card: str) -> None:
    names = [path.parent.name for path in home.glob(f"*/{card}")]
    if name not in names:
        raise unknown_name(kind, name, names, f"choose one of the folders in {str(home)!r}")
