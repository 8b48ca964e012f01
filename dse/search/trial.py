"""One trial: what a piece of hardware makes of all deployments, and what Optuna is told of it."""

from collections import Counter
from typing import NamedTuple

import numpy as np
import pandas as pd

from dse.search import archive, goals
from dse.search.archive import Row
from dse.search.batch import TOLERANCE, Evaluator, Outcome
from dse.search.settings import Settings

WORST_MARGIN = 1e6  # told where a margin is not a number


class Swept(NamedTuple):
    """One trial's own answer: its front, the point told, and how far that is from feasible."""

    front: np.ndarray  # grid points, slow to fast; empty where nothing is feasible
    logs: np.ndarray  # log10 of the goals at those points; of the point told where none is
    told: int  # a grid point
    margins: tuple[float, ...]  # of the chip's limits, then of each constraint, at that point

    @property
    def values(self) -> list[float]:
        """Log10 of the goals at the point told."""
        if not len(self.front):
            return [float(value) for value in self.logs]
        return [float(value) for value in self.logs[np.flatnonzero(self.front == self.told)[0]]]

    @property
    def serve_level(self) -> float:
        """Where on the trial's own front the point told lies, 0 slow to 1 fast."""
        if len(self.front) < 2:
            return 0.5
        low, high = self.logs[0, 0], self.logs[-1, 0]
        return float(np.clip((self.values[0] - low) / (high - low), 0.0, 1.0))


def swept(outcome: Outcome, row: int, settings: Settings, level: float = 0.0,
          target: np.ndarray | None = None) -> Swept:  # fmt: skip
    """The front of one design over its deployments, and the point it is told by.

    Args:
        outcome: of a batch of designs on the whole grid.
        row: the design.
        settings: the study.
        level: picks the point by its share of the trial's own range of the first goal.
        target: picks the best point of at least this log10 of each goal, -inf where it is free.
    """
    margins = _margins(outcome, row, settings)
    reached = goals.goals_of(settings.objectives, [column[row] for column in outcome.goals])
    usable = np.isfinite(reached).all(axis=1) & (reached > 0).all(axis=1)
    worst = np.where(usable, margins.max(axis=0), WORST_MARGIN)
    feasible = np.flatnonzero(worst <= TOLERANCE)
    if len(feasible) == 0:
        violation = np.where(usable, np.maximum(margins, 0).sum(axis=0), np.inf)
        told = int(np.argmin(violation))
        logs = np.log10(np.maximum(np.nan_to_num(reached[told]), goals.LEAST))
        return Swept(feasible, logs, told, tuple(float(m) for m in margins[:, told]))
    logs = np.log10(reached[feasible])
    kept = np.flatnonzero(archive.nondominated(logs))
    kept = kept[archive.thin(logs[kept], archive.THIN_STORED)]
    front, logs = feasible[kept], logs[kept]
    told = int(front[best_above(logs, _level_of(logs, level) if target is None else target)])
    # What float32 leaves of a limit met exactly must not read as broken.
    return Swept(front, logs, told, tuple(min(float(m), 0.0) for m in margins[:, told]))


def _level_of(logs: np.ndarray, level: float) -> np.ndarray:
    """A share of a front's range of the first goal, the others free."""
    target = np.full(logs.shape[1], -np.inf)
    low, high = logs[[0, -1], 0]
    target[0] = low + level * (high - low)
    return target


def best_above(logs: np.ndarray, target: np.ndarray) -> int:
    """The point of a front that keeps every level and is best in the free goals together.

    The free goals count by their share of the front's range. Of two goals this is the slowest
    point that keeps the level. Where none keeps all levels, it is the one least short of them.
    """
    short = np.maximum(target - 1e-12 - logs, 0.0).sum(axis=1)
    span = np.ptp(logs, axis=0)
    worth = logs[:, np.isneginf(target) & (span > 0)] / span[np.isneginf(target) & (span > 0)]
    return int(np.lexsort((-worth.sum(axis=1), short))[0])


def _margins(outcome: Outcome, row: int, settings: Settings) -> np.ndarray:
    """Margins ``[limit, point]``: the chip's worst, then the study's; not a number is infeasible.

    Limits of the chip that reach float32's infinity are cut, so that they can be told.
    """
    found = [outcome.limit_margin[row]]
    for constraint, used in zip(settings.constraints, outcome.metrics, strict=True):
        found.append(constraint.margin(used[row]))
    table = np.stack(found).astype(float)
    return np.clip(np.nan_to_num(table, nan=WORST_MARGIN), -WORST_MARGIN, WORST_MARGIN)


def constraints_of(found: Swept, settings: Settings) -> dict[str, float]:
    """Name -> margin, as Optuna keeps them."""
    names = ("limits", *settings.limit_names)
    return dict(zip(names, found.margins, strict=True))


def table(rows: list[Row], found: Swept, evaluator: Evaluator) -> pd.DataFrame:
    """The lines of ``evaluated.parquet`` of one trial."""
    points = found.front
    choices = {name: column[points] for name, column in evaluator.points.items()}
    axes = {axis.field: value for axis, value in zip(evaluator.family.axes, rows[0].values,
                                                     strict=True)}  # fmt: skip
    return pd.DataFrame(
        {
            "id": [row.id for row in rows],
            "trial": rows[0].trial,
            "family": rows[0].family,
            "point": points,
            **goals.values_of(evaluator.settings.objectives, found.logs),
            **choices,
            **axes,
        }
    )


# --- what forbids ---------------------------------------------------------------------------------


def blocker(evaluator: Evaluator, outcome: Outcome, row: int, found: Swept, settings) -> str:
    """The limit that keeps the closest deployment of a design from being feasible."""
    worst = int(np.argmax(found.margins))
    if worst > 0:
        return settings.limit_names[worst - 1]
    return evaluator.limit_names[int(outcome.limit_index[row, found.told])]


def what_forbids(blockers: Counter, settings: Settings) -> str:
    """Why nothing is feasible, the most frequent reason first."""
    total = sum(blockers.values())
    lines = [f"none of {total} random designs keeps the limits of {settings.name}"]
    for name, count in blockers.most_common(5):
        texts = {n: f"{c.stem} {c.text}" for n, c in zip(settings.limit_names, settings.constraints,
                                                         strict=True)}  # fmt: skip
        said = texts.get(name, name)
        lines.append(f"  * {said}: stops {count} of {total}")
    lines.append("  loosen the first, or widen the range of the knobs that move it")
    return "\n".join(lines)
