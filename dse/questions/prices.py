"""What a limit is worth, and what a knob pays: shadow prices, payoffs, exchange rates.

All by exact gradient (`dse.questions.slopes`), to first order: a price holds for a small step.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dse.estimate.output import number
from dse.estimate.step import Estimate
from dse.questions.case import GOALS, Case
from dse.questions.slopes import Slopes

NEAR = 0.02  # a limit within this share of its allowance binds
AREA_STEP_MM2 = 100.0
NOTHING = 1e-9  # an elasticity below it is rounding
# Limit (up to its first dot) -> knobs that use more of it, the one that is moved first.
USERS = {
    "capacity": ("batch",),
    "heat_flux": ("voltage",),
    "junction": ("voltage",),
    "current_density": ("voltage",),
    "idle_power": ("voltage",),
    "minimum_voltage": ("voltage",),
    "sram_voltage": ("sram_voltage",),
    "clock": ("clock",),
    "shoreline": ("lanes", "stacks"),
}
# A step people think in, per unit of a limit.
STEPS = {
    "byte": (1e9, "GB"),
    "watt": (10.0, "10 W"),
    "watt / mm**2": (0.01, "0.01 W/mm2"),
    "ampere / mm**2": (0.01, "0.01 A/mm2"),
    "kelvin": (1.0, "K"),
    "volt": (0.01, "10 mV"),
    "hertz": (1e7, "10 MHz"),
    "mm": (1.0, "mm"),
    "mm**2": (10.0, "10 mm2"),
}
# What stands on the die and may give way: the last words of a path.
ON_DIE = ("macs", "lanes", "capacity", "stacks")


def payoffs(slopes: Slopes) -> list[dict[str, Any]]:
    """Elasticities of both goals in every knob that moves one, largest first."""
    found = []
    for index, knob in enumerate(slopes.knobs):
        by_goal = {name: _clean(slopes.goals[name][index]) for name in GOALS}
        if knob.path == "batch" or not any(by_goal.values()):
            continue
        found.append({"path": knob.path, "group": knob.group, "value": knob.value,
                      "unit": knob.unit or "", "text": knob.text, "source": knob.source,
                      "low": knob.low, "high": knob.high, **by_goal})  # fmt: skip
    return sorted(found, key=lambda row: -max(abs(row[name] or 0.0) for name in GOALS))


def _clean(value: Any) -> float | None:
    """A finite elasticity, rounding taken for nothing."""
    value = number(value)
    return 0.0 if value is not None and abs(value) < NOTHING else value


def best_knobs(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any] | None]:
    """The knob of the chip itself that pays most for each goal, and in which direction."""
    of_chip = [row for row in rows if row["group"] == "chip"]
    return {goal: _best(of_chip, goal) for goal in GOALS}


def _best(rows: Sequence[dict[str, Any]], goal: str) -> dict[str, Any] | None:
    known = [row for row in rows if row[goal]]
    if not known:
        return None
    row = max(known, key=lambda row: abs(row[goal]))
    return {"path": row["path"], "direction": "more" if row[goal] > 0 else "less",
            "elasticity": row[goal]}  # fmt: skip


# --- shadow prices ------------------------------------------------------------------------------


def shadow_prices(case: Case, estimate: Estimate, slopes: Slopes) -> list[dict[str, Any]]:
    """Per limit that binds, what a step of it buys: change of both goals as fractions.

    A limit is relaxed by a step, and the knob that uses it moves until it binds again:
    ``d log(goal) / d knob / (d used / d knob - d allowed / d knob)``. A throttled chip waits for
    its power limit, which acts on the goals directly.
    """
    found = []
    if float(estimate.throttled_fraction) > NEAR / 100:
        found.append(_of_power(estimate, slopes))
    for name, limit in estimate.limits.items():
        if not float(limit.margin) > -NEAR or limit.unit not in STEPS:
            continue
        knob = _user(name, slopes)
        if knob is not None:
            found.append(_price(name, limit, knob, slopes))
    return found


def _of_power(estimate: Estimate, slopes: Slopes) -> dict[str, Any]:
    index = slopes.at("tdp")
    watts = slopes.knobs[index].value if index is not None else 1.0
    step, label = STEPS["watt"]
    return {"limit": "board power", "used": number(estimate.chip_power_w), "allowed": watts,
            "unit": "watt", "step": label, "moves": "the step waits less", "method": "gradient",
            **{goal: number(slopes.goals[goal][index] / watts * step)
               for goal in GOALS}}  # fmt: skip


def _user(name: str, slopes: Slopes) -> int | None:
    """The knob that uses more of a limit: by list, or by taking most of it."""
    words = USERS.get(name.partition(".")[0], ON_DIE if name == "floorplan" else ())
    found = [i for i, knob in enumerate(slopes.knobs) if knob.path.split(".")[-1] in words]
    usable = [i for i in found if abs(_taken(name, slopes, i)) > NOTHING]
    if not usable:
        return None
    gain = [sum(slopes.goals[goal][i] for goal in GOALS) / _taken(name, slopes, i) for i in usable]
    return usable[int(np.argmax(gain))]


def _taken(name: str, slopes: Slopes, index: int) -> float:
    """What a relative step of a knob takes from a limit, in its unit."""
    return float(slopes.used[name][index] - slopes.allowed[name][index])


def _price(name: str, limit: Any, index: int, slopes: Slopes) -> dict[str, Any]:
    step, label = STEPS[limit.unit]
    taken = _taken(name, slopes, index)
    return {"limit": name, "used": number(limit.used), "allowed": number(limit.allowed),
            "unit": limit.unit, "step": label, "moves": slopes.knobs[index].path,
            "method": "gradient",
            **{goal: number(slopes.goals[goal][index] / taken * step)
               for goal in GOALS}}  # fmt: skip


# --- exchange rates -----------------------------------------------------------------------------


def exchange_rates(estimate: Estimate, slopes: Slopes) -> dict[str, Any] | None:
    """What the next 100 mm2 buy in each part of the die, at fixed area and fixed heat.

    A part that grows takes the area from another, so the exchange of two is the difference of
    their rows. Where heat flux binds, the rail gives way until it is as before (`fixed_heat`).
    None for chips whose area is not modelled.
    """
    if "floorplan" not in estimate.limits:
        return None
    rail = slopes.at("voltage")
    heat_binds = float(estimate.limits["heat_flux"].margin) > -NEAR
    rows = []
    for index, knob in enumerate(slopes.knobs):
        area = _taken("floorplan", slopes, index)
        if knob.group != "chip" or not knob.path.endswith(ON_DIE) or area <= NOTHING:
            continue
        share = AREA_STEP_MM2 / area  # relative step of the knob that takes the area
        heat = share * _taken("heat_flux", slopes, index)
        give = 0.0
        if heat_binds and rail is not None and _taken("heat_flux", slopes, rail) > NOTHING:
            give = -heat / _taken("heat_flux", slopes, rail)
        gains = {goal: number(slopes.goals[goal][index] * share
                              + (slopes.goals[goal][rail] * give if rail is not None else 0.0))
                 for goal in GOALS}  # fmt: skip
        rows.append({"path": knob.path, "knob_fraction": share, "voltage_fraction": give,
                     "heat_flux_w_per_mm2": heat, **gains})  # fmt: skip
    if not rows:
        return None
    return {"step_mm2": AREA_STEP_MM2, "fixed_heat": heat_binds, "rows": rows,
            "best": {goal: _exchange(rows, goal) for goal in GOALS}}  # fmt: skip


def _exchange(rows: list[dict[str, Any]], goal: str) -> dict[str, Any] | None:
    """The two parts between which area is worth moving most, for one goal."""
    known = [row for row in rows if row[goal] is not None]
    if len(known) < 2:
        return None
    most, least = (pick(known, key=lambda row: row[goal]) for pick in (max, min))
    return {"to": most["path"], "out_of": least["path"],
            "gain_fraction": most[goal] - least[goal]}  # fmt: skip
