"""Which execution style a measured row ran under, and whether its kind of row fitted that style."""

import functools

from dse.evidence.points import Point
from dse.specs import library, load


def style_of(point: Point) -> str:
    """The style of a row: the chip's own, under the framework the row names where there is one."""
    own = own_style(point.chip)
    named = f"{own}_{point.framework}" if point.framework else ""
    return named if named in library.folder_of("styles") else ""


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
    seen = _fitted(style_of(point) or own_style(point.chip)).get(metric, [])
    return f"{point.chip} {point.model}" in seen
