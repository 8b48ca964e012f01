"""Two operating points side by side: what differs, and what the change dragged along."""

import math
from collections.abc import Collection
from typing import Any

from dse.estimate import output
from dse.estimate.step import Estimate
from dse.questions.case import Case
from dse.resources.provision import provided

# What is laid side by side, in this order; units are in the names.
COMPARED = (
    "user_tokens_per_s", "system_tokens_per_s_per_w", "tpot_s", "j_per_token",
    "system_tokens_per_s", "power_w", "chip_power_w", "usd_per_million_tokens", "cost_usd",
    "silicon_mm2", "chips", "batch",
)  # fmt: skip
BREAKDOWNS = ("time_breakdown_s", "energy_breakdown_j")
SMALLEST = 1e-9  # relative; below it two numbers are one


def pair(base: float | None, changed: float | None) -> dict[str, float | None]:
    """Two values, their difference, and the change as a fraction of the first."""
    if base is None or changed is None:
        return {"base": base, "changed": changed, "difference": None, "change_fraction": None}
    return {"base": base, "changed": changed, "difference": output.number(changed - base),
            "change_fraction": fraction(base, changed)}  # fmt: skip


def fraction(base: float | None, changed: float | None) -> float | None:
    """``changed / base - 1``; None where it cannot be said."""
    if base is None or changed is None or base == 0:
        return 0.0 if base is not None and base == changed else None
    return output.number(changed / base - 1)


def differs(base: float | None, changed: float | None) -> bool:
    """Whether two numbers are more than rounding apart."""
    if base is None or changed is None:
        return base is not changed
    return not math.isclose(base, changed, rel_tol=SMALLEST)


def compared(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Two objects of ``dse eval`` side by side."""
    found: dict[str, Any] = {name: pair(before[name], after[name]) for name in COMPARED}
    for table in BREAKDOWNS:
        names = dict.fromkeys([*before[table], *after[table]])
        found[table] = {
            name: pair(before[table].get(name, 0.0), after[table].get(name, 0.0)) for name in names
        }
    found["limits"] = {
        name: {"base": before["limits"].get(name), "changed": after["limits"].get(name)}
        for name in dict.fromkeys([*before["limits"], *after["limits"]])
    }
    return found


def waiting(before: Estimate, after: Estimate) -> dict[str, dict[str, float | None]]:
    """Share of the step that waits for each limit, before and after."""
    shares = output.waits(before), output.waits(after)
    return {side: {name: share for name, share in found.items() if share}
            for side, found in zip(("base", "changed"), shares, strict=True)}  # fmt: skip


# --- what the change dragged along --------------------------------------------------------------


def moved(
    cases: tuple[Case, Case], estimates: tuple[Estimate, Estimate], paths: Collection[str]
) -> list[dict[str, Any]]:
    """Quantities that follow a law and moved, though no one set them.

    Args:
        cases: before and after.
        estimates: of both.
        paths: what was set; such quantities are causes, not consequences.
    """
    before, after = (following(*pair) for pair in zip(cases, estimates, strict=True))
    found = []
    for name in dict.fromkeys([*before, *after]):
        (old, unit, law), (new, _, _) = (side.get(name) or (None, *(before | after)[name][1:])
                                         for side in (before, after))  # fmt: skip
        if name in paths or not differs(old, new):
            continue
        found.append({"name": name, **pair(old, new), "unit": unit, "law": law,
                      "because": _reason(name, cases[1], estimates[1])})  # fmt: skip
    return found


def following(case: Case, e: Estimate) -> dict[str, tuple[float | None, str, str | None]]:
    """Name -> (value, unit, law to explain) of what follows from the numbers of a chip."""
    resources = provided(case.chip.spec, float(e.chips))
    found: dict[str, tuple[Any, str, str | None]] = {
        "clock": (e.clock_hz, "hertz", "clock_limit"),
        "voltage": (e.voltage_v, "volt", None),
        "junction": (e.junction_k, "kelvin", "junction"),
        "time waiting for power": (e.throttled_fraction, "", "throttling"),
        "heat flux": (e.die_power_density_w_per_mm2, "watt / mm**2", "heat_flux"),
        "leakage": (resources.leakage_w, "watt", "leakage"),
        "clock tree": (resources.gated_clock_w, "watt", "clock_tree"),
    }
    for name, tier in resources.tiers.items():
        found[f"memory.{name}.bandwidth"] = (tier.bytes_per_s, "byte / second", None)
        found[f"memory.{name}.capacity"] = (tier.capacity_bytes, "byte", None)
        found[f"memory.{name} full"] = (_full(e, name), "", None)
    for name, fabric in resources.fabrics.items():
        found[f"link.{name}.bandwidth"] = (fabric.bytes_per_s, "byte / second", None)
        found[f"link.{name}.latency"] = (fabric.stage_s, "second", "link_latency")
    return {name: (output.number(value), unit, law) for name, (value, unit, law) in found.items()}


def _full(e: Estimate, tier: str) -> float:
    used, held = e.capacity[tier]
    return float(used) / float(held) if float(held) else math.inf


def _reason(name: str, case: Case, e: Estimate) -> str | None:
    if name == "clock" and case.chip.spec.clock_hz is None:
        return f"the limit at {float(e.voltage_v):.2f} V"
    if name == "time waiting for power":
        return f"the board may take {float(case.chip.spec.tdp_w):,.0f} W"
    return None
