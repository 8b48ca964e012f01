"""What a network is: layer groups, each with a kind of attention and of feed-forward.

Kinds are static (they decide which operations exist); every width and count is a leaf. The
functions that turn a kind into operations are in ``dse/work``, under the same names.
"""

import equinox as eqx

from dse.specs.schema import number, numbers, sequence, text, variant


class GroupedQuery(eqx.Module):
    """Multi-head, multi-query and grouped-query attention, with an optional window."""

    heads: float = number("query heads", positive=True)
    kv_heads: float = number("key and value heads", positive=True)
    head: float = number("width of a head", positive=True)
    bias: float = number("1 where projections carry a bias, else 0")
    output_gate: float = number("1 where the output is gated by a projection of the input, else 0")
    window_tokens: float | None = number("sliding window", positive=True, optional=True)
    shared_kv: float | None = number(
        "layers that share one KV cache (1: each its own)", positive=True, optional=True
    )


class MultiLatent(eqx.Module):
    """Multi-head latent attention, weights absorbed at decode; optionally sparse by an indexer."""

    heads: float = number("query heads", positive=True)
    query_rank: float = number("latent width of queries (0: none)")
    kv_rank: float = number("latent width of keys and values", positive=True)
    rope: float = number("width of the position part of a head", positive=True)
    nope: float = number("width of the content part of a key head", positive=True)
    value: float = number("width of a value head", positive=True)


class SparseLatent(MultiLatent):
    """Multi-head latent attention over the top tokens an indexer picks (DeepSeek-V3.2)."""

    index_heads: float = number("heads of the indexer", positive=True)
    index: float = number("width of an indexer head", positive=True)
    selected_tokens: float = number("tokens attended", positive=True)


class LinearAttention(eqx.Module):
    """Gated delta-rule linear attention: a constant state per sequence, read and written."""

    key_heads: float = number("key heads", positive=True)
    value_heads: float = number("value heads", positive=True)
    key: float = number("width of a key head", positive=True)
    value: float = number("width of a value head", positive=True)
    convolution: float = number("taps of the short convolution")
    state_bits: float = number("bits of a state value", positive=True)


class StateSpace(eqx.Module):
    """Mamba-2 layer: a constant state per sequence, read and written."""

    heads: float = number("heads", positive=True)
    head: float = number("width of a head", positive=True)
    state: float = number("state per channel", positive=True)
    groups: float = number("groups sharing B and C", positive=True)
    convolution: float = number("taps of the short convolution")
    state_bits: float = number("bits of a state value", positive=True)


class NoAttention(eqx.Module):
    """A layer group without a token mixer."""


class Dense(eqx.Module):
    """Feed-forward of one up and one down projection."""

    inner: float = number("inner width", positive=True)
    bias: float = number("1 where projections carry a bias, else 0")


class Gated(Dense):
    """Feed-forward with gate, up and down projections."""


class MixtureOfExperts(eqx.Module):
    """Routed experts, optionally with shared ones."""

    experts: float = number("routed experts", positive=True)
    experts_per_token: float = number("experts a token visits", positive=True)
    inner: float = number("inner width of an expert", positive=True)
    matrices: float = number("projections per expert: 3 gated, 2 not", positive=True)
    shared_inner: float = number("inner width of the shared experts together (0: none)")
    bias: float = number("1 where projections carry a bias, else 0")
    latent: float | None = number("width experts work in, if not the model's", optional=True)


class NoFeedForward(eqx.Module):
    """A layer group without a feed-forward part."""


ATTENTION_SPECS = {
    "gqa": GroupedQuery,
    "mla": MultiLatent,
    "sparse_mla": SparseLatent,
    "linear": LinearAttention,
    "state_space": StateSpace,
    "none": NoAttention,
}
FEEDFORWARD_SPECS = {
    "dense": Dense,
    "gated": Gated,
    "moe": MixtureOfExperts,
    "none": NoFeedForward,
}


class LayerGroup(eqx.Module):
    """Layers of one shape."""

    layers: float = number("how many", positive=True)
    attention: eqx.Module = variant(ATTENTION_SPECS)
    feedforward: eqx.Module = variant(FEEDFORWARD_SPECS)


class ModelSpec(eqx.Module):
    """A network and the formats it is published in."""

    width: float = number("width of the residual stream", positive=True)
    vocabulary: float = number("tokens of the vocabulary", positive=True)
    tied_embedding: float = number("1 where the output head is the embedding, else 0")
    norms_per_layer: float = number("norm vectors per layer")
    groups: list[LayerGroup] = sequence(LayerGroup)
    weights: str = text("format of weights, unless said otherwise below")
    attention_weights: str | None = text("format of attention weights", optional=True)
    expert_weights: str | None = text("format of routed experts", optional=True)
    head_weights: str | None = text("format of embedding and output head", optional=True)
    kv: str = text("format of the KV cache")
    activations: str = text("format of activations")
    published_parameters: float | None = number("published total", optional=True)
    published_active_parameters: float | None = number("published active", optional=True)
    other_parameters: float | None = number("read every step beside the above", optional=True)
    acceptance: tuple[float, ...] | None = numbers(
        "share of steps that accept the 1st, 2nd, ... draft token, for speculation", optional=True
    )
    draft_layers: float | None = number("layers a draft token passes", optional=True)
