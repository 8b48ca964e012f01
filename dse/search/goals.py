"""What a study optimizes: metrics as goals, every goal a rate to be maximized.

A metric of which less is better counts by its reciprocal, so that of every goal more is better and
logarithms of goals are comparable: equal ratios are equal distances.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dse import metrics, units
from dse.specs.schema import nearest

OBJECTIVES = ("user_tokens_per_s", "system_tokens_per_s_per_w")  # where a study names none
REFERENCE_POINT = {"user_tokens_per_s": 10.0, "system_tokens_per_s_per_w": 1e-3}
LEAST = 1e-9  # a goal that cannot be computed


@dataclasses.dataclass(frozen=True)
class Objective:
    """A metric to optimize; its goal is the metric, or the reciprocal where less is better."""

    metric: metrics.Metric

    @property
    def name(self) -> str:
        """The metric's name: a key of results."""
        return self.metric.name

    @property
    def is_less_better(self) -> bool:
        """Whether the goal is the metric's reciprocal."""
        return self.metric.better == "min"

    @property
    def log_name(self) -> str:
        """What Optuna calls its logarithm, which is always maximized."""
        return f"{'minus_' if self.is_less_better else ''}log10_{self.name}"

    def goal(self, value):
        """The goal of a metric's value; also the value of a goal."""
        return 1.0 / value if self.is_less_better else value

    def log(self, value, logarithm=np.log):
        """The logarithm of the goal, in the precision of the value."""
        found = logarithm(value)
        return -found if self.is_less_better else found


TWO_GOALS = tuple(Objective(metrics.METRICS[name]) for name in OBJECTIVES)


def goals_of(objectives: Sequence[Objective], columns: Sequence[Any]) -> np.ndarray:
    """Goals ``[..., goal]`` of columns of the metrics, in float64; zero where one is undefined."""
    with np.errstate(all="ignore"):
        found = [o.goal(np.asarray(c).astype(float)) for o, c in zip(objectives, columns,
                                                                     strict=True)]  # fmt: skip
    return np.stack(found, axis=-1)


def values_of(objectives: Sequence[Objective], logs: np.ndarray) -> dict[str, np.ndarray]:
    """Metric name -> values of points in log10 of the goals, ``[point, goal]``."""
    return {o.name: o.goal(10**column) for o, column in zip(objectives, logs.T, strict=True)}


def logs_of(objectives: Sequence[Objective], table: Any) -> np.ndarray:
    """Log10 of the goals ``[row, goal]`` of a table with a column for each metric."""
    columns = [o.goal(table[o.name].to_numpy()) for o in objectives]
    return np.log10(np.stack(columns, axis=1))


def points_of(objectives: Sequence[Objective], designs: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Goals ``[design, goal]`` of objects with a key for each metric."""
    goals = [[o.goal(float(design[o.name])) for o in objectives] for design in designs]
    return np.array(goals).reshape(-1, len(objectives))


# --- reading --------------------------------------------------------------------------------------


def read(names: Sequence[str], problems: list[str]) -> tuple[Objective, ...]:
    """The objectives of a study, at least two."""
    found = []
    for name in names:
        metric = metrics.by_stem(name)
        if metric is None:
            known = [m.name for m in metrics.METRICS.values() if m.better]
            problems.append(f"objectives: {name!r} is no metric{nearest(name, known)}")
        elif not metric.better:
            problems.append(f"objectives: {name!r} has no better direction; constrain it instead")
        else:
            found.append(Objective(metric))
    if len(set(names)) < len(names):
        problems.append("objectives: each may be named once")
    if len(names) < 2:
        problems.append("objectives: a front needs at least two")
    return tuple(found)


def reference(
    raw: Mapping[str, Any], objectives: Sequence[Objective], problems: list[str]
) -> tuple[float, ...]:
    """The goals that hypervolume is measured from; stated as metrics, plain or with a unit."""
    names = [objective.name for objective in objectives]
    for key in raw:
        if key not in names:
            problems.append(f"reference_point.{key}: unknown{nearest(key, names)}")
    return tuple(_reference_of(objective, raw, problems) for objective in objectives)


def _reference_of(objective: Objective, raw: Mapping[str, Any], problems: list[str]) -> float:
    where = f"reference_point.{objective.name}"
    value = raw.get(objective.name, REFERENCE_POINT.get(objective.name))
    if value is None:
        worst = "largest" if objective.is_less_better else "smallest"
        problems.append(f"{where}: missing; state the {worst} value still worth having")
        return 1.0
    if isinstance(value, str):
        try:
            value = units.parse(value, objective.metric.quantity)
        except units.UnitError as error:
            problems.append(f"{where}: {error}")
            return 1.0
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0 < value < math.inf:
        problems.append(f"{where}: {value!r} must be a number above zero")
        return 1.0
    return objective.goal(float(value))
