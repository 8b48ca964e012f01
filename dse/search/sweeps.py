"""Designs of a family on many deployments at once, as goals and penalties."""

from typing import Any, NamedTuple

import numpy as np

from dse.search.aims import Aim
from dse.search.batch import TOLERANCE, Evaluator, Outcome, Some
from dse.search.polish import PENALTY


class Sweep(NamedTuple):
    """Designs of one family on some deployments."""

    shares: np.ndarray  # [design, axis]
    goals: np.ndarray  # natural logarithms, [goal, design, point]
    broken: np.ndarray  # penalty of limits, [design, point]; huge where undefined

    @classmethod
    def nothing(cls, evaluator: Evaluator) -> "Sweep":
        """No designs yet, on the whole grid."""
        points, goals = len(evaluator.grid), len(evaluator.settings.objectives)
        return cls(np.empty((0, len(evaluator.family.axes))),
                   np.empty((goals, 0, points), np.float32),
                   np.empty((0, points), np.float32))  # fmt: skip

    def merits(self, aim: Aim) -> np.ndarray:
        """What an aim is worth, ``[design, point]``."""
        found = self.broken * np.float32(-PENALTY)
        for goal, weight, level in zip(self.goals, aim.weights, aim.levels, strict=True):
            found += goal * np.float32(weight)
            if np.isfinite(level):
                short = np.maximum(np.float32(level) - goal, 0)
                short *= np.float32(PENALTY)
                found -= short
        return found

    def joined(self, other: "Sweep") -> "Sweep":
        """The designs of both."""
        return Sweep(
            np.concatenate([self.shares, other.shares]),
            np.concatenate([self.goals, other.goals], axis=1),
            np.concatenate([self.broken, other.broken]),
        )

    def of(self, designs: Any = slice(None), points: Any = slice(None)) -> "Sweep":
        """Some designs, some points."""
        return Sweep(self.shares[designs], self.goals[:, designs][:, :, points],
                     self.broken[designs][:, points])  # fmt: skip


def sweep(evaluator: Evaluator, shares: np.ndarray, some: Some | None = None) -> Sweep:
    """Every deployment, or some, on some designs."""
    return sweep_of(evaluator, shares, evaluator(evaluator.family.from_unit_cube(shares), some))


def sweep_of(evaluator: Evaluator, shares: np.ndarray, outcome: Outcome) -> Sweep:
    """What was evaluated, as goals and penalties."""
    worst = outcome.limit_margin
    for constraint, used in zip(evaluator.settings.constraints, outcome.metrics, strict=True):
        worst = np.maximum(worst, constraint.margin(used))
    with np.errstate(all="ignore"):
        pairs = zip(evaluator.settings.objectives, outcome.goals, strict=True)
        goals = np.stack([objective.log(column) for objective, column in pairs])
    defined = np.isfinite(goals).all(axis=0) & np.isfinite(worst)
    goals = np.where(defined, goals, np.float32(-1e3))
    broken = np.where(worst <= TOLERANCE, 0.0, np.log1p(np.maximum(worst, 0.0)))
    return Sweep(shares, goals, np.where(defined, broken, 1e6).astype(np.float32))
