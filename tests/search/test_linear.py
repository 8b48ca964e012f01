"""Batched linear programs against a solver that takes one at a time."""

import numpy as np
import pytest
from scipy.optimize import linprog

from dse.search.linear import minimize

PENALTY = 5.0


def by_highs(cost, rows, limits, low, high):
    """(value, multipliers of rows) of one program, the elastic parts as variables."""
    count = len(limits)
    found = linprog(
        np.concatenate([cost, np.full(count, PENALTY)]),
        np.hstack([rows, -np.eye(count)]),
        limits,
        bounds=[*zip(low, high, strict=True), *[(0, None)] * count],
    )
    return found.fun, -found.ineqlin.marginals


def programs(seed, count=40, variables=6, rows=9):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(count, variables)), rng.normal(size=(count, rows, variables)),
            rng.normal(size=(count, rows)) * 0.3, -rng.uniform(0.01, 1, (count, variables)),
            rng.uniform(0.01, 1, (count, variables)))  # fmt: skip


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_values_and_prices_are_those_of_highs(seed):
    """Also where rows cannot all be kept: then the elastic parts take what is too much."""
    cost, rows, limits, low, high = programs(seed)
    solved = minimize(cost, rows, limits, low, high, PENALTY)
    excess = np.maximum(np.einsum("prv,pv->pr", rows, solved.x) - limits, 0)
    values = (cost * solved.x).sum(axis=1) + PENALTY * excess.sum(axis=1)
    for i in range(len(cost)):
        value, prices = by_highs(cost[i], rows[i], limits[i], low[i], high[i])
        assert values[i] == pytest.approx(value, abs=1e-5)
        assert solved.prices[i] == pytest.approx(prices, abs=1e-4)


def test_a_narrow_box_beside_a_wide_one_is_solved_as_well():
    """The programs of a search: small steps under steep tangents, and a worth that may move far."""
    cost, rows, limits, low, high = programs(3, variables=8, rows=30)
    cost[:, :-1], cost[:, -1] = 0.0, 1.0
    rows[:, ::2, -1], rows[:, 1::2, -1] = -1.0, 0.0
    low[:, :-1], high[:, :-1] = -0.05, 0.05
    low[:, :2], high[:, :2] = -1e-9, 1e-9  # held
    low[:, -1], high[:, -1], limits = -5.0, 5.0, limits * 0.1
    solved = minimize(cost, rows, limits, low, high, PENALTY)
    excess = np.maximum(np.einsum("prv,pv->pr", rows, solved.x) - limits, 0)
    values = (cost * solved.x).sum(axis=1) + PENALTY * excess.sum(axis=1)
    exact = [by_highs(*problem)[0] for problem in zip(cost, rows, limits, low, high, strict=True)]
    np.testing.assert_allclose(values, exact, atol=1e-5)


@pytest.mark.parametrize("stiffness", [0.5, 20.0])
def test_a_pull_to_the_origin_by_hand(stiffness):
    """min -3x + s x^2 / 2 with x <= 1/2 at a price of 2 a unit: the pull alone, or beyond the row.

    Without the row x = 3 / s; with it x rests at 1/2 while the price it takes, 3 - s / 2, is at
    most 2, and else goes on to (3 - 2) / s.
    """
    one = np.ones((1, 1))
    solved = minimize(-3 * one, one[None], 0.5 * one, -4 * one, 4 * one, 2.0, stiffness * one)
    wanted = 3 / stiffness if stiffness > 6 else 1 / stiffness
    assert solved.x[0, 0] == pytest.approx(wanted, abs=1e-6)
    assert solved.prices[0, 0] == pytest.approx(0.0 if stiffness > 6 else 2.0, abs=1e-5)


def test_a_program_by_hand():
    """min -x - 2y over a square of side 2 with x + y <= 1: the point (0, 1), priced 2."""
    solved = minimize(np.array([[-1.0, -2.0]]), np.array([[[1.0, 1.0]]]), np.array([[1.0]]),
                      np.zeros((1, 2)), np.full((1, 2), 2.0), 60.0)  # fmt: skip
    assert solved.x[0] == pytest.approx([0, 1], abs=1e-6)
    assert solved.prices[0, 0] == pytest.approx(2, abs=1e-5)


def test_inside_the_box_and_prices_within_the_penalty():
    cost, rows, limits, low, high = programs(7)
    solved = minimize(cost, rows, limits, low, high, PENALTY)
    assert (solved.x >= low - 1e-9).all()
    assert (solved.x <= high + 1e-9).all()
    assert (solved.prices >= -1e-9).all()
    assert (solved.prices <= PENALTY + 1e-6).all()
