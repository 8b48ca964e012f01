"""Any metrics as goals: by name, direction and reference point, from study file to front."""

import numpy as np
import pytest

from dse.metrics import METRICS
from dse.search import aims, archive, goals, journal, runs, settings, study, trial
from dse.specs.errors import SpecError
from tests.search.conftest import STUDY, read_study

THREE = ["user_tokens_per_s", "system_tokens_per_s_per_w", "usd_per_million_tokens"]
OBJECTIVES = f"objectives = {THREE}\n"
REFERENCE = "[reference_point]\nusd_per_million_tokens = 1000\n"


@pytest.fixture(scope="session")
def three(tmp_path_factory):
    """A refined run of three goals, its settings, and the trials."""
    folder = tmp_path_factory.mktemp("three")
    text = (OBJECTIVES + STUDY + REFERENCE).replace('"nsga2"', '"gradient"')
    text = text.replace("tp = [1, 2, 4]", "tp = [1, 2]").replace("[1, 64]", "[1, 8]")
    (folder / "three.toml").write_text(text)
    read = settings.read(str(folder / "three.toml"))
    found = runs.start(read, str(folder / "three.toml"), folder / "run")
    study.run(read, found)
    return found, read


def test_less_is_better_by_the_reciprocal():
    usd = goals.Objective(METRICS["usd_per_million_tokens"])
    assert usd.goal(4.0) == 0.25
    assert usd.goal(usd.goal(4.0)) == 4.0
    assert usd.log(4.0) == pytest.approx(-np.log(4.0))
    assert usd.log_name == "minus_log10_usd_per_million_tokens"


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if metric.better])
def test_every_metric_with_a_direction_may_be_a_goal(name, tmp_path):
    other = "tpot_s" if name == "user_tokens_per_s" else "user_tokens_per_s"
    text = f"objectives = ['{other}', '{name}']\n{STUDY}\n[reference_point]\n{name} = 2\n"
    text += "tpot_s = '50 ms'\n" if other == "tpot_s" else ""
    found = read_study(tmp_path, text)
    assert [o.name for o in found.objectives] == [other, name]
    assert found.reference_point[1] == (0.5 if METRICS[name].better == "min" else 2.0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (OBJECTIVES + STUDY, "reference_point.usd_per_million_tokens: missing"),
        ("objectives = ['user_tokens_per_s', 'usd_per_milion_tokens']\n" + STUDY,
         "did you mean usd_per_million_tokens"),
        ("objectives = ['user_tokens_per_s', 'chips']\n" + STUDY, "no better direction"),
        ("objectives = ['user_tokens_per_s']\n" + STUDY, "at least two"),
        ("objectives = ['tpot_s', 'tpot_s']\n" + STUDY, "named once"),
        (STUDY + "[reference_point]\nuser_tokens_per_s = '3 W'\n", "reference_point"),
        (STUDY + "[reference_point]\nbom_usd = 3\n", "reference_point.bom_usd: unknown"),
    ],
)  # fmt: skip
def test_bad_objectives_are_named(text, words, tmp_path):
    with pytest.raises(SpecError) as refused:
        read_study(tmp_path, text)
    assert words in "\n".join(refused.value.problems)


# --- more than two dimensions ---------------------------------------------------------------------


def sphere(count=400):
    points = np.abs(np.random.default_rng(0).normal(size=(count, 3)))
    return points / np.linalg.norm(points, axis=1)[:, None]


def test_hypervolume_of_two_boxes_by_hand():
    """Above the origin: 2 x 1 x 1 and 1 x 3 x 1 share 1 x 1 x 1: 2 + 3 - 1."""
    points = np.array([[2.0, 1.0, 1.0], [1.0, 3.0, 1.0]])
    assert archive.hypervolume(points, np.zeros(3)) == pytest.approx(4)


def test_thinning_in_three_goals_keeps_each_end():
    points = sphere()
    kept = archive.thin(points, 0.1)
    assert set(points.argmax(axis=0)) <= set(kept)
    assert (np.diff(points[kept, 0]) >= 0).all()
    assert len(kept) < len(points) / 2
    apart = np.abs(points[:, None] - points[kept]).max(axis=2).min(axis=1)
    assert apart.max() <= 0.1 + 1e-12


def test_the_point_told_keeps_the_levels_and_is_best_in_what_is_free():
    front = np.array([[0.0, 3.0, 3.0], [1.0, 1.0, 4.0], [1.0, 2.0, 1.0], [2.0, 0.0, 0.0]])
    assert trial.best_above(front, np.array([0.5, -np.inf, -np.inf])) == 1
    assert trial.best_above(front, np.array([0.5, 1.5, -np.inf])) == 2
    assert trial.best_above(front, np.array([9.0, -np.inf, -np.inf])) == 3  # least short
    two = np.array([[0.0, 3.0], [1.0, 2.0], [2.0, 0.0]])
    assert trial.best_above(two, np.array([0.5, -np.inf])) == 1


def test_aims_into_the_gaps_of_a_surface_lie_between_neighbors():
    front = np.log(sphere(60) + 0.1)
    found = aims.along(front, 20, np.random.default_rng(1))
    assert len(found) == 20
    for aim in found:
        assert np.isneginf(aim.levels).sum() == 1
        kept = np.isfinite(aim.levels)
        assert (aim.levels[kept] >= front.min(axis=0)[kept]).all()
        assert (aim.levels[kept] <= front.max(axis=0)[kept]).all()
        assert aim.weights[~kept] == 1


def test_one_level_is_that_of_the_first_of_two_goals():
    aim = aims.level_aim(2.0)
    assert aim.levels.tolist() == [2.0, -np.inf]
    assert aim.weights.tolist() == [aims.TRADE, 1.0]


def test_first_aims_of_three_goals_spread_over_the_box():
    low, high = np.zeros(3), np.array([1.0, 2.0, 3.0])
    found = aims.spread(low, high, 40, np.random.default_rng(1))
    levels = np.stack([aim.levels for aim in found])
    for goal in range(3):
        kept = levels[np.isfinite(levels[:, goal]), goal]
        assert 10 < len(kept) < 40
        assert kept.min() < 0.2 * high[goal]
        assert kept.max() > 0.8 * high[goal]


# --- a study of three goals -----------------------------------------------------------------------


def test_three_goals_from_study_to_front(three):
    front = three[0].front()
    assert front["objectives"] == THREE
    assert front["reference_point"] == [10.0, 1e-3, 1000.0]
    points = np.log10(goals.points_of(three[1].objectives, front["designs"]))
    assert archive.nondominated(points).all()
    reference = np.log10(three[1].reference_point)
    assert front["hypervolume"] == pytest.approx(archive.hypervolume(points, reference))
    by_id = {design["id"]: design for design in front["designs"]}
    for key, name in (("low_latency_decoder", THREE[0]), ("high_efficiency_decoder", THREE[1])):
        assert by_id[front[key]][name] == max(design[name] for design in front["designs"])
    assert front["knee"] in by_id


def test_the_third_goal_keeps_cheaper_designs_than_two_goals_would(three):
    designs = three[0].front()["designs"]
    usd = np.array([design["usd_per_million_tokens"] for design in designs])
    both = archive.nondominated(np.array([[d[name] for name in THREE[:2]] for d in designs]))
    assert not both.all()
    assert usd.min() < usd[both].min()


def test_optuna_maximizes_every_goal(three):
    run, read = three
    told = journal.Trials(run.journal, read.name, read.objectives).study
    assert told.metric_names[2] == "minus_log10_usd_per_million_tokens"
    finished = told.get_trials(deepcopy=False)
    assert len(finished) == 24
    points, rows = run.competed(read)
    logs = {row.id: point for row, point in zip(rows, points, strict=True)}
    for t in finished:
        if t.user_attrs["design"] in logs:
            np.testing.assert_allclose(t.values, logs[t.user_attrs["design"]], rtol=1e-9)


def test_tables_and_pictures_of_three_goals(three):
    from dse.report import fronts
    from dse.report.charts import pareto
    from dse.search.front import table_of

    front = three[0].front()
    assert "usd_per_million_tokens" in table_of(front).columns
    assert "1000 usd_per_million_tokens" in str(fronts.heading(front))
    assert fronts.designs(front).columns[-2].header == "usd_per_million_tokens"
    line = next(t for t in pareto.figure(front).data if t.line.dash == "dot")
    assert (np.diff(line.y) < 0).all()
    assert fronts.verdict(front).row_count >= 3


def test_a_portfolio_of_a_study_of_three_goals_serves_two(three):
    from dse.search.portfolio import portfolio

    found = portfolio(three[0], 1)
    assert found["reference_point"] == [10.0, 1e-3]
    assert found["portfolios"]
