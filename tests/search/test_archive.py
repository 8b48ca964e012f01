import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dse.search import archive


def test_hypervolume_of_two_points_by_hand():
    """Above (0, 0): (2, 1) covers 2, (1, 3) covers 3, together 2 + 3 - 1 = 4."""
    points = np.array([[2.0, 1.0], [1.0, 3.0]])
    assert archive.hypervolume(points, np.zeros(2)) == pytest.approx(4)


def test_points_below_the_reference_count_nothing():
    assert archive.hypervolume(np.array([[-1.0, 5.0]]), np.zeros(2)) == 0


def test_nondominated_keeps_the_front_and_one_of_equals():
    points = np.array([[1.0, 3.0], [2.0, 1.0], [1.0, 1.0], [2.0, 1.0]])
    assert list(archive.nondominated(points)) == [True, True, False, False]


def test_thinning_keeps_both_ends_and_its_distance():
    x = np.linspace(0, 1, 101)
    points = np.stack([x, 1 - x], axis=1)
    kept = archive.thin(points, 0.1)
    assert {0, 100} <= set(kept)
    steps = np.diff(points[kept][:, 0])
    assert (steps[:-1] >= 0.1 - 1e-12).all()


def test_the_points_chosen_keep_what_they_cover_alone():
    """Above (0, 0): (1, 3) alone covers 1, (2, 2.9) hardly 1.9, (2.1, 1) only 0.1."""
    points = np.array([[1.0, 3.0], [2.0, 2.9], [2.1, 1.0]])
    assert archive.chosen(points, np.zeros(2), 1).tolist() == [1]
    assert archive.chosen(points, np.zeros(2), 2).tolist() in ([0, 1], [1, 2])
    assert archive.chosen(points, np.zeros(2), 9).tolist() == [0, 1, 2]


@pytest.mark.parametrize("goals", [2, 3])
def test_few_points_of_a_dense_front_keep_nearly_all(goals):
    drawn = np.abs(np.random.default_rng(0).normal(size=(500, goals)))
    points = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)  # on a sphere: none dominates
    kept = archive.chosen(points, np.zeros(goals), 60)
    assert len(kept) == 60
    every = archive.hypervolume(points, np.zeros(goals))
    assert archive.hypervolume(points[kept], np.zeros(goals)) > (1 - 0.05 * (goals - 1)) * every


def test_knee_of_a_corner():
    points = np.array([[0.0, 1.0], [0.9, 0.9], [1.0, 0.0]])
    assert archive.knee(points) == 1


# Few values, so that some are equal.
POINTS = arrays(float, st.tuples(st.integers(0, 8), st.just(2)), elements=st.integers(0, 5))


@given(POINTS, POINTS)
def test_the_sieve_holds_back_what_the_archive_beats_and_nothing_else(first, second):
    held = archive.Archive((1.0, 1.0))
    held.add(first, [archive.Row(0, "a", (), i) for i in range(len(first))])
    beaten = (held.points[None] >= second[:, None]).all(axis=2).any(axis=1)
    assert np.array_equal(held.beats(second), beaten)
