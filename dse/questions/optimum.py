"""Batch and splits chosen again: the most efficient deployment at a user speed, and whole curves.

Batches are 1, 2, 3, 4, 6, 8, 12, ...; each point is deployed as ``dse eval`` would deploy it and
all of them run as columns.
"""

import contextlib
import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import numpy as np

from dse.estimate.output import number
from dse.estimate.prepare import at_batches
from dse.estimate.step import Design, Estimate
from dse.questions.case import GOALS, Case, broken, column, feasible, stacked
from dse.specs import network
from dse.specs.errors import SpecError

LARGEST_BATCH = 4096
LEVELS = 5  # user speeds and efficiencies at which two curves are compared
SPLITS = ("tp", "dp", "ep")


@dataclasses.dataclass(frozen=True)
class Points:
    """Cases evaluated together: both goals, feasibility and the limits that break it, [point]."""

    cases: list[Case]
    goals: dict[str, np.ndarray]
    feasible: np.ndarray
    broken: list[list[str]]
    estimate: Any = None  # of all of them; None where there are none

    @property
    def user(self) -> np.ndarray:
        """User tokens/s, [point]."""
        return self.goals["user_tokens_per_s"]

    @property
    def efficient(self) -> np.ndarray:
        """System tokens/s/W, [point]."""
        return self.goals["system_tokens_per_s_per_w"]

    def of(self, case: Case) -> Estimate:
        """The estimate of a case among them by its batch: to the last bit what it gives alone."""
        batch, count = float(case.prepared[0].deployment.batch), len(self.cases)
        index = [float(point.choices.batch or 0.0) for point in self.cases].index(batch)
        alone = jax.tree.map(lambda leaf: column(leaf, count)[index], self.estimate)
        return case.labelled(alone)


def evaluated(cases: Iterable[Case]) -> Points:
    """Cases of one chip and model run as columns; splits that cannot exist are left out."""
    possible = []
    for case in cases:
        with contextlib.suppress(SpecError):
            _ = case.prepared
            possible.append(case)
    if not possible:
        return Points([], {name: np.zeros(0) for name in GOALS}, np.zeros(0, bool), [])
    return _points(possible, possible[0].run(*stacked(possible)))


def _points(cases: list[Case], estimate: Estimate) -> Points:
    count = len(cases)
    goals = {name: column(getattr(estimate, name), count) for name in GOALS}
    return Points(cases, goals, feasible(estimate, count), broken(estimate, count), estimate)


def batches(case: Case) -> list[float]:
    """Batches that divide over data-parallel ranks, and the one asked about."""
    here = float(case.prepared[0].deployment.batch)
    unit = float(case.choices.dp)
    steps = [step * 2.0**i for i in range(13) for step in (1.0, 1.5)]
    whole = {unit * s for s in steps if s == int(s) and unit * s <= LARGEST_BATCH}
    return sorted(whole | {here})


def batch_curve(case: Case) -> Points:
    """A case over all batches, its splits held; where weights live does not depend on the batch."""
    held = case.held()
    tried = batches(held)
    (chip, deployment), scenario = held.prepared
    columns, possible = at_batches(held.model.spec, held.workload.spec, held.choices, deployment,
                                   tried)  # fmt: skip
    cases = [held.deployed(batch=tried[i]) for i in np.flatnonzero(possible)]
    return _points(cases, held.run(Design(chip, columns), scenario))


def deployments(case: Case) -> list[Case]:
    """Tensor, data and expert splits inside a domain, at every batch; pipelines stay."""
    up = case.chip.spec.link.get("scale_up")
    held = case.held()
    stage = held.prepared[0].deployment.stage_chips
    room = max(1.0 if up is None else float(up.chips), float(stage)) / case.choices.kvp
    is_moe = any(isinstance(group.feedforward, network.MixtureOfExperts)
                 for group in case.model.spec.groups)  # fmt: skip
    sizes = [float(2**i) for i in range(8)]
    found = [held.deployed(batch=batch) for batch in batches(held)]
    for tp in sizes:
        for dp in sizes if is_moe else [float(case.choices.dp)]:
            if tp * dp > room:
                continue
            experts = sorted({1.0, tp * dp * case.choices.kvp}) if is_moe else [case.choices.ep]
            for ep in experts:
                split = case.deployed(tp=tp, dp=dp, ep=ep)
                found += [split.deployed(batch=b) for b in batches_of_powers(dp)]
    return found


def batches_of_powers(dp: float) -> list[float]:
    """Powers of two per data-parallel rank."""
    return [dp * 2.0**i for i in range(13) if dp * 2.0**i <= LARGEST_BATCH]


def best(points: Points, speed: float) -> Case | None:
    """The most efficient feasible case at a user speed or faster; else the fastest; else None."""
    good = np.flatnonzero(points.feasible)
    if not len(good):
        return None
    fast = good[points.user[good] >= speed * (1 - 1e-9)]
    if len(fast):
        return points.cases[int(fast[np.argmax(points.efficient[fast])])]
    return points.cases[int(good[np.argmax(points.user[good])])]


# --- two curves ---------------------------------------------------------------------------------


def curves(base: Points, changed: Points) -> dict[str, Any]:
    """Two batch curves, compared at equal user speed and at equal efficiency."""
    fronts = [_front(points) for points in (base, changed)]
    return {
        "base": rows(base),
        "changed": rows(changed),
        "at_equal_user_speed": _at(fronts, 0),
        "at_equal_efficiency": _at(fronts, 1),
    }


def rows(points: Points) -> list[dict[str, Any]]:
    """A batch curve as plain data: batch, both goals, which limits a point breaks."""
    return [
        {"batch": case.choices.batch, **{name: number(goal[i]) for name, goal in
                                         points.goals.items()},
         "feasible": bool(points.feasible[i]), "breaks": points.broken[i]}
        for i, case in enumerate(points.cases)
    ]  # fmt: skip


def _front(points: Points) -> np.ndarray:
    """Feasible points that no other beats in both goals, slow to fast, [point, goal]."""
    good = points.feasible
    both = np.stack([points.user[good], points.efficient[good]], axis=1)
    order = both[np.argsort(-both[:, 0])]
    kept = [row for i, row in enumerate(order) if i == 0 or row[1] > order[:i, 1].max()]
    return np.array(kept[::-1]).reshape(-1, 2)


def _at(fronts: Sequence[np.ndarray], goal: int) -> list[dict[str, Any]]:
    """The other goal of both fronts at levels of one that both reach; log-log in between."""
    names = list(GOALS)
    if any(len(front) < 2 for front in fronts):
        return []
    low = max(float(front[:, goal].min()) for front in fronts)
    high = min(float(front[:, goal].max()) for front in fronts)
    if low >= high:
        return []
    found = []
    for level in np.geomspace(low, high, LEVELS):
        base, changed = (float(_between(front, goal, level)) for front in fronts)
        found.append({names[goal]: float(level), "base": base, "changed": changed,
                      "change_fraction": number(changed / base - 1)})  # fmt: skip
    return found


def _between(front: np.ndarray, goal: int, level: float) -> float:
    order = np.argsort(front[:, goal])
    x, y = np.log(front[order, goal]), np.log(front[order, 1 - goal])
    return float(np.exp(np.interp(np.log(level), x, y)))
