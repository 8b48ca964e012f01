"""Gradients in a search: polish, refinement, the phase before the first trial."""

import dataclasses

import numpy as np
import pytest

from dse.search import aims, batch, polish, refine, warm

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
    moved, merit = refine.refined(polisher, polished.shares, points, wanted)
    after = refine.merits(polisher.values(moved, points), wanted)
    assert (after >= between - 1e-6).all()
    assert after == pytest.approx(merit)
    assert np.median(after - before) > 0
    assert ((moved >= 0) & (moved <= 1)).all()


def test_the_gradient_phase_beats_as_many_random_designs(refined_run, tools):
    evaluator, _ = tools
    drawn = np.random.default_rng(1).uniform(size=(400, 3))
    swept = warm.sweep(evaluator, drawn)
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


def test_levels_go_where_gaps_cost_most():
    """Gaps of 1 x 1 and 1 x 3 share four levels one to three; both ends stay out."""
    front = np.array([[0.0, 4.0], [1.0, 3.0], [2.0, 0.0]])
    levels = aims.gap_levels(front, 4)
    assert ((levels > 0) & (levels < 1)).sum() == 1
    assert ((levels > 1) & (levels < 2)).sum() == 3


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
