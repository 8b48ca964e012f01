"""The public door: traced or not, compiled or not, the same answer; overlap between its bounds."""

import dataclasses

import jax
import pytest

import dse
from dse.specs.schema import SpecError

CASE = ("reticle_n3_stacked", "llama-3.1-70b", "chat-8k")


@pytest.fixture(scope="module")
def specs():
    return tuple(dse.load(kind, name).spec for kind, name in
                 zip(("chips", "models", "workloads"), CASE, strict=True))  # fmt: skip


@pytest.fixture(scope="module")
def deployment(specs):
    return dse.deployment_of(*specs, dse.Choices(tp=4, batch=32))


def test_names_and_specs_give_the_same(specs, deployment):
    by_name = dse.evaluate(*CASE, dse.Choices(tp=4, batch=32), compiled=False)
    by_spec = dse.evaluate(*specs, deployment, compiled=False)
    assert float(by_name.j_per_token) == float(by_spec.j_per_token)
    assert dict(by_name.labels)["chip"] == "reticle_n3_stacked"


def test_the_gradient_of_the_public_function_is_the_finite_difference(specs, deployment):
    chip, *given = specs

    def energy(voltage_v):
        changed = dataclasses.replace(chip, voltage_v=voltage_v)
        return dse.evaluate(changed, *given, deployment).j_per_token

    with jax.enable_x64(True):
        slope = float(jax.grad(energy)(0.65))
    step = 1e-5
    change = float(energy(0.65 + step)) - float(energy(0.65 - step))
    assert slope == pytest.approx(change / (2 * step), rel=1e-5)


def test_overlap_lies_between_its_two_bounds(specs, deployment):
    steps = []
    for overlap in (0.0, 0.5, 1.0):
        e = dse.evaluate(*specs, deployment, overlap=overlap, compiled=False)
        steps.append(float(e.step_s))
        overlapped, in_turn = (float(bound) for bound in e.pass_bounds_s)
        assert overlapped <= steps[-1] * (1 + 1e-12) <= in_turn * (1 + 2e-12)
    assert steps[0] == pytest.approx(in_turn, rel=1e-12)
    assert steps[2] == pytest.approx(overlapped, rel=1e-12)
    assert steps[1] == pytest.approx((overlapped + in_turn) / 2, rel=1e-12)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"fidelity": "sool"}, "sol"),
        ({"power_scope": "rack"}, "accelerator"),
        ({"overlap": 1.5}, "between 0 and 1"),
    ],
)
def test_words_and_shares_are_checked(specs, deployment, changed, said):
    with pytest.raises(SpecError, match=said):
        dse.evaluate(*specs, deployment, **changed)
