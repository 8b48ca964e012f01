"""What all charts share: page colours, fonts, axes with 1-2-5 ticks, colours of families.

Sizes are chosen so that a picture shrunk to a column of 450 px can still be read.
"""

import html
import math
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from dse.report.words import fidelity

WIDTH_PX, HEIGHT_PX = 760, 560
LINE_TITLE_PX, LINE_ABOUT_PX, LINE_SMALL_PX = 22, 18, 16
TITLE_CHARACTERS, ABOUT_CHARACTERS, SMALL_CHARACTERS = 84, 108, 130  # that fit a line
LEGEND_PX = 28
AXIS_PX = 62  # ticks and title of an axis below the plot
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
    """Title as the claim, subtitle as what it is about; margins and fonts.

    ``meta`` keeps the words as they are and the pixels they take, for pages that set them in type.
    """
    colours = page(dark)
    claim, about = _lines(title, TITLE_CHARACTERS), _lines(subtitle, ABOUT_CHARACTERS)
    more = LINE_TITLE_PX * claim.count("<br>")  # Plotly hangs a title at its last line
    taken = 32 + LINE_TITLE_PX + more
    taken += LINE_ABOUT_PX * (about.count("<br>") + 1) if about else 0
    return {
        "template": "none",
        "width": WIDTH_PX,
        "height": HEIGHT_PX,
        "title": {
            "text": f"<b>{claim}</b>",
            "x": 0, "xref": "container", "xanchor": "left", "pad": {"l": 14, "t": 16 + more},
            "y": 1, "yref": "container", "yanchor": "top",
            "font": {"size": 17, "color": colours["ink"]},
            "subtitle": {"text": about, "font": {"size": 14, "color": colours["faint"]}},
        },
        "font": {"family": FONT, "size": 14, "color": colours["ink"]},
        "paper_bgcolor": colours["page"],
        "plot_bgcolor": colours["page"],
        "margin": {"l": 76, "r": 24, "t": taken + 22, "b": 128},
        "legend": {"bgcolor": "rgba(0,0,0,0)", "font": {"size": 13}},
        "hoverlabel": {"font": {"family": FONT}},
        "modebar": {"orientation": "v"},  # beside the plot, not over the claim
        "meta": {"claim": title, "about": subtitle, "small": [], "title_px": taken, "small_px": 0},
    }  # fmt: skip


def _lines(text: str, width: int) -> str:
    """Text of a study's making as lines for Plotly, which reads some tags."""
    return "<br>".join(html.escape(line, quote=False) for line in textwrap.wrap(text, width))


class Words(NamedTuple):
    """What a picture says: its claim, what it is about, and small print.

    Small print says what the goals are, where the picture is from (run, fidelity, seed) and how
    it is to be read.
    """

    claim: str
    about: str
    small: Sequence[str]


def worded(words: Words, dark: bool, left: int = 76, axis_px: int = AXIS_PX) -> dict[str, Any]:
    """A layout with its words; ``axis_px`` is what lies between the plot and the small print."""
    lines = [line for text in words.small for line in textwrap.wrap(text, SMALL_CHARACTERS)]
    height = LINE_SMALL_PX * len(lines) + 12 if lines else 0
    made = layout(words.claim, words.about, dark)
    made["margin"] |= {"l": left, "b": axis_px + height}
    made["meta"] |= {"small": list(words.small), "small_px": height}
    text = "<br>".join(html.escape(line, quote=False) for line in lines)
    small = caption(text, dark, 0) | {"xshift": 14 - left, "yshift": -axis_px}
    return made | {"annotations": [small]}


def dress(plot: Any, words: Words, dark: bool, left: int = 76, axis_px: int = AXIS_PX) -> None:
    """Give a figure its words, beside the annotations it has."""
    made = worded(words, dark, left, axis_px)
    (small,) = made.pop("annotations")
    plot.update_layout(**made)
    plot.add_annotation(**small)


def short(title: str) -> str:
    """A chip's title without its maker and what stands in brackets."""
    return re.sub(r" \([^)]*\)", "", title).replace("NVIDIA ", "").replace("AMD ", "")


def of_run(front: Mapping[str, Any]) -> str:
    """Model, workload, fidelity and power of a front."""
    return (f"{front['model_title']}, {front['workload_title'].lower()}, "
            f"{fidelity(front['fidelity'])}, {front['power_scope']} power")  # fmt: skip


def source(front: Mapping[str, Any]) -> str:
    """The run a picture is from, its seed and fidelity, for the corner."""
    return (f"Run {front['run']}, seed {front['seed']}, {fidelity(front['fidelity'])}, "
            f"{front['trials']:,} trials")  # fmt: skip


def many(count: float) -> str:
    """A count: in full up to a hundred thousand, then in millions."""
    return f"{count:,.0f}" if count < 1e5 else f"{count / 1e6:,.1f} M"


def of_point(result: Mapping[str, Any]) -> str:
    """Chip, model and deployment of one operating point, from the object of ``dse eval --json``."""
    splits = [f"{name} {result[name]:g}" for name in ("tp", "kvp", "dp", "ep", "pp")
              if result[name] is not None and (name == "tp" or result[name] > 1)]  # fmt: skip
    return (f"{result['chip']} x{result['chips']:g}, {result['model']}, {result['workload']}, "
            f"batch {result['batch']:,g}, {', '.join(splits)}, {fidelity(result['fidelity'])}, "
            f"{result['power_scope']} power")  # fmt: skip


GOALS_SAID = ("User tokens/s: output tokens per second of one user. System tokens/s/W: output "
              "tokens of all users per joule of the whole replica.")  # fmt: skip


def key(items: Sequence[tuple[str, str]], left: int = 76) -> dict[str, Any]:
    """A legend as one line of words above the plot: (words, colour) of each mark.

    It starts where the title does; ``left`` is the margin of the figure.
    """
    words = "   ".join(
        f'<span style="color:{colour}">\u25a0</span> {text}' for text, colour in items
    )
    return {"text": words, "xref": "paper", "yref": "paper", "x": 0, "y": 1, "xanchor": "left",
            "yanchor": "bottom", "yshift": 6, "xshift": 14 - left, "align": "left",
            "showarrow": False, "name": "key", "font": {"size": 13}}  # fmt: skip


def legend_above() -> dict[str, Any]:
    """A legend in one line between the title and the plot; it takes `LEGEND_PX` of margin."""
    return {"orientation": "h", "x": 0, "y": 1.01, "xanchor": "left", "yanchor": "bottom",
            "traceorder": "normal", "bgcolor": "rgba(0,0,0,0)", "font": {"size": 13},
            "itemsizing": "constant"}  # fmt: skip


def names_down(curves: Sequence[tuple[str, Sequence[Mapping[str, Any]]]], colour: str):
    """Names run down the steep side of batch curves, where those lie apart."""
    drawn = [(name, points) for name, points in curves if points]
    drawn.sort(key=lambda pair: max(point["user_tokens_per_s"] for point in pair[1]))
    for index, (name, points) in enumerate(drawn):
        steep = sorted(points, key=lambda point: point["system_tokens_per_s_per_w"])
        at = steep[min(2, len(steep) - 1)]
        yield {"x": math.log10(at["user_tokens_per_s"]), "text": name, "showarrow": False,
               "y": math.log10(at["system_tokens_per_s_per_w"]), "textangle": 82,
               "xshift": 10 if index else -11, "yshift": -8,
               "font": {"size": 11.5, "color": colour}}  # fmt: skip


def axis(title: str, dark: bool, **more: Any) -> dict[str, Any]:
    """A linear axis, or what the categories of one have in common."""
    colours = page(dark)
    return {
        "title": {"text": title, "font": {"size": 14}},
        "gridcolor": colours["grid"],
        "linecolor": colours["faint"],
        "zerolinecolor": colours["faint"],
        "zeroline": False,
        "ticks": "outside",
        "tickcolor": colours["faint"],
        **more,
    }


def log_axis(title: str, low: float, high: float, dark: bool) -> dict[str, Any]:
    """A log axis whose ticks read 1, 2, 5, 10, 20, ..."""
    values = ticks(low, high)
    return axis(title, dark) | {
        "type": "log",
        "range": [math.log10(low), math.log10(high)],
        "tickvals": values,
        "ticktext": [_plain(value) for value in values],
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
        "align": "left", "showarrow": False, "name": "caption",
        "font": {"size": 12, "color": page(dark)["faint"]},
    }  # fmt: skip
