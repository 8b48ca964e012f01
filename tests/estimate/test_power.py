"""Board power of shipped GPUs at fixed temperatures, from the resource table and `steady`.

The operating points and temperatures are those of a published-telemetry calibration: idle rails,
decode at 3 TB/s with part of the tensor arrays busy, a large matrix product at the board limit.
"""

import dataclasses
import math

import pytest

from dse.estimate import power
from dse.resources import logic
from dse.resources.provision import provision

pytestmark = pytest.mark.usefixtures("float64")
H100_MACS = 989.4e12 / 2  # per second at 1.83 GHz


@pytest.fixture(scope="module")
def board(chip):
    """``board("h100_sxm", volts, gigahertz, celsius, ...)``: steady state under given rates."""

    def build(name, volts, gigahertz, celsius, *, dram_tb_s=0.0, on_die_tb_s=0.0, macs=0.0,
              array="bf16", activity=0.7, uncore_w=None):  # fmt: skip
        hardware = chip(name, {"voltage": f"{volts} V", "clock": f"{gigahertz} GHz"})
        if uncore_w is not None:
            quieter = dataclasses.replace(hardware.power, uncore_w=uncore_w)
            hardware = dataclasses.replace(hardware, power=quieter)
        table = provision(hardware)
        # Re-reads of L2 pay the on-chip network and staging, not PHY or DRAM.
        inside = table.core_j["hbm"] - hardware.memory["hbm"].technology.phy_j_per_byte
        core_j = dram_tb_s * 1e12 * table.core_j["hbm"] + on_die_tb_s * 1e12 * inside
        core_j = core_j + 2 * macs * table.core_j[f"tensor_{array}"]
        device_j = dram_tb_s * 1e12 * table.device_j["hbm"]
        busy_s = activity / hardware.power.activity_fraction
        demand = power.Demand(core_j, device_j, busy_s, 1.0)
        return power.steady(demand, hardware, table, celsius + 273.15, 1.0)

    return build


def test_idle_h100(board):
    """0.685 V and 345 MHz at 33 degC: 62 W; readings 71 to 75 W."""
    state = board("h100_sxm", 0.685, 0.345, 33, activity=0, uncore_w=8)
    assert float(state.board_w) == pytest.approx(62, rel=0.05)


@pytest.mark.parametrize(
    ("tensor_share", "watts"), [(0, 334), (0.1, 406), (0.2, 477), (0.25, 513), (0.3, 549)]
)
def test_h100_decode_at_3_tb_per_s(board, tensor_share, watts):
    state = board("h100_sxm", 0.80, 1.755, 60, dram_tb_s=3.0, macs=tensor_share * H100_MACS)
    assert float(state.board_w) == pytest.approx(watts, rel=0.005)


def test_h100_matrix_product_at_its_board_limit(board):
    """773 TFLOP/s at 1.538 GHz and 0.725 V draw 700 W; 0.71 W/mm2 leave the die."""
    macs = 0.93 * H100_MACS * 1.538 / 1.83
    state = board("h100_sxm", 0.725, 1.538, 72, dram_tb_s=0.8, on_die_tb_s=2, macs=macs, activity=1)
    assert 2 * macs == pytest.approx(773e12, rel=0.001)
    assert float(state.board_w) == pytest.approx(700, rel=0.05)
    assert float(state.die_w) / 814 == pytest.approx(0.71, rel=0.05)


def test_why_an_h100_throttles(board):
    """The same product at 1.83 GHz, 0.829 V, would draw 1030 W."""
    state = board("h100_sxm", 0.829, 1.83, 72, dram_tb_s=0.8, on_die_tb_s=2,
                  macs=0.93 * H100_MACS, activity=1)  # fmt: skip
    assert float(state.board_w) == pytest.approx(1030, rel=0.05)


@pytest.mark.parametrize(("array", "petaflops"), [("bf16", 1.66), ("fp8", 3.3), ("fp4", 6.6)])
def test_b200_matrix_product_at_its_board_limit(board, array, petaflops):
    """Three quarters of the peak at 1000 W, with the rail where an H100 has it at its limit."""
    state = board("b200_sxm", 0.725, 1.538, 70, dram_tb_s=1.5, on_die_tb_s=4,
                  macs=petaflops * 1e15 / 2, array=array, activity=1)  # fmt: skip
    assert float(state.board_w) == pytest.approx(1000, rel=0.05)


def test_b200_decode_at_6_5_tb_per_s(board):
    """790 W with an eighth of the arrays busy; 452 to 943 W were measured over batches."""
    state = board("b200_sxm", 0.80, 1.755, 60, dram_tb_s=6.5, macs=2250e12 / 2 * 1.755 / 1.85 / 8)
    assert float(state.board_w) == pytest.approx(790, rel=0.05)


# --- what the steady state must obey --------------------------------------------------------------


@pytest.fixture(scope="module")
def settled(chip):
    def build(name, core_j, overrides=None, step_s=1e-3):
        hardware = chip(name, overrides or {})
        demand = power.Demand(core_j, 0.0, step_s, step_s)
        table = provision(hardware)
        return hardware, table, power.board(demand, hardware, table)

    return build


def test_temperature_settles(settled):
    """Four rounds leave less than 0.05 K between the heat and the temperature it makes."""
    for joules in (0.0, 0.1, 0.3):
        hardware, _, state = settled("h100_sxm", joules)
        assert float(power.junction_k(hardware, state) - state.junction_k) == pytest.approx(
            0, abs=0.05
        )


def test_a_hot_chip_waits_at_its_limit(settled):
    """Twice what the board allows: the step stretches until the board is at its limit."""
    hardware, _, state = settled("h100_sxm", 1.4)
    assert float(state.step_s) > 2e-3
    assert float(state.board_w) == pytest.approx(hardware.tdp_w, rel=0.01)
    _, _, cool = settled("h100_sxm", 0.1)
    assert float(cool.step_s) == 1e-3


def test_stacked_memory_heats_and_leaks_with_the_die(settled):
    """Refresh doubles every 10 K around 85 degC, 0.1 W per GB."""
    _, table, state = settled("reticle_n3_stacked", 0.05)
    kelvin = float(state.junction_k)
    expected = 0.1e-9 * float(table.tiers["dram"].capacity_bytes) * 2 ** ((kelvin - 358.15) / 10)
    assert float(state.refresh_w) == pytest.approx(expected)
    heat = float(state.die_w + state.dram_w) / 800
    assert kelvin == pytest.approx(313.15 + 38 * heat, rel=1e-4)


def test_design_chips_leak_by_rail(chip):
    """Logic at 0.55 V, 274 mm2 of SRAM at 0.60 V; 0.06 W/mm2 at 0.80 V."""
    hardware = chip("sram_macro_stacked_n3")
    table = provision(hardware)
    sram = float(table.tiers["sram"].area_mm2)

    def watts(area, volts):
        return 0.06 * area * volts / 0.8 * math.exp((volts - 0.8) / 0.35)

    assert float(table.leakage_w) == pytest.approx(watts(800 - sram, 0.55) + watts(sram, 0.60))
    assert float(logic.sram_voltage_v(hardware)) == 0.60


def test_host_of_a_design_chip():
    """25 W + 8 % of the board + 600 W per started group of 64 + its switches."""
    from dse.specs import load

    hardware = load.load("chips", "reticle_n3_hbm4").spec
    assert float(power.host_w(hardware, 500.0, 65.0, 10.0)) == pytest.approx(
        25 + 40 + 600 * 2 / 65 + 10
    )
    assert float(power.system_factor(hardware)) == pytest.approx(1.02 / 0.965)
