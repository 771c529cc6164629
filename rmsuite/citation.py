"""What results have to cite: exactly the tasks, base models, annotators, methods, metrics and statistics they used."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from rmsuite import signature
from rmsuite.metrics import Metric
from rmsuite.reports.policies import PolicyTable, said_of_reference
from rmsuite.reports.records import Report, Table
from rmsuite.version import __version__

ANNOTATORS = {"bradley-terry": "arXiv:2502.04357", "flip": "arXiv:2310.02743"}
# Where the formula of a metric comes from, by the beginning of its name; summaries may name further papers.
METRICS = {
    "best-of-": "arXiv:2310.02743",
    "over-optimisation": "arXiv:2310.02743",
    "peak-position": "arXiv:2310.02743",
    "spearman": "spearman",
    "kendall": "kendall",
    "brier": "brier",
    "calibration-error": "arXiv:1706.04599",
    "selective-accuracy": "arXiv:1705.08500",
    "risk-coverage-area": "arXiv:1705.08500",
}
POLICY_STATISTICS = ("bootstrap", "holm", "letters")  # of rows with a gain
ADAM = "arXiv:1412.6980"  # of every policy that is trained
AGGREGATES = "arXiv:2108.13264"  # the interquartile mean over tasks
ARXIV = re.compile(r"arxiv(?:\.org/(?:abs|pdf)/|:)\s*(\d{4}\.\d{4,5})", re.IGNORECASE)
DOI = re.compile(r"\bdoi(?:\.org/|:)\s*(10\.\d{4,9}/\S*\w)", re.IGNORECASE)
ENTRY = re.compile(r"@\w+\{([^,\s]+),.*?^\}", re.DOTALL | re.MULTILINE)
FIELD = re.compile(r"^ *(\w+) = \{(.*)\},?$", re.MULTILINE)
SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}


def bibliography(files: Iterable[Path]) -> dict[str, str]:
    """Return the entries of BibTeX files by key; the first file that has a key wins."""
    found: dict[str, str] = {}
    for file in files:
        if file.is_file():
            for match in ENTRY.finditer(file.read_text(encoding="utf-8")):
                found.setdefault(match[1], match[0])
    return found


@dataclass(frozen=True)
class Citation:
    """BibTeX entries by key, the methods that state no source, and a paragraph for a paper."""

    entries: Mapping[str, str]
    without_source: tuple[str, ...]
    paragraph: str


def cite(
    report: Report,
    references: Mapping[str, str],
    known: Mapping[str, str],
    annotators: Mapping[str, str] = MappingProxyType({}),
    policies: Sequence[PolicyTable] = (),
    optimizers: Mapping[str, str] = MappingProxyType({}),
) -> Citation:
    """Return what the tables of a report, and those of policies, have to cite.

    Parameters
    ----------
    references : mapping
        What each method says of its source, by name as in the table; "" if nothing.
    known : mapping
        BibTeX entries by key (``bibliography``): of pools and base models by name (a pool's further sources as
        ``name:source``), of papers by arXiv id.
    annotators : mapping
        What each annotator of a plugin says of its source, by name; "" if nothing.
    optimizers : mapping
        The same of optimizers of policies.
    """
    entries = {"rmsuite": _software()}
    for key in [key for table in report.tables for key in _keys(table)] + ([AGGREGATES] if report.overall else []):
        entries |= _of_key(key, known)
    for key in [key for table in policies for key in _keys_of_policies(table)]:
        entries |= _of_key(key, known)
    rows = [row.method for table in report.tables for row in table.rows if row.kind == "method"]
    trained = [row for table in policies for row in table.rows]
    lines = [*(table.signature for table in report.tables), *(table.signature for table in policies)]
    used = {name for line in lines for name in _annotators(line)}
    silent = []
    for kind, names, sources in (
        ("method", [*rows, *(row.method for row in trained)], references),
        ("optimizer", [row.optimizer for row in trained], optimizers),
        ("annotator", [name for name in annotators if name in used], annotators),
    ):
        for name in dict.fromkeys(name.partition("[")[0] for name in names):
            entries |= _of_source(name, sources.get(name, ""), known, kind)
            silent += [] if sources.get(name) else [name]
    return Citation(entries, tuple(silent), _paragraph(report, policies))


def _keys(table: Table) -> list[str]:
    """Return the keys of the data, the base model, the gold reward model, annotator, metrics and statistics."""
    metrics = [key for column in table.columns for key in _of_metric(column)]
    return [*_data(table.signature), *metrics, *_statistics(table)]


def _keys_of_policies(table: PolicyTable) -> list[str]:
    adam = [ADAM] if any(row.samples > 0 for row in table.rows) else []
    return [*_data(table.signature), *adam, *(POLICY_STATISTICS if any(row.gold for row in table.rows) else ())]


def _data(line: str) -> list[str]:
    """Return the keys of the data, the base model, the gold reward model and the annotator of a signature."""
    parts = signature.read(line)
    named = ("pool", "train-pool", "probe", "embeddings", "train-embeddings", "probe-embeddings", "gold", "train-gold")
    names = list(dict.fromkeys(parts[part].partition("#")[0] for part in named if part in parts))
    return [*names, *(key for name, key in ANNOTATORS.items() if name in _annotators(line))]


def _annotators(line: str) -> list[str]:
    """Return the names of a signature's annotator and of what it is built over, among other words."""
    return re.split(r"[\[\],=]", signature.read(line)["annotator"])


def _of_key(key: str, known: Mapping[str, str]) -> dict[str, str]:
    """Return the entry of a key and its further sources (``key:...``, of a pool made of several)."""
    return {name: known[name] for name in known if name == key or name.startswith(f"{key}:")} or {key: _bare(key)}


def _of_metric(metric: Metric) -> list[str]:
    named = [key for begin, key in METRICS.items() if metric.name.startswith(begin)]
    return [*named, *(f"arXiv:{number}" for number in ARXIV.findall(metric.summary))]


def _statistics(table: Table) -> list[str]:
    """Return the keys of what the rows hold: intervals; letters and ranks; gains over the best control."""
    kinds = {
        ("bootstrap",): any(row.estimates for row in table.rows),
        ("holm", "letters", "ranks"): any(row.standings for row in table.rows),
        ("intersection-union",): any(row.gains for row in table.rows),
    }
    return [key for keys, used in kinds.items() if used for key in keys]


def _of_source(name: str, source: str, known: Mapping[str, str], kind: str) -> dict[str, str]:
    """Return the entries of what a plugin says of its record's source: papers by number, a known key, or a text."""
    keys = [f"arXiv:{number}" for number in ARXIV.findall(source)] + [f"doi:{one}" for one in DOI.findall(source)]
    keys = keys or [key for key in known if key == source]
    if keys:
        return {key: known.get(key) or _bare(key, source) for key in keys}
    if source == "Bradley and Terry 1952":
        return {"bradley-terry": known["bradley-terry"]}
    key = f"{kind}-{name}"
    return {key: misc(key, title=name, howpublished=source)} if source else {}


def _bare(key: str, said: str = "") -> str:
    """Return what is known of a thing that is in no bibliography: its number or name, and what its plugin says."""
    note = {"note": said} if said not in ("", key) else {}
    if key.startswith("doi:"):
        return misc(key, doi=key.removeprefix("doi:"), **note)
    if key.startswith("arXiv:"):
        return misc(key, eprint=key.removeprefix("arXiv:"), archivePrefix="arXiv", **note)
    return misc(key, title=key, note="its plugin gives no bibliography")


def _software() -> str:
    title = "rmsuite: a benchmark for reward models on embeddings"
    return misc("rmsuite", author="{the rmsuite developers}", title=title, version=__version__)


def misc(key: str, **fields: str) -> str:
    r"""Return a BibTeX entry of a thing that is no article; a value in braces is a name that is not to be split.

    Examples
    --------
    >>> print(misc("mine", title="Gains of 5 %", author="{the team}"))
    @misc{mine,
      title = {Gains of 5 \%},
      author = {{the team}}
    }
    """
    lines = [f"  {name} = {{{_escaped(value)}}}" for name, value in fields.items()]
    return f"@misc{{{key},\n" + ",\n".join(lines) + "\n}"


def _escaped(text: str) -> str:
    if text.startswith("{") and text.endswith("}"):
        return f"{{{_escaped(text[1:-1])}}}"
    flat = " ".join(text.split())
    return "".join(SPECIAL.get(c, f"\\{c}" if c in "&%$#_{}" else c) for c in flat)


def as_text(entry: str) -> str:
    """Return a BibTeX entry as a line of a reference list.

    Examples
    --------
    >>> as_text(misc("mine", author="Roe, A. and Doe, B.", title="Gains of 5 %", year="2020"))
    'Roe, A.; Doe, B. Gains of 5 %. 2020.'
    """
    fields = {name: _unescaped(value) for name, value in FIELD.findall(entry)}
    fields["author"] = fields.get("author", "").replace(" and others", " et al.").replace(" and ", "; ")
    if "volume" in fields:
        number = f"({fields['number']})" if "number" in fields else ""
        fields["journal"] += f" {fields['volume']}{number}" + (f":{fields['pages']}" if "pages" in fields else "")
    if "eprint" in fields:
        fields["eprint"] = f"arXiv:{fields['eprint']}"
    if "doi" in fields:
        fields["doi"] = f"doi:{fields['doi']}"
    if "version" in fields:
        fields["version"] = f"Version {fields['version']}"
    order = ("author", "title", "journal", "booktitle", "howpublished", "eprint", "doi", "version", "year", "note")
    return " ".join(f"{fields[name].rstrip('.')}." for name in order if fields.get(name))


def _unescaped(value: str) -> str:
    for character, spelt in SPECIAL.items():
        value = value.replace(spelt, character)
    accented = re.sub(r"\{?\\'\{?(\w)\}?\}?", lambda m: unicodedata.normalize("NFC", m[1] + "\u0301"), value)
    plain = re.sub(r"(?<!\\)[{}]", "", accented)
    return re.sub(r"\\([&%$#_{}])", r"\1", plain).replace("--", "–")


def _paragraph(report: Report, policies: Sequence[PolicyTable]) -> str:
    sentences = [*map(_of_table, report.tables), *map(_of_policies, policies)]
    one = next((e for table in report.tables for row in table.rows for e in row.estimates.values()), None)
    gains = "; gains are over the best control, paired by prompt" if one else ""
    one = one or next((row.gold for table in policies for row in table.rows if row.gold), None)
    statistics = ""
    if one is not None:
        statistics = (
            f"Intervals are {one.level:.0%} {one.method} intervals over prompts ({one.n_draws:,} draws), paired over "
            f"{'methods; methods' if gains else 'rows; rows'} that share a letter are not separable (paired tests over "
            f"prompts, Holm-corrected over all pairs, family-wise level 0.05){gains}. "
        )
    lines = "; ".join([*(table.signature for table in report.tables), *(table.signature for table in policies)])
    begin = f"Results were computed with rmsuite {__version__}."
    return f"{begin} {' '.join(sentences)} {statistics}Signatures: {lines}."


def _of_table(table: Table) -> str:
    facts, parts = table.facts, signature.read(table.signature)
    agreement = facts["annotator_agreement"]
    labels = (
        "human labels" if agreement is None else f"annotator {parts['annotator']}, {agreement:.1%} agreement with gold"
    )
    if "gold" in facts:
        labels += f"; gold is the reward of the gold reward model {facts['gold']}"
    controls = [row.method for row in table.rows if row.kind == "control"]
    return (
        f"On {table.task} (pool {parts['pool']}, embeddings {parts['embeddings']}) reward models were trained on "
        f"{facts['n_train_pairs']:,} pairs of {facts['n_train_prompts']:,} prompts ({labels}) and evaluated on "
        f"{facts['n_test_prompts']:,} prompts with {facts['n_test_responses']:,} responses, in "
        f"{len(table.repetitions)} repetition(s), against the controls {_listed(controls)}."
    )


def _of_policies(table: PolicyTable) -> str:
    parts = signature.read(table.signature)
    models, optimizers = (list(dict.fromkeys(getattr(row, of) for row in table.rows)) for of in ("method", "optimizer"))
    betas = list(dict.fromkeys(f"{row.beta:g}" for row in table.rows if row.beta is not None))
    priced = f" at beta {_listed(betas)}" if betas else ""
    gold = next((row.gold for row in table.rows if row.gold), None)
    over = f"{gold.n_clusters:,} test prompts in {gold.n_repetitions} repetition(s)" if gold else "the test prompts"
    return (
        f"On {table.task} (pool {parts['pool']}, embeddings {parts['embeddings']}) policies were trained against the "
        f"reward models {_listed(models)} (fitted on pairs of the annotator {parts['annotator']}) with the optimizers "
        f"{_listed(optimizers)}{priced}, {table.n_policies} policies each "
        f"({parts['training'].replace(',', ', ')}), and judged on {over} by gold reward over the reference, which "
        f"{said_of_reference(table.signature)}."
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
