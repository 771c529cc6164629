"""``rmsuite fetch``: list what plugins have beside their packages, or download it."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tabulate import tabulate
from tqdm import tqdm

from rmsuite import downloads, listing, plugins
from rmsuite.commands import shared
from rmsuite.downloads import Server
from rmsuite.errors import FetchError
from rmsuite.listing import Item, Listed

URL_VARIABLE = "RMSUITE_URL"
MB = 1e6


def fetch(options: Namespace) -> int:
    """List what there is, or download what is named and not here yet."""
    # A folder that the environment names may not be there yet: this command is what fills it.
    there = [folder for folder in shared.folders(options) if (folder / "tasks").is_dir()]
    roots = plugins.load(options.plugin, folders=there).paths("rmsuite_tasks")
    items, places = listing.read_all(roots), [options.to, *roots]
    chosen = listing.chosen(items, options.names)
    homes = _homes(chosen or items.values(), items, places)
    if not options.names:
        _show(items, homes)
        return 0
    wanted = [item for item in chosen if not homes[item.name]]
    for item in chosen:
        if item not in wanted:
            print(f"{item.name}: here already, in {homes[item.name]}")
    _download(wanted, items, options)
    used = dict.fromkeys(homes[item.name] or options.to for item in chosen)
    for folder in used:
        print(_use(folder, there, roots))
    return 0


def _homes(wanted: Iterable[Item], items: Mapping[str, Item], places: Sequence[Path]) -> dict[str, Path | None]:
    """Return for each item the first folder that has it whole, with all that it needs; None where there is none."""
    known: dict[tuple[Path, Listed], bool] = {}

    def whole(file: Listed, place: Path) -> bool:
        if (place, file) not in known:
            known[place, file] = file.is_in(place)
        return known[place, file]

    def home(item: Item) -> Path | None:
        files = listing.files_of(item, items)
        return next((place for place in places if all(whole(file, place) for file in files)), None)

    return {item.name: home(item) for item in wanted}


def _show(items: Mapping[str, Item], homes: Mapping[str, Path | None]) -> None:
    if not items:
        print("Nothing to fetch: no plugin lists more than its package holds.")
        return
    rows = [[name, item.what, f"{item.size / MB:.2f}", homes[name] or "-"] for name, item in sorted(items.items())]
    print(tabulate(rows, ["name", "what", "MB", "here in"], tablefmt="simple", disable_numparse=True))


def _download(wanted: Sequence[Item], items: Mapping[str, Item], options: Namespace) -> None:
    if not wanted:
        return
    server = _server(options)
    files = listing.in_order(file for item in wanted for file in listing.files_of(item, items))
    for file in files:
        downloads.refuse_another(file, options.to)
    n_bytes = sum(file.size for file in files)
    shown = not sys.stderr.isatty()
    with tqdm(total=n_bytes, unit="B", unit_scale=True, leave=False, disable=shown) as bar:
        for file in files:
            downloads.fetch(file, server, options.to, bar.update)
    names = ", ".join(item.name for item in wanted)
    print(f"{names}: {len(files)} files, {n_bytes / MB:.2f} MB in {options.to}, each as listed")


def _server(options: Namespace) -> Server:
    url = options.url or os.environ.get(URL_VARIABLE, "")
    if not url:
        raise FetchError(
            who="fetch",
            expected="the address of a server that has the files",
            got="none",
            do=f"give it with --url or in {URL_VARIABLE} (rmsuite has no server of its own: whoever has a checkout "
            "can serve its folder tasks/more), or work in a checkout, which holds the files already",
        )
    return Server(url)


def _use(folder: Path, there: Sequence[Path], roots: Sequence[Path]) -> str:
    asked = {path.resolve() for path in there}
    if folder.resolve() in {path.resolve() for path in roots} - asked:
        return f"{folder} is read by every command, as it belongs to a plugin"
    return f"Next: rmsuite list tasks --tasks {folder} (or set {shared.TASKS_VARIABLE}={folder})"
