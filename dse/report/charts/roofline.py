"""Roofline with the operators placed: what each reaches, and what memory and arithmetic allow."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from dse import units
from dse.report import palette
from dse.report.charts import theme

OF = "explain"
NAMED, MOST_WORDS = 7, 4  # groups of operators named, and operators named in one
LONG_SLOPE = 0.35  # of the axis: one that has room for its name
NEAR, BESIDE = 0.045, 0.3  # of an axis: marks that lie together, names that would collide
LEAST_PX, MOST_PX = 7, 30


def figure(result: Mapping[str, Any], dark: bool = False):
    """FLOP/s over FLOPs per byte, from the object of ``dse explain CHIP --json``."""
    import plotly.graph_objects as go

    placed = [op for op in result["ops"] if _intensity(op) and op["seconds"]]
    plot = go.Figure()
    (left, right), (bottom, top) = _ranges(result, placed)
    for name, trace in _roofs(result, (left, right), dark):
        plot.add_trace(go.Scatter(name=name, **trace))
    for part in palette.COMPONENTS:
        mine = [op for op in placed if op["bound_by"] == part]
        if mine:
            plot.add_trace(go.Scatter(**_marks(mine, part, result, dark)))
    theme.dress(plot, theme.Words(_claim(result), theme.of_point(result), _small(result, placed)),
                dark)  # fmt: skip
    margin = plot.layout.margin.t + theme.LEGEND_PX
    plot.update_layout(showlegend=False, margin={"t": margin}, height=600)
    plot.update_xaxes(**theme.log_axis("FLOPs per byte of weights and KV cache", left, right, dark))
    plot.update_yaxes(**theme.log_axis("FLOP/s of one chip", bottom, top, dark))
    plot.update_yaxes(ticktext=[units.show(v, "flop / second", 1).removesuffix("FLOP/s").strip()
                                for v in plot.layout.yaxis.tickvals])  # fmt: skip
    bound = dict.fromkeys(op["bound_by"] for op in placed)
    plot.add_annotation(**theme.key(palette.key(p for p in palette.COMPONENTS if p in bound)))
    spans = math.log10(right / left), math.log10(top / bottom)
    for note in (*_roof_names(result, (left, right), dark),
                 *_op_names(placed, math.log10(left), spans, dark)):  # fmt: skip
        plot.add_annotation(**note)
    return plot


def _bytes(op: Mapping[str, Any]) -> float:
    return op["bytes"]["weights"] + op["bytes"]["kv_cache"]


def _intensity(op: Mapping[str, Any]) -> float:
    """FLOPs per byte; 0 for an operator that only computes, or only moves."""
    size = _bytes(op)
    return op["flops"] / size if size else 0.0


def _reached(op: Mapping[str, Any]) -> float:
    return op["flops"] / op["seconds"]


def _peaks(result: Mapping[str, Any]) -> dict[str, float]:
    """FLOP/s of the arithmetic that can bind: the tensor arrays, each by name."""
    peaks = {name: rate for name, rate in result["rates"]["flops_per_s"].items()
             if name != "vector"}  # fmt: skip
    return peaks or result["rates"]["flops_per_s"]


def _ranges(result: Mapping[str, Any], placed) -> tuple[tuple[float, float], tuple[float, float]]:
    peak = max(_peaks(result).values())
    speeds = result["rates"]["memory_bytes_per_s"].values()
    corners = [peak / speed for speed in speeds]
    across = [_intensity(op) for op in placed] + corners
    up = [_reached(op) for op in placed] + [peak]
    return (min(across) / 3, max(across) * 5), (min(up) / 3, peak * 4)


def _roofs(result: Mapping[str, Any], ends, dark: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, line): a slope per memory tier up to the highest peak, and a ceiling per peak."""
    peaks = _peaks(result)
    highest, ink = max(peaks.values()), theme.page(dark)["ink"]
    line = {"mode": "lines", "line": {"color": ink, "width": 1.6}, "showlegend": False}
    for tier, speed in result["rates"]["memory_bytes_per_s"].items():
        corner = min(highest / speed, ends[1])
        said = f"{tier} {units.show(speed, 'byte / second')}"
        yield said, line | {"x": [ends[0], corner], "y": [ends[0] * speed, corner * speed],
                            "hovertemplate": said + "<extra></extra>"}  # fmt: skip
    fastest = max(result["rates"]["memory_bytes_per_s"].values(), default=highest / ends[0])
    for name, peak in peaks.items():
        said = f"{name} {units.show(peak, 'flop / second')}"
        yield said, line | {"x": [max(peak / fastest, ends[0]), ends[1]], "y": [peak, peak],
                            "hovertemplate": said + "<extra></extra>"}  # fmt: skip


def _marks(ops, part: str, result: Mapping[str, Any], dark: bool) -> dict[str, Any]:
    """Operators bound by one component; the area of a mark is its share of the time."""
    whole = sum(op["seconds"] for op in result["ops"]) or 1.0
    shares = [op["seconds"] / whole for op in ops]
    return {
        "x": [_intensity(op) for op in ops], "y": [_reached(op) for op in ops], "mode": "markers",
        "name": palette.label(part), "showlegend": False,
        "marker": {"color": palette.colour(part), "opacity": 0.9,
                   "size": [max(LEAST_PX, MOST_PX * math.sqrt(share)) for share in shares],
                   "line": {"width": 1.2, "color": theme.page(dark)["page"]}},
        "text": [f"{op['op']}: {100 * share:.1f} % of the time, {_light(op)} of light speed"
                 for op, share in zip(ops, shares, strict=True)],
        "hovertemplate": "%{text}<br>%{x:.3g} FLOPs per byte<br>%{y:.3s}FLOP/s<extra>"
        + palette.label(part) + "</extra>",
    }  # fmt: skip


def _light(op: Mapping[str, Any]) -> str:
    return f"{100 * op['light_speed_fraction']:.0f} %"


def _roof_names(result: Mapping[str, Any], ends, dark: bool) -> Iterator[dict[str, Any]]:
    """Each ceiling named at its right end, each slope below its middle."""
    font = {"size": 13, "color": theme.page(dark)["faint"]}
    named: dict[float, list[str]] = {}
    for name, peak in _peaks(result).items():
        named.setdefault(peak, []).append(name)
    for peak, names in named.items():
        yield {"x": math.log10(ends[1]), "y": math.log10(peak), "xanchor": "right", "yshift": 11,
               "text": f"{', '.join(names)} arithmetic, {units.show(peak, 'flop / second')}",
               "showarrow": False, "font": font}  # fmt: skip
    for tier, speed in result["rates"]["memory_bytes_per_s"].items():
        said = {"text": f"{tier}, {units.show(speed, 'byte / second')}", "showarrow": False,
                "font": font}  # fmt: skip
        corner = max(named) / speed
        along = math.log(corner / ends[0]) / math.log(ends[1] / ends[0])
        if along > LONG_SLOPE:
            at = ends[0] * (corner / ends[0]) ** 0.66
            yield said | {"x": math.log10(at), "y": math.log10(at * speed), "xanchor": "right",
                          "xshift": -6, "yshift": 9}  # fmt: skip
        else:
            at = max(corner, ends[0])
            yield said | {"x": math.log10(at), "y": math.log10(max(named)), "xanchor": "left",
                          "yshift": 11}  # fmt: skip


def _op_names(placed, left: float, spans, dark: bool) -> Iterator[dict[str, Any]]:
    """Names beside the marks; marks that lie together share theirs."""
    seen: list[tuple[float, float]] = []
    for group in _together(placed, spans)[:NAMED]:
        at = _place(group[0])
        apart = [(abs(at[0] - x) / spans[0], abs(at[1] - y) / spans[1]) for x, y in seen]
        crowded = any(dx < BESIDE and dy < NEAR for dx, dy in apart)
        seen.append(at)
        on_left = (at[0] - left) / spans[0] < BESIDE
        side = {"xanchor": "left", "xshift": 12}
        if (at[0] - left) / spans[0] > 1 - 1.5 * BESIDE:  # ceilings have their names there
            side = {"xanchor": "right", "xshift": -12}
        elif crowded:
            side = side | {"yshift": -14} if on_left else {"xanchor": "right", "xshift": -12}
        names = list(dict.fromkeys(op["op"] for op in group))
        words = f"{names[0]}, {_light(group[0])}"
        if len(names) > 1:
            words = ", ".join(names[:MOST_WORDS] + ["\u2026"] * (len(names) > MOST_WORDS))
        yield {"x": at[0], "y": at[1], "text": words, "showarrow": False,
               "font": {"size": 13, "color": theme.page(dark)["ink"]}} | side  # fmt: skip


def _place(op: Mapping[str, Any]) -> tuple[float, float]:
    return math.log10(_intensity(op)), math.log10(_reached(op))


def _together(placed, spans) -> list[list[Mapping[str, Any]]]:
    """Operators by where they lie, the longest first."""
    groups: list[list[Mapping[str, Any]]] = []
    for op in sorted(placed, key=lambda op: -op["seconds"]):
        x, y = _place(op)
        for group in groups:
            at = _place(group[0])
            if abs(at[0] - x) < NEAR * spans[0] and abs(at[1] - y) < NEAR * spans[1]:
                group.append(op)
                break
        else:
            groups.append([op])
    return groups


def _claim(result: Mapping[str, Any]) -> str:
    """How much of its time the step would need at nameplate rates."""
    whole = sum(op["seconds"] for op in result["ops"])
    light = sum(op["seconds"] * op["light_speed_fraction"] for op in result["ops"])
    if not whole:
        return "No operator takes time"
    return (f"Arithmetic and memory at full rate would take {100 * light / whole:.0f} % of a pass; "
            f"the longest part is {_longest(result)}")  # fmt: skip


def _longest(result: Mapping[str, Any]) -> str:
    sums: dict[str, float] = {}
    for op in result["ops"]:
        for part, seconds in op["time_breakdown_s"].items():
            sums[part] = sums.get(part, 0.0) + (seconds or 0.0)
    return palette.label(max(sums, key=lambda part: sums[part]))


def _small(result: Mapping[str, Any], placed) -> list[str]:
    whole = sum(op["seconds"] for op in result["ops"]) or 1.0
    left = 1 - sum(op["seconds"] for op in placed) / whole
    return [
        "A mark is an operator over all layers of one micro-batch on one chip; its area is its "
        "share of the time, its colour what it waits for longest. Percent: of light speed, what "
        "memory and arithmetic at nameplate rates need over the time taken.",
        f"Not placed: operators without bytes or FLOPs (collectives), {100 * left:.0f} % of the "
        "time.",
    ]  # fmt: skip
