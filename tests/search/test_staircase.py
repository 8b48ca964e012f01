"""Staircases of two goals, against figures counted by hand."""

import numpy as np
import pytest

from dse.search import staircase
from dse.search.archive import hypervolume

ORIGIN = np.zeros(2)
SLOW = np.array([[1.0, 4.0], [3.0, 2.0]])
FAST = np.array([[5.0, 1.0]])


def test_heights_at_and_right_of_a_step():
    at = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
    assert staircase.heights(SLOW, at, 0.0).tolist() == [4, 4, 2, 2, 0]
    assert staircase.heights(SLOW, at, 0.0, "right").tolist() == [4, 2, 2, 0, 0]


def test_heights_never_fall_below_the_floor():
    assert staircase.heights(np.array([[1.0, -2.0]]), np.array([0.0]), 0.0).tolist() == [0]
    assert staircase.heights(np.empty((0, 2)), np.array([0.0]), 0.0).tolist() == [0]


def test_each_curve_serves_where_it_is_the_highest():
    """SLOW stands at 4 and 2 up to 3, FAST at 1 all along: beyond 3 it is alone."""
    assert staircase.spans([SLOW, FAST], ORIGIN) == [[(0, 3)], [(3, 5)]]


def test_a_curve_may_serve_two_ranges_and_a_beaten_one_none():
    tall = np.array([[2.0, 2.0]])
    both = np.array([[1.0, 3.0], [4.0, 1.0]])
    below = np.array([[1.0, 1.0]])
    assert staircase.spans([tall, both, below], ORIGIN) == [[(1, 2)], [(0, 1), (2, 4)], []]


def test_of_equal_curves_the_first_serves():
    assert staircase.spans([SLOW, SLOW], ORIGIN) == [[(0, 3)], []]


@pytest.mark.parametrize("columns", [1, 3, 512])
def test_the_bound_of_a_pair_is_never_below_what_it_covers(columns, monkeypatch):
    monkeypatch.setattr(staircase, "COLUMNS", columns)
    rng = np.random.default_rng(columns)
    curves = [rng.uniform(-0.2, 1.0, (5, 2)) for _ in range(12)]
    pairs, bounds = staircase.pairs_above(curves, ORIGIN, 0.0)
    assert len(pairs) == 12 * 11 / 2
    assert (np.diff(bounds) <= 0).all()
    exact = [hypervolume(np.concatenate([curves[i] for i in pair]), ORIGIN) for pair in pairs]
    assert (bounds >= exact).all()
    if columns == 512:  # more than there are steps: the bound is the area itself
        np.testing.assert_allclose(bounds, exact, rtol=1e-9)
