"""The gradient phase before the first trial: all structures, all levels, no trials.

Random designs of every family are swept over the whole deployment grid. For each aim (a level that
one goal must keep while the other is maximized) the most promising pairs of hardware and deployment
of all families are polished in stages that fewer and fewer pass, and the best swept again. Aims are
first spread over the range of the goals, then laid along the front. At some of these, and at the
ends, other deployments and whole numbers are tried (`dse.search.pool`); at all of them the designs
beside the aim are refined as they are. Blends of neighbors on the front fill what gaps are left:
the model is nearly convex.
"""

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from dse.search.aims import Aim, along, ends, level_aim, spread, together, widest_gaps
from dse.search.archive import Archive, Row, nondominated
from dse.search.batch import Evaluator
from dse.search.polish import FAR, Aims, Pace, Polisher
from dse.search.pool import Pool, Tries, all_of
from dse.search.refine import Start, refined
from dse.search.settings import Settings
from dse.search.sweeps import Sweep, sweep

STARTS = 24  # random designs of each family
LEVELS = 20  # first aims, half of them levels of either goal
AIMS = 52  # later ones, laid along the front
EXPLORED = 2  # one of so many of them is tried with other deployments
ROUNDS = 6
BEYOND = 0.15  # of the range of random designs: how far the first aims reach beyond it
DEPLOYMENTS = 3  # best ones, tried for each aim
TRIED_AT_ENDS = (96, 48, 12)  # deployments tried there in the first, second and later rounds
FORGIVEN = 0.15  # natural logarithm: a family so far behind the front is still tried in round two
WIDEST = 40  # gaps between designs of one family that are filled with blends, and
BLENDINGS = 3  # how often
SERVED = 6  # rounds of refinement of a design for a level
LN10 = np.log(10.0)


class Stage(NamedTuple):
    """A move of many designs, after which the best deployments of each aim go on.

    Refinement tells good deployments from bad ones: four rounds of it after a short walk rank first
    what the walk alone had ranked twentieth to fiftieth.
    """

    move: Pace | int  # a walk, or rounds of refinement
    kept: int  # deployments of each aim
    behind: float  # natural logarithm: what is further behind the best goes no further
    ends: int = 4  # times as many are kept for the ends of the front, on which much hangs


FIRST = (Stage(Pace(30, 0.1), 2, 0.7, ends=16), Stage(4, 1, 0.4), Stage(10, 1, np.inf))
LATER = (Stage(Pace(24, 0.03), 2, 0.3), Stage(4, 1, 0.05), Stage(12, 1, np.inf))


class Moving(NamedTuple):
    """Designs of a family on their way, and the aim that each has."""

    tries: Tries
    of_aim: np.ndarray  # [try]

    def of(self, rows) -> "Moving":
        """Some of them."""
        return Moving(self.tries.of(rows), self.of_aim[rows])


def compile_all(evaluators: dict[str, Evaluator], polishers: dict[str, Polisher]) -> None:
    """Compile what the families need, several at a time."""

    def one(name: str) -> None:
        family = evaluators[name].family
        evaluators[name](np.array([family.start]))
        goals = polishers[name].goals
        aims = Aims(np.ones((goals, 1)), np.full((goals, 1), -np.inf))
        polishers[name](np.full((1, len(family.axes)), 0.5), np.zeros(1, int), aims, Pace(0, 0.0))

    with ThreadPoolExecutor(os.cpu_count()) as workers:
        list(workers.map(one, evaluators))


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
    kept = Start(polisher, polished.shares[best], at[best], each.of(best))
    ((moved, _),) = refined([kept], SERVED)
    return moved, polished.evaluations


class Warm:
    """The phase: an archive of unit-cube designs, filled round by round."""

    def __init__(self, evaluators: dict[str, Evaluator], polishers: dict[str, Polisher],
                 settings: Settings, seed: int,
                 known: Mapping[str, np.ndarray] | None = None):  # fmt: skip
        """A phase of some families; ``known``: designs that are swept beside the random ones."""
        self.settings = settings
        self._known = known or {}
        self.pools = {name: Pool(e, polishers[name]) for name, e in evaluators.items()}
        self.archive = Archive(settings.reference_point)
        self.evaluations = 0
        self._rng = np.random.default_rng(seed)

    def run(
        self, rounds: int = ROUNDS, report: Callable[[int, Archive], None] | None = None
    ) -> None:
        """So many rounds. The archive's rows hold unit-cube shares as values."""
        for name, pool in self.pools.items():
            self._keep(name, self._sweep(pool, self._starts(name, pool)))
        for number in range(rounds):
            aims = self._first_aims() if number == 0 else self._later_aims()
            self._round(aims, number)
            if number == 1:
                for pool in self.pools.values():
                    pool.shorten(aims)
            for _ in range(BLENDINGS):
                self._blend()
            if report is not None:
                report(number, self.archive)

    def _starts(self, name: str, pool: Pool) -> np.ndarray:
        family = pool.evaluator.family
        drawn = self._rng.uniform(size=(STARTS, len(family.axes)))
        known = self._known.get(name, drawn[:0])
        return np.concatenate([family.unit_cube(np.array([family.start])), drawn, known])

    def _sweep(self, pool: Pool, shares: np.ndarray) -> Sweep:
        self.evaluations += len(shares) * len(pool.points)
        return pool.sweep(shares)

    # --- a round ---------------------------------------------------------------------------------

    def _round(self, aims: list[Aim], number: int) -> None:
        fronts = np.array([self._front_merit(aim, number) for aim in aims])
        moving = self._tries(aims, fronts, number)
        *sifting, last = LATER if number else FIRST
        for stage in sifting:
            moving = self._moved(moving, aims, fronts, stage)
        if number:
            moving = _joined(moving, self._beside(aims))
        for name, found in self._moved(moving, aims, fronts, last).items():
            swept = self._sweep(self.pools[name], found.tries.shares)
            self._keep(name, swept, fresh=number == 0)

    def _tries(self, aims: list[Aim], fronts: np.ndarray, number: int) -> dict[str, Moving]:
        """What each family has to offer for the aims that are explored."""
        explored = [index for index, aim in enumerate(aims)
                    if number == 0 or aim.is_end or index % EXPLORED == 0]  # fmt: skip
        found = {}
        for name, pool in self.pools.items():
            tries = []
            for index in explored:
                aim = aims[index]
                count = TRIED_AT_ENDS[min(number, 2)] if aim.is_end else DEPLOYMENTS
                nearby = self._nearby(aim, name)
                tries.append(pool.tries(aim, count, fronts[index], nearby, self._rng))
            of_aim = np.repeat(explored, [len(t.points) for t in tries])
            found[name] = Moving(all_of(tries, len(pool.axes)), of_aim)
        return {name: moving for name, moving in found.items() if len(moving.of_aim)}

    def _beside(self, aims: list[Aim]) -> dict[str, Moving]:
        """The designs of the front on both sides of each aim, and at its ends, as they are."""
        found: dict[str, list[tuple[Row, int]]] = {}
        for index, aim in enumerate(aims):
            for row in self._nearby(aim):
                found.setdefault(row.family, []).append((row, index))
        return {
            name: Moving(Tries(np.array([row.values for row, _ in pairs]),
                               np.array([row.point for row, _ in pairs])),
                         np.array([index for _, index in pairs]))
            for name, pairs in found.items()
        }  # fmt: skip

    def _moved(self, moving: dict[str, Moving], aims: list[Aim], fronts: np.ndarray,
               stage: Stage) -> dict[str, Moving]:  # fmt: skip
        """The best for each aim after a stage; families compete where they have the same aim."""
        wanted = stage.kept * np.array([stage.ends if aim.is_end else 1 for aim in aims])
        starts = [Start(self.pools[name].polisher, *tries, together([aims[i] for i in of_aim]))
                  for name, (tries, of_aim) in moving.items()]  # fmt: skip
        moved = self._move(starts, stage.move)
        best, found = fronts.copy(), {}
        for (_, of_aim), (_, merit) in zip(moving.values(), moved, strict=True):
            np.maximum.at(best, of_aim, merit)
        for (name, (tries, of_aim)), (shares, merit) in zip(moving.items(), moved, strict=True):
            kept = _best_of_each(of_aim, tries.points, merit, wanted)
            kept = kept[merit[kept] > best[of_aim[kept]] - stage.behind]
            if len(kept):
                found[name] = Moving(Tries(shares, tries.points), of_aim).of(kept)
        return found

    def _move(self, starts: list[Start], move: Pace | int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Shares and merits of each family after a walk or a refinement."""
        if isinstance(move, int):
            return refined(starts, move)
        found = [start.polisher(start.shares, start.points, start.aims, move) for start in starts]
        self.evaluations += sum(polished.evaluations for polished in found)
        return [(polished.shares, polished.merit) for polished in found]

    # --- the front -------------------------------------------------------------------------------

    def _keep(self, name: str, swept: Sweep, fresh: bool = True) -> None:
        """Let what was swept compete, and sweep on with it and with what the front still holds."""
        pool = self.pools[name]
        self._compete(name, swept, pool.points)
        if not fresh:
            alive = {row.values for row in self.archive.rows if row.family == name}
            old = [i for i, s in enumerate(pool.swept.shares) if tuple(s) in alive]
            swept = pool.swept.of(np.array(old, int)).joined(swept)
        pool.swept = swept

    def _compete(self, name: str, swept: Sweep, points: np.ndarray) -> None:
        """Let designs of a family, swept on some points of its grid, into the archive."""
        designs, at = np.nonzero(swept.broken <= 0)
        found = swept.goals[:, designs, at].T / LN10
        fresh = np.flatnonzero(~self.archive.beats(found))
        kept = fresh[nondominated(found[fresh])]
        values = [tuple(shares) for shares in swept.shares]
        self.archive.add(found[kept], [Row(0, name, values[designs[k]], int(points[at[k]]))
                                       for k in kept])  # fmt: skip

    def _blend(self) -> None:
        """Fill the widest gaps between designs of a family with what lies between them."""
        goals, rows = self.archive.points.copy(), self.archive.rows
        for name, pool in self.pools.items():
            mine = np.flatnonzero([row.family == name for row in rows])
            pairs = [(rows[mine[i]], rows[mine[j]])
                     for i, j in widest_gaps(goals[mine], WIDEST, self._rng)]  # fmt: skip
            pairs = [(one, other) for one, other in pairs if one.values != other.values]
            if pairs:
                points = np.unique([row.point for pair in pairs for row in pair])
                some, shares = pool.evaluator.some(points), pool.blends(pairs)
                self.evaluations += len(shares) * len(points)
                self._compete(name, sweep(pool.evaluator, shares, some), points)

    # --- aims ------------------------------------------------------------------------------------

    def _first_aims(self) -> list[Aim]:
        low, high = self._range()
        aims = spread(low, high, LEVELS * (len(low) - 1), self._rng)
        levels = np.array([aim.levels[0] for aim in aims])
        asked = self._asked(levels) | np.isneginf(levels)
        return [aim for aim, kept in zip(aims, asked, strict=True) if kept] + ends(len(low))

    def _range(self) -> tuple[np.ndarray, np.ndarray]:
        """Where a front may be, of each goal: that of random designs, and something beyond it."""
        if len(front := self.archive.points * LN10) > 1:
            low, high = front.min(axis=0), front.max(axis=0)
            return low, high + BEYOND * (high - low)
        low = np.log(self.settings.reference_point)
        highs = [pool.swept.goals.max(axis=(1, 2)) for pool in self.pools.values()]
        return low, np.maximum(np.max(highs, axis=0).astype(float), low + 1)

    def _later_aims(self) -> list[Aim]:
        front = self.archive.points * LN10
        count, asked = AIMS * (front.shape[1] - 1), self._asked(front[:, 0])
        return [*along(front[asked], count, self._rng), *ends(front.shape[1])]

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

    def _nearby(self, aim: Aim, name: str | None = None) -> list[Row]:
        """The designs on both sides of an aim on the front, of one family or of any."""
        goals, rows = self.archive.points * LN10, self.archive.rows
        mine = [i for i, row in enumerate(rows) if name in (None, row.family)]
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


def _joined(some: dict[str, Moving], more: dict[str, Moving]) -> dict[str, Moving]:
    """Designs of both, by family."""
    found = dict(some)
    for name, moving in more.items():
        if name in found:
            tries, of_aim = found[name]
            both = all_of([tries, moving.tries], tries.shares.shape[1])
            moving = Moving(both, np.concatenate([of_aim, moving.of_aim]))
        found[name] = moving
    return found


def _best_of_each(groups, points, merit, wanted: np.ndarray) -> np.ndarray:
    """The rows of highest merit in each group, of different deployments, as many as wanted."""
    order = np.lexsort((-merit, groups))
    pairs = np.stack([groups[order], points[order]], axis=1)
    _, first = np.unique(pairs, axis=0, return_index=True)  # the best row of each deployment
    order = order[np.sort(first)]
    starts = np.searchsorted(groups[order], groups[order])
    return order[np.arange(len(order)) - starts < wanted[groups[order]]]
