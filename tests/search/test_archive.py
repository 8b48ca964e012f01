import numpy as np
import pytest

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


def test_knee_of_a_corner():
    points = np.array([[0.0, 1.0], [0.9, 0.9], [1.0, 0.0]])
    assert archive.knee(points) == 1
