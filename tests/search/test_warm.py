"""Gradients in a search: polish, refinement, the phase before the first trial."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from dse.search import aims, batch, polish, refine, sweeps, warm
from dse.search.archive import Row
from dse.search.pool import BLENDS, Pool

LN10 = np.log(10)


def aims_at(speed, count):
    return aims.together([aims.level_aim(np.array([np.log(speed), -np.inf]))] * count)


def test_slopes_agree_with_differences(tools):
    _, polisher = tools
    shares, points = np.full((1, 3), 0.4), np.array([3])
    found = polisher.linearized(shares, points, 32.0)
    for axis in range(3):
        step = np.zeros((1, 3))
        step[0, axis] = 0.01
        ends = [polisher.linearized(shares + s * step, points, 32.0).values for s in (-1, 1)]
        slope = (ends[1] - ends[0])[0] / 0.02
        used = found.values[0] > np.log1p(polish.LEAST_MARGIN) + 1e-3
        assert found.slopes[0, :, axis][used] == pytest.approx(slope[used], rel=0.02, abs=0.02)


def test_polish_and_refinement_never_lose(tools):
    evaluator, polisher = tools
    rng = np.random.default_rng(0)
    shares, points = rng.uniform(size=(16, 3)), rng.integers(0, len(evaluator.grid), 16)
    wanted = aims_at(100.0, 16)
    before = refine.merits(polisher.values(shares, points), wanted)
    polished = polisher(shares, points, wanted, polish.FAR)
    between = refine.merits(polisher.values(polished.shares, points), wanted)
    start = refine.Start(polisher, polished.shares, points, wanted)
    ((moved, merit),) = refine.refined([start])
    after = refine.merits(polisher.values(moved, points), wanted)
    assert (after >= between - 1e-6).all()
    assert after == pytest.approx(merit)
    assert np.median(after - before) > 0
    assert ((moved >= 0) & (moved <= 1)).all()


def test_the_gradient_phase_beats_as_many_random_designs(refined_run, tools):
    evaluator, _ = tools
    drawn = np.random.default_rng(1).uniform(size=(400, 3))
    swept = sweeps.sweep(evaluator, drawn)
    feasible = swept.broken <= 0
    logs = np.stack([goal[feasible] for goal in swept.goals], axis=1) / LN10
    from dse.search.archive import hypervolume

    assert refined_run.archive.hypervolume > hypervolume(logs, refined_run.archive.reference)


def test_what_is_told_is_the_polished_design(refined_run):
    """Parameters of a trial, evaluated again, give the values it was told."""
    trials = refined_run.trials.study.get_trials(deepcopy=False)
    assert len(trials) == refined_run.state["trials"]
    space = refined_run.settings.space
    for trial in [*trials[:3], *trials[-3:]]:
        family, values = space.values_of(trial.params)
        outcome = refined_run.evaluators[family.name](np.array([values]))
        point = int(trial.user_attrs["design"].split(".")[1])
        goals = [np.log10(goal[0, point]) for goal in outcome.goals]
        assert trial.values == pytest.approx(goals, abs=1e-5)


def test_levels_along_a_front_by_hand():
    """Steps of 1/2 + 1/4 and 1/2 + 3/4 of the ranges: two units of way, four levels half apart."""
    front = np.array([[0.0, 4.0], [1.0, 3.0], [2.0, 0.0]])
    middle = SimpleNamespace(uniform=lambda: 0.5)
    levels = aims.levels_along(front, 4, middle)
    assert levels == pytest.approx([0.25 / 0.75, 1, 1 + 0.5 / 1.25, 1 + 1 / 1.25])


def test_the_widest_gaps_by_hand():
    """Gaps of 1 x 1 and 1 x 3: the second costs more."""
    front = np.array([[0.0, 4.0], [1.0, 3.0], [2.0, 0.0]])
    rng = np.random.default_rng(0)
    assert aims.widest_gaps(front, 1, rng).tolist() == [[1, 2]]
    assert aims.widest_gaps(front, 9, rng).tolist() == [[1, 2], [0, 1]]
    assert len(aims.widest_gaps(front[:1], 9, rng)) == 0


def test_what_lies_between_two_designs_is_hardly_worse(tools):
    """Goals are nearly convex: the middle of two designs loses no percent on the mean of both."""
    _, polisher = tools
    shares = np.random.default_rng(3).uniform(size=(40, 3))
    points = np.full(20, 3)
    ends = [polisher.values(part, points) for part in (shares[:20], shares[20:])]
    middle = polisher.values((shares[:20] + shares[20:]) / 2, points)
    goals = polisher.goals
    assert np.isfinite(middle).all()
    assert (middle[:, :goals] >= (ends[0] + ends[1])[:, :goals] / 2 - 0.01).all()


def test_blends_lie_on_the_way_and_hold_what_is_whole(tools):
    evaluator, polisher = tools
    one, other = Row(0, "a", (0.2, 0.4, 0.0), 1), Row(0, "a", (0.6, 0.0, 1.0), 2)
    found = Pool(evaluator, polisher).blends([(one, other)])
    for index, axis in enumerate(evaluator.family.axes):
        ends = [one.values[index], other.values[index]]
        between = ends if axis.is_coarse or axis.is_radix else np.interp(BLENDS, [0, 1], ends)
        assert set(found[:, index].round(9)) == set(np.round(between, 9))


def test_designs_around_one_are_itself_and_what_is_one_step_away(tools):
    evaluator, polisher = tools
    row = Row(0, "a", (0.5, 0.5, 0.5), 5)
    found = Pool(evaluator, polisher)._around(row)
    neighbors = evaluator.grid.choices.neighbors(5)
    assert found.points[: 1 + len(neighbors)].tolist() == [5, *neighbors]
    assert (found.points[1 + len(neighbors) :] == 5).all()
    values = evaluator.family.from_unit_cube(found.shares)
    for axis, column in zip(evaluator.family.axes, values.T, strict=True):
        if axis.is_coarse:
            assert set(np.abs(column - column[0])) == {0.0, 1.0}


def test_blending_never_loses_and_is_what_a_sweep_says(tools, refined_run):
    evaluator, polisher = tools
    phase = warm.Warm({"a": evaluator}, {"a": polisher}, refined_run.settings, 0)
    phase.run(1)
    before = phase.archive.hypervolume
    phase._blend()
    assert phase.archive.hypervolume >= before
    for goals, row in list(zip(phase.archive.points, phase.archive.rows, strict=True))[::5]:
        swept = sweeps.sweep(evaluator, np.array([row.values]))
        assert swept.goals[:, 0, row.point] / LN10 == pytest.approx(goals, abs=1e-6)
        assert swept.broken[0, row.point] <= 0


def test_neighbors_differ_in_one_choice(tools):
    choices = tools[0].grid.choices
    names = tools[0].settings.deployment
    assert len(choices.neighbors(5))
    for point in choices.neighbors(5):
        assert sum(getattr(choices[5], n) != getattr(choices[point], n) for n in names) == 1


def test_the_stop_rule_asks_fresh_designs_before_it_ends(refined_run, monkeypatch):
    search = refined_run
    wanted = dataclasses.replace(search.settings.search, trials=10_000)
    monkeypatch.setattr(search, "settings", dataclasses.replace(search.settings, search=wanted))
    assert search.goes_on()
    asked = []
    monkeypatch.setattr(search, "_restarted", lambda: asked.append(1) or False)
    monkeypatch.setitem(search.state, "stalled", wanted.patience)
    assert not search.goes_on()
    assert asked


def test_batches_of_some_points_are_those_of_all(tools):
    evaluator, _ = tools
    designs = evaluator.family.from_unit_cube(np.full((2, 3), 0.5))
    points = np.array([1, 4, 7])
    assert isinstance(evaluator, batch.Evaluator)
    some = evaluator(designs, evaluator.some(points))
    every = evaluator(designs)
    for few, all_of in zip(some.goals, every.goals, strict=True):
        assert few == pytest.approx(all_of[:, points])
