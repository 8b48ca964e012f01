"""The next 100 mm2: what moving area between two parts of a die brings, at fixed area and heat."""

from collections.abc import Mapping, Sequence
from typing import Any

from dse import units
from dse.report import sensitivity, whatif
from dse.report.charts import theme

OF = "exchange"
GOALS = {"user_tokens_per_s": "user speed", "system_tokens_per_s_per_w": "tokens per joule"}
LEFT_PX = 250
ROW_PX = 44
ROOM = 1.42  # beyond the longest bar, for its number
MOST_ROWS = 10


def figure(result: Mapping[str, Any], dark: bool = False):
    """Exchanges of area, best first, from the object of ``dse sensitivity CHIP --json``."""
    import plotly.graph_objects as go

    found = result["exchange_rates"]
    rows = sensitivity.exchanges(found)[:MOST_ROWS][::-1]  # from the bottom upwards
    names = [_name(row) for row in rows]
    plot = go.Figure()
    for index, (goal, label) in reversed(list(enumerate(whatif.GOALS.items()))):
        plot.add_trace(go.Bar(
            x=[100 * (row[goal] or 0.0) for row in rows], y=names, orientation="h", name=label,
            marker={"color": theme.family(index, dark),
                    "opacity": [0.35 if row["breaks"] else 1.0 for row in rows]},
            text=[whatif.percent(row[goal], 1) for row in rows], textposition="outside",
            textfont={"size": 12}, cliponaxis=False,
            customdata=[_said(row) for row in rows],
            hovertemplate="%{y}<br>%{text}%{customdata}<extra>" + label + "</extra>",
        ))  # fmt: skip
    words = theme.Words(claim(found), theme.of_point(result["point"]), _small(found, len(rows)))
    theme.dress(plot, words, dark, left=LEFT_PX)
    top = plot.layout.margin.t + theme.LEGEND_PX
    plot.update_layout(
        barmode="group", bargap=0.3, bargroupgap=0.0, showlegend=False, margin={"t": top},
        height=top + plot.layout.margin.b + ROW_PX * max(len(rows), 3))  # fmt: skip
    plot.update_xaxes(**theme.axis(f"change of the goal for {found['step_mm2']:.0f} mm2 moved",
                                   dark), ticksuffix=" %", range=_range(rows))  # fmt: skip
    plot.update_xaxes(zeroline=True)
    plot.update_yaxes(**theme.axis("", dark) | {"ticks": "", "showgrid": False})
    colours = [(label, theme.family(i, dark)) for i, label in enumerate(whatif.GOALS.values())]
    plot.add_annotation(**theme.key(colours, LEFT_PX))
    return plot


def claim(found: Mapping[str, Any]) -> str:
    """The exchange that pays most for each goal; else that none does, and what forbids the best."""
    said = [_worth(best, goal) for goal in GOALS if (best := found["best"][goal]) is not None]
    step = f"{found['step_mm2']:.0f} mm2"
    if said:
        return f"The next {step}: {'; '.join(said)}"
    goal = next(iter(GOALS))
    most = max(found["rows"], key=lambda row: row[goal] or 0.0, default=None)
    none = f"No exchange of {step} pays within the limits"
    if most is None or not most["breaks"] or (most[goal] or 0.0) <= 0:
        return none
    return f"{none}; {_broken(most)} forbids {_worth(most, goal)}"


def _worth(row: Mapping[str, Any], goal: str) -> str:
    return (f"{whatif.percent(row[goal], 1)} {GOALS[goal]} from {_part(row['out_of'])} to "
            f"{_part(row['into'])}")  # fmt: skip


def _name(row: Mapping[str, Any]) -> str:
    mark = f"<br><i>breaks {_broken(row)}</i>  " if row["breaks"] else ""
    return f"{_part(row['out_of'])} \u2192 {_part(row['into'])}  {mark}"


def _broken(row: Mapping[str, Any]) -> str:
    """The first limit that an exchange breaks; all of them are told on hovering."""
    return row["breaks"][0].replace("_", " ")


def _part(path: str) -> str:
    """A part of a die as people say it: ``memory.sram.capacity`` is its SRAM."""
    head, *rest = path.split(".")
    if head == "compute":
        return f"{rest[0]} MACs"
    if head == "memory":
        return rest[0].upper()
    return " ".join([head if head == "vector" else rest[0], rest[-1]]).replace("_", " ")


def _said(row: Mapping[str, Any]) -> str:
    rail = f", rail {units.show(row['voltage_v'], 'volt')}"
    return rail + (f"<br>breaks {', '.join(row['breaks'])}" if row["breaks"] else "")


def _range(rows: Sequence[Mapping[str, Any]]) -> list[float]:
    """Both ends of the axis, with room for the numbers beside the bars."""
    values = [100 * (row[goal] or 0.0) for row in rows for goal in whatif.GOALS]
    low, high = min([*values, 0.0]), max([*values, 0.0])
    room = (ROOM - 1) * max(high - low, 1.0) / 2
    return [low - room, high + room]


def _small(found: Mapping[str, Any], drawn: int) -> list[str]:
    heat = ("Heat is kept: the rail moves until the heat flux is as before."
            if found["fixed_heat"] else "Heat flux has room: the rail stays.")  # fmt: skip
    left = len(found["rows"]) - drawn
    more = f" {left} more: dse sensitivity." if left > 0 else ""
    return [
        f"From \u2192 to, by evaluating the die again; its area stays. {heat} Faint: the exchange "
        f"breaks a limit, so it cannot be had.{more}",
        theme.GOALS_SAID,
    ]
