"""A traced program run by numpy: the numbers of JAX, on one point and on many."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dse.estimate.evaluate import interpreted
from dse.estimate.step import Design, estimate_step
from dse.interpreter import Program

POINTS = {
    "dense": ("h100_sxm", "llama-3.1-70b", {"batch": 16, "tp": 8}),
    "experts": ("sram_macro_stacked_n3", "kimi-k2.5", {"batch": 64, "tp": 4, "ep": 4}),
}


@pytest.mark.parametrize("name", POINTS)
@pytest.mark.parametrize("fidelity", ["sol", "calibrated"])
def test_numpy_gives_the_numbers_of_jax(name, fidelity, point, float64):
    chip, model, split = POINTS[name]
    design, scenario = point(chip, model, **split)
    ours = jax.tree.leaves(interpreted(design, scenario, fidelity))
    theirs = jax.tree.leaves(estimate_step(design, scenario, fidelity))
    np.testing.assert_allclose(np.array(ours, float), np.array(theirs, float), rtol=1e-13)


def test_columns_are_the_points_one_by_one(point):
    design, scenario = point("reticle_n3_hbm4", "llama-3.1-70b", batch=16, tp=4)
    rails = np.linspace(0.5, 0.9, 5)
    leaves, tree = jax.tree.flatten(design.hardware)
    place = leaves.index(0.65)
    assert leaves.count(0.65) == 1

    def at(rail):
        changed = [*leaves[:place], rail, *leaves[place + 1 :]]
        return interpreted(Design(jax.tree.unflatten(tree, changed), design.deployment), scenario,
                           "sol").j_per_token  # fmt: skip

    np.testing.assert_allclose(at(rails), [at(rail) for rail in rails], rtol=1e-14)


def wave(x, y):
    """Primitives with rules of ours, inside a call, and two that JAX has to run."""
    both = jnp.stack([x, y, x * y])
    return {"sum": jnp.sum(jnp.sin(both)), "where": jnp.where(x > y, x**3, jax.nn.softplus(y)),
            "cumulative": jnp.cumsum(both)[-1], "constant": jnp.exp(2.0) + 0 * x}  # fmt: skip


def test_what_numpy_has_no_rule_for_jax_runs(float64):
    program = Program(wave, 1.0, 1.0)
    x, y = np.array([0.3, 2.0, -1.0]), np.array([1.0, 1.5, 0.5])
    expected = jax.vmap(wave)(x, y)
    for found in (program(x, y), jax.tree.map(lambda *v: np.stack(v), *map(program, x, y))):
        for key, value in expected.items():
            np.testing.assert_allclose(found[key], value, rtol=1e-14, err_msg=key)


@pytest.fixture
def cache(tmp_path):
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    yield tmp_path / "programs"
    jax.config.update("jax_compilation_cache_dir", before)


def untraceable(x):
    raise AssertionError("traced again")


def test_a_program_is_kept_and_not_traced_again(cache):
    first = Program(lambda x: {"half": x / 2, "more": jnp.exp(x)}, 1.0, name="halves")
    assert len(list(cache.iterdir())) == 1
    again = Program(untraceable, 1.0, name="halves")
    assert again(3.0) == first(3.0) == {"half": 1.5, "more": np.exp(3.0)}
    with pytest.raises(AssertionError, match="traced again"):
        Program(untraceable, 1.0, name="other name")
    with pytest.raises(AssertionError, match="traced again"):
        Program(untraceable, (1.0, 1.0), name="halves")


def test_a_damaged_entry_only_costs_time(cache):
    Program(lambda x: x + 1, 1.0, name="more")
    (entry,) = cache.iterdir()
    entry.write_bytes(entry.read_bytes()[:20])
    assert Program(lambda x: x + 1, 1.0, name="more")(1.0) == 2.0
    assert Program(untraceable, 1.0, name="more")(1.0) == 2.0


def test_without_a_cache_nothing_is_kept(tmp_path, monkeypatch):
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", None)
    try:
        assert Program(lambda x: x + 1, 1.0, name="free")(1.0) == 2.0
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
