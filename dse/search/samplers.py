"""Samplers by name: what proposes the next hardware.

Each entry makes a sampler from a seed and a population. A sampler is made anew for every
generation from the study's seed and the trials so far, and keeps its state in the study alone, so
that a resumed run goes on as the uninterrupted one would have. Optuna is imported when one is made:
reading a study needs names alone.
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from dse.specs.schema import SpecError, nearest


def nsga2(seed: int, population: int) -> Any:
    """NSGA-II with uniform crossover and polynomial mutation.

    On the two-goals study it reached more hypervolume than with simulated binary or blended
    crossover, and than with mutation by resampling.
    """
    from optuna.samplers import NSGAIISampler, nsgaii

    return NSGAIISampler(
        population_size=population,
        mutation=nsgaii.PolynomialMutation(),
        seed=seed,
    )


def nsga3(seed: int, population: int) -> Any:
    """NSGA-III with the same operators."""
    from optuna.samplers import NSGAIIISampler, nsgaii

    return NSGAIIISampler(
        population_size=population,
        mutation=nsgaii.PolynomialMutation(),
        seed=seed,
    )


def tpe(seed: int, population: int) -> Any:
    """Tree-structured Parzen estimator; slow to ask from a few hundred trials."""
    import optuna

    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=population)


def random(seed: int, population: int) -> Any:
    """Uniform over the space."""
    import optuna

    return optuna.samplers.RandomSampler(seed=seed)


def qmc(seed: int, population: int) -> Any:
    """Scrambled Sobol points; categories are drawn at random."""
    import optuna

    return optuna.samplers.QMCSampler(
        scramble=True, seed=seed, warn_asynchronous_seeding=False, warn_independent_sampling=False
    )


def gradient(seed: int, population: int) -> Any:
    """NSGA-II proposes, gradients polish: what a study told of is the polished design."""
    return nsga2(seed, population)


SAMPLERS: dict[str, Callable[[int, int], Any]] = {
    "gradient": gradient,
    "nsga2": nsga2,
    "nsga3": nsga3,
    "tpe": tpe,
    "random": random,
    "qmc": qmc,
}
REFINED = ("gradient",)  # whose proposals are polished, after a gradient phase of their own
_ONE_SEQUENCE = ("qmc",)  # continues one sequence, whose seed must not change

GENERATION = "NSGAIISampler:generation"  # where Optuna's NSGA-II lets trials say theirs


def sampler(name: str, seed: int, population: int, done: int) -> Any:
    """The named sampler for the generation after ``done`` trials.

    Raises:
        SpecError: unknown name.
    """
    if name not in SAMPLERS:
        raise SpecError("search.sampler", [f"{name!r} is unknown{nearest(name, SAMPLERS)}"])
    from optuna.exceptions import ExperimentalWarning

    mixed = (seed,) if name in _ONE_SEQUENCE else (seed, done)
    state = int(np.random.SeedSequence(mixed).generate_state(1)[0]) & 0x7FFFFFFF
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return SAMPLERS[name](state, population)
