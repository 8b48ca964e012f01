"""What one token waits for, stage by stage: nanoseconds per layer, and the price of the link."""

from collections.abc import Mapping
from typing import Any

from dse import units
from dse.report import palette
from dse.report.charts import theme

OF = "explain"
# Stage -> the component whose colour it has.
COLOURS = {
    "memory streaming": "weights", "arithmetic": "compute", "link stages": "communication",
    "link serialization": "communication", "die crossings": "overhead",
    "dependent operations": "overhead", "memory latency": "overhead", "software": "overhead",
    "queue for stages": "static", "wait for power": "static", "prefill": "prefill",
}  # fmt: skip
SMALLEST = 1e-3  # share of the time from which a stage is drawn


def figure(result: Mapping[str, Any], dark: bool = False):
    """Bars of nanoseconds per layer, from the object of ``dse explain CHIP --json``."""
    import plotly.graph_objects as go

    whole = sum(stage["seconds"] or 0.0 for stage in result["critical_path"])
    stages = [stage for stage in result["critical_path"]
              if (stage["seconds"] or 0.0) > SMALLEST * whole]  # fmt: skip
    stages.sort(key=lambda stage: stage["seconds"])
    per_layer = [1e9 * stage["seconds"] / result["layers"] for stage in stages]
    names = [stage["stage"] for stage in stages]
    plot = go.Figure(
        go.Bar(
            x=per_layer, y=names, orientation="h", cliponaxis=False,
            marker={"color": [palette.colour(COLOURS.get(name, "static")) for name in names]},
            text=[_said(stage, whole, result["layers"]) for stage in stages],
            textposition="outside",
            hovertemplate="%{y}: %{x:,.1f} ns per layer<extra></extra>",
        )
    )  # fmt: skip
    words = theme.Words(_claim(stages, whole, result), theme.of_point(result), _small(result))
    theme.dress(plot, words, dark, left=172)
    plot.update_layout(height=plot.layout.margin.t + plot.layout.margin.b + 60 + 38 * len(stages),
                       bargap=0.4, showlegend=False, margin={"r": 40})  # fmt: skip
    most = max(per_layer, default=1.0)
    plot.update_xaxes(**theme.axis("nanoseconds per layer, along one token's path", dark),
                      range=[0, 1.6 * most], tickformat=",")  # fmt: skip
    plot.update_yaxes(**theme.axis("", dark) | {"ticks": ""}, ticksuffix="  ", showgrid=False)
    return plot


def _said(stage: Mapping[str, Any], whole: float, layers: float) -> str:
    shown = units.show(stage["seconds"] / layers, "second")
    count = stage["count"]
    each = (
        f", {count:,.0f} of {units.show(stage['seconds'] / count, 'second')}" if count > 1 else ""
    )
    return f" {shown}, {100 * stage['seconds'] / whole:.0f} %{each}"


def _claim(stages, whole: float, result: Mapping[str, Any]) -> str:
    if not stages:
        return "Nothing takes time"
    per_layer = units.show(whole / result["layers"], "second")
    top = stages[-1]
    return (f"{per_layer} per layer, {100 * top['seconds'] / whole:.0f} % of it {top['stage']}"
            f"{_price(result, whole)}")  # fmt: skip


def _price(result: Mapping[str, Any], whole: float) -> str:
    """What ten nanoseconds of each link stage cost a token."""
    links = next((s for s in result["critical_path"] if s["stage"] == "link stages"), None)
    if links is None or not links["count"] or not whole:
        return ""
    return f"; 10 ns more per link stage cost {100 * links['count'] * 1e-8 / whole:.2g} %"


def _small(result: Mapping[str, Any]) -> list[str]:
    step = units.show(result["step_s"], "second")
    return [
        f"Time of a step: {step} over {result['layers']:g} layers. Link stages: exchanges between "
        "chips that wait for one another; serialization: bytes over link bandwidth; die crossings: "
        "wires of a die; dependent operations: pipelines that drain; queue for stages: a pipeline "
        "whose stages are not free."
    ]
