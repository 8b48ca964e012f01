"""The model against measurement: every usable row predicted, errors by chip, model and regime."""

import collections
import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from dse.evidence import columns, ops, scores, tables
from dse.evidence.points import LeftOutError, Point, is_finite, point_of
from dse.evidence.styles import calibrated_on
from dse.evidence.tables import Table

SCHEMA = "dse.validate/1"
METRICS = ("tpot_s", "power_w", "j_per_token", "latency_s")
# Power and joules were measured over whole runs: prompts of new requests are inside them.
ENERGY_PREFILL = {"moe_disaggregated": "disaggregated"}


@dataclasses.dataclass(frozen=True)
class Validation:
    """Rows with prediction and measurement, and the rows left out."""

    rows: list[dict[str, Any]]  # metric, chip, model, suite, predicted, measured, calibrated_on, id
    left_out: collections.Counter[str]

    def to_dict(self) -> dict[str, Any]:
        """The object of ``dse validate --json``."""
        keys = ("metric", "chip", "model", "suite", "calibrated_on")
        overall = scores.grouped(self.rows, ("metric",))
        families = scores.grouped(self.rows, ("metric", "chip", "calibrated_on"))
        return {
            "schema": SCHEMA,
            "groups": scores.grouped(self.rows, keys),
            "overall": sorted(overall, key=lambda g: METRICS.index(g["metric"])),
            "chips": sorted(families, key=lambda g: METRICS.index(g["metric"])),
            "left_out": [{"reason": r, "n": n} for r, n in self.left_out.most_common()],
        }


def validate(table: Table, fidelity: str = "calibrated") -> Validation:
    """Predict every usable row of a table."""
    if table.kind != "decode":
        return Validation(*ops.predicted(table))
    points, left_out = read_points(table.rows)
    points = _decoding(points, fidelity)
    rows: list[dict[str, Any]] = []
    steps = _cases(points, [time_prefill(p) for p in points], left_out)
    rows += _predictions(steps, {"tpot_s": "tpot_s"}, fidelity, left_out)
    charged = [p for p in points if set(p.measured) - {"tpot_s"}]
    runs = _cases(charged, [energy_prefill(p) for p in charged], collections.Counter())
    fields = {"power_w": "chip_power_w", "j_per_token": "j_per_token"}
    rows += _predictions(runs, fields, fidelity, collections.Counter())
    return Validation(rows, left_out)


def _decoding(points: list[Point], fidelity: str) -> list[Point]:
    """Points at the batch that decodes, where the stated one counts those awaiting a first token.

    The time per token that share depends on is the predicted one, at the stated batch.
    """
    waiting = [i for i, point in enumerate(points) if point.first_token_s > 0]
    some = [points[i] for i in waiting]
    made = _cases(some, [time_prefill(p) for p in some], collections.Counter())
    times = columns.estimated([case for _, case in made], ["tpot_s"], fidelity)["tpot_s"]
    found = {id(p): p.decoding(float(t)) for (p, _), t in zip(made, times, strict=True)}
    return [found.get(id(point), point) for point in points]


def read_points(
    rows: Sequence[dict[str, Any]],
) -> tuple[list[Point], collections.Counter[str]]:
    """Operating points of the rows that can be read, and the reasons for the others."""
    points, left_out = [], collections.Counter()
    seen: set[str] = set()
    for row in rows:
        try:
            key = json.dumps({k: str(v) for k, v in row.items()}, sort_keys=True)
            if key in seen:
                raise LeftOutError("a copy of another row")
            seen.add(key)
            points.append(point_of(row))
        except LeftOutError as reason:
            left_out[str(reason)] += 1
    return points, left_out


def time_prefill(point: Point) -> str:
    """How prompts enter the time per token of a row."""
    return "interleaved" if point.prefill_in_time else "ignored"


def energy_prefill(point: Point) -> str:
    """How prompts enter its power and joules."""
    return ENERGY_PREFILL.get(point.suite, "interleaved")


def _cases(points: Sequence[Point], prefills: Sequence[str], left_out: collections.Counter[str]):
    made = []
    for point, prefill in zip(points, prefills, strict=True):
        try:
            made.append((point, columns.case_of(point, prefill)))
        except LeftOutError as reason:
            left_out[str(reason)] += 1
    return made


def _predictions(
    made, fields: dict[str, str], fidelity: str, left_out: collections.Counter[str]
) -> list[dict[str, Any]]:
    """One row per point and metric it has a measurement of."""
    found = columns.estimated([case for _, case in made], fields.values(), fidelity)
    rows = []
    for index, (point, _) in enumerate(made):
        for metric, field in fields.items():
            predicted = float(found[field][index])
            if not is_finite({metric: predicted}):
                left_out["its prediction is beyond floating point: lengths or batch too large"] += 1
            elif metric in point.measured:
                rows.append({
                    "metric": metric, "chip": point.chip, "model": point.model,
                    "suite": point.suite, "calibrated_on": calibrated_on(point, metric),
                    "id": point.identity, "predicted": predicted,
                    "measured": point.measured[metric],
                })  # fmt: skip
    return rows


def of_files(paths: Sequence[str], fidelity: str = "calibrated") -> Validation:
    """All tables together; the shipped one if none is named."""
    given = [tables.read(path) for path in paths] or [tables.shipped()]
    done = [validate(table, fidelity) for table in given]
    left_out: collections.Counter[str] = collections.Counter()
    for part in done:
        left_out.update(part.left_out)
    return Validation([row for part in done for row in part.rows], left_out)
