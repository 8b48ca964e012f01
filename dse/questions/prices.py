"""What a limit is worth, and what a knob pays: shadow prices and payoffs.

All by exact gradient (`dse.questions.slopes`), to first order: a price holds for a small step.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dse.estimate.output import TOLERANCE, number
from dse.estimate.step import Estimate
from dse.questions.case import GOALS
from dse.questions.slopes import Slopes

NEAR = 0.02  # a limit within this share of its allowance binds
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
# What stands on the die and may give way: the last words of a path.
ON_DIE = ("macs", "lanes", "capacity", "stacks")
STEP_SHARE = 0.02  # of an allowance; a step is the power of ten at or below it
MOST_MOVED = 0.1  # of the knob that a step moves: beyond it a slope says little


def payoffs(slopes: Slopes) -> list[dict[str, Any]]:
    """Elasticities of both goals in every knob that moves one, largest first."""
    found = []
    for index, knob in enumerate(slopes.knobs):
        by_goal = {name: _clean(slopes.goals[name][index]) for name in GOALS}
        if knob.path == "batch" or not any(by_goal.values()):
            continue
        chosen = knob.group == "chip" and knob.source != "definition"
        found.append({"path": knob.path, "group": knob.group, "is_knob": chosen,
                      "value": knob.value, "unit": knob.unit or "", "text": knob.text,
                      "source": knob.source, "low": knob.low, "high": knob.high,
                      **by_goal})  # fmt: skip
    return sorted(found, key=lambda row: -max(abs(row[name] or 0.0) for name in GOALS))


def _clean(value: Any) -> float | None:
    """A finite elasticity, rounding taken for nothing."""
    value = number(value)
    return 0.0 if value is not None and abs(value) < NOTHING else value


def best_knobs(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any] | None]:
    """The knob of the chip itself that pays most for each goal, and in which direction."""
    knobs = [row for row in rows if row["is_knob"]]
    return {goal: _best(knobs, goal) for goal in GOALS}


def _best(rows: Sequence[dict[str, Any]], goal: str) -> dict[str, Any] | None:
    known = [row for row in rows if row[goal]]
    if not known:
        return None
    row = max(known, key=lambda row: abs(row[goal]))
    return {"path": row["path"], "direction": "more" if row[goal] > 0 else "less",
            "elasticity": row[goal]}  # fmt: skip


# --- shadow prices ------------------------------------------------------------------------------


def shadow_prices(estimate: Estimate, slopes: Slopes) -> list[dict[str, Any]]:
    """Per limit that binds, what a step of it buys: change of both goals as fractions.

    A limit is relaxed by a step, and the knob that uses it moves until it binds again:
    ``d log(goal) / d knob / (d used / d knob - d allowed / d knob)``. A throttled chip waits for
    its power limit, which acts on the goals directly.
    """
    found = []
    power = slopes.at("tdp")
    if float(estimate.throttled_fraction) > TOLERANCE and power is not None:
        found.append(_of_power(estimate, slopes, power))
    for name, limit in estimate.limits.items():
        if not float(limit.margin) > -NEAR or not float(limit.allowed) > 0:
            continue
        knob = _user(name, slopes)
        if knob is not None:
            found.append(_price(name, limit, knob, slopes))
    return found


def round_step(allowed: float, taken: float = np.inf) -> float:
    """A small round step of a limit: 1 GB of 80, 10 W of 700, 10 mV of 0.8 V.

    ``taken`` is what doubling the knob would take of it: no step moves a knob by more than a tenth.
    """
    most = min(allowed * STEP_SHARE, abs(taken) * MOST_MOVED)
    return 10.0 ** np.floor(np.log10(most))


def _of_power(estimate: Estimate, slopes: Slopes, index: int) -> dict[str, Any]:
    watts = slopes.knobs[index].value
    step = round_step(watts)
    return {"limit": "board power", "used": number(estimate.chip_power_w), "allowed": watts,
            "unit": "watt", "step": step, "moves": "the step waits less", "method": "gradient",
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
    taken = _taken(name, slopes, index)
    step = round_step(float(limit.allowed), taken)
    return {"limit": name, "used": number(limit.used), "allowed": number(limit.allowed),
            "unit": limit.unit, "step": step, "moves": slopes.knobs[index].path,
            "method": "gradient",
            **{goal: number(slopes.goals[goal][index] / taken * step)
               for goal in GOALS}}  # fmt: skip
