"""A small results folder that a run made, and ways to tamper with it, for the tests of bundles."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from conftest import write_root

from rmsuite import harness, plugins, results
from rmsuite.book import TaskBook, read_book
from rmsuite.cells import Conditions
from rmsuite.executors import Local
from rmsuite.results import CellRecord

PLUGIN = '''
import numpy as np
import rmsuite


class Noisy:
    """Uses all that it is given."""

    def __init__(self, scale=1.0, shape=(2, 3)):
        self.scale = scale

    def fit(self, pairs, *, rng):
        self.weights = pairs.differences().mean(axis=0) + 0.1 * rng.standard_normal(pairs.n_features)
        return self

    def reward(self, embeddings):
        return self.scale * (embeddings @ self.weights)


class Careful(Noisy):
    """Says how sure it is."""

    def uncertainty(self, embeddings):
        return np.abs(embeddings[:, 0]) + 0.5

    def probability(self, embeddings, first, second):
        rewards = self.reward(embeddings)
        return 1 / (1 + np.exp(rewards[second] - rewards[first]))


class Constant(Noisy):
    def reward(self, embeddings):
        return np.zeros(len(embeddings))


class Failing(Noisy):
    def fit(self, pairs, *, rng):
        raise ValueError("=no, it's 100% \\"wrong\\"")


class Refusing(Noisy):
    def fit(self, pairs, *, rng):
        raise rmsuite.NotApplicable("needs attributes")


MADE = {{"noisy": Noisy, "careful": Careful, "constant": Constant, "failing": Failing, "refusing": Refusing}}
REFERENCES = {{"noisy": "arXiv:1706.03762v5", "careful": "Doe & Roe, 50% {{of}} rewards_, 2020"}}


@rmsuite.hookimpl
def rmsuite_methods():
    return [rmsuite.Method(name=name, make=make, reference=REFERENCES.get(name, "")) for name, make in MADE.items()]


@rmsuite.hookimpl
def rmsuite_tasks():
    return [{root!r}]
'''
METHODS = ("noisy", "careful[scale=2.0]", "constant", "failing", "refusing")
CONTROLS = {"random", "length", "embedding-norm", "shuffled-labels", "oracle"}
REPETITIONS = 2


@dataclass(frozen=True)
class Bundle:
    """Where toy tasks, their plugin file and the results of a run lie."""

    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "toy-tasks"

    @property
    def plugin(self) -> Path:
        return self.folder / "toys.py"

    @property
    def home(self) -> Path:
        return self.folder / "results"

    @property
    def book(self) -> TaskBook:
        return read_book([self.root])

    @property
    def catalogue(self) -> plugins.Catalogue:
        return plugins.load([self.plugin], installed=False)

    @property
    def executor(self) -> Local:
        return Local(2, Conditions((self.root, self.home), {plugins.load_file(self.plugin).__name__: self.plugin}))

    def path(self, task: str = "toy-gold@1", method: str = "noisy", repetition: int = 0) -> Path:
        return self.home / task / method / f"{repetition}.json"

    def cell(self, *key: Any, **named: Any) -> CellRecord:
        return results.read(self.path(*key, **named))

    def restored(self) -> Bundle:
        """Put the results back as they were when this was called first, for a test to change."""
        kept = self.folder / "kept"
        if not kept.exists():
            shutil.copytree(self.home, kept)
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.copytree(kept, self.home)
        return self

    def forge(self, path: Path, **changes: Any) -> Path:
        """Change a record and seal it anew, as somebody who knows the format would."""
        return results.write(self.home, replace(results.read(path), **changes))


def make(folder: Path) -> Bundle:
    """Run the methods on both toy tasks."""
    bundle = Bundle(folder)
    write_root(bundle.root)
    bundle.plugin.write_text(PLUGIN.format(root=str(bundle.root)), encoding="utf-8")
    run(bundle, bundle.home)
    return bundle


def run(bundle: Bundle, home: Path, seed: int = 0, methods: tuple[str, ...] = METHODS) -> None:
    """Run methods on both toy tasks into a folder."""
    named = (bundle.catalogue.configured(text) for text in methods)
    entrants = [harness.Entrant(configured, owner.source) for owner, configured in named]
    loaded = [bundle.book.task(name).load() for name in ("toy-gold", "toy-human")]
    harness.run(loaded, entrants, REPETITIONS, seed, bundle.executor, home)


def one_digit(text: str) -> str:
    """Return a text with its first digit replaced by another."""
    return re.sub(r"\d", lambda match: str((int(match[0]) + 1) % 10), text, count=1)


def seal(path: Path, changes: Mapping[str, Any]) -> None:
    """Change fields of a record's JSON, of whatever kind, and seal it without the package's help."""
    document = {**json.loads(path.read_text(encoding="utf-8")), **changes, "sha256": 64 * "0"}
    text = json.dumps(document, indent=1) + "\n"
    digest = hashlib.sha256(text.encode()).hexdigest()
    path.write_text(digest.join(text.rsplit(64 * "0", 1)), encoding="utf-8")
