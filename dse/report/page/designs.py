"""The designs of a report: three in full beside each other, and the front as a table."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from dse import units
from dse.report import tables

NAMES = {
    "high_efficiency_decoder": "High Efficiency Decoder",
    "knee": "Knee",
    "low_latency_decoder": "Low Latency Decoder",
}
GOALS: tuple[tuple[str, str, str | None], ...] = (
    ("User tokens/s", "user_tokens_per_s", None),
    ("System tokens/s/W", "system_tokens_per_s_per_w", None),
    ("Time per output token", "tpot_s", "second"),
    ("Energy per output token", "j_per_token", "joule"),
    ("Users in flight", "users_in_flight", None),
    ("Waits for", "bottleneck", None),
)
SYSTEM: tuple[tuple[str, str, str | None], ...] = (
    ("Chips", "chips", None),
    ("Power of the replica", "power_w", "watt"),
    ("Power of one chip", "chip_power_w", "watt"),
    ("Heat flux", "die_power_density_w_per_mm2", "watt / mm**2"),
    ("Junction", "junction_k", "kelvin"),
    ("Area of a die", "area_mm2", "mm**2"),
    ("Silicon of the replica", "silicon_mm2", "mm**2"),
    ("Parts and host", "cost_usd", "usd"),
    ("USD per million tokens", "usd_per_million_tokens", None),
    ("Load", "load", None),
)


class Line(NamedTuple):
    """A row of the specs: a head, and per design a value and what is remarkable about it."""

    head: str
    cells: list[tuple[str, str]]


def named(contents: Mapping[str, Any]) -> dict[str, Any]:
    """Both decoders and the knee: heads, and groups of lines."""
    front = contents["front"]
    by_id = {design["id"]: design for design in front["designs"]}
    keys = [key for key in NAMES if front[key] in by_id]
    found = [by_id[front[key]] for key in keys]
    return {
        "heads": [(NAMES[key], design["id"], front["families"][design["family"]])
                  for key, design in zip(keys, found, strict=True)],
        "groups": [
            ("At this point", [_line(*row, found) for row in GOALS]),
            ("Deployment", _deployment(found)),
            ("Hardware, as searched", _hardware(found)),
            ("System", [_line(*row, found) for row in SYSTEM]),
            ("Held by", _held(found)),
        ],
    }  # fmt: skip


def _line(head: str, key: str, unit: str | None, found: list[dict[str, Any]]) -> Line:
    return Line(head, [(_shown(design.get(key), unit), "") for design in found])


def _shown(value: Any, unit: str | None) -> str:
    if isinstance(value, str) or value is None:
        return value or "-"
    if unit is None:
        return f"{value:.3g}" if abs(value) < 100 and value != int(value) else f"{value:,.0f}"
    return units.show(value, unit)


def _deployment(found: list[dict[str, Any]]) -> list[Line]:
    names = dict.fromkeys(name for design in found for name in design["deployment"])
    lines = [Line(name.replace("_", " "),
                  [(_shown(d["deployment"].get(name), None), _mark(name, d)) for d in found])
             for name in names]  # fmt: skip
    for name in ("kv", "activations"):
        shown = [(design.get("formats", {}).get(name, "-"), "") for design in found]
        lines.append(Line({"kv": "KV cache"}.get(name, name), shown))
    return lines


def _hardware(found: list[dict[str, Any]]) -> list[Line]:
    """Base chip, choices, and every knob with its unit and the bound it sits at."""
    lines = [Line("base chip", [(design["hardware"]["base"], "") for design in found])]
    choices = dict.fromkeys(name for d in found for name in d["hardware"]["choices"])
    for name in choices:
        lines.append(
            Line(name, [(str(d["hardware"]["choices"].get(name, "-")), "") for d in found])
        )
    paths = dict.fromkeys(knob["path"] for d in found for knob in d["hardware"]["knobs"])
    for path in paths:
        cells = []
        for design in found:
            knob = next((k for k in design["hardware"]["knobs"] if k["path"] == path), None)
            cells.append(("-", "") if knob is None else (_knob(knob), _mark(path, design)))
        lines.append(Line(path, cells))
    return lines


def _knob(knob: Mapping[str, Any]) -> str:
    value, unit = float(knob["value"]), knob["unit"]
    if unit is None and value == int(value):
        return f"{value:,.0f}"
    return units.show(value, unit)


def _mark(name: str, design: Mapping[str, Any]) -> str:
    """Whether a knob or a choice ended at a bound of the space."""
    for bound, words in (("low", "at its lower bound"), ("high", "at its upper bound")):
        if f"{name} {bound}" in design["knobs_at_bounds"]:
            return words
    return ""


def _held(found: list[dict[str, Any]]) -> list[Line]:
    def joined(key: str) -> Callable[[Mapping[str, Any]], str]:
        return lambda design: ", ".join(design[key]) or "none"

    heads = (("Active limits", joined("active_constraints")),
             ("Beyond silicon shown", joined("extrapolated")))  # fmt: skip
    return [Line(head, [(shown(design), "") for design in found]) for head, shown in heads]


# --- the front ----------------------------------------------------------------------------------


class Column(NamedTuple):
    """A column: its head, the text of a design, and what it is sorted by."""

    head: str
    text: Callable[[dict[str, Any]], str]
    key: Callable[[dict[str, Any]], float | str]


def _number(head: str, key: str, unit: str | None = None) -> Column:
    return Column(head, lambda d: tables.quantity(d[key], unit) if unit else tables.count(d[key]),
                  lambda d: d[key])  # fmt: skip


def table(front: Mapping[str, Any]) -> dict[str, Any]:
    """The front from slow to fast: heads, and rows of (text, what it is sorted by)."""
    marks = {front[key]: name for key, name in reversed(NAMES.items())}
    further = [
        name
        for name in front["objectives"]
        if name not in ("user_tokens_per_s", "system_tokens_per_s_per_w")
    ]
    columns = [
        Column("id", lambda d: d["id"], lambda d: float(d["trial"])),
        Column("", lambda d: marks.get(d["id"], ""), lambda d: marks.get(d["id"], "")),
        Column("family", lambda d: front["families"][d["family"]], lambda d: d["family"]),
        _number("user tok/s", "user_tokens_per_s"),
        Column("tok/s/W", lambda d: f"{d['system_tokens_per_s_per_w']:.3g}",
               lambda d: d["system_tokens_per_s_per_w"]),
        _number("energy/token", "j_per_token", "joule"),
        *[_number(name, name) for name in further if name in front["designs"][0]],
        _number("users", "users_in_flight"),
        _number("chips", "chips"),
        _number("chip power", "chip_power_w", "watt"),
        Column("split", _split, _split),
        Column("held by", lambda d: ", ".join(d["active_constraints"]),
               lambda d: ", ".join(d["active_constraints"])),
    ]  # fmt: skip
    designs = sorted(front["designs"], key=lambda d: d["user_tokens_per_s"])
    return {
        "heads": [(column.head, isinstance(column.key(designs[0]), str)) for column in columns],
        "rows": [
            {"id": d["id"], "cells": [(column.text(d), column.key(d)) for column in columns]}
            for d in designs
        ],
    }


def _split(design: Mapping[str, Any]) -> str:
    said = [
        f"{name.replace('_', ' ')} {value:g}" if not isinstance(value, str) else value
        for name, value in design["deployment"].items()
        if name != "batch" and value != 1
    ]
    return " ".join(said)
