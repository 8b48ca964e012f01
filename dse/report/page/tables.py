"""Tables of the terminal as plain rows for a page: the same cells, so the same numbers."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from rich.table import Table
from rich.text import Text


class Cell(NamedTuple):
    """Text of a cell, and the colour of its component, if it names one."""

    text: str
    colour: str | None = None


class Rows(NamedTuple):
    """A table: caption, heads, rows of cells, and which columns hold words."""

    caption: str
    heads: list[str]
    rows: list[list[Cell]]
    words: list[bool]


def plain(table: Table | None, caption: str | None = None) -> Rows | None:
    """A table of the terminal; None where there is none."""
    if table is None:
        return None
    columns = table.columns
    cells = [[_cell(cell) for cell in column.cells] for column in columns]
    heads = [_cell(column.header).text.replace("\n", " ") for column in columns]
    return Rows(
        caption or str(table.title or ""),
        heads if table.show_header else [],
        [list(row) for row in zip(*cells, strict=True)] if cells else [],
        [column.justify == "left" or _is_words(inside) for column, inside in
         zip(columns, cells, strict=True)],
    )  # fmt: skip


def every(tables: Iterable[Table | None]) -> list[Rows]:
    """Those tables that are there."""
    return [rows for table in tables if (rows := plain(table)) is not None and rows.rows]


def _is_words(cells: list[Cell]) -> bool:
    """Whether most of what stands in a column begins with a letter."""
    said = [cell.text for cell in cells if cell.text.strip("-")]
    return 2 * sum(text[0].isalpha() for text in said) > len(said)


def _cell(cell: Any) -> Cell:
    if isinstance(cell, Text):
        colour = str(cell.style) if str(cell.style).startswith("#") else None
        return Cell(cell.plain.strip(), colour)
    return Cell(str(cell).strip())
