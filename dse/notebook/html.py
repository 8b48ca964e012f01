"""Answers as HTML for notebooks: the tables of the terminal, and breakdowns as bars."""

import html
from collections.abc import Iterable, Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from dse.report import palette, tables

STYLE = "font-family: Inter, 'Helvetica Neue', Arial, sans-serif; font-size: 13px"
CELL = ("padding: 2px 14px 2px 0; text-align: {}; white-space: nowrap; "
        "font-variant-numeric: tabular-nums")  # fmt: skip
BAR = "display: inline-block; height: 15px; width: {:.2f}%; background: {}"
TABLE = "border-collapse: collapse; margin: 8px 0; font: inherit"
TITLE = "text-align: left; font-weight: 600; padding: 8px 0 2px; white-space: nowrap"
FAINT = "color: #7A838C"


def page(parts: Iterable[Any]) -> str:
    """Renderables of the terminal, below each other."""
    return (
        f'<div style="{STYLE}">{"".join(_part(part) for part in parts if part is not None)}</div>'
    )


def _part(part: Any) -> str:
    if isinstance(part, Table):
        return table(part)
    if isinstance(part, Markup):
        return part.text
    words = part.plain if isinstance(part, Text) else str(part)
    if not words.strip():
        return ""
    return f'<p style="white-space: pre-wrap; margin: 6px 0">{html.escape(words)}</p>'


class Markup:
    """A part that is HTML already."""

    def __init__(self, text: str):
        self.text = text


def table(made: Table) -> str:
    """A table of the terminal as one of HTML, its alignment and colours kept."""
    title = ""
    if made.title:
        title = f'<caption style="{TITLE}">{html.escape(str(made.title))}</caption>'
    head = ""
    if made.show_header and any(_plain(column.header) for column in made.columns):
        cells = "".join(f'<th style="{CELL.format(c.justify)}; {FAINT}; font-weight: 400">'
                        f"{html.escape(_plain(c.header))}</th>" for c in made.columns)  # fmt: skip
        head = f"<tr>{cells}</tr>"
    columns = [[(column.justify, cell) for cell in column.cells] for column in made.columns]
    rows = "".join(
        "<tr>" + "".join(f'<td style="{CELL.format(side)}">{_cell(cell)}</td>'
                         for side, cell in row) + "</tr>"
        for row in zip(*columns, strict=True)
    )  # fmt: skip
    return f'<table style="{TABLE}">{title}{head}{rows}</table>'


def _plain(cell: Any) -> str:
    return cell.plain if isinstance(cell, Text) else str(cell)


def _cell(cell: Any) -> str:
    words = html.escape(_plain(cell)).replace("  ", "&ensp;")
    style = str(cell.style) if isinstance(cell, Text) else ""
    if "bold" in style:
        words = f"<b>{words}</b>"
    return f'<span style="color: {style}">{words}</span>' if style.startswith("#") else words


def bars(result: Mapping[str, Any]) -> Markup:
    """Time of a step and energy of a token as bars, with what the colours mean."""
    rows = (
        ("time per step", result["time_breakdown_s"], "second"),
        ("energy per token", result["energy_breakdown_j"], "joule"),
    )
    drawn = "".join(_bar(label, parts, unit) for label, parts, unit in rows)
    named = dict.fromkeys(name for _, parts, _ in rows for name, value in parts.items() if value)
    key = " ".join(
        f'<span style="white-space: nowrap"><span style="color: {palette.colour(name)}">&#9632;'
        f"</span> {html.escape(palette.label(name))}</span>"
        for name in named
    )
    return Markup(f'<div style="margin: 8px 0; max-width: 640px">{drawn}{key}</div>')


def _bar(label: str, parts: Mapping[str, float | None], unit: str) -> str:
    whole = sum(value or 0.0 for value in parts.values())
    if not whole:
        return ""
    said = [
        f'<span title="{html.escape(palette.label(name))}: {tables.quantity(value, unit)}" '
        f'style="{BAR.format(100 * value / whole, palette.colour(name))}"></span>'
        for name, value in parts.items()
        if value
    ]
    return (f'<div>{label} <b>{tables.quantity(whole, unit)}</b></div><div style="line-height: 0; '
            f'margin: 2px 0 8px">{"".join(said)}</div>')  # fmt: skip
