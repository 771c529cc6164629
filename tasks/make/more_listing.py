"""``more.toml``, the listing of a folder of tasks that is too large for its package: ``more_listing.py [FOLDER FILE]``.

Items: ``cards``, all cards of tasks and suites; each pool, its columns; and ``POOL/BASE-MODEL``, each embedding set.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tomli_w

from rmsuite.listing import FORMAT
from rmsuite.pool_files import sha256
from rmsuite.pools import EMBEDDINGS_CARD, POOL_CARD, read_card

HOME = Path(__file__).resolve().parents[1]
MORE, LISTING = HOME / "more", HOME / "rmsuite_tasks" / "more.toml"
CARDS = "cards"


def listing(root: Path) -> str:
    """Return the listing of a folder of tasks, as TOML."""
    return tomli_w.dumps({"format": FORMAT, "items": [_cards(root), *_pools(root)]})


def _item(root: Path, name: str, what: str, needs: list[str], files: list[Path]) -> dict[str, Any]:
    named = {path.relative_to(root).as_posix(): path for path in files}
    said = {name: f"{path.stat().st_size} {sha256(path)}" for name, path in sorted(named.items())}
    return {"name": name, "what": what, "needs": needs, "files": said}


def _cards(root: Path) -> dict[str, Any]:
    files = [path for folder in ("suites", "tasks") for path in (root / folder).glob("*.toml")]
    names = ", ".join(sorted({path.stem for path in files}))
    return _item(root, CARDS, f"cards of tasks and suites: {names} (come with all others)", [], files)


def _pools(root: Path) -> Iterator[dict[str, Any]]:
    for pool in sorted((root / "pools").iterdir()):
        sets = pool / "embeddings"
        card = read_card(pool / POOL_CARD)
        files = [path for path in pool.rglob("*") if path.is_file() and not path.is_relative_to(sets)]
        what = f"columns of {card['n_prompts']:,} prompts, {card['n_responses']:,} responses; {card['licence']}"
        yield _item(root, pool.name, what, [CARDS], files)
        for home in sorted(sets.iterdir()):
            card = read_card(home / EMBEDDINGS_CARD)
            what = f"{card['n_features']:,} features of {card.get('base_model_name', home.name)}"
            files = [path for path in home.rglob("*") if path.is_file()]
            yield _item(root, f"{pool.name}/{home.name}", what, [CARDS, pool.name], files)


def main() -> None:
    """Write the listing."""
    root, target = (Path(argument) for argument in sys.argv[1:3]) if len(sys.argv) > 2 else (MORE, LISTING)
    target.write_text(listing(root), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
