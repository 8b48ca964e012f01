"""Two or more runs against each other: one reference point, one merged front, equal speeds.

Only stored fronts are read, nothing is evaluated again, so runs must be of one question: the same
goals, models, workloads, fidelity and power scope. What else differs between the studies is said.
"""

import itertools
import math
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dse.metrics import METRICS
from dse.search import archive, goals, staircase
from dse.search.goals import OBJECTIVES, Objective
from dse.search.runs import Run, flat
from dse.specs.schema import SpecError

SCHEMA = "dse.compare/1"
ROUND = (1.0, 3.0)  # user tokens/s at which fronts are compared: 1, 3, 10, 30, ...
ABOUT = ("name", "about")  # keys of a study that no number follows
SPACING = 10**archive.THIN_STORED  # of stored fronts: nearer energies count as equal
CONTENT = "content of "  # a spec file that both runs use
X, Y = OBJECTIVES
# Key of a front -> what must be the same for its numbers to be of one kind.
ALIKE = {
    "objectives": "objectives",
    "model": "models",
    "workload": "workloads",
    "combine": "way to combine scenarios",
    "scenarios": "scenarios",
    "fidelity": "fidelity",
    "power_scope": "power scope",
}


def versus(runs: Sequence[Run], speeds: Sequence[float] | None = None) -> dict[str, Any]:
    """The object of ``dse pareto compare --json``.

    Args:
        runs: two or more, of one question.
        speeds: user tokens/s at which fronts are compared; None: round ones that some run serves.

    Raises:
        SpecError: fewer than two runs, or numbers that are not of one kind, with every reason.
    """
    names = [run.name for run in runs]
    if len(runs) < 2:
        raise SpecError("pareto compare", [f"{len(runs)} run; wanted two or more"])
    fronts = [run.front() for run in runs]
    problems = unlike(names, fronts) + _other_specs(runs)
    if problems:
        raise SpecError("pareto compare", problems)
    objectives = [Objective(METRICS[name]) for name in fronts[0]["objectives"]]
    points = [goals.points_of(objectives, front["designs"]) for front in fronts]
    reference = np.min([_reference(objectives, front) for front in fronts], axis=0)
    return {
        "schema": SCHEMA,
        **{key: fronts[0][key] for key in ("model_title", "workload_title", "fidelity",
                                           "power_scope", "objectives")},
        "reference_point": [o.goal(v) for o, v in zip(objectives, reference.tolist(),
                                                      strict=True)],
        **_volumes(names, fronts, points, np.log10(reference)),
        "attainment": _attainment(fronts, speeds) if _has_both(fronts[0]) else [],
        "leads": _leads(fronts, reference) if _has_both(fronts[0]) else [[] for _ in runs],
        "differences": differences(runs),
    }  # fmt: skip


def unlike(names: Sequence[str], fronts: Sequence[Mapping[str, Any]]) -> list[str]:
    """Why numbers of these fronts are not of one kind; empty where they are."""
    found = []
    for key, word in ALIKE.items():
        said = [front.get(key) for front in fronts]
        if any(value != said[0] for value in said[1:]):
            pairs = "; ".join(f"{name}: {_short(value)}" for name, value in
                              zip(names, said, strict=True))  # fmt: skip
            found.append(f"other {word}, so their numbers are of different kinds: {pairs}")
    return found


def _short(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(v["scenario"] if isinstance(v, dict) else str(v) for v in value)
    return "-" if value is None else str(value)


def _other_specs(runs: Sequence[Run]) -> list[str]:
    """Models and workloads whose files were changed between the runs."""
    files = [run.provenance["spec_files"] for run in runs]
    kinds = ("models/", "workloads/")
    names = sorted({name for found in files for name in found if name.startswith(kinds)})
    return [f"{name}: was changed between the runs, so they are of different ones"
            for name in names
            if len({found[name] for found in files if name in found}) > 1]  # fmt: skip


def _has_both(front: Mapping[str, Any]) -> bool:
    return set(OBJECTIVES) <= set(front["objectives"])


def _reference(objectives: Sequence[Objective], front: Mapping[str, Any]) -> list[float]:
    pairs = zip(objectives, front["reference_point"], strict=True)
    return [objective.goal(value) for objective, value in pairs]


# --- hypervolume and the merged front -------------------------------------------------------------


def _volumes(names, fronts, points: list[np.ndarray], reference: np.ndarray) -> dict[str, Any]:
    """Hypervolumes in log10 from one reference point, and whose designs survive together."""
    logs = [np.log10(each) for each in points]
    whole = archive.hypervolume(np.concatenate(logs), reference)
    alive = survivors(points)
    kept = sum(int(mine.sum()) for mine in alive)
    rows = []
    for name, front, mine, survives in zip(names, fronts, logs, alive, strict=True):
        volume = archive.hypervolume(mine, reference)
        rows.append({
            "run": name,
            "study": front["study"],
            "trials": front["trials"],
            "evaluations": front["evaluations"],
            "seed": front["seed"],
            "hypervolume": volume,
            "share": volume / whole if whole else None,
            "designs": len(front["designs"]),
            "surviving": int(survives.sum()),
            "share_of_merged": float(survives.sum() / kept) if kept else None,
            "best": _best(front),
            "front": _front(front, survives),
        })  # fmt: skip
    return {"hypervolume": whole, "merged_designs": kept, "runs": rows}


def survivors(points: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Which designs of each run no design of another run beats, ``[design]`` each.

    Args:
        points: goals of the designs of each run, ``[design, goal]``.
    """
    found = []
    for index, mine in enumerate(points):
        others = [p for i, p in enumerate(points) if i != index]
        theirs = np.concatenate(others)[None]
        as_good = (theirs >= mine[:, None]).all(axis=2)
        better = (theirs > mine[:, None]).any(axis=2)
        found.append(~np.any(as_good & better, axis=1))
    return found


def _best(front: Mapping[str, Any]) -> dict[str, float | None]:
    """The best value of each objective on a front."""
    found = {}
    for name in front["objectives"]:
        values = [design[name] for design in front["designs"]]
        best = min if METRICS[name].better == "min" else max
        found[name] = best(values) if values else None
    return found


def _front(front: Mapping[str, Any], survives: np.ndarray) -> list[dict[str, Any]]:
    """What is drawn of a front."""
    return [
        {"id": design["id"], "family": design["family"], X: design[X], Y: design[Y],
         "survives": bool(kept)}
        for design, kept in zip(front["designs"], survives, strict=True)
    ]  # fmt: skip


def _leads(fronts, reference: np.ndarray) -> list[list[dict[str, float]]]:
    """Of each run the user speeds that it serves with the least energy, the first of equals."""
    names = fronts[0]["objectives"]
    floor = np.log10([reference[names.index(goal)] for goal in OBJECTIVES])
    curves = [np.log10(goals.points_of(goals.TWO_GOALS, front["designs"])) for front in fronts]
    floor[0] = max(floor[0], min((curve[:, 0].min() for curve in curves if len(curve)),
                                 default=floor[0]))  # fmt: skip
    return [
        [{"from_user_tokens_per_s": 10**low, "to_user_tokens_per_s": 10**high}
         for low, high in spans]
        for spans in staircase.spans(curves, floor)
    ]  # fmt: skip


# --- equal speed, equal energy --------------------------------------------------------------------


def _attainment(fronts, speeds: Sequence[float] | None) -> list[dict[str, Any]]:
    """At each user speed: least energy of each run, and its speed at the first run's energy."""
    found = []
    for speed in speeds or round_speeds(fronts):
        lean = [_leanest(front["designs"], speed) for front in fronts]
        joules = [None if d is None else 1 / d[Y] for d in lean]
        fast = [None if joules[0] is None else _fastest(front["designs"], 1 / joules[0] / SPACING)
                for front in fronts]  # fmt: skip
        rates = [None if d is None else d[X] for d in fast]
        found.append({
            X: float(speed),
            "j_per_token": joules,
            "energy_ratio": [_over(value, joules[0]) for value in joules],
            "designs": [None if d is None else d["id"] for d in lean],
            "speed_at_that_energy": rates,
            "speed_ratio": [_over(value, rates[0]) for value in rates],
        })  # fmt: skip
    return found


def round_speeds(fronts) -> list[float]:
    """1, 3, 10, 30, ... user tokens/s that some run serves and none serves only faster."""
    tops = [design[X] for front in fronts for design in front["designs"]]
    slowest = [min(design[X] for design in front["designs"]) for front in fronts
               if front["designs"]]  # fmt: skip
    if not tops:
        return []
    decades = range(math.floor(math.log10(min(slowest))), math.ceil(math.log10(max(tops))) + 1)
    speeds = [step * 10.0**decade for decade, step in itertools.product(decades, ROUND)]
    return [speed for speed in speeds if min(slowest) <= speed <= max(tops)]


def _leanest(designs, speed: float):
    served = [design for design in designs if design[X] >= speed]
    return max(served, key=lambda design: design[Y]) if served else None


def _fastest(designs, efficiency: float):
    lean = [design for design in designs if design[Y] >= efficiency]
    return max(lean, key=lambda design: design[X]) if lean else None


def _over(value: float | None, first: float | None) -> float | None:
    return None if value is None or not first else value / first


# --- what differs ---------------------------------------------------------------------------------


def differences(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Settings that are not the same in all runs: key, and its value in each (None: not stated)."""
    said = [_settings(run) for run in runs]
    keys = dict.fromkeys(key for found in said for key in found)
    rows = [{"key": key, "values": [found.get(key) for found in said]} for key in keys]
    return [row for row in rows if any(value != row["values"][0] for value in row["values"][1:])
            and not (row["key"].startswith(CONTENT) and None in row["values"])]  # fmt: skip


def _settings(run: Run) -> dict[str, Any]:
    """A study as key -> value, with what the command line and the package add."""
    then = run.provenance
    tree = flat(tomllib.loads((run.folder / "study.toml").read_text("utf-8")))
    found = {key: value for key, value in tree.items() if key not in ABOUT}
    found |= {"search.seed": then["seed"], "search.trials": then["trials"]}
    found["package version"] = then["package_version"]
    files = {f"{CONTENT}{name}": digest[:12] for name, digest in then["spec_files"].items()}
    return found | files
