"""A plugin that keeps all it can find. ``test_leaks`` copies it to a folder of its own, where it writes what it found.

``orders.json`` in that folder names the files that it tries to open.
"""

import gc
import io
import json
import os
import pickle
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import rmsuite
import rmsuite.worker

HOME = Path(__file__).parent
NUMBERS = (int, float, np.integer, np.floating)


def reachable():
    """Yield every object that this process can reach: from all frames, all modules, and all that the collector knows.

    Arrays, strings and bytes are unknown to the collector: they are found as members of what is known.
    """
    stack = [*gc.get_objects(), *vars(rmsuite.worker).values()]
    for frame in (*sys._current_frames().values(), sys._getframe(1)):
        while frame is not None:
            stack += [*local_values(frame), *frame.f_globals.values()]
            frame = frame.f_back
    seen = {}
    while stack:
        thing = stack.pop()
        if id(thing) in seen:
            continue
        seen[id(thing)] = thing  # held, so that its id is not given to another
        yield thing
        stack += gc.get_referents(thing)
        if issubclass(type(thing), np.ndarray):
            stack += [thing.base, *vars(type(thing)).values()]
            stack += thing.ravel().tolist() if thing.dtype.kind in "OSU" else []
    seen.clear()  # it may hold itself, and the spy would find its own finds in the next cell


def local_values(frame):
    found = frame.f_locals
    values = list(found.values())
    if type(found) is dict and found is not frame.f_globals:
        found.clear()  # a copy, which the frame would keep: what this spy sees now would be there in the next cell
    return values


def find():
    """Return arrays (lists of numbers too), single floats, and all text, bytes and large numbers as one block."""
    arrays, floats, block = [], [], []
    for thing in reachable():
        kind = type(thing)
        if issubclass(kind, np.ndarray):
            plain = np.array(thing, subok=False)  # numpy's masked constant refuses its own methods
            block.append(plain.tobytes())
            if plain.dtype.kind in "iuf":
                arrays.append(plain)
        elif kind in (list, tuple) and len(thing) > 3 and all(isinstance(item, NUMBERS) for item in thing):
            arrays.append(np.array(thing, dtype=np.float64))
        elif issubclass(kind, float | np.floating):
            floats.append(float(thing))
        elif kind is int and thing > 2**16:
            block.append(str(thing).encode())
        elif kind is str:
            block.append(thing.encode("utf-8", "replace"))
        elif kind in (bytes, bytearray, memoryview):
            block.append(bytes(thing))
    return {"arrays": arrays, "floats": np.array(floats), "block": b"\0".join(block)}


def closed(handle):
    os.close(handle) if isinstance(handle, int) else handle.close()


def linked(link, target):
    path = HOME / f"link-{os.urandom(4).hex()}"
    link(target, path)
    path.read_bytes()


def moved(target):
    path = HOME / f"moved-{os.urandom(4).hex()}"
    target.rename(path)
    path.rename(target)


WAYS = {
    "open": lambda path: closed(open(path, "rb")),  # noqa: PTH123, SIM115
    "open for writing": lambda path: closed(open(path, "ab")),  # noqa: PTH123, SIM115
    "io.FileIO of a Path": lambda path: closed(io.FileIO(path)),
    "io.open_code": lambda path: closed(io.open_code(str(path))),  # noqa: SIM115
    "os.open": lambda path: closed(os.open(str(path), os.O_RDONLY)),
    "os.open of a Path": lambda path: closed(os.open(path, os.O_RDONLY)),
    "os.open of bytes": lambda path: closed(os.open(os.fsencode(path), os.O_RDONLY)),
    "os.open, relative": lambda path: closed(os.open(os.path.relpath(path), os.O_RDONLY)),
    "os.open, roundabout": lambda path: closed(os.open(f"{path.parent}/../{path.parent.name}/{path.name}", 0)),
    "pathlib": lambda path: path.read_bytes(),
    "np.load": lambda path: np.load(path),
    "np.memmap": lambda path: np.memmap(path, np.uint8, "r"),
    "np.fromfile": lambda path: np.fromfile(path, np.uint8),
    "symbolic link": lambda path: linked(os.symlink, path),
    "hard link": lambda path: linked(os.link, path),
    "copy": lambda path: shutil.copy(path, HOME / "copy"),
    "rename": moved,
    "rename of its folder": lambda path: moved(path.parent),
    "os.truncate": lambda path: os.truncate(path, path.stat().st_size),
    "os.rmdir of its folder": lambda path: path.parent.rmdir(),
}


def attempts(targets):
    """Return what became of each way to open each file."""
    return {f"{name}: {target}": attempt(way, Path(target)) for target in targets for name, way in WAYS.items()}


def attempt(way, path):
    try:
        way(path)
    except PermissionError as error:
        return "refused" if "a reward model may not touch" in str(error) else f"by another: {error}"
    except Exception as error:  # noqa: BLE001 -- an error of the way itself comes after the file was opened
        return f"opened, then {error!r}"
    return "opened"


def report(phase, **given):
    orders = json.loads((HOME / "orders.json").read_text())
    found = {"phase": phase, **find(), "given": given, "attempts": attempts(orders)}
    number = len(list(HOME.glob("*.found")))
    (HOME / f"{number:02d}.found").write_bytes(pickle.dumps(found))


@dataclass
class Spy:
    """``extra`` is a parameter as any method may have it."""

    extra: Any = None

    def fit(self, pairs, *, rng):
        record = {name: vars(part) for name, part in (("pairs", pairs), ("validation", pairs.validation))}
        flags = {
            f"{part}.{name}": (value.dtype.name, value.flags.writeable)
            for part, columns in record.items()
            for name, value in columns.items()
            if isinstance(value, np.ndarray)
        }
        report("fit", pairs=pairs, kind=type(pairs).__qualname__, fields={k: list(v) for k, v in record.items()})
        self.flags = flags
        return self

    def reward(self, embeddings):
        report("reward", embeddings=np.array(embeddings), writeable=embeddings.flags.writeable, flags=self.flags)
        return np.arange(len(embeddings))

    def probability(self, embeddings, first, second):
        given = {"first": np.array(first), "second": np.array(second)}
        report("probability", **given, writeable=any(x.flags.writeable for x in (embeddings, first, second)))
        return np.full(len(first), 0.5)


@rmsuite.hookimpl
def rmsuite_methods():
    return [rmsuite.Method(name="spy", make=Spy)]
