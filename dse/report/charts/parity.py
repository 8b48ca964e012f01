"""Predicted against measured: one point per row, the diagonal is agreement."""

from collections.abc import Sequence
from typing import Any

from dse.report.charts import theme

OF = "rows"
TITLES = {
    "tpot_s": "time per output token, ms",
    "power_w": "power of one chip, W",
    "j_per_token": "energy per output token, J",
    "latency_s": "operator latency, us",
}
UNITS = {"tpot_s": 1e3, "power_w": 1.0, "j_per_token": 1.0, "latency_s": 1e6}


def figure(rows: Sequence[dict[str, Any]], dark: bool = False):
    """One panel per metric; colours are chips, hollow points were in no fit.

    ``rows`` hold ``metric, chip, model, calibrated_on, predicted, measured`` (SI units).
    """
    from plotly.subplots import make_subplots

    metrics = [metric for metric in TITLES if any(row["metric"] == metric for row in rows)]
    across = min(max(len(metrics), 1), 2)
    down = -(-max(len(metrics), 1) // across)
    plot = make_subplots(rows=down, cols=across, horizontal_spacing=0.11, vertical_spacing=0.13)
    chips = sorted({row["chip"] for row in rows})
    for place, metric in enumerate(metrics):
        at = {"row": place // across + 1, "col": place % across + 1}
        of_metric = [row for row in rows if row["metric"] == metric]
        for trace in _points(of_metric, chips, metric, place == 0, dark):
            plot.add_trace(trace, **at)
        low, high = _span(of_metric, UNITS[metric])
        plot.add_trace(_diagonal(low, high, dark), **at)
        plot.update_xaxes(theme.log_axis(f"measured {TITLES[metric]}", low, high, dark), **at)
        plot.update_yaxes(theme.log_axis("predicted", low, high, dark), **at)
    theme.dress(plot, theme.Words(_claim(rows), "Published measurements", _small(rows)), dark)
    plot.update_layout(height=plot.layout.margin.t + 340 * down + 60)
    if across * down > len(metrics) > 1:  # in the cell that is left
        plot.update_layout(legend={"x": 0.6, "y": 0.42, "yanchor": "top", "tracegroupgap": 2})
    else:
        top = plot.layout.margin.t + theme.LEGEND_PX * (1 + len(chips) // 5)
        plot.update_layout(legend=theme.legend_above(), margin={"t": top})
    return plot


def _claim(rows: Sequence[dict[str, Any]]) -> str:
    within = [abs(r["predicted"] / r["measured"] - 1) <= 0.15 for r in rows]
    return f"{100 * sum(within) / max(len(within), 1):.0f} % of {len(rows)} predictions within 15 %"


def _small(rows: Sequence[dict[str, Any]]) -> list[str]:
    return [
        f"{len(rows)} points. Filled: rows of this chip and model were in the fit of its style; "
        "hollow: in no fit. On the line: predicted as measured."
    ]


def _span(rows: Sequence[dict[str, Any]], unit: float) -> tuple[float, float]:
    values = [row[name] * unit for row in rows for name in ("predicted", "measured")]
    return min(values) / 1.2, max(values) * 1.2


def _points(rows, chips: list[str], metric: str, first: bool, dark: bool):
    import plotly.graph_objects as go

    unit = UNITS[metric]
    for index, chip in enumerate(chips):
        some = [row for row in rows if row["chip"] == chip]
        if not some:
            continue
        colour = theme.family(index, dark)
        shape = theme.MARKERS[index // len(theme.FAMILIES) % len(theme.MARKERS)]
        symbols = [shape if row["calibrated_on"] else f"{shape}-open" for row in some]
        yield go.Scatter(
            x=[row["measured"] * unit for row in some],
            y=[row["predicted"] * unit for row in some],
            mode="markers", name=chip, legendgroup=chip, showlegend=first,
            marker={"color": colour, "size": 6, "symbol": symbols},
            text=[row["model"] for row in some],
            hovertemplate="%{text}<br>measured %{x:.4g}, predicted %{y:.4g}<extra>" + chip
            + "</extra>",
        )  # fmt: skip


def _diagonal(low: float, high: float, dark: bool):
    import plotly.graph_objects as go

    return go.Scatter(x=[low, high], y=[low, high], mode="lines", showlegend=False,
                      line={"color": theme.page(dark)["faint"], "width": 1},
                      hoverinfo="skip")  # fmt: skip
