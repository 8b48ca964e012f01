"""``front.json``: a run's front confirmed in float64, its named designs, real chips beside it."""

import math
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import pandas as pd

from dse.estimate.output import TOLERANCE
from dse.search import archive as archives
from dse.search import compare, confirm, goals
from dse.search.archive import Archive, Row
from dse.search.goals import OBJECTIVES
from dse.search.settings import Settings
from dse.search.space import Family

SCHEMA = "dse.front/1"
ACTIVE = 0.01  # a limit used to within this share is active
SPEEDS = (30.0, 100.0, 300.0, 1000.0)  # user tokens/s at which gains are stated
KEPT = (
    "user_tokens_per_s", "system_tokens_per_s", "system_tokens_per_s_per_w", "tpot_s", "step_s",
    "j_per_token", "power_w", "chip_power_w", "chips", "time_breakdown_s", "energy_breakdown_j",
    "j_per_token_by_scope", "prefill_j_per_output_token", "bottleneck", "critical_path", "capacity",
    "bytes_per_step", "placement", "clock_hz", "voltage_v", "junction_k", "throttled", "area_mm2",
    "silicon_mm2", "mm2_per_token_per_s", "die_power_density_w_per_mm2", "cost_usd",
    "usd_per_million_tokens", "users_in_flight", "load", "extrapolated",
)  # fmt: skip


def front_of(name: str, settings: Settings, archive: Archive, evaluators, state) -> dict[str, Any]:
    """The object of ``front.json``."""
    designs = confirmed_designs(settings, archive, evaluators)
    points = np.array([[d[goal] for goal in OBJECTIVES] for d in designs]).reshape(-1, 2)
    logs = np.log10(goals.points_of(settings.objectives, designs))
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
        **_named(settings),
        "fidelity": settings.fidelity,
        "power_scope": settings.power_scope,
        "seed": settings.search.seed,
        "sampler": settings.search.sampler,
        "trials": state["trials"],
        "trials_feasible": state["feasible"],
        "evaluations": state["evaluations"],
        "objectives": [objective.name for objective in settings.objectives],
        "constraints": _constraints(settings),
        "reference_point": _reference(settings),
        "hypervolume": archives.hypervolume(logs, archive.reference),
        "certificate": None,
        **ends,
        "gain": gains(points, curves),
        "families": {f.name: f.title for f in settings.space.families},
        "designs": designs,
        "compare": curves,
    }


def _named(settings: Settings) -> dict[str, Any]:
    """Models and workloads; of several also how they combine."""
    models = dict.fromkeys((s.model.name, s.model.title) for s in settings.scenarios)
    workloads = dict.fromkeys((s.workload.name, s.workload.title) for s in settings.scenarios)
    named: dict[str, Any] = {
        "model": ", ".join(name for name, _ in models),
        "model_title": " and ".join(title for _, title in models),
        "workload": ", ".join(name for name, _ in workloads),
        "workload_title": " and ".join(title for _, title in workloads),
    }
    if len(settings.scenarios) > 1:
        named["combine"] = settings.combination.combine
        named["scenarios"] = [
            {"scenario": s.name, "model": s.model.name, "workload": s.workload.name,
             "weight": s.weight}
            for s in settings.scenarios
        ]  # fmt: skip
    return named


def _constraints(settings: Settings) -> dict[str, str]:
    found: dict[str, str] = {}
    for limit in settings.constraints:
        both = (found[limit.stem],) if limit.stem in found else ()
        found[limit.stem] = ", ".join((*both, limit.text))
    return found


def _reference(settings: Settings) -> list[float]:
    """As the metrics themselves, in the order of the objectives."""
    pairs = zip(settings.objectives, settings.reference_point, strict=True)
    return [objective.goal(goal) for objective, goal in pairs]


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
        results = zip(*(confirm.confirmed(evaluator.family, pairs, settings.alone(scenario))
                        for scenario in settings.scenarios), strict=True)  # fmt: skip
        for row, (_, choices), each in zip(mine, pairs, results, strict=True):
            if all(result["feasible"] and within(result, settings) for result in each):
                found.append(_design(row, evaluator.family, choices, each, settings))
    points = goals.points_of(settings.objectives, found)
    kept = [d for d, good in zip(found, archives.nondominated(points), strict=True) if good]
    return sorted(kept, key=lambda d: d[OBJECTIVES[0]])


# Where the object of `dse eval --json` calls a metric by another name.
_RESULT_OF = {"die_area_mm2": "area_mm2", "heat_flux_w_per_mm2": "die_power_density_w_per_mm2",
              "bom_usd": "cost_usd", "silicon_per_rate_mm2": "mm2_per_token_per_s"}  # fmt: skip


def metric_of(result: Mapping[str, Any], name: str) -> float:
    """A metric by name, of the object of ``dse eval --json``; not a number where undefined."""
    found = result.get("metrics", {})
    value = found[name] if name in found else result[_RESULT_OF.get(name, name)]
    return math.nan if value is None else float(value)


def _used(result: dict[str, Any], constraint) -> float:
    return metric_of(result, constraint.metric.name)


def within(result: dict[str, Any], settings: Settings) -> bool:
    """Whether the object of ``dse eval --json`` keeps the limits of a study."""
    slack = TOLERANCE
    return all(c.margin(_used(result, c)) <= slack for c in settings.constraints)


def _design(row: Row, family: Family, choices, results, settings: Settings) -> dict[str, Any]:
    result = _combined(results, settings)
    hardware = hardware_of(family, row.values)
    knobs = hardware["knobs"]
    deployment = {name: getattr(choices, name) for name in settings.deployment}
    return {
        "id": row.id,
        "trial": row.trial,
        "family": row.family,
        **{name: result[name] for name in KEPT},
        **{o.name: metric_of(result, o.name) for o in settings.objectives},
        "metrics": {c.metric.name: metric_of(result, c.metric.name) for c in settings.constraints},
        **_by_scenario(results, settings),
        "hardware": hardware,
        "deployment": deployment,
        "formats": {name: result[name] for name in ("weights", "kv", "activations")},
        "knobs_at_bounds": [f"{k['path']} {k['bound']}" for k in knobs if k["bound"]]
        + _grid_ends(deployment, settings),
        "active_constraints": list(
            dict.fromkeys(name for each in results for name in _active(each, settings))
        ),
    }


def _combined(results, settings: Settings) -> dict[str, Any]:
    """One object of several scenarios: of the slowest, with the goals combined over all."""
    if len(results) == 1:
        return results[0]
    found = dict(min(results, key=lambda result: result[OBJECTIVES[0]]))
    for objective in dict.fromkeys((*goals.TWO_GOALS, *settings.objectives)):
        values = [metric_of(result, objective.name) for result in results]
        with jax.enable_x64(True):
            found[objective.name] = float(settings.combination.goal(objective, values))
    found["tpot_s"] = 1 / found["user_tokens_per_s"]
    found["j_per_token"] = 1 / found["system_tokens_per_s_per_w"]
    return found


def _by_scenario(results, settings: Settings) -> dict[str, Any]:
    """What a design does under each of several scenarios."""
    if len(results) == 1:
        return {}
    names = dict.fromkeys(o.name for o in settings.objectives)
    return {
        "breakdowns_of": min(
            zip(settings.scenarios, results, strict=True), key=lambda pair: pair[1][OBJECTIVES[0]]
        )[0].name,
        "scenarios": [
            {"scenario": scenario.name, "model": scenario.model.name,
             "workload": scenario.workload.name, **{name: result[name] for name in KEPT},
             **{name: metric_of(result, name) for name in names}}
            for scenario, result in zip(settings.scenarios, results, strict=True)
        ],
    }  # fmt: skip


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
    pairs = zip(settings.limit_names, settings.constraints, strict=True)
    return limits + [name for name, c in pairs if c.margin(_used(result, c)) >= -ACTIVE]


def table_of(front: dict[str, Any]) -> pd.DataFrame:
    """The front as a table: goals, what people sort by, hardware, deployment."""
    kept = dict.fromkeys((*KEPT, *front["objectives"]))
    plain = [name for name in kept if name not in
             ("time_breakdown_s", "energy_breakdown_j", "j_per_token_by_scope", "critical_path",
              "bytes_per_step", "capacity", "placement", "extrapolated")]  # fmt: skip
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
