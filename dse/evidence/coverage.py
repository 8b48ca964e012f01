"""Whether the 80 % bands hold what was measured: each row predicted over draws of the constants.

The draws are those of ``dse eval`` (`dse.questions.ranges`), under the framework that a row names.
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from dse.estimate.evaluate import interpreted
from dse.estimate.step import Design
from dse.evidence import tables
from dse.evidence.columns import case_of, column
from dse.evidence.points import LeftOutError, Point
from dse.evidence.validate import energy_prefill, read_points, time_prefill
from dse.questions import ranges
from dse.specs import library, load

DRAWS = 64
FIELDS = {"tpot_s": "tpot_s", "power_w": "chip_power_w", "j_per_token": "j_per_token"}


def coverage(points: Sequence[Point], draws: int = DRAWS) -> list[dict[str, Any]]:
    """One row per point and measured metric: the ends of its band, and whether it holds.

    Points whose split cannot be built are passed over.
    """
    rows = []
    for point in points:
        for prefill, metrics in ((time_prefill(point), ("tpot_s",)),
                                 (energy_prefill(point), ("power_w", "j_per_token"))):  # fmt: skip
            wanted = [metric for metric in metrics if metric in point.measured]
            if wanted:
                rows += _banded(point, prefill, wanted, draws)
    return rows


def _banded(point: Point, prefill: str, metrics: list[str], draws: int) -> list[dict[str, Any]]:
    chip = _loaded(point.chip, point.framework, point.limit_w)
    try:
        (design, scenario) = case_of(point, prefill)
    except LeftOutError:
        return []
    with jax.enable_x64(True), np.errstate(all="ignore"):
        hardware = _drawn(point.chip, point.framework, point.limit_w, draws)
        drawn = Design(hardware, design.deployment)
        estimate = interpreted(drawn, scenario, "calibrated", "accelerator")
    rows = []
    for metric in metrics:
        values = column(getattr(estimate, FIELDS[metric]), draws)
        low, high = ranges.ends(values * ranges.left_over_of(chip, metric, draws)) or (0.0, 0.0)
        value = point.measured[metric]
        rows.append({"metric": metric, "chip": point.chip, "model": point.model,
                     "id": point.identity, "low": low, "high": high, "measured": value,
                     "holds": low <= value <= high})  # fmt: skip
    return rows


@functools.cache
def _loaded(chip: str, host: str, limit_w: float | None) -> load.Loaded:
    changes = [] if limit_w is None else [("tdp", f"{limit_w:g} W")]
    plain = load.load("chips", chip, changes)
    known = host in library.folder_of("frameworks") and plain.spec.style.framework is not None
    return load.load("chips", chip, [*changes, ("style.framework", host)]) if known else plain


@functools.cache
def _drawn(chip: str, host: str, limit_w: float | None, draws: int):
    loaded = _loaded(chip, host, limit_w)
    return ranges.hardware_drawn(loaded, loaded.spec, (), draws)[0]


def shares(rows: Sequence[dict[str, Any]], keys: Sequence[str]) -> list[dict[str, Any]]:
    """Share of rows that their band holds, by group."""
    groups: dict[tuple, list[bool]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row["holds"])
    return [dict(zip(keys, group, strict=True)) | {"n": len(held), "held": float(np.mean(held))}
            for group, held in sorted(groups.items())]  # fmt: skip


def of_files(paths: Sequence[str]) -> list[dict[str, Any]]:
    """Shares by metric and chip, and of all chips, of tables of decode steps or the shipped one."""
    given = [tables.read(path) for path in paths] or [tables.shipped()]
    rows = [row for table in given if table.kind == "decode"
            for row in coverage(read_points(table.rows)[0])]  # fmt: skip
    everything = [share | {"chip": "all"} for share in shares(rows, ("metric",))]
    return [*everything, *shares(rows, ("metric", "chip"))]
