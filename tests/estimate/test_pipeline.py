"""Pipelines: what a user waits, what the replica makes, and how full the pipe is."""

from types import SimpleNamespace

import pytest

from dse.estimate.evaluate import evaluate
from dse.estimate.prepare import Choices

MODEL, WORKLOAD = "llama-3.1-70b", "chat-8k"


def point(chip, pp, micro_batches, sequences=2):
    choices = Choices(tp=4, pp=pp, micro_batches=micro_batches, batch=sequences * micro_batches,
                      weights="fp8", kv="fp8")  # fmt: skip
    return evaluate(chip, MODEL, WORKLOAD, choices, fidelity="sol")


def test_a_gpu_pipeline_serves_four_micro_batches_in_the_time_of_one():
    one, four = point("h100_sxm", 4, 1), point("h100_sxm", 4, 4)
    assert float(four.step_s) == pytest.approx(float(one.step_s), rel=1e-3)  # context skew only
    assert float(one.load) == pytest.approx(1 / 4, rel=1e-9)
    assert float(four.load) == pytest.approx(1, rel=1e-9)
    assert float(four.system_tokens_per_s) == pytest.approx(
        4 * float(one.system_tokens_per_s), rel=1e-3
    )


def test_beyond_its_stages_a_gpu_pipeline_only_queues():
    """Kernels of one stage follow one another: 8 micro-batches on 4 stages take two rounds."""
    four, eight = point("h100_sxm", 4, 4), point("h100_sxm", 4, 8)
    assert float(eight.step_s) == pytest.approx(2 * float(four.step_s), rel=1e-3)
    assert float(eight.load) == pytest.approx(1, rel=1e-9)


def test_a_static_stage_takes_more_micro_batches_until_its_busiest_lane_is_full():
    """Weights and KV stream 2.5 ms of a pass on four stacked layers; the rest are waits."""
    chip = "reticle_n3_stacked"
    loads = [float(point(chip, 4, m).load) for m in (1, 4, 8, 16)]
    steps = [float(point(chip, 4, m).step_s) for m in (1, 4, 8, 16)]
    assert loads == sorted(loads)
    assert steps == sorted(steps)
    fill = 1 - (1 - 0.85) * (1 - 1 / 4)  # one stage is even, many approach 0.85
    assert loads[-1] == pytest.approx(fill, rel=1e-9)
    # Full: the step grows with the micro-batches and the rate no longer does.
    rates = [float(point(chip, 4, m).system_tokens_per_s) for m in (8, 16)]
    assert rates[1] == pytest.approx(rates[0], rel=2e-2)


def test_tokens_per_s_never_exceed_what_the_lanes_allow():
    e = point("reticle_n3_stacked", 4, 16)
    moved = float(e.bytes_per_step["weights"] + e.bytes_per_step["kv_cache"])
    bandwidth = 16 * 8.6e12  # 4 stages of 4 chips
    assert float(e.step_s) >= 0.999 * moved / bandwidth


def test_more_users_than_the_pipe_holds_still_count_in_memory():
    four, eight = point("h100_sxm", 4, 4), point("h100_sxm", 4, 8)
    used = [float(e.capacity["hbm"][0]) for e in (four, eight)]
    assert used[1] > used[0]


def test_the_fullest_stage_sets_pace_and_memory():
    """80 layers on 16 stages are 5 each; on 12 the fullest holds 7 where 6.67 is the mean."""
    assert stage_skew_of(16) == pytest.approx(1)
    assert stage_skew_of(12) == pytest.approx(7 * 12 / 80)
    even, uneven = point("h100_sxm", 16, 16), point("h100_sxm", 12, 12)
    passes = [float(e.pass_bounds_s[1]) for e in (even, uneven)]
    assert float(even.step_s) == pytest.approx(passes[0], rel=1e-9)
    assert float(uneven.step_s) == pytest.approx(passes[1] * 1.05, rel=1e-9)
    assert float(uneven.load) == pytest.approx(1 / 1.05, rel=1e-9)
    # Of 48 users the fullest stage holds 7 / 80 of weights and cache against 5 / 80.
    used = [float(point("h100_sxm", pp, 48).capacity["hbm"][0]) for pp in (16, 12)]
    assert used[1] / used[0] == pytest.approx(7 / 5, rel=1e-6)


def stage_skew_of(pp):
    from dse.specs import load
    from dse.work.decode import stage_skew

    model = load.load("models", MODEL).spec
    return float(stage_skew(model, SimpleNamespace(pp=float(pp))))
