"""A Dask cluster gives the bits of a local run, whatever happens to its workers. Who runs many cells relies on it.

The scheduler and the workers are real processes on this machine.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from socket import gethostname

import pytest
from clusters import Cluster, cluster, wait_for
from conftest import write_root
from misbehaving import FAILING
from running import MISBEHAVING, alive, loaded, run, same_arrays, text_within

from rmsuite import clusters, harness, plugins, results
from rmsuite.cells import Conditions
from rmsuite.cli import main
from rmsuite.clusters import Dask
from rmsuite.commands import executing
from rmsuite.errors import ClusterError
from rmsuite.executors import InProcess
from rmsuite.harness import Entrant
from rmsuite.sites import Order

README = Path(__file__).parents[1] / "README.md"
# What a method that dies or is stopped leaves of Dask itself is said in its own logs, of which tests want none.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning:distributed")


@pytest.fixture(scope="module")
def dask(tmp_path_factory):
    with cluster(tmp_path_factory.mktemp("cluster")) as found:
        yield found


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_root(tmp_path_factory.mktemp("clusters") / "toy-tasks")


def entered(texts, plugin=MISBEHAVING):
    catalogue = plugins.load([plugin], installed=False)
    chosen = [catalogue.configured(text)[1] for text in texts]
    return catalogue, [Entrant(one, "a test", catalogue.made_of(one)) for one in chosen]


def ordered(catalogue, entrants, root, **limits) -> Order:
    return executing.order(catalogue, entrants, Conditions((root / "pools",), **limits))


def by_method(records):
    return {(record.method, record.repetition): record for record in records if record.kind == "method"}


def on_cluster(dask: Cluster, root, home, texts, *, repetitions=1, on_cell=lambda record: None, **limits):
    catalogue, entrants = entered(texts)
    workers = Dask(dask.address, ordered(catalogue, entrants, root, **limits))
    tasks = loaded(root, "toy-gold")
    return by_method(harness.run(tasks, entrants, repetitions, 0, workers, home, on_cell=on_cell))


def locally(root, home, texts, **given):
    return by_method(run(root, home, texts, **given).values())


def assert_same(cells, others):
    assert cells.keys() == others.keys()
    assert all(same_arrays(cell.arrays, others[key].arrays) for key, cell in cells.items())


def test_all_executors_give_the_same_bits(dask, root, tmp_path):
    """Pairs, random streams, uncertainties and probabilities: all that a method can use or give."""
    texts = ["honest", "versed", "honest[tag=1]"]
    cells = on_cluster(dask, root, tmp_path / "dask", texts, repetitions=3)
    assert_same(cells, locally(root, tmp_path / "serial", texts, repetitions=3))
    assert_same(cells, locally(root, tmp_path / "parallel", texts, repetitions=3, n_jobs=2))
    _, entrants = entered(texts)
    here = harness.run(loaded(root, "toy-gold"), entrants, 3, 0, InProcess(), tmp_path / "here")
    assert_same(cells, by_method(here))
    assert {"rewards", "uncertainty", "probability"} <= cells["versed", 0].arrays.keys()


def test_each_failure_is_what_it_is_locally(dask, root, tmp_path):
    """A method that dies, refuses, prints or breaks its promises costs its own cell, and says the same."""
    texts = [*FAILING, "cannot-be-sent", "printing", "honest"]
    cells = on_cluster(dask, root, tmp_path / "dask", texts)
    others = locally(root, tmp_path / "local", texts)
    assert cells.keys() == others.keys()
    for key, cell in cells.items():
        other = others[key]
        words = [one.error.partition(" object at ")[0] for one in (cell, other)]
        assert (cell.status, cell.phase, words[0]) == (other.status, other.phase, words[1])
    assert cells["printing", 0].output == others["printing", 0].output
    assert_same({("honest", 0): cells["honest", 0]}, {("honest", 0): others["honest", 0]})


def test_limits_hold_there_too_and_no_file_with_gold_may_be_opened(dask, root, tmp_path):
    reading = f"reading-here[file={next(root.glob('pools/*/gold.npy'))}]"
    texts = [f"sleeping[file={tmp_path / 'pid'}]", "hungry", reading]
    cells = on_cluster(dask, root, tmp_path / "dask", texts, timeout=4.0, memory=2**30)
    slow, hungry, curious = (cells[text, 0] for text in texts)
    assert slow.error == "ran for more than 4 s"
    assert "Unable to allocate" in hungry.error
    assert "a reward model may not touch" in curious.error


def test_a_plugin_file_is_shipped_with_what_it_imports(dask, root, tmp_path, monkeypatch):
    """Its folder need not be on the workers' machines; another file beside it has to be."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "shipped_helper.py").write_text("FACTOR = 3.0\n")
    (folder / "mine.py").write_text(
        "import rmsuite, shipped_helper\n"
        "class Mine:\n"
        "    def fit(self, pairs, *, rng):\n"
        "        print('read from', shipped_helper.__file__)\n"
        "    def reward(self, embeddings):\n"
        "        return shipped_helper.FACTOR * embeddings[:, 0]\n"
        "@rmsuite.hookimpl\n"
        "def rmsuite_methods():\n"
        "    return [rmsuite.Method(name='mine', make=Mine)]\n"
    )
    catalogue, entrants = entered(["mine"], folder / "mine.py")
    workers = Dask(dask.address, ordered(catalogue, entrants, root))
    folder.rename(tmp_path / "elsewhere")
    (cell,) = by_method(harness.run(loaded(root, "toy-gold"), entrants, 1, 0, workers, tmp_path / "home")).values()
    assert cell.status == "ok", cell.error
    assert "rmsuite-plugins-" in cell.output
    monkeypatch.delitem(sys.modules, "shipped_helper")


def test_embeddings_that_a_worker_cannot_find_are_sent_once(tmp_path, monkeypatch):
    """Of a folder that is gone by then, only what the run has open is left; each worker gets it from the cluster."""
    root = write_root(tmp_path / "toy-tasks")
    expected = locally(root, tmp_path / "local", ["honest"], repetitions=4)
    tasks = loaded(root, "toy-gold")
    catalogue, entrants = entered(["honest"])
    order, sent = ordered(catalogue, entrants, root), []
    submitted = clusters._Run._submitted

    def spy(self, name, *given):
        sent.append(name)
        return submitted(self, name, *given)

    monkeypatch.setattr(clusters._Run, "_submitted", spy)
    assert tasks[0].signature()  # is read from the folder once
    root.rename(tmp_path / "gone")
    with cluster(tmp_path / "cluster") as own:  # its workers have seen no task yet
        cells = by_method(harness.run(tasks, entrants, 4, 0, Dask(own.address, order), tmp_path / "home"))
    assert_same(cells, expected)
    assert len([name for name in sent if name.startswith("embeddings-")]) == 1


def test_a_worker_that_is_killed_is_survived_and_a_new_one_takes_part(root, tmp_path):
    texts = [f"pausing[tag={i}]" for i in range(12)]
    with cluster(tmp_path / "cluster") as own:
        seen = []

        def disturb(record):
            seen.append(record)
            if record.kind == "method" and len([r for r in seen if r.kind == "method"]) == 1:
                own.kill(0)
                own.grow(tmp_path / "late")

        cells = on_cluster(own, root, tmp_path / "dask", texts, on_cell=disturb)
    assert_same(cells, locally(root, tmp_path / "local", texts, n_jobs=2))


def test_a_method_that_kills_every_dask_worker_costs_its_own_cell(root, tmp_path):
    with cluster(tmp_path / "cluster") as own:
        cells = on_cluster(own, root, tmp_path / "dask", ["kills-grandparent", "honest"])
    assert cells["kills-grandparent", 0].error == "each Dask worker that ran it died"
    assert cells["honest", 0].status == "ok"


def test_a_run_whose_scheduler_ends_says_so_and_keeps_what_is_finished_and_nothing_else(root, tmp_path, monkeypatch):
    """A cell that was lost with it has not failed."""
    monkeypatch.setattr(clusters, "CONNECT", 5)  # seconds, for coming back too

    def disturb(record):
        if record.kind == "method":
            own.kill_scheduler()

    texts = [f"honest[tag={i}]" for i in range(8)]
    with cluster(tmp_path / "cluster", n_workers=1) as own, pytest.raises(ClusterError, match="finished cells stay"):
        on_cluster(own, root, tmp_path / "dask", texts, on_cell=disturb)
    kept = [record for record in results.read_all(tmp_path / "dask") if record.kind == "method"]
    assert [record.status for record in kept] == ["ok"]


def test_a_run_that_is_stopped_ends_its_cells_there(dask, root, tmp_path):
    note = tmp_path / "pid"

    def stop(record):
        if record.method == "honest":
            text_within(note)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        on_cluster(dask, root, tmp_path / "home", [f"sleeping[file={note}]", "honest"], on_cell=stop)
    wait_for(lambda: not alive(int(note.read_text())))


def test_the_cells_of_a_killed_run_end_there(dask, tmp_path):
    """Nobody is left to say so; and what they keep goes."""
    root, note = write_root(tmp_path / "toy-tasks"), tmp_path / "pid"
    (root / "suites" / "default.toml").unlink()  # the installed suite has that name
    given = ["--tasks", root, "--plugin", MISBEHAVING, "-t", "toy-gold", "-r", "1", "-m", f"sleeping[file={note}]"]
    command = [sys.executable, "-m", "rmsuite", "run", *given, "--executor", "dask", "--address", dask.address]
    with subprocess.Popen(list(map(str, command)), cwd=tmp_path, stdout=subprocess.DEVNULL) as process:
        text_within(note)
        process.kill()
    wait_for(lambda: not alive(int(note.read_text())))


def test_a_worker_with_other_packages_or_code_is_refused(dask, root, tmp_path):
    """Its numbers would stand under the name of these."""
    catalogue, entrants = entered(["honest"])
    order = ordered(catalogue, entrants, root)
    tasks = loaded(root, "toy-gold")
    for name in ("numpy", "rmsuite", "python"):
        other = Dask(dask.address, replace(order, expected={**order.expected, name: "0.0"}))
        with pytest.raises(ClusterError, match=rf"Dask worker on {gethostname()}: .* got {name} \(0.0 -> "):
            harness.run(tasks, entrants, 1, 0, other, tmp_path / name)


def test_what_is_expected_of_workers_names_the_code_and_packages_of_installed_methods():
    catalogue = plugins.load()
    configured = catalogue.configured("bt-linear")[1]
    entrants = [Entrant(configured, "baselines", catalogue.made_of(configured))]
    expected = executing.order(catalogue, entrants, Conditions()).expected
    assert {"rmsuite", "numpy", "code of rmsuite_baselines"} <= expected.keys()
    assert expected == executing.look(expected)
    assert "absent" not in expected.values()


def test_the_command_line_runs_on_a_cluster(dask, tmp_path):
    """As a user types it: the installed baselines and tasks, found by their hash at the workers."""
    given = ["run", "-m", "mean-difference", "--suite", "smoke", "--no-stored", "-r", "1"]
    executors = {"dask": ["--executor", "dask", "--address", dask.address], "serial": ["--executor", "serial"]}
    for home, more in executors.items():
        command = [sys.executable, "-m", "rmsuite", *given, "-o", str(tmp_path / home), *more]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    names = [{p.relative_to(tmp_path / home) for p in (tmp_path / home).rglob("*.npz")} for home in executors]
    assert names[0] == names[1]  # the names hold the sha256 of the arrays
    assert len(names[0]) > 6


SBATCH = """#!/bin/sh
cp "$1" {folder}/job.sh
setsid sh {folder}/job.sh > {folder}/job.log 2>&1 &
echo "Submitted batch job $!"
"""
SCANCEL = """#!/bin/sh
kill -9 -- -$1
"""


@pytest.fixture
def slurm(tmp_path):
    """Programs that take SLURM's place: a job runs on this machine, and its text is kept."""
    for name, text in (("sbatch", SBATCH.format(folder=tmp_path)), ("scancel", SCANCEL)):
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o700)
    path = os.pathsep.join([str(tmp_path / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, "PATH": path}


def test_the_readmes_script_for_slurm_asks_for_what_it_says_and_runs(slurm, tmp_path):
    (script,) = re.findall(r"```python\n(import subprocess.*?)```", README.read_text("utf-8"), re.DOTALL)
    assert all(text in script for text in ("cores=8", "processes=8", "jobs=4"))
    small = script.replace("=8", "=2").replace("jobs=4", "jobs=1")
    (tmp_path / "slurm.py").write_text(small)
    given = ["-m", "mean-difference", "--suite", "smoke", "--no-stored", "-r", "1", "-o", str(tmp_path / "out")]
    command = [sys.executable, "slurm.py", *given]
    done = subprocess.run(command, cwd=tmp_path, env=slurm, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "mean-difference" in done.stdout
    job = (tmp_path / "job.sh").read_text()
    for line in ("-p cpu", "-n 1", "--cpus-per-task=2", "--mem=15G", "-t 02:00:00"):
        assert f"\n#SBATCH {line}\n" in job
    assert re.search(r"-m distributed.cli.dask_worker tcp://\S+ .*--nthreads 1 .*--nworkers 2 .*--no-dashboard", job)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--executor", "dask"], "--executor dask --address"),
        (["--address", "tcp://127.0.0.1:9"], "--executor dask --address"),
        (["--executor", "dask", "--address", "tcp://127.0.0.1:9"], "start one with `dask scheduler`"),
        (["--executor", "dask", "--address", "nonsense://x"], "tcp://HOST:8786"),
        (["--executor", "dask", "--address", "no-port"], "missing port number"),
    ],
)
def test_a_cluster_that_is_not_there_is_an_error_in_words(more, said, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(clusters, "CONNECT", 1)
    assert main(["run", "-m", "mean-difference", "--suite", "smoke", "-o", str(tmp_path / "out"), *more]) == 2
    assert said in capsys.readouterr().err
