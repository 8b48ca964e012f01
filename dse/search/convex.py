"""A study's model in convex form: what bounds on the whole space are computed from.

With the deployment, the whole-number knobs without a convex relaxation, and the share of weights in
the fast memory held, and with the step time as a variable of its own (a system may wait), goals and
limits are built of products, sums and maxima. So their logarithms are convex in the logarithms of
the knobs, and a tangent anywhere is a bound everywhere. What is not convex is replaced by something
below it (`exchange.FLOOR`, residency cells); what is left is found by test, not assumed.
"""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dse.estimate.exchange import FLOOR
from dse.estimate.step import Design, estimate_step
from dse.search.batch import Evaluator
from dse.search.space import Axis, with_leaves

WIDTH = 2048  # points per call
LEAST_USED = 1e-3  # a limit used less than this share is given no slope
CLOCKS_HZ = (1e8, 5e9)  # no clock limit lies outside
FAST = ("macro", "scratchpad")
CELLS = ((1.0, 1.0), (0.95, 1.0), (0.7, 0.95), (0.0, 0.7))  # shares of weights in the fast memory


class Tangents(NamedTuple):
    """Values and slopes at points: log J/token first, then log used over allowed."""

    values: np.ndarray  # [point, output]
    slopes: np.ndarray  # [point, output, variable]


class ConvexForm:
    """One family at held whole numbers: variables are log knobs, then the log of the step time."""

    def __init__(self, evaluator: Evaluator):
        self.evaluator = evaluator
        axes = evaluator.family.axes
        self.radix = next((a for a in axes if a.is_radix), None)
        self.axes = [a for a in axes if a is not self.radix]
        if evaluator.family.loaded.spec.clock_hz is None and "clock" not in [a.path for a in axes]:
            # A clock that follows its voltage is not convex; one that may lie below it is.
            self.axes.append(Axis("clock", "clock", "hertz", *CLOCKS_HZ, log=True))
        self.low = np.log([a.low for a in self.axes])
        self.high = np.log([a.high for a in self.axes])
        self.limit_names: tuple[str, ...] = ()
        self._compiled = jax.jit(self._tangents)
        self._values = jax.jit(self._outputs)

    def tangents(self, variables: np.ndarray, points: np.ndarray, cell) -> Tangents:
        """Tangents of all outputs, ``[point]`` many, each at one point of the deployment grid."""
        values, slopes = self._in_parts(self._compiled, variables, points, cell)
        return Tangents(values.T, np.moveaxis(slopes, -1, 0))

    def values(self, variables: np.ndarray, points: np.ndarray, cell) -> np.ndarray:
        """Outputs alone, ``[point, output]``."""
        return self._in_parts(lambda *a: (self._values(*a),), variables, points, cell)[0].T

    def _in_parts(self, function, variables, points, cell):
        parts = []
        with jax.enable_x64(True):
            given = jax.tree.map(lambda leaf: np.float64(leaf), self._given)
            for start in range(0, len(points), WIDTH):
                rows = np.arange(start, min(start + WIDTH, len(points)))
                filled = np.resize(rows, WIDTH)
                columns = self.evaluator.deployments(points[filled])
                deployments = tuple(np.asarray(column, float) for column in columns)
                found = function(variables[filled].T, deployments, np.array(cell, float), given)
                parts.append([np.asarray(part)[..., : len(rows)] for part in found])
        return [np.concatenate(part, axis=-1) for part in zip(*parts, strict=True)]

    @functools.cached_property
    def _given(self):
        # The evaluator keeps single precision; bounds are computed in double.
        spec = self.evaluator.family.loaded.spec
        common = tuple(None if c is None else float(c) for c in self.evaluator.cut.common)
        return spec, self.evaluator.given[1], common

    def _tangents(self, variables, deployments, cell, given):
        def push(tangent):
            wide = jnp.broadcast_to(tangent[:, None], variables.shape)
            return jax.jvp(lambda v: self._outputs(v, deployments, cell, given), (variables,),
                           (wide,))  # fmt: skip

        values, slopes = jax.vmap(push, out_axes=(None, 0))(jnp.eye(len(variables)))
        return values, jnp.swapaxes(slopes, 0, 1)

    def _outputs(self, variables, deployments, cell, given):
        spec, scenario, common = given
        settings = self.evaluator.settings
        *knobs, pace = jnp.exp(variables)
        leaves = {a.path: value for a, value in zip(self.axes, knobs, strict=True)}
        *shares, radix = cell
        if self.radix is not None:
            leaves[self.radix.path] = radix
        hardware = with_leaves(spec, leaves)
        _, *moving = deployments
        deployment = self._resident(hardware, self.evaluator.cut.merged(common, moving), shares)
        words = (settings.fidelity, settings.power_scope)
        estimate = estimate_step(Design(hardware, deployment), scenario, *words, pace_s=pace)
        used = {name: limit.margin for name, limit in estimate.limits.items()}
        used |= {c.stem: c.margin(c.metric.of(estimate)) for c in settings.constraints}
        self.limit_names = tuple(used)
        rows = [jnp.log(estimate.j_per_token)]
        rows += [jnp.log(jnp.maximum(margin + 1, LEAST_USED)) for margin in used.values()]
        return jnp.stack([jnp.broadcast_to(row, variables.shape[1:]) for row in rows])

    def _resident(self, hardware, deployment, cell) -> Any:
        """At least the low share of weights in the fast memory, not more than the high one."""
        low, high = cell
        laws = {name: tier.technology.law for name, tier in hardware.memory.items()}
        large = {n: 1.0 for n in laws if laws[n] not in FAST} or dict.fromkeys(laws, 1.0)
        share = {n: low if law in FAST else 1 - high for n, law in laws.items()}
        if not self.has_cells:
            share = large
        placed = {
            "weights_in": {n: share.get(n, 0.0) for n in laws},
            "kv_in": {n: large.get(n, 0.0) for n in laws},
        }
        return dataclasses.replace(deployment, collective=FLOOR, **placed)

    def radixes(self) -> list[float]:
        """Powers of two in the range of the radix; of switches, where ports are free, the most."""
        if self.radix is None:
            return [0.0]
        link = self.evaluator.family.loaded.spec.link[self.radix.path.split(".")[1]]
        if link.topology == "switch":
            return [self.radix.high]
        powers = 2.0 ** np.arange(11)
        return [float(p) for p in powers if self.radix.low <= p <= self.radix.high]

    def points_for(self, radix: float) -> np.ndarray:
        """Deployments that a radix may suit best: wider than their widest group serves nothing."""
        columns = self.evaluator.grid.columns
        widest = np.asarray(columns.chips / columns.pp, float)
        if radix == self.radixes()[0]:
            return np.arange(len(widest))
        return np.flatnonzero(widest > radix / 2)

    @property
    def has_cells(self) -> bool:
        """Whether weights may lie in two kinds of memory."""
        tiers = self.evaluator.family.loaded.spec.memory.values()
        return len({tier.technology.law in FAST for tier in tiers}) == 2


def violations(form: ConvexForm, points: np.ndarray, cell, seed: int = 0) -> dict[str, float]:
    """Share of random segments on which an output's middle lies above the mean of its ends.

    Segments lie anywhere in the box with ends that keep the junction's limit (beyond it leakage
    runs away); an output without violations is taken as convex, one with any makes the structure
    uncertified.
    """
    rng = np.random.default_rng(seed)
    low, high = np.append(form.low, np.log(1e-6)), np.append(form.high, np.log(1e-1))
    start, end = rng.uniform(low, high, (2, len(points), len(low)))
    end = start + rng.uniform(0.1, 1.0, (len(points), 1)) * (end - start)
    first, last = form.values(start, points, cell), form.values(end, points, cell)
    middle = form.values(0.5 * (start + end), points, cell)
    junction = 1 + form.limit_names.index("junction") if "junction" in form.limit_names else 0
    cool = np.maximum(first[:, junction], last[:, junction]) <= 0 if junction else True
    sound = np.isfinite(first) & np.isfinite(last) & np.isfinite(middle)
    above = (sound & (middle > 0.5 * (first + last) + 1e-6))[cool]
    return dict(zip(("j_per_token", *form.limit_names), above.mean(axis=0), strict=True))
