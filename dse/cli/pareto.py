"""``dse pareto``: the front of a run as a table, a figure, a file, or one design as a chip."""

import json as json_
import pathlib
import shutil
import tempfile
from typing import Annotated, Any

import typer

from dse.cli import contents
from dse.cli.complete import RunName
from dse.cli.complete import runs as known_runs
from dse.cli.console import Json, emit, note
from dse.cli.figures import Dark, draw, known
from dse.report import charts
from dse.specs.errors import SpecError

app = typer.Typer(no_args_is_help=True, add_completion=False,
                  help="Show, plot, export or compare the fronts of runs.")  # fmt: skip
File = Annotated[str, typer.Option("-o", "--output", metavar="FILE", help="Where to write.")]
Bands = Annotated[
    bool,
    typer.Option("--bands", help="80 % bands, chance to be on the front, regret, robust front."),
]
TABLES = (".csv", ".json", ".parquet")
CHARTS = charts.names(*contents.OF_RUN)


def _run(name: str) -> Any:
    from dse.search import runs

    return runs.find(name)


@app.command()
def show(run: RunName, bands: Bands = False, json: Json = False) -> None:
    """The designs of a front, both decoders and the knee marked.

    --bands: how sure that is, over joint draws of the constants, written to bands.json of the run.
    """
    from dse.report import fronts, tables

    front = contents.with_bands(_run(run)) if bands else _run(run).front()
    if bands:
        parts = [fronts.heading(front), fronts.bands(front), fronts.certainty(front)]
        emit(front, tables.blank(parts), json)
        return
    parts = [fronts.heading(front), fronts.verdict(front), fronts.gains(front),
             fronts.designs(front), fronts.bounds(front)]  # fmt: skip
    emit(front, tables.blank([part for part in parts if part is not None]), json)


@app.command()
def plot(
    run: RunName,
    output: File,
    chart: Annotated[str, typer.Option(help=f"One of {', '.join(CHARTS)}.")] = "pareto",
    dark: Dark = False,
) -> None:
    """A figure of a run: html always; png and svg where a Chrome or Chromium is present.

    Figures of one design: dse explain RUN#ID -o FILE, dse sensitivity RUN#ID -o FILE.
    """
    from dse import compile_cache

    kind = charts.chart(known(chart, CHARTS)).OF
    compile_cache.enable()
    draw(chart, contents.OF_RUN[kind](_run(run)), output, dark)


@app.command()
def export(
    run: RunName,
    output: File,
    hw: Annotated[
        str | None,
        typer.Option("--hw", metavar="ID", help="One design as a chip: its id, high, low or knee."),
    ] = None,
) -> None:
    """The front as csv, json or parquet; or one design as a chip spec file."""
    found = _run(run)
    path = pathlib.Path(output)
    if hw is not None:
        _write(path, lambda place: place.write_text(_chip_text(found, hw), "utf-8"))
        return
    kind = path.suffix.lower()
    if kind not in TABLES:
        raise SpecError("-o", [f"{path.name!r}: wanted a name ending in csv, json or parquet"])
    front = found.front()
    if kind == ".json":
        _write(path, lambda place: place.write_text(json_.dumps(front, indent=2, allow_nan=False)))
    elif kind == ".csv":
        from dse.search.front import table_of

        _write(path, lambda place: table_of(front).to_csv(place, index=False))
    else:
        _write(path, lambda place: shutil.copyfile(found.folder / "front.parquet", place))


@app.command()
def compare(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN RUN...", help="Two or more.", autocompletion=known_runs),
    ],
    at: Annotated[
        list[float] | None,
        typer.Option("--at", metavar="SPEED", help="User tokens/s to compare at; repeat for more."),
    ] = None,
    json: Json = False,
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", metavar="FILE", help="A figure (html, png, svg), or json."),
    ] = None,
    dark: Dark = False,
) -> None:
    """Runs of one question: who covers more, whose designs survive, energy at equal speed.

    dse pareto compare two-goals two-goals-2 --at 300 --at 1000

    Hypervolumes are taken from one reference point, the lowest of all. Runs of other goals, models,
    workloads, fidelity or power scope are refused, with the reason.
    """
    from dse.report import tables
    from dse.report import versus as report
    from dse.search.versus import versus

    wrong = [f"{speed:g}: wanted a speed above zero" for speed in at or [] if not 0 < speed < 1e300]
    if wrong:
        raise SpecError("--at", wrong)
    found = versus([_run(name) for name in runs], at)
    if output and not output.endswith(".json"):
        draw("compare", found, output, dark)
        output = None
    parts = [report.heading(found), report.runs(found), report.attainment(found),
             report.leads(found), report.differences(found)]  # fmt: skip
    emit(found, tables.blank([part for part in parts if part is not None]), json, output)


def _write(path: pathlib.Path, fill: Any) -> None:
    """Write aside, then move into place: a reader never sees half a file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as aside:
            place = pathlib.Path(aside) / path.name
            fill(place)
            place.replace(path)
    except OSError as error:
        raise SpecError("-o", [f"{path}: {error.strerror or error}"]) from None
    note(f"wrote {path}")


def _chip_text(run: Any, identifier: str) -> str:
    """A design as a spec file on top of its base chip; how to evaluate it stands at the top."""
    from dse.search import designs

    design = designs.design(run, identifier)
    settings = run.settings()
    flags = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in
                     design["deployment"].items())  # fmt: skip
    alone = design.get("scenarios", [design])[0]  # of several, the one the command evaluates
    goals = (f"{alone['user_tokens_per_s']:.6g} user tokens/s, "
             f"{alone['system_tokens_per_s_per_w']:.6g} system tokens/s/W")  # fmt: skip
    lines = [
        f"# {goals} at {settings.fidelity}, {settings.power_scope} power:",
        f"# dse eval FILE --model {settings.model.name} --workload {settings.workload.name} "
        f"{flags} --fidelity {settings.fidelity} --power-scope {settings.power_scope}",
        f'name = "{run.name} {design["id"]}"',
        f'about = "A design found by the study {settings.name}."',
        f'base = "{design["hardware"]["base"]}"',
        'source = "found-by-search"',
        "",
        "[sources.found-by-search]",
        'kind = "study"',
        f'title = "{settings.name}, trial {design["trial"]}, seed {settings.search.seed}"',
        "",
    ]
    changes = designs.overrides_of(design)
    top = [(path, value) for path, value in changes if "." not in path]
    deep = [(path, value) for path, value in changes if "." in path]
    lines[6:6] = [f"{path} = {_toml(value)}" for path, value in top]
    tables: dict[str, list[str]] = {}
    for path, value in deep:
        table, _, key = path.rpartition(".")
        tables.setdefault(table, []).append(f"{key} = {_toml(value)}")
    for table, values in tables.items():
        lines += [f"[{table}]", *values]
    return "\n".join(lines) + "\n"


def _toml(value: str) -> str:
    """A quantity as a string; a plain number as it is."""
    try:
        return repr(float(value))
    except ValueError:
        return f'"{value}"'
