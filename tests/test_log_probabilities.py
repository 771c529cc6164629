"""What language models think of documents, by category. Studies of base models rely on the file."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import os
import re
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import pytest
from command_line import set_up
from ngram_model import Characters
from plugin_files import write

import rmsuite
from rmsuite.commands.log_probabilities import _append, _written
from rmsuite.embedders import BUILT_IN, LanguageModel, LogProbability, reads
from rmsuite.errors import EmbedderError, InputError
from rmsuite.texts.documents import Document, read_documents
from rmsuite.texts.predicted import CHUNK, predict

PLUGIN = Path(__file__).with_name("ngram_model.py")
COLUMNS = ["model", "category", "document", "n_tokens", "n_bytes", "log_probability"]
TEXTS = {
    "code": {"a.py.txt": "def f(x):\n    return x\n", "deep/b.txt": "import math\n", "c.txt": "x = [1, 2]\n"},
    "prose": {"a.txt": "Call me Ishmael.\n", "b.txt": "Some years ago, never mind how long, naïve 🙂.\n"},
}
MODULES = (
    "cluster/_kmeans",
    "tree/_classes",
    "linear_model/_ridge",
    "svm/_base",
    "neighbors/_base",
    "metrics/_ranking",
)
PACKAGES = ("numpy", "scipy", "scikit-learn", "pytest", "joblib", "pluggy")


def folder(place: Path, texts=None) -> Path:
    for category, files in (TEXTS if texts is None else texts).items():
        for name, text in files.items():
            write(place / category / name, text)
    return place


def as_rows(texts=None):
    found = (TEXTS if texts is None else texts).items()
    return [{"category": c, "text": t, "document": name} for c, files in found for name, t in files.items()]


def as_file(path: Path, rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def toys(tmp_path, capfd, monkeypatch):
    found = set_up(tmp_path, PLUGIN.read_text(encoding="utf-8"), capfd, monkeypatch)
    folder(Path("texts"))
    folder(Path("learnt"), {"code": {"x.txt": "def g(y):\n    return [y]\n"}})
    return found


def lines(path="out.csv"):
    with Path(path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def ask(toys, *arguments, source="texts", output="out.csv", model="characters[learns=learnt]"):
    return toys("log-probabilities", source, "-e", model, "-o", output, *arguments)


def test_the_file_has_what_the_model_says_of_each_document(toys):
    answer = ask(toys)
    assert (answer.code, answer.err) == (0, "")
    found, model = lines(), Characters("learnt")
    assert list(found[0]) == COLUMNS
    assert [(row["category"], row["document"]) for row in found] == sorted(
        (category, name) for category, files in TEXTS.items() for name in files
    )
    for row in found:
        said = model.of(TEXTS[row["category"]][row["document"]])
        assert (row["model"], row["n_tokens"], row["n_bytes"]) == ("characters", str(said.n_tokens), str(said.n_bytes))
        assert float(row["log_probability"]) == said.total / said.n_tokens  # to the bit: written in full
    naive = TEXTS["prose"]["b.txt"]
    assert said.n_bytes == len(naive.encode()) == len(naive) + 4


def test_the_table_is_the_mean_over_documents_per_token_and_per_byte(toys):
    answer = ask(toys)
    mine = [row for row in lines() if row["category"] == "prose"]
    per_token = [float(row["log_probability"]) for row in mine]
    per_byte = [mean * int(row["n_tokens"]) / int(row["n_bytes"]) for mean, row in zip(per_token, mine, strict=True)]
    shown = re.search(r"^characters +prose +(.*)$", answer.out, re.MULTILINE)[1].split()
    counts = ["2", str(sum(int(row["n_tokens"]) for row in mine))]
    assert shown == [*counts, f"{np.mean(per_token):.4f}", f"{np.mean(per_byte):.4f}"]
    assert answer.out.splitlines()[-1] == "Next: rmsuite base-models --log-probabilities out.csv"


def test_a_first_token_that_nothing_stands_before_is_not_counted(toys):
    ask(toys)
    ask(toys, output="other.csv", model="characters[learns=learnt,start=false]")
    for whole, less in zip(lines(), lines("other.csv"), strict=True):
        assert int(less["n_tokens"]) == int(whole["n_tokens"]) - 1


def test_a_document_without_a_token_to_predict_is_left_out_and_counted(toys):
    write(Path("texts/prose/one.txt"), "A")
    answer = ask(toys, model="characters[start=false]")
    assert "left out: 1 documents without a token that characters predicts" in answer.out
    assert "one.txt" not in [row["document"] for row in lines()]
    ask(toys, output="other.csv")
    assert "one.txt" in [row["document"] for row in lines("other.csv")]


@pytest.mark.parametrize("n_tokens", [1, 2, 7, 10_000])
def test_documents_are_cut_at_so_many_tokens(toys, n_tokens):
    assert ask(toys, "--tokens", n_tokens).code == 0
    cut = {category: {name: text[:n_tokens] for name, text in files.items()} for category, files in TEXTS.items()}
    folder(Path("cut"), cut)
    ask(toys, source="cut", output="cut.csv")
    assert lines() == lines("cut.csv")
    assert {int(row["n_tokens"]) for row in lines()} == {
        min(n_tokens, len(t)) for f in TEXTS.values() for t in f.values()
    }


def test_neither_the_order_of_documents_nor_the_kind_of_file_moves_a_byte(toys):
    ask(toys)
    as_file(Path("rows.jsonl"), as_rows())
    as_file(Path("back.jsonl"), as_rows()[::-1])
    for name in ("rows", "back"):
        assert ask(toys, source=f"{name}.jsonl", output=f"{name}.csv").code == 0
        assert Path(f"{name}.csv").read_bytes() == Path("out.csv").read_bytes()


def test_a_parquet_file_gives_the_same(toys):
    pyarrow, parquet = (pytest.importorskip(name) for name in ("pyarrow", "pyarrow.parquet"))
    parquet.write_table(pyarrow.Table.from_pylist(as_rows()), "rows.parquet")
    ask(toys)
    assert ask(toys, source="rows.parquet", output="rows.csv").code == 0
    assert Path("rows.csv").read_bytes() == Path("out.csv").read_bytes()


def test_what_is_said_of_a_document_does_not_depend_on_the_others(toys):
    ask(toys)
    many = {"prose": {f"{i:03}.txt": f"Number {i}.\n" for i in range(CHUNK + 1)}}
    folder(Path("texts"), many)
    assert ask(toys, output="more.csv").code == 0
    more = lines("more.csv")
    assert len(more) == len(lines()) + CHUNK + 1
    assert [row for row in more if not re.fullmatch(r"\d+\.txt", row["document"])] == lines()


def test_rows_without_a_name_are_named_by_their_text_wherever_they_stand(tmp_path):
    rows = [{"category": "a", "text": text} for text in ("one", "two")]
    one, other = (as_file(tmp_path / f"{i}.jsonl", some) for i, some in enumerate((rows, rows[::-1])))
    found = read_documents(one)
    assert found == read_documents(other)
    assert len({document.name for document in found.documents}) == 2


def test_hidden_files_and_empty_documents_are_left_out_and_counted(toys):
    ask(toys)
    for name in ("texts/.notes", "texts/code/.hidden", "texts/code/.git/deep", "texts/.cache/x.txt"):
        write(Path(name), "hidden")
    for name, text in (("none", ""), ("spaces", " \n\t")):
        write(Path("texts/code") / name, text)
    answer = ask(toys, output="other.csv")
    assert "left out: 4 hidden files\n" in answer.out
    assert "left out: 2 empty documents\n" in answer.out
    assert lines("other.csv") == lines()


def test_a_category_may_be_a_link_to_a_folder(toys):
    folder(Path("elsewhere"), {"poems": {"a.txt": "Tyger Tyger"}})
    Path("texts/poems").symlink_to(Path("elsewhere/poems").resolve())
    assert ("poems", "a.txt") in [(one.category, one.name) for one in read_documents(Path("texts")).documents]


def test_a_mark_of_byte_order_is_no_part_of_a_document_and_ends_of_lines_are(tmp_path):
    for name, raw in (("a", b"\xef\xbb\xbfx\r\ny"), ("b", b"x\ny")):
        write(tmp_path / "c" / name, "").write_bytes(raw)
    assert [one.text for one in read_documents(tmp_path).documents] == ["x\r\ny", "x\ny"]


ROWS = {
    "no category": ({"text": "a"}, "a category, as text"),
    "an empty category": ({"category": " ", "text": "a"}, "a category, as text"),
    "no text": ({"category": "a", "text": 3}, "text as text"),
    "a name that is none": ({"category": "a", "text": "b", "document": [1]}, "document as text or a whole number"),
    "half a character": ({"category": "a", "text": "b\ud800"}, "text that UTF-8 can hold"),
    "a name twice": ({"category": "code", "text": "b", "document": "c.txt"}, "every document once"),
    "a text twice": ({"category": "new", "text": "same"}, "every document once"),
}


@pytest.mark.parametrize(("row", "expected"), ROWS.values(), ids=ROWS)
def test_a_row_that_is_wrong_is_refused_with_its_line(tmp_path, row, expected):
    path = as_file(tmp_path / "rows.jsonl", [*as_rows(), {"category": "new", "text": "same"}, row])
    with pytest.raises(InputError, match=f"rows.jsonl line 7: expected {expected}, got .*Do: ") as error:
        read_documents(path)
    assert error.value.do


def test_names_may_repeat_in_other_categories_and_be_numbers(tmp_path):
    rows = [{"category": c, "text": "same", "document": 1} for c in "ab"]
    found = read_documents(as_file(tmp_path / "rows.jsonl", rows)).documents
    assert [(one.category, one.name) for one in found] == [("a", "1"), ("b", "1")]


@pytest.mark.parametrize(
    ("name", "raw", "expected"),
    [
        ("code/bad.txt", b"ab\xff", "text in UTF-8, got byte 0xff at position 3"),
        ("beside.txt", b"ab", "a document in the folder of a category"),
        (os.fsdecode(b"code/\xff.txt"), b"ab", "text that UTF-8 can hold"),
    ],
)
def test_a_file_that_is_wrong_is_refused_by_its_name(toys, name, raw, expected):
    (Path("texts") / name).write_bytes(raw)
    answer = ask(toys)
    assert (answer.code, answer.out) == (2, "")
    assert expected in answer.err
    assert not list(Path().glob("out.csv*"))


@pytest.mark.parametrize("source", ["absent", "empty", "blank.jsonl"])
def test_a_source_without_documents_is_refused(toys, source):
    Path("empty/code").mkdir(parents=True)
    as_file(Path("blank.jsonl"), [{"category": "a", "text": " "}])
    answer = ask(toys, source=source)
    assert (answer.code, answer.out, answer.err.count("Do: ")) == (2, "", 1)


def test_a_file_that_is_there_is_not_overwritten(toys):
    Path("out.csv").write_text("kept")
    answer = ask(toys)
    assert (answer.code, answer.out) == (2, "")
    assert "file out.csv: expected none of this name, got one: nothing is overwritten. Do: " in answer.err
    assert Path("out.csv").read_text() == "kept"


def test_a_folder_that_is_not_there_is_named_and_no_file_of_ours(toys):
    answer = ask(toys, output="absent/out.csv")
    assert (answer.code, answer.out) == (2, "")
    assert "file absent/out.csv: expected a file that can be written, got No such file or directory. Do: " in answer.err


def test_a_folder_that_is_not_there_is_refused_before_a_model_is_asked(toys):
    answer = ask(toys, output="absent/out.csv", model="characters[log=log.txt]")
    assert (answer.code, answer.err.count("Do: ")) == (2, 1)
    assert not Path("log.txt").exists()


def test_an_embedder_that_only_embeds_is_refused_and_those_that_can_are_named(toys):
    answer = ask(toys, model="hashed")
    assert (answer.code, answer.out) == (2, "")
    assert "embedder 'hashed': expected an embedder that is a language model too" in answer.err
    assert f"Do: name one of characters ({toys.plugin})." in answer.err
    alone = toys.bare("log-probabilities", "texts", "-e", "hashed", "-o", "out.csv")
    assert "Do: install a plugin with one" in alone.err
    assert not any(reads(one) for one in BUILT_IN)


def test_a_function_that_makes_a_model_without_the_power_is_refused_too(toys):
    source = PLUGIN.read_text(encoding="utf-8").replace("make=Characters", "make=lambda learns='': None")
    answer = toys.bare("log-probabilities", "texts", "--plugin", write(Path("f.py"), source), "-e", "characters", "-oX")
    assert (answer.code, answer.out) == (2, "")
    assert "got one that only embeds" in answer.err
    assert reads(rmsuite.Embedder(name="made", make=lambda: Characters())) is None
    assert isinstance(Characters(), LanguageModel)


def test_two_models_are_written_one_after_the_other_under_their_own_names(toys):
    more = ("-e", "characters[learns=texts,name='=more']")
    answer = ask(toys, *more)
    assert answer.code == 0
    ask(toys, output="first.csv")
    assert Path("out.csv").read_text().startswith(Path("first.csv").read_text())
    assert [row["model"] for row in lines()] == ["characters"] * 5 + ["'=more"] * 5  # no formula of a spreadsheet
    assert re.search(r"^=more +code ", answer.out, re.MULTILINE)


def test_two_models_of_one_name_are_refused_before_any_is_asked(toys):
    answer = ask(toys, "-e", "characters[learns=texts]", model="characters[log=log.txt]")
    assert (answer.code, answer.out) == (2, "")
    assert "expected a base model of another name, got 'characters' of 'characters[log=log.txt]' too" in answer.err
    assert not Path("log.txt").exists()


FAULTS = {
    "infinity": "LogProbability(-math.inf, 1, 1)",
    "not a number": "LogProbability(math.nan, 1, 1)",
    "above zero": "LogProbability(0.5, 1, 1)",
    "more tokens than asked for": "LogProbability(-1.0, 2049, 1)",
    "less than no token": "LogProbability(-1.0, -1, 1)",
    "no bytes": "LogProbability(-1.0, 1, -1)",
    "a sum of nothing": "LogProbability(-1.0, 0, 0)",
    "half a token": "(-1.0, 1.5, 1)",
    "a number alone": "-1.0",
    "nothing": "None",
}


@pytest.mark.parametrize("answer", FAULTS.values(), ids=FAULTS)
def test_what_is_no_log_probability_is_refused_with_embedder_and_document(toys, answer):
    good = "return LogProbability(math.fsum(logs), len(logs), len(whole[first:].encode()))"
    source = PLUGIN.read_text(encoding="utf-8")
    assert good in source
    write(Path("bad.py"), source.replace(good, f"return {answer}"))
    told = toys.bare("log-probabilities", "texts", "--plugin", "bad.py", "-e", "characters", "-o", "out.csv")
    assert (told.code, told.out) == (2, "")
    assert "embedder 'characters', document 'a.py.txt' of category 'code': expected a finite sum" in told.err
    assert not list(Path().glob("out.csv*"))


@pytest.mark.parametrize(("answer", "n"), [(lambda texts: [], 0), (lambda texts: [LogProbability(-1, 1, 1)] * 3, 3)])
def test_a_number_of_answers_that_is_not_that_of_documents_is_refused(answer, n):
    model = type("Odd", (Characters,), {"log_probabilities": lambda _, texts, n_tokens: answer(texts)})()
    with pytest.raises(EmbedderError, match=f"embedder 'odd': expected one answer for each of 2 documents, got {n}"):
        predict([Document("a", "b", "c"), Document("a", "d", "e")], model, 5, "embedder 'odd'", list)


def test_when_a_later_model_fails_what_the_first_said_is_kept_and_named(toys):
    fails = PLUGIN.read_text(encoding="utf-8").replace("characters", "fails").replace("if self.log:", "if 1 / 0:")
    more = ("--plugin", write(Path("fails.py"), fails), "-e", "fails")
    answer = ask(toys, *more)
    assert (answer.code, answer.out) == (2, "")
    assert "embedder 'fails': expected an answer, got ZeroDivisionError" in answer.err
    (part,) = Path().glob("out.csv*")
    assert f"rmsuite: what the models before said is in {part}\n" in answer.err
    kept = part.rename("kept.csv").read_bytes()
    ask(toys)
    assert kept == Path("out.csv").read_bytes()


LIES = {
    "exits": "raise SystemExit(0)",
    "ends as no exception does": "raise BaseException('x')",
    "below all sums": "return [(-1e308, 1, 1) for _ in documents]",
    "more bytes than there are": "return [(-1, 1, 10**5000) for _ in documents]",
    "fails as a number": "return [(type('F', (), {'__float__': lambda _: 1 / 0})(), 1, 1) for _ in documents]",
    "fails in print": "return [type('P', (), {'__repr__': lambda _: 1 / 0})() for _ in documents]",
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_no_answer_ends_in_a_traceback_or_as_if_all_were_well(toys, lie):
    bad = PLUGIN.read_text(encoding="utf-8").replace("        if self.log:", f"        {lie}\n        if self.log:")
    write(Path("bad.py"), bad)
    told = toys.bare("log-probabilities", "texts", "--plugin", "bad.py", "-e", "characters", "-o", "out.csv")
    assert (told.code, told.out) == (2, "")
    assert "embedder 'characters'" in told.err
    assert not list(Path().glob("out.csv*"))


@pytest.mark.parametrize("name", ["' '", "'a/'", "'-'", "5", "float('nan')"])
def test_a_name_that_the_table_of_base_models_would_not_know_is_refused_before_any_is_asked(toys, name):
    bad = PLUGIN.read_text(encoding="utf-8").replace('"base_model_name": self.name', f'"base_model_name": {name}')
    write(Path("bad.py"), bad)
    told = toys.bare("log-probabilities", "texts", "--plugin", "bad.py", "-e", "characters[name=x]", "-o", "out.csv")
    assert told.code == 2
    assert "base_model_name: expected the name of a model, as text" in told.err


def test_two_spellings_of_one_model_are_refused_before_any_is_asked(toys):
    answer = ask(toys, "-e", "characters[name=org/Model_1]", model="characters[name=model-1]")
    assert (answer.code, answer.out) == (2, "")
    assert "expected a base model of another name" in answer.err


class Full(io.FileIO):
    """A file on a disk that takes so many bytes."""

    def write(self, rest):
        room = 400 - self.tell()
        if room <= 0:
            raise OSError(28, "No space left on device")
        return super().write(bytes(rest)[:room])


def test_half_of_what_a_model_says_is_never_kept(tmp_path):
    with Full(tmp_path / "x", "w") as file:
        _append(file, "a" * 300)
        with pytest.raises(OSError, match="No space"):
            _append(file, "b" * 300)
    assert (tmp_path / "x").read_bytes() == b"a" * 300


def test_what_came_meanwhile_is_not_overwritten(toys):
    path = Path("out.csv")
    there = contextlib.ExitStack()
    _append(there.enter_context(_written(path)), "what was said\n")
    path.write_text("mine")
    with pytest.raises(InputError, match="nothing is overwritten"):
        there.close()
    assert path.read_text() == "mine"
    (part,) = Path().glob("out.csv.*")
    assert part.read_text().endswith("what was said\n")


@pytest.mark.parametrize(
    "command",
    [("log-probabilities", "texts", "-e", "x", "-o"), ("base-models", "--results"), ("base-models", "--scores")],
)
def test_a_name_that_is_too_long_is_no_traceback(toys, command):
    assert toys(command[0], *command[1:], "x" * 300).code == 2


def test_zero_is_the_log_probability_of_what_is_certain_and_allowed():
    certain = type("Certain", (Characters,), {"log_probabilities": lambda _, texts, n: [LogProbability(0.0, 1, 0)]})()
    (found,) = predict([Document("a", "b", "c")], certain, 5, "it", list)
    assert found.per_token == 0
    assert math.isnan(found.per_byte)


def real_texts():
    sklearn = Path(distribution("scikit-learn").locate_file("sklearn"))
    code = {f"{name}.txt": (sklearn / f"{name}.py").read_text(encoding="utf-8")[-3000:] for name in MODULES}
    said = {f"{name}.txt": str(distribution(name).metadata.get_payload())[:3000] for name in PACKAGES}
    return {"code": code, "prose": said}


def test_a_model_finds_other_documents_of_what_it_learnt_more_probable(toys):
    """Source code and descriptions of installed packages: half to learn from, half held out."""
    texts = real_texts()
    halves = [{c: dict(list(files.items())[i::2]) for c, files in texts.items()} for i in (0, 1)]
    folder(Path("seen"), halves[0])
    folder(Path("unseen"), halves[1])
    models = [f"characters[learns=seen/{category},name={category}]" for category in texts]
    assert ask(toys, "-e", models[1], source="unseen", model=models[0]).code == 0
    means = {}
    for row in lines():
        means.setdefault((row["model"], row["category"]), []).append(float(row["log_probability"]))
    for own, other in (("code", "prose"), ("prose", "code")):
        assert np.mean(means[own, own]) > np.mean(means[other, own]) + 0.1
