"""How far from optimal a front can be: bounds over every deployment and every knob.

For a level of user speed, each branch of the space (`dse.search.branches`) is a convex program
(`dse.search.convex`). Tangents at designs make it a linear one whose value is a bound, for any
prices of its limits:

    log J/token  >=  log J(x0) + sum prices log(used / allowed)(x0) + min over the box of slopes

Prices from one branch exclude most others at once. Those left get linear programs of their own,
then further tangents where these end (Kelley's cutting planes), and are split where the program of
a branch has arrived and still leaves room: branch and bound. A branch inherits the tangents of the
one it comes from, whose model lies below its own.

Where a front is steep, a design a percent slower may spend half the energy, and a bound at an equal
speed says little. So levels are also asked for both goals at once: by how much can a design be
better in each? The goal is then the larger of the two logarithms, which is convex too.
"""

import dataclasses
from typing import NamedTuple

import numpy as np

from dse.search.branches import Branch, joined
from dse.search.convex import ConvexForm
from dse.search.linear import minimize

PENALTY = 200.0  # of a limit in a linear program: above any price
TOLERANCE = 0.002  # natural logarithm: a branch that can gain no more is left alone
TEACHERS, LESSONS = 24, 8  # branches whose prices are tried on all others, so many times
STILL, PATIENCE = 2e-4, 3  # a bound that gains less, so many rounds in a row, has arrived
ARRIVED = 5e-4  # natural logarithm: what a program misses of the model where it ends
MOST_CUTS = 32
AT_ONCE = 256  # branches that get programs in a round
INWARD = 0.3  # of the way from the center to where a program ends
NEVER = -1e3  # a logarithm that no limit and no goal comes down to
WORTHLESS = 1e-6  # natural logarithm: a split that gains less is none


class Level(NamedTuple):
    """A speed to bound at, and what was found there."""

    log_speed: float  # natural logarithm of user tokens/s
    log_joules: float  # of the best design that is at least so fast


class Leaf(NamedTuple):
    """A branch at the end of its program."""

    least: float  # what nothing in it is below
    branch: Branch  # of one row
    prices: np.ndarray  # of limits there, percent of J/token per percent
    where: np.ndarray  # the variables


class _Cuts(NamedTuple):
    """Tangents as affine forms of the variables, of J/token and then of each limit."""

    constants: np.ndarray  # [..., cut, output]
    slopes: np.ndarray  # [..., cut, output, variable]

    @classmethod
    def at(cls, places: np.ndarray, values: np.ndarray, slopes: np.ndarray) -> "_Cuts":
        """One tangent each ``[branch, 1, ...]`` at ``places [branch, variable]``.

        One that is not a number says nothing: it becomes one that never binds.
        """
        good = np.isfinite(values) & np.isfinite(slopes).all(axis=-1)
        values, slopes = np.where(good, values, NEVER), np.where(good[..., None], slopes, 0.0)
        return cls((values - np.einsum("pov,pv->po", slopes, places))[:, None], slopes[:, None])

    def of(self, rows) -> "_Cuts":
        return _Cuts(self.constants[rows], self.slopes[rows])

    def and_(self, other: "_Cuts") -> "_Cuts":
        """Both, the oldest left out."""
        return _Cuts(np.concatenate([self.constants, other.constants])[-MOST_CUTS:],
                     np.concatenate([self.slopes, other.slopes])[-MOST_CUTS:])  # fmt: skip

    @classmethod
    def stacked(cls, parts: list["_Cuts"]) -> "_Cuts":
        """Those of several branches, filled up with ones that never bind."""
        count = max(len(part.constants) for part in parts)
        outputs, variables = parts[0].slopes.shape[1:]
        constants = np.full((len(parts), count, outputs), NEVER)
        slopes = np.zeros((len(parts), count, outputs, variables))
        for row, part in enumerate(parts):
            constants[row, : len(part.constants)] = part.constants
            slopes[row, : len(part.slopes)] = part.slopes
        return cls(constants, slopes)


class _Goals(NamedTuple):
    """Constants ``[branch, cut, goal]`` and slopes ``[branch, cut, goal, variable]``."""

    goals: tuple[np.ndarray, np.ndarray]  # the largest is to be small
    limits: tuple[np.ndarray, np.ndarray]

    @classmethod
    def of(cls, cuts: _Cuts, both: Level | None) -> "_Goals":
        """Of J/token; or of J/token and time per token, each less what was found."""
        constants, slopes = cuts.constants[..., :1], cuts.slopes[..., :1, :]
        if both is not None:
            pace = np.zeros_like(slopes)
            pace[..., -1] = 1.0
            speed = np.full_like(constants, both.log_speed)
            constants = np.concatenate([constants - both.log_joules, speed], axis=-1)
            slopes = np.concatenate([slopes, pace], axis=-2)
        return cls((constants, slopes), (cuts.constants[..., 1:], cuts.slopes[..., 1:, :]))


@dataclasses.dataclass
class _Node:
    """A branch that may hold something better."""

    branch: Branch
    least: float
    prices: np.ndarray
    where: np.ndarray
    center: np.ndarray
    cuts: _Cuts
    still: int = 0  # rounds in a row that gained nothing

    @property
    def leaf(self) -> Leaf:
        return Leaf(self.least, self.branch, self.prices, self.where)


class Tree:
    """Bounds of one family at one speed."""

    def __init__(self, form: ConvexForm, roots: Branch, place: np.ndarray, level: Level):
        """Bound all branches by the prices of a few; those that may be better stay open.

        Args:
            form: the family.
            roots: branches that together hold every design that is asked about.
            place: knobs to take the first tangents at, natural logarithms.
            level: speed, and the joules to beat.
        """
        self.form = form
        places = np.clip(np.append(place, -level.log_speed), roots.low, roots.high)
        cuts = _Cuts.at(places, *form.tangents(places, roots))
        least, prices = _by_teachers(cuts, roots, level.log_joules)
        left = least < level.log_joules - TOLERANCE
        out = np.flatnonzero(~left)
        lowest = int(out[np.argmin(least[out])]) if len(out) else 0
        self.excluded: Leaf = _leaf(least, roots, prices, places, lowest)
        if not len(out):
            self.excluded = self.excluded._replace(least=np.inf)
        self.open = [_Node(roots.of([i]), least[i], prices[i], places[i], places[i], cuts.of(i))
                     for i in np.flatnonzero(left)]  # fmt: skip
        self.done: list[_Node] = []  # at the end of their programs, with nothing left to split
        self.opened = len(self.open)
        self.both: Level | None = None  # what is to be beaten in both goals, not in energy alone

    @property
    def leaves(self) -> list[Leaf]:
        """Branches that may still hold something better, the lowest first."""
        return [node.leaf for node in sorted([*self.open, *self.done], key=lambda n: n.least)]

    @property
    def worst(self) -> Leaf:
        """The branch whose bound is the lowest."""
        return min([self.excluded, *self.leaves], key=lambda leaf: leaf.least)

    def ask_for_both(self, level: Level) -> None:
        """Bound the gain in both goals at once from now on, of what is left.

        A branch that cannot save energy at the speed cannot be better in both.
        """
        self._sift(level.log_joules)
        self.both = level
        self.excluded = self.excluded._replace(
            least=min(self.excluded.least - level.log_joules, 0.0)
        )
        self.open, self.done = self.open + self.done, []
        for node in self.open:
            node.least, node.still = -np.inf, 0

    def grow(self, level: Level, programs: int) -> None:
        """Programs, tangents and splits until nothing is open or so many programs are solved.

        Args:
            level: the joules to beat, which may be fewer than before.
            programs: linear programs to solve at most.
        """
        target = 0.0 if self.both else level.log_joules
        self._sift(target)
        while self.open and programs > 0:
            self.open.sort(key=lambda node: node.least)
            nodes, self.open = self.open[:AT_ONCE], self.open[AT_ONCE:]
            programs -= len(nodes)
            weights = self._solve(nodes)
            kept = [i for i, node in enumerate(nodes) if node.least < target - TOLERANCE]
            self._exclude([node for node in nodes if node.least >= target - TOLERANCE])
            if kept:
                self._refine([nodes[i] for i in kept], weights[kept])

    def _sift(self, target: float) -> None:
        """Exclude what is no longer below a target."""
        self._exclude([n for n in self.open + self.done if n.least >= target - TOLERANCE])
        self.open = [n for n in self.open if n.least < target - TOLERANCE]
        self.done = [n for n in self.done if n.least < target - TOLERANCE]

    def _exclude(self, nodes: list[_Node]) -> None:
        self.excluded = min([self.excluded, *(n.leaf for n in nodes)], key=lambda l: l.least)

    def _solve(self, nodes: list[_Node]) -> np.ndarray:
        """Each node's program; returns the weights of goals ``[node, goal]``."""
        branch = joined([node.branch for node in nodes])
        forms = _Goals.of(_Cuts.stacked([node.cuts for node in nodes]), self.both)
        weights, duals, where = _program(forms, branch.low, branch.high)
        found = _lagrangian(forms, weights, duals, branch.low, branch.high)
        for i, node in enumerate(nodes):
            node.still = node.still + 1 if found[i] < node.least + STILL else 0
            node.where = where[i]
            if found[i] > node.least or not np.isfinite(node.least):
                node.least, node.prices = float(found[i]), duals[i].sum(axis=0)
        return weights.sum(axis=1)

    def _refine(self, nodes: list[_Node], weights: np.ndarray) -> None:
        """Tangents where programs end; those that have arrived are split."""
        branch = joined([node.branch for node in nodes])
        where = np.stack([node.where for node in nodes])
        tangents = self.form.tangents(where, branch)
        cuts = _Cuts.at(where, *tangents)
        goal = _goals(tangents.values, where, self.both).max(axis=1)
        broken = np.nan_to_num(tangents.values[:, 1:], nan=np.inf).max(axis=1)
        ended = (goal - [node.least for node in nodes] < ARRIVED) & (broken < ARRIVED)
        ended |= np.array([node.still >= PATIENCE for node in nodes])
        going = [i for i in range(len(nodes)) if not ended[i]]
        if going:
            # Programs end in far corners; on the way back to good designs tangents cut deeper.
            center = np.stack([nodes[i].center for i in going])
            center = center + INWARD * (where[going] - center)
            inward = _Cuts.at(center, *self.form.tangents(center, branch.of(going)))
            for row, i in enumerate(going):
                nodes[i].center = center[row]
                nodes[i].cuts = nodes[i].cuts.and_(inward.of(row)).and_(cuts.of(i))
                self.open.append(nodes[i])
        arrived = [i for i in range(len(nodes)) if ended[i]]
        for i in arrived:
            nodes[i].cuts = nodes[i].cuts.and_(cuts.of(i))
        if arrived:
            self._split([nodes[i] for i in arrived], weights[arrived])

    def _split(self, nodes: list[_Node], weights: np.ndarray) -> None:
        """Each node by the choice that lifts it most where its program ended."""
        ways = [self.form.splitter.splits(node.branch, node.where) for node in nodes]
        rows = [(i, way) for i, some in enumerate(ways) for way in some]
        if not rows:
            self.done += nodes
            return
        children = joined([way for _, way in rows])
        starts = np.concatenate([np.clip(nodes[i].where, way.low, way.high) for i, way in rows])
        worth = self._worth(starts, children, rows, nodes, weights)
        ends = np.cumsum([len(way.point) for _, way in rows])
        best: dict[int, tuple[float, Branch]] = {}
        for (i, way), part in zip(rows, np.split(worth, ends[:-1]), strict=True):
            lift = float(part.min()) if len(part) else np.inf
            if i not in best or lift > best[i][0]:
                best[i] = (lift, way)
        chosen = []
        for i, node in enumerate(nodes):
            lifts = i in best and best[i][0] >= node.least + WORTHLESS
            if not lifts and not _whole(ways[i], node):
                self.done.append(node)
            else:
                chosen += [(node, best[i][1].of([k])) for k in range(len(best[i][1].point))]
        self._add(chosen)

    def _worth(self, starts, children: Branch, rows, nodes, weights) -> np.ndarray:
        """The Lagrangian of each child at its parent's prices, where the parent's program ended."""
        of_node = np.concatenate([np.full(len(way.point), i) for i, way in rows]).astype(int)
        values = self.form.values(starts, children)
        prices = np.stack([node.prices for node in nodes])[of_node]
        goals = _goals(values, starts, self.both)
        found = (weights[of_node] * goals).sum(axis=1) + (prices * values[:, 1:]).sum(axis=1)
        return np.nan_to_num(found, nan=np.inf, posinf=np.inf, neginf=-np.inf)

    def _add(self, chosen: list[tuple[_Node, Branch]]) -> None:
        """Children join what is open, with tangents of their own beside those inherited."""
        if not chosen:
            return
        branch = joined([child for _, child in chosen])
        at = np.clip(np.stack([node.where for node, _ in chosen]), branch.low, branch.high)
        center = np.clip(np.stack([node.center for node, _ in chosen]), branch.low, branch.high)
        own = _Cuts.at(at, *self.form.tangents(at, branch))
        for row, (node, child) in enumerate(chosen):
            self.open.append(_Node(child, node.least, node.prices, at[row], center[row],
                                   node.cuts.and_(own.of(row))))  # fmt: skip


def _whole(ways: list[Branch], node: _Node) -> bool:
    """Whether a whole number lies between two: its Lagrangian is flat, and its program is not."""
    return any(len(way.point) and (way.low != node.branch.low).any() for way in ways)


def _goals(values: np.ndarray, where: np.ndarray, both: Level | None) -> np.ndarray:
    """Of which the largest is to be small, ``[branch, goal]``."""
    if both is None:
        return values[:, :1]
    return np.stack([values[:, 0] - both.log_joules, where[:, -1] + both.log_speed], axis=1)


def _leaf(least, branch: Branch, prices, places, row: int) -> Leaf:
    return Leaf(float(least[row]), branch.of([row]), prices[row], places[row])


def _by_teachers(cuts: _Cuts, branch: Branch, target: float):
    """Bounds of all branches from the prices of a few programs."""
    best = _broken(_Goals.of(cuts, None), branch)
    prices = np.zeros((len(best), cuts.constants.shape[2] - 1))
    for _ in range(LESSONS):
        open_ = np.flatnonzero(best < target - TOLERANCE)
        if len(open_) <= TEACHERS:
            break
        teachers = open_[np.argsort(best[open_], kind="stable")[:TEACHERS]]
        taught = _Goals.of(cuts.of(teachers), None)
        weights, duals, _ = _program(taught, branch.low[teachers], branch.high[teachers])
        forms, low, high = _Goals.of(cuts.of(open_), None), branch.low[open_], branch.high[open_]
        for weight, dual in zip(weights, duals, strict=True):
            count = len(open_)
            found = _lagrangian(forms, np.broadcast_to(weight, (count, *weight.shape)),
                                np.broadcast_to(dual, (count, *dual.shape)), low, high)  # fmt: skip
            better = found > best[open_]
            best[open_[better]] = found[better]
            prices[open_[better]] = dual.sum(axis=0)
    return best, prices


def _broken(forms: _Goals, branch: Branch) -> np.ndarray:
    """Infinity where a limit is broken all over a branch, else minus infinity."""
    constants, slopes = forms.limits
    low, high = branch.low[:, None, None], branch.high[:, None, None]
    least = constants + np.minimum(slopes * low, slopes * high).sum(axis=-1)
    return np.where(least.max(axis=(1, 2)) > WORTHLESS, np.inf, -np.inf)


def _program(forms: _Goals, low, high):
    """Multipliers of goals ``[p, cut, goal]`` and of limits ``[p, cut, limit]``; solutions.

    The epigraph of the goals is one more variable, so that several tangents may bind.
    """
    (above, up), (within, down) = forms.goals, forms.limits
    count, cut, goals = above.shape
    variables, limits = low.shape[1], within.shape[2]
    up = up.reshape(count, -1, variables)
    up = np.concatenate([up, -np.ones((*up.shape[:2], 1))], axis=2)
    down = down.reshape(count, -1, variables)
    down = np.concatenate([down, np.zeros((*down.shape[:2], 1))], axis=2)
    rows = np.concatenate([up, down], axis=1)
    allowed = -np.concatenate([above.reshape(count, -1), within.reshape(count, -1)], axis=1)
    cost = np.zeros((count, variables + 1))
    cost[:, -1] = 1.0
    box_low = np.concatenate([low - 1e-9, np.full((count, 1), -40.0)], axis=1)
    box_high = np.concatenate([high + 1e-9, np.full((count, 1), 40.0)], axis=1)
    solved = minimize(cost, rows, allowed, box_low, box_high, PENALTY)
    weights = np.maximum(solved.prices[:, : cut * goals], 1e-12)
    weights = (weights / weights.sum(axis=1, keepdims=True)).reshape(count, cut, goals)
    duals = np.maximum(solved.prices[:, cut * goals :], 0.0).reshape(count, cut, limits)
    return weights, duals, np.clip(solved.x[:, :-1], low, high)


def _lagrangian(forms: _Goals, weights, duals, low, high) -> np.ndarray:
    """The bound of any multipliers: exact arithmetic on the box, nothing left to a solver."""
    constant = (weights * forms.goals[0]).sum(axis=(1, 2))
    constant = constant + (duals * forms.limits[0]).sum(axis=(1, 2))
    slope = np.einsum("pko,pkov->pv", weights, forms.goals[1])
    slope = slope + np.einsum("pko,pkov->pv", duals, forms.limits[1])
    return constant + np.minimum(slope * low, slope * high).sum(axis=1)
