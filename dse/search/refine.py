"""Sequential small programs: designs that are already good, brought onto the corner they are near.

Optima of rooflines sit where limits and lanes meet. There first-order steps zigzag, while a program
over their tangents goes to the corner at once. Each program keeps the tangents of the last few
places besides those of the current one: goals and limits are nearly convex in the logarithms of the
knobs, so an old tangent still says what lies behind a kink, which the new one does not see. A
square draws each step back to the best place, the harder the more steps fail: tangents alone would
send it from one end of the box to the other (a proximal bundle method; Kiwiel, Math. Programming
46, 1990). All designs of all families share each round.
"""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dse.search.linear import minimize
from dse.search.polish import PENALTY, SAFETY, Aims, Polisher

ROUNDS = 6
REACH = 0.15  # of a step, in the unit cube
STIFFNESS = 5.0  # of the pull to the best place at first: a slope of one moves 0.2 of the unit cube
SOFTER, STIFFER = 0.6, 2.0  # its change where a step succeeds, and where it fails
FAR_OFF = 1e3  # what an undefined logarithm or slope is taken for
NEAR = 0.5  # natural logarithm: a limit further from binding is taken to stay where it is
REMEMBERED = 4  # places whose tangents a program holds
EXPONENT = 384.0  # of the p-norm that slopes are taken at: the lane that binds, and hardly another
ACCURACY = 1e-5  # of a program: finer than what a step can gain
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


class Start(NamedTuple):
    """Designs of a family that are to be refined."""

    polisher: Polisher
    shares: np.ndarray  # [design, axis]
    points: np.ndarray  # of the deployment grid, [design]
    aims: Aims


def refined(starts: Sequence[Start], rounds: int = ROUNDS) -> list[tuple[np.ndarray, np.ndarray]]:
    """Designs moved towards their aims, and what they are worth.

    The programs of all families are solved as one batch: most of their time goes by the call.

    Returns:
        of each family shares ``[design, axis]`` and merits ``[design]`` under hard maxima.
    """
    bundles = [_Bundle(start) for start in starts]
    for _ in range(rounds):
        steps = _solved([bundle.programs() for bundle in bundles])
        for bundle, step in zip(bundles, steps, strict=True):
            bundle.go(step)
    return [(bundle.best, bundle.merit) for bundle in bundles]


class _Programs(NamedTuple):
    """What `linear.minimize` takes, of steps and the loss."""

    cost: np.ndarray  # [design, variable]
    rows: np.ndarray  # [design, row, variable]
    limits: np.ndarray  # [design, row]
    low: np.ndarray  # [design, variable]
    high: np.ndarray
    pull: np.ndarray

    def padded(self, rows: int, variables: int) -> "_Programs":
        """With rows that never bind and variables that do not move, up to so many."""
        more = variables - self.cost.shape[1]
        free = rows - self.limits.shape[1]

        def wider(array, value):
            return np.pad(array, ((0, 0), (0, more)), constant_values=value)

        return _Programs(
            wider(self.cost, 0.0), np.pad(self.rows, ((0, 0), (0, free), (0, more))),
            np.pad(self.limits, ((0, 0), (0, free)), constant_values=1.0),
            wider(self.low, -1.0), wider(self.high, 1.0), wider(self.pull, 1.0),
        )  # fmt: skip


class _Bundle:
    """Designs of a family on their way: the best places, and tangents of the last ones."""

    def __init__(self, start: Start):
        self.polisher, shares, self.points, self.aims = start
        self.best, self.tried = shares.copy(), shares
        self.values = self.polisher.values(shares, self.points)
        self.merit = merits(self.values, self.aims)
        self.stiffness = np.full(len(shares), STIFFNESS)
        self.seen: deque[_Tangents] = deque(maxlen=REMEMBERED)

    def go(self, step: np.ndarray) -> None:
        """Try a step from the best places."""
        self.tried = np.clip(self.best + step, 0, 1)
        self.values = self.polisher.values(self.tried, self.points)
        worth = merits(self.values, self.aims)
        better = worth > self.merit
        self.best[better], self.merit[better] = self.tried[better], worth[better]
        self.stiffness *= np.where(better, SOFTER, STIFFER)

    def programs(self) -> _Programs:
        """The least loss above all tangents, with its pull, around the best place of each."""
        self.seen.append(self._tangents())
        rows, limits = zip(*(tangents.rows(self.best) for tangents in self.seen), strict=True)
        # Few whole numbers stay: over a small box they do not move, whatever their slope promises.
        axes = self.polisher.evaluator.family.axes
        reach = np.where([axis.is_coarse or axis.is_radix for axis in axes], 0.0, REACH)
        low = np.maximum(-reach, -self.best) - 1e-9
        high = np.minimum(reach, 1 - self.best) + 1e-9
        low = np.concatenate([low, -self.merit[:, None] - ROOM], axis=1)
        high = np.concatenate([high, -self.merit[:, None] + ROOM], axis=1)
        cost = np.zeros_like(low)
        pull = np.repeat(self.stiffness[:, None], low.shape[1], axis=1)
        cost[:, -1], pull[:, -1] = 1.0, 0.0
        rows, limits = np.concatenate(rows, axis=1), np.concatenate(limits, axis=1)
        # Most rows cannot bind in so small a box.
        most = (np.maximum(rows * low[:, None], rows * high[:, None])).sum(axis=2) - limits
        kept = np.argsort(-most, axis=1, kind="stable")[:, :BINDING]
        rows = np.take_along_axis(rows, kept[..., None], axis=1)
        return _Programs(cost, rows, np.take_along_axis(limits, kept, axis=1), low, high, pull)

    def _tangents(self) -> _Tangents:
        """Where was tried last; limits far from binding are taken to be level."""
        wanted = self.values > -NEAR
        goals = len(self.aims.weights)
        wanted[:, :goals] = True
        values, slopes = self.polisher.linearized(self.tried, self.points, EXPONENT, wanted)
        values = np.nan_to_num(values, posinf=FAR_OFF, neginf=-FAR_OFF)
        slopes = np.clip(np.nan_to_num(slopes), -FAR_OFF, FAR_OFF)
        weights, levels = self.aims.weights.T, self.aims.levels.T
        # Levels are limits too; a free one is a row that nothing touches.
        free = np.isneginf(levels)
        short = np.where(free, -1.0, np.where(free, 0.0, levels) - values[:, :goals])
        used = np.concatenate([values[:, goals:] + SAFETY / 4, short], axis=1)
        lost = -slopes[:, :goals] * ~free[..., None]
        return _Tangents(self.tried, -(weights * values[:, :goals]).sum(axis=1),
                         -np.einsum("dg,dga->da", weights, slopes[:, :goals]),
                         used, np.concatenate([slopes[:, goals:], lost], axis=1))  # fmt: skip


def _solved(families: list[_Programs]) -> list[np.ndarray]:
    """Steps of the designs of each family, ``[design, axis]``."""
    rows = max(programs.limits.shape[1] for programs in families)
    variables = max(programs.cost.shape[1] for programs in families)
    padded = [programs.padded(rows, variables) for programs in families]
    every = _Programs(*(np.concatenate(part) for part in zip(*padded, strict=True)))
    found = minimize(*every[:-1], PENALTY, every.pull, ACCURACY).x
    counts = np.cumsum([len(programs.cost) for programs in families])[:-1]
    return [steps[:, : programs.cost.shape[1] - 1]
            for steps, programs in zip(np.split(found, counts), families, strict=True)]  # fmt: skip


def merits(values: np.ndarray, aims: Aims) -> np.ndarray:
    """Weighted goals less penalties, ``[design]``."""
    goals = len(aims.weights)
    free = np.isneginf(aims.levels.T)
    short = np.where(free, 0.0, np.where(free, 0.0, aims.levels.T) - values[:, :goals])
    broken = np.maximum(values[:, goals:] + SAFETY / 4, 0).sum(axis=1)
    worth = (aims.weights.T * values[:, :goals]).sum(axis=1)
    return worth - PENALTY * (np.maximum(short, 0).sum(axis=1) + broken)
