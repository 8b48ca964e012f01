"""The shared study: the one channel between the workers of a study.

It is an Optuna study in a storage that all workers reach. Beside the trials it holds one *ticket*
for each island, itself a trial without values:

    WAITING   nobody searches the island
    RUNNING   a worker does, and says so every few seconds in the ticket
    PRUNED    the island is done
    FAIL      its worker is gone; another ticket of the island took its place

Optuna's storages let one of several workers take a waiting trial, so each island has one worker.
A finished trial carries its island, its family, and the designs of its own front, so that whoever
reads the study can rebuild the archive. Optuna's own heartbeats exist for some storages only, and
under ``optimize``.
"""

import json
import os
import socket
import threading
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

import optuna
from optuna.trial import FrozenTrial, TrialState

from dse.search import journal, runs, storage
from dse.search.islands import cut, trials_of
from dse.search.settings import Settings
from dse.specs.errors import SpecError

SCHEMA = "dse.islands/1"
BEAT_S = 5.0  # between two signs of life
STALE_S = 60.0  # of silence, after which a worker is taken for gone
OPENING_S = 20.0  # for another command to finish opening a study
TICKET, SEEN, WORKER = "island_ticket", "seen_s", "worker"
LEFT_OUT = ("search.trials",)  # of a study file: what may differ between workers


class Superseded(Exception):  # noqa: N818 - no error: another worker does what this one did
    """The island was given to another worker, because this one was silent for too long."""


class Ticket(NamedTuple):
    """An island that this process searches."""

    island: int
    trial_id: int


class View(NamedTuple):
    """What the shared study holds at one moment."""

    count: int  # of trials of any kind, which is the number of the next one
    tickets: dict[int, FrozenTrial]  # the newest of each island
    finished: list[FrozenTrial]

    def of_state(self, *states: TrialState) -> set[int]:
        """Islands whose ticket is in one of some states."""
        return {island for island, ticket in self.tickets.items() if ticket.state in states}

    @property
    def unfinished(self) -> set[int]:
        """Islands that are not done."""
        return set(self.tickets) - self.of_state(TrialState.PRUNED)

    @property
    def waiting(self) -> set[int]:
        """Islands that nobody searches."""
        return self.of_state(TrialState.WAITING)

    def searched_by(self, workers: Iterable[str]) -> int:
        """How many islands some workers are at."""
        running = self.of_state(TrialState.RUNNING)
        return sum(self.tickets[k].user_attrs.get(WORKER, "") in workers for k in running)

    def of_island(self, island: int) -> list[FrozenTrial]:
        """The finished trials of an island, in their order."""
        return [t for t in self.finished if t.user_attrs["island"] == island]


def identity() -> str:
    """This process, for tickets."""
    return f"{socket.gethostname()}:{os.getpid()}"


class Shared:
    """A study in a storage, opened by the first worker and joined by others."""

    def __init__(self, place: str, name: str):
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.storage = storage.at(place)
        self.name = name
        self.study: Any = None

    def close(self) -> None:
        """Leave the storage."""
        storage.close(self.storage)

    def __enter__(self) -> "Shared":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- opening and joining ---------------------------------------------------------------------

    def open(self, settings: Settings, islands: int | None, usual: int) -> int:
        """Open the study, or join one that is the same; hand back how many islands it has.

        Args:
            settings: the study.
            islands: how many, as the user said.
            usual: how many where the user said nothing and the study is new.

        Raises:
            SpecError: the stored study is another, with what differs.
        """
        cut(settings, islands or usual)
        try:
            self.study = journal.create(
                self.storage, self.name, load_if_exists=False, objectives=settings.objectives
            )
        except optuna.exceptions.DuplicatedStudyError:
            self.join()
            self._check_same(settings, islands)
            self._grow(settings)
            return self.islands
        count = islands or usual
        self.study.set_user_attr("identity", identity_of(settings))
        for island in cut(settings, count):
            self._offer(island.number)
        said = {"schema": SCHEMA, "islands": count, "trials": settings.search.trials}
        self.study.set_user_attr("dse", said)
        return count

    def join(self) -> None:
        """Load the study, waiting until whoever opens it has done so."""
        last = time.monotonic() + OPENING_S
        while True:
            try:
                self.study = optuna.load_study(
                    study_name=self.name, storage=self.storage,
                    sampler=optuna.samplers.RandomSampler(seed=0),
                )  # fmt: skip
                if "dse" in self.study.user_attrs:
                    return
            except KeyError:
                pass
            if time.monotonic() > last:
                raise SpecError(self.name, [
                    "the storage holds a study of this name that dse did not open, or not to its "
                    "end; give yours another name, or remove it: optuna delete-study "
                    f"--study-name {self.name} --storage URL"])  # fmt: skip
            time.sleep(0.2)

    @property
    def islands(self) -> int:
        """How many islands the study is cut into."""
        return int(self.study.user_attrs["dse"]["islands"])

    def _check_same(self, settings: Settings, islands: int | None) -> None:
        then, now = self.study.user_attrs["identity"], identity_of(settings)
        problems = [
            f"{key}: was {then.get(key)!r}, is {now.get(key)!r}"
            for key in sorted({*then, *now}) if then.get(key) != now.get(key)
        ]  # fmt: skip
        if islands is not None and islands != self.islands:
            problems.append(f"--islands: was {self.islands}, is {islands}")
        if problems:
            problems.append("give the study another name, or remove the stored one: optuna "
                            f"delete-study --study-name {self.name} --storage URL")  # fmt: skip
            raise SpecError(f"the stored study {self.name}", problems)

    def _grow(self, settings: Settings) -> None:
        """A larger total opens the islands that are done and have trials left by it."""
        said = self.study.user_attrs["dse"]
        was, total = said["trials"], settings.search.trials
        if total < was:
            raise SpecError("--trials", [f"{total}: the stored study has a total of {was}"])
        if total == was:
            return
        view = self.view()
        if view.of_state(TrialState.RUNNING):
            raise SpecError("--trials", [f"{total}: workers are at the stored study, whose total "
                                         f"is {was}; raise it when they are done"])  # fmt: skip
        self.study.set_user_attr("dse", {**said, "trials": total})
        for island in cut(settings, self.islands):
            number = island.number
            short = len(view.of_island(number)) < trials_of(island, self.islands, total)
            over = number not in view.unfinished and not self.state_of(number).get("converged")
            if short and over:
                self._offer(number)

    # --- tickets ---------------------------------------------------------------------------------

    def _offer(self, island: int) -> None:
        attrs = {TICKET: island, SEEN: 0.0}
        self.study.add_trial(optuna.trial.create_trial(state=TrialState.WAITING, user_attrs=attrs))

    def view(self) -> View:
        """Tickets and trials as they are now."""
        trials = self.study.get_trials(deepcopy=False)
        tickets = {t.user_attrs[TICKET]: t for t in trials if TICKET in t.user_attrs}
        return View(len(trials), tickets, [t for t in trials if t.state == TrialState.COMPLETE])

    def take(self) -> Ticket | None:
        """An island for this process, or None where none waits."""
        for island, trial in sorted(self.view().tickets.items()):
            if trial.state != TrialState.WAITING:
                continue
            try:
                self.storage.set_trial_user_attr(trial._trial_id, SEEN, time.time())
                taken = self.storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING)
            except optuna.exceptions.UpdateFinishedTrialError:
                continue
            if taken:
                self.storage.set_trial_user_attr(trial._trial_id, WORKER, identity())
                return Ticket(island, trial._trial_id)
        return None

    def beat(self, ticket: Ticket) -> None:
        """Say that this process lives. Raises `Superseded` where that comes too late."""
        try:
            self.storage.set_trial_user_attr(ticket.trial_id, SEEN, time.time())
        except optuna.exceptions.UpdateFinishedTrialError:
            raise Superseded from None

    def finish(self, ticket: Ticket) -> None:
        """The island is done."""
        self._leave(ticket, TrialState.PRUNED)

    def release(self, ticket: Ticket) -> None:
        """Leave the island to another worker."""
        self.storage.set_trial_user_attr(ticket.trial_id, WORKER, "")
        self._leave(ticket, TrialState.WAITING)

    def _leave(self, ticket: Ticket, state: TrialState) -> None:
        try:
            self.storage.set_trial_state_values(ticket.trial_id, state)
        except optuna.exceptions.UpdateFinishedTrialError:
            raise Superseded from None

    def reap(self, view: View, gone: Iterable[str] = (), everyone: bool = False) -> list[str]:
        """Fail the tickets of workers that are gone, and offer their islands again.

        Args:
            view: the study as seen last.
            gone: workers known to have ended.
            everyone: no worker can be at it.

        Returns:
            The workers whose tickets were failed.
        """
        gone, reaped = set(gone), []
        for island, ticket in view.tickets.items():
            worker = ticket.user_attrs.get(WORKER, "a worker")
            silent_s = time.time() - ticket.user_attrs.get(SEEN, 0.0)
            if ticket.state == TrialState.FAIL and (everyone or silent_s > 2 * STALE_S):
                self._offer(island)  # whoever failed it was gone before offering it again
            if ticket.state != TrialState.RUNNING:
                continue
            if not (everyone or worker in gone or silent_s > STALE_S or _has_ended(worker)):
                continue
            try:
                self.storage.set_trial_state_values(ticket._trial_id, TrialState.FAIL)
            except optuna.exceptions.UpdateFinishedTrialError:
                continue
            self._offer(island)
            reaped.append(worker)
        return reaped

    # --- trials ----------------------------------------------------------------------------------

    def state_of(self, island: int) -> dict[str, Any]:
        """What an island's worker saved last."""
        return self.study.user_attrs.get(f"island {island}", {})

    def add(self, trials: list[FrozenTrial]) -> None:
        """Add trials that are of no island."""
        self.study.add_trials(trials)

    def save(self, ticket: Ticket, trials: list[FrozenTrial], state: dict[str, Any]) -> None:
        """Add a generation of an island. Raises `Superseded` where another worker is at it."""
        self.beat(ticket)
        self.study.add_trials(trials)
        self.study.set_user_attr(f"island {ticket.island}", state)


def identity_of(settings: Settings) -> dict[str, Any]:
    """What two commands must agree on to search one study, as dotted key -> value."""
    said = runs.provenance_of(settings, "")
    found = {f"spec {name}": digest for name, digest in said["spec_files"].items()}
    found |= {key: said[key] for key in ("package_version", "seed")}
    flat = runs.flat(settings.tree)
    found |= {key: value for key, value in flat.items() if key not in LEFT_OUT}
    # The resolved space too: ranges may come from a chip's file or from the package.
    for axis in said["axes"]:
        found[f"axis {axis['name']}"] = axis
    found["families"] = [family["name"] for family in said["families"]]
    found["deployment"] = said["deployment"]
    return json.loads(json.dumps(found, default=str))


def _has_ended(worker: str) -> bool:
    """Whether a worker was a process of this machine that is no more."""
    host, _, number = worker.rpartition(":")
    if host != socket.gethostname() or not number.isdecimal():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


class Heart:
    """Says every few seconds that the worker of a ticket lives."""

    def __init__(self, shared: Shared, ticket: Ticket):
        self._shared, self._ticket = shared, ticket
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> "Heart":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._stopped.wait(BEAT_S):
            try:
                self._shared.beat(self._ticket)
            except Superseded:
                return
            except Exception:  # the storage is away, which the search finds out by itself
                continue
