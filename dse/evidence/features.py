"""What a style's constants act on: nameplate times per operator of many points, as arrays.

A style changes how long work takes and (but for routing) not the work, so the work table is made
once at speed of light, and a fit sees arrays ``[point, op]`` only. `times_s` repeats the sum of
`dse.estimate.passes` on them; a test holds the two together.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dse import smooth
from dse.estimate import efficiency, pipeline
from dse.estimate.step import op_table
from dse.evidence.columns import Case, chunks, column, stacked
from dse.work.table import Op

PER_OP = ("layers", "weights_s", "cache_s", "tensor_s", "vector_s", "convert_s", "stage_s",
          "serial_s", "projection", "attention", "experts", "exchange", "quantize",
          "quantize_experts", "touched")  # fmt: skip
PER_POINT = ("sequences", "tokens", "total_layers", "prompt_layers", "prefill_s", "accepted",
             "busy_chips")  # fmt: skip
FIXED = ("projection", "attention", "experts", "exchange", "quantize", "quantize_experts")
# Beside `kernel_factor`, by which a framework scales all fixed times.
FACTORS = {"attention": ("attention_factor",), "exchange": ("exchange_factor",),
           "experts": ("expert_factor",),
           "quantize_experts": ("expert_factor", "quantize_factor")}  # fmt: skip
CONSTANTS = ("memory", "cache", "tensor", "prefill", "link", *FIXED, "stage_factor", "convert",
             "routing_exponent", "layer", "kernel_factor", "expert_factor", "attention_factor",
             "quantize_factor", "exchange_factor", "prompt_factor", "step", "sequence",
             "prompt_layer")  # fmt: skip


class Features(NamedTuple):
    """``op``: name -> ``[point, op]``, padded with zeros; ``point``: name -> ``[point]``."""

    op: dict[str, np.ndarray]
    point: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.point["tokens"])


def features_of(cases: Sequence[Case]) -> Features:
    """The features of points of any structure; chips of one memory tier."""
    most, done = 0, []
    for indices in chunks(cases):
        with jax.enable_x64(True), np.errstate(all="ignore"):
            per_op, per_point = _of_structure(stacked([cases[i] for i in indices]))
            done.append((indices, len(per_op), [
                {k: column(v, len(indices)) for k, v in table.items()}
                for table in (*per_op, per_point)
            ]))  # fmt: skip
            most = max(most, len(per_op))
    op = {name: np.zeros((len(cases), most)) for name in PER_OP}
    point = {name: np.zeros(len(cases)) for name in PER_POINT}
    for indices, count, tables in done:
        for name in PER_OP:
            for place in range(count):
                op[name][indices, place] = tables[place][name]
        for name in PER_POINT:
            point[name][indices] = tables[count][name]
    return Features(op, point)


def _of_structure(case: Case):
    (hardware, d), scenario = case
    rows, resources, reach, ops = op_table(*case, "sol")
    kernels = efficiency.kernels_of(hardware.style)._replace(convert_flops=1.0)
    per_op = [
        _of_op(op, row, efficiency.numbers_of(op, d), resources, kernels)
        for op, row in zip(ops, rows, strict=True)
    ]
    layers = sum(group.layers for group in scenario.model.groups)
    ahead = pipeline.prefill(hardware, scenario, resources, reach, d)
    requests = d.batch * d.accepted / scenario.context.output_tokens
    interleaved = 1.0 if d.prefill == "interleaved" else 0.0
    per_point = {
        "sequences": d.batch / d.dp,
        "tokens": d.batch / d.micro_batches * d.queries,
        "total_layers": layers + d.draft_layers,
        "prompt_layers": interleaved * layers * requests / d.dp,
        "prefill_s": interleaved * requests * ahead.request_s,
        "accepted": d.accepted,
        "busy_chips": d.pp,
    }
    return per_op, per_point


def _of_op(op: Op, row: Any, numbers: efficiency.Numbers, resources: Any, kernels: Any):
    vector_s = resources.seconds["vector"]
    streamed = sum(row.lanes_s[name] for name in resources.tiers)
    share = smooth.ratio(row.bytes["weights"], row.bytes["weights"] + row.bytes["kv_cache"])
    arrays = {name: resources.seconds[f"tensor_{name}"] for name in numbers.mix}
    tensor_s = sum(part * arrays[name] for name, part in numbers.mix.items())
    vector = op.vector_flops * vector_s + op.exponentials * resources.seconds["exponential"]
    # Which fixed times apply is asked of the style's own function, one constant at a time.
    none = kernels._replace(projection_s=0.0, attention_s=0.0, experts_s=0.0, exchange_s=0.0,
                            quantize_s=0.0, quantize_experts_s=0.0)  # fmt: skip

    def counts(constant: str) -> Any:
        return efficiency.fixed_s(op, numbers, none._replace(**{constant: 1.0}))

    _, stage_s = row.waits["link stages"]
    touched = smooth.ratio(op.read_values, op.stored_values) if op.math == "expert" else 0.0
    return {
        "layers": op.layers,
        "weights_s": streamed * share,
        "cache_s": streamed * (1 - share),
        "tensor_s": op.tensor_flops * op.flops_skew * tensor_s,
        "vector_s": vector * op.flops_skew,
        "convert_s": efficiency.convert_flops(op, numbers, kernels) * vector_s * op.flops_skew,
        "stage_s": stage_s,
        "serial_s": row.lanes_s["links"] - stage_s,
        "projection": counts("projection_s"),
        "attention": counts("attention_s"),
        "experts": counts("experts_s"),
        "exchange": counts("exchange_s"),
        "quantize": counts("quantize_s"),
        "quantize_experts": counts("quantize_experts_s"),
        "touched": touched,
    }


def times_s(features: Features, constants: dict[str, Any], exponent: float) -> Any:
    """Time per output token, ``[point]``, under constants that are ``[point]`` or scalars each."""
    op, point = features
    c = {name: jnp.asarray(value)[..., None] for name, value in constants.items()}
    share = jnp.where(op["touched"] > 0, op["touched"], 1.0)
    effective = jnp.maximum(point["tokens"], 1.0)[:, None] ** (c["routing_exponent"] - 1.0)
    untouched = jnp.clip(1.0 - share, 0.0, 1.0)
    base = jnp.where(untouched > 0, untouched, 1.0)
    remains = jnp.where(untouched > 0, base**effective, 0.0)
    weights = op["weights_s"] * jnp.where(op["touched"] > 0, (1.0 - remains) / share, 1.0)
    memory = weights / c["memory"] + op["cache_s"] / c["cache"]
    vector = op["vector_s"] + op["convert_s"] * c["convert"]
    arithmetic = smooth.maximum([op["tensor_s"] / c["tensor"], vector], exponent)
    busy = smooth.maximum([arithmetic, memory], exponent)
    fixed = c["kernel_factor"] * sum(
        op[kind] * math.prod((c[kind], *(c[name] for name in FACTORS.get(kind, ()))))
        for kind in FIXED
    )
    links = op["stage_s"] * c["stage_factor"] + op["serial_s"] / c["link"]
    per_pass = jnp.sum(op["layers"] * (busy + fixed + links), axis=1)
    per_pass = per_pass + point["total_layers"] * constants["layer"] + constants["step"]
    per_pass = per_pass + point["sequences"] * constants["sequence"]
    launches = point["prompt_layers"] * constants["prompt_layer"] * constants["prompt_factor"]
    prompts = point["prefill_s"] / constants["prefill"] + launches
    return (per_pass + prompts) / point["accepted"]
