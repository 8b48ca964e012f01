"""Which family serves a user speed with the least energy at each value of a limit."""

from typing import Any

from dse import units
from dse.report.charts import theme

OF = "fronts"
X = "user_tokens_per_s"
CELL_PX = 58


def figure(found: dict[str, Any], dark: bool = False):
    """A map of winners over the limit and the user speed, from ``dse sweep STUDY --json``."""
    import plotly.graph_objects as go

    plot = go.Figure()
    for trace in (*_cells(found, dark), *_legend(found, dark), _outlines(found, dark)):
        plot.add_trace(trace)
    about = f"{theme.of_run(found)}; least energy at a user speed"
    theme.dress(plot, theme.Words(claim(found), about, _small_print(found)), dark, left=96)
    points, speeds = found["points"], found["speeds"]
    margin = plot.layout.margin
    plot.update_layout(
        height=margin.t + margin.b + theme.LEGEND_PX + CELL_PX * (len(speeds) + 1),
        legend=theme.legend_above(),
        margin={"t": margin.t + theme.LEGEND_PX},
    )
    axis = found["axis"]
    plot.update_xaxes(**theme.axis(f"{axis['label']}, {axis['sense']}", dark),
                      **_categories([point["text"] for point in points]))  # fmt: skip
    plot.update_yaxes(**theme.axis("User tokens/s", dark),
                      **_categories([*(f"{speed:,g}" for speed in speeds), "fastest"]))  # fmt: skip
    return plot


def _categories(words: list[str]) -> dict[str, Any]:
    """Words along an axis, a cell each."""
    return {"tickvals": list(range(len(words))), "ticktext": words, "showgrid": False,
            "range": [-0.5, len(words) - 0.5]}  # fmt: skip


def claim(found: dict[str, Any]) -> str:
    """From which value of the limit on SRAM holds most weights of the winners."""
    since = [next((turn["from"] for turn in turns if turn["most_weights_in"] == "sram"), None)
             for turns in found["turns"]]  # fmt: skip
    starts = sorted({value for value in since if value is not None})
    if not starts:
        return f"SRAM holds most weights at no {found['axis']['path']} looked at"
    texts = {point["value"]: point["text"] for point in found["points"]}
    if len(starts) == 1:
        return f"Weights belong in SRAM from {texts[starts[0]]} on"
    return f"Weights belong in SRAM from {texts[starts[0]]} to {texts[starts[-1]]} on, by speed"


def _small_print(found: dict[str, Any]) -> list[str]:
    bounds = ", ".join(f"{name} {text}" for name, text in found["constraints"].items())
    return [
        "Energy per output token of the leanest design that serves the speed; share of its weights "
        "in SRAM. Framed: SRAM holds most of them.",
        f"Study {found['study']}, {bounds or 'no other bound'}; the front searched again at each "
        f"value, {found['rounds']} rounds of gradients, seed {found['seed']}.",
    ]


def _grid(found: dict[str, Any]) -> list[list[dict[str, Any] | None]]:
    """Winners by speed, the fastest design last, [speed][value]."""
    rows = [[point["winners"][i] for point in found["points"]]
            for i in range(len(found["speeds"]))]  # fmt: skip
    return [*rows, [point["fastest"] for point in found["points"]]]


def _cells(found: dict[str, Any], dark: bool):
    """One heatmap per family, so that each has its colour; numbers stand on it."""
    import plotly.graph_objects as go

    grid = _grid(found)
    for index, family in enumerate(found["families"]):
        mine = [[1.0 if cell and cell["family"] == family else None for cell in row]
                for row in grid]  # fmt: skip
        colour = theme.family(index, dark)
        text = [[_text(cell, row is grid[-1]) if cell and cell["family"] == family else ""
                 for cell in row] for row in grid]  # fmt: skip
        yield go.Heatmap(
            z=mine, zmin=0, zmax=1, colorscale=[[0, colour], [1, colour]], showscale=False,
            xgap=3, ygap=3, text=text, texttemplate="%{text}", hoverongaps=False,
            textfont={"size": 12, "color": "#14171A" if dark else "#FFFFFF"},
            customdata=[[_hover(cell) for cell in row] for row in grid],
            hovertemplate="%{customdata}<extra></extra>",
        )  # fmt: skip


def _text(cell: dict[str, Any], is_fastest: bool) -> str:
    energy = units.show(cell["j_per_token"], "joule")
    first = f"<b>{cell[X]:,.0f}</b>, {energy}" if is_fastest else f"<b>{energy}</b>"
    return f"{first}<br>SRAM {_sram(cell):.0%}"


def _sram(cell: dict[str, Any]) -> float:
    return cell["tiers"].get("sram", {}).get("weights_fraction", 0.0)


def _hover(cell: dict[str, Any] | None) -> str:
    if cell is None:
        return ""
    tiers = "<br>".join(
        f"{tier}: {at['weights_fraction']:.0%} of weights, {at['kv_cache_fraction']:.0%} of KV, "
        f"{units.show(at['read_bytes_per_s'], 'byte / second')}"
        for tier, at in cell["tiers"].items()
    )
    return (f"{cell[X]:,.0f} tok/s/user, {units.show(cell['j_per_token'], 'joule')}/token<br>"
            f"{cell['chips']:g} chips, {cell['silicon_mm2']:,.0f} mm2, "
            f"{cell['users_in_flight']:,g} users<br>{tiers}")  # fmt: skip


def _legend(found: dict[str, Any], dark: bool):
    """A square per family that wins somewhere."""
    import plotly.graph_objects as go

    won = {cell["family"] for row in _grid(found) for cell in row if cell}
    for index, (family, title) in enumerate(found["families"].items()):
        if family in won:
            yield go.Scatter(x=[None], y=[None], mode="markers", name=title,
                             marker={"symbol": "square", "size": 12,
                                     "color": theme.family(index, dark)})  # fmt: skip


def _outlines(found: dict[str, Any], dark: bool):
    """The edge around each cell whose weights lie mostly in SRAM, as one broken line."""
    import plotly.graph_objects as go

    xs: list[float | None] = []
    ys: list[float | None] = []
    half = 0.44
    for y, row in enumerate(_grid(found)):
        for x, cell in enumerate(row):
            if cell and _sram(cell) > 0.5:
                xs += [x - half, x + half, x + half, x - half, x - half, None]
                ys += [y - half, y - half, y + half, y + half, y - half, None]
    return go.Scatter(x=xs, y=ys, mode="lines", showlegend=False, hoverinfo="skip",
                      line={"color": theme.page(dark)["page"], "width": 2})  # fmt: skip
