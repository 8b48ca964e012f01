"""The next 100 mm2: what moving area between two parts of a die brings, by evaluating it again.

Area stays: one part grows by what the other gives. Heat stays: where heat flux binds, the rail
moves until the flux is as before. So no exchange hides behind a broken limit; others that break
are named.
"""

import dataclasses
import itertools
from typing import Any

import jax
import numpy as np

from dse.estimate.evaluate import prepared
from dse.estimate.output import TOLERANCE, number
from dse.estimate.step import Design, Estimate
from dse.questions.case import GOALS, Case, column
from dse.questions.knobs import Knob, with_rail
from dse.questions.prices import NEAR, ON_DIE
from dse.questions.slopes import Slopes

STEP_MM2 = 100.0
MOST_GIVEN = 0.9  # share of a part that may be taken away
RAILS = np.linspace(0.7, 1.3, 61)  # factors on the logic rail looked at to keep the heat
NO_AREA_MM2 = 1e-6


def exchange_rates(case: Case, estimate: Estimate, slopes: Slopes) -> dict[str, Any] | None:
    """Every pair of parts between which 100 mm2 may move; None where area is not modelled."""
    if "floorplan" not in estimate.limits:
        return None
    parts = _parts(slopes)
    keeps_heat = float(estimate.limits["heat_flux"].margin) > -NEAR
    rows = [
        _exchange(case, estimate, into, out_of, keeps_heat)
        for into, out_of in itertools.permutations(parts, 2)
        if STEP_MM2 / out_of[1] <= MOST_GIVEN
    ]
    return {"step_mm2": STEP_MM2, "fixed_heat": keeps_heat, "method": "re-evaluation",
            "parts": {knob.path: {"value": knob.value, "unit": knob.unit or "",
                                  "step_fraction": STEP_MM2 / area} for knob, area in parts},
            "rows": rows,
            "best": {goal: _best(rows, goal) for goal in GOALS}}  # fmt: skip


def _parts(slopes: Slopes) -> list[tuple[Knob, float]]:
    """Knobs that stand on the die, and the area each would add if it doubled, in mm2."""
    used = slopes.used["floorplan"]
    return [
        (knob, float(used[i])) for i, knob in enumerate(slopes.knobs)
        if knob.group == "chip" and knob.path.endswith(ON_DIE) and used[i] > NO_AREA_MM2
    ]  # fmt: skip


def _exchange(case: Case, estimate: Estimate, into, out_of, keeps_heat: bool) -> dict[str, Any]:
    """Both goals after moving area between two parts, as fractions of before."""
    spec = with_rail(case.chip.spec)
    leaves, tree = jax.tree.flatten(spec)
    for (knob, area), sign in ((into, 1.0), (out_of, -1.0)):
        leaves[knob.index] = knob.value * (1 + sign * STEP_MM2 / area)
    changed = jax.tree.unflatten(tree, leaves)
    given = (case.model, case.workload, case.held().choices)
    with jax.enable_x64(True):
        design, scenario = prepared(changed, *given)
    rails = float(spec.voltage_v or 0.0) * (RAILS if keeps_heat else np.ones(1))
    moved = _with_rails(design, rails)
    after = case.run(moved, scenario)
    index = _as_hot(estimate, after, len(rails)) if keeps_heat else 0
    goals = {name: number(column(getattr(after, name), len(rails))[index]
                          / getattr(estimate, name) - 1) for name in GOALS}  # fmt: skip
    broken = [name for name, limit in after.limits.items()
              if not column(limit.used, len(rails))[index]
              <= column(limit.allowed, len(rails))[index] * (1 + TOLERANCE)]  # fmt: skip
    return {"into": into[0].path, "out_of": out_of[0].path, **goals,
            "voltage_v": float(rails[index]), "breaks": _newly(broken, estimate)}  # fmt: skip


def _with_rails(design: Design, rails: np.ndarray) -> Design:
    """The design at many logic rails, [rail]."""
    hardware: Any = dataclasses.replace(design.hardware, voltage_v=rails)
    return design._replace(hardware=hardware)


def _as_hot(before: Estimate, after: Estimate, count: int) -> int:
    """The highest rail at which the heat flux is no more than before; else the lowest."""
    flux = column(after.limits["heat_flux"].used, count)
    cool = np.flatnonzero(flux <= float(before.limits["heat_flux"].used) * (1 + 1e-9))
    return int(cool[-1]) if len(cool) else 0


def _newly(broken: list[str], before: Estimate) -> list[str]:
    """Limits that break and held before."""
    return [name for name in broken
            if float(before.limits[name].used)
            <= float(before.limits[name].allowed) * (1 + TOLERANCE)]  # fmt: skip


def _best(rows: list[dict[str, Any]], goal: str) -> dict[str, Any] | None:
    """The exchange within all limits that pays most for a goal."""
    good = [row for row in rows if not row["breaks"] and row[goal] is not None and row[goal] > 0]
    return max(good, key=lambda row: row[goal]) if good else None
