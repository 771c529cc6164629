"""Policy cells on a Dask cluster have the bits of a local run, and no gold travels. Whoever trains many relies on it.

The scheduler and the workers are real processes on this machine.
"""

from __future__ import annotations

import shutil

import pytest
from clusters import cluster
from conftest import write_root
from plugin_files import TASKS, write
from running import loaded, same_arrays
from test_policy_cells import BETA, FAILURES, PLUGIN, SHORT, run

from rmsuite import cli, parcels, plugins, policy_cells, results
from rmsuite.cells import Conditions
from rmsuite.clusters import Dask
from rmsuite.commands import executing
from rmsuite.executors import InProcess
from rmsuite.harness import Entrant
from rmsuite.policy_study import FOLDER, Improver, Study, label

# What a method that dies or is stopped leaves of Dask itself is said in its own logs, of which tests want none.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning:distributed")


@pytest.fixture(scope="module")
def dask(tmp_path_factory):
    with cluster(tmp_path_factory.mktemp("cluster")) as found:
        yield found


@pytest.fixture
def file(tmp_path):
    return write(tmp_path / "theirs.py", PLUGIN)


def crossed(file, methods, optimizers, repetitions=1):
    catalogue = plugins.load([file], installed=False)
    found = (catalogue.configured(text)[1] for text in methods)
    entrants = [Entrant(one, "a test", catalogue.made_of(one)) for one in found]
    offered = (catalogue.optimizer(text)[1] for text in optimizers)
    improvers = [Improver(one, "a test", catalogue.code_of_optimizer(one)) for one in offered]
    return catalogue, policy_cells.Crossed(entrants, Study(improvers, (BETA,), SHORT, 2), repetitions, 0)


def by_cell(records):
    return {(record.method, record.repetition): record for record in records}


def test_all_numbers_and_failures_are_those_of_a_local_run(dask, file, tmp_path):
    """Of embeddings that a worker has not, too: their folder is gone when the cells run."""
    root, texts, methods = write_root(tmp_path / "toy-tasks"), [*FAILURES, "rloo", "best"], ("good", "failing")
    expected = run(file, root, tmp_path / "local", texts, methods=methods, repetitions=2)
    catalogue, given = crossed(file, methods, texts, 2)
    order = executing.order(catalogue, given.entrants, Conditions((root / "pools",)), given.study.improvers)
    tasks = loaded(root, "toy-gold")
    assert tasks[0].signature()  # is read from the folder once
    shutil.move(root, tmp_path / "gone")
    found = by_cell(policy_cells.run(tasks, given, Dask(dask.address, order), tmp_path / "dask"))
    assert found.keys() == expected.keys()
    for key, record in found.items():
        other = expected[key]
        assert (record.status, record.phase, record.error) == (other.status, other.phase, other.error)
        assert same_arrays(dict(record.arrays), dict(other.arrays)), key
    assert found[label("good", "rloo", BETA), 1].arrays["gold"].any()


def test_a_parcel_holds_what_the_optimizer_sees_and_no_setting(file, toy_root, tmp_path, monkeypatch):
    sent = []

    def taken(jobs):
        for job in jobs:
            sent.append(parcels.packed(job))
            yield job

    run_here = InProcess.run
    monkeypatch.setattr(InProcess, "run", lambda self, jobs: run_here(self, taken(jobs)))
    _, given = crossed(file, ("good",), ("rloo",))
    (record,) = policy_cells.run(loaded(toy_root, "toy-gold"), given, InProcess(), tmp_path / "home")
    assert (record.status, len(sent)) == ("ok", 2)
    for parcel in sent:
        assert not any(name in parcel for name in (b"rmsuite.setting", b"policy_setting", b"rmsuite.tasks", b"Pool"))


def test_the_command_line_runs_policies_on_a_cluster(dask, file, toy_root, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(plugins, "entry_points", lambda group: [])
    write(file, PLUGIN + TASKS.format(root=str(toy_root)))
    given = ["policy", "--plugin", file, "-m", "good", "-t", "toy-gold", "-r", "1", "--steps", "4", "--policies", "2"]
    given += ["--optimizer", "rloo", "--optimizer", "optimum"]
    executors = {"dask": ["--executor", "dask", "--address", dask.address], "serial": ["--executor", "serial"]}
    found = {}
    for home, more in executors.items():
        assert cli.main(list(map(str, [*given, "-o", tmp_path / home, *more]))) == 0, capsys.readouterr().err
        found[home] = by_cell(results.read_all(tmp_path / home / FOLDER))
    assert len(found["dask"]) == 2
    assert all(same_arrays(dict(cell.arrays), dict(found["serial"][key].arrays)) for key, cell in found["dask"].items())
