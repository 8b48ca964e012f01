"""The operators of one decode step, in order, on the mean chip, for one micro-batch.

The list covers all layers of the model: with a pipeline a token meets them on different chips,
one after another. Nothing here knows a chip.
"""

import jax.numpy as jnp

from dse import smooth
from dse.specs.deployment import Deployment
from dse.specs.network import ModelSpec, NoAttention, NoFeedForward
from dse.work.attention import ATTENTION
from dse.work.feedforward import FEEDFORWARD
from dse.work.split import Context, Split, split
from dse.work.table import Exchange, Op, Scalar, linear, vectors


def decode_ops(model: ModelSpec, context: Context, deployment: Deployment) -> list[Op]:
    """Every operator of a step: layer groups, drafting, output head, hand-over between stages."""
    s = split(model, context, deployment)
    ops = []
    for index, group in enumerate(model.groups):
        layers = group.layers
        if index == len(model.groups) - 1:  # drafts pass extra layers of the last shape
            layers = layers + deployment.draft_layers
        ops += _group_ops(model, group, index, s, layers)
    return [*ops, *_head(model, s), _hand_over(s)]


def _group_ops(model: ModelSpec, group, index: int, s: Split, layers: Scalar) -> list[Op]:
    parts = (not isinstance(group.attention, NoAttention)) + (
        not isinstance(group.feedforward, NoFeedForward)
    )
    norms = model.norms_per_layer * model.width / max(parts, 1)
    skew = s.deployment.skew
    experts = (skew.expert_weights.get(str(index), 1.0), skew.expert_slots.get(str(index), 1.0))
    attention = ATTENTION[type(group.attention)](group.attention, s, layers, norms)
    feed = FEEDFORWARD[type(group.feedforward)](group.feedforward, s, layers, norms, experts)
    return attention + feed


def _head(model: ModelSpec, s: Split) -> list[Op]:
    """Embedding rows, final norm, output head (split over a rank) and the gather of logits.

    Of the embedding a step reads one row per token; all of it is resident. A tied head is the
    embedding, so it is stored once.
    """
    rank = s.tp * s.kvp  # chips that hold the same rows
    share = model.vocabulary / rank
    table_values = share * model.width
    embed = Op(
        "embedding",
        "head",
        1.0,
        use="head",
        stored_values=table_values * (1 - model.tied_embedding),
        read_values=s.rows * model.width / rank,
        activation_values=s.rows * model.width,
        memory_waits=1,
    )
    head = Op("output_head", "head", 1.0, use="head", dependent_ops=4, die_crossings=2)
    other = 0.0 if model.other_parameters is None else model.other_parameters
    head = vectors(linear(head, s.rows, model.width, share), model.width + other / rank)
    logits = s.rows * model.vocabulary * s.activation_bytes
    gather = Exchange("all_gather", logits, rank, jnp.where(rank > 1, 1.0, 0.0))
    return [embed, head, Op("logits_gather", "head", 1.0, exchange=gather)]


def _hand_over(s: Split) -> Op:
    """Activations from stage to stage, and the sampled token back to the first."""
    pp = s.deployment.pp
    size = s.stage_rows * s.width * s.activation_bytes / s.chips
    exchange = Exchange("point_to_point", size, s.chips * pp)
    return Op("stage_hand_over", "head", jnp.where(pp > 1, pp, 0.0), exchange=exchange)


def stage_skew(model: ModelSpec, deployment: Deployment) -> Scalar:
    """Layers of the fullest pipeline stage over the mean: whole layers split with a ceiling.

    61 layers on 16 stages put 4 on one stage where 3.8 is the mean: 1.049.
    """
    layers = sum(group.layers for group in model.groups)
    return smooth.ceiling(layers / deployment.pp) * deployment.pp / layers


def stored_bytes(op: Op, deployment: Deployment) -> Scalar:
    """Weight bytes of an operator resident on the chips of one stage position, all layers."""
    return op.layers * op.stored_values * weight_bytes(op, deployment)


def weight_bytes(op: Op, deployment: Deployment) -> Scalar:
    """Bytes of one weight value of an operator, scales included."""
    formats = deployment.formats
    return {
        "attention": formats.attention_bytes,
        "expert": formats.expert_bytes,
        "dense": formats.dense_bytes,
        "head": formats.head_bytes,
    }[op.use]
