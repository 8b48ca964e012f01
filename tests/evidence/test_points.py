"""A row becomes an operating point, or is left out for a reason that groups."""

import pytest

from dse.evidence import columns, points

ROW = {
    "id": "x-1", "source": "example", "hardware": "NVIDIA H100 SXM", "n_chips": 8,
    "model": "Llama-3.1-70B", "weight_dtype": "fp8", "tp": 8, "batch_or_concurrency": 16,
    "isl": 1000, "osl": 500, "tpot_ms": 9.0, "framework": "vLLM 0.11", "clean_grade": "A",
}  # fmt: skip


def test_a_plain_row():
    point = points.point_of(ROW)
    assert (point.chip, point.model, point.framework) == ("h100_sxm", "llama-3.1-70b", "vllm_2025")
    assert point.measured == {"tpot_s": pytest.approx(9e-3)}
    choices = point.choices
    assert (choices.tp, choices.batch, choices.context) == (8, 16, 1250)
    assert (choices.weights, choices.kv) == ("fp8", "fp8")


def test_several_replicas_are_read_as_one():
    point = points.point_of(ROW | {"tp": 2})
    assert (point.choices.tp, point.choices.batch) == (2, 4)


def test_data_parallel_attention_spreads_experts():
    row = ROW | {"model": "DeepSeek-V3", "tp": 1, "dp": 8, "ep": 1, "batch_or_concurrency": 100}
    choices = points.point_of(row).choices
    assert (choices.dp, choices.ep) == (8, 8)
    assert choices.batch == 96  # 12 on each rank: the nearest whole number


def test_four_bit_checkpoints_keep_latent_attention_in_16():
    row = ROW | {"model": "DeepSeek-R1", "weight_dtype": "nvfp4"}
    choices = points.point_of(row).choices
    assert (choices.weights, choices.expert_weights) == ("bf16", "nvfp4")


def test_nominal_lengths_of_inferencex_average_nine_tenths():
    assert points.point_of(ROW | {"source": "InferenceX"}).choices.context == 0.9 * 1250


@pytest.mark.parametrize(
    "change",
    [
        {"framework": "trtllm 1.2.0rc6.post3"},
        {"framework": "trtllm 1.1.0rc2.post2", "date": "2026-01-14"},
        {"framework": "sglang 0.5.9", "ep": 1, "batch_or_concurrency": 128},
    ],
)
def test_speculation_that_inferencex_states_and_its_row_does_not(change):
    row = ROW | {"source": "SemiAnalysis InferenceX", "model": "DeepSeek-R1"} | change
    with pytest.raises(points.LeftOutError, match="its source states and the row does not"):
        points.point_of(row)
    for other in ({"source": "example"}, {"framework": "trtllm 1.2.0rc6.post2"},
                  {"phase_note": "disaggregated: decode workers only"}):  # fmt: skip
        assert points.point_of(row | other).choices.drafts == 0


def test_decode_workers_run_under_a_framework_of_their_own():
    row = ROW | {"phase_note": "disaggregated: TPOT is decode workers only"}
    found = [points.point_of(row | {"framework": name}).framework
             for name in ("dynamo-sglang", "trtllm 0.8.1", "unknown")]  # fmt: skip
    assert found == ["sglang_disaggregated", "trtllm_disaggregated", "disaggregated"]


def test_speculation_needs_an_acceptance_length():
    row = ROW | {"model": "DeepSeek-R1", "spec_decode": "MTP1 (accept len 1.92)"}
    assert points.point_of(row).choices.acceptance == (pytest.approx(0.92),)
    with pytest.raises(points.LeftOutError, match="acceptance"):
        points.point_of(ROW | {"spec_decode": "MTP3 relaxed"})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"hardware": "NVIDIA X9"}, "no such chip"),
        ({"hardware": 7}, "no hardware or model name"),
        ({"model": None}, "no hardware or model name"),
        ({"model": "Nobody-7B"}, "no such model"),
        ({"clean_grade": "D"}, "graded D"),
        ({"tpot_ms": float("nan")}, "no measured value"),
        ({"tpot_ms": "fast"}, "no measured value"),
        ({"tpot_ms": 9e6}, "wrong unit"),
        ({"tpot_ms": -9}, "wrong unit"),
        ({"osl": None}, "no lengths"),
        ({"batch_or_concurrency": None}, "no batch"),
        ({"tp": None, "n_chips": None}, "no split"),
        ({"tp": 2.5}, "whole number"),
        ({"n_chips": 4}, "fewer chips"),
        ({"weight_dtype": "fp7"}, "not a known number format"),
    ],
)
def test_rows_left_out(change, reason):
    with pytest.raises(points.LeftOutError, match=reason):
        points.point_of(ROW | change)


def test_a_split_the_model_refuses_is_left_out():
    point = points.point_of(ROW | {"tp": 24, "n_chips": 24})
    with pytest.raises(points.LeftOutError, match="does not divide N attention heads"):
        columns.case_of(point)


def test_a_stated_board_limit_is_the_chips_limit():
    row = ROW | {"hardware": "NVIDIA A100 SXM 80GB (power limited to 330 W)"}
    assert float(columns.case_of(points.point_of(row)).design.hardware.tdp_w) == 330
