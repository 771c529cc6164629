"""One repetition of one task: what a method may see is decided here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from rmsuite import handover, seeds
from rmsuite.arrays import Gathered, gathered
from rmsuite.attributes import attribute_pairs, given_ratings
from rmsuite.controls import Evidence
from rmsuite.data import PreferencePairs
from rmsuite.errors import TaskError
from rmsuite.pairing import LabelledPairs, labelled_pairs
from rmsuite.pools import EmbeddingSet
from rmsuite.tasks import LoadedTask


@dataclass(frozen=True, eq=False)
class Setting:
    """One repetition of one task: the training pairs that are handed out, and the test part that is kept."""

    task: LoadedTask
    root_seed: int
    repetition: int

    def _rng(self, purpose: seeds.Purpose, **axes: str) -> np.random.Generator:
        axes = {"task": self.task.card.plain_label, **axes}
        return seeds.generator(self.root_seed, purpose, repetition=self.repetition, **axes)

    @cached_property
    def _drawn(self) -> dict[str, LabelledPairs]:
        return {part: self._draw(part) for part in ("train", "validation")}

    def _draw(self, part: str) -> LabelledPairs:
        rngs = self._rng("pairs", part=part), self._rng("annotation", part=part)
        pool, prompts = self.task.training.pool, self.task.parts[part]
        drawn = labelled_pairs(pool, prompts, self.task.annotator, self.task.drawing(part), rngs)
        if not len(drawn.chosen):
            raise TaskError(
                who=f"task {self.task.card.label}",
                expected=f"pairs in its {part} part",
                got="none",
                do="choose a pool with more prompts, or with responses of unequal gold",
            )
        return drawn

    def draw(self) -> None:
        """Draw and label the pairs now; raises ``TaskError`` if the pool cannot give them."""
        _ = self._drawn

    @cached_property
    def pairs(self) -> PreferencePairs:
        """What a method is trained on."""
        return self._pairs("train", self._pairs("validation", None))

    def _pairs(self, part: str, validation: PreferencePairs | None) -> PreferencePairs:
        drawn, pool = self._drawn[part], self.task.training.pool
        rows, position = self._rows(part)
        chosen, rejected = np.split(position, 2)
        prompts, prompt = np.unique(pool.prompt[drawn.chosen], return_inverse=True)
        category = pool.category[prompts][prompt].astype(np.int64)
        embeddings, gives = self._handed(part, rows), self.task.card.gives
        judged = attribute_pairs(pool, rows, (chosen, rejected), prompt, category) if "attributes" in gives else ()
        ratings = given_ratings(pool, rows) if "ratings" in gives else None
        return PreferencePairs(embeddings, chosen, rejected, prompt, category, validation, judged, ratings)

    def _rows(self, part: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the distinct responses of the pairs, and for all chosen, then all rejected ones which they are."""
        drawn = self._drawn[part]
        return np.unique(np.concatenate([drawn.chosen, drawn.rejected]), return_inverse=True)

    def _handed(self, part: str, rows: np.ndarray) -> np.ndarray:
        return handover.handed(self.task.training.embeddings.matrix, rows, lambda: self._folder / part)

    @property
    def handed(self) -> tuple[tuple[np.ndarray, Gathered], ...]:
        """The embeddings of the pairs, each with the rows that they are, for whom rows can be told by their numbers."""
        matrix, validation = self.task.training.embeddings.matrix, self.pairs.validation
        assert validation is not None
        parts = ("train", self.pairs), ("validation", validation)
        return tuple((pairs.embeddings, Gathered(matrix, self._rows(part)[0])) for part, pairs in parts)

    @property
    def embedding_sets(self) -> tuple[EmbeddingSet, ...]:
        """The embedding sets of which methods get rows."""
        sources = (self.task.training, self.task.tested, *([self.task.probe] if self.task.probe else []))
        return tuple(source.embeddings for source in sources)

    @cached_property
    def _folder(self) -> Path:
        """Where large training embeddings lie for workers to map; it goes when the setting does."""
        return handover.folder(self)

    def _tested(self, order: np.ndarray) -> np.ndarray | Gathered:
        test, probe = self.task.test, self.task.probe
        if test.planted is None or probe is None:
            return Gathered(self.task.embeddings.matrix, test.rows[order])
        parts = Gathered(self.task.embeddings.matrix, test.rows), Gathered(probe.embeddings.matrix, test.planted.rows)
        return np.concatenate([part[:] for part in parts])[order]

    @property
    def n_rewarded(self) -> int:
        """How many responses are rewarded: those of the test part and what is planted among them."""
        planted = self.task.test.planted
        return len(self.task.test.rows) + (0 if planted is None else len(planted.rows))

    @cached_property
    def test_order(self) -> np.ndarray:
        """The shuffled order, positions in the test set, in which test embeddings are handed out; planted come last."""
        return self._rng("test-order").permutation(self.n_rewarded)

    @property
    def test_rows(self) -> np.ndarray | Gathered:
        """Test embeddings in shuffled order, as rows of the embedding set where they are of one."""
        return self._tested(self.test_order)

    @property
    def test_embeddings(self) -> np.ndarray | Gathered:
        """Test embeddings as a worker gets them: shuffled; large ones are gathered when they are sent."""
        return gathered(self.test_rows)

    @property
    def asked_pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """The pairs that probabilities are asked for, as rows of ``test_embeddings``; their orientation is random."""
        place = np.argsort(self.test_order)
        return place[self.task.test.asked.first], place[self.task.test.asked.second]

    def evidence(self, control: str) -> Evidence:
        """What a control may look at."""
        test, embeddings = self.task.test, gathered(self._tested(np.arange(self.n_rewarded)))
        lengths = test.length if test.planted is None else np.concatenate([test.length, test.planted.length])
        return Evidence(test, lengths, embeddings, self.pairs, self._rng("control", control=control))

    def facts(self) -> dict[str, Any]:
        """Counts and the annotator's realised agreement with gold, for the record.

        Ties and abstentions, whose pairs train nobody, are counted where the annotator may give any; where a plugin's
        annotator comes from is said.
        """
        train, test, annotator = self._drawn["train"], self.task.test, self.task.annotator
        undecided = {"n_train_ties": train.n_ties, "n_train_abstentions": train.n_abstentions}
        return {
            "n_train_pairs": len(train.chosen),
            "n_validation_pairs": len(self._drawn["validation"].chosen),
            "n_train_prompts": len(np.unique(self.pairs.prompt)),
            "n_test_prompts": test.n_prompts,
            "n_test_responses": len(test.rows),
            "annotator_agreement": train.agreement,
            **({} if annotator.decisive else undecided),
            **({"annotator_source": annotator.source} if annotator.source else {}),
            "columns": list(self.task.card.shown),
            "licence": self.task.licence(),
            **({"gold": self.task.tested.gold.summary} if self.task.tested.gold else {}),
        }
