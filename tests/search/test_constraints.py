"""Every metric bounds a study, from above and from below."""

import numpy as np
import pytest

from dse.estimate.evaluate import evaluate
from dse.metrics import METRICS
from dse.search import settings, trial
from dse.search.batch import Outcome
from dse.search.front import metric_of, within
from dse.specs.errors import SpecError
from tests.search.conftest import STUDY


@pytest.fixture(scope="module")
def estimate():
    return evaluate("reticle_n3_stacked", "llama-3.1-8b", "chat-8k")


@pytest.fixture(scope="module")
def result(estimate):
    return estimate.to_dict()


def bounded(tmp_path, metric, sense, value):
    file = tmp_path / f"{value}.toml"
    limit = f"{sense} {value!r} {metric.quantity or ''}".strip()
    file.write_text(STUDY.replace('silicon = "<= 4000 mm2"', f'{metric.stem} = "{limit}"'))
    return settings.read(str(file))


@pytest.mark.parametrize("sense", ["<=", ">="])
@pytest.mark.parametrize("name", METRICS)
def test_a_metric_bounds_in_both_senses(name, sense, estimate, result, tmp_path):
    """Half and twice what one design uses: one limit holds, the other does not."""
    metric = METRICS[name]
    used = float(metric.of(estimate))
    assert metric_of(result, name) == pytest.approx(used, rel=1e-12)
    for factor in (0.5, 2.0):
        read = bounded(tmp_path, metric, sense, used * factor)
        (constraint,) = read.constraints
        assert constraint.metric is metric
        holds = (sense == "<=") == (factor > 1)
        assert (constraint.margin(used) <= 0) == holds
        outcome = Outcome((np.ones((1, 1)),) * 2, -np.ones((1, 1)), np.zeros((1, 1), int),
                          (np.full((1, 1), used),))  # fmt: skip
        found = trial.swept(outcome, 0, read)
        assert (len(found.front) == 1) == holds
        assert (trial.constraints_of(found, read)[constraint.stem] <= 0) == holds
        assert within(result, read) == holds


def test_the_name_of_a_metric_bounds_like_its_stem(tmp_path):
    file = tmp_path / "study.toml"
    file.write_text(STUDY.replace("silicon =", "silicon_mm2 ="))
    assert settings.read(str(file)).bound("silicon") == 4000


def test_one_metric_is_bounded_from_both_sides_by_a_list(tmp_path):
    file = tmp_path / "study.toml"
    file.write_text(STUDY.replace('"<= 4000 mm2"', '[">= 500 mm2", "<= 4000 mm2"]'))
    read = settings.read(str(file))
    assert [c.sense for c in read.constraints] == [">=", "<="]
    assert read.bound("silicon") == 4000
    assert read.limit_names == ("silicon >=", "silicon <=")


@pytest.mark.parametrize(
    ("limit", "said"), [("[]", "is not a limit"), ('["<= 1 m2", "<= 2 m2"]', "limited twice")]
)
def test_a_list_of_limits_is_one_from_below_and_one_from_above(limit, said, tmp_path):
    file = tmp_path / "study.toml"
    file.write_text(STUDY.replace('"<= 4000 mm2"', limit))
    with pytest.raises(SpecError) as refused:
        settings.read(str(file))
    assert said in str(refused.value)
