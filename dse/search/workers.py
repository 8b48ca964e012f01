"""Many workers of one study, on one machine or several.

Each command starts so many workers, which take islands of the shared study until none waits (see
`dse.search.shared`), and collects what all workers of the study found, its own or others', into its
own run folder. A worker that dies is replaced; its island goes on from its last generation.
"""

import contextlib
import multiprocessing
import pathlib
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import optuna
import pandas as pd
from optuna.trial import FrozenTrial

from dse import compile_cache
from dse.search import batch, islands, runs, storage, worker
from dse.search.archive import Archive
from dse.search.settings import Settings
from dse.search.shared import Shared, View, identity
from dse.search.study import Progress, look_first
from dse.search.trial import Swept, table
from dse.specs.errors import SpecError

POLL_S = 0.5
LEAVE_S = 20.0  # for a worker to leave its island when it is told to
MOST_DEATHS = 2  # for each worker, before something must be wrong


def start(settings: Settings, given: str, folder: pathlib.Path | None, said: dict[str, Any]
          ) -> runs.Run:  # fmt: skip
    """A fresh run folder of many workers.

    Args:
        settings: the study.
        given: its file or name, as typed.
        folder: the run folder.
        said: ``workers``, ``storage`` (a URL or None) and ``islands`` (a number or None).

    Raises:
        SpecError: a storage that does not answer, or holds another study of this name; then
            nothing is left behind.
        Infeasible: no random design keeps the limits.
    """
    if said["storage"] is not None:
        with storage.answering(), _opened(settings, said["storage"], said):
            pass  # it answers, and holds this study: only now a folder is made
    run = runs.start(settings, given, folder)
    then, url = run.provenance, said["storage"]
    command = then["command"].replace(url, storage.shown(url)) if url else then["command"]
    told = {"command": command, "team": stored(said)}
    runs.write_json(run.folder / "provenance.json", then | told)
    return run


def stored(said: dict[str, Any]) -> dict[str, Any]:
    """What a run folder keeps of how its workers were started: all but a password."""
    url = said["storage"]
    return {**said, "storage": url and storage.shown(url)}


def run(settings: Settings, folder: runs.Run, said: dict[str, Any],
        report: Callable[[Progress], None] | None = None) -> None:  # fmt: skip
    """Search with many workers until every island is done; the front is written in any case.

    Raises:
        Infeasible: no random design keeps the limits.
        Stopped: workers keep dying, or the storage is gone.
        KeyboardInterrupt: after the workers left their islands.
    """
    compile_cache.enable()
    place = said["storage"] or f"{storage.JOURNAL}{folder.shared_journal}"
    try:
        with storage.answering():
            shared = _opened(settings, place, said, bool(folder.state["trials"]))
            if said["storage"] is None:
                shared.reap(shared.view(), everyone=True)  # nobody else can be at a run folder
            crew = Crew(settings, folder, shared, report)
            with shared:
                crew.search(place, said["workers"])
    except storage.Lost as error:
        raise storage.Stopped(f"the storage does not answer: {error}") from None


def _opened(settings: Settings, place: str, said: dict[str, Any], known: bool = False) -> Shared:
    """The shared study: joined where it is, else opened once something is feasible."""
    shared = Shared(place, settings.name)
    if settings.name not in optuna.study.get_all_study_names(shared.storage):
        if known:
            raise SpecError("--storage", [f"{storage.shown(place)} no longer holds the study "
                                          f"{settings.name}"])  # fmt: skip
        islands.cut(settings, said["islands"] or islands.usual_count(settings, said["workers"]))
        look_first(settings, batch.evaluators(settings))
    shared.open(settings, said["islands"], islands.usual_count(settings, said["workers"]))
    return shared


@contextlib.contextmanager
def whole(settings: Settings, folder: runs.Run) -> Iterator[worker.WholeFolder]:
    """Where a search saves to that goes over a run of many workers; at the end the run has it."""
    url = folder.provenance["team"]["storage"]
    place = url or f"{storage.JOURNAL}{folder.shared_journal}"
    with storage.answering(), Shared(place, settings.name) as shared:
        shared.join()
        yield worker.WholeFolder(shared, settings)
        Crew(settings, folder, shared, None).finish()


class Crew:
    """The workers of this command, and what it collects from the shared study."""

    def __init__(self, settings: Settings, folder: runs.Run, shared: Shared,
                 report: Callable[[Progress], None] | None):  # fmt: skip
        self.settings, self.folder, self.shared = settings, folder, shared
        self.evaluators = batch.evaluators(settings)
        self.archive = Archive(settings.reference_point)
        self.state = runs.fresh_state() | {"seconds": folder.state["seconds"]}
        self.deaths: Counter[int | None] = Counter()
        self._report = report
        self._processes: list[Any] = []
        self._collected: set[int] = set()
        self._seen: set[tuple] = set()
        self._began = time.perf_counter() - self.state["seconds"]
        self._open: set[int] = set()
        for part in folder.evaluated.glob("*"):  # the shared study has it all
            part.unlink()

    def search(self, place: str, workers: int) -> None:
        """Work until every island of the study is done, here or elsewhere."""
        try:
            while (view := self.shared.view()).unfinished:
                self._bury(view)
                self._hire(view, place, workers)
                self._collect(view)
                time.sleep(POLL_S)
            self._join()  # no island waits, so they end by themselves
        finally:
            self._dismiss()
            self.finish()

    def finish(self) -> None:
        """Collect what is there, and write the front."""
        self._collect(self.shared.view())
        if self.state["trials"]:
            self.folder.write_front(self.settings, self.archive, self.evaluators, self.state)

    # --- workers ---------------------------------------------------------------------------------

    def _names(self, processes) -> list[str]:
        host = identity().rpartition(":")[0]
        return [f"{host}:{process.pid}" for process in processes]

    def _bury(self, view: View) -> None:
        """Offer the islands of workers that are gone; too many dead ones stop the search."""
        ended = [process for process in self._processes if process.exitcode is not None]
        self._processes = [p for p in self._processes if p.exitcode is None]
        self.shared.reap(view, self._names(ended))
        self.deaths.update(process.exitcode for process in ended if process.exitcode)

    def _hire(self, view: View, place: str, workers: int) -> None:
        busy = view.searched_by(self._names(self._processes))
        idle = len(self._processes) - busy
        wanted = min(workers - len(self._processes), len(view.waiting) - idle)
        if wanted > 0 and self.deaths.total() > MOST_DEATHS * workers:
            codes = ", ".join(f"{code} ({n} times)" for code, n in self.deaths.items())
            raise storage.Stopped(f"workers keep ending, with exit codes {codes}")
        for _ in range(wanted):
            process = multiprocessing.get_context("spawn").Process(
                target=worker.work, args=(self.settings, place), daemon=True
            )
            with _deaf():
                process.start()
            self._processes.append(process)

    def _dismiss(self) -> None:
        """End every worker; each leaves its island to others, or is made to."""
        for process in self._processes:
            process.terminate()
        self._join()
        for process in self._processes:
            if process.exitcode is None:
                process.kill()
                process.join()
        self.shared.reap(self.shared.view(), self._names(self._processes))

    def _join(self) -> None:
        last = time.monotonic() + LEAVE_S
        for process in self._processes:
            process.join(max(last - time.monotonic(), 0.0))

    # --- what was found --------------------------------------------------------------------------

    def _collect(self, view: View) -> None:
        """Let the trials that arrived since the last time compete, and save them."""
        new = [t for t in view.finished if t.number not in self._collected]
        if not new and view.unfinished == self._open:
            return
        self._open, before = view.unfinished, self.archive.hypervolume
        self._collected |= {trial.number for trial in new}
        fresh = [trial for trial in new if self._is_fresh(trial)]
        self.archive.add(*worker.competed(fresh, self.settings))
        self._save(new, fresh)
        self._say(before)

    def _is_fresh(self, trial: FrozenTrial) -> bool:
        """Whether a trial has designs, and no island started from the same hardware before."""
        _, rows = worker.competed([trial], self.settings)
        if not rows or rows[0][1:3] in self._seen:
            return False
        self._seen.add(rows[0][1:3])
        return True

    def _save(self, new: list[FrozenTrial], fresh: list[FrozenTrial]) -> None:
        state = self.state
        state["trials"] += len(new)
        state["feasible"] += sum(all(m <= 0 for m in t.constraints.values()) for t in new)
        saved = [self.shared.state_of(k) for k in range(self.shared.islands)]
        state["evaluations"] = sum(island.get("evaluations", 0) for island in saved)
        state["converged"] = all(island.get("converged", False) for island in saved)
        state["seconds"] = time.perf_counter() - self._began
        state["hypervolume"].append(self.archive.hypervolume)
        tables = [self._table(trial) for trial in fresh]
        if tables:
            part = self.folder.evaluated / f"part-{state['generations']:05d}.parquet"
            runs.write_parquet(part, pd.concat(tables, ignore_index=True))
        state["generations"] += 1
        runs.write_json(self.folder.folder / "state.json", state)

    def _table(self, trial: FrozenTrial) -> pd.DataFrame:
        logs, rows = worker.competed([trial], self.settings)
        designs = trial.user_attrs["designs"]
        found = Swept(np.array(designs["point"]), logs, trial.user_attrs["point"], ())
        return table(rows, found, self.evaluators[rows[0].family])

    def _say(self, before: float) -> None:
        if self._report is None:
            return
        state, total = self.state, self.settings.search.trials
        done = self.shared.islands - len(self._open)
        phase = "" if state["trials"] else f"islands {done}/{self.shared.islands}"
        rate = state["evaluations"] / max(state["seconds"], 1e-9)
        left = (total - state["trials"]) * state["seconds"] / max(state["trials"], 1)
        self._report(Progress(phase, state["trials"], total,
                              state["feasible"] / max(state["trials"], 1), len(self.archive.rows),
                              self.archive.hypervolume, self.archive.hypervolume - before, rate,
                              left))  # fmt: skip


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Start processes that an interrupt from the terminal does not reach."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, heard)
