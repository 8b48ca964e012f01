"""The search loop: ask a generation, polish it, evaluate it in one go, tell it, save it.

A trial is a piece of hardware and a level to serve. Every deployment is swept inside it; every
design that no other of its trial beats competes for the front and is kept; Optuna is told the one
point of the trial's own front that its ``serve_level`` picks. A refined sampler starts with a
gradient phase, whose front is the first generation, and polishes what it proposes afterwards: the
hardware that Optuna is told of is the polished one.
"""

import time
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import optuna
import pandas as pd

from dse import compile_cache
from dse.search import aims, archive, batch, goals, polish, runs, samplers, sweeps, warm
from dse.search.archive import Archive, Row
from dse.search.batch import Evaluator
from dse.search.journal import Trials
from dse.search.settings import Settings
from dse.search.space import SERVE_LEVEL, Family
from dse.search.trial import Swept, blocker, constraints_of, swept, table, what_forbids

START_LEVELS = (0.0, 0.5, 1.0)
SAMPLES_BEFORE = 200  # random designs looked at before the first trial
MOST_FIRST = 200  # trials that the gradient phase hands over
MOST_ALONE = 80  # that each family searched by itself hands over
RESTART_ROUNDS = 2  # of the gradient phase that asks whether a front is done
STALL = 1e-4  # relative gain of hypervolume below which a generation brought nothing


class Infeasible(Exception):  # noqa: N818 - a valid question whose answer is no
    """No design of the study keeps its limits; the message says which limit binds."""


class Progress(NamedTuple):
    """One line for people, after each generation or round of the gradient phase."""

    phase: str  # empty: a generation
    trials: int
    total: int
    feasible_fraction: float
    front: int
    hypervolume: float
    gain: float
    evaluations_per_s: float
    left_s: float


def run(
    settings: Settings, folder: runs.Run, report: Callable[[Progress], None] | None = None
) -> None:
    """Search until the front is done or the study's trials are, saving after each generation.

    Raises:
        Infeasible: a fresh run none of whose first designs keeps the limits.
        KeyboardInterrupt: after the last generation was saved and the front written.
    """
    compile_cache.enable()
    search = Search(settings, folder, report)
    if search.state["trials"] == 0:
        search.look_first()
    try:
        search.to_its_end()
    finally:
        if search.state["trials"]:
            folder.write_front(settings, search.archive, search.evaluators, search.state)


class Search:
    """A run in progress: trials, archive, evaluators and where it is saved."""

    def __init__(
        self,
        settings: Settings,
        folder: Any,  # where it is saved: a run folder, or an island's part of a shared study
        report: Callable[[Progress], None] | None = None,
        refine: bool = False,
    ):
        self.settings = settings
        self.folder = folder
        self.refines = refine or settings.search.sampler in samplers.REFINED
        self.state = folder.recover()
        self.trials: Trials = folder.trials(settings.name, settings.objectives)
        self.archive = Archive(settings.reference_point)
        self.evaluators = batch.evaluators(settings)
        self.polishers = (
            {name: polish.Polisher(e) for name, e in self.evaluators.items()}
            if self.refines else {}
        )  # fmt: skip
        self._report = report
        self._distributions = settings.space.distributions()
        self._seen: set[tuple] = set()
        self._competed: list[pd.DataFrame] = []
        if self.state["trials"]:
            points, rows = folder.competed(settings)
            self.archive.add(points, rows)
            self._seen = {(row.family, row.values) for row in rows}
        elif not self.refines:
            self._enqueue_starts()

    def _enqueue_starts(self) -> None:
        space, population = self.settings.space, self.settings.search.population
        low, high = space.levels
        starts = [
            space.start_parameters(family, level)
            for level in START_LEVELS for family in space.families
            if low <= level < high or level == high == START_LEVELS[-1]
        ]  # fmt: skip
        for parameters in starts[: population // 2]:
            self.trials.study.enqueue_trial(parameters)

    def look_first(self) -> None:
        """Random designs of every family: is anything feasible, and if not, what forbids it?"""
        look_first(self.settings, self.evaluators)

    def to_its_end(self) -> None:
        """The gradient phase where there is one, then generations while another is due."""
        if self.refines and self.state["trials"] == 0:
            self.gradient_phase()
        while self.goes_on():
            self.generation()

    # --- the gradient phase ----------------------------------------------------------------------

    def gradient_phase(self) -> None:
        """The phase without trials; its front becomes the first generation."""
        started = time.perf_counter()
        found = self._warmed(self.settings.search.seed, warm.ROUNDS)
        most = min(self.settings.search.trials, MOST_FIRST)
        self._enter(_spread(found, most), generation=0)
        self._families_alone()
        self._close(0.0, started)

    def _families_alone(self) -> None:
        """Every family searched by itself, so that gains and ladders compare optimized arms."""
        if self.settings.conventional is None or len(self.evaluators) == 1:
            return
        for name in self.evaluators:
            left = self.settings.search.trials - self.state["trials"]
            if left > 0:
                found = self._warmed(self.settings.search.seed, warm.ROUNDS, [name])
                self._enter(_spread(found, min(left, MOST_ALONE)), generation=0)

    def _warmed(self, seed: int, rounds: int, names: list[str] | None = None) -> Archive:
        warm.compile_all(self.evaluators, self.polishers)
        some = {name: self.evaluators[name] for name in names or self.evaluators}
        phase = warm.Warm(some, self.polishers, self.settings, seed)
        what = "gradients" if names is None else f"{' and '.join(names)} alone"

        def said(number: int, found: Archive) -> None:
            self._say(found.hypervolume, f"{what} {number + 1}/{rounds}", found)

        phase.run(rounds, said)
        self.state["evaluations"] += phase.evaluations
        return phase.archive

    def _enter(self, rows: list[Row], generation: int) -> None:
        """Designs of the unit cube as trials, swept over every deployment."""
        for name, evaluator in self.evaluators.items():
            mine = [row for row in rows if row.family == name]
            if not mine:
                continue
            designs = evaluator.family.from_unit_cube(np.array([row.values for row in mine]))
            outcome = self._sweep(evaluator, designs)
            for index, row in enumerate(mine):
                columns = [column[index, row.point] for column in outcome.goals]
                reached = np.log10(goals.goals_of(self.settings.objectives, columns))
                target = aims.with_one_free(reached - 1e-6, -1)
                found = swept(outcome, index, self.settings, target=target)
                self._add_trial(evaluator.family, found, designs[index], generation)

    def _add_trial(self, family: Family, found: Swept, values, generation: int) -> None:
        number = len(self.trials)
        space = self.settings.space
        trial = optuna.trial.create_trial(
            params=space.parameters_of(family, values, found.serve_level),
            distributions=self._distributions,
            values=found.values,
            constraints=constraints_of(found, self.settings),
            user_attrs={"design": f"{number}.{found.told}"},
            system_attrs={samplers.GENERATION: generation},
        )
        self.trials.study.add_trial(trial)
        self._count(number, family, found, values)

    def enter(self, rows: list[Row]) -> None:
        """Designs of the unit cube found elsewhere join the run as trials, saved at once."""
        started, before = time.perf_counter(), self.archive.hypervolume
        self._enter(rows, self._last_generation())
        self._close(before, started)

    @property
    def competed(self) -> tuple[np.ndarray, list[Row]]:
        """Log10 of both goals of all designs of the run that competed, and where each is from."""
        return self.folder.competed(self.settings)

    def goes_on(self) -> bool:
        """Whether another generation is due: trials left, and a front that still moves."""
        search, state = self.settings.search, self.state
        if state["trials"] >= search.trials or state["converged"]:
            return False
        patient = not self.refines or not search.patience or state["stalled"] < search.patience
        return patient or self._restarted()

    def _restarted(self) -> bool:
        """Whether a phase from fresh random designs still adds something; it is kept."""
        started, before = time.perf_counter(), self.archive.hypervolume
        found = self._warmed(self.settings.search.seed + 1 + self.state["trials"], RESTART_ROUNDS)
        both = np.concatenate([self.archive.points, found.points])
        better = archive.nondominated(both)[len(self.archive.points) :]
        fresh = Archive(self.settings.reference_point)
        fresh.add(found.points[better], [r for r, b in zip(found.rows, better, strict=True) if b])
        left = self.settings.search.trials - self.state["trials"]
        self._enter(_spread(fresh, left), self._last_generation())
        self.state["stalled"] = 0
        self.state["converged"] = bool(self.archive.hypervolume <= before * (1 + STALL))
        self._close(before, started)
        return not self.state["converged"]

    def _last_generation(self) -> int:
        trials = self.trials.study.get_trials(deepcopy=False)
        return max((t.system_attrs.get(samplers.GENERATION, 0) for t in trials), default=0)

    # --- generations -----------------------------------------------------------------------------

    def generation(self) -> None:
        """One generation, from asking to saving."""
        started, before = time.perf_counter(), self.archive.hypervolume
        search, study = self.settings.search, self.trials.study
        done = self.state["trials"]
        study.sampler = samplers.sampler(search.sampler, search.seed, search.population, done)
        count = min(search.population, search.trials - done)
        asked = [study.ask(self._distributions) for _ in range(count)]
        drawn = [self.settings.space.values_of(trial.params) for trial in asked]
        held = {row.family for row in self.archive.rows}
        found: dict[int, tuple[Swept, Any]] = {}
        for name, evaluator in self.evaluators.items():
            mine = [i for i, (family, _) in enumerate(drawn) if family.name == name]
            if mine:
                designs = np.array([drawn[i][1] for i in mine], float).reshape(len(mine), -1)
                levels = [asked[i].params[SERVE_LEVEL] for i in mine]
                answers = self._served(evaluator, designs, levels)
                found |= dict(zip(mine, answers, strict=True))
        for i, trial in enumerate(asked):
            self._tell(trial, drawn[i][0], *found[i])
        gained = self.archive.hypervolume > before * (1 + STALL)
        entered = {row.family for row in self.archive.rows} - held
        self.state["stalled"] = 0 if gained or entered else self.state["stalled"] + 1
        self._close(before, started)

    def _served(self, evaluator: Evaluator, designs: np.ndarray, levels: list[float]):
        """Each design of a family with what it makes of its level, polished where that is done."""
        outcome = self._sweep(evaluator, designs)
        plain = [swept(outcome, i, self.settings, level=s) for i, s in enumerate(levels)]
        if not self.refines:
            return list(zip(plain, designs, strict=True))
        pairs = enumerate(zip(plain, levels, strict=True))
        targets = np.array([self._target(s, level, i) for i, (s, level) in pairs])
        polisher = self.polishers[evaluator.family.name]
        shares = evaluator.family.unit_cube(designs)
        moved, spent = warm.served(polisher, sweeps.sweep_of(evaluator, shares, outcome), targets)
        self.state["evaluations"] += spent
        designs = evaluator.family.from_unit_cube(moved)
        outcome = self._sweep(evaluator, designs)
        told = [swept(outcome, i, self.settings, target=t - 1e-3) for i, t in enumerate(targets)]
        return list(zip(told, designs, strict=True))

    def _target(self, found: Swept, level: float, number: int) -> np.ndarray:
        """Log10 of the goals to serve: on the trial's own front, else on the study's.

        One goal is free: the second of two, of more in turn any but the first.
        """
        count = len(self.settings.objectives)
        if len(found.front):
            return aims.with_one_free(np.array(found.values), 1 + number % (count - 1))
        target = np.full(count, -np.inf)
        target[0] = self.archive.reference[0]
        if self.archive.rows:
            low, high = self.archive.points[[0, -1], 0]
            target[0] = low + level * (high - low)
        return target

    def _sweep(self, evaluator: Evaluator, designs: np.ndarray):
        self.state["evaluations"] += len(designs) * len(evaluator.grid)
        return evaluator(designs)

    def _tell(self, trial, family: Family, found: Swept, values) -> None:
        for name, margin in constraints_of(found, self.settings).items():
            trial.set_constraint(name, margin)
        if self.refines:
            parameters = self.settings.space.parameters_of(family, values, found.serve_level)
            _move(self.trials.study, trial, parameters)
        trial.set_user_attr("design", f"{trial.number}.{found.told}")
        self.trials.study.tell(trial, found.values)
        self._count(trial.number, family, found, values)

    def _count(self, number: int, family: Family, found: Swept, values) -> None:
        """A finished trial: counted, and its own front in competition."""
        self.state["trials"] += 1
        if not len(found.front):
            return
        self.state["feasible"] += 1
        key = (family.name, tuple(float(value) for value in values))
        if key in self._seen:
            return
        self._seen.add(key)
        rows = [Row(number, *key, int(point)) for point in found.front]
        self.archive.add(found.logs, rows)
        self._competed.append(table(rows, found, self.evaluators[family.name]))

    # --- saving and saying -----------------------------------------------------------------------

    def _close(self, before: float, started: float) -> None:
        self.state["seconds"] += time.perf_counter() - started
        self.state["hypervolume"].append(self.archive.hypervolume)
        self.folder.save(self.state, self._competed, self.trials)
        self._competed = []
        self._say(before)

    def _say(self, before: float, phase: str = "", found: Archive | None = None) -> None:
        if self._report is None:
            return
        state, total = self.state, self.settings.search.trials
        held, trials = self.archive if found is None else found, max(state["trials"], 1)
        rate = state["evaluations"] / max(state["seconds"], 1e-9)
        left = (total - state["trials"]) * state["seconds"] / trials
        self._report(Progress(phase, state["trials"], total, state["feasible"] / trials,
                              len(held.rows), held.hypervolume, held.hypervolume - before, rate,
                              left))  # fmt: skip


def look_first(settings: Settings, evaluators: dict[str, Evaluator]) -> None:
    """Random designs of every family.

    Raises:
        Infeasible: none keeps its limits; the message says which limits forbid it.
    """
    rng = np.random.default_rng(settings.search.seed)
    each = -(-SAMPLES_BEFORE // len(evaluators))
    blockers: Counter = Counter()
    for evaluator in evaluators.values():
        family = evaluator.family
        designs = family.from_unit_cube(rng.uniform(size=(each, len(family.axes))))
        designs = np.concatenate([designs, [family.start]])
        for start in range(0, len(designs), batch.TILE_DESIGNS):
            outcome = evaluator(designs[start : start + batch.TILE_DESIGNS])
            for index in range(len(outcome.limit_margin)):
                found = swept(outcome, index, settings, level=0.0)
                if len(found.front):
                    return
                blockers[blocker(evaluator, outcome, index, found, settings)] += 1
    raise Infeasible(what_forbids(blockers, settings))


def _spread(found: Archive, most: int) -> list[Row]:
    """At most so many pieces of hardware on a front, which keep nearly all of its hypervolume."""
    first: dict[tuple, Row] = {}
    for index in archive.chosen(found.points, found.reference, most):
        row = found.rows[index]
        first.setdefault((row.family, row.values), row)
    return list(first.values())


def _move(study: optuna.Study, trial, parameters: dict[str, Any]) -> None:
    """Tell a running trial of the parameters it was moved to."""
    for name, value in parameters.items():
        distribution = trial.distributions[name]
        inside = distribution.to_internal_repr(value)
        study._storage.set_trial_param(trial._trial_id, name, inside, distribution)
