"""Logic and SRAM against voltage and temperature: clock limit, energy, leakage, delivery."""

import jax.numpy as jnp

from dse import smooth


def speed(voltage_v, threshold_v, logic):
    """Alpha-power speed of logic, up to a constant: ``softplus(V - Vt)^alpha / V``.

    Sakurai and Newton, IEEE JSSC 25(2), 1990; the softplus keeps it smooth near threshold.
    Fitted between 0.45 and 0.9 V; log-concave there, and meaningless below 0.42 V.
    """
    return smooth.softplus(voltage_v - threshold_v, logic.softness_v) ** logic.alpha / voltage_v


def clock_limit_hz(hardware, voltage_v):
    """Highest clock of the logic rail, with a guard band taken as a voltage.

    ``f0 g(V - dV) / g(V0 - dV)`` for shipped chips, whose guard is inside their rating;
    ``f0 g(V - dV) / g(V0)`` for design chips, which have not paid it yet.
    """
    return _limit_hz(hardware, voltage_v, hardware.logic.threshold_v)


def sram_clock_limit_hz(hardware, voltage_v):
    """Highest clock of SRAM macros on their own rail; same form, its own threshold."""
    return _limit_hz(hardware, voltage_v, hardware.logic.sram_threshold_v)


def _limit_hz(hardware, voltage_v, threshold_v):
    logic = hardware.logic
    guard = logic.guard_band_v
    inside = guard if hardware.power.model == "shipped" else 0.0
    reference = speed(hardware.nominal_voltage_v - inside, threshold_v, logic)
    return hardware.nominal_clock_hz * speed(voltage_v - guard, threshold_v, logic) / reference


def voltage_v(hardware):
    """Logic rail: stated, else nominal."""
    return hardware.nominal_voltage_v if hardware.voltage_v is None else hardware.voltage_v


def sram_voltage_v(hardware):
    """SRAM rail: stated, else the logic rail or the SRAM minimum, whichever is higher."""
    if hardware.sram_voltage_v is not None:
        return hardware.sram_voltage_v
    return jnp.maximum(voltage_v(hardware), hardware.logic.sram_minimum_voltage_v)


def clock_hz(hardware):
    """Clock: stated, else the limit of the voltage."""
    if hardware.clock_hz is not None:
        return hardware.clock_hz
    return clock_limit_hz(hardware, voltage_v(hardware))


def energy_factor(hardware):
    """Dynamic energy against the nominal voltage of the process: ``(V / V0)^2``.

    Exponent 2.09 measured from 0.46 to 1.05 V on a 5 nm test chip (Keller et al., VLSI 2022).
    """
    return (voltage_v(hardware) / hardware.logic.nominal_voltage_v) ** 2


def activity_factor(hardware, running_hz):
    """Power of running against that at the chip's own nominal point: ``(V / Vn)^2 f / fn``."""
    rail = voltage_v(hardware) / hardware.nominal_voltage_v
    return rail**2 * running_hz / hardware.nominal_clock_hz


def sram_energy_factor(hardware):
    """Dynamic energy of the SRAM rail against its reference."""
    return (sram_voltage_v(hardware) / hardware.logic.sram_reference_voltage_v) ** 2


def macs(hardware, name):
    """Multiply-accumulates per clock of a format: stated, from a peak, or shared with another."""
    array = hardware.compute[name]
    if array.macs is not None:
        return array.macs
    if array.peak_flops_per_s is not None:
        clock = hardware.nominal_clock_hz if array.at_clock_hz is None else array.at_clock_hz
        return array.peak_flops_per_s / (2 * clock)
    return array.shares_rate * macs(hardware, array.shares)


def leakage_w(hardware, area_mm2, rail_v):
    """Leakage of an area at the reference temperature: ``l0 A (V/V0) exp((V - V0) / v_s)``."""
    logic = hardware.logic
    reference = logic.nominal_voltage_v
    growth = jnp.exp((rail_v - reference) / logic.leakage_voltage_v)
    return logic.leakage_w_per_mm2 * area_mm2 * rail_v / reference * growth


def leakage_temperature_factor(hardware, junction_k):
    """Leakage against its reference temperature: ``exp((T - T0) / T_s)``."""
    logic = hardware.logic
    excess = junction_k - logic.reference_temperature_k
    return jnp.exp(excess / logic.leakage_temperature_k)


def clock_tree_w(hardware):
    """Clock tree, ungated: proportional to area, clock and voltage squared."""
    area = hardware.die_mm2 * hardware.dies
    tree = hardware.power.clock_tree_w_per_mm2 * area * energy_factor(hardware)
    return tree * clock_hz(hardware) / hardware.logic.nominal_clock_hz


def delivery_loss_fraction(hardware, core_w):
    """Loss in power delivery over core power: ``(P / (V A))^2 R A / P``, R in ohm mm2."""
    area = hardware.die_mm2 * hardware.dies
    current = core_w / voltage_v(hardware)
    return hardware.power.delivery_ohm_mm2 * current / voltage_v(hardware) / area


def wire_m_per_s(hardware):
    """Signal speed of repeated wires, which slow with the logic rail."""
    limit = clock_limit_hz(hardware, voltage_v(hardware)) / hardware.logic.nominal_clock_hz
    return hardware.on_chip.wire_m_per_s * limit**hardware.on_chip.wire_exponent
