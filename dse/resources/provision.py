"""A chip as a resource table: seconds, joules, watts, area and money per resource."""

from dse import interpreter, smooth
from dse.resources import links, logic, memory, packaging
from dse.resources.table import Resources, Scalar
from dse.specs.hardware import HardwareSpec


def provision(
    hardware: HardwareSpec, replica_chips: Scalar = 1.0, white_space_leaks: bool = True
) -> Resources:
    """The resource table of one chip in a replica of ``replica_chips``.

    Voltage and clock enter here and nowhere else: rates follow the clock, dynamic energy the
    square of the voltage, leakage both voltage and (later) temperature. A die leaks wherever it
    is not SRAM; without ``white_space_leaks``, where there is SRAM, only where something stands, a
    sum of products that is never more on a die that holds its parts.
    """
    tiers = {name: memory.provide(name, t, hardware) for name, t in hardware.memory.items()}
    fabrics = {
        name: links.provide(name, link, hardware, replica_chips)
        for name, link in hardware.link.items()
    }
    seconds, core_j = _arithmetic(hardware)
    device_j: dict[str, Scalar] = {}
    for name, tier in tiers.items():
        seconds[name] = smooth.ratio(1.0, tier.bytes_per_s)  # an empty tier: its capacity is 0 too
        # A shipped chip pays exposed memory latency inside its style's measured fixed times.
        seconds[f"wait_{name}"] = 0.0 if hardware.on_chip is None else tier.latency_s
        core_j[name], device_j[name] = tier.core_j_per_byte, tier.device_j_per_byte
    for name, fabric in fabrics.items():
        seconds[name] = 1 / fabric.bytes_per_s
        seconds[f"{name}_stage"] = fabric.stage_s
        seconds[f"{name}_doubling"] = fabric.doubling_s
        core_j[name] = fabric.core_j_per_byte
    seconds |= _inside_the_die(hardware)
    tree_w = logic.clock_tree_w(hardware)
    floor = hardware.power.clock_floor_fraction
    areas = area_mm2(hardware, tiers, fabrics)
    sram = sum((tier.sram_mm2 for tier in tiers.values()), 0.0)
    logic_mm2 = hardware.die_mm2 * hardware.dies - sram
    if not white_space_leaks and any(_is_sram(tiers, name) for name in tiers):
        logic_mm2 = sum(part for name, part in areas.items() if not _is_sram(tiers, name))
    return Resources(
        seconds=seconds,
        core_j=core_j,
        device_j=device_j,
        idle_core_w={
            "clock_tree": tree_w * floor,
            "links": sum((f.always_on_w for f in fabrics.values()), 0.0),
            "uncore": hardware.power.uncore_w,
        },
        idle_device_w={name: tier.static_w for name, tier in tiers.items()},
        leakage_w=_leakage_w(hardware, logic_mm2, sram),
        gated_clock_w=tree_w * (1 - floor) * hardware.power.activity_fraction,
        refresh_w={name: tier.refresh_w for name, tier in tiers.items()},
        tiers=tiers,
        fabrics=fabrics,
        area_mm2=areas,
        edge_mm={name: part.edge_mm for name, part in {**tiers, **fabrics}.items()},
        cost_usd=packaging.bill_of_materials_usd(hardware, tiers)
        | {"switches": sum((f.cost_usd for f in fabrics.values()), 0.0)},
        clock_hz=logic.clock_hz(hardware),
        clock_limit_hz=logic.clock_limit_hz(hardware, logic.voltage_v(hardware)),
    )


def provided(hardware: HardwareSpec, replica_chips: Scalar = 1.0) -> Resources:
    """The resource table of plain numbers, without its words: run by numpy, in a millisecond."""
    given = hardware, float(replica_chips)
    return interpreter.program(_numbers, *given)(*given)


def _numbers(hardware: HardwareSpec, replica_chips: Scalar) -> Resources:
    table = provision(hardware, replica_chips)
    return table._replace(
        tiers={name: tier._replace(law=None) for name, tier in table.tiers.items()},
        fabrics={name: fabric._replace(topology=None) for name, fabric in table.fabrics.items()},
    )


def _arithmetic(hardware: HardwareSpec) -> tuple[dict[str, Scalar], dict[str, Scalar]]:
    clock = logic.clock_hz(hardware)
    per_mac = logic.energy_factor(hardware) * hardware.logic.energy_scale
    seconds, core_j = {}, {}
    for name, array in hardware.compute.items():
        seconds[f"tensor_{name}"] = 1 / (2 * logic.macs(hardware, name) * clock)
        core_j[f"tensor_{name}"] = array.energy_j_per_mac / 2 * per_mac
    vector = hardware.vector
    seconds["vector"] = 1 / (2 * vector.lanes * clock)
    seconds["exponential"] = 1 / (vector.exponentials * clock)
    core_j["vector"] = vector.energy_j_per_mac / 2 * per_mac
    core_j["exponential"] = vector.energy_j_per_mac * per_mac
    core_j["activation"] = _activation_j_per_byte(hardware)
    return seconds, core_j


def _activation_j_per_byte(hardware: HardwareSpec) -> Scalar:
    """Staging of an activation; where arithmetic is spread over the die, its way there and back.

    Multicast in and reduction out cross both sides of the die on the on-chip network.
    """
    crossing = 0.0
    if hardware.on_chip is not None:
        crossing = hardware.logic.wire_j_per_byte_per_mm * 2 * memory.die_side_mm(hardware)
    return (hardware.power.stage_j_per_byte + crossing) * logic.energy_factor(hardware)


def _inside_the_die(hardware: HardwareSpec) -> dict[str, Scalar]:
    """Dependent operations and die crossings; none where a style's fixed times stand for them.

    A crossing is a multicast or reduction over the die: ``(w + h) / v + 2 log2(tiles) / f``.
    """
    if hardware.on_chip is None:
        return {"dependent_op": 0.0, "die_crossing": 0.0}
    clock = logic.clock_hz(hardware)
    distance_m = 2 * memory.die_side_mm(hardware) * 1e-3
    hops = 2 * smooth.log2(hardware.on_chip.tiles)
    return {
        "dependent_op": hardware.on_chip.dependent_cycles / clock,
        "die_crossing": distance_m / logic.wire_m_per_s(hardware) + hops / clock,
    }


def _is_sram(tiers, name: str) -> bool:
    return name in tiers and tiers[name].law in ("macro", "scratchpad")


def _leakage_w(hardware: HardwareSpec, logic_mm2: Scalar, sram_mm2: Scalar) -> Scalar:
    """All silicon leaks; SRAM on its own rail leaks at that rail."""
    rail = logic.voltage_v(hardware)
    if hardware.power.model == "shipped":
        return logic.leakage_w(hardware, hardware.die_mm2 * hardware.dies, rail)
    return logic.leakage_w(hardware, logic_mm2, rail) + logic.leakage_w(
        hardware, sram_mm2, logic.sram_voltage_v(hardware)
    )


def area_mm2(hardware: HardwareSpec, tiers, fabrics) -> dict[str, Scalar]:
    """What stands on the silicon of one package, part by part."""
    scale = hardware.logic.area_scale
    die = hardware.die_mm2 * hardware.dies
    parts: list[Scalar] = [
        array.area_mm2_per_mac * logic.macs(hardware, name) * scale
        for name, array in hardware.compute.items()
    ]
    return {
        "arrays": sum(parts),
        "vector": hardware.vector.lanes * hardware.vector.area_mm2_per_lane * scale,
        **{name: tier.area_mm2 for name, tier in tiers.items()},
        **{name: fabric.area_mm2 for name, fabric in fabrics.items()},
        "control": hardware.floorplan.control_mm2 * scale * hardware.dies,
        "network": hardware.floorplan.noc_fraction * die,
        "fixed": hardware.floorplan.fixed_fraction * die,
    }
