"""What a bound holds: the choices of a design that are no knobs, and ranges of those that are.

A *branch* is one deployment on chips of one family with a range of every knob. Its model is
convex once a few choices are held: which algorithm sums partial results, how many peers share the
lanes of a chip, where weights and KV cache lie, what keeps the clock awake. A branch may leave such
a choice open, or whole numbers between: then its model lies below each of those it splits into.
"""

import functools
from typing import Any, NamedTuple

import jax
import numpy as np

from dse.estimate.exchange import AUTO, FLOOR
from dse.estimate.prepare import FULL
from dse.estimate.step import AWAKE
from dse.search.batch import Evaluator
from dse.search.space import Axis
from dse.work import decode
from dse.work.collectives import ALL_REDUCE

FAST = ("macro", "scratchpad")  # laws of memory inside the die
SUMS = ("attention", "feedforward")  # parts of a layer that end in a sum over chips
NEARLY = 0.9  # of the way to all weights in the fast memory, where a range that ends there is cut
LOOSE = 1e-6  # of ends of ranges that single precision has seen
FORGIVEN = 1e-5  # of a stage, by `smooth.ceiling`
SPLITS = 6  # made at most of a branch drawn at random


class Branch(NamedTuple):
    """Branches as columns, ``[branch]`` each but the last two, ``[branch, variable]``."""

    point: np.ndarray  # of the deployment grid
    radix: np.ndarray  # most peers of the links, which stages are counted by; 0 where it is no knob
    peers: np.ndarray  # fewest peers, which share the lanes
    linked: np.ndarray  # 1 where weights fill the fast memory and the rest lies in the slow one
    least: np.ndarray  # share of the weights in the fast memory
    most: np.ndarray
    cached: np.ndarray  # 1 where the KV cache lies in the fast memory
    attention: np.ndarray  # index of `exchange.AUTO`, or `FLOOR`
    feedforward: np.ndarray
    awake: np.ndarray  # index of `step.AWAKE`
    low: np.ndarray  # natural logarithms of the knobs and of the step time
    high: np.ndarray

    def of(self, rows) -> "Branch":
        """Some of them."""
        return Branch(*(column[rows] for column in self))

    def with_(self, **columns) -> "Branch":
        """All of them, with some columns replaced."""
        return self._replace(**{
            name: np.broadcast_to(np.asarray(column, float), getattr(self, name).shape)
            for name, column in columns.items()
        })  # fmt: skip

    @property
    def exists(self) -> np.ndarray:
        """Whether any knob is left, ``[branch]``."""
        return (self.low <= self.high).all(axis=1) & (self.least <= self.most)

    @property
    def spilling(self) -> tuple[np.ndarray, np.ndarray]:
        """``(a, p)``: at least ``a share ** p`` of the weights lie in the slow memory.

        The logarithm of ``1 - share`` is concave in that of the share, so between two ends it lies
        above its chord, which is a power.
        """
        open_ = (self.linked > 0) & (self.most < 1) & (self.least < self.most)
        least, most = np.where(open_, self.least, 0.25), np.where(open_, self.most, 0.5)
        power = np.log((1 - most) / (1 - least)) / np.log(most / least)
        start = (1 - least) * least**-power
        return np.where(open_, start, 1 - self.most), np.where(open_, power, 0.0)


def joined(parts: list[Branch]) -> Branch:
    """Branches one after another."""
    return Branch(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


class Splitter:
    """Branches of one family: what to start from, and how each is split."""

    def __init__(self, evaluator: Evaluator, axes: list[Axis]):
        """``axes``: the knobs that are variables of the bound, in order."""
        self.evaluator, self.axes = evaluator, axes
        self.spec = evaluator.family.loaded.spec
        self.radix: Any = next((a for a in evaluator.family.axes if a.is_radix), None)
        laws = {name: tier.technology.law for name, tier in self.spec.memory.items()}
        self.fast = [name for name, law in laws.items() if law in FAST]
        self.slow = [name for name, law in laws.items() if law not in FAST]

    @property
    def has_two_memories(self) -> bool:
        """Whether weights may lie in a fast memory and in a large one."""
        return bool(self.fast and self.slow)

    @property
    def is_covered(self) -> bool:
        """Whether roots hold every design: not with two memories of one kind, or moving domains."""
        domain_moves = any(axis.path.endswith("scale_up.chips") for axis in self.axes)
        return len(self.fast) <= 1 and len(self.slow) <= 1 and not domain_moves

    # --- what to start from ----------------------------------------------------------------------

    def roots(self, low: np.ndarray, high: np.ndarray, points: np.ndarray | None = None) -> Branch:
        """Branches that together hold every design, each place of weights and cache apart.

        Args:
            low: natural logarithms of the least of all variables.
            high: and of the most.
            points: of the deployment grid; all if not given.
        """
        points = np.arange(len(self.evaluator.grid)) if points is None else np.asarray(points)
        columns = self.evaluator.grid.columns
        queues = np.asarray((columns.micro_batches > columns.pp) | (columns.overlap > 0))[points]
        ends = (0.0, 0.0) if self.radix is None else (self.radix.high, self.radix.low)
        if self.radix is not None and not self._is_direct:
            ends = (self.radix.high, self.radix.high)  # ports of a switch are free
        whole = np.ones(len(points))
        root = Branch(
            points, ends[0] * whole, ends[1] * whole, 0 * whole, whole, whole, 0 * whole,
            FLOOR * whole, FLOOR * whole,
            np.where(queues, AWAKE.index("busiest lane"), AWAKE.index("work")).astype(float),
            np.tile(low, (len(points), 1)), np.tile(high, (len(points), 1)),
        )  # fmt: skip
        return self._placed(root) if self.has_two_memories else root

    def _placed(self, root: Branch) -> Branch:
        """Every place of weights and cache: `deployments.placed` fills the fastest tier first."""
        column, room = self._capacity
        weights = self.evaluator.grid.weights_bytes[root.point]
        least, most = (np.minimum(FULL * end / weights, 1.0) for end in room)
        inside = root.with_(linked=1, least=least, most=most)
        full = root
        if column is not None:
            inside = self._within(inside)
            at = full.low.copy()
            at[:, column] = np.maximum(at[:, column], np.log(weights / FULL * (1 - LOOSE)))
            full = full._replace(low=at)
        else:  # one capacity, one share
            inside, full = inside.of(most < 1), full.of(most >= 1)
        outside = root.with_(least=0, most=0)  # where the large memory is also the faster one
        cached = root.with_(cached=1)
        both = root.with_(cached=1, least=0)  # the fast memory large, and the slow one faster
        found = joined([inside.of(inside.least < 1), full, outside, cached, both])
        return found.of(found.exists)

    @functools.cached_property
    def _capacity(self) -> tuple[int | None, tuple[float, float]]:
        """Which variable the capacity of the fast memory is, and its range in bytes."""
        path = f"memory.{self.fast[0]}.capacity"
        for column, axis in enumerate(self.axes):
            if axis.path == path:
                return column, (axis.low, axis.high)
        capacity = float(self.spec.memory[self.fast[0]].capacity_bytes)
        return None, (capacity, capacity)

    def _within(self, branch: Branch) -> Branch:
        """Linked branches with the capacity that their share of the weights takes."""
        column, _ = self._capacity
        if column is None:
            return branch
        weights = self.evaluator.grid.weights_bytes[branch.point]
        low, high = branch.low.copy(), branch.high.copy()
        with np.errstate(divide="ignore"):
            least = np.log(branch.least * weights / FULL * (1 - LOOSE))
            most = np.log(branch.most * weights / FULL * (1 + LOOSE))
        low[:, column] = np.maximum(low[:, column], least)
        high[:, column] = np.minimum(high[:, column], most)
        return branch._replace(low=low, high=high)

    # --- how a branch is split -------------------------------------------------------------------

    def splits(self, one: Branch, where: np.ndarray | None = None) -> list[Branch]:
        """Ways to split a branch (of one row), each a set of branches that together cover it.

        Args:
            one: the branch.
            where: variables whose whole numbers are looked at; none if not given.
        """
        found = []
        if one.radix[0] > one.peers[0]:
            found.append(self._by_radix(one))
        found += self._by_sums(one)
        overlaps = self.evaluator.grid.columns.overlap[one.point[0]] > 0
        if one.awake[0] == AWAKE.index("busiest lane") and not overlaps:
            found.append(_each(one, awake=[AWAKE.index("work"), AWAKE.index("step")]))
        if one.most[0] > one.least[0]:
            found.append(self._by_share(one))
        if where is not None:
            found += [self._by_whole(one, where, column) for column, axis in enumerate(self.axes)
                      if axis.whole and _is_between(where[column])]  # fmt: skip
        return [part.of(part.exists) for part in found]

    def drawn(self, branch: Branch, rng: np.random.Generator) -> Branch:
        """Branches with each split but those of whole numbers made or not, at random."""
        rows = [self._drawn(branch.of([row]), rng) for row in range(len(branch.point))]
        return joined(rows)

    def _drawn(self, one: Branch, rng: np.random.Generator) -> Branch:
        for number in range(SPLITS):
            ways = self.splits(one)
            if number >= len(ways) or rng.uniform() < 0.2:
                break
            way = ways[rng.integers(len(ways))]
            one = way.of([rng.integers(len(way.point))])
        return one

    def _by_radix(self, one: Branch) -> Branch:
        radixes = self.radixes(int(one.point[0]))
        return _each(one, radix=radixes, peers=radixes)

    def radixes(self, point: int) -> list[float]:
        """Radixes of direct links that no other beats in a deployment.

        A radix below the next one that saves a stage of some group only shares lanes among fewer.
        """
        axis = self.radix
        groups = {float(g if g.ndim == 0 else g[point]) for g in self._groups}
        found = {axis.low}
        for group in groups:
            stages = np.arange(1, 1 + max(np.ceil(np.log2(max(group, 2.0))), 1.0))
            roots = group ** (1 / (stages + FORGIVEN))
            found |= set(np.ceil(roots) if axis.whole else roots)
        return sorted(r for r in found if axis.low <= r <= axis.high)

    def _by_sums(self, one: Branch) -> list[Branch]:
        fabric = self.spec.link.get("scale_up")
        reduces = fabric is not None and fabric.in_network_reduction > 0.5
        kinds = [i for i, name in enumerate(AUTO) if name != "in_switch" or reduces]
        free = [part for part in SUMS if getattr(one, part)[0] == FLOOR]
        if len(free) == len(SUMS) and self._sums_alike[one.point[0]]:
            return [_each(one, **dict.fromkeys(SUMS, kinds))]
        return [_each(one, **{part: kinds}) for part in free]

    def _by_share(self, one: Branch) -> Branch:
        least, most = one.least[0], one.most[0]
        middle = 0.5 * (least + most)
        if one.linked[0]:
            # Where all but little fits, the rest is told by its own size.
            middle = least + NEARLY * (1 - least) if most == 1 else 1 - np.sqrt(
                (1 - least) * (1 - most))  # fmt: skip
        found = _each(one, least=[least, middle], most=[middle, most])
        return self._within(found) if one.linked[0] else found

    @staticmethod
    def _by_whole(one: Branch, where: np.ndarray, column: int) -> Branch:
        found = one.of([0, 0])
        low, high = found.low.copy(), found.high.copy()
        below = np.floor(np.exp(where[column]))
        high[0, column], low[1, column] = np.log([below, below + 1])
        return found._replace(low=low, high=high)

    # --- exchanges of the deployments ------------------------------------------------------------

    @functools.cached_property
    def _exchanges(self) -> list:
        grid = self.evaluator.grid
        with jax.enable_x64(True):
            ops = decode.decode_ops(self.evaluator.settings.model.spec, grid.context, grid.columns)
            found = [op.exchange for op in ops if op.exchange is not None]
            return jax.tree.map(lambda leaf: np.asarray(leaf, float), found)

    @functools.cached_property
    def _groups(self) -> list[np.ndarray]:
        """Chips that take part in each exchange, inside a domain and between domains."""
        whole = [np.asarray(exchange.group, float) for exchange in self._exchanges
                 if exchange.kind != "point_to_point"]  # fmt: skip
        inside = [np.minimum(group, self.spec.link["scale_up"].chips) for group in whole]
        between = [group / part for group, part in zip(whole, inside, strict=True)]
        return [np.array(2.0), *inside, *between]  # two hand over between stages

    @property
    def _label(self) -> str:
        return self.radix.path.split(".")[1]

    @property
    def _is_direct(self) -> bool:
        return self.spec.link[self._label].topology == "direct"

    @functools.cached_property
    def _sums_alike(self) -> np.ndarray:
        """Whether all sums of a layer are of one size and group, so of one algorithm, [point]."""
        sums = [exchange for exchange in self._exchanges
                if exchange.kind == "all_reduce" or exchange.kind in ALL_REDUCE]  # fmt: skip
        alike = np.ones(len(self.evaluator.grid), bool)
        for one in sums[1:]:
            for name in ("size_bytes", "group"):
                alike &= np.asarray(getattr(one, name) == getattr(sums[0], name))
        return alike


def _each(one: Branch, **columns) -> Branch:
    """A branch of one row repeated with each entry of some columns."""
    count = len(next(iter(columns.values())))
    return one.of(np.zeros(count, int)).with_(**columns)


def _is_between(logarithm: float) -> bool:
    value = np.exp(logarithm)
    return abs(value - np.round(value)) > 1e-4 * value
