"""A known style is found again in data simulated from it; what data cannot say is said."""

import dataclasses

import jax
import numpy as np
import pytest

from dse.estimate.step import estimate_step
from dse.evidence import features, fit, points
from dse.evidence.columns import case_of, column, stacked

TRUE = {name: prior.value for name, prior in fit.PRIORS.items()} | {
    "memory": 0.78, "attention": 32e-6, "projection": 6e-6, "sequence": 40e-6, "link": 0.4,
    "exchange": 9e-6,
}  # fmt: skip
HELD = fit.FACTORS


def cases(model, chips=(1, 2, 4, 8), batches=(1, 4, 16, 64, 256)):
    rows = [
        {"hardware": hardware, "model": model, "tp": tp, "batch_or_concurrency": batch,
         "isl": isl, "osl": 500, "tpot_ms": 10.0, "weight_dtype": "fp8"}
        for hardware in ("NVIDIA H100", "NVIDIA A100")
        for tp in chips for batch in batches for isl in (100, 8000)
    ]  # fmt: skip
    return [case_of(points.point_of(row)) for row in rows]


@pytest.fixture(scope="module")
def dense():
    return features.features_of(cases("Llama-3.1-70B"))


@pytest.fixture(scope="module")
def found(dense):
    plan = fit.one_style(len(dense), fit.PRIORS, HELD)
    truth = np.array([np.log(TRUE[name]) for name in plan.names])
    fixed = dict.fromkeys(HELD, 1.0)
    with jax.enable_x64(True):
        exact = np.asarray(fit.predicted_s(dense, plan, truth, fixed))
    noise = np.random.default_rng(3).normal(0, fit.NOISE, len(exact))
    return plan, truth, fit.fit(dense, exact * np.exp(noise), plan, fixed=fixed)


def test_a_simulated_style_is_found_within_its_covariance(found):
    plan, truth, done = found
    identified = [n for n in plan.names if n not in done.unidentified()]
    for name in identified:
        index = plan.names.index(name)
        assert abs(done.values[index] - truth[index]) < 3 * done.spread_of(name), name
    assert {"memory", "sequence"} <= set(identified)
    assert done.constant("memory")[0] == pytest.approx(TRUE["memory"], rel=0.1)


def test_what_a_dense_model_cannot_tell_is_said(found):
    _, _, done = found
    assert {"experts", "quantize_experts", "routing_exponent", "prefill"} <= set(
        done.unidentified()
    )
    assert done.constant("experts")[0] == pytest.approx(fit.PRIORS["experts"].value, rel=1e-6)


def test_no_label_counts_more_than_eight_rows():
    weights = fit.weights_of(["a"] * 32 + ["b"] * 2)
    assert (weights[:32] ** 2).sum() == pytest.approx(8)
    assert (weights[32:] == 1).all()


def test_many_styles_are_products_of_shared_and_own_factors():
    plan = fit.many_styles(["x", "y"], ["f", "f"])
    assert plan.design["memory"][0] @ plan.mean == pytest.approx(np.log(0.85))
    values = plan.mean.copy()
    values[plan.names.index("memory of y")] = np.log(1.1)
    with jax.enable_x64(True):
        constants = fit.constants_at(plan, values, {})
    np.testing.assert_allclose(constants["memory"], [0.85, 0.85 * 1.1])
    np.testing.assert_allclose(constants["sequence"], 2e-5)


def test_decode_workers_start_from_the_framework_they_belong_to():
    plan = fit.many_styles(["x"], ["f_disaggregated"])
    values = plan.mean.copy()
    values[plan.names.index("attention_factor of f")] = np.log(2.0)
    values[plan.names.index("attention_factor of f_disaggregated")] = np.log(0.8)
    with jax.enable_x64(True):
        constants = fit.constants_at(plan, values, {})
    np.testing.assert_allclose(constants["attention_factor"], 1.6)
    own, rest = (plan.spread[plan.names.index(f"step of {name}")]
                 for name in ("f", "f_disaggregated"))  # fmt: skip
    assert rest == pytest.approx(own / 2)


# --- the fit's sum is the model's -----------------------------------------------------------------


@pytest.mark.parametrize("model", ["Llama-3.1-70B", "Qwen3-30B-A3B"])
def test_the_sum_over_features_is_the_models_time(model):
    made = [c for c in cases(model, chips=(1, 4), batches=(2, 128))
            if c.design.deployment.tp == 4]  # fmt: skip
    some = [c for c in made if c.design.hardware.tdp_w > 600]  # one chip: one structure
    with jax.enable_x64(True):
        case = stacked(some, len(some))
        hardware = dataclasses.replace(case.design.hardware, tdp_w=1e9)  # nobody waits
        step = estimate_step(case.design._replace(hardware=hardware), case.scenario, "calibrated")
        style = some[0].design.hardware.style
        host = style.framework
        constants = {
            "memory": style.memory_fraction, "cache": style.cache_fraction,
            "tensor": style.tensor_fraction, "prefill": style.prefill_fraction,
            "link": style.link_fraction, "stage_factor": style.stage_factor,
            "convert": style.convert_flops, "routing_exponent": style.routing_exponent,
            "layer": style.layer_s, "prompt_layer": style.prompt_layer_s or 0.0,
            "step": host.step_s, "sequence": host.sequence_s,
        } | {name: getattr(style, f"{name}_s") for name in features.FIXED}  # fmt: skip
        constants |= {name: getattr(host, name) for name in fit.FACTORS}
        summed = features.times_s(features.features_of(some), constants, style.smoothness)
    # The algorithm of an exchange is chosen at nameplate bandwidth there, at the reached one here.
    np.testing.assert_allclose(summed, column(step.tpot_s, len(some)), rtol=0.05)
