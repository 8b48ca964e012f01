"""Links: the latency law, stages by topology, and what lanes cost."""

import dataclasses

import pytest

from dse.resources import links
from dse.resources.provision import provision

pytestmark = pytest.mark.usefixtures("float64")
COUNTS = (1.0, 2.0, 4.0, 8.0, 16.0, 64.0, 128.0, 1024.0)


@pytest.mark.parametrize("topology", links.STAGES)
@pytest.mark.parametrize("radix", [None, 4.0, 72.0])
def test_stages_start_at_zero_and_never_shrink(topology, radix):
    found = [float(links.STAGES[topology](count, radix)) for count in COUNTS]
    assert found[0] == 0
    assert found[1] >= 1
    assert found == sorted(found)


@pytest.mark.parametrize("topology", links.STAGES)
def test_stages_follow_diameter_or_logarithm_never_the_count(topology):
    for count in COUNTS[2:]:
        assert float(links.STAGES[topology](count, 4.0)) <= 2 * count**0.5


@pytest.mark.parametrize(("count", "stages"), [(32, 1), (33, 2), (1024, 2), (1025, 3)])
def test_direct_peers_reach_by_powers_of_the_radix(count, stages):
    assert float(links.STAGES["direct"](float(count), 32.0)) == stages


def test_latency_law_of_long_reach_links(chip):
    """2 x 30 ns + 5 ns/m x reach + 10 ns; error correction 100 ns at 224 Gb/s, none at 32."""
    chips = 144.0  # one rack, 2 m
    slow = provision(chip("reticle_n3_stacked"), chips).fabrics["scale_up"]
    fast = provision(chip("reticle_n3_stacked", {"lane_rate": "224 Gb/s"}), chips)
    assert float(slow.reach_m) == pytest.approx(2.0)
    assert float(slow.stage_s) == pytest.approx(80e-9)
    assert float(fast.fabrics["scale_up"].stage_s) == pytest.approx(180e-9)


def test_a_switch_adds_its_traversal(chip):
    """112 Gb/s: 80 / 192 of 100 ns of correction, and 150 ns of switch."""
    fabric = provision(chip("reticle_n3_hbm4"), 144.0).fabrics["scale_up"]
    assert float(fabric.stage_s) == pytest.approx((80 + 100 * 80 / 192 + 150) * 1e-9)
    assert float(fabric.bytes_per_s) == 56 * 14e9
    # 5 pJ/bit at 70 % whether used or not, for the link and again for the switch.
    assert float(fabric.always_on_w) == pytest.approx(784e9 * 40e-12 * 0.7)
    assert float(fabric.switch_w) == pytest.approx(784e9 * 40e-12 * 0.7)


def test_reach_grows_with_the_replica(chip):
    hardware = chip("reticle_n3_stacked")
    found = [float(links.provide("scale_up", hardware.link["scale_up"], hardware, n).reach_m)
             for n in (1.0, 144.0, 720.0)]  # fmt: skip
    assert found == pytest.approx([0.1, 2.0, 10.0])


def test_edge_by_lane_rate(chip):
    """80 GB/s per mm at 224 Gb/s a lane: 80 / 7 at 32 Gb/s."""
    fabric = provision(chip("reticle_n3_stacked")).fabrics["scale_up"]
    assert float(fabric.bytes_per_s) == 256 * 4e9
    assert float(fabric.edge_mm) == pytest.approx(1024 / (80 / 7))


def test_a_small_group_of_direct_peers_leaves_lanes_idle(chip):
    fabric = provision(chip("reticle_n3_stacked")).fabrics["scale_up"]
    assert float(links.usable(fabric, 2.0)) == pytest.approx(1 / 31)
    assert float(links.usable(fabric, 32.0)) == float(links.usable(fabric, 100.0)) == 1
    assert links.usable(fabric._replace(topology="switch"), 2.0) == 1


@pytest.mark.parametrize("participants", [1.0, 2.0, 40.0])
def test_bytes_are_forwarded_where_peers_are_not_direct(chip, participants):
    fabric = provision(chip("reticle_n3_stacked")).fabrics["scale_up"]
    hops = float(links.forwarding(fabric, participants))
    assert hops == (2 if participants > 32 else 1)


def test_shipped_chips_state_their_latency_and_leave_switches_to_the_host(chip):
    fabric = provision(chip("h100_sxm")).fabrics["scale_up"]
    assert (fabric.stage_s, fabric.reach_m) == (2.4e-6, None)
    assert float(fabric.switch_w) == float(fabric.cost_usd) == 0
    assert float(fabric.always_on_w) == 0  # inside the uncore power


def test_doublings_start_above_a_pair():
    assert [float(links.doublings(n)) for n in (1.0, 2.0, 4.0, 8.0)] == pytest.approx([0, 0, 1, 2])


def test_an_isolated_chip_needs_no_links(chip):
    hardware = dataclasses.replace(chip("reticle_n3_stacked"), link={})
    table = provision(hardware)
    assert table.fabrics == {}
    assert float(table.idle_core_w["links"]) == 0
