"""How unevenly work falls: the fullest rank over the mean one, of experts and of contexts.

Depends on the counts of a deployment only, so it is made once on plain numbers, before tracing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dse.specs import network
from dse.specs.deployment import Deployment, Skew
from dse.specs.network import ModelSpec
from dse.work import imbalance


def of(model: ModelSpec, variation: float, d: Any) -> Skew:
    """Load of the fullest rank over the mean one.

    ``variation``: standard deviation over mean of the lengths in flight.
    """
    return Skew(*_factors(model, variation, d, d.batch, d.micro_batches))


def at_batches(model: ModelSpec, variation: float, held: Deployment, batch: np.ndarray,
               micro_batches: np.ndarray) -> Any:  # fmt: skip
    """The same of a deployment at other batches, one or more, as columns [point]."""
    each = [_factors(model, variation, held, b, m)
            for b, m in zip(batch, micro_batches, strict=True)]  # fmt: skip
    weights, slots, contexts = zip(*each, strict=True)
    return Skew(_columns(weights), _columns(slots), _column(contexts))


def _factors(model: ModelSpec, variation: float, d: Any, batch: float, micro_batches: float):
    """The factors of `Skew` at a batch in so many micro-batches."""
    tokens = batch / micro_batches * d.queries
    weights, slots = {}, {}
    for index, group in enumerate(model.groups):
        moe: Any = group.feedforward
        if isinstance(moe, network.MixtureOfExperts):
            counts = (float(tokens), moe.experts, moe.experts_per_token, d.ep)
            weights[str(index)] = imbalance.weight_skew(*counts)
            slots[str(index)] = imbalance.slot_skew(*counts)
    ranks = d.dp * micro_batches
    return weights, slots, imbalance.context_skew(ranks, batch / ranks, variation)


def _columns(rows: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Rows of the same keys as one column for each, [point]."""
    return {key: _column([row[key] for row in rows]) for key in rows[0]}


def _column(values: Sequence[float]) -> Any:
    return np.array(values, float)
