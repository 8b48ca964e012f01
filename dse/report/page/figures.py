"""Figures inside a page: words set in type, colours of both schemes, width that of the column."""

import dataclasses
import json
from typing import Any

from dse.report import charts


@dataclasses.dataclass(frozen=True)
class Figure:
    """One figure: its words, and what the page's script draws."""

    name: str
    claim: str
    about: str
    small: tuple[str, ...]
    light: dict[str, Any]  # data and layout, as Plotly takes them
    dark: dict[str, Any]  # what is otherwise on a dark page, by the same keys

    @property
    def height_px(self) -> int:
        """Of the plot, without words."""
        return self.light["layout"]["height"]

    @property
    def alternative(self) -> str:
        """What one hears who cannot see it."""
        return f"{self.claim}. {self.about}"


def embedded(chart: str, data: Any, name: str | None = None) -> Figure:
    """A chart of ``dse/report/charts`` for a page."""
    module = charts.chart(chart)
    light, dark = (_bare(module.figure(data, is_dark)) for is_dark in (False, True))
    words = light["layout"].pop("meta")
    dark["layout"].pop("meta")
    return Figure(name or chart, words["claim"], words["about"], tuple(words["small"]), light,
                  difference(light, dark) or {})  # fmt: skip


def _bare(figure: Any) -> dict[str, Any]:
    """Without title and small print and the room for them; as wide as there is room."""
    plain = json.loads(figure.to_json())
    layout, words = plain["layout"], plain["layout"]["meta"]
    for key in ("title", "width", "template", "modebar"):
        layout.pop(key, None)
    layout["annotations"] = [a for a in layout.get("annotations", []) if a.get("name") != "caption"]
    margin = layout["margin"]
    margin |= {"t": margin["t"] - words["title_px"], "b": margin["b"] - words["small_px"]}
    layout |= {"height": layout["height"] - words["title_px"] - words["small_px"],
               "autosize": True, "paper_bgcolor": "rgba(0,0,0,0)",
               "plot_bgcolor": "rgba(0,0,0,0)"}  # fmt: skip
    return {"data": plain["data"], "layout": layout}


def difference(one: Any, other: Any) -> Any:
    """What must be put into ``one`` to make it ``other``; entries of lists by their number."""
    if isinstance(one, dict) and isinstance(other, dict):
        pairs = {key: (one.get(key), other[key]) for key in other}
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = {str(i): pair for i, pair in enumerate(zip(one, other, strict=True))}
    else:
        return other
    found = {key: difference(*pair) for key, pair in pairs.items() if pair[0] != pair[1]}
    return found or None
