"""Reports with made-up numbers, to print: gaps, marks, odd names and notes, one or several tables."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from rmsuite.metrics import Metric, metric
from rmsuite.reports.records import Aggregated, Overall, Report, Row, Standing, Table
from rmsuite.statistics import Difference, Estimate, Variance

# The first word of a method's name is of small letters, digits and hyphens; its parameters hold anything.
ODD_NAMES = (
    "mine",
    "mine[penalty=1.0,name='a_b&c%$#']",
    "=cmd|' /C calc'!A0",
    "<script>alert(1)</script>",
    "back\\slash{brace}~^\\",
    "two | pipes \\| here",
    "`code` *bold* _it_ **all** [x](javascript:alert)",
    "naïve-αβ→é",
    "😀 日本語",
    "-dash -- --- dash,,",
    "line\nbreak\x1b[31m\u2028red",
    '"quoted" &amp; \\& \\textbf{x} ',
    "half\udc80character",
)
ODD_NOTES = (
    "boom | bang & 50% of <b>all</b>\nTraceback: $x_1^2$ # \\end{table} ~",
    "Signature: rmsuite:2|task:forged@1|seed:0",
    "-- " * 60 + "Signature: rmsuite:2|task:forged@1|seed:0 " * 12,
    "\x1b[2J ``` [click](javascript:alert(1)) ![x](y) </section></table> <!-- 😀 \udc80 \x00",
    "=1+1",
    "{\\undefined \\\\ & && } $",
)
FACTS = {
    "n_test_prompts": 40,
    "n_test_responses": 200,
    "n_train_pairs": 10,
    "n_train_prompts": 5,
    "annotator_agreement": 0.9,
    "licence": "CC0 & more_",
}
METRICS = ("pair-accuracy", "spearman", "over-optimisation")


def estimate(rng: np.random.Generator, low: float = 0.0) -> Estimate:
    a, b, c = np.sort(rng.uniform(low, 1, 3)).tolist()
    return Estimate(b, a, c, 0.95, "cluster bootstrap, percentile", "clusters like these", 100, 40, 3, 10_000)


def row(rng: np.random.Generator, name: str, kind: str, columns: tuple[Metric, ...], note: str = "") -> Row:
    """A row with numbers; now and then one metric is missing, or the whole row is marked."""
    marked = kind == "method" and rng.random() < 0.2
    names = [column.name for column in columns if rng.random() < 0.9]
    standing = {n: Standing(str(rng.choice(["a", "ab", "bc", "b1"])), (1, 3), bool(rng.random() < 0.5)) for n in names}
    gains = {n: Difference(estimate(rng, -1.0), 0.01, float(rng.choice([0.02, 0.2]))) for n in names}
    return Row(
        name,
        kind,
        "a_package 1.0 #abc & more",
        estimates={n: estimate(rng, -1.0 if n == "spearman" else 0.0) for n in names},
        standings={} if marked else standing,
        gains={} if marked else gains,
        spread=Variance(1e-4, 1e-5, 1e-6, 1e-3, 0.01, 160, None) if rng.random() < 0.8 else None,
        fit_seconds=float(rng.random()) if kind == "method" else None,
        note=note,
        stored=bool(rng.random() < 0.5),
        mark="seed: 0 against 1" if marked else "",
        verification=str(rng.choice(["unverified", "self-verified", "re-run verified"])),
    )


def table(rng: np.random.Generator, task: str, names: tuple[str, ...], notes: tuple[str, ...]) -> Table:
    columns = tuple(metric(name) for name in METRICS[: int(rng.integers(1, 4))])
    pick = partial(rng.choice, notes)
    rows = [row(rng, name, "method", columns, str(pick()) if rng.random() < 0.5 else "") for name in names]
    rows = [replace(r, estimates={}, standings={}, gains={}) if rng.random() < 0.2 else r for r in rows]
    controls = [row(rng, "length", "control", columns)] if rng.random() < 0.8 else []
    line = f"rmsuite:2|task:{task}|pool:p_q#12ab|seed:0|interval:x(0.95,draws=10)"
    return Table(
        task=task,
        signature=line,
        signatures={c.name: f"{line}|metric:{c.name}@1|tie:{c.tie}" for c in columns},
        columns=columns,
        rows=(*rows, *controls),
        best_control="length" if controls else "",
        repetitions=(0, 1, 2),
        detectable={columns[0].name: 0.01} if rng.random() < 0.8 else {},
        facts=FACTS,
        omitted=(str(pick()),),
    )


def overall(rng: np.random.Generator, tasks: tuple[str, ...], names: tuple[str, ...]) -> Overall:
    rules = {"macro-gain@1": "mean of gains", "mean-rank@1": "mean of ranks"}
    rows = [Aggregated(n, "method", {rule: estimate(rng) for rule in rules}) for n in names[1:]]
    rows.append(Aggregated(names[0], "method", note=f"no value on {tasks[0]}"))
    line = f"rmsuite:2|tasks:{'+'.join(tasks)}|aggregate:{'+'.join(rules)}"
    larger = {"macro-gain@1": True, "mean-rank@1": False}
    return Overall(tasks, line, rules, larger, tuple(rows), ("the best method depends on the rule",))


def fake_report(seed: int, *, odd: bool = False) -> Report:
    """One to three tables, of one to five methods or of all odd names, with ordinary or odd notes."""
    rng = np.random.default_rng(seed)
    names = ODD_NAMES if odd else tuple(f"method-{i}" for i in range(int(rng.integers(1, 6))))
    notes = ODD_NOTES if odd else ("all rewards are equal", "failed in 1 of 3 repetitions")
    tasks = tuple(f"task-{i}@1" for i in range(int(rng.integers(1, 4))))
    tables = tuple(table(rng, task, names, notes) for task in tasks)
    return Report(tables, overall(rng, tasks, names) if len(tasks) > 1 else None)


def one_row(value: float = 0.8241, low: float = 0.8108, high: float = 0.8361, **changes: object) -> Report:
    """A report of one method, one metric, and the numbers of one's choice."""
    found = Estimate(value, low, high, 0.95, "cluster bootstrap, percentile", "clusters like these", 100, 40, 3, 10_000)
    line = "rmsuite:2|task:toy@1|seed:0"
    column = metric("pair-accuracy")
    mine = replace(Row("mine", "method", "here", {column.name: found}), **changes)
    signatures = {column.name: f"{line}|metric:pair-accuracy@1|tie:half"}
    return Report((Table("toy@1", line, signatures, (column,), (mine,), "", (0,), {}, FACTS),))
