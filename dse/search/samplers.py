"""Samplers by name: what proposes the next hardware.

Each entry makes a sampler from a seed and a population. A sampler is made anew for every
generation from the study's seed and the trials so far, and keeps its state in the study alone, so
that a resumed run goes on as the uninterrupted one would have.
"""

import warnings
from collections.abc import Callable

import numpy as np
import optuna

from dse.specs.schema import SpecError, nearest


def nsga2(seed: int, population: int) -> optuna.samplers.BaseSampler:
    """NSGA-II with uniform crossover and polynomial mutation.

    On the two-goals study it reached more hypervolume than with simulated binary or blended
    crossover, and than with mutation by resampling.
    """
    from optuna.samplers import nsgaii

    return optuna.samplers.NSGAIISampler(
        population_size=population,
        mutation=nsgaii.PolynomialMutation(),
        seed=seed,
    )


def nsga3(seed: int, population: int) -> optuna.samplers.BaseSampler:
    """NSGA-III with the same operators."""
    from optuna.samplers import nsgaii

    return optuna.samplers.NSGAIIISampler(
        population_size=population,
        mutation=nsgaii.PolynomialMutation(),
        seed=seed,
    )


def tpe(seed: int, population: int) -> optuna.samplers.BaseSampler:
    """Tree-structured Parzen estimator; slow to ask from a few hundred trials."""
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=population)


def random(seed: int, population: int) -> optuna.samplers.BaseSampler:
    """Uniform over the space."""
    return optuna.samplers.RandomSampler(seed=seed)


def qmc(seed: int, population: int) -> optuna.samplers.BaseSampler:
    """Scrambled Sobol points; categories are drawn at random."""
    return optuna.samplers.QMCSampler(
        scramble=True, seed=seed, warn_asynchronous_seeding=False, warn_independent_sampling=False
    )


def gradient(seed: int, population: int) -> optuna.samplers.BaseSampler:
    """NSGA-II proposes, gradients polish: what a study told of is the polished design."""
    return nsga2(seed, population)


SAMPLERS: dict[str, Callable[[int, int], optuna.samplers.BaseSampler]] = {
    "gradient": gradient,
    "nsga2": nsga2,
    "nsga3": nsga3,
    "tpe": tpe,
    "random": random,
    "qmc": qmc,
}
REFINED = ("gradient",)  # whose proposals are polished, after a gradient phase of their own
_ONE_SEQUENCE = ("qmc",)  # continues one sequence, whose seed must not change


GENERATION = optuna.samplers.NSGAIISampler.__name__ + ":generation"  # where trials say theirs


def sampler(name: str, seed: int, population: int, done: int) -> optuna.samplers.BaseSampler:
    """The named sampler for the generation after ``done`` trials.

    Raises:
        SpecError: unknown name.
    """
    if name not in SAMPLERS:
        raise SpecError("search.sampler", [f"{name!r} is unknown{nearest(name, SAMPLERS)}"])
    mixed = (seed,) if name in _ONE_SEQUENCE else (seed, done)
    state = int(np.random.SeedSequence(mixed).generate_state(1)[0]) & 0x7FFFFFFF
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return SAMPLERS[name](state, population)
