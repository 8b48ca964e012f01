"""``dse eval``: one operating point, as one object or as tables."""

import shlex
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from dse.cli.console import Json, Output, emit, note
from dse.cli.point import Point, Question, ask, exact, takes_point

Ops = Annotated[bool, typer.Option("--ops", help="The op table too.")]


@takes_point
def eval_(point: Point, ops: Ops = False, json: Json = False, output: Output = None) -> None:
    """One operating point: both goals, power, breakdowns, limits and what binds.

    dse eval h100_sxm --model llama-3.1-70b --workload chat-8k --set hbm.bandwidth=2x
    """
    question = ask(point)
    result = answer(question, with_ops=ops)
    result["bands"] = _bands(question)
    if json or output:
        note(*changed_lines(result), *default_lines(result))
    emit(result, shown(question, result), json, output)
    refuse_infeasible(question, result)


def answer(question: Question, with_ops: bool = False) -> dict[str, Any]:
    """The object of ``--json``: the estimate, what was changed, what was filled in."""
    with exact():
        result = question.evaluate().to_dict()
        result["defaults"] = _defaults(question, result)
        result["changes"] = _changes(question, result)
        if with_ops:
            result |= _ops(question, result["fidelity"])
    return result


def _bands(question: Question) -> dict[str, Any]:
    """80 % bands of the metrics over the ranges of the constants and what a fit leaves over."""
    from dse.cli.whatif import case_of
    from dse.questions import ranges

    with exact():
        return ranges.band(case_of(question))


def _ops(question: Question, fidelity: str) -> dict[str, Any]:
    """The op table, what it is laid against, and through how many layers a token goes."""
    from dse.estimate.evaluate import prepared
    from dse.estimate.output import number
    from dse.report.links import link_rows
    from dse.report.ops import op_rows, rates

    given = prepared(question.chip, question.model, question.workload, question.choices)
    rows = [_finite(row, number) for row in op_rows(*given, fidelity)]
    layers = sum(float(group.layers) for group in question.model.spec.groups)
    links = [_finite(row, number) for row in link_rows(given[0])]
    return {"layers": layers, "ops": rows, "rates": _finite(rates(*given), number), "links": links}


def _finite(node: Any, number: Any) -> Any:
    if isinstance(node, dict):
        return {key: _finite(value, number) for key, value in node.items()}
    return number(node) if isinstance(node, float) else node


def _defaults(question: Question, result: Mapping[str, Any]) -> dict[str, str]:
    """What the command line left open: option -> value and where it is from."""
    model, workload = question.model.name, question.workload.name
    style = next((f.stem for f in question.chip.files if f.parent.name == "styles"), None)
    because = {
        "workload": (workload, "the default"),
        "context": (f"{result['context_tokens']:g}", workload),
        "batch": (f"{result['batch']:g}", workload),
        "tp": (f"{result['tp']:g}", _why_tp(result)),
        "weights": (result["weights"], model),
        "kv": (result["kv"], model),
        "activations": (result["activations"], model),
        "fidelity": (result["fidelity"], f"style {style}" if style else "the chip's style"),
        "power_scope": (result["power_scope"], "the default"),
    }
    return {
        name: f"{value} ({source})"
        for name, (value, source) in because.items()
        if name not in question.stated
    }


def _why_tp(result: Mapping[str, Any]) -> str:
    full = any(item["name"].startswith("capacity.") for item in result["violations"])
    return ("the most one scale-up domain can split; it does not fit, --pp adds chips" if full
            else "fewest chips that fit, at most one scale-up domain")  # fmt: skip


def _changes(question: Question, result: Mapping[str, Any]) -> list[dict[str, str]]:
    """Every ``--set``, and the clock where it followed one."""
    parts = (("", question.chip), ("model.", question.model), ("workload.", question.workload))
    found = [
        {"path": prefix + path, "before": before, "after": after}
        for prefix, loaded in parts
        for path, before, after in loaded.changes
    ]
    return found + _clock_change(question, result)


def _clock_change(question: Question, result: Mapping[str, Any]) -> list[dict[str, str]]:
    chip = question.chip
    if not chip.changes or chip.spec.clock_hz is not None:
        return []
    from dse.resources import logic
    from dse.specs import load

    base = load.load("chips", str(chip.files[0])).spec
    before, after = float(logic.clock_hz(base)), result["clock_hz"]
    if after is None or base.clock_hz is not None or abs(after / before - 1) < 1e-6:
        return []
    reason = f"the limit at {result['voltage_v']:.2f} V (dse explain clock_limit)"
    return [{"path": "clock", "before": f"{before / 1e9 + 1e-9:.2f}",
             "after": f"{after / 1e9 + 1e-9:.2f} GHz",
             "because": reason}]  # fmt: skip


def changed_lines(result: Mapping[str, Any]) -> list[str]:
    """One line per change, as people read it."""
    from dse.report.tables import stated

    return [
        f"{item['path']} {stated(item['before'])} -> {stated(item['after'])}"
        + (f": {item['because']}" if "because" in item else "")
        for item in result["changes"]
    ]


def default_lines(result: Mapping[str, Any]) -> list[str]:
    """What was filled in, on one line."""
    if not result["defaults"]:
        return []
    return ["not stated: " + ", ".join(f"{k} {v}" for k, v in result["defaults"].items())]


def opening(question: Question, result: Mapping[str, Any]) -> list[Any]:
    """The verdict first: what was asked, both goals, what was changed and filled in."""
    from dse.report import tables

    chip = f"{question.chip.title} ({question.design})" if question.design else question.chip.title
    titles = {"chip": chip, "model": question.model.title}
    lines = [*changed_lines(result), *default_lines(result)]
    parts: list[Any] = [tables.heading(result, titles)]
    if not result["feasible"]:
        parts.append("INFEASIBLE\n" + "\n".join(f"  {s}" for s in tables.infeasible(result)))
    parts += [tables.verdict(result), *([tables.bands(result)] if "bands" in result else [])]
    return [*parts, *(["\n".join(lines)] if lines else [])]


def shown(question: Question, result: Mapping[str, Any]) -> Iterator[Any]:
    """The answer for people: verdict, breakdowns, path, memory, limits, what to type next."""
    from dse.report import tables

    parts = [*opening(question, result), tables.breakdowns(result), tables.critical_path(result),
             tables.capacity(result), tables.limits(result)]  # fmt: skip
    if "ops" in result:
        parts.append(tables.ops(result))
    if result["extrapolated"]:
        parts.append(tables.extrapolated(result))
    yield from tables.blank([*parts, following(question)])


def following(question: Question) -> str:
    """The next command to type."""
    if question.design:
        return f"next: dse explain {shlex.quote(question.design)}"
    names = (question.chip.name, question.model.name, question.workload.name)
    chip, model, workload = (shlex.quote(name) for name in names)
    return f"next: dse explain {chip} --model {model} --workload {workload}"


def refuse_infeasible(question: Question, result: Mapping[str, Any]) -> None:
    """Exit 3 where a limit is broken, after saying which and what would help."""
    if result["feasible"]:
        return
    from dse.cli.remedy import remedies
    from dse.report import tables

    note("dse: infeasible", *[f"  * {line}" for line in tables.infeasible(result)])
    with exact():
        found = remedies(question, result)
    if found:
        note("nearest changes that help:", *[f"  * {line}" for line in found])
    raise typer.Exit(3)
