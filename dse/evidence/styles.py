"""Which execution style a measured row ran under, and whether its kind of row fitted that style."""

import dataclasses
import functools

from dse.evidence.points import Point
from dse.specs import library, load, schema
from dse.specs.hardware import HardwareSpec
from dse.specs.technology import Framework


@functools.cache
def framework(name: str) -> Framework | None:
    """A framework of the library; None where there is none of that name."""
    if name not in library.folder_of("frameworks"):
        return None
    path = library.locate("frameworks", name)
    tree, _, _ = load.inherited("frameworks", path)
    model, record = load.validated(tree, Framework, path.name)
    return schema.build(model, "", record)


@functools.cache
def hardware_of(chip: str, host: str, limit_w: float | None) -> HardwareSpec:
    """A chip of the library under a framework and a board limit, where they are known.

    Chips whose style has no framework (dataflow machines) keep their style as it is.
    """
    overrides = () if limit_w is None else (("tdp", f"{limit_w:g} W"),)
    hardware = load.load("chips", chip, overrides).spec
    named = framework(host)
    if named is None or hardware.style.framework is None:
        return hardware
    style = dataclasses.replace(hardware.style, framework=named)
    return dataclasses.replace(hardware, style=style)


@functools.cache
def own_style(chip: str) -> str:
    """The name of the style a chip of the library states."""
    tree, _, _ = load.inherited("chips", library.locate("chips", chip))
    style = tree.get("style", "")
    named = style.get("base", style.get("value", "")) if isinstance(style, dict) else style
    return str(named)


@functools.cache
def _fitted(style: str) -> dict[str, list[str]]:
    """``[facts.calibrated]`` of a style: metric -> ``chip model`` pairs that its fit has seen."""
    if style not in library.folder_of("styles"):
        return {}
    facts = library.read_file(library.locate("styles", style)).meta.get("facts", {})
    return facts.get("calibrated", {}) if isinstance(facts, dict) else {}


def calibrated_on(point: Point, metric: str) -> bool:
    """Whether rows of this chip and model, by this metric, were in the fit of the style."""
    seen = _fitted(own_style(point.chip)).get(metric, [])
    return f"{point.chip} {point.model}" in seen
