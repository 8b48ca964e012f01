"""Parameter counts straight from a network's shape, as a check on the operator tables.

Written from the published shapes alone and without JAX, so that a slip in ``dse/work`` shows as a
difference. Every matrix, bias, router and block norm is counted here; small vectors that no shape
names (norms of queries and keys, attention sinks, router corrections, gates of shared experts) are
stated by a spec as ``other_parameters``.
"""

from collections.abc import Callable

from dse.specs import network


def total_parameters(model: network.ModelSpec) -> float:
    """All stored parameters: embedding, layers, final norm, output head unless tied, the rest."""
    tables = 1.0 if model.tied_embedding else 2.0
    return tables * _table(model) + _inside(model, is_active=False)


def active_parameters(model: network.ModelSpec) -> float:
    """Parameters one token reads: ``experts_per_token`` routed experts and everything else.

    The input embedding is not among them, being a lookup of one row; the output head is, also
    where it is the embedding. gpt-oss and DeepSeek-V3 publish this number. Qwen3-MoE, Qwen3.5,
    Mixtral, Llama 4 and Kimi-K2 publish one with the input embedding added (``vocabulary x
    width``); the labels of GLM-5 and Qwen3-Next count neither embedding nor output head.
    """
    return _table(model) + _inside(model, is_active=True)


def _table(model: network.ModelSpec) -> float:
    return model.vocabulary * model.width


def _inside(model: network.ModelSpec, is_active: bool) -> float:
    """Layers, final norm and other parameters: all but embedding and output head."""
    layers = sum(group.layers * layer_parameters(model, group, is_active) for group in model.groups)
    other = 0.0 if model.other_parameters is None else model.other_parameters
    return float(layers + model.width + other)


def layer_parameters(
    model: network.ModelSpec, group: network.LayerGroup, is_active: bool = False
) -> float:
    """One layer of a group: its token mixer, its feed-forward part, its norms."""
    attention = ATTENTION[type(group.attention)](group.attention, model.width)
    feedforward = FEEDFORWARD[type(group.feedforward)](group.feedforward, model.width, is_active)
    return attention + feedforward + model.norms_per_layer * model.width


# --- token mixers -------------------------------------------------------------------------------


def grouped_query(spec: network.GroupedQuery, width: float) -> float:
    """Query (twice where the output is gated), key, value and output projections.

    Layers that share one KV cache share its projections.
    """
    query = spec.heads * spec.head
    shared = 1.0 if spec.shared_kv is None else spec.shared_kv
    key_value = 2 * spec.kv_heads * spec.head / shared
    inward = query * (1 + spec.output_gate) + key_value
    return width * inward + query * width + spec.bias * (inward + width)


def multi_latent(spec: network.MultiLatent, width: float) -> float:
    """Down- and up-projections of queries and of keys and values, their norms, the output.

    ``kv_rank x heads x (nope + value)`` is stored once: absorption at decode changes where it is
    multiplied, not how much of it there is (DeepSeek-V2, arXiv 2405.04434, section 2.1).
    """
    query = spec.heads * (spec.nope + spec.rope)
    down = spec.query_rank + spec.kv_rank
    into_query = spec.query_rank * query if spec.query_rank else width * query
    out_of_latent = spec.kv_rank * spec.heads * (spec.nope + spec.value)
    output = spec.heads * spec.value * width
    return width * (down + spec.rope) + into_query + out_of_latent + output + down


def sparse_latent(spec: network.SparseLatent, width: float) -> float:
    """Latent attention and its indexer: queries, one key, a weight per head, a norm with bias."""
    queries = spec.query_rank * spec.index_heads * spec.index
    keys = width * (spec.index + spec.index_heads)
    return multi_latent(spec, width) + queries + keys + 2 * spec.index


def linear_attention(spec: network.LinearAttention, width: float) -> float:
    """Gated delta rule: queries, keys, values, gate, two scalars a head, convolution, output."""
    key, value = spec.key_heads * spec.key, spec.value_heads * spec.value
    inward = width * (2 * key + 2 * value + 2 * spec.value_heads)
    convolution = (2 * key + value) * spec.convolution
    return inward + convolution + 2 * spec.value_heads + spec.value + value * width


def state_space(spec: network.StateSpace, width: float) -> float:
    """Mamba-2: one inward projection, convolution with bias, three scalars a head, norm, output."""
    inner = spec.heads * spec.head
    mixed = inner + 2 * spec.groups * spec.state
    inward = width * (inner + mixed + spec.heads)
    return inward + mixed * (spec.convolution + 1) + 3 * spec.heads + inner + inner * width


def no_attention(spec: network.NoAttention, width: float) -> float:
    """A layer without a token mixer."""
    return 0.0


# --- feed-forward parts -------------------------------------------------------------------------


def dense(spec: network.Dense, width: float, is_active: bool) -> float:
    """Up and down projection."""
    return _projections(2.0, spec.inner, width, spec.bias)


def gated(spec: network.Gated, width: float, is_active: bool) -> float:
    """Gate, up and down projection."""
    return _projections(3.0, spec.inner, width, spec.bias)


def mixture_of_experts(spec: network.MixtureOfExperts, width: float, is_active: bool) -> float:
    """Router, routed experts (those of one token if active), shared ones, latent projections."""
    expert_width = width if spec.latent is None else spec.latent
    routed = spec.experts_per_token if is_active else spec.experts
    experts = routed * _projections(spec.matrices, spec.inner, expert_width, spec.bias)
    shared = spec.matrices * spec.shared_inner * width
    latent = 0.0 if spec.latent is None else 2 * width * spec.latent
    return width * spec.experts + experts + shared + latent


def no_feedforward(spec: network.NoFeedForward, width: float, is_active: bool) -> float:
    """A layer without a feed-forward part."""
    return 0.0


def _projections(matrices: float, inner: float, width: float, bias: float) -> float:
    """``matrices`` between two widths, all but one inward; a bias on each output if any."""
    return matrices * inner * width + bias * ((matrices - 1) * inner + width)


ATTENTION: dict[type, Callable[..., float]] = {
    network.GroupedQuery: grouped_query,
    network.MultiLatent: multi_latent,
    network.SparseLatent: sparse_latent,
    network.LinearAttention: linear_attention,
    network.StateSpace: state_space,
    network.NoAttention: no_attention,
}
FEEDFORWARD: dict[type, Callable[..., float]] = {
    network.Dense: dense,
    network.Gated: gated,
    network.MixtureOfExperts: mixture_of_experts,
    network.NoFeedForward: no_feedforward,
}
