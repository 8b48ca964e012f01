"""Where results go: standard output or a file, for people or for programs."""

import contextlib
import json
import os
import pathlib
import sys
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import typer

from dse.specs.errors import SpecError

PLAIN_WIDTH = 160  # columns of output that is not a terminal, where nobody can be asked
Json = Annotated[bool, typer.Option("--json", help="One JSON object for programs.")]
Output = Annotated[
    str | None,
    typer.Option("-o", "--output", metavar="FILE", help="Write here (JSON for a name in .json)."),
]


def note(*lines: str) -> None:
    """Lines beside the result, on standard error."""
    for line in lines:
        print(line, file=sys.stderr)


def emit(result: Any, shown: Iterable[Any], as_json: bool, output: str | None = None) -> None:
    """Print a result once: as JSON, or as the renderables that show it to people."""
    as_json = as_json or (output or "").endswith(".json")
    if output is None:
        _print(result, shown, as_json, sys.stdout)
        return
    with _opened(output) as file:
        _print(result, shown, as_json, file)


@contextlib.contextmanager
def _opened(output: str) -> Iterator[Any]:
    """A file to write, and a line that says so; what cannot be opened is the user's to know."""
    try:
        file = pathlib.Path(output).open("w", encoding="utf-8")  # noqa: SIM115
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SpecError("-o", [f"{output!r} cannot be written: {reason}"]) from None
    with file:
        yield file
    note(f"wrote {output}")


def write_text(text: str, output: str | None) -> None:
    """Print text as it is, or write it to a file."""
    if output is None:
        print(text, end="" if text.endswith("\n") else "\n")
        return
    with _opened(output) as file:
        file.write(text)


def _print(result: Any, shown: Iterable[Any], as_json: bool, file: Any) -> None:
    if as_json:
        print(json.dumps(result, indent=2, allow_nan=False), file=file)
        return
    from rich.console import Console

    width = None if file.isatty() or os.environ.get("COLUMNS") else PLAIN_WIDTH
    console = Console(file=file, highlight=False, emoji=False, markup=False, width=width)
    for part in shown:
        console.print(part)
