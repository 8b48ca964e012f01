"""The certificate of a front as tables for people."""

from typing import Any

from rich.table import Table
from rich.text import Text

from dse import units
from dse.report import tables

MOST_PRICES = 5
# Unit of a limit -> how many of it people speak of, and what they call that.
UNITS = {"byte": (1e9, "GB"), "mm**2": (1.0, "mm2"), "watt": (1.0, "W"), "volt": (0.01, "10 mV"),
         "watt / mm**2": (0.1, "0.1 W/mm2"), "hertz": (1e9, "GHz"), "meter": (1.0, "m"),
         "mm": (1.0, "mm"), "ampere / mm**2": (0.1, "0.1 A/mm2"), "kelvin": (1.0, "K")}  # fmt: skip


def sentence(certificate: dict[str, Any] | None) -> str:
    """One line about how far from optimal a front can be."""
    if certificate is None:
        return "not certified: dse certify RUN bounds how far from optimal it can be"
    if certificate["gap_worst"] is None:
        return "no level of the front is certified: no structure is convex"
    both = certificate.get("gap_in_both_worst")
    further = "" if both is None else f", and none is more than {both:.2%} better in both goals"
    return (f"certified at {len(certificate['levels'])} speeds: at an equal speed no design of the "
            f"space saves more than {certificate['gap_median']:.2%} of the energy per token in the "
            f"median, {certificate['gap_worst']:.2%} at worst{further}")  # fmt: skip


def heading(certificate: dict[str, Any]) -> Text:
    """The verdict, and what it covers."""
    structures = certificate["structures"]
    convex = sum(s["convex"] for s in structures)
    deployments = sum(s["deployments"] for s in structures)
    return Text(
        f"{sentence(certificate)}\n{convex} of {len(structures)} families convex by test, "
        f"{deployments:,} deployments of them bounded at each speed, every knob over its whole "
        f"range; {certificate['certified_share']:.0%} of the levels of the front certified"
    )


def levels(certificate: dict[str, Any]) -> Table:
    """Found against bound, speed by speed, and how far the constants move what was found."""
    rows = [
        (f"{line['user_tokens_per_s']:,.0f}", units.show(line["j_per_token"], "joule"),
         units.show(line["j_per_token_bound"], "joule"), f"{line['gap']:.2%}",
         _percent(line.get("gap_in_both")), _band(line.get("j_per_token_band")),
         f"{line['branches_opened']:,}", f"{line['branches_left']:,}", line["family"])
        for line in certificate["levels"]
    ]  # fmt: skip
    columns = (
        "user tok/s",
        "found",
        "no less than",
        "gap",
        "in both goals",
        "band of the constants",
        "opened",
        "left open",
        "least in",
    )
    return tables.table("Energy per token at a user speed", columns, rows)


def _band(ends: list[float] | None) -> str:
    return "-" if ends is None else " to ".join(units.show(end, "joule") for end in ends)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.2%}"


def prices(certificate: dict[str, Any]) -> Table | None:
    """What relaxing each limit by one percent saves, at both ends and between."""
    lines = certificate["levels"]
    picked = [lines[i] for i in sorted({0, len(lines) // 2, len(lines) - 1})]
    rows = []
    for line in picked:
        dearest = sorted(line["shadow_prices"], key=lambda p: -p["percent_per_percent"])
        rows += [
            (f"{line['user_tokens_per_s']:,.0f}", price["limit"],
             f"{price['percent_per_percent']:.3f} %", _worth(price))
            for price in dearest[:MOST_PRICES]
        ]  # fmt: skip
    if not rows:
        return None
    columns = ("user tok/s", "limit", "energy saved by 1 % more of it", "tokens/J per unit")
    return tables.table("What limits are worth (shadow prices)", columns, rows)


def _worth(price: dict[str, Any]) -> str:
    """Tokens per joule for one more unit of a limit, in a unit that people use."""
    if price["per_unit"] is None:
        return "-"
    scale, unit = UNITS.get(price["unit"], (1.0, price["unit"] or "1"))
    return f"{price['per_unit'] * scale:.3g} per {unit}"
