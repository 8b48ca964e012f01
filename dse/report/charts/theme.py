"""What all charts share: page colours, fonts, axes with 1-2-5 ticks, colours of families."""

import math
from typing import Any

WIDTH_PX, HEIGHT_PX = 900, 620
FONT = "Inter, Helvetica Neue, Arial, DejaVu Sans, sans-serif"
# Told apart also with colour-vision deficiencies, and from both a white and a dark page.
FAMILIES = ("#0B7BC1", "#C2571A", "#7A3FB0", "#12805C", "#B5317B", "#6B6B1E")
FAMILIES_DARK = ("#4AA8E8", "#EE8A4F", "#B58AE6", "#3DBB8B", "#EC7AB8", "#B9B95A")
MARKERS = ("circle", "square", "diamond", "triangle-up", "x", "star")


def page(dark: bool) -> dict[str, str]:
    """Colours of the page, ink, faint ink and grid."""
    if dark:
        return {"page": "#14171A", "ink": "#E8E6E1", "faint": "#A3A7AB", "grid": "#2B3035"}
    return {"page": "#FFFFFF", "ink": "#1B1F23", "faint": "#5C6570", "grid": "#E4E7EB"}


def family(index: int, dark: bool) -> str:
    """Colour of a family of designs."""
    colours = FAMILIES_DARK if dark else FAMILIES
    return colours[index % len(colours)]


def layout(title: str, subtitle: str, dark: bool) -> dict[str, Any]:
    """Title as the claim, subtitle as what it is about; margins and fonts."""
    colours = page(dark)
    return {
        "width": WIDTH_PX,
        "height": HEIGHT_PX,
        "title": {
            "text": f"<b>{title}</b>",
            "x": 0.015, "xanchor": "left", "y": 0.965, "yanchor": "top",
            "font": {"size": 17, "color": colours["ink"]},
            "subtitle": {"text": subtitle, "font": {"size": 13, "color": colours["faint"]}},
        },
        "font": {"family": FONT, "size": 13, "color": colours["ink"]},
        "paper_bgcolor": colours["page"],
        "plot_bgcolor": colours["page"],
        "margin": {"l": 72, "r": 28, "t": 92, "b": 128},
        "legend": {"bgcolor": "rgba(0,0,0,0)", "font": {"size": 12}},
        "hoverlabel": {"font": {"family": FONT}},
        "modebar": {"orientation": "v"},  # beside the plot, not over the claim
    }  # fmt: skip


def log_axis(title: str, low: float, high: float, dark: bool) -> dict[str, Any]:
    """A log axis whose ticks read 1, 2, 5, 10, 20, ..."""
    colours = page(dark)
    return {
        "type": "log",
        "title": {"text": title, "font": {"size": 13}},
        "range": [math.log10(low), math.log10(high)],
        "tickvals": ticks(low, high),
        "ticktext": [_plain(tick) for tick in ticks(low, high)],
        "gridcolor": colours["grid"],
        "linecolor": colours["faint"],
        "zeroline": False,
        "ticks": "outside",
        "tickcolor": colours["faint"],
    }


def ticks(low: float, high: float) -> list[float]:
    """1-2-5 ticks between two numbers; powers of ten alone over more than four decades."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if math.log10(high / low) <= 4 else (1,)
    found = [step * 10.0**decade for decade in decades for step in steps]
    return [tick for tick in found if low <= tick <= high]


def _plain(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def caption(text: str, dark: bool, y: float = -0.17) -> dict[str, Any]:
    """Small print under the plot: definitions, run, fidelity, seed."""
    return {
        "text": text,
        "xref": "paper", "yref": "paper", "x": 0, "y": y, "xanchor": "left", "yanchor": "top",
        "align": "left", "showarrow": False,
        "font": {"size": 11, "color": page(dark)["faint"]},
    }  # fmt: skip
