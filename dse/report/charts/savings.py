"""Energy per token at a user speed against the share of users that are there."""

import math
import textwrap
from typing import Any

from dse import units
from dse.report import savings
from dse.report.charts import theme

OF = "savings"
MOST_NAME = 24  # characters of a line beside the plot
ROOM = 1.35


def figure(found: dict[str, Any], dark: bool = False):
    """A line per arm, from the object of ``dse gains RUN --speed N --json``."""
    import plotly.graph_objects as go

    plot = go.Figure()
    drawn = [arm for arm in found["arms"] if arm["leanest"]]
    for index, arm in enumerate(drawn):
        plot.add_trace(_line(go, arm, index, dark))
    words = theme.Words(claim(found), theme.of_run(found), _small_print(found))
    theme.dress(plot, words, dark, left=104)
    values = [p["j_per_token"] for arm in drawn for p in arm["leanest"]["at_load"]] or [1.0]
    low, high = min(values) / ROOM, max(values) * ROOM
    shares = [100 * share for share in found["loads"]]
    plot.update_layout(showlegend=False, margin={"r": 176})
    plot.update_xaxes(**theme.axis("users there, % of those in flight at full load", dark),
                      type="log", range=[0.2, 2.05], tickvals=shares,
                      ticktext=[f"{share:g}" for share in shares])  # fmt: skip
    marks = theme.ticks(low, high)
    plot.update_yaxes(**theme.axis("energy per output token", dark) | {
        "type": "log", "tickvals": marks, "range": _range(low, high),
        "ticktext": [units.show(value, "joule", 1) for value in marks]})  # fmt: skip
    plot.update_yaxes(title_standoff=18)
    for index, arm in enumerate(drawn):
        plot.add_annotation(**_name(arm, index, dark))
    return plot


def claim(found: dict[str, Any]) -> str:
    """What is saved at the speed, and for how many users."""
    words = savings.verdict(found, theme.short)
    return words[0].upper() + words[1:]


def _range(low: float, high: float) -> list[float]:
    return [math.log10(low), math.log10(high)]


def _line(go, arm: dict[str, Any], index: int, dark: bool):
    points = arm["leanest"]["at_load"]
    return go.Scatter(
        x=[100 * point["users"] / points[0]["users"] for point in points],
        y=[point["j_per_token"] for point in points],
        mode="lines+markers", name=arm["title"],
        line={"color": theme.family(index, dark), "width": 2.5 if index == 0 else 1.6},
        marker={"size": 7, "symbol": theme.MARKERS[index % len(theme.MARKERS)]},
        text=[f"{point['users']:,g} users, {point['user_tokens_per_s']:,.0f} tok/s/user, "
              f"{units.show(point['power_w'], 'watt')}" for point in points],
        hovertemplate="%{x:g} % of users: %{text}<extra>" + arm["title"] + "</extra>",
    )  # fmt: skip


def _name(arm: dict[str, Any], index: int, dark: bool) -> dict[str, Any]:
    """An arm's name and users at the full end of its line."""
    full = arm["leanest"]["at_load"][0]
    users = f"{arm['leanest']['users_in_flight']:,g} users"
    title = "<br>".join(textwrap.wrap(theme.short(arm["title"]), MOST_NAME))
    words = f"{title}<br>{users}, {units.show(full['j_per_token'], 'joule')}"
    return {"x": 2.0, "y": math.log10(full["j_per_token"]), "text": words, "showarrow": False,
            "xanchor": "left", "xshift": 10, "align": "left",
            "font": {"size": 12, "color": theme.family(index, dark)}}  # fmt: skip


def _small_print(found: dict[str, Any]) -> list[str]:
    bounds = ", ".join(f"{name} {text}" for name, text in found["constraints"].items())
    return [
        "Each arm at its design of least energy that serves the speed; fewer users share the same "
        "static power. " + theme.GOALS_SAID,
        f"{theme.source(found)}; per replica of the run {bounds or 'no bound'}.",
    ]
