"""Voltage, clock, energy and leakage against a fitted curve and hand arithmetic."""

import dataclasses

import numpy as np
import pytest

from dse.resources import logic
from dse.resources.provision import provision

pytestmark = pytest.mark.usefixtures("float64")

# The fitted N5 curve without a guard band: volts -> GHz, 1.755 GHz at 0.80 V.
CURVE = {0.50: 0.72, 0.55: 0.92, 0.60: 1.12, 0.65: 1.29, 0.70: 1.46, 0.75: 1.61, 0.80: 1.755,
         0.85: 1.89, 0.90: 2.02}  # fmt: skip


@pytest.mark.parametrize(("volts", "gigahertz"), CURVE.items())
def test_clock_curve_without_guard_band(chip, volts, gigahertz):
    plain = chip("h100_sxm", {"guard_band": "0 V"})
    assert float(logic.clock_limit_hz(plain, volts)) == pytest.approx(gigahertz * 1e9, rel=0.007)


@pytest.mark.parametrize(("volts", "loss"), [(0.50, 0.24), (0.80, 0.06)])
def test_guard_band_of_a_design_chip(chip, volts, loss):
    """40 mV cost a quarter of the clock near threshold and a sixteenth at nominal."""
    design = chip("reticle_n3_hbm4")
    kept = logic.clock_limit_hz(design, volts) / logic.clock_limit_hz(
        chip("reticle_n3_hbm4", {"guard_band": "0 V"}), volts
    )
    assert float(kept) == pytest.approx(1 - loss, abs=0.006)


def test_guard_band_of_a_shipped_chip_is_inside_its_rating(chip):
    h100 = chip("h100_sxm")
    assert float(logic.clock_limit_hz(h100, 0.80)) == pytest.approx(1.755e9)
    assert float(logic.clock_limit_hz(h100, 0.60)) < 1.12e9


def test_clock_rises_with_voltage_and_its_logarithm_is_concave(chip):
    volts = np.linspace(0.45, 0.95, 51)
    limit = np.asarray(logic.clock_limit_hz(chip("reticle_n3_stacked"), volts))
    assert (np.diff(limit) > 0).all()
    assert (np.diff(np.log(limit), 2) < 0).all()


def test_dynamic_energy_follows_the_square_of_the_rail(chip):
    full, low = (provision(chip("h100_sxm", {"voltage": v})) for v in ("0.80 V", "0.70 V"))
    ratio = full.core_j["tensor_bf16"] / low.core_j["tensor_bf16"]
    assert float(ratio) == pytest.approx((8 / 7) ** 2)
    assert float(full.core_j["tensor_bf16"]) == pytest.approx(1.30e-12 / 2)


def test_dram_energy_does_not_follow_the_core_rail(chip):
    full, low = (provision(chip("h100_sxm", {"voltage": v})) for v in ("0.80 V", "0.70 V"))
    assert float(full.device_j["hbm"]) == float(low.device_j["hbm"]) == pytest.approx(24e-12)
    # PHY 0.9 pJ/bit keeps its own supply; network 2.0 and staging 0.6 follow the core.
    assert float(full.core_j["hbm"]) == pytest.approx(8 * 3.5e-12)
    assert float(low.core_j["hbm"]) == pytest.approx(8 * (0.9 + 2.6 * (7 / 8) ** 2) * 1e-12)


def test_leakage_against_its_reference(chip):
    """0.06 W/mm2 at 0.80 V; at 0.60 V times 0.75 exp(-0.2 / 0.35)."""
    h100 = chip("h100_sxm")
    assert float(logic.leakage_w(h100, 100.0, 0.80)) == pytest.approx(6.0)
    expected = 6.0 * 0.75 * np.exp(-0.2 / 0.35)
    assert float(logic.leakage_w(h100, 100.0, 0.60)) == pytest.approx(expected)
    assert float(logic.leakage_temperature_factor(h100, 333.15 + 40)) == pytest.approx(np.e)


def test_delivery_loss_is_resistance_times_current_squared(chip):
    """400 W at 0.5 V over 800 mm2 is 1 A/mm2; 40 mOhm mm2 turn that into 40 mW/mm2, 32 W."""
    design = chip("reticle_n3_stacked", {"voltage": "0.5 V", "die": "800 mm2"})
    assert float(logic.delivery_loss_fraction(design, 400.0)) == pytest.approx(32 / 400)


def test_wires_slow_with_the_root_of_the_clock(chip):
    design = chip("reticle_n3_stacked", {"voltage": "0.55 V"})
    slower = logic.clock_limit_hz(design, 0.55) / 1.755e9
    assert float(logic.wire_m_per_s(design)) == pytest.approx(2e6 * float(slower) ** 0.5)


def test_dependent_operations_and_die_crossings(chip):
    """25 cycles at 1 GHz; 2 x 28.28 mm of wire and 2 log2(256) = 16 cycles."""
    design = chip("reticle_n3_stacked", {"clock": "1 GHz"})
    seconds = provision(design).seconds
    assert float(seconds["dependent_op"]) == pytest.approx(25e-9)
    wire_s = 2 * 800**0.5 * 1e-3 / float(logic.wire_m_per_s(design))
    assert float(seconds["die_crossing"]) == pytest.approx(wire_s + 16e-9)


def test_arrays_from_a_peak_and_from_macs(chip):
    h100 = chip("h100_sxm")
    assert float(logic.macs(h100, "bf16")) == pytest.approx(989.4e12 / 2 / 1.83e9)
    design = chip("reticle_n3_hbm4")
    assert float(logic.macs(design, "fp4")) == 2 * float(logic.macs(design, "fp8")) == 3e6
    slow = dataclasses.replace(design, clock_hz=1e9)
    assert 1 / float(provision(slow).seconds["tensor_fp4"]) == pytest.approx(2 * 3e6 * 1e9)
