"""Collectives: information bounds, hand-counted rounds, and DeepEP's measured exchanges."""

import pytest

from dse.work.collectives import ALL_REDUCE, COLLECTIVES, across_domains

pytestmark = pytest.mark.usefixtures("float64")
SIZE = 8e6
GROUPS = (1.0, 2.0, 3.0, 8.0, 16.0, 72.0)
EACH = pytest.mark.parametrize("name", COLLECTIVES)


def numbers(traffic):
    return float(traffic.sent_bytes), float(traffic.rounds)


@EACH
def test_one_chip_sends_nothing_and_waits_for_nobody(name):
    assert numbers(COLLECTIVES[name](SIZE, 1.0)) == (0, 0)
    up, out = across_domains(name, SIZE, 1.0, 8.0)
    assert numbers(up) == numbers(out) == (0, 0)


@EACH
@pytest.mark.parametrize("group", GROUPS)
def test_bytes_are_linear_in_size_and_rounds_do_not_see_it(name, group):
    one, three = (COLLECTIVES[name](n * SIZE, group) for n in (1, 3))
    assert float(three.sent_bytes) == pytest.approx(3 * float(one.sent_bytes))
    assert float(three.rounds) == float(one.rounds)


@EACH
def test_more_chips_never_send_or_wait_less(name):
    found = [numbers(COLLECTIVES[name](SIZE, group)) for group in GROUPS]
    assert found == sorted(found)
    assert [rounds for _, rounds in found] == sorted(rounds for _, rounds in found)


@pytest.mark.parametrize("name", ALL_REDUCE)
@pytest.mark.parametrize("group", GROUPS)
def test_no_all_reduce_beats_the_information_bound(name, group):
    """Without help from a switch each chip must send 2 (p - 1) / p of the size."""
    bound = 2 * (group - 1) / group * SIZE
    share = 0.5 if name == "in_switch" else 1.0  # the switch sums and copies
    assert float(ALL_REDUCE[name](SIZE, group).sent_bytes) >= share * bound * (1 - 1e-12)


@pytest.mark.parametrize("name", ALL_REDUCE)
@pytest.mark.parametrize(("group", "domain"), [(16.0, 8.0), (64.0, 8.0), (128.0, 64.0)])
def test_an_all_reduce_over_two_levels_ends_with_all_sums_on_all_chips(name, group, domain):
    """Bytes sent on both levels together stay above the bound of the whole group.

    Reduce inside, 2 (o - 1) / o of a share between, then a gather inside: a chip that sums in one
    round has to hand its share on in another.
    """
    up, out = across_domains(name, SIZE, group, domain)
    outside = group / domain
    assert float(out.sent_bytes) == pytest.approx(2 * (outside - 1) / outside * SIZE / domain)
    if name != "in_switch":
        bound = 2 * (group - 1) / group * SIZE
        assert float(up.sent_bytes + out.sent_bytes) >= bound * (1 - 1e-12)
    assert float(up.rounds) >= 2


@EACH
def test_a_group_inside_one_domain_stays_inside(name):
    up, out = across_domains(name, SIZE, 8.0, 72.0)
    assert numbers(up) == pytest.approx(numbers(COLLECTIVES[name](SIZE, 8.0)))
    assert numbers(out) == (0, 0)


def test_ring_of_four():
    """6 MB leave each chip to sum, 6 MB to spread the sums, in three steps each."""
    assert numbers(COLLECTIVES["ring"](8e6, 4.0)) == (12e6, 6)


def test_direct_algorithms_on_eight():
    assert numbers(COLLECTIVES["two_shot"](8e6, 8.0)) == (14e6, 2)
    assert numbers(COLLECTIVES["one_shot"](8e6, 8.0)) == (56e6, 1)
    assert numbers(COLLECTIVES["in_switch"](8e6, 8.0)) == (8e6, 1)
    assert numbers(COLLECTIVES["tree"](8e6, 8.0)) == pytest.approx((16e6, 6))
    assert numbers(COLLECTIVES["all_gather"](8e6, 8.0)) == (7e6, 1)


# DeepEP low-latency kernels on H800 with 400 Gb/s ports, 128 tokens a rank, width 7168, top-8:
# fp8 out, bf16 back; microseconds by ranks (README of deepseek-ai/DeepEP before version 2).
DISPATCH = {16: 118, 32: 155, 64: 173, 128: 192, 256: 194}
COMBINE = {16: 195, 32: 273, 64: 314, 128: 369, 256: 360}


@pytest.mark.parametrize(
    ("measured", "value_bytes", "latency_s"), [(DISPATCH, 1, 48e-6), (COMBINE, 2, 66e-6)],
    ids=["dispatch", "combine"],
)  # fmt: skip
def test_deepep_is_one_latency_and_the_bytes_that_leave_the_server(
    measured, value_bytes, latency_s
):
    size = 128 * 8 * 7168 * value_bytes
    for ranks, microseconds in measured.items():
        _, out = across_domains("all_to_all", size, float(ranks), 8.0)
        assert float(out.sent_bytes) == pytest.approx(size * (1 - 8 / ranks))
        predicted = latency_s + float(out.sent_bytes) / 50e9
        assert predicted == pytest.approx(microseconds * 1e-6, rel=0.10), ranks


def test_all_to_all_bytes_add_up_over_levels():
    """A chip keeps 1 / p for itself; the rest is sent inside or outside the domain."""
    up, out = across_domains("all_to_all", SIZE, 64.0, 8.0)
    assert float(up.sent_bytes + out.sent_bytes) == pytest.approx(SIZE * 63 / 64)
