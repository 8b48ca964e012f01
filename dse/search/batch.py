"""Designs in batches: one compiled function per structure, hardware outside, deployments inside.

XLA on a CPU is fastest with about 1e4 points a call in columns, so designs and deployments are cut
into tiles of one fixed shape. Only what a search needs comes back: the objectives, the largest
margin and which limit it is, and the metrics that the study bounds. Search runs in float32.
"""

import copy
import functools
import itertools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dse import compiled
from dse.estimate.step import Design, Estimate, Scenario, estimate_step
from dse.interpreter import Program
from dse.resources import memory
from dse.search import devices
from dse.search.deployments import Grid, grids, placed
from dse.search.settings import Settings
from dse.search.space import Family
from dse.specs.deployment import Deployment

TILE_DEPLOYMENTS = 320
TILE_DESIGNS = 32
LANES = 16  # tile widths are multiples of this, for whole vectors
# What float32 may leave of a limit that is met exactly; reported fronts are confirmed in float64.
TOLERANCE = 1e-6


class Outcome(NamedTuple):
    """What a batch returns, ``[design, point]`` each."""

    goals: tuple[np.ndarray, ...]  # the metrics to optimize, in the order of the objectives
    limit_margin: np.ndarray  # largest over the limits of the chip
    limit_index: np.ndarray  # which limit that is, in `Evaluator.limit_names`
    metrics: tuple[np.ndarray, ...]  # the bounded metrics, in the order of the constraints


class Some(NamedTuple):
    """A part of a deployment grid."""

    points: np.ndarray
    tiles: list[tuple]


class Evaluator:
    """All deployments of the study on designs of one family."""

    def __init__(self, family: Family, settings: Settings, points: Grid | None = None):
        self.family = family
        self.settings = settings
        self.grid = grids_of(family, settings)[0] if points is None else points
        self.parts: tuple[Evaluator, ...] = (self,)  # one for each scenario
        self.limit_names: tuple[str, ...] = ()  # known once traced
        reserve = settings.workload.spec.reserve_fraction
        scenario = Scenario(settings.model.spec, self.grid.context, reserve)
        # As leaves: flattening a specification takes longer than a small batch of designs.
        self.of_study = family.loaded.spec, scenario
        leaves, self._structure = jax.tree.flatten(self.of_study)
        self.given = single(tuple(leaves))
        self.cut = _cut(self.grid)
        self._compiled = compiled.quick(self._tile)

    def __call__(self, designs: np.ndarray, some: "Some | None" = None) -> Outcome:
        """Evaluate designs, ``[design, axis]`` in SI, on the whole grid or some of its points."""
        tiles = self.cut.tiles if some is None else some.tiles
        rows = [self._rows(part, tiles) for part in _parts(designs)]
        count, width = len(designs), len(self.grid) if some is None else len(some.points)
        columns = [np.concatenate(column)[:count, :width] for column in zip(*rows, strict=True)]
        goals = len(self.settings.objectives)
        margin, index, *metrics = columns[goals:]
        return Outcome(tuple(columns[:goals]), margin, index, tuple(metrics))

    def under(self, settings: Settings) -> "Evaluator":
        """The same compiled program and grid under other bounds of the same metrics."""
        found = copy.copy(self)
        found.settings = settings
        return found

    def _rows(self, designs: np.ndarray, cut: list[tuple]) -> list[np.ndarray]:
        # A chip without axes still needs its rows, so the row number goes along.
        values = (jnp.arange(len(designs)), *(jnp.float32(column) for column in designs.T))
        values = devices.spread(values)
        tiles = [self._compiled(values, tile, self.cut.common, self.given) for tile in cut]
        return [np.concatenate([np.asarray(part) for part in column], axis=1)
                for column in zip(*tiles, strict=True)]  # fmt: skip

    def _tile(self, values, tile, common, given):
        inner = jax.vmap(self._point, (None, 0, None, None))
        return jax.vmap(inner, (0, None, None, None))(values, tile, common, given)

    def _point(self, values, point, common, given):
        settings = self.settings
        (estimate,) = self.estimates(values[1:], point, common, given)
        self.limit_names = tuple(estimate.limits)
        margins = jnp.stack([jnp.float32(limit.margin) for limit in estimate.limits.values()])
        return (
            *(objective.metric.of(estimate) for objective in settings.objectives),
            margins.max(),
            margins.argmax(),
            *(constraint.metric.of(estimate) for constraint in settings.constraints),
        )

    def estimates(self, values, varying, common, given, exponent=None) -> list[Estimate]:
        """The estimate of a design, traced; of a study of several scenarios one for each."""
        spec, scenario = jax.tree.unflatten(self._structure, given)
        hardware = self.family.with_values(values, spec)
        design = Design(hardware, self.placed_on(hardware, varying, common))
        words = self.settings.fidelity, self.settings.power_scope
        return [estimate_step(design, scenario, *words, exponent)]

    def some(self, points: np.ndarray) -> "Some":
        """A part of the grid, cut once for many sweeps."""
        return Some(points, _tiles([column[points] for column in self.cut.moving],
                                   self.cut.width))  # fmt: skip

    def deployments(self, points: np.ndarray) -> tuple[np.ndarray, ...]:
        """What varies over the grid, at some of its points, as columns; `placed_on` reads it."""
        return tuple(column[points] for column in self.cut.moving)

    def placed_on(self, hardware, varying, common) -> Deployment:
        """The deployment of columns of the grid on hardware, weights where they fit."""
        weights_bytes, *moving = varying
        return placed(hardware, self.cut.merged(common, moving), weights_bytes)

    @functools.cached_property
    def points(self) -> dict[str, np.ndarray]:
        """The grid as columns of a table: the study's choices, chips and micro-batches."""
        table = {name: self.grid.choices.column(name) for name in self.settings.deployment}
        counts = self.grid.columns
        return table | {"micro_batches": counts.micro_batches, "chips": np.asarray(counts.chips)}


def evaluators(settings: Settings) -> dict[str, Evaluator]:
    """One evaluator per family; families with equal formats and bounds share their grids."""
    from dse.search.together import Together

    made: dict[Any, list[Grid]] = {}
    found: dict[str, Evaluator] = {}
    for family in settings.space.families:
        key = (tuple(family.loaded.spec.compute), *known_bounds(family, settings).items())
        if key not in made:
            made[key] = grids_of(family, settings)
        parts = {s.name: Evaluator(family, settings.alone(s), points)
                 for s, points in zip(settings.scenarios, made[key], strict=True)}  # fmt: skip
        one = next(iter(parts.values()))
        found[family.name] = one if len(parts) == 1 else Together(parts, settings)
    return found


def grids_of(family: Family, settings: Settings) -> list[Grid]:
    """The deployment grid of a family, for each scenario."""
    pairs = [(s.model.spec, s.workload.spec) for s in settings.scenarios]
    return grids(family.loaded.spec, pairs, settings.deployment, known_bounds(family, settings))


def known_bounds(family: Family, settings: Settings) -> dict[str, float]:
    """Bounds on chips, batch and bytes held by a chip that hold for every design of a family."""
    spec = family.loaded.spec
    moved = {axis.path: axis for axis in family.axes}
    chips = [settings.bound("chips")]
    if "scale_out" not in spec.link and "link.scale_up.chips" not in moved:
        chips.append(float(spec.link["scale_up"].chips) if "scale_up" in spec.link else 1.0)
    silicon = settings.bound("silicon")
    if silicon is not None:
        die = moved["die"].low if "die" in moved else spec.die_mm2
        dies = moved["dies"].low if "dies" in moved else spec.dies
        chips.append(silicon / (die * dies))
    most = {"chips": min([bound for bound in chips if bound is not None], default=math.inf)}
    most["bytes"] = most_bytes(family)
    users = settings.bound("users_in_flight")
    return most | ({} if users is None else {"batch": users})


def most_bytes(family: Family) -> float:
    """What one chip of a family holds at most, over all its tiers.

    A capacity rises or falls with each axis all along its range, so it is largest in a corner.
    """

    def held(values):
        hardware = family.with_values(values)
        tiers = (memory.provide(name, tier, hardware) for name, tier in hardware.memory.items())
        return jnp.asarray(sum(tier.capacity_bytes for tier in tiers))

    ends = np.array([[axis.low, axis.high] for axis in family.axes]).reshape(-1, 2)
    with jax.enable_x64(True):
        if not len(ends):
            return float(held([]))
        program = Program(held, ends.mean(axis=1).tolist())
        either = np.repeat(ends.mean(axis=1)[None], 2 * len(ends), axis=0)
        either[np.arange(2 * len(ends)), np.repeat(np.arange(len(ends)), 2)] = ends.ravel()
        # A capacity that no axis moves comes back as one number.
        seen = np.broadcast_to(program(list(either.T)), len(either)).reshape(-1, 2)
        moving = np.flatnonzero(np.ptp(seen, axis=1) > 0)
        corners = np.array(list(itertools.product(*ends[moving])))
        values = np.repeat(ends.mean(axis=1)[None], len(corners), axis=0)
        values[:, moving] = corners
        return float(np.max(program(list(values.T))))


def single(tree):
    """Leaves in the precision of a search."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), tree)


def _parts(designs: np.ndarray):
    """Designs in tiles of one height; the last is filled up by repeating its first."""
    height = TILE_DESIGNS * devices.count()
    for start in range(0, len(designs), height):
        part = designs[start : start + height]
        missing = height - len(part)
        yield np.concatenate([part, np.repeat(part[:1], missing, axis=0)]) if missing else part


class _Cut(NamedTuple):
    """A grid as the leaves all points share and tiles of those that vary, of one width."""

    structure: Any
    common: tuple[Any, ...]  # None where the leaf varies
    moving: tuple[np.ndarray, ...]  # weight bytes, then the leaves that vary, [point]
    width: int
    tiles: list[tuple]

    def merged(self, common, moving) -> Deployment:
        """The deployment of one point."""
        rest = iter(moving)
        leaves = [next(rest) if leaf is None else leaf for leaf in common]
        return jax.tree.unflatten(self.structure, leaves)


def _cut(points: Grid) -> _Cut:
    leaves, structure = jax.tree.flatten(points.columns)
    varies = [bool(np.ptp(leaf) > 0) for leaf in leaves]
    pairs = list(zip(leaves, varies, strict=True))
    common = tuple(None if moves else jnp.float32(leaf[0]) for leaf, moves in pairs)
    varying = (points.weights_bytes, *(leaf for leaf, moves in pairs if moves))
    moving = tuple(np.asarray(column, np.float32) for column in varying)
    width = tile_width(len(points))
    return _Cut(structure, common, moving, width, _tiles(moving, width))


def _tiles(moving, width: int) -> list[tuple]:
    return jax.device_put([
        tuple(_padded(column[start : start + width], width) for column in moving)
        for start in range(0, len(moving[0]), width)
    ])  # fmt: skip


def tile_width(points: int) -> int:
    """Deployments per tile: as few tiles as fit, of equal width, so that little is padding."""
    tiles = -(-points // TILE_DEPLOYMENTS)
    return -(-points // tiles // LANES) * LANES


def _padded(column: np.ndarray, width: int):
    missing = width - len(column)
    column = np.asarray(column, np.float32)
    return np.concatenate([column, np.repeat(column[-1:], missing)]) if missing else column
