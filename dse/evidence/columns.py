"""Many operating points at once: points of one structure are columns of one estimate.

The model is elementwise, so its leaves may be columns; nothing is compiled beyond elementary
operations, which all columns share by being of one width.
"""

import dataclasses
import functools
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from dse.estimate.prepare import deploy, unplaced
from dse.estimate.step import Design, Scenario, estimate_step
from dse.evidence.points import Point, refused
from dse.evidence.styles import hardware_of
from dse.specs import load
from dse.specs.schema import SpecError
from dse.specs.workload import Request, Workload
from dse.work.split import Context

WIDTH = 256  # columns of one call, filled up by repeating the last
HEAD_BYTES = 2.0  # quantized checkpoints keep the output head in 16 bits


class Case(NamedTuple):
    """A point as `estimate_step` takes it, plain numbers."""

    design: Design
    scenario: Scenario


@functools.cache
def _model(name: str) -> Any:
    return load.load("models", name).spec


def workload_of(point: Point) -> Workload:
    """The lengths of a point: one kind of request, nothing kept free."""
    lengths = {"input_tokens": point.input_tokens, "output_tokens": point.output_tokens}
    batch = float(point.choices.batch or 1.0)
    return Workload(requests=[Request(share=1.0, **lengths)], batch=batch, reserve_fraction=0.0)


def case_of(point: Point, prefill: str = "ignored") -> Case:
    """The design and scenario of a point.

    Raises:
        LeftOutError: the split cannot exist on this chip and model.
    """
    hardware = hardware_of(point.chip, point.framework, point.limit_w)
    model = _model(point.model)
    workload = workload_of(point)
    choices = dataclasses.replace(point.choices, prefill=prefill)
    try:
        deployment, context = _deployed(hardware, model, workload, choices)
    except SpecError as error:
        raise refused(error) from None
    formats = dataclasses.replace(
        deployment.formats, head_bytes=max(deployment.formats.head_bytes, HEAD_BYTES)
    )
    deployment = dataclasses.replace(deployment, formats=formats)
    return Case(Design(hardware, deployment), Scenario(model, context, 0.0))


def _deployed(hardware, model, workload: Workload, choices):
    if len(hardware.memory) > 1:
        return deploy(hardware, model, workload, choices)
    deployment, problems = unplaced(hardware, model, workload, choices)
    if deployment is None:
        raise SpecError("deployment", problems)
    here = dict.fromkeys(hardware.memory, 1.0)
    outputs = workload.requests[0].output_tokens
    inputs = workload.requests[0].input_tokens
    tokens = float(choices.context)
    context = Context((tokens,), (1.0,), tokens + outputs / 2, inputs, outputs)
    return dataclasses.replace(deployment, weights_in=here, kv_in=here), context


def estimated(cases: Sequence[Case], pick: Iterable[str], fidelity: str) -> dict[str, np.ndarray]:
    """The picked fields of the estimates, ``[case]`` each, board power scope, float64."""
    names = list(pick)
    found = {name: np.full(len(cases), np.nan) for name in names}
    for some in chunks(cases):
        with jax.enable_x64(True), np.errstate(all="ignore"):
            design, scenario = stacked([cases[i] for i in some])
            estimate = estimate_step(design, scenario, fidelity, "accelerator")
            for name in names:
                found[name][some] = column(getattr(estimate, name), len(some))
    return found


def chunks(cases: Sequence[Case]) -> list[list[int]]:
    """Indices of cases of one structure, as many at once as a call is wide."""
    return [
        indices[start : start + WIDTH]
        for indices in grouped(cases)
        for start in range(0, len(indices), WIDTH)
    ]


def grouped(cases: Sequence[Case]) -> list[list[int]]:
    """Indices of the cases of each structure."""
    groups: dict[Any, list[int]] = {}
    for index, case in enumerate(cases):
        groups.setdefault(jax.tree.structure(case), []).append(index)
    return list(groups.values())


def stacked(cases: Sequence[Case], width: int = WIDTH) -> Case:
    """Cases of one structure as one case of columns."""

    def one(*leaves: float) -> np.ndarray:
        values = np.array([float(leaf) for leaf in leaves])
        return np.pad(values, (0, width - len(values)), mode="edge")

    return jax.tree.map(one, *cases)


def column(leaf: Any, count: int) -> np.ndarray:
    """The first entries of a leaf, repeated where it is a scalar."""
    values = np.asarray(leaf, float)
    return np.full(count, float(values)) if values.ndim == 0 else values[:count]
