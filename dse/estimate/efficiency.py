"""What kernels reach of nameplate, operator by operator, under an execution style.

Time of an operator = fixed time of its kind + p-norm(memory / share, arithmetic / share) + exchange
Fixed times do not fall with bandwidth: the public kernel tables of NVIDIA AIConfigurator give 3 to
5 us for matrix products, 10 to 13 us for attention and 23 to 45 us for experts on every generation
since A100. All of it is absent at speed of light.
"""

from typing import NamedTuple

import jax.numpy as jnp

from dse import smooth
from dse.specs.deployment import Deployment
from dse.specs.technology import ExecutionStyle
from dse.work.decode import weight_bytes
from dse.work.table import Op, Scalar

ARITHMETIC_BYTES = {"bf16": 2.0, "fp8": 1.0, "int8": 1.0, "fp4": 0.5}
# Token mixers, whose kernels are unlike matrix products.
MIXERS = ("attention", "indexer", "state")


class Numbers(NamedTuple):
    """What an operator's number formats and its kind come to: numbers, so that rows stack."""

    weight_bytes: Scalar  # of one weight, scales included
    mix: dict[str, Scalar]  # array -> share of its arithmetic
    is_mixer: Scalar  # 1 for token mixers, else 0
    is_expert: Scalar  # 1 for routed experts, else 0


def numbers_of(op: Op, d: Deployment) -> Numbers:
    """Formats of an operator's weights and arithmetic, and its kind."""
    mixer, expert = float(op.name in MIXERS), float(op.math == "expert")
    return Numbers(weight_bytes(op, d), d.formats.math[op.math], mixer, expert)


class Kernels(NamedTuple):
    """Constants of a style that act inside operators; see `ExecutionStyle` for each."""

    exponent: Scalar | None
    cache: Scalar  # reached share of bandwidth, KV cache
    projection_s: Scalar
    attention_s: Scalar
    experts_s: Scalar
    exchange_s: Scalar
    quantize_s: Scalar
    quantize_experts_s: Scalar
    prompt_layer_s: Scalar
    stage_factor: Scalar
    convert_flops: Scalar
    routing_exponent: Scalar
    launched_share: Scalar  # of fixed times, in which kernels run
    busy_power_w_per_mm2: Scalar
    kernel_power_w_per_mm2: Scalar
    exchange_power_w_per_mm2: Scalar
    sequence_power_w_per_mm2: Scalar


def kernels_of(style: ExecutionStyle) -> Kernels:
    """The kernel constants of a style; what it leaves out costs nothing.

    A framework scales all fixed times: it decides what is fused and captured in a graph. Those of
    attention, of exchanges, of routed experts and of quantizing for these it scales once more, for
    it picks their libraries. Prompts run outside graphs, so only their own factor applies.
    """
    host = style.framework
    factor = 1.0 if host is None else host.kernel_factor

    def more(name: str) -> Scalar:
        return 1.0 if host is None else smooth.stated(getattr(host, f"{name}_factor"), 1.0)

    def fixed(seconds: Scalar | None, scale: Scalar = 1.0) -> Scalar:
        return factor * scale * smooth.stated(seconds, 0.0)

    return Kernels(
        exponent=style.smoothness,
        cache=smooth.stated(style.cache_fraction, style.memory_fraction),
        projection_s=fixed(style.projection_s),
        attention_s=fixed(style.attention_s, more("attention")),
        experts_s=fixed(style.experts_s, more("expert")),
        exchange_s=fixed(style.exchange_s, more("exchange")),
        quantize_s=fixed(style.quantize_s),
        quantize_experts_s=fixed(style.quantize_experts_s, more("expert") * more("quantize")),
        prompt_layer_s=more("prompt") * smooth.stated(style.prompt_layer_s, 0.0),
        stage_factor=smooth.stated(style.stage_factor, 1.0),
        convert_flops=smooth.stated(style.convert_flops, 0.0),
        routing_exponent=smooth.stated(style.routing_exponent, 1.0),
        launched_share=1 / jnp.maximum(factor, 1.0),
        busy_power_w_per_mm2=smooth.stated(style.busy_power_w_per_mm2, 0.0),
        kernel_power_w_per_mm2=smooth.stated(style.kernel_power_w_per_mm2, 0.0),
        exchange_power_w_per_mm2=smooth.stated(style.exchange_power_w_per_mm2, 0.0),
        sequence_power_w_per_mm2=smooth.stated(style.sequence_power_w_per_mm2, 0.0),
    )


def active_j_per_mm2(
    parts: dict[str, Scalar], kernel_s: Scalar, sequence_s: Scalar, k: Kernels
) -> Scalar:
    """Energy of running at all, per area and pass, beyond the events that are counted.

    A busy GPU draws half its limit before traffic and arithmetic: schedulers, register files and
    instruction issue of resident kernels, spinning synchronization. It goes with time, by what the
    time is spent on. Where a framework launches late (a factor above 1) the chip idles meanwhile,
    and so it does while such a framework handles sequences.
    """
    busy_s = parts["weights"] + parts["kv_cache"] + parts["compute"]
    return (
        k.busy_power_w_per_mm2 * busy_s
        + k.kernel_power_w_per_mm2 * kernel_s * k.launched_share
        + k.exchange_power_w_per_mm2 * parts["communication"]
        + k.sequence_power_w_per_mm2 * sequence_s * k.launched_share
    )


def fixed_s(op: Op, numbers: Numbers, kernels: Kernels) -> Scalar:
    """Launch, synchronization and small kernels around one operator; 0 where it does not exist."""
    if op.exchange is not None:
        return kernels.exchange_s * op.exchange.rounds
    there = jnp.where(op.stored_values + op.read_values > 0, 1.0, 0.0)
    eight, four = _quantized(numbers)
    product_s = kernels.projection_s + kernels.quantize_s * (eight + four)
    experts_s = kernels.experts_s + kernels.quantize_experts_s * eight
    expert, mixer = numbers.is_expert, numbers.is_mixer
    weights_s = there * (expert * experts_s + (1 - expert) * product_s)
    return mixer * kernels.attention_s + (1 - mixer) * weights_s


def _quantized(numbers: Numbers) -> tuple[Scalar, Scalar]:
    """Shares of an operator's arithmetic in 8 and 4 bits: activations are quantized before both.

    Experts in 4 bits take their input quantized as it is sent to them; no time of its own shows.
    """
    pairs = [(ARITHMETIC_BYTES.get(name), share) for name, share in numbers.mix.items()]
    eight, four = (sum((v for size, v in pairs if size == width), 0.0) for width in (1.0, 0.5))
    return eight, four


def touched_share(op: Op, numbers: Numbers, d: Deployment, kernels: Kernels) -> Scalar:
    """Expert weights read, over those that uniform routing would touch; 1 for other operators.

    Real routers prefer some experts, and neighbouring tokens agree: n tokens touch as many as
    ``n ** routing_exponent`` independent ones would. With f the share touched by n uniform tokens,
    that is ``1 - (1 - f) ** (n ** (e - 1))``; one token is not affected.
    """
    tokens = d.batch / d.micro_batches * d.queries
    share = smooth.ratio(op.read_values, op.stored_values)
    effective = jnp.maximum(tokens, 1.0) ** (kernels.routing_exponent - 1.0)
    untouched = smooth.above(1.0 - share, 0.0)
    base = jnp.where(untouched > 0, untouched, 1.0)
    remains = jnp.where(untouched > 0, jnp.exp(effective * jnp.log(base)), 0.0)
    fewer = smooth.ratio(1.0 - remains, share)
    return jnp.where(numbers.is_expert > 0, fewer, 1.0)


def convert_flops(op: Op, numbers: Numbers, kernels: Kernels) -> Scalar:
    """Vector operations that widen weights stored narrower than they are multiplied.

    Int4 and 4-bit floats on chips without such arithmetic: a table look-up and a scale per value,
    which beside memory as fast as an HBM chip's takes longer than the stream itself.
    """
    pairs = numbers.mix.items()
    width = sum(share * ARITHMETIC_BYTES.get(name, 2.0) for name, share in pairs)
    is_narrow = jnp.where(numbers.weight_bytes < 0.75 * width, 1.0, 0.0)
    return is_narrow * kernels.convert_flops * op.read_values
