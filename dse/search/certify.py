"""Bounds for a finished run: level by level, what no design can beat, and what limits are worth.

Where a bound leaves room, the convex program says where: its solution starts a polish, and what
that finds joins the run. So certifying a run also closes it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from dse.resources import logic
from dse.search import aims, bands, confirm, polish, refine
from dse.search.archive import Row, nondominated
from dse.search.batch import Evaluator
from dse.search.certificate import Leaf, Level, Tree
from dse.search.convex import ConvexForm, violations
from dse.search.study import Search

LN10 = np.log(10.0)
SEGMENTS = 4096  # random segments that test whether a family is convex
OPEN = 6  # branches of a family polished at a level where a bound leaves room
POLISHED = 24  # rounds of refinement there
CLOSING = 3  # rounds of bounding and polishing at a level
PROGRAMS = 16_000  # linear programs of a family in each
PRICED = 400  # linear programs from which prices are read
OURS = ("pace", "clock")  # limits that stand for laws, not for anything one could buy
WORTH = 1e-3  # natural logarithm: a design so little better is not kept


class Structure(NamedTuple):
    """A family in convex form."""

    family: str
    form: ConvexForm
    convex: bool  # by test, and every design of it in some branch


class Certified(NamedTuple):
    """One level."""

    level: Level
    bound: Leaf  # of energy: the branch that may have the least
    structure: Structure  # where that is
    both: float  # the larger of the logarithms of both goals, less what was found, at least
    opened: int  # branches that prices alone did not exclude
    left: int  # branches that may still do better, in both goals
    prices: dict[str, float]  # percent of J/token per percent of a limit, at the best design found
    limits: dict[str, Any]  # there: allowed, unit
    band: list[float] | None  # of its J/token, over the ranges of the constants
    sound: bool  # whether every structure is convex

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
    structures = [_structure(name, e) for name, e in search.evaluators.items()]
    for structure in structures:
        if not structure.convex:
            report(f"{structure.family}: not convex, locally optimal only")
    found = []
    for speed in _speeds(search, levels):
        certified = _closed(search, structures, speed)
        report(f"{np.exp(speed):>10,.0f} tok/s  {np.exp(certified.level.log_joules) * 1e3:.4g} mJ  "
               f"no design below {np.exp(certified.bound.least) * 1e3:.4g} mJ  "
               f"gap {certified.gap:.2%}, in both goals {certified.gap_in_both:.2%}")  # fmt: skip
        found.append(certified)
    return _summary(found, structures)


def _structure(name: str, evaluator: Evaluator) -> Structure:
    form = ConvexForm(evaluator)
    drawn = form.drawn(SEGMENTS, np.random.default_rng(0))
    convex = form.splitter.is_covered and max(violations(form, drawn).values()) == 0
    return Structure(name, form, bool(convex))


def _speeds(search: Search, levels: int) -> np.ndarray:
    """Speeds of designs spread over the front, both ends among them; natural logarithms."""
    speeds = search.archive.points[:, 0]
    wanted = np.linspace(speeds[0], speeds[-1], levels)
    return LN10 * np.unique(speeds[[int(np.abs(speeds - w).argmin()) for w in wanted]])


def _level(search: Search, speed: float) -> Level:
    logs = search.archive.points * LN10
    return Level(speed, float(-logs[logs[:, 0] >= speed - 1e-6, 1].max()))


def _closed(search: Search, structures: list[Structure], speed: float) -> Certified:
    """Bound a level; where room is left, polish there and bound on."""
    level = _level(search, speed)
    trees = [
        Tree(s.form, s.form.roots(-speed), _place(search, s, speed), level) for s in structures
    ]
    for _ in range(CLOSING):
        for structure, tree in zip(structures, trees, strict=True):
            tree.grow(level, PROGRAMS)
            if tree.leaves:
                _polish(search, structure, tree.leaves[:OPEN], speed)
        before, level = level, _level(search, speed)
        if level.log_joules > before.log_joules - WORTH:
            break
    least, structure = min(((tree.worst, s) for s, tree in zip(structures, trees, strict=True)),
                           key=lambda pair: pair[0].least)  # fmt: skip
    for tree in trees:
        tree.ask_for_both(level)
        tree.grow(level, PROGRAMS)
    # Who is better in both goals also saves energy at the speed, so that bound holds here too.
    both = max(min(tree.worst.least for tree in trees), least.least - level.log_joules)
    opened, left = sum(tree.opened for tree in trees), sum(len(tree.leaves) for tree in trees)
    sound, best = all(s.convex for s in structures), _best(search, speed)
    prices = _prices(next(s for s in structures if s.family == best.family), best, speed)
    return Certified(level, least, structure, both, opened, left, prices, _limits(search, best),
                     _band(search, best), sound)  # fmt: skip


def _best(search: Search, speed: float) -> Row:
    """The best design found at a speed."""
    logs, rows = search.archive.points * LN10, search.archive.rows
    fast = np.flatnonzero(logs[:, 0] >= speed - 1e-6)
    return rows[fast[np.argmax(logs[fast, 1])]]


def _prices(structure: Structure, row: Row, speed: float) -> dict[str, float]:
    """What each limit is worth where the deployment of a design has its least energy."""
    form = structure.form
    everything = Level(speed, np.inf)
    roots = form.roots(-speed, np.array([row.point]))
    tree = Tree(form, roots, knobs_of(form, row.values), everything)
    tree.grow(everything, PRICED)
    return dict(zip(form.limit_names, tree.worst.prices.tolist(), strict=True))


def _limits(search: Search, row: Row) -> dict[str, Any]:
    """Limits of a design, in float64."""
    evaluator = search.evaluators[row.family]
    pair = (row.values, evaluator.grid.choices[row.point])
    (result,) = confirm.confirmed(evaluator.family, [pair], search.settings)
    limits = {name: (limit["allowed"], limit["unit"]) for name, limit in result["limits"].items()}
    return limits | {c.stem: (c.allowed, c.metric.quantity) for c in search.settings.constraints}


def _band(search: Search, row: Row) -> list[float] | None:
    """J/token of a design over the ranges of the constants: the middle 80 % of joint draws."""
    (_, per_watt) = bands.bands_of(row, search.settings, search.evaluators).values()
    return None if per_watt is None else [1 / per_watt[1], 1 / per_watt[0]]


def _place(search: Search, structure: Structure, speed: float) -> np.ndarray:
    """Knobs of the family's best design at a level: where tangents start."""
    return knobs_of(structure.form, _values(search, structure, speed))


def _values(search: Search, structure: Structure, speed: float) -> np.ndarray:
    """The family's best design at a level, or its fastest; its chip as stated where it has none."""
    points, rows = search.competed
    mine = [i for i, row in enumerate(rows) if row.family == structure.family]
    if not mine:
        return np.array(structure.form.evaluator.family.start)
    logs = points[mine]
    fast = logs[:, 0] * LN10 >= speed - 1e-6
    best = np.argmax(np.where(fast, logs[:, 1], logs[:, 0] - 100.0))
    return np.array(rows[mine[int(best)]].values)


def knobs_of(form: ConvexForm, values) -> np.ndarray:
    """A design's knobs as variables of the convex form, the clock at the limit of its voltage."""
    family = form.evaluator.family
    settled = confirm.settings_of(family, values)
    hardware = confirm.hardware_of(family, values)
    settled.setdefault("clock", float(logic.clock_hz(hardware)))
    return np.log([max(settled[axis.path], axis.low) for axis in form.axes])


def _polish(search: Search, structure: Structure, leaves: list[Leaf], speed: float) -> None:
    """Designs where the programs ended, and the best found with their deployments, polished.

    What is better joins the run.
    """
    family, polisher = structure.family, search.polishers[structure.family]
    ended = _starts(structure.form, leaves)
    found = search.evaluators[family].family.unit_cube(_values(search, structure, speed)[None])
    starts = np.concatenate([ended, np.repeat(found, len(leaves), axis=0)])
    at = np.tile(np.concatenate([leaf.branch.point for leaf in leaves]), 2)
    wanted = aims.together([aims.level_aim(np.array([speed, -np.inf]))] * len(at))
    moved = polisher(starts, at, wanted, polish.FAR)
    start = refine.Start(polisher, moved.shares, at, wanted)
    ((shares, merit),) = refine.refined([start], POLISHED)
    values = polisher.values(shares, at)
    good = (values[:, 2:] <= 1e-6).all(axis=1)
    both = np.concatenate([search.archive.points, values[:, :2] / LN10])
    better = good & nondominated(both)[len(search.archive.points) :]
    rows = [Row(0, family, tuple(shares[i]), int(at[i]))
            for i in np.argsort(-merit) if better[i]]  # fmt: skip
    if rows:
        search.enter(rows)


def _starts(form: ConvexForm, leaves: list[Leaf]) -> np.ndarray:
    """Unit-cube designs at the solutions of programs."""
    family = form.evaluator.family
    column = {axis.path: i for i, axis in enumerate(form.axes)}
    values = np.array([
        [np.exp(leaf.where[column[a.path]]) if a.path in column else leaf.branch.peers[0]
         for a in family.axes]
        for leaf in leaves
    ])  # fmt: skip
    return np.clip(family.unit_cube(values), 0.0, 1.0)


# --- what is said ---------------------------------------------------------------------------------


def _summary(found: list[Certified], structures: list[Structure]) -> dict[str, Any]:
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
                "family": s.family,
                "deployments": len(s.form.evaluator.grid),
                "convex": s.convex,
            }
            for s in structures
        ],
        "levels": [_line(c) for c in found],
    }


def _price(name: str, price: float, c: Certified) -> dict[str, Any]:
    """A price in percent per percent, and in tokens per joule for one more unit of the limit."""
    allowed, unit = c.limits.get(name, (None, None))
    per_unit = price * np.exp(-c.level.log_joules) / allowed if allowed else None
    return {"limit": name, "percent_per_percent": price, "per_unit": per_unit, "unit": unit}


def _line(c: Certified) -> dict[str, Any]:
    form, branch = c.structure.form, c.bound.branch
    prices = [_price(name, price, c) for name, price in c.prices.items()
              if price > 1e-3 and name not in OURS]  # fmt: skip
    choice = form.evaluator.grid.choices[branch.point[0]]
    deployment = {n: getattr(choice, n) for n in form.evaluator.settings.deployment}
    return {
        "user_tokens_per_s": float(np.exp(c.level.log_speed)),
        "j_per_token": float(np.exp(c.level.log_joules)),
        "j_per_token_bound": float(np.exp(c.bound.least)),
        "j_per_token_band": c.band,
        "gap": c.gap,
        "gap_in_both": c.gap_in_both,
        "family": c.structure.family,
        "weights_on_chip": [float(branch.least[0]), float(branch.most[0])],
        "deployment": deployment,
        "branches_opened": c.opened,
        "branches_left": c.left,
        "shadow_prices": prices,
    }
