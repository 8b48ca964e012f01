"""Which few curves together cover the most hypervolume.

A curve is what one chip reaches over its deployments: log10 of the goals, ``[point, goal]``, all
maximized. A set of curves covers what its points together dominate above the reference point.

One curve and, of two goals, a pair are chosen exactly. A curve is left out only where another
covers it, which can then stand in for it in any set; a pair only where an upper bound of what it
covers does not exceed the best pair found. From three curves on (from two on where the goals are
more than two) the choice is greedy, then improved by swaps until no single swap helps.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dse.search import staircase
from dse.search.archive import hypervolume, nondominated

GAIN = 1e-12  # relative: less is rounding


class Cover(NamedTuple):
    """A set of curves and what it covers."""

    members: tuple[int, ...]  # indices of the curves, ascending
    hypervolume: float
    exact: bool  # no set of as many covers more


def contenders(
    curves: Sequence[np.ndarray], reference: np.ndarray, slack: float = 0.0
) -> list[int]:
    """Indices of the curves that no other covers, the largest first.

    With ``slack``, curves that no other covers when raised by it in every goal: where a stored
    curve lies nowhere more than ``slack`` below the true one, these hold every true contender.
    Curves that stay below the reference point are none.
    """
    areas = np.array([hypervolume(curve, reference) for curve in curves])
    order = np.argsort(-areas, kind="stable")
    raised = [curves[i] + slack for i in order]
    raised = [curve[(curve > reference).all(axis=1)] for curve in raised]
    owner = np.repeat(order, np.array([len(curve) for curve in raised], int))
    points = np.concatenate([*raised, np.empty((0, len(reference)))])
    kept = []
    while len(owner):
        largest = int(owner[0])
        kept.append(largest)
        bare = (owner != largest) & ~_covered(points, curves[largest])
        left = (np.bincount(owner[bare], minlength=len(curves)) > 0)[owner]
        points, owner = points[left], owner[left]
    return kept


def _covered(points: np.ndarray, curve: np.ndarray) -> np.ndarray:
    """Which points a curve reaches in every goal, ``[point]``."""
    if points.shape[1] == 2:
        return staircase.heights(curve, points[:, 0], -np.inf) >= points[:, 1]
    return np.any((curve[:, None] >= points).all(axis=-1), axis=0)


def covers(curves: Sequence[np.ndarray], reference: np.ndarray, most: int) -> list[Cover]:
    """The best sets of 1 to ``most`` curves; fewer where a further curve adds nothing."""
    left = contenders(curves, reference)
    choice = _Choice([curves[i] for i in left], np.asarray(reference, float))
    found: list[Cover] = []
    while left and len(found) < min(most, len(left)):
        better = choice.extended(found[-1] if found else None)
        if found and better.hypervolume <= found[-1].hypervolume * (1 + GAIN):
            break
        found.append(better)
    return [cover._replace(members=tuple(sorted(left[i] for i in cover.members)))
            for cover in found]  # fmt: skip


class _Choice:
    """Sets of curves, none of which covers another."""

    def __init__(self, curves: list[np.ndarray], reference: np.ndarray):
        self.curves = [curve[nondominated(curve)] for curve in curves]
        self.reference = reference

    def extended(self, cover: Cover | None) -> Cover:
        """The best set found of one more curve."""
        grown = self._added(cover.members if cover else ())
        if len(grown.members) == 1:
            return grown._replace(exact=True)
        grown = self._swapped(grown)
        if len(grown.members) == 2 and len(self.reference) == 2:
            return self._best_pair(grown)
        return grown

    def _area(self, members: Sequence[int]) -> float:
        return hypervolume(np.concatenate([self.curves[i] for i in members]), self.reference)

    def _added(self, members: tuple[int, ...]) -> Cover:
        """The members and the curve that adds most to them."""
        areas = [self._area((*members, i)) for i in range(len(self.curves))]
        best = int(np.argmax(areas))
        return Cover((*members, best), areas[best], exact=False)

    def _swapped(self, cover: Cover) -> Cover:
        """Each member in turn exchanged for the best curve in its place, until none is better."""
        tried = 0
        while tried < len(cover.members):
            other = self._added(cover.members[1:])
            tried += 1
            if other.hypervolume > cover.hypervolume * (1 + GAIN):
                cover, tried = other, 1
            else:
                cover = cover._replace(members=(*cover.members[1:], cover.members[0]))
        return cover

    def _best_pair(self, cover: Cover) -> Cover:
        """The best of all pairs, given a good one; looked at while their bounds are higher."""
        pairs, bounds = staircase.pairs_above(self.curves, self.reference, cover.hypervolume)
        for pair, bound in zip(pairs.tolist(), bounds, strict=True):
            if bound <= cover.hypervolume:
                break
            area = self._area(pair)
            if area > cover.hypervolume:
                cover = Cover(tuple(pair), area, exact=True)
        return cover._replace(exact=True)
