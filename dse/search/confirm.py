"""Designs evaluated again as ``dse eval`` would: float64, defaults filled in, every breakdown.

Many designs of one structure run at once and without compiling: the model is elementwise, so its
leaves may be columns. Each design's numbers are to the last bit those of ``dse eval``.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from dse.estimate.evaluate import interpreted, prepared
from dse.estimate.output import TOLERANCE, number
from dse.estimate.prepare import Choices, format_names
from dse.estimate.step import Design, Estimate, Scenario
from dse.questions.case import column
from dse.search.deployments import Grid, placed
from dse.search.goals import Objective
from dse.search.settings import Settings
from dse.search.space import Family
from dse.specs.hardware import HardwareSpec


def hardware_of(family: Family, values: Sequence[float]) -> HardwareSpec:
    """The chip of a design, plain numbers in float64."""
    with jax.enable_x64(True):
        return jax.tree.map(float, family.with_values([float(value) for value in values]))


def settings_of(family: Family, values: Sequence[float]) -> dict[str, float]:
    """Path -> value of every axis, the clock as it is after the limit of the voltage."""
    hardware = hardware_of(family, values)
    named = {a.path: float(v) for a, v in zip(family.axes, values, strict=True)}
    if "clock" in named and hardware.clock_hz is not None:
        named["clock"] = float(hardware.clock_hz)
    return named


def confirmed(
    family: Family, designs: Sequence[tuple[Sequence[float], Choices]], settings: Settings
) -> list[dict[str, Any]]:
    """The object of ``dse eval --json`` for each design of a family, in order."""
    if not designs:
        return []
    given = (settings.model.spec, settings.workload.spec)
    with jax.enable_x64(True):
        made = [prepared(hardware_of(family, values), *given, choices)
                for values, choices in designs]  # fmt: skip
    design = jax.tree.map(_column, *[design for design, _ in made])
    estimate = interpreted(design, made[0][1], settings.fidelity, settings.power_scope)
    rows = _split(estimate, len(designs))
    return [
        dataclasses.replace(row, labels=_labels(family, settings, choices)).to_dict()
        | {"metrics": _metrics(row, settings)}
        for row, (_, choices) in zip(rows, designs, strict=True)
    ]


def _metrics(row: Estimate, settings: Settings) -> dict[str, float | None]:
    """Metrics that a study optimizes or bounds, also those that ``dse eval`` does not print."""
    wanted = [found.metric for found in (*settings.objectives, *settings.constraints)]
    with np.errstate(all="ignore"):
        return {metric.name: number(metric.of(row)) for metric in wanted}


def on_grid(hardware: HardwareSpec, grid: Grid, settings: Settings) -> Estimate:
    """One chip on every point of a grid."""
    reserve = settings.workload.spec.reserve_fraction
    with jax.enable_x64(True):
        deployment = placed(hardware, grid.columns, grid.weights_bytes)
    scenario = Scenario(settings.model.spec, grid.context, reserve)
    design = Design(hardware, deployment)
    return interpreted(design, scenario, settings.fidelity, settings.power_scope)


def goal_on_grid(
    objective: Objective, estimates: Sequence[Estimate], count: int, settings: Settings
) -> np.ndarray:
    """A metric at the first points of a grid, combined over the scenarios."""
    with jax.enable_x64(True), np.errstate(all="ignore"):
        values = [column(objective.metric.of(estimate), count) for estimate in estimates]
        return np.asarray(settings.combination.goal(objective, values), float)


def fits(estimate: Estimate, count: int) -> np.ndarray:
    """Which of the first points of an estimate keep every limit of the chip, ``[point]``."""
    good = np.ones(count, bool)
    for limit in estimate.limits.values():
        used, allowed = column(limit.used, count), column(limit.allowed, count)
        good &= used <= allowed * (1 + TOLERANCE)
    return good


def _column(*leaves) -> np.ndarray:
    return np.array([float(leaf) for leaf in leaves])


def _split(estimate: Estimate, count: int) -> list[Estimate]:
    wide = jax.tree.map(lambda leaf: column(leaf, count), estimate)
    return [jax.tree.map(lambda leaf, i=i: leaf[i], wide) for i in range(count)]


def _labels(family: Family, settings: Settings, choices: Choices) -> tuple:
    formats = format_names(settings.model.spec, choices)
    words = {
        "chip": family.name,
        "model": settings.model.name,
        "workload": settings.workload.name,
        **formats,
        "fidelity": settings.fidelity,
        "power_scope": settings.power_scope,
    }
    return tuple(words.items())
