"""What charts and reports of a run are made of: objects that verbs print with ``--json``."""

import json
import pathlib
from collections.abc import Callable
from typing import Any

from dse.cli.console import note

REPORT = "dse.report/1"
NAMED = {
    "high_efficiency_decoder": "High Efficiency Decoder",
    "knee": "Knee",
    "low_latency_decoder": "Low Latency Decoder",
}
SHOWN = (
    "user_tokens_per_s", "system_tokens_per_s_per_w", "tpot_s", "j_per_token", "users_in_flight",
    "chips", "power_w", "chip_power_w", "silicon_mm2", "heat_flux_w_per_mm2",
    "usd_per_million_tokens", "load",
)  # fmt: skip


def front(run: Any) -> dict[str, Any]:
    """The object of ``front.json``."""
    return run.front()


def with_bands(run: Any) -> dict[str, Any]:
    """The front with how sure it is, which ``bands.json`` of the run then holds."""
    from dse.search.bands import bands
    from dse.search.runs import write_json

    found = run.front()
    found["bands"] = bands(run)
    try:
        write_json(run.folder / "bands.json", found["bands"])
    except OSError as error:
        note(f"bands.json not kept: {error.strerror or error}")
    return found


def gains(run: Any) -> dict[str, Any]:
    """The object of ``dse gains --json``."""
    from dse.search.gains import gains

    return gains(run)


def history(run: Any) -> dict[str, Any]:
    """How the hypervolume grew."""
    from dse.search.history import history

    return history(run)


# What a chart of a run draws (`OF` of its module) -> where that is from.
OF_RUN: dict[str, Callable[[Any], dict[str, Any]]] = {
    "front": front, "gains": gains, "history": history, "bands": with_bands,
}  # fmt: skip


def report(run: Any) -> dict[str, Any]:
    """Everything a report of a run says, as the verbs print it; what cannot be had is None.

    ``left_out`` holds, for a part that is None, why and the command that makes it.
    """
    settings, found = run.settings(), run.front()
    made: dict[str, Any] = {
        "schema": REPORT, "front": found, "provenance": run.provenance, "state": run.state,
        "history": history(run), "csv": _csv(found), "study_file": _text(run.folder / "study.toml"),
        "definitions": definitions(found), "left_out": {},
    }  # fmt: skip
    made |= _again(run, settings, found, made["left_out"])
    made["bands"] = _kept_bands(run, found)
    if made["bands"] is None:
        made["left_out"]["bands"] = f"not computed: dse pareto show {run.name} --bands"
    if found["certificate"] is None:
        made["left_out"]["certificate"] = f"not certified: dse certify {run.name}"
    return made


def _again(run: Any, settings: Any, found: dict[str, Any], left_out: dict[str, str]):
    """What evaluates designs again, which a changed spec or package forbids."""
    from dse.search.gains import check_unchanged
    from dse.specs.errors import SpecError

    parts: dict[str, Any] = {"gains": None, "points": {}, "sensitivities": {}, "curves": None}
    try:
        check_unchanged(run, settings)
    except SpecError as error:
        *changes, advice = error.problems
        more = f" and {len(changes) - 1} more" if len(changes) > 1 else ""
        left_out |= dict.fromkeys(parts, f"{changes[0]}{more}; {advice}")
        return parts
    parts["gains"] = _gains_if_two(run, found, left_out)
    for key in NAMED:
        parts["points"][key], parts["sensitivities"][key] = _point(f"{run.folder}#{key}")
    parts["curves"] = _curves(settings, found)
    return parts


def _gains_if_two(run: Any, found: dict[str, Any], left_out: dict[str, str]):
    """The gains, of a study whose designs are compared with something."""
    from dse.specs.errors import SpecError

    try:
        return gains(run)
    except SpecError as error:
        left_out["gains"] = "; ".join(error.problems)
        return None


def _point(design: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The objects of ``dse explain`` and ``dse sensitivity`` of a design, with ``--json``."""
    from dse.cli.eval import answer
    from dse.cli.point import Point, ask, exact
    from dse.cli.sensitivity import case_of
    from dse.questions.doors import sensitivity_of

    question = ask(Point(chip=design))
    with exact():
        return answer(question, with_ops=True), sensitivity_of(case_of(question))


def _curves(settings: Any, found: dict[str, Any]) -> dict[str, Any]:
    """Batch curves of the named designs at their splits, and those of the real chips."""
    from dse.cli.point import exact
    from dse.questions import optimum
    from dse.search.gains import case_of

    by_id = {design["id"]: design for design in found["designs"]}
    lines = []
    with exact():
        for key, words in NAMED.items():
            case = case_of(by_id[found[key]], "", settings)
            lines.append({"name": words, "role": "pinned", "at": case.choices.batch,
                          "points": optimum.rows(optimum.batch_curve(case))})  # fmt: skip
    for chip in found["compare"]:
        points = [point | {"feasible": True} for point in chip["points"]]
        lines.append({"name": chip["title"], "role": "reference", "at": None, "points": points})
    return {"lines": lines}


def _kept_bands(run: Any, found: dict[str, Any]) -> dict[str, Any] | None:
    """The bands that were computed of this very front."""
    path = run.folder / "bands.json"
    kept = json.loads(_text(path)) if path.is_file() else None
    ids = {design["id"] for design in found["designs"]}
    return kept if kept and {row["id"] for row in kept["designs"]} == ids else None


def _csv(found: dict[str, Any]) -> str:
    from dse.search.front import table_of

    return table_of(found).to_csv(index=False)


def _text(path: pathlib.Path) -> str:
    return path.read_text("utf-8")


def definitions(found: dict[str, Any]) -> list[dict[str, str]]:
    """Every metric that a report of a front prints: name, label, definition."""
    from dse.metrics import METRICS, by_stem

    limits = [metric.name for stem in found["constraints"] if (metric := by_stem(stem))]
    wanted = dict.fromkeys([*SHOWN, *found["objectives"], *limits])
    return [{"name": name, "label": METRICS[name].label, "definition": METRICS[name].definition}
            for name in wanted]  # fmt: skip
