"""Many small linear programs at once, by a primal-dual interior point in columns.

A what-if of a design is a linear program in a dozen variables; a search asks thousands. Solvers
take one at a time at 1-2 ms each; batched Newton steps in NumPy take 0.1-0.2 ms, and hand out the
multipliers that become shadow prices. A program may draw its variables back to the origin by a
square, which makes it the step of a bundle method.
"""

from typing import Any, NamedTuple

import numpy as np

ROUNDS = 22
ACCURACY = 1e-8
TO_BOUNDARY = 0.995  # of the way to the first bound that a step may go


class Solved(NamedTuple):
    """Solutions of a batch."""

    x: np.ndarray  # [problem, variable]
    prices: np.ndarray  # multipliers of the rows, [problem, row], between 0 and the penalty


def minimize(  # noqa: PLR0913 - the parts of a program
    cost,
    rows,
    limits,
    low,
    high,
    penalty: float,
    stiffness: Any = 0.0,
    accuracy: float = ACCURACY,
) -> Solved:
    """``min cost x + x stiffness x / 2 + penalty sum(max(rows x - limits, 0))``, x within bounds.

    Args:
        cost: ``[problem, variable]``.
        rows: ``[problem, row, variable]``.
        limits: ``[problem, row]``.
        low: ``[problem, variable]``, below ``high``.
        high: ``[problem, variable]``.
        penalty: price of a unit of violation; a row's multiplier never exceeds it.
        stiffness: of a pull to the origin, ``[problem, variable]`` or a number.
        accuracy: mean product of slacks and multipliers at which a program counts as solved.

    Mehrotra's predictor-corrector (SIAM J. Optim. 2(4), 1992); the elastic part of each row is
    eliminated, so that a step solves a system of the variables alone. Steps are taken in a box that
    reaches from -1 to 1: from its middle they converge, however narrow the box of the caller.
    """
    middle, half = 0.5 * (low + high), 0.5 * (high - low)
    cost, stiffness = (cost + stiffness * middle) * half, stiffness * half**2
    limits = limits - _times(rows, middle)
    found = _in_unit_box(cost, rows * half[:, None], limits, penalty, stiffness, accuracy)
    return Solved(middle + half * found.x, found.prices)


def _in_unit_box(cost, rows, limits, penalty: float, stiffness, accuracy: float) -> Solved:
    x, prices = np.empty_like(cost), np.empty_like(limits)
    low, high = -np.ones_like(cost), np.ones_like(cost)
    left = np.arange(len(cost))
    state = _State.inside(rows, limits, low, high, penalty)
    for _ in range(ROUNDS):
        step = _step(state, (cost[left], stiffness[left]), rows[left], limits[left],
                     (low[left], high[left]), penalty)  # fmt: skip
        state = state.moved(step, *state.reaches(step))
        x[left], prices[left] = state.x, state.duals[:, : rows.shape[1]]
        open_ = state.gap() > accuracy  # solved ones are left alone: their systems turn singular
        left, state = left[open_], state.of(open_)
        if not len(left):
            break
    return Solved(x, prices)


def _step(state: "_State", costs, rows, limits, bounds, penalty: float) -> "_State":
    """Predictor and corrector."""
    gap = state.gap()
    solve = _newton(state, costs, rows, limits, bounds, penalty)
    affine = solve(np.zeros_like(gap), None)
    reach = state.moved(affine, *state.reaches(affine)).gap()
    return solve(gap * (reach / np.maximum(gap, 1e-300)) ** 3, affine)


class _State(NamedTuple):
    """Primal point, slacks and multipliers of: rows, elastic parts, lower and upper bounds."""

    x: np.ndarray  # [problem, variable]
    elastic: np.ndarray  # [problem, row]
    slacks: np.ndarray  # of all four kinds, side by side
    duals: np.ndarray

    @classmethod
    def inside(cls, rows, limits, low, high, penalty: float) -> "_State":
        x = 0.5 * (low + high)
        broken = _times(rows, x) - limits
        elastic = np.maximum(broken, 0.0) + 1.0
        half, ones = np.full_like(broken, 0.5 * penalty), np.ones_like(x)
        return cls(x, elastic, _beside(elastic - broken, elastic, x - low, high - x),
                   _beside(half, half, ones, ones))  # fmt: skip

    def gap(self) -> np.ndarray:
        """Mean complementarity, ``[problem]``."""
        return (self.slacks * self.duals).mean(axis=1)

    def of(self, problems) -> "_State":
        """Some of the problems."""
        return _State(*(part[problems] for part in self))

    def reaches(self, step: "_State") -> tuple[np.ndarray, np.ndarray]:
        """How far slacks and multipliers may go along a step, ``[problem]`` each."""
        return _reach(self.slacks, step.slacks), _reach(self.duals, step.duals)

    def moved(self, step: "_State", primal: np.ndarray, dual: np.ndarray) -> "_State":
        p, d = primal[:, None], dual[:, None]
        return _State(self.x + p * step.x, self.elastic + p * step.elastic,
                      self.slacks + p * step.slacks, self.duals + d * step.duals)  # fmt: skip


def _reach(values, steps) -> np.ndarray:
    """Shares of steps, at most one, that keep values above zero."""
    return TO_BOUNDARY / np.maximum((-steps / values).max(axis=1), TO_BOUNDARY)


def _beside(*kinds) -> np.ndarray:
    return np.concatenate(kinds, axis=1)


def _kinds(beside, width: int) -> tuple[np.ndarray, ...]:
    """What belongs to rows, elastic parts, lower and upper bounds of so many variables."""
    rows = beside.shape[1] // 2 - width
    return (beside[:, :rows], beside[:, rows : 2 * rows],
            beside[:, 2 * rows : -width], beside[:, -width:])  # fmt: skip


def _newton(state: _State, costs, rows, limits, bounds, penalty: float):
    """A function of centering and affine step that gives the step of the Newton system."""
    (cost, stiffness), (low, high) = costs, bounds
    width = rows.shape[2]
    pulls = state.duals / state.slacks
    d_row, d_el, d_low, d_high = _kinds(pulls, width)
    y, w, z_low, z_high = _kinds(state.duals, width)
    share = d_row / (d_row + d_el)  # a row and its elastic part are in series
    across = np.swapaxes(rows, 1, 2)
    matrix = (across * (share * d_el)[:, None]) @ rows
    diagonal = d_low + d_high + stiffness
    index = np.arange(width)
    matrix[:, index, index] += diagonal + 1e-12 * diagonal.max(axis=1, keepdims=True)
    # Residuals: stationarity in x and in the elastic parts, then the definition of each slack.
    in_x = cost + stiffness * state.x + _times(across, y) - z_low + z_high
    in_el = penalty - y - w
    free = _beside(limits - _times(rows, state.x) + state.elastic, state.elastic,
                   state.x - low, high - state.x)  # fmt: skip
    off = state.slacks - free
    products = state.slacks * state.duals

    def solve(center, affine: _State | None) -> _State:
        comp = products - center[:, None]
        if affine is not None:
            comp += affine.slacks * affine.duals
        # Of each kind: change of the multiplier = kept - pull * (change of the slack + off).
        kept = pulls * off - comp / state.slacks
        k_row, k_el, k_low, k_high = _kinds(kept, width)
        rest_el = k_row + k_el - in_el  # (d_row + d_el) de = d_row rows dx + rest_el
        right = k_low - k_high - in_x - _times(across, k_row - share * rest_el)
        dx = np.linalg.solve(matrix, right[..., None])[..., 0]
        along = _times(rows, dx)
        de = share * along + rest_el / (d_row + d_el)
        change = _beside(de - along, de, dx, -dx)
        return _State(dx, de, change - off, kept - pulls * change)

    return solve


def _times(matrices, vectors) -> np.ndarray:
    """A product for each problem."""
    return (matrices @ vectors[..., None])[..., 0]
