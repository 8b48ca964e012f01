"""How sure a front is: bands of its goals, chances to be on it, regret, order inside noise.

Every design that competed and comes near the front is evaluated again over joint draws of the
constants (`dse.questions.ranges`): a constant that several designs share takes the same quantile in
all of them, so that what is common to them moves them together and decides nothing between them.
Hardware and deployment are held: nothing is chosen again for the constants drawn.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dse.questions import ranges
from dse.questions.case import Case, column, feasible
from dse.search import archive as archives
from dse.search import batch, goals
from dse.search.front import hardware_of
from dse.search.gains import case_of
from dse.search.runs import Run, model_changes
from dse.search.settings import Settings
from dse.specs.schema import SpecError

SCHEMA = "dse.bands/1"
DRAWS = 256
NEAR = 0.05  # log10: designs this close to the front nominally may be on it under other constants
APART = 0.01  # log10: of designs closer to one another than this, one stands for them
MOST_RIVALS = 240
TAIL = 0.2  # of the draws, the worst in a goal, whose mean is what a robust front compares
FLIP = 0.1  # share of draws in which two designs change order from which that is noise
SHOWN = 0.1  # chance to be on the front from which a rival is named
LEVELS = 60  # of the first goal, at which the band of a front is stated
LATE = 0.9  # quantile of the regret


def bands(run: Run, draws: int = DRAWS) -> dict[str, Any]:
    """The object ``bands`` of ``dse pareto show --bands --json``.

    Raises:
        SpecError: no design on the front, or specs or package are not what they were.
    """
    settings, front = run.settings(), run.front()
    changes = model_changes(run, settings)
    if changes:
        raise SpecError(run.name, [*changes, "its designs cannot be evaluated again; start a "
                                             "fresh run: dse run STUDY"])  # fmt: skip
    if not front["designs"]:
        raise SpecError(run.name, ["no design on its front"])
    ours = sorted(front["designs"], key=lambda d: d[settings.objectives[0].name])
    everyone = [*ours, *_rivals(run, settings, ours)]
    found = [_drawn(design, settings, draws) for design in everyone]
    logs = np.stack([log for log, _, _ in found])  # [design, draw, goal]
    good = np.stack([within for _, within, _ in found])  # [design, draw]
    on_front, on_front_within = chances(logs, np.ones_like(good)), chances(logs, good)
    regret = shortfalls(logs)
    robust = robust_front(logs)
    names = [objective.name for objective in settings.objectives]
    rows = [
        {
            "id": design["id"],
            "family": design["family"],
            "nominal": {name: design[name] for name in names} if index < len(ours) else None,
            "goals": {o.name: _ends(o, logs[index, :, k], found[index][2][:, k])
                      for k, o in enumerate(settings.objectives)},
            "robust": {o.name: float(o.goal(10 ** worst(logs[index, :, k])))
                       for k, o in enumerate(settings.objectives)},
            "on_front": float(on_front[index]),
            "on_front_within_limits": float(on_front_within[index]),
            "within_limits": float(good[index].mean()),
            "regret": {"mean": _fraction(regret[index].mean()),
                       "late": _fraction(np.quantile(regret[index], LATE))},
            "on_robust_front": bool(robust[index]),
        }
        for index, design in enumerate(everyone)
    ]  # fmt: skip
    return {
        "schema": SCHEMA,
        "run": run.name,
        "draws": draws,
        "level": ranges.QUANTILES[1] - ranges.QUANTILES[0],
        "meaning": MEANING,
        "compared": len(everyone),
        "tail": TAIL,
        "designs": rows[: len(ours)],
        "rivals": sorted((row for row in rows[len(ours) :]
                          if row["on_front"] >= SHOWN or row["on_robust_front"]),
                         key=lambda row: -row["on_front"]),
        "robust_front": [row["id"] for row in rows if row["on_robust_front"]],
        "attained": attained(logs + np.log10(np.stack([factors for *_, factors in found]))),
        "best": {name: _best(rows, logs[:, :, k]) for k, name in enumerate(names)},
        "flips": flips(np.log10(goals.points_of(settings.objectives, ours)), logs[: len(ours)],
                       [design["id"] for design in ours], names),
    }  # fmt: skip


def bands_of(row: archives.Row, settings: Settings, grids, draws: int = DRAWS) -> dict[str, Any]:
    """The 80 % band of each objective of one design over joint draws of the constants."""
    logs, _, factors = _drawn(_as_design(row, settings, grids), settings, draws)
    return {o.name: _ends(o, logs[:, k], factors[:, k]) for k, o in enumerate(settings.objectives)}


def attained(logs: np.ndarray) -> dict[str, list[float | None]] | None:
    """Band of the whole front: the second goal that designs of a draw reach at each of the first.

    Returns:
        Levels of the first goal with the 10 %, 50 % and 90 % quantiles of the second over draws;
        None where fewer than half of the draws reach a level; nothing for other than two goals.
    """
    if logs.shape[2] != 2:
        return None
    ends = (np.median(logs[:, :, 0].min(axis=0)),
            np.quantile(logs[:, :, 0].max(axis=0), ranges.QUANTILES[1]))  # fmt: skip
    speeds = np.linspace(*ends, LEVELS)
    reach = np.array([np.where(logs[:, :, 0] >= speed, logs[:, :, 1], -np.inf).max(axis=0)
                      for speed in speeds])  # fmt: skip
    ends = np.quantile(reach, (ranges.QUANTILES[0], 0.5, ranges.QUANTILES[1]), axis=1,
                       method="inverted_cdf")  # fmt: skip
    named = zip(("low", "median", "high"), ends, strict=True)
    return {"levels": (10**speeds).tolist()} | {
        name: [float(10**v) if np.isfinite(v) else None for v in values] for name, values in named
    }


MEANING = (
    "joint draws of the constants within their ranges, those of a fitted style as its fit says; "
    "designs and deployments held. Bands of goals also hold what the fit leaves unexplained, which "
    "is common to all designs and decides no order."
)


def _fraction(shortfall: float) -> float:
    return float(10**shortfall - 1)


def _ends(objective: goals.Objective, logs: np.ndarray, factors: np.ndarray) -> list[float] | None:
    return ranges.ends(objective.goal(10**logs) * factors)


def _best(rows: Sequence[dict[str, Any]], logs: np.ndarray) -> list[dict[str, Any]]:
    """Designs that may be the best in one goal, with their chance, likeliest first."""
    counts = np.bincount(np.argmax(logs, axis=0), minlength=len(rows)) / logs.shape[1]
    order = np.argsort(-counts)[:3]
    return [{"id": rows[i]["id"], "chance": float(counts[i])} for i in order if counts[i] > 0]


# --- who competes ---------------------------------------------------------------------------------


def _rivals(run: Run, settings: Settings, ours: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Designs that competed and lie near the front nominally, far enough from one another."""
    points, rows = run.competed(settings)
    front = np.log10(goals.points_of(settings.objectives, ours))
    short = np.array([np.max(np.min(front - point, axis=1)) for point in points])
    near = np.flatnonzero(short <= NEAR)
    near = near[np.argsort(short[near], kind="stable")]
    taken, kept = {tuple(box) for box in np.floor(front / APART)}, []
    for index in near:
        box = tuple(np.floor(points[index] / APART))
        if box not in taken:
            taken.add(box)
            kept.append(index)
    grids = batch.evaluators(settings)
    return [_as_design(rows[i], settings, grids) for i in kept[:MOST_RIVALS]]


def _as_design(row: archives.Row, settings: Settings, grids) -> dict[str, Any]:
    evaluator = grids[row.family]
    choices = evaluator.grid.choices[row.point]
    deployment = {name: getattr(choices, name) for name in settings.deployment}
    hardware = hardware_of(evaluator.family, row.values)
    return {"id": row.id, "family": row.family, "hardware": hardware, "deployment": deployment}


def _drawn(design: dict[str, Any], settings: Settings, draws: int):
    """Log10 of the goals ``[draw, goal]``, whether limits hold ``[draw]``, left-over factors."""
    fixed = [knob["path"] for knob in design["hardware"]["knobs"]]
    alone = [settings.alone(scenario) for scenario in settings.scenarios]
    cases = [case_of(design, "", each) for each in alone]
    estimates = [ranges.estimates(case, fixed, draws)[0] for case in cases]
    good = np.ones(draws, bool)
    values = []
    for objective in settings.objectives:
        each = [column(objective.metric.of(e), draws) for e in estimates]
        values.append(np.asarray(settings.combination.goal(objective, each), float))
    for estimate in estimates:
        good &= feasible(estimate, draws)
        for constraint in settings.constraints:
            good &= constraint.margin(column(constraint.metric.of(estimate), draws)) <= 1e-9
    logs = np.log10(goals.goals_of(settings.objectives, values))
    return logs, good, _factors(cases[0], settings, draws)


def _factors(case: Case, settings: Settings, draws: int) -> np.ndarray:
    found = [np.broadcast_to(ranges.left_over(case, o.name, draws), (draws,))
             for o in settings.objectives]  # fmt: skip
    return np.stack(found, axis=-1)


# --- what the draws say ---------------------------------------------------------------------------


def chances(logs: np.ndarray, good: np.ndarray) -> np.ndarray:
    """Share of draws in which each design is on the front of those that are good, ``[design]``."""
    count = np.zeros(len(logs))
    for draw in range(logs.shape[1]):
        there = np.flatnonzero(good[:, draw])
        count[there] += archives.nondominated(logs[there, draw])
    return count / logs.shape[1]


def shortfalls(logs: np.ndarray) -> np.ndarray:
    """By how much another design beats each in every goal, log10, zero on the front.

    The additive epsilon of Zitzler et al., IEEE TEC 7(2), 2003: ``[design, draw]``.
    """
    found = np.empty(logs.shape[:2])
    for draw in range(logs.shape[1]):
        points = logs[:, draw]
        front = points[archives.nondominated(points)]
        found[:, draw] = np.max(np.min(front[None] - points[:, None], axis=2), axis=1)
    return np.maximum(found, 0.0)


def worst(logs: np.ndarray) -> float:
    """Mean of the worst fifth of the draws (conditional value at risk), log10."""
    ordered = np.sort(logs)
    return float(ordered[: max(1, round(TAIL * len(ordered)))].mean())


def robust_front(logs: np.ndarray) -> np.ndarray:
    """Which designs no other beats in the mean of the worst fifth of every goal, ``[design]``."""
    tails = np.array([[worst(goal) for goal in design.T] for design in logs])
    return archives.nondominated(tails)


def flips(
    nominal: np.ndarray, logs: np.ndarray, ids: Sequence[str], names: Sequence[str]
) -> list[dict[str, Any]]:
    """Neighbours on the front whose order in a goal changes in a tenth of the draws or more.

    Args:
        nominal: log10 of the goals at the stated constants, ``[design, goal]``.
        logs: the same over the draws, ``[design, draw, goal]``.
        ids: of the designs.
        names: of the goals.
    """
    found = []
    changed = np.sign(np.diff(logs, axis=0)) != np.sign(np.diff(nominal, axis=0))[:, None]
    for index, shares in enumerate(changed.mean(axis=1)):
        for name, share in zip(names, shares, strict=True):
            if share >= FLIP:
                found.append({"a": ids[index], "b": ids[index + 1], "goal": name,
                              "chance": float(share)})  # fmt: skip
    return found
