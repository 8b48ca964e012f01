"""A sweep: both goals over one axis, a line per value of the other."""

from typing import Any

from dse import units
from dse.report.charts import theme
from dse.report.words import fidelity

OF = "sweep"
GOALS = {
    "user_tokens_per_s": "User tokens/s",
    "system_tokens_per_s_per_w": "System tokens/s/W",
}
STILL = 1.005  # a goal that moves less is called unchanged
MOST_RATIO = 4.0  # an axis whose ends are further apart is drawn in factors


def figure(result: dict[str, Any], dark: bool = False):
    """Two panels over a shared axis, from the object of ``dse sweep --json``."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    plot = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.06)
    for index, (name, rows) in enumerate(_lines(result)):
        colour = theme.family(index, dark)
        for panel, goal in enumerate(GOALS, 1):
            plot.add_trace(_line(go, rows, goal, colour, name, panel == 1), row=panel, col=1)
            stopped = [row for row in rows if not row["feasible"] and row[goal] is not None]
            if stopped:
                plot.add_trace(_hollow(go, stopped, goal, colour, dark), row=panel, col=1)
    theme.dress(plot, theme.Words(_claim(result), _about(result), _small_print(result)), dark)
    several = len(result["axes"]) > 1
    top = plot.layout.margin.t + (theme.LEGEND_PX if several else 0)
    plot.update_layout(height=700, legend=theme.legend_above(), showlegend=several,
                       margin={"t": top})  # fmt: skip
    for panel, label in enumerate(GOALS.values(), 1):
        plot.update_yaxes(**theme.axis(label, dark), rangemode="tozero", row=panel, col=1)
    scale = _scale(result["axes"][0])
    plot.update_xaxes(**theme.axis("", dark), **scale)
    plot.update_xaxes(title={"text": result["axes"][0]["path"], "font": {"size": 14}}, row=2, col=1)
    return plot


def _lines(result: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """(name, points) of each line: one, or one per value of the second axis."""
    axes = result["axes"]
    if len(axes) == 1:
        return [(result["title"], [_at(row, axes[0]) for row in result["points"]])]
    width = len(axes[1]["values"])
    found = []
    for index in range(width):
        rows = [_at(row, axes[0]) for row in result["points"][index::width]]
        found.append((f"{axes[1]['path']} {_shown(rows[0], axes[1])}", rows))
    return found


def _at(row: dict[str, Any], axis: dict[str, Any]) -> dict[str, Any]:
    """A row with its place on the axis."""
    return row | {"x": row["values"][axis["path"]], "text": _shown(row, axis)}


def _shown(row: dict[str, Any], axis: dict[str, Any]) -> str:
    return _text(row["values"][axis["path"]], axis)


def _text(value: Any, axis: dict[str, Any]) -> str:
    """A value of an axis as people write it."""
    if not isinstance(value, float):
        return str(value)
    if not axis["unit"] and value == int(value):
        return f"{value:,.0f}"
    return units.show(value, axis["unit"] or None)


def _line(go, rows, goal: str, colour: str, name: str, named: bool):
    return go.Scatter(
        x=[row["x"] for row in rows],
        y=[row[goal] if row["feasible"] else None for row in rows],
        mode="lines+markers", name=name, legendgroup=name, showlegend=named,
        line={"color": colour, "width": 2.5}, marker={"size": 8},
        text=[row["text"] for row in rows],
        hovertemplate="%{text}: %{y:.4g}<extra>" + name + "</extra>",
    )  # fmt: skip


def _hollow(go, rows, goal: str, colour: str, dark: bool):
    """Points that break a limit: there, but hollow."""
    return go.Scatter(
        x=[row["x"] for row in rows], y=[row[goal] for row in rows], mode="markers",
        showlegend=False,
        marker={"size": 9, "color": theme.page(dark)["page"],
                "line": {"color": colour, "width": 1.5}},
        text=[f"{row['text']}, {', '.join(v['name'] for v in row['violations'])}" for row in rows],
        hovertemplate="%{text}: %{y:.4g}<extra>infeasible</extra>",
    )  # fmt: skip


def _scale(axis: dict[str, Any]) -> dict[str, Any]:
    """How the shared axis is laid out: ticks at the points, as people write them."""
    numbers = axis["numbers"]
    if not all(isinstance(number, (int, float)) for number in numbers):
        return {"type": "category"}
    few = numbers[:: max(1, len(numbers) // 9)]
    shown = [_text(number, axis) for number in few]
    wide = min(numbers) > 0 and max(numbers) / min(numbers) >= MOST_RATIO
    return {"type": "log" if wide else "linear", "tickvals": few, "ticktext": shown}


def _claim(result: dict[str, Any]) -> str:
    """How far each goal moves over the feasible points."""
    good = [row for row in result["points"] if row["feasible"]]
    if not good:
        return f"No feasible point over {result['axes'][0]['path']}"
    said = []
    for goal, label in GOALS.items():
        values = [row[goal] for row in good]
        ratio = max(values) / min(values)
        said.append(f"{label} {f'up to {ratio:.2f}x' if ratio > STILL else 'unchanged'}")
    paths = " and ".join(axis["path"] for axis in result["axes"])
    return f"Over {paths}: {', '.join(said)}"


def _about(result: dict[str, Any]) -> str:
    return (f"{result['title']}, {result['model_title']}, {result['workload']}, "
            f"{fidelity(result['fidelity'])}, {result['power_scope']} power")  # fmt: skip


def _small_print(result: dict[str, Any]) -> list[str]:
    basis = result["basis"]
    if basis["batch"] == "fixed":
        held = "Batch and deployment held"
    else:
        what = "Batch and splits" if basis["deploy"] == "best" else "Batch"
        held = f"{what} chosen again at each point, at {basis['speed']:.3g} user tokens/s or faster"
    return [f"{held}; hollow: a limit is broken.", theme.GOALS_SAID]
