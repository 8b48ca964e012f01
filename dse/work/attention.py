"""Token mixers: each kind is a function of its shape and the split, giving operators.

KV traffic is linear in sequences and not shared among them. Weights before attention are split over
``tp`` and duplicated over ``kvp`` and ``dp``, in traffic and in memory; those after it are split
over ``kvp`` as well.
"""

from collections.abc import Callable
from dataclasses import replace

import jax.numpy as jnp

from dse.specs import network
from dse.work.split import Split
from dse.work.table import Exchange, Op, Scalar, linear, vectors

# Per attention score: scale, running maximum, subtraction, running sum (the exponential apart).
SCORE_FLOPS = 4.0
# Per state value and token of a recurrent layer: decay, read-out by key, rank-one update (2 each).
STATE_FLOPS = 7.0


def grouped_query(spec: network.GroupedQuery, s: Split, layers: Scalar, norms: Scalar) -> list[Op]:
    """Multi-head, multi-query and grouped-query attention.

    Reads ``2 ceil(kv_heads / tp) head`` values per token, sequence and layer: beyond
    ``tp = kv_heads`` the cache is duplicated (Helix, arXiv 2507.07120, appendix).
    """
    q_width = s.heads(spec.heads) * spec.head
    kv_width = 2 * s.heads(spec.kv_heads) * spec.head
    tokens = s.context.attended(spec.window_tokens) / s.kvp
    scores = s.rows * s.heads(spec.heads) * tokens
    shared = 1.0 if spec.shared_kv is None else spec.shared_kv
    qkv = Op("qkv", "attention", layers, use="attention", dependent_ops=2, die_crossings=1)
    qkv = linear(qkv, s.rows, s.width, q_width * (1 + spec.output_gate) + kv_width, spec.bias)
    core = Op(
        "attention",
        "attention",
        layers,
        math="attention",
        kv_read_values=s.sequences * kv_width * tokens,
        kv_write_values=s.rows * kv_width / s.kvp,
        kv_stored_values=kv_width * s.context.held(spec.window_tokens) / s.kvp / shared,
        activation_values=s.rows * (2 * q_width + kv_width),
        tensor_flops=4 * scores * spec.head,
        vector_flops=SCORE_FLOPS * scores,
        exponentials=scores,
        dependent_ops=3,
        die_crossings=2,
        kv_skew=s.deployment.skew.kv,
        flops_skew=s.deployment.skew.kv,
    )
    return [vectors(qkv, norms), core, *_context_merge(s, q_width, layers),
            *_output(s, q_width, layers, spec.bias)]  # fmt: skip


def multi_latent(spec: network.MultiLatent, s: Split, layers: Scalar, norms: Scalar) -> list[Op]:
    """Multi-head latent attention with the up-projections absorbed into queries and outputs.

    The cache holds ``kv_rank + rope`` values per token for all heads, so ``tp`` does not divide
    it. Absorbed products run as batched matrix products on the original factors, so weight bytes
    do not inflate (TensorRT-LLM, DeepSeek-R1 notes).
    """
    heads = s.heads(spec.heads)
    tokens = s.context.attended() / s.kvp
    down = _latent_down(spec, s, layers, norms)
    core = _latent_core(spec, s, layers, tokens)
    merged = heads * spec.kv_rank
    up = Op("latent_up", "attention", layers, use="attention", dependent_ops=1, die_crossings=1)
    up = linear(up, s.rows * heads, spec.kv_rank, spec.nope)  # queries into the latent space
    # Values out of it: the merge left each context-parallel rank its share of them.
    up = linear(up, s.rows * heads / s.kvp, spec.kv_rank, spec.value)
    up = _shared_over_heads(up, heads, spec.kv_rank * (spec.nope + spec.value / s.kvp))
    return [down, core, *_context_merge(s, merged, layers), up,
            *_output(s, heads * spec.value, layers, 0.0)]  # fmt: skip


def _shared_over_heads(op: Op, heads: Scalar, values_per_head: Scalar) -> Op:
    """Each head has its own factor: weights are per head, not per row of all heads."""
    values = heads * values_per_head
    return replace(op, stored_values=values, read_values=values)


def _latent_down(spec, s: Split, layers: Scalar, norms: Scalar) -> Op:
    """Query and key-value down-projections (on every chip) and the query up-projection."""
    heads = s.heads(spec.heads)
    op = Op("latent_down", "attention", layers, use="attention", dependent_ops=2, die_crossings=1)
    per_head = spec.nope + spec.rope
    has_rank = jnp.where(spec.query_rank > 0, 1.0, 0.0)
    op = linear(op, s.rows, s.width, spec.query_rank + spec.kv_rank + spec.rope)
    op = linear(op, s.rows * has_rank, spec.query_rank, heads * per_head)
    direct = (1 - has_rank) * heads * per_head
    op = linear(op, s.rows * (1 - has_rank), s.width, direct)
    return vectors(op, norms + spec.query_rank + spec.kv_rank)


def _latent_core(spec, s: Split, layers: Scalar, tokens: Scalar) -> Op:
    heads = s.heads(spec.heads)
    latent = spec.kv_rank + spec.rope
    scores = s.rows * heads * tokens
    return Op(
        "attention",
        "attention",
        layers,
        math="attention",
        kv_read_values=s.sequences * latent * tokens,
        kv_write_values=s.rows * latent / s.kvp,
        kv_stored_values=latent * s.context.held() / s.kvp,
        activation_values=s.rows * heads * (latent + spec.kv_rank),
        tensor_flops=2 * scores * (latent + spec.kv_rank),
        vector_flops=SCORE_FLOPS * scores,
        exponentials=scores,
        dependent_ops=3,
        die_crossings=2,
        kv_skew=s.deployment.skew.kv,
        flops_skew=s.deployment.skew.kv,
    )


def sparse_latent(spec: network.SparseLatent, s: Split, layers: Scalar, norms: Scalar) -> list[Op]:
    """Latent attention over the ``selected_tokens`` an indexer picks.

    The indexer reads a narrow key per cached token and scores all of them; attention then reads
    the selected latents only (DeepSeek-V3.2 report, 2025). Both caches are resident.
    """
    tokens = s.context.attended(spec.selected_tokens) / s.kvp
    scanned = s.context.attended() / s.kvp
    scores = s.rows * spec.index_heads * scanned
    index = Op(
        "indexer",
        "attention",
        layers,
        use="attention",
        math="attention",
        kv_read_values=s.sequences * spec.index * scanned,
        kv_write_values=s.rows * spec.index / s.kvp,
        kv_stored_values=spec.index * s.context.held() / s.kvp,
        tensor_flops=2 * scores * spec.index,
        vector_flops=SCORE_FLOPS * scores,
        dependent_ops=3,
        die_crossings=2,
        memory_waits=1,
        kv_skew=s.deployment.skew.kv,
        flops_skew=s.deployment.skew.kv,
    )
    index = linear(index, s.rows, spec.query_rank, spec.index_heads * spec.index)
    index = linear(index, s.rows, s.width, spec.index + spec.index_heads)
    rest = multi_latent(spec, s, layers, norms)
    core = _latent_core(spec, s, layers, tokens)
    held = spec.kv_rank + spec.rope
    core = replace(core, kv_stored_values=held * s.context.held() / s.kvp)
    return [rest[0], vectors(index, 2 * spec.index), core, *rest[2:]]


def linear_attention(
    spec: network.LinearAttention, s: Split, layers: Scalar, norms: Scalar
) -> list[Op]:
    """Gated delta rule: a state of ``key x value`` per value head, read and written each token.

    Its traffic does not grow with context (Yang et al., Gated Delta Networks, 2024).
    """
    key, value = s.heads(spec.key_heads) * spec.key, s.heads(spec.value_heads) * spec.value
    heads = s.heads(spec.value_heads)
    op = Op("mixer_in", "attention", layers, use="attention", dependent_ops=2, die_crossings=1)
    op = linear(op, s.rows, s.width, 2 * key + 2 * value + 2 * heads)
    op = vectors(op, norms + (2 * key + value) * spec.convolution + 2 * heads + spec.value)
    state = heads * spec.key * spec.value
    taps = (2 * key + value) * spec.convolution
    core = _state_op(s, layers, state + taps, spec.state_bits / 8, state)
    return [op, core, *_output(s, value, layers, 0.0)]


def state_space(spec: network.StateSpace, s: Split, layers: Scalar, norms: Scalar) -> list[Op]:
    """Mamba-2: a state of ``head x state`` per head, read and written each token.

    Dao and Gu, Transformers are SSMs, 2024.
    """
    heads = s.heads(spec.heads)
    inner = heads * spec.head
    mixed = inner + 2 * s.heads(spec.groups) * spec.state
    op = Op("mixer_in", "attention", layers, use="attention", dependent_ops=2, die_crossings=1)
    op = linear(op, s.rows, s.width, inner + mixed + heads)
    op = vectors(op, norms + mixed * (spec.convolution + 1) + 3 * heads + inner)
    state = inner * spec.state
    core = _state_op(s, layers, state + mixed * spec.convolution, spec.state_bits / 8, state)
    return [op, core, *_output(s, inner, layers, 0.0)]


def no_attention(spec: network.NoAttention, s: Split, layers: Scalar, norms: Scalar) -> list[Op]:
    """A layer without a token mixer: only its norm, if it has one."""
    return []


def _state_op(s: Split, layers, values, bytes_per_value, arithmetic) -> Op:
    return Op(
        "state",
        "attention",
        layers,
        state_bytes=2 * s.sequences * values * bytes_per_value,
        state_stored_bytes=values * bytes_per_value,
        vector_flops=STATE_FLOPS * s.rows * arithmetic,
        dependent_ops=3,
        die_crossings=1,
    )


def _context_merge(s: Split, width: Scalar, layers: Scalar) -> list[Op]:
    """Partial outputs of the context-parallel ranks, merged by their log-sum-exp.

    An all-to-all of ``rows x width / kvp`` to each other rank, independent of context length.
    """
    size = s.rows * width * s.activation_bytes
    rounds = jnp.where(s.kvp > 1, 1.0, 0.0)
    return [Op("context_merge", "attention", layers,
               exchange=Exchange("all_to_all", size, s.kvp, rounds))]  # fmt: skip


def _output(s: Split, n_in: Scalar, layers: Scalar, bias: Scalar) -> list[Op]:
    """Output projection and its all-reduce over the chips of the rank.

    The merge left each context-parallel rank ``1 / kvp`` of the values, so both splits divide the
    projection (Helix, arXiv 2507.07120).
    """
    op = Op("attention_out", "attention", layers, use="attention", dependent_ops=1, die_crossings=1)
    op = linear(op, s.rows, n_in / s.kvp, s.width, bias)
    size = s.rows * s.width * s.activation_bytes
    group = s.tp * s.kvp
    reduce = Exchange("all_reduce", size, group, jnp.where(group > 1, 1.0, 0.0))
    return [op, Op("attention_reduce", "attention", layers, exchange=reduce)]


ATTENTION: dict[type, Callable[..., list[Op]]] = {
    network.GroupedQuery: grouped_query,
    network.MultiLatent: multi_latent,
    network.SparseLatent: sparse_latent,
    network.LinearAttention: linear_attention,
    network.StateSpace: state_space,
    network.NoAttention: no_attention,
}
