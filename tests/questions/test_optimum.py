"""Batch curves: each point is what its case gives alone, to the last bit."""

import dataclasses

import jax
import numpy as np
import pytest

from dse.estimate.prepare import Choices, deploy
from dse.questions import optimum
from dse.questions.case import case_of

CASES = {
    "dense": ("h100_sxm", "llama-3.1-8b", Choices(tp=2, pp=2), None),
    "experts": ("sram_macro_stacked_n3", "kimi-k2.5", Choices(tp=2, dp=2, ep=4), "sol"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_point_of_a_curve_is_its_case_alone_to_the_bit(name):
    chip, model, choices, fidelity = CASES[name]
    case = case_of(chip, model, "chat-8k", choices, fidelity).held()
    curve = optimum.batch_curve(case)
    placed = case.prepared[0].deployment
    assert len(curve.cases) > 12
    for point in curve.cases[::4]:
        alone = point.deployed(weights_in=placed.weights_in, kv_in=placed.kv_in).estimate()
        of_curve = curve.of(point)
        assert jax.tree.structure(of_curve) == jax.tree.structure(alone)  # its labels too
        np.testing.assert_array_equal(jax.tree.leaves(of_curve), jax.tree.leaves(alone))


def test_a_curve_leaves_out_the_batches_that_cannot_be_split():
    case = case_of("h100_sxm", "llama-3.1-8b", "chat-8k", Choices(tp=2, pp=2)).held()
    tried, possible = optimum.batches(case), {p.choices.batch for p in
                                              optimum.batch_curve(case).cases}  # fmt: skip
    assert 3.0 in set(tried) - possible  # not into two micro-batches
    for batch in possible:
        choices = dataclasses.replace(case.choices, batch=batch)
        deploy(case.chip.spec, case.model.spec, case.workload.spec, choices)  # raises nothing
