"""Batch curves of chips: both goals from batch 1 to the batch that no longer fits.

Each line is one chip at one split. Where memory is full a curve meets its wall: the points beyond,
which cannot run, go on as a faint dotted line.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dse.report.charts import theme

OF = "curves"
X, Y = "user_tokens_per_s", "system_tokens_per_s_per_w"
LABELLED = (1, 8, 64, 512)  # batches named along the line that is asked about
ROOM = 1.12  # factor left free beside the outermost point
STEPS = (1.0, 2.0, 5.0, 10.0)
MOST_BEYOND = 3  # points drawn behind a wall


def figure(data: Mapping[str, Any], dark: bool = False):
    """The chart, from plain data.

    Args:
        data: ``lines``, each with ``name``, ``role`` (base, changed, pinned or reference),
            ``points`` (rows of ``dse whatif --curve``) and ``at`` (the batch that is marked, or
            None); ``claim``, ``about`` and ``corner``: title, what it is about, small print.
        dark: for a dark page.
    """
    import plotly.graph_objects as go

    return go.Figure(drawing(data, dark))


def from_whatif(result: Mapping[str, Any]) -> dict[str, Any]:
    """The chart's data from the object of ``dse whatif --curve --json``."""
    curve, base, changed = result["curve"], result["base"], result["changed"]
    words = ", ".join(f"{c['path']} {c['after']}" for c in result["changes"]) or "unchanged"
    lines = [
        {"name": result["chip"], "role": "base", "points": curve["base"], "at": base["batch"]},
        {"name": f"with {words}", "role": "changed", "points": curve["changed"],
         "at": changed["batch"]},
    ]  # fmt: skip
    return {
        "lines": lines if result["changes"] else lines[:1],
        "claim": _claim(result),
        "about": theme.of_point(changed),
        "corner": f"Ringed: the batch asked about. {theme.GOALS_SAID}",
    }


def _claim(result: Mapping[str, Any]) -> str:
    """What the change does where the curves can be compared best: at equal user speed."""
    if not result["changes"]:
        return f"{result['chip']}: from the lowest latency to full memory"
    rows = [row for row in result["curve"]["at_equal_user_speed"] if row["change_fraction"]]
    if not rows:
        return "At equal user speed the same efficiency"
    middle = rows[len(rows) // 2]
    return (
        f"{100 * middle['change_fraction']:+.0f} % tokens per joule at {middle[X]:,.3g} tok/s/user"
    )


def drawing(data: Mapping[str, Any], dark: bool = False) -> dict[str, Any]:
    """The chart as plain data and layout, as Plotly takes them; nothing here imports it."""
    lines = [dict(line, points=_known(line)) for line in data["lines"]]
    lines = [line for line in lines if line["points"]]
    pinned = [line for line in lines if line["role"] == "pinned"]
    traces: list[dict[str, Any]] = []
    for line in sorted(lines, key=lambda line: _ORDER.index(line["role"])):
        style = _style(line, pinned.index(line) if line in pinned else 0, dark)
        traces += _traces(line, style, dark)
    (left, right), (bottom, top) = (_range(lines, goal) for goal in (X, Y))
    small = [data["corner"]] if data.get("corner") else []
    words = theme.Words(data.get("claim", ""), data.get("about", ""), small)
    layout = theme.worded(words, dark)
    layout |= {
        "xaxis": theme.log_axis("User tokens/s \u2014 one user's output tokens per second \u2192",
                                left, right, dark),
        "yaxis": theme.log_axis("System tokens/s/W \u2014 output tokens per joule \u2192",
                                bottom, top, dark),
        "annotations": [*_notes(lines, dark), *layout["annotations"]],
        "showlegend": True,
        "legend": {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "xanchor": "left",
                   "bgcolor": "rgba(0,0,0,0)", "font": {"size": 12}},
        "hovermode": "closest",
    }  # fmt: skip
    layout["margin"]["t"] += theme.LEGEND_PX
    return {"data": traces, "layout": layout}


_ORDER = ("reference", "pinned", "base", "changed")


def _known(line: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Points whose goals could be computed, by batch; those of other chips by speed."""
    good = [point for point in line["points"] if point[X] and point[Y]]
    if line["role"] == "reference":
        return sorted(good, key=lambda point: -point[X])
    return sorted(good, key=lambda point: point["batch"])


def _style(line: Mapping[str, Any], index: int, dark: bool) -> dict[str, Any]:
    """Colour and width by what a line is."""
    colours = theme.page(dark)
    return {
        "changed": {"color": theme.family(0, dark), "width": 3.2},
        "base": {"color": colours["ink"], "width": 2.0},
        "pinned": {"color": theme.family(1 + index, dark), "width": 2.2},
        "reference": {"color": colours["faint"], "width": 1.3},
    }[line["role"]]


def _parts(points: Sequence[Mapping[str, Any]], at: float | None = None) -> tuple[list, list]:
    """The part of a curve that can run, and some of what lies beyond its wall, joined to it."""
    inside = [p for p in points if p["feasible"]]
    beyond = [p for p in points if not p["feasible"]]
    if inside:
        beyond = beyond[:MOST_BEYOND] + [p for p in beyond[MOST_BEYOND:] if p["batch"] <= (at or 0)]
    if inside and beyond:
        joint = inside[-1] if beyond[0]["batch"] > inside[-1]["batch"] else None
        beyond = [joint, *beyond] if joint else beyond
    return inside, beyond


def _traces(line: Mapping[str, Any], style: dict[str, Any], dark: bool) -> Iterator[dict]:
    points = line["points"]
    inside, beyond = _parts(points, line.get("at"))
    plain = line["role"] == "reference"
    if not plain or inside:
        yield _line(inside, line, style, {"size": 4.5 if plain else 6}) | {
            "showlegend": not plain, "mode": "lines" if plain else "lines+markers",
        }  # fmt: skip
    if beyond and not plain:
        dotted = style | {"dash": "dot", "width": 1.4}
        hollow = {"size": 5, "color": theme.page(dark)["page"], "line": {"width": 1.2,
                  "color": style["color"]}}  # fmt: skip
        yield _line(beyond, line, dotted, hollow) | {"showlegend": False, "opacity": 0.55}
    if inside and beyond and not plain:
        wall = {
            "size": 15,
            "symbol": "line-ns-open",
            "color": style["color"],
            "line": {"width": 3.2, "color": style["color"]},
            "angle": _across(inside),
        }
        yield _line(inside[-1:], line, style, wall) | {
            "mode": "markers", "showlegend": False, "hoverinfo": "skip", "hovertemplate": None,
        }  # fmt: skip
    here = [p for p in points if p["batch"] == line.get("at")]
    if here:
        ring = {"size": 17, "symbol": "circle-open", "color": style["color"],
                "line": {"width": 2.6, "color": style["color"]}}  # fmt: skip
        yield _line(here, line, style, ring) | {"mode": "markers", "showlegend": False}


def _across(inside: Sequence[Mapping[str, Any]]) -> float:
    """Degrees by which a mark is turned to stand across the end of a curve."""
    if len(inside) < 2:
        return 0.0
    before, last = inside[-2:]
    run = math.log10(last[X] / before[X])
    rise = math.log10(last[Y] / before[Y])
    return -math.degrees(math.atan2(rise, run)) if run or rise else 0.0


def _line(points, line: Mapping[str, Any], style: dict, marker: dict) -> dict[str, Any]:
    return {
        "type": "scatter",
        "x": [p[X] for p in points],
        "y": [p[Y] for p in points],
        "customdata": [[p["batch"], _why(p)] for p in points],
        "mode": "lines+markers",
        "name": line["name"],
        "legendgroup": line["name"],
        "line": style,
        "marker": {"color": style["color"]} | marker,
        "hovertemplate": "batch %{customdata[0]}%{customdata[1]}<br>%{x:,.4g} tok/s/user<br>"
        "%{y:.4g} tok/s/W<extra>" + line["name"] + "</extra>",
    }


def _why(point: Mapping[str, Any]) -> str:
    """Why a point cannot run, as words behind its batch."""
    if point["feasible"]:
        return ""
    return f", breaks {', '.join(point.get('breaks') or ['a limit'])}"


def _range(lines: Sequence[Mapping[str, Any]], goal: str) -> tuple[float, float]:
    """Ends of an axis at 1-2-5 steps, so that it stays still while a curve moves a little."""
    values = [p[goal] for line in lines for part in _parts(line["points"], line.get("at"))
              for p in part if p["feasible"] or line["role"] != "reference"]  # fmt: skip
    if not values:
        return 1.0, 100.0
    return _step(min(values) / ROOM, down=True), _step(max(values) * ROOM, down=False)


def _step(value: float, down: bool) -> float:
    decade = 10.0 ** math.floor(math.log10(value))
    steps = [decade * step for step in STEPS]
    if down:
        return max(step for step in steps if step <= value * (1 + 1e-12))
    return min(step for step in steps if step >= value * (1 - 1e-12))


# --- words in the picture -----------------------------------------------------------------------


def _notes(lines: Sequence[Mapping[str, Any]], dark: bool) -> Iterator[dict[str, Any]]:
    """Names of the other chips, the wall, and batches along the line asked about."""
    faint = theme.page(dark)["faint"]
    others = [(line["name"], _parts(line["points"])[0]) for line in lines
              if line["role"] == "reference"]  # fmt: skip
    yield from theme.names_down(others, faint)
    asked = [line for line in lines if line["role"] == "changed"] or [
        line for line in lines if line["role"] == "base"]  # fmt: skip
    for line in asked[:1]:
        yield from _along(line, theme.family(0, dark) if line["role"] == "changed" else faint)


def _along(line: Mapping[str, Any], colour: str) -> Iterator[dict[str, Any]]:
    inside, beyond = _parts(line["points"])
    for point in inside[:-1]:
        if point["batch"] in LABELLED and point["batch"] != line.get("at"):
            yield _note(point, f"batch {point['batch']:g}", colour, (8, -9)) | {"xanchor": "left"}
    if inside and beyond:
        words = _wall(beyond)
        yield _note(inside[-1], words, colour, (-10, -16)) | {"xanchor": "right"}


def _wall(beyond: Sequence[Mapping[str, Any]]) -> str:
    """What stops a curve: the first limit broken beyond its last point."""
    first = next(p for p in beyond if not p["feasible"])
    names = first.get("breaks") or []
    full = [name.partition(".")[2] for name in names if name.startswith("capacity.")]
    what = f"{full[0]} full" if full else (names[0].replace("_", " ") if names else "limit")
    return f"{what} by batch {first['batch']:g}"


def _note(point: Mapping[str, Any], text: str, colour: str, shift: tuple[int, int]):
    return {"x": math.log10(point[X]), "y": math.log10(point[Y]), "text": text, "xref": "x",
            "yref": "y", "showarrow": False, "xshift": shift[0], "yshift": -shift[1],
            "font": {"size": 11, "color": colour}}  # fmt: skip
