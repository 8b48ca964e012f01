"""What the page shows for a question: the objects of ``dse whatif``, and curves beside them.

`quick` follows a slider; `thorough` is all of ``dse whatif --json`` and may come a moment later.
What does not change while a slider moves (the base, its curve, other chips) is kept.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, Protocol

from dse.estimate.step import Estimate
from dse.questions import difference, doors, optimum
from dse.questions.case import GOALS, Case
from dse.report.charts import theme
from dse.specs import load
from dse.specs.errors import SpecError

REFERENCES = ("h100_sxm", "b200_sxm")
USER, EFFICIENT = GOALS
KEPT = 64  # questions whose base is kept
# What a comparison with other chips does not share: their own splits and memories.
APART = ("chip", "set", "batch", "micro_batches", "tp", "ep", "pp", "dp", "kvp", "weights_in",
         "kv_in", "math", "collective")  # fmt: skip
FREE: dict[str, Any] = {"tp": None, "ep": 1, "pp": 1, "dp": 1, "kvp": 1, "micro_batches": None,
                        "weights_in": None, "kv_in": None, "math": None, "batch": None,
                        "collective": "auto"}  # fmt: skip


class Door(Protocol):
    """What the command line lends the page: it reads words, and knows what helps."""

    def read(self, words: Mapping[str, Any]) -> Case:
        """The case that words ask about; raises `SpecError` with every problem."""
        ...

    def command(self, words: Mapping[str, Any]) -> str:
        """The command that asks the same."""
        ...

    def helping(self, words: Mapping[str, Any], result: Mapping[str, Any]) -> list[str]:
        """The nearest changes that make an infeasible question feasible."""
        ...


@dataclasses.dataclass(frozen=True)
class Side:
    """One side of a comparison: its case, estimate, object of ``dse eval`` and batch curve."""

    case: Case
    estimate: Estimate
    result: dict[str, Any]
    curve: list[dict[str, Any]]

    @functools.cached_property
    def following(self) -> dict[str, tuple[float | None, str, str | None]]:
        """What follows from the numbers of the chip by a law."""
        return difference.following(self.case, self.estimate)


@dataclasses.dataclass(frozen=True)
class Quick:
    """What follows a slider: both sides and what differs."""

    before: Side
    after: Side
    comparison: dict[str, Any]
    changes: list[dict[str, str]]

    @property
    def feasible(self) -> bool:
        """Whether the changed point holds every limit."""
        return self.after.result["feasible"]


def side(case: Case) -> Side:
    """One side, evaluated."""
    points = optimum.batch_curve(case)
    estimate = points.of(case)
    return Side(case, estimate, estimate.to_dict(), optimum.rows(points))


class Answers:
    """The answers of one page server, with what is worth keeping between questions."""

    def __init__(self, door: Door):
        self.door = door
        self._base = functools.lru_cache(maxsize=KEPT)(self._side_of)
        self._others = functools.lru_cache(maxsize=KEPT)(self._fronts_of)
        self._known: dict[tuple, list[dict[str, Any]]] = {}
        self._pinned = functools.lru_cache(maxsize=KEPT)(self._curve_of)

    def quick(self, words: Mapping[str, Any]) -> Quick:
        """Both operating points and their curves.

        Raises:
            SpecError: words that cannot be read, a deployment that cannot exist.
        """
        base = self._base(_key(_unchanged(words)))
        if "set" not in words:
            return Quick(base, base, difference.compared(base.result, base.result), [])
        changed = self.door.read(words)
        after = side(doors.held(base.case, changed)[1])
        compared = difference.compared(base.result, after.result)
        return Quick(base, after, compared, doors.changes(base.case, changed))

    def thorough(self, words: Mapping[str, Any]) -> dict[str, Any]:
        """The object of ``dse whatif --json``, with what helps where it is infeasible."""
        base, changed = self.door.read(_unchanged(words)), self.door.read(words)
        result = doors.compared(base, changed)
        held = result["changed"]["feasible"]
        result["feasible"] = held
        result["remedies"] = [] if held else self.door.helping(words, result["changed"])
        return result

    def pinned(self, words: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The curve of a question, for one that stays on the chart."""
        return self._pinned(_key(words))

    def others(self, words: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Real chips at their best split of one scale-up domain: lines of the chart."""
        alike = {k: v for k, v in words.items() if k not in APART}
        key = (_key(alike), words.get("chip"))
        self._known[key] = self._others(*key)
        while len(self._known) > KEPT:
            self._known.pop(next(iter(self._known)))
        return self._known[key]

    def known_others(self, words: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The same where it was asked before; a slider does not wait for it."""
        alike = {k: v for k, v in words.items() if k not in APART}
        return self._known.get((_key(alike), words.get("chip")), [])

    def _side_of(self, key: tuple) -> Side:
        return side(self.door.read(_words(key)).held())

    def _curve_of(self, key: tuple) -> list[dict[str, Any]]:
        words = _words(key)
        base, changed = self.door.read(_unchanged(words)), self.door.read(words)
        return optimum.rows(optimum.batch_curve(doors.held(base, changed)[1]))

    def _fronts_of(self, key: tuple, chip: str) -> list[dict[str, Any]]:
        base = self.door.read(_words(key) | {"chip": chip})
        found = []
        for name in REFERENCES:
            if name == base.chip.name:
                continue
            other = dataclasses.replace(base, chip=load.load("chips", name)).deployed(**FREE)
            with contextlib.suppress(SpecError):  # it lacks a number format
                points = best_splits(other)
                found.append(
                    {
                        "name": theme.short(other.chip.title),
                        "role": "reference",
                        "points": points,
                        "at": None,
                    }
                )
        return found


def best_splits(case: Case) -> list[dict[str, Any]]:
    """The deployments of a chip that no other beats in both goals, fastest first."""
    rows = [row for row in optimum.rows(optimum.evaluated(optimum.deployments(case)))
            if row["feasible"]]  # fmt: skip
    rows.sort(key=lambda row: -row[USER])
    kept, most = [], 0.0
    for row in rows:
        if row[EFFICIENT] > most:
            kept.append(row)
            most = row[EFFICIENT]
    return kept


def _unchanged(words: Mapping[str, Any]) -> dict[str, Any]:
    """The question without its changes."""
    return {name: value for name, value in words.items() if name != "set"}


def _key(words: Mapping[str, Any]) -> tuple:
    """Words as something that can be looked up."""
    return tuple((k, tuple(v) if isinstance(v, list) else v) for k, v in sorted(words.items()))


def _words(key: tuple) -> dict[str, Any]:
    return {k: list(v) if isinstance(v, tuple) else v for k, v in key}
