"""``dse study``: the run folders, what state they are in, going on with one, removing one."""

import shutil
from typing import Annotated, Any

import typer

from dse.cli.complete import RunName
from dse.cli.console import Json, emit, note
from dse.cli.run import Storage, Workers
from dse.specs.errors import SpecError

app = typer.Typer(no_args_is_help=True, add_completion=False,
                  help="List, inspect, resume or remove runs.")  # fmt: skip


def _summary(run: Any) -> dict[str, Any]:
    then, state = run.provenance, run.state
    volumes = state["hypervolume"]
    return {
        "run": run.name,
        "study": then["study"],
        "trials": state["trials"],
        "trials_wanted": then["trials"],
        "feasible": state["feasible"],
        "evaluations": state["evaluations"],
        "hypervolume": volumes[-1] if volumes else None,
        "seed": then["seed"],
        "started": then["started"],
    }


def _table(summaries: list[dict[str, Any]]) -> Any:
    from dse.report import tables

    rows = [
        (s["run"], s["study"], f"{s['trials']:,}/{s['trials_wanted']:,}", f"{s['feasible']:,}",
         f"{s['evaluations']:,}", "-" if s["hypervolume"] is None else f"{s['hypervolume']:.4f}",
         str(s["seed"]), s["started"])
        for s in summaries
    ]  # fmt: skip
    columns = ("run", "study", "trials", "feasible", "designs", "hypervolume", "seed", "started")
    return tables.table(None, columns, rows)


@app.command("list")
def list_(json: Json = False) -> None:
    """The runs under runs/."""
    from dse.search import runs

    found = [_summary(run) for run in runs.list_runs()]
    emit(found, [_table(found)] if found else ["no run yet: dse run two-goals"], json)


@app.command()
def status(run: RunName, json: Json = False) -> None:
    """How far a run has come."""
    from dse.search import runs

    summary = _summary(runs.find(run))
    emit(summary, [_table([summary])], json)


@app.command()
def resume(
    run: RunName,
    trials: Annotated[int | None, typer.Option(help="Trials in total, these included.")] = None,
    workers: Workers = None,
    storage: Storage = None,
    json: Json = False,
) -> None:
    """Go on with a run until its total; refused where study, specs or package changed."""
    from dse import compile_cache
    from dse.cli.run import finish
    from dse.search import runs

    compile_cache.enable()
    found = runs.find(run)
    settings = found.settings()
    runs.check_unchanged(found, settings)
    if trials is not None:
        settings = runs.with_total(found, settings, trials)
    finish(found, settings, json, _team(found, workers, storage))


def _team(run: Any, workers: int | None, storage: str | None) -> dict[str, Any] | None:
    """How many workers go on with a run, and where: as it was started, unless said otherwise."""
    team = run.provenance.get("team")
    if team is None:
        if workers not in (None, 1) or storage is not None:
            raise SpecError(run.name, ["the run was started in one process, and goes on in one; "
                                       "many workers need a fresh run"])  # fmt: skip
        return None
    if workers is not None and workers < 1:
        raise SpecError("--workers", [f"{workers} must be at least 1"])
    if storage is not None and team["storage"] is None:
        raise SpecError("--storage", ["the run's workers share its folder, not a storage"])
    return {**team, "workers": workers or team["workers"],
            "storage": storage or team["storage"]}  # fmt: skip


@app.command()
def rm(
    run: RunName,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove a run folder."""
    from dse.search import runs

    found = runs.find(run)
    if not yes and not typer.confirm(f"remove {found.folder}?", err=True):
        raise typer.Exit(2)
    try:
        shutil.rmtree(found.folder)
    except OSError as error:
        raise SpecError(run, [error.strerror or str(error)]) from None
    note(f"removed {found.folder}")
