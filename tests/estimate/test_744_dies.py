"""A hand model of 744 dies (SRAM weights, stacked-DRAM KV, 0.55 V, Kimi-K2.5 at 8k), term by term.

The hand model gives 18,700 tok/s/user for 659 users at 25 mJ per token. This model gives about half
the speed at that load, because it counts more exchanges: per layer 4 to 6 link stages and 8 die
crossings (the hand model has about 2 of each, and the rest of its 880 ns agrees). The terms are
checked one by one, and with the hand model's counts the speed comes within 30 %.
"""

import math

import pytest

from dse.estimate.evaluate import evaluate
from dse.estimate.prepare import Choices
from dse.specs import load

LAYERS, DIES = 61, 61 * 12
CLOCK_HZ = 0.757e9
OVERRIDES = [
    ("voltage", "0.55 V"), ("clock", "0.757 GHz"), ("sram_voltage", "0.60 V"),
    ("sram.capacity", "890 MB"), ("dram.areal", "20 GB/s/mm2"), ("die", "830 mm2"),
    ("link.scale_up.topology", "direct"), ("link.scale_up.radix", "12"), ("rack_chips", "160"),
]  # fmt: skip


@pytest.fixture(scope="module")
def estimates():
    chip = load.load("chips", "sram_macro_stacked_n3", OVERRIDES)
    found = {}
    for users_each in (1, 3):
        micro_batches = 4 * LAYERS  # four share each stage, on the lanes one leaves idle
        choices = Choices(
            pp=LAYERS, tp=4, kvp=3, ep=12, batch=micro_batches * users_each,
            micro_batches=micro_batches, expert_weights="nvfp4", activations="fp8",
        )  # fmt: skip
        found[users_each] = evaluate(chip, "kimi-k2.5", "chat-8k", choices, compiled=False)
    return found


def path(estimate, stage):
    count, seconds = estimate.critical_path[stage]
    return float(count), float(seconds)


def test_both_are_feasible_designs_of_that_silicon(estimates):
    for estimate in estimates.values():
        assert estimate.to_dict()["violations"] == []
        assert float(estimate.silicon_mm2) == pytest.approx(DIES * 830)


def test_dependent_operations_are_300_cycles_a_layer(estimates):
    _, seconds = path(estimates[1], "dependent operations")
    assert seconds == pytest.approx(LAYERS * 300 / CLOCK_HZ, rel=0.02)


def test_a_crossing_is_both_sides_of_the_die_and_two_trees_of_tiles(estimates):
    count, seconds = path(estimates[1], "die crossings")
    limit = 0.758007e9 / 1.755e9  # of the clock at 0.55 V, guard band paid
    wires = 2 * math.sqrt(830) * 1e-3 / (2e6 * math.sqrt(limit))
    assert seconds / count == pytest.approx(wires + 2 * 8 / CLOCK_HZ, rel=1e-5)
    assert count / LAYERS == pytest.approx(8, rel=0.01)


def test_a_link_stage_is_two_phys_flight_and_synchronization(estimates):
    count, seconds = path(estimates[1], "link stages")
    reach_m = 2 * DIES / 160
    assert seconds / count == pytest.approx(2 * 30e-9 + 5e-9 * reach_m + 10e-9, rel=1e-9)


def test_with_the_hand_models_exchanges_the_speed_comes_within_30_percent(estimates):
    estimate = estimates[1]
    tpot_s = float(estimate.tpot_s)
    for stage, hand_count in (("link stages", 2 * LAYERS), ("die crossings", 2 * LAYERS)):
        count, seconds = path(estimate, stage)
        tpot_s -= (count - hand_count) * seconds / count
    assert 1 / tpot_s == pytest.approx(18_700, rel=0.30)


def test_speed_and_energy_at_the_hand_models_load(estimates):
    """732 users for its 659: what the extra exchanges cost, kept as numbers to notice change."""
    estimate = estimates[3]
    assert float(estimate.user_tokens_per_s) == pytest.approx(6_880, rel=0.02)
    assert 1e3 * float(estimate.j_per_token) == pytest.approx(42.9, rel=0.02)
