"""``dse gains``: what a run gained, five ways, or what it saves at one user speed."""

from typing import Annotated

import typer

from dse.cli import figures
from dse.cli.complete import RunName
from dse.cli.console import Json, emit
from dse.specs.errors import SpecError


def gains(
    run: RunName,
    speed: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="What is saved at this user speed, in tokens/s: users, "
            "silicon, smallest replica, energy at partial load.",
        ),
    ] = None,
    json: Json = False,
    output: figures.Output = None,
    dark: figures.Dark = False,
) -> None:
    """The gain of a run over shipped chips and over the same search on standard memory.

    Best against best, at equal user speed, top speed, speed at equal energy, and the chance of ten
    over the ranges of the constants; what each technology earns, where time and energy go, and
    where the constants that carry a gain stop carrying it.

    dse gains two-goals

    dse gains two-goals --speed 1000 -o savings.html
    """  # fmt: skip
    from dse import compile_cache
    from dse.report import tables
    from dse.search import runs

    compile_cache.enable()
    if speed is not None:
        _savings(run, speed, json, output, dark)
        return
    if figures.is_figure(output):
        raise SpecError("-o", ["a figure of gains is of one speed: --speed N; the ladder of "
                               "technologies: dse pareto plot RUN --chart ladder"])  # fmt: skip
    from dse.report import gains as report
    from dse.search.gains import gains as found_by

    found = found_by(runs.find(run))
    parts = [report.heading(found), report.five_ways(found), report.reading(found),
             report.binding(found), report.families(found), *report.taken_away(found),
             report.energies(found), report.times(found), report.TALK,
             report.break_even(found)]  # fmt: skip
    emit(found, tables.blank(parts), json, output)


def _savings(run: str, speed: str, json: bool, output: str | None, dark: bool) -> None:
    from dse import units
    from dse.report import savings as report
    from dse.report import tables
    from dse.search import runs
    from dse.search.savings import savings

    try:
        value = units.parse(speed, None)
    except units.UnitError as error:
        raise SpecError("--speed", [str(error)]) from None
    if not 0 < value < 1e300:
        raise SpecError("--speed", [f"{speed!r} must be above zero"])
    found = savings(runs.find(run), value)
    parts = [report.heading(found), report.leanest(found), report.smallest(found),
             report.loads(found), report.reading()]  # fmt: skip
    figures.answer(("savings", found), found, tables.blank(parts), json, output, dark)
    if found["arms"][0]["leanest"] is None:
        raise typer.Exit(3)
