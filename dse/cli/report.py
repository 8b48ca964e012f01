"""``dse report``: a run as one file to send to a review."""

import pathlib
from typing import Annotated

import typer

from dse.cli import contents
from dse.cli.complete import RunName
from dse.cli.console import Json, emit, note
from dse.specs.errors import SpecError

Output = Annotated[
    str | None,
    typer.Option("-o", "--output", metavar="FILE", help="Where to write; report.html of the run "
                 "folder if not given."),
]  # fmt: skip
Dark = Annotated[
    bool, typer.Option("--dark", help="Dark at first, whatever the reader's system prefers.")
]


def report(run: RunName, output: Output = None, dark: Dark = False, json: Json = False) -> None:
    """A run as one self-contained HTML file: it opens offline and asks for nothing.

    The claim, the front beside real chips, both decoders and the knee with every knob, where time
    and energy go, the ladder, limits and their prices, sensitivities, how far from optimal and how
    sure it is, definitions, provenance. Pictures are linked: what is selected in one is marked in
    all. --json prints what the report is made of instead.

    dse report two-goals -o review.html
    """
    from dse import compile_cache
    from dse.search import runs

    compile_cache.enable()
    found = runs.find(run)
    place = pathlib.Path(output or found.folder / "report.html")
    if place.suffix.lower() not in (".html", ".htm"):
        raise SpecError("-o", [f"{place.name!r}: wanted a name ending in html"])
    if not found.front()["designs"]:
        note(f"dse: {found.name}: no design on its front; dse study resume {found.name}, or loosen "
             "what limits the designs (dse check says which limit kills random ones)")  # fmt: skip
        raise typer.Exit(3)
    made = contents.report(found)
    if json:
        emit(made, [], True)
        return
    from dse.report import page

    page.write(made, place, dark)
    note(f"wrote {place}")
