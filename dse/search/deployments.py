"""The software half of a study's space: the deployments swept for every piece of hardware.

Prepared once on the host; impossible splits and points beyond a bound of the study are dropped,
equal ones kept once. Placement over memory tiers depends on the hardware and is made inside the
traced function by `placed`, by the rule `dse.estimate.prepare` applies to a single chip.
"""

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from dse.estimate import prepare
from dse.estimate.prepare import Choices
from dse.resources.provision import provision
from dse.specs.deployment import Deployment
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
MOST_POINTS = 500_000


@dataclasses.dataclass(frozen=True)
class Grid:
    """Deployments as columns: entry i of every leaf is one of them."""

    choices: tuple[Choices, ...]
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
        most: bounds known beforehand, on ``chips`` and ``batch``; points beyond them are dropped.

    Raises:
        SpecError: no possible deployment, or too many.
    """
    size = int(np.prod([len(v) for v in values.values()], dtype=float))
    if size > MOST_POINTS:
        raise SpecError("space.deployment", [f"{size:,} points; at most {MOST_POINTS:,}"])
    points, built, last = [], [], []
    for combination in itertools.product(*values.values()):
        choices = Choices(**dict(zip(values, combination, strict=True)))
        if _beyond(choices, workload, most or {}):
            continue
        deployment, problems = prepare.unplaced(hardware, model, workload, choices)
        if deployment is None:
            last = problems
            continue
        points.append(choices)
        built.append(deployment)
    if not points:
        raise SpecError("space.deployment", ["no possible split", *last])
    return _stacked(points, built, model, prepare.context_of(workload))


def _beyond(choices: Choices, workload: Workload, most: Mapping[str, float]) -> bool:
    batch = workload.batch if choices.batch is None else choices.batch
    chips = (choices.tp or 1) * choices.kvp * choices.dp * choices.pp
    return batch > most.get("batch", np.inf) or chips > most.get("chips", np.inf)


def _stacked(points, built: list[Deployment], model: ModelSpec, context: Context) -> Grid:
    import jax

    columns = jax.tree.map(lambda *leaves: np.asarray(leaves, float), *built)
    table = np.stack(jax.tree.leaves(columns), axis=1)
    _, first = np.unique(table, axis=0, return_index=True)
    kept = np.sort(first)
    columns = jax.tree.map(lambda column: column[kept], columns)
    with jax.enable_x64(True):
        ops = decode.decode_ops(model, context, columns)
        stages = columns.pp / decode.stage_skew(model, columns)
        stored = sum(decode.stored_bytes(op, columns) for op in ops) / stages
    weights = np.broadcast_to(np.asarray(stored, float), kept.shape).copy()
    return Grid(tuple(points[i] for i in kept), columns, weights, context)


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
