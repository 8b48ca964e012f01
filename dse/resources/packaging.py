"""From wafers to money: dies per wafer, yield, bill of materials."""

import jax.numpy as jnp

from dse import smooth
from dse.specs.hardware import HardwareSpec


def dies_per_wafer(die_mm2, diameter_mm):
    """``pi (d/2)^2 / A - pi d / sqrt(2 A)``; at least one, for parts as large as a wafer."""
    radius = diameter_mm / 2
    edge_loss = jnp.pi * diameter_mm / smooth.sqrt(2 * die_mm2)
    return jnp.maximum(jnp.pi * radius**2 / die_mm2 - edge_loss, 1.0)


def die_yield(die_mm2, repairable_fraction, logic):
    """Negative binomial over the area a defect can kill: ``(1 + A (1-h) D0 / a)^-a``.

    Stapper, IBM J. Res. Dev. 27(6), 1983.
    """
    critical = die_mm2 * (1 - repairable_fraction) * logic.defects_per_mm2
    return (1 + critical / logic.clustering) ** -logic.clustering


def die_usd(hardware: HardwareSpec):
    """One good die."""
    logic = hardware.logic
    good = die_yield(hardware.die_mm2, hardware.floorplan.repairable_fraction, logic)
    return logic.wafer_usd / (dies_per_wafer(hardware.die_mm2, logic.wafer_diameter_mm) * good)


def bill_of_materials_usd(hardware: HardwareSpec, tiers) -> dict:
    """Parts of one package: dies, memory, package, test.

    A package that fails assembly takes its dies, memory and interposer with it, so the yield of
    assembly and of bonding divides all three.
    """
    p = hardware.packaging
    silicon = hardware.die_mm2 * hardware.dies
    assembled = p.die_yield_fraction**hardware.dies
    for tier in tiers.values():
        assembled = assembled * tier.bond_yield
    extra = smooth.above(silicon, p.interposer_reference_mm2) * p.interposer_usd_per_mm2
    return {
        "dies": hardware.dies * die_usd(hardware) / assembled,
        "memory": sum(tier.cost_usd for tier in tiers.values()) / assembled,
        "package": (p.assembly_usd + extra) / assembled,
        "test": p.test_usd,
    }
