"""An estimate as plain JSON: the keys that programs rely on."""

import math
from typing import Any

import numpy as np

SCHEMA = "dse.eval/1"
# Slack of a margin: float64 rounding, not generosity.
TOLERANCE = 1e-9
BIG = 1e300  # beyond it products overflow
_LIMITS_NAMED = {
    "memory streaming": "memory bandwidth",
    "arithmetic": "compute",
    "link stages": "link latency",
    "link serialization": "link bandwidth",
    "die crossings": "wire delay",
    "dependent operations": "dependent operations",
    "memory latency": "memory latency",
    "software": "software overhead",
    "queue for stages": "pipeline throughput",
    "prefill": "interleaved prefill",
    "wait for power": "power limit",
}


def number(value: Any) -> float | None:
    """A finite float, or None: JSON has neither NaN nor infinity."""
    value = float(value)
    return value if math.isfinite(value) else None


def numbers(table: dict) -> dict[str, float | None]:
    """A table of scalars as finite floats."""
    return {key: number(value) for key, value in table.items()}


def violations(estimate) -> list[dict]:
    """Limits that are broken: what is used, what is allowed, what would help."""
    broken = []
    for name, limit in estimate.limits.items():
        used, allowed = float(limit.used), float(limit.allowed)
        if not used <= allowed * (1 + TOLERANCE):
            broken.append({"name": name, "used": number(used), "allowed": number(allowed),
                           "unit": limit.unit, "remedy": limit.remedy})  # fmt: skip
    undefined = [n for n in ("step_s", "j_per_token") if not 0 < float(getattr(estimate, n)) < BIG]
    if undefined:
        broken.append({"name": "undefined", "used": None, "allowed": None, "unit": "",
                       "remedy": f"{' and '.join(undefined)} cannot be computed: a rate, size or "
                       "count is zero or beyond floating point"})  # fmt: skip
    return broken


def feasible(estimate) -> bool:
    """Whether every limit holds."""
    return not violations(estimate)


def bottleneck(estimate) -> str:
    """What takes most of the time of a step, by the critical path."""
    path = estimate.critical_path
    return _LIMITS_NAMED[max(path, key=lambda stage: float(path[stage][1]))]


def waits(estimate) -> dict[str, float | None]:
    """Share of a step that waits for each limit, largest first; the first is the bottleneck."""
    shares = {
        _LIMITS_NAMED[stage]: number(seconds / estimate.step_s)
        for stage, (_, seconds) in estimate.critical_path.items()
    }
    return dict(sorted(shares.items(), key=lambda item: -(item[1] or 0.0)))


def extrapolated(estimate) -> list[str]:
    """Properties of the design that no silicon has shown."""
    found = []
    for what, (value, shown) in estimate.extrapolation.items():
        if float(value) < float(shown) * (1 - TOLERANCE) or (float(shown) == 0 > float(value)):
            limit = "" if float(shown) == 0 else f" {_readable(what, abs(float(shown)))}"
            found.append(what + limit)
    return found


def _readable(what: str, shown: float) -> str:
    if "voltage" in what:
        return f"{shown:.2f} V"
    return f"{shown * 1e9:.0f} ns" if "link" in what else f"{shown / 1e6:.1f}"


def to_dict(e) -> dict:
    """The object of ``dse eval --json``; breakdowns sum to what they break down."""
    with np.errstate(all="ignore"):  # what cannot be computed becomes null
        return _object(e)


def _object(e) -> dict:
    deployment = numbers(e.deployment)
    broken = violations(e)
    return {
        "schema": SCHEMA,
        **dict(e.labels),
        "feasible": not broken,
        "violations": broken,
        "user_tokens_per_s": number(e.user_tokens_per_s),
        "system_tokens_per_s": number(e.system_tokens_per_s),
        "system_tokens_per_s_per_w": number(e.system_tokens_per_s_per_w),
        "tpot_s": number(e.tpot_s),
        "step_s": number(e.step_s),
        "j_per_token": number(e.j_per_token),
        "power_w": number(e.power_w),
        "chip_power_w": number(e.chip_power_w),
        "chips": number(e.chips),
        **deployment,
        "pass_bounds_s": numbers(
            dict(zip(("overlapped", "in_turn"), e.pass_bounds_s, strict=True))
        ),
        "time_breakdown_s": numbers(e.time_breakdown_s),
        "energy_breakdown_j": numbers(e.energy_breakdown_j),
        "j_per_token_by_scope": numbers(e.j_per_token_by_scope),
        "prefill_j_per_output_token": number(e.prefill_j_per_output_token),
        "prefill_chips": number(e.prefill_chips),
        "bottleneck": bottleneck(e),
        "bytes_per_step": numbers(e.bytes_per_step),
        "flops_per_step": number(e.flops_per_step),
        "capacity": {
            tier: {"used_bytes": number(used), "capacity_bytes": number(held)}
            for tier, (used, held) in e.capacity.items()
        },
        "placement": {what: numbers(shares) for what, shares in e.placement.items()},
        "limits": {
            name: {"used": number(x.used), "allowed": number(x.allowed), "unit": x.unit}
            for name, x in e.limits.items()
        },
        "clock_hz": number(e.clock_hz),
        "voltage_v": number(e.voltage_v),
        "junction_k": number(e.junction_k),
        "throttled": float(e.throttled_fraction) > TOLERANCE,
        "throttled_fraction": number(e.throttled_fraction),
        "area_mm2": number(e.area_mm2),
        "area_breakdown_mm2": numbers(e.area_breakdown_mm2),
        "silicon_mm2": number(e.silicon_mm2),
        "mm2_per_token_per_s": number(e.mm2_per_token_per_s),
        "die_power_density_w_per_mm2": number(e.die_power_density_w_per_mm2),
        "cost_usd": number(e.cost_usd),
        "bom_usd": numbers(e.bom_usd),
        "usd_per_million_tokens": number(e.usd_per_million_tokens),
        "users_in_flight": number(e.users_in_flight),
        "load": number(e.load),
        "critical_path": [
            {"stage": stage, "count": number(count), "seconds": number(seconds)}
            for stage, (count, seconds) in e.critical_path.items()
        ],
        "extrapolated": extrapolated(e),
    }
