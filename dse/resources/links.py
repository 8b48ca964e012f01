"""Links between packages: bandwidth, latency per stage, its price, stages by topology."""

from collections.abc import Callable

import jax.numpy as jnp

from dse import smooth
from dse.resources.table import Fabric, Scalar
from dse.specs.hardware import HardwareSpec, LinkDomain
from dse.specs.schema import SpecError


def provide(name: str, link: LinkDomain, hardware: HardwareSpec, replica_chips: Scalar) -> Fabric:
    """A link domain: stated numbers, or those its lanes, rate and reach imply."""
    t = link.technology
    bandwidth = _bandwidth(name, link)
    lane = t.reference_lane_bytes_per_s
    if link.lane_rate_bytes_per_s is not None:
        lane = link.lane_rate_bytes_per_s
    edge = bandwidth / (t.edge_bytes_per_s_per_mm * lane / t.reference_lane_bytes_per_s)
    stage_s, reach = _stage(name, link, replica_chips, lane)
    # A shipped system's switches are part of its measured host share.
    switched = 1.0 if link.topology == "switch" and hardware.power.model == "design" else 0.0
    return Fabric(
        chips=link.chips,
        topology=link.topology,
        radix=link.radix,
        peers=link.radix,
        lanes=link.lanes,
        in_network_reduction=link.in_network_reduction,
        bytes_per_s=bandwidth,
        stage_s=stage_s,
        doubling_s=smooth.stated(link.latency_per_doubling_s, 0.0),
        core_j_per_byte=t.energy_j_per_byte * (1 - t.always_on_fraction),
        switch_j_per_byte=switched * t.switch_j_per_byte * (1 - t.always_on_fraction),
        always_on_w=bandwidth * t.energy_j_per_byte * t.always_on_fraction,
        switch_w=switched * bandwidth * t.switch_j_per_byte * t.always_on_fraction,
        area_mm2=bandwidth * t.phy_mm2_s_per_byte,
        edge_mm=edge,
        cost_usd=switched * bandwidth * t.switch_price_usd_s_per_byte,
        reach_m=reach,
        maximum_reach_m=t.maximum_reach_m,
    )


def _bandwidth(name: str, link: LinkDomain) -> Scalar:
    if link.bandwidth_bytes_per_s is not None:
        return link.bandwidth_bytes_per_s
    if link.lanes is None or link.lane_rate_bytes_per_s is None:
        raise SpecError(f"link.{name}", [f"link.{name}: state bandwidth, or lanes and lane_rate"])
    return link.lanes * link.lane_rate_bytes_per_s


def _stage(name: str, link: LinkDomain, replica_chips: Scalar, lane: Scalar):
    """Latency of one exchange and the reach it assumes.

    ``2 t_phy + t_fec + flight reach + synchronization (+ switch)``; error correction grows with
    lane rate above the rate that needs none, so latency is bought with bandwidth, and reach
    grows with the replica, so it is bought with size.
    """
    if link.latency_s is not None:
        return link.latency_s, None
    if link.pitch_m is None or link.rack_m is None or link.rack_chips is None:
        raise SpecError(f"link.{name}", [f"link.{name}: state latency, or pitch, rack, rack_chips"])
    reach = jnp.maximum(link.pitch_m, link.rack_m * replica_chips / link.rack_chips)
    return sum(latency_parts(link, reach, lane).values()), reach


def latency_parts(link: LinkDomain, reach_m: Scalar, lane: Scalar) -> dict[str, Scalar]:
    """What a stage of the latency law takes time for, in seconds; ``lane`` in bytes per second."""
    t = link.technology
    return {
        "phy": 2 * t.phy_latency_s,
        "error_correction": t.fec_s * smooth.above(lane, t.fec_free_bytes_per_s)
        / t.fec_span_bytes_per_s,
        "flight": t.flight_s_per_m * reach_m,
        "synchronization": t.synchronization_s,
        "switch": t.switch_latency_s if link.topology == "switch" else 0.0,
    }  # fmt: skip


def _switched(participants: Scalar, radix: Scalar | None) -> Scalar:
    if radix is None:
        return jnp.where(participants > 1, 1.0, 0.0)
    return smooth.ceiling(smooth.log2(participants) / smooth.log2(radix))


def _torus_2d(participants: Scalar, radix: Scalar | None) -> Scalar:
    return jnp.where(participants > 1, jnp.maximum(smooth.sqrt(participants), 1.0), 0.0)


def _torus_3d(participants: Scalar, radix: Scalar | None) -> Scalar:
    return jnp.where(participants > 1, jnp.maximum(1.5 * jnp.cbrt(participants), 1.0), 0.0)


def _mesh_2d(participants: Scalar, radix: Scalar | None) -> Scalar:
    return jnp.maximum(2 * (smooth.sqrt(participants) - 1), jnp.where(participants > 1, 1.0, 0.0))


# Stages a round takes among so many participants: logarithm or diameter, never their number.
STAGES: dict[str, Callable[[Scalar, Scalar | None], Scalar]] = {
    "switch": _switched,
    "direct": _switched,
    "torus_2d": _torus_2d,
    "torus_3d": _torus_3d,
    "mesh_2d": _mesh_2d,
}


def stages(fabric: Fabric, participants: Scalar) -> Scalar:
    """Link stages of one round among ``participants``."""
    return STAGES[fabric.topology](participants, fabric.radix)


def doublings(participants: Scalar) -> Scalar:
    """How often a pair must double to reach ``participants``."""
    return smooth.above(smooth.log2(participants), 1.0)


def forwarding(fabric: Fabric, participants: Scalar) -> Scalar:
    """Times a byte is sent before it arrives: once through a switch, once per stage otherwise.

    Ring and reduction algorithms on a torus or mesh send to neighbours, so their bytes are
    already counted per hop; only multi-stage direct networks forward.
    """
    if fabric.topology == "direct":
        return jnp.maximum(stages(fabric, participants), 1.0)
    return 1.0


def usable(fabric: Fabric, participants: Scalar) -> Scalar:
    """Share of a chip's lanes that a group can use.

    A switch carries any traffic on all lanes. In a direct network each lane belongs to one peer,
    so a group smaller than the radix leaves the lanes to the others idle.
    """
    if fabric.topology != "direct" or fabric.peers is None:
        return 1.0
    peers = jnp.maximum(fabric.peers - 1, 1.0)
    return jnp.clip(participants - 1, 1.0, peers) / peers
