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
    cost, rows, limits, low, high, penalty: float, stiffness: Any = 0.0
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

    Mehrotra's predictor-corrector (SIAM J. Optim. 2(4), 1992); the elastic part of each row is
    eliminated, so that a step solves a system of the variables alone. Steps are taken in a box that
    reaches from -1 to 1: from its middle they converge, however narrow the box of the caller.
    """
    middle, half = 0.5 * (low + high), 0.5 * (high - low)
    found = _in_unit_box((cost + stiffness * middle) * half, rows * half[:, None],
                         limits - _times(rows, middle), penalty, stiffness * half**2)  # fmt: skip
    return Solved(middle + half * found.x, found.prices)


def _in_unit_box(cost, rows, limits, penalty: float, stiffness) -> Solved:
    x, prices = np.empty_like(cost), np.empty_like(limits)
    low, high = -np.ones_like(cost), np.ones_like(cost)
    left = np.arange(len(cost))
    state = _State.inside(rows, limits, low, high, penalty)
    for _ in range(ROUNDS):
        step = _step(state, (cost[left], stiffness[left]), rows[left], limits[left],
                     (low[left], high[left]), penalty)  # fmt: skip
        state = state.moved(step, *state.reaches(step))
        x[left], prices[left] = state.x, state.duals[0]
        open_ = state.gap() > ACCURACY  # solved ones are left alone: their systems turn singular
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

    x: np.ndarray
    elastic: np.ndarray
    slacks: tuple[np.ndarray, ...]
    duals: tuple[np.ndarray, ...]

    @classmethod
    def inside(cls, rows, limits, low, high, penalty: float) -> "_State":
        x = 0.5 * (low + high)
        broken = _times(rows, x) - limits
        elastic = np.maximum(broken, 0.0) + 1.0
        slacks = (elastic - broken, elastic, x - low, high - x)
        half = np.full_like(broken, 0.5 * penalty)
        ones = np.ones_like(x)
        return cls(x, elastic, slacks, (half, half, ones, ones))

    def gap(self) -> np.ndarray:
        """Mean complementarity, ``[problem]``."""
        products = [(s * d).sum(axis=1) for s, d in zip(self.slacks, self.duals, strict=True)]
        return np.sum(products, axis=0) / sum(s.shape[1] for s in self.slacks)

    def of(self, problems) -> "_State":
        """Some of the problems."""
        return _State(self.x[problems], self.elastic[problems],
                      tuple(s[problems] for s in self.slacks),
                      tuple(d[problems] for d in self.duals))  # fmt: skip

    def reaches(self, step: "_State") -> tuple[np.ndarray, np.ndarray]:
        """How far slacks and multipliers may go along a step, ``[problem]`` each."""
        return _reach(self.slacks, step.slacks), _reach(self.duals, step.duals)

    def moved(self, step: "_State", primal: np.ndarray, dual: np.ndarray) -> "_State":
        p, d = primal[:, None], dual[:, None]
        slacks = tuple(s + p * ds for s, ds in zip(self.slacks, step.slacks, strict=True))
        duals = tuple(z + d * dz for z, dz in zip(self.duals, step.duals, strict=True))
        return _State(self.x + p * step.x, self.elastic + p * step.elastic, slacks, duals)


def _reach(values, steps) -> np.ndarray:
    shortest = np.ones(len(values[0]))
    for value, step in zip(values, steps, strict=True):
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(step < 0, -value / step, np.inf)
        shortest = np.minimum(shortest, TO_BOUNDARY * ratio.min(axis=1))
    return shortest


def _newton(state: _State, costs, rows, limits, bounds, penalty: float):
    """A function of centering and affine step that gives the step of the Newton system."""
    (cost, stiffness), (low, high) = costs, bounds
    s_row, s_el, s_low, s_high = state.slacks
    y, w, z_low, z_high = state.duals
    d_row, d_el = y / s_row, w / s_el
    together = d_row * d_el / (d_row + d_el)  # a row and its elastic part in series
    across = np.swapaxes(rows, 1, 2)
    matrix = (across * together[:, None]) @ rows
    diagonal = z_low / s_low + z_high / s_high + stiffness
    index = np.arange(matrix.shape[1])
    matrix[:, index, index] += diagonal + 1e-12 * diagonal.max(axis=1, keepdims=True)
    # Residuals: stationarity in x and in the elastic parts, then the definition of each slack.
    in_x = cost + stiffness * state.x + _times(across, y) - z_low + z_high
    in_el = penalty - y - w
    off = (_times(rows, state.x) - state.elastic + s_row - limits,
           s_el - state.elastic, s_low - (state.x - low), s_high - (high - state.x))  # fmt: skip

    def solve(center, affine: _State | None) -> _State:
        c = center[:, None]
        comp = [s * d - c for s, d in zip(state.slacks, state.duals, strict=True)]
        if affine is not None:
            comp = [k + ds * dd for k, ds, dd in zip(comp, affine.slacks, affine.duals,
                                                     strict=True)]  # fmt: skip
        # dy = D (rows dx - de + off) - comp / s, and likewise for the others.
        k_row = d_row * off[0] - comp[0] / s_row
        k_el = d_el * off[1] - comp[1] / s_el
        k_low = z_low / s_low * off[2] - comp[2] / s_low
        k_high = z_high / s_high * off[3] - comp[3] / s_high
        rest_el = -in_el + k_row + k_el  # (d_row + d_el) de = d_row rows dx + rest_el
        right = -in_x + k_low - k_high
        right -= _times(across, k_row - d_row * rest_el / (d_row + d_el))
        dx = np.linalg.solve(matrix, right[..., None])[..., 0]
        along = _times(rows, dx)
        de = (d_row * along + rest_el) / (d_row + d_el)
        slacks = (-along + de - off[0], de - off[1], dx - off[2], -dx - off[3])
        duals = (d_row * (along - de) + k_row, -d_el * de + k_el,
                 -z_low / s_low * dx + k_low, z_high / s_high * dx + k_high)  # fmt: skip
        return _State(dx, de, slacks, duals)

    return solve


def _times(matrices, vectors) -> np.ndarray:
    """A product for each problem."""
    return (matrices @ vectors[..., None])[..., 0]
