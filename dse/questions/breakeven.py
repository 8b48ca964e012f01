"""The value of an assumption at which a claim stops being true, found by bisection.

A target reads ``METRIC >= VALUE`` or, as a ratio, ``METRIC >= N over CHIP``; ``gain`` is tokens
per joule and ``speedup`` user tokens per second.
"""

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from dse import units
from dse.estimate import output
from dse.metrics import METRICS, Metric, by_stem
from dse.questions.case import Case
from dse.specs import load, overrides
from dse.specs.errors import SpecError, nearest

NICKNAMES = {"gain": "system_tokens_per_s_per_w", "speedup": "user_tokens_per_s"}
TARGET = re.compile(r"^\s*([a-z0-9_]+)\s*(>=|<=)\s*(.+?)\s*(?:\bover\s+(\S+)\s*)?$")
FORM = "wanted METRIC>=VALUE or METRIC>=N over CHIP, e.g. gain>=10 over h100_sxm"
FARTHEST = 1000.0  # factor on the assumption that is looked at, up and down
STEPS = 24  # of the first look
HALVINGS = 40
AROUND, DRAWN = 4.0, 25  # factor of room beside what is drawn, and how many points of it


@dataclasses.dataclass(frozen=True)
class Target:
    """A claim about one metric, absolute or over another chip."""

    text: str
    metric: Metric
    at_least: bool
    value: float
    over: str | None


def parse_target(text: str) -> Target:
    """Read a target.

    Raises:
        SpecError: not of that form, an unknown metric, a value of another kind.
    """
    match = TARGET.match(text)
    if not match:
        raise SpecError("--target", [f"{text!r}: {FORM}"])
    word, sign, value, over = match.groups()
    metric = METRICS.get(NICKNAMES.get(word, word)) or by_stem(word)
    if metric is None:
        raise SpecError(
            "--target", [f"{word!r} is no metric{nearest(word, [*NICKNAMES, *METRICS])}"]
        )
    if word in NICKNAMES and over is None:
        raise SpecError("--target", [f"{text!r}: {word} is a ratio; say over CHIP"])
    unit = None if over else metric.quantity
    plain = value.rstrip("x ") if over else value
    try:
        number = float(plain) if re.fullmatch(r"[\d.eE+-]+", plain) else units.parse(plain, unit)
    except (units.UnitError, ValueError) as error:
        raise SpecError("--target", [f"{text!r}: {error}"]) from None
    return Target(text.strip(), metric, sign == ">=", number, over)


def break_even(case: Case, path: str, target: Target) -> dict[str, Any]:
    """Where a claim about a case begins or ceases to hold as one number of its chip moves.

    Looks a factor of 1000 up and down; the split of the case and the other chip's are held.
    """
    case = case.held()
    reference = _reference(case, target)
    full, start = _start(case, path)

    def value_at(factor: float) -> float | None:
        try:
            estimate = case.changed([(path, f"{factor:.15f}x")]).estimate()
        except SpecError:
            return None
        return output.number(target.metric.of(estimate) / reference)

    def holds(factor: float) -> bool | None:
        value = value_at(factor)
        if value is None:
            return None
        return value >= target.value if target.at_least else value <= target.value

    now = bool(holds(1.0))
    found = [_crossing(holds, now, direction) for direction in (FARTHEST, 1 / FARTHEST)]
    stated = case.chip.record[full]
    values = [None if factor is None else start * factor for factor in found]
    return {
        "path": full,
        "value": start,
        "unit": load.numeric_unit(case.chip, full) or "",
        "target": target.text,
        "over": target.over,
        "metric": target.metric.name,
        "holds_now": now,
        "now": value_at(1.0),
        "upward": values[0],
        "downward": values[1],
        "searched": [start / FARTHEST, start * FARTHEST],
        "stated_range": None if stated.low is None else [stated.low, stated.high],
        "wanted": target.value,
        "curve": _curve(start, found, value_at),
    }


def _curve(start: float, found: list[float | None], value_at) -> list[dict[str, float | None]]:
    """The metric over a stretch that holds the value, both turnings and some room."""
    factors = [1.0, *(factor for factor in found if factor is not None)]
    ends = min(factors) / AROUND, max(factors) * AROUND
    return [{"value": start * factor, "metric": value_at(factor)}
            for factor in np.geomspace(*ends, DRAWN).tolist()]  # fmt: skip


def _reference(case: Case, target: Target) -> float:
    if target.over is None:
        return 1.0
    other = dataclasses.replace(case, chip=load.load("chips", target.over))
    other = other.deployed(tp=None, weights_in=None, kv_in=None)
    found = output.number(target.metric.of(other.estimate()))
    if not found:
        raise SpecError("--target", [f"{target.over}: {target.metric.name} cannot be computed"])
    return found


def _start(case: Case, path: str) -> tuple[str, float]:
    """Full path and value of a number of the chip.

    Raises:
        SpecError: no such path, or not a number that a factor can change.
    """
    if path.partition(".")[0] in ("model", "workload"):
        raise SpecError("--break-even", [f"{path}: wanted a number of the chip"])
    if any(overrides.matching(path, [place]) for place, *_ in
           load.references(case.chip.tree, type(case.chip.spec))):  # fmt: skip
        raise SpecError("--break-even", [f"{path}: a choice, not a number"])
    try:
        chip = case.changed([(path, "1x")]).chip
    except SpecError as error:
        raise SpecError("--break-even", error.problems) from None
    full = chip.changes[-1][0]
    if full not in chip.record or not chip.record[full].number:
        raise SpecError("--break-even", [f"{full}: zero, or not a number of the chip"])
    return full, chip.record[full].number


def _crossing(holds: Callable[[float], bool | None], now: bool, end: float) -> float | None:
    """The factor nearest to 1 on the way to ``end`` at which the answer turns.

    None if it never does, or the number may not go there.
    """
    inside = 1.0
    for factor in np.geomspace(1.0, end, STEPS + 1)[1:]:
        answer = holds(float(factor))
        if answer is None:
            return None
        if answer is not now:
            return _halved(holds, now, inside, float(factor))
        inside = float(factor)
    return None


def _halved(holds: Callable[[float], bool | None], now: bool, inside: float, outside: float):
    """The last factor at which the answer is as at ``inside``."""
    for _ in range(HALVINGS):
        middle = (inside * outside) ** 0.5
        if holds(middle) is now:
            inside = middle
        else:
            outside = middle
    return inside
