"""Runs against each other: all fronts in one plane, and their energies over the best of them."""

import bisect
from typing import Any

from dse.report.charts import theme

OF = "compare"
X, Y = "user_tokens_per_s", "system_tokens_per_s_per_w"
ROOM = (1.25, 1.4)  # factors left and right of what is drawn
STEEP = 50.0  # percent: where a front falls like a wall, any more says nothing
LOST = 0.35  # opacity of designs that another run beats


def figure(found: dict[str, Any], dark: bool = False):
    """Two panels over user speed, from the object of ``dse pareto compare --json``."""
    from plotly.subplots import make_subplots

    plot = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.06,
                         row_heights=[0.66, 0.34])  # fmt: skip
    stairs = [_stairs(row["front"]) for row in found["runs"]]
    for index, row in enumerate(found["runs"]):
        for trace in _traces(row, index, dark):
            plot.add_trace(trace, row=1, col=1)
        plot.add_trace(_excess(row["run"], stairs, index, dark), row=2, col=1)
    theme.dress(plot, theme.Words(claim(found), theme.of_run(found), _small_print(found)), dark)
    plot.update_layout(height=760, legend={"x": 0.02, "y": 0.42, "yanchor": "bottom"})
    _axes(plot, stairs, dark)
    return plot


def claim(found: dict[str, Any]) -> str:
    """Which run covers most of what all reach together, and what the others lack."""
    rows = [row for row in found["runs"] if row["share"] is not None]
    if not rows:
        return "No run has a design to compare"
    best, *rest = sorted(rows, key=lambda row: -row["share"])
    others = ", ".join(f"{row['run']} {100 * row['share']:.2f} %" for row in rest)
    return f"{best['run']} covers {100 * best['share']:.2f} % of what all reach, {others}"


def _small_print(found: dict[str, Any]) -> list[str]:
    runs = "; ".join(f"{row['run']}: study {row['study']}, seed {row['seed']}, "
                     f"{row['trials']:,} trials" for row in found["runs"])  # fmt: skip
    keys = [item["key"] for item in found["differences"]]
    more = f", and {len(keys) - 6} more" if len(keys) > 6 else ""
    differing = f"settings that differ: {', '.join(keys[:6])}{more}" if keys else "same settings"
    return [
        f"Faint: another run has a design at least as good in both goals. Below: cut at {STEEP:g} "
        "%. Share of the hypervolume in log10 of both goals, one reference point.",
        f"{runs}; {differing}.",
    ]


def _stairs(front: list[dict[str, Any]]) -> list[tuple[float, float]]:
    """(speed, joules per token) of designs no slower one beats, slow to fast."""
    found: list[tuple[float, float]] = []
    for design in sorted(front, key=lambda d: -d[X]):
        if not found or 1 / design[Y] < found[-1][1]:
            found.append((design[X], 1 / design[Y]))
    return found[::-1]


def _at(stairs: list[tuple[float, float]], speed: float) -> float | None:
    """Least energy at a speed or faster."""
    place = bisect.bisect_left(stairs, (speed, 0.0))
    return stairs[place][1] if place < len(stairs) else None


def _traces(row: dict[str, Any], index: int, dark: bool):
    """One run: its front as a line, designs that survive solid, the others faint."""
    import plotly.graph_objects as go

    colour = theme.family(index, dark)
    front = sorted(row["front"], key=lambda design: design[X])
    yield go.Scatter(x=[d[X] for d in front], y=[d[Y] for d in front], mode="lines",
                     line={"color": colour, "width": 1.6}, name=row["run"],
                     legendgroup=row["run"], hoverinfo="skip")  # fmt: skip
    yield go.Scatter(
        x=[d[X] for d in front], y=[d[Y] for d in front], mode="markers", name=row["run"],
        legendgroup=row["run"], showlegend=False,
        marker={"color": colour, "size": 7, "symbol": theme.MARKERS[index % len(theme.MARKERS)],
                "opacity": [1.0 if d["survives"] else LOST for d in front]},
        text=[f"{d['id']}, {d['family']}" for d in front],
        hovertemplate="%{text}<br>%{x:,.0f} tok/s/user<br>%{y:.3g} tok/s/W<extra>" + row["run"]
        + "</extra>",
    )  # fmt: skip


def _excess(name: str, stairs, index: int, dark: bool):
    """Energy of a run over the least of all at each speed, in percent."""
    import plotly.graph_objects as go

    speeds = sorted({speed for steps in stairs for speed, _ in steps})
    over = []
    for speed in speeds:
        mine = _at(stairs[index], speed)
        least = min(found for steps in stairs if (found := _at(steps, speed)) is not None)
        over.append(None if mine is None else 100 * (mine / least - 1))
    return go.Scatter(
        x=speeds, y=over, mode="lines", name=name, legendgroup=name, showlegend=False,
        line={"color": theme.family(index, dark), "width": 1.6, "shape": "vh"},
        hovertemplate="%{x:,.0f} tok/s/user: +%{y:.2f} %<extra>" + name + "</extra>",
    )  # fmt: skip


def _axes(plot, stairs, dark: bool) -> None:
    points = [point for steps in stairs for point in steps] or [(10.0, 1.0), (1000.0, 0.1)]
    speeds, energies = [p[0] for p in points], [p[1] for p in points]
    low, high = min(speeds) / ROOM[0], max(speeds) * ROOM[1]
    bottom, top = 1 / max(energies) / ROOM[0], 1 / min(energies) * ROOM[1]
    across = theme.log_axis("User tokens/s", low, high, dark)
    plot.update_xaxes(**across, row=2, col=1)
    plot.update_xaxes(**(across | {"title": None}), row=1, col=1)
    plot.update_yaxes(**theme.log_axis("System tokens/s/W", bottom, top, dark), row=1, col=1)
    plot.update_yaxes(**theme.axis("energy over the least", dark), ticksuffix=" %",
                      range=[0, _highest(plot)], row=2, col=1)  # fmt: skip


def _highest(plot) -> float:
    """The top of the lower panel: all of it, or the cut."""
    over = [y for trace in plot.data if trace.yaxis == "y2" for y in trace.y if y is not None]
    return min(max([*over, 0.1]) * 1.1, STEEP)
