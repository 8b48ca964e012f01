"""What a stage of a link takes, part by part, and what the links of a chip cost."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from dse.estimate.step import Design
from dse.report import tables
from dse.resources import links
from dse.resources.provision import provision


def link_rows(design: Design) -> list[dict[str, Any]]:
    """One row per link domain of a chip: latency by part, bandwidth, and its price.

    ``parts_s`` is empty where the chip's spec states the latency of a stage (shipped chips: a
    measurement); power, edge, area and money are of one chip.
    """
    hardware, deployment = design
    resources = provision(hardware, deployment.chips)
    rows = []
    for name, fabric in resources.fabrics.items():
        link = hardware.link[name]
        parts: dict[str, float] = {}
        if link.latency_s is None and fabric.reach_m is not None:
            lane = link.lane_rate_bytes_per_s
            lane = link.technology.reference_lane_bytes_per_s if lane is None else lane
            found = links.latency_parts(link, fabric.reach_m, lane)
            parts = {part: float(seconds) for part, seconds in found.items()}
        rows.append({
            "link": name, "stage_s": float(fabric.stage_s), "parts_s": parts,
            "bytes_per_s": float(fabric.bytes_per_s), "always_on_w": float(fabric.always_on_w),
            "switch_w": float(fabric.switch_w), "edge_mm": float(fabric.edge_mm),
            "area_mm2": float(fabric.area_mm2), "cost_usd": float(fabric.cost_usd),
        })  # fmt: skip
    return rows


def table(result: Mapping[str, Any]) -> Table | None:
    """The rows of ``dse explain --json`` for people; none where a chip has no link."""
    rows = []
    for row in result.get("links", ()):
        parts = [f"{part.replace('_', ' ')} {tables.quantity(seconds, 'second')}"
                 for part, seconds in row["parts_s"].items() if seconds]  # fmt: skip
        rows.append((row["link"], tables.quantity(row["stage_s"], "second"),
                     " + ".join(parts) or "as its spec states",
                     tables.quantity(row["bytes_per_s"], "byte / second"),
                     tables.quantity(row["always_on_w"] + row["switch_w"], "watt"),
                     tables.quantity(row["edge_mm"], "mm"),
                     tables.quantity(row["area_mm2"], "mm**2"),
                     tables.quantity(row["cost_usd"], "usd")))  # fmt: skip
    if not rows:
        return None
    columns = ("link", "stage", "of which", "bandwidth", "always on", "die edge", "PHY area",
               "switches")  # fmt: skip
    made = tables.table("Price of the links, one chip", columns, rows)
    made.columns[2].justify = "left"
    return made
