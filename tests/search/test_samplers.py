import optuna
import pytest

from dse.search import samplers
from dse.search.samplers import SAMPLERS, sampler
from dse.specs.errors import SpecError


def test_generations_are_where_optuna_looks_for_them():
    assert optuna.samplers.NSGAIISampler.__name__ + ":generation" == samplers.GENERATION


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
