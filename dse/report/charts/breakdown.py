"""Where a token's time and energy go: stacked shares of the decoders and of the best real chips."""

from typing import Any

from dse import units
from dse.report import palette
from dse.report.charts import theme

GOALS = ("user_tokens_per_s", "system_tokens_per_s_per_w")


def figure(front: dict[str, Any], dark: bool = False):
    """Two rows of stacked bars, time and energy per output token, from ``front.json``."""
    from plotly.subplots import make_subplots

    bars = _bars(front)
    titles = ("Time per output token", "Energy per output token")
    plot = make_subplots(
        rows=1, cols=2, shared_yaxes=True, horizontal_spacing=0.07, subplot_titles=titles
    )
    for column, key in ((1, "time_breakdown_s"), (2, "energy_breakdown_j")):
        for trace in _stacks(bars, key, column == 1):
            plot.add_trace(trace, row=1, col=column)
    plot.update_layout(**theme.layout(_claim(bars), _about(front), dark))
    plot.update_layout(barmode="stack", height=170 + 74 * len(bars), bargap=0.45,
                       margin={"l": 210, "r": 28, "t": 118, "b": 86}, legend=_legend())  # fmt: skip
    plot.update_xaxes(range=[0, 100], ticksuffix=" %", gridcolor=theme.page(dark)["grid"])
    plot.update_yaxes(autorange="reversed")
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
            found.append((f"{over['title']},<br>{word}", over))
    return found


def _claim(bars) -> str:
    if not bars:
        return "No design on the front"
    parts = [f"{_leading(point)} in the {name}" for name, point in bars[:2]]
    return "Most time: " + ", ".join(parts)


def _leading(point: dict[str, Any]) -> str:
    table = point["time_breakdown_s"]
    return palette.label(max(table, key=lambda name: table[name]))


def _about(front: dict[str, Any]) -> str:
    fidelity = "speed of light" if front["fidelity"] == "sol" else front["fidelity"]
    return f"{front['model_title']}, {front['workload_title'].lower()}, {fidelity}"


def _legend() -> dict[str, Any]:
    return {"orientation": "h", "x": 0, "y": -0.12, "yanchor": "top", "traceorder": "normal"}


def _stacks(bars, key: str, first: bool):
    import plotly.graph_objects as go

    names = [name for name, _ in bars]
    parts = [part for part in palette.COMPONENTS if any(p[key].get(part) for _, p in bars)]
    for part in parts:
        shares = [100 * p[key].get(part, 0.0) / sum(p[key].values()) for _, p in bars]
        elsewhere = part in ("overhead",) or key == "energy_breakdown_j"
        yield go.Bar(
            x=shares, y=names, orientation="h", name=palette.label(part), legendgroup=part,
            marker={"color": palette.colour(part)},
            showlegend=first or (elsewhere and part in ("static", "host", "prefill")),
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
            yield {"xref": axis, "yref": "y", "x": 0, "y": name, "text": text, "yshift": 24,
                   "xanchor": "left", "showarrow": False,
                   "font": {"size": 12, "color": faint}}  # fmt: skip
