"""The op table as plain rows: what each operator moves and computes, and how near light it runs."""

from typing import Any

import jax

from dse.estimate.passes import Row
from dse.estimate.step import Design, Scenario, op_table
from dse.smooth import ratio
from dse.work.table import Op


def op_rows(design: Design, scenario: Scenario, fidelity: str) -> list[dict[str, Any]]:
    """One row per operator of a pass of one micro-batch on one chip of a stage.

    ``light_speed_fraction`` is what memory and arithmetic need at nameplate rates over the time
    the operator takes. ``bound_by`` is the part of its time that is longest.
    """
    with jax.enable_x64(True):
        rows, _, _, ops = op_table(design, scenario, fidelity)
        light = op_table(design, scenario, "sol")[0]
        return [_plain(*line) for line in zip(ops, rows, light, strict=True)]


def rates(design: Design, scenario: Scenario) -> dict[str, dict[str, float]]:
    """Nameplate rates of one chip: FLOP/s by arithmetic, bytes/s by memory tier and link domain."""
    with jax.enable_x64(True):
        resources = op_table(design, scenario, "sol")[1]
        seconds = {name: float(value) for name, value in resources.seconds.items()}
    arithmetic = {"vector": seconds["vector"]} | {
        name.removeprefix("tensor_"): value for name, value in seconds.items()
        if name.startswith("tensor_")
    }  # fmt: skip
    tables = {
        "flops_per_s": arithmetic,
        "memory_bytes_per_s": {name: seconds[name] for name in resources.tiers},
        "link_bytes_per_s": {name: seconds[name] for name in resources.fabrics},
    }
    return {key: {name: 1 / per for name, per in table.items() if per > 0}
            for key, table in tables.items()}  # fmt: skip


def _plain(op: Op, row: Row, best: Row) -> dict[str, Any]:
    layers = float(op.layers)
    parts = {part: layers * float(seconds) for part, seconds in row.parts_s.items()}
    total = layers * float(row.seconds)
    return {
        "op": op.name,
        "part": op.part,
        "layers": layers,
        "flops": layers * float(row.flops),
        "bytes": {source: layers * float(size) for source, size in row.bytes.items()},
        "messages": layers * float(row.waits["link stages"][0]),
        "seconds": total,
        "time_breakdown_s": parts,
        "light_speed_fraction": float(ratio(best.busy_s, row.seconds)),
        "bound_by": max(parts, key=parts.__getitem__) if total > 0 else "nothing",
    }
