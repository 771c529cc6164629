"""What results used is cited, in BibTeX that parses, and nothing else is. Whoever writes a paper relies on it."""

from __future__ import annotations

import re
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from bundled_results import CONTROLS, make
from command_line import Toys

import rmsuite
import rmsuite_baselines
from rmsuite import citation, results
from rmsuite.book import read_book
from rmsuite.citation import as_text, bibliography, cite, misc
from rmsuite.metrics import METRICS
from rmsuite.reports.tables import report

ROOT = Path(rmsuite.__file__).parent.parent
CORE = ROOT / "rmsuite" / "references.bib"
TASKS = ROOT / "tasks" / "rmsuite_tasks"
KINDS = {"article": {"author", "title", "journal", "year"}, "inproceedings": {"author", "title", "booktitle", "year"}}
FIELDS = {"author", "title", "journal", "booktitle", "volume", "number", "pages", "year", "eprint", "archivePrefix"}
FIELDS |= {"howpublished", "note", "version"}


def braced(text: str, start: int) -> int:
    """The position after the brace that closes the one at ``start``; an escaped one does not count."""
    depth = 0
    for match in re.finditer(r"\\.|[{}]", text[start:], re.DOTALL):
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        if depth == 0:
            return start + match.end()
    raise AssertionError(f"a brace that is not closed: {text[start:]!r}")


def parse(text: str) -> dict[str, tuple[str, dict[str, str]]]:
    """Entries by key, read by BibTeX's own rules: what is outside of entries is comment, but for '@'."""
    entries, position = {}, 0
    while (start := text.find("@", position)) >= 0:
        head = re.match(r"@(\w+)\{([^\s,{}#%\\]+),", text[start:])
        assert head, text[start : start + 60]
        position = braced(text, start + head[0].index("{"))
        body, fields = text[start + head.end() : position - 1], {}
        while match := re.match(r"\s*,?\s*(\w+)\s*=\s*(?=\{)", body):
            end = braced(body, match.end())
            assert match[1] not in fields
            fields[match[1]], body = body[match.end() + 1 : end - 1], body[end:]
        assert not body.strip(" \n,"), body
        assert head[2] not in entries, f"two entries {head[2]}"
        entries[head[2]] = (head[1], fields)
    return entries


def check(entries):
    for key, (kind, fields) in entries.items():
        assert set(fields) <= FIELDS, key
        assert KINDS.get(kind, set()) <= set(fields), key
        assert ("eprint" in fields) == ("archivePrefix" in fields), key
        for name, value in fields.items():
            assert value.strip() == value != "", (key, name)
            assert not re.search(r"(?<!\\)[&%$#_]", value), (key, name, value)
            assert not re.search(r"[~^]", value), (key, name, value)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return make(tmp_path_factory.mktemp("cite"))


@pytest.fixture
def toys(bundle, capfd, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    found = Toys(bundle.folder, bundle.plugin, capfd)
    found.install(monkeypatch)
    return found


def cited(toys, bundle, *arguments):
    answer = toys("cite", "-o", bundle.home, *arguments)
    assert (answer.code, answer.err) == (0, "")
    entries = parse("\n".join(line for line in answer.out.splitlines() if not line.startswith("%")))
    check(entries)
    return entries, answer.out


STATISTICS = {"bootstrap", "holm", "letters", "ranks", "intersection-union"}
OF_GOLD = {"gold-pool", "spearman"}


def test_all_that_was_used_is_cited_and_nothing_else(toys, bundle):
    entries, _ = cited(toys, bundle)
    methods = {"arXiv:1706.03762", "method-careful"}
    assert set(entries) == {"rmsuite", "toy-base", "human-pool", "arXiv:2108.13264", *OF_GOLD, *STATISTICS, *methods}


def test_one_task_and_one_method_are_cited_by_themselves(toys, bundle):
    entries, text = cited(toys, bundle, "-t", "toy-human", "-m", "careful")
    assert set(entries) == {"rmsuite", "toy-base", "human-pool", *STATISTICS, "method-careful"}
    assert "toy-gold" not in text
    assert "human labels" in text


def test_a_method_is_named_with_or_without_its_parameters(toys, bundle):
    one, _ = cited(toys, bundle, "-m", "careful")
    two, _ = cited(toys, bundle, "-m", "careful[scale=2.0]")
    assert one == two
    answer = toys("cite", "-o", bundle.home, "-m", "carful")
    assert answer.code == 2
    assert "nearest is 'careful" in answer.err


def test_what_a_plugin_says_of_its_source_is_kept_and_escaped(toys, bundle):
    entries, text = cited(toys, bundle)
    fields = {"eprint": "1706.03762", "archivePrefix": "arXiv", "note": "arXiv:1706.03762v5"}
    assert entries["arXiv:1706.03762"] == ("misc", fields)
    assert entries["method-careful"][1]["howpublished"] == r"Doe \& Roe, 50\% \{of\} rewards\_, 2020"
    for name in ("constant", "failing", "refusing"):
        assert f"% {name}: its plugin names no source" in text


@pytest.mark.parametrize(
    ("said", "key"),
    [
        ("arXiv:2502.04357", "arXiv:2502.04357"),
        ("see https://arxiv.org/abs/2502.04357v2", "arXiv:2502.04357"),
        ("ARXIV: 2502.04357", "arXiv:2502.04357"),
        ("https://arxiv.org/pdf/2502.04357", "arXiv:2502.04357"),
        ("Bradley and Terry 1952", "bradley-terry"),
        ("holm", "holm"),
        ("our blog", "method-mine"),
    ],
)
def test_a_source_is_recognised_however_it_is_written(said, key):
    assert list(citation._of_source("mine", said, bibliography([CORE]), "method")) == [key]
    assert citation._of_source("mine", "", {}, "method") == {}


def test_the_paragraph_holds_the_numbers_of_the_results(toys, bundle):
    _, text = cited(toys, bundle)
    plain = " ".join(line.removeprefix("% ") for line in text.splitlines() if line.startswith("% "))
    for task in ("toy-gold", "toy-human"):
        facts = bundle.cell(f"{task}@1").facts
        assert f"{task}@1" in plain
        assert f"{facts['n_train_pairs']:,} pairs of {facts['n_train_prompts']:,} prompts" in plain
        assert f"{facts['n_test_prompts']:,} prompts with {facts['n_test_responses']:,} responses" in plain
        assert bundle.cell(f"{task}@1").signature in plain
    for words in ("annotator perfect, 100.0% agreement", "human labels", "2 repetition", "95%", "Holm", *CONTROLS):
        assert words in plain
    assert f"rmsuite {rmsuite.__version__}" in plain


def test_statistics_are_cited_only_where_the_table_holds_them(bundle):
    cells = [record for record in results.read_all(bundle.home) if record.task == "toy-gold@1"]
    failed = [record for record in cells if record.method == "failing"]
    keys = set(cite(report(failed), {}, bibliography([CORE])).entries)
    assert keys & STATISTICS == set()
    assert "toy-base" in keys


def test_the_annotator_and_the_metrics_in_the_table_are_cited(bundle):
    cells = [record for record in results.read_all(bundle.home) if record.task == "toy-gold@1"]
    names = ["kendall", "best-of-4", "length-adjusted", "brier", "selective-accuracy"]
    entries = cite(report(cells, metrics=names), {}, bibliography([CORE])).entries
    assert {"kendall", "arXiv:2310.02743", "arXiv:2404.04475", "brier", "arXiv:1705.08500"} <= set(entries)
    assert "spearman" not in entries
    noisy = [
        replace(r, signature=r.signature.replace("annotator:perfect", "annotator:bradley-terry[q=1]")) for r in cells
    ]
    assert "arXiv:2502.04357" in cite(report(noisy), {}, bibliography([CORE])).entries


def test_a_pool_without_bibliography_is_cited_by_its_card(toys, bundle):
    card = bundle.root / "pools" / "gold-pool" / "pool.toml"
    before = card.read_text()
    card.write_text('source = "a toy_factory"\ncitation = "Toys & Co"\n' + before)
    try:
        entries, _ = cited(toys, bundle)
    finally:
        card.write_text(before)
    fields = {"title": "gold-pool", "howpublished": r"a toy\_factory", "note": r"Toys \& Co"}
    assert entries["gold-pool"] == ("misc", fields)


def test_all_sources_of_a_pool_are_cited(bundle):
    cells = [record for record in results.read_all(bundle.home) if record.task == "toy-gold@1"]
    known = {key: misc(key, title=key) for key in ("gold-pool", "gold-pool:one", "gold-pool:two", "gold-pools")}
    entries = cite(report(cells), {}, {**bibliography([CORE]), **known}).entries
    assert [key for key in entries if key.startswith("gold-pool")] == ["gold-pool", "gold-pool:one", "gold-pool:two"]


def test_a_reference_list_in_plain_text_has_every_entry(toys, bundle):
    entries, _ = cited(toys, bundle)
    answer = toys("cite", "-o", bundle.home, "--format", "text")
    assert answer.code == 0
    lines = [line for line in answer.out.splitlines() if line.startswith("- ")]
    assert len(lines) == len(entries) + 3
    assert (
        "- Holm, Sture. A Simple Sequentially Rejective Multiple Test Procedure. Scandinavian Journal of " in answer.out
    )
    assert "Doe & Roe, 50% {of} rewards_, 2020." in answer.out
    assert not any("\\" in line for line in lines)


@pytest.mark.parametrize(
    "text", ["a & b", r"back\slash", "50 % of {x}_y^z~", "$5 #1", "two\nlines", "{braces}", "ü → é"]
)
def test_any_text_survives_as_a_field(text):
    entry = misc("key", title=text, year="2020")
    check(parse(entry.replace(r"\textasciitilde", r"\t").replace(r"\textasciicircum", r"\c")))
    inner = text[1:-1] if text[0] == "{" else text
    assert " ".join(inner.split()).rstrip(".") in as_text(entry)


def test_the_bibliographies_parse_and_every_key_that_the_core_names_is_there():
    files = (CORE, TASKS / "references.bib", Path(rmsuite_baselines.__file__).with_name("references.bib"))
    core, data, methods = (parse(path.read_text(encoding="utf-8")) for path in files)
    check({**core, **data, **methods})
    assert len({**core, **data, **methods}) == len(core) + len(data) + len(methods)
    assert set(bibliography([files[2]])) == set(methods)
    assert set(bibliography([CORE])) == set(core), "the quick reader finds what the strict one finds"
    assert set(bibliography([TASKS / "references.bib"])) == set(data)
    named = {
        *citation.ANNOTATORS.values(),
        *citation.METRICS.values(),
        citation.AGGREGATES,
        "bradley-terry",
        *STATISTICS,
    }
    named |= {key for metric in METRICS for key in citation._of_metric(metric)}
    assert named <= set(core)


def test_every_paper_that_the_baselines_name_has_an_entry():
    folder = Path(rmsuite_baselines.__file__).parent
    named = {key for file in folder.glob("*.py") for key in re.findall(r"arXiv:\d{4}\.\d{4,5}", file.read_text())}
    assert named <= set(bibliography([CORE, folder / "references.bib"]))


def test_every_bundled_pool_and_base_model_of_a_task_has_an_entry():
    data = bibliography([TASKS / "references.bib"])
    for task in read_book([TASKS, TASKS.parent / "more"]).tasks.values():
        models = {path.name for path in (task.pool_folder / "embeddings").iterdir()}
        golds = {path.name for path in (task.pool_folder / "golds").glob("*")}
        assert {task.pool, task.probe, task.gold, *models, *golds} - {""} <= set(data), task.name


def test_the_software_is_cited_as_its_citation_file_says():
    said = dict(re.findall(r'^([\w-]+): "?([^"\n]+?)"?$', (ROOT / "CITATION.cff").read_text(), re.MULTILINE))
    fields = parse(citation._software())["rmsuite"][1]
    assert (fields["title"], fields["version"]) == (said["title"], said["version"])
    assert fields["author"].strip("{}") in (ROOT / "CITATION.cff").read_text()
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["name"] == "rmsuite"
