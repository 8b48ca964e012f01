import numpy as np
import pytest

from dse.search import confirm
from dse.search.batch import TILE_DEPLOYMENTS, TILE_DESIGNS


@pytest.fixture(scope="module")
def evaluator(runner):
    return runner.evaluators(runner.settings)["reticle_n3_stacked"]


def test_a_batch_equals_one_design_at_a_time_in_float64(runner, evaluator):
    family = evaluator.family
    designs = np.array([family.start, [axis.from_unit_cube(0.4) for axis in family.axes]])
    outcome = evaluator(designs)
    assert outcome.goals[0].shape == (2, len(evaluator.grid))
    for row, values in enumerate(designs):
        pairs = [(tuple(values), choice) for choice in evaluator.grid.choices]
        results = confirm.confirmed(family, pairs, runner.settings)
        for objective, found in zip(runner.settings.objectives, outcome.goals, strict=True):
            exact = np.array([result[objective.name] for result in results])
            np.testing.assert_allclose(found[row], exact, rtol=2e-5)
        for constraint, found in zip(runner.settings.constraints, outcome.metrics, strict=True):
            exact = [result[constraint.metric.name] for result in results]
            np.testing.assert_allclose(found[row], exact, rtol=2e-5)
        broken = np.array([not result["feasible"] for result in results])
        assert ((outcome.limit_margin[row] > 1e-5) == broken).all()


def test_padding_changes_nothing(evaluator):
    start = np.array([evaluator.family.start])
    one = evaluator(start)
    many = evaluator(np.repeat(start, TILE_DESIGNS + 3, axis=0))
    assert many.goals[0].shape == (TILE_DESIGNS + 3, len(evaluator.grid))
    assert (many.goals[0] == one.goals[0][0]).all()
    assert len(evaluator.grid) < TILE_DEPLOYMENTS


def test_the_binding_limit_has_a_name(evaluator):
    family = evaluator.family
    crowded = [axis.high if axis.path == "compute.fp8.macs" else
               axis.low if axis.path == "die" else value
               for axis, value in zip(family.axes, family.start, strict=True)]  # fmt: skip
    outcome = evaluator(np.array([crowded]))
    names = {evaluator.limit_names[i] for i in outcome.limit_index[0]}
    assert names & {"floorplan", "shoreline"}
