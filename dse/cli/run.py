"""``dse run``: search a study, then say what was found, where it lies, and what to type next."""

import contextlib
import pathlib
import sys
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from dse.cli.complete import names
from dse.cli.console import Json, emit, note
from dse.specs.errors import SpecError

Trials = Annotated[int | None, typer.Option(help="Trials in total; the study's if not given.")]
Seed = Annotated[int | None, typer.Option(help="Seed; the study's if not given.")]
Workers = Annotated[int | None, typer.Option(help="Processes of this machine that search.")]
Storage = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help=(
            "Where workers of several machines share the study: postgresql://... or grpc://host:port."
        ),
    ),
]
Islands = Annotated[
    int | None,
    typer.Option(
        help="Parts the study is cut into, each for one worker; one per family if not given."
    ),
]
Folder = Annotated[
    str | None, typer.Option("-o", "--output", metavar="DIR", help="Run folder; runs/NAME.")
]
TABLE_ROWS = 14
ALONE = {"workers": 1, "storage": None, "islands": None}


def run(
    study: Annotated[
        str,
        typer.Argument(
            metavar="STUDY", help="Name or file of a study.", autocompletion=names("studies")
        ),
    ],
    trials: Trials = None,
    seed: Seed = None,
    workers: Workers = None,
    storage: Storage = None,
    islands: Islands = None,
    output: Folder = None,
    json: Json = False,
) -> None:
    """Search a study and write its run folder.

    dse run two-goals
    dse run two-goals --workers 2
    dse run two-goals --workers 8 --storage postgresql://dse@db/dse   (on each of several machines)
    """
    team = {"workers": 1 if workers is None else workers, "storage": storage, "islands": islands}
    for name in ("workers", "islands"):
        if team[name] is not None and team[name] < 1:
            raise SpecError(f"--{name}", [f"{team[name]} must be at least 1"])
    from dse import compile_cache
    from dse.search import runs, settings

    compile_cache.enable()
    read = settings.read(study, trials=trials, seed=seed)
    place = pathlib.Path(output) if output else None
    if team == ALONE:
        finish(runs.start(read, study, place), read, json)
        return
    with answered():
        from dse.search import workers as crews

        folder = crews.start(read, study, place, team)
    finish(folder, read, json, team)


def finish(folder: Any, read: Any, as_json: bool, team: dict[str, Any] | None = None) -> None:
    """Search until the total is reached, alone or with many workers, then report."""
    note(f"{read.name}: {read.search.trials:,} trials of {len(read.space.families)} chip families "
         f"on {read.model.title}, into {folder.folder}")  # fmt: skip
    with answered(folder):
        if team is None:
            from dse.search import study

            study.run(read, folder, _line)
        else:
            from dse.search import workers

            workers.run(read, folder, team, _line)
    report(folder, as_json)


@contextlib.contextmanager
def answered(folder: Any = None) -> Iterator[None]:
    """A question without an answer exits 3, a search that stopped early 4, an interrupt 130."""
    from dse.search import storage, study

    goes_on = f"; go on with: dse study resume {folder.folder}" if folder else ""
    try:
        yield
    except study.Infeasible as error:
        print(f"dse: {error}", file=sys.stderr)
        raise typer.Exit(3) from None
    except (storage.Lost, storage.Stopped) as error:
        note(f"dse: stopped early: {error}{goes_on}")
        raise typer.Exit(4) from None
    except KeyboardInterrupt:
        if folder is None:
            raise
        note(f"dse: interrupted and saved; go on with: dse study resume {folder.folder}")
        raise typer.Exit(130) from None
    finally:
        if sys.stderr.isatty():
            print(file=sys.stderr)


def _line(progress: Any) -> None:
    """The progress line; on a terminal it overwrites itself."""
    if progress.phase:
        said = (f"{progress.phase:>20}  front {progress.front:>3}  hypervolume "
                f"{progress.hypervolume:.4f}")  # fmt: skip
        print(f"\r{said:<90}" if sys.stderr.isatty() else said,
              end="" if sys.stderr.isatty() else "\n", file=sys.stderr, flush=True)  # fmt: skip
        return
    said = (f"{progress.trials:>6,}/{progress.total:,} trials  feasible "
            f"{progress.feasible_fraction:4.0%}  front {progress.front:>3}  hypervolume "
            f"{progress.hypervolume:.4f} (+{progress.gain:.4f})  "
            f"{progress.evaluations_per_s / 1e6:.2f} M designs/s  "
            f"{progress.left_s:.0f} s left")  # fmt: skip
    end = "" if sys.stderr.isatty() else "\n"
    print(f"\r{said}" if not end else said, end=end, file=sys.stderr, flush=True)


def report(folder: Any, as_json: bool) -> None:
    """The verdict of a run, its picture, its table, and the next commands."""
    from dse.report.charts import breakdown, pareto
    from dse.report.export import write_figure

    front = folder.front()
    pictures = [write_figure(chart.figure(front), folder.folder / f"{name}.html")
                for name, chart in (("pareto", pareto), ("breakdown", breakdown))]  # fmt: skip
    emit(front, shown(folder, front, [str(path) for path in pictures]), as_json)


def shown(folder: Any, front: dict[str, Any], pictures: list[str]) -> list[Any]:
    """What a finished run tells people, verdict first."""
    from dse.report import fronts, tables

    lines = [f"pictures: {', '.join(pictures)}"] if pictures else []
    parts = [fronts.heading(front), fronts.verdict(front), fronts.gains(front), *lines,
             fronts.designs(front, TABLE_ROWS), fronts.bounds(front),
             _following(folder, front)]  # fmt: skip
    return tables.blank([part for part in parts if part is not None])


def _following(folder: Any, front: dict[str, Any]) -> str:
    name = str(folder.folder).removeprefix("runs/")
    low = front["low_latency_decoder"]
    return "\n".join([
        f"next: dse pareto show {name}",
        f"      dse pareto plot {name} -o front.png",
        f"      dse pareto export {name} --hw {low} -o chip.toml",
    ])  # fmt: skip
