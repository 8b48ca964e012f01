"""Which technology earns what: each taken away from the named decoders in turn.

Links, pipeline and voltage are taken away by evaluating a decoder's own hardware again without
them, over the study's whole deployment grid: knobs are held, the deployment is chosen again. A
memory is taken away by looking at the families that lack it, each searched by itself.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from dse.questions import breakeven, ranges
from dse.questions.case import Case
from dse.search import confirm, designs
from dse.search.deployments import Grid, grid
from dse.search.settings import OBJECTIVES, Settings
from dse.specs import load
from dse.specs.errors import SpecError

X, Y = OBJECTIVES
DECODERS = (("high_efficiency_decoder", Y), ("low_latency_decoder", X))
MEMORIES = {"dram": "stacked DRAM", "sram": "SRAM at the macros"}
STANDARD = ("topology", "in_network_reduction", "lanes", "lane_rate", "radix")


def ladder(front, settings: Settings, evaluators, alone) -> dict[str, Any]:
    """Families by themselves, and both decoders with one technology taken away at a time."""
    by_id = {design["id"]: design for design in front["designs"]}
    titles = front["families"]
    families = [
        {"family": name, "title": titles[name], **_ends(points)}
        for name, points in alone.items()
    ]  # fmt: skip
    return {
        "families": families,
        "taken_away": [_rungs(by_id[front[key]], goal, settings, evaluators, alone)
                       for key, goal in DECODERS],
    }  # fmt: skip


def _ends(points: list[dict[str, Any]]) -> dict[str, float | None]:
    if not points:
        return {X: None, Y: None}
    return {goal: max(point[goal] for point in points) for goal in OBJECTIVES}


def _rungs(design, goal: str, settings: Settings, evaluators, alone) -> dict[str, Any]:
    held = evaluators[design["family"]].family.loaded.spec.memory
    rows = [_row(f"no {word}", _without(memory, goal, evaluators, alone), design, goal, "searched")
            for memory, word in MEMORIES.items() if memory in held]  # fmt: skip
    base, changes = design["hardware"]["base"], designs.overrides_of(design)
    points = _grid(load.load("chips", base, changes), settings)
    for word, settle in _held(settings, design).items():
        more, kept = settle()
        value = _served(base, [*changes, *more], points, kept, settings, goal)
        rows.append(_row(word, value, design, goal, "knobs held"))
    return {"id": design["id"], "goal": goal, "value": design[goal], "rungs": rows}


def _row(word: str, value: float | None, design, goal: str, how: str) -> dict[str, Any]:
    lost = None if not value else design[goal] / value
    return {"without": word, "how": how, "value": value, "factor": lost}


def _without(memory: str, goal: str, evaluators, alone) -> float | None:
    values = [
        point[goal]
        for name, points in alone.items()
        if memory not in evaluators[name].family.loaded.spec.memory
        for point in points
    ]
    return max(values, default=None)


def _held(settings: Settings, design) -> dict[str, Callable]:
    """What is taken away -> changes of the chip, and which deployments are left."""
    found: dict[str, Callable] = {}
    has_links = design["hardware"]["base"] != settings.conventional
    if settings.conventional and has_links:
        found["standard links"] = lambda: (_standard_links(settings), None)
    if max(settings.deployment.get("pp", (1,))) > 1:
        found["no spatial pipeline"] = lambda: ([], "pp")
    found["nominal voltage, same clock"] = lambda: (_nominal(design), None)
    return found


def _standard_links(settings: Settings) -> list[tuple[str, str]]:
    """The links of the conventional arm as its spec states them."""
    chip = load.load("chips", str(settings.conventional))
    link = chip.spec.link["scale_up"]
    texts = {key: chip.record[f"link.scale_up.{key}"].text for key in STANDARD[1:]}
    return [(f"link.scale_up.{key}", value) for key, value in
            {"topology": link.topology, **texts}.items()]  # fmt: skip


def _nominal(design) -> list[tuple[str, str]]:
    """The rail at the nominal voltage of the process, the clock as it was found."""
    base = load.load("chips", design["hardware"]["base"], designs.overrides_of(design))
    nominal = base.record["nominal_voltage"].text
    return [("voltage", nominal), ("clock", f"{design['clock_hz']!r} Hz")]


def _grid(chip: load.Loaded, settings: Settings) -> Grid:
    silicon = settings.bound("silicon")
    spec: Any = chip.spec
    chips = np.inf if silicon is None else silicon / (spec.die_mm2 * spec.dies) * (1 + 1e-9)
    return grid(spec, settings.model.spec, settings.workload.spec, settings.deployment,
                {"chips": chips})  # fmt: skip


def _served(base, changes, points: Grid, one: str | None, settings: Settings,
            goal: str) -> float | None:  # fmt: skip
    """The best value of a goal that a chip reaches on a grid, or None where nothing is feasible."""
    try:
        chip = load.load("chips", base, changes)
    except SpecError:
        return None
    estimate, count = confirm.on_grid(chip.spec, points, settings), len(points)
    good = confirm.fits(estimate, count)
    for constraint in settings.constraints:
        used = confirm.column(constraint.metric.of(estimate), count)
        good &= constraint.margin(used) <= 1e-9
    if one is not None:
        good &= confirm.column(getattr(points.columns, one), count) == 1
    values = confirm.column(getattr(estimate, goal), count)
    good &= np.isfinite(values)
    return float(values[good].max()) if good.any() else None


# --- break-even -----------------------------------------------------------------------------------


def break_evens(ours: Case, theirs: Case, goal: str, claim: float, base) -> list[dict[str, Any]]:
    """Where a gain begins or ceases to be the claim, for each constant that it goes with most.

    A searched baseline has the constant too, and it moves with ours; measured silicon keeps its.
    """
    spread, other = ranges.spread(ours), ranges.spread(theirs)
    with np.errstate(all="ignore"):
        ratio = spread.goals[goal] / other.goals[goal]
    return [_break_even(item["path"], ours, theirs, goal, claim, base)
            for item in ranges.telling(spread, ratio)]  # fmt: skip


def _break_even(path: str, ours: Case, theirs: Case, goal, claim, base) -> dict[str, Any]:
    stated = ours.chip.record[path]
    shared = base["searched"] and path in theirs.chip.record

    def gain(factor: float) -> float | None:
        change = [(path, f"{factor:.15f}x")]
        try:
            mine = ours.changed(change).estimate()
            other = (theirs.changed(change) if shared else theirs).estimate()
        except SpecError:
            return None
        return float(getattr(mine, goal)) / float(getattr(other, goal))

    def holds(factor: float) -> bool | None:
        value = gain(factor)
        return None if value is None else value >= claim

    now = bool(holds(1.0))
    ends = [breakeven.crossing(holds, now, end)
            for end in (breakeven.FARTHEST, 1 / breakeven.FARTHEST)]  # fmt: skip
    values = [None if factor is None else factor * stated.number for factor in ends]
    return {
        "goal": goal, "over": base["title"], "claim": claim, "now": gain(1.0), "holds_now": now,
        "path": path, "value": stated.number, "unit": load.numeric_unit(ours.chip, path) or "",
        "range": [stated.low, stated.high], "upward": values[0], "downward": values[1],
    }  # fmt: skip
