"""The two goals of decode: a run's front beside real chips, both decoders ringed and named."""

import math
from typing import Any

from dse import units
from dse.report.charts import theme

OF = "front"
X, Y = "user_tokens_per_s", "system_tokens_per_s_per_w"
RINGS = (
    ("high_efficiency_decoder", "High Efficiency Decoder"),
    ("low_latency_decoder", "Low Latency Decoder"),
)


def figure(front: dict[str, Any], dark: bool = False):
    """The Pareto chart of a run, from the object of ``front.json``."""
    import plotly.graph_objects as go

    plot = go.Figure()
    for trace in (*_chips(front, dark), *_front(front, dark)):
        plot.add_trace(trace)
    theme.dress(plot, theme.Words(claim(front), theme.of_run(front), _corner(front)), dark)
    plot.update_layout(showlegend=False, height=640)
    (left, right), (bottom, top) = _ranges(front)
    x_title = "User tokens/s \u2014 one user's output tokens per second \u2192"
    y_title = "System tokens/s/W \u2014 output tokens per joule \u2192"
    plot.update_xaxes(**theme.log_axis(x_title, left, right, dark))
    plot.update_yaxes(**theme.log_axis(y_title, bottom, top, dark))
    for note in (*_names(front, dark), *_families(front, dark), *_ratio(front, dark)):
        plot.add_annotation(**note)
    return plot


def claim(front: dict[str, Any]) -> str:
    """The title: both ends of the front over the best of the chips it is compared with."""
    gain = front["gain"]
    speed, energy = gain[X]["ratio"], gain[Y]["ratio"]
    if speed is None or energy is None:
        return f"{front['study']}: the front of {front['model_title']}"
    faster, leaner = (gain[goal]["over"]["title"].split(" (")[0] for goal in (X, Y))
    if faster == leaner:
        return (f"Up to {_times(energy)} the tokens per joule and {_times(speed)} the user speed "
                f"of {leaner}")  # fmt: skip
    return (f"Up to {_times(energy)} the tokens per joule of {leaner} and {_times(speed)} the "
            f"user speed of {faster}")  # fmt: skip


def _times(ratio: float) -> str:
    return f"{ratio:.1f}\u00d7" if ratio < 10 else f"{ratio:.0f}\u00d7"


def _corner(front: dict[str, Any]) -> list[str]:
    bounds = ", ".join(f"{name} {text}" for name, text in front["constraints"].items())
    sides = ("System tokens/s/W: output tokens of all users over average system power (boards, "
             "host, fans, supplies).")  # fmt: skip
    chips = "Real chips: best split of one scale-up domain at each batch, same model and fidelity."
    run = (f"{theme.source(front)}, {theme.many(front['evaluations'])} designs, "
           f"{front['sampler']}; per replica {bounds or '-'}.")  # fmt: skip
    return [f"{sides} {chips}", run, *_extrapolated(front)]


def _extrapolated(front: dict[str, Any]) -> list[str]:
    seen = dict.fromkeys(what for d in front["designs"] for what in d["extrapolated"])
    return [f"Beyond what silicon has shown: {'; '.join(seen)}"] if seen else []


def _ranges(front: dict[str, Any]):
    points = [*front["designs"], *(p for chip in front["compare"] for p in chip["points"])]
    found = []
    alone = [p for points in front.get("family_fronts", {}).values() for p in points]
    for axis, room in ((X, (1.25, 5.6)), (Y, (1.3, 4.4))):
        values = [point[axis] for point in points] or _reference(front)
        values = values + [p[0 if axis == X else 1] for p in alone]
        found.append((min(values) / room[0], max(values) * room[1]))
    return found


def _reference(front: dict[str, Any]) -> list[float]:
    """The reference point's part that is drawn; anything where it has none."""
    named = dict(zip(front.get("objectives", (X, Y)), front["reference_point"], strict=True))
    return [named.get(X, 10.0), named.get(Y, 1e-3)]


# --- traces -------------------------------------------------------------------------------------


def _chips(front: dict[str, Any], dark: bool):
    """Batch curves of real chips in faint ink."""
    import plotly.graph_objects as go

    faint = theme.page(dark)["faint"]
    for chip in front["compare"]:
        points = sorted(chip["points"], key=lambda p: p[X])
        if not points:
            continue
        hover = [f"{chip['title']}<br>batch {p['batch']:g}, {p['chips']:g} chips" for p in points]
        yield go.Scatter(
            x=[p[X] for p in points],
            y=[p[Y] for p in points],
            mode="lines+markers",
            line={"color": faint, "width": 1.6},
            marker={"size": 4, "color": faint},
            text=hover,
            hovertemplate="%{text}<br>%{x:,.0f} tok/s/user<br>%{y:.3g} tok/s/W<extra></extra>",
            showlegend=False,
        )


def _front(front: dict[str, Any], dark: bool):
    """The front as a line, its designs coloured by family, the named ones ringed."""
    import plotly.graph_objects as go

    ink = theme.page(dark)["ink"]
    designs = sorted(front["designs"], key=lambda d: d[X])
    best = _best_of_both(designs)
    further = [name for name in front.get("objectives", ()) if name not in (X, Y)]
    yield go.Scatter(x=[d[X] for d in best], y=[d[Y] for d in best], mode="lines",
                     line={"color": ink, "width": 1.2, "dash": "dot"}, hoverinfo="skip",
                     showlegend=False)  # fmt: skip
    for index, (name, title) in enumerate(front["families"].items()):
        alone = sorted(front.get("family_fronts", {}).get(name, []))
        if alone:
            yield _family_alone(alone, title, theme.family(index, dark))
        mine = [d for d in designs if d["family"] == name]
        if mine:
            yield _family(mine, title, index, dark, further)
    named = {front[key] for key, _ in RINGS} | {front["knee"]}
    ringed = [d for d in designs if d["id"] in named]
    yield go.Scatter(x=[d[X] for d in ringed], y=[d[Y] for d in ringed], mode="markers",
                     marker={"symbol": "circle-open", "size": 20, "color": ink,
                             "line": {"width": 2}},
                     hoverinfo="skip", showlegend=False)  # fmt: skip


def _best_of_both(designs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The designs no other beats in both goals drawn; a study may have more goals than these."""
    found, highest = [], -math.inf
    for design in reversed(designs):
        if design[Y] > highest:
            found.append(design)
            highest = design[Y]
    return found[::-1]


def _family_alone(points: list[list[float]], title: str, colour: str):
    """The front a family has by itself: the conventional arm stays in view."""
    import plotly.graph_objects as go

    return go.Scatter(x=[x for x, _ in points], y=[y for _, y in points], mode="lines",
                      line={"color": colour, "width": 1.8}, opacity=0.75, name=title,
                      legendgroup=title, hoverinfo="skip")  # fmt: skip


def _family(designs: list[dict[str, Any]], title: str, index: int, dark: bool, further: list[str]):
    import plotly.graph_objects as go

    return go.Scatter(
        x=[d[X] for d in designs],
        y=[d[Y] for d in designs],
        mode="markers",
        name=title,
        legendgroup=title,
        showlegend=False,
        marker={
            "size": 9,
            "symbol": theme.MARKERS[index % len(theme.MARKERS)],
            "color": theme.family(index, dark),
        },
        customdata=[d["id"] for d in designs],
        text=[_hover(d, further) for d in designs],
        hovertemplate="%{text}<br>%{x:,.0f} tok/s/user<br>%{y:.3g} tok/s/W<extra></extra>",
    )


def _hover(design: dict[str, Any], further: list[str]) -> str:
    deployment = ", ".join(f"{k} {v}" for k, v in design["deployment"].items())
    goals = "".join(f"<br>{name} {design[name]:.4g}" for name in further)
    return (f"{design['id']}: {design['chips']:g} chips, {design['voltage_v']:.2f} V<br>"
            f"{deployment}{goals}")  # fmt: skip


# --- annotations --------------------------------------------------------------------------------


def _names(front: dict[str, Any], dark: bool):
    by_id = {design["id"]: design for design in front["designs"]}
    ink, faint = theme.page(dark)["ink"], theme.page(dark)["faint"]
    places = {"high_efficiency_decoder": (0, -42), "low_latency_decoder": (62, 50)}
    for key, name in RINGS:
        if front[key] in by_id:
            design = by_id[front[key]]
            said = f"<b>{name}</b><br>{_measures(design)}"
            yield _note(design, said, places[key], ink, 13)
    if front["knee"] in by_id and front["knee"] not in {front[key] for key, _ in RINGS}:
        yield _note(by_id[front["knee"]], "<b>knee</b>", (36, -22), ink, 13)
    drawn = [(chip["title"].split(" (")[0], chip["points"]) for chip in front["compare"]]
    yield from theme.names_down(drawn, faint)


def _families(front: dict[str, Any], dark: bool):
    """Each family's words beside its own front, in its colour; the last beside its steep end."""
    places = ((0.30, 15), (0.22, 16), (0.45, -15))  # (share of the curve, pixels down)
    for index, (name, title) in enumerate(front["families"].items()):
        alone = sorted(front.get("family_fronts", {}).get(name, []))
        if not alone:
            continue
        colour = theme.family(index, dark)
        if index % 4 < len(places):
            share, shift = places[index % 4]
            x, y = _along(alone, share)
            yield _note({X: x, Y: y}, title, (0, shift), colour, 13)
        else:
            fast, middle = alone[-1][0], math.sqrt(alone[0][1] * alone[-1][1])
            words = title.replace(", ", ",<br>")
            beside = {"xanchor": "left", "align": "left"}
            yield _note({X: fast, Y: middle}, words, (12, 0), colour, 13) | beside


def _along(points: list[list[float]], share: float) -> list[float]:
    """The point of a curve nearest to a share of its log range of user speed."""
    logs = [math.log10(point[0]) for point in points]
    target = min(logs) + share * (max(logs) - min(logs))
    return min(points, key=lambda point: abs(math.log10(point[0]) - target))


def _measures(design: dict[str, Any]) -> str:
    energy = units.show(design["j_per_token"], "joule")
    return f"{design[X]:,.0f} tok/s/user<br>{energy}/token"


def _note(point, text: str, shift: tuple[int, int], colour: str, size: int):
    return {"x": math.log10(point[X]), "y": math.log10(point[Y]), "text": text,
            "showarrow": False, "xshift": shift[0], "yshift": -shift[1], "align": "center",
            "font": {"size": size, "color": colour}}  # fmt: skip


def _ratio(front: dict[str, Any], dark: bool):
    """Arrows from the best real operating point of each goal to the front's, with both ratios."""
    by_id = {design["id"]: design for design in front["designs"]}
    colour = theme.page(dark)["faint"]
    for goal, key, words in ((Y, RINGS[0][0], "tokens per joule"), (X, RINGS[1][0], "user speed")):
        over, design = front["gain"][goal]["over"], by_id.get(front[key])
        if not over or design is None:
            continue
        low, high = math.log10(over[goal]), math.log10(design[goal])
        upward = goal == Y
        beside = math.log10(over[X if upward else Y])
        line = {"ay": low + 0.06, "y": high, "ax": beside, "x": beside} if upward else {
            "ax": low + 0.04, "x": high, "ay": beside, "y": beside}  # fmt: skip
        yield _arrow(line, colour)
        said = f"{_times(front['gain'][goal]['ratio'])} {words}"
        at = low + (0.18 if upward else 0.5) * (high - low)
        place = {"x": beside, "y": at, "xshift": 6, "xanchor": "left"} if upward else {
            "x": at, "y": beside, "yshift": 10}  # fmt: skip
        yield place | {"text": said, "showarrow": False, "font": {"size": 13, "color": colour}}


def _arrow(line: dict[str, float], colour: str) -> dict[str, Any]:
    return line | {"xref": "x", "yref": "y", "axref": "x", "ayref": "y", "showarrow": True,
                   "arrowhead": 2, "arrowwidth": 1.2, "arrowcolor": colour, "text": ""}  # fmt: skip
