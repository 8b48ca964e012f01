"""What an architect chooses: one chip (a package), its memory, links, power and host.

Numbers that are left out follow a law: an unset clock follows the voltage limit, an unset tier
bandwidth follows from stacks or layers, an unset link bandwidth from lanes. A law is stated once,
in ``dse/resources``. Nothing here knows a model.
"""

import equinox as eqx

from dse.specs.schema import number, table, tables, text
from dse.specs.technology import (
    Cooling,
    Economics,
    ExecutionStyle,
    LinkTechnology,
    LogicProcess,
    MemoryTechnology,
    Packaging,
)


class ComputeFormat(eqx.Module):
    """The arrays of one arithmetic format: a peak at a clock, or a number of MACs."""

    energy_j_per_mac: float = number("all in, N5 at nominal voltage; the process scales it")
    area_mm2_per_mac: float = number("N5; 0 where another format's array does the work")
    peak_flops_per_s: float | None = number(
        "dense peak at ``at_clock``", positive=True, optional=True
    )
    at_clock_hz: float | None = number("clock of the peak", positive=True, optional=True)
    macs: float | None = number("multiply-accumulates per clock", positive=True, optional=True)
    shares: str | None = text("format whose array this one runs on", optional=True)
    shares_rate: float | None = number(
        "MACs per MAC of the shared array", positive=True, optional=True
    )


class VectorUnits(eqx.Module):
    """Lanes for softmax, norms, activations and dequantization."""

    lanes: float = number("fused multiply-adds per clock", positive=True)
    exponentials: float = number("transcendentals per clock", positive=True)
    energy_j_per_mac: float = number("one lane operation, N5 at nominal voltage")
    area_mm2_per_lane: float = number("N5")


class MemoryTier(eqx.Module):
    """One level of memory. What is not stated follows the technology's law."""

    technology: MemoryTechnology = table(MemoryTechnology, folder="memory")
    bandwidth_bytes_per_s: float | None = number("whole chip", positive=True, optional=True)
    capacity_bytes: float | None = number("whole chip", optional=True)
    stacks: float | None = number("stacks or devices", optional=True)
    ratio_per_s: float | None = number("stack: bandwidth over capacity", optional=True)
    layers: float | None = number("stacked: layers on the die", optional=True)
    areal_bytes_per_s_per_mm2: float | None = number("stacked: bandwidth per area", optional=True)
    macro_bytes: float | None = number("SRAM: bytes per macro", positive=True, optional=True)
    port_bytes: float | None = number("SRAM: bytes per macro and clock", optional=True)


class LinkDomain(eqx.Module):
    """Links among the chips of one domain. Stated bandwidth and latency, or lanes and reach."""

    technology: LinkTechnology = table(LinkTechnology, folder="links")
    chips: float = number("chips that reach each other in this domain", positive=True)
    topology: str = text(
        "how the chips are joined", choices=("switch", "direct", "torus_2d", "torus_3d", "mesh_2d")
    )
    in_network_reduction: float = number("1 where switches reduce, else 0")
    bandwidth_bytes_per_s: float | None = number(
        "all links, one direction", positive=True, optional=True
    )
    latency_s: float | None = number("one small in-graph exchange of 2 chips", optional=True)
    latency_per_doubling_s: float | None = number("added per doubling of chips", optional=True)
    lanes: float | None = number("lanes, one direction", positive=True, optional=True)
    lane_rate_bytes_per_s: float | None = number("per lane", positive=True, optional=True)
    radix: float | None = number("direct peers, or ports of one switch", optional=True)
    pitch_m: float | None = number("reach needed by the smallest system", optional=True)
    rack_m: float | None = number("reach across one full rack", optional=True)
    rack_chips: float | None = number("chips in a full rack", positive=True, optional=True)


class OnChip(eqx.Module):
    """Time inside a die that is not bandwidth: dependent operations and wires."""

    dependent_cycles: float = number("cycles of one dependent operation")
    wire_m_per_s: float = number("signal speed at nominal voltage", positive=True)
    wire_exponent: float = number("signal speed grows as clock limit to this")
    tiles: float = number("tiles an operation is spread over", positive=True)


class Floorplan(eqx.Module):
    """Area that is neither arrays, memory nor links."""

    control_mm2: float = number("sequencers and front end, N5")
    noc_fraction: float = number("on-chip network, share of the die")
    fixed_fraction: float = number("pads, management, scribe, dead area, share of the die")
    repairable_fraction: float = number("share of the die a defect does not kill")


class Power(eqx.Module):
    """Power terms of a chip that are not per event."""

    model: str = text("which terms apply", choices=("shipped", "design"))
    clock_tree_w_per_mm2: float = number("ungated, nominal voltage and clock")
    clock_floor_fraction: float = number("share of the clock tree that never gates")
    activity_fraction: float = number("activity of the clock tree while working")
    uncore_w: float = number("PLLs, PCIe, management; trained links where not modelled")
    stage_j_per_byte: float = number("scratchpad write and read, operand delivery, nominal V")
    noc_j_per_byte: float | None = number("memory to core, one way, nominal voltage", optional=True)
    regulator_fraction: float = number("efficiency of the core regulator", positive=True)
    memory_regulator_fraction: float = number("efficiency of the memory rail", positive=True)
    delivery_ohm_mm2: float = number("resistance of power delivery times area")
    current_limit_a_per_mm2: float | None = number("current density limit", optional=True)


class Host(eqx.Module):
    """Everything outside the board, per chip."""

    share_w: float = number("CPU, NIC, switch share and drives, per chip")
    board_fraction: float = number("share of board power lost beside the board")
    group_w: float = number("management and switches per started group")
    group_chips: float = number("chips per group", positive=True)
    supply_fraction: float = number("efficiency of the power supplies", positive=True)
    cost_usd: float = number("host, network and chassis, per chip")


class HardwareSpec(eqx.Module):
    """One chip and its surroundings. `dse.resources.provision` turns it into a resource table."""

    logic: LogicProcess = table(LogicProcess, folder="logic")
    packaging: Packaging = table(Packaging, folder="packaging")
    cooling: Cooling = table(Cooling, folder="cooling")
    style: ExecutionStyle = table(ExecutionStyle, folder="styles")
    nominal_voltage_v: float = number(
        "voltage at which the chip reaches nominal clock", positive=True
    )
    nominal_clock_hz: float = number("clock at nominal voltage", positive=True)
    minimum_voltage_v: float = number("floor of the logic rail")
    die_mm2: float = number("one die", positive=True)
    dies: float = number("dies per package", positive=True)
    tdp_w: float = number("board power limit", positive=True)
    compute: dict[str, ComputeFormat] = tables(ComputeFormat)
    vector: VectorUnits = table(VectorUnits)
    memory: dict[str, MemoryTier] = tables(MemoryTier)
    link: dict[str, LinkDomain] = tables(LinkDomain)
    floorplan: Floorplan = table(Floorplan)
    power: Power = table(Power)
    host: Host = table(Host)
    economics: Economics = table(Economics)
    on_chip: OnChip | None = table(OnChip, optional=True)
    pipeline_fill_fraction: float | None = number("balance of pipeline stages", optional=True)
    voltage_v: float | None = number("logic rail; unset: nominal", positive=True, optional=True)
    clock_hz: float | None = number("unset: the limit of the voltage", positive=True, optional=True)
    sram_voltage_v: float | None = number("SRAM rail; unset: nominal", optional=True)
