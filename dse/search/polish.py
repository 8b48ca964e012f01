"""Gradient polish: hardware moved inside its ranges while its deployment stays as it is.

Designs are columns ``[axis, design]`` in the unit cube of the family's axes. Each has an aim: goals
to maximize by weight and levels that goals must keep. Limits are exact penalties on the logarithm
of used over allowed. The maximum over lanes is a p-norm whose exponent grows along the way, so
that early steps see past a kink and late ones see where it is.

Slopes are those of one scalar per design, in reverse mode over contiguous columns: three times the
speed of forward mode in a dozen variables.
"""

import copy
import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from dse import compiled
from dse.search import devices
from dse.search.batch import Evaluator
from dse.search.settings import Settings

WIDTH = 128  # designs per call: wider ones are no faster, and emptier
EXPONENTS = (8.0, 96.0)  # of the p-norm, first and last; the last is reached at half time
PENALTY = 8.0  # of a natural logarithm of a limit or of a level
LEAST_MARGIN = -0.95  # limits used less than this are all alike
HARD = 4096.0  # exponent of a p-norm that float32 cannot tell from the maximum
SAFETY = 1e-3  # kept below every limit, for what float32 and the p-norm leave


class Aims(NamedTuple):
    """What each design is to become, ``[goal, design]``; goals as natural logarithms."""

    weights: np.ndarray
    levels: np.ndarray  # -inf where a goal is free

    def of(self, rows) -> "Aims":
        """The aims of some designs."""
        return Aims(self.weights[:, rows], self.levels[:, rows])


class Pace(NamedTuple):
    """How a polish walks."""

    steps: int
    rate: float  # length of the first step, in the unit cube


FAR = Pace(60, 0.08)  # from anywhere


class Polished(NamedTuple):
    """What became of designs."""

    shares: np.ndarray  # [design, axis]
    merit: np.ndarray  # [design], what was to be maximized less penalties
    evaluations: int  # values with their slopes


class Linearized(NamedTuple):
    """Goals, then limits, with their slopes in the unit cube."""

    values: np.ndarray  # [design, output], natural logarithms
    slopes: np.ndarray  # [design, output, axis]


class Polisher:
    """Polishes designs of one family, each at one point of the deployment grid."""

    def __init__(self, evaluator: Evaluator):
        self.evaluator = evaluator
        self.goals = len(evaluator.settings.objectives)
        self._compiled = compiled.quick(self._walk)

    def __call__(self, shares: np.ndarray, points: np.ndarray, aims: Aims, pace: Pace) -> Polished:
        """Move designs towards their aims.

        Args:
            shares: where designs start in the unit cube, ``[design, axis]``.
            points: of the deployment grid, ``[design]``.
            aims: of each design.
            pace: how many steps, and how long they are.

        Returns:
            Where each was best, limits kept as far as that was found.
        """
        best, loss, _, _ = self._in_parts(shares, points, aims, pace, EXPONENTS)
        return Polished(best.T, -loss, -(-len(points) // WIDTH) * WIDTH * pace.steps)

    def under(self, settings: Settings) -> "Polisher":
        """The same compiled program under other bounds of the same metrics."""
        found = copy.copy(self)
        found.evaluator = self.evaluator.under(settings)
        return found

    def values(self, shares: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Goals and limits ``[design, output]``, as `linearized` orders them, hard maxima."""
        goals = self.goals
        none = Aims(np.zeros((goals, len(points))), np.full((goals, len(points)), -np.inf))
        return self._in_parts(shares, points, none, Pace(0, 0.0), (HARD, HARD))[2].T

    def linearized(self, shares: np.ndarray, points: np.ndarray, exponent: float,
                   wanted: np.ndarray | None = None) -> Linearized:  # fmt: skip
        """Values of all goals and limits, and slopes of all or of those wanted.

        The function that walks also answers this: each slope is a column with a price of one, so
        nothing else is compiled.

        Args:
            shares: designs in the unit cube, ``[design, axis]``.
            points: of the deployment grid, ``[design]``.
            exponent: of the p-norm.
            wanted: which slopes, ``[design, output]``, at least one of each design; the others
                are zero.
        """
        count, outputs, goals = len(points), self.outputs, self.goals
        wanted = np.ones((count, outputs), bool) if wanted is None else wanted
        rows, asked = np.nonzero(wanted)
        none = Aims(np.zeros((goals, len(rows))), np.full((goals, len(rows)), -np.inf))
        found = self._in_parts(shares[rows], points[rows], none, Pace(0, 0.0),
                               (exponent, exponent), np.eye(outputs)[:, asked])  # fmt: skip
        first = np.searchsorted(rows, np.arange(count))
        slopes = np.zeros((count, outputs, shares.shape[1]))
        slopes[rows, asked] = found[3].T
        return Linearized(found[2].T[first], slopes)

    @functools.cached_property
    def outputs(self) -> int:
        """How many goals and limits there are."""
        shape = jax.eval_shape(
            lambda: self._outputs(
                jnp.zeros((len(self.evaluator.family.axes), 1)),
                (self.evaluator.deployments(np.zeros(1, int)), self.evaluator.cut.common),
                self._given,
                2.0,
            )
        )
        return shape.shape[0]

    @property
    def _given(self):
        """Spec and scenario, and what each constraint allows: none of it is compiled in."""
        constraints = self.evaluator.settings.constraints
        return self.evaluator.given, tuple(np.float32(c.allowed) for c in constraints)

    def _in_parts(self, shares, points, aims: Aims, pace: Pace, exponents, prices=None):
        parts = []
        for start in range(0, len(points), WIDTH):
            rows = np.arange(start, min(start + WIDTH, len(points)))
            filled = np.resize(rows, WIDTH)  # repeated, so that one shape is compiled
            priced = np.full((self.outputs, WIDTH), np.nan) if prices is None else prices[:, filled]
            found = self._compiled(
                devices.spread(np.asarray(shares[filled].T, np.float32)),
                (
                    devices.spread(self.evaluator.deployments(points[filled])),
                    self.evaluator.cut.common,
                ),
                devices.spread(
                    tuple(np.asarray(part, np.float32) for part in (*aims.of(filled), priced))
                ),
                (np.int32(pace.steps), *map(np.float32, (pace.rate, *exponents))),
                self._given,
            )
            parts.append([np.asarray(part, float)[..., : len(rows)] for part in found])
        return [np.concatenate(part, axis=-1) for part in zip(*parts, strict=True)]

    def _walk(self, shares, points, aims, pace, given):
        """Steps of Adam under the prices of the aims, or of given prices where they are numbers."""
        weights, levels, prices = aims
        steps, rate, *exponents = pace
        optimizer = optax.scale_by_adam(b1=0.8, b2=0.95)
        moves = np.array([[not axis.is_radix] for axis in self.evaluator.family.axes], np.float32)

        def step(index, state):
            shares, moments, best, least, _, _ = state
            done = index / jnp.maximum(steps, 1)
            exponent = _exponent(done, *exponents)
            outputs, pull = jax.vjp(lambda s: self._outputs(s, points, given, exponent), shares)
            loss, due = jax.vjp(lambda o: _loss(o, weights, levels), outputs)
            (asked,) = due(jnp.ones_like(loss))
            (slopes,) = pull(jnp.where(jnp.isnan(prices), asked, prices))
            # Losses under different exponents do not compare: the best is of the second half.
            better = (loss < least) & (done >= 0.5)
            best, least = jnp.where(better, shares, best), jnp.where(better, loss, least)
            slopes = jnp.nan_to_num(slopes, nan=0.0, posinf=0.0, neginf=0.0) * moves
            update, moments = optimizer.update(slopes, moments)
            length = rate * 0.5 * (1 + jnp.cos(jnp.pi * done))
            moved = jnp.clip(shares - length * update, 0.0, 1.0)
            return moved, moments, best, least, outputs, slopes

        nothing = jnp.full(shares.shape[1], jnp.inf)
        outputs = jnp.zeros((self.outputs, shares.shape[1]), jnp.float32)
        state = (shares, optimizer.init(shares), shares, nothing, outputs, jnp.zeros_like(shares))
        _, _, best, least, outputs, slopes = jax.lax.fori_loop(0, steps + 1, step, state)
        return best, least, outputs, slopes

    def _outputs(self, shares, points, given, exponent):
        """Goals as natural logarithms, then used over allowed likewise, ``[output, design]``."""
        settings, family = self.evaluator.settings, self.evaluator.family
        values = [axis.relaxed(share) for axis, share in zip(family.axes, shares, strict=True)]
        columns, common = points
        of_study, allowed = given
        found = self.evaluator.estimates(values, columns, common, of_study, exponent)
        limits = [dataclasses.replace(c, allowed=bound)
                  for c, bound in zip(settings.constraints, allowed, strict=True)]  # fmt: skip
        goals = [o.log(settings.combination.goal(o, [o.metric.of(e) for e in found], exponent),
                       jnp.log) for o in settings.objectives]  # fmt: skip
        margins = [limit.margin for e in found for limit in e.limits.values()]
        margins += [c.margin(c.metric.of(e)) for e in found for c in limits]
        used = [jnp.log1p(jnp.maximum(margin, LEAST_MARGIN)) for margin in margins]
        count = shares.shape[1]
        return jnp.stack([jnp.broadcast_to(jnp.asarray(row, jnp.float32), (count,))
                          for row in goals + used])  # fmt: skip


def _loss(outputs, weights, levels):
    """Penalties of limits and levels less the weighted goals, ``[design]``."""
    goals, used = outputs[: len(weights)], outputs[len(weights) :]
    free = jnp.isneginf(levels)
    short = jnp.where(free, 0.0, jnp.maximum(jnp.where(free, 0.0, levels) - goals, 0.0))
    broken = jnp.maximum(used + SAFETY, 0.0)
    return PENALTY * (short.sum(0) + broken.sum(0)) - (weights * goals).sum(0)


def _exponent(done, first, last):
    return first * (last / first) ** jnp.minimum(2 * done, 1.0)


def _together(columns, count: int):
    return jnp.stack([jnp.broadcast_to(jnp.asarray(c, jnp.float32), (count,)) for c in columns])
