"""The software half of a study's space: the deployments swept for every piece of hardware.

Prepared once on the host, in arrays; impossible splits, points beyond a bound of the study and
points that fit no chip of a family are dropped, equal ones kept once. Placement over memory tiers
depends on the hardware and is made inside the traced function by `placed`, by the rule
`dse.estimate.prepare` applies to a single chip.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
import numpy as np

from dse.estimate import prepare, skew
from dse.estimate.prepare import Choices
from dse.resources.provision import provision
from dse.specs.deployment import Deployment, Skew
from dse.specs.formats import FORMATS
from dse.specs.hardware import HardwareSpec
from dse.specs.network import ModelSpec
from dse.specs.schema import SpecError, nearest
from dse.specs.workload import Workload
from dse.work import decode
from dse.work.split import Context

COUNTS = ("batch", "micro_batches", "tp", "kvp", "dp", "pp", "ep")
FORMAT_FIELDS = ("weights", "attention_weights", "expert_weights", "kv", "activations")
SHARES = ("overlap", "stripe")
FIELDS = (*COUNTS, *FORMAT_FIELDS, *SHARES)
MOST_COMBINATIONS = 20_000_000  # looked at, most of them impossible
MOST_POINTS = 1_000_000  # swept for every design
AT_ONCE = 1 << 18  # combinations looked at at a time
SLACK = 1e-6  # of a capacity met exactly, in single precision


class Combinations(Sequence[Choices]):
    """Some rows of the product of all choices, the last choice changing fastest."""

    def __init__(self, values: Mapping[str, tuple], rows: np.ndarray):
        self.values = dict(values)
        self.rows = rows  # of the product, ascending
        self.shape = tuple(len(v) for v in values.values())

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, point):
        """One combination as a user would state it; points are whole numbers, not slices."""
        index = np.unravel_index(int(self.rows[point]), self.shape)
        pairs = zip(self.values.items(), index, strict=True)
        return Choices(**{name: values[i] for (name, values), i in pairs})

    def of(self, kept: np.ndarray) -> "Combinations":
        """Some of these."""
        return Combinations(self.values, self.rows[kept])

    @functools.cached_property
    def places(self) -> dict[str, np.ndarray]:
        """Choice -> which of its values each combination takes."""
        index = np.unravel_index(self.rows, self.shape)
        return dict(zip(self.values, index, strict=True))

    def column(self, name: str) -> np.ndarray:
        """The values of one choice."""
        return np.array(self.values[name])[self.places[name]]

    def numbers(self, name: str, otherwise: float) -> np.ndarray:
        """The values of one choice as floats, ``otherwise`` where it is not made."""
        values = [otherwise if v is None else v for v in self.values.get(name, (otherwise,))]
        at = self.places[name] if name in self.values else np.zeros(len(self), int)
        return np.array(values, float)[at]

    def groups(self, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """The group of each combination by some choices, and the first member of each group."""
        key = np.zeros(len(self), int)
        for name in (name for name in names if name in self.values):
            key = key * len(self.values[name]) + self.places[name]
        _, first, group = np.unique(key, return_index=True, return_inverse=True)
        return group.ravel(), first

    def neighbors(self, point: int) -> np.ndarray:
        """Points that differ from one in one choice by one step."""
        strides = np.cumprod((1, *self.shape[:0:-1]))[::-1]
        place = np.unravel_index(int(self.rows[point]), self.shape)
        moved = [self.rows[point] + step * stride
                 for at, size, stride in zip(place, self.shape, strides, strict=True)
                 for step in (-1, 1) if 0 <= at + step < size]  # fmt: skip
        found = np.searchsorted(self.rows, moved)
        inside = np.minimum(found, len(self.rows) - 1)
        return found[self.rows[inside] == moved]


@dataclasses.dataclass(frozen=True)
class Grid:
    """Deployments as columns: entry i of every leaf is one of them."""

    choices: Combinations
    columns: Deployment  # leaves of shape [point]; placement left open
    weights_bytes: np.ndarray  # resident on one chip, [point]
    context: Context

    def __len__(self) -> int:
        return len(self.choices)


def axis_values(key: str, entry: Any, problems: list[str]) -> tuple:
    """The values of one deployment choice: a list, ``{ range, scale = "log2" }`` or one value."""
    where = f"space.deployment.{key}"
    if isinstance(entry, Mapping) and set(entry) == {"choices"}:
        entry = entry["choices"]
    elif isinstance(entry, Mapping):
        entry = _powers(where, entry, problems)
    values = tuple(entry) if isinstance(entry, list) else (entry,) if entry is not None else ()
    if entry is not None and not values:
        problems.append(f"{where}: no values")
    for value in values:
        problem = _value_problem(key, value)
        if problem:
            problems.append(f"{where}: {problem}")
            return ()
    return tuple(dict.fromkeys(values))


def _value_problem(key: str, value: Any) -> str | None:
    if key in FORMAT_FIELDS:
        known = isinstance(value, str) and value in FORMATS
        return None if known else f"{value!r} is not a number format{nearest(value, FORMATS)}"
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if key in SHARES:
        return None if number and 0 <= value <= 1 else f"{value!r} must lie between 0 and 1"
    whole = number and value >= 1 and value == int(value)
    return None if whole else f"{value!r} must be a whole number of at least 1"


def _powers(where: str, entry: Mapping, problems: list[str]) -> list | None:
    ends = entry.get("range")
    if set(entry) - {"range", "scale"} or entry.get("scale", "log2") != "log2":
        problems.append(f'{where}: wanted {{ choices }} or {{ range, scale = "log2" }}')
        return None
    pair = ends if isinstance(ends, list) and len(ends) == 2 else [0, 0]
    low, high = pair if all(type(end) is int for end in pair) else (0, 0)
    if not 1 <= low <= high <= 2**30:
        problems.append(f"{where}: range {ends!r}: wanted [low, high], whole numbers from 1")
        return None
    return [2**i for i in range(31) if low <= 2**i <= high]


def grid(
    hardware: HardwareSpec,
    model: ModelSpec,
    workload: Workload,
    values: Mapping[str, tuple],
    most: Mapping[str, float] | None = None,
) -> Grid:
    """Every possible deployment of a model on chips of one structure.

    Args:
        hardware: a chip of the structure; only its arithmetic formats are looked at.
        model: the network.
        workload: lengths and batch.
        values: choice -> its values.
        most: bounds known beforehand, on ``chips``, ``batch`` and ``bytes`` that one chip holds;
            points beyond them are dropped.

    Raises:
        SpecError: no possible deployment, or too many.
    """
    return grids(hardware, [(model, workload)], values, most)[0]


def grids(
    hardware: HardwareSpec,
    scenarios: Sequence[tuple[ModelSpec, Workload]],
    values: Mapping[str, tuple],
    most: Mapping[str, float] | None = None,
) -> list[Grid]:
    """The deployments possible for every one of some models and workloads, as a grid for each.

    Combinations are looked at in arrays, some at a time: most of them cannot exist.
    """
    size = int(np.prod([len(v) for v in values.values()], dtype=float))
    if size > MOST_COMBINATIONS:
        raise SpecError("space.deployment", [f"{size:,} combinations; at most "
                                             f"{MOST_COMBINATIONS:,}"])  # fmt: skip
    bounds = dict(most or {})
    rows = np.concatenate([
        _possible(Combinations(values, np.arange(start, min(start + AT_ONCE, size))), scenarios,
                  bounds)
        for start in range(0, size, AT_ONCE)
    ])  # fmt: skip
    if not len(rows):
        why = _problems(hardware, scenarios, values, size)
        raise SpecError("space.deployment", ["no possible split", *why])
    if len(rows) > MOST_POINTS:
        raise SpecError("space.deployment", [f"{len(rows):,} points; at most {MOST_POINTS:,}"])
    choices = Combinations(values, rows)
    columns = [_columns(hardware, m, w, choices) for m, w in scenarios]
    kept = _first_of_equals(columns)
    pairs = list(zip(scenarios, columns, strict=True))
    loads = [_resident_bytes(model, workload, _some(c, kept)) for (model, workload), c in pairs]
    held = np.max([weights + cache for weights, cache in loads], axis=0)
    # Where nothing fits, the lightest point stays, to say so of every design.
    fits = held <= max(bounds.get("bytes", np.inf) * (1 + SLACK), held.min())
    choices = choices.of(kept[fits])
    return [Grid(choices, _some(c, kept[fits]), weights[fits], prepare.context_of(workload))
            for ((_, workload), c), (weights, _) in zip(pairs, loads, strict=True)]  # fmt: skip


def _some(columns: Deployment, kept: np.ndarray) -> Deployment:
    import jax

    return jax.tree.map(lambda column: column[kept], columns)


def _counts(model: ModelSpec, workload: Workload, choices: Combinations) -> Deployment:
    """The counts of deployments as columns; formats and skews left out."""
    batch = choices.numbers("batch", workload.batch)
    dp, pp = choices.numbers("dp", 1.0), choices.numbers("pp", 1.0)
    # No more micro-batches than there are sequences, where none are stated.
    unstated = np.minimum(pp, np.maximum(batch / dp, 1.0))
    stated = choices.numbers("micro_batches", np.nan)
    accepted, queries, draft_layers = prepare.speculation(model, Choices())
    fields: dict[str, Any] = {
        "batch": batch,
        "micro_batches": np.where(np.isnan(stated), unstated, stated),
        **{name: choices.numbers(name, 1.0) for name in ("tp", "kvp", "dp", "pp", "ep")},
        "formats": None,
        "skew": None,
        "weights_in": {},
        "kv_in": {},
        "stripe_fraction": choices.numbers("stripe", 1.0),
        "overlap": choices.numbers("overlap", 0.0),
        "accepted": accepted,
        "queries": queries,
        "draft_layers": draft_layers,
    }
    return Deployment(**fields)


def _possible(choices: Combinations, scenarios, most: Mapping[str, float]) -> np.ndarray:
    """The combinations that can exist for every scenario, inside the bounds."""
    good = np.ones(len(choices), bool)
    for model, workload in scenarios:
        d = _counts(model, workload, choices)
        good &= prepare.split_possible(model, d)
        good &= (d.batch <= most.get("batch", np.inf)) & (d.chips <= most.get("chips", np.inf))
    return choices.rows[good]


def _problems(hardware, scenarios, values: Mapping[str, tuple], size: int) -> list[str]:
    """Why the last combination cannot exist."""
    last = Combinations(values, np.array([size - 1]))[0]
    found = [prepare.unplaced(hardware, model, workload, last)[1] for model, workload in scenarios]
    return list(dict.fromkeys(problem for problems in found for problem in problems))


def _columns(hardware: HardwareSpec, model: ModelSpec, workload: Workload,
             choices: Combinations) -> Deployment:  # fmt: skip
    """Deployments as columns of floats, placement left open."""
    import jax

    d = _counts(model, workload, choices)
    of_formats, first = choices.groups(FORMAT_FIELDS)
    named = [prepare.formats_of(hardware, model, choices[i]) for i in first]
    formats = jax.tree.map(lambda *leaves: np.array(leaves, float)[of_formats], *named)
    skews = _skews(model, workload, choices, d)
    filled = dataclasses.replace(d, formats=formats, skew=skews)
    return jax.tree.map(lambda leaf: np.broadcast_to(np.asarray(leaf, float), len(choices)), filled)


def _skews(model: ModelSpec, workload: Workload, choices: Combinations, d: Deployment) -> Skew:
    """Skews as columns; they depend on few counts, so that few are computed."""
    import jax

    # Micro-batches that are not stated are as many as pipeline stages.
    stated = None not in choices.values.get("micro_batches", (None,))
    names = ["batch", "micro_batches", "dp", "ep"]
    group, first = choices.groups(names if stated else [*names, "pp"])
    counts = [np.asarray(getattr(d, name))[first].tolist() for name in names]
    variation = prepare.length_variation(workload, prepare.context_of(workload))
    found = [
        skew.of(model, variation,
                SimpleNamespace(**dict(zip(names, row, strict=True)), queries=d.queries))
        for row in zip(*counts, strict=True)
    ]  # fmt: skip
    return jax.tree.map(lambda *leaves: np.array(leaves, float)[group], *found)


def _first_of_equals(columns: list[Deployment]) -> np.ndarray:
    """Which points are no repetition of an earlier one."""
    import jax
    import pandas as pd

    leaves = [leaf for leaf in jax.tree.leaves(columns) if np.ptp(leaf) > 0]
    if not leaves:
        return np.zeros(1, int)
    table = pd.DataFrame(dict(enumerate(leaves)))
    return np.flatnonzero(~table.duplicated().to_numpy())


def _resident_bytes(
    model: ModelSpec, workload: Workload, columns: Deployment
) -> tuple[np.ndarray, np.ndarray]:
    """Bytes of weights and of KV cache on one chip, ``[point]``."""
    import jax

    with jax.enable_x64(True):
        ops = decode.decode_ops(model, prepare.context_of(workload), columns)
        stages = columns.pp / decode.stage_skew(model, columns)
        stored = sum(decode.stored_bytes(op, columns) for op in ops) / stages
        values = sum(op.layers * op.kv_stored_values for op in ops) * columns.formats.kv_bytes
        states = sum(op.layers * op.state_stored_bytes for op in ops)
        sequences = columns.batch / columns.dp / stages * (1 + workload.reserve_fraction)
        cache = (values + states) * sequences
    shape = np.shape(columns.batch)
    return (np.broadcast_to(np.asarray(stored, float), shape).copy(),
            np.broadcast_to(np.asarray(cache, float), shape))  # fmt: skip


def placed(hardware: HardwareSpec, d: Deployment, weights_bytes) -> Deployment:
    """Weights in the fastest tier as far as they fit, the rest and the KV cache in the largest.

    The rule of `dse.estimate.prepare` on arrays or traced values: ``share = min(1, FULL C / W)``.
    """
    tiers = provision(hardware, d.chips).tiers
    fast = _first({name: tier.bytes_per_s for name, tier in tiers.items()})
    large = _first({name: tier.capacity_bytes for name, tier in tiers.items()})
    room = sum(fast[name] * tier.capacity_bytes for name, tier in tiers.items())
    share = jnp.minimum(1.0, prepare.FULL * room / weights_bytes)
    weights_in = {name: fast[name] * share + large[name] * (1 - share) for name in tiers}
    return dataclasses.replace(d, weights_in=weights_in, kv_in=large)


def _first(scores: dict[str, Any]) -> dict[str, Any]:
    """1 for the first name of the highest score, 0 for the others."""
    best = None
    for score in scores.values():
        best = score if best is None else jnp.maximum(best, score)
    found, left = {}, 1.0
    for name, score in scores.items():
        found[name] = left * jnp.where(score >= best, 1.0, 0.0)
        left = left - found[name]
    return found
