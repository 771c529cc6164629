"""Why two tables must not be merged: the parts in which their signatures differ, and what each part means."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from rmsuite import results, signature
from rmsuite.bundles import folders
from rmsuite.errors import ResultsError

MEANING: Mapping[str, str] = {
    "rmsuite": "version of the protocol: rules that hold for all tasks changed",
    "task": "another task, another version of it (its numbers changed meaning), or with other fields changed",
    "tasks": "aggregates of other tasks",
    "pool": "other prompts, responses or gold rewards: the data differ in at least a byte",
    "embeddings": "another base model, or the same with other numbers",
    "split": "prompts fall in other parts: training and test data differ",
    "annotator": "others label the training pairs, or the same with another quality",
    "annotator-code": "other code of a plugin labels the training pairs, whatever its name",
    "gold": "the rewards of a gold reward model are the truth, those of another one, or labels",
    "train-gold": "the training pairs are labelled from another gold reward model",
    "probe": "other attacks are planted among the test responses, or none",
    "probe-embeddings": "the attacks are embedded by another base model, or were embedded anew",
    "pairs": "another budget of training pairs, or another way to choose them",
    "gives": "methods are given more than pairs, or less",
    "train-pool": "other prompts train: of another pool than those that are tested",
    "train-embeddings": "the embeddings of the training pool have other numbers",
    "generators": "other generators' responses train or are tested",
    "seed": "other pairs, annotation noise and initialisation; the test part is the same",
    "policies": "another number of policies a cell, which differ by their seeds",
    "training": "policies are trained otherwise: steps, prompts a step, learning rate, hidden layer, shift",
    "agreement": "the realised agreement of the annotator with gold differs: other labels were drawn",
    "repetitions": "means over other repetitions",
    "controls": "gains are over a control that is chosen in another way",
    "interval": "intervals are made in another way: their widths do not compare",
    "correction": "another correction for many comparisons: letters and stars do not compare",
    "metric": "another metric, or another version of its formula",
    "tie": "equal rewards are worth something else",
    "tables": "aggregates of tables that differ in at least one part",
    "aggregate": "another rule combines the tasks",
}
ALL = "all tasks"  # the name under which aggregates are compared
OF_TABLES = {"agreement", "repetitions", "controls", "interval", "correction"}
OF_METRICS = ("metric", "tie")


@dataclass(frozen=True)
class Part:
    """One part in which two signatures differ."""

    name: str
    first: str
    second: str

    @property
    def meaning(self) -> str:
        """What a difference in this part means."""
        return MEANING.get(self.name, "a part that this version of rmsuite does not know")


def lines(source: str) -> dict[str, str]:
    """Return the signatures of a source by task: a signature line, a results folder, or a file with printed tables.

    Those of policies are apart.

    Raises
    ------
    ResultsError
        If there is none, the file cannot be read, a cell is damaged, or a task has several.
    """
    line = source.strip().removeprefix("Signature:").strip()
    if line.startswith("rmsuite:"):
        return _by_task(source, [line])
    path = Path(source)
    found = _in_folder(path) if path.is_dir() else _in_file(path)
    if not found:
        do = "give a signature, a results folder, or a file with a table that rmsuite printed"
        raise ResultsError(who=f"{source}", expected="a signature", got="none", do=do)
    return _by_task(source, found)


def _in_folder(path: Path) -> list[str]:
    return sorted({results.read(record).signature for record in folders.found(path)})


def _in_file(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        do = "give a signature, a results folder, or a file with a table that rmsuite printed"
        raise ResultsError(who=f"{path}", expected="a readable file", got=str(error), do=do) from None
    found = re.findall(r'rmsuite:[^\s`<"\\]*\|[^\s`<"\\]*', text)
    return list(dict.fromkeys(map(_out_of_prose, found)))


def _out_of_prose(line: str) -> str:
    """Return a signature without the punctuation of the sentence that it stands in."""
    line = line.rstrip(".,;")
    return line[:-1].rstrip(".,;") if line.count(")") > line.count("(") else line


def _by_task(source: str, found: list[str]) -> dict[str, str]:
    groups: dict[str, list[str]] = {}
    for line in found:
        parts = signature.read(line)
        name = ALL if "tasks" in parts else signature.unversioned(parts.get("task", ""))
        name += ": policies" if "policies" in parts else ""
        groups.setdefault(name, []).append(line)
    return {name: _one(source, name, group) for name, group in groups.items()}


def _one(source: str, name: str, group: list[str]) -> str:
    """Return the signature of a task; CSV and JSON tables sign each number: metrics and tie rules are joined."""
    parts = [signature.read(line) for line in group]
    first, *others = dict.fromkeys(signature.write(_without(part, OF_METRICS)) for part in parts)
    for line in others:
        raise ResultsError(
            who=source,
            expected=f"one signature of {name or 'its tables'}",
            got=f"several ({signature.worded(first, line)})",
            do="compare two of its signatures: give them as they are printed",
        )
    joined = {key: ",".join(dict.fromkeys(part[key] for part in parts if key in part)) for key in OF_METRICS}
    return signature.write({**signature.read(first), **{key: value for key, value in joined.items() if value}})


def _without(parts: Mapping[str, str], names: Collection[str]) -> dict[str, str]:
    return {key: value for key, value in parts.items() if key not in names}


def compare(first: str, second: str) -> list[Part]:
    """Return the parts in which two signatures differ.

    Cells have no parts that a table decides, and a table as a whole has no metric: where one of the two has none of
    these, they are not compared.
    """
    one, two = signature.read(first), signature.read(second)
    skipped = {
        name for kind in (OF_TABLES, OF_METRICS) if not (one.keys() & kind and two.keys() & kind) for name in kind
    }
    found = signature.differences(*(signature.write(_without(parts, skipped)) for parts in (one, two)))
    return [Part(name, a, b) for name, (a, b) in found.items()]
