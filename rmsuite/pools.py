"""Read pools and embedding sets from disk: every file is checked against the sha256 on its card."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rmsuite.arrays import row_slices
from rmsuite.data import Pool, Votes
from rmsuite.errors import TaskError
from rmsuite.splits import PARTS
from rmsuite.stacked import Stacked, open_stacked, release

FORMAT = 1
POOL_CARD, EMBEDDINGS_CARD, GOLD_CARD = "pool.toml", "embeddings.toml", "gold.toml"
COST_CARD = "cost.toml"  # beside an embedding set's card, and no part of it: a time measured anew moves no signature
COSTS = ("seconds_per_1000_responses", "seconds_are_of")
COLUMNS = ("prompt_id", "category", "offsets", "response_id", "generator", "length")
OPTIONAL_COLUMNS = ("gold", "human_pairs", "ratings", "split_id", "part")
VOTE_COLUMNS = ("vote_response", "vote_rater", "vote_value")
POOL_FIELDS: Mapping[str, type] = {
    "name": str,
    "format": int,
    "categories": list,
    "n_prompts": int,
    "n_responses": int,
    "sha256": dict,
}
LISTS_OF_NAMES: Mapping[str, type] = {"generators": list, "attributes": list}  # that a pool's card may have
FIELDS = {str: "text", int: "a whole number", list: "a list of texts", dict: "a table of texts"}
BYTES, WHOLE, REAL = "S", "iu", "fiu"  # numpy's kinds
KINDS: Mapping[str, str] = {
    "reward": "f",
    **dict.fromkeys(("prompt_id", "response_id", "split_id"), BYTES),
    **dict.fromkeys(("category", "offsets", "generator", "part", "human_pairs", "vote_response", "vote_rater"), WHOLE),
    **dict.fromkeys(("length", "gold", "ratings", "vote_value"), REAL),
    "embeddings": "f",
}
ANY = 2**31  # how many there may be of what no card counts: numbers times rows stay within int64
SAID = {BYTES: "bytes", WHOLE: "whole numbers", REAL: "real numbers", "f": "floating-point numbers"}


@dataclass(frozen=True, eq=False)
class EmbeddingSet:
    """One base model's embeddings of one pool, row-aligned with it and memory-mapped; ``matrix[rows]`` gathers.

    ``home`` is their folder; ``sha256`` is that of the card in it, which holds those of their files.
    """

    base_model: str
    matrix: np.ndarray | Stacked
    card: Mapping[str, Any]
    home: Path
    sha256: str


@dataclass(frozen=True, eq=False)
class GoldRewards:
    """A gold reward model's rewards of one pool, ``(n_responses,)`` float32, row-aligned with it; larger is better."""

    model: str
    reward: np.ndarray
    card: Mapping[str, Any]

    @property
    def summary(self) -> str:
        """The model and how far it agrees with held-out labels, as its card says."""
        return f"{self.model}, {self.card['agreement']}"


def sign(name: str, card: Path) -> str:
    """Return a name with the start of the sha256 of its card, which holds those of its files, as signatures have it."""
    return f"{name}#{_digest(card)[:12]}"


def read_card(path: Path) -> dict[str, Any]:
    """Return a TOML card.

    Raises
    ------
    TaskError
        If it is absent or no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise TaskError(who=f"card {path}", expected="a TOML file", got=str(error), do="restore the file") from None


def load_pool(folder: Path) -> tuple[Pool, str]:
    """Return a pool and its digest (the sha256 of its card, which holds those of its files).

    Raises
    ------
    TaskError
        If a file is absent, altered, pickled or of the wrong shape.
    """
    card = read_card(folder / POOL_CARD)
    _require(folder / POOL_CARD, card, POOL_FIELDS)
    _known_format(folder, card)
    names = [*COLUMNS, *(n for n in OPTIONAL_COLUMNS if f"{n}.npy" in card["sha256"])]
    columns: dict[str, Any] = {name: _column(folder, card, name) for name in names}
    if f"{VOTE_COLUMNS[0]}.npy" in card["sha256"]:
        columns["votes"] = Votes(*(_column(folder, card, name) for name in VOTE_COLUMNS))
    columns |= {name: tuple(card.get(name, ())) for name in ("categories", "attributes")}
    pool = Pool(name=card["name"], **columns)
    _check_pool(folder, card, pool)
    return pool, _digest(folder / POOL_CARD)


def load_embeddings(folder: Path, base_model: str, n_responses: int) -> EmbeddingSet:
    """Return an embedding set of the pool in ``folder``.

    Raises
    ------
    TaskError
        If it is absent, altered, or not row-aligned with the pool.
    """
    home = folder / "embeddings" / base_model
    card = read_card(home / EMBEDDINGS_CARD)
    _require(home / EMBEDDINGS_CARD, card, {"sha256": dict})
    matrix = _matrix(home, card)
    if matrix.ndim != 2 or len(matrix) != n_responses or not matrix.shape[1]:
        raise _wrong(home, f"({n_responses}, n_features), a row for each response of the pool", f"shape {matrix.shape}")
    _check_finite(home, matrix)
    return EmbeddingSet(base_model, matrix, card, home, _digest(home / EMBEDDINGS_CARD))


def embeddings_by_hash(sha256: str, roots: Iterable[Path]) -> EmbeddingSet | None:
    """Return the embedding set whose card has this sha256, wherever it lies in folders of tasks; None if nowhere.

    Raises
    ------
    TaskError
        If its files are not what the card says.
    """
    for root in roots:
        for card in sorted(root.glob(f"pools/*/embeddings/*/{EMBEDDINGS_CARD}")):
            if _digest(card) == sha256:
                folder = card.parents[2]
                n_responses = read_card(folder / POOL_CARD)["n_responses"]
                return load_embeddings(folder, card.parent.name, n_responses)
    return None


def load_gold(folder: Path, model: str, n_responses: int) -> GoldRewards:
    """Return the rewards that a gold reward model gave the pool in ``folder``.

    Raises
    ------
    TaskError
        If they are absent, altered, not finite, or not row-aligned with the pool.
    """
    home = folder / "golds" / model
    card = read_card(home / GOLD_CARD)
    _require(home / GOLD_CARD, card, {"sha256": dict, "agreement": str})
    reward = _column(home, card, "reward")
    if reward.shape != (n_responses,) or not np.isfinite(reward).all():
        raise _wrong(home, f"({n_responses},) finite rewards, one for each response of the pool", f"{reward.shape}")
    return GoldRewards(model, reward, card)


def _check_finite(home: Path, matrix: np.ndarray | Stacked) -> None:
    for part in row_slices(*matrix.shape):
        with np.errstate(over="ignore"):  # what methods are given is float32
            finite = np.isfinite(matrix[part].astype(np.float32, copy=False)).all(axis=1)
        if not finite.all():
            got = f"infinity or NaN in row {part.start + int(np.argmin(finite))}, counted from 0"
            raise _wrong(home, "embeddings that are finite as float32", got)
    release(matrix)


def _matrix(home: Path, card: Mapping[str, Any]) -> np.ndarray | Stacked:
    if "blocks" not in card:
        return _column(home, card, "embeddings")
    for name in card["sha256"]:
        _intact(home, card, name)
    return open_stacked(home, card["blocks"])


def _require(path: Path, card: Mapping[str, Any], needed: Mapping[str, type]) -> None:
    missing = [name for name in needed if name not in card]
    if missing:
        expected = f"the fields {', '.join(needed)}"
        raise TaskError(who=f"card {path}", expected=expected, got=f"none of {', '.join(missing)}", do="mend the card")
    for name, kind in {**LISTS_OF_NAMES, **needed}.items():
        if name in card and not _is_of(card[name], kind):
            expected, got = f"{name} = {FIELDS[kind]}", repr(card[name])[:80]
            raise TaskError(who=f"card {path}", expected=expected, got=got, do="mend the card")


def _is_of(value: Any, kind: type) -> bool:
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return type(value) is kind and all(isinstance(one, str) for one in members)


def _known_format(folder: Path, card: Mapping[str, Any]) -> None:
    if card["format"] != FORMAT:
        do = "install a matching version of rmsuite and its tasks"
        raise TaskError(who=f"pool {folder}", expected=f"format {FORMAT}", got=f"format {card['format']!r}", do=do)


def _column(folder: Path, card: Mapping[str, Any], name: str) -> np.ndarray:
    path = _intact(folder, card, f"{name}.npy")
    try:
        column: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise TaskError(
            who=f"data file {path}", expected="a numpy array without pickle", got=str(error), do="save it with np.save"
        ) from None
    if column.dtype.kind not in KINDS[name]:
        expected, do = SAID[KINDS[name]], "rebuild it with its recipe"
        raise TaskError(who=f"data file {path}", expected=expected, got=f"dtype {column.dtype}", do=do)
    return column


def _intact(folder: Path, card: Mapping[str, Any], name: str) -> Path:
    path = folder / name
    expected = card["sha256"].get(path.name, "no such file")
    if not path.is_file() or _digest(path) != expected:
        got = f"sha256 {_digest(path)}" if path.is_file() else "no file"
        do = "reinstall the package: the file is damaged or was edited, and no result may rest on it"
        raise TaskError(who=f"data file {path}", expected=f"sha256 {expected}", got=got, do=do)
    return path


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_pool(folder: Path, card: Mapping[str, Any], pool: Pool) -> None:
    n_prompts, n_responses = pool.prompt_id.size, pool.response_id.size
    counts = {"n_prompts": n_prompts, "n_responses": n_responses}
    for key, count in counts.items():
        if card[key] != count:
            raise _wrong(folder, f"{key} = {card[key]}, as on the card", str(count))
    offsets = pool.offsets
    if offsets.shape != (n_prompts + 1,) or offsets[0] or offsets[-1] != n_responses or (np.diff(offsets) < 1).any():
        raise _wrong(folder, "offsets that rise from 0 to n_responses, one step a prompt", f"{offsets}")
    _check_shapes(folder, pool)
    if len(np.unique(pool.prompt_id)) != n_prompts or len(np.unique(pool.response_id)) != n_responses:
        raise _wrong(folder, "distinct prompt ids and response ids", "an id that is there twice")
    _check_numbered(folder, "category", pool.category, len(pool.categories))
    _check_numbered(folder, "generator", pool.generator, len(card.get("generators", ())) or ANY)
    if not (np.isfinite(pool.length) & (pool.length >= 0)).all():
        raise _wrong(folder, "finite lengths of at least 0", f"{np.min(pool.length)}")
    if pool.gold is not None and not np.isfinite(pool.gold).all():
        raise _wrong(folder, "finite gold rewards", f"{np.count_nonzero(~np.isfinite(pool.gold))} others")
    if pool.human_pairs is not None:
        _check_human_pairs(folder, pool, pool.human_pairs)
    if pool.ratings is not None:
        _check_ratings(folder, pool, pool.ratings)
    if pool.votes is not None:
        _check_votes(folder, n_responses, pool.votes)


def _check_shapes(folder: Path, pool: Pool) -> None:
    n_prompts, n_responses = len(pool.prompt_id), len(pool.response_id)
    rows = dict.fromkeys(("prompt_id", "category", "split_id", "part"), n_prompts) | {"response_id": n_responses}
    rows |= dict.fromkeys(("generator", "length", "gold"), n_responses)
    for name, n in rows.items():
        column = getattr(pool, name)
        if column is not None and column.shape != (n,):
            raise _wrong(folder, f"column {name} of shape ({n},)", f"{column.shape}")
    if pool.part is not None and not np.isin(pool.part, range(len(PARTS))).all():
        raise _wrong(folder, f"a column part of numbers from 0 to {len(PARTS) - 1}", "others")


def _check_numbered(folder: Path, name: str, numbers: np.ndarray, n: int) -> None:
    low, high = numbers.min(initial=0), numbers.max(initial=0)
    if low < 0 or high >= n:
        raise _wrong(folder, f"a column {name} of numbers from 0 to {n - 1}", f"{low} to {high}")


def _check_human_pairs(folder: Path, pool: Pool, pairs: np.ndarray) -> None:
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise _wrong(folder, "human pairs of shape (n_pairs, 2)", f"{pairs.shape}")
    n = len(pool.response_id)
    chosen, rejected = np.clip(pairs, 0, n - 1).T
    inside = np.array_equal(np.column_stack([chosen, rejected]), pairs)
    if not inside or (pool.prompt[chosen] != pool.prompt[rejected]).any() or (chosen == rejected).any():
        raise _wrong(folder, f"human pairs of two rows below {n} of one prompt each", "others")


def _check_ratings(folder: Path, pool: Pool, ratings: np.ndarray) -> None:
    shape = (len(pool.response_id), len(pool.attributes))
    if ratings.shape != shape or not pool.attributes:
        raise _wrong(folder, f"ratings of shape {shape}, a column for each attribute of the card", f"{ratings.shape}")
    if np.isinf(ratings).any():
        raise _wrong(folder, "finite ratings, or NaN where one is missing", "infinity")


def _check_votes(folder: Path, n_responses: int, votes: Votes) -> None:
    shapes = {votes.response.shape, votes.rater.shape, votes.value.shape}
    if len(shapes) != 1 or votes.value.ndim != 1:
        raise _wrong(folder, "votes as three columns of one length", f"shapes {sorted(shapes)}")
    if ((votes.response < 0) | (votes.response >= n_responses)).any() or not np.isfinite(votes.value).all():
        raise _wrong(folder, f"finite votes on rows below {n_responses}", "others")
    _check_numbered(folder, "vote_rater", votes.rater, ANY)


def _wrong(folder: Path, expected: str, got: str) -> TaskError:
    return TaskError(who=f"pool {folder}", expected=expected, got=got, do="rebuild it with its recipe")
