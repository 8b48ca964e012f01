"""Sequential linear programs: designs that are already good, brought onto the corner they are near.

Optima of rooflines sit where limits and lanes meet. There first-order steps zigzag, while a linear
program over a small box goes to the corner at once. All designs of a batch share each round.
"""

import numpy as np

from dse.search.linear import minimize
from dse.search.polish import PENALTY, SAFETY, Aims, Polisher

ROUNDS = 6
RADIUS = 0.05  # of the unit cube, at first
FAR_OFF = 1e3  # what an undefined logarithm or slope is taken for
GROW, SHRINK = 1.5, 0.35
SMOOTHEST, SHARPEST = 24.0, 384.0  # exponents of the p-norm that slopes are taken at


def refined(polisher: Polisher, shares: np.ndarray, points: np.ndarray, aims: Aims,
            rounds: int = ROUNDS) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Designs moved towards their aims, and what they are worth.

    Returns:
        shares ``[design, axis]`` and merits ``[design]`` under hard maxima.
    """
    radius = np.full(len(points), RADIUS)
    best = shares.copy()
    merit = merits(polisher.values(best, points), aims)
    for _ in range(rounds):
        # A p-norm bends within 1 / exponent of a kink: the box should see about that far.
        exponent = float(np.clip(0.5 / np.median(radius), SMOOTHEST, SHARPEST))
        tried = np.clip(best + _step(polisher, best, points, aims, radius, exponent), 0, 1)
        worth = merits(polisher.values(tried, points), aims)
        better = worth > merit
        best[better], merit[better] = tried[better], worth[better]
        radius *= np.where(better, GROW, SHRINK)
    return best, merit


def _step(polisher: Polisher, shares, points, aims: Aims, radius, exponent) -> np.ndarray:
    values, slopes = polisher.linearized(shares, points, exponent)
    values, slopes = np.nan_to_num(values, posinf=FAR_OFF, neginf=-FAR_OFF), np.nan_to_num(slopes)
    slopes = np.clip(slopes, -FAR_OFF, FAR_OFF)
    goals = len(aims.weights)
    weights, levels = aims.weights.T, aims.levels.T
    free = np.isneginf(levels)
    # Rows: limits, and levels as limits; a free level is a row that nothing touches.
    rows = np.concatenate([slopes[:, goals:], -slopes[:, :goals] * ~free[..., None]], axis=1)
    short = np.where(free, -1.0, np.where(free, 0.0, levels) - values[:, :goals])
    used = np.concatenate([values[:, goals:] + SAFETY / 4, short], axis=1)
    cost = -np.einsum("dg,dga->da", weights, slopes[:, :goals])
    # Few whole numbers stay: over a small box they do not move, whatever their slope promises.
    axes = polisher.evaluator.family.axes
    reach = np.where([axis.is_coarse or axis.is_radix for axis in axes], 0.0, radius[:, None])
    low, high = np.maximum(-reach, -shares) - 1e-9, np.minimum(reach, 1 - shares) + 1e-9
    return minimize(cost, rows, -used, low, high, PENALTY).x


def merits(values: np.ndarray, aims: Aims) -> np.ndarray:
    """Weighted goals less penalties, ``[design]``."""
    goals = len(aims.weights)
    free = np.isneginf(aims.levels.T)
    short = np.where(free, 0.0, np.where(free, 0.0, aims.levels.T) - values[:, :goals])
    broken = np.maximum(values[:, goals:] + SAFETY / 4, 0).sum(axis=1)
    worth = (aims.weights.T * values[:, :goals]).sum(axis=1)
    return worth - PENALTY * (np.maximum(short, 0).sum(axis=1) + broken)
