"""Sensitivity: elasticities, exchange rates at fixed area and heat, break-even values."""

import pytest

import dse
from dse.estimate.prepare import Choices
from dse.questions.breakeven import break_even, parse_target
from dse.questions.case import GOALS, case_of
from dse.questions.doors import sensitivity_of
from dse.specs.errors import SpecError

LLAMA = ("llama-3.1-70b", "chat-8k")


@pytest.fixture(scope="module")
def design():
    return dse.sensitivity("sram_macro_stacked_n3", *LLAMA, Choices(tp=8, batch=32))


def test_an_elasticity_is_the_payoff_of_the_unchanged_chip(design):
    same = dse.whatif("sram_macro_stacked_n3", *LLAMA, [], Choices(tp=8, batch=32))
    assert design["elasticities"] == same["payoffs"]
    assert design["best_knobs"] == same["best_knobs"]
    assert design["point"] == same["base"]


def test_area_moves_between_parts_and_stays(design):
    found = design["exchange_rates"]
    parts = found["parts"]
    assert {"memory.sram.capacity", "compute.fp8.macs", "link.scale_up.lanes"} <= set(parts)
    row = next(r for r in found["rows"] if r["into"] == "link.scale_up.lanes"
               and r["out_of"] == "memory.sram.capacity")  # fmt: skip
    case = case_of("sram_macro_stacked_n3", *LLAMA, Choices(tp=8, batch=32))
    sizes = {
        path: 1 + sign * parts[path]["step_fraction"]
        for path, sign in (("link.scale_up.lanes", 1), ("memory.sram.capacity", -1))
    }
    changed = case.changed([(path, f"{factor!r}x") for path, factor in sizes.items()])
    before, after = case.estimate(), changed.estimate()
    area = [float(e.limits["floorplan"].used) for e in (before, after)]
    assert area[1] == pytest.approx(area[0], rel=1e-9)
    for goal in GOALS:
        assert row[goal] == pytest.approx(getattr(after, goal) / getattr(before, goal) - 1)
    assert "shoreline" in row["breaks"]


def test_heat_that_binds_is_kept_by_the_rail():
    case = case_of("reticle_n3_hbm4", *LLAMA, Choices(tp=4, batch=32))
    limit = float(case.estimate().limits["heat_flux"].used)
    case = case.changed([("cooling.heat_limit", f"{limit!r} W/mm2")])
    found = sensitivity_of(case)["exchange_rates"]
    assert found["fixed_heat"]
    kept = [row for row in found["rows"] if "heat_flux" not in row["breaks"]]
    lowest = min(row["voltage_v"] for row in found["rows"])
    assert any(row["voltage_v"] != 0.65 for row in kept)
    assert all(row["voltage_v"] == lowest for row in found["rows"] if row not in kept)


def test_shipped_silicon_has_no_area_to_move():
    assert dse.sensitivity("h100_sxm", *LLAMA)["exchange_rates"] is None


# --- break-even ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("hbm.bandwidth", "user_tokens_per_s >= 60"),
        ("scale_up.latency", "tpot <= 15 ms"),
        ("hbm.read", "gain>=0.4x over h200_sxm"),
    ],
)
def test_at_the_break_even_value_the_claim_is_just_true(path, target):
    case = case_of("h100_sxm", *LLAMA, Choices(tp=8, batch=32))
    claim = parse_target(target)
    found = break_even(case, path, claim)
    edges = [found[key] for key in ("upward", "downward") if found[key] is not None]
    assert edges
    for edge in edges:
        at = case.changed([(path, f"{edge / found['value']:.15f}x")]).estimate()
        over = 1.0
        if claim.over:
            other = case_of(claim.over, *LLAMA, Choices(batch=32), "calibrated")
            over = float(claim.metric.of(other.estimate()))
        assert float(claim.metric.of(at)) / over == pytest.approx(claim.value, rel=1e-6)


def test_a_claim_that_never_fails_says_so():
    case = case_of("h100_sxm", *LLAMA, Choices(tp=8, batch=32))
    found = break_even(case, "packaging.test", parse_target("tpot<=1 s"))
    assert found["holds_now"]
    assert found["upward"] is found["downward"] is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gain>10 over h100_sxm", "wanted METRIC"),
        ("gian>=10 over h100_sxm", "did you mean gain?"),
        ("gain>=10", "over CHIP"),
        ("tpot<=5 W", "not a unit of this kind"),
        ("user_tokens_per_s>=x", "not a quantity"),
    ],
)
def test_a_claim_that_cannot_be_read_is_answered(text, said):
    with pytest.raises(SpecError, match=said.replace("?", r"\?")):
        parse_target(text)
