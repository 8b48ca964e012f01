"""Before and after a change: time and energy per output token, part by part."""

from collections.abc import Mapping
from typing import Any

from dse import units
from dse.report import palette, whatif
from dse.report.charts import theme

OF = "whatif"
LEFT_PX = 100
SIDES = {"base": "base", "changed": "what-if"}
PANELS = (("time_breakdown_s", "second", "time per step"),
          ("energy_breakdown_j", "joule", "energy per output token"))  # fmt: skip
LEAST = 0.06  # share of the longer bar from which a part is labelled


def figure(result: Mapping[str, Any], dark: bool = False):
    """Two bars per goal, from the object of ``dse whatif CHIP --set ... --json``."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    plot = make_subplots(rows=2, cols=1, vertical_spacing=0.3)
    drawn: dict[str, None] = {}
    for row, (table, unit, words) in enumerate(PANELS, 1):
        sums = {side: sum(filter(None, result[side][table].values())) for side in SIDES}
        most = max(sums.values()) or 1.0
        scale, symbol = _scale(most, unit)
        for part in palette.COMPONENTS:
            values = [result[side][table].get(part) or 0.0 for side in SIDES]
            if any(values):
                drawn[part] = None
                plot.add_trace(go.Bar(**_bar(part, values, (most, scale, unit))), row=row, col=1)
        plot.update_xaxes(**theme.axis(f"{words}, {symbol}", dark), range=[0, 1.24 * most / scale],
                          row=row, col=1)  # fmt: skip
        for note in _sums(result, table, (sums, scale, unit), row, dark):
            plot.add_annotation(**note)
    about = theme.of_point(result["changed"])
    theme.dress(plot, theme.Words(_claim(result), about, _small(result)), dark, left=LEFT_PX)
    top = plot.layout.margin.t + theme.LEGEND_PX
    plot.update_layout(barmode="stack", bargap=0.35, showlegend=False, margin={"t": top},
                       height=top + plot.layout.margin.b + 300)  # fmt: skip
    plot.update_yaxes(**theme.axis("", dark) | {"ticks": "", "showgrid": False}, ticksuffix="  ",
                      autorange="reversed")  # fmt: skip
    parts = [part for part in palette.COMPONENTS if part in drawn]
    plot.add_annotation(**theme.key(palette.key(parts), LEFT_PX))
    return plot


def _scale(value: float, unit: str) -> tuple[float, str]:
    """What a number is divided by to be shown, and the unit it then has."""
    shown = units.show(value, unit)
    number, _, symbol = shown.partition(" ")
    return value / float(number.replace(",", "")), symbol


def _bar(part: str, values: list[float], scaled: tuple[float, float, str]) -> dict[str, Any]:
    most, scale, unit = scaled
    return {
        "x": [value / scale for value in values], "y": list(SIDES.values()), "orientation": "h",
        "name": palette.label(part),
        "marker": {"color": palette.colour(part), "line": {"width": 0}},
        "text": [units.show(v, unit) if v > 1.6 * LEAST * most else "" for v in values],
        "textposition": "inside", "insidetextanchor": "middle", "textangle": 0,
        "insidetextfont": {"color": "#FFFFFF", "size": 13},
        "customdata": [units.show(v, unit) for v in values],
        "hovertemplate": "%{y}: " + palette.label(part) + " %{customdata}<extra></extra>",
    }  # fmt: skip


def _sums(result: Mapping[str, Any], table: str, scaled, row: int, dark: bool):
    """The sum behind each bar, and by how much it changed."""
    sums, scale, unit = scaled
    ratio = sums["changed"] / sums["base"] - 1 if sums["base"] else None
    for side, words in SIDES.items():
        said = units.show(sums[side], unit)
        if side == "changed" and result["changes"]:
            said += f", {whatif.percent(ratio)}"
        suffix = "" if row == 1 else "2"
        yield {"x": sums[side] / scale, "y": words, "xref": f"x{suffix}", "yref": f"y{suffix}",
               "text": said, "xanchor": "left", "xshift": 8, "showarrow": False,
               "font": {"size": 14, "color": theme.page(dark)["ink"]}}  # fmt: skip


def _claim(result: Mapping[str, Any]) -> str:
    said = []
    for goal, label in whatif.GOALS.items():
        row = result["comparison"][goal]
        said.append(f"{label} {whatif.percent(row['change_fraction'])}{_span(result, goal)}")
    asked = ", ".join(f"{whatif.short(c['path'])} {whatif.tables.stated(c['after'])}"
                      for c in result["changes"])  # fmt: skip
    return f"With {asked}: {', '.join(said)}" if asked else "Nothing set: both sides are the same"


def _span(result: Mapping[str, Any], goal: str) -> str:
    ends = result["range"][goal]["change_fraction"]
    if not ends or ends[0] == ends[1]:
        return ""
    return f" ({whatif.percent(ends[0], 0)} to {whatif.percent(ends[1], 0)})"


def _small(result: Mapping[str, Any]) -> list[str]:
    held = whatif.basis(result).replace("\n", " ")
    return [
        f"{held[:1].upper()}{held[1:]}. In brackets: 5 % to 95 % over the stated ranges of the "
        "constants.",
        theme.GOALS_SAID,
    ]  # fmt: skip
