"""Worker processes: one thread each, silent, and gone when the run is. Whoever runs a suite beside other work relies
on it, and the bits of every result rely on the one thread.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from running import MISBEHAVING, alive, loaded, run, same_arrays, text_within

from rmsuite import harness, plugins, results
from rmsuite.cells import ONE_THREAD, Conditions
from rmsuite.executors import Local
from rmsuite.forking import KEPT_OUTPUT
from rmsuite.forks import Server
from rmsuite.harness import Entrant

HERE = Path(__file__).parent


def assert_ends(pid: int, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while alive(pid):
        assert time.monotonic() < deadline, f"process {pid} runs on"
        time.sleep(0.05)


def test_a_worker_has_one_blas_thread_whatever_the_environment_says(toy_root, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    cell = run(toy_root, tmp_path / "home", ["threads"])["toy-gold@1", "threads", 0]
    assert set(cell.arrays["rewards"]) == {1}


def test_a_time_limit_that_a_plugin_sets_for_all_sockets_is_not_for_those_of_cells(toy_root, tmp_path):
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(0.001)
    try:
        cell = run(toy_root, tmp_path / "home", ["pausing"])["toy-gold@1", "pausing", 0]
    finally:
        socket.setdefaulttimeout(before)
    assert cell.status == "ok", cell.error


def test_what_a_module_starts_while_it_is_imported_for_all_cells_ends_with_the_run(tmp_path):
    """Its parent has ended, so that it is nobody's child; and a thread makes the module one that is not kept."""
    text = f"""
        import os, subprocess, threading, time
        if not os.fork():
            child = subprocess.Popen(["sleep", "600"], start_new_session=True)
            open({str(tmp_path / "pid")!r}, "w").write(str(child.pid))
            os._exit(0)
        os.wait()
        threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
    """
    (tmp_path / "starts_at_import.py").write_text(textwrap.dedent(text))
    server = Server(ONE_THREAD | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}, ["starts_at_import"])
    server.close()
    assert not server.ready
    assert not alive(int((tmp_path / "pid").read_text()))


def test_what_ends_a_process_group_or_all_of_a_job_leaves_the_server_to_clean_up():
    """`timeout` and schedulers send SIGTERM to every process; a server that ended by it would leave daemons behind."""
    server = Server(ONE_THREAD, [])
    pid = server._process.pid
    try:
        assert os.getpgid(pid) == pid
        os.kill(pid, signal.SIGTERM)
        assert server.worker().kill() == ("", 0)
    finally:
        server.close()


def test_what_a_method_prints_is_recorded_in_its_order_and_reaches_no_stream_of_the_run(toy_root, tmp_path, capfd):
    cell = run(toy_root, tmp_path / "home", ["printing"])["toy-gold@1", "printing", 0]
    assert cell.status == "ok"
    native = "written by native code\nto standard error\npast the redirection\nin reward\n"
    assert cell.output.endswith("x\nend of fit\n" + native)
    assert len(cell.output) <= KEPT_OUTPUT
    assert capfd.readouterr() == ("", "")


def test_megabytes_printed_by_native_code_cost_nothing_but_their_beginning(toy_root, tmp_path, capfd):
    cell = run(toy_root, tmp_path / "home", ["printing-native"])["toy-gold@1", "printing-native", 0]
    assert (cell.status, capfd.readouterr()) == ("ok", ("", ""))
    assert cell.output.endswith("yyy\N{REPLACEMENT CHARACTER} the end")
    assert len(cell.output) <= KEPT_OUTPUT


def test_the_last_words_of_a_crash_are_kept_and_say_where_it_was(toy_root, tmp_path, capfd):
    cell = run(toy_root, tmp_path / "home", ["segfault"])["toy-gold@1", "segfault", 0]
    assert "Fatal Python error: Segmentation fault" in cell.output
    assert "misbehaving.py" in cell.output
    assert capfd.readouterr() == ("", "")


def test_a_method_that_closes_its_output_goes_on(toy_root, tmp_path):
    assert run(toy_root, tmp_path / "home", ["closing-output"])["toy-gold@1", "closing-output", 0].status == "ok"


def test_what_a_method_writes_beside_itself_meets_no_other_cell_and_is_gone(toy_root, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "temporary").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    cells = run(toy_root, tmp_path / "home", ["writing"], repetitions=3, n_jobs=2)
    written = {float(x) for key, cell in cells.items() if key[1] == "writing" for x in cell.arrays["rewards"]}
    assert written == {1.0}
    assert not list((tmp_path / "here").iterdir())
    assert not list((tmp_path / "temporary").iterdir())


def test_a_method_that_looks_for_a_file_beside_itself_is_told_where_it_is(toy_root, tmp_path):
    cell = run(toy_root, tmp_path / "home", ["reading-here"])["toy-gold@1", "reading-here", 0]
    assert "give files by their whole path" in cell.error
    absent = run(toy_root, tmp_path / "home", ["reading-here[file=/nowhere.npy]"])
    assert all("whole path" not in cell.error for cell in absent.values())


def test_what_a_method_started_ends_with_the_run(toy_root, tmp_path):
    """A child in a session of its own is in no group of the worker's."""
    note = tmp_path / "pid"
    label = f"forking[file={note}]"
    assert run(toy_root, tmp_path / "home", [label])["toy-gold@1", label, 0].status == "ok"
    assert not alive(int(note.read_text()))


@pytest.mark.skipif(sys.platform != "linux", reason="threads are seen through /proc")
def test_threads_that_a_method_starts_are_noted(toy_root, tmp_path):
    cells = run(toy_root, tmp_path / "home", ["many-threads", "honest"])
    assert cells["toy-gold@1", "many-threads", 0].notes == ("ran 64 threads beside the one that it is given",)
    assert cells["toy-gold@1", "honest", 0].notes == ()


def test_a_method_that_blocks_in_native_code_is_ended(toy_root, tmp_path):
    cell = run(toy_root, tmp_path / "home", ["blocking"], timeout=2.0)["toy-gold@1", "blocking", 0]
    assert (cell.status, cell.error) == ("failed", "ran for more than 2 s")


def test_state_that_a_method_changes_meets_no_other_cell(toy_root, tmp_path):
    cells = run(toy_root, tmp_path / "home", ["disturbing-state", "honest"])
    alone = run(toy_root, tmp_path / "alone", ["honest"])
    key = "toy-gold@1", "honest", 0
    assert same_arrays(cells[key].arrays, alone[key].arrays)
    assert cells["toy-gold@1", "disturbing-state", 0].status == "failed"


def test_a_stop_keeps_finished_cells_and_ends_busy_workers(toy_root, tmp_path):
    """Ctrl-C while another slot is in the middle of a long fit: the run does not wait for it."""
    note = tmp_path / "pid"

    def stop(record):
        if record.method == "honest":
            text_within(note)
            raise KeyboardInterrupt

    home = tmp_path / "home"
    with pytest.raises(KeyboardInterrupt):
        run(toy_root, home, [f"sleeping[file={note}]", "honest"], n_jobs=2, on_cell=stop)
    assert_ends(int(note.read_text()))
    kept = {cell.method: cell for cell in results.read_all(home)}
    assert set(kept) == {"honest", "random", "length", "embedding-norm", "shuffled-labels", "oracle"}
    again = run(toy_root, tmp_path / "again", ["honest"])
    assert all(same_arrays(kept[key[1]].arrays, cell.arrays) for key, cell in again.items())


@pytest.mark.parametrize("after", [0, 3, 6])
def test_a_stop_after_any_cell_leaves_the_cells_before_it_readable(toy_root, tmp_path, after):
    seen = []

    def stop(record):
        seen.append(record)
        if len(seen) > after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(toy_root, tmp_path / "home", ["honest", "first-feature"], repetitions=2, on_cell=stop)
    read = {(cell.method, cell.repetition) for cell in results.read_all(tmp_path / "home")}
    assert read == {(record.method, record.repetition) for record in seen}


def test_an_error_of_the_caller_ends_the_workers(toy_root, tmp_path):
    note = tmp_path / "pid"

    def fail(record):
        if record.method == "honest":
            text_within(note)
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        run(toy_root, tmp_path / "home", [f"sleeping[file={note}]", "honest"], n_jobs=2, on_cell=fail)
    assert_ends(int(note.read_text()))


@pytest.mark.skipif(os.name != "posix", reason="a process cannot be killed so elsewhere")
def test_workers_of_a_killed_run_end_by_themselves(toy_root, tmp_path):
    note = tmp_path / "pid"
    script = f"""
        import sys
        sys.path.insert(0, {str(HERE)!r})
        from pathlib import Path
        from running import run
        run(Path({str(toy_root)!r}), Path({str(tmp_path / "home")!r}), ["sleeping[file={note}]"])
    """
    arguments = [sys.executable, "-c", textwrap.dedent(script)]
    with subprocess.Popen(arguments, stderr=subprocess.DEVNULL) as process:
        worker = int(text_within(note))
        assert alive(worker)
        process.kill()
    assert_ends(worker)


def test_a_cell_that_takes_too_long_is_ended_and_costs_no_other(toy_root, tmp_path):
    note = tmp_path / "pid"
    cells = run(toy_root, tmp_path / "home", [f"sleeping[file={note}]", "honest"], timeout=3.0)
    (slow,) = [cell for cell in cells.values() if cell.method.startswith("sleeping")]
    assert (slow.status, slow.phase, slow.error) == ("failed", "fit", "ran for more than 3 s")
    assert_ends(int(note.read_text()))
    assert cells["toy-gold@1", "honest", 0].status == "ok"


def test_a_method_gets_no_more_memory_than_it_may_have_and_costs_no_other(toy_root, tmp_path):
    cells = run(toy_root, tmp_path / "home", ["hungry", "honest"], memory=2**30)
    hungry = cells["toy-gold@1", "hungry", 0]
    assert (hungry.status, hungry.phase) == ("failed", "fit")
    assert "Unable to allocate" in hungry.error
    assert hungry.error.endswith("(--memory leaves it 1024 MiB)")
    assert cells["toy-gold@1", "honest", 0].status == "ok"
    assert run(toy_root, tmp_path / "more", ["hungry"], memory=2**33)["toy-gold@1", "hungry", 0].status == "ok"


PATCHING = """
import numpy as np
import rmsuite

np.tanh = np.sin
if {reads}:
    with open("read beside me") as file:
        file.read()

class Patching:
    def fit(self, pairs, *, rng):
        return self
    def reward(self, embeddings):
        return embeddings[:, 0]

@rmsuite.hookimpl
def rmsuite_methods():
    return [rmsuite.Method(name="patching", make=Patching)]
"""


@pytest.mark.parametrize("reads", [False, True])
def test_a_plugin_file_is_run_in_the_cells_of_its_own_methods_only(toy_root, tmp_path, monkeypatch, reads):
    """What an import does to numpy, or where it fails in a worker, concerns nobody else."""
    alone = run(toy_root, tmp_path / "alone", ["scaled"])["toy-gold@1", "scaled", 0]
    monkeypatch.chdir(tmp_path)
    Path("read beside me").write_text("")
    Path("patching.py").write_text(PATCHING.format(reads=reads))
    monkeypatch.setattr(np, "tanh", np.tanh)  # what the run's own process is left with
    catalogue = plugins.load([MISBEHAVING, Path("patching.py")], installed=False)
    entrants = [Entrant(catalogue.configured(name)[1], "a test") for name in ("scaled", "patching")]
    files = {plugins.load_file(path).__name__: path for path in catalogue.files}
    records = harness.run(
        loaded(toy_root, "toy-gold"), entrants, 1, 0, Local(1, Conditions(files=files)), tmp_path / "home"
    )
    cells = {record.method: record for record in records}
    # Its rewards: metrics are made in the run's own process, which imports all plugin files.
    assert cells["scaled"].arrays["rewards"].tobytes() == alone.arrays["rewards"].tobytes()
    assert cells["patching"].status == ("failed" if reads else "ok")
