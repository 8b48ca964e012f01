"""How well one form of an operator's time fits kernels of one chip, library, format and source.

    python benchmarks/kernel_forms.py [--in-turn] [--keep-all] OP_TABLE.csv.gz ...

``t0 + (((memory * passes + activations * a) * cached / eb)^p + (memory * s / blocks)^p
+ (arithmetic / ef)^p)^(1/p) + c * depth + r * routed + wires / el``

Terms that a kind lacks are zero. Slices are those that targets are stated for; constants come from
all kernels alike. Three tenths of the shapes are held out whole, or each tenth in turn. The styles
that ship have one set of constants per generation instead.

Shapes that a kernel cannot have read as stated, for memory would have had to exceed its nameplate,
are set apart unless all are to be kept.
"""

import argparse
import re
import zlib
from typing import NamedTuple

import jax
import numpy as np
from scipy.optimize import least_squares

from dse.estimate import passes
from dse.evidence import ops, tables
from dse.evidence.styles import hardware_of
from dse.specs import library

FEWEST = {"all_reduce": 6}  # rows to fit, else 20
FEWEST_JUDGED = 3
DATACENTRE = ("a100_sxm", "h100_sxm", "b200_sxm", "gb200_nvl72")
TENTHS_HELD_OUT = 3
# What identifies a shape: rows that differ in the other numbers are one shape at other loads.
SHAPE = {"gemm": ("n", "k"), "attention": ("num_heads", "num_key_value_heads", "batch_size"),
         "mla": ("num_heads", "batch_size"), "all_reduce": ("num_gpus", "message_bytes"),
         "moe": ("hidden_size", "inter_size", "topk", "num_experts")}  # fmt: skip
LARGE_BYTES = 64e6  # beyond the last-level caches of these chips
ACTIVATION_BYTES = 2.0
CACHE_ORDER = 4.0  # how fast a cache stops to help a loop over more bytes than it holds
# Latent attention of Blackwell's generated kernels (flashinfer, TensorRT-LLM: fmhaKernels.h) takes
# 16 heads at once up to 32 heads, and all of them beyond.
HEADS_AT_ONCE, MOST_HEADS_SO = 16, 32
# Constant: (start, least, most).
CONSTANTS = {
    "fixed": (1e-5, 1e-8, 1e-3),
    "memory": (0.85, 0.05, 1.5),
    "arithmetic": (0.7, 0.005, 1.5),
    "serial": (2e-7, 1e-10, 1e-4),
    "power": (2.0, 0.05, 30.0),  # p - 1
    "stream": (1.0, 1e-3, 1e3),
    "activations": (1.0, 0.01, 30.0),
    "cache": (0.5, 0.01, 0.9),  # of the time of bytes that it holds, saved
    "reread": (0.3, 1e-3, 2.0),
    "routed": (0.1, 1e-3, 30.0),
    "links": (0.5, 0.01, 2.0),
}
Constants = NamedTuple("Constants", [(name, float) for name in CONSTANTS])


class Given(NamedTuple):
    """What the form takes of a kernel; seconds are at nameplate. Arrays ``[shape]``."""

    memory: np.ndarray  # seconds of weights or KV cache
    beyond: np.ndarray  # of them, seconds of bytes that the last-level cache cannot hold
    arithmetic: np.ndarray  # seconds
    wires: np.ndarray  # seconds
    activations: np.ndarray  # seconds of memory
    routed: np.ndarray  # seconds of memory: activations of all ranks' tokens
    cached: np.ndarray  # 1 where bytes are few beside the last-level cache, 0 where many
    passes: np.ndarray  # over the bytes, beyond the first
    blocks: np.ndarray  # independent parts of the bytes; infinite where they are cut as needed
    depth: np.ndarray  # serial steps


def nameplate(kind, chip, shapes):
    """Seconds of memory, arithmetic and wires at nameplate, and bytes of weights or KV cache."""
    hardware = hardware_of(chip, "", None)
    with jax.enable_x64(True):
        row = ops.row_of(kind, hardware, shapes, passes.reach_of(hardware.style, "sol", 1.0))
    memory = sum(np.asarray(row.lanes_s[name]) for name in hardware.memory)
    wires = row.lanes_s["links"] - row.waits["link stages"][1]  # stages are in the fixed time
    found = [memory, row.lanes_s["compute"], wires, row.bytes["weights"] + row.bytes["kv_cache"]]
    return [np.broadcast_to(np.asarray(x, float), len(shapes)) for x in found]


def numbers(shapes):
    """Columns of a table, ``[shape]``."""
    return {name: np.array([s.numbers[name] for s in shapes]) for name in shapes[0].numbers}


def activation_values(kind, c):
    """Values that a kernel reads and writes besides: of its own tokens, and of all ranks'."""
    if kind == "gemm":
        return c["m"] * (c["n"] + c["k"]), 0.0
    if kind == "attention":
        return 2 * c["batch_size"] * c["num_heads"] * c["head_dim"], 0.0
    if kind == "mla":
        return c["batch_size"] * c["num_heads"] * (ops.LATENT_VALUES + ops.LATENT_OUT), 0.0
    if kind == "moe":
        per_slot = 2 * c["hidden_size"] + 3 * c["inter_size"] / c["moe_tp_size"]
        everywhere = c["num_tokens"] * c["topk"] * per_slot
        return everywhere / c["moe_ep_size"], everywhere
    return 0.0, 0.0


def depth(kind, c):
    """Serial steps: along K of a product, doublings of a context, of slots or of a group."""
    if kind == "gemm":
        return c["k"] / 1024
    if kind == "moe":
        return np.log2(1 + c["num_tokens"] * c["topk"] / c["moe_ep_size"])
    return np.log2(1 + (c["num_gpus"] if kind == "all_reduce" else c["seq_len"] / 128))


def blocks(kind, c):
    """Independent parts of the bytes of a kernel that does not cut one further."""
    if kind == "gemm":
        return c["n"]
    if kind == "attention":
        return c["batch_size"] * c["num_key_value_heads"]
    return c["batch_size"] if kind == "mla" else np.inf


def passes_beyond(kind, chip, c):
    """Passes over the KV cache beyond the first, of kernels that take few heads at once."""
    if kind != "mla" or chip not in ("b200_sxm", "gb200_nvl72"):
        return 0.0
    heads = c["num_heads"]
    return np.where(heads <= MOST_HEADS_SO, np.maximum(heads / HEADS_AT_ONCE, 1) - 1, 0.0)


def given_of(kind, chip, shapes):
    """The form's inputs."""
    c = numbers(shapes)
    memory, arithmetic, wires, size = nameplate(kind, chip, shapes)
    per_byte = np.divide(memory, size, out=np.zeros_like(size), where=size > 0)
    own, everywhere = (v * ACTIVATION_BYTES * per_byte for v in activation_values(kind, c))
    loops = kind in ("attention", "mla")  # over one buffer; products rotate several
    cache = 1e6 * library.read_file(library.locate("chips", chip)).meta["facts"]["l2_mb"]
    cached = loops / (1 + (size / cache) ** CACHE_ORDER)
    beyond = memory - np.minimum(size, cache) * per_byte
    columns = (memory, beyond, arithmetic, wires, own, everywhere, cached,
               passes_beyond(kind, chip, c), blocks(kind, c), depth(kind, c))  # fmt: skip
    return Given(*(np.broadcast_to(x, len(shapes)) for x in columns))


def seconds(values, g):
    """The form, constants as logarithms."""
    k = Constants(*np.exp(values))
    power = 1 + k.power
    moved = g.memory * (1 + k.reread * g.passes) + k.activations * g.activations
    lanes = (moved * (1 - k.cache * g.cached) / k.memory, g.memory * k.stream / g.blocks,
             g.arithmetic / k.arithmetic)  # fmt: skip
    busy = sum(lane**power for lane in lanes) ** (1 / power)
    return k.fixed + busy + k.serial * g.depth + k.routed * g.routed + g.wires / k.links


def fitted(given, measured):
    """Constants, as logarithms, of kernels given."""

    def residuals(values):
        return np.log(seconds(values, given) / measured) / 0.1

    start, least, most = np.log(np.array(list(CONSTANTS.values())).T)
    return least_squares(residuals, start, loss="soft_l1", max_nfev=300, bounds=(least, most)).x


def key_within(kind, shape):
    """What identifies a shape within a fit."""
    return str([shape.numbers[name] for name in SHAPE[kind]])


def tenth(kind, shape):
    """Which tenth of the shapes a shape is of."""
    return zlib.crc32(key_within(kind, shape).encode()) % 100 // 10


def sound(kind, chip, shapes):
    """Shapes without those of which a load took less time than its bytes beyond the cache take."""
    beyond = given_of(kind, chip, shapes).beyond
    wrong = {key_within(kind, s) for s, b in zip(shapes, beyond, strict=True) if b > s.latency_s}
    return [s for s in shapes if key_within(kind, s) not in wrong]


def errors(kind, chip, shapes, held_out):
    """Absolute percentage errors of the tenths held out, a set at a time; None where too few."""
    given = given_of(kind, chip, shapes)
    measured = np.array([s.latency_s for s in shapes])
    tenths = np.array([tenth(kind, s) for s in shapes])
    judged = np.array([is_judged(kind, s) for s in shapes])
    found = []
    for some in held_out:
        out = np.isin(tenths, some)
        test = out & judged
        if not test.any() or (~out).sum() < FEWEST.get(kind, 20):
            continue
        values = fitted(Given(*(x[~out] for x in given)), measured[~out])
        found.append(np.abs(seconds(values, Given(*(x[test] for x in given))) / measured[test] - 1))
    error = np.concatenate([*found, []])
    return error if len(error) >= FEWEST_JUDGED else None


def is_fitted(kind, shape):
    """Whether constants are fitted to a shape: kernels as large, or as wide, as those judged."""
    n = shape.numbers
    if kind == "gemm":
        return n["n"] * n["k"] * 2 >= LARGE_BYTES
    return n["head_dim"] == 128 if kind == "attention" else True


def is_judged(kind, shape):
    """Whether the slice is one that a target is stated for."""
    n = shape.numbers
    return kind != "attention" or 4 <= n["num_heads"] / n["num_key_value_heads"] <= 16


def newest(rows):
    """Rows of the newest version of each library on each system; experts evenly loaded."""
    latest = {}
    for row in rows:
        key = (row.get("system"), row.get("fw"), *(row.get(c) for c in row if c.endswith("_dtype")))
        latest[key] = max(latest.get(key, ()), version(row))
        row["key"] = key
    even = [row for row in rows if tables.word(row, "distribution") in ("", "balanced")]
    return [row for row in even if version(row) == latest[row["key"]]]


def version(row):
    """A version as numbers that compare."""
    return tuple(int(part) for part in re.findall(r"\d+", str(row.get("ver"))))


def key_of(shape):
    """What is fitted alone."""
    group = shape.numbers.get("num_gpus")
    return shape.chip, f"{shape.suite} {shape.kernel}" + (f" x{group:g}" if group else "")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", nargs="+")
    parser.add_argument("--in-turn", action="store_true", help="hold each tenth out in turn")
    parser.add_argument("--keep-all", action="store_true", help="set no shapes apart")
    asked = parser.parse_args()
    held_out = [[n] for n in range(10)] if asked.in_turn else [list(range(TENTHS_HELD_OUT))]
    for path in asked.tables:
        table = tables.read(path)
        table = tables.Table(table.kind, table.origin, newest(table.rows))
        shapes, _ = ops.shapes_of(table)
        found, apart = {}, 0
        shapes = [s for s in shapes if is_fitted(table.kind, s) and s.chip in DATACENTRE]
        for key in sorted({key_of(s) for s in shapes}):
            every = [s for s in shapes if key_of(s) == key]
            some = every if asked.keep_all else sound(table.kind, key[0], every)
            apart += len(every) - len(some)
            error = errors(table.kind, key[0], some, held_out)
            if error is not None:
                found[key] = error
                print(f"  {table.kind:11}{key[0]:12}{key[1][-60:]:61}n {len(error):4}  MAPE "
                      f"{100 * error.mean():5.1f} %  p90 {100 * np.quantile(error, 0.9):5.1f} %",
                      flush=True)  # fmt: skip
        if found:
            means, tails = zip(*((e.mean(), np.quantile(e, 0.9)) for e in found.values()),
                               strict=True)  # fmt: skip
            print(f"{table.kind}: median of {len(found)} fits {100 * np.median(means):.1f} %, "
                  f"p90 {100 * np.median(tails):.1f} %; "
                  f"{apart} of {len(shapes)} rows set apart")  # fmt: skip


if __name__ == "__main__":
    main()
