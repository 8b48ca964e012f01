"""Best sets of curves, against every set there is; areas are counted in cells of a lattice."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dse.search import cover, staircase
from dse.search.archive import THIN_STORED, hypervolume, nondominated, thin

ORIGIN = np.zeros(2)
coordinates = st.integers(-1, 6)
points = st.tuples(coordinates, coordinates)
chips = st.lists(st.lists(points, min_size=1, max_size=4), min_size=1, max_size=6)


def arrays(drawn):
    return [np.array(curve, float) for curve in drawn]


def cells(curves):
    """Cells between the reference and a point of any curve: the hypervolume of whole numbers."""
    return len({cell for curve in curves for point in curve
                for cell in itertools.product(*(range(int(x)) for x in point))})  # fmt: skip


def best(curves, size):
    """The most that any set of so many curves covers, by looking at every set."""
    return max(cells(members) for members in itertools.combinations(curves, size))


def test_one_and_two_chips_by_hand():
    """Over (0, 0): A = {(1, 4), (2, 3)} covers 4 + 3 = 7, B = {(5, 1)} covers 5, C = {(4, 2)} 8.

    A and B share the lowest two cells, so together 7 + 5 - 2 = 10; A and C share four, 7 + 8 - 4
    = 11; B and C share four, 5 + 8 - 4 = 9; all three add B's cell from 4 to 5, 12.
    """
    curves = [np.array([[1.0, 4.0], [2.0, 3.0]]), np.array([[5.0, 1.0]]), np.array([[4.0, 2.0]])]
    one, two, three = cover.covers(curves, ORIGIN, 3)
    assert (one.members, one.hypervolume, one.exact) == ((2,), 8, True)
    assert (two.members, two.hypervolume, two.exact) == ((0, 2), 11, True)
    assert (three.members, three.hypervolume, three.exact) == ((0, 1, 2), 12, False)


def test_the_best_pair_need_not_hold_the_best_chip():
    """A and B cover 16 each and share 4; C covers 17, the most, and shares 8 with either."""
    a, b, c = ([(2, 8)], [(8, 2)], [(4, 4), (5, 1)])
    assert [cells([curve]) for curve in (a, b, c)] == [16, 16, 17]
    one, two = cover.covers(arrays([a, b, c]), ORIGIN, 2)
    assert one.members == (2,)
    assert two.members == (0, 1)
    assert two.hypervolume == 16 + 16 - 4


@pytest.mark.parametrize("columns", [1, 2, 512])
def test_one_and_two_chips_are_the_best_of_all_sets(columns):
    """Also where few columns make the bounds of pairs loose."""

    @settings(max_examples=80, deadline=None)
    @given(chips)
    def check(drawn):
        found = cover.covers(arrays(drawn), ORIGIN, 2)
        for size, chosen in enumerate(found, 1):
            assert chosen.exact
            assert chosen.hypervolume == pytest.approx(best(drawn, size))
            assert cells([drawn[i] for i in chosen.members]) == pytest.approx(chosen.hypervolume)
        if len(found) < 2 <= len(drawn):  # what one chip covers, or nothing, is all there is
            assert best(drawn, 2) == (found[0].hypervolume if found else 0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(staircase, "COLUMNS", columns)
        check()


@settings(max_examples=80, deadline=None)
@given(chips)
def test_more_chips_cover_more_until_nothing_is_left(drawn):
    found = cover.covers(arrays(drawn), ORIGIN, len(drawn) + 2)
    areas = [chosen.hypervolume for chosen in found]
    assert areas == sorted(set(areas))
    assert [len(chosen.members) for chosen in found] == list(range(1, len(found) + 1))
    assert max(areas, default=0) == pytest.approx(cells(drawn))


@settings(max_examples=40, deadline=None)
@given(chips)
def test_a_greedy_set_is_one_swap_from_no_better_one(drawn):
    for chosen in cover.covers(arrays(drawn), ORIGIN, 4)[2:]:
        assert not chosen.exact
        assert chosen.hypervolume <= best(drawn, len(chosen.members))
        for left in itertools.combinations(chosen.members, len(chosen.members) - 1):
            kept = [drawn[i] for i in left]
            assert all(cells([*kept, curve]) <= chosen.hypervolume for curve in drawn)


def test_continuous_pairs_are_the_best_of_all_pairs():
    rng = np.random.default_rng(7)
    curves = [rng.uniform(0, 1, (6, 2)) ** rng.uniform(0.3, 3, 2) for _ in range(60)]
    pairs = [hypervolume(np.concatenate(pair), ORIGIN)
             for pair in itertools.combinations(curves, 2)]  # fmt: skip
    assert cover.covers(curves, ORIGIN, 2)[1].hypervolume == pytest.approx(max(pairs), rel=1e-12)


def test_three_goals_are_chosen_greedily():
    """Boxes of 2 x 2 x 2, 4 x 1 x 1 and 1 x 1 x 1: 8, then 8 + 4 - 2, and no more."""
    curves = arrays([[(1, 1, 1)], [(4, 1, 1)], [(2, 2, 2)]])
    one, two = cover.covers(curves, np.zeros(3), 3)
    assert (one.members, one.hypervolume, one.exact) == ((2,), 8, True)
    assert (two.members, two.hypervolume, two.exact) == ((1, 2), 10, False)


# --- who may be left out --------------------------------------------------------------------------


def test_covered_chips_are_no_contenders_and_of_equal_ones_the_first_is():
    curves = arrays([[(1, 1)], [(3, 2), (2, 3)], [(3, 2), (2, 3)], [(-1, 9)], [(4, 1)]])
    assert cover.contenders(curves, ORIGIN) == [1, 4]


def test_within_the_slack_a_covered_chip_still_contends():
    curves = arrays([[(2, 2)], [(1.9, 1.9)], [(1, 1)]])
    assert cover.contenders(curves, ORIGIN, slack=0.15) == [0, 1]


def test_no_chip_above_the_reference_is_no_set():
    assert cover.covers([], ORIGIN, 2) == []
    assert cover.covers(arrays([[(-1, 5)], [(0, 3)]]), ORIGIN, 2) == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 0.05), st.floats(0, 0.05)), min_size=1, max_size=40))
def test_a_thinned_curve_lies_at_most_the_thinning_below_the_true_one(drawn):
    """What lets stored curves decide which chips need no second look."""
    curve = np.array(drawn)
    curve = curve[nondominated(curve)]
    kept = curve[thin(curve, THIN_STORED)] + THIN_STORED * (1 + 1e-9)
    assert (kept[:, None] >= curve).all(axis=-1).any(axis=0).all()
