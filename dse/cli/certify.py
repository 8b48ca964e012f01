"""``dse certify``: how far from optimal a run's front can be, and what its limits are worth."""

import contextlib
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from dse.cli.complete import RunName
from dse.cli.console import Json, emit, note
from dse.specs.errors import SpecError


def certify(
    run: RunName,
    levels: Annotated[int, typer.Option(metavar="N", help="Speeds of the front to bound at.")] = 8,
    json: Json = False,
) -> None:
    """Bound every deployment and every knob at some speeds of a run's front.

    At each speed: the least energy per token that any design of the study can have, the gap to
    what was found, and the price of each limit there. What a bound shows to be missing is polished
    and joins the run. Designs whose whole space is not convex are said to be uncertified.

    dse certify two-goals --levels 6
    """
    if levels < 2:
        raise SpecError("--levels", [f"{levels}: wanted at least 2, both ends of the front"])
    from dse import compile_cache
    from dse.report import certificates, tables
    from dse.search import certify as bounds
    from dse.search import runs, study
    from dse.search.goals import OBJECTIVES

    compile_cache.enable()
    found = runs.find(run)
    settings = found.settings()
    runs.check_unchanged(found, settings)
    names = tuple(goal.name for goal in settings.objectives)
    if names != OBJECTIVES:
        raise SpecError(run, [f"bounds are of {' and '.join(OBJECTIVES)}, not of {names}"])
    if len(settings.scenarios) > 1:
        raise SpecError(run, ["bounds are of one model and workload; this study combines "
                              f"{len(settings.scenarios)}"])  # fmt: skip
    with _folder(found, settings) as folder:
        search = study.Search(settings, folder, refine=True)
        if not search.archive.rows:
            raise SpecError(run, ["the run has no feasible design to certify"])
        certificate = bounds.certify(search, levels, note)
        found.write_certificate(certificate)
    if folder is found:
        found.write_front(settings, search.archive, search.evaluators, search.state)
    parts = [certificates.heading(certificate), certificates.levels(certificate),
             certificates.prices(certificate)]  # fmt: skip
    emit(certificate, tables.blank([part for part in parts if part is not None]), json)


@contextlib.contextmanager
def _folder(run: Any, settings: Any) -> Iterator[Any]:
    """Where designs that join the run are saved: its folder, or what its workers share."""
    if "team" not in run.provenance:
        yield run
        return
    from dse.cli.run import answered
    from dse.search import workers

    with answered(run), workers.whole(settings, run) as folder:
        yield folder
