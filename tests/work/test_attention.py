"""Token mixers: laws over every kind, and the duplication of KV heads worked out by hand."""

import dataclasses

import pytest

from dse.specs import network
from dse.work.attention import ATTENTION
from dse.work.collectives import COLLECTIVES
from dse.work.table import Op

pytestmark = pytest.mark.usefixtures("float64")
LATENT = {"heads": 16.0, "query_rank": 96.0, "kv_rank": 64.0, "rope": 8.0, "nope": 16.0,
          "value": 16.0}  # fmt: skip
EXAMPLES = {
    network.GroupedQuery: network.GroupedQuery(
        heads=16.0, kv_heads=4.0, head=32.0, bias=1.0, output_gate=0.0
    ),
    network.MultiLatent: network.MultiLatent(**LATENT),
    network.SparseLatent: network.SparseLatent(
        **LATENT, index_heads=4.0, index=32.0, selected_tokens=256.0
    ),
    network.LinearAttention: network.LinearAttention(
        key_heads=8.0, value_heads=16.0, key=32.0, value=32.0, convolution=4.0, state_bits=32.0
    ),
    network.StateSpace: network.StateSpace(
        heads=16.0, head=32.0, state=64.0, groups=8.0, convolution=4.0, state_bits=16.0
    ),
    network.NoAttention: network.NoAttention(),
}
KINDS = pytest.mark.parametrize("kind", ATTENTION, ids=lambda kind: kind.__name__)


def ops_of(kind, split) -> list[Op]:
    return ATTENTION[kind](EXAMPLES[kind], split, 3.0, 512.0)


def summed(ops, field):
    return sum(float(getattr(op, field)) for op in ops)


def sent(op):
    """Bytes a chip sends in the exchange of an operator, by a direct all-reduce where it sums."""
    x = op.exchange
    kind = "two_shot" if x.kind == "all_reduce" else x.kind
    return float(COLLECTIVES[kind](x.size_bytes, x.group).sent_bytes * x.rounds)


def test_every_kind_has_an_example():
    assert set(EXAMPLES) == set(ATTENTION)


@KINDS
@pytest.mark.parametrize("split", [{}, {"tp": 4}, {"tp": 16}, {"kvp": 4}, {"dp": 4}], ids=str)
def test_no_demand_is_negative(kind, split, parted):
    for op in ops_of(kind, parted(sequences=4.0, **split)):
        for field in dataclasses.fields(op):
            value = getattr(op, field.name)
            if isinstance(value, str) or field.name == "exchange":
                continue
            assert float(value) >= 0, (op.name, field.name)


@KINDS
def test_cache_traffic_is_linear_in_sequences_and_weights_are_shared(kind, parted):
    one, four = (ops_of(kind, parted(sequences=n)) for n in (1.0, 4.0))
    for field in ("kv_read_values", "kv_write_values", "state_bytes", "tensor_flops"):
        assert summed(four, field) == pytest.approx(4 * summed(one, field))
    for field in ("read_values", "stored_values", "kv_stored_values", "state_stored_bytes"):
        assert summed(four, field) == summed(one, field)


@KINDS
def test_drafts_read_the_cache_once(kind, parted):
    one, three = (ops_of(kind, parted(queries=n)) for n in (1.0, 3.0))
    assert summed(three, "kv_read_values") == summed(one, "kv_read_values")
    assert summed(three, "tensor_flops") == pytest.approx(3 * summed(one, "tensor_flops"))


@KINDS
def test_one_chip_sends_nothing(kind, parted):
    assert sum(sent(op) for op in ops_of(kind, parted(sequences=4.0)) if op.exchange) == 0


@KINDS
def test_chips_of_a_tensor_split_share_the_arithmetic_exactly(kind, parted):
    """Heads divide evenly here, so four chips multiply what one did; only copies are extra."""
    if kind in (network.NoAttention, network.SparseLatent):  # the indexer runs on every chip
        return
    one, four = (ops_of(kind, parted(sequences=2.0, tp=n)) for n in (1, 4))
    extra = 4 * summed(four, "tensor_flops") / summed(one, "tensor_flops")
    latent = 1.34 if kind is network.MultiLatent else 1 + 1e-12  # down-projections are copied
    assert 1 - 1e-12 <= extra <= latent


@KINDS
def test_context_parallel_chips_share_the_cache(kind, parted):
    one, four = (ops_of(kind, parted(sequences=2.0, kvp=n)) for n in (1, 4))
    assert 4 * summed(four, "kv_read_values") == pytest.approx(summed(one, "kv_read_values"))
    assert 4 * summed(four, "kv_stored_values") == pytest.approx(summed(one, "kv_stored_values"))


@pytest.mark.parametrize(
    ("tp", "kvp", "microseconds"), [(8, 1, 128.0), (64, 1, 128.0), (8, 8, 16.0)]
)
def test_helix_cache_reads_of_one_layer(parted, tp, kvp, microseconds):
    """8 sequences of 1e6 tokens, 8 KV heads of 128 in fp4, 8 TB/s (arXiv 2507.07120, appendix).

    A chip reads at least one head: 8 x 2 x 128 x 1e6 x 0.5 B = 1.024 GB, on 8 chips as on 64;
    only splitting the context brings it down.
    """
    spec = network.GroupedQuery(heads=128.0, kv_heads=8.0, head=128.0, bias=0.0, output_gate=0.0)
    split = parted(sequences=8.0, context=1e6, tp=tp, kvp=kvp, width=16384.0)
    read = summed(ATTENTION[network.GroupedQuery](spec, split, 1.0, 0.0), "kv_read_values")
    assert read * 0.5 / 8e12 == pytest.approx(microseconds * 1e-6)


def test_window_caps_what_is_read_and_kept(parted):
    spec = dataclasses.replace(EXAMPLES[network.GroupedQuery], window_tokens=128.0)
    ops = ATTENTION[network.GroupedQuery](spec, parted(sequences=2.0), 1.0, 0.0)
    assert summed(ops, "kv_read_values") == 2 * (2 * 4 * 32) * 128
    assert summed(ops, "kv_stored_values") == (2 * 4 * 32) * 128


def test_latent_cache_is_one_vector_for_all_heads(parted):
    """64 + 8 values a token; scores need 2 (64 + 8) and their sums 2 x 64 FLOPs per head."""
    ops = ops_of(network.MultiLatent, parted(sequences=2.0, tp=4))
    assert summed(ops, "kv_read_values") == 2 * 72 * 1000
    core = next(op for op in ops if op.name == "attention")
    assert float(core.tensor_flops) == 2 * 4 * 1000 * 2 * (72 + 64)


def test_deepseek_latent_attention_per_cached_token(parted):
    """278,528 FLOPs per query token, layer and cached token: 2 x 128 (576 + 512)."""
    spec = network.MultiLatent(heads=128.0, query_rank=1536.0, kv_rank=512.0, rope=64.0,
                               nope=128.0, value=128.0)  # fmt: skip
    ops = ATTENTION[network.MultiLatent](spec, parted(context=4096.0), 1.0, 0.0)
    core = next(op for op in ops if op.name == "attention")
    assert float(core.tensor_flops) == 278_528 * 4096
    assert float(core.tensor_flops / core.kv_read_values) == pytest.approx(484, rel=1e-3)


def test_context_merge_does_not_grow_with_context(parted):
    short, long = (ops_of(network.GroupedQuery, parted(kvp=4, context=n)) for n in (1e3, 1e6))
    sizes = [sum(sent(op) for op in ops if op.exchange) for ops in (short, long)]
    assert sizes[0] == sizes[1] > 0
