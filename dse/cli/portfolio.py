"""``dse portfolio``: which few chips together cover a run's front, and what one gives up."""

from typing import Annotated

import typer

from dse.cli.complete import RunName
from dse.cli.console import Json, emit, note
from dse.specs.errors import SpecError


def portfolio(
    run: RunName,
    k: Annotated[int, typer.Option("-k", metavar="N", help="Chips in the largest set.")] = 2,
    json: Json = False,
) -> None:
    """Which 1 to N chips of a run, each with the deployment its users need, cover the front best.

    Share: of the hypervolume of all chips of the run, in log10 of both goals.
    Sets of one and two chips are the best there are; larger ones are greedy.

    dse portfolio two-goals -k 3
    """
    if k < 1:
        raise SpecError("-k", [f"{k}: wanted at least 1 chip"])
    from dse import compile_cache
    from dse.report import portfolios, tables
    from dse.search import runs
    from dse.search.portfolio import portfolio as chosen

    compile_cache.enable()
    found = chosen(runs.find(run), k)
    if not found["portfolios"]:
        note(f"dse: no chip of {found['run']} reaches beyond the reference point of the study; "
             "lower reference_point, or loosen what limits the designs")  # fmt: skip
        raise typer.Exit(3)
    parts = [portfolios.heading(found), portfolios.gives_up(found), portfolios.sets(found),
             *portfolios.knobs(found), portfolios.notes(found, run)]  # fmt: skip
    emit(found, tables.blank([part for part in parts if part is not None]), json)
