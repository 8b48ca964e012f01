"""The hardware half of a study's space: families of chips, their axes, and Optuna's view of both.

A *family* is a base chip with one combination of the categorical choices: one structure of the
model, compiled once. An *axis* is a number that moves. An axis of the same name and range in
several families is one parameter, so that crossover and surrogates learn it once; a parameter that
the drawn family lacks is carried along unused.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dse import smooth, units
from dse.resources import logic
from dse.specs import load, schema
from dse.specs.hardware import HardwareSpec

FAMILY = "hardware"  # the parameter that draws the base chip
SERVE_LEVEL = "serve_level"  # which point of a trial's own front is told: 0 efficient, 1 fast


@dataclasses.dataclass(frozen=True)
class Axis:
    """A number of the hardware that the search moves, in SI."""

    name: str  # of the parameter: its path, with @family where ranges differ
    path: str
    unit: str | None
    low: float
    high: float
    log: bool = False
    whole: bool = False
    origin: str = ""  # where its range is from

    @property
    def field(self) -> str:
        """The path with the unit of its value at the end: a key of results."""
        return field_path(HardwareSpec, self.path)

    @property
    def is_radix(self) -> bool:
        """Whether it counts peers of a link: worth something only where it reaches a whole group.

        Slopes see the lanes that a smaller radix frees, never the stage that it adds, so it is
        set to the size of groups and not moved.
        """
        return self.path.endswith(".radix")

    @property
    def is_coarse(self) -> bool:
        """Whether it takes few whole values, far apart."""
        return self.whole and self.high - self.low < 16

    def unit_cube(self, value):
        """Where a value lies in its range, 0 to 1."""
        if self.log:
            return np.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def from_unit_cube(self, share):
        """The value at a share of the range."""
        if self.log:
            value = self.low * (self.high / self.low) ** share
        else:
            value = self.low + (self.high - self.low) * share
        return np.round(value) if self.whole else value

    def relaxed(self, share):
        """The value at a traced share; whole axes are rounded, with the slope of no rounding."""
        import jax.numpy as jnp

        if self.log:
            value = self.low * (self.high / self.low) ** share
        else:
            value = self.low + (self.high - self.low) * share
        if not self.whole:
            return value
        return value + smooth.fixed(jnp.round(value) - value)

    def bound_hit(self, value: float) -> str | None:
        """``"low"`` or ``"high"`` where a value ends within 1 % of a bound, else None."""
        share = float(self.unit_cube(value))
        close = 0.01 if not self.whole else 1e-9
        return "low" if share <= close else "high" if share >= 1 - close else None

    def show(self, value: float) -> str:
        """The value for people."""
        return units.show(value, self.unit)


@dataclasses.dataclass(frozen=True)
class Family:
    """A base chip with its categorical choices made, and the axes that move it."""

    name: str
    base: str
    choices: tuple[tuple[str, str], ...]
    loaded: load.Loaded
    axes: tuple[Axis, ...]
    start: tuple[float, ...]

    @property
    def title(self) -> str:
        """The chip's name for people."""
        chosen = ", ".join(f"{choice_word(path)} {value}" for path, value in self.choices)
        # A search moves the numbers a chip's name may state, so families have words of their own.
        title = str(self.loaded.meta.get("facts", {}).get("family", self.loaded.title))
        return f"{title} ({chosen})" if chosen else title

    def from_unit_cube(self, shares: np.ndarray) -> np.ndarray:
        """Values ``[design, axis]`` at shares of the ranges."""
        columns = [a.from_unit_cube(c) for a, c in zip(self.axes, shares.T, strict=True)]
        return np.column_stack(columns) if columns else np.empty((len(shares), 0))

    def unit_cube(self, values: np.ndarray) -> np.ndarray:
        """Shares of the ranges ``[design, axis]`` where values lie."""
        columns = [a.unit_cube(c) for a, c in zip(self.axes, np.asarray(values).T, strict=True)]
        return np.column_stack(columns) if columns else np.empty((len(values), 0))

    def with_values(self, values: Sequence[Any], spec: HardwareSpec | None = None) -> HardwareSpec:
        """The chip with its axes set (numbers, columns or traced) and the clock settled."""
        paths = [axis.path for axis in self.axes]
        given = self.loaded.spec if spec is None else spec
        moved = with_leaves(given, dict(zip(paths, values, strict=True)))
        return settled(moved) if "clock" in paths else moved


@dataclasses.dataclass(frozen=True)
class Space:
    """All families and all parameters of a study."""

    families: tuple[Family, ...]
    parameters: tuple[Axis, ...]
    choices: tuple[tuple[str, tuple[str, ...]], ...]  # categorical path -> values
    levels: tuple[float, float] = (0.0, 1.0)  # the part of each front that is asked for

    @functools.cached_property
    def by_name(self) -> dict[str, Family]:
        """Family by name."""
        return {family.name: family for family in self.families}

    def family_of(self, parameters: Mapping[str, Any]) -> Family:
        """The family a trial's parameters draw."""
        base = parameters.get(FAMILY, self.families[0].base)
        chosen = {path: parameters[path] for path, _ in self.choices}
        for family in self.families:
            if family.base == base and all(chosen[p] == v for p, v in family.choices):
                return family
        raise KeyError(base)

    def values_of(self, parameters: Mapping[str, Any]) -> tuple[Family, list[float]]:
        """A trial's family and the values of the axes that family has."""
        family = self.family_of(parameters)
        return family, [float(parameters[axis.name]) for axis in family.axes]

    def distributions(self) -> dict[str, Any]:
        """Optuna's distributions of every parameter; all are drawn in every trial."""
        from optuna import distributions as d

        found: dict[str, Any] = {}
        bases = tuple(dict.fromkeys(family.base for family in self.families))
        if len(bases) > 1:
            found[FAMILY] = d.CategoricalDistribution(bases)
        for path, values in self.choices:
            found[path] = d.CategoricalDistribution(values)
        for axis in self.parameters:
            if axis.whole:
                found[axis.name] = d.IntDistribution(int(axis.low), int(axis.high), log=axis.log)
            else:
                found[axis.name] = d.FloatDistribution(axis.low, axis.high, log=axis.log)
        return found | {SERVE_LEVEL: d.FloatDistribution(*self.levels)}

    def part(self, names: Sequence[str], levels: tuple[float, float]) -> "Space":
        """Some families of the space, and of their fronts the part between two levels.

        A family is drawn by its name, since not all combinations of its choices may be left.
        """
        families = tuple(dataclasses.replace(self.by_name[name], base=name, choices=())
                         for name in names)  # fmt: skip
        return Space(families, parameters_of(families), (), levels)

    def start_parameters(self, family: Family, serve_level: float) -> dict[str, Any]:
        """Parameters of a family's chip as its file states it."""
        return self.parameters_of(family, family.start, serve_level)

    def parameters_of(self, family: Family, values, serve_level: float) -> dict[str, Any]:
        """A trial's parameters of a design of a family; axes it lacks in mid-range."""
        own = zip(family.axes, values, strict=True)
        values = {axis.name: axis.from_unit_cube(0.5) for axis in self.parameters}
        values |= {axis.name: min(max(v, axis.low), axis.high) for axis, v in own}
        found: dict[str, Any] = {
            a.name: int(values[a.name]) if a.whole else float(values[a.name])
            for a in self.parameters
        }
        if len({f.base for f in self.families}) > 1:
            found[FAMILY] = family.base
        chosen = {path: values[0] for path, values in self.choices} | dict(family.choices)
        low, high = self.levels
        return found | chosen | {SERVE_LEVEL: min(max(serve_level, low), high)}


def choice_word(path: str) -> str:
    """What a choice is called: the last word of its path, of a technology what it is of."""
    return path.removesuffix(".technology").split(".")[-1]


# --- leaves of a spec -----------------------------------------------------------------------------


def _step(spec, parts: list[str]) -> tuple[str, str | None, list[str]]:
    """The field a path enters, the name of the table entry (or None), and the rest of the path."""
    name, _, rule = schema.rules(spec)[parts[0]]
    if rule.shape == "tables":
        return name, parts[1], parts[2:]
    return name, None, parts[1:]


def with_leaves(spec, leaves: Mapping[str, Any]):
    """A spec with the numbers at some paths replaced."""
    groups: dict[tuple[str, str | None], dict[str, Any]] = {}
    for path, value in leaves.items():
        name, entry, rest = _step(type(spec), path.split("."))
        groups.setdefault((name, entry), {})[".".join(rest)] = value
    changed: dict[str, Any] = {}
    for (name, entry), inner in groups.items():
        held = changed.get(name, getattr(spec, name))
        if "" in inner:
            changed[name] = inner[""]
        elif entry is None:
            changed[name] = with_leaves(held, inner)
        else:
            changed[name] = {**held, entry: with_leaves(held[entry], inner)}
    return dataclasses.replace(spec, **changed)


def leaf_of(spec, path: str) -> Any:
    """The number at a path of a spec, None where it is unset."""
    parts = path.split(".")
    while parts:
        name, entry, parts = _step(type(spec), parts)
        spec = getattr(spec, name)
        spec = spec[entry] if entry is not None else spec
    return spec


def field_path(spec, path: str) -> str:
    """``memory.dram.areal`` -> ``memory.dram.areal_bytes_per_s_per_mm2``."""
    parts, said = path.split("."), []
    while parts:
        name, _, rule = schema.rules(spec)[parts[0]]
        if rule.shape == "tables":
            said += parts[:2]
            spec, parts = rule.spec, parts[2:]
        else:
            said.append(name)
            spec, parts = rule.spec, parts[1:]
    return ".".join(said)


def settled(hardware: HardwareSpec) -> HardwareSpec:
    """The chip with its clock lowered to the limit of its voltage, as an unset clock would be."""
    import jax.numpy as jnp

    if hardware.clock_hz is None:
        return hardware
    limit = logic.clock_limit_hz(hardware, logic.voltage_v(hardware))
    return dataclasses.replace(hardware, clock_hz=jnp.minimum(hardware.clock_hz, limit))


def parameters_of(families: Sequence[Family]) -> tuple[Axis, ...]:
    """The parameters of some families, each once."""
    found: dict[str, Axis] = {}
    for family in families:
        found |= {axis.name: axis for axis in family.axes if axis.name not in found}
    return tuple(found.values())


def offered_by(families: Sequence[Family]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The values of each categorical choice that some family makes."""
    paths = dict.fromkeys(path for family in families for path, _ in family.choices)
    return tuple((p, tuple(dict.fromkeys(v for f in families for q, v in f.choices if q == p)))
                 for p in paths)  # fmt: skip
