"""The questions as functions of Python: each answers with the object of its verb's ``--json``."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dse.estimate.output import number
from dse.estimate.prepare import Choices
from dse.estimate.step import Estimate
from dse.questions import difference, optimum, prices, ranges
from dse.questions.case import GOALS, Case, case_of
from dse.questions.exchange import exchange_rates
from dse.questions.slopes import slopes
from dse.specs.errors import SpecError, nearest
from dse.specs.overrides import parse_setting

WHATIF, SENSITIVITY = "dse.whatif/1", "dse.sensitivity/1"


def whatif(  # noqa: PLR0913 - a public door; the rest is keyword-only
    hardware: Any,
    model: Any,
    workload: Any = "chat-8k",
    settings: Sequence[str] = (),
    choices: Choices | None = None,
    *,
    fidelity: str | None = None,
    power_scope: str = "system",
    chosen: str | None = None,
    speed: float | None = None,
    curve: bool = False,
) -> dict[str, Any]:
    """Before and after a change of one operating point.

    Args:
        hardware: a chip: name or loaded spec.
        model: a model, likewise.
        workload: a workload, likewise.
        settings: changes as ``--set`` takes them, e.g. ``"hbm.bandwidth=2x"``.
        choices: the deployment; held on both sides where ``chosen`` does not say otherwise.
        fidelity: ``"sol"`` or ``"calibrated"``.
        power_scope: ``"accelerator"``, ``"system"`` or ``"facility"``.
        chosen: ``"batch"`` or ``"deploy"``: choose it again on both sides, the most efficient at
            ``speed`` or faster.
        speed: user tokens/s; None: what the chip reaches unchanged.
        curve: lay the batch curves of both sides together too.
    """
    base = case_of(hardware, model, workload, choices, fidelity, power_scope)
    pairs = [parse_setting(text) for text in settings]
    return compared(base, base.changed(pairs) if pairs else base, chosen, speed, curve)


def compared(
    base: Case, changed: Case, chosen: str | None = None, speed: float | None = None,
    curve: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """The object of ``dse whatif --json``, from two cases."""
    if chosen not in (None, "batch", "deploy"):
        raise SpecError("chosen", [f"{chosen!r} is unknown{nearest(chosen, ('batch', 'deploy'))}"])
    before, after = held(base, changed)
    basis: dict[str, Any] = {"batch": "fixed", "deploy": "fixed", "speed": None}
    if chosen is not None:
        before, after, speed = chosen_again(before, after, chosen, speed)
        basis |= {"batch": "best", "speed": speed}
        basis["deploy"] = "best" if chosen == "deploy" else "fixed"
    estimates = before.estimate(), after.estimate()
    objects = tuple(estimate.to_dict() for estimate in estimates)
    steep = slopes(after)
    paid = prices.payoffs(steep)
    result = {
        "schema": WHATIF,
        **{key: objects[0][key] for key in ("chip", "model", "workload", "fidelity",
                                            "power_scope")},
        "basis": basis,
        "changes": changes(base, changed),
        "feasible": all(found["feasible"] for found in objects),
        "base": objects[0],
        "changed": objects[1],
        "comparison": difference.compared(*objects),
        "waits": difference.waiting(*estimates),
        "moved": difference.moved((before, after), estimates, set_paths(base, changed)),
        "range": span(before, after, estimates),
        "payoffs": paid,
        "best_knobs": prices.best_knobs(paid),
        "shadow_prices": prices.shadow_prices(estimates[1], steep),
    }  # fmt: skip
    if curve:
        result["curve"] = optimum.curves(optimum.batch_curve(before), optimum.batch_curve(after))
    return result


def held(base: Case, changed: Case) -> tuple[Case, Case]:
    """Both with the base's split; the batch and lengths are those of each workload."""
    before = base.held()
    tp = before.choices.tp
    return before, changed if changed.choices.tp is not None else changed.deployed(tp=tp)


def chosen_again(before: Case, after: Case, chosen: str, speed: float | None):
    """Both sides at their most efficient batch or deployment, at an equal user speed."""
    if speed is None:
        here = number(before.estimate().user_tokens_per_s)
        speed = here or 0.0
    points = optimum.deployments if chosen == "deploy" else None
    found = []
    for case in (before, after):
        tried = optimum.evaluated(points(case)) if points else optimum.batch_curve(case)
        found.append(optimum.best(tried, speed) or case)
    return found[0], found[1], speed


def changes(base: Case, changed: Case) -> list[dict[str, str]]:
    """What was set between two cases: path, before, after."""
    found = []
    for prefix, name in (("", "chip"), ("model.", "model"), ("workload.", "workload")):
        old, new = getattr(base, name), getattr(changed, name)
        for path, before, after in new.changes[len(old.changes) :]:
            found.append({"path": prefix + path, "before": before, "after": after})
    return found


def set_paths(base: Case, changed: Case) -> set[str]:
    """Paths of the chip that were set between two cases."""
    return {path for path, _, _ in changed.chip.changes[len(base.chip.changes) :]}


def span(before: Case, after: Case, estimates: tuple[Estimate, Estimate]) -> dict[str, Any]:
    """The 80 % bands of both goals and of their change over paired draws of the constants."""
    fixed = sorted(set_paths(before, after))
    base, changed = (ranges.spread(case, fixed) for case in (before, after))
    is_fitted = after.fidelity == "calibrated"
    goals = {}
    for name in GOALS:
        with np.errstate(all="ignore"):
            ratio = changed.goals[name] / base.goals[name] - 1
        goals[name] = {
            "base": ranges.ends(base.bands[name]),
            "changed": ranges.ends(changed.bands[name]),
            "change_fraction": ranges.ends(ratio),
            "telling": ranges.telling(changed, changed.goals[name]),
        }
    return {
        "meaning": "a range of constants: the stated ranges of the chip's numbers, and for each "
        "side what the fit of its style leaves unexplained, which a change of both does not",
        "left_over": dict(ranges.fit_of(after.chip).left_over) if is_fitted else {},
        "draws": ranges.DRAWS,
        "quantiles": list(ranges.QUANTILES),
        "constants": len(base.quantiles),
        "feasible_fraction": {"base": float(base.feasible.mean()),
                              "changed": float(changed.feasible.mean())},
        **goals,
    }  # fmt: skip


def sensitivity(
    hardware: Any,
    model: Any,
    workload: Any = "chat-8k",
    choices: Choices | None = None,
    *,
    fidelity: str | None = None,
    power_scope: str = "system",
) -> dict[str, Any]:
    """Elasticities of both goals in every continuous number of a chip, prices and exchange rates.

    Arguments as of `whatif`.
    """
    return sensitivity_of(case_of(hardware, model, workload, choices, fidelity, power_scope))


def sensitivity_of(case: Case) -> dict[str, Any]:
    """The object of ``dse sensitivity --json``."""
    case = case.held()
    estimate = case.estimate()
    steep = slopes(case)
    rows = prices.payoffs(steep)
    at = estimate.to_dict()
    return {
        "schema": SENSITIVITY,
        **{key: at[key] for key in ("chip", "model", "workload", "fidelity", "power_scope",
                                    "feasible", "batch", "chips", "tp")},
        "point": at,
        "elasticities": rows,
        "batch_elasticities": {goal: number(steep.goals[goal][-1]) for goal in GOALS},
        "best_knobs": prices.best_knobs(rows),
        "shadow_prices": prices.shadow_prices(estimate, steep),
        "exchange_rates": exchange_rates(case, estimate, steep),
    }  # fmt: skip
