"""A what-if as tables for people, from the object that ``--json`` prints."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.text import Text

from dse import units
from dse.report import tables
from dse.report.tables import component, quantity, share, stated, table

GOALS = {"user_tokens_per_s": "User tokens/s", "system_tokens_per_s_per_w": "System tokens/s/W"}
ROWS = {
    "user_tokens_per_s": ("User tokens/s", "token / second"),
    "system_tokens_per_s_per_w": ("System tokens/s/W", "token / joule"),
    "tpot_s": ("time per output token", "second"),
    "j_per_token": ("energy per output token", "joule"),
    "system_tokens_per_s": ("System tokens/s", "token / second"),
    "power_w": ("power of the replica", "watt"),
    "chip_power_w": ("power per chip", "watt"),
    "usd_per_million_tokens": ("cost of 1M tokens", "usd"),
    "cost_usd": ("parts and host", "usd"),
    "silicon_mm2": ("silicon", "mm**2"),
    "chips": ("chips", None),
    "batch": ("batch", None),
}
SIDES = {"base": "base", "changed": "what-if"}
ALWAYS = 8  # first rows shown even where nothing changed
STILL = 0.005  # a followed quantity that moved less is left out on the terminal
MOST_PAYOFFS, MOST_OUTSIDE = 8, 3
ROUNDING = 1e-9  # relative; a smaller difference is none
SMALLEST_SHOWN = 0.005  # elasticity
WAITED = 0.05  # share of a step from which a wait is named


def percent(value: float | None, digits: int = 1) -> str:
    """A fraction as a signed percentage."""
    if value is None:
        return "-"
    if value == 0:
        return "0 %"
    return f"{100 * value:+,.{digits}f} %"


def per_percent(value: float | None) -> str:
    """An elasticity as what one percent brings."""
    if value is None:
        return "-"
    return f"{value:+.2f} %" if abs(value) >= SMALLEST_SHOWN else "0 %"


# --- what if ------------------------------------------------------------------------------------


def basis(result: Mapping[str, Any]) -> str:
    """What is held and what is chosen again."""
    said = result["basis"]
    if said["batch"] == "fixed":
        return "batch and deployment held"
    what = "batch and splits" if said["deploy"] == "best" else "batch"
    speed = quantity(said["speed"], "token / second")
    words = f"{what} chosen again on both sides: the most efficient at {speed} a user or faster"
    floor = said["speed"] * (1 - ROUNDING)
    slow = [name for side, name in SIDES.items()
            if side in result and (result[side]["user_tokens_per_s"] or 0.0) < floor]  # fmt: skip
    return words + (f"\n(the {' and the '.join(slow)} cannot: its fastest)" if slow else "")


def verdict(result: Mapping[str, Any]):
    """Both goals first, then time, energy, power, money: base, what-if, change, range."""
    made = table(None, ["", "base", "what-if", "change", "range of constants"], [])
    for index, (name, (label, unit)) in enumerate(ROWS.items()):
        row = result["comparison"][name]
        if index >= ALWAYS and row["difference"] == 0:
            continue
        style = "bold" if name in GOALS else ""
        made.add_row(
            Text(label, style=style), quantity(row["base"], unit),
            Text(quantity(row["changed"], unit), style=style),
            Text(percent(row["change_fraction"]), style=style), _span(result, name),
        )  # fmt: skip
    return made


def _span(result: Mapping[str, Any], name: str) -> str:
    ends = result["range"][name]["change_fraction"] if name in GOALS else None
    if not ends:
        return ""
    low, high = (percent(end, 0 if abs(end) >= 0.1 else 1) for end in ends)
    return low if low == high else f"{low} .. {high}"


def both_fidelities(answers: Mapping[str, Mapping[str, Any]]):
    """The verdicts of both fidelities beside each other."""
    columns = [f"{fidelity}:\n{end}" for fidelity in answers
               for end in ("base", "what-if", "change")]  # fmt: skip
    made = table(None, ["", *columns], [])
    for name, (label, unit) in list(ROWS.items())[:ALWAYS]:
        shown = None if unit and unit.startswith("token") else unit  # the label says it
        cells = []
        for result in answers.values():
            row = result["comparison"][name]
            cells += [quantity(row["base"], shown), quantity(row["changed"], shown),
                      percent(row["change_fraction"])]  # fmt: skip
        made.add_row(Text(label, style="bold" if name in GOALS else ""), *cells)
    return made


def waits(result: Mapping[str, Any]) -> str:
    """What a step waits for, before and after."""
    before, after = (_waits(result["waits"][side]) for side in ("base", "changed"))
    if before == after:
        return f"waits for   {after}"
    return f"waits for   {before}\nnow         {after}"


def _waits(found: Mapping[str, float]) -> str:
    named = [f"{name} {100 * part:.0f} %" for name, part in found.items() if part >= WAITED]
    return ", ".join(named) or "-"


def causes(result: Mapping[str, Any]) -> list[str]:
    """What was set, and what followed by itself."""
    lines = [f"set         {c['path']} {stated(c['before'])} -> {stated(c['after'])}"
             for c in result["changes"]]  # fmt: skip
    for item in result["moved"]:
        change = item["change_fraction"]
        if change is not None and abs(change) < STILL:
            continue
        lines.append(f"followed    {_followed(item)}")
    return lines or ["nothing set: both sides are the same"]


def _followed(item: Mapping[str, Any]) -> str:
    if item["unit"]:
        ends = [_rounded(item[side], item["unit"]) for side in ("base", "changed")]
    else:
        ends = [share(item[side], 1) for side in ("base", "changed")]
    words = f"{item['name']} {ends[0]} -> {ends[1]}"
    if item["because"]:
        words += f": {item['because']}"
    return words + (f" (dse explain {item['law']})" if item["law"] else "")


def where(result: Mapping[str, Any]):
    """Where the difference in time and in energy comes from, part by part."""
    times = result["comparison"]["time_breakdown_s"]
    joules = result["comparison"]["energy_breakdown_j"]
    columns = ["", "time: base", "what-if", "difference", "energy: base", "what-if", "difference"]
    made = table("Where the difference is (per step; per output token)", columns, [])
    for name in dict.fromkeys([*tables.TIME_ROWS, *tables.ENERGY_ROWS]):
        cells = [*_three(times.get(name), "second"), *_three(joules.get(name), "joule")]
        if any(cell not in ("-", "0 s", "0 J") for cell in cells):
            made.add_row(component(name), *cells)
    step = difference_of(list(times.values()))
    made.add_row(
        "sum", *_three(step, "second"), *_three(difference_of(list(joules.values())), "joule")
    )
    return made


def difference_of(pairs: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The sum of a breakdown on both sides."""
    found = {side: sum(pair[side] or 0.0 for pair in pairs) for side in ("base", "changed")}
    return found | {"difference": found["changed"] - found["base"]}


def _three(pair: Mapping[str, Any] | None, unit: str) -> list[str]:
    if pair is None or not (pair["base"] or pair["changed"]):
        return ["-", "-", "-"]
    return [quantity(pair["base"], unit), quantity(pair["changed"], unit),
            signed(_difference(pair), unit)]  # fmt: skip


def signed(value: float | None, unit: str | None) -> str:
    """A difference with its sign."""
    if value is None:
        return "-"
    return f"{'+' if value > 0 else ''}{quantity(value, unit)}"


def _difference(pair: Mapping[str, Any]) -> float | None:
    """A difference, nothing where it is the rounding of two equal numbers."""
    apart, most = pair["difference"], max(abs(pair["base"] or 0.0), abs(pair["changed"] or 0.0))
    return 0.0 if apart is not None and abs(apart) < ROUNDING * most else apart


def limits(result: Mapping[str, Any]):
    """Limits that moved by a percent or bind, before and after; None where there are none."""
    rows = []
    for name, sides in result["comparison"]["limits"].items():
        before, after = (_filled(sides[side]) for side in ("base", "changed"))
        moved = before is None or after is None or abs(after - before) > 0.01
        if not moved and (after or 0.0) < 0.98:
            continue
        at = sides["changed"] or sides["base"]
        rows.append((name, share(before, 1), share(after, 1), quantity(at["used"], at["unit"]),
                     quantity(at["allowed"], at["unit"]),
                     "broken" if (after or 0.0) > 1 + 1e-9 else ""))  # fmt: skip
    rows.sort(key=lambda row: row[5] != "broken")
    return table("Limits that moved or bind", ["limit", "full: base", "what-if", "used", "allowed",
                                               ""], rows) if rows else None  # fmt: skip


def _filled(at: Mapping[str, Any] | None) -> float | None:
    if at is None or at["used"] is None or not at["allowed"]:
        return None
    return at["used"] / at["allowed"]


def payoffs(rows: Sequence[Mapping[str, Any]], best: Mapping[str, Any], title: str):
    """The knobs of the chip that pay most, then what pays most outside it."""
    chip = leading([row for row in rows if row["is_knob"]], MOST_PAYOFFS)
    outside = leading([row for row in rows if not row["is_knob"]], MOST_OUTSIDE)
    made = table(title, ["", "user tok/s", "tok/s/W", "now", "stated range"], [])
    for row in [*chip, None, *outside]:
        if row is None:
            made.add_row(Text("given, not chosen", style="dim"))
            continue
        marks = [" <" if best.get(goal) and best[goal]["path"] == row["path"] else ""
                 for goal in GOALS]  # fmt: skip
        cells = [Text(per_percent(row[goal]), style="bold" if mark else "")
                 for goal, mark in zip(GOALS, marks, strict=True)]  # fmt: skip
        made.add_row(Text(f"  {short(row['path'])}"), *cells, value_of(row), ends(row))
    return made


def leading(rows: Sequence[Mapping[str, Any]], most: int) -> list[Mapping[str, Any]]:
    """The first of each goal in turn, so that neither crowds out the other."""
    orders = [sorted((row for row in rows if row[goal]), key=lambda row: -abs(row[goal]))
              for goal in GOALS]  # fmt: skip
    found: dict[str, Mapping[str, Any]] = {}
    for pair in itertools.zip_longest(*orders):
        for row in pair:
            if row is not None and len(found) < most and _shows(row):
                found[row["path"]] = row
    return sorted(found.values(), key=lambda row: -max(abs(row[goal] or 0.0) for goal in GOALS))


def _shows(row: Mapping[str, Any]) -> bool:
    """Whether a goal moves by what is printed."""
    return any(abs(row[goal] or 0.0) >= SMALLEST_SHOWN for goal in GOALS)


def value_of(row: Mapping[str, Any]) -> str:
    """The value of a knob; as its file writes it where the unit has no short name."""
    text = plain(row["value"], row["unit"])
    return row["text"] if "**" in text else text


def plain(value: float, unit: str) -> str:
    """A number in its unit; temperatures in kelvin, of which a percent is one."""
    if unit == "kelvin":
        return f"{value:.4g} K"
    if not unit and value == int(value) and abs(value) < 1e6:
        return f"{value:,.0f}"
    return quantity(value, unit or None)


def ends(row: Mapping[str, Any]) -> str:
    """A range; its unit once where both ends share it."""
    if row["low"] is None:
        return ""
    low, high = (plain(end, row["unit"]) for end in (row["low"], row["high"]))
    if "**" in low:
        return " .. ".join(f"{row[end] / row['value']:.2g}x" for end in ("low", "high"))
    number, _, unit = low.partition(" ")
    shown, _, larger = high.partition(" ")
    if unit != larger and row["high"]:  # 400 fJ .. 1.60 pJ: 0.4 .. 1.60 pJ
        number = f"{row['low'] * float(shown.replace(',', '')) / row['high']:.3g}"
    return f"{number} .. {high}"


def short(path: str) -> str:
    """A path as one may type it: the word between a tier or link and its technology left out."""
    return path.replace(".technology.", ".")


def advice(best: Mapping[str, Any]) -> str:
    """The one knob that pays most for each goal."""
    said = []
    for goal, label in GOALS.items():
        found = best.get(goal)
        if found:
            said.append(f"{label}: {found['direction']} {found['path']} "
                        f"({per_percent(abs(found['elasticity']))} per 1 %)")  # fmt: skip
    return "pays most   " + "\n            ".join(said) if said else "nothing of the chip pays"


def prices(result: Mapping[str, Any], point: Mapping[str, Any]) -> Any:
    """What a step of each binding limit buys; a sentence where none binds."""
    rows = [
        (item["limit"], quantity(item["allowed"], item["unit"]), f"+{_step(item)}",
         percent(item["user_tokens_per_s"], 2), percent(item["system_tokens_per_s_per_w"], 2),
         item["moves"])
        for item in result["shadow_prices"]
    ]  # fmt: skip
    if not rows:
        return f"No limit binds, so relaxing one buys nothing by itself. {_nearest(point)}"
    made = table("What a step of a binding limit buys (by gradient; the knob named moves with it)",
                 ["limit", "allowed", "step", "user tok/s", "tok/s/W", "by moving"],
                 rows)  # fmt: skip
    made.columns[5].justify = "left"
    return made


def _step(item: Mapping[str, Any]) -> str:
    if item["unit"] == "kelvin":
        return f"{item['step']:g} K"
    return units.show(item["step"], item["unit"] or None, 1)


def _nearest(point: Mapping[str, Any]) -> str:
    filled = {name: _filled(at) for name, at in point["limits"].items()}
    known = {name: value for name, value in filled.items() if value is not None}
    if not known:
        return ""
    name = max(known, key=lambda name: known[name])
    at = point["limits"][name]
    used, allowed = quantity(at["used"], at["unit"]), quantity(at["allowed"], at["unit"])
    return f"Nearest: {name}, {used} of {allowed}."


def span(result: Mapping[str, Any]) -> str:
    """What the range is a range of, and which constants make it."""
    found = result["range"]
    low, high = (f"{100 * q:.0f}" for q in found["quantiles"])
    names = dict.fromkeys(t["path"] for goal in GOALS for t in found[goal]["telling"])
    words = (f"range       {low} % to {high} % of {found['draws']} draws of the "
             f"{found['constants']} constants of the chip within their stated ranges;\n"
             "            the change is of paired draws: what both sides share moves both"
             )  # fmt: skip
    if names:
        words += f"; widest by {', '.join(list(names)[:3])}"
    held = found["feasible_fraction"]["changed"]
    return (
        words
        if held == 1
        else f"{words}\n            every limit holds in {100 * held:.0f} % of the draws"
    )


def curves(result: Mapping[str, Any]) -> list[Any]:
    """Both batch curves at equal user speed and at equal efficiency."""
    if "curve" not in result:
        return []
    found = []
    for key, goal, other, title in (
        ("at_equal_user_speed", "user_tokens_per_s", "token / joule",
         "Along the batch curve, at equal user speed: System tokens/s/W"),
        ("at_equal_efficiency", "system_tokens_per_s_per_w", "token / second",
         "Along the batch curve, at equal efficiency: User tokens/s"),
    ):  # fmt: skip
        unit = ROWS[goal][1]
        rows = [(quantity(row[goal], unit), quantity(row["base"], other),
                 quantity(row["changed"], other), percent(row["change_fraction"]))
                for row in result["curve"][key]]  # fmt: skip
        at = "at user speed" if goal == "user_tokens_per_s" else "at efficiency"
        found.append(table(title, [at, "base", "what-if", "change"], rows) if rows else
                     f"{title}: the two curves share no level")  # fmt: skip
    return found


def _rounded(value: float | None, unit: str) -> str:
    """A number whose last binary digit does not decide how a half is rounded."""
    return quantity(None if value is None else value * (1 + 1e-12), unit)


def spaced(parts: Iterable[Any]) -> list[Any]:
    """Parts that are there, with blank lines between."""
    return tables.blank([part for part in parts if part is not None and part != ""])
