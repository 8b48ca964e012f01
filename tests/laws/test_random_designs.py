"""What must hold for any chip: floors, ceilings, sums, monotony, homogeneity."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dse.estimate import power, step
from dse.resources.provision import provision

pytestmark = pytest.mark.usefixtures("float64")
PAIRS = ("h100-llama", "stacked-deepseek", "sram-kimi", "hbm4-nemotron")
EACH = pytest.mark.parametrize("pair", PAIRS)


@EACH
def test_everything_is_finite_and_breakdowns_sum(pair, drawn):
    e = drawn(pair).estimate
    for leaf in jax.tree.leaves(e):
        assert np.isfinite(np.asarray(leaf)).all()
    np.testing.assert_allclose(sum(e.time_breakdown_s.values()), e.step_s, rtol=1e-9)
    np.testing.assert_allclose(sum(e.energy_breakdown_j.values()), e.j_per_token, rtol=1e-9)
    np.testing.assert_allclose(e.power_w, e.j_per_token * e.system_tokens_per_s, rtol=1e-9)
    np.testing.assert_allclose(e.j_per_token_by_scope["system"], e.j_per_token, rtol=1e-9)
    for part in (e.time_breakdown_s, e.energy_breakdown_j, e.bytes_per_step, e.bom_usd):
        for name, value in part.items():
            assert (np.asarray(value) >= -1e-12 * np.asarray(e.step_s)).all(), name


@EACH
def test_the_critical_path_adds_up_to_the_step_before_waiting(pair, drawn, unthrottled):
    batch = drawn(pair)
    e = batch.again(unthrottled(batch.design))
    path = sum(seconds for _, seconds in e.critical_path.values())
    waited = e.step_s - path  # users queue, or stages are uneven
    assert (np.asarray(waited) >= -1e-9 * np.asarray(e.step_s)).all()
    alone = np.asarray(batch.design.deployment.pp) == 1
    np.testing.assert_allclose(np.asarray(waited)[alone], 0, atol=1e-15)


@EACH
def test_scopes_contain_one_another(pair, drawn):
    scopes = drawn(pair).estimate.j_per_token_by_scope
    chain = [np.asarray(scopes[s]) for s in ("movement", "accelerator", "system", "facility")]
    for inner, outer in itertools.pairwise(chain):
        assert (inner <= outer).all()


def plain(design):
    """Seconds and joules per unit of every design (words do not pass through `vmap`)."""

    def rates(d):
        found = provision(d.hardware, d.deployment.chips)
        return found.seconds, found.core_j, found.device_j

    return jax.vmap(rates)(design)


@EACH
def test_never_faster_than_the_bytes_or_the_flops(pair, drawn):
    """Everything a step must move over all bandwidth there is, and likewise for arithmetic."""
    batch = drawn(pair)
    seconds, _, _ = plain(batch.design)
    e, chips = batch.estimate, batch.design.deployment.chips
    tiers = batch.design.hardware.memory
    bandwidth = sum(1 / seconds[name] for name in tiers)
    moved = e.bytes_per_step["weights"] + e.bytes_per_step["kv_cache"]
    assert (np.asarray(e.step_s) >= moved / (chips * bandwidth) * (1 - 1e-9)).all()
    arrays = [1 / s for name, s in seconds.items() if name.startswith("tensor_")]
    rate = np.max(arrays, axis=0) + 1 / seconds["vector"]
    assert (np.asarray(e.step_s) >= e.flops_per_step / (chips * rate) * (1 - 1e-9)).all()
    links = [n for n in ("scale_up", "scale_out") if n in seconds]
    if links:
        rate = sum(1 / seconds[n] for n in links)
        sent = e.bytes_per_step["links"]
        assert (np.asarray(e.step_s) >= sent / (chips * rate) * (1 - 1e-9)).all()


@EACH
def test_no_chip_draws_more_than_all_its_parts_at_once(pair, drawn):
    """Every lane at its rate, clock ungated, leakage at the temperature found."""
    batch = drawn(pair)
    e = batch.estimate

    def ceiling(design, junction_k, activation_bytes_per_s):
        hardware = design.hardware
        table = provision(hardware, design.deployment.chips)
        arrays = [table.core_j[n] / table.seconds[n] for n in table.core_j if "tensor_" in n]
        core = jnp.max(jnp.stack(arrays))
        others = [n for n in table.core_j if "tensor_" not in n and n != "activation"]
        core = core + sum(table.core_j[n] / table.seconds[n] for n in others)
        core = core + activation_bytes_per_s * table.core_j["activation"]
        device = sum(table.device_j[n] / table.seconds[n] for n in table.device_j)
        demand = power.Demand(core, device, 1.0, 1.0)
        return power.steady(demand, hardware, table, junction_k, 1.0).board_w

    rate = e.bytes_per_step["activations"] / e.step_s / batch.design.deployment.chips
    highest = jax.vmap(ceiling)(batch.design, e.junction_k, rate)
    assert (np.asarray(e.chip_power_w) <= np.asarray(highest) * (1 + 1e-9)).all()


def is_settled(hardware, e):
    """Whether heat and temperature agree; not where leakage feeds itself faster than heat leaves.

    Some random chips (twice the leakage, twice the thermal resistance) run away: no steady state.
    """
    heat = np.asarray(e.die_power_density_w_per_mm2 * hardware.cooling.resistance_k_mm2_per_w)
    return np.abs(hardware.cooling.coolant_k + heat - np.asarray(e.junction_k)) < 1.0


@EACH
def test_a_chip_waits_rather_than_pass_its_board_limit(pair, drawn):
    """Unless what it draws doing nothing is past the limit already: then waiting is no help."""
    batch = drawn(pair)
    hardware, e = batch.design.hardware, batch.estimate
    idle = power.Demand(0.0, 0.0, 0.0, 1.0)

    def idle_w(design, junction_k):
        table = provision(design.hardware, design.deployment.chips)
        return power.steady(idle, design.hardware, table, junction_k, 1.0).board_w

    static = np.asarray(jax.vmap(idle_w)(batch.design, e.junction_k) / hardware.tdp_w)
    settled = is_settled(hardware, e)
    assert settled.mean() > 0.8
    above = np.asarray(e.chip_power_w / hardware.tdp_w)
    waits = np.asarray(e.throttled_fraction) > 0.01
    can_wait = settled & (static < 0.95)
    assert (above[can_wait] <= 1.005).all()
    assert (above[waits & can_wait] >= 0.995).all()


# --- the resource table -------------------------------------------------------------------------


@pytest.fixture
def scaled(monkeypatch):
    """``scaled(batch, design, scale)``: estimates with the seconds of the table multiplied."""

    def run(batch, design, scale):
        def one(d, factors):
            def slower(hardware, *rest, **named):
                table = provision(hardware, *rest, **named)
                return table._replace(seconds={k: v * factors[k] for k, v in table.seconds.items()})

            monkeypatch.setattr(step, "provision", slower)
            return step.estimate_step(d, batch.scenario)

        return jax.vmap(one)(design, scale)

    return run


@EACH
def test_a_faster_lane_is_never_slower(pair, drawn, unthrottled, scaled):
    batch = drawn(pair)
    design = unthrottled(batch.design)
    rng = np.random.default_rng(5)
    draws = len(np.asarray(batch.estimate.step_s))
    keys = plain(design)[0]
    sped_up = {
        k: np.where(rng.random(draws) < 0.3, rng.uniform(0.3, 1.0, draws), 1.0) for k in keys
    }
    before, after = batch.again(design), scaled(batch, design, sped_up)
    assert (np.asarray(after.step_s) <= np.asarray(before.step_s) * (1 + 1e-12)).all()
    assert (np.asarray(after.step_s) < np.asarray(before.step_s) * (1 - 1e-6)).any()


@EACH
def test_elasticities_over_all_rates_sum_to_minus_one(pair, drawn, unthrottled, scaled):
    """Euler: at speed of light the step is homogeneous in the seconds of the resource table."""
    batch = drawn(pair)
    design = unthrottled(batch.design)
    draws = len(np.asarray(batch.estimate.step_s))
    ones = {k: np.ones(draws) for k in plain(design)[0]}
    step_s, change = jax.jvp(lambda s: scaled(batch, design, s).step_s, (ones,), (ones,))
    np.testing.assert_allclose(change / step_s, 1.0, rtol=1e-9)
    doubled = scaled(batch, design, {k: 2 * v for k, v in ones.items()})
    np.testing.assert_allclose(doubled.step_s, 2 * step_s, rtol=1e-12)


# --- smooth and hard maxima -----------------------------------------------------------------------


@EACH
@pytest.mark.parametrize("exponent", [4.0, 16.0])
def test_smooth_step_lies_between_the_hard_one_and_its_bound(pair, exponent, drawn, unthrottled):
    """Two arithmetic lanes, then them and the tiers: at most (2 (1 + tiers))^(1/p) above."""
    batch = drawn(pair)
    design = unthrottled(batch.design)
    hard, soft = batch.again(design), batch.again(design, exponent=exponent)
    lanes = 2 * (1 + len(design.hardware.memory))
    ratio = np.asarray(soft.step_s / hard.step_s)
    assert (ratio >= 1 - 1e-12).all()
    assert (ratio <= lanes ** (1 / exponent)).all()
    assert ratio.max() > 1


@EACH
def test_overlap_only_helps(pair, drawn, unthrottled):
    batch = drawn(pair)
    hardware, deployment = unthrottled(batch.design)
    found = []
    for overlap in (0.0, 0.5, 1.0):
        d = dataclasses.replace(deployment, overlap=np.full_like(deployment.overlap, overlap))
        found.append(np.asarray(batch.again(step.Design(hardware, d)).step_s))
    assert (found[2] <= found[1] * (1 + 1e-12)).all()
    assert (found[1] <= found[0] * (1 + 1e-12)).all()


@EACH
def test_mapping_equals_looping(pair, drawn, one):
    batch = drawn(pair)
    for index in (0, 17, 63):
        alone = step.estimate_step(one(batch.design, index), batch.scenario)
        together = one(batch.estimate, index)
        for a, b in zip(jax.tree.leaves(alone), jax.tree.leaves(together), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12)


@EACH
def test_a_bigger_batch_never_makes_a_step_shorter(pair, drawn, unthrottled):
    batch = drawn(pair)
    hardware, deployment = unthrottled(batch.design)
    d = dataclasses.replace(deployment, batch=2 * deployment.batch)
    once, twice = (batch.again(step.Design(hardware, x)) for x in (deployment, d))
    assert (np.asarray(twice.step_s) >= np.asarray(once.step_s) * (1 - 1e-9)).all()
    assert (np.asarray(twice.step_s) <= np.asarray(once.step_s) * 2 * (1 + 1e-9)).all()
