"""Several models or workloads at once: one chip and one deployment serve each of them.

A *scenario* is one model under one workload. Goals of a design combine as the worst of all
scenarios or as their weighted geometric mean; limits hold in all of them.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from dse import smooth
from dse.search.goals import Objective
from dse.specs import load
from dse.specs.schema import nearest

COMBINE = ("worst", "weighted")


@dataclasses.dataclass(frozen=True)
class Scenario:
    """A model under a workload, and its share in a weighted mean."""

    model: load.Loaded
    workload: load.Loaded
    weight: float
    name: str

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.model.title}, {self.workload.title.lower()}"


@dataclasses.dataclass(frozen=True)
class Combination:
    """How goals of several scenarios become one."""

    combine: str  # "worst" or "weighted"
    weights: tuple[float, ...]  # sum to one

    def goal(self, objective: Objective, values: Sequence[Any], exponent: Any = None) -> Any:
        """One value of an objective's metric; with an exponent, the worst is a p-norm."""
        if len(values) == 1:
            return values[0]
        if self.combine == "weighted":
            logs = (w * jnp.log(v) for w, v in zip(self.weights, values, strict=True))
            return jnp.exp(sum(logs))
        if objective.is_less_better:
            return smooth.maximum(values, exponent)
        return 1 / smooth.maximum([1 / jnp.asarray(value) for value in values], exponent)

    def used(self, sense: str, values: Sequence[Any]) -> Any:
        """Of a bounded metric, what is closest to the limit or furthest beyond."""
        worst = values[0]
        for value in values[1:]:
            worst = jnp.maximum(worst, value) if sense == "<=" else jnp.minimum(worst, value)
        return worst


def read(models: Sequence[load.Loaded], workloads: Sequence[load.Loaded], raw: Any,
         problems: list[str]) -> tuple[tuple[Scenario, ...], Combination]:  # fmt: skip
    """Each model under each workload, the last workload changing fastest."""
    pairs = [(model, workload) for model in models for workload in workloads]
    if raw.combine not in COMBINE:
        problems.append(f"scenarios.combine: {raw.combine!r} is unknown"
                        f"{nearest(raw.combine, COMBINE)}")  # fmt: skip
    weights = _weights(raw, len(pairs), problems)
    found = tuple(Scenario(model, workload, weight, _name(model, workload, models, workloads))
                  for (model, workload), weight in zip(pairs, weights, strict=True))  # fmt: skip
    return found, Combination(raw.combine, weights)


def _weights(raw: Any, count: int, problems: list[str]) -> tuple[float, ...]:
    given = raw.weights
    if given is None:
        return (1.0 / max(count, 1),) * count
    if raw.combine != "weighted":
        problems.append('scenarios.weights: only with combine = "weighted"')
    if len(given) != count:
        problems.append(f"scenarios.weights: {len(given)} for {count} scenarios (each model under "
                        "each workload)")  # fmt: skip
    elif not all(0 < weight < math.inf for weight in given):
        problems.append(f"scenarios.weights: {given!r}: each must be above zero")
    else:
        return tuple(weight / sum(given) for weight in given)
    return (1.0,) * count


def _name(model, workload, models, workloads) -> str:
    """What tells a scenario from the others."""
    words = [model.name] if len(models) > 1 or len(workloads) == 1 else []
    return ", ".join([*words, *([workload.name] if len(workloads) > 1 else [])])
