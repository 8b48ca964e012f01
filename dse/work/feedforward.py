"""Feed-forward parts: dense, gated, and mixtures of experts.

The feed-forward uses all chips of a stage: ``ep`` groups share the experts, and each expert (or
the dense feed-forward) is sliced over the chips of a group.
"""

from collections.abc import Callable

import jax.numpy as jnp

from dse import smooth
from dse.specs import network
from dse.work.split import Split
from dse.work.table import Exchange, Op, Scalar, linear, vectors


def dense(spec: network.Dense, s: Split, layers: Scalar, norms: Scalar, skew) -> list[Op]:
    """One up and one down projection."""
    return _dense(spec, s, layers, norms, matrices=2.0)


def gated(spec: network.Gated, s: Split, layers: Scalar, norms: Scalar, skew) -> list[Op]:
    """Gate, up and down projections."""
    return _dense(spec, s, layers, norms, matrices=3.0)


def _dense(spec, s: Split, layers: Scalar, norms: Scalar, matrices: float) -> list[Op]:
    inner = spec.inner / s.slices
    rows = s.stage_rows / s.ep
    up = Op("ffn_up", "feedforward", layers, dependent_ops=2, die_crossings=1)
    up = linear(up, rows, s.width, (matrices - 1) * inner, spec.bias)
    down = Op("ffn_down", "feedforward", layers, dependent_ops=1, die_crossings=1)
    down = linear(down, rows, inner, s.width, spec.bias)
    return [vectors(up, norms), down, _reduce(s, rows, layers)]


def _reduce(s: Split, rows: Scalar, layers: Scalar) -> Op:
    """Sum of partial results over the slices, so that each chip has the rows of its rank again.

    With data-parallel attention the same volume is a gather of rows before and a scatter of sums
    after. Where a group holds fewer chips than a rank (``ep > dp``), its rows return to the rank.
    """
    size = jnp.maximum(rows, s.rows) * s.width * s.activation_bytes
    group = jnp.maximum(s.slices, s.tp * s.kvp)
    exchange = Exchange("all_reduce", size, group, jnp.where(group > 1, 1.0, 0.0))
    return Op("ffn_reduce", "feedforward", layers, exchange=exchange)


def distinct_experts(experts: Scalar, per_token: Scalar, tokens: Scalar) -> Scalar:
    """Expected distinct experts touched by uniform routing: ``E (1 - (1 - k/E)^n)``.

    Exact for independent tokens choosing k of E without replacement.
    """
    return experts * (1 - (1 - per_token / experts) ** tokens)


def mixture_of_experts(
    spec: network.MixtureOfExperts, s: Split, layers: Scalar, norms: Scalar, skew
) -> list[Op]:
    """Router, routed experts (distinct ones touched are read), shared experts, exchanges.

    Where tokens are on every chip of the stage (``dp = 1``) each chip runs its experts on its own
    copy and one all-reduce sums the results; with data-parallel attention tokens are dispatched
    to the chips of their experts and combined, ``k`` copies per token (DeepEP's low-latency form).
    """
    width = s.width if spec.latent is None else spec.latent
    inner = spec.inner / s.slices
    per_expert = spec.matrices * width * inner + spec.bias * ((spec.matrices - 1) * inner + width)
    touched = distinct_experts(spec.experts, spec.experts_per_token, s.stage_rows) / s.ep
    slots = s.stage_rows * spec.experts_per_token / s.ep
    weight_skew, slot_skew = skew
    router = Op("router", "feedforward", layers, dependent_ops=2, die_crossings=1)
    router = vectors(linear(router, s.rows, s.width, spec.experts), norms)
    experts = Op(
        "experts",
        "feedforward",
        layers,
        use="expert",
        math="expert",
        stored_values=smooth.ceiling(spec.experts / s.ep) * per_expert,  # fullest chip
        read_values=touched * per_expert,
        activation_values=slots * (2 * width + spec.matrices * inner),
        tensor_flops=2 * slots * spec.matrices * width * inner,
        vector_flops=slots * inner,
        dependent_ops=3,
        die_crossings=2,
        memory_waits=1,
        weight_skew=weight_skew,
        flops_skew=slot_skew,
    )
    return [router, experts, *_shared(spec, s, layers), *_projections(spec, s, layers),
            *_expert_exchanges(spec, s, layers)]  # fmt: skip


def _shared(spec, s: Split, layers: Scalar) -> list[Op]:
    """Shared experts: every token passes them, so they gain nothing from being apart.

    Servers slice them over the chips of a rank, as attention, where those are more than the chips
    that share a routed expert; the sum goes with that of the routed experts.
    """
    op = Op("shared_expert", "feedforward", layers)
    slices = jnp.maximum(s.slices, s.tp * s.kvp)
    inner = spec.shared_inner / slices
    rows = s.stage_rows * slices / s.chips * jnp.where(spec.shared_inner > 0, 1.0, 0.0)
    return [linear(op, rows, s.width, spec.matrices * inner)]


def _projections(spec, s: Split, layers: Scalar) -> list[Op]:
    """Down- and up-projection around experts that work in a narrower space."""
    if spec.latent is None:
        return []
    op = Op("expert_latent", "feedforward", layers, dependent_ops=2)
    return [linear(op, s.rows, s.width, 2 * spec.latent)]


def _expert_exchanges(spec, s: Split, layers: Scalar) -> list[Op]:
    everywhere = jnp.where(s.dp > 1, 0.0, 1.0)  # tokens already on all chips of the stage
    apart = jnp.where(s.ep > 1, 1.0 - everywhere, 0.0)
    size = s.stage_rows * s.width * s.activation_bytes
    reduce = Exchange("all_reduce", size, s.chips, everywhere * jnp.where(s.chips > 1, 1.0, 0.0))
    # After a combine the chips of a rank add their slices; without one, the chips of the stage.
    rank = jnp.where(apart > 0, s.tp * s.kvp, s.slices)
    share = jnp.where(apart > 0, 1 / s.dp, 1 / s.ep)
    gather = Exchange("all_reduce", size * share, rank,
                      (1 - everywhere) * jnp.where(rank > 1, 1.0, 0.0))  # fmt: skip
    width = s.width if spec.latent is None else spec.latent
    copies = s.stage_rows / s.ep * spec.experts_per_token * width * apart
    sent = [("dispatch", copies * s.dispatch_bytes), ("combine", copies * s.activation_bytes)]
    return [
        Op("expert_reduce", "feedforward", layers, exchange=reduce),
        Op("expert_gather", "feedforward", layers, exchange=gather),
        *(
            Op(name, "feedforward", layers, exchange=Exchange("all_to_all", size, s.ep, apart))
            for name, size in sent
        ),
    ]


def no_feedforward(spec, s: Split, layers: Scalar, norms: Scalar, skew) -> list[Op]:
    """A layer without a feed-forward part."""
    return []


FEEDFORWARD: dict[type, Callable[..., list[Op]]] = {
    network.Dense: dense,
    network.Gated: gated,
    network.MixtureOfExperts: mixture_of_experts,
    network.NoFeedForward: no_feedforward,
}
