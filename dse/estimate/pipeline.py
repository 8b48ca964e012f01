"""From a pass to a step: stages, micro-batches in flight, prefill alongside."""

from dataclasses import replace
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp

from dse.estimate import passes
from dse.resources import logic
from dse.resources.table import Resources, Scalar
from dse.specs.deployment import Deployment
from dse.specs.hardware import HardwareSpec
from dse.specs.network import ModelSpec
from dse.work import decode
from dse.work.split import Context


class Timing(NamedTuple):
    """A pass turned into a step of all users."""

    step_s: Scalar
    parts_s: dict[str, Scalar]
    passes: Scalar  # micro-batches that cross a stage per step
    load: Scalar


def pipelined(
    one: passes.Pass, hardware: HardwareSpec, d: Deployment, stage_skew: Scalar
) -> Timing:
    """A pass is one micro-batch through all stages; a step gives every user a token.

    On a statically scheduled chip other micro-batches use the lanes one leaves idle, so a slot is
    the busiest lane of a stage; elsewhere kernels follow one another and a slot is the pass over
    the stages. The fullest stage sets the pace (``stage_skew``, and ``fill`` for what is uneven
    below a layer). Users of M micro-batches wait
    ``max(pass, M slots)``: while the pipe has room they add no time, beyond it they queue.
    """
    occupied_s = one.seconds if hardware.on_chip is None else one.occupied_s
    fill = 1.0
    if hardware.pipeline_fill_fraction is not None:
        # One stage is always even; many stages approach the stated fill.
        fill = 1 - (1 - hardware.pipeline_fill_fraction) * (1 - 1 / d.pp)
    slots_s = d.micro_batches * occupied_s / d.pp
    step_s = jnp.maximum(one.seconds, slots_s * stage_skew / fill)
    parts = dict(one.parts_s)
    parts["overhead"] = parts["overhead"] + step_s - one.seconds
    return Timing(step_s, parts, d.micro_batches, slots_s / step_s)


# --- prefill ------------------------------------------------------------------------------------


class Prefill(NamedTuple):
    """Prompt processing beside decode, per decode step and chip, or on chips of its own."""

    step_s: Scalar
    step_core_j: Scalar
    j_per_output_token: Scalar  # core rail, before conversion: added where it runs
    chips: Scalar  # separate prefill chips per decode replica
    request_s: Scalar  # on one replica


def prefill(hardware, scenario, resources: Resources, reach, d: Deployment) -> Prefill:
    """``2 parameters x input`` plus causal attention, on arrays at the style's efficiency.

    Interleaved prefill stretches every step by its share, and each prompt by the launches of a
    pass that no graph captured; disaggregated prefill runs on chips of the same kind at full load,
    counted in power, silicon and money. All of that time the chip is busy, which draws power as in
    decode.
    """
    context = scenario.context
    flops, attention_flops = prefill_flops(scenario.model, context.input_tokens, d)
    mix, attention_mix = d.formats.math["expert"], d.formats.math["attention"]
    second = _mean(resources.seconds, mix) * flops
    second = second + _mean(resources.seconds, attention_mix) * attention_flops
    joule = _mean(resources.core_j, mix) * flops
    joule = joule + _mean(resources.core_j, attention_mix) * attention_flops
    request_s = second / reach.prefill / d.chips
    busy_w = _busy_core_w(hardware, resources, reach)
    joule = joule + busy_w * request_s * d.chips
    requests_per_step = d.batch * d.accepted / context.output_tokens
    step_s = step_core_j = chips = 0.0
    if d.prefill == "interleaved":
        launches_s = _launches_s(scenario.model, reach) / d.dp
        step_s = requests_per_step * (request_s + launches_s)
        step_core_j = requests_per_step * (joule / d.chips + busy_w * launches_s)
    if d.prefill == "disaggregated":
        chips = requests_per_step * request_s * d.chips  # times 1 / step, filled in later
    return Prefill(
        step_s=step_s,
        step_core_j=step_core_j,
        j_per_output_token=joule / context.output_tokens,
        chips=chips,
        request_s=request_s,
    )


def _launches_s(model: ModelSpec, reach) -> Scalar:
    """Fixed time of one prompt on its data-parallel rank."""
    if reach.kernels is None:
        return 0.0
    return sum(group.layers for group in model.groups) * reach.kernels.prompt_layer_s


def _busy_core_w(hardware, resources: Resources, reach) -> Scalar:
    """Power of one chip for being busy at all, beyond the events that are counted."""
    if reach.kernels is None:
        return 0.0
    mm2 = hardware.die_mm2 * hardware.dies
    switching = logic.activity_factor(hardware, resources.clock_hz)
    return reach.kernels.busy_power_w_per_mm2 * mm2 * switching


def _mean(table: dict[str, Scalar], mix: dict[str, Scalar]) -> Scalar:
    return sum(share * table[f"tensor_{name}"] for name, share in mix.items())


def prefill_flops(model: ModelSpec, input_tokens: Scalar, d: Deployment):
    """FLOPs of one prompt on one chip: projections, and attention over half the prompt."""
    alone = eqx.tree_at(
        lambda t: (t.batch, t.micro_batches, t.tp, t.kvp, t.dp, t.pp, t.ep, t.queries),
        d,
        (1.0,) * 8,
    )
    half = input_tokens / 2
    context = Context((half,), (1.0,), half, input_tokens, 1.0)
    ops = decode.decode_ops(model, context, replace(alone, draft_layers=0.0))
    body = [op for op in ops if op.part != "head"]
    weights = sum(op.layers * op.tensor_flops for op in body if op.math != "attention")
    scores = sum(op.layers * op.tensor_flops for op in body if op.math == "attention")
    return weights * input_tokens, scores * input_tokens


def with_prefill(timing: Timing, ahead: Prefill) -> Timing:
    """The step with its share of interleaved prompts."""
    parts = dict(timing.parts_s)
    parts["overhead"] = parts["overhead"] + ahead.step_s
    return timing._replace(step_s=timing.step_s + ahead.step_s, parts_s=parts)
