"""``rmsuite new``: write the skeleton of a plugin."""

from __future__ import annotations

from argparse import Namespace

from rmsuite import plugins, scaffold
from rmsuite.controls import CONTROLS
from rmsuite.errors import PluginError


def new(options: Namespace) -> int:
    """Write the skeleton of a plugin."""
    taken = {control.name for control in CONTROLS} | set(plugins.load().owners)
    if options.name in taken:
        got = f"{options.name!r}, which exists"
        raise PluginError(who="new plugin", expected="a new name", got=got, do="choose another name")
    folder = scaffold.write(options.name, options.into)
    module = next(iter(folder.glob("rmsuite_*.py")))
    print(f"Wrote {folder}. Edit {module}, then:")
    print(f"  rmsuite check --plugin {module} {options.name}")
    print(f"  rmsuite run --plugin {module} --method {options.name}")
    return 0
