"""Arrays of others become a task, linked to and never copied. Whoever has embeddings already relies on it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from command_line import Toys
from plugin_files import source, write

from rmsuite import imports
from rmsuite.book import read_book
from rmsuite.data import Pool
from rmsuite.errors import InputError, TaskError
from rmsuite.stacked import Block, Stacked, open_array, open_stacked

RNG = np.random.default_rng(3)
TRAIN = RNG.standard_normal((30, 4, 5)).astype(np.float16)
TEST = RNG.standard_normal((12, 6, 5)).astype(np.float16)
DIRECTION = np.arange(1, 6)


def rewards(embeddings: np.ndarray) -> np.ndarray:
    return (embeddings.astype(np.float32) @ DIRECTION).astype(np.float32)


def safetensors(path: Path, **tensors: np.ndarray) -> Path:
    """Write the format as its description says: the header's length, a JSON header, the bytes."""
    names = {np.dtype(np.float16): "F16", np.dtype(np.float32): "F32", np.dtype(np.float64): "F64"}
    header, body = {"__metadata__": {"by": "a test"}}, b""
    for name, tensor in tensors.items():
        begin, body = len(body), body + np.ascontiguousarray(tensor).tobytes()
        header[name] = {"dtype": names[tensor.dtype], "shape": tensor.shape, "data_offsets": [begin, len(body)]}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)
    return path


def published(folder: Path, *, swapped: bool = False, last: bool = True) -> Path:
    folder.mkdir()
    for name, array in (("train", TRAIN), ("test", TEST)):
        given = np.ascontiguousarray(array.transpose(1, 0, 2)) if swapped else array
        np.save(folder / f"embd_gemma_{name}.npy", given)
        np.save(folder / f"reward_gemma_{name}.npy", rewards(given)[..., None] if last else rewards(given))
    return folder


@pytest.fixture
def mine(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RMSUITE_TASKS", raising=False)
    found = Toys(tmp_path, write(tmp_path / "good.py", source("good")), capfd)
    found.install(monkeypatch)
    return found


def loaded(folder: Path = Path("rmsuite-tasks"), name: str = "mine"):
    return read_book([folder]).task(name).load()


def by_prompt(task, pool: Pool) -> dict[tuple[int, int], tuple[float, ...]]:
    """Every response's embedding, by the number of its prompt and its place there."""
    rows = np.arange(len(pool.response_id))
    matrix = task.embeddings.matrix[rows]
    place = rows - pool.offsets[:-1][pool.prompt]
    return {(int(p), int(r)): tuple(row) for p, r, row in zip(pool.prompt, place, matrix.tolist(), strict=True)}


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("last", [False, True])
def test_the_published_layout_keeps_its_split_in_either_order_of_axes(mine, swapped, last):
    published(Path("source"), swapped=swapped, last=last)
    axes = ["--axes", "responses"] if swapped else []
    answer = mine.bare("import", "source", "--name", "mine", *axes)
    assert answer.code == 0, answer
    assert "embd_gemma_train.npy: 30 prompts × 4 responses\n" in answer.out
    assert "embd_gemma_test.npy: 12 prompts × 6 responses, test part\n" in answer.out
    task = loaded()
    expected = {(p, r): tuple(row.tolist()) for p, of in enumerate(TRAIN) for r, row in enumerate(of)}
    expected |= {(30 + p, r): tuple(row.tolist()) for p, of in enumerate(TEST) for r, row in enumerate(of)}
    assert by_prompt(task, task.pool) == expected
    np.testing.assert_array_equal(task.pool.gold, np.concatenate([rewards(TRAIN).ravel(), rewards(TEST).ravel()]))
    assert task.parts["test"].tolist() == list(range(30, 42))
    assert sorted([*task.parts["train"], *task.parts["validation"]]) == list(range(30))
    n = [len(task.parts[part]) for part in ("train", "validation", "test")]
    assert task.signature()["split"] == f"stated({n[0]}/{n[1]}/12)"


def test_the_longer_axis_counts_prompts_and_a_square_one_is_asked_for(tmp_path):
    published(tmp_path / "source", swapped=True)
    assert [(p.n_prompts, p.n_responses) for p in imports.pieces(tmp_path / "source")] == [(30, 4), (12, 6)]
    np.save(tmp_path / "source" / "embd_gemma_test.npy", TEST[:6])
    np.save(tmp_path / "source" / "reward_gemma_test.npy", rewards(TEST[:6]))
    with pytest.raises(InputError, match="--axes"):
        imports.pieces(tmp_path / "source")
    assert [p.by_response for p in imports.pieces(tmp_path / "source", "prompts")] == [False, False]


def test_rewards_in_the_other_order_of_axes_are_turned(tmp_path):
    published(tmp_path / "source")
    np.save(tmp_path / "source" / "reward_gemma_train.npy", rewards(TRAIN).T)
    np.testing.assert_array_equal(imports.pieces(tmp_path / "source")[0].rewards, rewards(TRAIN))


def test_files_are_linked_to_and_a_change_of_the_source_is_found(mine):
    published(Path("source"))
    mine.bare("import", "source", "--name", "mine")
    mine.bare("import", "source", "--name", "copied", "--copy")
    linked = Path("rmsuite-tasks/pools/mine/embeddings/unknown/embeddings-0.npy")
    original = Path("source/embd_gemma_train.npy")
    assert linked.samefile(original)
    with original.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x01")
    with pytest.raises(TaskError, match=r"embeddings-0\.npy"):
        loaded()
    assert loaded(name="copied").embeddings.matrix.shape == (192, 5)


def test_another_disk_is_linked_to_by_path(mine, monkeypatch):
    published(Path("source"))

    def refuse(*_):
        raise OSError("another device")

    monkeypatch.setattr(os, "link", refuse)
    assert mine.bare("import", "source", "--name", "mine").code == 0
    assert Path("rmsuite-tasks/pools/mine/embeddings/unknown/embeddings-0.npy").is_symlink()
    assert loaded().embeddings.matrix.shape == (192, 5)


def test_pairs_of_chosen_and_rejected_rows_stay_pairs(mine):
    Path("source").mkdir()
    chosen, rejected = TRAIN[:, 0].astype(np.float32), TRAIN[:, 1].astype(np.float32)
    np.save("source/chosen.npy", chosen)
    np.save("source/rejected.npy", rejected)
    assert mine.bare("import", "source", "--name", "mine", "--base-model", "gemma").code == 0
    task = loaded()
    assert task.embeddings.base_model == "gemma"
    matrix = task.embeddings.matrix
    np.testing.assert_array_equal(matrix[task.pool.human_pairs[:, 0]], chosen)
    np.testing.assert_array_equal(matrix[task.pool.human_pairs[:, 1]], rejected)
    assert task.pool.part is None


@pytest.mark.parametrize("form", ["rewards", "pairs"])
def test_safetensors_hold_what_npy_files_do(mine, form):
    Path("source").mkdir()
    for name, array in (("a-train", TRAIN[:20]), ("b-train", TRAIN[20:]), ("test", TEST)):
        if form == "rewards":
            safetensors(Path(f"source/{name}.safetensors"), embeddings=array, rewards=rewards(array).astype(np.float64))
        else:
            safetensors(Path(f"source/{name}.safetensors"), chosen=array[:, 0], rejected=array[:, 1])
    answer = mine.bare("import", "source", "--name", "mine")
    assert answer.code == 0, answer
    task = loaded()
    rows = task.embeddings.matrix[:]
    if form == "rewards":
        np.testing.assert_array_equal(rows, np.concatenate([TRAIN.reshape(-1, 5), TEST.reshape(-1, 5)]))
        np.testing.assert_array_equal(task.pool.gold, np.concatenate([rewards(TRAIN).ravel(), rewards(TEST).ravel()]))
    else:
        np.testing.assert_array_equal(rows, np.concatenate([TRAIN[:, :2].reshape(-1, 5), TEST[:, :2].reshape(-1, 5)]))
    assert len(task.parts["test"]) == 12


def test_a_method_learns_from_what_was_imported_and_the_cells_verify(mine):
    published(Path("source"))
    mine.bare("import", "source", "--name", "mine")
    folder = Path("rmsuite-tasks/suites")
    folder.mkdir()
    (folder / "default.toml").write_text('name = "default"\nsummary = "s"\ntasks = ["mine"]\nrepetitions = 1\n')
    answer = mine("run", "--tasks", "rmsuite-tasks", "-m", "good", "-j", "1", "--format", "json")
    assert answer.code == 0, answer
    assert "0 findings" in mine("verify", "--tasks", "rmsuite-tasks", "--rerun", "1").out


DAMAGE = {
    "no folder": (lambda f: [p.unlink() for p in f.iterdir()] and f.rmdir(), "no such folder"),
    "empty": (lambda f: [p.unlink() for p in f.iterdir()], "0 of embeddings, 0 of rewards"),
    "no rewards": (lambda f: (f / "reward_gemma_train.npy").unlink(), "nothing that goes with embd_gemma_train.npy"),
    "too many rewards": (lambda f: np.save(f / "reward_x.npy", rewards(TRAIN)), "2 of embeddings, 3 of rewards"),
    "rewards of another shape": (
        lambda f: np.save(f / "reward_gemma_train.npy", np.zeros((30, 3))),
        "rewards of shape (30, 4)",
    ),
    "a missing reward": (
        lambda f: np.save(f / "reward_gemma_train.npy", np.full((30, 4), np.nan)),
        "finite as float32, got 120 others",
    ),
    "rewards beyond float32": (
        lambda f: np.save(f / "reward_gemma_train.npy", np.full((30, 4), 1e300)),
        "finite as float32, got 120 others",
    ),
    "rewards as texts": (lambda f: np.save(f / "reward_gemma_train.npy", np.full((30, 4), "x")), "got dtype <U1"),
    "NaN in embeddings": (
        lambda f: np.save(f / "embd_gemma_train.npy", np.where(np.arange(30)[:, None, None] == 3, np.nan, TRAIN)),
        "infinity or NaN in row 12",
    ),
    "embeddings beyond float32": (
        lambda f: np.save(f / "embd_gemma_train.npy", np.full(TRAIN.shape, 1e300)),
        "infinity or NaN in row 0",
    ),
    "pairs beside rewards": (lambda f: np.save(f / "chosen.npy", TRAIN[0]), "both: chosen, embeddings, rewards"),
    "too few prompts": (
        lambda f: [
            np.save(f / f"{what}_gemma_train.npy", a[:1]) for what, a in (("embd", TRAIN), ("reward", rewards(TRAIN)))
        ],
        "prompts in its",
    ),
    "a header without end": (
        lambda f: (f / "x.safetensors").write_bytes((10**5).to_bytes(8, "little") + b"[" * 10**5),
        "its header is nested too deep",
    ),
    "two axes": (lambda f: np.save(f / "embd_gemma_train.npy", TRAIN[0]), "shape (n_prompts, n_responses, n_features)"),
    "whole numbers": (lambda f: np.save(f / "embd_gemma_train.npy", TRAIN.astype(int)), "floating-point numbers"),
    "Fortran order": (lambda f: np.save(f / "embd_gemma_train.npy", np.asfortranarray(TRAIN)), "in Fortran order"),
    "two widths": (lambda f: np.save(f / "embd_gemma_train.npy", TRAIN[..., :3]), "files of one width"),
    "cut off": (lambda f: os.truncate(f / "embd_gemma_train.npy", 200), "an array without pickle"),
    "pickled": (lambda f: np.save(f / "embd_gemma_train.npy", np.array([{}])), "an array without pickle"),
    "no safetensors": (lambda f: (f / "x.safetensors").write_bytes(b"no"), "a safetensors file"),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGE.values(), ids=DAMAGE)
def test_a_source_that_is_none_is_refused_and_leaves_nothing_behind(mine, damage, message):
    folder = published(Path("source"))
    damage(folder)
    answer = mine.bare("import", "source", "--name", "mine")
    assert (answer.code, answer.err.count("Do: ")) == (2, 1), answer
    assert message in answer.err
    assert [path for path in Path().rglob("*") if path.parent.name == "rmsuite-tasks"] == []


@pytest.mark.parametrize(
    "wrong",
    [5, [5], {"a": 1}, [], [{"files": []}], [{"files": ["a.npy"], "n_prompts": 1, "n_responses": True, "by": "x"}]],
)
def test_blocks_that_are_none_are_refused(tmp_path, wrong):
    """A card may be edited by hand."""
    with pytest.raises(TaskError, match="blocks = tables with files"):
        open_stacked(tmp_path, wrong)


@pytest.mark.parametrize(
    "options",
    [("--output", "a-file"), ("--output", "a-file/below"), ("--name", "a" * 101), ("--base-model", "a" * 101)],
    ids=["a file", "below a file", "long name", "long base model"],
)
def test_where_nothing_can_be_written_is_said_before_anything_is(mine, options):
    published(Path("source"))
    Path("a-file").write_text("kept")
    answer = mine.bare("import", "source", *options)
    assert (answer.code, answer.err.count("Do: ")) == (2, 1), answer
    assert Path("a-file").read_text() == "kept"
    assert not [path for path in Path().rglob("*") if path.name.startswith(".import")]


@pytest.mark.parametrize("option", ["--licence", "--question"])
def test_words_that_no_card_can_hold_are_refused(mine, option):
    """A shell hands bytes that are no UTF-8 on as lone surrogates."""
    published(Path("source"))
    answer = mine.bare("import", "source", option, "\udcff")
    assert answer.code == 2
    assert "expected text in UTF-8" in answer.err
    assert not Path("rmsuite-tasks").exists()


@pytest.mark.parametrize("damage", ["short", "type", "tensor", "offsets", "before the file"])
def test_a_damaged_safetensors_file_is_refused(tmp_path, damage):
    path = safetensors(tmp_path / "x.safetensors", embeddings=TRAIN)
    raw = path.read_bytes()
    changed = {
        "short": raw[:-1],
        "type": raw.replace(b'"F16"', b'"I16"'),
        "tensor": raw.replace(b"embeddings", b"embeddingz"),
        "offsets": raw.replace(b"[0, 1200]", b"[0, 1300]"),
        "before the file": raw.replace(b"[0, 1200]", b"[-1200, 0]"),
    }[damage]
    assert changed != raw
    path.write_bytes(changed)
    with pytest.raises(TaskError, match=r"x\.safetensors"):
        open_array(path, "embeddings")


def test_rows_gathered_from_blocks_are_those_of_the_whole_matrix():
    whole = np.arange(60.0).reshape(20, 3)
    swapped = whole[8:].reshape(6, 2, 3).transpose(1, 0, 2).reshape(12, 3)
    blocks = (Block((whole[:3], whole[3:8]), 4, 2, False), Block((swapped[:6], swapped[6:]), 6, 2, True))
    matrix = Stacked(blocks)
    assert (matrix.shape, len(matrix), matrix.dtype) == ((20, 3), 20, np.float64)
    np.testing.assert_array_equal(matrix[:], whole)
    rng = np.random.default_rng(0)
    for n in (0, 1, 7, 50):
        rows = rng.integers(0, 20, n)
        np.testing.assert_array_equal(matrix[rows], whole[rows])
