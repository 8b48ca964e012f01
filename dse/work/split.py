"""How one pass of a micro-batch is divided among the chips of a stage."""

from typing import NamedTuple

import jax.numpy as jnp

from dse import smooth
from dse.specs.deployment import Deployment
from dse.specs.network import ModelSpec
from dse.work.table import Scalar


class Context(NamedTuple):
    """Lengths in steady state: a mix of contexts and their shares of the sequences in flight."""

    tokens: tuple[Scalar, ...]
    shares: tuple[Scalar, ...]
    end_tokens: Scalar  # mean length at the end of generation, which memory must hold
    input_tokens: Scalar
    output_tokens: Scalar

    def attended(self, window: Scalar | None = None) -> Scalar:
        """Mean KV tokens read per sequence, through a window if there is one."""
        pairs = zip(self.tokens, self.shares, strict=True)
        return sum(s * (t if window is None else jnp.minimum(t, window)) for t, s in pairs)

    def held(self, window: Scalar | None = None) -> Scalar:
        """KV tokens resident per sequence at the end of generation."""
        return self.end_tokens if window is None else jnp.minimum(self.end_tokens, window)


class Split(NamedTuple):
    """Rows, sequences and group sizes as one chip sees them."""

    deployment: Deployment
    context: Context
    width: Scalar
    sequences: Scalar  # of one data-parallel rank in one micro-batch
    rows: Scalar  # query tokens of that rank: sequences times queries
    stage_rows: Scalar  # query tokens of the whole stage
    tp: Scalar
    kvp: Scalar
    dp: Scalar
    ep: Scalar
    slices: Scalar  # chips one expert, or the dense feed-forward, is sliced over
    activation_bytes: Scalar
    dispatch_bytes: Scalar

    @property
    def chips(self) -> Scalar:
        """Chips of the stage."""
        return self.tp * self.kvp * self.dp

    def heads(self, count: Scalar) -> Scalar:
        """Heads on one chip: they split with a ceiling, so extra chips hold duplicates."""
        return smooth.ceiling(count / self.tp)


def split(model: ModelSpec, context: Context, deployment: Deployment) -> Split:
    """The split of a deployment; see `definitions` in the documentation for its rules."""
    d = deployment
    sequences = d.batch / d.micro_batches / d.dp
    rows = sequences * d.queries
    return Split(
        deployment=d,
        context=context,
        width=model.width,
        sequences=sequences,
        rows=rows,
        stage_rows=rows * d.dp,
        tp=d.tp,
        kvp=d.kvp,
        dp=d.dp,
        ep=d.ep,
        slices=d.stage_chips / d.ep,
        activation_bytes=d.formats.activation_bytes,
        dispatch_bytes=d.formats.dispatch_bytes,
    )
