"""A plugin's annotator labels pairs, and moves nothing else. Who writes one, and who reads its results, rely on it."""

from __future__ import annotations

import hashlib
import random
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from command_line import Toys
from plugin_files import source, write
from running import same_arrays, settings

import rmsuite
from rmsuite import harness, plugins, results, signature
from rmsuite.annotators import ABSTAINED, ANNOTATORS, BUILT_IN, FIRST, SECOND, TIE, Offered, sides
from rmsuite.book import read_book
from rmsuite.bundles.verify import verify
from rmsuite.data import Votes
from rmsuite.errors import ContractError, PluginError, ResultsError, TaskError, UnknownNameError
from rmsuite.reports.tables import report
from rmsuite.sweeps import study

PLUGIN = """
import numpy as np
import rmsuite
from rmsuite.annotators import sides

def hasty(rate=0.1):
    "Errs at a rate."
    if not 0 <= rate <= 1:
        raise ValueError("no rate")
    return lambda offered, rng: sides((offered.margin > 0) ^ (rng.random(len(offered)) < rate))

@rmsuite.hookimpl
def rmsuite_annotators():
    return [rmsuite.Annotator(name={name!r}, make=hasty, summary="a test's", reference="{reference}", decisive=True)]
"""
N = 50


def plugin(path: Path, name: str = "mine", reference: str = "arXiv:2501.00001") -> Path:
    return write(path, PLUGIN.format(name=name, reference=reference))


def offering(*annotators):
    hook = rmsuite.hookimpl(lambda: list(annotators))
    hook.__name__ = "rmsuite_annotators"
    return SimpleNamespace(rmsuite_annotators=hook)


def of(judge, decisive=False):
    """The annotator ``hostile``, whose judge this is, as the catalogue of plugins has it."""
    record = rmsuite.Annotator(name="hostile", make=lambda: judge, decisive=decisive)
    return plugins.load(objects={"theirs": offering(record)}, installed=False).annotators.annotator("hostile")


def offered(n=N):
    """Pairs whose arrays nobody guards; votes included."""
    margin = np.sin(np.arange(1, n + 1) * 1.7)
    length = np.column_stack([np.arange(n) % 97, np.arange(n) % 89]).astype(float)
    votes = Votes(np.arange(2 * n), np.arange(2 * n) // 2 % 7, (np.arange(2 * n) * 31 % 11).astype(float))
    return Offered(margin, 0.7, length, np.arange(2 * n).reshape(-1, 2), votes)


def right(offered, rng):
    return sides(offered.margin > 0)


def asked(judge, decisive=False):
    return of(judge, decisive).judge(offered(), np.random.default_rng(0))


# Those of rmsuite stay as they are

ANSWERS = {
    "perfect": "497f810ded87",
    "bradley-terry[quality=1.0]": "2c0b0089b2f6",
    "flip[rate=0.25]": "fc1f85378574",
    "crowd[quality=0.87,raters=18,spread=0.35]": "b54ea014b26f",
    "votes": "f009b8342745",
    "abstaining[of=perfect,rate=0.0,within=0.1]": "1d340fe8eca4",
    "length-biased[of=perfect,weight=0.5]": "6ab021cb4c60",
    "majority[k=3,of=flip[rate=0.25]]": "24fa812cd39c",
    "tie-giving[of=perfect,within=0.1]": "da5a6e7e48c2",
    "majority[k=2,of=crowd[quality=0.87,raters=18,spread=0.35]]": "baeeadbc80df",
}


@pytest.mark.parametrize(("label", "digest"), ANSWERS.items())
def test_known_pairs_have_known_answers_whatever_plugins_there_are(tmp_path, label, digest):
    """A changed answer is another annotator: stored results would speak of one that is no more."""
    assert {name for name in ANNOTATORS if name != "human"} <= {text.partition("[")[0] for text in ANSWERS}
    for book in (BUILT_IN, plugins.load([plugin(tmp_path / "mine.py")], installed=False).annotators):
        found = book.annotator(label)
        assert (found.label, found.source, found.code) == (label, "", "")
        answers = found.judge(offered(2000), np.random.default_rng(5))
        assert hashlib.sha256(answers.tobytes()).hexdigest()[:12] == digest


def test_a_plugin_moves_no_signature_fact_or_pair_of_a_task_that_does_not_ask_for_it(toy_root, tmp_path):
    catalogue = plugins.load([plugin(tmp_path / "mine.py")], installed=False)
    for text in ("toy-gold", "toy-human", "toy-gold[annotator=majority[of=flip]]"):
        one, other = (read_book([toy_root], *more).task(text).load() for more in ((), (catalogue.annotators,)))
        assert harness.signature_line(one, 0) == harness.signature_line(other, 0)
        assert "annotator-code" not in signature.read(harness.signature_line(one, 0))
        (mine,), (theirs,) = settings(one, 1), settings(other, 1)
        assert mine.facts() == theirs.facts()
        assert "annotator_source" not in mine.facts()
        np.testing.assert_array_equal(mine.pairs.differences(), theirs.pairs.differences())


# One of a plugin is found


def test_it_is_found_with_its_parameters_and_all_of_them_are_in_its_one_label(tmp_path):
    book = plugins.load([plugin(tmp_path / "mine.py")], installed=False).annotators
    assert book.annotator("mine").label == book.annotator("mine[rate=0.10]").label == "mine[rate=0.1]"
    assert book.annotator("mine[rate=1]").label == "mine[rate=1.0]"
    whole = book.annotator("mine[rate=0]")
    np.testing.assert_array_equal(whole.judge(offered(), np.random.default_rng(0)), right(offered(), None))
    flipped = book.annotator("mine[rate=0.3]").judge(offered(), np.random.default_rng(1))
    same = book.annotator("flip[rate=0.3]").judge(offered(), np.random.default_rng(1))
    np.testing.assert_array_equal(flipped, same)


def test_composed_annotators_take_it_and_say_whose_it_is(tmp_path):
    book = plugins.load([plugin(tmp_path / "mine.py")], installed=False).annotators
    mine, over = book.annotator("mine[rate=0.3]"), book.annotator("majority[of=mine[rate=0.3],k=5]")
    assert over.label == "majority[k=5,of=mine[rate=0.3]]"
    assert re.fullmatch(r"mine\.py #[0-9a-f]{12}", mine.source)
    assert (over.source, over.code) == (mine.source, mine.code)
    assert over.decisive
    twice = book.annotator("abstaining[of=majority[of=mine]]")
    assert (twice.source, twice.code) == (mine.source, mine.code)
    same = book.annotator("majority[of=flip[rate=0.3],k=5]").judge(offered(), np.random.default_rng(2))
    np.testing.assert_array_equal(over.judge(offered(), np.random.default_rng(2)), same)


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("mien", UnknownNameError, "nearest is 'mine'"),
        ("mine[rat=0.1]", UnknownNameError, "nearest is 'rate'"),
        (
            "mine[rate=2]",
            ContractError,
            r"annotator 'mine\[rate=2.0\]' of plugin 'mine' .*ValueError: no rate \(mine.py:9\)",
        ),
        ("majority[of=mien]", UnknownNameError, "nearest is 'mine'"),
        ("mine[rate='a|b']", TaskError, "texts without"),
    ],
)
def test_a_mistake_is_told_in_words(tmp_path, text, kind, message):
    book = plugins.load([plugin(tmp_path / "mine.py")], installed=False).annotators
    with pytest.raises(kind, match=message) as error:
        book.annotator(text)
    assert error.value.do


def test_a_required_parameter_is_asked_for_and_one_that_no_label_can_say_is_refused():
    def made(make):
        objects = {"theirs": offering(rmsuite.Annotator(name="theirs", make=make))}
        return plugins.load(objects=objects, installed=False).annotators

    needy = made(lambda rate: right)
    assert needy.annotator("theirs[rate=3]").label == "theirs[rate=3]"
    with pytest.raises(TaskError, match=r"expected the parameter rate, got none. Do: write 'theirs\[rate=...\]'"):
        needy.annotator("theirs")
    with pytest.raises(TaskError, match="expected parameters that can be written"):
        made(lambda of=len: right).annotator("theirs")


@pytest.mark.parametrize(("name", "make"), [("Mine", dict), (3, dict), ("mine", 3)])
def test_a_record_without_a_good_name_or_make_is_refused(name, make):
    with pytest.raises(PluginError, match="Annotator"):
        rmsuite.Annotator(name=name, make=make)


# Names


@pytest.mark.parametrize("files", [("a", "b"), ("b", "a")])
def test_two_of_one_name_are_an_error_that_names_both_in_any_order_and_costs_that_name_only(tmp_path, files):
    paths = [plugin(tmp_path / f"{name}.py", "mine") for name in files]
    book = plugins.load([*paths, plugin(tmp_path / "c.py", "other")], installed=False).annotators
    with pytest.raises(PluginError, match=r"plugin 'a' \(.*a\.py\) and plugin 'b' \(.*b\.py\)"):
        book.annotator("majority[of=mine]")
    assert book.annotator("other").label == "other[rate=0.1]"
    assert book.annotator("flip").label == "flip[rate=0.25]"


def test_the_name_of_a_built_in_one_cannot_be_taken(tmp_path):
    thief = plugin(tmp_path / "thief.py", "flip")
    with pytest.raises(PluginError, match="'flip', a built-in annotator of rmsuite"):
        plugins.load([thief], installed=False)
    catalogue = plugins.load([thief, plugin(tmp_path / "mine.py")], installed=False, strict=False)
    assert catalogue.annotators.annotator("flip").source == ""
    assert list(catalogue.annotator_owners) == ["mine"]


def test_a_broken_plugin_hides_no_annotator(tmp_path):
    broken = write(tmp_path / "broken.py", "1 / 0")
    book = plugins.load([broken, plugin(tmp_path / "mine.py")], installed=False, strict=False).annotators
    assert book.annotator("mine").decisive
    with pytest.raises(UnknownNameError, match="unusable: broken"):
        book.annotator("absent")


# Hostile ones


def raising(offered, rng):
    raise ZeroDivisionError("no")


def leaving(offered, rng):
    sys.exit(3)


def mutating(offered, rng):
    offered.margin[:] = 0


def global_states():
    _, key, *rest = np.random.get_state()  # noqa: NPY002 -- it is what must not move
    return random.getstate(), key.tolist(), rest


HOSTILE = {
    "a list": (lambda o, r: right(o, r).tolist(), "expected a numpy array"),
    "nothing": (lambda o, r: None, "expected a numpy array"),
    "too few": (lambda o, r: right(o, r)[1:], r"expected shape \(50,\), got \(49,\)"),
    "a column": (lambda o, r: right(o, r)[:, None], r"expected shape \(50,\), got \(50, 1\)"),
    "int64": (lambda o, r: right(o, r).astype(int), "expected int8, got int64"),
    "bool": (lambda o, r: o.margin > 0, "expected int8, got bool"),
    "float": (lambda o, r: o.margin, "expected int8, got float64"),
    "another code": (lambda o, r: np.full(len(o), 3, np.int8), r"got \[3\]"),
    "raises": (raising, r"ZeroDivisionError: no \(test_plugged_annotators.py:\d+\)"),
    "ends the process": (leaving, "SystemExit: 3"),
    "mutates": (mutating, "ValueError: assignment destination is read-only"),
    "numpy's random state": (lambda o, r: sides(np.random.random(len(o)) < 0.5), "global random state"),  # noqa: NPY002
    "numpy's seed": (lambda o, r: np.random.seed(1) or right(o, r), "global random state"),  # noqa: NPY002
    "python's random state": (lambda o, r: random.seed(4) or right(o, r), "global random state"),
}


@pytest.mark.parametrize(("judge", "message"), HOSTILE.values(), ids=HOSTILE)
def test_a_broken_promise_is_an_error_that_names_the_plugin_and_nothing_moves(judge, message):
    before = global_states()
    with pytest.raises(ContractError, match=message) as error:
        asked(judge)
    assert error.value.who == "annotator 'hostile' of plugin 'theirs' (object)"
    assert all((error.value.expected, error.value.got, error.value.do))
    assert before == global_states()


def test_the_error_of_an_annotator_that_words_its_own_passes():
    def needs_votes(offered, rng):
        raise TaskError(who="hostile", expected="votes", got="none", do="choose another pool")

    with pytest.raises(TaskError, match="hostile: expected votes"):
        asked(needs_votes)


@pytest.mark.parametrize("answer", [TIE, ABSTAINED])
def test_who_says_that_it_always_chooses_may_not_do_otherwise(answer):
    def undecided(offered, rng):
        return np.full(len(offered), answer, np.int8)

    assert (asked(undecided) == answer).all()
    assert not of(undecided).decisive
    with pytest.raises(ContractError, match=rf"expected answers of \(1, -1\), got \[{answer}\]"):
        asked(undecided, decisive=True)


def test_no_array_that_it_gets_is_anybody_elses():
    """Even one that makes its arrays writeable, or keeps its answers and changes them later, changes nothing."""
    kept = []

    def vandal(offered, rng):
        columns = [offered.margin, offered.length, offered.response, *vars(offered.votes).values()]
        for array in columns:
            assert not array.flags.writeable
            array.flags.writeable = True
            array[:] = 0
        kept.append(np.full(len(offered), FIRST, np.int8))
        return kept[-1]

    pairs = offered()
    answers = of(vandal).judge(pairs, np.random.default_rng(0))
    kept[-1][:] = SECOND
    assert (answers == FIRST).all()
    for name in ("margin", "length", "response"):
        np.testing.assert_array_equal(getattr(pairs, name), getattr(offered(), name))
    np.testing.assert_array_equal(pairs.votes.value, offered().votes.value)


def test_a_judge_remembers_nothing_from_one_set_of_pairs_to_the_next():
    class Forgetful:
        calls = 0

        def __call__(self, offered, rng):
            self.calls += 1
            return np.full(len(offered), FIRST if self.calls == 1 else SECOND, np.int8)

    record = rmsuite.Annotator(name="forgetful", make=Forgetful)
    book = plugins.load(objects={"theirs": offering(record)}, installed=False).annotators
    found = book.annotator("majority[of=forgetful,k=3]")
    for _ in range(2):
        assert (found.judge(offered(), np.random.default_rng(0)) == FIRST).all()


def test_what_makes_no_judge_is_refused_by_its_name():
    record = rmsuite.Annotator(name="empty", make=lambda: 3)
    with pytest.raises(ContractError, match=r"make of annotator 'empty' of plugin 'theirs'.*got 3"):
        plugins.load(objects={"theirs": offering(record)}, installed=False).annotators.annotator("empty")


# In results


@pytest.fixture
def toys(tmp_path, toy_root, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    found = Toys(tmp_path, write(tmp_path / "toys.py", source("good", root=toy_root)), capfd)
    found.install(monkeypatch)
    return found


TASK = "toy-gold[annotator=mine[rate=0.2]]"


def run(toys, file, *more):
    return toys("run", "--plugin", file, "-m", "good", "-t", TASK, "-r", "1", "-j", "1", *more)


def test_results_say_where_it_comes_from_and_can_be_verified(toys):
    file = plugin(toys.folder / "mine.py")
    answer = run(toys, file)
    assert answer.code == 0
    (code,) = re.findall(r"Code of the annotator, a plugin's: mine\.py #([0-9a-f]{12})\.", answer.out)
    assert "|annotator:mine[rate=0.2]|" in answer.out
    assert f"|annotator-code:{code}|" in answer.out
    records = list(results.read_all(Path("rmsuite-results")))
    assert {record.facts["annotator_source"] for record in records} == {f"mine.py #{code}"}
    assert {record.task for record in records} == {"toy-gold@1[annotator=mine[rate=0.2]]"}
    assert toys("verify", "--plugin", file, "--rerun", "1").code == 0
    cited = toys("cite", "--plugin", file, "--no-stored")
    assert "eprint = {2501.00001}" in cited.out


def test_it_labels_as_the_same_rule_of_rmsuite_does_to_the_bit_with_any_number_of_jobs(toys):
    file = plugin(toys.folder / "mine.py")
    assert run(toys, file, "-j", "2").code == 0
    assert toys("run", "-m", "good", "-t", "toy-gold[annotator=flip[rate=0.2]]", "-r", "1", "-o", "flip").code == 0
    mine, flip = ({r.method: r.arrays for r in results.read_all(Path(home))} for home in ("rmsuite-results", "flip"))
    assert mine.keys() == flip.keys()
    assert all(same_arrays(mine[name], flip[name]) for name in mine)


def test_two_rules_of_one_name_never_share_a_table(toys):
    assert run(toys, plugin(toys.folder / "mine.py")).code == 0
    other = write(toys.folder / "other.py", PLUGIN.format(name="mine", reference="").replace("> 0) ^", "< 0) ^"))
    refused = run(toys, other)
    assert refused.code == 2
    assert "annotator-code" in refused.err
    assert run(toys, other, "-o", "others").code == 0
    cells = [cell for home in ("rmsuite-results", "others") for cell in results.read_all(Path(home))]
    with pytest.raises(ResultsError, match=r"annotator-code: .* against"):
        report(cells)
    difference = toys.bare("diff-protocol", "rmsuite-results", "others")
    assert difference.code == 1
    assert re.search(r"annotator-code .*other code of a plugin", difference.out)


def test_two_objects_of_one_name_have_different_codes_and_one_has_always_the_same(toy_root):
    def line(rate):
        record = rmsuite.Annotator(name="mine", make=lambda: lambda o, rng: sides(rng.random(len(o)) < rate))
        catalogue = plugins.load(objects={"notebook": offering(record)}, installed=False)
        tasks = [read_book([toy_root], catalogue.annotators).task("toy-gold[annotator=mine]") for _ in range(2)]
        lines = {harness.signature_line(task.load(), 0) for task in tasks}
        assert len(lines) == 1
        return lines.pop()

    assert set(signature.differences(line(0.1), line(0.2))) == {"annotator-code"}
    assert line(0.1) == line(0.1)


def test_verifying_without_the_plugin_says_what_is_missing(toys, toy_root):
    assert run(toys, plugin(toys.folder / "mine.py")).code == 0
    outcome = verify(Path("rmsuite-results"), read_book([toy_root]))
    assert outcome.findings
    assert all("'mine'" in finding.got for finding in outcome.findings if "at hand" in finding.expected)


def test_a_hostile_one_costs_its_command_one_line(toys):
    text = PLUGIN.format(name="mine", reference="").replace("rng.random(len(offered)) < rate", "offered.no")
    answer = run(toys, write(toys.folder / "mine.py", text))
    assert (answer.code, answer.out) == (2, "")
    assert "rmsuite: annotator 'mine[rate=0.2]' of plugin 'mine'" in answer.err
    assert "AttributeError" in answer.err
    assert toys("run", "-m", "good", "-t", "toy-gold", "-r", "1", "-o", "fine").code == 0


def test_what_it_prints_is_not_in_the_tables(toys):
    """Programs read tables from standard output."""
    text = PLUGIN.format(name="mine", reference="").replace("rng.random(len(offered)) < rate", "print('heard')")
    answer = run(toys, write(toys.folder / "mine.py", text))
    assert "heard" not in answer.out
    assert "heard" in answer.err


def test_an_unknown_parameter_of_one_of_rmsuite_is_told_with_the_known():
    """Also by a curve over a parameter that the task's annotator has not; what finds the inner one is none."""
    with pytest.raises(UnknownNameError, match=r"parameter of annotator 'flip', 'rat': .*one of rate, got 'rat'"):
        BUILT_IN.annotator("flip[rat=0.2]")
    with pytest.raises(UnknownNameError, match=r"one of k, of, got"):
        BUILT_IN.annotator("majority[n=3]")


def test_lists_and_descriptions_show_it(toys):
    file = plugin(toys.folder / "mine.py")
    listed = toys("list", "annotators", "--plugin", file)
    assert re.search(rf"^mine +a test's +{re.escape(str(file))}$", listed.out, re.MULTILINE)
    assert re.search(r"^flip +.* built in$", listed.out, re.MULTILINE)
    shown = toys("info", "mine", "--plugin", file)
    for text in ("annotator", "arXiv:2501.00001", "parameter rate", "Errs at a rate."):
        assert text in shown.out
    assert re.search(r"^mine .* mine$", toys("plugins", "--plugin", file).out, re.MULTILINE)
    assert toys("info", TASK, "--plugin", file).code == 0


def test_a_card_and_a_sweep_may_name_it(toys, toy_root):
    card = (toy_root / "tasks" / "toy-gold.toml").read_text()
    text = card.replace("perfect", "mine[rate=0.3]").replace("toy-gold", "toy-mine")
    (toy_root / "tasks" / "toy-mine.toml").write_text(text)
    file = plugin(toys.folder / "mine.py")
    arguments = ("--plugin", file, "-m", "good", "-t", "toy-mine", "-r", "1", "-j", "1")
    assert "|annotator:mine[rate=0.3]|" in toys("run", *arguments).out
    book = read_book([toy_root], plugins.load([file], installed=False).annotators)
    swept = study(book, "toy-mine", "annotator.rate=0,0.4").tasks.values()
    assert [task.annotator for task in swept] == ["mine[rate=0.0]", "mine[rate=0.4]"]
    without = toys("run", *arguments[2:])
    assert (without.code, "annotator 'mine': expected one of" in without.err) == (2, True)
