"""How sure a front is: its band over joint draws, each design by its chance to be on it."""

from typing import Any

from dse.report.charts import theme

OF = "bands"
X, Y = "user_tokens_per_s", "system_tokens_per_s_per_w"
SMALL_PX, LARGE_PX = 5, 15
WORTH_SAYING = 0.05
NAMED = (("high_efficiency_decoder", "High Efficiency Decoder"),
         ("low_latency_decoder", "Low Latency Decoder"), ("knee", "knee"))  # fmt: skip


def figure(front: dict[str, Any], dark: bool = False):
    """The chart, from the object of ``front.json`` with its ``bands``."""
    import plotly.graph_objects as go

    plot = go.Figure()
    for trace in (*_band(front, dark), *_designs(front, dark), *_robust(front, dark)):
        plot.add_trace(trace)
    theme.dress(plot, theme.Words(claim(front), _about(front), _corner(front)), dark)
    plot.update_layout(
        height=620, legend={"x": 0.01, "y": 0.02, "xanchor": "left", "yanchor": "bottom"}
    )
    (left, right), (bottom, top) = _ends(front)
    plot.update_xaxes(**theme.log_axis("User tokens/s \u2192", left, right, dark))
    plot.update_yaxes(**theme.log_axis("System tokens/s/W \u2192", bottom, top, dark))
    for note in _names(front, dark):
        plot.add_annotation(**note)
    return plot


def claim(front: dict[str, Any]) -> str:
    """The title: how far the stated front is from what the constants make likely."""
    found = front["bands"]
    lean = max(row["nominal"][Y] for row in found["designs"])
    likely = max((y for y in (found["attained"] or {}).get("median", []) if y), default=lean)
    if abs(likely / lean - 1) >= WORTH_SAYING:
        way = "below" if likely < lean else "above"
        percent = f"{100 * abs(likely / lean - 1):.0f} %"
        return f"The most efficient end of the front is likely {percent} {way} what is stated"
    sure = sum(row["on_front"] >= 0.5 for row in found["designs"])
    return f"{sure} of {len(found['designs'])} designs are on the front more often than not"


def _about(front: dict[str, Any]) -> str:
    return f"{theme.of_run(front)}; constants drawn within their ranges"


def _corner(front: dict[str, Any]) -> list[str]:
    found = front["bands"]
    level = f"{100 * found['level']:.0f} %"
    return [
        f"Shaded: where the best front of a draw lies in {level} of {found['draws']} draws. "
        "Size of a mark: its chance to be on the front of a draw. Robust front: best mean of the "
        f"worst {100 * found['tail']:.0f} % of draws in each goal. {found['compared']} designs "
        "compared, hardware and deployment held.",
        f"{theme.source(front)}. {theme.GOALS_SAID}",
    ]


def _ends(front: dict[str, Any]):
    rows = front["bands"]["designs"]
    found = []
    for goal, room in ((X, (1.3, 1.5)), (Y, (1.4, 2.2))):
        ends = [end for row in rows for end in row["goals"][goal] or []]
        found.append((min(ends) / room[0], max(ends) * room[1]))
    return found


# --- traces -------------------------------------------------------------------------------------


def _band(front: dict[str, Any], dark: bool):
    """The band of the whole front as an area, its median as a line."""
    import plotly.graph_objects as go

    found, faint = front["bands"]["attained"], theme.page(dark)["faint"]
    if not found:
        return
    rows = list(zip(found["levels"], found["low"], found["median"], found["high"], strict=True))
    low = [(x, y) for x, y, _, _ in rows if y]
    high = [(x, y) for x, _, _, y in rows if y]
    around = [*low, *reversed(high)]
    yield go.Scatter(
        x=[x for x, _ in around], y=[y for _, y in around], fill="toself", mode="lines",
        line={"width": 0}, fillcolor="rgba(140,150,160,0.22)", hoverinfo="skip",
        name=f"{100 * front['bands']['level']:.0f} % band of the front",
    )  # fmt: skip
    middle = [(x, y) for x, _, y, _ in rows if y]
    yield go.Scatter(
        x=[x for x, _ in middle], y=[y for _, y in middle], mode="lines", name="median front",
        line={"color": faint, "width": 1.5, "dash": "dot"}, hoverinfo="skip",
    )  # fmt: skip


def _designs(front: dict[str, Any], dark: bool):
    """Designs of the nominal front by family, larger the likelier they are on it."""
    import plotly.graph_objects as go

    for index, (family, title) in enumerate(front["families"].items()):
        rows = [row for row in front["bands"]["designs"] if row["family"] == family]
        if not rows:
            continue
        sizes = [SMALL_PX + (LARGE_PX - SMALL_PX) * row["on_front"] for row in rows]
        yield go.Scatter(
            x=[row["nominal"][X] for row in rows], y=[row["nominal"][Y] for row in rows],
            mode="markers", name=f"nominal: {title}",
            marker={"size": sizes, "color": theme.family(index, dark), "opacity": 0.75,
                    "symbol": theme.MARKERS[index % len(theme.MARKERS)],
                    "line": {"width": 0.5, "color": theme.page(dark)["page"]}},
            text=[_hover(row) for row in rows],
            hovertemplate="%{text}<extra></extra>",
        )  # fmt: skip


def _hover(row: dict[str, Any]) -> str:
    bands = "<br>".join(f"{name}: {row['goals'][name][0]:.4g} .. {row['goals'][name][1]:.4g}"
                        for name in (X, Y) if row["goals"][name])  # fmt: skip
    return (f"{row['id']}<br>{bands}<br>on the front in {100 * row['on_front']:.0f} %, "
            f"keeps limits in {100 * row['within_limits']:.0f} %<br>"
            f"regret {100 * row['regret']['mean']:.1f} %")  # fmt: skip


def _robust(front: dict[str, Any], dark: bool):
    """What the robust front promises: its goals in the worst draws."""
    import plotly.graph_objects as go

    rows = [row for row in (*front["bands"]["designs"], *front["bands"]["rivals"])
            if row["on_robust_front"]]  # fmt: skip
    rows.sort(key=lambda row: row["robust"][X])
    yield go.Scatter(
        x=[row["robust"][X] for row in rows], y=[row["robust"][Y] for row in rows],
        mode="lines", name="robust front",
        line={"color": theme.page(dark)["ink"], "width": 1.8}, hoverinfo="skip",
    )  # fmt: skip


def _names(front: dict[str, Any], dark: bool):
    import math

    by_id = {row["id"]: row for row in front["bands"]["designs"]}
    shifts = {"high_efficiency_decoder": (40, 32), "low_latency_decoder": (-118, 0),
              "knee": (34, 30)}  # fmt: skip
    for key, name in NAMED:
        row = by_id.get(front[key])
        if row is None:
            continue
        right, up = shifts[key]
        yield {
            "x": math.log10(row["nominal"][X]), "y": math.log10(row["nominal"][Y]),
            "text": f"<b>{name}</b><br>{100 * row['on_front']:.0f} % on the front",
            "showarrow": False, "xshift": right, "yshift": up,
            "font": {"size": 12, "color": theme.page(dark)["ink"]},
        }  # fmt: skip
