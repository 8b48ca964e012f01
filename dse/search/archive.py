"""The Pareto archive: designs no other design beats in every goal, and what they are worth.

All goals are maximized; points are their decimal logarithms, so that equal ratios are equal
distances anywhere on the front.
"""

from collections.abc import Sequence
from typing import NamedTuple

import moocore
import numpy as np

THIN_STORED = 0.005  # in log10: what is kept of a front on disk
THIN_DRAWN = 0.02
DROPPED = 20  # one of so many is dropped at a time


class Row(NamedTuple):
    """Where a design is from: enough to build it again."""

    trial: int
    family: str
    values: tuple[float, ...]  # of the family's axes
    point: int  # of the deployment grid

    @property
    def id(self) -> str:
        """Trial and grid point."""
        return f"{self.trial}.{self.point}"


class Archive:
    """Non-dominated designs with their provenance."""

    def __init__(self, reference_point: Sequence[float]):
        self.reference = np.log10(reference_point)
        self.points = np.empty((0, len(reference_point)))
        self.rows: list[Row] = []

    def add(self, points: np.ndarray, rows: list[Row]) -> None:
        """Let designs compete; the dominated and the equal ones are dropped."""
        fresh = np.asarray(points, float).reshape(-1, len(self.reference))
        points = np.concatenate([self.points, fresh])
        rows = [*self.rows, *rows]
        kept = np.flatnonzero(nondominated(points))
        kept = kept[np.argsort(points[kept, 0], kind="stable")]
        self.points = points[kept]
        self.rows = [rows[i] for i in kept]

    def beats(self, points: np.ndarray) -> np.ndarray:
        """Which points a design of the archive equals or beats in both goals.

        A sieve before many compete: of more than two goals it holds none back.
        """
        if len(self.reference) != 2 or not self.rows:
            return np.zeros(len(points), bool)
        # Sorted by the first goal, the archive falls in the second.
        first = np.searchsorted(self.points[:, 0], points[:, 0])
        second = np.append(self.points[:, 1], -np.inf)
        return points[:, 1] <= second[first]

    @property
    def hypervolume(self) -> float:
        """Volume in log10 of the goals between the front and the reference point."""
        return hypervolume(self.points, self.reference)

    def thinned(self, distance: float = THIN_STORED) -> tuple[np.ndarray, list[Row]]:
        """The front with points closer than ``distance`` to a kept one left out."""
        kept = thin(self.points, distance)
        return self.points[kept], [self.rows[i] for i in kept]


def nondominated(points: np.ndarray) -> np.ndarray:
    """Which points no other point beats; of equal ones the first."""
    if len(points) == 0:
        return np.zeros(0, bool)
    return moocore.is_nondominated(points, maximise=True)


def hypervolume(points: np.ndarray, reference: np.ndarray) -> float:
    """Volume dominated by points above the reference; both already in log10."""
    above = points[(points > reference).all(axis=1)]
    if len(above) == 0:
        return 0.0
    return float(moocore.hypervolume(above, ref=reference, maximise=True))


def chosen(points: np.ndarray, reference: np.ndarray, most: int) -> np.ndarray:
    """Indices of at most so many points of a front, which keep nearly all of its hypervolume.

    Those that contribute least are dropped, a few at a time: what is left beside them then
    contributes more.
    """
    kept = np.arange(len(points))
    while len(kept) > most:
        each = moocore.hv_contributions(points[kept], ref=reference, maximise=True)
        dropped = min(len(kept) - most, max(1, len(kept) // DROPPED))
        kept = np.delete(kept, np.argsort(each, kind="stable")[:dropped])
    return kept


def thin(points: np.ndarray, distance: float) -> np.ndarray:
    """Indices of a front, from slow to fast, about ``distance`` apart; the ends are kept.

    Of two goals, each kept point is ``distance`` from the one before. Of more, one is kept of each
    box that wide, and the best in each goal.
    """
    if len(points) == 0:
        return np.zeros(0, int)
    if points.shape[1] > 2:
        return _thin_boxes(points, distance)
    order = np.argsort(points[:, 0], kind="stable")
    kept = [order[0]]
    for index in order[1:]:
        if np.abs(points[index] - points[kept[-1]]).max() >= distance:
            kept.append(index)
    if kept[-1] != order[-1]:
        kept = [*kept[:-1], order[-1]] if len(kept) > 1 else [*kept, order[-1]]
    return np.array(kept)


def _thin_boxes(points: np.ndarray, distance: float) -> np.ndarray:
    """The point of largest sum in each box, and the best in each goal."""
    best_first = np.argsort(-points.sum(axis=1), kind="stable")
    boxes = np.floor(points[best_first] / distance)
    _, first = np.unique(boxes, axis=0, return_index=True)
    kept = np.unique(np.concatenate([best_first[first], points.argmax(axis=0)]))
    return kept[np.argsort(points[kept, 0], kind="stable")]


def knee(points: np.ndarray) -> int:
    """The point with the largest sum of all logarithms, each normalized to the front's range."""
    low, high = points.min(axis=0), points.max(axis=0)
    span = np.where(high > low, high - low, 1.0)
    return int(np.argmax(((points - low) / span).sum(axis=1)))
