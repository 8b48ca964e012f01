"""An operating point as tables for people, from the object that ``--json`` prints.

Every function takes that object, so that a table cannot say anything else than the JSON does.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from dse import units
from dse.report.palette import COMPONENTS, colour, label
from dse.report.words import fidelity

TIME_ROWS = ("weights", "kv_cache", "compute", "communication", "overhead")
ENERGY_ROWS = ("weights", "kv_cache", "compute", "communication", "static", "host", "prefill")
NEAR_LIMITS = 6
# Limits from below: what must be reached is what is "used" of the value.
FLOORS = ("minimum_voltage", "sram_voltage")
SCOPE_MEANING = {
    "accelerator": "the boards of all chips",
    "system": "boards, host share, switches, NICs, fans, power supplies",
    "facility": "system power times PUE",
}


def grid(title: str | None = None) -> Table:
    """The one style of table: no frame, a rule under the header."""
    return Table(title=title, box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")


def table(title: str | None, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> Table:
    """A table whose first column is words and whose others are numbers."""
    made = grid(title)
    for index, column in enumerate(columns):
        made.add_column(column, justify="right" if index else "left", no_wrap=not index,
                        overflow="fold")  # fmt: skip
    for row in rows:
        made.add_row(*[cell if isinstance(cell, Text) else _shown(cell) for cell in row])
    return made


def _shown(cell: Any) -> Text:
    return Text("-" if cell is None else str(cell))


def component(name: str) -> Text:
    """A component in its colour."""
    return Text(label(name), style=colour(name))


def count(value: float | None) -> str:
    """Four digits, thousands with commas: 17,130 rather than 1.713e+04."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if 1e3 <= abs(value) < 1e9 else f"{value:,.4g}"


def quantity(value: float | None, unit: str | None, digits: int = 3) -> str:
    """A number with its unit; a dash where there is none."""
    return "-" if value is None else units.show(value, unit, digits)


def stated(text: str) -> str:
    """A stated quantity as it is; one that a computer found to four digits."""
    return re.sub(r"\d[\d.]{8,}", lambda found: f"{float(found[0]):.4g}", text)


def share(part: float | None, whole: float | None) -> str:
    """A share in percent."""
    if part is None or not whole:
        return "-"
    return f"{100 * part / whole:.1f} %" if part else "0 %"


# --- the verdict --------------------------------------------------------------------------------


def heading(result: Mapping[str, Any], titles: Mapping[str, str]) -> Text:
    """What was asked: chips, model, lengths, split, formats; which power and fidelity."""
    splits = [f"{name} {result[name]:g}" for name in ("tp", "kvp", "dp", "ep", "pp")
              if result[name] is not None and (name == "tp" or result[name] > 1)]  # fmt: skip
    first = (f"{titles['chip']} x{result['chips']:g}, {titles['model']}, "
             f"{result['context_tokens']:,.0f} tokens of context, batch {result['batch']:g}, "
             f"{', '.join(splits)}")  # fmt: skip
    formats = f"weights {result['weights']}, KV cache {result['kv']}"
    if result["expert_weights"] != result["weights"]:
        formats += f", experts {result['expert_weights']}"
    formats += f", activations {result['activations']}"
    return Text.assemble(
        (first, "bold"),
        f"\ndecode, output tokens, {result['power_scope']} power, "
        f"{fidelity(result['fidelity'])}; {formats}",
    )


def verdict(result: Mapping[str, Any]) -> Table:
    """Both goals first, then power, bottleneck and money."""
    made = table(None, ["", "", ""], [])
    made.show_header = False
    made.columns[2].justify = "left"
    rows = [
        ("User tokens/s", quantity(result["user_tokens_per_s"], "token / second"),
         f"{quantity(result['tpot_s'], 'second')} per output token"),
        ("System tokens/s/W", quantity(result["system_tokens_per_s_per_w"], "token / joule"),
         f"{quantity(result['j_per_token'], 'joule / token')} "
         f"({SCOPE_MEANING[result['power_scope']]})"),
        ("System tokens/s", quantity(result["system_tokens_per_s"], "token / second"),
         f"{result['users_in_flight']:g} users in flight"),
        ("Power", quantity(result["power_w"], "watt"),
         f"{quantity(result['chip_power_w'], 'watt')} per chip, {_throttling(result)}"),
        ("Bottleneck", "", result["bottleneck"]),
        ("Cost", f"{quantity(result['usd_per_million_tokens'], None)} USD/M tokens",
         f"parts and host {quantity(result['cost_usd'], 'usd')}"),
    ]  # fmt: skip
    for index, (name, value, more) in enumerate(rows):
        made.add_row(Text(name), Text(value, style="bold" if index < 2 else ""), Text(more))
    return made


def bands(result: Mapping[str, Any]) -> Text:
    """80 % bands of both goals and of board power, and what they are bands of."""
    found, said, outside = result["bands"], [], []
    for name, words, unit in (("user_tokens_per_s", "user tokens/s", "token / second"),
                              ("system_tokens_per_s_per_w", "system tokens/s/W", "token / joule"),
                              ("chip_power_w", "per chip", "watt")):  # fmt: skip
        if found[name]:
            low, high = (quantity(end, unit) for end in found[name])
            if not found[name][0] <= (result[name] or 0.0) <= found[name][1]:
                outside.append(words)
            said.append(f"{low} .. {high}" + (f" {words}" if name == "chip_power_w" else ""))
    more = ", and what the fit leaves unexplained" if found["left_over"] else ""
    names = dict.fromkeys(item["path"] for goal in found["telling"].values() for item in goal[:2])
    wide = f"\n           widest by {', '.join(names)}" if names else ""
    if outside:
        wide += (f"\n           {' and '.join(outside)}: outside its band, because constants are "
                 "stated near an end of their range")  # fmt: skip
    head = f"{100 * found['level']:.0f} % band  {'; '.join(said)}\n"
    return Text(f"{head}           {found['constants']} constants within their ranges{more}{wide}")


def _throttling(result: Mapping[str, Any]) -> str:
    if not result["throttled"]:
        return f"clock {quantity(result['clock_hz'], 'hertz')}"
    return f"throttled: {100 * result['throttled_fraction']:.1f} % of the step waits for power"


def infeasible(result: Mapping[str, Any]) -> list[str]:
    """Each broken limit as a sentence."""
    said = []
    for item in result["violations"]:
        used, allowed = (quantity(item[end], item["unit"] or None) for end in ("used", "allowed"))
        words = (f"{allowed}, but needs at least {used}" if item["name"] in FLOORS
                 else f"{used} used, {allowed} allowed")  # fmt: skip
        said.append(f"{item['name']}: {words} (helps: {item['remedy']})")
    return said


# --- breakdowns ---------------------------------------------------------------------------------


def breakdowns(result: Mapping[str, Any]) -> Table:
    """Time of a step and energy of a token, by component."""
    times, joules = result["time_breakdown_s"], result["energy_breakdown_j"]
    step, token = result["step_s"], result["j_per_token"]
    made = table("Where time and energy go",
                 ["", "time per step", "share", f"energy per token ({result['power_scope']})",
                  "share"], [])  # fmt: skip
    for name in dict.fromkeys((*TIME_ROWS, *ENERGY_ROWS)):
        second, joule = times.get(name), joules.get(name)
        if not second and not joule:
            continue
        made.add_row(component(name), quantity(second, "second"), share(second, step),
                     quantity(joule, "joule"), share(joule, token))  # fmt: skip
    made.add_row("sum", quantity(step, "second"), "", quantity(token, "joule"), "")
    return made


def energy_scopes(result: Mapping[str, Any]) -> Table:
    """Joules per token within each boundary."""
    meaning = {
        "movement": "memory, network and links of weights and KV cache",
        **SCOPE_MEANING,
    }
    scopes = result["j_per_token_by_scope"]
    rows = [(name, quantity(scopes[name], "joule"), said) for name, said in meaning.items()]
    made = table("Energy per token by scope", ["scope", "energy", "what is inside"], rows)
    made.columns[2].justify = "left"
    return made


def critical_path(result: Mapping[str, Any], layers: float | None = None) -> Table:
    """What a token waits for, in turn; with ``layers``, nanoseconds per layer."""
    stages = [s for s in result["critical_path"] if s["seconds"] or s["seconds"] is None]
    whole = sum(s["seconds"] or 0.0 for s in stages)
    columns = ["stage", "count", "time", "share"] + (["ns each", "ns per layer"] if layers else [])
    rows = []
    for stage in sorted(stages, key=lambda stage: -(stage["seconds"] or 0.0)):
        row = [stage["stage"], count(stage["count"]), quantity(stage["seconds"], "second"),
               share(stage["seconds"], whole)]  # fmt: skip
        if layers:
            seconds, times = stage["seconds"] or 0.0, stage["count"] or 1.0
            row += [f"{seconds / times * 1e9:,.1f}", f"{seconds / layers * 1e9:,.0f}"]
        rows.append(row)
    return table("Critical path of one token", columns, rows)


def capacity(result: Mapping[str, Any]) -> Table:
    """Memory of the fullest chip, per tier."""
    placement = result["placement"]
    rows = [
        (tier, quantity(at["used_bytes"], "byte"), quantity(at["capacity_bytes"], "byte"),
         share(at["used_bytes"], at["capacity_bytes"]),
         share(placement["weights"].get(tier), 1), share(placement["kv_cache"].get(tier), 1))
        for tier, at in result["capacity"].items()
    ]  # fmt: skip
    return table("Memory of the fullest chip",
                 ["tier", "used", "capacity", "full", "of weights", "of KV cache"],
                 rows)  # fmt: skip


def limits(result: Mapping[str, Any], most: int | None = NEAR_LIMITS) -> Table:
    """Limits, the nearest to binding first."""

    def nearness(item: tuple[str, Mapping[str, Any]]) -> float:
        used, allowed = item[1]["used"], item[1]["allowed"]
        if used is None or not allowed:
            return float("inf") if used or used is None else 0.0
        return used / allowed

    found = sorted(result["limits"].items(), key=nearness, reverse=True)[:most]
    rows = [
        (name, quantity(at["used"], at["unit"] or None),
         quantity(at["allowed"], at["unit"] or None), share(at["used"], at["allowed"]))
        for name, at in found
    ]  # fmt: skip
    return table("Limits nearest to binding" if most else "Limits",
                 ["limit", "used", "allowed", "used share"], rows)  # fmt: skip


def named(title: str, amounts: Mapping[str, float | None], unit: str, total: str = "sum") -> Table:
    """A breakdown by name, with its sum."""
    whole = sum(value or 0.0 for value in amounts.values())
    order = [*COMPONENTS, *amounts]
    rows = [
        [component(name) if name in COMPONENTS else label(name), quantity(value, unit),
         share(value, whole)]
        for name, value in sorted(amounts.items(), key=lambda item: order.index(item[0]))
        if value
    ]  # fmt: skip
    return table(title, ["", "amount", "share"], [*rows, [total, quantity(whole, unit), ""]])


def ops(result: Mapping[str, Any]) -> Table:
    """The op table: one line per operator, all its layers."""
    rows = []
    for row in filter(lambda row: row["seconds"] != 0, result["ops"]):
        size = row["bytes"]
        bound = row["bound_by"]
        rows.append([
            row["op"], f"{row['layers']:g}", quantity(row["flops"], "flop"),
            quantity(size["weights"], "byte"), quantity(size["kv_cache"], "byte"),
            quantity(size["links"], "byte"), quantity(row["seconds"], "second"),
            share(row["light_speed_fraction"], 1), component(bound),
        ])  # fmt: skip
    made = table("Operators: one micro-batch through all layers, on one chip",
                 ["operator", "layers", "FLOPs", "weights", "KV cache", "links", "time", "of light",
                  "bound by"], rows)  # fmt: skip
    made.columns[8].justify = "left"
    return made


def extrapolated(result: Mapping[str, Any]) -> Text:
    """What no silicon has shown, or nothing."""
    found = result["extrapolated"]
    return Text(f"Extrapolated beyond silicon: {'; '.join(found)}", style="italic" if found else "")


def blank(parts: Iterable[Any]) -> list[Any]:
    """Renderables with an empty line between them; a title is a line of its own, never folded."""
    spaced: list[Any] = []
    for part in parts:
        if isinstance(part, Table) and part.title:
            spaced.append(Text(str(part.title), style="bold"))
            part.title = None
        spaced += [part, ""]
    return spaced[:-1]
