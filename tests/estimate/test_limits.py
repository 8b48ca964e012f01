"""Limits as margins, and what the estimate says when they are broken."""

import dataclasses

import pytest

from dse.estimate.limits import Limit
from dse.estimate.output import feasible, to_dict, violations
from dse.estimate.step import Design, estimate_step

pytestmark = pytest.mark.usefixtures("float64")


@pytest.mark.parametrize(
    ("used", "allowed", "margin"), [(3.0, 4.0, -0.25), (4.0, 4.0, 0.0), (6.0, 4.0, 0.5)]
)
def test_margin(used, allowed, margin):
    assert float(Limit(used, allowed, "byte", "").margin) == margin


def test_nothing_allowed_is_no_licence():
    """A tier of no layers holds nothing: using it must not look feasible to a search."""
    assert float(Limit(1.0, 0.0, "byte", "").margin) > 1
    assert float(Limit(0.0, 0.0, "byte", "").margin) <= 0


def test_weights_beyond_an_empty_tier_break_its_capacity(point, chip):
    design, scenario = point("reticle_n3_stacked", "llama-3.1-8b", batch=1, tp=1)
    memory = {"dram": dataclasses.replace(design.hardware.memory["dram"], layers=0.0)}
    hardware = dataclasses.replace(design.hardware, memory=memory)
    e = estimate_step(Design(hardware, design.deployment), scenario)
    assert float(e.limits["capacity.dram"].margin) > 1
    assert not feasible(e)
    assert "capacity.dram" in [v["name"] for v in violations(e)]


def test_capacity_counts_all_users_at_the_end_of_generation(at):
    """Llama-3.1-70B fp8 on 8 H100: 70.55e9 / 8 of weights; 64 users to 8704 tokens, 5 % reserve.

    The fullest chip also holds its own copy of the norms.
    """
    e = at("h100_sxm", "llama-3.1-70b", batch=64, tp=8)
    used, held = e.capacity["hbm"]
    norms = 161 * 8192
    weights = (70_553_706_496 - norms) / 8 + norms
    cache = 64 * 8704 * 80 * 2 * 128 * 1.05
    assert float(used) == pytest.approx(weights + cache, rel=1e-6)
    assert float(held) == 80e9


def test_a_pipeline_keeps_the_cache_of_every_user_in_flight(at):
    """Four stages of two chips hold as much as one stage of eight, for the same users."""
    one = at("h100_sxm", "llama-3.1-70b", batch=64, tp=8).capacity["hbm"][0]
    four = at("h100_sxm", "llama-3.1-70b", batch=64, tp=2, pp=4).capacity["hbm"][0]
    assert float(four) == pytest.approx(float(one), rel=0.01)


def test_stages_divide_capacity_and_not_latency(at):
    """With as many micro-batches as stages a user waits through all of them."""
    one = at("h100_sxm", "llama-3.1-70b", batch=1, tp=8)
    four = at("h100_sxm", "llama-3.1-70b", batch=4, tp=8, pp=4)
    # The same reads in sequence, and four hand-overs of 3.4 us or a network hop each.
    extra = float(four.step_s - one.step_s)
    assert 0 < extra < 40e-6
    assert float(four.load) == pytest.approx(1.0)
    assert float(four.system_tokens_per_s) == pytest.approx(4 * float(four.user_tokens_per_s))


def test_json_has_no_gaps(at):
    found = to_dict(at("sram_macro_stacked_n3", "llama-3.1-8b", batch=1, tp=8))
    assert all(value is not None for value in found["time_breakdown_s"].values())
    assert sum(found["energy_breakdown_j"].values()) == pytest.approx(found["j_per_token"])
    assert found["user_tokens_per_s"] * found["tpot_s"] == pytest.approx(1)
