"""How far an assumption carries a claim: the claim's metric over the value of one number."""

import math
from collections.abc import Mapping
from typing import Any

from dse import units
from dse.report import sensitivity, whatif
from dse.report.charts import theme

OF = "break_even"
ROOM = 1.25


def figure(result: Mapping[str, Any], dark: bool = False):
    """The claim over a number, from ``dse sensitivity CHIP --break-even ... --json``."""
    import plotly.graph_objects as go

    from dse.metrics import METRICS

    found, colours = result["break_even"], theme.page(dark)
    points = [p for p in found["curve"] if p["metric"] is not None and p["metric"] > 0]
    xs, ys = [p["value"] for p in points], [p["metric"] for p in points]
    low, high = min([*ys, found["wanted"]]) / ROOM, max([*ys, found["wanted"]]) * ROOM
    plot = go.Figure()
    plot.add_trace(go.Scatter(
        x=xs, y=ys, mode="lines", line={"color": theme.family(0, dark), "width": 2.5},
        hovertemplate="%{x:.4g}: %{y:.4g}<extra></extra>",
    ))  # fmt: skip
    plot.add_trace(go.Scatter(
        x=[found["value"]], y=[found["now"]], mode="markers",
        marker={"size": 11, "color": theme.family(0, dark)}, hoverinfo="skip",
    ))  # fmt: skip
    theme.dress(plot, theme.Words(claim(found), theme.of_point(result["point"]), _small(found)),
                dark)  # fmt: skip
    plot.update_layout(showlegend=False)
    if found["stated_range"]:
        plot.add_vrect(*found["stated_range"], fillcolor=colours["grid"], opacity=0.6, line_width=0,
                       layer="below")  # fmt: skip
    plot.add_hline(found["wanted"], line={"color": theme.family(1, dark), "dash": "dot"})
    for note in _notes(found, dark):
        plot.add_annotation(**note)
    over = f", over {found['over']}" if found["over"] else ""
    plot.update_xaxes(**_across(found, min(xs), max(xs), dark))
    plot.update_yaxes(**_up(f"{METRICS[found['metric']].label}{over}", low, high, dark))
    return plot


def _across(found: Mapping[str, Any], low: float, high: float, dark: bool) -> dict[str, Any]:
    """The axis of the number: round ticks in the unit that its value reads best in."""
    number, _, unit = units.show(found["value"], found["unit"] or None, 6).partition(" ")
    scale = found["value"] / float(number.replace(",", ""))
    marks = theme.ticks(low / scale, high / scale)
    title = whatif.short(found["path"]) + (f" [{unit}]" if unit else "")
    return theme.axis(title, dark) | {
        "type": "log", "range": [math.log10(low), math.log10(high)],
        "tickvals": [mark * scale for mark in marks],
        "ticktext": [f"{mark:,.10g}" for mark in marks],
    }  # fmt: skip


def _up(title: str, low: float, high: float, dark: bool) -> dict[str, Any]:
    """The axis of the metric: by factors where it spans some."""
    if high / low > 3:
        return theme.log_axis(title, low, high, dark)
    return theme.axis(title, dark, range=[low, high])


def claim(found: Mapping[str, Any]) -> str:
    """The first turning, in words."""
    lines = sensitivity.break_even(found).splitlines()
    return ", ".join(line.strip() for line in [lines[0].partition(" (now")[0], *lines[1:]])


def _notes(found: Mapping[str, Any], dark: bool):
    """Names of the value today and of each turning."""
    marks = [(found["value"], found["now"], "assumed")]
    marks += [(found[key], found["wanted"], "break-even") for key in ("downward", "upward")
              if found[key] is not None]  # fmt: skip
    middle = math.sqrt(found["curve"][0]["value"] * found["curve"][-1]["value"])
    for value, metric, word in marks:
        shown = units.show(value, found["unit"] or None)
        up = math.log10(metric) if _is_log(found) else metric
        side = {"ax": -30, "xanchor": "right"} if value > middle else {"ax": 30, "xanchor": "left"}
        yield {"x": math.log10(value), "y": up, "text": f"{word} {shown}", "showarrow": True,
               "arrowhead": 2, "arrowcolor": theme.page(dark)["faint"],
               "ay": -30 if word == "assumed" else 30, **side, "font": {"size": 13}}  # fmt: skip


def _is_log(found: Mapping[str, Any]) -> bool:
    ys = [p["metric"] for p in found["curve"] if p["metric"] is not None and p["metric"] > 0]
    return max([*ys, found["wanted"]]) * ROOM / (min([*ys, found["wanted"]]) / ROOM) > 3


def _small(found: Mapping[str, Any]) -> list[str]:
    words = "" if not found["stated_range"] else " Shaded: the stated range of the number."
    return [
        f"Dotted: the claim, {found['target']}. Deployment held on both sides.{words}",
        theme.GOALS_SAID,
    ]
