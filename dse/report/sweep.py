"""A sweep as tables for people, from the object that ``--json`` prints."""

from collections.abc import Mapping
from typing import Any

from rich.text import Text

from dse.report.tables import quantity, table
from dse.report.whatif import GOALS, ROWS, plain


def sweep(result: Mapping[str, Any]) -> list[Any]:
    """One axis: a line per point; two axes: a grid per goal."""
    if len(result["axes"]) == 1:
        return [_line_per_point(result)]
    return [_grid(result, goal) for goal in GOALS]


def _line_per_point(result: Mapping[str, Any]):
    axis = result["axes"][0]["path"]
    made = table(None, [axis, "user tok/s", "tok/s/W", "time", "energy", "chip power", "batch",
                        "tp", "waits for"], [])  # fmt: skip
    for row in result["points"]:
        style = "" if row["feasible"] else "dim"
        cells = (
            _at(row, result["axes"][0]), quantity(row["user_tokens_per_s"], None),
            quantity(row["system_tokens_per_s_per_w"], None), quantity(row["tpot_s"], "second"),
            quantity(row["j_per_token"], "joule"), quantity(row["chip_power_w"], "watt"),
            f"{row['batch']:g}", f"{row['tp']:g}", _state(row),
        )  # fmt: skip
        made.add_row(*[Text(cell, style=style) for cell in cells])
    made.columns[8].justify = "left"
    return made


def _state(row: Mapping[str, Any]) -> str:
    if row["feasible"]:
        return row["bottleneck"]
    return f"infeasible: {', '.join(item['name'] for item in row['violations'])}"


def _at(row: Mapping[str, Any], axis: Mapping[str, Any]) -> str:
    value = row["values"][axis["path"]]
    return plain(value, axis["unit"]) if isinstance(value, float) else str(value)


def _grid(result: Mapping[str, Any], goal: str):
    down, across = result["axes"]
    width = len(across["values"])
    rows = result["points"]
    made = table(f"{GOALS[goal]} (in brackets: infeasible)",
                 [f"{down['path']} \\ {across['path']}",
                  *[_at(rows[i], across) for i in range(width)]],
                 [])  # fmt: skip
    for start in range(0, len(rows), width):
        cells = [Text(_bracketed(row, goal), style="" if row["feasible"] else "dim")
                 for row in rows[start : start + width]]  # fmt: skip
        made.add_row(_at(rows[start], down), *cells)
    return made


def _bracketed(row: Mapping[str, Any], goal: str) -> str:
    text = quantity(row[goal], None)
    return text if row["feasible"] else f"({text})"


def best_points(result: Mapping[str, Any]) -> str:
    """The feasible point that is best in each goal."""
    said = []
    for goal, label in GOALS.items():
        index = result["best"][goal]
        if index is not None:
            row = result["points"][index]
            at = ", ".join(f"{axis['path']} {_at(row, axis)}" for axis in result["axes"])
            said.append(f"{label}: {quantity(row[goal], ROWS[goal][1])} at {at}")
    return "best        " + "\n            ".join(said) if said else "No point is feasible."
