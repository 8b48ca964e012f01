"""``dse explain``: where each second and joule of a point goes; what a metric or law means."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from dse.cli import figures
from dse.cli.console import Json, emit, note
from dse.cli.eval import answer, changed_lines, default_lines, opening, refuse_infeasible
from dse.cli.point import Point, Question, ask, takes_point
from dse.cli.targets import explanation, resolve
from dse.report import charts
from dse.specs.errors import SpecError

CHARTS = charts.names("explain")
Chart = Annotated[str, typer.Option(help=f"The figure: one of {', '.join(CHARTS)}.")]
SHOWN_GOALS = ("user_tokens_per_s", "system_tokens_per_s_per_w")


@takes_point
def explain(
    point: Point,
    json: Json = False,
    output: figures.Output = None,
    chart: Chart = "roofline",
    dark: figures.Dark = False,
) -> None:
    """Where time and energy of a chip go, op by op; or what a metric or a law means.

    CHIP is a chip, a metric (system_tokens_per_s_per_w), a law (clock_limit), or a design of a
    run (RUN#ID).

    dse explain h100_sxm --model llama-3.1-70b -o roofline.png

    dse explain h100_sxm --model llama-3.1-70b --chart critical_path -o path.html
    """
    target = resolve(point.chip)
    if target.kind == "word":
        if figures.is_figure(output):
            raise SpecError("-o", [f"{point.chip} is a word; figures show a chip or RUN#ID"])
        found = explanation(target.name)
        emit(found, _described(found), json, output)
        return
    figures.known(chart, CHARTS)
    question = ask(point)
    result = answer(question, with_ops=True)
    if json or output:
        note(*changed_lines(result), *default_lines(result))
    figures.answer((chart, result), result, _explained(question, result), json, output, dark)
    refuse_infeasible(question, result)


def _described(found: Mapping[str, Any]) -> list[str]:
    """A metric or law as paragraphs."""
    parts = []
    if "metric" in found:
        unit = f" [{found['unit']}]" if found["unit"] else ""
        better = f"; {found['better']}" if found["better"] else ""
        parts.append(f"{found['metric']}{unit}: {found['label']}{better}\n\n{found['definition']}")
    parts += [f"{law['function']}\n\n{law['text']}" for law in found.get("laws", [])]
    return ["\n\n".join(parts)]


def _explained(question: Question, result: Mapping[str, Any]) -> Iterator[Any]:
    from dse.report import links, tables

    parts = [
        *opening(question, result),
        tables.breakdowns(result),
        tables.ops(result),
        tables.energy_scopes(result),
        tables.critical_path(result, result["layers"]),
        links.table(result),
        tables.named("Bytes per step, whole replica", result["bytes_per_step"], "byte"),
        tables.capacity(result),
        tables.limits(result, most=None),
        tables.named("Area of a package", result["area_breakdown_mm2"], "mm**2", "accounted"),
        tables.named("Bill of materials of a chip", result["bom_usd"], "usd"),
    ]
    if result["extrapolated"]:
        parts.append(tables.extrapolated(result))
    yield from tables.blank([*(part for part in parts if part is not None), _definitions()])


def _definitions() -> str:
    from dse.metrics import METRICS

    return "\n".join(f"{METRICS[name].label}: {METRICS[name].definition}" for name in SHOWN_GOALS)
