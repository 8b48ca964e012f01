"""Which few chips together serve a run's front best, and what one chip for both goals gives up.

A chip is one hardware design under any deployment: its curve is what it reaches over the study's
whole deployment grid. How the sets are chosen, and when exactly, says `dse.search.cover`.

A run keeps of a trial's curve only points `THIN_STORED` apart, so that a stored curve lies at most
that far below the true one. A chip whose stored curve, raised by as much, another chip's stored
curve still covers can be left out of any set and adds nothing to the whole; all others are swept
again over the whole grid, in float32 as the search does. Chips that enter a set are confirmed in
float64 and the sets chosen again, until every chip in them is confirmed.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from dse.estimate.output import TOLERANCE as TOLERANCE_FLOAT64
from dse.search import archive, batch, confirm, cover, staircase
from dse.search.archive import THIN_STORED
from dse.search.batch import TILE_DESIGNS, TOLERANCE, Evaluator
from dse.search.front import hardware_of
from dse.search.runs import Run, model_changes
from dse.search.settings import OBJECTIVES, Settings
from dse.specs.schema import SpecError

SCHEMA = "dse.portfolio/1"
AT_ONCE = 2_000_000  # designs evaluated before their outcomes are reduced to curves


class Chip(NamedTuple):
    """One hardware design and the points of the deployment grid no other of its points beats."""

    trial: int
    family: str
    values: tuple[float, ...]  # of the family's axes
    points: np.ndarray  # of the grid, slow to fast
    logs: np.ndarray  # log10 of the goals there, [point, goal]


def portfolio(run: Run, most: int) -> dict[str, Any]:
    """The object of ``dse portfolio --json``: the best sets of 1 to ``most`` chips of a run.

    Sets stop where a further chip adds nothing; there are none where no chip reaches beyond the
    reference point.

    Raises:
        SpecError: no trial has finished, or specs or package are not what they were.
    """
    settings = run.settings()
    both = _both_goals(run, settings)
    changes = model_changes(run, settings)
    if changes:
        raise SpecError(run.name, [*changes, "its chips cannot be evaluated again; start a fresh "
                                             "run: dse run STUDY"])  # fmt: skip
    front = run.front()
    stored = _stored(run, settings)
    evaluators = batch.evaluators(settings)
    reference = np.log10(settings.reference_point)[both]
    kept = cover.contenders([chip.logs for chip in stored], reference, THIN_STORED * (1 + 1e-9))
    chips = _swept([stored[i] for i in kept], evaluators, settings)
    covers = _chosen(chips, evaluators, settings, most)
    curves = [chip.logs for chip in chips] or [np.empty((0, len(OBJECTIVES)))]
    whole = archive.hypervolume(np.concatenate(curves), reference)
    said = _Said(settings, front, evaluators, reference, whole)
    return {
        "schema": SCHEMA,
        "run": run.name,
        "study": settings.name,
        "objectives": list(OBJECTIVES),
        "reference_point": [settings.reference_point[i] for i in both],
        "hypervolume": whole,
        "candidates": len(stored),
        "swept_again": len(chips),
        "deployments": max(len(evaluator.grid) for evaluator in evaluators.values()),
        "k": most,
        "portfolios": [said.portfolio(found, [chips[i] for i in found.members])
                       for found in covers],
    }  # fmt: skip


# --- chips ----------------------------------------------------------------------------------------


def _both_goals(run: Run, settings: Settings) -> list[int]:
    """Where the two goals that a portfolio serves stand among the objectives of a study.

    Raises:
        SpecError: the study searched for others.
    """
    names = [objective.name for objective in settings.objectives]
    missing = [name for name in OBJECTIVES if name not in names]
    if missing:
        raise SpecError(run.name, [f"a portfolio serves {' and '.join(OBJECTIVES)}; this study has "
                                   f"no objective {missing[0]}"])  # fmt: skip
    return [names.index(name) for name in OBJECTIVES]


def _stored(run: Run, settings: Settings) -> list[Chip]:
    """Every piece of hardware that competed, with what the run kept of its curve."""
    logs, rows = run.competed(settings)
    logs = logs[:, _both_goals(run, settings)]
    lines: dict[tuple[int, str, tuple[float, ...]], list[int]] = defaultdict(list)
    for line, row in enumerate(rows):
        lines[row.trial, row.family, row.values].append(line)
    return [
        Chip(trial, family, values, np.array([rows[i].point for i in mine]), logs[mine])
        for (trial, family, values), mine in lines.items()
    ]


def _swept(
    chips: list[Chip], evaluators: Mapping[str, Evaluator], settings: Settings
) -> list[Chip]:
    """The chips with their curves over the whole grid, in float32 and in the same order."""
    found = list(chips)
    for name, evaluator in evaluators.items():
        mine = [i for i, chip in enumerate(chips) if chip.family == name]
        many = max(TILE_DESIGNS, AT_ONCE // len(evaluator.grid))
        for start in range(0, len(mine), many):
            part = mine[start : start + many]
            designs = np.array([chips[i].values for i in part], float).reshape(len(part), -1)
            outcome = evaluator(designs)
            good = outcome.limit_margin <= TOLERANCE
            for constraint, used in zip(settings.constraints, outcome.metrics, strict=True):
                good &= constraint.margin(used) <= TOLERANCE
            named = [objective.name for objective in settings.objectives]
            columns = dict(zip(named, outcome.goals, strict=True))
            goals = np.stack([columns[goal] for goal in OBJECTIVES], axis=-1)
            for row, i in enumerate(part):
                found[i] = _curve(chips[i], goals[row], good[row])
    return found


def _confirmed(chip: Chip, evaluator: Evaluator, settings: Settings) -> Chip:
    """The chip with its curve over the whole grid in float64."""
    count = len(evaluator.grid)
    hardware = confirm.hardware_of(evaluator.family, chip.values)
    estimate = confirm.on_grid(hardware, evaluator.grid, settings)
    good = confirm.fits(estimate, count)
    with jax.enable_x64(True):
        for constraint in settings.constraints:
            used = confirm.column(constraint.metric.of(estimate), count)
            good &= constraint.margin(used) <= TOLERANCE_FLOAT64
    goals = [confirm.column(getattr(estimate, name), count) for name in OBJECTIVES]
    return _curve(chip, np.stack(goals, axis=-1), good)


def _curve(chip: Chip, goals: np.ndarray, good: np.ndarray) -> Chip:
    """The chip with the best of the feasible points of the grid; goals are ``[point, goal]``."""
    usable = np.flatnonzero(good & (np.isfinite(goals) & (goals > 0)).all(axis=-1))
    logs = np.log10(goals[usable].astype(float))
    best = np.flatnonzero(archive.nondominated(logs))
    best = best[np.argsort(logs[best, 0], kind="stable")]
    return chip._replace(points=usable[best], logs=logs[best])


def _chosen(chips: list[Chip], evaluators, settings: Settings, most: int) -> list[cover.Cover]:
    """The best sets; every chip in one is replaced, in ``chips`` too, by the confirmed one."""
    names = [objective.name for objective in settings.objectives]
    reference = np.log10([settings.reference_point[names.index(name)] for name in OBJECTIVES])
    sure: set[int] = set()
    while True:
        covers = cover.covers([chip.logs for chip in chips], reference, most)
        fresh = {i for found in covers for i in found.members} - sure
        if not fresh:
            return covers
        for i in fresh:
            chips[i] = _confirmed(chips[i], evaluators[chips[i].family], settings)
        sure |= fresh


# --- what is said ---------------------------------------------------------------------------------


class _Said(NamedTuple):
    """What chips are compared with: the run's front and the hypervolume of all its chips."""

    settings: Settings
    front: dict[str, Any]
    evaluators: Mapping[str, Evaluator]
    reference: np.ndarray
    whole: float

    def portfolio(self, found: cover.Cover, chips: list[Chip]) -> dict[str, Any]:
        """One set of chips, from the one for slow users to the one for fast users."""
        serves = staircase.spans([chip.logs for chip in chips], self.reference)
        # A chip that another equals or beats everywhere has no span; it comes last.
        order = sorted(range(len(chips)), key=lambda i: serves[i] or [(np.inf, np.inf)])
        return {
            "k": len(chips),
            "exact": found.exact,
            "share": found.hypervolume / self.whole,
            "hypervolume": found.hypervolume,
            "gives_up": self.gives_up(np.concatenate([chip.logs for chip in chips])),
            "chips": [self.chip(chips[i], serves[i]) for i in order],
        }

    def gives_up(self, logs: np.ndarray) -> dict[str, float]:
        """At each end of the front, how many times better the front's best is than the set's."""
        ours = 10 ** logs.max(axis=0)
        designs = np.array([[d[goal] for goal in OBJECTIVES] for d in self.front["designs"]])
        best = np.maximum(designs.max(axis=0), ours) if len(designs) else ours
        speed, efficiency = (best / ours).tolist()
        return {"user_tokens_per_s": speed, "j_per_token": efficiency}

    def chip(self, chip: Chip, serves: list[tuple[float, float]]) -> dict[str, Any]:
        """One chip: what it is, what it reaches at best, and the user speeds it serves best."""
        evaluator = self.evaluators[chip.family]
        designs = [d["id"] for d in self.front["designs"] if d["trial"] == chip.trial]
        speed, efficiency = (10 ** chip.logs.max(axis=0)).tolist()
        return {
            "trial": chip.trial,
            "design": designs[0] if designs else None,
            "designs_on_front": designs,
            "family": chip.family,
            "title": evaluator.family.title,
            "share": archive.hypervolume(chip.logs, self.reference) / self.whole,
            "user_tokens_per_s": speed,
            "system_tokens_per_s_per_w": efficiency,
            "j_per_token": 1 / efficiency,
            "serves": [
                {"from_user_tokens_per_s": 10**low, "to_user_tokens_per_s": 10**high}
                for low, high in serves
            ],
            "hardware": hardware_of(evaluator.family, chip.values),
            "curve": [self.point(chip, evaluator, row) for row in range(len(chip.points))],
        }

    def point(self, chip: Chip, evaluator: Evaluator, row: int) -> dict[str, Any]:
        """One point of a chip's curve: id, both goals, the deployment that reaches them."""
        choices = evaluator.grid.choices[chip.points[row]]
        return {
            "id": f"{chip.trial}.{chip.points[row]}",
            **dict(zip(OBJECTIVES, (10 ** chip.logs[row]).tolist(), strict=True)),
            "deployment": {name: getattr(choices, name) for name in self.settings.deployment},
        }
