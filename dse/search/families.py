"""The ``[space]`` table of a study as families of chips and the axes that move them.

A choice (process, packaging, cooling, execution style, a memory or link technology, or any value)
makes one family for each of its values, of the chips that have it. An axis belongs to the families
whose chip has its path and, in a memory tier, whose technology looks at it: chips without DRAM have
no DRAM knobs, stacked DRAM has layers, HBM has stacks.
"""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from dse import units
from dse.resources import logic
from dse.resources.memory import LAW_FIELDS
from dse.resources.provision import provision
from dse.search.space import Axis, Family, Space, choice_word, leaf_of
from dse.specs import load, overrides
from dse.specs.hardware import HardwareSpec
from dse.specs.schema import SpecError, nearest

MOST_FAMILIES = 24


def read(bases: Sequence[str], raw, problems: list[str]) -> Space:
    """The space of a study's ``[space]`` table; what is wrong with it is added to ``problems``."""
    if raw.knobs not in ("default", "none"):
        problems.append(f'space.knobs: {raw.knobs!r} is unknown; wanted "default" or "none"')
    before = len(problems)
    choices = _choices(raw.hardware, problems)
    moved = {k: v for k, v in raw.hardware.items() if not _is_choice(v)}
    used: set[str] = set()
    families = [
        family
        for base in dict.fromkeys(bases)
        for family in _families(base, choices, moved, raw, (used, problems))
    ]
    if len(problems) == before:
        for key in (*raw.hardware, *raw.hold):
            if key not in used:
                problems.append(f"space.hardware.{key}: {_unused(key, families)}")
    if len(families) > MOST_FAMILIES:
        problems.append(
            f"space.hardware: {len(families)} structures; at most {MOST_FAMILIES} at once"
        )
    families, parameters = _shared(families)
    paths = dict.fromkeys(path for family in families for path, _ in family.choices)
    offered = {p: tuple(dict.fromkeys(v for f in families for q, v in f.choices if q == p))
               for p in paths}  # fmt: skip
    return Space(tuple(families), parameters, tuple(offered.items()))


def _unused(key: str, families: Sequence[Family]) -> str:
    """Why a key of the study changes none of its chips."""
    if any(_choice_path(family.loaded, key) for family in families):
        paths = [_full_path(family.loaded, key) for family in families]
        if not any(paths):
            return "names a technology; wanted { choices = [...] }"
        return "no technology of this study looks at it"
    places = [path for family in families for path, _, _ in _places(family.loaded)]
    return f"no chip of this study has it{nearest(key, places)}"


def _is_choice(entry: Any) -> bool:
    return isinstance(entry, Mapping) and set(entry) == {"choices"}


def _choices(raw: Mapping[str, Any], problems: list[str]) -> dict[str, tuple[str, ...]]:
    """Path -> the values it may take, as spec files would write them."""
    found = {}
    for key, entry in raw.items():
        if not _is_choice(entry):
            continue
        values = entry["choices"]
        plain = isinstance(values, list) and all(type(v) in (str, int, float) for v in values)
        if not plain or not values:
            problems.append(f"space.hardware.{key}: choices {values!r}: wanted a list of names or "
                            "values")  # fmt: skip
            continue
        found[key] = tuple(dict.fromkeys(map(str, values)))
    return found


def _places(loaded: load.Loaded):
    return list(overrides.paths(loaded.tree, HardwareSpec))


def _families(base, choices, moved, raw, notes) -> list[Family]:
    used, problems = notes
    try:
        plain = load.load("chips", base)
    except SpecError as error:
        problems += [f"hardware: {problem}" for problem in error.problems]
        return []
    has = {}
    for key, values in choices.items():
        path = _choice_path(plain, key)
        if path is not None:
            used.add(key)
            has[path] = values
    found = []
    for combination in itertools.product(*has.values()):
        chosen = tuple(zip(has, combination, strict=True))
        try:
            loaded = load.load("chips", base, chosen) if chosen else plain
        except SpecError as error:
            problems += [f"space.hardware: {base}: {problem}" for problem in error.problems]
            continue
        axes, start = _axes(loaded, chosen, moved, raw, notes)
        said = "".join(f" {choice_word(k)}={v}" for k, v in chosen)
        family = Family(base + said, base, chosen, loaded, axes, start)
        problems += _gaps(family) if chosen else []
        found.append(family)
    return found


def _choice_path(loaded: load.Loaded, key: str) -> str | None:
    """The path a choice means: a named technology, of a tier or link also by its entry alone."""
    technologies = {p for p, *_ in load.references(loaded.tree, HardwareSpec)}
    for path in (key, f"{key}.technology"):
        if path in technologies:
            return path
    return _full_path(loaded, key)


def _gaps(family: Family) -> list[str]:
    """What a chosen technology needs that neither the chip nor the study says."""
    try:
        provision(family.with_values(family.start))
    except SpecError as error:
        return [f"space.hardware: {family.name}: {problem}; give it a range in [space.hardware]"
                for problem in error.problems]  # fmt: skip
    return []


def _full_path(loaded: load.Loaded, key: str) -> str | None:
    places = {path: (table, k) for path, table, k in _places(loaded)}
    return overrides.find_path(key, places, [])


def _axes(loaded, chosen, moved, raw, notes) -> tuple[tuple[Axis, ...], tuple]:
    """The axes of one chip: its own knobs, then what the study says.

    Without what is held, what a choice decides, and what its technology does not look at.
    """
    used, problems = notes
    entries: dict[str, tuple[Any, str]] = {}
    taken = {path for path, *_ in chosen}
    if raw.knobs == "default":
        for key, entry in loaded.meta.get("knobs", {}).items():
            path = _full_path(loaded, key)
            if path is not None:
                entries[path] = (entry, f"knobs of {loaded.name}")
    for key, entry in moved.items():
        path = _full_path(loaded, key)
        if path is not None and _matters(loaded.spec, path):
            used.add(key)
            entries[path] = (entry, "study")
    for key in raw.hold:
        path = _full_path(loaded, key)
        if path is not None:
            used.add(key)
            entries.pop(path, None)
    found = [_axis(loaded, path, entry, origin, problems)
             for path, (entry, origin) in entries.items()
             if path not in taken and _matters(loaded.spec, path)]  # fmt: skip
    kept = [(axis, start) for axis, start in found if axis is not None]
    return tuple(axis for axis, _ in kept), tuple(start for _, start in kept)


def _matters(spec: HardwareSpec, path: str) -> bool:
    """Whether the technology of a memory tier looks at a path of it."""
    parts = path.split(".")
    if parts[0] != "memory" or len(parts) != 3:
        return True
    return parts[2] in LAW_FIELDS[spec.memory[parts[1]].technology.law]


def _axis(loaded, path: str, entry: Any, origin: str, problems: list[str]):
    key = f"space.hardware.{path}" if origin == "study" else f"{loaded.name}: knobs.{path}"
    record = dict(entry) if isinstance(entry, Mapping) else {"range": entry}
    extra = set(record) - {"range", "scale", "coupled"}
    if extra or not isinstance(record.get("range"), list) or len(record["range"]) != 2:
        problems.append(f"{key}: wanted [low, high], {{ range, scale }} or {{ choices }}")
        return None, None
    unit = load.numeric_unit(loaded, path)
    try:
        low, high = (units.parse(end, unit) for end in record["range"])
    except units.UnitError as error:
        problems.append(f"{key}: {error}")
        return None, None
    scale = record.get("scale", "linear")
    whole = all(isinstance(end, int) and not isinstance(end, bool) for end in record["range"])
    axis = Axis(path, path, unit, low, high, scale == "log", whole, origin)
    start = _start(loaded.spec, axis)
    problem = _range_problem(axis, scale, start)
    if problem:
        problems.append(f"{key}: {problem}")
        return None, None
    return axis, start


def _range_problem(axis: Axis, scale: str, start: float) -> str | None:
    if scale not in ("log", "linear"):
        return f"scale {scale!r} is unknown{nearest(scale, ('log', 'linear'))}"
    if not axis.low < axis.high:
        return f"the range {axis.show(axis.low)} to {axis.show(axis.high)} is empty"
    if axis.log and axis.low <= 0:
        return "a log scale needs a range above zero"
    if not axis.low * (1 - 1e-9) <= start <= axis.high * (1 + 1e-9):
        between = f"{axis.show(axis.low)} to {axis.show(axis.high)}"
        return f"the chip's {axis.show(start)} lies outside {between}"
    return None


def _start(spec: HardwareSpec, axis: Axis) -> float:
    """What the chip's file says, or what the law it follows gives."""
    value = leaf_of(spec, axis.path)
    if value is None and axis.path == "clock":
        value = logic.clock_limit_hz(spec, logic.voltage_v(spec))
        value = min(max(float(value), axis.low), axis.high)
    if value is None and axis.path.endswith(".ratio"):
        tier = leaf_of(spec, axis.path.removesuffix(".ratio"))
        value = tier.technology.stack_bandwidth_bytes_per_s / tier.technology.stack_capacity_bytes
    return float(axis.from_unit_cube(0.5)) if value is None else float(value)


def _shared(families: list[Family]) -> tuple[list[Family], tuple[Axis, ...]]:
    """Name the parameters: a path of one range everywhere is one parameter of all families."""
    ranges: dict[str, set] = {}
    for family in families:
        for axis in family.axes:
            ranges.setdefault(axis.path, set()).add((axis.low, axis.high, axis.log, axis.whole))
    renamed, parameters = [], {}
    for family in families:
        axes = tuple(
            axis if len(ranges[axis.path]) == 1
            else dataclasses.replace(axis, name=f"{axis.path}@{family.name}")
            for axis in family.axes
        )  # fmt: skip
        parameters |= {axis.name: axis for axis in axes if axis.name not in parameters}
        renamed.append(dataclasses.replace(family, axes=axes))
    return renamed, tuple(parameters.values())
