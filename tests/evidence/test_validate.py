"""Errors, groups and the account of rows; the table that ships."""

import collections
import json

import numpy as np
import pytest

from dse.cli.main import main
from dse.evidence import ops, points, scores, tables, validate
from dse.specs import library
from dse.specs.errors import SpecError

HEAD = "hardware,model,tp,batch_or_concurrency,isl,osl,tpot_ms,joules_per_output_token\n"


@pytest.fixture
def table(tmp_path):
    def write(text, name="data.csv"):
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


def test_scores_by_hand():
    found = scores.scores([1.1, 0.9, 2.0], [1.0, 1.0, 1.0])
    assert found["n"] == 3
    assert found["mape"] == pytest.approx((0.1 + 0.1 + 1.0) / 3)
    assert found["bias"] == pytest.approx(1.0 / 3)
    assert scores.spearman([1, 2, 3], [10, 30, 20]) == pytest.approx(0.5)
    assert scores.spearman([1, 2], [1, 2]) is None
    assert scores.spearman([1, 1, 1], [1, 2, 3]) is None


def test_the_shipped_table_is_read_in_full_and_every_source_is_listed():
    table = tables.shipped()
    assert 200 < len(table.rows) < 400
    read, left_out = validate.read_points(table.rows)
    assert not left_out
    assert len(read) == len(table.rows)
    assert {row["source"] for row in table.rows} <= set(library.sources())
    assert {point.chip for point in read} >= {"a100_sxm", "h100_sxm", "b200_sxm", "gb200_nvl72"}


def test_the_json_of_a_small_table(table, capsys):
    path = table(
        HEAD
        + "NVIDIA H100,Llama-3.1-70B,8,16,900,300,9.5,0.9\n"
        + "NVIDIA H100,Llama-3.1-70B,8,64,900,300,14,0.4\n"
        + "NVIDIA X9,Llama-3.1-70B,8,64,900,300,14,0.4\n"
        + "NVIDIA H100,Llama-3.1-70B,8,64,900,300,nan,\n"
    )
    assert main(["validate", "--data", path, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == "dse.validate/1"
    assert {(g["metric"], g["chip"], g["model"], g["n"]) for g in found["groups"]} == {
        ("tpot_s", "h100_sxm", "llama-3.1-70b", 2),
        ("j_per_token", "h100_sxm", "llama-3.1-70b", 2),
    }
    keys = {"metric", "chip", "model", "suite", "n", "mape", "bias", "p90", "spearman"}
    assert keys | {"calibrated_on"} <= set(found["groups"][0])
    assert [g["metric"] for g in found["overall"]] == ["tpot_s", "j_per_token"]
    assert sum(item["n"] for item in found["left_out"]) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", "lacks hardware, model"),
        (HEAD + "NVIDIA X9,Llama-3.1-70B,8,16,900,300,9.5,\n", "no row of 1 can be used"),
        (HEAD, "no row of 0 can be used"),
        ("", "cannot be read as a CSV"),
    ],
)
def test_nothing_usable_is_exit_2(table, capsys, text, said):
    assert main(["validate", "--data", table(text)]) == 2
    assert said in capsys.readouterr().err


def test_no_such_file_and_no_such_fidelity_are_exit_2(capsys):
    assert main(["validate", "--data", "nowhere.csv"]) == 2
    assert main(["validate", "--fidelity", "perfect"]) == 2
    assert "nowhere.csv" in capsys.readouterr().err


def test_binary_data_is_refused(tmp_path):
    path = tmp_path / "data.csv.gz"
    path.write_bytes(b"\x00\x01not gzip")
    with pytest.raises(SpecError):
        tables.read(str(path))


def test_every_row_is_predicted_or_left_out_whatever_it_holds():
    row = {"hardware": "NVIDIA H100", "model": "Llama-3.1-8B", "tp": 1, "osl": 200,
           "batch_or_concurrency": 1, "tpot_ms": 7.0}  # fmt: skip
    odd = (0, -1, 0.5, 3, 1e9, 1e300, float("nan"), float("inf"), "x", "", None, True)
    changed = [row | {column: value}
               for column in ("tp", "dp", "pp", "ep", "isl", "osl", "n_chips", "tpot_ms",
                              "batch_or_concurrency", "avg_context", "ttft_ms", "framework",
                              "weight_dtype", "kv_dtype", "spec_decode", "suite", "model")
               for value in odd]  # fmt: skip
    found = validate.validate(tables.Table("decode", "", changed))
    assert len(found.rows) + sum(found.left_out.values()) == len(changed)
    assert np.isfinite([row["predicted"] for row in found.rows]).all()


def test_copies_of_a_row_count_once():
    row = {"hardware": "NVIDIA H100", "model": "Llama-3.1-8B", "tp": 1, "osl": 200,
           "batch_or_concurrency": 1, "tpot_ms": 7.0}  # fmt: skip
    read, left_out = validate.read_points([row, dict(row)])
    assert len(read) == 1
    assert left_out == collections.Counter({"a copy of another row": 1})


# --- operators ----------------------------------------------------------------------------------

SHAPES = {
    "gemm": {"gemm_dtype": "bfloat16", "m": 1, "n": 8192, "k": 8192},
    "attention": {"kv_cache_dtype": "bfloat16", "batch_size": 64, "seq_len": 8192,
                  "num_heads": 32, "num_key_value_heads": 8, "head_dim": 128},
    "mla": {"kv_cache_dtype": "bfloat16", "mla_dtype": "bfloat16", "batch_size": 64,
            "seq_len": 8192, "num_heads": 128},
    "moe": {"moe_dtype": "bfloat16", "num_tokens": 64, "hidden_size": 4096, "inter_size": 1536,
            "topk": 8, "num_experts": 128, "moe_tp_size": 1, "moe_ep_size": 1},
    "all_reduce": {"allreduce_dtype": "bfloat16", "num_gpus": 8, "message_bytes": 16384},
}  # fmt: skip


@pytest.mark.parametrize("kind", SHAPES)
def test_operators_take_at_least_the_time_of_their_bytes(kind):
    row = {"system": "h100_sxm", "fw": "x", "latency_us": 100.0, **SHAPES[kind]}
    rows, left_out = ops.predicted(tables.Table(kind, "", [row, row | {"system": "none"}]))
    assert len(rows) == 1
    assert sum(left_out.values()) == 1
    streamed = {"gemm": 2 * 8192**2, "attention": 64 * 8192 * 2048 * 2, "mla": 64 * 8192 * 576 * 2}
    assert rows[0]["predicted"] > streamed.get(kind, 0) / 3.35e12
    assert np.isfinite(rows[0]["predicted"])


def test_host_bound_and_unreadable_operators_are_left_out():
    row = {"system": "h100_sxm", "fw": "vllm", "latency_us": 200.0, **SHAPES["gemm"]}
    bad = [row | {"gemm_dtype": "fp8_block"}, row | {"m": "x"}, row | {"latency_us": -1}]
    rows, left_out = ops.predicted(tables.Table("gemm", "", bad))
    assert not rows
    assert len(left_out) == 3


def test_balanced_rows_reach_as_many_experts_as_their_tokens_have_slots():
    row = {"system": "h100_sxm", "fw": "x", "latency_us": 100.0, **SHAPES["moe"]}

    def touched(**changes):
        (shape,), _ = ops.shapes_of(tables.Table("moe", "", [row | changes]))
        return shape.numbers["touched"]

    even = {"distribution": "balanced"}
    assert touched(num_tokens=1) == touched(num_tokens=1, **even) == 8
    assert touched(num_tokens=16, **even) == touched(num_tokens=512, **even) == 128
    assert 64 < touched(num_tokens=16) < 128  # drawn: some twice, some never
    assert touched(num_tokens=1, moe_ep_size=64, **even) == 1  # the first rank has the first token


def test_the_table_kind_is_told_by_its_columns(table):
    text = "system,latency_us,gemm_dtype,m,n,k\nh100_sxm,9.1,bfloat16,1,4096,4096\n"
    assert tables.read(table(text)).kind == "gemm"


def test_frameworks_are_told_by_their_names():
    assert points.framework_of("TensorRT-LLM (PyTorch backend)") == "trtllm"
    assert points.framework_of("dynamo-sglang") == "sglang"
    assert points.framework_of("something else") == ""
