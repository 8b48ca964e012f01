"""Which number pays: what one percent more of each brings to both goals."""

from collections.abc import Mapping
from typing import Any

from dse.report import whatif
from dse.report.charts import theme

OF = "sensitivity"
LEFT_PX = 260
MOST_CHOSEN, MOST_GIVEN = 9, 6


def figure(result: Mapping[str, Any], dark: bool = False):
    """Elasticities of both goals, from the object of ``dse sensitivity CHIP --json``."""
    import plotly.graph_objects as go

    rows, names = [], []
    for words, is_knob in (("given", False), ("chosen", True)):  # from the bottom upwards
        mine = _rows(result, is_knob)
        rows += [*mine[::-1], {}]
        names += [*[f"{whatif.short(row['path'])}  " for row in mine[::-1]], f"<b>{words}</b>  "]
    plot = go.Figure()
    for index, (goal, label) in enumerate(reversed(whatif.GOALS.items())):
        values = [row.get(goal) or 0.0 for row in rows]
        plot.add_trace(
            go.Bar(
                x=values, y=names, orientation="h", name=label,
                marker={"color": theme.family(1 - index, dark)},
                customdata=[f"{whatif.value_of(row)} {_range(row)}" if row else "" for row in rows],
                hovertemplate="%{y}= %{customdata}<br>%{x:+.2f} % per +1 %<extra>" + label
                + "</extra>",
            )
        )  # fmt: skip
    theme.dress(plot, theme.Words(_claim(result), theme.of_point(result["point"]), _small(result)),
                dark, left=LEFT_PX)  # fmt: skip
    top = plot.layout.margin.t + theme.LEGEND_PX
    plot.update_layout(
        barmode="group", bargap=0.34, bargroupgap=0.0, showlegend=False, margin={"t": top},
        height=top + plot.layout.margin.b + 30 + 31 * len(rows))  # fmt: skip
    most = max((abs(row.get(goal) or 0.0) for row in rows for goal in whatif.GOALS), default=1.0)
    plot.update_xaxes(**theme.axis("change of the goal for +1 % of the number", dark),
                      ticksuffix=" %", range=[-1.1 * most, 1.1 * most])  # fmt: skip
    plot.update_xaxes(zeroline=True)
    plot.update_yaxes(**theme.axis("", dark) | {"ticks": "", "showgrid": False})
    colours = [(label, theme.family(index, dark)) for index, label in
               enumerate(whatif.GOALS.values())]  # fmt: skip
    plot.add_annotation(**theme.key(colours, LEFT_PX))
    return plot


def _rows(result: Mapping[str, Any], chosen: bool) -> list[Mapping[str, Any]]:
    rows = [row for row in result["elasticities"] if row["is_knob"] is chosen]
    return whatif.leading(rows, MOST_CHOSEN if chosen else MOST_GIVEN)


def _range(row: Mapping[str, Any]) -> str:
    ends = whatif.ends(row)
    return f"({ends})" if ends else ""


def _claim(result: Mapping[str, Any]) -> str:
    said = []
    for goal, word in (("user_tokens_per_s", "user speed"),
                       ("system_tokens_per_s_per_w", "tokens per joule")):  # fmt: skip
        best = result["best_knobs"].get(goal)
        if best:
            worth = whatif.per_percent(abs(best["elasticity"]))
            knob = whatif.short(best["path"])
            said.append(f"{best['direction']} {knob} ({worth} per 1 %) in {word}")
    return f"Pays most: {', '.join(said)}" if said else "No number of the chip pays"


def _small(result: Mapping[str, Any]) -> list[str]:
    more = len(result["elasticities"]) - len(_rows(result, True)) - len(_rows(result, False))
    left = f" {more} more with smaller effect: dse sensitivity." if more > 0 else ""
    return [
        "Exact derivatives at this point, deployment held; one percent of a temperature is one of "
        f"kelvin. Chosen: what a designer decides; given: process, system and software.{left}",
        theme.GOALS_SAID,
    ]  # fmt: skip
