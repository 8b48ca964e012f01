"""The gradient phase before the first trial: all structures, all levels, no trials.

Random designs of every family are swept over the whole deployment grid. For each aim (a level that
one goal must keep while the other is maximized) the most promising pairs of hardware and
deployment are polished, the best swept again, and so on. Aims are first spread over the whole range
of the goals, then laid into the gaps that the front still has. Beside the deployments that suit the
hardware at hand best, the neighbors of those on the front are tried with it: a doubled batch fits
only once the hardware has moved, which is what polish does.
"""

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from dse.search.aims import Aim, ends, into_gaps, level_aim, spread, together
from dse.search.archive import Archive, Row, nondominated
from dse.search.batch import TOLERANCE, Evaluator, Outcome, Some
from dse.search.polish import FAR, PENALTY, Aims, Pace, Polisher
from dse.search.refine import refined
from dse.search.settings import Settings

STARTS = 24  # random designs of each family
LEVELS = 20  # first aims, over the whole range
GAPS = 48  # later aims, laid into the gaps of the front
ROUNDS = 6
REFINEMENTS = (6, 12)  # linear programs for each design swept, in the first and in later rounds
DEPLOYMENTS, NEIGHBORS = 3, 2  # tried for each aim: best ones, and neighbors of those on the front
AT_ENDS = 4  # times as many kept for the ends of the front, which its hypervolume hangs on
TRIED_AT_ENDS = (96, 48, 12)  # deployments tried there in the first, second and later rounds
REDRAWN_AT_ENDS = 3  # copies there with a whole number drawn anew; elsewhere one
HOPELESS = 0.25  # natural logarithm: a family so far behind the front is left out of an aim
FORGIVEN = 0.15  # natural logarithm, more than that after the first round
SHORTLIST = 1.5  # natural logarithm: deployments further behind, at every aim, are swept no more
LN10 = np.log(10.0)


class Walk(NamedTuple):
    """A polish of many, after which the best deployments of each aim go on."""

    pace: Pace
    kept: int  # deployments of each aim
    behind: float  # natural logarithm: what is further behind the front goes no further


FIRST = (Walk(Pace(20, 0.1), 3, np.inf), Walk(Pace(60, 0.05), 1, np.inf))
LATER = (Walk(Pace(24, 0.03), 2, 0.3), Walk(Pace(60, 0.02), 1, 0.05))


class Sweep(NamedTuple):
    """Designs of one family on some deployments."""

    shares: np.ndarray  # [design, axis]
    goals: np.ndarray  # natural logarithms, [goal, design, point]
    broken: np.ndarray  # penalty of limits, [design, point]; huge where undefined

    def merits(self, aim: Aim) -> np.ndarray:
        """What an aim is worth, ``[design, point]``."""
        found = self.broken * np.float32(-PENALTY)
        for goal, weight, level in zip(self.goals, aim.weights, aim.levels, strict=True):
            found += goal * np.float32(weight)
            if np.isfinite(level):
                short = np.maximum(np.float32(level) - goal, 0)
                short *= np.float32(PENALTY)
                found -= short
        return found

    def joined(self, other: "Sweep") -> "Sweep":
        """The designs of both."""
        return Sweep(
            np.concatenate([self.shares, other.shares]),
            np.concatenate([self.goals, other.goals], axis=1),
            np.concatenate([self.broken, other.broken]),
        )

    def of(self, designs: Any = slice(None), points: Any = slice(None)) -> "Sweep":
        """Some designs, some points."""
        return Sweep(self.shares[designs], self.goals[:, designs][:, :, points],
                     self.broken[designs][:, points])  # fmt: skip


def sweep(evaluator: Evaluator, shares: np.ndarray, some: Some | None = None) -> Sweep:
    """Every deployment, or some, on some designs."""
    return sweep_of(evaluator, shares, evaluator(evaluator.family.from_unit_cube(shares), some))


def sweep_of(evaluator: Evaluator, shares: np.ndarray, outcome: Outcome) -> Sweep:
    """What was evaluated, as goals and penalties."""
    worst = outcome.limit_margin
    for constraint, used in zip(evaluator.settings.constraints, outcome.metrics, strict=True):
        worst = np.maximum(worst, constraint.margin(used))
    with np.errstate(all="ignore"):
        pairs = zip(evaluator.settings.objectives, outcome.goals, strict=True)
        goals = np.stack([objective.log(column) for objective, column in pairs])
    defined = np.isfinite(goals).all(axis=0) & np.isfinite(worst)
    goals = np.where(defined, goals, np.float32(-1e3))
    broken = np.where(worst <= TOLERANCE, 0.0, np.log1p(np.maximum(worst, 0.0)))
    return Sweep(shares, goals, np.where(defined, broken, 1e6).astype(np.float32))


def compile_all(evaluators: dict[str, Evaluator], polishers: dict[str, Polisher]) -> None:
    """Compile what the families need, several at a time."""

    def one(name: str) -> None:
        family = evaluators[name].family
        evaluators[name](np.array([family.start]))
        goals = polishers[name].goals
        aims = Aims(np.ones((goals, 1)), np.full((goals, 1), -np.inf))
        polishers[name](np.full((1, len(family.axes)), 0.5), np.zeros(1, int), aims, Pace(0, 0.0))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(one, evaluators))


def served(polisher: Polisher, swept: Sweep, targets: np.ndarray) -> tuple[np.ndarray, int]:
    """Designs polished for a level each: shares ``[design, axis]``, and evaluations spent.

    Args:
        polisher: of the family.
        swept: the designs on the whole grid.
        targets: log10 of the goals to keep, ``[design, goal]``, -inf where one is free.
    """
    aims = [level_aim(target * LN10) for target in targets]
    shares, points, of_aim = [], [], []
    for index, aim in enumerate(aims):
        merits = swept.of(designs=[index]).merits(aim)[0]
        top = np.argsort(-merits, kind="stable")[:DEPLOYMENTS]
        shares.append(np.repeat(swept.shares[index : index + 1], len(top), axis=0))
        points.append(top)
        of_aim += [index] * len(top)
    start, at = np.concatenate(shares), np.concatenate(points)
    each = together([aims[i] for i in of_aim])
    polished = polisher(start, at, each, FAR)
    best = _best_of_each(np.array(of_aim), at, polished.merit, np.ones(len(aims), int))
    moved, _ = refined(polisher, polished.shares[best], at[best], each.of(best), REFINEMENTS[0])
    return moved, polished.evaluations


class _Branch:
    """One family: what of it was swept last, and which deployments still count."""

    def __init__(self, evaluator: Evaluator, polisher: Polisher):
        self.evaluator, self.polisher = evaluator, polisher
        self.points = np.arange(len(evaluator.grid))
        self._some: Some | None = None
        self.swept: Sweep = _nothing(evaluator)

    def sweep(self, shares: np.ndarray) -> Sweep:
        return sweep(self.evaluator, shares, self._some)

    def shorten(self, aims: list[Aim]) -> None:
        """Sweep on with the deployments that some aim may still want."""
        best = np.full(len(self.points), -np.inf)
        for aim in aims:
            merits = self.swept.merits(aim).max(axis=0)
            best = np.maximum(best, merits - merits.max())
        kept = np.flatnonzero(best >= -SHORTLIST)
        self.points, self.swept = self.points[kept], self.swept.of(points=kept)
        self._some = self.evaluator.some(self.points)

    def candidates(self, aim: Aim, tried: int, front_merit: float, nearby: list[Row], rng):
        """(shares, points) to polish for an aim; none where the family is hopeless for it."""
        merits = self.swept.merits(aim)
        best = merits.max(axis=0)
        if best.max() < front_merit - HOPELESS:
            return np.empty((0, self.swept.shares.shape[1])), np.empty(0, int)
        count = min(tried, len(best))
        top = np.argpartition(-best, count - 1)[:count]
        shares, points = [self.swept.shares[merits[:, top].argmax(axis=0)]], [self.points[top]]
        for row in nearby:
            around = self.evaluator.grid.choices.neighbors(row.point)
            picked = around if aim.is_end else rng.permutation(around)[:NEIGHBORS]
            shares.append(np.repeat([row.values], len(picked), axis=0))
            points.append(picked)
        shares, both = np.concatenate(shares), np.concatenate(points).astype(int)
        copies = [self._redrawn(shares, rng) for _ in range(REDRAWN_AT_ENDS if aim.is_end else 1)]
        copies.append(self._with_peers(shares, both, rng))
        return np.concatenate([shares, *copies]), np.concatenate(
            [both, *(both[: len(copy)] for copy in copies)]
        )

    def _redrawn(self, shares: np.ndarray, rng) -> np.ndarray:
        """Copies with a knob of few whole numbers drawn anew: slopes do not see past one step."""
        axes = self.evaluator.family.axes
        whole = np.flatnonzero([axis.is_coarse for axis in axes])
        if not len(whole):
            return shares[:0]
        copies = shares.copy()
        drawn = rng.uniform(size=len(copies))
        copies[np.arange(len(copies)), rng.choice(whole, len(copies))] = drawn
        return copies

    def _with_peers(self, shares: np.ndarray, points: np.ndarray, rng) -> np.ndarray:
        """Copies whose radix is the size of a group of the deployment: of attention, or of all."""
        columns = self.evaluator.grid.columns
        for index, axis in enumerate(self.evaluator.family.axes):
            if axis.is_radix:
                groups = np.stack([columns.tp * columns.kvp, columns.chips / columns.pp])
                wanted = groups[rng.integers(0, 2, len(points)), points]
                copies = shares.copy()
                copies[:, index] = axis.unit_cube(np.clip(wanted, axis.low, axis.high))
                return copies
        return shares[:0]


def _nothing(evaluator: Evaluator) -> Sweep:
    points = len(evaluator.grid)
    shares = np.empty((0, len(evaluator.family.axes)))
    goals = len(evaluator.settings.objectives)
    return Sweep(shares, np.empty((goals, 0, points), np.float32),
                 np.empty((0, points), np.float32))  # fmt: skip


class Warm:
    """The phase: an archive of unit-cube designs, filled round by round."""

    def __init__(self, evaluators: dict[str, Evaluator], polishers: dict[str, Polisher],
                 settings: Settings, seed: int,
                 known: Mapping[str, np.ndarray] | None = None):  # fmt: skip
        """A phase of some families; ``known``: designs that are swept beside the random ones."""
        self.settings = settings
        self._known = known or {}
        self.branches = {name: _Branch(e, polishers[name]) for name, e in evaluators.items()}
        self.archive = Archive(settings.reference_point)
        self.evaluations = 0
        self._rng = np.random.default_rng(seed)

    def run(
        self, rounds: int = ROUNDS, report: Callable[[int, Archive], None] | None = None
    ) -> None:
        """So many rounds. The archive's rows hold unit-cube shares as values."""
        for name, branch in self.branches.items():
            self._keep(name, self._sweep(branch, self._starts(name, branch)))
        aims: list[Aim] = []
        for number in range(rounds):
            aims = self._first_aims() if number == 0 else self._gap_aims()
            for name, branch in self.branches.items():
                self._round(name, branch, aims, number)
            if number == 1:
                for branch in self.branches.values():
                    branch.shorten(aims)
            if report is not None:
                report(number, self.archive)

    def _starts(self, name: str, branch: _Branch) -> np.ndarray:
        family = branch.evaluator.family
        drawn = self._rng.uniform(size=(STARTS, len(family.axes)))
        known = self._known.get(name, drawn[:0])
        return np.concatenate([family.unit_cube(np.array([family.start])), drawn, known])

    def _sweep(self, branch: _Branch, shares: np.ndarray) -> Sweep:
        self.evaluations += len(shares) * len(branch.points)
        return branch.sweep(shares)

    def _round(self, name: str, branch: _Branch, aims: list[Aim], number: int) -> None:
        shares, points, of_aim = [], [], []
        for index, aim in enumerate(aims):
            tried = TRIED_AT_ENDS[min(number, 2)] if aim.is_end else DEPLOYMENTS
            found = branch.candidates(aim, tried, self._front_merit(aim, number),
                                      self._nearby(name, aim), self._rng)  # fmt: skip
            shares.append(found[0])
            points.append(found[1])
            of_aim += [index] * len(found[1])
        if not of_aim:
            return
        moved = self._walked(branch, aims, number, np.concatenate(shares), np.concatenate(points),
                             np.array(of_aim))  # fmt: skip
        if len(moved):
            self._keep(name, self._sweep(branch, moved), fresh=number == 0)

    def _walked(self, branch: _Branch, aims: list[Aim], number: int, shares, points, groups):
        """Shares of the best of each aim, after walks that fewer and fewer go."""
        fronts = np.array([self._front_merit(aim, number) for aim in aims])
        wanted = np.array([AT_ENDS if aim.is_end else 1 for aim in aims])
        each = together([aims[i] for i in groups])
        for pace, kept, behind in LATER if number else FIRST:
            polished = branch.polisher(shares, points, each, pace)
            self.evaluations += polished.evaluations
            best = _best_of_each(groups, points, polished.merit, wanted * kept)
            best = best[polished.merit[best] > fronts[groups[best]] - behind]
            if not len(best):
                return shares[:0]
            shares, each = polished.shares[best], each.of(best)
            points, groups = points[best], groups[best]
        return refined(branch.polisher, shares, points, each, REFINEMENTS[number > 0])[0]

    def _keep(self, name: str, swept: Sweep, fresh: bool = True) -> None:
        """Let what was swept compete, and sweep on with it and with what the front still holds."""
        branch = self.branches[name]
        for index in range(len(swept.shares)):
            points = np.flatnonzero(swept.broken[index] <= 0)
            logs = swept.goals[:, index, points].T / LN10
            kept = np.flatnonzero(nondominated(logs))
            values = tuple(swept.shares[index])
            self.archive.add(logs[kept], [Row(0, name, values, int(branch.points[points[k]]))
                                          for k in kept])  # fmt: skip
        if not fresh:
            alive = {row.values for row in self.archive.rows if row.family == name}
            old = [i for i, s in enumerate(branch.swept.shares) if tuple(s) in alive]
            swept = branch.swept.of(np.array(old, int)).joined(swept)
        branch.swept = swept

    # --- aims ------------------------------------------------------------------------------------

    def _first_aims(self) -> list[Aim]:
        low = np.log(self.settings.reference_point)
        highs = [branch.swept.goals.max(axis=(1, 2)) for branch in self.branches.values()]
        high = np.maximum(np.max(highs, axis=0).astype(float), low + 1)
        aims = spread(low, high, LEVELS * (len(low) - 1), self._rng)
        levels = np.array([aim.levels[0] for aim in aims])
        asked = self._asked(levels) | np.isneginf(levels)
        return [aim for aim, kept in zip(aims, asked, strict=True) if kept] + ends(len(low))

    def _gap_aims(self) -> list[Aim]:
        front = self.archive.points * LN10
        count, asked = GAPS * (front.shape[1] - 1), self._asked(front[:, 0])
        return [*into_gaps(front[asked], count, self._rng), *ends(front.shape[1])]

    def _asked(self, levels: np.ndarray) -> np.ndarray:
        """Which levels of the first goal lie in the part that is asked for, and next to it.

        Their range is the whole front: every search, of whatever part, aims at all of its ends.
        """
        shown = levels[np.isfinite(levels)]
        if not len(shown):
            return np.ones(len(levels), bool)
        low, high = shown.min() + np.array(self.settings.space.levels) * np.ptp(shown)
        low = shown[shown <= low].max(initial=shown.min())
        high = shown[shown >= high].min(initial=shown.max())
        return (levels >= low) & (levels <= high)

    def _front_merit(self, aim: Aim, number: int) -> float:
        """What the front has to offer for an aim, less what the first rounds forgive a family."""
        goals = self.archive.points * LN10
        keeps = (goals >= aim.levels).all(axis=1)
        if number == 0 or not keeps.any():
            return -np.inf
        forgiven = FORGIVEN if number == 1 else 0.0
        return float((goals[keeps] @ aim.weights).max()) - forgiven

    def _nearby(self, name: str, aim: Aim) -> list[Row]:
        """The designs of a family on both sides of an aim on the front."""
        goals, rows = self.archive.points * LN10, self.archive.rows
        mine = [i for i, row in enumerate(rows) if row.family == name]
        if not mine:
            return []
        if aim.is_end:
            return [rows[max(mine, key=lambda i: float(goals[i] @ aim.weights))]]
        if len(aim.levels) > 2:
            kept = np.isfinite(aim.levels)
            apart = np.abs(goals[mine][:, kept] - aim.levels[kept]).sum(axis=1)
            return [rows[mine[i]] for i in np.argsort(apart, kind="stable")[:2]]
        at = np.searchsorted(goals[mine, 0], aim.levels[0])
        return [rows[mine[i]] for i in {max(at - 1, 0), min(at, len(mine) - 1)}]


def _best_of_each(groups, points, merit, wanted: np.ndarray) -> np.ndarray:
    """The rows of highest merit in each group, of different deployments, as many as wanted."""
    order = np.lexsort((-merit, groups))
    pairs = np.stack([groups[order], points[order]], axis=1)
    _, first = np.unique(pairs, axis=0, return_index=True)  # the best row of each deployment
    order = order[np.sort(first)]
    starts = np.searchsorted(groups[order], groups[order])
    return order[np.arange(len(order)) - starts < wanted[groups[order]]]
