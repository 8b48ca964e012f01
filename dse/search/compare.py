"""Real chips on the study's model: each at its best deployment, drawn beside the front."""

import math
from typing import Any

import numpy as np

from dse.metrics import METRICS
from dse.search import confirm, deployments
from dse.search.archive import nondominated
from dse.search.goals import OBJECTIVES, goals_of
from dse.search.settings import Settings
from dse.specs import load


def curve(chip: load.Loaded, settings: Settings) -> dict[str, Any]:
    """The non-dominated deployments of one chip inside its scale-up domain, slow to fast.

    The same grid of batches, splits and formats as the designs get, at the same fidelity; the
    study's limits on hypothetical hardware do not apply.
    """
    up = chip.spec.link.get("scale_up")
    domain = 1.0 if up is None else float(up.chips)
    grid = deployments.grid(chip.spec, settings.model.spec, settings.workload.spec,
                            settings.deployment, {"chips": domain})  # fmt: skip
    found = {"chip": chip.name, "title": chip.title, "chips_in_domain": domain, "points": []}
    estimate = confirm.on_grid(chip.spec, grid, settings)
    count = len(grid)
    names = dict.fromkeys((*OBJECTIVES, *(o.name for o in settings.objectives)))
    columns = {name: confirm.column(METRICS[name].of(estimate), count) for name in names}
    goals = goals_of(settings.objectives, [columns[o.name] for o in settings.objectives])
    good = np.flatnonzero(confirm.fits(estimate, count) & np.isfinite(goals).all(axis=1))
    best = good[nondominated(goals[good])]
    for index in best[np.argsort(columns[OBJECTIVES[0]][best])]:
        choice = grid.choices[index]
        found["points"].append(
            {name: float(values[index]) for name, values in columns.items()}
            | {name: getattr(choice, name) for name in settings.deployment}
            | {"chips": float(confirm.column(grid.columns.chips, count)[index])}
            | {"power_w": float(confirm.column(estimate.power_w, count)[index])}
            | {"time_breakdown_s": _parts(estimate.time_breakdown_s, index, count)}
            | {"energy_breakdown_j": _parts(estimate.energy_breakdown_j, index, count)}
            | {"step_s": float(confirm.column(estimate.step_s, count)[index])}
        )
    return found


def _parts(table: dict, index: int, count: int) -> dict[str, float]:
    return {name: float(confirm.column(leaf, count)[index]) for name, leaf in table.items()}


def best_of(curves: list[dict[str, Any]], goal: str) -> dict[str, Any] | None:
    """The chip and operating point that are best in one goal, over all curves."""
    found = [(point[goal], curve, point) for curve in curves for point in curve["points"]]
    if not found:
        return None
    _, chip, point = max(found, key=lambda item: item[0])
    return {"chip": chip["chip"], "title": chip["title"], **point}


def gain_at(points: np.ndarray, curves: list[dict[str, Any]], speed: float) -> float | None:
    """Tokens per joule of a front over that of the best real chip at an equal user speed.

    Both are what is served at ``speed`` or faster; None where either serves nothing.
    """
    ours = points[points[:, 0] >= speed, 1]
    theirs = [
        point[OBJECTIVES[1]]
        for chip in curves
        for point in chip["points"]
        if point[OBJECTIVES[0]] >= speed
    ]
    if len(ours) == 0 or not theirs:
        return None
    ratio = float(ours.max()) / max(theirs)
    return ratio if math.isfinite(ratio) else None
