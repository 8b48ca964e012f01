"""``dse whatif``: the numbers of ``dse eval``, exit codes, what people read first."""

import pytest

MODEL = ("--model", "llama-3.1-70b", "--workload", "chat-8k")
POINT = ("h100_sxm", *MODEL, "--batch", "32", "--tp", "8")
CHANGES = ("--set", "hbm.bandwidth=2x", "--set", "voltage=0.7V")
BESIDE = ("defaults", "changes", "bands")  # what ``eval`` says about its command line


@pytest.mark.parametrize("more", [(), ("--fidelity", "sol", "--power-scope", "facility")])
def test_both_sides_are_what_eval_prints(dse, more):
    found = dse("whatif", *POINT, *CHANGES, *more, "--json").json
    assert found["schema"] == "dse.whatif/1"
    base = dse("eval", *POINT, *more, "--json").json
    changed = dse("eval", *POINT, *CHANGES, *more, "--json").json
    assert found["base"] == {k: v for k, v in base.items() if k not in BESIDE}
    assert found["changed"] == {k: v for k, v in changed.items() if k not in BESIDE}
    assert found["changes"] == [c for c in changed["changes"] if "because" not in c]


def test_a_first_look(dse):
    answer = dse("whatif", *POINT, *CHANGES)
    assert (answer.code, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert "NVIDIA H100 SXM x8" in lines[0]
    order = [
        "User tokens/s",
        "System tokens/s/W",
        "set         memory.hbm.bandwidth",
        "followed    clock",
        "waits for",
        "Where the difference is",
        "Which knob pays most",
        "pays most",
        "No limit binds",
        "range       10 % to 90 %",
        "next: dse explain h100_sxm",
    ]
    places = [answer.out.index(text) for text in order]
    assert places == sorted(places)
    assert "--set hbm.bandwidth=2x --set voltage=0.7V" in lines[-1]


def test_nothing_set_is_said_to_change_nothing(dse):
    answer = dse("whatif", *POINT)
    assert answer.code == 0
    assert "nothing set: both sides are the same" in answer.out


def test_both_fidelities_stand_beside_each_other(dse):
    found = dse("whatif", *POINT, *CHANGES, "--fidelity", "both", "--json").json
    assert (found["fidelity"], list(found["answers"])) == ("both", ["sol", "calibrated"])
    for fidelity, answer in found["answers"].items():
        alone = dse("whatif", *POINT, *CHANGES, "--fidelity", fidelity, "--json").json
        assert answer == alone
    shown = dse("whatif", *POINT, *CHANGES, "--fidelity", "both").out
    assert "sol:" in shown
    assert "calibrated:" in shown


def test_batch_and_deployment_may_be_chosen_again(dse):
    words = ("whatif", "h100_sxm", *MODEL, "--tp", "8", *CHANGES, "--json")
    batch = dse(*words, "--batch", "best", "--speed", "60").json
    assert batch["basis"] == {"batch": "best", "deploy": "fixed", "speed": 60}
    assert all(batch[side]["user_tokens_per_s"] >= 60 for side in ("base", "changed"))
    deploy = dse(*words, "--batch", "32", "--deploy", "best").json
    assert deploy["basis"]["deploy"] == "best"
    assert "chosen again on both sides" in dse(*words[:-1], "--batch", "best").out


def test_curves_are_shown_at_equal_speed_and_at_equal_efficiency(dse):
    unreached = dse("whatif", "h100_sxm", *MODEL, "--batch", "best", "--speed", "1e6").out
    assert "(the base and the what-if cannot: its fastest)" in unreached
    shown = dse("whatif", *POINT, *CHANGES, "--curve").out
    assert "at equal user speed: System tokens/s/W" in shown
    assert "at equal efficiency: User tokens/s" in shown


def test_an_infeasible_change_exits_3_with_everything_and_what_helps(dse):
    words = ("whatif", "h100_sxm", *MODEL, "--json", "--set", "hbm.capacity=0.5x")
    answer = dse(*words)
    assert answer.code == 3
    found = answer.json
    assert (found["feasible"], found["base"]["feasible"]) == (False, True)
    assert found["changed"]["violations"][0]["name"] == "capacity.hbm"
    assert found["remedies"]
    assert "nearest changes that help" in answer.err
    assert "at tp 2" in answer.err
    largest = answer.err.split("--batch ")[1].split(")")[0]
    assert dse(*words, "--tp", "2", "--batch", largest).code == 0
    shown = dse(*words[:4], "--workload", "chat-8k", *words[-2:])
    assert shown.code == 3
    assert "INFEASIBLE: the what-if" in shown.out


def test_a_change_that_makes_a_point_feasible_is_an_answer(dse):
    words = ("h100_sxm", *MODEL, "--tp", "1", "--batch", "8")
    changed = ("--set", "hbm.capacity=4x", "--context", "32k")
    assert dse("eval", *words, "--context", "32k", "--json").code == 3
    answer = dse("whatif", *words, *changed, "--json")
    assert (answer.code, answer.json["base"]["feasible"]) == (0, False)
    assert "INFEASIBLE: the base" in dse("whatif", *words, *changed).out


def test_all_problems_come_at_once(dse):
    answer = dse(
        "whatif",
        "h100_sxn",
        "--model",
        "llama-3.1-70b",
        "--set",
        "clok=1GHz",
        "--set",
        "x",
        "--deploy",
        "bst",
        "--speed",
        "5",
        "--json",
    )
    assert (answer.code, answer.out) == (2, "")
    for said in ("h100_sxm", "wanted PATH=VALUE", "did you mean best?", "--speed"):
        assert said in answer.err
    unknown = dse("whatif", *POINT, "--set", "clok=1GHz", "--json")
    assert (unknown.code, unknown.out) == (2, "")
    assert "did you mean clock?" in unknown.err


def test_a_design_of_a_run_is_changed_from_what_the_search_found(dse, run_of_one_design):
    found = dse("whatif", "r#a1", "--set", "voltage=0.7 V", "--json").json
    assert [found[side]["voltage_v"] for side in ("base", "changed")] == [0.6123456789, 0.7]
    assert [c["path"] for c in found["changes"]] == ["voltage"]
    assert (found["base"]["batch"], found["power_scope"]) == (4, "accelerator")
    assert "next: dse explain 'r#a1' --set" in dse("whatif", "r#a1", "--set", "voltage=0.7 V").out
    assert dse("sensitivity", "r#a1", "--json").json["point"] == found["base"]
    swept = dse("sweep", "r#a1", "--over", "voltage=0.6V,0.7V", "--json").json
    assert swept["points"][1]["user_tokens_per_s"] == found["changed"]["user_tokens_per_s"]


# --- sensitivity and sweep ----------------------------------------------------------------------


def test_sensitivity_shows_signs_ranges_and_sources(dse):
    answer = dse("sensitivity", "reticle_n3_hbm4", *MODEL, "--tp", "4")
    assert answer.code == 0
    for said in (
        "Elasticities",
        "memory.hbm.stacks",
        "estimate",
        "0 .. 8",
        "The next 100 mm2",
        "What a step of a binding limit buys",
        "more with smaller effect: --all",
        "next: dse whatif reticle_n3_hbm4",
    ):
        assert said in answer.out
    whole = dse("sensitivity", "reticle_n3_hbm4", *MODEL, "--tp", "4", "--all").out
    assert len(whole.splitlines()) > len(answer.out.splitlines()) + 10


def test_break_even_is_told_first(dse):
    words = (
        "sensitivity",
        *POINT,
        "--break-even",
        "hbm.read",
        "--target",
        "system_tokens_per_s_per_w>=0.4",
    )
    found = dse(*words, "--json").json["break_even"]
    assert found["path"] == "memory.hbm.technology.read"
    assert found["holds_now"]
    assert found["upward"] > found["value"]
    assert "holds up to" in dse(*words).out
    alone = dse("sensitivity", *POINT, "--break-even", "hbm.read")
    assert alone.code == 2
    assert "go together" in alone.err
    for path, said in (("logic", "a choice"), ("model.layers", "a number of the chip"),
                       ("style.step", "zero")):  # fmt: skip
        no_number = dse("sensitivity", *POINT, "--break-even", path, "--target", "tpot<=1 s")
        assert no_number.code == 2
        assert said in no_number.err
    nowhere = dse("sensitivity", *POINT, "--break-even", "voltge", "--target", "tpot<=1 s")
    assert nowhere.code == 2
    assert "did you mean" in nowhere.err


def test_an_infeasible_point_has_a_sensitivity_and_exits_3(dse):
    answer = dse("sensitivity", "h100_sxm", *MODEL, "--tp", "8", "--batch", "512", "--json")
    assert answer.code == 3
    assert answer.json["elasticities"]
    assert answer.json["remedies"]


def test_a_sweep_is_a_table_a_file_or_a_chart(dse, tmp_path):
    words = ("sweep", *POINT, "--over", "voltage=0.66V:0.8V:3")
    shown = dse(*words)
    assert shown.code == 0
    assert "infeasible: minimum_voltage" in shown.out
    assert "best        User tokens/s" in shown.out
    found = dse(*words, "--json").json
    assert [row["values"]["voltage"] for row in found["points"]] == pytest.approx([0.66, 0.73, 0.8])
    chart = dse(*words, "-o", tmp_path / "sweep.html")
    assert (chart.code, chart.out) == (0, "")
    assert "wrote" in chart.err
    assert "User tokens" in (tmp_path / "sweep.html").read_text("utf-8")
    dse(*words, "-o", tmp_path / "sweep.csv")
    lines = (tmp_path / "sweep.csv").read_text("utf-8").splitlines()
    assert lines[0].startswith("voltage [volt],user_tokens_per_s,")
    assert len(lines) == 4
    assert lines[1].endswith("False,minimum_voltage")
    two = dse(*words, "--over", "batch=1,32")
    assert "voltage \\ batch" in two.out


def test_a_sweep_without_a_feasible_point_exits_3_with_all_of_them(dse):
    answer = dse("sweep", *POINT, "--over", "voltage=0.6V,0.65V", "--json")
    assert answer.code == 3
    assert len(answer.json["points"]) == 2
    assert "minimum_voltage" in answer.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--over", "voltage=1:2"], "wanted PATH=FROM:TO:POINTS"),
        (["--over", "clok=1GHz,2GHz"], "did you mean clock?"),
        (["--over", "batch=1.5,2"], "whole number"),
        (["--over", "kv=fp9,fp8"], "not a number format"),
        (["--over", "batch=1,2", "--over", "tp=1,2", "--over", "pp=1,2"], "3 axes"),
        (["--over", "batch=1,2", "--fidelity", "both"], "a sweep has one"),
        (["--over", "batch=1,2", "-o", "sweep.pdf"], "wanted a name ending in html"),
        ([], "--over"),
    ],
)
def test_a_wrong_axis_exits_2(dse, words, said):
    answer = dse("sweep", "h100_sxm", *MODEL, "--tp", "8", *words, "--json")
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err
