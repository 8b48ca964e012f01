"""Which technology earns what: each taken away from the named decoders in turn.

Links, pipeline and voltage are taken away by evaluating a decoder's own hardware again without
them, over the study's whole deployment grid: knobs are held, the deployment is chosen again. A
memory is taken away by looking at the families that lack it, each searched by itself.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from dse.estimate.step import Design
from dse.questions import ranges
from dse.questions.case import Case
from dse.questions.knobs import knobs_of
from dse.search import confirm, designs
from dse.search.deployments import Grid
from dse.search.settings import OBJECTIVES, Settings
from dse.specs import load
from dse.specs.errors import SpecError

X, Y = OBJECTIVES
DECODERS = (("high_efficiency_decoder", Y), ("low_latency_decoder", X))
MEMORIES = {"dram": "stacked DRAM", "sram": "SRAM at the macros"}
BEYOND = 10.0  # times the ends of its range that a constant with a unit is moved
STEPS, LOOKS = 33, 4  # values a look, looks for one turning
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
    points = evaluators[design["family"]].grid
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
    found = []
    for item in ranges.telling(spread, ratio):
        gain = _Gain(ours, theirs if base["searched"] else None, theirs, goal, item["path"])
        found.append(gain.turning(claim) | {"goal": goal, "over": base["title"], "claim": claim})
    return found


class _Gain:
    """A gain as a function of one constant of ours, and of theirs where both have it."""

    def __init__(self, ours: Case, moved: Case | None, theirs: Case, goal: str, path: str):
        self.knob = next(knob for knob in knobs_of(ours.chip) if knob.path == path)
        self._goal = goal
        self._ours, self._moved, self._theirs = ours, moved, theirs

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """The gain at values of the constant, [value]; nan where it cannot be computed."""
        mine = self._along(self._ours, values)
        other = self._along(self._moved or self._theirs, values if self._moved else values[:0])
        with np.errstate(all="ignore"):
            return mine / other

    def _along(self, case: Case, values: np.ndarray) -> np.ndarray:
        design, scenario = case.prepared
        found, tree = jax.tree.flatten(design.hardware)
        leaves: list[Any] = list(found)
        for knob in knobs_of(case.chip):
            if knob.path == self.knob.path and len(values):
                leaves[knob.index] = values * (knob.value / self.knob.value)
        moved = Design(jax.tree.unflatten(tree, leaves), design.deployment)
        return np.asarray(getattr(case.run(moved, scenario), self._goal), float)

    def turning(self, claim: float) -> dict[str, Any]:
        """Now, and the nearest values up and down at which the answer to the claim turns."""
        knob = self.knob
        low, high = float(knob.low or 0.0), float(knob.high or knob.value)
        ends = {"upward": high, "downward": low}
        if knob.unit:  # shares and exponents mean nothing beyond their range
            ends = {"upward": high * BEYOND, "downward": max(low, knob.value / BEYOND) / BEYOND}
        now = float(self(np.array([knob.value]))[0])
        return {
            "now": now, "holds_now": now >= claim, "path": knob.path, "value": knob.value,
            "unit": knob.unit or "", "range": [knob.low, knob.high],
            **{way: self._turn(knob.value, end, claim, now >= claim) for way, end in ends.items()},
        }  # fmt: skip

    def _turn(self, near: float, far: float, claim: float, now: bool) -> float | None:
        """Where the answer turns on the way to ``far``: a first look, then between two values."""
        for _ in range(LOOKS):
            values = np.linspace(near, far, STEPS)
            gains = self(values)
            turned = np.flatnonzero((gains >= claim) != now)
            if not len(turned) or turned[0] == 0 or not np.isfinite(gains[: turned[0] + 1]).all():
                return None
            near, far = float(values[turned[0] - 1]), float(values[turned[0]])
        return (near + far) / 2
