"""One decode operating point: both goals, power, money, every margin, each with its breakdown."""

import dataclasses
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp

from dse import smooth
from dse.estimate import limits, passes, pipeline, power
from dse.estimate.limits import Limit
from dse.resources import logic
from dse.resources.provision import provision
from dse.resources.table import Resources, Scalar
from dse.specs.deployment import Deployment
from dse.specs.hardware import HardwareSpec
from dse.specs.network import ModelSpec
from dse.work import decode
from dse.work.split import Context
from dse.work.table import Op

SCOPES = ("movement", "accelerator", "system", "facility")
ENERGY_PARTS = ("weights", "kv_cache", "compute", "communication", "static", "host", "prefill")


class Scenario(NamedTuple):
    """What we are given: the network, lengths, and memory kept free."""

    model: ModelSpec
    context: Context
    reserve_fraction: Scalar


class Design(NamedTuple):
    """What we choose: hardware and deployment."""

    hardware: HardwareSpec
    deployment: Deployment


class Held(NamedTuple):
    """What a bound of a search holds, so that all that is left are products, sums and maxima.

    Then step time and board power are limits (``pace``, ``board_power``) instead of consequences.
    """

    pace_s: Scalar  # the step time to keep, as a system that waits would
    awake: Scalar  # what ends the time the clock is awake: an index of `AWAKE`
    peers: dict[str, Scalar]  # link domain -> chips its lanes are shared by, apart from the radix


AWAKE = ("busiest lane", "work", "step")  # the first is never longer than any of the others


class Estimate(eqx.Module):
    """One operating point, all leaves arrays. Breakdowns sum to what they break down."""

    tpot_s: Scalar
    step_s: Scalar
    user_tokens_per_s: Scalar
    system_tokens_per_s: Scalar
    system_tokens_per_s_per_w: Scalar
    j_per_token: Scalar
    power_w: Scalar
    chip_power_w: Scalar
    pass_bounds_s: tuple[Scalar, Scalar]  # everything overlapped, operators in turn
    time_breakdown_s: dict[str, Scalar]
    energy_breakdown_j: dict[str, Scalar]
    j_per_token_by_scope: dict[str, Scalar]
    bytes_per_step: dict[str, Scalar]
    flops_per_step: Scalar
    critical_path: dict[str, tuple[Scalar, Scalar]]
    capacity: dict[str, tuple[Scalar, Scalar]]
    limits: dict[str, Limit]
    load: Scalar
    throttled_fraction: Scalar
    junction_k: Scalar
    clock_hz: Scalar
    voltage_v: Scalar
    area_mm2: Scalar
    area_breakdown_mm2: dict[str, Scalar]
    silicon_mm2: Scalar
    die_power_density_w_per_mm2: Scalar
    cost_usd: Scalar
    bom_usd: dict[str, Scalar]
    usd_per_million_tokens: Scalar
    prefill_j_per_output_token: Scalar
    prefill_chips: Scalar
    chips: Scalar
    users_in_flight: Scalar
    deployment: dict[str, Scalar]
    placement: dict[str, dict[str, Scalar]]  # weights, kv_cache -> tier -> share
    extrapolation: dict[str, tuple[Scalar, Scalar]]  # what -> (value, shown in silicon)
    labels: tuple[tuple[str, str], ...] = eqx.field(static=True, default=())

    @property
    def mm2_per_token_per_s(self) -> Scalar:
        """Silicon of the replica per token/s it makes."""
        return self.silicon_mm2 / self.system_tokens_per_s

    def to_dict(self) -> dict:
        """The JSON of ``dse eval --json``: plain numbers, no NaN or infinity."""
        from dse.estimate.output import to_dict

        return to_dict(self)

    def __repr__(self) -> str:
        if not self.labels:  # traced, or of many points
            return super().__repr__()
        import dse

        return f"<estimate: {dse.point_line(self.to_dict())}>"

    def _repr_html_(self) -> str:
        import dse

        return dse.estimate_html(self)


def op_table(design: Design, scenario: Scenario, fidelity: str, exponent=None):
    """The rows of the op table, and what they were computed from."""
    d = design.deployment
    resources, reach, ops = _tables(design, scenario, fidelity)
    return [passes.row(op, d, resources, reach, exponent) for op in ops], resources, reach, ops


def _tables(design: Design, scenario: Scenario, fidelity: str, held: Held | None = None):
    """Resources of a chip, what software reaches of them, and the work of a step."""
    hardware, d = design
    resources = provision(hardware, d.chips, white_space_leaks=held is None)
    for name, peers in ({} if held is None else held.peers).items():
        fabric = resources.fabrics[name]._replace(peers=peers)
        resources = resources._replace(fabrics=resources.fabrics | {name: fabric})
    reach = passes.reach_of(hardware.style, fidelity, d.stage_chips)
    return resources, reach, decode.decode_ops(scenario.model, scenario.context, d)


def estimate_step(
    design: Design,
    scenario: Scenario,
    fidelity: str = "sol",
    scope: str = "system",
    exponent=None,
    held: Held | None = None,
) -> Estimate:
    """The traced inner function: one operating point, differentiable and mappable.

    Args:
        design: hardware and deployment; every number a scalar leaf.
        scenario: model, context, reserve.
        fidelity: ``"sol"`` or ``"calibrated"`` (static).
        scope: ``"accelerator"``, ``"system"`` or ``"facility"`` (static).
        exponent: None for the hard maximum over lanes, else the exponent of a p-norm.
        held: None, or what is held for a bound: then logarithms of results are convex in those of
            times and sizes.
    """
    hardware, d = design
    resources, reach, ops = _tables(design, scenario, fidelity, held)
    table = passes.over_layers(ops, d, resources, reach, exponent)
    layers = sum(group.layers for group in scenario.model.groups) + d.draft_layers
    one = passes.total(table, d, resources, reach, layers)
    timing = pipeline.pipelined(one, hardware, d, decode.stage_skew(scenario.model, d))
    ahead = pipeline.prefill(hardware, scenario, resources, reach, d)
    timing = pipeline.with_prefill(timing, ahead)
    per_chip = timing.passes / d.pp
    active_j = one.active_j_per_mm2 * hardware.die_mm2 * hardware.dies * per_chip
    active_j = active_j * logic.activity_factor(hardware, resources.clock_hz)
    demand = power.Demand(
        core_j=sum(e.core for e in one.energy.values()) * per_chip + ahead.step_core_j + active_j,
        device_j=sum(e.device for e in one.energy.values()) * per_chip,
        busy_s=jnp.minimum(one.busy_s * per_chip + ahead.step_s, timing.step_s),
        step_s=timing.step_s,
    )
    capacity = _capacity(ops, scenario, d, resources)
    if held is not None:
        # Bandwidth costs capacity, and a difference is not convex: refresh what is used at least.
        resources = resources._replace(refresh_w={
            name: watts * smooth.ratio(capacity[name], resources.tiers[name].capacity_bytes)
            for name, watts in resources.refresh_w.items()
        })  # fmt: skip
        work_s = one.busy_s * per_chip + ahead.step_s
        # A clock is awake for the shorter of work and step, which is not convex; each of them is.
        awake_s = jnp.where(held.awake == AWAKE.index("work"), work_s, one.streaming_s * per_chip)
        awake_s = jnp.where(held.awake == AWAKE.index("step"), timing.step_s, awake_s)
        demand = demand._replace(busy_s=awake_s, step_s=held.pace_s)
    state = power.board(demand, hardware, resources, waits=held is None)
    parts = _Parts(design, scenario, resources, one, timing, ahead, state, capacity)
    found = _assembled(parts, scope)
    if held is None:
        return found
    paced = {
        "pace": Limit(timing.step_s, held.pace_s, "second", "a slower pace"),
        "board_power": Limit(state.board_w, hardware.tdp_w, "watt", "a slower pace"),
    }
    return dataclasses.replace(found, limits=found.limits | paced)


# --- capacity -----------------------------------------------------------------------------------


def _capacity(ops: list[Op], scenario: Scenario, d: Deployment, resources: Resources):
    """Bytes resident on the fullest chip, per tier: weights, and KV of all users in flight.

    Lengths are those at the end of generation, plus the reserve; the fullest stage counts.
    """
    stages = d.pp / decode.stage_skew(scenario.model, d)
    weights = sum(decode.stored_bytes(op, d) for op in ops) / stages
    values = sum(op.layers * op.kv_stored_values * op.kv_skew for op in ops)
    states = sum(op.layers * op.state_stored_bytes for op in ops)
    per_sequence = values * d.formats.kv_bytes + states
    cache = per_sequence * d.batch / d.dp / stages * (1 + scenario.reserve_fraction)
    return {name: weights * d.weights_in[name] + cache * d.kv_in[name] for name in resources.tiers}


# --- assembly -----------------------------------------------------------------------------------


class _Parts(NamedTuple):
    design: Design
    scenario: Scenario
    resources: Resources
    one: passes.Pass
    timing: pipeline.Timing
    ahead: pipeline.Prefill
    state: power.Board
    capacity: dict[str, Scalar]


def _assembled(p: _Parts, scope: str) -> Estimate:
    hardware, d = p.design
    step_s = p.state.step_s
    tokens = d.batch * d.accepted
    rate = tokens / step_s
    extra_chips = _extra_chips(p)
    energy = _energy(p, tokens, scope)
    j_per_token = sum(energy.values())
    silicon = hardware.die_mm2 * hardware.dies * (d.chips + extra_chips)
    cost = (sum(p.resources.cost_usd.values()) + hardware.host.cost_usd) * (d.chips + extra_chips)
    parts = dict(p.timing.parts_s)
    parts["overhead"] = parts["overhead"] + step_s - p.timing.step_s  # throttled: waiting
    heat, _ = limits.heat_flux(hardware, p.state)
    by_scope = {name: _scoped(p, tokens, name) for name in SCOPES}
    return Estimate(
        tpot_s=step_s / d.accepted,
        step_s=step_s,
        user_tokens_per_s=d.accepted / step_s,
        system_tokens_per_s=rate,
        system_tokens_per_s_per_w=1 / j_per_token,
        j_per_token=j_per_token,
        power_w=j_per_token * rate,
        chip_power_w=p.state.board_w,
        pass_bounds_s=p.one.bounds_s,
        time_breakdown_s=parts,
        energy_breakdown_j=energy,
        j_per_token_by_scope=by_scope,
        bytes_per_step={k: v * p.timing.passes * d.stage_chips for k, v in p.one.bytes.items()},
        flops_per_step=p.one.flops * p.timing.passes * d.stage_chips,
        critical_path=_path(p),
        capacity={n: (used, p.resources.tiers[n].capacity_bytes) for n, used in p.capacity.items()},
        limits=limits.limits(hardware, p.resources, d, p.state, p.capacity),
        load=p.timing.load,
        throttled_fraction=1 - p.timing.step_s / step_s,
        junction_k=p.state.junction_k,
        clock_hz=p.resources.clock_hz,
        voltage_v=logic.voltage_v(hardware),
        area_mm2=hardware.die_mm2,
        area_breakdown_mm2=p.resources.area_mm2,
        silicon_mm2=silicon,
        die_power_density_w_per_mm2=heat,
        cost_usd=cost,
        bom_usd=p.resources.cost_usd,
        usd_per_million_tokens=_usd_per_token(p, cost, by_scope["facility"], rate) * 1e6,
        prefill_j_per_output_token=p.ahead.j_per_output_token * p.state.core_factor,
        prefill_chips=extra_chips,
        chips=d.chips,
        users_in_flight=d.batch,
        deployment={name: getattr(d, name) for name in DEPLOYED}
        | {
            "accepted": d.accepted,
            "queries": d.queries,
            "overlap": d.overlap,
            "stripe": d.stripe_fraction,
            "context_tokens": p.scenario.context.attended(),
        },
        placement={"weights": d.weights_in, "kv_cache": d.kv_in},
        extrapolation=_extrapolation(p),
    )


def _path(p: _Parts) -> dict[str, tuple[Scalar, Scalar]]:
    """Stages of a step, which they add up to: those of a pass, and what makes a step longer."""
    scale = p.one.seconds / p.one.bounds_s[1]  # overlap shortens all stages alike
    found = {stage: (count, s * scale) for stage, (count, s) in p.one.path.items()}
    pass_s, piped_s = p.one.seconds, p.timing.step_s - p.ahead.step_s
    return found | {
        "queue for stages": (1.0, piped_s - pass_s),
        "prefill": (1.0, p.ahead.step_s),
        "wait for power": (1.0, p.state.step_s - p.timing.step_s),
    }


DEPLOYED = ("batch", "micro_batches", "tp", "ep", "pp", "dp", "kvp")
# What no silicon has shown yet: closing terms of the fair studies; estimates by nature.
SHOWN_SRAM_BYTES_PER_S_PER_BYTE = 0.5e6
SHOWN_VOLTAGE_V = 0.65
SHOWN_STAGE_S = 500e-9


def _extrapolation(p: _Parts) -> dict[str, tuple[Scalar, Scalar]]:
    """Value and shown limit of each property that a design chip may push beyond silicon."""
    hardware = p.design.hardware
    if hardware.power.model == "shipped":
        return {}
    found = {"logic voltage below": (logic.voltage_v(hardware), SHOWN_VOLTAGE_V)}
    for name, tier in p.resources.tiers.items():
        if tier.law == "macro":
            density = tier.bytes_per_s / tier.capacity_bytes
            found[f"{name} TB/s per MB above"] = (-density, -SHOWN_SRAM_BYTES_PER_S_PER_BYTE)
        if tier.law == "areal":
            found[f"{name} stacked on logic"] = (-1.0, 0.0)
    for name, fabric in p.resources.fabrics.items():
        found[f"{name} link stage below"] = (fabric.stage_s, SHOWN_STAGE_S)
    return found


def _board_energy(p: _Parts, tokens: Scalar) -> dict[str, Scalar]:
    """Joules per token at the board input, by cause; static is all that time costs."""
    d, state = p.design.deployment, p.state
    scale = p.timing.passes * d.stage_chips / tokens
    energy = {
        part: (e.core * state.core_factor + e.device * state.device_factor) * scale
        for part, e in p.one.energy.items()
    }
    dynamic = sum(energy.values())
    interleaved = p.ahead.step_core_j * state.core_factor * d.chips / tokens
    total = state.board_w * state.step_s * d.chips / tokens
    energy["static"] = total - dynamic - interleaved
    energy["prefill"] = interleaved
    if d.prefill == "disaggregated":
        # Prefill chips run at full load: arithmetic and their own static power while they work.
        busy = p.ahead.chips / tokens
        static = energy["static"] * tokens / state.step_s / d.chips
        energy["prefill"] = p.ahead.j_per_output_token * state.core_factor + static * busy
    return energy


def _extra_chips(p: _Parts) -> Scalar:
    """Prefill chips that keep one decode replica busy, when prefill has chips of its own."""
    if p.design.deployment.prefill != "disaggregated":
        return 0.0
    return p.ahead.chips / p.state.step_s


def _energy(p: _Parts, tokens: Scalar, scope: str) -> dict[str, Scalar]:
    """The breakdown at a scope: supplies, fans and PUE scale every cause; host is added."""
    hardware, d = p.design
    energy = _board_energy(p, tokens)
    if scope == "accelerator":
        return energy | {"host": 0.0 * p.state.step_s}
    factor = power.system_factor(hardware)
    if scope == "facility":
        factor = factor * hardware.cooling.pue
    fabrics = p.resources.fabrics.values()
    switch_w = sum((fabric.switch_w for fabric in fabrics), 0.0)
    host = power.host_w(hardware, p.state.board_w, d.chips, switch_w)
    host_j = host * p.state.step_s * (d.chips + _extra_chips(p)) / tokens
    switched = p.one.switch_j * p.timing.passes * d.stage_chips / tokens
    energy["communication"] = energy["communication"] + switched
    return {part: value * factor for part, value in (energy | {"host": host_j}).items()}


def _scoped(p: _Parts, tokens: Scalar, scope: str) -> Scalar:
    if scope == "movement":
        board = _board_energy(p, tokens)
        return board["weights"] + board["kv_cache"] + board["communication"]
    return sum(_energy(p, tokens, scope).values())


def _usd_per_token(p: _Parts, cost_usd: Scalar, facility_j: Scalar, rate: Scalar) -> Scalar:
    """Depreciation of parts and host over the tokens of a lifetime, plus electricity."""
    e = p.design.hardware.economics
    host = p.design.hardware.host.cost_usd * p.design.deployment.chips
    capital = (cost_usd - host) * e.markup + host
    return smooth.ratio(capital, e.lifetime_s * e.utilization_fraction * rate) + (
        facility_j * e.electricity_usd_per_j
    )
