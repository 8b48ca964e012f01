"""Sweeps: axes as people write them, every point the one that ``dse eval`` gives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dse.estimate.prepare import Choices
from dse.questions.case import case_of
from dse.questions.sweep import Axis, parse_axis, swept
from dse.specs import overrides
from dse.specs.errors import SpecError

LLAMA = ("llama-3.1-70b", "chat-8k")


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("voltage=0.6V:0.8V:3", ("0.6V", "0.7V", "0.8V")),
        ("voltage=0.6:0.8 V:3", ("0.6V", "0.7V", "0.8V")),
        ("hbm.bandwidth=1x:100x:3", ("1.0x", "10.0x", "100.0x")),
        ("hbm.bandwidth=1x:3x:3", ("1.0x", "2.0x", "3.0x")),
        ("hbm.bandwidth=1x:4x:3:log", ("1.0x", "2.0x", "4.0x")),
        ("batch=1:64:4:log", ("1", "4", "16", "64")),
        ("micro-batches=1,2", ("1", "2")),
        ("link.latency=-20%:+20%:3", ("-20.0%", "+0.0%", "+20.0%")),
        ("kv=bf16,fp8", ("bf16", "fp8")),
    ],
)
def test_an_axis_is_a_range_or_a_list(text, values):
    assert parse_axis(text).values == values


@pytest.mark.parametrize(
    "text",
    ["voltage", "voltage=", "=1,2", "voltage=1:2", "voltage=1V:2V:1", "voltage=a:b:3",
     "voltage=1V:2W:3", "voltage=1V:2V:3:cube", "tdp=-1W:2W:3:log", "kv=bf16,,fp8",
     "voltage=1V:2V:3:log:4", "voltage=1V:2V:99999", "voltage=1e999V:2V:3"],
)  # fmt: skip
def test_what_is_no_axis_is_refused(text):
    with pytest.raises(SpecError, match="--over"):
        parse_axis(text)


@given(st.floats(0.01, 100), st.floats(1.01, 50), st.integers(2, 9))
def test_factors_of_an_axis_are_factors_of_set(low, ratio, count):
    axis = parse_axis(f"x={low:.6f}x:{low * ratio:.6f}x:{count}")
    assert len(axis.values) == count
    assert all(overrides.FACTOR.match(value) for value in axis.values)


def test_points_are_those_of_a_single_evaluation():
    case = case_of("h100_sxm", *LLAMA, Choices(tp=8))
    found = swept(case, [parse_axis("hbm.bandwidth=1x,2x"), parse_axis("batch=8,32")])
    assert [axis["path"] for axis in found["axes"]] == ["memory.hbm.bandwidth", "batch"]
    assert found["axes"][0]["numbers"] == [3.35e12, 6.7e12]
    for row in found["points"]:
        at = case.deployed(batch=row["batch"]).changed(
            [("hbm.bandwidth", row["at"]["memory.hbm.bandwidth"])]
        )
        alone = at.estimate().to_dict()
        assert row["user_tokens_per_s"] == alone["user_tokens_per_s"]
        assert row["system_tokens_per_s_per_w"] == alone["system_tokens_per_s_per_w"]


def test_points_beyond_a_limit_are_kept_and_marked():
    case = case_of("h100_sxm", *LLAMA, Choices(tp=8))
    found = swept(case, [parse_axis("voltage=0.60V:0.80V:3")])
    assert [row["feasible"] for row in found["points"]] == [False, True, True]
    assert found["points"][0]["violations"][0]["name"] == "minimum_voltage"
    assert found["feasible"]
    assert found["best"]["system_tokens_per_s_per_w"] == 1


def test_a_deployment_may_be_chosen_again_at_each_point():
    case = case_of("h100_sxm", *LLAMA, Choices(tp=8, batch=8))
    axes = [parse_axis("hbm.capacity=0.5x,1x")]
    found = swept(case, axes, "batch", speed=30.0)
    assert found["points"][0]["batch"] < found["points"][1]["batch"]
    assert all(row["user_tokens_per_s"] >= 30.0 for row in found["points"])


def test_all_values_a_chip_cannot_take_are_named_at_once():
    case = case_of("h100_sxm", *LLAMA, Choices())
    with pytest.raises(SpecError) as caught:
        swept(case, [Axis("tp", ("3", "8", "5"))])
    assert len(caught.value.problems) == 2
    assert "tp=3" in caught.value.problems[0]
