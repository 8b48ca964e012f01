"""Bounds for a finished run: level by level, what no design can beat, and what limits are worth.

Where a bound leaves room, the convex program says where: its solution starts a polish, and what
that finds joins the run. So certifying a run also closes it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from dse.resources import logic
from dse.search import aims, confirm, polish, refine
from dse.search.archive import Row, nondominated
from dse.search.batch import Evaluator
from dse.search.certificate import Bound, Level, bound
from dse.search.convex import CELLS, ConvexForm, violations
from dse.search.study import Search

LN10 = np.log(10.0)
SEGMENTS = 2048  # random segments that test whether a structure is convex
OPEN = 6  # deployments polished at a level where a bound leaves room
CLOSING = 3  # rounds of bounding and polishing at a level
OURS = ("pace", "clock")  # limits that stand for laws, not for anything one could buy
WORTH = 1e-3  # natural logarithm: a design so little better is not kept


class Branch(NamedTuple):
    """A family whose weights lie in the fast memory to some share, and a radix of its links."""

    family: str
    form: ConvexForm
    cell: tuple[float, float, float]
    points: np.ndarray  # deployments it matters for
    convex: bool


class Certified(NamedTuple):
    """One level."""

    level: Level
    bound: Bound  # of energy
    branch: Branch  # where that is
    both: float  # the larger of the logarithms of both goals, less what was found, at least
    limits: dict[str, Any]  # of the best design found: used, allowed, unit
    sound: bool  # whether every branch that matters here is convex

    @property
    def gap(self) -> float:
        """Share of the energy per token that a design as fast could save at most."""
        return float(-np.expm1(-max(self.level.log_joules - self.bound.least, 0.0)))

    @property
    def gap_in_both(self) -> float:
        """By what share a design could be better in each of both goals at most."""
        return float(-np.expm1(min(self.both, 0.0)))


def certify(search: Search, levels: int, report: Callable[[str], None]) -> dict[str, Any]:
    """The certificate of a run, improving its front on the way.

    Args:
        search: a run with trials, of a refined sampler.
        levels: how many speeds of the front to bound at.
        report: takes a line for people.
    """
    branches = _branches(search)
    for branch in branches:
        if not branch.convex:
            report(f"{branch.family} {branch.cell}: not convex, locally optimal only")
    found = []
    for speed in _speeds(search, levels):
        certified = _closed(search, branches, speed)
        report(f"{np.exp(speed):>10,.0f} tok/s  {np.exp(certified.level.log_joules) * 1e3:.4g} mJ  "
               f"no design below {np.exp(certified.bound.least) * 1e3:.4g} mJ  "
               f"gap {certified.gap:.2%}, in both goals {certified.gap_in_both:.2%}")  # fmt: skip
        found.append(certified)
    return _summary(found, branches)


def _branches(search: Search) -> list[Branch]:
    rng = np.random.default_rng(0)
    found = []
    for name, evaluator in search.evaluators.items():
        form = ConvexForm(evaluator)
        points = rng.integers(0, len(evaluator.grid), SEGMENTS)
        for shares in CELLS if form.has_cells else CELLS[:1]:
            for radix in form.radixes():
                cell = (*shares, radix)
                convex = max(violations(form, points, cell).values()) == 0
                found.append(Branch(name, form, cell, form.points_for(radix), bool(convex)))
    return found


def _speeds(search: Search, levels: int) -> np.ndarray:
    """Speeds of designs spread over the front, both ends among them; natural logarithms."""
    speeds = search.archive.points[:, 0]
    wanted = np.linspace(speeds[0], speeds[-1], levels)
    return LN10 * np.unique(speeds[[int(np.abs(speeds - w).argmin()) for w in wanted]])


def _level(search: Search, speed: float) -> Level:
    logs = search.archive.points * LN10
    return Level(speed, float(-logs[logs[:, 0] >= speed - 1e-6, 1].max()))


def _closed(search: Search, branches: list[Branch], speed: float) -> Certified:
    """Bound a level; where room is left, polish there and bound again."""
    for number in range(CLOSING):
        level = _level(search, speed)
        bounds = [(bound(b.form, b.cell, b.points, _places(search, b, speed), level), b)
                  for b in branches]  # fmt: skip
        if number == CLOSING - 1 or not any(len(b.left) for b, _ in bounds):
            break
        before = level.log_joules
        for found, branch in bounds:
            _polish(search, branch, found, speed)
        if _level(search, speed).log_joules > before - WORTH:
            break
    least, branch = min(bounds, key=lambda pair: pair[0].least)
    sound = all(b.convex for b in branches)
    level = _level(search, speed)
    both = min(bound(b.form, b.cell, b.points, _places(search, b, speed), level, both=True).least
               for b in branches)  # fmt: skip
    return Certified(level, least, branch, both, _limits(search, speed), sound)


def _limits(search: Search, speed: float) -> dict[str, Any]:
    """Limits of the best design found at a speed, in float64."""
    logs, rows = search.archive.points * LN10, search.archive.rows
    fast = np.flatnonzero(logs[:, 0] >= speed - 1e-6)
    row = rows[fast[np.argmax(logs[fast, 1])]]
    evaluator = search.evaluators[row.family]
    pair = (row.values, evaluator.grid.choices[row.point])
    (result,) = confirm.confirmed(evaluator.family, [pair], search.settings)
    limits = {name: (limit["allowed"], limit["unit"]) for name, limit in result["limits"].items()}
    return limits | {c.stem: (c.allowed, c.metric.quantity) for c in search.settings.constraints}


def _places(search: Search, branch: Branch, speed: float) -> np.ndarray:
    """Knobs of the family's best design at a level, or of its fastest: where tangents start."""
    evaluator = search.evaluators[branch.family]
    points, rows = search.competed
    mine = [i for i, row in enumerate(rows) if row.family == branch.family]
    if not mine:
        values = evaluator.family.start
    else:
        logs = points[mine]
        fast = logs[:, 0] * LN10 >= speed - 1e-6
        best = np.argmax(np.where(fast, logs[:, 1], logs[:, 0] - 100.0))
        values = rows[mine[int(best)]].values
    return knobs_of(branch.form, values)[None]


def knobs_of(form: ConvexForm, values) -> np.ndarray:
    """A design's knobs as variables of the convex form, the clock at the limit of its voltage."""
    family = form.evaluator.family
    settled = confirm.settings_of(family, values)
    hardware = confirm.hardware_of(family, values)
    settled.setdefault("clock", float(logic.clock_hz(hardware)))
    return np.log([max(settled[axis.path], axis.low) for axis in form.axes])


def _polish(search: Search, branch: Branch, found: Bound, speed: float) -> None:
    """Designs where the programs ended, polished at the level; what is better joins the run."""
    points, where = found.left[:OPEN], found.where[:OPEN]
    if not len(points):
        return
    evaluator, polisher = search.evaluators[branch.family], search.polishers[branch.family]
    starts, at = _starts(evaluator, branch, where), points
    wanted = aims.together([aims.level_aim(np.array([speed, -np.inf]))] * len(at))
    moved = polisher(starts, at, wanted, polish.FAR)
    shares, merit = refine.refined(polisher, moved.shares, at, wanted, 10)
    values = polisher.values(shares, at)
    good = (values[:, 2:] <= 1e-6).all(axis=1)
    logs = values[:, :2] / LN10
    both = np.concatenate([search.archive.points, logs])
    better = good & nondominated(both)[len(search.archive.points) :]
    rows = [Row(0, branch.family, tuple(shares[i]), int(at[i]))
            for i in np.argsort(-merit) if better[i]]  # fmt: skip
    if rows:
        search.enter(rows[:OPEN])


def _starts(evaluator: Evaluator, branch: Branch, where: np.ndarray) -> np.ndarray:
    """Unit-cube designs at the solutions of programs."""
    family = evaluator.family
    column = {axis.path: i for i, axis in enumerate(branch.form.axes)}
    radix = branch.cell[-1]
    values = np.array([
        [np.exp(row[column[a.path]]) if a.path in column else radix for a in family.axes]
        for row in where
    ])  # fmt: skip
    return np.clip(family.unit_cube(values), 0.0, 1.0)


# --- what is said ---------------------------------------------------------------------------------


def _summary(found: list[Certified], branches: list[Branch]) -> dict[str, Any]:
    gaps = np.array([c.gap for c in found])
    in_both = np.array([c.gap_in_both for c in found])
    sound = np.array([c.sound for c in found])
    return {
        "gap_worst": float(gaps[sound].max()) if sound.any() else None,
        "gap_median": float(np.median(gaps[sound])) if sound.any() else None,
        "gap_in_both_worst": float(in_both[sound].max()) if sound.any() else None,
        "certified_share": float(sound.mean()),
        "structures": [
            {
                "family": b.family,
                "weights_on_chip": list(b.cell[:2]),
                "radix": b.cell[2],
                "deployments": len(b.points),
                "convex": b.convex,
            }
            for b in branches
        ],
        "levels": [_line(c) for c in found],
    }


def _price(name: str, price: float, c: Certified) -> dict[str, Any]:
    """A price in percent per percent, and in tokens per joule for one more unit of the limit."""
    allowed, unit = c.limits.get(name, (None, None))
    per_unit = price * np.exp(-c.level.log_joules) / allowed if allowed else None
    return {"limit": name, "percent_per_percent": price, "per_unit": per_unit, "unit": unit}


def _line(c: Certified) -> dict[str, Any]:
    names = c.branch.form.limit_names
    prices = [_price(n, float(p), c) for n, p in zip(names, c.bound.prices, strict=True)
              if p > 1e-3 and n not in OURS]  # fmt: skip
    choice = c.branch.form.evaluator.grid.choices[c.bound.point]
    deployment = {n: getattr(choice, n) for n in c.branch.form.evaluator.settings.deployment}
    return {
        "user_tokens_per_s": float(np.exp(c.level.log_speed)),
        "j_per_token": float(np.exp(c.level.log_joules)),
        "j_per_token_bound": float(np.exp(c.bound.least)),
        "gap": c.gap,
        "gap_in_both": c.gap_in_both,
        "family": c.branch.family,
        "radix": c.branch.cell[2],
        "weights_on_chip": list(c.branch.cell[:2]),
        "deployment": deployment,
        "deployments_opened": int(c.bound.opened),
        "deployments_left": len(c.bound.left),
        "shadow_prices": prices,
    }
