"""A plugin of honest and of failing methods, for the tests of the harness: each failing method fails in one way."""

import contextlib
import ctypes
import faulthandler
import os
import random
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_info

import rmsuite

LOCK = threading.Lock()


@dataclass
class Honest:
    """Uses all that it is given: pairs, random stream, embeddings. ``tag`` makes several of it."""

    tag: int = 0

    def fit(self, pairs, *, rng):
        self.weights = pairs.differences().mean(axis=0) + 0.1 * rng.standard_normal(pairs.n_features)
        return self

    def reward(self, embeddings):
        return embeddings @ self.weights


@dataclass
class Versed(Honest):
    """Says what it was asked: the probability is of the first feature, and a file notes the order of the steps."""

    file: str = ""

    def reward(self, embeddings):
        self.note("reward")
        return embeddings[:, 0]

    def uncertainty(self, embeddings):
        self.note("uncertainty")
        return np.abs(embeddings[:, 1])

    def probability(self, embeddings, first, second):
        self.note("probability")
        return 1 / (1 + np.exp(embeddings[second, 0] - embeddings[first, 0]))

    def note(self, step):
        if self.file:
            with Path(self.file).open("a") as file:
                file.write(step + "\n")


class FirstFeature(Honest):
    def reward(self, embeddings):
        return embeddings[:, 0]


@dataclass
class Scaled(Honest):
    scale: float = 1.0

    def reward(self, embeddings):
        return np.tanh(embeddings[:, 0].astype(np.float64)) * self.scale


class Threads(Honest):
    def reward(self, embeddings):
        pools = [pool["num_threads"] for pool in threadpool_info()]
        return np.full(len(embeddings), max(pools) if pools else 0)


@dataclass
class Sleeping(Honest):
    """Writes its process id to a file, sleeps for two minutes, and writes that it was not woken before."""

    file: str = ""

    def fit(self, pairs, *, rng):
        Path(self.file).write_text(str(os.getpid()))
        time.sleep(120)
        Path(self.file).write_text("slept to the end")
        return self


class Pausing(Honest):
    def fit(self, pairs, *, rng):
        time.sleep(0.4)
        return super().fit(pairs, rng=rng)


class KillsGrandparent(Honest):
    """Ends the process that started the one which forked its own."""

    def fit(self, pairs, *, rng):
        status = Path(f"/proc/{os.getppid()}/status").read_text()
        (line,) = [line for line in status.splitlines() if line.startswith("PPid:")]
        os.kill(int(line.split()[1]), signal.SIGKILL)
        time.sleep(60)


class Hungry(Honest):
    """Asks for two gibibytes, and fills them."""

    def fit(self, pairs, *, rng):
        self.food = np.ones(2**28)
        return super().fit(pairs, rng=rng)


class Printing(Honest):
    def fit(self, pairs, *, rng):
        print("beginning of fit\n" + "x" * 1_000_000 + "\nend of fit")  # noqa: T201
        os.write(1, b"written by native code\n")
        print("to standard error", file=sys.stderr)  # noqa: T201
        print("past the redirection", file=sys.__stdout__, flush=True)
        return super().fit(pairs, rng=rng)

    def reward(self, embeddings):
        print("in reward")  # noqa: T201
        return super().reward(embeddings)


class PrintingNative(Honest):
    """Prints nine megabytes past Python, and some of it is no text."""

    def fit(self, pairs, *, rng):
        for _ in range(9):
            os.write(2, b"y" * 2**20)
        os.write(1, b"\xff the end")
        return super().fit(pairs, rng=rng)


class ClosingOutput(Honest):
    def fit(self, pairs, *, rng):
        sys.stdout.close()
        return super().fit(pairs, rng=rng)


class Writing(Honest):
    """Adds to a file in its working directory, and rewards by the length of what it finds there."""

    def fit(self, pairs, *, rng):
        with Path("model.bin").open("a") as file:
            file.write("x")
        Path("folder").mkdir()
        return self

    def reward(self, embeddings):
        return np.full(len(embeddings), len(Path("model.bin").read_text()))


@dataclass
class ReadingHere(Honest):
    file: str = "weights.npy"

    def fit(self, pairs, *, rng):
        np.load(self.file)


@dataclass
class Forking(Honest):
    """Leaves a child behind that has left its group and its folder, and would run for a long time."""

    file: str = ""

    def fit(self, pairs, *, rng):
        if not os.fork():
            os.setsid()
            os.chdir("/")
            if not os.fork():
                Path(self.file).write_text(str(os.getpid()))
                time.sleep(600)
            os._exit(0)
        while not (Path(self.file).exists() and Path(self.file).read_text()):
            time.sleep(0.01)
        return super().fit(pairs, rng=rng)


class ManyThreads(Honest):
    """Has 64 threads for as long as it takes to be seen."""

    def fit(self, pairs, *, rng):
        end = threading.Event()
        threads = [threading.Thread(target=end.wait) for _ in range(64)]
        for thread in threads:
            thread.start()
        time.sleep(2)
        end.set()
        for thread in threads:
            thread.join()
        return super().fit(pairs, rng=rng)


class Blocking(Honest):
    """Never comes back from C, and holds the interpreter's lock there."""

    def fit(self, pairs, *, rng):
        ctypes.PyDLL(None).sleep(600)


class DisturbingState(Honest):
    """Changes what every other method of its process would meet."""

    def fit(self, pairs, *, rng):
        np.random.seed(0)  # noqa: NPY002 -- what it does wrong
        random.seed(0)
        np.seterr(all="raise")
        os.environ["OMP_NUM_THREADS"] = "64"
        Honest.reward = None
        return super().fit(pairs, rng=rng)


class MuteError(Exception):
    def __str__(self):
        raise RuntimeError("no words")


class MuteRefusal(rmsuite.NotApplicable):
    def __str__(self):
        raise RuntimeError("no words")


class LockedError(Exception):
    """Holds what cannot be pickled."""

    def __init__(self):
        super().__init__("holds a lock", LOCK)


class StoppedError(BaseException):
    """Not an Exception, as some libraries' signals are."""


def failing(phase, action):
    """Return a method whose ``phase`` runs ``action``, of the pairs or of the embeddings."""

    class Failing(Honest):
        def __init__(self):
            super().__init__()
            if phase == "make":
                action(None)

        def fit(self, pairs, *, rng):
            if phase == "fit":
                action(pairs)
            return super().fit(pairs, rng=rng)

        def reward(self, embeddings):
            answer = action(embeddings) if phase == "reward" else None
            return super().reward(embeddings) if answer is None else answer

    return Failing


def overstepping(power, answer):
    """Return a method that answers ``answer`` of the number of rows or pairs when it is asked for that power."""

    class Overstepping(Honest):
        def power(self, embeddings, *pairs):
            return answer(len(pairs[0]) if pairs else len(embeddings))

    setattr(Overstepping, power, Overstepping.power)
    return Overstepping


def raising(kind, *arguments):
    def action(given):
        raise kind(*arguments)

    return action


def write(name):
    def action(given):
        array = given if name is None else getattr(given, name)
        array[0] = 7

    return action


def write_below(pairs):
    """Go behind the read-only flag, if numpy lets us."""
    base = pairs.embeddings
    while isinstance(base.base, np.ndarray):
        base = base.base
    with contextlib.suppress(ValueError):
        base.flags.writeable = True
        base[:] = 0
    raise RuntimeError("went behind the flag")


def first_not_finite(embeddings):
    rewards = embeddings[:, 0].copy()
    rewards[3] = np.nan
    return rewards


def endless_recursion(given):
    return endless_recursion(given)


FAILING = {
    "fails-in-make": failing("make", raising(ValueError, "no such setting")),
    "fails-in-fit": failing("fit", raising(ValueError, "cannot fit")),
    "fails-in-reward": failing("reward", raising(ValueError, "cannot reward")),
    "not-finite": failing("reward", first_not_finite),
    "wrong-shape": failing("reward", lambda e: e[:, :1]),
    "too-few": failing("reward", lambda e: e[1:, 0]),
    "text": failing("reward", lambda e: np.array(["good"] * len(e))),
    "complex": failing("reward", lambda e: e[:, 0] + 1j),
    "objects": failing("reward", lambda e: [object()] * len(e)),
    "ragged": failing("reward", lambda e: [[1.0], [1.0, 2.0]]),
    "exits": failing("fit", raising(SystemExit, 3)),
    "interrupts": failing("fit", raising(KeyboardInterrupt)),
    "stops": failing("fit", raising(StoppedError, "stop")),
    "recurses": failing("fit", endless_recursion),
    "mute": failing("fit", raising(MuteError)),
    "mute-refusal": failing("reward", raising(MuteRefusal)),
    "locked": failing("fit", raising(LockedError)),
    "dies": failing("fit", lambda pairs: os._exit(7)),
    "dies-in-reward": failing("reward", lambda e: os._exit(7)),
    "dies-in-make": failing("make", lambda nothing: os._exit(7)),
    "segfault": failing("fit", lambda pairs: faulthandler._sigsegv()),
    "killed": failing("reward", lambda e: os.kill(os.getpid(), signal.SIGKILL)),
    "refuses": failing("fit", raising(rmsuite.NotApplicable, "needs attributes")),
    "refuses-in-make": failing("make", raising(rmsuite.NotApplicable, "needs a licence")),
    "refuses-in-reward": failing("reward", raising(rmsuite.NotApplicable, "too wide")),
    "refuses-without-words": failing("fit", raising(rmsuite.NotApplicable)),
    "writes-embeddings": failing("fit", write("embeddings")),
    "writes-chosen": failing("fit", write("chosen")),
    "writes-test": failing("reward", write(None)),
    "writes-below": failing("fit", write_below),
    "more-than-certain": overstepping("probability", lambda n: np.full(n, 1.5)),
    "less-than-impossible": overstepping("probability", lambda n: np.full(n, -1e-9)),
    "unknown-probability": overstepping("probability", lambda n: np.full(n, np.nan)),
    "one-probability": overstepping("probability", lambda n: 0.5),
    "no-probability": overstepping("probability", lambda n: None),
    "refuses-in-probability": overstepping("probability", lambda n: raising(rmsuite.NotApplicable, "not for me")(n)),
    "dies-in-probability": overstepping("probability", lambda n: os._exit(7)),
    "negative-uncertainty": overstepping("uncertainty", lambda n: np.full(n, -1)),
    "endless-uncertainty": overstepping("uncertainty", lambda n: np.full(n, np.inf)),
    "too-few-uncertainties": overstepping("uncertainty", lambda n: np.ones(n - 1)),
    "fails-in-uncertainty": overstepping("uncertainty", lambda n: raising(ValueError, "cannot tell")(n)),
}


@rmsuite.hookimpl
def rmsuite_methods():
    methods = [
        rmsuite.Method(name="honest", make=Honest),
        rmsuite.Method(name="versed", make=Versed),
        rmsuite.Method(name="first-feature", make=FirstFeature),
        rmsuite.Method(name="scaled", make=Scaled),
        rmsuite.Method(name="threads", make=Threads),
        rmsuite.Method(name="sleeping", make=Sleeping),
        rmsuite.Method(name="printing", make=Printing),
        rmsuite.Method(name="hungry", make=Hungry),
        rmsuite.Method(name="pausing", make=Pausing),
        rmsuite.Method(name="kills-grandparent", make=KillsGrandparent),
        rmsuite.Method(name="printing-native", make=PrintingNative),
        rmsuite.Method(name="closing-output", make=ClosingOutput),
        rmsuite.Method(name="writing", make=Writing),
        rmsuite.Method(name="reading-here", make=ReadingHere),
        rmsuite.Method(name="forking", make=Forking),
        rmsuite.Method(name="many-threads", make=ManyThreads),
        rmsuite.Method(name="blocking", make=Blocking),
        rmsuite.Method(name="disturbing-state", make=DisturbingState),
        rmsuite.Method(name="cannot-be-sent", make=lambda lock=LOCK: Honest()),
    ]
    return methods + [rmsuite.Method(name=name, make=make) for name, make in FAILING.items()]
