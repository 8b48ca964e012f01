"""The op table as plain rows: what each operator moves and computes, and how near light it runs."""

import functools
from typing import Any

import jax

from dse.estimate.step import Design, Scenario, op_table
from dse.smooth import ratio


def op_rows(design: Design, scenario: Scenario, fidelity: str) -> list[dict[str, Any]]:
    """One row per operator of a pass of one micro-batch on one chip of a stage.

    ``light_speed_fraction`` is what memory and arithmetic need at nameplate rates over the time
    the operator takes. ``bound_by`` is the part of its time that is longest.
    """
    with jax.enable_x64(True):
        rows = _compiled(fidelity)(design, scenario)
    names = _names(design, scenario)
    return [_plain(name, jax.tree.map(float, row)) for name, row in zip(names, rows, strict=True)]


def _plain(name: str, row: dict[str, Any]) -> dict[str, Any]:
    parts = row["time_breakdown_s"]
    layers = row["layers"]
    total = layers * row["layer_s"]
    return {
        "op": name,
        "layers": layers,
        "flops": layers * row["flops"],
        "bytes": {source: layers * size for source, size in row["bytes"].items()},
        "messages": layers * row["messages"],
        "seconds": total,
        "time_breakdown_s": {part: layers * seconds for part, seconds in parts.items()},
        "light_speed_fraction": row["light_speed_fraction"],
        "bound_by": max(parts, key=parts.__getitem__) if total > 0 else "nothing",
    }


def _names(design: Design, scenario: Scenario) -> list[str]:
    from dse.work.decode import decode_ops

    with jax.enable_x64(True):
        ops: list[Any] = []

        def traced(design, scenario):
            ops.extend(decode_ops(scenario.model, scenario.context, design.deployment))
            return 0

        jax.eval_shape(traced, design, scenario)
    return [op.name for op in ops]


@functools.cache
def _compiled(fidelity: str):
    def table(design: Design, scenario: Scenario) -> list[dict[str, Any]]:
        rows = op_table(design, scenario, fidelity)[0]
        light = op_table(design, scenario, "sol")[0]
        return [
            {
                "layers": row.op.layers,
                "flops": row.flops,
                "bytes": row.bytes,
                "messages": row.stages,
                "layer_s": row.seconds,
                "time_breakdown_s": row.parts_s,
                "light_speed_fraction": ratio(best.busy_s, row.seconds),
            }
            for row, best in zip(rows, light, strict=True)
        ]

    return jax.jit(table)
