"""Where a token's time and energy go: stacked shares of the decoders and of the best real chips."""

from typing import Any

from dse import units
from dse.report import palette
from dse.report.charts import theme

OF = "front"
LEFT_PX = 186
TABLES = ("time_breakdown_s", "energy_breakdown_j")
GOALS = ("user_tokens_per_s", "system_tokens_per_s_per_w")


def figure(front: dict[str, Any], dark: bool = False):
    """Two rows of stacked bars, time and energy per output token, from ``front.json``."""
    from plotly.subplots import make_subplots

    bars = _bars(front)
    plot = make_subplots(rows=1, cols=2, shared_yaxes=True, horizontal_spacing=0.07)
    for column, table in enumerate(TABLES, 1):
        for trace in _stacks(bars, table):
            plot.add_trace(trace, row=1, col=column)
    words = theme.Words(_claim(bars), theme.of_run(front), _small(front))
    theme.dress(plot, words, dark, left=LEFT_PX)
    top = plot.layout.margin.t + theme.LEGEND_PX
    plot.update_layout(barmode="stack", height=top + 110 + 84 * len(bars), bargap=0.5,
                       margin={"t": top}, showlegend=False)  # fmt: skip
    plot.update_xaxes(**theme.axis("", dark), range=[0, 101], tickvals=[0, 50, 100],
                       ticktext=["0", "50", "100 %"])  # fmt: skip
    plot.update_yaxes(**theme.axis("", dark), autorange="reversed")
    for column, what in ((1, "time"), (2, "energy")):
        plot.update_xaxes(title={"text": f"share of {what} per output token"}, col=column)
    plot.update_yaxes(ticks="", ticksuffix="  ")
    plot.add_annotation(**theme.key(palette.key(_parts(bars)), LEFT_PX))
    for note in _totals(bars, dark):
        plot.add_annotation(**note)
    return plot


def _bars(front: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """(name, point) of each bar: both decoders, and the best real chip of each goal."""
    by_id = {design["id"]: design for design in front["designs"]}
    found = []
    for key, name in (("high_efficiency_decoder", "High Efficiency Decoder"),
                      ("low_latency_decoder", "Low Latency Decoder")):  # fmt: skip
        if front[key] in by_id:
            found.append((name, by_id[front[key]]))
    for goal, word in ((GOALS[1], "most efficient"), (GOALS[0], "fastest")):
        over = front["gain"][goal]["over"]
        if over:
            found.append((f"{theme.short(over['title'])},<br>{word}", over))
    return found


def _claim(bars) -> str:
    if not bars:
        return "No design on the front"
    parts = [f"{_leading(point)} in the {name}" for name, point in bars[:2]]
    return "Most time: " + ", ".join(parts)


def _leading(point: dict[str, Any]) -> str:
    table = point["time_breakdown_s"]
    return palette.label(max(table, key=lambda name: table[name]))


def _small(front: dict[str, Any]) -> list[str]:
    return [
        "Overhead: waits inside a chip (dependent operations, die crossings, queues of a pipeline) "
        "and software; static: leakage, clock tree and what is always on. Above a bar: the sum per "
        f"output token. {theme.source(front)}."
    ]


def _parts(bars) -> list[str]:
    """Components that some bar has."""
    return [part for part in palette.COMPONENTS
            if any(point[table].get(part) for _, point in bars for table in TABLES)]  # fmt: skip


def _stacks(bars, table: str):
    import plotly.graph_objects as go

    names = [name for name, _ in bars]
    for part in _parts(bars):
        shares = [100 * p[table].get(part, 0.0) / sum(p[table].values()) for _, p in bars]
        yield go.Bar(
            x=shares, y=names, orientation="h", name=palette.label(part), legendgroup=part,
            marker={"color": palette.colour(part), "line": {"width": 0}},
            text=[f"{share:.0f}" if share >= 7 else "" for share in shares],
            textposition="inside", insidetextanchor="middle", textangle=0,
            insidetextfont={"color": "#FFFFFF"},
            hovertemplate="%{y}: " + palette.label(part) + " %{x:.1f} %<extra></extra>",
        )  # fmt: skip


def _totals(bars, dark: bool):
    """Absolute totals above each bar, since shares hide size."""
    faint = theme.page(dark)["faint"]
    for name, point in bars:
        seconds = sum(point["time_breakdown_s"].values())
        joules = sum(point["energy_breakdown_j"].values())
        totals = (("x", units.show(seconds, "second")), ("x2", units.show(joules, "joule")))
        for axis, text in totals:
            yield {"xref": axis, "yref": "y", "x": 0, "y": name, "text": text, "yshift": 29,
                   "xanchor": "left", "showarrow": False,
                   "font": {"size": 12, "color": faint}}  # fmt: skip
