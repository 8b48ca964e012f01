"""Memory laws: stacks, layers, macros; capacity, energy, area and heat worked out by hand."""

import dataclasses

import jax
import numpy as np
import pytest

from dse.resources.memory import MEMORY_LAWS
from dse.resources.provision import provision

pytestmark = pytest.mark.usefixtures("float64")
BIT = 8e-12
# One chip of the library per law, its tier, and what makes the tier follow the law.
EXAMPLES = {
    "stack": ("reticle_n3_hbm4", "hbm", {}),
    "areal": ("reticle_n3_stacked", "dram", {}),
    "macro": ("sram_macro_n3", "sram", {}),
    "scratchpad": ("sram_macro_n3", "sram", {"memory.sram.technology": "sram_scratchpad"}),
    "board": ("rtx_4090", "gddr", {}),
}


@pytest.fixture(scope="module")
def tier_of(chip):
    def find(law):
        name, tier, changes = EXAMPLES[law]
        return chip(name, changes), tier

    return find


def test_every_law_has_a_chip(tier_of):
    assert set(EXAMPLES) == set(MEMORY_LAWS)
    for law in MEMORY_LAWS:
        hardware, tier = tier_of(law)
        assert hardware.memory[tier].technology.law == law


@pytest.mark.parametrize("law", MEMORY_LAWS)
def test_no_tier_offers_anything_negative(law, tier_of):
    hardware, name = tier_of(law)
    provided = MEMORY_LAWS[law](name, hardware.memory[name], hardware)
    for field, value in provided._asdict().items():
        if field != "law":
            assert float(value) >= 0, field
    assert float(provided.bytes_per_s) > 0
    assert float(provided.bond_yield) <= 1


@pytest.mark.parametrize("law", MEMORY_LAWS)
def test_more_voltage_never_makes_a_byte_cheaper(law, tier_of):
    hardware, name = tier_of(law)
    joules = []
    for volts in (0.6, 0.7, 0.8):
        at = dataclasses.replace(hardware, voltage_v=volts, sram_voltage_v=volts)
        joules.append(float(MEMORY_LAWS[law](name, at.memory[name], at).core_j_per_byte))
    assert joules == sorted(joules)


# --- SRAM ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("macro", "femtojoule_per_bit"), [(8192, 68), (262144, 103), (2**20, 147), (2**23, 306)]
)
def test_bank_energy_on_n5(chip, macro, femtojoule_per_bit):
    """60 + 0.03 sqrt(bits) fJ/bit at 0.75 V; 10 fJ/bit from the bank to its arithmetic apart."""
    hardware = chip(
        "sram_macro_n3", {"logic": "n5", "sram_voltage": "0.75 V", "sram.macro": f"{macro} B"}
    )
    per_bit = float(provision(hardware).core_j["sram"]) / 8
    assert per_bit == pytest.approx((femtojoule_per_bit + 10) * 1e-15, rel=0.01)


@pytest.mark.parametrize(("macro", "square_mm_per_mb"), [(8192, 0.47), (2048, 0.67)])
def test_macro_area_on_n5(chip, macro, square_mm_per_mb):
    hardware = chip(
        "sram_macro_n3", {"logic": "n5", "sram.macro": f"{macro} B", "capacity": "100 MB"}
    )
    area = provision(hardware).tiers["sram"].area_mm2
    assert float(area) == pytest.approx(100 * square_mm_per_mb, rel=0.01)


@pytest.mark.parametrize(("density", "square_mm_per_mb"), [(75, 0.45), (350, 0.70), (900, 1.19)])
def test_scratchpad_area_grows_with_what_it_delivers(chip, density, square_mm_per_mb):
    base = chip("sram_macro_n3", {"logic": "n5"})
    tier = dataclasses.replace(
        base.memory["sram"],
        technology=dataclasses.replace(base.memory["sram"].technology, law="scratchpad"),
        capacity_bytes=100e6,
        bandwidth_bytes_per_s=density * 1e9 * 100,
    )
    at = dataclasses.replace(base, voltage_v=0.8, clock_hz=1.755e9, memory={"sram": tier})
    area = provision(at).tiers["sram"].area_mm2
    assert float(area) == pytest.approx(100 * square_mm_per_mb, rel=0.01)


def test_macro_bandwidth_is_width_times_clock(chip):
    """600 MB in macros of 8 KiB, 12 bytes a cycle, at 1 GHz: 0.88 PB/s."""
    hardware = chip("sram_macro_n3", {"clock": "1 GHz"})
    rate = provision(hardware).tiers["sram"].bytes_per_s
    assert float(rate) == pytest.approx(600e6 / 8192 * 12 * 1e9)


def test_wire_energy_per_millimetre(chip):
    """Half of a 28.3 mm side at 80 fJ/bit/mm and 0.80 V, PHY 0.9 and staging 0.6 pJ/bit."""
    hardware = chip("reticle_n3_hbm4", {"voltage": "0.80 V", "die": "800 mm2"})
    expected = 0.9 + 0.5 * 800**0.5 * 0.080 + 0.6
    assert float(provision(hardware).core_j["hbm"]) == pytest.approx(expected * BIT)


# --- stacked DRAM --------------------------------------------------------------------------------


def test_capacity_law_of_four_layers(chip):
    """4 x 800 mm2 x 0.02 GB/mm2 = 64 GB, less 8.6 of the 192 TB/s that are all periphery."""
    tier = provision(chip("reticle_n3_stacked")).tiers["dram"]
    assert float(tier.capacity_bytes) == pytest.approx(64e9 * (1 - 8.6 / 192))
    assert float(tier.capacity_bytes) == pytest.approx(61e9, rel=0.01)
    assert float(tier.bytes_per_s) == pytest.approx(8.6e12)
    assert float(tier.bond_yield) == pytest.approx(0.98**4)


def test_bandwidth_costs_capacity_until_none_is_left(chip):
    held = [
        float(provision(chip("reticle_n3_stacked", {"dram.areal": f"{x} GB/s/mm2"})).tiers["dram"]
              .capacity_bytes) for x in (2, 10, 60, 240, 300)
    ]  # fmt: skip
    assert held == sorted(held, reverse=True)
    assert held[-2:] == [0, 0]


@pytest.mark.parametrize(
    ("macs_per_bit", "gigabytes_per_s_per_mm2"), [(1, 31), (15, 16), (30, 10)],
    ids=["gqa-8", "kimi", "deepseek"],
)  # fmt: skip
def test_heat_caps_the_bandwidth_of_stacked_dram(chip, macs_per_bit, gigabytes_per_s_per_mm2):
    """``BW = q A / (8 (e_dram + e_path + e_stage + I e_mac))`` at 0.4 W/mm2 and 0.65 V.

    A byte pays DRAM, bonds, a millimetre of wire and staging; each of its bits feeds ``I``
    multiply-accumulates in fp8. What the formula leaves out (leakage, clock) is left out here.
    """
    table = provision(chip("reticle_n3_stacked", {"voltage": "0.65 V"}))
    per_byte = table.device_j["dram"] + table.core_j["dram"]
    per_byte = per_byte + 8 * macs_per_bit * 2 * table.core_j["tensor_fp8"]
    assert 0.4 / float(per_byte) == pytest.approx(gigabytes_per_s_per_mm2 * 1e9, rel=0.15)


# --- HBM -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("stacks", "fits"), [(6, True), (8, False)])
def test_six_hbm4_stacks_leave_room_for_links_and_eight_do_not(at, chip, stacks, fits):
    """0.85 of the 113 mm around 800 mm2 is 96 mm; a stack takes 12.5 and the links 21."""
    hardware = chip("reticle_n3_hbm4", {"stacks": str(stacks)})
    shore = at(hardware, "llama-3.1-70b", tp=1).limits["shoreline"]
    assert float(shore.used) == pytest.approx(stacks * 12.5 + 56 * 14 / 40, rel=0.001)
    assert (float(shore.margin) <= 0) is fits


def test_a_custom_ratio_trades_capacity_for_energy_and_price(chip):
    """Twice the standard bandwidth per byte: half the capacity, 2^-0.2 energy, 2^0.3 a byte."""
    standard = 2048 / 36
    plain, short = (
        provision(chip("reticle_n3_hbm4", {"memory.hbm.ratio": f"{k * standard} /s"})).tiers["hbm"]
        for k in (1, 2)
    )
    assert float(short.capacity_bytes) == pytest.approx(float(plain.capacity_bytes) / 2)
    assert float(short.bytes_per_s) == float(plain.bytes_per_s)
    assert float(short.device_j_per_byte / plain.device_j_per_byte) == pytest.approx(2**-0.2)
    assert float(short.cost_usd / plain.cost_usd) == pytest.approx(2**0.3 / 2)


def test_an_absent_tier_has_finite_slopes(chip):
    """No stacks, no layers: areas, costs and their gradients stay finite."""
    base = chip("reticle_n3_stacked")

    def cost(layers):
        tier = dataclasses.replace(base.memory["dram"], layers=layers)
        found = MEMORY_LAWS["areal"]("dram", tier, base)
        return found.cost_usd + found.capacity_bytes * 1e-9 + found.refresh_w

    value, slope = jax.value_and_grad(cost)(0.0)
    assert float(value) == 0
    assert np.isfinite(float(slope))
