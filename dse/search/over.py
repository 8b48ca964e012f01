"""The front of a study at each value of one of its limits: where weights go, and which family wins.

Each value gets a gradient phase of its own, from random designs and from what the tighter values
found: a modest budget, since nothing is compiled again. Every design found anywhere, a run's own
among them, then competes at every value whose limits it keeps, in float64, so that a looser limit
never looks worse, nor the run's own limit worse than the run.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from dse import metrics, units
from dse.search import archive as archives
from dse.search import batch, polish, versus, warm
from dse.search.archive import Archive
from dse.search.front import confirmed_designs, within
from dse.search.goals import OBJECTIVES, points_of
from dse.search.runs import Run
from dse.search.settings import Constraint, Settings
from dse.specs.errors import SpecError, nearest

SCHEMA = "dse.fronts/1"
ROUNDS = 4  # of the gradient phase at each value; a run takes six and trials after them
HANDED_ON = 64  # designs of each family that the next value starts from
MOST_SPEEDS = 8
X, Y = OBJECTIVES
KEPT = (
    "family", "user_tokens_per_s", "system_tokens_per_s_per_w", "j_per_token", "tpot_s", "chips",
    "silicon_mm2", "users_in_flight", "load", "power_w", "chip_power_w", "mm2_per_token_per_s",
    "usd_per_million_tokens", "bottleneck", "voltage_v", "hardware", "deployment", "formats",
    "extrapolated",
)  # fmt: skip


class Limited(NamedTuple):
    """A study under each value of one limit."""

    constraint: Constraint  # at the first value
    texts: tuple[str, ...]
    settings: tuple[Settings, ...]  # from the tightest value to the loosest


def limited(study: Settings, stem: str, values: Sequence[str]) -> Limited:
    """The studies of a sweep over a limit.

    Args:
        study: what is searched; a limit it has on the metric is replaced.
        stem: of the metric, as constraints name it.
        values: with units.

    Raises:
        SpecError: no such metric, or values that are not of its unit.
    """
    metric = metrics.by_stem(stem)
    if metric is None:
        known = [m.stem for m in metrics.METRICS.values()]
        raise SpecError("--over", [f"{stem!r} is no metric, and a study is swept over a limit on "
                                   f"one{nearest(stem, known)}"])  # fmt: skip
    problems, limits = [], []
    stated = [c.sense for c in study.constraints if c.stem == metric.stem]
    sense = stated[0] if stated else ">=" if metric.better == "max" else "<="
    for text in values:
        try:
            allowed = units.parse(text, metric.quantity)
        except units.UnitError as error:
            problems.append(f"{stem}: {error}")
            continue
        if allowed <= 0:
            problems.append(f"{stem}: {text!r}: the limit must be above zero")
        shown = units.show(allowed, metric.quantity)
        limits.append(Constraint(metric.stem, sense, allowed, f"{sense} {shown}"))
    if problems:
        raise SpecError("--over", list(dict.fromkeys(problems)))
    limits.sort(key=lambda limit: limit.allowed, reverse=sense == ">=")
    limits = [c for i, c in enumerate(limits) if not i or c.allowed != limits[i - 1].allowed]
    return Limited(limits[0], tuple(c.text.partition(" ")[2] for c in limits),
                   tuple(_under(study, limit) for limit in limits))  # fmt: skip


def _under(study: Settings, limit: Constraint) -> Settings:
    """The study with a limit of its own kind replaced, or added."""
    others = [c for c in study.constraints if (c.stem, c.sense) != (limit.stem, limit.sense)]
    return dataclasses.replace(study, constraints=(*others, limit))


def fronts_over(
    given: Limited, rounds: int = ROUNDS, speeds: Sequence[float] | None = None,
    run: Run | None = None, say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:  # fmt: skip
    """The object of ``dse sweep STUDY --over LIMIT=...``.

    Args:
        given: the study under each value.
        rounds: of the gradient phase at each value.
        speeds: user tokens/s to say the winner at; None: round ones.
        run: a run of the study, from whose designs the search starts.
        say: told of each value when it begins.
    """
    loosest = given.settings[-1]
    _needs_both_goals(loosest)
    pool = _searched(given, rounds, run, say)
    fronts = [_front(pool, settings) for settings in given.settings]
    speeds = list(speeds or _speeds(fronts))
    points = [_point(settings, text, front, speeds) for settings, text, front in
              zip(given.settings, given.texts, fronts, strict=True)]  # fmt: skip
    metric = given.constraint.metric
    return {
        "schema": SCHEMA,
        "study": loosest.name,
        "model_title": loosest.model.title,
        "workload_title": loosest.workload.title,
        "fidelity": loosest.fidelity,
        "power_scope": loosest.power_scope,
        "constraints": {c.stem: c.text for c in loosest.constraints
                        if c.stem != given.constraint.stem},
        "seed": loosest.search.seed,
        "rounds": rounds,
        "axis": {"path": given.constraint.stem, "metric": metric.name, "label": metric.label,
                 "sense": given.constraint.sense, "unit": metric.quantity or ""},
        "families": {f.name: f.title for f in loosest.space.families},
        "speeds": speeds,
        "points": points,
        "turns": [_turns(points, index) for index in range(len(speeds))],
        "feasible": any(fronts),
    }  # fmt: skip


def _needs_both_goals(settings: Settings) -> None:
    names = [objective.name for objective in settings.objectives]
    if not set(OBJECTIVES) <= set(names):
        raise SpecError(settings.name, [f"a sweep of fronts is of {' and '.join(OBJECTIVES)}; this "
                                        f"study has {', '.join(names)}"])  # fmt: skip


# --- the search -----------------------------------------------------------------------------------


def _searched(given: Limited, rounds: int, run: Run | None, say) -> list[dict[str, Any]]:
    """Confirmed designs found at any value."""
    loosest = given.settings[-1]
    evaluators = batch.evaluators(loosest)
    polishers = {name: polish.Polisher(e) for name, e in evaluators.items()}
    say(f"compiling {len(evaluators)} families")
    warm.compile_all(evaluators, polishers)
    known = _of_run(run, evaluators)
    pool = [] if run is None else [d for d in run.front()["designs"] if "bytes_per_step" in d]
    for settings, text in zip(given.settings, given.texts, strict=True):
        say(f"{given.constraint.stem} {given.constraint.sense} {text}")
        here = {name: e.under(settings) for name, e in evaluators.items()}
        moves = {name: p.under(settings) for name, p in polishers.items()}
        phase = warm.Warm(here, moves, settings, settings.search.seed, known)
        phase.run(rounds)
        known = _handed_on(known, phase.archive)
        pool += confirmed_designs(settings, _in_units(phase.archive, here, settings), here)
    return pool


def _of_run(run: Run | None, evaluators) -> dict[str, np.ndarray]:
    """Designs of a run's front in the unit cube, for families that are still searched alike."""
    found: dict[str, np.ndarray] = {}
    for design in [] if run is None else run.front()["designs"]:
        family = evaluators[design["family"]].family
        values = {knob["path"]: knob["value"] for knob in design["hardware"]["knobs"]}
        shares = family.unit_cube(np.array([[values[axis.path] for axis in family.axes]]))
        inside = np.clip(shares, 0, 1)
        before = found.get(family.name)
        found[family.name] = inside if before is None else np.concatenate([before, inside])
    return {name: _some(shares) for name, shares in found.items()}


def _handed_on(known: Mapping[str, np.ndarray], found: Archive) -> dict[str, np.ndarray]:
    """What the next value starts from: what this one found, and for other families as before."""
    first: dict[tuple, None] = dict.fromkeys((row.family, row.values) for row in found.rows)
    fresh: dict[str, list[tuple[float, ...]]] = {}
    for family, values in first:
        fresh.setdefault(family, []).append(values)
    return {**known, **{name: _some(np.array(rows)) for name, rows in fresh.items()}}


def _some(shares: np.ndarray) -> np.ndarray:
    """At most so many rows, spread evenly."""
    if len(shares) <= HANDED_ON:
        return shares
    return shares[np.linspace(0, len(shares) - 1, HANDED_ON).round().astype(int)]


def _in_units(found: Archive, evaluators, settings: Settings) -> Archive:
    """An archive of the unit cube as one of values in SI."""
    rows = [row._replace(values=tuple(
        evaluators[row.family].family.from_unit_cube(np.array([row.values]))[0]))
        for row in found.rows]  # fmt: skip
    made = Archive(settings.reference_point)
    made.add(found.points, rows)
    return made


# --- what is said ---------------------------------------------------------------------------------


def _front(pool: list[dict[str, Any]], settings: Settings) -> list[dict[str, Any]]:
    """The designs of a pool that keep a study's limits and that no other of them beats."""
    good = [d for d in pool if all(within(r, settings) for r in d.get("scenarios", [d]))]
    kept = archives.nondominated(points_of(settings.objectives, good))
    found = [d for d, keeps in zip(good, kept, strict=True) if keeps]
    return sorted(found, key=lambda design: design[X])


def _speeds(fronts) -> list[float]:
    rounded = versus.round_speeds([{"designs": front} for front in fronts])
    return rounded[-MOST_SPEEDS:]


def _point(settings: Settings, text: str, front, speeds: Sequence[float]) -> dict[str, Any]:
    """One value of the limit: its front, and the winner at each speed."""
    logs = np.log10(points_of(settings.objectives, front))
    reference = np.log10(settings.reference_point)
    named = {"most_efficient": max(front, key=lambda d: d[Y], default=None),
             "fastest": max(front, key=lambda d: d[X], default=None)}  # fmt: skip
    return {
        "value": settings.constraints[-1].allowed,
        "text": text,
        "hypervolume": archives.hypervolume(logs, reference) if front else 0.0,
        **{name: None if design is None else stated(design) for name, design in named.items()},
        "winners": [_winner(front, speed) for speed in speeds],
        "front": [{X: d[X], Y: d[Y], "family": d["family"]} for d in front],
    }  # fmt: skip


def _winner(front, speed: float) -> dict[str, Any] | None:
    """The design of least energy at a user speed or faster; None where none is so fast."""
    served = [design for design in front if design[X] >= speed]
    return stated(max(served, key=lambda design: design[Y])) if served else None


def stated(design: Mapping[str, Any]) -> dict[str, Any]:
    """A design with its placement map: residence and read rate of every memory tier."""
    weights, cache = (design["placement"][what] for what in ("weights", "kv_cache"))
    read = design["bytes_per_step"]
    step_s = design["step_s"]
    tiers = {
        tier: {
            "weights_fraction": weights.get(tier, 0.0),
            "kv_cache_fraction": cache.get(tier, 0.0),
            "resident_bytes": held["used_bytes"] * design["chips"],
            "capacity_bytes": held["capacity_bytes"] * design["chips"],
            "read_bytes_per_s": (read["weights"] * weights.get(tier, 0.0)
                                 + read["kv_cache"] * cache.get(tier, 0.0)) / step_s,
        }
        for tier, held in design["capacity"].items()
    }  # fmt: skip
    return {
        **{key: design[key] for key in KEPT},
        "most_weights_in": max(weights, key=lambda tier: weights[tier]),
        "tiers": tiers,
    }


def _turns(points: Sequence[Mapping[str, Any]], index: int) -> list[dict[str, Any]]:
    """At one speed: stretches of the limit over which one family wins with weights in one tier."""
    found: list[dict[str, Any]] = []
    for point in points:
        winner = point["winners"][index]
        if winner is None:
            continue
        key = {"family": winner["family"], "most_weights_in": winner["most_weights_in"]}
        if found and all(found[-1][name] == word for name, word in key.items()):
            found[-1]["to"] = point["value"]
        else:
            found.append({**key, "from": point["value"], "to": point["value"]})
    return found
