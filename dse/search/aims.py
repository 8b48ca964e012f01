"""What designs are polished for: one goal at levels of the others, spread or laid into gaps.

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


def into_gaps(front: np.ndarray, count: int, rng) -> list[Aim]:
    """Aims into the gaps of a front ``[point, goal]``, more of them into larger ones."""
    if front.shape[1] == 2:
        return [level_aim(np.array([at, -np.inf])) for at in gap_levels(front, count)]
    if len(front) < 2:
        return [level_aim(with_one_free(point, front.shape[1] - 1)) for point in front]
    one, other = _gaps(front, count, rng)
    levels = front[one] + rng.uniform(size=(len(one), 1)) * (front[other] - front[one])
    free = rng.integers(front.shape[1], size=len(one))
    return [level_aim(with_one_free(at, goal)) for at, goal in zip(levels, free, strict=True)]


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


def gap_levels(front: np.ndarray, count: int) -> np.ndarray:
    """Levels of the first goal inside the gaps of a front, more of them in larger gaps.

    A gap between neighbors ``dx`` and ``dy`` apart costs up to ``dx dy`` of hypervolume; one cut
    into n + 1 costs a share ``1 / (n + 1)`` of that, so each level goes where it saves most.
    """
    if len(front) < 2:
        return front[:, 0]
    areas = np.diff(front[:, 0]) * -np.diff(front[:, 1])
    cuts = np.zeros(len(areas), int)
    for _ in range(count):
        cuts[np.argmax(areas / ((cuts + 1) * (cuts + 2)))] += 1
    return np.concatenate([
        low + (high - low) * np.arange(1, n + 1) / (n + 1)
        for low, high, n in zip(front[:-1, 0], front[1:, 0], cuts, strict=True)
    ])  # fmt: skip
