"""``front.json``: a run's front confirmed in float64, its named designs, real chips beside it."""

from collections import defaultdict
from typing import Any

import numpy as np
import pandas as pd

from dse.estimate.output import TOLERANCE
from dse.search import archive as archives
from dse.search import compare, confirm
from dse.search.archive import Archive, Row
from dse.search.settings import OBJECTIVES, Settings
from dse.search.space import Family

SCHEMA = "dse.front/1"
ACTIVE = 0.01  # a limit used to within this share is active
SPEEDS = (30.0, 100.0, 300.0, 1000.0)  # user tokens/s at which gains are stated
KEPT = (
    "user_tokens_per_s", "system_tokens_per_s", "system_tokens_per_s_per_w", "tpot_s", "step_s",
    "j_per_token", "power_w", "chip_power_w", "chips", "time_breakdown_s", "energy_breakdown_j",
    "j_per_token_by_scope", "prefill_j_per_output_token", "bottleneck", "critical_path", "capacity",
    "placement", "clock_hz", "voltage_v", "junction_k", "throttled", "area_mm2", "silicon_mm2",
    "mm2_per_token_per_s", "die_power_density_w_per_mm2", "cost_usd", "usd_per_million_tokens",
    "users_in_flight", "load", "extrapolated",
)  # fmt: skip


def front_of(name: str, settings: Settings, archive: Archive, evaluators, state) -> dict[str, Any]:
    """The object of ``front.json``."""
    designs = confirmed_designs(settings, archive, evaluators)
    points = np.array([[d[goal] for goal in OBJECTIVES] for d in designs]).reshape(-1, 2)
    logs = np.log10(points)
    curves = [compare.curve(chip, settings) for chip in settings.compare]
    ends = {"high_efficiency_decoder": None, "low_latency_decoder": None, "knee": None}
    if designs:
        ends = {
            "high_efficiency_decoder": designs[int(points[:, 1].argmax())]["id"],
            "low_latency_decoder": designs[int(points[:, 0].argmax())]["id"],
            "knee": designs[archives.knee(logs)]["id"],
        }
    return {
        "schema": SCHEMA,
        "study": settings.name,
        "run": name,
        "about": settings.about,
        "model": settings.model.name,
        "model_title": settings.model.title,
        "workload": settings.workload.name,
        "workload_title": settings.workload.title,
        "fidelity": settings.fidelity,
        "power_scope": settings.power_scope,
        "seed": settings.search.seed,
        "sampler": settings.search.sampler,
        "trials": state["trials"],
        "trials_feasible": state["feasible"],
        "evaluations": state["evaluations"],
        "objectives": list(OBJECTIVES),
        "constraints": {c.stem: c.text for c in settings.constraints},
        "reference_point": list(settings.reference_point),
        "hypervolume": archives.hypervolume(logs, archive.reference),
        "certificate": None,
        "certificate_note": "this release does not bound how far from optimal the front can be",
        **ends,
        "gain": gains(points, curves),
        "families": {f.name: f.title for f in settings.space.families},
        "designs": designs,
        "compare": curves,
    }


def gains(points: np.ndarray, curves: list[dict[str, Any]]) -> dict[str, Any]:
    """The front's ends over the best real chip in each goal, and at equal user speeds."""
    found: dict[str, Any] = {}
    for column, goal in enumerate(OBJECTIVES):
        best = compare.best_of(curves, goal)
        ratio = float(points[:, column].max()) / best[goal] if best and len(points) else None
        found[goal] = {"ratio": ratio, "over": best}
    found["at_equal_speed"] = [
        {"user_tokens_per_s": speed, "ratio": compare.gain_at(points, curves, speed)}
        for speed in SPEEDS
    ]
    return found


def confirmed_designs(settings: Settings, archive: Archive, evaluators) -> list[dict[str, Any]]:
    """Thinned designs, evaluated again; those float64 finds infeasible or dominated are left."""
    _, rows = archive.thinned()
    of_family: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        of_family[row.family].append(row)
    found = []
    for name, mine in of_family.items():
        evaluator = evaluators[name]
        pairs = [(row.values, evaluator.grid.choices[row.point]) for row in mine]
        results = confirm.confirmed(evaluator.family, pairs, settings)
        for row, (_, choices), result in zip(mine, pairs, results, strict=True):
            if result["feasible"] and _within(result, settings):
                found.append(_design(row, evaluator.family, choices, result, settings))
    goals = np.array([[d[goal] for goal in OBJECTIVES] for d in found]).reshape(-1, 2)
    kept = [d for d, good in zip(found, archives.nondominated(goals), strict=True) if good]
    return sorted(kept, key=lambda d: d[OBJECTIVES[0]])


_RESULT_OF = {"chip_power": "chip_power_w", "silicon": "silicon_mm2", "die_area": "area_mm2",
              "heat_flux": "die_power_density_w_per_mm2", "bom": "cost_usd", "power": "power_w",
              "silicon_per_rate": "mm2_per_token_per_s", "junction": "junction_k",
              "tpot": "tpot_s", "usd_per_million_tokens": "usd_per_million_tokens"}  # fmt: skip


def _used(result: dict[str, Any], constraint) -> float:
    name = constraint.metric.name
    return float(result[name] if name in result else result[_RESULT_OF[constraint.stem]])


def _within(result: dict[str, Any], settings: Settings) -> bool:
    slack = TOLERANCE
    return all(c.margin(_used(result, c)) <= slack for c in settings.constraints)


def _design(row: Row, family: Family, choices, result, settings: Settings) -> dict[str, Any]:
    hardware = hardware_of(family, row.values)
    knobs = hardware["knobs"]
    deployment = {name: getattr(choices, name) for name in settings.deployment}
    return {
        "id": row.id,
        "trial": row.trial,
        "family": row.family,
        **{name: result[name] for name in KEPT},
        "hardware": hardware,
        "deployment": deployment,
        "formats": {name: result[name] for name in ("weights", "kv", "activations")},
        "knobs_at_bounds": [f"{k['path']} {k['bound']}" for k in knobs if k["bound"]]
        + _grid_ends(deployment, settings),
        "active_constraints": _active(result, settings),
    }


def hardware_of(family: Family, values) -> dict[str, Any]:
    """A piece of hardware as results state it: base chip, choices, and each knob with its unit."""
    found = confirm.settings_of(family, values)
    knobs = [
        {"path": axis.path, "field": axis.field, "value": found[axis.path], "unit": axis.unit,
         "bound": axis.bound_hit(found[axis.path]), "origin": axis.origin}
        for axis in family.axes
    ]  # fmt: skip
    return {
        "base": family.base,
        "choices": dict(family.choices),
        "knobs": knobs,
        **{knob["field"]: knob["value"] for knob in knobs},
    }


def _grid_ends(deployment: dict[str, Any], settings: Settings) -> list[str]:
    """Deployment choices at the top of their grid: a wider one might serve better."""
    return [
        f"{name} high"
        for name, value in deployment.items()
        if not isinstance(value, str)
        and len(settings.deployment[name]) > 1
        and value == max(settings.deployment[name])
    ]


def _active(result: dict[str, Any], settings: Settings) -> list[str]:
    limits = [
        name
        for name, limit in result["limits"].items()
        if limit["allowed"] and limit["used"] >= limit["allowed"] * (1 - ACTIVE)
    ]
    return limits + [c.stem for c in settings.constraints if c.margin(_used(result, c)) >= -ACTIVE]


def table_of(front: dict[str, Any]) -> pd.DataFrame:
    """The front as a table: goals, what people sort by, hardware, deployment."""
    plain = [name for name in KEPT if name not in
             ("time_breakdown_s", "energy_breakdown_j", "j_per_token_by_scope", "critical_path",
              "capacity", "placement", "extrapolated")]  # fmt: skip
    lines = []
    for design in front["designs"]:
        knobs = {k["field"]: k["value"] for k in design["hardware"]["knobs"]}
        parts = {f"{part}_s": value for part, value in design["time_breakdown_s"].items()}
        parts |= {f"{part}_j": value for part, value in design["energy_breakdown_j"].items()}
        lines.append(
            {"id": design["id"], "family": design["family"]}
            | {name: design[name] for name in plain}
            | design["deployment"]
            | knobs
            | parts
            | {"active_constraints": ", ".join(design["active_constraints"])}
            | {"knobs_at_bounds": ", ".join(design["knobs_at_bounds"])}
        )
    return pd.DataFrame(lines)
