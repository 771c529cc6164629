"""A plugin of methods that attack the run that asks them, for ``test_hostile.py``."""

import os
import signal
import struct
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from misbehaving import Honest
from running import alive, text_within

import rmsuite
from rmsuite import worker


class Trap(str):
    """Text that writes its reader's process number into a file when it is unpickled."""

    file = ""

    def __reduce__(self):
        return exec, (f"import os; open({self.file!r}, 'w').write(str(os.getpid()))",)


class TrapError(rmsuite.NotApplicable):
    def __str__(self):
        return Trap("trap")


def connections():
    """Return the sockets of this process: the one is the run's."""
    for link in Path("/proc/self/fd").iterdir():
        try:
            if str(link.readlink()).startswith("socket:"):
                yield int(link.name)
        except OSError:
            continue


def say(data):
    for number in connections():
        os.write(number, data)


def whole(data):
    return struct.pack("!i", len(data)) + data


def trap(file):
    Trap.file = file
    raise TrapError


def forges_a_pickle(file):
    say(whole(f"cbuiltins\nexec\n(Vopen({file!r}, 'w')\ntR.".encode()))


def forges_an_answer(file):
    worker.as_rewards = lambda rewards, n, who: rewards[:-1].astype("float64")


def announces_too_much(file):
    say(struct.pack("!i", -1) + struct.pack("!Q", 1 << 60))


def leaves_a_child_with_the_connection(file):
    left, ready = os.pipe()
    if not os.fork():
        os.setsid()
        Path(file).write_text(str(os.getpid()))
        os.write(ready, b"x")
        time.sleep(100)
        os._exit(0)
    os.read(left, 1)
    os._exit(7)


def closes_all_and_sleeps(file):
    os.closerange(3, 1000)
    time.sleep(100)


def kills_the_parent(file):
    parent = os.getppid()
    assert parent > 1
    if b"forking" in Path(f"/proc/{parent}/cmdline").read_bytes():  # the process that forks workers, and nobody else
        os.kill(parent, signal.SIGKILL)
        time.sleep(100)


def stops_the_parent(file):
    os.kill(os.getppid(), signal.SIGSTOP)


def ends_by_a_signal_without_a_name(file):
    os.kill(os.getpid(), signal.SIGRTMIN + 6)


def nests_deeply(file):
    for _ in range(2 * sys.getrecursionlimit()):
        Path("nest").mkdir()
        os.chdir("nest")


def leaves_a_child(file):
    """A child in a session of its own, whose parent has ended, is in no group of the worker's."""
    if not os.fork():
        os.setsid()
        if not os.fork():
            Path(file).write_text(str(os.getpid()))
            time.sleep(600)
        os._exit(0)
    text_within(Path(file))


def waits_for_the_end_of_the_child(file):
    deadline = time.monotonic() + 60
    while alive(int(Path(file).read_text())):
        assert time.monotonic() < deadline, "it runs on"
        time.sleep(0.02)


def raises_megabytes(file):
    raise ValueError("x" * 50_000_000)


ATTACKS = (
    trap,
    forges_a_pickle,
    forges_an_answer,
    announces_too_much,
    leaves_a_child_with_the_connection,
    closes_all_and_sleeps,
    kills_the_parent,
    stops_the_parent,
    ends_by_a_signal_without_a_name,
    nests_deeply,
    leaves_a_child,
    waits_for_the_end_of_the_child,
    raises_megabytes,
)


def attacking(attack):
    @dataclass
    class Attacking(Honest):
        file: str = ""

        def fit(self, pairs, *, rng):
            attack(self.file)
            return super().fit(pairs, rng=rng)

    return Attacking


@rmsuite.hookimpl
def rmsuite_methods():
    methods = {attack.__name__.replace("_", "-"): attacking(attack) for attack in ATTACKS}
    return [rmsuite.Method(name=name, make=make) for name, make in {"honest": Honest, **methods}.items()]
