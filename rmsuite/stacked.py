"""Embeddings that lie in several files, or in another order than the pool's: only rows are gathered, never all.

A *block* is a list of files whose rows, one after the other, are the responses of some prompts: prompt by prompt, or
all first responses, then all second ones (as pairs kept in a file of chosen and one of rejected vectors are).
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from rmsuite.errors import TaskError

SAFETENSORS = {"F16": "<f2", "F32": "<f4", "F64": "<f8"}
PARTS_OF_A_NAME = "#"  # file.safetensors#tensor


def open_array(path: Path, tensor: str = "") -> np.ndarray:
    """Map a ``.npy`` file, or a tensor of a ``.safetensors`` file, read-only.

    Raises
    ------
    TaskError
        If it is no such file, holds no such tensor, or no numbers that numpy knows.
    """
    try:
        if path.suffix != ".safetensors":
            return np.load(path, mmap_mode="r", allow_pickle=False)
        header, start = safetensors_header(path)
        entry = header[tensor]
        kind = SAFETENSORS[entry["dtype"]]
        begin, end = entry["data_offsets"]
        shape = tuple(entry["shape"])
        if end - begin != np.dtype(kind).itemsize * int(np.prod(shape)) or path.stat().st_size < start + end:
            raise ValueError("its header promises other bytes than it holds")
        return np.memmap(path, kind, "r", start + begin, shape)
    except KeyError as error:
        known = f"a tensor named {tensor!r} of type {', '.join(SAFETENSORS)}"
        do = "save it as float16 or float32"
        raise TaskError(who=f"file {path}", expected=known, got=f"none ({error})", do=do) from None
    except (ValueError, EOFError, OSError, TypeError, OverflowError) as error:
        do = "save it with np.save, or as safetensors"
        raise TaskError(who=f"file {path}", expected="an array without pickle", got=str(error), do=do) from None


def safetensors_header(path: Path) -> tuple[dict[str, Any], int]:
    """Return the tensors that a ``.safetensors`` file lists, and where their bytes begin.

    Raises
    ------
    ValueError
        If it is no such file.
    """
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > path.stat().st_size - 8:
            raise ValueError("it is cut off, or no safetensors file")
        try:
            header = json.loads(file.read(size))
        except RecursionError:
            raise ValueError("its header is nested too deep") from None
    if not isinstance(header, dict):
        raise ValueError("its header is no JSON object")
    return {name: entry for name, entry in header.items() if name != "__metadata__"}, 8 + size


def as_rows(array: np.ndarray, where: str) -> np.ndarray:
    """Return an array's rows, ``(n, n_features)``, as a view; of a 3-D array the first two axes are taken together.

    Raises
    ------
    TaskError
        If that takes a copy, or the array has no 2 or 3 axes of floating-point numbers.
    """
    if array.ndim not in (2, 3) or array.dtype.kind != "f" or not array.flags.c_contiguous:
        got = f"shape {array.shape}, {array.dtype}" + ("" if array.flags.c_contiguous else ", in Fortran order")
        expected = "floating-point numbers of 2 or 3 axes in C order, features last"
        raise TaskError(who=f"file {where}", expected=expected, got=got, do="save np.ascontiguousarray of it")
    return array.reshape(-1, array.shape[-1])


def release(array: object) -> None:
    """Let go of the pages of a mapped file that were read: they stay in the system's cache, not in the process."""
    mapped = getattr(array, "_mmap", None)
    if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)


@dataclass(frozen=True, eq=False)
class Block:
    """Files that hold the responses of ``n_prompts`` prompts with ``n_responses`` each.

    ``by_response`` says that the first responses of all prompts come first, then the second ones.
    """

    files: tuple[np.ndarray, ...]
    n_prompts: int
    n_responses: int
    by_response: bool

    def __len__(self) -> int:
        return self.n_prompts * self.n_responses

    def gather(self, rows: np.ndarray, out: np.ndarray) -> None:
        """Write the rows of the pool's order, counted from the block's beginning, into ``out``."""
        if self.by_response:
            rows = rows % self.n_responses * self.n_prompts + rows // self.n_responses
        ends = np.cumsum([len(file) for file in self.files])
        number = np.searchsorted(ends, rows, side="right")
        for i, file in enumerate(self.files):
            mine = np.flatnonzero(number == i)
            out[mine] = file[rows[mine] - (ends[i] - len(file))]
            release(file)


@dataclass(frozen=True, eq=False)
class Stacked:
    """Blocks, one after the other, as one matrix ``(n, n_features)`` that is gathered by rows."""

    blocks: tuple[Block, ...]

    ndim = 2

    @cached_property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return sum(map(len, self.blocks)), self.blocks[0].files[0].shape[1]

    @cached_property
    def dtype(self) -> np.dtype:
        """The type that holds all files' numbers."""
        return np.result_type(*(file.dtype for block in self.blocks for file in block.files))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray:
        """Return a copy of the rows."""
        wanted = np.arange(len(self))[rows]
        out = np.empty((len(wanted), self.shape[1]), self.dtype)
        ends = np.cumsum([len(block) for block in self.blocks])
        number = np.searchsorted(ends, wanted, side="right")
        for i, block in enumerate(self.blocks):
            mine = number == i
            if mine.all():
                block.gather(wanted - (ends[i] - len(block)), out)
            elif mine.any():
                part = np.empty((int(mine.sum()), self.shape[1]), self.dtype)
                block.gather(wanted[mine] - (ends[i] - len(block)), part)
                out[mine] = part
        return out


def open_stacked(folder: Path, blocks: Sequence[dict[str, Any]]) -> Stacked:
    """Open the blocks of a card: ``files`` (``name`` or ``name#tensor``), ``n_prompts``, ``n_responses``, ``by``.

    Raises
    ------
    TaskError
        If the files are not what the card says.
    """
    if not blocks or not all(map(_is_block, blocks if isinstance(blocks, list) else [None])):
        expected, do = "blocks = tables with files, n_prompts, n_responses and by", "import them anew"
        raise TaskError(who=f"embeddings {folder}", expected=expected, got=repr(blocks)[:80], do=do)
    stacked = Stacked(tuple(_block(folder, block) for block in blocks))
    if len({file.shape[1] for block in stacked.blocks for file in block.files}) != 1:
        do = "embed all of them with one base model"
        raise TaskError(who=f"embeddings {folder}", expected="files of one width", got="several", do=do)
    return stacked


def _is_block(card: Any) -> bool:
    if not isinstance(card, dict) or not isinstance(card.get("files"), list):
        return False
    named = card["files"] and all(isinstance(name, str) for name in card["files"])
    sizes = [card.get(name) for name in ("n_prompts", "n_responses")]
    return bool(named and all(type(n) is int and n > 0 for n in sizes) and card.get("by") in ("prompt", "response"))


def _block(folder: Path, card: dict[str, Any]) -> Block:
    names = [name.partition(PARTS_OF_A_NAME) for name in card["files"]]
    files = tuple(as_rows(open_array(folder / name, tensor), name) for name, _, tensor in names)
    block = Block(files, card["n_prompts"], card["n_responses"], card["by"] == "response")
    if sum(map(len, files)) != len(block):
        got = f"{sum(map(len, files))}"
        raise TaskError(who=f"embeddings {folder}", expected=f"{len(block)} rows", got=got, do="import them anew")
    return block
