"""Limits as margins: ``used / allowed - 1``, feasible at or below zero. Nothing raises here."""

import equinox as eqx

from dse import smooth
from dse.estimate import power
from dse.resources import logic
from dse.resources.table import Resources, Scalar
from dse.specs.deployment import Deployment
from dse.specs.hardware import HardwareSpec


class Limit(eqx.Module):
    """One limit: what is used and what is allowed, in ``unit``, and what would help."""

    used: Scalar
    allowed: Scalar
    unit: str = eqx.field(static=True)
    remedy: str = eqx.field(static=True)

    @property
    def margin(self) -> Scalar:
        """``used / allowed - 1``, above zero where the limit is broken."""
        return smooth.excess(self.used, self.allowed)


def limits(
    hardware: HardwareSpec, resources: Resources, d: Deployment, state: power.Board, capacity
) -> dict[str, Limit]:
    """Every limit of an operating point, by name."""
    found = {
        f"capacity.{name}": Limit(used, resources.tiers[name].capacity_bytes, "byte",
                                  "a smaller batch, more chips, or narrower formats")
        for name, used in capacity.items()
    } | _clocking(hardware, resources) | _reach(resources, d)  # fmt: skip
    # A busy chip above its limit waits; one that idles above it never meets it.
    room = 1 - power.LEAST_ROOM
    found["idle_power"] = Limit(
        state.idle_w, room * hardware.tdp_w, "watt", "a higher power limit or a lower voltage"
    )
    if hardware.power.model == "design":
        found |= _design(hardware, resources, state)
    return found


def _clocking(hardware: HardwareSpec, resources: Resources) -> dict[str, Limit]:
    rail = logic.voltage_v(hardware)
    found = {
        "minimum_voltage": Limit(hardware.minimum_voltage_v, rail, "volt", "a higher voltage"),
    }
    if hardware.clock_hz is not None:
        found["clock"] = Limit(
            hardware.clock_hz, resources.clock_limit_hz, "hertz", "a higher voltage"
        )
    return found


def _reach(resources: Resources, d: Deployment) -> dict[str, Limit]:
    found = {}
    up = resources.fabrics.get("scale_up")
    if "scale_out" not in resources.fabrics:
        joined = 1.0 if up is None else up.chips
        found["link_domain"] = Limit(d.chips, joined, "", "fewer chips, or a scale-out link")
    for name, fabric in resources.fabrics.items():
        if fabric.reach_m is not None:
            found[f"reach.{name}"] = Limit(
                fabric.reach_m, fabric.maximum_reach_m, "meter", "fewer chips or a longer link"
            )
        if fabric.topology == "direct" and fabric.peers is not None and fabric.lanes is not None:
            found[f"peers.{name}"] = Limit(
                fabric.peers - 1, fabric.lanes, "", "more lanes or a smaller radix"
            )
    return found


def _design(hardware: HardwareSpec, resources: Resources, state: power.Board) -> dict[str, Limit]:
    """What a chip that does not exist yet must respect."""
    area = hardware.die_mm2 * hardware.dies
    heat, allowed = heat_flux(hardware, state)
    side = smooth.sqrt(hardware.die_mm2)
    # Dies of one package lose an edge to each neighbour.
    edge = 4 * side * hardware.dies - 2 * side * (hardware.dies - 1)
    found = {
        "heat_flux": Limit(heat, allowed, "watt / mm**2", "a lower voltage, less bandwidth, or "
                           "better cooling"),
        "floorplan": Limit(sum(resources.area_mm2.values()), area, "mm**2", "a larger die or "
                           "fewer MACs, SRAM or links"),
        "reticle": Limit(hardware.die_mm2, hardware.packaging.reticle_mm2, "mm**2",
                         "a smaller die"),
        "shoreline": Limit(sum(resources.edge_mm.values()), hardware.packaging.edge_fraction * edge,
                           "mm", "fewer stacks or lanes"),
        "junction": Limit(state.junction_k, hardware.cooling.junction_limit_k, "kelvin",
                          "less power or better cooling"),
        "sram_voltage": Limit(hardware.logic.sram_minimum_voltage_v,
                              logic.sram_voltage_v(hardware), "volt", "a higher SRAM voltage"),
    }  # fmt: skip
    if hardware.power.current_limit_a_per_mm2 is not None:
        current = state.die_w / logic.voltage_v(hardware) / area
        found["current_density"] = Limit(
            current, hardware.power.current_limit_a_per_mm2, "ampere / mm**2", "less power"
        )
    return found


def heat_flux(hardware: HardwareSpec, state: power.Board) -> tuple[Scalar, Scalar]:
    """Heat per die area and its limit; under stacked DRAM both heats leave through one face."""
    area = hardware.die_mm2 * hardware.dies
    heat, allowed = state.die_w, hardware.cooling.heat_limit_w_per_mm2
    for tier in hardware.memory.values():
        if tier.technology.law == "areal" and tier.technology.heat_limit_w_per_mm2 is not None:
            heat = state.die_w + state.dram_w
            allowed = -smooth.maximum([-allowed, -tier.technology.heat_limit_w_per_mm2])
    return heat / area, allowed
