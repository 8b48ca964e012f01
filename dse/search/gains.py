"""What a run gained over every chip it is compared with, in five ways, and how sure that is.

Ratios of energy and of speed mean something only once the comparison is fixed, so all of them are
stated: best against best energy per token, energy at equal user speeds, top speed, speed at equal
energy, and the share of draws of the constants in which a gain is ten or more. Baselines are the
chips that the study compares, and the study's conventional arm, which the same search optimized.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dse.estimate.prepare import Choices
from dse.questions import ranges
from dse.questions.case import Case
from dse.search import batch, designs, ladder
from dse.search.archive import Archive, nondominated
from dse.search.front import confirmed_designs
from dse.search.runs import Run, model_changes
from dse.search.settings import OBJECTIVES, Settings
from dse.specs import load
from dse.specs.schema import SpecError

SCHEMA = "dse.gains/1"
CLAIM = 10.0
SPEEDS = (100.0, 300.0, 1000.0)
X, Y = OBJECTIVES
NAMED = (("High Efficiency Decoder", Y), ("Low Latency Decoder", X))


def gains(run: Run) -> dict[str, Any]:
    """The object of ``dse gains --json``.

    Raises:
        SpecError: no trial has finished, or specs or package are not what they were.
    """
    settings = run.settings()
    check_unchanged(run, settings)
    front = run.front()
    if not front["designs"]:
        raise SpecError(run.name, ["no design on its front"])
    evaluators = batch.evaluators(settings)
    alone = families_alone(run, settings, evaluators)
    ours = front["designs"]
    baselines = [*compared(front), *conventional(settings, alone)]
    return {
        "schema": SCHEMA,
        "run": run.name,
        "study": settings.name,
        **{key: front[key] for key in ("model_title", "workload_title", "fidelity", "power_scope",
                                       "constraints", "seed", "trials")},
        "claim": CLAIM,
        "baselines": [_against(ours, base, settings) for base in baselines],
        "breakdowns": breakdowns(ours, baselines),
        "ladder": ladder.ladder(front, settings, evaluators, alone),
        "break_even": _carried(ours, baselines, settings),
        "binds": [_binding(name, best(ours, goal)) for name, goal in NAMED],
    }  # fmt: skip


def check_unchanged(run: Run, settings: Settings) -> None:
    """Refuse to evaluate designs again where they would come out otherwise now.

    Raises:
        SpecError: each spec file that changed, or the package.
    """
    changes = model_changes(run, settings)
    if changes:
        raise SpecError(run.name, [*changes, "its designs cannot be evaluated again; start a "
                                             "fresh run: dse run STUDY"])  # fmt: skip


def best(points: Sequence[dict[str, Any]], goal: str) -> dict[str, Any]:
    """The point best in one goal."""
    return max(points, key=lambda point: point[goal])


# --- who is compared ------------------------------------------------------------------------------


def families_alone(run: Run, settings: Settings, evaluators) -> dict[str, list[dict[str, Any]]]:
    """The front of each family alone, confirmed in float64."""
    points, rows = run.competed(settings)
    found = {}
    for name in evaluators:
        mine = [i for i, row in enumerate(rows) if row.family == name]
        archive = Archive(settings.reference_point)
        archive.add(points[mine], [rows[i] for i in mine])
        found[name] = confirmed_designs(settings, archive, evaluators)
    return found


def compared(front: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every chip that a run is compared with, and its operating points.

    The title says how many chips they use: of an NVL72's 72, whose splits are powers of two, 64.
    """
    return [
        {"name": curve["chip"], "title": f"up to {_most_chips(curve):g} x {curve['title']}",
         "searched": False, "points": curve["points"]}
        for curve in front["compare"] if curve["points"]
    ]  # fmt: skip


def _most_chips(curve: Mapping[str, Any]) -> float:
    return max(point["chips"] for point in curve["points"])


def conventional(settings: Settings, alone) -> list[dict[str, Any]]:
    """The conventional arm: the same search on standard memory and links."""
    names = settings.conventional_families
    points = [design for name in names for design in alone[name]]
    goals = np.array([[point[goal] for goal in OBJECTIVES] for point in points]).reshape(-1, 2)
    kept = [p for p, good in zip(points, nondominated(goals), strict=True) if good]
    if not kept:
        return []
    title = next(f.title for f in settings.space.families if f.name == names[0])
    return [{"name": settings.conventional, "title": f"same search: {title}", "searched": True,
             "points": kept}]  # fmt: skip


def case_of(point: Mapping[str, Any], name: str, settings: Settings) -> Case:
    """What evaluates a point again: a design of the run, or a chip by name."""
    if "hardware" in point:
        base, changes = point["hardware"]["base"], designs.overrides_of(point)
        choices = Choices(**point["deployment"])
    else:
        base, changes = name, []
        choices = Choices(**{key: point[key] for key in settings.deployment})
    chip = load.load("chips", base, changes)
    return Case(chip, settings.model, settings.workload, choices, settings.fidelity,
                settings.power_scope)  # fmt: skip


# --- five ways ------------------------------------------------------------------------------------


def _against(ours, base: dict[str, Any], settings: Settings) -> dict[str, Any]:
    theirs = base["points"]
    return {
        "name": base["name"],
        "title": base["title"],
        "searched": base["searched"],
        **five_ways(ours, theirs),
        "chances": {goal: _chance(best(ours, goal), best(theirs, goal), base["name"], goal,
                                  settings) for goal in OBJECTIVES},
    }  # fmt: skip


def five_ways(ours: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Four ratios of two fronts; the fifth, a chance, is `_chance`. Energy in joules per token."""
    lean = best(theirs, Y)
    return {
        "energy": _energies(best(ours, Y), lean),
        "energy_at_speed": [{"user_tokens_per_s": speed, **_energy_at(ours, theirs, speed)}
                            for speed in SPEEDS],
        "top_speed": _speeds(best(ours, X), best(theirs, X)),
        "speed_at_equal_energy": {"j_per_token": 1 / lean[Y],
                                  **_speeds(_fastest(ours, lean[Y]), lean)},
    }  # fmt: skip


def _energies(mine, other) -> dict[str, float | None]:
    joules = [None if point is None else 1 / point[Y] for point in (mine, other)]
    ratio = None if mine is None or other is None else mine[Y] / other[Y]
    return {"ratio": ratio, "ours_j_per_token": joules[0], "theirs_j_per_token": joules[1]}


def _speeds(mine, other) -> dict[str, float | None]:
    return {
        "ratio": None if mine is None else mine[X] / other[X],
        "ours_tokens_per_s": None if mine is None else mine[X],
        "theirs_tokens_per_s": other[X],
    }


def _energy_at(ours, theirs, speed: float) -> dict[str, float | None]:
    """Least energy of both among points that serve a speed or more."""
    served = [[p for p in points if p[X] >= speed] for points in (ours, theirs)]
    return _energies(*[best(points, Y) if points else None for points in served])


def _fastest(points, efficiency: float) -> dict[str, Any] | None:
    lean = [point for point in points if point[Y] >= efficiency]
    return best(lean, X) if lean else None


def _chance(mine, other, name: str, goal: str, settings: Settings) -> dict[str, Any]:
    """Paired draws of the constants: what both sides share takes the same quantile on both.

    Designs and deployments are held: none is chosen again for the constants drawn.
    """
    ours, theirs = (ranges.spread(case_of(p, name, settings)) for p in (mine, other))
    with np.errstate(all="ignore"):
        ratio = ours.goals[goal] / theirs.goals[goal]
    ends = ranges.ends(ratio) or [None, None]
    return {
        "low": ends[0],
        "nominal": mine[goal] / other[goal],
        "high": ends[1],
        "at_least_claim": float(np.mean(ratio >= CLAIM)),
        "within_limits": float(np.mean(ours.feasible)),
        "draws": len(ratio),
        "telling": ranges.telling(ours, ratio),
    }


# --- where time and energy go ---------------------------------------------------------------------


def breakdowns(ours, baselines) -> list[dict[str, Any]]:
    """Shares of both named decoders and of both ends of every baseline, in both denominators."""
    found = [breakdown(name, best(ours, goal)) for name, goal in NAMED]
    for base in baselines:
        for goal, word in ((Y, "most efficient"), (X, "fastest")):
            found.append(breakdown(f"{base['title']}, {word}", best(base["points"], goal)))
    return found


def breakdown(name: str, point: dict[str, Any]) -> dict[str, Any]:
    """Shares of energy and time, of all and in the narrower denominators.

    Those are data movement alone for energy, and links against memory and compute for time.
    """
    joules, seconds = point["energy_breakdown_j"], point["time_breakdown_s"]
    moved = {part: joules.get(part) or 0.0 for part in ("weights", "kv_cache", "communication")}
    worked = sum(seconds.get(part) or 0.0 for part in ("weights", "kv_cache", "compute"))
    linked = (seconds.get("communication") or 0.0) + (seconds.get("overhead") or 0.0)
    return {
        "name": name,
        "j_per_token": 1 / point[Y],
        "tpot_s": 1 / point[X],
        "energy_fraction": _shares(joules),
        "movement_fraction": _shares(moved),
        "time_fraction": _shares(seconds),
        "waiting_fraction": _shares({"communication": linked, "memory and compute": worked}),
    }


def _shares(parts: dict[str, float | None]) -> dict[str, float]:
    whole = sum(value or 0.0 for value in parts.values())
    return {name: (value or 0.0) / whole if whole else 0.0 for name, value in parts.items()}


def _binding(name: str, design: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "id": design["id"],
        "family": design["family"],
        **{key: design[key] for key in ("bottleneck", "active_constraints", "knobs_at_bounds",
                                        "extrapolated", "prefill_j_per_output_token", "chips",
                                        "silicon_mm2", "users_in_flight", "load")},
    }  # fmt: skip


# --- what carries the result ----------------------------------------------------------------------


def _carried(ours, baselines, settings: Settings) -> list[dict[str, Any]]:
    """Break-even values of the constants that a gain goes with most, for both goals.

    Against the best chip compared the claim is a gain of ten; against the conventional arm, any.
    """
    found = []
    for _, goal in NAMED:
        for searched, claim in ((False, CLAIM), (True, 1.0)):
            group = [base for base in baselines if base["searched"] is searched]
            if group:
                base = max(group, key=lambda b: best(b["points"], goal)[goal])
                found += ladder.break_evens(
                    case_of(best(ours, goal), "", settings),
                    case_of(best(base["points"], goal), base["name"], settings),
                    goal, claim, base,
                )  # fmt: skip
    return found
