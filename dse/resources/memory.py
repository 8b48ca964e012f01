"""Memory tiers: bandwidth, capacity, energy, static power, area, edge and cost by law.

``MEMORY_LAWS`` maps the ``law`` of a technology to the function that provides a tier of it.
"""

from collections.abc import Callable

from dse import smooth
from dse.resources import logic
from dse.resources.table import Scalar, Tier
from dse.specs.hardware import HardwareSpec, MemoryTier
from dse.specs.schema import SpecError


def provide(name: str, tier: MemoryTier, hardware: HardwareSpec) -> Tier:
    """A tier by the law of its technology."""
    return MEMORY_LAWS[tier.technology.law](name, tier, hardware)


def die_side_mm(hardware: HardwareSpec) -> Scalar:
    """Side of a square die."""
    return smooth.sqrt(hardware.die_mm2)


def _required(name: str, what: str, value: Scalar | None) -> Scalar:
    """A number a law cannot do without."""
    if value is None:
        raise SpecError(f"memory.{name}", [f"memory.{name}: state {what}"])
    return value


def _network_j_per_byte(tier: MemoryTier, hardware: HardwareSpec) -> Scalar:
    """PHY, on-chip network and operand staging of one byte on its way to the arrays.

    A shipped chip states its network energy; a design pays wire energy for the share of the die
    side a byte crosses. PHY supply is fixed by the interface and does not follow the core rail.
    """
    power, technology = hardware.power, tier.technology
    factor = logic.energy_factor(hardware)
    travel_mm = technology.travel_fraction * die_side_mm(hardware)
    network = hardware.logic.wire_j_per_byte_per_mm * travel_mm
    if power.noc_j_per_byte is not None and technology.law in ("stack", "board"):
        network = power.noc_j_per_byte
    return technology.phy_j_per_byte + (network + power.stage_j_per_byte) * factor


def _device(tier: MemoryTier, hardware: HardwareSpec, **kw) -> Tier:
    technology = tier.technology
    stacks = 0.0 if tier.stacks is None else tier.stacks
    fields = {
        "law": technology.law,
        "core_j_per_byte": _network_j_per_byte(tier, hardware),
        "device_j_per_byte": technology.read_j_per_byte,
        "static_w": stacks * smooth.stated(technology.static_w, 0.0),
        "refresh_w": 0.0,
        "refresh_reference_k": hardware.cooling.junction_limit_k,
        "latency_s": technology.latency_s,
        "area_mm2": 0.0,
        "sram_mm2": 0.0,
        "edge_mm": 0.0,
        "cost_usd": kw["capacity_bytes"] * technology.price_usd_per_byte,
        "bond_yield": 1.0,
    }
    return Tier(**(fields | kw))


def stack(name: str, tier: MemoryTier, hardware: HardwareSpec) -> Tier:
    """HBM: bandwidth, capacity, edge and PHY come in stacks.

    A custom bandwidth-to-capacity ratio keeps the bandwidth and shortens the stack: fewer bits,
    less energy per bit, dearer bytes (the trade of RPU, arXiv 2602.18568; exponents estimated).
    """
    t = tier.technology
    bandwidth, capacity = tier.bandwidth_bytes_per_s, tier.capacity_bytes
    if bandwidth is None:
        stacks = _required(name, "stacks, or bandwidth and capacity", tier.stacks)
        per_stack = _required(name, "a stack technology", t.stack_bandwidth_bytes_per_s)
        bandwidth = stacks * per_stack
    if capacity is None:
        stacks = _required(name, "stacks, or bandwidth and capacity", tier.stacks)
        capacity = stacks * _required(name, "a stack technology", t.stack_capacity_bytes)
    energy = t.read_j_per_byte
    price = t.price_usd_per_byte
    if tier.ratio_per_s is not None:
        per_stack = _required(name, "a stack technology", t.stack_bandwidth_bytes_per_s)
        standard = per_stack / _required(name, "a stack technology", t.stack_capacity_bytes)
        over = tier.ratio_per_s / standard
        capacity = bandwidth / tier.ratio_per_s
        energy = energy * over ** -smooth.stated(t.ratio_energy_exponent, 0.0)
        price = price * over ** smooth.stated(t.ratio_cost_exponent, 0.0)
    stacks = 0.0 if tier.stacks is None else tier.stacks
    controller = smooth.stated(t.stack_controller_mm2, 0.0) * hardware.logic.area_scale
    return _device(
        tier,
        hardware,
        bytes_per_s=bandwidth,
        capacity_bytes=capacity,
        device_j_per_byte=energy,
        area_mm2=stacks * (smooth.stated(t.stack_phy_mm2, 0.0) + controller),
        edge_mm=stacks * smooth.stated(t.stack_edge_mm, 0.0),
        cost_usd=capacity * price,
    )


def areal(name: str, tier: MemoryTier, hardware: HardwareSpec) -> Tier:
    """DRAM stacked on the logic die: ``C = layers A rho (1 - BW / (layers A beta))``.

    Bandwidth costs capacity, since banks become smaller; refresh follows temperature and heat
    must leave through the stack.
    """
    t = tier.technology
    layers = _required(name, "layers", tier.layers)
    area = hardware.die_mm2 * hardware.dies
    bandwidth = tier.bandwidth_bytes_per_s
    if bandwidth is None:
        areal_rate = tier.areal_bytes_per_s_per_mm2
        bandwidth = _required(name, "areal bandwidth, or bandwidth", areal_rate) * area
    layer_area = layers * area
    capacity = tier.capacity_bytes
    if capacity is None:
        density = _required(name, "a technology with density", t.density_bytes_per_mm2)
        used = smooth.ratio(bandwidth, layer_area * t.layer_bandwidth_bytes_per_s_per_mm2)
        capacity = layer_area * density * smooth.above(1.0, used)
    refresh = smooth.stated(t.refresh_w_per_byte, 0.0) * capacity
    cost = smooth.stated(t.layer_usd_per_mm2, 0.0) * layer_area
    return _device(
        tier,
        hardware,
        bytes_per_s=bandwidth,
        capacity_bytes=capacity,
        refresh_w=refresh,
        refresh_reference_k=t.refresh_temperature_k,
        cost_usd=cost + capacity * t.price_usd_per_byte,
        bond_yield=smooth.stated(t.bond_yield_fraction, 1.0) ** layers,
    )


def _bank_j_per_byte(macro_bytes: Scalar, tier: MemoryTier, hardware: HardwareSpec) -> Scalar:
    """One byte from an SRAM bank: ``e0 + e1 sqrt(bits per bank)``, SRAM rail.

    Dally, Turakhia and Han, CACM 2020, level fitted to the TPUv4i table (Jouppi, ISCA 2021).
    """
    process = hardware.logic
    bits = 8 * macro_bytes
    bank = process.sram_read_j_per_byte + process.sram_growth_j_per_byte * smooth.sqrt(bits)
    return (bank + tier.technology.read_j_per_byte) * logic.sram_energy_factor(hardware)


def _sram(name: str, tier: MemoryTier) -> tuple[Scalar, Scalar]:
    """(capacity, bytes per macro) of an SRAM tier."""
    what = "capacity and macro"
    return _required(name, what, tier.capacity_bytes), _required(name, what, tier.macro_bytes)


def _sram_rate(name: str, tier: MemoryTier, hardware: HardwareSpec) -> Scalar:
    """Stated, or width times clock of all macros: the slower of the SRAM and logic clocks."""
    if tier.bandwidth_bytes_per_s is not None:
        return tier.bandwidth_bytes_per_s * logic.clock_hz(hardware) / hardware.nominal_clock_hz
    capacity, macro_bytes = _sram(name, tier)
    port = _required(name, "port, or bandwidth", tier.port_bytes)
    limit = logic.sram_clock_limit_hz(hardware, logic.sram_voltage_v(hardware))
    clock = -smooth.maximum([-limit, -logic.clock_hz(hardware)])
    return capacity / macro_bytes * port * clock


def macro(name: str, tier: MemoryTier, hardware: HardwareSpec) -> Tier:
    """SRAM with the arithmetic beside each macro: no delivery network, no staging.

    ``mm2/MB = m0 (1 + m1 / sqrt(bits per macro))``, an estimate; products show up to 0.5 TB/s
    per MB, so more is reported as extrapolated.
    """
    capacity, macro_bytes = _sram(name, tier)
    process = hardware.logic
    overhead = 1 + process.macro_overhead / smooth.sqrt(8 * macro_bytes)
    area = capacity * process.macro_mm2_per_byte * overhead
    return _device(
        tier,
        hardware,
        bytes_per_s=_sram_rate(name, tier, hardware),
        capacity_bytes=capacity,
        core_j_per_byte=_bank_j_per_byte(macro_bytes, tier, hardware),
        device_j_per_byte=0.0,
        area_mm2=area,
        sram_mm2=area,
    )


def scratchpad(name: str, tier: MemoryTier, hardware: HardwareSpec) -> Tier:
    """SRAM read over an on-chip network: area and energy grow with the bandwidth delivered."""
    capacity, macro_bytes = _sram(name, tier)
    process = hardware.logic
    rate = _sram_rate(name, tier, hardware)
    bank = _bank_j_per_byte(macro_bytes, tier, hardware)
    area = capacity * process.scratchpad_mm2_per_byte
    area = area + rate * process.scratchpad_delivery_mm2_s_per_byte
    return _device(
        tier,
        hardware,
        bytes_per_s=rate,
        capacity_bytes=capacity,
        core_j_per_byte=bank + _network_j_per_byte(tier, hardware),
        device_j_per_byte=0.0,
        area_mm2=area,
        sram_mm2=area,
    )


def board(name: str, tier: MemoryTier, hardware: HardwareSpec) -> Tier:
    """GDDR, LPDDR and DDR devices beside the package: bandwidth and capacity are stated."""
    t = tier.technology
    stacks = 0.0 if tier.stacks is None else tier.stacks
    return _device(
        tier,
        hardware,
        bytes_per_s=_required(name, "bandwidth", tier.bandwidth_bytes_per_s),
        capacity_bytes=_required(name, "capacity", tier.capacity_bytes),
        area_mm2=stacks * smooth.stated(t.stack_phy_mm2, 0.0),
        edge_mm=stacks * smooth.stated(t.stack_edge_mm, 0.0),
    )


# What of a tier each law looks at; the rest of what a tier states has no effect under it.
LAW_FIELDS = {
    "stack": ("bandwidth", "capacity", "stacks", "ratio"),
    "areal": ("bandwidth", "capacity", "layers", "areal"),
    "macro": ("bandwidth", "capacity", "macro", "port"),
    "scratchpad": ("bandwidth", "capacity", "macro", "port"),
    "board": ("bandwidth", "capacity", "stacks"),
}
MEMORY_LAWS: dict[str, Callable[[str, MemoryTier, HardwareSpec], Tier]] = {
    "stack": stack,
    "areal": areal,
    "macro": macro,
    "scratchpad": scratchpad,
    "board": board,
}
