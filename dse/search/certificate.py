"""How far from optimal a front can be: bounds over every deployment and every knob.

For a level of user speed, each deployment is a convex program (`dse.search.convex`). Tangents at
designs already found make it a linear one whose value is a bound, for any prices of its limits:

    log J/token  >=  log J(x0) + sum prices log(used / allowed)(x0) + min over the box of slopes

Prices from one deployment exclude most others at once; those left get linear programs of their
own, then further tangents where these end (Kelley's cutting planes), until they are excluded or
closed.

Where a front is steep, a design a percent slower may spend half the energy, and a bound at an equal
speed says little. So levels are also asked for both goals at once: by how much can a design be
better in each? The goal is then the larger of the two logarithms, which is convex too.
"""

from typing import NamedTuple

import numpy as np

from dse.search.convex import ConvexForm
from dse.search.linear import minimize

PENALTY = 60.0  # of a limit in a linear program: above any price
TOLERANCE = 0.003  # natural logarithm: a deployment that can gain no more is left alone
ROUNDS = 24
TEACHERS = 24  # deployments whose prices are tried on all others
SLOWEST, FASTEST = np.log(1e-6), np.log(10.0)  # of the step time as a variable
STILL, SURE = 5e-4, 8  # a bound that gained less, after so many rounds, has arrived
MOST_CUTS = 40
INWARD = 0.3  # of the way from the center to where a program ends


class Level(NamedTuple):
    """A speed to bound at, and what was found there."""

    log_speed: float  # natural logarithm of user tokens/s
    log_joules: float  # of the best design that is at least so fast


class Bound(NamedTuple):
    """The least value that any design of a family can have at a level.

    Of energy: log J/token. Of both goals: the larger of log J/token and log time per token, each
    less what was found; below zero where something may be better in both.
    """

    least: float
    point: int  # of the deployment grid, where that is
    prices: np.ndarray  # of limits there, percent of J/token per percent
    opened: int  # deployments that prices alone did not exclude
    left: np.ndarray  # deployments that may still do better than what was found
    where: np.ndarray  # and the variables at which, ``[deployment, variable]``


class _Cuts(NamedTuple):
    """Tangents as affine forms of the variables, of each goal and then of each limit."""

    constants: np.ndarray  # [deployment, cut, output]
    slopes: np.ndarray  # [deployment, cut, output, variable]
    goals: int = 1  # of the outputs; the largest is to be small

    @classmethod
    def at(cls, places: np.ndarray, values: np.ndarray, slopes: np.ndarray) -> "_Cuts":
        """Tangents ``[deployment, cut, ...]`` taken at ``places [deployment, cut, variable]``.

        One that is not a number says nothing: it becomes one that never binds.
        """
        good = np.isfinite(values) & np.isfinite(slopes).all(axis=-1)
        values, slopes = np.where(good, values, -1e3), np.where(good[..., None], slopes, 0.0)
        return cls(values - np.einsum("pkov,pkv->pko", slopes, places), slopes)

    def of(self, rows) -> "_Cuts":
        return _Cuts(self.constants[rows], self.slopes[rows], self.goals)

    def joined(self, other: "_Cuts") -> "_Cuts":
        return _Cuts(
            np.concatenate([self.constants, other.constants], axis=1)[:, -MOST_CUTS:],
            np.concatenate([self.slopes, other.slopes], axis=1)[:, -MOST_CUTS:],
            self.goals,
        )

    def of_both(self, level: Level) -> "_Cuts":
        """J/token and time per token less what was found, as two goals."""
        energy = self.constants[:, :, :1] - level.log_joules
        pace = np.zeros_like(self.slopes[:, :, :1])
        pace[..., -1] = 1.0
        return _Cuts(
            np.concatenate([energy, np.full_like(energy, level.log_speed),
                            self.constants[:, :, 1:]], axis=2),
            np.concatenate([self.slopes[:, :, :1], pace, self.slopes[:, :, 1:]], axis=2),
            2,
        )  # fmt: skip


def bound(form: ConvexForm, cell, points: np.ndarray, places: np.ndarray, level: Level,
          both: bool = False) -> Bound:  # fmt: skip
    """Bound deployments of one family in one cell, at one level.

    Args:
        form: the family.
        cell: least and largest share of weights in the fast memory, and the radix of links.
        points: deployments, of the family's grid.
        places: knobs to take tangents at, natural logarithms, ``[place, knob]``.
        level: speed, and the joules to beat.
        both: bound the gain in both goals at once, not that of energy alone.
    """
    low = np.append(form.low, SLOWEST)
    high = np.append(form.high, -level.log_speed)
    target = 0.0 if both else level.log_joules

    def asked(cuts: _Cuts) -> _Cuts:
        return cuts.of_both(level) if both else cuts

    cuts = asked(_tangents(form, cell, points, places, high[-1]))
    best, prices = _by_teachers(cuts, low, high, target)
    left = np.flatnonzero(best < target - TOLERANCE)
    opened = len(left)
    where = np.tile(np.append(places[0], high[-1]), (len(left), 1))
    own, center = cuts.of(left), where
    closed, places_closed = [], []
    for number in range(ROUNDS):
        if not len(left):
            break
        found, where, found_prices = _solved(own, low, high)
        gained = found - best[left]
        prices[left[gained > 0]] = found_prices[gained > 0]
        best[left] = np.maximum(best[left], found)
        # Excluded, or as far as tangents bring it: then a design may be there to be found.
        out = best[left] >= target - TOLERANCE
        done = ~out & (gained < STILL) & (number >= SURE)
        closed.append(left[done])
        places_closed.append(where[done])
        stay = ~(out | done)
        left, own, where, center = left[stay], own.of(stay), where[stay], center[stay]
        if len(left):
            # Programs end in far corners; on the way back to good designs tangents cut deeper.
            center = center + INWARD * (where - center)
            own = own.joined(asked(_own_tangents(form, cell, points[left], center)))
            own = own.joined(asked(_own_tangents(form, cell, points[left], where)))
    left = np.concatenate([left, *closed])
    where = np.concatenate([where, *places_closed])
    worst = int(np.argmin(best))
    order = np.argsort(best[left], kind="stable")
    return Bound(float(best[worst]), int(points[worst]), prices[worst], opened, points[left[order]],
                 where[order])  # fmt: skip


def _tangents(form: ConvexForm, cell, points, places, pace: float) -> _Cuts:
    """Each place on every deployment, at the pace of the level."""
    values, slopes, at = [], [], []
    for place in places:
        wide = np.tile(np.append(place, pace), (len(points), 1))
        found = form.tangents(wide, points, cell)
        values.append(found.values)
        slopes.append(found.slopes)
        at.append(wide)
    return _Cuts.at(np.stack(at, 1), np.stack(values, 1), np.stack(slopes, 1))


def _own_tangents(form: ConvexForm, cell, points, where) -> _Cuts:
    found = form.tangents(where, points, cell)
    return _Cuts.at(where[:, None], found.values[:, None], found.slopes[:, None])


def _by_teachers(cuts: _Cuts, low, high, target: float):
    """Bounds of all deployments from the prices of a few programs."""
    count, outputs = len(cuts.constants), cuts.constants.shape[2]
    best = np.full(count, -np.inf)
    prices = np.zeros((count, outputs - cuts.goals))
    for _ in range(3):
        teachers = np.argsort(best, kind="stable")[:TEACHERS]
        weights, duals, _ = _program(cuts.of(teachers), low, high)
        for weight, dual in zip(weights, duals, strict=True):
            found = _lagrangian(cuts, np.broadcast_to(weight, (count, *weight.shape)),
                                np.broadcast_to(dual, (count, *dual.shape)), low, high)  # fmt: skip
            better = found > best
            best[better] = found[better]
            prices[better] = dual.sum(axis=0)
        if (best >= target - TOLERANCE).all():
            break
    return best, prices


def _solved(cuts: _Cuts, low, high):
    """Bounds of each deployment by its own program, where it ends, and the prices there."""
    weights, duals, where = _program(cuts, low, high)
    return _lagrangian(cuts, weights, duals, low, high), where, duals.sum(axis=1)


def _program(cuts: _Cuts, low, high):
    """Multipliers of goals ``[p, cut, goal]`` and of limits ``[p, cut, limit]``; solutions.

    The epigraph of the goals is one more variable, so that several tangents may bind.
    """
    count, cut, outputs = cuts.constants.shape
    variables, goals = len(low), cuts.goals
    above = cuts.slopes[:, :, :goals].reshape(count, -1, variables)
    above = np.concatenate([above, -np.ones((*above.shape[:2], 1))], axis=2)
    within = cuts.slopes[:, :, goals:].reshape(count, -1, variables)
    within = np.concatenate([within, np.zeros((*within.shape[:2], 1))], axis=2)
    rows = np.concatenate([above, within], axis=1)
    parts = cuts.constants[:, :, :goals], cuts.constants[:, :, goals:]
    allowed = -np.concatenate([part.reshape(count, -1) for part in parts], axis=1)
    cost = np.zeros((count, variables + 1))
    cost[:, -1] = 1.0
    box_low = np.tile(np.append(low, -40.0), (count, 1))
    box_high = np.tile(np.append(high, 40.0), (count, 1))
    solved = minimize(cost, rows, allowed, box_low, box_high, PENALTY)
    weights = np.maximum(solved.prices[:, : cut * goals], 1e-12)
    weights = (weights / weights.sum(axis=1, keepdims=True)).reshape(count, cut, goals)
    duals = np.maximum(solved.prices[:, cut * goals :], 0.0).reshape(count, cut, outputs - goals)
    inside = np.clip(solved.x[:, :-1], low, high)
    return weights, duals, inside


def _lagrangian(cuts: _Cuts, weights, duals, low, high) -> np.ndarray:
    """The bound of any multipliers: exact arithmetic on the box, nothing left to a solver."""
    each = np.concatenate([weights, duals], axis=2)
    constant = (each * cuts.constants).sum(axis=(1, 2))
    slope = np.einsum("pko,pkov->pv", each, cuts.slopes)
    return constant + np.minimum(slope * low, slope * high).sum(axis=1)
