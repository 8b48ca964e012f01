"""The compile cache filled ahead: what questions and studies would otherwise compile when asked.

One traced program serves all chips and models of one structure, so of chips and models alike only
the first is asked about.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import numpy as np

from dse.estimate.evaluate import FIDELITIES
from dse.questions.case import Case, case_of
from dse.questions.doors import sensitivity_of
from dse.search import batch, polish, samplers, settings, warm
from dse.search.settings import Settings
from dse.specs.errors import SpecError

Say = Callable[[str], None]


def warm_all(studies: Iterable[str], say: Say) -> list[str]:
    """Fill the cache for some studies, and for questions about their chips and models.

    Returns:
        What was done, a line each.

    Raises:
        SpecError: a study that does not read.
    """
    read = [settings.read(name) for name in studies]
    done = []
    for case in different(case for study in read for case in cases(study)):
        line = f"{case.chip.name} on {case.model.name}, {case.fidelity}"
        say(line)
        with jax.enable_x64(True), contextlib.suppress(SpecError):
            # Estimate and slopes are all that eval, whatif, sensitivity and sweep run.
            sensitivity_of(case)
            done.append(line)
    for study in read:
        line = f"study {study.name}, {len(study.space.families)} families"
        say(line)
        compile_study(study)
        done.append(line)
    return done


def compile_study(study: Settings) -> None:
    """Compile what a run of a study does, without searching."""
    evaluators = batch.evaluators(study)
    if study.search.sampler in samplers.REFINED:
        polishers = {name: polish.Polisher(e) for name, e in evaluators.items()}
        warm.compile_all(evaluators, polishers)
        return
    for evaluator in evaluators.values():
        evaluator(evaluator.family.from_unit_cube(evaluator.family.unit_cube(
            np.array([evaluator.family.start]))))  # fmt: skip


def cases(study: Settings) -> Iterator[Case]:
    """The chips of a study, those it searches and those it compares, on its models.

    Each also with its rail written out, which is another structure where the chip leaves it unset.
    """
    chips = [*(family.loaded for family in study.space.families), *study.compare]
    for scenario in study.scenarios:
        for chip in chips:
            for fidelity in FIDELITIES:
                case = case_of(chip, scenario.model, scenario.workload, fidelity=fidelity)
                yield from (case, case.changed([("voltage", "1x")]))


def different(given: Iterable[Case]) -> list[Case]:
    """The first case of each structure and fidelity; those that cannot exist are left out."""
    found: dict[Any, Case] = {}
    for case in given:
        with contextlib.suppress(SpecError):
            found.setdefault((jax.tree.structure(case.prepared), case.fidelity), case)
    return list(found.values())
