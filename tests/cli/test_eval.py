"""``dse eval``: the contract's object, exit codes, what is said beside it."""

import pytest

from dse.cli import remedy

MODEL = ("--model", "llama-3.1-70b", "--workload", "chat-8k")
CONTRACT = """
    schema chip model workload fidelity power_scope feasible violations user_tokens_per_s
    system_tokens_per_s system_tokens_per_s_per_w tpot_s j_per_token power_w chips batch tp ep pp
    dp kvp time_breakdown_s energy_breakdown_j bottleneck bytes_per_step flops_per_step capacity
    area_mm2 silicon_mm2 mm2_per_token_per_s die_power_density_w_per_mm2 cost_usd
    usd_per_million_tokens users_in_flight load j_per_token_by_scope prefill_j_per_output_token
    critical_path extrapolated weights kv activations
""".split()  # noqa: SIM905


@pytest.mark.parametrize("chip", ["h100_sxm", "reticle_n3_stacked", "sram_macro_n3"])
@pytest.mark.parametrize("more", [(), ("--power-scope", "facility", "--fidelity", "sol")])
def test_the_object_holds_the_contract_and_its_breakdowns_sum(dse, chip, more):
    answer = dse("eval", chip, *MODEL, *more, "--json")
    assert answer.code in (0, 3)
    result = answer.json
    assert [key for key in CONTRACT if key not in result] == []
    assert set(result["violations"][0] if result["violations"] else ()) <= {
        "name", "used", "allowed", "unit", "remedy"
    }  # fmt: skip
    assert sum(result["time_breakdown_s"].values()) == pytest.approx(result["step_s"], rel=1e-6)
    energy = result["energy_breakdown_j"]
    assert sum(energy.values()) == pytest.approx(result["j_per_token"], rel=1e-6)
    assert {"weights", "kv_cache", "compute", "communication", "overhead"} <= set(
        result["time_breakdown_s"]
    )
    assert {"weights", "kv_cache", "compute", "communication", "static", "host"} <= set(energy)
    assert {"weights", "kv_cache", "activations"} <= set(result["bytes_per_step"])
    assert set(result["j_per_token_by_scope"]) == {
        "movement", "accelerator", "system", "facility"
    }  # fmt: skip
    assert result["j_per_token"] == pytest.approx(
        result["j_per_token_by_scope"][result["power_scope"]]
    )
    assert result["user_tokens_per_s"] * result["tpot_s"] == pytest.approx(1)
    for stage in result["critical_path"]:
        assert set(stage) == {"stage", "count", "seconds"}


def test_python_and_the_command_line_give_the_same_numbers(dse):
    from dse import evaluate

    seen = dse("eval", "h100_sxm", *MODEL, "--json").json
    same = evaluate("h100_sxm", "llama-3.1-70b", "chat-8k").to_dict()
    for key, value in same.items():
        if isinstance(value, float):
            assert seen[key] == pytest.approx(value, rel=1e-12), key


def test_ops_add_up_to_the_pass_and_say_their_share_of_light_speed(dse):
    result = dse("eval", "h100_sxm", *MODEL, "--fidelity", "sol", "--ops", "--json").json
    total = sum(row["seconds"] for row in result["ops"])
    assert total == pytest.approx(result["step_s"], rel=1e-9)
    moving = [row for row in result["ops"] if row["bound_by"] in ("weights", "kv_cache")]
    assert moving
    assert all(row["light_speed_fraction"] == pytest.approx(1) for row in moving)
    assert all(0 <= row["light_speed_fraction"] <= 1 + 1e-9 for row in result["ops"])
    weights = sum(row["bytes"]["weights"] for row in result["ops"])
    assert weights * result["chips"] == pytest.approx(result["bytes_per_step"]["weights"])


def test_options_reach_the_deployment(dse):
    result = dse(
        "eval", "gb200_nvl72", "--model", "deepseek-v3", "--context", "32k", "--batch", "64",
        "--tp", "4", "--dp", "2", "--ep", "8", "--weights", "nvfp4", "--kv", "bf16",
        "--attention-weights", "fp8", "--math", "attention=bf16", "--collective", "ring",
        "--prefill", "interleaved", "--overlap", "0.5", "--drafts", "2", "--acceptance", "0.9,0.6",
        "--json",
    ).json  # fmt: skip
    assert result["context_tokens"] == 32768
    assert [result[k] for k in ("batch", "tp", "dp", "ep", "chips")] == [64, 4, 2, 8, 8]
    assert [result[k] for k in ("weights", "attention_weights", "expert_weights", "kv")] == [
        "nvfp4", "fp8", "nvfp4", "bf16"
    ]  # fmt: skip
    assert result["accepted"] == pytest.approx(2.5)
    assert result["queries"] == 3
    assert (result["attention_math"], result["collective"]) == ("bf16", "ring")
    assert (result["overlap"], result["prefill"]) == (0.5, "interleaved")


def test_placement_is_stated_by_tier(dse):
    result = dse(
        "eval", "h100_sxm", *MODEL, "--weights-in", "hbm=1", "--kv-in", "hbm=100 %", "--json"
    ).json
    assert result["placement"] == {"weights": {"hbm": 1.0}, "kv_cache": {"hbm": 1.0}}


def test_what_was_changed_and_filled_in_is_said(dse):
    answer = dse(
        "eval", "h100_sxm", *MODEL, "--set", "hbm.bandwidth=2x", "--set", "voltage=0.7V", "--json"
    )
    assert answer.code == 0
    assert "memory.hbm.bandwidth 3.35 TB/s -> 6.7 TB/s" in answer.err
    assert "clock 1.76 -> 1.42 GHz: the limit at 0.70 V (dse explain clock_limit)" in answer.err
    assert {"tp", "batch", "context", "weights", "fidelity"} <= set(answer.json["defaults"])
    assert "not stated:" in answer.err
    stated = dse("eval", "h100_sxm", *MODEL, "--tp", "8", "--batch", "16", "--json").json
    assert {"tp", "batch", "workload"} & set(stated["defaults"]) == set()


def test_settings_may_change_model_and_workload(dse):
    result = dse(
        "eval", "h100_sxm", *MODEL, "--set", "workload.batch=4", "--set", "model.kv=bf16", "--json"
    ).json
    assert (result["batch"], result["kv"]) == (4, "bf16")


def test_people_get_the_verdict_first(dse):
    answer = dse("eval", "h100_sxm", *MODEL)
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert "NVIDIA H100 SXM" in lines[0]
    assert "system power, calibrated" in lines[1]
    assert answer.out.index("User tokens/s") < answer.out.index("Where time and energy go")
    assert answer.out.rstrip().splitlines()[-1].startswith("next: dse ")
    assert "\x1b[" not in answer.out


def test_output_goes_to_a_file(dse, tmp_path):
    import json

    path = tmp_path / "point.json"
    answer = dse("eval", "h100_sxm", *MODEL, "-o", path)
    assert (answer.code, answer.out) == (0, "")
    assert json.loads(path.read_text())["chip"] == "h100_sxm"
    assert dse("eval", "h100_sxm", *MODEL, "-o", tmp_path / "no" / "such.json").code == 2


# --- infeasible ---------------------------------------------------------------------------------


def test_a_batch_too_large_is_told_the_largest_that_fits(dse):
    answer = dse("eval", "h100_sxm", *MODEL, "--tp", "8", "--batch", "512", "--json")
    assert answer.code == 3
    assert answer.json["feasible"] is False
    assert answer.json["violations"][0]["name"] == "capacity.hbm"
    largest = int(answer.err.split("--batch ")[1].split(")")[0])
    again = ("eval", "h100_sxm", *MODEL, "--tp", "8", "--json", "--batch")
    assert dse(*again, largest).code == 0
    assert dse(*again, largest + 1).code == 3


def test_a_clock_above_its_limit_is_told_the_voltage(dse):
    words = ("eval", "h100_sxm", *MODEL, "--set", "clock=2GHz", "--json", "--set")
    answer = dse(*words, "voltage=0.7V")
    assert answer.code == 3
    volts = answer.err.split("--set voltage=")[1].split("V)")[0]
    assert dse(*words, f"voltage={volts}V").code == 0
    assert dse(*words, f"voltage={float(volts) - 0.002}V").code == 3


def test_a_context_too_long_is_told_the_longest(dse):
    words = ("eval", "h100_sxm", *MODEL, "--tp", "8", "--batch", "32", "--json", "--context")
    answer = dse(*words, "10M")
    assert answer.code == 3
    longest = int(answer.err.split("--context ")[1].split(")")[0])
    assert dse(*words, longest).code == 0


def test_a_voltage_below_the_floor_is_told_the_floor(dse):
    answer = dse("eval", "h100_sxm", *MODEL, "--set", "voltage=0.6V", "--json")
    assert answer.code == 3
    assert "--set voltage=0.67V" in answer.err


def test_bisection_finds_the_last_that_holds():
    for last in range(1, 9):
        assert remedy._last_that_holds(1, 9, lambda n, last=last: n <= last) == last


# --- all problems at once -----------------------------------------------------------------------


def test_all_problems_of_a_command_line_come_at_once(dse):
    answer = dse(
        "eval", "h100_sxn", "--model", "lama-3.1-70b", "--workload", "chat-8K", "--batch", "x",
        "--weights", "fp9", "--fidelity", "calibratd", "--math", "experts=fp8", "--json",
    )  # fmt: skip
    assert (answer.code, answer.out) == (2, "")
    for said in ("h100_sxm", "llama-3.1-70b", "--batch", "fp8", "calibrated", "expert?", "chat-8k"):
        assert said in answer.err
    assert "7 problems" in answer.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--tp", "3"], "does not divide 64 attention heads"),
        (["--ep", "3"], "ep: 3"),
        (["--batch", "0"], "batch: 0"),
        (["--batch", "-1"], "batch: -1"),
        (["--batch", "1.5"], "whole number"),
        (["--batch", "1e99"], "batch: 1e+99"),
        (["--context", "0"], "context: 0"),
        (["--context", "nan"], "--context: 'nan'"),
        (["--kv-in", "hbm"], "TIER=SHARE"),
        (["--kv-in", "hmb=1"], "did you mean hbm?"),
        (["--kv-in", "hbm=0.5"], "add up to 0.5"),
        (["--drafts", "2"], "--acceptance"),
        (["--acceptance", "0.9,x"], "--acceptance"),
        (["--collective", "rng"], "did you mean ring?"),
        (["--math", "attention=fp4"], "this chip has no fp4"),
        (["--set", "clok=1GHz"], "did you mean clock?"),
        (["--set", "clock"], "wanted PATH=VALUE"),
        (["--set", "hbm.bandwidth=80GB"], "this is a rate"),
        (["--set", "logic=foo"], "--set logic: 'foo'"),
        (["--set", "energy=1x"], "means more than one"),
    ],
)
def test_a_wrong_value_exits_2_and_says_where(dse, words, said):
    answer = dse("eval", "h100_sxm", *MODEL, *words, "--json")
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err


# --- a design of a run --------------------------------------------------------------------------


def test_a_design_of_a_run_is_a_point_like_any_other(dse, run_of_one_design):
    answer = dse("eval", "r#a1", "--json")
    result = answer.json
    assert [result[k] for k in ("chip", "model", "workload", "fidelity", "power_scope")] == [
        "reticle_n3_hbm4", "gpt-oss-20b", "chat-1k", "sol", "accelerator"
    ]  # fmt: skip
    assert (result["batch"], result["tp"], result["weights"]) == (4, 2, "fp8")
    assert result["voltage_v"] == 0.6123456789
    assert "-> 0.6123 V" in answer.err
    changed = dse("eval", "r#a1", "--batch", "8", "--set", "voltage=0.7 V", "--json").json
    assert (changed["batch"], changed["tp"], changed["voltage_v"]) == (8, 2, 0.7)
    assert "(r#a1)" in dse("explain", "r#a1").out
    assert "is no design" in dse("explain", "r#a2").err
