"""Write plugins for tests: as a file, and as an installed distribution that needs no installer."""

from __future__ import annotations

from pathlib import Path

METHOD = '''
import rmsuite


class Mean:
    """Projects on the mean of chosen minus rejected embeddings."""

    def __init__(self, sign=1, offset=0.5):
        self.sign = sign

    def fit(self, pairs, *, rng):
        self.weights = self.sign * pairs.differences().mean(axis=0)
        return self

    def reward(self, embeddings):
        return rmsuite.as_embeddings(embeddings, len(self.weights)) @ self.weights
'''
OFFER = """

@rmsuite.hookimpl
def rmsuite_methods():
    return [rmsuite.Method(name=name, make=Mean, summary="a test's method") for name in {names}]
"""
TASKS = """

@rmsuite.hookimpl
def rmsuite_tasks():
    return [{root!r}]
"""


def source(*names: str, root: Path | None = None) -> str:
    """Return a plugin that offers methods of these names, and the tasks under ``root``."""
    offers = [OFFER.format(names=list(names))] if names else []
    return METHOD + "".join(offers + ([TASKS.format(root=str(root))] if root else []))


def write(path: Path, text: str) -> Path:
    """Write a plugin file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def install(site: Path, plugin: str, text: str | None, value: str | None = None, distribution: str = "") -> Path:
    """Write a module and the metadata of a distribution ``x`` 1.0 that offers it as ``plugin``; no text: no module."""
    distribution = distribution or plugin
    module = distribution.replace("-", "_")
    if text is not None:
        write(site / f"{module}.py", text)
    metadata = site / f"{module}-1.0.dist-info"
    write(metadata / "METADATA", f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    write(metadata / "entry_points.txt", f"[rmsuite]\n{plugin} = {value or module}\n")
    return metadata
