"""No result rests on a damaged or edited file. Whoever cites a number with a pool's hash relies on it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import tomli_w
from conftest import N_FEATURES, N_PROMPTS, N_RESPONSES, write_pool
from running import loaded

from rmsuite.errors import TaskError
from rmsuite.pools import COST_CARD, EMBEDDINGS_CARD, load_embeddings, load_pool, read_card, sign
from rmsuite.sources import embedding_card

N = N_PROMPTS * N_RESPONSES


@pytest.fixture
def gold_pool(tmp_path):
    return write_pool(tmp_path, "gold-pool", human=False)


@pytest.fixture
def human_pool(tmp_path):
    return write_pool(tmp_path, "human-pool", human=True)


def reseal(folder: Path, **changes: object) -> None:
    """Write the card anew, with the hashes of the files as they are: what a faulty recipe would leave."""
    path = next(folder.glob("*.toml"))
    digests = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.glob("*.npy")}
    card = {**read_card(path), "sha256": digests, **changes}
    path.write_text(tomli_w.dumps({key: value for key, value in card.items() if value is not None}))


def replace_column(folder: Path, name: str, column: np.ndarray) -> None:
    np.save(folder / f"{name}.npy", column)
    reseal(folder)


def column(folder: Path, name: str) -> np.ndarray:
    return np.load(folder / f"{name}.npy")


def refusal(call, *arguments, who: Path) -> str:
    """Return the message of the error that a call has to raise, which names the file or folder."""
    with pytest.raises(TaskError) as error:
        call(*arguments)
    assert str(who) in error.value.who
    assert all((error.value.expected, error.value.got, error.value.do))
    return str(error.value)


def test_a_whole_pool_is_loaded_as_its_files_say(gold_pool, human_pool):
    pool, digest = load_pool(gold_pool)
    assert digest == hashlib.sha256((gold_pool / "pool.toml").read_bytes()).hexdigest()
    assert pool.name == "gold-pool"
    assert pool.categories == ("a", "b", "c")
    for name in ("prompt_id", "category", "offsets", "response_id", "generator", "length", "gold"):
        np.testing.assert_array_equal(getattr(pool, name), column(gold_pool, name), strict=True)
    np.testing.assert_array_equal(pool.prompt, np.repeat(np.arange(N_PROMPTS), N_RESPONSES))
    assert pool.human_pairs is None
    human, _ = load_pool(human_pool)
    assert human.gold is None
    np.testing.assert_array_equal(human.human_pairs, column(human_pool, "human_pairs"))


def test_arrays_are_mapped_and_read_only(toy_root):
    for task in loaded(toy_root, "toy-gold", "toy-human"):
        pool = task.pool
        columns = [pool.prompt_id, pool.category, pool.offsets, pool.response_id, pool.generator, pool.length]
        columns += [array for array in (pool.gold, pool.human_pairs, task.embeddings.matrix) if array is not None]
        assert len(columns) == 8
        for array in columns:
            assert isinstance(array, np.memmap)
            assert not array.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            task.embeddings.matrix[0, 0] = 1


FILES = ["prompt_id", "category", "offsets", "response_id", "generator", "length", "gold", "embeddings"]


@pytest.mark.parametrize("name", FILES)
def test_an_altered_byte_of_any_file_is_refused_by_its_name(gold_pool, name):
    path = next(gold_pool.rglob(f"{name}.npy"))
    whole = path.read_bytes()
    for position in np.linspace(0, len(whole) - 1, 12).astype(int):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        message = refusal(_load_all, gold_pool, who=path)
        assert "expected sha256" in message
        assert "reinstall" in message
    path.write_bytes(whole)
    _load_all(gold_pool)


def _load_all(folder):
    load_pool(folder)
    load_embeddings(folder, "toy-base", N)


def test_an_altered_byte_of_human_pairs_is_refused(human_pool):
    path = human_pool / "human_pairs.npy"
    whole = bytearray(path.read_bytes())
    whole[-1] ^= 1
    path.write_bytes(whole)
    refusal(load_pool, human_pool, who=path)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("change", ["missing", "empty", "longer", "a folder"])
def test_a_missing_or_other_file_is_refused_by_its_name(gold_pool, name, change):
    path = next(gold_pool.rglob(f"{name}.npy"))
    content = path.read_bytes()
    path.unlink()
    if change == "a folder":
        path.mkdir()
    elif change != "missing":
        path.write_bytes(b"" if change == "empty" else content + b"\0")
    assert ("got no file" in refusal(_load_all, gold_pool, who=path)) == (change in ("missing", "a folder"))


def test_exchanged_files_are_refused(gold_pool):
    """Each file is whole, but it is not the one that the card means."""
    one, other = gold_pool / "generator.npy", gold_pool / "category.npy"
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)
    refusal(load_pool, gold_pool, who=other)


@pytest.mark.parametrize("name", FILES)
def test_a_pickled_array_is_refused(gold_pool, name):
    path = next(gold_pool.rglob(f"{name}.npy"))
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    reseal(path.parent)
    assert "without pickle" in refusal(_load_all, gold_pool, who=path)


@pytest.mark.parametrize("content", [b"", b"text", b"\x93NUMPY\x01\x00"], ids=["empty", "text", "header only"])
def test_a_file_that_holds_no_array_is_refused_even_if_its_hash_is_right(gold_pool, content):
    (gold_pool / "length.npy").write_bytes(content)
    reseal(gold_pool)
    refusal(load_pool, gold_pool, who=gold_pool / "length.npy")


@pytest.mark.parametrize("name", ["n_prompts", "n_responses"])
@pytest.mark.parametrize("by", [-1, 1])
def test_a_count_that_is_not_that_of_the_arrays_is_refused(gold_pool, name, by):
    reseal(gold_pool, **{name: read_card(gold_pool / "pool.toml")[name] + by})
    assert name in refusal(load_pool, gold_pool, who=gold_pool)


@pytest.mark.parametrize(
    "change",
    [
        lambda offsets: offsets + 1,
        lambda offsets: offsets[:-1],
        lambda offsets: offsets[:0],
        lambda offsets: np.append(offsets, offsets[-1]),
        lambda offsets: np.append(offsets[:-1], offsets[-1] - 1),
        lambda offsets: np.concatenate([offsets[:3], offsets[2:-1]]),
        lambda offsets: np.concatenate([offsets[:1], offsets[3:1:-1], offsets[3:]])[: len(offsets)],
        lambda offsets: offsets[:, None],
    ],
    ids=["shifted", "short", "empty", "long", "ends early", "an empty prompt", "falling", "two dimensions"],
)
def test_broken_offsets_are_refused(gold_pool, change):
    replace_column(gold_pool, "offsets", change(column(gold_pool, "offsets")))
    assert "offsets" in refusal(load_pool, gold_pool, who=gold_pool)


@pytest.mark.parametrize("name", ["prompt_id", "response_id"])
def test_an_id_that_is_there_twice_is_refused(gold_pool, name):
    ids = column(gold_pool, name)
    ids[-1] = ids[0]
    replace_column(gold_pool, name, ids)
    assert "twice" in refusal(load_pool, gold_pool, who=gold_pool)


@pytest.mark.parametrize("name", ["category", "generator", "length", "gold"])
@pytest.mark.parametrize("change", [lambda c: c[:-1], lambda c: c[:, None], lambda c: c[0]], ids=["short", "2d", "0d"])
def test_a_column_of_another_shape_is_refused(gold_pool, name, change):
    replace_column(gold_pool, name, np.asarray(change(column(gold_pool, name))))
    assert f"column {name} of shape" in refusal(load_pool, gold_pool, who=gold_pool)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(("prompt_id", kind) for kind in ("U9", "i8")),
        *((name, kind) for name in ("category", "generator", "offsets") for kind in ("f8", "c8", "S3", "M8[s]", "?")),
        *((name, kind) for name in ("length", "gold") for kind in ("c8", "S3", "M8[s]", "?")),
    ],
)
def test_a_column_of_another_type_is_refused_by_its_file(gold_pool, name, kind):
    """A recipe's author is told which file is wrong, where numpy would fail far from it, or count on in silence."""
    replace_column(gold_pool, name, np.zeros(len(column(gold_pool, name)), kind))
    assert f"got dtype {np.dtype(kind)}" in refusal(load_pool, gold_pool, who=gold_pool / f"{name}.npy")


@pytest.mark.parametrize(("name", "value"), [("category", -1), ("generator", -1), ("generator", 2**40), ("length", -1)])
def test_a_number_that_counts_nothing_is_refused(gold_pool, name, value):
    numbers = column(gold_pool, name).astype(np.int64)
    numbers[3] = value
    replace_column(gold_pool, name, numbers)
    assert name in refusal(load_pool, gold_pool, who=gold_pool)


def test_a_generator_that_the_card_does_not_name_is_refused(gold_pool):
    np.save(gold_pool / "generator.npy", np.arange(len(column(gold_pool, "generator"))) % 3)
    reseal(gold_pool, generators=["a", "b"])
    assert "generator of numbers from 0 to 1" in refusal(load_pool, gold_pool, who=gold_pool)


@pytest.mark.parametrize("field", ["name", "categories", "n_prompts", "sha256", "generators", "attributes"])
@pytest.mark.parametrize("value", [True, 1.5, [1], {"a": 1}], ids=["bool", "float", "list", "table"])
def test_a_field_of_the_card_of_another_kind_is_refused_by_its_name(gold_pool, field, value):
    reseal(gold_pool, **{field: value})
    assert f"expected {field} = " in refusal(load_pool, gold_pool, who=gold_pool / "pool.toml")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_gold_that_is_not_finite_is_refused(gold_pool, value):
    gold = column(gold_pool, "gold")
    gold[5] = value
    replace_column(gold_pool, "gold", gold)
    assert "finite gold" in refusal(load_pool, gold_pool, who=gold_pool)


def test_a_category_that_the_card_does_not_name_is_refused(gold_pool):
    reseal(gold_pool, categories=["a", "b"])
    assert "category of numbers from 0 to 1" in refusal(load_pool, gold_pool, who=gold_pool)


@pytest.mark.parametrize(
    "pairs",
    [[[0, N_RESPONSES]], [[0, 0]], [[0, N]], [[-1, 0]], [[0, 1, 2]], [0, 1]],
    ids=["two prompts", "one row twice", "beyond the end", "negative", "three columns", "one dimension"],
)
def test_human_pairs_that_are_none_are_refused(human_pool, pairs):
    replace_column(human_pool, "human_pairs", np.array(pairs))
    assert "human pairs" in refusal(load_pool, human_pool, who=human_pool)


@pytest.mark.parametrize("shape", [(N - 1, N_FEATURES), (N + 1, N_FEATURES), (N,), (N, N_FEATURES, 1), (N_FEATURES, N)])
def test_embeddings_that_are_not_aligned_with_the_pool_are_refused(gold_pool, shape):
    home = gold_pool / "embeddings" / "toy-base"
    replace_column(home, "embeddings", np.ones(shape, np.float16))
    assert f"shape {shape}" in refusal(load_embeddings, gold_pool, "toy-base", N, who=home)


def test_an_unknown_base_model_is_refused(gold_pool):
    assert "No such file" in refusal(load_embeddings, gold_pool, "other-base", N, who=gold_pool)


@pytest.mark.parametrize("content", [b"name = ", b"= 3", b"\xff\xfe\x00", b"[[", None])
def test_a_card_that_is_no_toml_is_refused(gold_pool, content):
    card = gold_pool / "pool.toml"
    if content is None:
        card.unlink()
    else:
        card.write_bytes(content)
    refusal(load_pool, gold_pool, who=card)


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_an_unknown_format_is_refused(gold_pool, version):
    reseal(gold_pool, format=version)
    assert "format" in refusal(load_pool, gold_pool, who=gold_pool)


@pytest.mark.parametrize("field", ["name", "categories", "n_prompts", "n_responses", "sha256"])
def test_a_card_without_a_needed_field_is_refused(gold_pool, field):
    reseal(gold_pool, **{field: None})
    assert field in refusal(load_pool, gold_pool, who=gold_pool / "pool.toml")


def test_an_embeddings_card_without_hashes_is_refused(gold_pool):
    card = gold_pool / "embeddings" / "toy-base" / "embeddings.toml"
    reseal(card.parent, sha256=None)
    assert "sha256" in refusal(load_embeddings, gold_pool, "toy-base", N, who=card)


def test_what_a_set_cost_is_read_beside_its_card_and_moves_no_signature(gold_pool):
    home, root = gold_pool / "embeddings" / "toy-base", gold_pool.parents[1]
    card, signed = embedding_card(root, gold_pool.name, "toy-base"), sign("toy-base", home / EMBEDDINGS_CARD)
    before = load_embeddings(gold_pool, "toy-base", N)
    (home / COST_CARD).write_text('seconds_per_1000_responses = 2.5\nsha256 = "the card has this itself"\n')
    assert embedding_card(root, gold_pool.name, "toy-base") == {**card, "seconds_per_1000_responses": 2.5}
    after = load_embeddings(gold_pool, "toy-base", N)
    assert (after.sha256, sign("toy-base", home / EMBEDDINGS_CARD)) == (before.sha256, signed)


def test_a_file_that_is_not_on_the_card_is_not_read(human_pool):
    """Gold that somebody put beside the pool does not make it a pool with gold."""
    np.save(human_pool / "gold.npy", np.zeros(N, np.float32))
    assert load_pool(human_pool)[0].gold is None


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs links")
def test_a_linked_pool_is_the_same_pool(gold_pool, tmp_path):
    (tmp_path / "elsewhere").symlink_to(gold_pool)
    assert load_pool(tmp_path / "elsewhere")[1] == load_pool(gold_pool)[1]


def with_ratings(folder: Path, ratings: np.ndarray, attributes: list[str]) -> None:
    np.save(folder / "ratings.npy", ratings)
    reseal(folder, attributes=attributes)


def test_ratings_are_loaded_and_a_missing_one_stays_missing(gold_pool):
    ratings = np.arange(2.0 * N, dtype=np.float32).reshape(N, 2)
    ratings[3, 1] = np.nan
    with_ratings(gold_pool, ratings, ["truthful", "informative"])
    pool, _ = load_pool(gold_pool)
    assert pool.attributes == ("truthful", "informative")
    np.testing.assert_array_equal(pool.ratings, ratings)


@pytest.mark.parametrize(
    ("ratings", "attributes"),
    [
        (np.zeros((N, 2)), ["one"]),
        (np.zeros((N - 1, 1)), ["one"]),
        (np.zeros(N), ["one"]),
        (np.zeros((N, 0)), []),
        (np.full((N, 1), np.inf), ["one"]),
    ],
)
def test_faulty_ratings_are_refused(gold_pool, ratings, attributes):
    with_ratings(gold_pool, ratings, attributes)
    assert "ratings" in refusal(load_pool, gold_pool, who=gold_pool)


def with_votes(folder: Path, **columns: list[float]) -> None:
    for name, values in columns.items():
        np.save(folder / f"vote_{name}.npy", np.array(values))
    reseal(folder)


def test_votes_keep_raters_apart(gold_pool):
    with_votes(gold_pool, response=[0, 0, 1], rater=[0, 1, 1], value=[1.0, 0.0, 0.5])
    votes = load_pool(gold_pool)[0].votes
    assert votes.response.tolist() == [0, 0, 1]
    assert votes.rater.tolist() == [0, 1, 1]
    assert votes.value.tolist() == [1.0, 0.0, 0.5]


@pytest.mark.parametrize(
    "columns",
    [
        {"response": [0, 1], "rater": [0], "value": [1.0, 2.0]},
        {"response": [0, N], "rater": [0, 0], "value": [1.0, 2.0]},
        {"response": [0, -1], "rater": [0, 0], "value": [1.0, 2.0]},
        {"response": [0, 1], "rater": [0, 0], "value": [1.0, np.nan]},
    ],
)
def test_faulty_votes_are_refused(gold_pool, columns):
    with_votes(gold_pool, **columns)
    assert "votes" in refusal(load_pool, gold_pool, who=gold_pool)


def test_ids_that_decide_the_part_are_loaded(gold_pool):
    assert load_pool(gold_pool)[0].split_id is None
    replace_column(gold_pool, "split_id", column(gold_pool, "prompt_id")[::-1])
    pool, _ = load_pool(gold_pool)
    np.testing.assert_array_equal(pool.split_id, pool.prompt_id[::-1])


@pytest.mark.parametrize("ids", [np.zeros(N_PROMPTS - 1, "S3"), np.zeros(N_PROMPTS, int), np.zeros(N_PROMPTS, "U3")])
def test_ids_that_cannot_decide_the_part_are_refused(gold_pool, ids):
    replace_column(gold_pool, "split_id", ids)
    assert "split_id" in refusal(load_pool, gold_pool, who=gold_pool)
