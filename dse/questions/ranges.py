"""How far an answer moves over the stated ranges of the chip's constants.

A range of constants, not of the model: what the model leaves out is not in it. Each constant is
drawn from a triangle over its range with its peak at the stated value (of the logarithm, where the
range spans more than a factor of two), independent of the others, by Latin hypercube. The same
constant takes the same quantile on both sides of a comparison.
"""

import dataclasses
import zlib
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from dse.estimate.step import Design
from dse.questions.case import GOALS, Case, column, feasible
from dse.questions.knobs import Knob, decided, knobs_of
from dse.specs import load

DRAWS = 512
QUANTILES = (0.05, 0.95)
SEED = 1
TELLING = 3  # constants named as those that matter most


@dataclasses.dataclass(frozen=True)
class Spread:
    """Both goals over the draws, [draw], which draws are feasible, and what was drawn."""

    goals: dict[str, np.ndarray]
    feasible: np.ndarray
    quantiles: dict[str, np.ndarray]  # path -> [draw]


def uncertain(chip: load.Loaded, fixed: Sequence[str] = ()) -> list[Knob]:
    """Constants with a range: not what a designer decides, not what a user has set."""
    apart = decided(chip) | set(fixed)
    return [
        knob for knob in knobs_of(chip)
        if knob.low is not None and knob.high is not None and knob.low < knob.high
        and knob.path not in apart and not knob.is_whole
    ]  # fmt: skip


def spread(case: Case, fixed: Sequence[str] = (), draws: int = DRAWS) -> Spread:
    """Both goals of a case over draws of its constants; the paths in ``fixed`` keep their value."""
    design, scenario = case.prepared
    leaves, tree = jax.tree.flatten(design.hardware)
    quantiles = {}
    for knob in uncertain(case.chip, fixed):
        quantiles[knob.path] = share = _stratified(knob.path, draws)
        leaves[knob.index] = drawn(knob, share)
    hardware = jax.tree.unflatten(tree, leaves)
    estimate = case.run(Design(hardware, design.deployment), scenario)
    goals = {name: column(getattr(estimate, name), draws) for name in GOALS}
    return Spread(goals, feasible(estimate, draws), quantiles)


def drawn(knob: Knob, share: np.ndarray) -> np.ndarray:
    """Values of a constant at quantiles, [draw]: a triangle whose peak is the stated value."""
    low, high = float(knob.low or 0.0), float(knob.high or 0.0)
    if low > 0 and high / low > 2:
        return np.exp(_triangle(np.log(low), np.log(knob.value), np.log(high), share))
    return _triangle(low, knob.value, high, share)


def _triangle(low, peak, high, share):
    """Inverse of the distribution function of a triangle."""
    rising = (peak - low) / (high - low)
    up = low + np.sqrt(np.maximum(share * (high - low) * (peak - low), 0.0))
    down = high - np.sqrt(np.maximum((1 - share) * (high - low) * (high - peak), 0.0))
    return np.where(share < rising, up, down)


def _stratified(path: str, draws: int) -> np.ndarray:
    """One quantile per stratum in an order that depends on the path alone, [draw]."""
    random = np.random.default_rng([SEED, zlib.crc32(path.encode())])
    return (random.permutation(draws) + random.random(draws)) / draws


def ends(values: np.ndarray) -> list[float] | None:
    """The 5 % and 95 % quantiles; None where none can be computed."""
    good = values[np.isfinite(values)]
    return [float(end) for end in np.quantile(good, QUANTILES)] if len(good) else None


def telling(spread: Spread, values: np.ndarray) -> list[dict[str, Any]]:
    """The constants whose quantile goes most with a result, by rank correlation."""
    if not np.isfinite(values).all() or np.ptp(values) == 0:
        return []
    rank = np.argsort(np.argsort(values))
    found = [(float(np.corrcoef(share, rank)[0, 1]), path)
             for path, share in spread.quantiles.items()]  # fmt: skip
    found.sort(key=lambda item: -abs(item[0]))
    return [{"path": path, "correlation": value} for value, path in found[:TELLING]]
