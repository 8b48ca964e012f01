"""One row of the work table: what an operator asks of one chip in one pass of a micro-batch."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

Scalar = Any  # a float or a traced scalar; counts are carried as floats
_WORD = {"static": True}  # of fields that say which operations exist: no numbers, so no leaves


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Exchange:
    """A collective among ``group`` chips; the algorithm is chosen later, where rates are known.

    ``size_bytes`` is the result of an all-reduce or all-gather, the bytes one chip sends in an
    all-to-all, or the message of a point-to-point.
    """

    kind: str = dataclasses.field(metadata=_WORD)  # a key of `collectives.COLLECTIVES`
    size_bytes: Scalar
    group: Scalar
    rounds: Scalar = 1.0  # 0 where the exchange does not happen in this deployment


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Op:
    """Work of one operator on one chip (the mean chip of a stage) for one micro-batch.

    Skews are largest over mean among the chips of the stage: time follows the fullest chip,
    energy the mean one.
    """

    name: str = dataclasses.field(metadata=_WORD)
    part: str = dataclasses.field(metadata=_WORD)  # attention, feedforward, head
    layers: Scalar  # passes through it per token
    # Whose number format its weights have: attention, expert, dense, head.
    use: str = dataclasses.field(default="dense", metadata=_WORD)
    # Whose arithmetic it runs in: attention, projection, expert.
    math: str = dataclasses.field(default="projection", metadata=_WORD)
    stored_values: Scalar = 0.0  # weights resident
    read_values: Scalar = 0.0  # weights read
    kv_read_values: Scalar = 0.0
    kv_write_values: Scalar = 0.0
    kv_stored_values: Scalar = 0.0  # per sequence in flight of one data-parallel rank
    state_bytes: Scalar = 0.0  # recurrent state read and written
    state_stored_bytes: Scalar = 0.0  # per sequence
    activation_values: Scalar = 0.0  # in and out
    tensor_flops: Scalar = 0.0
    vector_flops: Scalar = 0.0
    exponentials: Scalar = 0.0
    exchange: Exchange | None = None
    dependent_ops: Scalar = 0.0  # operations that wait for one another
    die_crossings: Scalar = 0.0  # multicasts or reductions across a die
    memory_waits: Scalar = 0.0  # accesses whose address was not known before
    weight_skew: Scalar = 1.0
    kv_skew: Scalar = 1.0
    flops_skew: Scalar = 1.0


def linear(op: "Op", rows: Scalar, n_in: Scalar, n_out: Scalar, bias: Scalar = 0.0) -> "Op":
    """A weight matrix on one chip multiplied by ``rows`` rows, added to what the op already does.

    Weights are read once per pass; 2 FLOPs per multiply-accumulate.
    """
    values = n_in * n_out + bias * n_out
    return dataclasses.replace(
        op,
        stored_values=op.stored_values + values,
        read_values=op.read_values + values,
        tensor_flops=op.tensor_flops + 2 * rows * n_in * n_out,
        activation_values=op.activation_values + rows * (n_in + n_out),
    )


def vectors(op: "Op", values: Scalar) -> "Op":
    """Norms, scales and other vectors: stored and read, no tensor arithmetic."""
    return dataclasses.replace(
        op, stored_values=op.stored_values + values, read_values=op.read_values + values
    )


def stack(leaves: list[Scalar]) -> Scalar:
    """Numbers of several operators along a new first axis; one number where all state the same.

    What no operator of a group asks for stays a plain zero, and costs nothing.
    """
    if all(isinstance(leaf, (int, float)) and leaf == leaves[0] for leaf in leaves):
        return leaves[0]
    return jnp.stack(jnp.broadcast_arrays(*leaves))


def stacked(ops: list[Op]) -> list[tuple[list[Op], Op]]:
    """Operators of one kind of exchange (or none) as one operator whose numbers are columns.

    Returns:
        (the operators, their stack) per kind; entry i of a column belongs to operator i.
    """
    groups: dict[str | None, list[Op]] = {}
    for op in ops:
        groups.setdefault(op.exchange.kind if op.exchange else None, []).append(op)
    found = []
    for members in groups.values():
        nameless = [dataclasses.replace(op, name="", part="", use="", math="") for op in members]
        found.append((members, jax.tree.map(lambda *leaves: stack(list(leaves)), *nameless)))
    return found
