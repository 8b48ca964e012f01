"""``dse sweep``: one or two axes of a point as a table, JSON or a chart."""

import csv
import io
import pathlib
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from dse.cli import sweep_study
from dse.cli.console import Json, emit, note, write_text
from dse.cli.figures import KINDS as FIGURES
from dse.cli.figures import Dark, draw
from dse.cli.point import Point, Question, ask, exact, takes_point
from dse.cli.whatif import Deploy, Speed, case_of, read
from dse.specs.errors import SpecError

Over = Annotated[
    list[str],
    typer.Option("--over", metavar="PATH=A:B:N", help="What to move: FROM:TO:POINTS (:log or :lin "
                 "after it), or A,B,C. Once or twice; paths as of --set, or batch, tp, context, "
                 "kv, ...", rich_help_panel="Question"),
]  # fmt: skip
Output = Annotated[
    str | None,
    typer.Option("-o", "--output", metavar="FILE", help="A chart (html, png, svg), csv or json."),
]
KINDS = (*FIGURES, ".csv", ".json")
Rounds = Annotated[
    int | None,
    typer.Option(metavar="N", help="Rounds of gradients at each value of a study's limit; 4.",
                 rich_help_panel="Comparison"),
]  # fmt: skip


@takes_point
def sweep(
    point: Point,
    over: Over,
    deploy: Deploy = None,
    speed: Speed = None,
    rounds: Rounds = None,
    json: Json = False,
    output: Output = None,
    dark: Dark = False,
) -> None:
    """Both goals along one or two axes, the deployment held or chosen again at each point.

    dse sweep h100_sxm --model llama-3.1-70b --over voltage=0.70V:0.85V:7

    Of a study or a run instead of a chip: the front searched again at each value of a limit, which
    family wins at which user speed, and where its weights lie.

    dse sweep two-goals --over silicon=10000mm2:230000mm2:6
    """
    if sweep_study.is_study(point.chip):
        show = {"json": json, "output": output, "dark": dark}
        sweep_study.sweep_study(_only(point, deploy), over, speed, rounds, show)
        return
    if rounds is not None:
        raise SpecError("--rounds", ["is of studies; a chip is not searched"])
    question, axes, chosen, floor = _read(point, over, deploy, speed, output)
    from dse.questions.sweep import swept

    with exact():
        result = swept(case_of(question), axes, chosen, floor)
    kind = pathlib.Path(output or ".json").suffix.lower()
    if output and kind in (*FIGURES, ".csv") and json:
        emit(result, [], True)
    if kind in FIGURES:
        draw("sweep", result, str(output), dark)
    elif kind == ".csv":
        write_text(csv_text(result), output)
    else:
        emit(result, _shown(question, result), json, output)
    if not result["feasible"]:
        note("dse: no point of the sweep is feasible", *_broken(result))
        raise typer.Exit(3)


def _only(point: Point, deploy: str | None) -> Point:
    """The point of a study, which chooses its deployments itself."""
    if deploy is not None:
        raise SpecError("--deploy", ["a study chooses its deployments itself"])
    return point


def _read(point: Point, over: list[str], deploy: str | None, speed: str | None, output: str | None):
    """The question, the axes, and what is chosen again; every problem at once."""
    from dse.questions.sweep import parse_axis

    problems: list[str] = []
    axes = []
    for text in over:
        try:
            axes.append(parse_axis(text))
        except SpecError as error:
            problems += [f"--over {problem}" for problem in error.problems]
    if len(over) > 2:
        problems.append(f"--over: {len(over)} axes; one or two can be shown")
    try:
        asked, chosen, floor = read(point, deploy, speed)
    except SpecError as error:
        raise SpecError("command line", [*problems, *error.problems]) from None
    if output and pathlib.Path(output).suffix.lower() not in KINDS:
        problems.append(f"-o: {pathlib.Path(output).name!r}: wanted a name ending in "
                        f"{', '.join(kind[1:] for kind in KINDS)}")  # fmt: skip
    if point.fidelity == "both":
        problems.append("--fidelity: a sweep has one, sol or calibrated")
    if problems:
        raise SpecError("command line", problems)
    return ask(asked.point), axes, chosen, floor


def csv_text(result: Mapping[str, Any]) -> str:
    """One line per point: the axes in SI, every number, what it waits for, what it breaks."""
    from dse.questions.sweep import SHOWN

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    paths = [axis["path"] for axis in result["axes"]]
    axes = [f"{axis['path']} [{axis['unit']}]" if axis["unit"] else axis["path"]
            for axis in result["axes"]]  # fmt: skip
    writer.writerow([*axes, *SHOWN, "bottleneck", "feasible", "breaks"])
    for row in result["points"]:
        values = [row["values"][path] for path in paths] + [row[name] for name in SHOWN]
        broken = " ".join(item["name"] for item in row["violations"])
        writer.writerow([*values, row["bottleneck"], row["feasible"], broken])
    return text.getvalue()


def _broken(result: Mapping[str, Any]) -> list[str]:
    """Which limits stop the points."""
    names = dict.fromkeys(v["name"] for row in result["points"] for v in row["violations"])
    return [f"  * {name}" for name in names]


def _shown(question: Question, result: Mapping[str, Any]) -> Iterator[Any]:
    from rich.text import Text

    from dse.report import sweep as report
    from dse.report import words
    from dse.report.whatif import basis, spaced

    fidelity = words.fidelity(result["fidelity"])
    chip = question.design or question.chip.title
    yield from spaced([
        Text.assemble((f"{chip}, {question.model.title}, {question.workload.title}", "bold"),
                      f"\ndecode, output tokens, {result['power_scope']} power, {fidelity}; "
                      + basis(result).replace(" on both sides", "")),
        *report.sweep(result),
        report.best_points(result),
        "next: the same with -o sweep.html for a chart, --json for every number",
    ])  # fmt: skip
