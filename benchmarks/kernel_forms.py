"""How well the form of an operator's time fits kernels of one chip, library and format.

    python benchmarks/kernel_forms.py OP_TABLE.csv.gz ...

``t0 + ((memory (1 + idle / work) / eb)^p + (arithmetic / ef)^p)^(1/p) + serial * depth + wires``,
seven constants per chip, library and format, as tables come; all-reduce per group size too. Work is
independent blocks that fill a chip. Slices are those that targets are stated for. Three tenths of
the shapes are held out whole. The styles that ship have one set of constants per generation.
"""

import argparse
import re
import zlib

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import least_squares

from dse.estimate import passes
from dse.evidence import ops, tables
from dse.evidence.styles import hardware_of
from dse.resources.provision import provision

FEWEST = {"all_reduce": 12}
DATACENTRE = ("a100_sxm", "h100_sxm", "b200_sxm", "gb200_nvl72")
HELD_OUT = 0.3
# What identifies a shape: rows that differ in the other numbers are one shape at other loads.
SHAPE = {"gemm": ("n", "k"), "attention": ("num_heads", "num_key_value_heads", "head_dim"),
         "mla": ("num_heads", "batch_size"), "all_reduce": ("num_gpus", "message_bytes"),
         "moe": ("hidden_size", "inter_size", "topk", "num_experts")}  # fmt: skip
LARGE_BYTES = 64e6  # beyond the last-level caches of these chips


def nameplate(kind, chip, shapes):
    """Seconds of memory, arithmetic and wires at nameplate."""
    hardware = hardware_of(chip, "", None)
    make, needed = ops.OPS[kind]
    with jax.enable_x64(True):
        numbers = {n: jnp.asarray([s.numbers[n] for s in shapes]) for n in needed}
        deployment = ops._deployment(list(hardware.compute), list(hardware.memory), shapes)
        reach = passes.reach_of(hardware.style, "sol", 1.0)
        row = passes.row(make(numbers), deployment, provision(hardware), reach)
    memory = sum(np.asarray(row.lanes_s[name]) for name in hardware.memory)
    wires = row.lanes_s["links"] - row.waits["link stages"][1]  # stages are in the fixed time
    found = [memory, row.lanes_s["compute"], wires]
    return [np.broadcast_to(np.asarray(x, float), len(shapes)) for x in found]


def depth(kind, shapes):
    """Serial steps of a kernel: along K of a product, doublings of a context or of a group."""
    pick = {"gemm": ("k", 1024.0), "attention": ("seq_len", 128.0), "mla": ("seq_len", 128.0),
            "moe": ("num_tokens", 1.0), "all_reduce": ("num_gpus", 1.0)}[kind]  # fmt: skip
    values = np.array([s.numbers[pick[0]] for s in shapes]) / pick[1]
    return values if kind == "gemm" else np.log2(1 + values)


def work(kind, shapes):
    """Independent blocks of a kernel."""
    names = {"gemm": ("n",), "attention": ("batch_size", "num_key_value_heads"),
             "mla": ("batch_size",), "moe": ("num_tokens", "topk"),
             "all_reduce": ()}[kind]  # fmt: skip
    return np.array([np.prod([s.numbers[name] for name in names]) for s in shapes], float)


def seconds(values, memory, arithmetic, links, deep, blocks):
    """The form, constants as logarithms."""
    fixed, eb, ef, serial, link, power, idle = np.exp(values)
    power, memory = 1 + power, memory * (1 + idle / blocks)
    busy = ((memory / eb) ** power + (arithmetic / ef) ** power) ** (1 / power)
    return fixed + busy + serial * deep + links / link


def held_out(kind, shapes):
    """Which shapes are held out, whole."""
    keys = [str([s.numbers[name] for name in SHAPE[kind]]) for s in shapes]
    return np.array([zlib.crc32(key.encode()) % 100 < 100 * HELD_OUT for key in keys])


def errors(kind, chip, shapes):
    """Absolute percentage errors of the shapes held out; None where too few."""
    out = held_out(kind, shapes)
    least = FEWEST.get(kind, 40)
    if len(shapes) < least or not 3 <= out.sum() <= len(shapes) - least / 2:
        return None
    given = [*nameplate(kind, chip, shapes), depth(kind, shapes),
             work(kind, shapes)]  # fmt: skip
    measured = np.array([s.latency_s for s in shapes])

    def residuals(values):
        found = seconds(values, *(x[~out] for x in given))
        return np.log(found / measured[~out]) / 0.1

    start = np.log([5e-6, 0.85, 0.7, 2e-7, 0.5, 2.0, 1.0])
    done = least_squares(residuals, start, loss="soft_l1", max_nfev=300,
                         bounds=(np.log([1e-8, 0.05, 0.02, 1e-10, 0.01, 0.05, 1e-3]),
                                 np.log([1e-3, 1.5, 1.5, 1e-4, 2.0, 30.0, 1e3])))  # fmt: skip
    return np.abs(seconds(done.x, *(x[out] for x in given)) / measured[out] - 1)


def is_large(kind, shape):
    """Whether the slice is one that a target is stated for."""
    n = shape.numbers
    if kind == "gemm":
        return n["n"] * n["k"] * 2 >= LARGE_BYTES
    if kind == "attention":
        return n["head_dim"] == 128 and 4 <= n["num_heads"] / n["num_key_value_heads"] <= 16
    return n["num_heads"] >= 16 if kind == "mla" else True


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
    return shape.chip, shape.suite + (f" x{group:g}" if group else "")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", nargs="+")
    for path in parser.parse_args().tables:
        table = tables.read(path)
        table = tables.Table(table.kind, table.origin, newest(table.rows))
        shapes, _ = ops.shapes_of(table)
        found = {}
        shapes = [s for s in shapes if is_large(table.kind, s) and s.chip in DATACENTRE]
        for key in sorted({key_of(s) for s in shapes}):
            some = [s for s in shapes if key_of(s) == key]
            error = errors(table.kind, key[0], some)
            if error is not None:
                found[key] = error
                print(f"  {table.kind:11}{key[0]:16}{key[1]:28} n {len(error):4}  MAPE "
                      f"{100 * error.mean():5.1f} %  p90 {100 * np.quantile(error, 0.9):5.1f} %",
                      flush=True)  # fmt: skip
        if found:
            means = [error.mean() for error in found.values()]
            print(f"{table.kind}: median of {len(means)} fits {100 * np.median(means):.1f} %")


if __name__ == "__main__":
    main()
