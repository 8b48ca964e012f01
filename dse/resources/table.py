"""What a chip offers: one entry per resource, so that time, energy, area and cost agree."""

from typing import Any, NamedTuple

Scalar = Any


class Tier(NamedTuple):
    """One memory tier as provided: what its law makes of the geometry."""

    law: str
    bytes_per_s: Scalar
    capacity_bytes: Scalar
    core_j_per_byte: Scalar  # on the logic rails: PHY, network, staging, SRAM banks
    device_j_per_byte: Scalar  # on the memory rail
    static_w: Scalar  # on the memory rail
    refresh_w: Scalar  # on the memory rail, at the refresh reference temperature
    refresh_reference_k: Scalar
    latency_s: Scalar
    area_mm2: Scalar  # on the logic die, all dies
    sram_mm2: Scalar  # of which SRAM, which leaks at its own rail
    edge_mm: Scalar
    cost_usd: Scalar
    bond_yield: Scalar


class Fabric(NamedTuple):
    """One link domain as provided."""

    chips: Scalar
    topology: str
    radix: Scalar | None
    peers: Scalar | None  # chips its lanes are shared by: the radix, unless a bound holds fewer
    lanes: Scalar | None
    in_network_reduction: Scalar
    bytes_per_s: Scalar
    stage_s: Scalar  # one exchange between two chips
    doubling_s: Scalar  # added per doubling of participants, where measured so
    core_j_per_byte: Scalar
    switch_j_per_byte: Scalar  # outside the board
    always_on_w: Scalar
    switch_w: Scalar  # outside the board
    area_mm2: Scalar
    edge_mm: Scalar
    cost_usd: Scalar
    reach_m: Scalar | None  # None where latency is stated, not derived
    maximum_reach_m: Scalar


class Resources(NamedTuple):
    """The resource table of one chip.

    ``seconds`` and ``core_j`` are per unit of work: a FLOP, a byte, an exchange, a wait.
    """

    seconds: dict[str, Scalar]
    core_j: dict[str, Scalar]
    device_j: dict[str, Scalar]
    idle_core_w: dict[str, Scalar]
    idle_device_w: dict[str, Scalar]
    leakage_w: Scalar  # at the reference temperature
    gated_clock_w: Scalar  # drawn only while working
    refresh_w: dict[str, Scalar]
    tiers: dict[str, Tier]
    fabrics: dict[str, Fabric]
    area_mm2: dict[str, Scalar]
    edge_mm: dict[str, Scalar]
    cost_usd: dict[str, Scalar]
    clock_hz: Scalar
    clock_limit_hz: Scalar
