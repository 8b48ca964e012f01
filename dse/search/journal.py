"""The Optuna journal of a run: held in memory, written once per generation.

Disk storages commit every parameter, which costs more than the search. Here a generation is one
append; a run that is killed loses at most the generation it was working on.
"""

import pathlib
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend

from dse.search.goals import TWO_GOALS, Objective


class BufferedJournal(BaseJournalBackend):
    """A journal file read once and appended to when asked."""

    def __init__(self, path: pathlib.Path):
        self._file = JournalFileBackend(str(path))
        self._logs: list[dict[str, Any]] = list(self._file.read_logs(0))
        self._written = len(self._logs)

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        """Everything from a line on, written or not."""
        return self._logs[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Keep lines for the next `flush`."""
        self._logs += logs

    def flush(self) -> None:
        """Append what is new to the file, in one write."""
        if self._written < len(self._logs):
            self._file.append_logs(self._logs[self._written :])
            self._written = len(self._logs)


def create(
    storage,
    name: str,
    load_if_exists: bool = True,
    objectives: Sequence[Objective] = TWO_GOALS,
) -> optuna.Study:
    """A study of some goals in a storage."""
    study = optuna.create_study(
        storage=storage,
        study_name=name,
        directions=[optuna.study.StudyDirection.MAXIMIZE] * len(objectives),
        sampler=optuna.samplers.RandomSampler(seed=0),
        load_if_exists=load_if_exists,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names([objective.log_name for objective in objectives])
    return study


class Trials:
    """The trials of a run: an in-memory study to ask and tell, and its journal."""

    def __init__(self, path: pathlib.Path, name: str, objectives: Sequence[Objective] = TWO_GOALS):
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._backend = BufferedJournal(path)
        self._saved = create(JournalStorage(self._backend), name, objectives=objectives)
        memory = optuna.storages.InMemoryStorage()
        self.study = create(memory, name, objectives=objectives)
        self.study.add_trials(self._saved.get_trials(deepcopy=False))

    def __len__(self) -> int:
        return len(self.study.get_trials(deepcopy=False))

    def flush(self) -> None:
        """Write the finished trials since the last call."""
        done = len(self._saved.get_trials(deepcopy=False))
        self._saved.add_trials(self.study.get_trials(deepcopy=False)[done:])
        self._backend.flush()
