"""What-if as a library: no change is none, changes are those of the model, payoffs hold."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dse
from dse.estimate.prepare import Choices
from dse.questions import doors, optimum, ranges
from dse.questions.case import GOALS, case_of
from dse.questions.knobs import Knob
from dse.questions.slopes import slopes

CHOICES = Choices(tp=8, batch=32)
LLAMA = ("llama-3.1-70b", "chat-8k")
POINTS = {
    "h100, calibrated": ("h100_sxm", *LLAMA, CHOICES, "calibrated"),
    "HBM4": ("reticle_n3_hbm4", *LLAMA, Choices(tp=4, batch=32), "sol"),
    "stacked, experts": ("reticle_n3_stacked", "gpt-oss-120b", "chat-8k",
                         Choices(tp=2, batch=16, ep=2), "sol"),
    "SRAM over DRAM": ("sram_macro_stacked_n3", *LLAMA, Choices(tp=8, batch=32), "sol"),
}  # fmt: skip


@pytest.fixture(scope="module")
def doubled():
    return dse.whatif("h100_sxm", *LLAMA, ["hbm.bandwidth=2x"], CHOICES, fidelity="sol")


def test_no_change_is_exactly_none():
    found = dse.whatif("h100_sxm", *LLAMA, [], CHOICES, curve=True)
    assert found["base"] == found["changed"]
    assert (found["changes"], found["moved"]) == ([], [])
    for name, row in found["comparison"].items():
        rows = row.values() if name in ("time_breakdown_s", "energy_breakdown_j") else [row]
        for pair in rows if name != "limits" else []:
            assert pair["difference"] == 0.0
            assert pair["change_fraction"] in (0.0, None if pair["base"] else 0.0)
    for goal in GOALS:
        assert found["range"][goal]["change_fraction"] == [0.0, 0.0]
    for key in ("at_equal_user_speed", "at_equal_efficiency"):
        assert [row["change_fraction"] for row in found["curve"][key]] == [0.0] * 5


def test_twice_the_bandwidth_of_an_h100_by_hand(doubled):
    """Llama-3.1-70B, fp8, 8 chips, batch 32 of 8192 tokens: halve what memory takes, no more."""
    per_layer = 2 * 8192 * 8192 + 2 * 8192 * 1024 + 3 * 8192 * 28672
    weights = 80 * per_layer + 8192 * 128256  # bytes: one per parameter, the head too
    cache = 32 * 80 * 2 * 1024 * 8192  # bytes read: 2 x 8 heads x 128, one byte each
    memory_s = (weights + cache) / (8 * 3.35e12)
    base, changed = doubled["base"], doubled["changed"]
    read = [sum(e["time_breakdown_s"][k] for k in ("weights", "kv_cache")) for e in (base, changed)]
    assert read[0] == pytest.approx(memory_s, rel=2e-3)
    assert read[1] == pytest.approx(read[0] / 2, rel=1e-12)
    rest = base["step_s"] - read[0]
    row = doubled["comparison"]["tpot_s"]
    assert row["changed"] == pytest.approx(read[0] / 2 + rest, rel=1e-12)
    assert row["difference"] == pytest.approx(-memory_s / 2, rel=2e-3)
    speed = doubled["comparison"]["user_tokens_per_s"]
    assert speed["change_fraction"] == pytest.approx(base["step_s"] / row["changed"] - 1)
    assert doubled["base"]["bottleneck"] == "memory bandwidth"
    assert doubled["waits"]["base"]["memory bandwidth"] == pytest.approx(read[0] / base["step_s"])


def test_breakdowns_of_the_difference_add_up(doubled):
    found = doubled["comparison"]
    for table, whole in (("time_breakdown_s", "tpot_s"), ("energy_breakdown_j", "j_per_token")):
        parts = sum(pair["difference"] for pair in found[table].values())
        assert parts == pytest.approx(found[whole]["difference"], rel=1e-9)


def test_the_clock_follows_the_voltage_and_is_said_to():
    found = dse.whatif("h100_sxm", *LLAMA, ["voltage=0.7 V"], CHOICES)
    moved = {item["name"]: item for item in found["moved"]}
    assert moved["clock"]["changed"] == found["changed"]["clock_hz"] < found["base"]["clock_hz"]
    assert moved["clock"]["because"] == "the limit at 0.70 V"
    assert {"junction", "leakage", "clock tree"} <= set(moved)
    assert "voltage" not in moved  # set, not followed
    assert found["best_knobs"]["system_tokens_per_s_per_w"]["path"] == "voltage"


def test_what_is_held_is_that_of_the_base():
    """Half the memory would need more chips; the split stays that of the base."""
    found = dse.whatif("h100_sxm", *LLAMA, ["hbm.capacity=0.5x"])
    assert found["base"]["tp"] == found["changed"]["tp"] == 2
    assert found["base"]["feasible"]
    assert not found["changed"]["feasible"]


def test_a_workload_that_is_changed_changes_the_batch():
    found = dse.whatif("h100_sxm", *LLAMA, ["workload.batch=8", "model.kv=bf16"], Choices(tp=8))
    assert [found[side]["batch"] for side in ("base", "changed")] == [32, 8]
    assert found["changed"]["kv"] == "bf16"
    assert [c["path"] for c in found["changes"]] == ["model.kv", "workload.batch"]


@given(st.floats(0.3, 3.0))
@settings(max_examples=10, deadline=None)
def test_there_and_back_is_where_one_started(factor):
    case = case_of("h100_sxm", *LLAMA, CHOICES)
    there = case.changed([("hbm.bandwidth", f"{factor!r}x")])
    back = there.changed([("hbm.bandwidth", f"{1 / factor!r}x")])
    for goal in GOALS:
        assert getattr(back.estimate(), goal) == pytest.approx(getattr(case.estimate(), goal))


# --- payoffs ------------------------------------------------------------------------------------

KNOBS = {
    "h100, calibrated": ["hbm.bandwidth", "scale_up.latency", "hbm.read", "style.attention",
                         "nominal_voltage", "host.share", "tdp", "scale_up.bandwidth"],
    "HBM4": ["voltage", "hbm.stacks", "scale_up.lanes", "scale_up.lane_rate", "die",
             "on_chip.dependent_cycles", "compute.fp8.macs"],
    "stacked, experts": ["dram.areal", "sram_voltage", "die", "scale_up.phy_latency", "wire"],
    "SRAM over DRAM": ["memory.sram.capacity", "memory.dram.areal", "voltage", "sram.port"],
}  # fmt: skip


@pytest.mark.parametrize("name", POINTS)
def test_payoffs_are_what_one_percent_more_brings(name):
    case = case_of(*POINTS[name])
    steep, before = slopes(case), case.estimate()
    for path in KNOBS[name]:
        if path == "wire":
            path = "on_chip.wire"
        changed = case.changed([(path, "+1%")])
        full = changed.chip.changes[-1][0]
        after, index = changed.estimate(), steep.at(full)
        assert index is not None, full
        for goal in GOALS:
            moved = math.log(getattr(after, goal) / getattr(before, goal)) / math.log(1.01)
            assert steep.goals[goal][index] == pytest.approx(moved, rel=0.03, abs=2e-3), (
                full,
                goal,
            )


def test_at_the_speed_of_light_rates_and_latencies_sum_to_one():
    """Time is homogeneous of degree -1 in rates, and latencies are reciprocal rates (Euler)."""
    steep = slopes(case_of("h100_sxm", *LLAMA, CHOICES, "sol"))
    signs = {"bandwidth": 1, "peak": 1, "lanes": 1, "exponentials": 1, "latency": -1,
             "latency_per_doubling": -1}  # fmt: skip
    whole = sum(
        signs[knob.path.split(".")[-1]] * steep.goals["user_tokens_per_s"][i]
        for i, knob in enumerate(steep.knobs)
        if knob.path.split(".")[-1] in signs and "technology" not in knob.path
    )
    assert whole == pytest.approx(1.0, abs=1e-9)


def test_every_payoff_says_where_its_number_is_from(doubled):
    rows = doubled["payoffs"]
    assert len(rows) > 20
    assert all(row["source"] for row in rows)
    assert {row["group"] for row in rows} >= {"chip", "process", "system"}
    sizes = [max(abs(row[goal]) for goal in GOALS) for row in rows]
    assert sizes == sorted(sizes, reverse=True)


# --- ranges -------------------------------------------------------------------------------------


@given(st.floats(0.01, 1.0), st.floats(0.0, 1.0), st.floats(1.01, 100.0))
def test_draws_stay_in_the_stated_range_and_fill_it(low, place, ratio):
    high = low * ratio
    knob = Knob("x", low + place * (high - low), None, "", "estimate", low, high, 0)
    values = ranges.drawn(knob, np.linspace(0, 1, 101))
    assert (np.diff(values) >= -1e-12 * high).all()
    assert values[[0, -1]] == pytest.approx([low, high])


def test_the_range_holds_the_answer_and_names_the_constants_that_make_it():
    found = dse.whatif("h100_sxm", *LLAMA, ["hbm.bandwidth=2x"], CHOICES, fidelity="calibrated")
    for goal in GOALS:
        spread = found["range"][goal]
        assert all(spread[side][0] < spread[side][1] for side in ("base", "changed"))
        low, high = spread["change_fraction"]
        assert low < found["comparison"][goal]["change_fraction"] < high
    assert (
        found["range"]["user_tokens_per_s"]["telling"][0]["path"]
        == "style.framework.attention_factor"
    )
    assert "constants" in found["range"]["meaning"]


def test_a_designers_choices_are_not_doubts():
    paths = {knob.path for knob in ranges.uncertain(case_of("reticle_n3_hbm4", *LLAMA).chip)}
    assert {"logic.threshold", "compute.fp8.energy", "host.share"} <= paths
    assert not {"voltage", "die", "memory.hbm.stacks", "link.scale_up.lanes", "tdp"} & paths


def test_what_is_set_keeps_its_value_in_the_draws():
    case = case_of("h100_sxm", *LLAMA, CHOICES)
    free, fixed = ranges.spread(case), ranges.spread(case, ["style.framework.attention_factor"])
    assert "style.framework.attention_factor" not in fixed.quantiles
    widths = [np.ptp(found.goals["user_tokens_per_s"]) for found in (free, fixed)]
    assert widths[1] < widths[0]


def test_constants_of_a_fit_go_together_as_it_says():
    paths = ["style.a", "style.b", "other"]
    fit = ranges.StyleFit(frozenset(paths[:2]), (("style.a", "style.b", -0.9),))
    found = ranges.drawn_together(paths, fit, 2000)
    assert np.corrcoef(found["style.a"], found["style.b"])[0, 1] == pytest.approx(-0.89, abs=0.03)
    assert abs(np.corrcoef(found["style.a"], found["other"])[0, 1]) < 0.06
    alone = ranges.drawn_together(["other"], fit, 2000)
    assert np.array_equal(alone["other"], found["other"])


@given(st.floats(0.01, 0.9), st.floats(1.1, 3.0))
def test_nine_tenths_of_a_fitted_constant_lie_in_its_range(value, ratio):
    knob = Knob("x", value, "second", "", "fit", value / ratio, value * ratio, 0)
    values = ranges.normal(knob, (np.arange(2000) + 0.5) / 2000)
    inside = np.mean((values >= knob.low) & (values <= knob.high))
    assert inside == pytest.approx(0.9, abs=0.002)
    share = Knob("x", value, None, "", "fit", value / ratio, 1.0, 0)
    assert ranges.normal(share, np.linspace(0.001, 0.999, 50)).max() <= 1.0


# --- batch and deployment chosen again ----------------------------------------------------------


def test_the_best_batch_is_the_best_of_all_at_that_speed():
    case = case_of("h100_sxm", *LLAMA, Choices(tp=8, batch=32))
    found = doors.compared(case, case, "batch", speed=50.0)
    assert found["basis"] == {"batch": "best", "deploy": "fixed", "speed": 50.0}
    tried = [case.deployed(batch=batch).estimate() for batch in optimum.batches(case)]
    good = [e.system_tokens_per_s_per_w for e in tried
            if e.to_dict()["feasible"] and e.user_tokens_per_s >= 50.0]  # fmt: skip
    assert found["base"]["system_tokens_per_s_per_w"] == pytest.approx(max(good), rel=1e-12)
    assert found["base"]["user_tokens_per_s"] >= 50.0


def test_the_best_deployment_is_at_least_as_good_as_the_best_batch():
    case = case_of("h100_sxm", *LLAMA, CHOICES)
    changed = case.changed([("hbm.bandwidth", "2x")])
    batch, deploy = (doors.compared(case, changed, chosen) for chosen in ("batch", "deploy"))
    for side in ("base", "changed"):
        assert (deploy[side]["system_tokens_per_s_per_w"]
                >= batch[side]["system_tokens_per_s_per_w"])  # fmt: skip
        assert deploy[side]["user_tokens_per_s"] >= deploy["basis"]["speed"] * (1 - 1e-9)
        assert deploy[side]["feasible"]


def test_curves_meet_the_points_they_are_made_of():
    case = case_of("h100_sxm", *LLAMA, CHOICES)
    found = doors.compared(case, case.changed([("hbm.bandwidth", "2x")]), curve=True)["curve"]
    row = next(row for row in found["base"] if row["batch"] == 32)
    assert row["user_tokens_per_s"] == pytest.approx(case.estimate().user_tokens_per_s, rel=1e-12)
    for key in ("at_equal_user_speed", "at_equal_efficiency"):
        assert len(found[key]) == 5
        assert all(row["change_fraction"] > 0 for row in found[key])


# --- what a limit is worth ----------------------------------------------------------------------


def test_the_price_of_power_is_what_more_power_brings():
    case = case_of("h100_sxm", *LLAMA, CHOICES).changed([("tdp", "150 W")])
    (price,) = [p for p in doors.compared(case, case)["shadow_prices"]
                if p["limit"] == "board power"]  # fmt: skip
    assert price["step"] == 1.0  # W
    before, after = case.estimate(), case.changed([("tdp", "151 W")]).estimate()
    for goal in GOALS:
        gain = getattr(after, goal) / getattr(before, goal) - 1
        assert price[goal] == pytest.approx(gain, rel=0.03, abs=1e-6)
    assert price["user_tokens_per_s"] > 0


def test_the_price_of_memory_is_that_of_the_users_it_holds():
    case = case_of("h100_sxm", *LLAMA, Choices(tp=2, batch=44))
    limit = case.estimate().limits["capacity.hbm"]
    case = case.changed([("hbm.capacity", f"{float(limit.used) * 1.001!r} B")])
    (price,) = doors.compared(case, case)["shadow_prices"]
    assert (price["limit"], price["moves"], price["step"]) == ("capacity.hbm", "batch", 1e9)
    design, scenario = case.prepared
    more = dataclasses.replace(design.deployment, batch=44 * 1.001)
    after = case.run(design._replace(deployment=more), scenario)
    before = case.run(design, scenario)
    grown = after.limits["capacity.hbm"].used - before.limits["capacity.hbm"].used
    for goal in GOALS:
        gain = math.log(getattr(after, goal) / getattr(before, goal)) * 1e9 / grown
        assert price[goal] == pytest.approx(gain, rel=0.02)


def test_a_limit_with_room_has_no_price(doubled):
    assert doubled["shadow_prices"] == []
