"""Feed-forward parts: laws over every kind, the union of experts, what splits must exchange."""

import dataclasses

import pytest

from dse.specs import network
from dse.work.collectives import COLLECTIVES
from dse.work.feedforward import FEEDFORWARD, distinct_experts

pytestmark = pytest.mark.usefixtures("float64")
EXPERTS = network.MixtureOfExperts(experts=24.0, experts_per_token=4.0, inner=256.0, matrices=3.0,
                                   shared_inner=128.0, bias=1.0)  # fmt: skip
EXAMPLES = {
    network.Dense: network.Dense(inner=2048.0, bias=1.0),
    network.Gated: network.Gated(inner=2048.0, bias=0.0),
    network.MixtureOfExperts: EXPERTS,
    network.NoFeedForward: network.NoFeedForward(),
}
KINDS = pytest.mark.parametrize("kind", FEEDFORWARD, ids=lambda kind: kind.__name__)
SPLITS = [{}, {"tp": 8}, {"tp": 8, "ep": 8}, {"tp": 2, "dp": 4, "ep": 4}, {"dp": 8, "ep": 8},
          {"tp": 2, "dp": 4, "ep": 8}, {"dp": 8, "ep": 1}]  # fmt: skip


def ops_of(kind, split, spec=None):
    return FEEDFORWARD[kind](spec or EXAMPLES[kind], split, 2.0, 512.0, (1.0, 1.0))


def summed(ops, field):
    return sum(float(getattr(op, field)) for op in ops)


def sent(ops):
    found = {}
    for op in ops:
        if op.exchange is not None:
            x = op.exchange
            kind = "two_shot" if x.kind == "all_reduce" else x.kind
            found[op.name] = float(COLLECTIVES[kind](x.size_bytes, x.group).sent_bytes * x.rounds)
    return found


def test_every_kind_has_an_example():
    assert set(EXAMPLES) == set(FEEDFORWARD)


@KINDS
@pytest.mark.parametrize("split", SPLITS, ids=str)
def test_no_demand_is_negative(kind, split, parted):
    for op in ops_of(kind, parted(sequences=8.0, **split)):
        for field in dataclasses.fields(op):
            value = getattr(op, field.name)
            if isinstance(value, str) or field.name == "exchange":
                continue
            assert float(value) >= 0, (op.name, field.name)


@KINDS
@pytest.mark.parametrize("split", SPLITS, ids=str)
def test_a_split_divides_the_arithmetic_exactly(kind, split, parted):
    """Chips times FLOPs of one chip is the work of all tokens, router copies apart."""
    chips = split.get("tp", 1) * split.get("dp", 1)
    tokens = 8.0 * split.get("dp", 1)
    whole = summed(ops_of(kind, parted(sequences=tokens)), "tensor_flops")
    router = 2 * tokens * 512 * 24 * (kind is network.MixtureOfExperts)
    parts = chips * summed(ops_of(kind, parted(sequences=8.0, **split)), "tensor_flops")
    assert parts == pytest.approx(whole + router * (split.get("tp", 1) - 1))


@KINDS
def test_one_chip_sends_nothing(kind, parted):
    assert sum(sent(ops_of(kind, parted(sequences=8.0))).values()) == 0


@KINDS
def test_tokens_share_weights(kind, parted):
    """Dense weights are read once; of experts, each further token adds fewer new ones."""
    read = [summed(ops_of(kind, parted(sequences=n)), "read_values") for n in (1.0, 2.0, 3.0, 1e9)]
    assert read == sorted(read)
    assert read[2] - read[1] <= read[1] - read[0] + 1e-9
    assert read[-1] == pytest.approx(summed(ops_of(kind, parted()), "stored_values"))


def test_the_fullest_chip_holds_whole_experts(parted):
    """24 experts on 5 ranks: someone keeps 5, though the mean chip reads 4.8."""
    split = parted(sequences=1e9, dp=5, ep=5)
    experts = next(op for op in ops_of(network.MixtureOfExperts, split) if op.name == "experts")
    assert float(experts.stored_values / experts.read_values) == pytest.approx(5 / 4.8)


@pytest.mark.parametrize(("split", "chips"), [
    ({"tp": 8, "ep": 8}, 8), ({"tp": 2, "dp": 4, "ep": 8}, 2), ({"dp": 8, "ep": 8}, 1),
    ({"dp": 8, "ep": 1}, 8),
])  # fmt: skip
def test_shared_experts_are_sliced_over_a_rank_however_far_routed_ones_are_spread(
    split, chips, parted
):
    ops = ops_of(network.MixtureOfExperts, parted(sequences=8.0, **split))
    shared = next(op for op in ops if op.name == "shared_expert")
    assert float(shared.read_values) == pytest.approx(3 * 512 * 128 / chips)


# --- what must travel ----------------------------------------------------------------------------

ROW = 512.0  # bytes of one token


def test_slices_of_a_dense_layer_are_summed(parted):
    """8 rows on 8 chips: each sends 2 x 7/8 of the rows."""
    found = sent(ops_of(network.Gated, parted(sequences=8.0, tp=8)))
    assert found == {"ffn_reduce": pytest.approx(2 * 7 / 8 * 8 * ROW)}


def test_rows_return_to_all_chips_of_a_rank_that_expert_groups_had_divided(parted):
    """tp 8, ep 8: each chip does an eighth of the rows, attention wants all of them again."""
    found = sent(ops_of(network.Gated, parted(sequences=8.0, tp=8, ep=8)))
    assert found["ffn_reduce"] >= 7 / 8 * 8 * ROW


def test_tokens_on_all_chips_need_one_sum(parted):
    found = sent(ops_of(network.MixtureOfExperts, parted(sequences=8.0, tp=8, ep=8)))
    assert found.pop("expert_reduce") == pytest.approx(2 * 7 / 8 * 8 * ROW)
    assert sum(found.values()) == 0


def test_dispatch_and_combine_carry_a_copy_per_expert(parted):
    """Each of 8 chips sends 8 tokens to 4 experts each, 7 of 8 times to somebody else."""
    found = sent(ops_of(network.MixtureOfExperts, parted(sequences=8.0, dp=8, ep=8)))
    assert found["dispatch"] == found["combine"] == pytest.approx(8 * 4 * ROW * 7 / 8)
    assert found["expert_reduce"] == found["expert_gather"] == 0


def test_slices_of_an_expert_are_summed_after_the_combine(parted):
    """tp 2, dp 4, ep 4: both chips of a rank hold partial sums of its 8 rows."""
    found = sent(ops_of(network.MixtureOfExperts, parted(sequences=8.0, tp=2, dp=4, ep=4)))
    assert found["expert_gather"] == pytest.approx(2 * 1 / 2 * 8 * ROW)
    assert found["dispatch"] == pytest.approx(8 * 4 / 4 * 4 * ROW * 3 / 4)


def test_without_expert_groups_the_stage_gathers_and_scatters_all_rows(parted):
    found = sent(ops_of(network.MixtureOfExperts, parted(sequences=8.0, dp=8, ep=1)))
    assert found["expert_gather"] == pytest.approx(2 * 7 / 8 * 64 * ROW)
    assert found["dispatch"] == found["combine"] == 0


# --- the union of experts ------------------------------------------------------------------------

# Monte Carlo of uniform routing: distinct experts touched by 8, 32, 64 and 256 tokens.
UNION = {
    (256, 8): (57.4, 163.0, 222.4, 255.9),
    (384, 8): (59.5, 188.2, 284.9, 382.3),
    (128, 4): (28.7, 81.3, 111.2, 128.0),
    (128, 8): (51.6, 111.7, 125.8, 128.0),
}


@pytest.mark.parametrize(("shape", "touched"), UNION.items(), ids=str)
def test_union_of_experts(shape, touched):
    for tokens, expected in zip((8, 32, 64, 256), touched, strict=True):
        assert distinct_experts(*shape, tokens) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("shape", UNION, ids=str)
def test_one_token_touches_its_own_experts(shape):
    assert distinct_experts(*shape, 1.0) == pytest.approx(shape[1])
