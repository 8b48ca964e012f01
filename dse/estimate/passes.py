"""One micro-batch through all layers: the work table times the resource table.

``time = demand * seconds per unit`` and ``energy = demand * joules per unit`` from the same
demand, so the two cannot disagree about traffic. Inside an operator lanes overlap (maximum) and
fixed times add; operators follow one another. Time follows the fullest chip of a stage, energy
the mean one.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from dse import smooth
from dse.estimate import efficiency
from dse.estimate.efficiency import Numbers, numbers_of
from dse.estimate.exchange import crossing
from dse.resources.table import Resources
from dse.specs.deployment import Deployment
from dse.specs.technology import ExecutionStyle
from dse.work.table import Op, Scalar, stack, stacked

TIME_PARTS = ("weights", "kv_cache", "compute", "communication", "overhead")
ENERGY_PARTS = ("weights", "kv_cache", "compute", "communication")


class Reach(NamedTuple):
    """What software reaches of nameplate, and its fixed times; ones and zeros at speed of light."""

    memory: Scalar
    tensor: Scalar
    link: Scalar
    layer_s: Scalar
    step_s: Scalar
    sequence_s: Scalar
    prefill: Scalar = 1.0  # reached share of the tensor peak
    kernels: efficiency.Kernels | None = None


def reach_of(style: ExecutionStyle, fidelity: str, stage_chips: Scalar) -> Reach:
    """The execution style under ``calibrated``; nothing of it under ``sol``."""
    if fidelity == "sol":
        return Reach(1.0, 1.0, 1.0, 0.0, 0.0, 0.0)
    large = jnp.where(stage_chips >= style.sync_large_chips, 1.0, 0.0)
    sync_s = large * style.sync_large_s + (1 - large) * style.sync_small_s
    host = style.framework
    return Reach(
        style.memory_fraction,
        style.tensor_fraction,
        style.link_fraction,
        style.layer_s + jnp.where(stage_chips > 1, sync_s, 0.0),
        style.step_s + (0.0 if host is None else host.step_s),
        style.sequence_s + (0.0 if host is None else host.sequence_s),
        smooth.stated(style.prefill_fraction, style.tensor_fraction),
        efficiency.kernels_of(style),
    )


class Energy(NamedTuple):
    """Joules on the logic rails and on the memory rail."""

    core: Scalar
    device: Scalar


class Row(NamedTuple):
    """One operator on one chip, one pass of one layer: a line of the printed op table."""

    seconds: Scalar
    parts_s: dict[str, Scalar]  # TIME_PARTS; sums to seconds
    lanes_s: dict[str, Scalar]  # busy time per lane, for full overlap
    energy: dict[str, Energy]  # ENERGY_PARTS
    bytes: dict[str, Scalar]  # weights, kv_cache, activations, links: mean chip
    flops: Scalar
    waits: dict[str, tuple[Scalar, Scalar]]  # what is waited for -> (count, seconds)
    software_s: Scalar  # fixed times of a style's kernels
    busy_s: Scalar  # arithmetic and memory alone


def row(op: Op, d: Deployment, resources: Resources, reach: Reach, exponent=None) -> Row:
    """Time and energy of one operator. ``exponent`` None: hard maximum; else a p-norm."""
    return _row(op, numbers_of(op, d), d, resources, reach, exponent)


def over_layers(ops: list[Op], d, resources, reach, exponent=None) -> Row:
    """The op table summed over operators and layers.

    For gradients (``exponent`` given) over columns of designs, operators with one kind of exchange
    are done at once: what has to be compiled does not grow with their number. For values alone
    XLA fuses operators written out one by one into five times faster code.
    """
    columns = any(jnp.ndim(leaf) for leaf in jax.tree.leaves(resources.seconds))
    if exponent is None or not columns:
        found = [_times(op.layers, row(op, d, resources, reach, exponent)) for op in ops]
    else:
        found = [
            jax.tree.map(lambda column: jnp.sum(column, axis=0), _columns(*group, d, resources,
                                                                         reach, exponent))
            for group in stacked(ops)
        ]  # fmt: skip
    return jax.tree.map(lambda *leaves: sum(leaves[1:], leaves[0]), *found)


def _columns(members: list[Op], together: Op, d, resources, reach, exponent) -> Row:
    """Rows of alike operators, times their layers; entry i of every leaf is operator i."""

    def one(op: Op, numbers: Numbers) -> Row:
        return _times(op.layers, _row(op, numbers, d, resources, reach, exponent))

    numbers = [numbers_of(op, d) for op in members]
    both = (together, jax.tree.map(lambda *leaves: stack(list(leaves)), *numbers))
    mapped = jax.tree.map(lambda leaf: None if isinstance(leaf, (int, float)) else 0, both)
    return jax.vmap(one, in_axes=mapped, axis_size=len(members))(*both)


def _times(layers: Scalar, row: Row) -> Row:
    return jax.tree.map(lambda leaf: layers * leaf, row)


def _row(op: Op, numbers: Numbers, d: Deployment, resources, reach: Reach, exponent) -> Row:
    exponent = reach.kernels.exponent if exponent is None and reach.kernels else exponent
    streams, bytes_by = _streams(op, numbers, d, resources, reach)
    flops_s = _arithmetic_s(op, numbers, resources, reach)
    lanes = {"compute": smooth.maximum(list(flops_s.values()), exponent)}
    lanes |= {name: weights + cache for name, (weights, cache) in streams.items()}
    busy_s = smooth.maximum(list(lanes.values()), exponent)
    dependent_s = op.dependent_ops * resources.seconds["dependent_op"]
    crossing_s = op.die_crossings * resources.seconds["die_crossing"]
    wait_s = _wait_s(op, d, resources)
    software_s = 0.0
    if reach.kernels:
        software_s = efficiency.fixed_s(op, numbers, reach.kernels)
    fixed_s = dependent_s + crossing_s + wait_s + software_s
    link_s, stage_s, stages, sent = 0.0, 0.0, 0.0, {}
    if op.exchange is not None:
        collective = d.collective if d.sums is None else d.sums.get(op.part, d.collective)
        link_s, stage_s, stages, sent = crossing(op.exchange, resources, collective, reach.link)
        late_s = (reach.kernels.stage_factor - 1) * stage_s if reach.kernels else 0.0
        link_s, stage_s = link_s + late_s, stage_s + late_s
    bytes_by["links"] = sum(sent.values(), 0.0)
    hard_s = smooth.maximum(list(lanes.values()))
    over = smooth.ratio(busy_s, hard_s)  # what a smooth maximum adds goes to the longest lane
    parts = {part: s * over for part, s in _attributed(hard_s, lanes, streams).items()}
    parts |= {"communication": link_s, "overhead": fixed_s}
    return Row(
        seconds=busy_s + fixed_s + link_s,
        parts_s=parts,
        lanes_s=lanes | {"links": link_s, "fixed": fixed_s},
        energy=_energy(op, numbers.mix, d, resources, bytes_by, sent),
        bytes=bytes_by,
        flops=op.tensor_flops + op.vector_flops,
        waits={
            "link stages": (stages, stage_s),
            "die crossings": (op.die_crossings, crossing_s),
            "dependent operations": (op.dependent_ops, dependent_s),
            "memory latency": (op.memory_waits, wait_s),
        },
        software_s=software_s,
        busy_s=busy_s,
    )


def _streams(op: Op, numbers: Numbers, d: Deployment, resources: Resources, reach: Reach):
    """Seconds of weights and of KV cache per memory tier, and bytes by source of the mean chip."""
    weights = op.read_values * numbers.weight_bytes
    slower = 1.0  # KV cache over weights
    if reach.kernels:
        weights = weights * efficiency.touched_share(op, numbers, d, reach.kernels)
        slower = reach.memory / reach.kernels.cache
    cache = (op.kv_read_values + op.kv_write_values) * d.formats.kv_bytes + op.state_bytes
    streams = {}
    for name, tier in resources.tiers.items():
        per_byte = resources.seconds[name] / reach.memory
        stripe = d.stripe_fraction if tier.law == "macro" else 1.0
        streams[name] = (
            weights * op.weight_skew * d.weights_in[name] * per_byte / stripe,
            cache * op.kv_skew * d.kv_in[name] * per_byte * slower,
        )
    by_source = {"weights": weights, "kv_cache": cache}
    by_source["activations"] = op.activation_values * d.formats.activation_bytes
    return streams, by_source


def _arithmetic_s(op: Op, numbers: Numbers, resources, reach: Reach) -> dict[str, Scalar]:
    mix = numbers.mix
    tensor = sum(share * resources.seconds[f"tensor_{name}"] for name, share in mix.items())
    extra = efficiency.convert_flops(op, numbers, reach.kernels) if reach.kernels else 0.0
    vector = (op.vector_flops + extra) * resources.seconds["vector"]
    vector = vector + op.exponentials * resources.seconds["exponential"]
    return {
        "tensor": op.tensor_flops * op.flops_skew * tensor / reach.tensor,
        "vector": vector * op.flops_skew,
    }


def _wait_s(op: Op, d: Deployment, resources: Resources) -> Scalar:
    """Exposed latency of accesses whose address was unknown: where the weights are."""
    mean = sum(d.weights_in[name] * resources.seconds[f"wait_{name}"] for name in resources.tiers)
    return op.memory_waits * mean


def _attributed(busy_s, lanes, streams) -> dict[str, Scalar]:
    """The operator's time goes to the lane that binds it; memory time split by bytes."""
    weights_s = cache_s = jnp.asarray(0.0)
    left = busy_s
    for name, (weights, cache) in streams.items():
        binds = jnp.where((lanes[name] >= busy_s) & (left > 0), 1.0, 0.0)
        share = smooth.ratio(weights, weights + cache)
        taken = binds * left
        weights_s = weights_s + taken * share
        cache_s = cache_s + taken * (1 - share)
        left = left - taken
    return {"weights": weights_s, "kv_cache": cache_s, "compute": left}


def _energy(op: Op, mix, d: Deployment, resources, bytes_by, sent) -> dict[str, Energy]:
    core, device = resources.core_j, resources.device_j

    def moved(amount: Scalar, placed: dict[str, Scalar]) -> Energy:
        return Energy(
            sum(amount * placed[name] * core[name] for name in resources.tiers),
            sum(amount * placed[name] * device[name] for name in resources.tiers),
        )

    tensor_j = sum(share * core[f"tensor_{name}"] for name, share in mix.items())
    compute = op.tensor_flops * tensor_j + op.vector_flops * core["vector"]
    compute = compute + op.exponentials * core["exponential"]
    compute = compute + bytes_by["activations"] * core["activation"]
    link = sum((size * core[name] for name, size in sent.items()), 0.0)
    return {
        "weights": moved(bytes_by["weights"], d.weights_in),
        "kv_cache": moved(bytes_by["kv_cache"], d.kv_in),
        "compute": Energy(compute, 0.0),
        "communication": Energy(link, 0.0),
    }


class Pass(NamedTuple):
    """All layers, one micro-batch: sums over the op table."""

    seconds: Scalar
    bounds_s: tuple[Scalar, Scalar]  # everything overlapped, operators in turn
    occupied_s: Scalar  # of the busiest lane: what one micro-batch denies the next one
    streaming_s: Scalar  # of the busiest lane of arithmetic and memory; never above busy_s
    parts_s: dict[str, Scalar]
    busy_s: Scalar  # time in which arrays or memory work
    energy: dict[str, Energy]
    bytes: dict[str, Scalar]
    flops: Scalar
    path: dict[str, tuple[Scalar, Scalar]]  # critical path: stage -> (count, seconds)
    switch_j: Scalar
    active_j_per_mm2: Scalar  # of running at all, beyond counted events


def total(table: Row, d: Deployment, resources: Resources, reach: Reach, layers) -> Pass:
    """The op table's sum with the style's fixed times added and overlap applied."""
    parts = dict(table.parts_s)
    # One scheduler serves a rank's sequences, whichever micro-batch they are in.
    scheduled_s = d.batch / d.dp * reach.sequence_s
    software_s = layers * reach.layer_s + reach.step_s + scheduled_s
    parts["overhead"] = parts["overhead"] + software_s
    apart_s = sum(parts.values())
    together_s = smooth.maximum([*table.lanes_s.values(), software_s])
    seconds = apart_s + d.overlap * (together_s - apart_s)
    scale = smooth.ratio(seconds, apart_s)
    busy = parts["weights"] + parts["kv_cache"] + parts["compute"]
    active = 0.0
    if reach.kernels:
        spent = (parts, table.software_s, scheduled_s / d.micro_batches)
        active = efficiency.active_j_per_mm2(*spent, reach.kernels) * scale
    return Pass(
        seconds=seconds,
        bounds_s=(together_s, apart_s),
        occupied_s=_occupied_s(table),
        streaming_s=smooth.maximum(_streams_s(table)) * (1 - d.overlap),
        parts_s={part: value * scale for part, value in parts.items()},
        busy_s=busy * scale,
        energy=table.energy,
        bytes=table.bytes,
        flops=table.flops,
        path=_path(table, parts, software_s),
        switch_j=_switch_j(table.bytes["links"], resources),
        active_j_per_mm2=active,
    )


def _occupied_s(table: Row) -> Scalar:
    """Time of the busiest lane; waiting for stages, wires and dependent operations blocks none."""
    _, waiting_s = table.waits["link stages"]
    return smooth.maximum([*_streams_s(table), table.lanes_s["links"] - waiting_s])


def _streams_s(table: Row) -> list[Scalar]:
    return [sum_s for lane, sum_s in table.lanes_s.items() if lane not in ("links", "fixed")]


def _path(table: Row, parts, software_s) -> dict[str, tuple[Scalar, Scalar]]:
    stages, stage_s = table.waits["link stages"]
    return {
        "memory streaming": (1.0, parts["weights"] + parts["kv_cache"]),
        "arithmetic": (1.0, parts["compute"]),
        "link stages": (stages, stage_s),
        "link serialization": (stages, parts["communication"] - stage_s),
        **{wait: table.waits[wait] for wait in table.waits if wait != "link stages"},
        "software": (1.0, software_s + table.software_s),
    }


def _switch_j(sent: Scalar, resources: Resources) -> Scalar:
    fabric = resources.fabrics.get("scale_up")
    return 0.0 if fabric is None else sent * fabric.switch_j_per_byte
