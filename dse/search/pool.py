"""One family in the gradient phase: what of it was swept, and what to try next for an aim.

Hardware moves along slopes; what slopes do not see is tried: other deployments, and other values of
the few whole numbers. Beside the deployments that suit the hardware at hand best, these are the
neighbors of designs on the front: a doubled batch fits only once the hardware has moved, which is
what polish does.
"""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from dse.search.aims import Aim
from dse.search.archive import Row
from dse.search.batch import Evaluator, Some
from dse.search.polish import Polisher
from dse.search.sweeps import Sweep, sweep

REDRAWN_AT_ENDS = 4  # copies there with a whole number drawn anew, one of each part of its range
HOPELESS = 0.25  # natural logarithm: a family so far behind the front is left out of an aim
SHORTLIST = 1.5  # natural logarithm: deployments further behind, at every aim, are swept no more
BLENDS = (0.25, 0.5, 0.75)  # of the way between two neighbors on the front


class Tries(NamedTuple):
    """Hardware with a deployment each."""

    shares: np.ndarray  # [try, axis]
    points: np.ndarray  # of the deployment grid, [try]

    def of(self, rows) -> "Tries":
        """Some of them."""
        return Tries(self.shares[rows], self.points[rows])


def all_of(tries: Sequence[Tries], axes: int) -> Tries:
    """Tries as one."""
    return Tries(np.concatenate([np.empty((0, axes)), *(t.shares for t in tries)]),
                 np.concatenate([np.empty(0, int), *(t.points for t in tries)]))  # fmt: skip


class Pool:
    """A family, the designs of it swept last, and the deployments that still count."""

    def __init__(self, evaluator: Evaluator, polisher: Polisher):
        self.evaluator, self.polisher = evaluator, polisher
        self.axes = evaluator.family.axes
        self.points = np.arange(len(evaluator.grid))
        # How many chips sum attention together, and how many a stage has, [2, point].
        columns = evaluator.grid.columns
        groups = columns.tp * columns.kvp, columns.chips / columns.pp
        self._groups = np.stack([np.asarray(group, float) for group in groups])
        self._some: Some | None = None
        self.swept = Sweep.nothing(evaluator)

    def sweep(self, shares: np.ndarray) -> Sweep:
        """Designs on every deployment that still counts."""
        return sweep(self.evaluator, shares, self._some)

    def shorten(self, aims: list[Aim]) -> None:
        """Sweep on with the deployments that some aim may still want."""
        best = np.full(len(self.points), -np.inf)
        for aim in aims:
            merits = self.swept.merits(aim).max(axis=0)
            best = np.maximum(best, merits - merits.max())
        kept = np.flatnonzero(best >= -SHORTLIST)
        self.points, self.swept = self.points[kept], self.swept.of(points=kept)
        self._some = self.evaluator.some(self.points)

    def tries(self, aim: Aim, count: int, front_merit: float, nearby: list[Row], rng) -> Tries:
        """What to polish for an aim; nothing where the family is hopeless for it."""
        merits = self.swept.merits(aim)
        best = merits.max(axis=0)
        if best.max() < front_merit - HOPELESS:
            return all_of([], len(self.axes))
        count = min(count, len(best))
        top = np.argpartition(-best, count - 1)[:count]
        best_ones = Tries(self.swept.shares[merits[:, top].argmax(axis=0)], self.points[top])
        found = [best_ones, self._with_peers(best_ones, rng)]
        if not nearby:
            found.append(self._redrawn(best_ones, rng, (0.0, 1.0)))
        for row in nearby:
            around = self._around(row)
            found.append(around)
            if aim.is_end:
                parts = np.linspace(0, 1, REDRAWN_AT_ENDS + 1)
                found += [self._redrawn(around, rng, part)
                          for part in itertools.pairwise(parts)]  # fmt: skip
        return all_of(found, len(self.axes))

    def blends(self, pairs: Sequence[tuple[Row, Row]]) -> np.ndarray:
        """Hardware between neighbors on the front, ``[design, axis]``.

        Goals and limits are nearly convex in the logarithms of the knobs, so what lies between two
        good designs of a deployment is about as good, and keeps the limits. What is whole is held.
        """
        held = np.array([axis.is_coarse or axis.is_radix for axis in self.axes])
        found = []
        for one, other in pairs:
            ends = np.array([one.values, other.values])
            for share in BLENDS:
                between = (1 - share) * ends[0] + share * ends[1]
                found += [np.where(held, end, between) for end in ends]
        return np.unique(found, axis=0)

    def _around(self, row: Row) -> Tries:
        """A design, the neighbors of its deployment, and those of its few whole numbers."""
        points = np.array([row.point, *self.evaluator.grid.choices.neighbors(row.point)])
        shares = np.repeat([row.values], len(points), axis=0)
        whole = []
        for index, axis in enumerate(self.axes):
            value = axis.from_unit_cube(shares[0, index])
            beside: Any = []
            if axis.is_radix:
                groups = np.clip(self._groups[:, points], axis.low, axis.high)
                # Neighbors reach their whole group, of which two kinds are summed over.
                kind = 1 if value == groups[1, 0] != groups[0, 0] else 0
                shares[1:, index] = axis.unit_cube(groups[kind, 1:])
                beside = [group for group in np.unique(groups[:, 0]) if group != value]
            elif axis.is_coarse:
                beside = [v for v in (value - 1, value + 1) if axis.low <= v <= axis.high]
            copies = np.repeat([row.values], len(beside), axis=0)
            copies[:, index] = axis.unit_cube(np.array(beside))
            whole.append(Tries(copies, np.full(len(beside), row.point)))
        return all_of([Tries(shares, points), *whole], len(self.axes))

    def _redrawn(self, tries: Tries, rng, part: tuple[float, float]) -> Tries:
        """Copies with a knob of few whole numbers drawn from a part of its range."""
        whole = np.flatnonzero([axis.is_coarse for axis in self.axes])
        if not len(whole):
            return tries.of(slice(0))
        copies = tries.shares.copy()
        drawn = rng.uniform(*part, size=len(copies))
        copies[np.arange(len(copies)), rng.choice(whole, len(copies))] = drawn
        return Tries(copies, tries.points)

    def _with_peers(self, tries: Tries, rng) -> Tries:
        """Copies whose radix is the size of a group of the deployment: of attention, or of all."""
        for index, axis in enumerate(self.axes):
            if axis.is_radix:
                groups = np.clip(self._groups[:, tries.points], axis.low, axis.high)
                drawn = rng.integers(0, 2, len(tries.points))
                copies = tries.shares.copy()
                copies[:, index] = axis.unit_cube(groups[drawn, np.arange(len(drawn))])
                return Tries(copies, tries.points)
        return tries.of(slice(0))
