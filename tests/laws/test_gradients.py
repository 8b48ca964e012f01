"""Gradients: equal to finite differences, and finite where something is absent."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dse.estimate.step import Design, estimate_step

pytestmark = pytest.mark.usefixtures("float64")
POINTS = {
    "h100": ("h100_sxm", "llama-3.1-70b", {"batch": 16, "tp": 8}, {}),
    "stacked": ("reticle_n3_stacked", "deepseek-v3",
                {"batch": 64, "tp": 2, "dp": 16, "ep": 8, "pp": 2}, {}),
    "sram": ("sram_macro_stacked_n3", "kimi-k2.5",
             {"batch": 120, "tp": 4, "kvp": 4, "ep": 4, "pp": 60}, {}),
    "smooth": ("reticle_n3_hbm4", "nemotron-h-56b", {"batch": 32, "tp": 4}, {"exponent": 8.0}),
}  # fmt: skip


def goals(design, scenario, how):
    """Both goals as logarithms, power and money, so that one gradient tests four outputs."""
    e = estimate_step(design, scenario, **how)
    return jnp.stack([jnp.log(e.step_s), jnp.log(e.j_per_token), jnp.log(e.chip_power_w),
                      jnp.log(e.cost_usd), e.limits["minimum_voltage"].margin])  # fmt: skip


WEIGHTS = np.array([1.0, 0.7, -0.4, 0.3, 0.1])  # a mixed sum: no term hides another


@pytest.mark.parametrize("name", POINTS)
def test_gradient_is_the_finite_difference_in_every_hardware_number(name, point, draws):
    chip, model, split, how = POINTS[name]
    design, scenario = point(chip, model, **split)
    values, tree = jax.tree.flatten(design.hardware)
    values = np.array(values, float)
    count = len(values)

    def mixed(x):
        hardware = jax.tree.unflatten(tree, x)
        return jnp.dot(WEIGHTS, goals(Design(hardware, design.deployment), scenario, how))

    slopes = np.asarray(jax.grad(mixed)([jnp.asarray(v) for v in values]))
    assert np.isfinite(slopes).all()
    step = np.where(values == 0, 1e-9, values * 1e-6)
    moves = np.zeros((draws, count))  # one row per number, the rest unmoved
    moves[np.arange(count), np.arange(count)] = step
    higher, lower = (np.asarray(jax.vmap(mixed)(list((values + sign * moves).T)))
                     for sign in (1, -1))  # fmt: skip
    differences = (higher - lower)[:count] / (2 * step)
    elastic = np.where(values == 0, 1e-9, values)  # compare per relative change
    moved = np.abs(slopes * elastic) > 1e-7
    # Counts round up and a tie has two slopes: a group of hosts, the stages of a radix.
    names = [jax.tree_util.keystr(path) for path, _ in
             jax.tree_util.tree_flatten_with_path(design.hardware)[0]]  # fmt: skip
    for index in np.flatnonzero(moved):
        if names[index].endswith((".group_chips", ".radix", ".chips")):
            continue
        assert slopes[index] * elastic[index] == pytest.approx(
            differences[index] * elastic[index], rel=2e-4, abs=1e-8
        ), names[index]
    assert moved.sum() > 25


@pytest.mark.parametrize("name", ["h100", "stacked"])
def test_gradient_in_relaxed_batch_and_formats(name, point):
    chip, model, split, how = POINTS[name]
    design, scenario = point(chip, model, **split)

    def moved(x):
        d = design.deployment
        formats = dataclasses.replace(d.formats, kv_bytes=d.formats.kv_bytes * x[1],
                                      attention_bytes=d.formats.attention_bytes * x[2])  # fmt: skip
        d = dataclasses.replace(d, batch=d.batch * x[0], formats=formats)
        return jnp.dot(WEIGHTS, goals(Design(design.hardware, d), scenario, how))

    at = jnp.ones(3)
    slopes = np.asarray(jax.grad(moved)(at))
    differences = [(moved(at + h) - moved(at - h)) / 2e-5 for h in 1e-5 * np.eye(3)]
    np.testing.assert_allclose(slopes, differences, rtol=1e-4, atol=1e-7)


def _without_links(design):
    return Design(dataclasses.replace(design.hardware, link={}), design.deployment)


def _without_sram(design):
    """The SRAM tier is there and empty; all weights lie in DRAM."""
    memory = dict(design.hardware.memory)
    memory["sram"] = dataclasses.replace(memory["sram"], capacity_bytes=0.0)
    d = dataclasses.replace(design.deployment, weights_in={"sram": 0.0, "dram": 1.0})
    return Design(dataclasses.replace(design.hardware, memory=memory), d)


def _unused_sram(design):
    d = dataclasses.replace(design.deployment, weights_in={"sram": 0.0, "dram": 1.0})
    return Design(design.hardware, d)


CORNERS = {
    "one chip, batch 1": ("h100_sxm", "llama-3.1-8b", {"batch": 1, "tp": 1}, None),
    "no links": ("reticle_n3_stacked", "llama-3.1-8b", {"batch": 1, "tp": 1}, _without_links),
    "unused SRAM": ("sram_macro_stacked_n3", "llama-3.1-8b", {"batch": 1, "tp": 1}, _unused_sram),
    "empty SRAM": ("sram_macro_stacked_n3", "llama-3.1-8b", {"batch": 1, "tp": 1}, _without_sram),
    "experts, one chip": ("reticle_n3_hbm4", "gpt-oss-20b", {"batch": 1, "tp": 1}, None),
    "more ranks than rows": ("h100_sxm", "deepseek-v3", {"batch": 16, "dp": 16, "ep": 16, "tp": 1},
                             None),
}  # fmt: skip


@pytest.mark.parametrize("corner", CORNERS)
@pytest.mark.parametrize("exponent", [None, 8.0])
def test_no_gradient_is_lost_at_a_corner(corner, exponent, point):
    chip, model, split, changed = CORNERS[corner]
    design, scenario = point(chip, model, **split)
    design = changed(design) if changed else design
    dynamic, static = eqx.partition(design, eqx.is_inexact_array_like)
    dynamic = jax.tree.map(jnp.asarray, dynamic)

    def mixed(numbers):
        both = eqx.combine(numbers, static)
        return jnp.dot(WEIGHTS, goals(both, scenario, {"exponent": exponent}))

    value, slopes = jax.value_and_grad(mixed)(dynamic)
    assert np.isfinite(float(value))
    for path, slope in jax.tree_util.tree_flatten_with_path(slopes)[0]:
        assert np.isfinite(float(slope)), jax.tree_util.keystr(path)
