"""What a style adds to an operator: fixed times, narrow formats, routing, power with time."""

import dataclasses

import numpy as np
import pytest

from dse.estimate import efficiency, pipeline, step
from dse.resources import logic
from dse.specs.technology import Framework

pytestmark = pytest.mark.usefixtures("float64")


@pytest.fixture
def design(point):
    return lambda model="qwen3-30b-a3b", **choices: point("h100_sxm", model, **choices)


def kernels(design, **changes):
    return efficiency.kernels_of(dataclasses.replace(design.hardware.style, **changes))


def numbers_of(op, design):
    return efficiency.numbers_of(op, design.deployment)


def ops_of(design, scenario):
    _, _, _, ops = step.op_table(design, scenario, "sol")
    return {op.name: op for op in ops}


def test_fixed_times_by_kind_of_operator(design):
    made, scenario = design(batch=8, tp=2)
    host = Framework(kernel_factor=0.5, step_s=0.0, sequence_s=0.0)
    k = kernels(made, framework=host, projection_s=2e-6, attention_s=10e-6, experts_s=40e-6,
                exchange_s=6e-6, quantize_s=0.0, quantize_experts_s=0.0)  # fmt: skip
    ops, d = ops_of(made, scenario), made.deployment
    wanted = {"qkv": 1e-6, "attention": 5e-6, "experts": 20e-6, "expert_reduce": 3e-6,
              "shared_expert": 0.0, "dispatch": 0.0}  # fmt: skip
    for name, seconds in wanted.items():
        assert float(
            efficiency.fixed_s(ops[name], efficiency.numbers_of(ops[name], d), k)
        ) == pytest.approx(seconds), name


def test_a_framework_scales_the_kinds_it_has_libraries_for_once_more(design):
    """Half of all fixed times, of experts 3 times that, of quantizing for them 5 times these."""
    made, scenario = design(batch=8, tp=2, weights="fp8")
    host = Framework(kernel_factor=0.5, step_s=0.0, sequence_s=0.0, expert_factor=3.0,
                     attention_factor=2.0, exchange_factor=4.0, quantize_factor=5.0,
                     prompt_factor=7.0)  # fmt: skip
    k = kernels(made, framework=host, projection_s=8e-6, attention_s=10e-6, experts_s=40e-6,
                exchange_s=6e-6, quantize_s=0.0, quantize_experts_s=2e-6,
                prompt_layer_s=1e-4)  # fmt: skip
    ops = ops_of(made, scenario)
    wanted = {"qkv": 4e-6, "attention": 10e-6, "experts": 60e-6 + 15e-6, "expert_reduce": 12e-6}
    found = {name: float(efficiency.fixed_s(ops[name], numbers_of(ops[name], made), k))
             for name in wanted}  # fmt: skip
    assert found == pytest.approx(wanted)
    assert float(k.prompt_layer_s) == pytest.approx(7e-4)  # launched outside graphs


def test_a_prompt_pays_the_launches_of_one_pass(design):
    """512 tokens of output: a step of 64 users takes in an eighth of a prompt."""
    made, scenario = design("llama-3.1-8b", batch=64, tp=1, prefill="interleaved")
    context = scenario.context._replace(output_tokens=512.0)
    times = []
    for seconds in (0.0, 1e-4):
        style = dataclasses.replace(made.hardware.style, framework=None, prompt_layer_s=seconds)
        hardware = dataclasses.replace(made.hardware, style=style, tdp_w=1e9)  # nobody waits
        found = step.estimate_step(made._replace(hardware=hardware),
                                   scenario._replace(context=context), "calibrated")  # fmt: skip
        times.append(float(found.step_s))
    assert times[1] - times[0] == pytest.approx(64 / 512 * 32 * 1e-4)


def test_a_chip_that_reads_prompts_is_busy(design):
    """Beyond its arithmetic it draws what being busy draws, as long as the step is stretched."""
    made, scenario = design("llama-3.1-8b", batch=64, tp=1, prefill="interleaved")
    _, resources, reach, _ = step.op_table(made, scenario, "calibrated")
    assert reach.kernels is not None
    kernels = reach.kernels
    quiet, busy = (
        pipeline.prefill(
            made.hardware, scenario, resources,
            reach._replace(kernels=kernels._replace(busy_power_w_per_mm2=w_per_mm2)),
            made.deployment,
        )
        for w_per_mm2 in (0.0, 0.1)
    )  # fmt: skip
    mm2 = made.hardware.die_mm2 * made.hardware.dies
    watts = 0.1 * mm2 * float(logic.activity_factor(made.hardware, resources.clock_hz))
    assert float(busy.step_s) > 0
    extra_j = float(busy.step_core_j - quiet.step_core_j)
    assert extra_j == pytest.approx(watts * float(busy.step_s))


def test_quantizing_is_paid_in_eight_bits_and_below(design):
    for weights, times in (("bf16", 0.0), ("fp8", 1.0)):
        made, scenario = design("llama-3.1-8b", batch=8, tp=1, weights=weights)
        k = kernels(made, framework=None, projection_s=0.0, quantize_s=3e-6)
        op = ops_of(made, scenario)["ffn_up"]
        assert float(efficiency.fixed_s(op, numbers_of(op, made), k)) == pytest.approx(3e-6 * times)


def test_one_token_touches_its_experts_and_many_touch_fewer_than_uniform(design):
    for batch in (1, 64, 4096):
        made, scenario = design(batch=batch, tp=1)
        k = kernels(made, routing_exponent=0.9)
        op = ops_of(made, scenario)["experts"]
        share = float(efficiency.touched_share(op, numbers_of(op, made), made.deployment, k))
        uniform = 1 - (1 - 8 / 128) ** batch
        assert share == pytest.approx((1 - (1 - 8 / 128) ** (batch**0.9)) / uniform)
        assert (share == pytest.approx(1.0)) == (batch in (1, 4096))


def test_narrow_weights_are_widened_where_the_chip_lacks_their_arithmetic(design, point):
    made, scenario = design("llama-3.1-8b", batch=1, tp=1, weights="int4")
    op = ops_of(made, scenario)["ffn_up"]
    k = kernels(made, convert_flops=5.0)
    assert float(efficiency.convert_flops(op, numbers_of(op, made), k)) == 5 * float(op.read_values)
    made, scenario = design("llama-3.1-8b", batch=1, tp=1, weights="fp8")
    assert float(efficiency.convert_flops(op, numbers_of(op, made), k)) == 0


def test_light_speed_knows_none_of_it_and_a_style_only_slows(design):
    for choices in ({"batch": 1, "tp": 1}, {"batch": 64, "tp": 4}):
        made, scenario = design(**choices)
        light = step.estimate_step(made, scenario, "sol")
        real = step.estimate_step(made, scenario, "calibrated")
        assert float(real.step_s) > float(light.step_s)
        np.testing.assert_allclose(sum(real.time_breakdown_s.values()), real.step_s, rtol=1e-9)
        path = sum(float(seconds) for _, seconds in real.critical_path.values())
        assert path == pytest.approx(float(real.step_s), rel=1e-9)
        assert float(real.time_breakdown_s["weights"]) > 0  # not booked as arithmetic


def test_running_at_all_draws_power_with_time(design):
    made, scenario = design(batch=8, tp=1)
    hardware = made.hardware
    quiet = dataclasses.replace(hardware.style, **{
        f"{name}_power_w_per_mm2": 0.0 for name in ("busy", "kernel", "exchange", "sequence")
    })  # fmt: skip
    found = [
        step.estimate_step(
            made._replace(hardware=dataclasses.replace(hardware, style=style)), scenario,
            "calibrated", "accelerator",
        )
        for style in (quiet, hardware.style)
    ]  # fmt: skip
    assert float(found[1].chip_power_w) > float(found[0].chip_power_w) + 50
    for estimate in found:
        np.testing.assert_allclose(
            sum(estimate.energy_breakdown_j.values()), estimate.j_per_token, rtol=1e-9
        )
