"""The ladder: the best real chip, each step of technology in turn, the design, and without each."""

import math
from collections.abc import Mapping
from typing import Any

from dse import units
from dse.report.charts import theme

OF = "gains"
LEFT_PX = 276
X, Y = "user_tokens_per_s", "system_tokens_per_s_per_w"
PANELS = (
    (Y, "High Efficiency Decoder", "tokens per joule"),
    (X, "Low Latency Decoder", "user speed"),
)


def figure(found: Mapping[str, Any], dark: bool = False):
    """Two ladders of bars over the best real chip, from the object of ``dse gains --json``."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    ladders = [_rungs(found, goal) for goal, _, _ in PANELS]
    counts = [len(rungs) for rungs in ladders]
    plot = make_subplots(rows=2, cols=1, vertical_spacing=0.17, row_heights=counts)
    for row, ((goal, _, words), rungs) in enumerate(zip(PANELS, ladders, strict=True), 1):
        plot.add_trace(go.Bar(**_bars(rungs, goal, dark)), row=row, col=1)
        low, high = _span(rungs)
        shown = f"{words}, times {theme.short(_reference(found, goal)['title'])}"
        plot.update_xaxes(**theme.log_axis(shown, low, high, dark), row=row, col=1)
        plot.update_yaxes(**theme.axis("", dark) | {"ticks": "", "showgrid": False},
                          ticksuffix="  ", autorange="reversed", row=row, col=1)  # fmt: skip
    theme.dress(
        plot, theme.Words(_claim(found), theme.of_run(found), _small(found)), dark, left=LEFT_PX
    )
    top = plot.layout.margin.t + theme.LEGEND_PX
    plot.update_layout(showlegend=False, bargap=0.32, margin={"t": top, "r": 40},
                       height=top + plot.layout.margin.b + 110 + 29 * sum(counts))  # fmt: skip
    plot.add_annotation(
        **theme.key([(words, colours(dark)[kind]) for kind, words in KINDS.items()], LEFT_PX)
    )
    return plot


KINDS = {
    "real": "real chip", "family": "family searched by itself", "design": "the design",
    "without": "the design without one step",
}  # fmt: skip


def colours(dark: bool) -> dict[str, str]:
    """Colour of each kind of rung."""
    faint = theme.page(dark)["faint"]
    return {"real": faint, "family": theme.family(0, dark), "design": theme.family(3, dark),
            "without": theme.family(1, dark)}  # fmt: skip


def _reference(found: Mapping[str, Any], goal: str) -> dict[str, Any]:
    """The real chip best in a goal (else the first family), and its value."""
    best = {"title": "the first family", "value": None}
    for base in found["baselines"]:
        value = _value(base, goal)
        if not base["searched"] and value and value > (best["value"] or 0.0):
            best = {"title": base["title"], "value": value}
    if best["value"] is None:
        first = next((item for item in found["ladder"]["families"] if item[goal]), None)
        best["value"] = first[goal] if first else 1.0
    return best


def _value(base: Mapping[str, Any], goal: str) -> float | None:
    if goal == X:
        return base["top_speed"]["theirs_tokens_per_s"]
    joules = base["energy"]["theirs_j_per_token"]
    return 1 / joules if joules else None


def _rungs(found: Mapping[str, Any], goal: str) -> list[tuple[str, str, float, float]]:
    """(kind, words, value, value over the reference), the reference first."""
    reference = _reference(found, goal)
    ladder = found["ladder"]
    taken = next(item for item in ladder["taken_away"] if item["goal"] == goal)
    families = sorted((item for item in ladder["families"] if item[goal]), key=lambda i: i[goal])
    lines = [("family", item["title"], item[goal]) for item in families]
    name = next(name for wanted, name, _ in PANELS if wanted == goal)
    lines.append(("design", name, taken["value"]))
    lines += [("without", _words(rung["without"]), rung["value"])
              for rung in taken["rungs"] if rung["value"]]  # fmt: skip
    if any(not base["searched"] for base in found["baselines"]):
        lines.insert(0, ("real", theme.short(reference["title"]), reference["value"]))
    return [(kind, words, value, value / reference["value"]) for kind, words, value in lines]


def _words(without: str) -> str:
    """What was taken away, so that it does not read like a family."""
    return f"\u2212 {without.removeprefix('no ')}" if without.startswith("no ") else f"at {without}"


def _bars(rungs, goal: str, dark: bool) -> dict[str, Any]:
    return {
        "x": [ratio for *_, ratio in rungs], "y": [words for _, words, _, _ in rungs],
        "orientation": "h", "cliponaxis": False, "textposition": "outside",
        "marker": {"color": [colours(dark)[kind] for kind, *_ in rungs]},
        "text": [f" {ratio:.3g}\u00d7  {_shown(value, goal)}" for _, _, value, ratio in rungs],
        "textfont": {"size": 13},
        "hovertemplate": "%{y}: %{x:.3g}\u00d7<extra></extra>",
    }  # fmt: skip


def _shown(value: float, goal: str) -> str:
    return f"{value:,.0f} tok/s" if goal == X else units.show(1 / value, "joule")


def _span(rungs) -> tuple[float, float]:
    """The axis starts below the smallest bar; bars of a log axis end somewhere."""
    ratios = [ratio for *_, ratio in rungs]
    low = min(ratios) / 1.6
    return low, max(ratios) * (max(ratios) / low) ** 0.42


def _claim(found: Mapping[str, Any]) -> str:
    """What the design without each step would lose most."""
    said = []
    for goal, name, words in PANELS:
        taken = next(item for item in found["ladder"]["taken_away"] if item["goal"] == goal)
        known = [rung for rung in taken["rungs"] if rung["factor"]]
        if known:
            most = max(known, key=lambda rung: rung["factor"])
            step = most["without"].removeprefix("no ")
            without = step if most["without"].startswith("no ") else f"leaving {step}"
            said.append(f"{without} carries {_times(most['factor'])} the {words} of the {name}")
    return _upper("; ".join(said)) if said else f"{found['run']}: families by themselves"


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _times(factor: float) -> str:
    return f"{factor:.2g}\u00d7" if math.isfinite(factor) else "-"


def _small(found: Mapping[str, Any]) -> list[str]:
    none = [f"{name}: {_words(rung['without'])}" for goal, name, _ in PANELS
            for item in found["ladder"]["taken_away"] if item["goal"] == goal
            for rung in item["rungs"] if not rung["value"]]  # fmt: skip
    missing = f" Nothing feasible: {'; '.join(none)}." if none else ""
    return [
        "A memory (\u2212) is taken away by searching the families that lack it; links, pipeline "
        "and rail by evaluating the design's own hardware without them on the whole grid of "
        "deployments."
        f"{missing}",
        f"{theme.source(found)}. {theme.GOALS_SAID}",
    ]  # fmt: skip
