"""A case: one chip, model, workload and deployment, evaluated alone or at many points at once."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from dse.estimate.evaluate import (
    FIDELITIES,
    POWER_SCOPES,
    check_word,
    default_fidelity,
    interpreted,
    labelled,
    prepared,
)
from dse.estimate.output import TOLERANCE
from dse.estimate.prepare import Choices
from dse.estimate.step import Design, Estimate, Scenario
from dse.specs import load
from dse.specs.errors import SpecError

# Both goals: metric -> how people call it.
GOALS = {
    "user_tokens_per_s": "User tokens/s",
    "system_tokens_per_s_per_w": "System tokens/s/W",
}


@dataclasses.dataclass(frozen=True)
class Case:
    """What is asked about, everything loaded; `fidelity` and `power_scope` as words."""

    chip: load.Loaded
    model: load.Loaded
    workload: load.Loaded
    choices: Choices
    fidelity: str
    power_scope: str = "system"

    def estimate(self) -> Estimate:
        """The estimate, as ``dse eval`` makes it."""
        return self.labelled(self.run(*self.prepared))

    def labelled(self, estimate: Estimate) -> Estimate:
        """An estimate of this case that says so."""
        deployment = self.prepared[0].deployment
        return labelled(estimate, self._given, deployment, self.fidelity, self.power_scope)

    @property
    def _given(self) -> tuple:
        return self.chip, self.model, self.workload, self.choices

    @functools.cached_property
    def prepared(self) -> tuple[Design, Scenario]:
        """Design and scenario, every default of the deployment filled in."""
        try:
            with jax.enable_x64(True):
                return prepared(*self._given)
        except SpecError as error:
            if error.where.partition(".")[0] in ("memory", "link"):  # laws know no file
                raise SpecError(str(self.chip.files[0]), error.problems) from None
            raise

    def run(self, design: Design, scenario: Scenario) -> Estimate:
        """Other numbers of the same kind; leaves of shape [] or [point]."""
        return interpreted(design, scenario, self.fidelity, self.power_scope)

    def deployed(self, **fields: Any) -> "Case":
        """The same with other choices of deployment."""
        return dataclasses.replace(self, choices=dataclasses.replace(self.choices, **fields))

    def held(self) -> "Case":
        """The same with the default split written out, so that a change cannot move it."""
        if self.choices.tp is not None:
            return self
        return self.deployed(tp=self.prepared[0].deployment.tp)

    def changed(self, settings: Sequence[tuple[str, str]]) -> "Case":
        """The same with more ``--set`` pairs: of the chip, ``model.`` or ``workload.``."""
        sorted_out = by_spec(settings)
        specs = {name: again(getattr(self, name), pairs)
                 for name, pairs in sorted_out.items() if pairs}  # fmt: skip
        return dataclasses.replace(self, **specs)


def case_of(
    chip: Any, model: Any, workload: Any, choices: Choices | None = None,
    fidelity: str | None = None, power_scope: str = "system",
) -> Case:  # fmt: skip
    """A case from names or loaded specs; no fidelity: as the chip's style allows."""
    kinds = (("chips", chip), ("models", model), ("workloads", workload))
    loaded = [given if isinstance(given, load.Loaded) else load.load(kind, given)
              for kind, given in kinds]  # fmt: skip
    check_word("fidelity", fidelity, (None, *FIDELITIES))
    check_word("power_scope", power_scope, POWER_SCOPES)
    fidelity = fidelity or default_fidelity(loaded[0])
    return Case(loaded[0], loaded[1], loaded[2], choices or Choices(), fidelity, power_scope)


def by_spec(settings: Sequence[tuple[str, str]]) -> dict[str, list[tuple[str, str]]]:
    """``--set`` pairs by the spec they change; the chip's have no prefix."""
    found: dict[str, list[tuple[str, str]]] = {"chip": [], "model": [], "workload": []}
    for path, value in settings:
        head, _, tail = path.partition(".")
        if head in ("model", "workload") and tail:
            found[head].append((tail, value))
        else:
            found["chip"].append((path, value))
    return found


def again(loaded: load.Loaded, settings: Sequence[tuple[str, str]]) -> load.Loaded:
    """A spec loaded again with more changes on top of those it has."""
    before = [(path, after) for path, _, after in loaded.changes]
    return load.load(loaded.kind, str(loaded.files[0]), [*before, *settings])


def stacked(cases: Sequence[Case]) -> tuple[Design, Scenario]:
    """Design and scenario of cases of one structure as columns, [point]."""
    made = [case.prepared for case in cases]
    return jax.tree.map(lambda *leaves: np.array(leaves, float), *made)


def column(leaf: Any, count: int) -> np.ndarray:
    """A leaf as a column, [point]; a scalar is repeated."""
    return np.broadcast_to(np.asarray(leaf, float), (count,))


def feasible(estimate: Estimate, count: int) -> np.ndarray:
    """Which points hold every limit and can be computed, [point]."""
    good = np.ones(count, bool)
    for limit in estimate.limits.values():
        used, allowed = column(limit.used, count), column(limit.allowed, count)
        good &= used <= allowed * (1 + TOLERANCE)
    for name in GOALS:
        goal = column(getattr(estimate, name), count)
        good &= np.isfinite(goal) & (goal > 0)
    return good


def broken(estimate: Estimate, count: int) -> list[list[str]]:
    """The limits that each point breaks, [point]."""
    found: list[list[str]] = [[] for _ in range(count)]
    for name, limit in estimate.limits.items():
        used, allowed = column(limit.used, count), column(limit.allowed, count)
        for index in np.flatnonzero(~(used <= allowed * (1 + TOLERANCE))):
            found[index].append(name)
    return found
