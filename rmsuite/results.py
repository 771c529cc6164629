"""Result files: one JSON record and one array file a cell, written atomically; a kill loses no finished cell."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from rmsuite import signature, tracebacks
from rmsuite.array_files import StoredArrays, arrays_path, content, opened, whole
from rmsuite.errors import ResultsError

FORMAT = 2
BLANK = 64 * "0"
UNWRITTEN = ("arrays", "seal")  # of a record, in the document of its file
Status = Literal["ok", "failed", "skipped"]


@dataclass(frozen=True, eq=False)
class CellRecord:
    """The outcome of one cell, task x method x repetition: numbers, or the reason why there are none.

    Attributes
    ----------
    kind : "method", "control" or "policy"
        A policy's ``method`` names reward model, optimizer and beta; its ``facts`` have the three apart.
    signature : str
        What made the numbers, but for the method: cells of one table share it.
    origin : str
        Where the method comes from: distribution and version, or file.
    facts : mapping
        Counts and measurements: realised agreement of the annotator, pairs, seconds; of a failed cell ``failure``, with
        the time (``at``, ISO, UTC) and the ``seconds`` until then.
    phase, error : str
        Where and why a cell failed or was skipped; empty for status "ok".
    traceback, output : str
        The traceback of a failure, and the end of what the method printed.
    notes : tuple of str
        What a reader of the table should know, for instance that all rewards are equal.
    arrays : mapping
        ``rewards`` and ``uncertainty`` (one a test response, in pool order), ``probability`` (one an asked pair),
        ``planted`` (one a planted response), and for each metric, by its name, what each test prompt adds to its sums,
        ``(n_prompts, k)``. Those of a policy cell: see ``policy_cells``.
    seal : str
        The sha256 that its file ends with, arrays included; empty for a record that was not read from one.
    """

    task: str
    method: str
    kind: Literal["method", "control", "policy"]
    repetition: int
    status: Status
    signature: str
    origin: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    phase: str = ""
    error: str = ""
    traceback: str = ""
    output: str = ""
    notes: tuple[str, ...] = ()
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    seal: str = ""


def cell_path(home: Path, record: CellRecord) -> Path:
    """Return where a cell's record is kept."""
    return path_of(home, record.task, record.method, record.repetition)


def traceback_path(path: Path) -> Path:
    """Return where the traceback of a failed cell, whose record is at ``path``, can be read."""
    return path.with_suffix(".traceback.txt")


def path_of(home: Path, task: str, method: str, repetition: int) -> Path:
    """Return where the record of a cell is kept, by its key."""
    return task_folder(home, task) / _slug(method) / f"{repetition}.json"


def task_folder(home: Path, task: str) -> Path:
    """Return the folder of a task's cells: its label, or, of a task with changed fields, one made of it."""
    return home / (_slug(task) if "[" in task else task)


def _slug(label: str) -> str:
    """Return a name that every file system can hold, another one for each label."""
    slug = re.sub(r"[^a-z0-9.@=-]", "_", label.lower())
    if slug != label or len(slug) > 60:
        slug = f"{slug[:60]}-{hashlib.sha256(label.encode()).hexdigest()[:8]}"
    return slug


def write(home: Path, record: CellRecord) -> Path:
    """Write a cell.

    The arrays come first, in a file named by its content; the record that names it comes last: until then an earlier
    result of the cell stays whole.

    Raises
    ------
    ResultsError
        If the files cannot be written.
    """
    return _write(home, record)[0]


def stored(home: Path, record: CellRecord) -> CellRecord:
    """Write a cell, and return it with its arrays in their file (``StoredArrays``); raises as ``write``."""
    path, digest = _write(home, record)
    return dataclasses.replace(record, arrays=StoredArrays(path, digest) if digest else {})


def _write(home: Path, record: CellRecord) -> tuple[Path, str]:
    path = cell_path(home, record)
    document = {f.name: getattr(record, f.name) for f in dataclasses.fields(record) if f.name not in UNWRITTEN}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        earlier, digest = _earlier_files(path), _write_arrays(path, record.arrays)
        if record.status == "failed":
            write_text(traceback_path(path), tracebacks.page(record))
        write_text(path, _sealed({"format": FORMAT, **document, "arrays_sha256": digest}))
        for old in earlier - set(files(path)):
            old.unlink(missing_ok=True)
    except OSError as error:
        do = "free space or give another folder with --output; finished cells are kept"
        raise ResultsError(who=f"result {path}", expected="a writable folder", got=str(error), do=do) from None
    return path, digest


def files(path: Path) -> tuple[Path, ...]:
    """Return the files of the cell whose record, a whole one, is at ``path``: arrays or traceback, and the record."""
    document = json.loads(path.read_text(encoding="utf-8"))
    digest, readable = document["arrays_sha256"], traceback_path(path)
    beside = [arrays_path(path, digest)] if digest else []
    beside += [readable] if document["status"] == "failed" and readable.exists() else []
    return (*beside, path)


def _write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> str:
    if not arrays:
        return ""
    temporary = _temporary(path.with_suffix(".npz"))
    with temporary.open("wb") as file:
        members: dict[str, Any] = dict(sorted(arrays.items()))
        np.savez_compressed(file, **members)
    digest = _digest(temporary)
    temporary.replace(arrays_path(path, digest))
    return digest


def _sealed(document: Mapping[str, Any]) -> str:
    """Return a record as JSON that ends with the sha256 of its own text, in which that sha256 is blank."""
    text = json.dumps({**document, "sha256": BLANK}, indent=1, default=str) + "\n"
    return _seal(text).join(text.rsplit(BLANK, 1))


def _seal(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    temporary = _temporary(path)
    try:
        temporary.write_text(text, encoding="utf-8", newline="\n")
        temporary.replace(path)
    except OSError:  # of a full disk, which needs the space
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _earlier_files(path: Path) -> set[Path]:
    """Return the files of an earlier result of a cell: those that its record names, or any, if that is damaged.

    The folder, which may hold thousands of cells, is not listed for each. What a write left that was killed before it
    came to the record, `rmsuite clean` finds.
    """
    try:
        return set(files(path))
    except FileNotFoundError:
        return set()
    except (OSError, ValueError, KeyError, TypeError):
        return {*path.parent.glob(f"{path.stem}-*.npz"), traceback_path(path)}


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}")


TEXTS = ("task", "method", "kind", "status", "signature", "origin", "phase", "error", "traceback", "output")
KINDS = ("method", "control", "policy")
OF_POLICIES: Mapping[str, tuple[type, ...]] = {
    "reward_model": (str,),
    "optimizer": (str,),
    "beta": (float, type(None)),  # none of an optimizer that uses none
    "hyperparameters": (dict,),
    "n_policies": (int,),
}
REPETITIONS = 100_000  # fewer than these: nobody waits for more, and a larger number is a mistake


def _malformed(record: CellRecord) -> str:
    """Return what is not of the form that a run writes; a seal tells only that nobody changed it since."""
    wrong = [name for name in TEXTS if not isinstance(getattr(record, name), str)]
    wrong += [name for name in ("parameters", "facts") if not isinstance(getattr(record, name), dict)]
    if wrong or type(record.repetition) is not int:
        return f"{(wrong or ['repetition'])[0]} of another type"
    if not 0 <= record.repetition < REPETITIONS:
        return f"repetition {record.repetition}"
    if record.status not in get_args(Status) or record.kind not in KINDS:
        return f"status {record.status!r} and kind {record.kind!r}"
    if record.status != "ok" and record.arrays:
        return f"numbers of a cell that {record.status}"
    if not re.fullmatch(r"[\w-][\w.-]*@\d+(\[.+\])?", record.task) or not record.method:
        return f"task {record.task!r} and method {record.method!r}"
    facts = record.facts
    if record.kind == "policy" and not all(n in facts and type(facts[n]) in kinds for n, kinds in OF_POLICIES.items()):
        return f"policies without the facts {', '.join(OF_POLICIES)}"
    columns = record.facts.get("columns")
    if not isinstance(columns, list) or not columns or not all(isinstance(name, str) for name in columns):
        return f"columns {columns!r}"
    try:
        signature.read(record.signature)
    except ResultsError as error:
        return f"signature {error.got}"
    return ""


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read(path: Path) -> CellRecord:
    """Return one cell.

    Raises
    ------
    ResultsError
        If the record or its arrays are damaged, or are not of the form that a run writes.
    """
    return _read(path, _read_arrays)


def glance(path: Path) -> CellRecord:
    """Return one cell whose arrays are read when they are asked for (``StoredArrays``); their sha256 is checked now.

    Raises
    ------
    ResultsError
        If the record or the file of its arrays is damaged, or the record is not of the form that a run writes.
    """
    return _read(path, _unread_arrays)


def _read(path: Path, arrays: Callable[[Path, str], Mapping[str, np.ndarray]]) -> CellRecord:
    with whole(path):
        text = path.read_text(encoding="utf-8")
        document = json.loads(text)
        seal = document.pop("sha256")
        if _seal(BLANK.join(text.rsplit(seal, 1))) != seal:
            raise ValueError("a record with another sha256 than it says")
        version, digest = document.pop("format"), document.pop("arrays_sha256")
        if version != FORMAT:
            raise ValueError(f"format {version}")
        document["notes"] = tuple(map(str, document["notes"]))
        record = CellRecord(**document, arrays=arrays(path, digest), seal=seal)
        if wrong := _malformed(record):
            raise ValueError(wrong)
        return record


def _read_arrays(path: Path, digest: str) -> Mapping[str, np.ndarray]:
    if not digest:
        return {}
    with opened(path, digest) as file:
        return {name: file[name] for name in file.files}


def _unread_arrays(path: Path, digest: str) -> Mapping[str, np.ndarray]:
    if not digest:
        return {}
    content(path, digest)
    return StoredArrays(path, digest)


def seconds(home: Path, task: str, method: str) -> float | None:
    """Return the mean seconds of a method's whole cells on a task, all phases together; None where no cell tells."""
    told = []
    for path in path_of(home, task, method, 0).parent.glob("*.json"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            document = json.loads(path.read_text(encoding="utf-8"))
            spent = [value for name, value in document["facts"].items() if name.endswith("_seconds")]
            told += [sum(spent)] if spent and document["status"] == "ok" else []
    return sum(told) / len(told) if told else None


def signatures(folder: Path) -> set[str]:
    """Return the signatures of the cells in the folder of one task; damaged cells are left out."""
    found = set()
    for path in folder.glob("*/*.json"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            found.add(json.loads(path.read_text(encoding="utf-8"))["signature"])
    return found


def found(home: Path) -> list[Path]:
    """Return the records under a results folder, in a fixed order."""
    return sorted(home.glob("*/*/*.json"))


def paths(home: Path) -> list[Path]:
    """Return the records under a results folder that has some, in a fixed order.

    Raises
    ------
    ResultsError
        If it has none.
    """
    records = found(home)
    if not records:
        do = "run `rmsuite run --method NAME --output DIR` first, or give the folder of another run"
        raise ResultsError(who=f"results folder {home}", expected="finished cells", got="none", do=do)
    return records


def read_all(home: Path) -> Iterator[CellRecord]:
    """Yield every cell under a results folder, in a fixed order.

    Raises
    ------
    ResultsError
        If one is damaged.
    """
    return map(read, found(home))
