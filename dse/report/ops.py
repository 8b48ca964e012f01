"""The op table as plain rows: what each operator moves and computes, and how near light it runs."""

from typing import Any

import jax

from dse.estimate.passes import Row
from dse.estimate.step import Design, Scenario, op_table
from dse.smooth import ratio


def op_rows(design: Design, scenario: Scenario, fidelity: str) -> list[dict[str, Any]]:
    """One row per operator of a pass of one micro-batch on one chip of a stage.

    ``light_speed_fraction`` is what memory and arithmetic need at nameplate rates over the time
    the operator takes. ``bound_by`` is the part of its time that is longest.
    """
    with jax.enable_x64(True):
        rows = op_table(design, scenario, fidelity)[0]
        light = op_table(design, scenario, "sol")[0]
        return [_plain(row, best) for row, best in zip(rows, light, strict=True)]


def _plain(row: Row, best: Row) -> dict[str, Any]:
    layers = float(row.op.layers)
    parts = {part: layers * float(seconds) for part, seconds in row.parts_s.items()}
    total = layers * float(row.seconds)
    return {
        "op": row.op.name,
        "part": row.op.part,
        "layers": layers,
        "flops": layers * float(row.flops),
        "bytes": {source: layers * float(size) for source, size in row.bytes.items()},
        "messages": layers * float(row.stages),
        "seconds": total,
        "time_breakdown_s": parts,
        "light_speed_fraction": float(ratio(best.busy_s, row.seconds)),
        "bound_by": max(parts, key=parts.__getitem__) if total > 0 else "nothing",
    }
