"""Curves of two goals as staircases: how high each stands over the other goal.

A curve is what one chip reaches, log10 of both goals, ``[point, 2]``; of two goals it dominates
what lies under a staircase that falls from left to right. Choosing sets needs two goals only here.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from dse.search.archive import nondominated

Side = Literal["left", "right"]
COLUMNS = 512  # of the tables that bound pairs
ROUNDING = 1e-12  # relative, of a sum of areas


def heights(curve: np.ndarray, at: np.ndarray, floor: float, side: Side = "left") -> np.ndarray:
    """Most of the second goal at ``at`` or more of the first; ``floor`` where nothing is reached.

    With ``side="right"``, at more than ``at``: the height just right of it.
    """
    stairs = curve[nondominated(curve)]
    stairs = stairs[np.argsort(stairs[:, 0])]
    levels = np.append(np.maximum(stairs[:, 1], floor), floor)
    return levels[np.searchsorted(stairs[:, 0], at, side)]


def edges_of(curves: Sequence[np.ndarray], left: float, most: int | None = None) -> np.ndarray:
    """Where any curve steps down, from ``left`` on; evenly thinned to ``most`` columns."""
    steps = np.unique(np.concatenate([curve[:, 0] for curve in curves]))
    edges = np.append(left, steps[steps > left])
    if most is None or len(edges) <= most + 1:
        return edges
    return edges[np.linspace(0, len(edges) - 1, most + 1).round().astype(int)]


def pairs_above(
    curves: Sequence[np.ndarray], reference: np.ndarray, least: float
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs that may cover more than ``least``, ``[pair, 2]``, and how much at most, ``[pair]``.

    Over a column both staircases are at most as high as at its left edge, so the area under the
    higher of the two is at most ``sum(width * max(height of one, height of the other))``. Best
    bound first.
    """
    edges = edges_of(curves, reference[0], COLUMNS)
    widths = np.diff(edges) * (1 + ROUNDING)
    tall = np.stack([heights(c, edges[:-1], reference[1], "right") for c in curves]) - reference[1]
    pairs, bounds = [np.empty((0, 2), int)], [np.empty(0)]
    for one in range(len(curves) - 1):
        bound = np.maximum(tall[one], tall[one + 1 :]) @ widths
        near = np.flatnonzero(bound > least)
        pairs.append(np.stack([np.full(len(near), one), one + 1 + near], axis=1))
        bounds.append(bound[near])
    bound = np.concatenate(bounds)
    order = np.argsort(-bound, kind="stable")
    return np.concatenate(pairs)[order], bound[order]


def spans(curves: Sequence[np.ndarray], reference: np.ndarray) -> list[list[tuple[float, float]]]:
    """Of each curve, where along the first goal it is the highest, as (from, to) in log10.

    The first of equals counts; the lowest span starts at the reference point.
    """
    edges = edges_of(curves, reference[0])
    tall = np.stack([heights(c, edges[:-1], reference[1], "right") for c in curves])
    best = np.where(tall.max(axis=0) > reference[1], tall.argmax(axis=0), -1)
    found: list[list[tuple[float, float]]] = [[] for _ in curves]
    starts = np.flatnonzero(np.diff(best, prepend=-2))
    for start, end in zip(starts, [*starts[1:], len(best)], strict=True):
        if best[start] >= 0:
            found[best[start]].append((float(edges[start]), float(edges[end])))
    return found
