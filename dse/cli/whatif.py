"""``dse whatif``: one operating point before and after a change."""

import dataclasses
import shlex
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from dse.cli import figures
from dse.cli.console import Json, emit, note
from dse.cli.point import Point, Question, ask, exact, takes_point
from dse.specs.errors import SpecError, nearest

Deploy = Annotated[
    str | None,
    typer.Option(metavar="fixed|best", help="Choose splits and batch again on both sides.",
                 rich_help_panel="Comparison"),
]  # fmt: skip
Speed = Annotated[
    str | None,
    typer.Option(metavar="N", help="User tokens/s that a best batch or deployment must reach; "
                 "that of the chip unchanged.", rich_help_panel="Comparison"),
]  # fmt: skip
Curve = Annotated[
    bool,
    typer.Option("--curve", help="Compare along the whole batch curve, at equal user speed and "
                 "at equal efficiency.", rich_help_panel="Comparison"),
]  # fmt: skip
BOTH = ("sol", "calibrated")


@takes_point
def whatif(
    point: Point,
    deploy: Deploy = None,
    speed: Speed = None,
    curve: Curve = False,
    json: Json = False,
    output: figures.Output = None,
    dark: figures.Dark = False,
) -> None:
    """Before and after: goals, power, what followed the change, which knob pays most now.

    dse whatif h100_sxm --model llama-3.1-70b --set hbm.bandwidth=2x --set voltage=0.7V

    --batch best and --deploy best choose again on both sides; --fidelity both asks both.

    -o change.png (or html, svg) draws time and energy per token of both sides, with --curve the
    batch curves of both.
    """
    asked, chosen, floor = read(point, deploy, speed)
    both = point.fidelity == "both"
    if both and figures.is_figure(output):
        raise SpecError("-o", ["a figure shows one fidelity: --fidelity sol or calibrated"])
    answers, questions = {}, {}
    with exact():
        for fidelity in BOTH if both else (point.fidelity,):
            questions[fidelity] = pair = asked.questions(fidelity)
            answers[fidelity] = answer(*pair, chosen, floor, curve)
    last = list(questions.values())[-1]
    if both:
        result = {"schema": "dse.whatif/1", "fidelity": "both", "answers": answers}
        emit(result, _both(asked.point, last, answers), json, output)
    else:
        result = answers[point.fidelity]
        shown = _shown(asked.point, last, result)
        figures.answer(_drawn(result, curve), result, shown, json, output, dark)
    for fidelity, found in answers.items():
        refuse(questions[fidelity][1], found)


def _drawn(result: dict[str, Any], curve: bool) -> tuple[str, Any]:
    """The chart of an answer and what it draws."""
    if not curve:
        return "whatif", result
    from dse.report.charts import curves

    return "curves", curves.from_whatif(result)


@dataclasses.dataclass(frozen=True)
class Asked:
    """A command line whose point was read, with and without its changes."""

    point: Point

    def questions(self, fidelity: str | None) -> tuple[Question, Question]:
        """Before and after, at a fidelity."""
        changed = ask(dataclasses.replace(self.point, fidelity=fidelity))
        if not self.point.settings:
            return changed, changed
        return ask(dataclasses.replace(self.point, fidelity=fidelity, settings=None)), changed


def read(point: Point, deploy: str | None, speed: str | None):
    """What is asked, what is chosen again (batch, deploy or None), and the floor of user speed.

    Raises:
        SpecError: every problem of the command line at once.
    """
    problems: list[str] = []
    chosen = "batch" if point.batch == "best" else None
    if deploy not in (None, "fixed", "best"):
        problems.append(f"--deploy: {deploy!r} is unknown{nearest(deploy, ('fixed', 'best'))}")
    chosen = "deploy" if deploy == "best" else chosen
    floor = _speed(speed, chosen, problems)
    point = dataclasses.replace(point, batch=None if point.batch == "best" else point.batch)
    try:
        ask(dataclasses.replace(point, fidelity=None if point.fidelity == "both" else
                                point.fidelity))  # fmt: skip
    except SpecError as error:
        problems += error.problems
    if problems:
        raise SpecError("command line", problems)
    return Asked(point), chosen, floor


def _speed(text: str | None, chosen: str | None, problems: list[str]) -> float | None:
    from dse import units

    if text is None:
        return None
    if chosen is None:
        problems.append("--speed: says what --batch best or --deploy best must reach")
        return None
    try:
        value = units.parse(text, None)
    except units.UnitError as error:
        problems.append(f"--speed: {error}")
        return None
    if value < 0:
        problems.append(f"--speed: {text!r} must be zero or more")
    return value


def case_of(question: Question) -> Any:
    """The case of a question, its fidelity settled."""
    from dse.estimate.evaluate import default_fidelity
    from dse.questions.case import Case

    return Case(question.chip, question.model, question.workload, question.choices,
                question.fidelity or default_fidelity(question.chip),
                question.power_scope)  # fmt: skip


def answer(
    base: Question, changed: Question, chosen: str | None, speed: float | None, curve: bool
) -> dict[str, Any]:
    """The object of ``--json`` at one fidelity."""
    from dse.questions.doors import compared

    result = compared(case_of(base), case_of(changed), chosen, speed, curve)
    result["feasible"] = result["changed"]["feasible"]
    result["remedies"] = [] if result["feasible"] else helping(changed, result["changed"])
    return result


def helping(question: Question, result: Mapping[str, Any]) -> list[str]:
    """The nearest changes that make a point feasible, at the deployment it was tried at."""
    from dse.cli.remedy import remedies

    fields = {name: result[name] for name in ("tp", "batch", "dp", "ep")}
    choices = dataclasses.replace(question.choices, **fields)
    return remedies(dataclasses.replace(question, choices=choices), result)


def refuse(question: Question, result: Mapping[str, Any]) -> None:
    """Exit 3 where the changed point breaks a limit, after saying which and what would help."""
    if result["feasible"]:
        return
    from dse.report import tables

    note("dse: the what-if is infeasible",
         *[f"  * {line}" for line in tables.infeasible(result["changed"])])  # fmt: skip
    if result["remedies"]:
        at = "" if "tp" in question.stated else f" (at tp {result['changed']['tp']:g})"
        note(f"nearest changes that help{at}:", *[f"  * {line}" for line in result["remedies"]])
    raise typer.Exit(3)


# --- for people ---------------------------------------------------------------------------------


def heading(question: Question, found: Mapping[str, Any]) -> Any:
    """What was asked."""
    from dse.report import tables

    chip = f"{question.chip.title} ({question.design})" if question.design else question.chip.title
    return tables.heading(found, {"chip": chip, "model": question.model.title})


def _shown(
    point: Point, pair: tuple[Question, Question], result: Mapping[str, Any]
) -> Iterator[Any]:
    from dse.report import whatif as report

    yield from report.spaced([
        heading(pair[1], result["changed"]),
        *_feasibility(result),
        report.verdict(result),
        "\n".join([report.basis(result), "", *report.causes(result), report.waits(result)]),
        report.where(result),
        report.limits(result),
        *report.curves(result),
        report.payoffs(result["payoffs"], result["best_knobs"],
                       "Which knob pays most now (for +1 %)"),
        report.advice(result["best_knobs"]),
        report.prices(result, result["changed"]),
        report.span(result),
        f"next: dse explain {words_of(point)}",
    ])  # fmt: skip


def _both(
    point: Point, pair: tuple[Question, Question], answers: Mapping[str, Mapping[str, Any]]
) -> Iterator[Any]:
    from dse.report import whatif as report

    first = answers[BOTH[0]]
    yield from report.spaced([
        heading(pair[1], first["changed"] | {"fidelity": "both"}),
        *_feasibility(first),
        report.both_fidelities(answers),
        "\n".join([report.basis(first), "", *report.causes(first)]),
        *[f"{name}:\n{report.waits(found)}\n{report.advice(found['best_knobs'])}"
          for name, found in answers.items()],
        f"next: dse explain {words_of(point)}",
    ])  # fmt: skip


def _feasibility(result: Mapping[str, Any]) -> Iterator[str]:
    from dse.report import tables

    for side, name in (("base", "base"), ("changed", "what-if")):
        if not result[side]["feasible"]:
            lines = [f"  {line}" for line in tables.infeasible(result[side])]
            yield "\n".join([f"INFEASIBLE: the {name}", *lines])


def words_of(point: Point) -> str:
    """The point as words to type, without what only compares."""
    words = [point.chip]
    for field in dataclasses.fields(Point)[1:]:
        given = getattr(point, field.name)
        flag = "--set" if field.name == "settings" else "--" + field.name.replace("_", "-")
        if given is None or (field.name == "fidelity" and given == "both"):
            continue
        for value in given if isinstance(given, list) else [given]:
            words += [flag, value]
    return " ".join(shlex.quote(word) for word in words)
