"""Single operators against measured kernels: a row of an op table is one line of the op table here.

Each kind of table is a function that turns columns of a table into one `Op`; formats and group
sizes travel in a deployment of one chip (or of the group of an all-reduce).
"""

import collections
import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dse.estimate import passes
from dse.evidence import names
from dse.evidence.points import FORMAT_WORDS
from dse.evidence.styles import fitted_on, hardware_of, isolated_style
from dse.evidence.tables import Table, number, word
from dse.resources.provision import provision
from dse.specs.deployment import Deployment, Formats, Skew
from dse.specs.formats import arithmetic_of, format_of
from dse.work.feedforward import distinct_experts
from dse.work.table import Exchange, Op, linear

# Kernels of the vLLM block-scaled path are launched one by one: their table shows the host
# (158 to 264 us on Blackwell whatever the shape), as do all-reduces outside a graph.
HOST_BOUND = (("vllm", "fp8_block", "gemm"), ("", "eager", "all_reduce"))
DTYPE_COLUMNS = {"gemm": "gemm_dtype", "attention": "kv_cache_dtype", "moe": "moe_dtype",
                 "mla": "kv_cache_dtype", "all_reduce": "allreduce_dtype"}  # fmt: skip
SHORTEST_TOKENS = 512.0  # shorter contexts stay in the cache between repetitions
WEIGHT_BYTES = ("attention_bytes", "expert_bytes", "dense_bytes", "head_bytes", "kv_bytes")
LATENT_VALUES, LATENT_OUT = 576.0, 512.0  # of the one model these tables are of (DeepSeek-V3)
Columns = dict[str, Any]


def _gemm(c: Columns) -> Op:
    op = Op("gemm", "feedforward", 1.0, dependent_ops=1)
    return linear(op, c["m"], c["k"], c["n"])


def _attention(c: Columns) -> Op:
    """Grouped-query decode attention over ``seq_len`` cached tokens, one query token each."""
    width = 2 * c["num_key_value_heads"] * c["head_dim"]
    scores = c["batch_size"] * c["num_heads"] * c["seq_len"]
    return Op("attention", "attention", 1.0, math="attention",
              kv_read_values=c["batch_size"] * width * c["seq_len"],
              tensor_flops=4 * scores * c["head_dim"], exponentials=scores,
              vector_flops=4 * scores, dependent_ops=3)  # fmt: skip


def _latent(c: Columns) -> Op:
    """Absorbed latent attention: one latent of 576 values per token for all heads."""
    scores = c["batch_size"] * c["num_heads"] * c["seq_len"]
    return Op("attention", "attention", 1.0, math="attention",
              kv_read_values=c["batch_size"] * LATENT_VALUES * c["seq_len"],
              tensor_flops=2 * scores * (LATENT_VALUES + LATENT_OUT), exponentials=scores,
              vector_flops=4 * scores, dependent_ops=3)  # fmt: skip


def _experts(c: Columns) -> Op:
    """Gated experts of one rank: distinct ones touched, tokens spread evenly over ranks."""
    inner = c["inter_size"] / c["moe_tp_size"]
    per_expert = 3 * c["hidden_size"] * inner
    slots = c["num_tokens"] * c["topk"] / c["moe_ep_size"]
    return Op("experts", "feedforward", 1.0, use="expert", math="expert",
              stored_values=c["num_experts"] / c["moe_ep_size"] * per_expert,
              read_values=c["touched"] * per_expert, vector_flops=slots * inner,
              tensor_flops=2 * slots * per_expert, dependent_ops=3)  # fmt: skip


def _touched(row: dict[str, Any], c: dict[str, float]) -> float:
    """Distinct experts that the tokens of a row reach on the rank that is measured.

    Balanced rows deal experts out in turn, the first to this rank; in others tokens draw theirs.
    """
    if word(row, "distribution") == "balanced":
        return max(1.0, min(c["num_experts"], c["num_tokens"] * c["topk"]) / c["moe_ep_size"])
    return distinct_experts(c["num_experts"], c["topk"], c["num_tokens"]) / c["moe_ep_size"]


def _all_reduce(c: Columns) -> Op:
    exchange = Exchange("all_reduce", c["message_bytes"], c["num_gpus"])
    return Op("all_reduce", "feedforward", 1.0, exchange=exchange)


OPS: dict[str, tuple[Callable[[Columns], Op], tuple[str, ...]]] = {
    "gemm": (_gemm, ("m", "n", "k")),
    "attention": (
        _attention,
        ("batch_size", "seq_len", "num_heads", "num_key_value_heads", "head_dim"),
    ),
    "mla": (_latent, ("batch_size", "seq_len", "num_heads")),
    "moe": (
        _experts,
        ("num_tokens", "hidden_size", "inter_size", "topk", "num_experts", "moe_tp_size",
         "moe_ep_size"),
    ),
    "all_reduce": (_all_reduce, ("num_gpus", "message_bytes")),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Shape:
    """One measured kernel: where it ran, in which format, on which shape."""

    chip: str
    format: str
    suite: str
    numbers: dict[str, float]
    latency_s: float
    kernel: str = ""  # its source, as the table states it


def shapes_of(table: Table) -> tuple[list[Shape], collections.Counter[str]]:
    """The shapes of a table that can be read, and the reasons for the others."""
    shapes, left_out = [], collections.Counter()
    for row in table.rows:
        shape = _shape(table.kind, row)
        if isinstance(shape, str):
            left_out[shape] += 1
        else:
            shapes.append(shape)
    return shapes, left_out


def predicted(table: Table) -> tuple[list[dict[str, Any]], collections.Counter[str]]:
    """Rows with prediction and measurement under ``latency_s``, and the reasons for the others."""
    shapes, left_out = shapes_of(table)
    rows: list[dict[str, Any]] = []
    for chip in sorted({shape.chip for shape in shapes}):
        some = [shape for shape in shapes if shape.chip == chip]
        for shape, seconds in zip(some, _seconds(table.kind, chip, some), strict=True):
            rows.append({"metric": "latency_s", "chip": chip, "model": table.kind,
                         "suite": shape.suite, "calibrated_on": fitted_on(chip, table.kind),
                         "id": "",
                         "predicted": float(seconds), "measured": shape.latency_s})  # fmt: skip
    return rows, left_out


def _shape(kind: str, row: dict[str, Any]) -> Shape | str:
    """The shape of a row, or why it is left out."""
    chip = names.chip_of(word(row, "system"))
    if chip.name is None:
        return chip.reason
    dtype = word(row, DTYPE_COLUMNS[kind]).lower()
    framework, source = word(row, "fw").lower(), word(row, "kernel_source").lower()
    for where, mark, which in HOST_BOUND:
        if which == kind and where in framework and mark in f"{dtype} {source}":
            return f"{kind}: launched one by one, the latency is the host's"
    if dtype not in FORMAT_WORDS:
        return f"{DTYPE_COLUMNS[kind]} {dtype or 'missing'}: not a known number format"
    uneven = word(row, "distribution").removeprefix("balanced")  # experts that some rows prefer
    suite = " ".join(part for part in (framework, dtype, uneven) if part)
    return _numbers(kind, row, chip.name, FORMAT_WORDS[dtype], suite)


def _numbers(kind: str, row: dict[str, Any], chip: str, form: str, suite: str) -> Shape | str:
    read = {name: number(row, name) for name in OPS[kind][1]}
    found = {name: value for name, value in read.items() if value is not None and value > 0}
    if len(found) < len(read):
        return f"{kind}: {', '.join(sorted(set(read) - set(found)))} is not a number above zero"
    latency = number(row, "latency_us")
    if latency is None or not 0.5 <= latency <= 1e7:
        return "latency_us outside 0.5 us to 10 s, or not a number: wrong unit?"
    if found.get("seq_len", SHORTEST_TOKENS) < SHORTEST_TOKENS:
        return f"context below {SHORTEST_TOKENS:g} tokens: read from cache, not from memory"
    if (number(row, "window_size") or 0) > 0:
        return "sliding window: the tokens read are not stated"
    if kind == "moe":
        found["touched"] = _touched(row, found)
    return Shape(chip, form, suite, found, latency * 1e-6, word(row, "kernel_source"))


def _seconds(kind: str, chip: str, shapes: list[Shape]) -> np.ndarray:
    """Predicted latency of shapes on one chip, ``[shape]``."""
    hardware = hardware_of(chip, "", None)
    style = isolated_style(chip) or hardware.style
    return seconds_under(style, kind, hardware, shapes)


def seconds_under(style: Any, kind: str, hardware: Any, shapes: list[Shape]) -> np.ndarray:
    """Latency of shapes on a chip under a style, ``[shape]``."""
    with jax.enable_x64(True):
        line = row_of(kind, hardware, shapes, passes.reach_of(style, "calibrated", 1.0))
        return np.broadcast_to(np.asarray(line.seconds), len(shapes))


def row_of(kind: str, hardware: Any, shapes: list[Shape], reach: passes.Reach) -> passes.Row:
    """The line of the op table that shapes of one kind make on a chip, columns ``[shape]``."""
    columns = {n: jnp.asarray([s.numbers[n] for s in shapes]) for n in shapes[0].numbers}
    deployment = _deployment(list(hardware.compute), list(hardware.memory), shapes)
    return passes.row(OPS[kind][0](columns), deployment, provision(hardware), reach)


def _deployment(arithmetic: list[str], tiers: list[str], shapes: list[Shape]) -> Deployment:
    """One chip, every format that of the shape."""
    width: Any = jnp.asarray([format_of(shape.format).bytes for shape in shapes])
    used = [arithmetic_of(shape.format, arithmetic) for shape in shapes]
    mix: Any = {a: jnp.asarray([1.0 if u == a else 0.0 for u in used]) for a in arithmetic}
    weights: Any = dict.fromkeys(WEIGHT_BYTES, width)
    uses: Any = dict.fromkeys(("attention", "projection", "expert"), mix)
    formats = Formats(**weights, activation_bytes=2.0, dispatch_bytes=2.0, math=uses)
    first = {name: 1.0 if name == tiers[0] else 0.0 for name in tiers}
    tokens: Any = jnp.asarray([shape.numbers.get("num_tokens", 1.0) for shape in shapes])
    return Deployment(
        **dict.fromkeys(("micro_batches", "tp", "kvp", "dp", "pp", "ep"), 1.0),
        batch=tokens,
        formats=formats,
        skew=Skew(expert_weights={}, expert_slots={}, kv=1.0),
        weights_in=first,
        kv_in=first,
        stripe_fraction=1.0,
        overlap=0.0,
        accepted=1.0,
        queries=1.0,
        draft_layers=0.0,
    )
