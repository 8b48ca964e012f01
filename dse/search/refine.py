"""Sequential small programs: designs that are already good, brought onto the corner they are near.

Optima of rooflines sit where limits and lanes meet. There first-order steps zigzag, while a program
over their tangents goes to the corner at once. Each program keeps the tangents of the last few
places besides those of the current one: goals and limits are nearly convex in the logarithms of the
knobs, so an old tangent still says what lies behind a kink, which the new one does not see. A
square draws each step back to the best place, the harder the more steps fail: tangents alone would
send it from one end of the box to the other (a proximal bundle method; Kiwiel, Math. Programming
46, 1990). All designs of a batch share each round.
"""

from collections import deque
from typing import NamedTuple

import numpy as np

from dse.search.linear import minimize
from dse.search.polish import PENALTY, SAFETY, Aims, Polisher

ROUNDS = 6
REACH = 0.15  # of a step, in the unit cube
STIFFNESS = 5.0  # of the pull to the best place at first: a slope of one moves 0.2 of the unit cube
SOFTER, STIFFER = 0.7, 2.0  # its change where a step succeeds, and where it fails
FAR_OFF = 1e3  # what an undefined logarithm or slope is taken for
REMEMBERED = 4  # places whose tangents a program holds
EXPONENT = 384.0  # of the p-norm that slopes are taken at: the lane that binds, and hardly another
BINDING = 36  # rows of a program, those that may be broken the furthest
ROOM = 5.0  # natural logarithm: how far the worth of a design may move in a program


class _Tangents(NamedTuple):
    """Losses and limits of designs as affine forms of a place, ``[design, row, ...]``."""

    at: np.ndarray  # [design, axis]
    loss: np.ndarray  # [design], weighted goals with the sign turned
    loss_slopes: np.ndarray  # [design, axis]
    used: np.ndarray  # [design, row], limits and levels; above zero where broken
    used_slopes: np.ndarray  # [design, row, axis]

    def rows(self, origin: np.ndarray):
        """Rows of programs in ``(step from the origin, loss)``: coefficients and right sides."""
        moved = origin - self.at
        loss = self.loss + (self.loss_slopes * moved).sum(axis=1)
        used = self.used + np.einsum("dra,da->dr", self.used_slopes, moved)
        above = np.concatenate([self.loss_slopes, -np.ones((len(loss), 1))], axis=1)[:, None]
        within = np.concatenate([self.used_slopes, np.zeros((*used.shape, 1))], axis=2)
        return np.concatenate([above, within], axis=1), np.concatenate([-loss[:, None], -used], 1)


def refined(polisher: Polisher, shares: np.ndarray, points: np.ndarray, aims: Aims,
            rounds: int = ROUNDS) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Designs moved towards their aims, and what they are worth.

    Returns:
        shares ``[design, axis]`` and merits ``[design]`` under hard maxima.
    """
    stiffness = np.full(len(points), STIFFNESS)
    best, tried = shares.copy(), shares
    merit = merits(polisher.values(best, points), aims)
    seen: deque[_Tangents] = deque(maxlen=REMEMBERED)
    for _ in range(rounds):
        seen.append(_tangents(polisher, tried, points, aims))
        tried = np.clip(best + _step(polisher, seen, best, merit, stiffness), 0, 1)
        worth = merits(polisher.values(tried, points), aims)
        better = worth > merit
        best[better], merit[better] = tried[better], worth[better]
        stiffness *= np.where(better, SOFTER, STIFFER)
    return best, merit


def _tangents(polisher: Polisher, shares, points, aims: Aims) -> _Tangents:
    values, slopes = polisher.linearized(shares, points, EXPONENT)
    values = np.nan_to_num(values, posinf=FAR_OFF, neginf=-FAR_OFF)
    slopes = np.clip(np.nan_to_num(slopes), -FAR_OFF, FAR_OFF)
    goals, weights, levels = len(aims.weights), aims.weights.T, aims.levels.T
    # Levels are limits too; a free one is a row that nothing touches.
    free = np.isneginf(levels)
    short = np.where(free, -1.0, np.where(free, 0.0, levels) - values[:, :goals])
    used = np.concatenate([values[:, goals:] + SAFETY / 4, short], axis=1)
    lost = -slopes[:, :goals] * ~free[..., None]
    return _Tangents(shares, -(weights * values[:, :goals]).sum(axis=1),
                     -np.einsum("dg,dga->da", weights, slopes[:, :goals]),
                     used, np.concatenate([slopes[:, goals:], lost], axis=1))  # fmt: skip


def _step(polisher: Polisher, seen: deque[_Tangents], best, merit, stiffness) -> np.ndarray:
    """The least loss above all tangents, with its pull, around the best place of each design."""
    rows, limits = zip(*(tangents.rows(best) for tangents in seen), strict=True)
    # Few whole numbers stay: over a small box they do not move, whatever their slope promises.
    axes = polisher.evaluator.family.axes
    reach = np.where([axis.is_coarse or axis.is_radix for axis in axes], 0.0, REACH)
    low, high = np.maximum(-reach, -best) - 1e-9, np.minimum(reach, 1 - best) + 1e-9
    low = np.concatenate([low, -merit[:, None] - ROOM], axis=1)
    high = np.concatenate([high, -merit[:, None] + ROOM], axis=1)
    cost, pull = np.zeros_like(low), np.repeat(stiffness[:, None], low.shape[1], axis=1)
    cost[:, -1], pull[:, -1] = 1.0, 0.0
    rows, limits = np.concatenate(rows, axis=1), np.concatenate(limits, axis=1)
    # Most rows cannot bind in so small a box.
    most = (np.maximum(rows * low[:, None], rows * high[:, None])).sum(axis=2) - limits
    kept = np.argsort(-most, axis=1, kind="stable")[:, :BINDING]
    rows = np.take_along_axis(rows, kept[..., None], axis=1)
    limits = np.take_along_axis(limits, kept, axis=1)
    return minimize(cost, rows, limits, low, high, PENALTY, pull).x[:, :-1]


def merits(values: np.ndarray, aims: Aims) -> np.ndarray:
    """Weighted goals less penalties, ``[design]``."""
    goals = len(aims.weights)
    free = np.isneginf(aims.levels.T)
    short = np.where(free, 0.0, np.where(free, 0.0, aims.levels.T) - values[:, :goals])
    broken = np.maximum(values[:, goals:] + SAFETY / 4, 0).sum(axis=1)
    worth = (aims.weights.T * values[:, :goals]).sum(axis=1)
    return worth - PENALTY * (np.maximum(short, 0).sum(axis=1) + broken)
