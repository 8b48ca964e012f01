"""What designs are polished for: one goal at levels of the others, spread or laid along a front.

Goals are natural logarithms. Of two goals a front is a curve: levels of the first, the second
maximized. Of more it is a surface: levels of all goals but one that changes from aim to aim.
"""

from typing import NamedTuple

import numpy as np

from dse.search.polish import Aims

TRADE = 0.002  # weight of the goals that an aim does not maximize: breaks ties, sells no percent
NEAREST = 4  # neighbors on the front that a gap may reach to
DRAWN = 8  # gaps drawn for each that is aimed at


class Aim(NamedTuple):
    """One goal to maximize while others keep a level; goals as natural logarithms."""

    weights: np.ndarray  # [goal]
    levels: np.ndarray  # [goal], -inf where free
    is_end: bool  # of the front


def level_aim(levels: np.ndarray | float) -> Aim:
    """The free goals, at no less than the levels of the others; one number is the first of two."""
    if np.ndim(levels) == 0:
        levels = np.array([levels, -np.inf])
    levels = np.asarray(levels)
    free = np.isneginf(levels)
    return Aim(np.where(free, 1.0, TRADE), levels, False)


def with_one_free(levels: np.ndarray, goal: int) -> np.ndarray:
    """Levels of all goals but one."""
    found = np.array(levels, float)
    found[goal] = -np.inf
    return found


def ends(goals: int) -> list[Aim]:
    """Each goal as far as it goes."""
    free = np.full(goals, -np.inf)
    return [Aim(np.where(np.arange(goals) == g, 1.0, TRADE), free, True) for g in range(goals)]


def together(aims: list[Aim]) -> Aims:
    """Aims as columns."""
    return Aims(np.stack([aim.weights for aim in aims], axis=1),
                np.stack([aim.levels for aim in aims], axis=1))  # fmt: skip


def spread(low: np.ndarray, high: np.ndarray, count: int, rng) -> list[Aim]:
    """Aims over a box of goals: evenly for two goals, as a Latin hypercube for more.

    Of two goals half are levels of either: where a front is steep, levels of one goal leave gaps.
    """
    if len(low) == 2:
        evenly = np.linspace(low, high, count // 2)
        return [level_aim(with_one_free(at, free)) for free in (1, 0) for at in evenly]
    strata = rng.permuted(np.tile(np.arange(count), (len(low), 1)), axis=1).T
    shares = (strata + rng.uniform(size=strata.shape)) / count
    free = rng.integers(len(low), size=count)
    levels = low + shares * (high - low)
    return [level_aim(with_one_free(at, goal)) for at, goal in zip(levels, free, strict=True)]


def along(front: np.ndarray, count: int, rng) -> list[Aim]:
    """Aims along a front ``[point, goal]``: of two goals evenly, of more into the widest gaps.

    What has no gaps is not therefore as good as can be, and blends fill gaps for less.
    """
    if len(front) < 2:
        return [level_aim(with_one_free(point, front.shape[1] - 1)) for point in front]
    if front.shape[1] == 2:
        return [level_aim(np.array([at, -np.inf])) for at in levels_along(front, count, rng)]
    one, other = _gaps(front, count, rng)
    levels = front[one] + rng.uniform(size=(len(one), 1)) * (front[other] - front[one])
    free = rng.integers(front.shape[1], size=len(one))
    return [level_aim(with_one_free(at, goal)) for at, goal in zip(levels, free, strict=True)]


def levels_along(front: np.ndarray, count: int, rng) -> np.ndarray:
    """Levels of the first goal evenly along a front that is sorted by it, from a random start."""
    steps = np.abs(np.diff(front, axis=0)) / np.maximum(np.ptp(front, axis=0), 1e-12)
    way = np.concatenate([[0.0], np.cumsum(steps.sum(axis=1))])
    return np.interp((np.arange(count) + rng.uniform()) / count * way[-1], way, front[:, 0])


def widest_gaps(front: np.ndarray, count: int, rng) -> np.ndarray:
    """Pairs of neighbors on a front ``[point, goal]`` that is sorted by its first goal.

    Of two goals those whose gap costs most hypervolume, of more those furthest apart among some.

    Returns:
        indices, ``[pair, 2]``, at most ``count`` of them.
    """
    if len(front) < 2:
        return np.empty((0, 2), int)
    if front.shape[1] > 2:
        return np.stack(_gaps(front, count, rng), axis=1)
    areas = np.diff(front[:, 0]) * -np.diff(front[:, 1])
    first = np.argsort(-areas, kind="stable")[:count]
    return np.stack([first, first + 1], axis=1)


def _gaps(front: np.ndarray, count: int, rng) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of neighbors: of many drawn at random, those furthest apart."""
    from scipy.spatial import KDTree

    span = np.ptp(front, axis=0)
    scaled = front / np.where(span > 0, span, 1.0)
    near = min(NEAREST, len(front) - 1)
    found = KDTree(scaled).query(scaled, k=near + 1)
    apart, neighbors = np.asarray(found[0]), np.asarray(found[1])
    one = rng.integers(len(front), size=DRAWN * count)
    which = rng.integers(1, near + 1, size=len(one))
    widest = np.argsort(-apart[one, which], kind="stable")
    pairs = np.stack([one, neighbors[one, which]], axis=1)[widest]
    _, first = np.unique(pairs, axis=0, return_index=True)
    chosen = pairs[np.sort(first)[:count]]
    return chosen[:, 0], chosen[:, 1]
