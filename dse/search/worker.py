"""One worker: a process that searches islands of a shared study until none waits."""

import contextlib
import multiprocessing
import signal
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
import pandas as pd
from optuna.trial import FrozenTrial, TrialState

from dse import compile_cache, extensions
from dse.search import islands, journal, runs, storage, study
from dse.search.archive import Row
from dse.search.goals import Objective, logs_of
from dse.search.settings import Settings
from dse.search.shared import Heart, Shared, Superseded, Ticket
from dse.search.space import FAMILY, SERVE_LEVEL, Space

DONE, FAILED, STORAGE_LOST, INTERRUPTED = 0, 1, 4, 130


class IslandTrials:
    """The trials of an island, in memory."""

    def __init__(self, study: optuna.Study, trials: list[FrozenTrial], number: int | None = None):
        self.study = study
        self.study.add_trials(trials)
        self._before = 0 if number is None else number - len(trials)

    def __len__(self) -> int:
        """The number of the next trial."""
        return self._before + len(self.study.get_trials(deepcopy=False))


class IslandFolder:
    """What a search saves to where it is an island: its part of the shared study."""

    def __init__(self, shared: Shared, ticket: Ticket, whole: Settings, part: Settings):
        self._shared, self._ticket = shared, ticket
        self._island: int | None = ticket.island
        self._whole, self._part = whole, part
        self._stored = shared.view().of_island(ticket.island)
        self._saved = len(self._stored)

    def recover(self) -> dict[str, Any]:
        """The state of the island; counts are those of the trials that arrived."""
        state = runs.fresh_state() | self._shared.state_of(self._ticket.island)
        feasible = [all(m <= 0 for m in trial.constraints.values()) for trial in self._stored]
        return state | {"trials": len(feasible), "feasible": sum(feasible)}

    def trials(self, name: str, objectives: Sequence[Objective]) -> IslandTrials:
        """The island's trials so far, in the parameters of its part of the space."""
        memory = journal.create(optuna.storages.InMemoryStorage(), name, objectives=objectives)
        return IslandTrials(memory, [_in_part(t, self._part.space) for t in self._stored])

    def competed(self, settings: Settings) -> tuple[np.ndarray, list[Row]]:
        """Log10 of the goals of what competed, and where it is from."""
        return competed(self._stored, settings)

    def save(self, state: dict[str, Any], tables: list[pd.DataFrame], trials: IslandTrials) -> None:
        """Add the trials since the last call to the shared study."""
        state["generations"] += 1
        new = self._new(tables, trials)
        with storage.answering():
            self._shared.save(self._ticket, new, state)
        parent = multiprocessing.parent_process()
        if parent is not None and not parent.is_alive():
            raise KeyboardInterrupt

    def _new(self, tables: list[pd.DataFrame], trials: IslandTrials) -> list[FrozenTrial]:
        told = trials.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        designs = {int(table["trial"].iloc[0]): table for table in tables}
        new = [self._in_whole(trial, designs) for trial in told[self._saved :]]
        self._saved = len(told)
        return new

    def _in_whole(self, trial: FrozenTrial, tables: dict[int, pd.DataFrame]) -> FrozenTrial:
        """A trial as the shared study holds it: with its family, island and designs."""
        number, point = map(int, trial.user_attrs["design"].split("."))
        table = tables.get(number)
        drawn, _ = self._part.space.values_of(trial.params)
        family = self._whole.space.by_name[drawn.name]
        distributions = self._whole.space.distributions()
        parameters = {name: value for name, value in trial.params.items() if name != FAMILY}
        parameters |= dict(family.choices)
        if FAMILY in distributions:
            parameters[FAMILY] = family.base
        columns = ["point", *(objective.name for objective in self._whole.objectives)]
        designs = {} if table is None else {name: table[name].tolist() for name in columns}
        return optuna.trial.create_trial(
            params=parameters,
            distributions={name: distributions[name] for name in parameters},
            values=trial.values,
            constraints=trial.constraints,
            user_attrs={"island": self._island, "family": family.name,
                        "point": point, "designs": designs},
            system_attrs=_own(trial.system_attrs),
        )  # fmt: skip


class WholeFolder(IslandFolder):
    """What a search saves to that goes over what all islands found: the shared study."""

    def __init__(self, shared: Shared, settings: Settings):
        self._shared, self._island = shared, None
        self._whole = self._part = settings
        self._view = shared.view()
        self._stored = self._view.finished
        self._saved = len(self._stored)

    def recover(self) -> dict[str, Any]:
        """A state that counts what the islands found."""
        return runs.fresh_state() | {"trials": len(self._stored)}

    def trials(self, name: str, objectives: Sequence[Objective]) -> IslandTrials:
        """All trials, in memory; the next one has the number it will have in the shared study."""
        found = super().trials(name, objectives)
        return IslandTrials(found.study, [], self._view.count - len(found))

    def save(self, state: dict[str, Any], tables: list[pd.DataFrame], trials: IslandTrials) -> None:
        """Add the trials since the last call to the shared study, as those of no island."""
        new = self._new(tables, trials)
        with storage.answering():
            self._shared.add(new)
            self._stored = self._shared.view().finished


def _in_part(trial: FrozenTrial, space: Space) -> FrozenTrial:
    """A trial in the parameters of a part of the space, those that it lacks in mid-range."""
    distributions = space.distributions()
    family = space.by_name[trial.user_attrs["family"]]
    values = [trial.params[axis.name] for axis in family.axes]
    parameters = space.parameters_of(family, values, trial.params[SERVE_LEVEL])
    parameters |= {name: value for name, value in trial.params.items()
                   if name in distributions and name != FAMILY}  # fmt: skip
    return optuna.trial.create_trial(
        params=parameters,
        distributions=distributions,
        values=trial.values,
        constraints=trial.constraints,
        user_attrs={"design": f"{trial.number}.{trial.user_attrs['point']}"},
        system_attrs=_own(trial.system_attrs),
    )


def _own(attrs: dict[str, Any]) -> dict[str, Any]:
    """What samplers keep with a trial, without what Optuna keeps its constraints in."""
    return {key: value for key, value in attrs.items() if ":generation" in key}


def competed(trials: list[FrozenTrial], settings: Settings) -> tuple[np.ndarray, list[Row]]:
    """Log10 of the goals of every design of shared trials, and where each is from."""
    points, rows = [np.empty((0, len(settings.objectives)))], []
    for trial in trials:
        designs = trial.user_attrs["designs"]
        if not designs:
            continue
        family = settings.space.by_name[trial.user_attrs["family"]]
        values = tuple(float(trial.params[axis.name]) for axis in family.axes)
        rows += [Row(trial.number, family.name, values, point) for point in designs["point"]]
        points.append(logs_of(settings.objectives, pd.DataFrame(designs)))
    return np.concatenate(points), rows


# --- the process ----------------------------------------------------------------------------------


def work(settings: Settings, place: str) -> None:
    """Search islands of the shared study at a place until none waits; ends the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it and says so to all
    signal.signal(signal.SIGTERM, _interrupt)
    code = DONE
    try:
        extensions.load()
        compile_cache.enable()
        with storage.answering(), Shared(place, settings.name) as joined:
            joined.join()
            while (ticket := joined.take()) is not None:
                search_island(joined, ticket, settings)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except storage.Lost as error:
        code = STORAGE_LOST
        _say(f"the storage does not answer: {error}")
    except Exception as error:
        code = FAILED
        _say(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # on its way out there is nothing to interrupt
    sys.exit(code)


def search_island(joined: Shared, ticket: Ticket, settings: Settings) -> None:
    """Search one island to its end; what stops that leaves it to another worker."""
    count = joined.islands
    island = islands.cut(settings, count)[ticket.island]
    part = islands.settings_of(settings, island, count)
    try:
        with Heart(joined, ticket):
            folder = IslandFolder(joined, ticket, settings, part)
            study.Search(part, folder).to_its_end()
        joined.finish(ticket)
    except Superseded:
        return
    except BaseException:
        _left(joined, ticket)
        raise


def _left(joined: Shared, ticket: Ticket) -> None:
    # Where the storage is gone, or the ticket, others will see that this worker is silent.
    with contextlib.suppress(Exception):
        joined.release(ticket)


def _interrupt(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough
    raise KeyboardInterrupt


def _say(message: str) -> None:
    sys.stderr.write(f"dse: a worker stopped: {message}\n")
