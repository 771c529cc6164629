"""Read rows of a user's file: JSON lines, Parquet, or a folder that Hugging Face's ``save_to_disk`` wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from rmsuite.errors import InputError

BATCH = 256  # rows of an Arrow file that are turned into Python objects at a time


@dataclass(frozen=True)
class Row:
    """One row and where it stands; lines and rows are counted from 1."""

    where: str
    fields: dict[str, Any]


def read_rows(source: Path) -> Iterator[Row]:
    """Yield the rows of a file or folder.

    Raises
    ------
    InputError
        If there is no such file, or it is not what its name says.
    """
    if source.is_dir():
        yield from _folder(source)
    elif not source.is_file():
        raise _wrong(str(source), "a file or folder of texts", "no such file", "check the path")
    elif source.suffix.lower() in (".parquet", ".pq"):
        yield from _parquet(source)
    elif source.suffix.lower() == ".arrow":
        yield from _arrow(source)
    else:
        yield from _json_lines(source)


def _wrong(who: str, expected: str, got: str, do: str) -> InputError:
    return InputError(who=who, expected=expected, got=got, do=do)


def _json_lines(path: Path) -> Iterator[Row]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip(b" \t\r\n\0\xef\xbb\xbf"):
                yield Row(f"{path} line {number}", _json(f"{path} line {number}", line, number))


def _json(where: str, line: bytes, number: int) -> dict[str, Any]:
    try:
        fields = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
    except UnicodeDecodeError as error:
        got = f"byte {line[error.start]:#04x} at position {error.start + 1}"
        raise _wrong(where, "text in UTF-8", got, "save the file as UTF-8") from None
    except (ValueError, RecursionError) as error:
        cut = not line.endswith(b"\n")
        got = f"{'a last line that is cut off' if cut else 'something else'} ({str(error)[:100]})"
        do = "write the file anew, one JSON object a line" if cut or number > 1 else "give JSON lines, not one document"
        raise _wrong(where, "one JSON object", got, do) from None
    if not isinstance(fields, dict):
        got, do = type(fields).__name__, "write one JSON object a line, with named fields"
        raise _wrong(where, "one JSON object", got, do)
    return fields


def _pyarrow(source: Path) -> ModuleType:
    try:
        import pyarrow.ipc
        import pyarrow.parquet
    except ImportError:
        do = "pip install 'rmsuite[parquet]', or give JSON lines"
        raise _wrong(str(source), "the package pyarrow to read it", "no such package", do) from None
    module: ModuleType = pyarrow
    return module


def _parquet(path: Path) -> Iterator[Row]:
    pyarrow = _pyarrow(path)
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            yield from _numbered(path, file.iter_batches(BATCH))
    except (pyarrow.ArrowException, OSError) as error:
        raise _wrong(str(path), "a Parquet file", _short(error), "write the file anew") from None


def _arrow(path: Path) -> Iterator[Row]:
    """Read a shard: a stream, as ``datasets`` writes it, or an Arrow file."""
    pyarrow = _pyarrow(path)
    try:
        with pyarrow.memory_map(str(path)) as raw:
            try:
                batches = iter(pyarrow.ipc.open_stream(raw))
            except pyarrow.ArrowInvalid:
                reader = pyarrow.ipc.open_file(raw)
                batches = map(reader.get_batch, range(reader.num_record_batches))
            yield from _numbered(path, batches)
    except (pyarrow.ArrowException, OSError) as error:
        raise _wrong(str(path), "an Arrow file", _short(error), "write the file anew") from None


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _numbered(path: Path, batches: Any) -> Iterator[Row]:
    number = 0
    for batch in batches:
        for start in range(0, batch.num_rows, BATCH):
            for fields in batch.slice(start, BATCH).to_pylist():
                number += 1
                yield Row(f"{path} row {number}", fields)


def _folder(folder: Path) -> Iterator[Row]:
    if (folder / "dataset_dict.json").is_file():
        splits = sorted(path.name for path in folder.iterdir() if path.is_dir())
        do = f"give one of its folders: {', '.join(str(folder / name) for name in splits)}"
        raise _wrong(str(folder), "one split of a data set", f"{len(splits)} splits", do)
    shards = _shards(folder)
    if not shards:
        expected = "state.json with Arrow files (save_to_disk), or Parquet files"
        raise _wrong(str(folder), expected, "a folder without them", "give the folder that holds the files")
    for path in shards:
        yield from _arrow(path) if path.suffix == ".arrow" else _parquet(path)


def _shards(folder: Path) -> list[Path]:
    state = folder / "state.json"
    if not state.is_file():
        return sorted(folder.glob("*.parquet"))
    try:
        named = [folder / entry["filename"] for entry in json.loads(state.read_text("utf-8"))["_data_files"]]
    except (ValueError, KeyError, TypeError, OSError):
        raise _wrong(str(state), "the list _data_files", "something else", "save the data set anew") from None
    missing = [path.name for path in named if not path.is_file()]
    if missing:
        got, do = f"no {', '.join(missing)}", "copy the whole folder, or save the data set anew"
        raise _wrong(str(folder), "every file that state.json lists", got, do)
    return named
