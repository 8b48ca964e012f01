"""What the page shows of an answer, as components: tiles, bars, gauges, knobs that pay, words.

Every number also stands unrounded in ``data-value``, as ``dse whatif --json`` prints it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dash import html

from dse.explore.answer import Quick
from dse.report import palette, tables
from dse.report.tables import quantity, stated
from dse.report.whatif import percent, plain

GOALS = (
    ("user_tokens_per_s", "User tokens/s", "tok/s", "token / second"),
    ("system_tokens_per_s_per_w", "System tokens/s/W", "tok/s/W", "token / joule"),
)
SMALL = (
    ("tpot_s", "Time per token", "second", False),
    ("j_per_token", "Energy per token", "joule", False),
    ("system_tokens_per_s", "System tokens/s", "token / second", True),
    ("chip_power_w", "Power per chip", "watt", False),
    ("usd_per_million_tokens", "Cost per 1M", "usd", False),
)
SIDES = (("base", "before"), ("changed", "after"))
MOVED = 0.005  # fraction; a quantity that followed by less is left out
STILL = 5e-5  # fraction; a smaller change is shown as none
MOST_PAYOFFS = 8
MOST_GAUGES = 6
FULL = 10.0  # how full a limit of nothing is, where something is used
APPLY = re.compile(r"\(--([a-z-]+) ([^)]+)\)")


def headline(quick: Quick) -> list[Any]:
    """Both goals large, five more beside them, each before and after."""
    rows = quick.comparison
    large = [_goal(name, label, unit, quantity_of, rows[name])
             for name, label, unit, quantity_of in GOALS]  # fmt: skip
    small = [_tile(name, label, unit, more, rows[name]) for name, label, unit, more in SMALL]
    return [html.Div(large, className="goals"), html.Div(small, className="tiles")]


def spoken(quick: Quick) -> str:
    """The headline as a sentence, for screen readers."""
    if not quick.feasible:
        return "Infeasible: " + "; ".join(tables.infeasible(quick.after.result))
    said = []
    for name, label, _, unit in GOALS:
        row = quick.comparison[name]
        change = percent(row["change_fraction"]) if quick.changes else "unchanged"
        said.append(f"{label} {quantity(row['changed'], unit)}, {change}")
    return ". ".join(said)


def _goal(name: str, label: str, short: str, unit: str, row: Mapping[str, Any]):
    return html.Div(
        [
            html.Div(label, className="label"),
            html.Div(
                [
                    _number(name, "base", row["base"], unit, "was"),
                    html.Span("\u2192", className="arrow", **{"aria-hidden": "true"}),
                    _number(name, "changed", row["changed"], unit, "now"),
                    html.Span(short, className="unit"),
                ],
                className="values",
            ),
            _change(row["change_fraction"], "more"),
        ],
        className="goal",
    )


def _tile(name: str, label: str, unit: str, more: bool, row: Mapping[str, Any]):
    return html.Div(
        [
            html.Div(label, className="label"),
            _number(name, "changed", row["changed"], unit, "now"),
            html.Div(
                [
                    html.Span(["was ", _number(name, "base", row["base"], unit, "was")]),
                    _change(row["change_fraction"], "more" if more else "less"),
                ],
                className="under",
            ),
        ],
        className="tile",
    )


def _number(name: str, side: str, value: float | None, unit: str, style: str):
    shown = quantity(value, unit)
    if unit.startswith("token"):
        shown = shown.partition(" ")[0]
    data = {"data-metric": name, "data-side": side, "data-value": repr(value)}
    return html.Span(shown, className=style, **data)


def _change(fraction: float | None, better: str):
    """A change, in the colour of better or worse."""
    if fraction is None:
        return html.Span("-", className="change still")
    if abs(fraction) < STILL:
        return html.Span("no change" if fraction == 0 else "0 %", className="change still")
    good = (fraction > 0) == (better == "more")
    return html.Span(percent(fraction), className=f"change {'better' if good else 'worse'}")


# --- where time and energy go -------------------------------------------------------------------


def bars(quick: Quick) -> list[Any]:
    """Time of a step and energy of a token, before and after, by component."""
    comparison = quick.comparison
    parts = (("Time per step", "time_breakdown_s", "second"),
             ("Energy per output token", "energy_breakdown_j", "joule"))  # fmt: skip
    shown = [_stacks(title, comparison[key], unit) for title, key, unit in parts]
    used = [name for name in palette.COMPONENTS
            if any((comparison[key].get(name) or {}).get(side) for _, key, _ in parts
                   for side, _ in SIDES)]  # fmt: skip
    keys = [html.Span([html.I(style={"background": palette.colour(name)}), palette.label(name)])
            for name in used]  # fmt: skip
    return [*shown, html.Div(keys, className="key", **{"aria-hidden": "true"})]


def _stacks(title: str, table: Mapping[str, Mapping[str, Any]], unit: str):
    sums = {side: sum(row[side] or 0.0 for row in table.values()) for side, _ in SIDES}
    most = max(sums.values()) or 1.0
    rows = [_stack(word, side, table, unit, sums[side], most) for side, word in SIDES]
    return html.Div([html.H3(title), *rows], className="stacks")


def _stack(word: str, side: str, table, unit: str, whole: float, most: float):
    order = [name for name in palette.COMPONENTS if (table.get(name) or {}).get(side)]
    said = ", ".join(f"{palette.label(name)} {quantity(table[name][side], unit)}" for name in order)
    pieces = [
        html.I(
            style={"width": f"{100 * table[name][side] / most:.3f}%",
                   "background": palette.colour(name)},
            title=f"{palette.label(name)}: {quantity(table[name][side], unit)} "
            f"({100 * table[name][side] / whole:.0f} %)",
        )
        for name in order
    ]  # fmt: skip
    total = quantity(whole, unit)
    return html.Div(
        [
            html.Span(word, className="word"),
            html.Div(pieces, className=f"bar {side}"),
            html.Span(total, className="total"),
        ],
        className="stack",
        role="img",
        **{"aria-label": f"{word}: {total}; {said}"},
    )


# --- limits -------------------------------------------------------------------------------------


def gauges(quick: Quick) -> list[Any]:
    """Each limit of the changed point as a gauge, the fullest first; a tick marks the base."""
    limits, before = quick.after.result["limits"], _fills(quick.before.result["limits"])
    fills = _fills(limits)
    shown = [_gauge(name, limits[name], fills[name], before.get(name))
             for name in sorted(fills, key=lambda name: -fills[name])]  # fmt: skip
    if len(shown) <= MOST_GAUGES + 1:
        return shown or [html.P("This chip states no limits.")]
    rest = shown[MOST_GAUGES:]
    more = html.Details([html.Summary(f"{len(rest)} further from binding"), *rest])
    return [*shown[:MOST_GAUGES], more]


def _fills(limits: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """The share of each limit that is used; of one from below, what is needed of what is there."""
    found = {}
    for name, at in limits.items():
        used, allowed = at["used"], at["allowed"]
        if used is not None and allowed is not None:
            found[name] = used / allowed if allowed else (FULL if used > 0 else 0.0)
    return found


def _gauge(name: str, at: Mapping[str, Any], fill: float, was: float | None):
    words = name.replace(".", " ").replace("_", " ")
    used, allowed = (quantity(at[end], at["unit"] or None) for end in ("used", "allowed"))
    state = "over" if fill > 1 + 1e-9 else "near" if fill > 0.9 else ""
    marks = [html.I(style={"width": f"{100 * min(max(fill, 0.0), 1.0):.2f}%"})]
    if was is not None:
        marks.append(html.B(style={"left": f"{100 * min(max(was, 0.0), 1.0):.2f}%"}))
    return html.Div(
        [
            html.Span(words, className="word"),
            html.Span(f"{used} of {allowed}", className="total"),
            html.Div(marks, className="track"),
        ],
        className=f"gauge {state}",
        role="meter",
        **{"aria-label": words, "aria-valuemin": "0", "aria-valuemax": "100",
           "aria-valuenow": f"{100 * fill:.1f}", "aria-valuetext": f"{used} of {allowed}",
           "data-limit": name},
    )  # fmt: skip


# --- messages -----------------------------------------------------------------------------------


def infeasible(quick: Quick, remedies: Sequence[str] | None) -> list[Any]:
    """What binds, and what helps; remedies are found a moment later (None: being looked for)."""
    if quick.feasible:
        return []
    lines = [html.Li(line) for line in tables.infeasible(quick.after.result)]
    found: list[Any] = [html.Strong("This does not fit."), html.Ul(lines)]
    if remedies is None:
        found.append(html.P("Looking for the nearest change that helps\u2026"))
    elif remedies:
        found += [html.P("Nearest changes that help:"), html.Ul([_remedy(r) for r in remedies])]
    else:
        found.append(html.P("No single change that was tried is enough."))
    return [html.Div(found, className="note infeasible")]


def _remedy(text: str):
    """A remedy with a button that applies it, where it is one option to type."""
    match = APPLY.search(text)
    words = APPLY.sub("", text).strip()
    if not match:
        return html.Li(words)
    option, value = match[1].replace("-", "_"), match[2]
    data = {"data-apply": f"{option}={value}"}
    return html.Li([html.Button(words, className="remedy", **data)])


def problems(lines: Iterable[str]) -> list[Any]:
    """What is wrong with the question, in the words of the command line."""
    return [
        html.Div(
            [
                html.Strong("This question cannot be read."),
                html.Ul([html.Li(line) for line in lines]),
                html.P("The numbers below are of the last question that could.", className="last"),
                html.P(html.A("Start afresh", href="/")),
            ],
            className="note wrong",
        )
    ]


# --- what comes a moment later ------------------------------------------------------------------


def pays(result: Mapping[str, Any]) -> list[Any]:
    """Which knobs of the chip pay most now, for both goals."""
    rows = [row for row in result["payoffs"] if row["is_knob"]][:MOST_PAYOFFS]
    if not rows:
        return [html.P("No number of the chip moves either goal.")]
    names = [name for name, *_ in GOALS]
    most = max(abs(row[name] or 0.0) for row in rows for name in names) or 1.0
    head = html.Tr([html.Th("For +1 % of", scope="col"), html.Th("User tokens/s", scope="col"),
                    html.Th("Tokens/s/W", scope="col")])  # fmt: skip
    body = [
        html.Tr(
            [
                html.Th(
                    html.Button(row["path"].replace(".technology.", "."), className="goto",
                                title=f"{row['path']}: {plain(row['value'], row['unit'])}",
                                **{"data-goto": row["path"]}),
                    scope="row",
                ),
                *[_elasticity(row[name], most, row["path"], name) for name in names],
            ]
        )
        for row in rows
    ]  # fmt: skip
    return [html.Table([html.Thead(head), html.Tbody(body)], className="pays")]


def _elasticity(value: float | None, most: float, path: str, goal: str):
    size = 50 * abs(value or 0.0) / most
    side = {"left": "50%"} if (value or 0.0) >= 0 else {"right": "50%"}
    shown = "-" if value is None else f"{value:+.2f} %" if abs(value) >= 0.005 else "0 %"
    style = "better" if (value or 0.0) > 0 else "worse"
    data = {"data-path": path, "data-metric": goal, "data-value": repr(value)}
    return html.Td(
        [html.Div(html.I(style={"width": f"{size:.2f}%"} | side, className=style),
                  className="diverging"), html.Span(shown)],
        **data,
    )  # fmt: skip


def why(result: Mapping[str, Any]) -> list[Any]:
    """Bottleneck, what followed by itself, binding limits, the range of constants."""
    rows = [("Waits for", [_waits(result)])]
    moved = [_moved(item) for item in result["moved"]
             if abs(item["change_fraction"] or 1.0) >= MOVED]  # fmt: skip
    if moved:
        rows.append(("Followed", moved[:5]))
    prices = [_price(item) for item in result["shadow_prices"]]
    if prices:
        rows.append(("Binding", prices))
    ranges = [line for goal in GOALS if (line := _range(result, goal))]
    rows.append(("Range", ranges or ["no change"]))
    beyond = result["changed"]["extrapolated"]
    if beyond:
        rows.append(("Unproven", ["beyond silicon: " + "; ".join(beyond)]))
    found: list[Any] = []
    for word, lines in rows:
        found += [html.Dt(word), html.Dd([html.Div(line) for line in lines])]
    return [html.Dl(found)]


def _waits(result: Mapping[str, Any]) -> str:
    shares = [f"{name} {100 * part:.0f} %" for name, part in result["waits"]["changed"].items()
              if part >= 0.05]  # fmt: skip
    return ", ".join(shares)


def _moved(item: Mapping[str, Any]) -> str:
    ends = [quantity(item[side], item["unit"]) if item["unit"] else _share(item[side])
            for side, _ in SIDES]  # fmt: skip
    because = f": {item['because']}" if item["because"] else ""
    return f"{item['name']} {ends[0]} \u2192 {ends[1]}{because}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _price(item: Mapping[str, Any]) -> str:
    step = quantity(item["step"], item["unit"] or None, 1)
    gains = ", ".join(f"{percent(item[name], 2)} {short}" for name, _, short, _ in GOALS)
    return f"{item['limit']}: {step} more is worth {gains}"


def _range(result: Mapping[str, Any], goal: tuple[str, str, str, str]) -> str | None:
    name, label, _, _ = goal
    ends = result["range"][name]["change_fraction"]
    if not ends or ends[0] == ends[1] == 0:
        return None
    low, high = (percent(end, 0 if abs(end) >= 0.1 else 1) for end in ends)
    inside = 100 * (result["range"]["quantiles"][1] - result["range"]["quantiles"][0])
    return f"{label} {low} to {high} ({inside:.0f} % of draws of the constants)"


def changed_words(quick: Quick) -> str:
    """The changes in words, for the name of a curve."""
    if not quick.changes:
        return "unchanged"
    return ", ".join(f"{_tail(c['path'])} {stated(c['after'])}" for c in quick.changes)


def _tail(path: str) -> str:
    words = [word for word in path.split(".") if word != "technology"]
    return " ".join(words[-2:]).replace("_", " ")
