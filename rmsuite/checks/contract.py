"""The promises of every method, one function each: it raises ``Broken`` when the promise is not kept."""

from __future__ import annotations

import contextlib
import pickle
import random
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from unittest import mock

import cloudpickle
import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from rmsuite import seeds, testing
from rmsuite.checks.base import Broken, Subject, close, fitted, method_rng, rewards_of, writable
from rmsuite.errors import NotApplicable

HEAVY = ("jax", "lightgbm", "pandas", "sklearn", "tensorflow", "torch", "transformers", "xgboost")
N_SHUFFLES = 8


def fresh_objects(subject: Subject) -> None:
    toy = testing.toy()
    first = fitted(subject, toy.pairs)
    before = rewards_of(first, toy.embeddings)
    second = fitted(subject, testing.swapped(toy.pairs))
    if first is second or not np.array_equal(before, rewards_of(first, toy.embeddings), equal_nan=True):
        raise Broken("fitting a second object changed the first", "make a new one in `make`, keep no state in classes")


def fit_returns_self(subject: Subject) -> None:
    model = subject.configured.make()
    returned = model.fit(writable(testing.toy().pairs), rng=method_rng(0))
    if returned is not model:
        raise Broken(f"`fit` returned {type(returned).__name__}", "end `fit` with `return self`")


def reward_shape(subject: Subject) -> None:
    toy = testing.toy()
    model = fitted(subject, toy.pairs)
    for n in (len(toy.embeddings), 1):
        shape = np.shape(model.reward(toy.embeddings[:n].copy()))
        if shape != (n,):
            raise Broken(f"{n} rows gave shape {shape}, expected ({n},)", "return one number a row, one-dimensional")


def finite_rewards(subject: Subject) -> None:
    constant = np.ones(testing.N_FEATURES, np.float32)
    constant[:3] = 0.0
    toy = testing.toy()
    for what, pairs in (("3 constant features", testing.with_embeddings(toy.pairs, constant)), ("all", toy.pairs)):
        scale = constant if pairs is not toy.pairs else np.float32(1)
        rewards = rewards_of(fitted(subject, pairs), toy.embeddings * scale)
        if not np.isfinite(rewards).all():
            raise Broken(f"{np.sum(~np.isfinite(rewards))} rewards are not finite ({what})", "guard divisions by zero")


def row_order(subject: Subject) -> None:
    toy = testing.toy()
    model = fitted(subject, toy.pairs)
    order = np.roll(np.arange(len(toy.embeddings)), 1)
    if not close(rewards_of(model, toy.embeddings)[order], rewards_of(model, toy.embeddings[order]), 1e-4):
        raise Broken("reordering the rows changed their rewards", "let a reward depend on its own row only")


def batch_invariance(subject: Subject) -> None:
    toy = testing.toy()
    model = fitted(subject, toy.pairs)
    halves = [rewards_of(model, half) for half in np.split(toy.embeddings, [100])]
    if not close(rewards_of(model, toy.embeddings), np.concatenate(halves), 1e-4):
        raise Broken(
            "rewards of half the rows differ from those of all", "learn means and scales in `fit`, not in `reward`"
        )


def inputs_unmodified(subject: Subject) -> None:
    toy = testing.toy()
    model, embeddings = subject.configured.make(), toy.embeddings.copy()
    embeddings.flags.writeable = False
    before = pickle.dumps((toy.pairs, embeddings))
    try:
        model.fit(toy.pairs, rng=method_rng(0))
        model.reward(embeddings)
        if pickle.dumps((toy.pairs, embeddings)) != before:
            raise ValueError("it made a read-only array writable")
    except ValueError as error:
        if "read-only" not in str(error):
            raise
        raise Broken(f"it wrote into its input ({error})", "work on a copy: inputs are read-only") from None


def global_random_state(subject: Subject) -> None:
    """Start from a state of the check's own: a method that seeds with a constant has left its usual state before."""
    toy = testing.toy()
    with _own_random_state():
        before = pickle.dumps(_random_state())
        rewards_of(fitted(subject, toy.pairs), toy.embeddings)
        after = pickle.dumps(_random_state())
    if after != before:
        raise Broken("numpy's or Python's global random state changed", "draw from the `rng` that `fit` is given")


def _random_state() -> tuple[Any, Any]:
    return np.random.get_state(legacy=True), random.getstate()


@contextlib.contextmanager
def _own_random_state() -> Iterator[None]:
    kept = _random_state()
    np.random.seed(20_250_204)  # a number that nobody else is likely to seed with
    random.seed(20_250_204)
    try:
        yield
    finally:
        np.random.set_state(kept[0])
        random.setstate(kept[1])


def same_seed_same_bits(subject: Subject) -> None:
    toy = testing.toy()
    first, second = (rewards_of(fitted(subject, toy.pairs), toy.embeddings) for _ in range(2))
    if first.tobytes() != second.tobytes():
        raise Broken("two fits with one seed differ in bits", "draw all randomness from `rng`; iterate over no set")


def refit_forgets(subject: Subject) -> None:
    toy = testing.toy()
    model = fitted(subject, testing.toy(root=1).pairs)
    model.fit(writable(toy.pairs), rng=method_rng(0))
    if not close(rewards_of(fitted(subject, toy.pairs), toy.embeddings), rewards_of(model, toy.embeddings), 1e-3):
        raise Broken("a second `fit` remembers the first", "set all learnt state anew in `fit`")


def learns_separable(subject: Subject) -> None:
    toy = testing.toy()
    accuracy = toy.accuracy(rewards_of(fitted(subject, toy.pairs), toy.embeddings))
    if accuracy <= 0.8:
        raise Broken(
            f"accuracy {accuracy:.3f} on 600 separable pairs, expected over 0.8",
            "check signs and scales (gold is linear here, and a very local method may miss it)",
        )


def swapped_labels(subject: Subject) -> None:
    toy = testing.toy()
    plain = toy.accuracy(rewards_of(fitted(subject, toy.pairs), toy.embeddings))
    mirrored = toy.accuracy(rewards_of(fitted(subject, testing.swapped(toy.pairs)), toy.embeddings))
    if mirrored > 1 - plain + 0.1:
        evidence = (
            f"accuracy {plain:.3f}, and {mirrored:.3f} with chosen and rejected exchanged (expected {1 - plain:.3f})"
        )
        raise Broken(evidence, "learn the direction from the labels")


def shuffled_labels(subject: Subject) -> None:
    toys = [testing.toy(root=i, flips=0.5) for i in range(N_SHUFFLES)]
    accuracy = float(np.mean([toy.accuracy(rewards_of(fitted(subject, toy.pairs), toy.embeddings)) for toy in toys]))
    if abs(accuracy - 0.5) > 0.15:
        evidence = f"mean accuracy {accuracy:.3f} over {N_SHUFFLES} trainings on coin-flip labels, expected about 0.5"
        raise Broken(evidence, "use nothing but the pairs: prior knowledge of the answer is a leak")


def wrong_width(subject: Subject) -> None:
    toy = testing.toy()
    model = fitted(subject, toy.pairs)
    for width in (testing.N_FEATURES - 1, testing.N_FEATURES + 1):
        remedy = "begin `reward` with `rmsuite.as_embeddings(embeddings, n_features)`"
        try:
            model.reward(np.zeros((3, width), np.float32))
        except Exception as error:  # noqa: BLE001 -- any type will do, if its text helps
            named = all(re.search(rf"\b{n}\b", str(error)) for n in (width, testing.N_FEATURES))
            if not named or "matmul" in str(error) or "broadcast" in str(error) or "not aligned" in str(error):
                raise Broken(f"width {width} gave the unhelpful '{error}'", remedy) from None
        else:
            raise Broken(f"width {width} was accepted, trained on {testing.N_FEATURES}", remedy)


def picklable(subject: Subject) -> None:
    toy = testing.toy()
    model = fitted(subject, toy.pairs)
    try:
        again = pickle.loads(cloudpickle.dumps(model))
    except Exception as error:  # noqa: BLE001 -- pickling runs the method's own code
        raise Broken(
            f"{type(error).__name__}: {error}", "keep no open files, locks or generators in the model"
        ) from None
    if not np.array_equal(rewards_of(model, toy.embeddings), rewards_of(again, toy.embeddings)):
        raise Broken("the unpickled model gives other rewards", "keep all learnt state in the object")


def light_listing(subject: Subject) -> None:
    if not subject.listing:
        raise NotApplicable("the plugin is an object in this process")
    code = f"import sys\n{subject.listing}\nprint('LOADED', *sorted(set(sys.modules) & set({HEAVY!r})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    loaded = re.search(r"^LOADED(.*)$", done.stdout, re.MULTILINE)
    if loaded is None:
        raise Broken(f"listing the plugin failed: {done.stderr.strip()[-300:]}", "let the module import cleanly")
    if loaded[1].strip():
        raise Broken(f"listing the plugin imports {loaded[1].strip()}", "import heavy packages inside `fit`")


def thread_limit(subject: Subject) -> None:
    """Count Python threads at work beside this one, and native pools that were widened, under a limit of one."""
    pairs, started, start = testing.toy().pairs, [], threading.Thread.start
    fitted(subject, pairs)  # a package imported in `fit` loads its pools here, before they are limited

    def counted(thread: threading.Thread) -> None:
        started.append(thread)
        start(thread)

    with threadpool_limits(limits=1), mock.patch.object(threading.Thread, "start", counted):
        fitted(subject, pairs)
        widest = max((pool["num_threads"] for pool in threadpool_info()), default=1)
    if len(started) > 1 or widest > 1:
        evidence = f"{len(started)} threads started, native pools up to {widest} wide, under a limit of 1"
        raise Broken(evidence, "leave threads to the harness: it runs cells side by side")


def no_peeking(subject: Subject) -> None:
    """Put gold that no embedding predicts within reach of a curious method, and see whether it is reproduced."""
    toy = testing.toy()
    gold = seeds.generator(0, "check", what="canary").permutation(toy.gold)
    canary = replace(toy, gold=gold)
    accuracy = canary.accuracy(rewards_of(fitted(subject, toy.pairs), toy.embeddings))
    if accuracy > 0.65:
        evidence = f"accuracy {accuracy:.3f} on gold that is independent of the embeddings"
        raise Broken(evidence, "use nothing but what `fit` is handed")
