import optuna
import pytest

from dse.search import settings
from dse.search.samplers import SAMPLERS, sampler
from dse.specs.errors import SpecError


def test_every_name_of_a_study_is_a_sampler():
    assert set(SAMPLERS) == set(settings.SAMPLER_NAMES)


def test_unknown_sampler_names_the_nearest():
    with pytest.raises(SpecError, match="nsga"):
        sampler("nsga22", 0, 10, 0)


@pytest.mark.parametrize("name", [n for n in SAMPLERS if n != "qmc"])
def test_each_generation_draws_anew_and_again_the_same(name):
    def drawn(seed, done):
        study = optuna.create_study(
            directions=["maximize"] * 2, sampler=sampler(name, seed, 8, done)
        )
        wanted = {"x": optuna.distributions.FloatDistribution(0, 1)}
        return [study.ask(wanted).params["x"] for _ in range(4)]

    assert drawn(1, 0) == drawn(1, 0)
    assert drawn(1, 0) != drawn(1, 8)
    assert drawn(1, 0) != drawn(2, 0)
