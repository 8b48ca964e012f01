"""Many workers find what one finds, whoever dies or is stopped on the way."""

import contextlib
import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from optuna.trial import TrialState

from dse.cli.main import main
from dse.search import archive, runs, settings, shared, storage, worker, workers
from dse.search.archive import Row
from dse.search.settings import OBJECTIVES
from dse.search.shared import Shared
from dse.search.study import Infeasible, Search
from dse.specs import library
from tests.search.conftest import STUDY


def named(tmp_path, name, trials, sampler="nsga2"):
    """The tiny study under a name of its own, with so many trials."""
    text = STUDY.replace('name = "tiny"', f'name = "{name}"')
    file = tmp_path / f"{name}.toml"
    text = text.replace('"nsga2"', f'"{sampler}"').replace("trials = 24", f"trials = {trials}")
    file.write_text(text)
    library.forget()
    return file, settings.read(str(file))


def searched(file, read, folder, team, report=None):
    found = workers.start(read, str(file), folder, team)
    workers.run(read, found, team, report)
    return found


def team(count, url=None, islands=None):
    return {"workers": count, "storage": url, "islands": islands}


@pytest.fixture(autouse=True)
def often(monkeypatch):
    """Look at the shared study often, so that tests see searches this short on their way."""
    monkeypatch.setattr(workers, "POLL_S", 0.05)


@contextlib.contextmanager
def joined(place, name):
    found = Shared(place, name)
    found.join()
    yield found
    found.close()


def alone(read, place, islands):
    """All islands, one after the other, in this process."""
    found = Shared(place, read.name)
    found.open(read, islands, islands)
    while (ticket := found.take()) is not None:
        worker.search_island(found, ticket, read)
    return found


def built(trials):
    """What each trial built, and for which level, as text that compares."""
    return [
        json.dumps(sorted((name, float(f"{value:.6g}")) for name, value in trial.params.items()))
        for trial in trials
    ]


def volume(trials, read):
    points, _ = worker.competed(trials, read)
    best = points[archive.nondominated(points)]
    return archive.hypervolume(best, np.log10(read.reference_point))


def test_two_workers_on_postgresql_find_the_front_of_one(postgres_url, tmp_path):
    file, read = named(tmp_path, "two", trials=32)
    run = searched(file, read, tmp_path / "run", team(2, postgres_url))
    with joined(postgres_url, "two") as found:
        view = found.view()
    one = alone(read, f"{storage.JOURNAL}{tmp_path / 'one.log'}", islands=2)
    assert len(view.finished) == 32
    assert not view.unfinished
    assert sorted(built(view.finished)) == sorted(built(one.view().finished))
    both = [set(built(view.of_island(island))) for island in (0, 1)]
    assert not both[0] & both[1]
    assert volume(view.finished, read) == pytest.approx(volume(one.view().finished, read), rel=1e-3)
    front = run.front()
    assert front["trials"] == 32
    assert front["hypervolume"] == pytest.approx(volume(view.finished, read), rel=1e-3)
    by_id = {design["id"]: design for design in front["designs"]}
    table = pd.read_parquet(run.evaluated).set_index("id")
    assert not table.index.duplicated().any()
    assert not table.drop(columns="trial").duplicated().any()
    for key, design in by_id.items():
        goals = [design[goal] for goal in OBJECTIVES]
        np.testing.assert_allclose(table.loc[key, list(OBJECTIVES)].astype(float), goals, rtol=1e-4)


def test_a_second_command_joins_and_ends_with_the_same_front(postgres_url, tmp_path):
    file, read = named(tmp_path, "joined", trials=8)
    one = alone(read, postgres_url, islands=2)
    one.close()
    run = searched(file, read, tmp_path / "run", team(3, postgres_url))
    assert run.state["trials"] == 8
    assert json.loads((run.folder / "front.json").read_text())["trials"] == 8
    with workers.whole(read, run) as folder:  # as a certificate does
        search = Search(read, folder)
        assert search.state["trials"] == 8
        assert {row.id for row in search.archive.rows} >= {d["id"] for d in run.front()["designs"]}
        search.enter([Row(0, "reticle_n3_stacked", (0.3, 0.9, 0.9), 0)])
        ids = {row.id for row in search.archive.rows}
    assert run.front()["trials"] == 9
    assert ids >= {design["id"] for design in run.front()["designs"]}
    assert not pd.read_parquet(run.evaluated)["id"].duplicated().any()


def test_a_killed_worker_is_replaced_and_loses_a_generation_at_most(postgres_url, tmp_path):
    file, read = named(tmp_path, "killed", trials=120, sampler="random")
    killed: list[int] = []

    def kill(progress):
        if killed or not progress.trials:
            return
        with joined(postgres_url, "killed") as found:
            view = found.view()
        for island in view.of_state(TrialState.RUNNING):
            if view.of_island(island):
                process = int(view.tickets[island].user_attrs[shared.WORKER].rpartition(":")[2])
                killed.append(len(view.of_island(island)))
                os.kill(process, signal.SIGKILL)
                return

    run = searched(file, read, tmp_path / "run", team(2, postgres_url), kill)
    assert killed
    with joined(postgres_url, "killed") as found:
        trials = found.study.get_trials(deepcopy=False)
    assert sum(t.state == TrialState.FAIL for t in trials) == 1
    finished = [t for t in trials if t.state == TrialState.COMPLETE]
    assert len(finished) == 120  # what it had saved counts, what it had not was searched again
    assert len(set(built(finished))) >= 0.99 * len(finished)
    assert run.front()["trials"] == 120


def test_an_interrupt_saves_and_another_number_of_workers_goes_on(tmp_path):
    file, read = named(tmp_path, "local", trials=120)

    def stop(progress):
        if progress.trials:
            raise KeyboardInterrupt

    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        searched(file, read, folder, team(2), stop)
    run = runs.Run(folder)
    before = run.state["trials"]
    assert 0 < before < 120
    assert run.front()["trials"] == before
    with joined(f"{storage.JOURNAL}{run.shared_journal}", "local") as found:
        assert not found.view().of_state(TrialState.RUNNING)
    assert main(["study", "resume", str(folder), "--workers", "1", "--json"]) == 0
    assert run.front()["trials"] == 120
    table = pd.read_parquet(run.evaluated)
    assert not table["id"].duplicated().any()


def test_ctrl_c_ends_the_command_and_its_workers_without_a_traceback(tmp_path):
    file, _ = named(tmp_path, "stopped", trials=40_000)
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "dse.cli.main", "run", str(file), "--workers", "2",
               "-o", str(folder)]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True,
                          start_new_session=True) as process:  # fmt: skip
        while not (folder / "state.json").exists() and process.poll() is None:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
        _, said = process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in said
    assert "dse study resume" in said
    with joined(f"{storage.JOURNAL}{folder / 'shared.log'}", "stopped") as found:
        assert not found.view().of_state(TrialState.RUNNING)


def test_workers_that_keep_dying_stop_the_search(tmp_path, monkeypatch):
    file, read = named(tmp_path, "dying", trials=8)
    monkeypatch.setattr(workers, "MOST_DEATHS", 0)

    def kill(_):
        for process in workers.multiprocessing.active_children():
            process.kill()

    monkeypatch.setattr(workers.time, "sleep", lambda _: kill(None))
    with pytest.raises(storage.Stopped, match="exit codes -9"):
        searched(file, read, tmp_path / "run", team(1))


def test_a_storage_that_goes_away_stops_the_search_for_later(tmp_path, monkeypatch, capsys):
    import sqlalchemy.exc

    file, read = named(tmp_path, "lost", trials=8)
    run = workers.start(read, str(file), tmp_path / "run", team(1))

    def gone(_):
        raise sqlalchemy.exc.OperationalError("SELECT", {}, Exception("server closed"))

    monkeypatch.setattr(Shared, "view", gone)
    assert main(["study", "resume", str(run.folder)]) == 4
    assert "server closed" in capsys.readouterr().err


def test_nothing_feasible_is_answered_before_anyone_starts(tmp_path):
    file, read = named(tmp_path, "impossible", trials=8)
    limits = tuple(dataclasses.replace(c, allowed=310.0) for c in read.constraints)
    with pytest.raises(Infeasible, match="silicon"):
        searched(file, dataclasses.replace(read, constraints=limits), tmp_path / "run", team(2))


def test_a_run_of_one_process_goes_on_in_one(copied, capsys):
    assert main(["study", "resume", str(copied.folder), "--workers", "2"]) == 2
    assert "in one process" in capsys.readouterr().err


@pytest.mark.parametrize(
    "url", ["postgresql://dse:secret@db/dse", "postgresql://dse@db/dse?password=secret&sslmode=a"]
)
def test_a_password_is_not_written_down(url, tmp_path, monkeypatch):
    file, read = named(tmp_path, "discreet", trials=8)
    monkeypatch.setattr(workers, "_opened", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr(sys, "argv", ["dse", "run", "discreet", "--storage", url])
    run = workers.start(read, str(file), tmp_path / "run", team(2, url))
    assert "dse@db/dse" in run.provenance["command"]
    assert "secret" not in (run.folder / "provenance.json").read_text()


def test_optunas_proxy_serves_a_study_as_the_database_behind_it_does(postgres_url, tmp_path):
    pytest.importorskip("grpc", reason="needs grpcio: pip install 'dse[distributed]'")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    serve = ("import sys; from dse.search import storage; import optuna; "
             "optuna.storages.run_grpc_proxy_server(storage.at(sys.argv[1]), "
             "host='127.0.0.1', port=int(sys.argv[2]))")  # fmt: skip
    _, read = named(tmp_path, "proxied", trials=16)
    with subprocess.Popen([sys.executable, "-c", serve, postgres_url, str(port)]) as process:
        try:
            one = alone(read, f"grpc://127.0.0.1:{port}", islands=2)
            assert not one.view().unfinished
            one.close()
        finally:
            process.terminate()
    with joined(postgres_url, "proxied") as found:
        assert len(found.view().finished) == 16
