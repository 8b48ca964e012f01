"""``dse sensitivity``: what each number of a chip is worth to both goals."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from dse.cli import complete, figures
from dse.cli.console import Json, note
from dse.cli.point import Point, Question, ask, exact, takes_point
from dse.cli.whatif import case_of, heading, helping, words_of
from dse.specs.errors import SpecError

BreakEven = Annotated[
    str | None,
    typer.Option("--break-even", metavar="PATH", help="Find the value of this number at which "
                 "--target ceases (or begins) to hold.", rich_help_panel="Break-even"),
]  # fmt: skip
Target = Annotated[
    str | None,
    typer.Option(metavar="CLAIM", help="METRIC>=VALUE, or METRIC>=N over CHIP; gain is tokens "
                 "per joule, speedup user tokens/s.", rich_help_panel="Break-even"),
]  # fmt: skip
All = Annotated[bool, typer.Option("--all", help="Every number that moves a goal.")]
CHARTS = ("tornado", "exchange", "break_even")
Chart = Annotated[
    str | None, typer.Option(metavar="NAME", help=f"What -o draws: {', '.join(CHARTS)}.",
                             autocompletion=complete.one_of(*CHARTS)),
]  # fmt: skip
MOST_ROWS = 24


@takes_point
def sensitivity(
    point: Point,
    break_even: BreakEven = None,
    target: Target = None,
    all_: All = False,
    json: Json = False,
    chart: Chart = None,
    output: figures.Output = None,
    dark: figures.Dark = False,
) -> None:
    """Elasticities of both goals in every number of a chip; what limits and area are worth.

    dse sensitivity reticle_n3_hbm4 --model llama-3.1-70b

    dse sensitivity sram_macro_n3 --model llama-3.1-8b --break-even logic.sram_read
    --target "gain>=2 over h100_sxm"

    -o tornado.png (or html, svg) draws the elasticities of both goals; with --break-even, the claim
    over the number; with --chart exchange, what the next 100 mm2 bring.
    """
    question, claim = _read(point, break_even, target)
    name = figures.known(chart or ("break_even" if claim else "tornado"), CHARTS)
    with exact():
        result = _answer(question, break_even, claim)
    most = None if all_ else MOST_ROWS
    shown = _shown(point, question, result, most)
    if figures.is_figure(output):
        _drawable(name, result)
    figures.answer((name, result), result, shown, json, output, dark)
    _refuse(result)


def _read(point: Point, break_even: str | None, target: str | None):
    """The question and the claim; every problem of the command line at once."""
    from dse.questions.breakeven import parse_target

    problems: list[str] = []
    claim = question = None
    if (break_even is None) != (target is None):
        problems.append("--break-even PATH and --target CLAIM go together")
    if target is not None:
        try:
            claim = parse_target(target)
        except SpecError as error:
            problems += [f"--target: {problem}" for problem in error.problems]
    try:
        question = ask(point)
    except SpecError as error:
        problems += error.problems
    if problems or question is None:
        raise SpecError("command line", problems)
    return question, claim


def _drawable(chart: str, result: Mapping[str, Any]) -> None:
    """Refuse a chart of what was not asked or is not known."""
    if chart == "break_even" and not result["break_even"]:
        raise SpecError("--chart", ["break_even: wants --break-even PATH --target CLAIM"])
    if chart == "exchange" and result["exchange_rates"] is None:
        raise SpecError("--chart", [f"exchange: the area of {result['chip']} is not modelled "
                                    "(shipped silicon)"])  # fmt: skip


def _answer(question: Question, path: str | None, claim: Any) -> dict[str, Any]:
    from dse.questions.breakeven import break_even
    from dse.questions.doors import sensitivity_of

    case = case_of(question)
    result = sensitivity_of(case)
    result["break_even"] = break_even(case, path, claim) if path and claim else None
    result["remedies"] = [] if result["feasible"] else helping(question, result["point"])
    return result


def _shown(
    point: Point, question: Question, result: Mapping[str, Any], most: int | None
) -> Iterator[Any]:
    from dse.report import sensitivity as report
    from dse.report import tables, whatif

    infeasible = [f"INFEASIBLE\n  {line}" for line in tables.infeasible(result["point"])]
    claim = result["break_even"]
    left = len(result["elasticities"]) - (most or len(result["elasticities"]))
    yield from whatif.spaced([
        heading(question, result["point"]),
        *infeasible,
        tables.verdict(result["point"]),
        report.break_even(claim) if claim else None,
        whatif.advice(result["best_knobs"]),
        report.elasticities(result, most),
        f"{left} more with smaller effect: --all" if left > 0 else None,
        whatif.prices(result, result["point"]),
        report.exchange(result),
        f"next: dse whatif {words_of(dataclasses.replace(point, settings=None))} "
        f"{_example(result)}",
    ])  # fmt: skip


def _example(result: Mapping[str, Any]) -> str:
    """The change that pays most, as words to type."""
    best = result["best_knobs"]["system_tokens_per_s_per_w"]
    if best is None:
        return "--set PATH=VALUE"
    return f"--set {best['path']}={'+' if best['direction'] == 'more' else '-'}10%"


def _refuse(result: Mapping[str, Any]) -> None:
    """Exit 3 where the point breaks a limit, after saying which and what would help."""
    if result["feasible"]:
        return
    from dse.report import tables

    note("dse: infeasible", *[f"  * {line}" for line in tables.infeasible(result["point"])])
    if result["remedies"]:
        note("nearest changes that help:", *[f"  * {line}" for line in result["remedies"]])
    raise typer.Exit(3)
