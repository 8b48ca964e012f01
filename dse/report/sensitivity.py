"""A sensitivity as tables for people, from the object that ``--json`` prints."""

from collections.abc import Mapping
from typing import Any

from dse.report.tables import quantity, table
from dse.report.whatif import GOALS, ends, per_percent, percent, short, value_of


def elasticities(result: Mapping[str, Any], most: int | None):
    """Every knob that moves a goal, largest first: signs, value, range, source."""
    columns = ["+1 % of", "user\ntok/s", "system\ntok/s/W", "now", "stated range", "source"]
    rows = [
        (short(row["path"]), per_percent(row["user_tokens_per_s"]),
         per_percent(row["system_tokens_per_s_per_w"]), value_of(row), ends(row), row["source"])
        for row in result["elasticities"][:most]
    ]  # fmt: skip
    made = table("Elasticities: what one percent more of a number brings", columns, rows)
    for column, cells in zip(made.columns[:-1], zip(*rows, strict=True), strict=False):
        column.min_width = max(map(len, cells))
    made.columns[-1].justify, made.columns[-1].overflow = "left", "ellipsis"
    made.columns[-1].no_wrap = True
    return made


def exchange(result: Mapping[str, Any]) -> Any:
    """100 mm2 moved between parts of the die, at fixed area and heat."""
    found = result["exchange_rates"]
    if found is None:
        return "No exchange rates: the area of this chip is not modelled (shipped silicon)."
    rows = exchanges(found)
    cells = [
        (row["into"], row["out_of"], percent(row["user_tokens_per_s"], 2),
         percent(row["system_tokens_per_s_per_w"], 2),
         quantity(row["voltage_v"], "volt"), ", ".join(row["breaks"]))
        for row in rows
    ]  # fmt: skip
    heat = "heat kept by the rail" if found["fixed_heat"] else "heat flux has room"
    made = table(f"The next {found['step_mm2']:.0f} mm2, by re-evaluation at fixed area; {heat}",
                 ["into", "out of", "user tok/s", "tok/s/W", "rail", "breaks"], cells)  # fmt: skip
    made.columns[1].justify = made.columns[5].justify = "left"
    return made


def exchanges(found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Those within all limits first, each kind by what both goals gain."""
    return sorted(found["rows"], key=lambda row: (bool(row["breaks"]), -_gain(row)))


def _gain(row: Mapping[str, Any]) -> float:
    return sum(row[goal] or 0.0 for goal in GOALS)


def break_even(found: Mapping[str, Any]) -> str:
    """Where a claim ceases to hold, in one or two sentences."""
    unit = found["unit"] or None
    now = quantity(found["value"], unit)
    state = "holds" if found["holds_now"] else "does not hold"
    times = " x" if found["over"] else ""
    lines = [
        f"{found['target']}: {state} at {found['path']} = {now} (now {found['now']:.4g}{times})"
    ]
    word = "holds up to" if found["holds_now"] else "begins to hold at"
    down = "holds down to" if found["holds_now"] else "begins to hold at"
    for key, words in (("upward", word), ("downward", down)):
        if found[key] is not None:
            factor = found[key] / found["value"]
            lines.append(f"  {words} {quantity(found[key], unit, 4)} ({factor:.3g} x)")
    if len(lines) == 1:
        low, high = (quantity(end, unit) for end in found["searched"])
        lines.append(f"  so it does anywhere from {low} to {high}, as far as the chip allows")
    return "\n".join(lines)
