"""The evaluator of a study of several scenarios: one evaluator for each, combined."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from dse.estimate.step import Estimate
from dse.search.batch import Evaluator, Outcome, Some
from dse.search.settings import Settings


class _Common(NamedTuple):
    """What all points of the grids share, for each scenario."""

    common: tuple[Any, ...]


class Together(Evaluator):
    """All deployments of a study on designs of one family, each under every scenario.

    The grids hold the same choices point by point; what is asked for is what one evaluator answers.
    """

    def __init__(self, parts: Mapping[str, Evaluator], settings: Settings):
        self.parts = tuple(parts.values())
        self.family = self.parts[0].family
        self.settings = settings
        self.grid = self.parts[0].grid
        self.given = tuple(part.given for part in self.parts)
        self.cut: Any = _Common(tuple(part.cut.common for part in self.parts))
        self._names = tuple(parts)

    @property
    def limit_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """Each limit and whose it is, in the order of the scenarios."""
        return tuple(f"{limit} ({name})" for name, part in zip(self._names, self.parts, strict=True)
                     for limit in part.limit_names)  # fmt: skip

    def __call__(self, designs: np.ndarray, some: Any = None) -> Outcome:
        """Evaluate designs on the whole grid or some of its points, under every scenario."""
        wanted = [None] * len(self.parts) if some is None else some.tiles
        found = [part(designs, of) for part, of in zip(self.parts, wanted, strict=True)]
        return self._combined(found)

    def _combined(self, found: list[Outcome]) -> Outcome:
        settings, combination = self.settings, self.settings.combination
        goals = [combination.goal(objective, [outcome.goals[i] for outcome in found])
                 for i, objective in enumerate(settings.objectives)]  # fmt: skip
        metrics = [combination.used(limit.sense, [outcome.metrics[i] for outcome in found])
                   for i, limit in enumerate(settings.constraints)]  # fmt: skip
        margins = np.stack([outcome.limit_margin for outcome in found])
        # One that cannot be computed is the worst.
        worst = np.where(np.isnan(margins), np.inf, margins).argmax(axis=0)[None]
        before = np.cumsum([0, *(len(part.limit_names) for part in self.parts[:-1])])
        index = np.stack([o.limit_index + b for o, b in zip(found, before, strict=True)])
        return Outcome(
            tuple(np.asarray(goal) for goal in goals),
            np.take_along_axis(margins, worst, axis=0)[0],
            np.take_along_axis(index, worst, axis=0)[0],
            tuple(np.asarray(used) for used in metrics),
        )

    def some(self, points: np.ndarray) -> Some:
        """A part of the grids, cut once for many sweeps."""
        return Some(points, [part.some(points) for part in self.parts])  # type: ignore[arg-type]

    def deployments(self, points: np.ndarray) -> tuple[Any, ...]:
        """What varies over each grid, at some of its points."""
        return tuple(part.deployments(points) for part in self.parts)

    def estimates(self, values, varying, common, given, exponent=None) -> list[Estimate]:
        """An estimate under each scenario."""
        found = []
        for part, *row in zip(self.parts, varying, common, given, strict=True):
            columns, shared, scenario = row
            found += part.estimates(values, columns, shared, scenario, exponent)
        return found

    def placed_on(self, hardware, varying, common):
        """The deployment under the first scenario."""
        return self.parts[0].placed_on(hardware, varying[0], common[0])
