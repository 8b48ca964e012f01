"""Parallel coordinates: every design of the front as a line over its goals, chips and knobs.

Lines of plain points, so that a knob which a family lacks leaves a gap, axes may be logarithmic,
and a page can link each line to the same design elsewhere (``customdata`` is its id).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from dse import units
from dse.report.charts import theme

OF = "front"
X, Y = "user_tokens_per_s", "system_tokens_per_s_per_w"
MOST_AXES, MOST_LINES = 11, 160
WIDE = 4.0  # ends of an axis further apart than this are drawn in factors
SAME = 1.001
HEADS = {"user_tokens_per_s": "user tok/s", "system_tokens_per_s_per_w": "tok/s/W",
         "users_in_flight": "users", "chips": "chips", "chip_power_w": "chip power",
         "usd_per_million_tokens": "USD/M tokens"}  # fmt: skip
UNITS = {"chip_power_w": "watt"}


class Axis(NamedTuple):
    """One axis: its head, the value of each design (None where it has none), its unit."""

    head: str
    values: list[float | None]
    unit: str | None

    @property
    def ends(self) -> tuple[float, float]:
        """Least and most."""
        known = [value for value in self.values if value is not None]
        return min(known), max(known)

    @property
    def is_log(self) -> bool:
        """Whether factors are drawn, not differences."""
        low, high = self.ends
        return low > 0 and high / low >= WIDE

    def place(self, value: float | None) -> float | None:
        """Where a value lies, 0 to 1."""
        if value is None:
            return None
        low, high = self.ends
        if self.is_log:
            return math.log(value / low) / math.log(high / low)
        return (value - low) / (high - low)


def figure(front: dict[str, Any], dark: bool = False):
    """The designs of a front over what differs among them, from the object of ``front.json``."""
    import plotly.graph_objects as go

    designs = thinned(front)
    axes = axes_of(front, designs)
    plot = go.Figure()
    for index, design in enumerate(designs):
        plot.add_trace(go.Scatter(**_line(front, design, axes, index, dark)))
    theme.dress(plot, theme.Words(_claim(front, axes), theme.of_run(front), _small(front, designs)),
                dark, left=48, axis_px=44)  # fmt: skip
    top = plot.layout.margin.t + theme.LEGEND_PX + 44
    plot.update_layout(
        showlegend=False, height=560, margin={"t": top, "r": 48}, hovermode="closest"
    )
    plot.update_xaxes(visible=False, range=[-0.25, max(len(axes), 2) - 0.75], fixedrange=True)
    plot.update_yaxes(visible=False, range=[-0.02, 1.02], fixedrange=True)
    for place, axis in enumerate(axes):
        _draw(plot, place, axis, dark)
    families = [
        (title, theme.family(i, dark))
        for i, (name, title) in enumerate(front["families"].items())
        if any(d["family"] == name for d in designs)
    ]
    if families:
        plot.add_annotation(**theme.key(families, 48) | {"yshift": 48})
    return plot


def thinned(front: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Designs from slow to fast, at most `MOST_LINES`."""
    found = sorted(front["designs"], key=lambda design: design[X])
    step = max(len(found) / MOST_LINES, 1.0)
    return [found[int(i * step)] for i in range(min(len(found), MOST_LINES))]


def axes_of(front: Mapping[str, Any], designs: Sequence[Mapping[str, Any]]) -> list[Axis]:
    """Goals first, then users, chips and power, then the knobs that most designs have."""
    goals = dict.fromkeys((X, Y, *front.get("objectives", ())))
    found = [Axis(HEADS.get(name, name.replace("_", " ")), [_number(d.get(name)) for d in designs],
                  UNITS.get(name))
             for name in (*goals, "users_in_flight", "chips", "chip_power_w")]  # fmt: skip
    knobs: dict[str, str | None] = {}
    for design in designs:
        knobs |= {knob["path"]: knob["unit"] for knob in design["hardware"]["knobs"]}
    more = []
    for path, unit in knobs.items():
        values = [next((float(k["value"]) for k in d["hardware"]["knobs"] if k["path"] == path),
                       None) for d in designs]  # fmt: skip
        more.append(Axis(path, values, unit))
    more.sort(key=lambda axis: sum(value is None for value in axis.values))
    return [axis for axis in (*found, *more) if _varies(axis)][:MOST_AXES]


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _varies(axis: Axis) -> bool:
    known = [value for value in axis.values if value is not None]
    if len(known) < 2:
        return False
    low, high = axis.ends
    return high > low and (low <= 0 or high / low > SAME)


def _line(front, design, axes: Sequence[Axis], index: int, dark: bool) -> dict[str, Any]:
    number = list(front["families"]).index(design["family"])
    shown = [f"{axis.head} {_shown(axis.values[index], axis.unit)}" for axis in axes]
    return {
        "x": list(range(len(axes))), "y": [axis.place(axis.values[index]) for axis in axes],
        "mode": "lines+markers", "name": design["id"], "customdata": [design["id"]] * len(axes),
        "line": {"color": theme.family(number, dark), "width": 1.2}, "opacity": 0.7,
        "marker": {"size": 5}, "text": shown, "connectgaps": False,
        "hovertemplate": f"{design['id']}, {front['families'][design['family']]}<br>%{{text}}"
        "<extra></extra>",
    }  # fmt: skip


def _shown(value: float | None, unit: str | None) -> str:
    if value is None:
        return "-"
    if unit is None and value >= 1e4:
        return units.show(value, "flop").removesuffix("FLOP").replace(" ", "")
    return units.show(value, unit)


def _draw(plot: Any, place: int, axis: Axis, dark: bool) -> None:
    """The rule of an axis, its head, and what its ends are."""
    colours = theme.page(dark)
    plot.add_shape(type="line", x0=place, x1=place, y0=0, y1=1, layer="below",
                   line={"color": colours["faint"], "width": 1})  # fmt: skip
    low, high = axis.ends
    head = axis.head.replace("scale_up.", "").replace("memory.", "")
    note = {"x": place, "showarrow": False, "xanchor": "center"}
    plot.add_annotation(**note, y=1, yanchor="bottom", yshift=20, text=_folded(head),
                        font={"size": 12, "color": colours["ink"]})  # fmt: skip
    for value, y, anchor, shift in ((high, 1, "bottom", 3), (low, 0, "top", -3)):
        plot.add_annotation(**note, y=y, yanchor=anchor, yshift=shift,
                            text=_shown(value, axis.unit),
                            font={"size": 11, "color": colours["faint"]})  # fmt: skip


def _folded(head: str) -> str:
    """A path on two lines."""
    first, dot, last = head.rpartition(".")
    return f"{first}<br>{last}" if dot else head.replace(" ", "<br>", 1)


def _claim(front: Mapping[str, Any], axes: Sequence[Axis]) -> str:
    if not axes:
        return "No designs that differ"
    count = len(front["designs"])
    return f"What the {count:,} designs of the front choose, from efficient to fast"


def _small(front: Mapping[str, Any], designs) -> list[str]:
    left = len(front["designs"]) - len(designs)
    less = f" {left} of {len(front['designs'])} designs left out." if left else ""
    return [
        "A line is a design; ends of an axis are the least and the most on the front, in factors "
        f"where they lie far apart. A gap: the family has no such knob.{less}",
        f"{theme.source(front)}. {theme.GOALS_SAID}",
    ]  # fmt: skip
