"""How the front grew: hypervolume trial by trial."""

from collections.abc import Mapping
from typing import Any

from dse.report.charts import theme
from dse.report.words import fidelity

OF = "history"


def figure(found: Mapping[str, Any], dark: bool = False):
    """A staircase of hypervolume over trials, from the object of `dse.search.history`."""
    import plotly.graph_objects as go

    trials, volumes = list(found["trials"]), list(found["hypervolume"])
    last = max(found["trials_done"], trials[-1] if trials else 1)
    ink, colour = theme.page(dark)["ink"], theme.family(0, dark)
    plot = go.Figure()
    if trials:
        plot.add_trace(
            go.Scatter(
                x=[*trials, last], y=[*volumes, volumes[-1]], mode="lines", name="hypervolume",
                line={"color": colour, "width": 2.6, "shape": "hv"},
                hovertemplate="trial %{x:,}: %{y:.4f}<extra></extra>",
            )
        )  # fmt: skip
        plot.add_trace(
            go.Scatter(
                x=[last], y=[volumes[-1]], mode="markers+text", text=[f"{volumes[-1]:.4f}"],
                textposition="bottom left", textfont={"size": 14, "color": ink}, hoverinfo="skip",
                marker={"size": 9, "color": colour}, name="the front",
            )
        )  # fmt: skip
    words = theme.Words(_claim(found), _about(found), _small(found))
    theme.dress(plot, words, dark)
    plot.update_layout(showlegend=False, height=460)
    plot.update_xaxes(**theme.axis("trials (each one chip, swept over every deployment)", dark),
                      range=[0, 1.04 * last], tickformat=",")  # fmt: skip
    plot.update_yaxes(**theme.axis("hypervolume, log10 of the goals", dark),
                      **_ends(volumes))  # fmt: skip
    return plot


def _ends(volumes) -> dict[str, Any]:
    if not volumes:
        return {}
    room = max(0.12 * (volumes[-1] - volumes[0]), 1e-3 * abs(volumes[-1]), 1e-6)
    return {"range": [volumes[0] - room, volumes[-1] + room]}


def _claim(found: Mapping[str, Any]) -> str:
    volumes, trials = found["hypervolume"], found["trials"]
    if not volumes or not volumes[-1]:
        return "No design beyond the reference point yet"
    goal = 0.999 * volumes[-1]
    reached = next(t for t, v in zip(trials, volumes, strict=True) if v >= goal)
    more = volumes[-1] / _at(found, found["trials_done"] // 2) - 1
    return (f"99.9 % of the hypervolume after {reached:,} of {found['trials_done']:,} trials; the "
            f"second half added {100 * more:.2g} %")  # fmt: skip


def _at(found: Mapping[str, Any], trial: int) -> float:
    pairs = zip(found["trials"], found["hypervolume"], strict=True)
    return max((v for t, v in pairs if t <= trial), default=found["hypervolume"][0])


def _about(found: Mapping[str, Any]) -> str:
    return (f"{found['study']}, {found['sampler']} sampler, {theme.many(found['evaluations'])} "
            f"designs evaluated in {found['seconds']:,.0f} s")  # fmt: skip


def _small(found: Mapping[str, Any]) -> list[str]:
    stopped = "converged" if found["converged"] else f"of {found['trials_asked']:,} asked"
    return [
        "Hypervolume: area between front and reference point in log10 of the goals (volume, with "
        "more goals), of everything that competed; a front is printed thinned. With gradients the "
        "first trials are the front of a phase that has none.",
        f"Run {found['run']}, seed {found['seed']}, {fidelity(found['fidelity'])}, "
        f"{found['trials_done']:,} trials, {stopped}.",
    ]  # fmt: skip
