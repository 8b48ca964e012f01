"""A collective on a fabric: which algorithm, how long, how many bytes per domain."""

import functools
from typing import NamedTuple

import jax.numpy as jnp

from dse.resources import links
from dse.resources.table import Fabric, Resources
from dse.work.collectives import ALL_REDUCE, Traffic, across_domains
from dse.work.table import Exchange, Scalar

DOMAINS = ("scale_up", "scale_out")
# Tried by ``auto``: the best of these at each size; ring and tree never beat them on one fabric.
AUTO = ("two_shot", "one_shot", "in_switch")
FLOOR = (
    -1.0
)  # in place of an index of `AUTO`: the fewest stages of one, the fewest bytes of another


class Crossing(NamedTuple):
    """Time and bytes of one exchange, per link domain."""

    seconds: Scalar
    stage_s: Scalar  # of which waiting for stages
    stages: Scalar
    sent_bytes: dict[str, Scalar]


def crossing(exchange: Exchange, resources: Resources, collective, link_share) -> Crossing:
    """The exchange by the named algorithm, or by the fastest that the fabric offers.

    Sums may also go by an index of `AUTO`, a number like any other, or by `FLOOR`.
    """
    if exchange.kind == "point_to_point":
        return _scaled(_hand_over(exchange, resources, link_share), exchange.rounds)
    if exchange.kind not in ALL_REDUCE and exchange.kind != "all_reduce":
        return _scaled(_by(exchange.kind, exchange, resources, link_share), exchange.rounds)
    if not isinstance(collective, str):
        return _scaled(_held(collective, exchange, resources, link_share), exchange.rounds)
    if collective != "auto":
        return _scaled(_by(collective, exchange, resources, link_share), exchange.rounds)
    up = resources.fabrics.get("scale_up")
    reduces = 0.0 if up is None else up.in_network_reduction
    best = _by(AUTO[0], exchange, resources, link_share)
    for name in AUTO[1:]:
        other = _by(name, exchange, resources, link_share)
        faster = other.seconds < best.seconds
        if name == "in_switch":
            faster = faster & (reduces > 0.5)
        best = _where(faster, other, best)
    return _scaled(best, exchange.rounds)


def _held(index, exchange: Exchange, resources: Resources, link_share) -> Crossing:
    """By the algorithm of an index of `AUTO`; by a bound of all where it is below zero.

    Of each algorithm time and bytes are products and sums; of the faster of two they are not.
    """
    up = resources.fabrics.get("scale_up")
    reduces = 0.0 if up is None else up.in_network_reduction
    each = [_by(name, exchange, resources, link_share) for name in AUTO]
    each[-1] = _where(reduces > 0.5, each[-1], each[0])
    found = functools.reduce(_below, each)
    for number, one in enumerate(each):
        found = _where(index == number, one, found)
    return found


def _below(a: Crossing, b: Crossing) -> Crossing:
    """Not an algorithm but a bound of two."""
    stage_s = jnp.minimum(a.stage_s, b.stage_s)
    return Crossing(
        stage_s + jnp.minimum(a.seconds - a.stage_s, b.seconds - b.stage_s),
        stage_s,
        jnp.minimum(a.stages, b.stages),
        {label: jnp.minimum(size, b.sent_bytes[label]) for label, size in a.sent_bytes.items()},
    )


def _by(name: str, exchange: Exchange, resources: Resources, link_share) -> Crossing:
    up = resources.fabrics.get("scale_up")
    domain = up.chips if up is not None else 1.0
    per_domain = across_domains(name, exchange.size_bytes, exchange.group, domain)
    found = Crossing(0.0, 0.0, 0.0, {})
    for label, traffic in zip(DOMAINS, per_domain, strict=True):
        if label in resources.fabrics:
            found = _added(found, _through(label, traffic, resources, link_share))
    return found


def _through(label: str, traffic: Traffic, resources: Resources, link_share) -> Crossing:
    """``rounds (stages t_stage + doublings t_doubling) + bytes / bandwidth`` in one domain."""
    fabric: Fabric = resources.fabrics[label]
    stages = traffic.rounds * links.stages(fabric, traffic.participants)
    doublings = traffic.rounds * links.doublings(traffic.participants)
    stage_s = stages * resources.seconds[f"{label}_stage"]
    stage_s = stage_s + doublings * resources.seconds[f"{label}_doubling"]
    sent = traffic.sent_bytes * links.forwarding(fabric, traffic.participants)
    lanes = links.usable(fabric, traffic.participants)
    serial_s = sent * resources.seconds[label] / link_share / lanes
    return Crossing(stage_s + serial_s, stage_s, stages, {label: sent})


def _hand_over(exchange: Exchange, resources: Resources, link_share) -> Crossing:
    """A message to a neighbour; between domains once the replica outgrows one."""
    up = resources.fabrics.get("scale_up")
    if "scale_out" not in resources.fabrics or up is None:
        label = next(iter(resources.fabrics), None)
        if label is None:
            return Crossing(0.0, 0.0, 0.0, {})
        return _through(label, Traffic(exchange.size_bytes, 1.0, 2.0), resources, link_share)
    inside = jnp.where(exchange.group <= up.chips, 1.0, 0.0)
    size = exchange.size_bytes
    near = _through("scale_up", Traffic(size * inside, inside, 2.0), resources, link_share)
    far = Traffic(size * (1 - inside), 1 - inside, 2.0)
    return _added(near, _through("scale_out", far, resources, link_share))


def _added(a: Crossing, b: Crossing) -> Crossing:
    return Crossing(
        a.seconds + b.seconds,
        a.stage_s + b.stage_s,
        a.stages + b.stages,
        {label: a.sent_bytes.get(label, 0.0) + b.sent_bytes.get(label, 0.0)
         for label in {**a.sent_bytes, **b.sent_bytes}},
    )  # fmt: skip


def _scaled(found: Crossing, factor: Scalar) -> Crossing:
    sent = {label: size * factor for label, size in found.sent_bytes.items()}
    return Crossing(found.seconds * factor, found.stage_s * factor, found.stages * factor, sent)


def _where(condition, a: Crossing, b: Crossing) -> Crossing:
    pick = {k: jnp.where(condition, a.sent_bytes[k], b.sent_bytes[k]) for k in b.sent_bytes}
    return Crossing(
        jnp.where(condition, a.seconds, b.seconds),
        jnp.where(condition, a.stage_s, b.stage_s),
        jnp.where(condition, a.stages, b.stages),
        pick,
    )
