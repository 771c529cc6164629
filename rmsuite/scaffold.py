"""Write the skeleton of a plugin: the same files as the example plugin of the repository."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from rmsuite.errors import PluginError
from rmsuite.method import NAME

TEMPLATES = {
    "pyproject.toml": "pyproject.toml.txt",
    "README.md": "README.md.txt",
    "{module}.py": "module.py.txt",
    "test_{module}.py": "test_module.py.txt",
}


def render(name: str) -> dict[str, str]:
    """Return the files of a plugin called ``name``: file name to content.

    Raises
    ------
    PluginError
        If the name is none that a method can have.
    """
    if not NAME.fullmatch(name):
        do = "choose another name, for instance 'mine'"
        raise PluginError(who=f"plugin {name!r}", expected="lower-case letters, digits and hyphens", got=name, do=do)
    module = "rmsuite_" + name.replace("-", "_")
    folder = files("rmsuite") / "template"
    return {
        target.format(module=module): (folder / source)
        .read_text(encoding="utf-8")
        .replace("@NAME@", name)
        .replace("@MODULE@", module)
        for target, source in TEMPLATES.items()
    }


def write(name: str, parent: Path) -> Path:
    """Write the skeleton into a new folder ``rmsuite-NAME`` under ``parent``, and return the folder.

    Raises
    ------
    PluginError
        If the folder exists or cannot be written.
    """
    contents, folder = render(name), parent / f"rmsuite-{name}"
    try:
        folder.mkdir(parents=True)
        for file, text in contents.items():
            (folder / file).write_text(text, encoding="utf-8")
    except OSError as error:
        do = "choose another name or folder; nothing is overwritten"
        raise PluginError(who=f"new plugin {name!r}", expected=f"to create {folder}", got=str(error), do=do) from None
    return folder
