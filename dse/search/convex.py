"""A study's model in convex form: what bounds on the whole space are computed from.

With a deployment and what else a branch holds (`dse.search.branches`), and with the step time as a
variable of its own (a system may wait), goals and limits are built of products, sums and maxima. So
their logarithms are convex in the logarithms of the knobs, and a tangent anywhere is a bound
everywhere. What is left that is not convex is found by test, not assumed.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dse import compiled
from dse.estimate.prepare import FULL
from dse.estimate.step import Design, Held, estimate_step
from dse.search.batch import Evaluator
from dse.search.branches import FAST, SUMS, Branch, Splitter
from dse.search.space import Axis, with_leaves

WIDTH = 256  # points per call: what is kept per variable stays in the cache of a core
ALIKE = 16  # rows of a branch drawn at random
LEAST_USED = 1e-3  # a limit used less than this share is given no slope
CLOCKS_HZ = (1e8, 5e9)  # no clock limit lies outside
LEAST_S, MOST_S = np.log(1e-6), np.log(0.1)  # of the step time as a variable


class Tangents(NamedTuple):
    """Values and slopes at points: log J/token first, then log used over allowed."""

    values: np.ndarray  # [point, output]
    slopes: np.ndarray  # [point, output, variable]


class ConvexForm:
    """One family: variables are the logarithms of its knobs, then that of the step time."""

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
        self.splitter = Splitter(evaluator, self.axes)
        self.limit_names: tuple[str, ...] = ()
        # The evaluator keeps single precision; bounds are computed in double.
        leaves, self._structure = jax.tree.flatten((*evaluator.of_study, evaluator.cut.common))
        self._given = tuple(np.float64(leaf) for leaf in leaves)
        self._compiled = compiled.quick(self._tangents)
        self._values = compiled.quick(self._outputs)

    def roots(self, log_pace: float, points: np.ndarray | None = None) -> Branch:
        """Branches that together hold every design of the family up to a step time."""
        low, high = np.append(self.low, LEAST_S), np.append(self.high, log_pace)
        return self.splitter.roots(low, high, points)

    def drawn(self, count: int, rng: np.random.Generator) -> Branch:
        """So many rows of random branches, with random splits made or not, some rows alike."""
        roots = self.roots(MOST_S)
        some = roots.of(rng.integers(0, len(roots.point), -(-count // ALIKE)))
        return self.splitter.drawn(some, rng).of(np.arange(count) // ALIKE)

    def tangents(self, variables: np.ndarray, branch: Branch) -> Tangents:
        """Tangents of all outputs at ``[branch, variable]``."""
        values, slopes = self._in_parts(self._compiled, variables, branch)
        return Tangents(values.T, np.moveaxis(slopes, -1, 0))

    def values(self, variables: np.ndarray, branch: Branch) -> np.ndarray:
        """Outputs alone, ``[branch, output]``."""
        return self._in_parts(lambda *a: (self._values(*a),), variables, branch)[0].T

    def _in_parts(self, function, variables, branch: Branch):
        parts = []
        held = np.stack([*branch[1:-2], *branch.spilling])
        with jax.enable_x64(True):
            for start in range(0, len(held[0]), WIDTH):
                rows = np.arange(start, min(start + WIDTH, len(held[0])))
                filled = np.resize(rows, WIDTH)
                columns = self.evaluator.deployments(branch.point[filled])
                deployments = tuple(np.asarray(column, float) for column in columns)
                found = function(variables[filled].T, deployments, held[:, filled], self._given)
                parts.append([np.asarray(part)[..., : len(rows)] for part in found])
        return [np.concatenate(part, axis=-1) for part in zip(*parts, strict=True)]

    def _tangents(self, variables, deployments, held, given):
        def push(tangent):
            wide = jnp.broadcast_to(tangent[:, None], variables.shape)
            return jax.jvp(lambda v: self._outputs(v, deployments, held, given), (variables,),
                           (wide,))  # fmt: skip

        values, slopes = jax.vmap(push, out_axes=(None, 0))(jnp.eye(len(variables)))
        return values, jnp.swapaxes(slopes, 0, 1)

    def _outputs(self, variables, deployments, held, given):
        spec, scenario, common = jax.tree.unflatten(self._structure, given)
        settings = self.evaluator.settings
        *knobs, pace = jnp.exp(variables)
        branch = _Columns(*held)
        leaves = {a.path: value for a, value in zip(self.axes, knobs, strict=True)}
        peers = {}
        if self.radix is not None:
            leaves[self.radix.path] = branch.radix
            peers = {self.radix.path.split(".")[1]: branch.peers}
        hardware = with_leaves(spec, leaves)
        weights_bytes, *moving = deployments
        deployment = self.evaluator.cut.merged(common, moving)
        deployment = self._placed(hardware, deployment, weights_bytes, branch)
        words = (settings.fidelity, settings.power_scope)
        fixed = Held(pace, branch.awake, peers)
        estimate = estimate_step(Design(hardware, deployment), scenario, *words, held=fixed)
        used = {name: limit.margin for name, limit in estimate.limits.items()}
        used |= {c.stem: c.margin(c.metric.of(estimate)) for c in settings.constraints}
        self.limit_names = tuple(used)
        rows = [jnp.log(estimate.j_per_token)]
        rows += [jnp.log(jnp.maximum(margin + 1, LEAST_USED)) for margin in used.values()]
        return jnp.stack([jnp.broadcast_to(row, variables.shape[1:]) for row in rows])

    def _placed(self, hardware, deployment, weights_bytes, branch: "_Columns") -> Any:
        """The deployment with sums by what is held, and weights and cache where that says."""
        laws = {name: tier.technology.law for name, tier in hardware.memory.items()}
        weights = cache = dict.fromkeys(laws, 1.0)
        if self.splitter.has_two_memories:
            (fast,) = (name for name, law in laws.items() if law in FAST)
            share = FULL * hardware.memory[fast].capacity_bytes / weights_bytes
            inside = jnp.where(branch.linked > 0, share, branch.least)
            outside = branch.spilling * share**branch.power
            weights = {n: inside if n == fast else outside for n in laws}
            cache = {n: branch.cached if n == fast else 1 - branch.cached for n in laws}
        sums = {part: getattr(branch, part) for part in SUMS}
        return dataclasses.replace(deployment, sums=sums, weights_in=weights, kv_in=cache)


class _Columns(NamedTuple):
    """What of a `Branch` the model is told, traced."""

    radix: Any
    peers: Any
    linked: Any
    least: Any
    most: Any
    cached: Any
    attention: Any
    feedforward: Any
    awake: Any
    spilling: Any
    power: Any


def violations(form: ConvexForm, branch: Branch, seed: int = 0) -> dict[str, float]:
    """Share of random segments on which an output's middle lies above the mean of its ends.

    Segments lie anywhere in the ranges of their branches, with ends that keep the junction's limit
    (beyond it leakage runs away); an output without violations is taken as convex, one with any
    makes the structure uncertified.
    """
    rng = np.random.default_rng(seed)
    start, end = rng.uniform(branch.low, branch.high, (2, *branch.low.shape))
    end = start + rng.uniform(0.1, 1.0, (len(start), 1)) * (end - start)
    first, last = form.values(start, branch), form.values(end, branch)
    middle = form.values(0.5 * (start + end), branch)
    junction = 1 + form.limit_names.index("junction") if "junction" in form.limit_names else 0
    cool = np.maximum(first[:, junction], last[:, junction]) <= 0 if junction else True
    sound = np.isfinite(first) & np.isfinite(last) & np.isfinite(middle)
    above = (sound & (middle > 0.5 * (first + last) + 1e-6))[cool]
    return dict(zip(("j_per_token", *form.limit_names), above.mean(axis=0), strict=True))
