"""What a run saves at one user speed, for how many users, in what silicon, and at which load.

Each arm (the run, its conventional family, every chip it is compared with) is taken at its design
of least energy that serves the speed, and at the smallest replica that does. Load is the share of
the users in flight that are there: the hardware and splits stay, the batch shrinks, and static
power is shared by fewer tokens.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from dse.questions.case import Case
from dse.search import batch, gains
from dse.search.goals import OBJECTIVES
from dse.search.runs import Run, model_changes
from dse.search.settings import Settings
from dse.specs.errors import SpecError

SCHEMA = "dse.savings/1"
LOADS = (1.0, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02)
X, Y = OBJECTIVES
STATED = ("user_tokens_per_s", "system_tokens_per_s", "j_per_token", "users_in_flight", "load",
          "chips", "silicon_mm2", "mm2_per_token_per_s", "power_w", "usd_per_million_tokens",
          "bottleneck", "feasible")  # fmt: skip


def savings(run: Run, speed: float) -> dict[str, Any]:
    """The object of ``dse gains RUN --speed N --json``.

    Raises:
        SpecError: a run of several scenarios, of changed specs, or without designs.
    """
    settings = run.settings()
    changes = model_changes(run, settings)
    if changes:
        raise SpecError(run.name, [*changes, "its designs cannot be evaluated again; start a "
                                             "fresh run: dse run STUDY"])  # fmt: skip
    if len(settings.scenarios) > 1:
        raise SpecError(run.name, ["savings are of one model and workload; this study combines "
                                   f"{len(settings.scenarios)}"])  # fmt: skip
    front = run.front()
    if not front["designs"]:
        raise SpecError(run.name, ["no design on its front"])
    arms = [_arm("this run", "", front["designs"], settings, speed)]
    arms += [_arm(base["title"], base["name"], base["points"], settings, speed)
             for base in _baselines(run, front, settings)]  # fmt: skip
    ours = arms[0]["leanest"]
    for arm in arms:
        theirs = arm["leanest"]
        arm["energy_ratio"] = None
        if ours is not None and theirs is not None:
            arm["energy_ratio"] = theirs["j_per_token"] / ours["j_per_token"]
    return {
        "schema": SCHEMA,
        "run": run.name,
        "study": settings.name,
        **{key: front[key] for key in ("model_title", "workload_title", "fidelity", "power_scope",
                                       "constraints", "seed", "trials")},
        "user_tokens_per_s": speed,
        "loads": list(LOADS),
        "arms": arms,
    }  # fmt: skip


def _baselines(run: Run, front: Mapping[str, Any], settings: Settings) -> list[dict[str, Any]]:
    """Every chip compared, and the conventional arm where the study has one."""
    found = gains.compared(front)
    if settings.conventional is None:
        return found
    evaluators = {name: evaluator for name, evaluator in batch.evaluators(settings).items()
                  if name in settings.conventional_families}  # fmt: skip
    alone = gains.families_alone(run, settings, evaluators)
    return [*found, *gains.conventional(settings, alone)]


def _arm(title: str, name: str, points: Sequence[Mapping[str, Any]], settings: Settings,
         speed: float) -> dict[str, Any]:  # fmt: skip
    """One arm at a speed: its leanest point with loads, and its smallest replica."""
    served = [point for point in points if point[X] >= speed]
    found: dict[str, Any] = {"title": title, "name": name, "leanest": None, "smallest": None,
                             "fastest": max((p[X] for p in points), default=None)}  # fmt: skip
    if not served:
        return found
    lean = max(served, key=lambda point: point[Y])
    small = min(served, key=lambda point: (point["chips"], -point[Y]))
    found["leanest"] = _point(gains.case_of(lean, name, settings), lean)
    case = gains.case_of(lean, name, settings)
    found["leanest"]["at_load"] = [at_load(case, share) for share in LOADS]
    found["smallest"] = _point(gains.case_of(small, name, settings), small)
    return found


def _point(case: Case, point: Mapping[str, Any]) -> dict[str, Any]:
    with jax.enable_x64(True):
        result = case.estimate().to_dict()
    return {"id": point.get("id"), **{key: result[key] for key in STATED},
            "tp": result["tp"], "pp": result["pp"]}  # fmt: skip


def at_load(case: Case, share: float) -> dict[str, Any]:
    """A deployment with a share of its users: whole ones, on every data-parallel rank.

    Users of a pipeline are spread over fewer micro-batches first, so that each is as full as it
    was; what is left is the nearest whole number of users from above.
    """
    ranks = float(case.choices.dp)
    full = float(case.prepared[0].deployment.batch)
    micro = float(case.prepared[0].deployment.micro_batches)
    each = full / ranks / micro
    kept = max(1.0, math.ceil(micro * share - 1e-9))
    inside = max(1.0, math.ceil(full * share / ranks / kept - 1e-9))
    users = ranks * kept * min(inside, each)
    there = dataclasses.replace(case, choices=dataclasses.replace(
        case.choices, batch=users, micro_batches=kept))  # fmt: skip
    with jax.enable_x64(True):
        result = there.estimate().to_dict()
    return {
        "share": share,
        "users": users,
        "j_per_token": result["j_per_token"],
        "user_tokens_per_s": result["user_tokens_per_s"],
        "power_w": result["power_w"],
    }
