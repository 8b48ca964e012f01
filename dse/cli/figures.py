"""Figures written by verbs: chosen by name, written by the ending of a file name."""

import pathlib
from collections.abc import Iterable
from typing import Annotated, Any

import typer

from dse.cli.console import emit, note
from dse.specs.errors import SpecError, nearest

KINDS = (".html", ".png", ".svg")
Output = Annotated[
    str | None,
    typer.Option("-o", "--output", metavar="FILE", help="Write here: a figure for a name in html, "
                 "png or svg, JSON for json, else text."),
]  # fmt: skip
Dark = Annotated[bool, typer.Option("--dark", help="The figure for a dark page.")]


def is_figure(output: str | None) -> bool:
    """Whether a file name asks for a figure."""
    return pathlib.Path(output or "").suffix.lower() in KINDS


def draw(chart: str, data: Any, output: str, dark: bool = False) -> None:
    """Draw a chart of ``dse/report/charts`` and say where it went; exit 5 without a browser."""
    from dse.report import charts
    from dse.report.export import NoBrowser, write_figure

    try:
        note(f"wrote {write_figure(charts.chart(chart).figure(data, dark), output)}")
    except NoBrowser as missing:
        note(f"dse: {pathlib.Path(output).name}: {missing}")
        raise typer.Exit(5) from None


def known(chart: str, names: tuple[str, ...]) -> str:
    """A chart's name, if it is one of these.

    Raises:
        SpecError: with the nearest one.
    """
    if chart not in names:
        raise SpecError("--chart", [f"{chart!r} is unknown{nearest(chart, names)}"])
    return chart


def answer(
    drawn: tuple[str, Any],
    result: Any,
    shown: Iterable[Any],
    as_json: bool,
    output: str | None,
    dark: bool,
) -> None:
    """A result as a figure where the file name asks for one, else as `emit` does it.

    ``drawn`` is a chart and what it draws. With ``as_json`` a figure is drawn too, and the JSON
    goes to standard output.
    """
    if not is_figure(output):
        emit(result, shown, as_json, output)
        return
    if as_json:
        emit(result, [], True)
    draw(*drawn, str(output), dark)
