"""How a model is run on chips: batch, splits, formats, placement, speculation, prefill.

Counts are leaves (floats), so that a search can map over them; formats are leaves too, as bytes
per value and as a one-hot choice of arithmetic. Static are only the words that decide which
operations exist.
"""

import equinox as eqx
import jax


class Formats(eqx.Module):
    """Bytes per value, and for each use the share of its arithmetic done in each format."""

    attention_bytes: float
    expert_bytes: float
    dense_bytes: float
    head_bytes: float
    kv_bytes: float
    activation_bytes: float
    dispatch_bytes: float  # activations on their way to experts
    math: dict[str, dict[str, float]]  # use (attention, projection, expert) -> format -> share


class Skew(eqx.Module):
    """Largest over mean load among ranks, per cause. Held fixed in derivatives, like a ceiling."""

    expert_weights: dict[str, float]  # layer group index -> skew of touched experts
    expert_slots: dict[str, float]  # layer group index -> skew of token slots
    kv: float  # context length over data-parallel ranks or pipeline stages in lockstep


class Deployment(eqx.Module):
    """Software choices for one replica. ``chips = pp * tp * kvp * dp``."""

    batch: float
    micro_batches: float
    tp: float
    kvp: float
    dp: float
    pp: float
    ep: float
    formats: Formats
    skew: Skew
    weights_in: dict[str, float]  # memory tier -> share of the weights
    kv_in: dict[str, float]  # memory tier -> share of the KV cache
    stripe_fraction: float  # share of the weight macros that hold part of an active expert
    overlap: float  # 0: ops follow one another; 1: everything of the step overlaps
    accepted: float  # tokens accepted per step and sequence
    queries: float  # query tokens per step and sequence: 1 + drafts
    draft_layers: float  # extra layer passes for drafting
    # Part of a layer -> which of `exchange.AUTO` its sums use, where a bound holds it; below zero
    # less than any of them.
    sums: dict[str, float] | None = None
    collective: str = eqx.field(static=True, default="auto")
    prefill: str = eqx.field(static=True, default="ignored")

    @property
    def stage_chips(self) -> float | jax.Array:
        """Chips that share one layer."""
        return self.tp * self.kvp * self.dp

    @property
    def chips(self) -> float | jax.Array:
        """Chips of the replica."""
        return self.stage_chips * self.pp
