"""How sure a front is: worked examples of chances, regret and order, and a small run."""

import numpy as np
import pytest

from dse.search import bands

# Two designs of opposite strengths, and one that loses to the first in one draw of two.
LOGS = np.array([
    [[1.0, 0.0], [1.0, 0.0]],
    [[0.0, 1.0], [0.0, 1.0]],
    [[0.9, -0.1], [1.1, -0.1]],
])  # fmt: skip


def test_a_design_is_on_the_front_in_as_many_draws_as_none_beats_it():
    everywhere = np.ones(LOGS.shape[:2], bool)
    assert bands.chances(LOGS, everywhere) == pytest.approx([1.0, 1.0, 0.5])


def test_designs_beyond_their_limits_neither_count_nor_beat_others():
    good = np.array([[False, True], [True, True], [True, True]])
    assert bands.chances(LOGS, good) == pytest.approx([0.5, 1.0, 1.0])


def test_regret_is_by_how_much_another_is_better_in_every_goal():
    assert bands.shortfalls(LOGS) == pytest.approx(np.array([[0, 0], [0, 0], [0.1, 0]]))


def test_a_robust_front_compares_the_worst_fifth():
    steady = np.full((10, 2), 1.0)
    wild = np.r_[np.full((8, 2), 2.0), np.full((2, 2), 0.5)]
    assert bands.worst(wild[:, 0]) == pytest.approx(0.5)
    assert bands.robust_front(np.stack([steady, wild])).tolist() == [True, False]


def test_order_that_changes_in_a_tenth_of_the_draws_is_noise():
    nominal = np.array([[0.0, 1.0], [0.1, 0.5]])
    logs = np.repeat(nominal[:, None], 10, axis=1)
    logs[1, 0, 0] = -0.1
    found = bands.flips(nominal, logs, ["a", "b"], ["speed", "energy"])
    assert found == [{"a": "a", "b": "b", "goal": "speed", "chance": 0.1}]


def test_the_band_of_a_front_is_what_its_draws_reach():
    logs = np.array([[[1.0, 0.0], [1.0, 0.2]], [[0.0, 1.0], [0.0, 1.2]]])
    found = bands.attained(logs)
    assert found["low"][0] == pytest.approx(10.0)
    assert found["high"][0] == pytest.approx(10**1.2)
    assert found["median"][-1] == pytest.approx(1.0)
    assert bands.attained(np.zeros((2, 2, 3))) is None


@pytest.fixture(scope="module")
def found(finished):
    return bands.bands(finished, draws=32)


def test_bands_of_a_run_cover_its_front(found, finished):
    front = finished.front()
    assert {row["id"] for row in found["designs"]} == {d["id"] for d in front["designs"]}
    for row in found["designs"]:
        assert row["within_limits"] >= row["on_front_within_limits"] >= 0
        assert 0 <= row["on_front"] <= 1
        assert row["regret"]["late"] >= 0
        for name, (low, high) in row["goals"].items():
            assert row["robust"][name] <= high
            assert low < high
    assert sum(item["chance"] for item in found["best"]["user_tokens_per_s"]) <= 1 + 1e-12
    assert set(found["robust_front"])


def test_a_design_competes_once(found):
    ids = [row["id"] for row in (*found["designs"], *found["rivals"])]
    assert len(ids) == len(set(ids))
    assert found["compared"] >= len(ids)
