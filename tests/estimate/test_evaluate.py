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


def h100(**changes):
    overrides = list(changes.items())
    return dse.load("chips", "h100_sxm", overrides)


@pytest.mark.parametrize(
    ("tdp", "choices", "words"),
    [
        ("700 W", {"batch": 256}, "memory bandwidth"),
        ("150 W", {"batch": 256}, "power limit"),
        ("700 W", {"batch": 8, "pp": 2, "micro_batches": 8}, "pipeline throughput"),
        ("700 W", {"batch": 256, "prefill": "interleaved"}, None),
    ],
)
def test_the_critical_path_adds_up_to_the_step_and_names_what_binds(tdp, choices, words):
    e = dse.evaluate(h100(tdp=tdp), *CASE[1:], dse.Choices(tp=8, **choices), fidelity="sol",
                     compiled=False)  # fmt: skip
    path = {stage: float(seconds) for stage, (_, seconds) in e.critical_path.items()}
    assert sum(path.values()) == pytest.approx(float(e.step_s), rel=1e-9)
    result = e.to_dict()
    assert words in (None, result["bottleneck"])
    assert (path["wait for power"] > 0) == result["throttled"]
    assert (path["prefill"] > 0) == (choices.get("prefill") == "interleaved")


def test_a_chip_that_idles_above_its_limit_is_infeasible_however_long_it_waits():
    choices = dse.Choices(tp=8, batch=32)
    e = dse.evaluate(h100(tdp="50 W"), *CASE[1:], choices, compiled=False).to_dict()
    (broken,) = e["violations"]
    assert broken["name"] == "idle_power"
    assert broken["used"] > 50 > broken["allowed"] > 49.9


def test_a_chip_with_room_above_idle_waits_and_keeps_its_limit():
    choices = dse.Choices(tp=8, batch=256)
    e = dse.evaluate(h100(tdp="200 W"), *CASE[1:], choices, fidelity="sol", compiled=False)
    assert e.to_dict()["feasible"]
    assert float(e.chip_power_w) == pytest.approx(200, rel=1e-4)


@pytest.mark.parametrize("shares", [(0.5, 0.9), (1.2,), (0.9, -0.1)])
def test_an_acceptance_vector_that_cannot_be_is_refused(shares):
    choices = dse.Choices(tp=8, batch=32, acceptance=shares)
    with pytest.raises(SpecError, match="acceptance"):
        dse.evaluate("h100_sxm", *CASE[1:], choices, compiled=False)


def test_the_output_head_is_split_over_all_chips_of_a_rank(specs):
    """Four context-parallel ranks duplicate what is before attention, and nothing of the head."""
    one, four = (
        dse.evaluate(*specs, dse.Choices(tp=4, kvp=kvp, batch=32), compiled=False) for kvp in (1, 4)
    )
    # Per layer: queries, keys and values of 8192 x (64 + 16) heads of 128, and norms.
    copied = 80 * (8192 * 80 * 128 + 4 * 2 * 8192) + 4 * 8192
    extra = float(four.bytes_per_step["weights"]) - float(one.bytes_per_step["weights"])
    # The gated feed-forward and its norm are sliced over four times the chips.
    assert extra == pytest.approx(3 * copied, rel=2e-3)
