"""The continuous numbers of a chip: where each sits, its unit, source and range, what it is."""

import dataclasses
import functools
from typing import Any

import jax

from dse.resources import logic
from dse.specs import library, load, schema
from dse.specs.hardware import HardwareSpec

# Numbers that only make sense whole: a step of one has no slope.
WHOLE = ("chips", "dies", "radix", "group_chips", "rack_chips", "in_network_reduction")
# What an architect decides on a design chip; its range is room to choose, not doubt.
DECIDED = (
    "voltage", "sram_voltage", "clock", "die", "dies", "tdp", "macs", "lanes", "lane_rate",
    "exponentials", "bandwidth", "capacity", "stacks", "ratio", "layers", "areal", "macro", "port",
    "radix", "pitch", "rack", "rack_chips", "chips", "tiles", "shares_rate", "group_chips",
)  # fmt: skip
GROUPS = {"logic": "process", "nominal_voltage": "process", "nominal_clock": "process",
          "minimum_voltage": "process", "style": "software", "host": "system",
          "cooling": "system", "economics": "system",
          "packaging": "system", "floorplan": "floorplan"}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Knob:
    """One number: its path, its value in SI, and where that is from."""

    path: str
    value: float
    unit: str | None
    text: str
    source: str
    low: float | None
    high: float | None
    index: int  # of its leaf in the flattened spec

    @property
    def group(self) -> str:
        """``chip``, ``process``, ``software``, ``floorplan`` or ``system``.

        A system is the host, cooling, package and money around a chip.
        """
        return GROUPS.get(self.path.split(".")[0], "chip")

    @property
    def is_whole(self) -> bool:
        """Whether only whole numbers of it make sense."""
        return self.path.split(".")[-1] in WHOLE


def with_rail(spec: HardwareSpec) -> HardwareSpec:
    """The same chip with its logic rail written out, so that it is a number like any other."""
    if spec.voltage_v is not None:
        return spec
    return dataclasses.replace(spec, voltage_v=float(logic.voltage_v(spec)))


def knobs_of(chip: load.Loaded, spec: HardwareSpec | None = None) -> list[Knob]:
    """Every number of a chip in the order of its leaves; ``spec``: the chip with its rail."""
    found = []
    for index, (path, value) in enumerate(leaf_paths(chip.spec if spec is None else spec)):
        said = chip.record.get(path)
        if said is None:  # the rail that follows its nominal value
            said = dataclasses.replace(chip.record[f"nominal_{path}"], low=None, high=None)
        unit = load.numeric_unit(chip, path)
        found.append(Knob(path, value, unit, said.text, said.source, said.low, said.high, index))
    return found


def leaf_paths(spec: Any) -> list[tuple[str, float]]:
    """Path and value of every number of a spec, in the order JAX flattens it."""
    return [(_stem_path(spec, place), float(leaf))
            for place, leaf in jax.tree_util.tree_flatten_with_path(spec)[0]]  # fmt: skip


@functools.cache
def _keys(kind: type) -> dict[str, str]:
    """Field name -> key, of a spec class."""
    return {name: key for key, (name, _, _) in schema.rules(kind).items()}


def _stem_path(node: Any, place: tuple) -> str:
    words = []
    for entry in place:
        if isinstance(entry, jax.tree_util.GetAttrKey):
            words.append(_keys(type(node))[entry.name])
            node = getattr(node, entry.name)
        elif isinstance(entry, jax.tree_util.DictKey):
            words.append(str(entry.key))
            node = node[entry.key]
        else:
            words.append(str(entry.idx))
            node = node[entry.idx]
    return ".".join(words)


def decided(chip: load.Loaded) -> set[str]:
    """Paths whose range is room to choose: the knobs a design chip and its bases name."""
    if chip.spec.power.model != "design":
        return set()
    named: set[str] = set()
    for file in chip.files:
        named |= set(library.read_file(file).meta.get("knobs", {}))
    return named | {path for path in chip.record if path.split(".")[-1] in DECIDED}
