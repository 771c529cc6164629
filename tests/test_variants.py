"""Tasks with changed fields: one label each, and random numbers in common. Studies of noise, budget and shift rely on
it, and so does everybody who stored a result of a plain task.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_line import set_up
from conftest import TASK, write_pool, write_root
from plugin_files import source, write
from running import settings

from rmsuite import harness, plugins, results, signature
from rmsuite.book import read_book
from rmsuite.bundles import protocol
from rmsuite.errors import NotApplicable, RmsuiteError, TaskError, UnknownNameError
from rmsuite.pool_files import write_folder
from rmsuite.pools import read_card
from rmsuite.splits import generators_in_second_half

NAMES = ["ann", "bob", "cleo", "dan"]  # generators; the halves have two each
SECOND = np.flatnonzero(generators_in_second_half(NAMES))


def add_columns(folder: Path, card: dict | None = None, **columns: np.ndarray) -> None:
    """Write a pool anew with further columns."""
    arrays = {path.stem: np.load(path) for path in folder.glob("*.npy")} | columns
    known = read_card(folder / "pool.toml")
    del known["sha256"]
    write_folder(folder, "pool.toml", {**known, **(card or {})}, arrays)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The toys, with four generators a pool, and ratings by two attributes of the pool ``rated``."""
    root = write_root(tmp_path_factory.mktemp("variants") / "toys")
    write_pool(root, "rated", human=False, n_prompts=90)
    rng = np.random.default_rng(3)
    for name, n in (("gold-pool", 360), ("human-pool", 360), ("rated", 540)):
        add_columns(root / "pools" / name, {"generators": NAMES}, generator=rng.integers(0, 4, n).astype(np.uint8))
    gold = np.load(root / "pools" / "rated" / "gold.npy")
    ratings = np.column_stack([np.round(gold / 8), rng.integers(0, 4, 540)]).astype(np.float32)
    ratings[rng.random((540, 2)) < 0.1] = np.nan
    add_columns(root / "pools" / "rated", {"attributes": ["helpful", "brief"]}, ratings=ratings)
    rated = TASK.format(name="toy-rated", pool="rated", annotator="perfect", pairs=4, columns='"pair-accuracy"')
    (root / "tasks" / "toy-rated.toml").write_text(rated + 'gives = ["ratings", "attributes"]\n')
    return root


@pytest.fixture(scope="module")
def book(root):
    return read_book([root])


def setting(book, text, **more):
    return settings(book.task(text).load(), 1, **more)[0]


def rows(pairs):
    return sorted(map(tuple, np.hstack([pairs.embeddings[pairs.chosen], pairs.embeddings[pairs.rejected]]).tolist()))


# One label each


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("toy-gold", "toy-gold@1"),
        ("toy-gold@1", "toy-gold@1"),
        ("toy-gold[]", "toy-gold@1"),
        ("toy-gold[annotator=perfect,pairs_per_prompt=4,gives=none]", "toy-gold@1"),
        ("toy-gold[ annotator = flip ]", "toy-gold@1[annotator=flip[rate=0.25]]"),
        ("toy-gold@1[annotator='flip[rate=0.20]']", "toy-gold@1[annotator=flip[rate=0.2]]"),
        ("toy-gold[budget=50,annotator=flip[rate=0.2]]", "toy-gold@1[annotator=flip[rate=0.2],budget=50]"),
        ("toy-rated[gives=ratings+attributes]", "toy-rated@1"),
        ("toy-rated[gives=ratings]", "toy-rated@1[gives=ratings]"),
        ("toy-rated[gives=none]", "toy-rated@1[gives=none]"),
        (
            "toy-gold[annotator=majority[of=flip[rate=0.3],k=5],pairing=diverse]",
            "toy-gold@1[annotator=majority[k=5,of=flip[rate=0.3]],pairing=diverse]",
        ),
    ],
)
def test_a_variant_has_one_label_that_is_read_back_as_itself(book, text, label):
    assert book.task(text).label == label
    assert book.task(label) == book.task(text)
    assert book.task(signature.unversioned(label)) == book.task(text)


def test_a_variant_that_changes_nothing_is_the_plain_task(book):
    assert book.task("toy-gold[annotator=perfect,budget=0]") == book.task("toy-gold") == book.tasks["toy-gold"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("toy-gold[anotator=flip]", "nearest is 'annotator'"),
        ("toy-gold[pool=rated]", "expected one of annotator"),
        ("toy-gold[version=2]", "cannot be changed"),
        ("toy-gold[changes=x]", "cannot be changed"),
        ("toy-gold[annotator=flop]", "nearest is 'flip'"),
        ("toy-gold[annotator=flip[rate=2]]", "expected rate = a number in"),
        ("toy-gold[annotator=3]", "got 3"),
        ("toy-gold[budget=-1]", "expected budget = a whole number of at least 0"),
        ("toy-gold[budget=many]", "expected budget = a whole number of at least 0"),
        ("toy-gold[budget=True]", "expected budget = a whole number of at least 0"),
        ("toy-gold[pairing=simlar]", "expected pairing = one of random, similar, diverse, across"),
        ("toy-gold[generators=half]", "expected generators = one of all, split, second"),
        ("toy-gold[gives=gold]", "expected gives = some of attributes, ratings"),
        ("toy-gold[budget=1,budget=2]", "each key once"),
        ("toy-gold@2[budget=1]", "nearest is 'toy-gold'"),
        ("toy-gold[budget=1", "close the brackets"),
    ],
)
def test_a_mistake_in_the_brackets_is_refused_in_words(book, text, message):
    with pytest.raises(RmsuiteError, match=message.replace("[", r"\[")) as error:
        book.task(text)
    assert error.value.do


@pytest.mark.parametrize("text", ["toy-gold[train_pool=rate]", "toy-gold[base_model=../x]"])
def test_a_pool_or_base_model_that_is_not_there_names_those_that_are(book, text):
    with pytest.raises(UnknownNameError, match=r"expected one of .*(gold-pool|toy-base)"):
        book.task(text).load()


def test_results_of_a_variant_lie_in_a_folder_of_their_own_that_any_file_system_can_hold(book, tmp_path):
    plain, one, other = (
        results.task_folder(tmp_path, book.task(text).label)
        for text in ("toy-gold", "toy-gold[annotator=flip]", "toy-gold[annotator=flip[rate=0.26]]")
    )
    assert plain == tmp_path / "toy-gold@1"
    assert len({plain, one, other}) == 3
    assert all(set(path.name) <= set("abcdefghijklmnopqrstuvwxyz0123456789@._=-") for path in (one, other))
    assert one.parent == tmp_path


# Common random numbers


VARIANTS = [
    "annotator=flip",
    "annotator=crowd",
    "pairs_per_prompt=2",
    "budget=40",
    "pairing=diverse",
    "train_pool=rated",
]


@pytest.mark.parametrize("changes", VARIANTS)
def test_variants_share_the_test_part_its_order_and_the_methods_seed(book, changes):
    plain, other = setting(book, "toy-gold"), setting(book, f"toy-gold[{changes}]")
    np.testing.assert_array_equal(plain.test_embeddings, other.test_embeddings)
    np.testing.assert_array_equal(plain.task.test.rows, other.task.test.rows)
    jobs = [harness.Job(one, None) for one in (plain, other)]
    assert jobs[0].seed == jobs[1].seed
    assert harness.signature_line(plain.task, 0) != harness.signature_line(other.task, 0)


def test_pairs_do_not_depend_on_the_annotator(book):
    both = [setting(book, text).pairs for text in ("toy-gold", "toy-gold[annotator=flip[rate=1.0]]")]
    np.testing.assert_array_equal(both[0].chosen, both[1].rejected)
    np.testing.assert_array_equal(both[0].embeddings, both[1].embeddings)


def test_pairs_and_labels_of_a_budget_are_some_of_those_without_one(book):
    plain, some = (setting(book, f"toy-gold[annotator=flip{more}]").pairs for more in ("", ",budget=60"))
    assert len(some) == 60
    assert len(some.validation) == 15
    assert set(rows(some)) < set(rows(plain))
    with pytest.raises(TaskError, match="ask for a budget of at most"):
        setting(book, "toy-gold[budget=9999]").pairs  # noqa: B018


def test_a_variant_is_signed_for_what_it_changes(book):
    plain = signature.read(harness.signature_line(book.task("toy-gold").load(), 0))
    text = "toy-gold[annotator=flip,budget=60,pairing=similar,train_pool=rated,generators=split,gives=ratings]"
    other = signature.read(harness.signature_line(book.task(text).load(), 0))
    assert set(other) - set(plain) == {"gives", "train-pool", "train-embeddings", "generators"}
    assert set(other) <= set(protocol.MEANING)
    assert (other["pairs"], other["annotator"], other["gives"]) == (
        "similar(4,budget=60)",
        "flip[rate=0.25]",
        "ratings",
    )
    assert other["train-pool"].startswith("rated#")
    assert other["pool"] == plain["pool"]


# Shift


def test_another_pool_trains_and_the_same_prompts_are_tested(book):
    task = book.task("toy-gold[train_pool=rated]").load()
    known = {bytes(row) for row in np.asarray(task.training.embeddings.matrix).astype(np.float32)}
    pairs = setting(book, "toy-gold[train_pool=rated]").pairs
    assert {row.tobytes() for row in pairs.embeddings} <= known
    assert task.licence() == "CC0"


def test_what_is_tested_anywhere_trains_nowhere(book):
    """The two pools share prompts: the part follows from the prompt's id."""
    task = book.task("toy-gold[train_pool=rated]").load()
    tested = set(task.pool.prompt_id[task.parts["test"]])
    assert tested & set(task.training.pool.prompt_id)
    for part in ("train", "validation"):
        assert not tested & set(task.training.pool.prompt_id[task.parts[part]])


def test_pools_of_different_embeddings_do_not_go_together(root, tmp_path):
    copy = write_root(tmp_path / "other")
    embeddings = copy / "pools" / "human-pool" / "embeddings" / "toy-base"
    matrix = np.load(embeddings / "embeddings.npy")
    card = {key: value for key, value in read_card(embeddings / "embeddings.toml").items() if key != "sha256"}
    write_folder(embeddings, "embeddings.toml", card, {"embeddings": matrix[:, :5]})
    with pytest.raises(TaskError, match="expected one base model"):
        read_book([copy]).task("toy-gold[train_pool=human-pool,annotator=human]").load()


@pytest.mark.parametrize("name", ["toy-gold", "toy-human", "toy-gold[train_pool=rated]"])
def test_half_of_the_generators_train_and_the_others_are_tested(book, name):
    plain = book.task(name)
    task = replace(plain, generators="split").load()
    assert np.isin(task.pool.generator[task.test.rows], SECOND).all()
    one = settings(task, 1)[0]
    drawn = one._drawn["train"]
    used = task.training.pool.generator[np.concatenate([drawn.chosen, drawn.rejected])]
    assert len(used)
    assert not np.isin(used, SECOND).any()


@pytest.mark.parametrize("name", ["toy-gold", "toy-human"])
def test_a_test_part_of_some_generators_is_the_whole_one_without_the_others(book, name):
    whole, task = book.task(name).load().test, book.task(f"{name}[generators=split]").load()
    some = task.test
    np.testing.assert_array_equal(np.diff(some.offsets), np.bincount(some.prompt, minlength=some.n_prompts))
    np.testing.assert_array_equal(task.pool.prompt_id[task.pool.prompt[some.rows]], some.prompt_id[some.prompt])
    np.testing.assert_array_equal(some.length, task.pool.length[some.rows])

    def pairs(test):
        return {
            (test.rows[a], test.rows[b])
            for block in test.pairs()
            for a, b in zip(*block, strict=True)
            if np.isin(task.pool.generator[test.rows[[a, b]]], SECOND).all()
        }

    assert pairs(some) == pairs(whole)
    assert len(pairs(some))
    with_pairs = {some.prompt[a] for block in some.pairs() for a in block[0]}
    assert with_pairs == set(range(some.n_prompts))


def test_generators_without_names_or_of_one_half_cannot_be_split(toy_root):
    with pytest.raises(TaskError, match="expected generators in both halves, got toy"):
        _ = read_book([toy_root]).task("toy-gold[generators=split]").load().test


# What is given beside pairs


def test_ratings_and_attributes_are_given_in_training_only_and_agree_with_the_pool(book):
    one = setting(book, "toy-rated")
    pool = one.task.pool
    assert [entry.name for entry in one.pairs.attributes] == ["helpful", "brief"]
    for pairs, part in ((one.pairs, "train"), (one.pairs.validation, "validation")):
        drawn = one._drawn[part]
        used = np.unique(np.concatenate([drawn.chosen, drawn.rejected]))
        np.testing.assert_array_equal(pairs.ratings.values, pool.ratings[used])
        for column, judged in enumerate(pairs.attributes):
            rating = pairs.ratings.values[:, column]
            assert (rating[judged.chosen] > rating[judged.rejected]).all()
            margin = rating[pairs.chosen] - rating[pairs.rejected]
            assert len(judged) == np.count_nonzero(np.isfinite(margin) & (margin != 0)) > 20
            assert judged.consistent.all()
            assert set(judged.prompt) <= set(pairs.prompt)


def test_a_task_that_gives_nothing_gives_neither_and_a_pool_without_ratings_says_so(book):
    pairs = setting(book, "toy-rated[gives=none]").pairs
    assert (pairs.attributes, pairs.ratings) == ((), None)
    assert setting(book, "toy-rated[gives=ratings]").pairs.attributes == ()
    with pytest.raises(TaskError, match="expected ratings by attribute"):
        setting(book, "toy-gold[gives=attributes]").pairs  # noqa: B018


@pytest.mark.parametrize("method", ["regression[steps=4]", "dmoerm[epochs=2]"])
def test_the_baselines_that_want_them_learn_on_such_a_task_and_refuse_others(book, method):
    _, configured = plugins.load().configured(method)
    one = setting(book, "toy-rated")
    rewards = configured.make().fit(one.pairs, rng=np.random.default_rng(0)).reward(one.test_embeddings)
    assert np.isfinite(rewards).all()
    assert len(set(rewards.tolist())) > 1
    with pytest.raises(NotApplicable):
        configured.make().fit(setting(book, "toy-rated[gives=none]").pairs, rng=np.random.default_rng(0))


# Cards


def test_a_task_names_its_successor_and_one_that_does_not_exist_is_refused(toy_root):
    card = toy_root / "tasks" / "toy-human.toml"
    text = card.read_text()
    card.write_text(text + 'superseded_by = "toy-gold@1"\n')
    assert read_book([toy_root]).task("toy-human").superseded_by == "toy-gold@1"
    for nobody in ("toy-gold@2", "toy-human@1", "toy-gold"):
        card.write_text(text + f'superseded_by = "{nobody}"\n')
        with pytest.raises(TaskError, match="label of another task that exists"):
            read_book([toy_root])


@pytest.mark.parametrize(
    "line",
    ['pairing = "near"', "budget = -1", 'gives = "ratings"', 'gives = ["gold"]', 'changes = "x"', "train_pool = 1"],
)
def test_an_optional_field_of_the_wrong_kind_is_refused(toy_root, line):
    card = toy_root / "tasks" / "toy-human.toml"
    card.write_text(card.read_text() + line + "\n")
    with pytest.raises(TaskError, match=line.partition(" =")[0]):
        read_book([toy_root])


# The commands

RUN = ("-m", "good", "-r", "2", "-j", "1")
VARIANT = "toy-gold[annotator=flip[rate=0.2],budget=60]"
LABEL = "toy-gold@1[annotator=flip[rate=0.2],budget=60]"


@pytest.fixture
def toys(tmp_path, root, capfd, monkeypatch):
    return set_up(tmp_path, source("good", root=root), capfd, monkeypatch)


def test_a_variant_goes_through_every_command_as_any_task_does(toys):
    answer = toys("run", *RUN, "-t", VARIANT, "-t", "toy-gold", "-t", LABEL)
    assert (answer.code, answer.err) == (0, "Results: rmsuite-results\n")
    assert [line for line in answer.out.splitlines() if line in (LABEL, "toy-gold@1")] == ["toy-gold@1", LABEL]
    assert toys("table").out == answer.out
    only = toys("table", "-t", VARIANT).out
    assert only.splitlines()[0] == LABEL
    assert "toy-gold@1\n" not in only
    both = toys("table", "-t", "toy-gold").out
    assert both.count("Signature: ") >= 2
    for command in (
        ("verify", "--rerun", "all"),
        ("inspect", "good", "-t", VARIANT),
        ("compare", "good", "length", "-t", VARIANT, "--items", "items.csv"),
        ("cite",),
        ("export", "--items"),
        ("score",),
        ("info", VARIANT),
    ):
        answer = toys(*command)
        assert answer.code == 0, answer
        assert command[0] in ("verify", "score") or "flip[rate=0.2]" in answer.out
    assert "2310.02743" in toys("cite").out
    assert toys.bare("diff-protocol", "rmsuite-results", "rmsuite-results").code == 0


@pytest.mark.parametrize("style", ["text", "markdown", "latex", "csv", "json"])
def test_a_published_table_of_a_variant_is_reproduced(toys, style):
    table = Path("table.txt")
    table.write_text(toys("run", *RUN, "-t", "toy-gold[annotator=tie-giving]", "--format", style).out)
    answer = toys("reproduce", table)
    assert answer.code == 0, answer
    assert "'toy-gold[annotator=tie-giving[of=perfect,within=0.1]]'" in answer.out


def test_ties_are_told_under_the_table(toys):
    answer = toys("run", *RUN, "-t", "toy-gold[annotator=tie-giving[within=0.5]]")
    assert " ties and 0 abstentions are left out)" in answer.out


def test_a_superseded_task_warns_by_name_when_it_is_run(toys, toy_root, tmp_path):
    card = toy_root / "tasks" / "toy-human.toml"
    card.write_text(card.read_text() + 'superseded_by = "toy-gold@1"\n')
    write(toys.plugin, source("good", root=toy_root))
    answer = toys("run", *RUN, "-t", "toy-human")
    assert answer.code == 0
    assert "rmsuite: toy-human@1 is superseded by toy-gold@1" in answer.err
    assert "toy-gold@1" in toys("info", "toy-human").out


def test_a_suite_may_name_variants(toys, root):
    card = root / "suites" / "noise.toml"
    card.write_text(
        f'name = "noise"\nsummary = "s"\ntasks = ["toy-gold", "{VARIANT}", "toy-gold[budget=0]"]\nrepetitions = 1\n'
    )
    try:
        answer = toys("run", "-m", "good", "-j", "1", "--suite", "noise")
        assert answer.code == 0
        assert answer.out.count("Signature: rmsuite:2|task:") == 2
    finally:
        card.unlink()
