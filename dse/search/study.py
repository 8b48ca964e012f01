"""The search loop: ask a generation, evaluate it in one go, tell it, save it.

A trial is a piece of hardware and a level to serve. Every deployment is swept inside it; every
design that no other of its trial beats competes for the front and is kept; Optuna is told the one
point of the trial's own front that its ``serve_level`` picks.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from dse import compile_cache
from dse.search import archive, batch, runs, samplers
from dse.search.archive import Archive, Row
from dse.search.batch import TOLERANCE, Evaluator, Outcome
from dse.search.journal import Trials
from dse.search.settings import OBJECTIVES, Settings
from dse.search.space import SERVE_LEVEL

START_LEVELS = (0.0, 0.5, 1.0)
SAMPLES_BEFORE = 200  # random designs looked at before the first trial
WORST_MARGIN = 1e6  # told where a margin is not a number


class Infeasible(Exception):  # noqa: N818 - a valid question whose answer is no
    """No design of the study keeps its limits; the message says which limit binds."""


class Progress(NamedTuple):
    """One line for people, after each generation."""

    trials: int
    total: int
    feasible_fraction: float
    front: int
    hypervolume: float
    gain: float
    evaluations_per_s: float
    left_s: float


class Swept(NamedTuple):
    """One trial's own answer: its front, the point told, and how far that is from feasible."""

    front: np.ndarray  # grid points, slow to fast; empty where nothing is feasible
    logs: np.ndarray  # log10 of both goals at those points
    told: int  # a grid point
    margins: tuple[float, ...]  # of the chip's limits, then of each constraint, at that point


def run(
    settings: Settings, folder: runs.Run, report: Callable[[Progress], None] | None = None
) -> None:
    """Search until the study's number of trials is reached, saving after each generation.

    Raises:
        Infeasible: a fresh run none of whose first designs keeps the limits.
        KeyboardInterrupt: after the last generation was saved and the front written.
    """
    compile_cache.enable()
    search = Search(settings, folder)
    if search.state["trials"] == 0:
        search.look_first()
    try:
        while search.state["trials"] < settings.search.trials:
            progress = search.generation()
            if report is not None:
                report(progress)
    finally:
        if search.state["trials"]:
            folder.write_front(settings, search.archive, search.evaluators, search.state)


class Search:
    """A run in progress: trials, archive, evaluators and where it is saved."""

    def __init__(self, settings: Settings, folder: runs.Run):
        self.settings = settings
        self.folder = folder
        self.state = folder.recover()
        self.trials = Trials(folder.journal, settings.name)
        self.archive = Archive(settings.reference_point)
        self.evaluators = batch.evaluators(settings)
        self._distributions = settings.space.distributions()
        self._seen: set[tuple] = set()
        if self.state["trials"]:
            points, rows = folder.competed(settings)
            self.archive.add(points, rows)
            self._seen = {(row.family, row.values) for row in rows}
        else:
            self._enqueue_starts()

    def _enqueue_starts(self) -> None:
        space, population = self.settings.space, self.settings.search.population
        starts = [
            space.start_parameters(family, level)
            for level in START_LEVELS for family in space.families
        ]  # fmt: skip
        for parameters in starts[: population // 2]:
            self.trials.study.enqueue_trial(parameters)

    def look_first(self) -> None:
        """Random designs of every family: is anything feasible, and if not, what forbids it?"""
        rng = np.random.default_rng(self.settings.search.seed)
        each = -(-SAMPLES_BEFORE // len(self.evaluators))
        blockers: Counter = Counter()
        for evaluator in self.evaluators.values():
            axes = evaluator.family.axes
            shares = rng.uniform(size=(each, len(axes)))
            drawn = [axis.from_unit_cube(column) for axis, column in zip(axes, shares.T,
                                                                         strict=True)]  # fmt: skip
            designs = np.column_stack([*drawn]) if axes else np.empty((each, 0))
            designs = np.concatenate([designs, [evaluator.family.start]])
            outcome = evaluator(designs)
            for index in range(len(designs)):
                swept = _swept(outcome, index, self.settings, 0.0)
                if len(swept.front):
                    return
                blockers[_blocker(evaluator, outcome, index, swept, self.settings)] += 1
        raise Infeasible(_infeasible(blockers, self.settings))

    def generation(self) -> Progress:
        """One generation, from asking to saving."""
        started = time.perf_counter()
        search, study = self.settings.search, self.trials.study
        done = self.state["trials"]
        study.sampler = samplers.sampler(search.sampler, search.seed, search.population, done)
        count = min(search.population, search.trials - done)
        asked = [study.ask(self._distributions) for _ in range(count)]
        before = self.archive.hypervolume
        competed: list[pd.DataFrame] = []
        evaluations = 0
        for trial, evaluator, swept, values in self._evaluated(asked):
            evaluations += len(evaluator.grid)
            self._tell(trial, evaluator, swept)
            if len(swept.front):
                self.state["feasible"] += 1
                competed += self._compete(trial.number, evaluator, swept, values)
        self.state["trials"] += count
        self.state["evaluations"] += evaluations
        self.state["seconds"] += time.perf_counter() - started
        self.state["hypervolume"].append(self.archive.hypervolume)
        self.folder.save(self.state, competed, self.trials)
        return self._progress(before)

    def _evaluated(self, asked) -> Iterator[tuple[Any, Evaluator, Swept, tuple[float, ...]]]:
        """Each trial with its sweep, in the order asked; one batch per family."""
        drawn = [self.settings.space.values_of(trial.params) for trial in asked]
        outcomes: dict[str, tuple[Outcome, dict[int, int]]] = {}
        for name, evaluator in self.evaluators.items():
            mine = [i for i, (family, _) in enumerate(drawn) if family.name == name]
            if mine:
                designs = np.array([drawn[i][1] for i in mine], float).reshape(len(mine), -1)
                outcomes[name] = evaluator(designs), {i: row for row, i in enumerate(mine)}
        for i, (trial, (family, values)) in enumerate(zip(asked, drawn, strict=True)):
            outcome, row_of = outcomes[family.name]
            swept = _swept(outcome, row_of[i], self.settings, trial.params[SERVE_LEVEL])
            yield trial, self.evaluators[family.name], swept, tuple(values)

    def _tell(self, trial, evaluator: Evaluator, swept: Swept) -> None:
        names = ("limits", *(constraint.stem for constraint in self.settings.constraints))
        for name, margin in zip(names, swept.margins, strict=True):
            trial.set_constraint(name, margin)
        logs = swept.logs
        if len(swept.front):
            logs = swept.logs[np.flatnonzero(swept.front == swept.told)[0]]
        trial.set_user_attr("design", f"{trial.number}.{swept.told}")
        self.trials.study.tell(trial, [float(value) for value in logs])

    def _compete(self, number, evaluator: Evaluator, swept: Swept, values) -> list[pd.DataFrame]:
        name = evaluator.family.name
        if (name, values) in self._seen:
            return []
        self._seen.add((name, values))
        rows = [Row(number, name, values, int(point)) for point in swept.front]
        self.archive.add(swept.logs, rows)
        return [_table(rows, swept, evaluator)]

    def _progress(self, before: float) -> Progress:
        state, total = self.state, self.settings.search.trials
        rate = state["evaluations"] / max(state["seconds"], 1e-9)
        left = (total - state["trials"]) * state["seconds"] / state["trials"]
        share = state["feasible"] / state["trials"]
        now = self.archive.hypervolume
        gain = now - before
        return Progress(state["trials"], total, share, len(self.archive.rows), now, gain, rate,
                        left)  # fmt: skip


# --- one trial ------------------------------------------------------------------------------------


def _swept(outcome: Outcome, row: int, settings: Settings, level: float) -> Swept:
    """The front of one design over its deployments, and the point its level picks."""
    margins = _margins(outcome, row, settings)
    goals = np.stack([outcome[0][row], outcome[1][row]], axis=1).astype(float)
    usable = np.isfinite(goals).all(axis=1) & (goals > 0).all(axis=1)
    worst = np.where(usable, margins.max(axis=0), WORST_MARGIN)
    feasible = np.flatnonzero(worst <= TOLERANCE)
    if len(feasible) == 0:
        violation = np.where(usable, np.maximum(margins, 0).sum(axis=0), np.inf)
        told = int(np.argmin(violation))
        logs = np.log10(np.maximum(np.nan_to_num(goals[told]), 1e-9))
        return Swept(feasible, logs, told, tuple(float(m) for m in margins[:, told]))
    logs = np.log10(goals[feasible])
    kept = np.flatnonzero(archive.nondominated(logs))
    kept = kept[archive.thin(logs[kept], archive.THIN_STORED)]
    front, logs = feasible[kept], logs[kept]
    target = logs[0, 0] + level * (logs[-1, 0] - logs[0, 0])
    at = min(int(np.searchsorted(logs[:, 0], target - 1e-12)), len(front) - 1)
    told = int(front[at])
    # What float32 leaves of a limit met exactly must not read as broken.
    return Swept(front, logs, told, tuple(min(float(m), 0.0) for m in margins[:, told]))


def _margins(outcome: Outcome, row: int, settings: Settings) -> np.ndarray:
    """Margins ``[limit, point]``: the chip's worst, then the study's; not a number is infeasible.

    Limits of the chip that reach float32's infinity are cut, so that they can be told.
    """
    found = [outcome.limit_margin[row]]
    for constraint, used in zip(settings.constraints, outcome.metrics, strict=True):
        found.append(constraint.margin(used[row]))
    table = np.stack(found).astype(float)
    return np.clip(np.nan_to_num(table, nan=WORST_MARGIN), -WORST_MARGIN, WORST_MARGIN)


def _table(rows: list[Row], swept: Swept, evaluator: Evaluator) -> pd.DataFrame:
    """The lines of ``evaluated.parquet`` of one trial."""
    points = swept.front
    goals = dict(zip(OBJECTIVES, (10**swept.logs).T, strict=True))
    choices = {name: column[points] for name, column in evaluator.points.items()}
    axes = {axis.field: value for axis, value in zip(evaluator.family.axes, rows[0].values,
                                                     strict=True)}  # fmt: skip
    return pd.DataFrame(
        {
            "id": [row.id for row in rows],
            "trial": rows[0].trial,
            "family": rows[0].family,
            "point": points,
            **goals,
            **choices,
            **axes,
        }
    )


# --- what forbids ---------------------------------------------------------------------------------


def _blocker(evaluator: Evaluator, outcome: Outcome, row: int, swept: Swept, settings) -> str:
    """The limit that keeps the closest deployment of a design from being feasible."""
    worst = int(np.argmax(swept.margins))
    if worst > 0:
        return settings.constraints[worst - 1].stem
    return evaluator.limit_names[int(outcome.limit_index[row, swept.told])]


def _infeasible(blockers: Counter, settings: Settings) -> str:
    total = sum(blockers.values())
    lines = [f"none of {total} random designs keeps the limits of {settings.name}"]
    for name, count in blockers.most_common(5):
        constraint = next((c for c in settings.constraints if c.stem == name), None)
        said = f"{name} {constraint.text}" if constraint else name
        lines.append(f"  * {said}: stops {count} of {total}")
    lines.append("  loosen the first, or widen the range of the knobs that move it")
    return "\n".join(lines)
