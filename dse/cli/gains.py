"""``dse gains``: what a run gained, five ways, over every chip it is compared with."""

from dse.cli.complete import RunName
from dse.cli.console import Json, Output, emit


def gains(
    run: RunName,
    json: Json = False,
    output: Output = None,
) -> None:
    """The gain of a run over shipped chips and over the same search on standard memory.

    Best against best, at equal user speed, top speed, speed at equal energy, and the chance of ten
    over the ranges of the constants; what each technology earns, where time and energy go, and
    where the constants that carry a gain stop carrying it.

    dse gains two-goals
    """
    from dse import compile_cache
    from dse.report import gains as report
    from dse.report import tables
    from dse.search import runs
    from dse.search.gains import gains as found_by

    compile_cache.enable()
    found = found_by(runs.find(run))
    parts = [report.heading(found), report.five_ways(found), report.reading(found),
             report.binding(found), report.families(found), *report.taken_away(found),
             report.energies(found), report.times(found), report.TALK,
             report.break_even(found)]  # fmt: skip
    emit(found, tables.blank(parts), json, output)
