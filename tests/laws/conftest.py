"""Random designs around chips of the library, many at once.

Every number of a chip is multiplied by its own random factor; batch and split are drawn from a
small set. All designs of a pair share one structure, so one `jax.vmap` evaluates them.
"""

import dataclasses
import functools
from typing import NamedTuple

import jax
import numpy as np
import pytest

from dse.estimate.step import Design, Scenario, estimate_step

DRAWS = 192  # one size everywhere: JAX builds each small kernel once per shape
# chip, model, splits: shipped and design chips; GQA, MLA with experts, recurrent layers.
PAIRS = {
    "h100-llama": ("h100_sxm", "llama-3.1-70b", (
        {"batch": 1, "tp": 8}, {"batch": 64, "tp": 8}, {"batch": 64, "tp": 8, "pp": 2},
        {"batch": 16, "tp": 4, "dp": 4, "ep": 4}, {"batch": 8, "tp": 4, "kvp": 4})),
    "stacked-deepseek": ("reticle_n3_stacked", "deepseek-v3", (
        {"batch": 16, "tp": 16}, {"batch": 64, "tp": 1, "dp": 32, "ep": 32},
        {"batch": 128, "tp": 2, "dp": 16, "ep": 8, "pp": 4},
        {"batch": 64, "tp": 4, "dp": 8, "ep": 32, "drafts": 2})),
    "sram-kimi": ("sram_macro_stacked_n3", "kimi-k2.5", (
        {"batch": 60, "tp": 16, "pp": 60}, {"batch": 120, "tp": 4, "kvp": 4, "ep": 4, "pp": 60},
        {"batch": 30, "tp": 8, "ep": 8, "pp": 30, "stripe": 0.5})),
    "hbm4-nemotron": ("reticle_n3_hbm4", "nemotron-h-56b", (
        {"batch": 1, "tp": 1}, {"batch": 32, "tp": 8}, {"batch": 32, "tp": 2, "pp": 4})),
}  # fmt: skip


class Batch(NamedTuple):
    """Stacked designs, their scenario, and what `estimate_step` makes of all of them."""

    design: Design
    scenario: Scenario
    estimate: object

    def again(self, design=None, **how):
        """The same designs (or these) under other settings."""
        f = functools.partial(estimate_step, **how)
        return jax.vmap(f, in_axes=(0, None))(design or self.design, self.scenario)


def factors(path: str, rng) -> np.ndarray:
    """Half to double; gently where a number sits in an exponent."""
    steep = path.endswith(("_v", "_k", "exponent", "alpha")) or "voltage" in path
    return np.exp(rng.uniform(-1, 1, DRAWS) * np.log(1.08 if steep else 2.0))


def _drawn(path, value, rng) -> np.ndarray:
    name = str(path[-1]).strip(".")
    if any(str(step) == ".style" for step in path):  # not used at speed of light
        return np.full(DRAWS, float(value))
    drawn = float(value) * factors(name, rng)
    if name.endswith("_fraction") or name == "in_network_reduction":
        drawn = np.minimum(drawn, 1.0)
    return np.maximum(drawn, {"radix": 2.0, "pue": 1.0}.get(name, 0.0))


@pytest.fixture(scope="session")
def drawn(point):
    """``drawn("h100-llama")``: a `Batch` of random designs of a pair."""

    @functools.cache
    def of(pair: str) -> Batch:
        chip, model, splits = PAIRS[pair]
        rng = np.random.default_rng(len(pair))
        found = [point(chip, model, **split) for split in splits]
        base, scenario = found[0]
        hardware = jax.tree_util.tree_map_with_path(
            lambda path, value: _drawn(path, value, rng), base.hardware
        )
        which = rng.integers(len(found), size=DRAWS)
        deployments = [design.deployment for design, _ in found]
        deployment = jax.tree.map(lambda *v: np.asarray(v, float)[which], *deployments)
        design = Design(hardware, deployment)
        estimate = jax.vmap(estimate_step, in_axes=(0, None))(design, scenario)
        return Batch(design, scenario, estimate)

    return of


@pytest.fixture(scope="session")
def unthrottled():
    """The same hardware with a board limit nobody reaches."""

    def of(design: Design) -> Design:
        hardware = dataclasses.replace(design.hardware, tdp_w=design.hardware.tdp_w * 1e6)
        return Design(hardware, design.deployment)

    return of


@pytest.fixture(scope="session")
def one():
    """``one(batched, 3)``: the fourth of a batch of designs."""

    def of(tree, index):
        return jax.tree.map(lambda leaf: leaf[index], tree)

    return of


@pytest.fixture(scope="session")
def draws():
    """How many designs go through one `vmap`."""
    return DRAWS
