"""Technologies a chip is built from: logic process, memory, links, packaging, cooling.

Each class is read from one TOML file of ``hwspecs/`` and holds numbers only; the equations that
use them are in ``dse/resources``. Names and sources stay in the record beside the module, so that
swapping HBM3e for HBM4 swaps numbers and recompiles nothing.
"""

import equinox as eqx

from dse.specs.schema import number, table, text


class LogicProcess(eqx.Module):
    """A logic process: speed, energy, leakage, wires, area and money."""

    nominal_voltage_v: float = number("supply at which the constants are stated", positive=True)
    nominal_clock_hz: float = number("clock of a typical design at nominal voltage", positive=True)
    minimum_voltage_v: float = number("lowest supply of the logic rail", positive=True)
    threshold_v: float = number("effective threshold of the alpha-power law", positive=True)
    alpha: float = number("exponent of the alpha-power law", positive=True)
    softness_v: float = number("width of the softplus at the threshold", positive=True)
    guard_band_v: float = number("voltage lost to variation, droop and ageing")
    energy_scale: float = number("logic energy at equal voltage, N5 = 1", positive=True)
    area_scale: float = number("logic area, N5 = 1", positive=True)
    leakage_w_per_mm2: float = number("mixed logic and SRAM, nominal voltage, reference temp.")
    leakage_voltage_v: float = number("leakage grows as V exp(V / this)", positive=True)
    leakage_temperature_k: float = number("leakage grows as exp(T / this)", positive=True)
    reference_temperature_k: float = number("temperature of the leakage constant", positive=True)
    wire_j_per_byte_per_mm: float = number("on-chip network per millimetre, nominal voltage")
    sram_read_j_per_byte: float = number("SRAM read, small-bank limit, at the SRAM reference rail")
    sram_growth_j_per_byte: float = number("SRAM read, times the square root of bits per bank")
    sram_reference_voltage_v: float = number("rail of the SRAM energies", positive=True)
    sram_minimum_voltage_v: float = number("lowest supply of the SRAM rail", positive=True)
    sram_threshold_v: float = number("effective threshold of the SRAM rail", positive=True)
    macro_mm2_per_byte: float = number("SRAM macros of infinite size, compute beside the bank")
    macro_overhead: float = number("macro area overhead: 1 + this / sqrt(bits per macro)")
    scratchpad_mm2_per_byte: float = number("remote scratchpad delivering nothing")
    scratchpad_delivery_mm2_s_per_byte: float = number("area per byte/s the scratchpad delivers")
    wafer_usd: float = number("one processed wafer", positive=True)
    wafer_diameter_mm: float = number("wafer diameter", positive=True)
    defects_per_mm2: float = number("defect density")
    clustering: float = number("defect clustering of the negative binomial", positive=True)


class MemoryTechnology(eqx.Module):
    """A memory technology. ``law`` says how bandwidth and capacity follow from its geometry."""

    law: str = text("how it scales", choices=("stack", "areal", "macro", "scratchpad", "board"))
    read_j_per_byte: float = number("per byte moved, above static power; SRAM: beyond the bank")
    phy_j_per_byte: float = number("PHY and controller on the logic die, per byte moved")
    latency_s: float = number("one dependent access, seen from the core")
    price_usd_per_byte: float = number("price of capacity")
    travel_fraction: float = number("share of the die side a byte crosses to reach its consumer")
    static_w: float | None = number("per stack or device: refresh, clocks, idle IO", optional=True)
    stack_bandwidth_bytes_per_s: float | None = number("per stack or device", optional=True)
    stack_capacity_bytes: float | None = number("per stack or device", optional=True)
    stack_edge_mm: float | None = number("die edge one stack or device takes", optional=True)
    stack_phy_mm2: float | None = number("PHY area per stack, does not shrink", optional=True)
    stack_controller_mm2: float | None = number("controller per stack, N5 logic", optional=True)
    ratio_energy_exponent: float | None = number(
        "read energy falls as (bandwidth/capacity over standard) to minus this", optional=True
    )
    ratio_cost_exponent: float | None = number(
        "price per byte grows as (bandwidth/capacity over standard) to this", optional=True
    )
    density_bytes_per_mm2: float | None = number("stacked: per layer", optional=True)
    layer_bandwidth_bytes_per_s_per_mm2: float | None = number(
        "stacked: bandwidth at which a layer is all periphery", optional=True
    )
    layer_usd_per_mm2: float | None = number("stacked: wafer and bonding per layer", optional=True)
    bond_yield_fraction: float | None = number("stacked: per bonded layer", optional=True)
    refresh_w_per_byte: float | None = number("stacked: at the refresh reference", optional=True)
    refresh_temperature_k: float | None = number("stacked: refresh reference", optional=True)
    heat_limit_w_per_mm2: float | None = number("logic under it, DRAM included", optional=True)


class LinkTechnology(eqx.Module):
    """A link between packages: energy, latency, reach, edge and area."""

    energy_j_per_byte: float = number("per byte sent, both ends of one traversal")
    always_on_fraction: float = number("share of full-rate power drawn while trained")
    phy_latency_s: float = number("one end", positive=True)
    switch_latency_s: float = number("one switch traversal")
    switch_j_per_byte: float = number("one switch traversal")
    switch_price_usd_s_per_byte: float = number("switch silicon and trays, per byte/s of a chip")
    maximum_reach_m: float = number("longest channel", positive=True)
    flight_s_per_m: float = number("time of flight")
    synchronization_s: float = number("clock crossing and framing per stage")
    fec_s: float = number("error correction at the reference lane rate plus one span")
    fec_free_bytes_per_s: float = number("lane rate below which no correction is needed")
    fec_span_bytes_per_s: float = number("lane rate over which correction grows", positive=True)
    edge_bytes_per_s_per_mm: float = number("per direction at the reference rate", positive=True)
    reference_lane_bytes_per_s: float = number("lane rate of the edge density", positive=True)
    phy_mm2_s_per_byte: float = number("PHY and controller area per byte/s, one direction")


class Packaging(eqx.Module):
    """Package, test and assembly."""

    assembly_usd: float = number("interposer or substrate and assembly, per package")
    interposer_usd_per_mm2: float = number("for silicon beyond the reference package")
    interposer_reference_mm2: float = number("silicon included in the assembly price")
    test_usd: float = number("test, substrate and final assembly, per package")
    die_yield_fraction: float = number("package yield per die placed")
    edge_fraction: float = number("share of the die edge that can carry PHYs")
    reticle_mm2: float = number("largest die", positive=True)


class Cooling(eqx.Module):
    """How heat leaves the die."""

    heat_limit_w_per_mm2: float = number("die average", positive=True)
    resistance_k_mm2_per_w: float = number("junction to coolant for one square millimetre")
    coolant_k: float = number("air or water at the cold plate", positive=True)
    junction_limit_k: float = number("highest junction temperature", positive=True)
    fan_fraction: float = number("fans and pumps, share of system power")
    pue: float = number("facility power over system power", positive=True)


class Framework(eqx.Module):
    """A serving framework: what it adds to the kernels of a chip."""

    kernel_factor: float = number("fixed times of operators over the style's", positive=True)
    step_s: float = number("scheduler and host, per step")
    sequence_s: float = number("scheduling, sampling and detokenization, per sequence of a rank")
    expert_factor: float | None = number(
        "fixed times of routed experts over those of other operators; unset: 1",
        positive=True,
        optional=True,
    )
    attention_factor: float | None = number(
        "fixed time of attention over those of other operators; unset: 1",
        positive=True,
        optional=True,
    )
    quantize_factor: float | None = number(
        "time to quantize for routed experts over their other fixed times; unset: 1",
        positive=True,
        optional=True,
    )
    exchange_factor: float | None = number(
        "fixed time of exchanges over those of other operators; unset: 1",
        positive=True,
        optional=True,
    )
    prompt_factor: float | None = number(
        "time per layer of every prompt over the style's; unset: 1",
        positive=True,
        optional=True,
    )


class ExecutionStyle(eqx.Module):
    """How software drives the chip: what it reaches of nameplate, and its fixed times.

    Applies under ``fidelity = "calibrated"``; speed of light uses none of it.
    """

    memory_fraction: float = number("reached share of memory bandwidth", positive=True)
    tensor_fraction: float = number("reached share of the tensor peak", positive=True)
    link_fraction: float = number("reached share of link bandwidth", positive=True)
    layer_s: float = number("launch, synchronization and small kernels per layer")
    step_s: float = number("scheduler and host, per step")
    sequence_s: float = number("scheduler, sampling and detokenization, per sequence of a rank")
    sync_small_s: float = number("synchronization per layer in groups below the large size")
    sync_large_s: float = number("synchronization per layer in groups of the large size and up")
    sync_large_chips: float = number("chips from which the large synchronization applies")
    framework: Framework | None = table(
        Framework, "the serving framework", folder="frameworks", optional=True
    )
    cache_fraction: float | None = number(
        "reached share of memory bandwidth, KV cache; unset: as weights",
        positive=True,
        optional=True,
    )
    prefill_fraction: float | None = number(
        "reached share of the tensor peak in prefill; unset: as decode",
        positive=True,
        optional=True,
    )
    smoothness: float | None = number(
        "exponent of the p-norm of lanes in an operator; unset: maximum",
        positive=True,
        optional=True,
    )
    projection_s: float | None = number("fixed time of a matrix product", optional=True)
    attention_s: float | None = number("fixed time of a token mixer", optional=True)
    experts_s: float | None = number("fixed time of routed experts", optional=True)
    exchange_s: float | None = number("fixed time of an exchange beyond its stages", optional=True)
    quantize_s: float | None = number("quantizing to 8 or 4 bits before a product", optional=True)
    quantize_experts_s: float | None = number(
        "quantizing to 8 bits around routed experts", optional=True
    )
    prompt_layer_s: float | None = number(
        "fixed time per layer of a prompt processed between steps", optional=True
    )
    stage_factor: float | None = number(
        "time of link stages over the best measured", positive=True, optional=True
    )
    convert_flops: float | None = number(
        "vector operations per weight stored narrower than multiplied", optional=True
    )
    routing_exponent: float | None = number(
        "n routed tokens touch the experts of n to this independent ones",
        positive=True,
        optional=True,
    )
    busy_power_w_per_mm2: float | None = number(
        "drawn beyond counted events while arrays or memory work, at the core rail", optional=True
    )
    kernel_power_w_per_mm2: float | None = number(
        "drawn in the fixed times of operators, at the core rail", optional=True
    )
    exchange_power_w_per_mm2: float | None = number(
        "drawn while waiting for links, at the core rail", optional=True
    )
    sequence_power_w_per_mm2: float | None = number(
        "drawn in the time per sequence, at the core rail", optional=True
    )


class Economics(eqx.Module):
    """What turns parts and watts into money per token."""

    markup: float = number("price over bill of materials", positive=True)
    lifetime_s: float = number("depreciation", positive=True)
    utilization_fraction: float = number("share of the lifetime spent decoding", positive=True)
    electricity_usd_per_j: float = number("electricity")
