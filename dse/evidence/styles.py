"""Which execution style a measured row ran under, and whether its kind of row fitted that style."""

import dataclasses
from typing import Any

from dse.evidence.points import Point
from dse.specs import library, load, schema
from dse.specs.hardware import HardwareSpec
from dse.specs.technology import ExecutionStyle, Framework


@library.kept
def framework(name: str) -> Framework | None:
    """A framework of the library; None where there is none of that name."""
    return _read("frameworks", name, Framework)


@library.kept
def isolated_style(chip: str) -> ExecutionStyle | None:
    """The style of single kernels on a chip: theirs, not those of a whole graph.

    A kernel measured alone repeats from warm instruction caches and pays its own launch; in a graph
    it also waits for other ranks and for the small kernels around it.
    """
    return _read("styles", f"isolated_{own_style(chip)}", ExecutionStyle)


def _read(kind: str, name: str, spec: Any) -> Any:
    if name not in library.folder_of(kind):
        return None
    path = library.locate(kind, name)
    tree, _, files = load.inherited(kind, path)
    tree = load.resolved(tree, spec, files, path.name)
    model, record = load.validated(tree, spec, path.name)
    return schema.build(model, "", record)


@library.kept
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


@library.kept
def own_style(chip: str) -> str:
    """The name of the style a chip of the library states."""
    tree, _, _ = load.inherited("chips", library.locate("chips", chip))
    style = tree.get("style", "")
    named = style.get("base", style.get("value", "")) if isinstance(style, dict) else style
    return str(named)


@library.kept
def _fitted(style: str) -> dict[str, list[str]]:
    """``[facts.calibrated]`` of a style: metric -> ``chip model`` pairs that its fit has seen."""
    if style not in library.folder_of("styles"):
        return {}
    facts = library.read_file(library.locate("styles", style)).meta.get("facts", {})
    return facts.get("calibrated", {}) if isinstance(facts, dict) else {}


def fitted_on(chip: str, kind: str) -> bool:
    """Whether kernels of this kind on this chip were in the fit of the isolated style."""
    return f"{chip} {kind}" in _fitted(f"isolated_{own_style(chip)}").get("latency_s", [])


def calibrated_on(point: Point, metric: str) -> bool:
    """Whether rows of this chip and model, by this metric, were in the fit of the style."""
    seen = _fitted(own_style(point.chip)).get(metric, [])
    return f"{point.chip} {point.model}" in seen
