"""The numbers of a chip as rows of sliders: grouped by part, each with unit, range and source."""

import re
from collections.abc import Iterator
from typing import Any

import jax

from dse import units
from dse.explore.answer import Side
from dse.questions.case import Case
from dse.questions.knobs import DECIDED, WHOLE, Knob, knobs_of, leaf_paths, with_rail
from dse.specs import library, load, schema

SPAN = 10.0  # a slider reaches from a tenth to ten times the value
VOLTS = (0.4, 1.2)
KELVIN = (253.0, 423.0)
# Last words of the paths an architect reaches for first; the others wait behind "more".
FIRST = {*DECIDED, "peak", "latency", "read", "energy", "heat_limit", "share"} - {
    "macro", "port", "pitch", "rack", "rack_chips", "group_chips", "ratio", "shares_rate",
    "exponentials", "tiles", "lane_rate",
}  # fmt: skip
GROUPS = (
    ("Voltage and clock", ("voltage", "clock", "sram_voltage", "nominal_voltage", "nominal_clock",
                           "minimum_voltage")),
    ("Memory", ("memory", "sram")),
    ("Links", ("link",)),
    ("Compute", ("compute", "vector")),
    ("On-chip network", ("on_chip", "pipeline_fill")),
    ("Power and cooling", ("tdp", "cooling", "power", "host")),
    ("Silicon and package", ("die", "dies", "packaging", "floorplan")),
    ("Process", ("logic",)),
    ("Software", ("style",)),
    ("Money", ("economics",)),
)  # fmt: skip
ORDER = ("voltage", "clock", "sram_voltage", "bandwidth", "capacity", "latency", "read", "peak",
         "macs", "tdp", "die", "dies")  # fmt: skip
FIRST_OF_TECHNOLOGY = ("read", "energy")
NEVER_FIRST = ("Process", "Software", "Money", "On-chip network")
# Left unset these follow a law; shown at what they follow.
FOLLOWING = ("clock", "bandwidth", "capacity", "latency")
SYMBOLS = {"byte": "B", "second": "s", "watt": "W", "kelvin": "K", "joule": "J", "meter": "m",
           "usd": "USD", r"mm\*\*2": "mm2", "ohm": "Ohm", "mac": "MAC"}  # fmt: skip


def panel(side: Side) -> dict[str, Any]:
    """Groups of rows, and the places where a technology is chosen."""
    case = side.case
    rows = [*_following(side), *_numbers(case)]
    groups = []
    for title, heads in GROUPS:
        mine = [row for row in rows if row["path"].split(".")[0] in heads]
        mine.sort(key=_rank)
        if title in NEVER_FIRST:
            mine = [row | {"first": False} for row in mine]
        choices = [item for item in _choices(case.chip) if item["path"].split(".")[0] in heads]
        if mine or choices:
            groups.append({"title": title, "choices": choices, "rows": mine})
    return {"chip": case.chip.title, "groups": groups}


def _rank(row: dict[str, Any]) -> tuple[bool, int]:
    """Rows in view before the others, what an architect asks about most before the rest."""
    last = row["path"].split(".")[-1]
    return not row["first"], ORDER.index(last) if last in ORDER else len(ORDER)


def values(base: Side, changed: Side) -> dict[str, float]:
    """Path -> SI value of every number that differs from the base's."""
    found = {}
    old, new = (with_rail(side.case.chip.spec) for side in (base, changed))
    if jax.tree.structure(old) == jax.tree.structure(new):
        pairs = enumerate(zip(jax.tree.leaves(old), jax.tree.leaves(new), strict=True))
        differing = [(index, after) for index, (before, after) in pairs if before != after]
        if differing:
            paths = [path for path, _ in leaf_paths(new)]
            found = {paths[index]: float(after) for index, after in differing}
    else:
        before = dict(leaf_paths(old))
        found = {path: at for path, at in leaf_paths(new) if before.get(path) != at}
    for path, (value, _, _) in changed.following.items():
        before = base.following.get(path, (None,))[0]
        if _is_row(path) and path not in found and value is not None and value != before:
            found[path] = value
    return found


def _is_row(path: str) -> bool:
    return " " not in path and path.split(".")[-1] in FOLLOWING


def _numbers(case: Case) -> Iterator[dict[str, Any]]:
    for knob in knobs_of(case.chip, with_rail(case.chip.spec)):
        yield _row(knob, about(case.chip.spec, knob.path), case.chip.record.get(knob.path) is None)


def _following(side: Side) -> Iterator[dict[str, Any]]:
    """Rows of what is left unset, at the value it follows."""
    case = side.case
    for path, (value, unit, _) in side.following.items():
        if _is_row(path) and path not in case.chip.record and value and settable(case.chip, path):
            knob = Knob(path, value, unit or None, "", "follows a law", None, None, -1)
            yield _row(knob, about(case.chip.spec, path), True)


def settable(chip: load.Loaded, path: str) -> bool:
    """Whether a chip has a place for a number of this path, stated or not."""
    return about(chip.spec, path) is not None


def about(spec: Any, path: str) -> str | None:
    """The sentence that describes a number; None where a spec has no such place."""
    node: Any = spec
    *heads, last = path.split(".")
    for part in heads:
        if isinstance(node, dict):
            node = node.get(part)
        elif isinstance(node, (list, tuple)):
            node = node[int(part)] if part.isdecimal() and int(part) < len(node) else None
        else:
            entry = schema.rules(type(node)).get(part) if node is not None else None
            node = getattr(node, entry[0]) if entry else None
    entry = schema.rules(type(node)).get(last) if hasattr(node, "__dataclass_fields__") else None
    return entry[2].about if entry else None


def _row(knob: Knob, said: str | None, follows: bool) -> dict[str, Any]:
    symbol, factor = scale(knob.value, knob.unit)
    low, high = ends(knob)
    words = knob.path.split(".")
    deep = len(words) > 2 and words[2] == "technology" and words[-1] not in FIRST_OF_TECHNOLOGY
    return {
        "path": knob.path, "label": label(knob.path), "about": said or "",
        "value": knob.value, "unit": symbol, "factor": factor,
        "low": knob.low, "high": knob.high, "from": low, "to": high,
        "whole": knob.is_whole or words[-1] in ("stacks", "layers", "lanes", "macs"),
        "source": knob.source, "follows": follows,
        "first": words[-1] in FIRST and not deep,
    }  # fmt: skip


def label(path: str) -> str:
    """A path as people say it; the head that the group names is left out."""
    words = path.replace(".technology.", ".").replace("_", " ").split(".")
    if words[0] in ("memory", "link", "compute", "logic", "style", "economics"):
        words = words[1:]
    return " ".join(words)


def scale(value: float, unit: str | None) -> tuple[str, float]:
    """The unit a value is written in for people, and how much of it one SI unit is."""
    if unit is None:
        return "", 1.0
    if unit == "kelvin":
        return "K", 1.0
    symbol = units.show(value or 1.0, unit).partition(" ")[2]
    symbol = symbol.removeprefix("1")  # 0.0008 1/mm2 without its space would read otherwise
    for long, short in SYMBOLS.items():
        symbol = re.sub(rf"\b{long}(?!\w)", short, symbol)
    try:
        return symbol, 1.0 / units.parse(f"1 {symbol}", unit)
    except units.UnitError:
        return symbol, 1.0


def ends(knob: Knob) -> tuple[float | None, float | None]:
    """Both ends of a slider; None where a number has no scale of factors (it is zero)."""
    if not knob.value > 0:
        return None, None
    if knob.unit == "volt":
        low, high = VOLTS
    elif knob.unit == "kelvin":
        low, high = KELVIN
    elif knob.unit is None and knob.value <= 1 and not knob.is_whole:
        low, high = knob.value / SPAN, max(1.0, knob.value)
    else:
        low, high = knob.value / SPAN, knob.value * SPAN
    if knob.is_whole or knob.path.split(".")[-1] in WHOLE:
        low = max(low, 1.0)
    low = min(low, knob.value, *(end for end in (knob.low,) if end))
    high = max(high, knob.value, *(end for end in (knob.high,) if end))
    return low, high


def _choices(chip: load.Loaded) -> list[dict[str, Any]]:
    """Places where a technology is named, and what may stand there."""
    found = []
    for path, table, key, rule in load.references(chip.tree, type(chip.spec)):
        if key in table:
            found.append({"path": path, "label": label(path.replace(".technology", "")) or path,
                          "options": library.names(rule.folder)})  # fmt: skip
    return found
