"""The rows of the page: every number of every chip has a place, a unit that reads back, a range."""

import pytest

from dse import units
from dse.estimate.prepare import Choices
from dse.explore import answer, panel
from dse.questions.case import case_of
from dse.questions.knobs import knobs_of, with_rail
from dse.specs import load

CHIPS = ("h100_sxm", "tpu_v6e", "reticle_n3_stacked", "sram_macro_n3", "groq_lp30", "wse3")


@pytest.fixture(scope="module")
def case(float64):
    def named(chip):
        return case_of(chip, "phi-3-mini", "chat-1k", Choices(tp=1, batch=1))

    return named


@pytest.mark.parametrize("chip", CHIPS)
def test_every_number_has_one_row_whose_unit_reads_back(chip, case):
    made = case(chip)
    groups = panel.panel(answer.side(made))["groups"]
    rows = [row for group in groups for row in group["rows"]]
    paths = [row["path"] for row in rows]
    assert len(set(paths)) == len(paths)
    known = {knob.path for knob in knobs_of(made.chip, with_rail(made.chip.spec))}
    assert known <= set(paths)
    for row in rows:
        written = f"{row['value'] * row['factor']!r}{row['unit']}"
        unit = load.numeric_unit(made.chip, row["path"])
        assert units.parse(written, unit) == pytest.approx(row["value"], rel=1e-12), row["path"]
        assert row["about"], row["path"]
        if row["from"] is not None:
            assert 0 < row["from"] <= row["value"] <= row["to"], row["path"]
            assert row["from"] < row["to"]
        if row["low"] is not None and row["from"]:
            assert row["from"] <= max(row["low"], row["from"]) <= row["to"]


def test_what_follows_a_law_can_be_set(case):
    """A clock and a bandwidth left unset are rows too, at what they follow."""
    made = case("reticle_n3_hbm4")
    groups = panel.panel(answer.side(made))["groups"]
    rows = {row["path"]: row for group in groups for row in group["rows"]}
    for path in ("clock", "memory.hbm.bandwidth"):
        assert rows[path]["follows"]
        text = f"{rows[path]['value'] * rows[path]['factor']!r}{rows[path]['unit']}"
        again = made.changed([(path, text)])
        assert again.estimate().user_tokens_per_s == pytest.approx(
            float(made.estimate().user_tokens_per_s)
        )


def test_values_that_differ_are_told_and_no_others(case):
    made = case("h100_sxm")
    changed = made.changed([("voltage", "0.7V"), ("hbm.bandwidth", "2x")])
    found = panel.values(answer.side(made), answer.side(changed))
    assert found.keys() == {"voltage", "memory.hbm.bandwidth", "clock"}
    assert found["memory.hbm.bandwidth"] == pytest.approx(6.7e12)
    assert panel.values(answer.side(made), answer.side(made)) == {}


def test_another_technology_moves_its_numbers(case):
    made = case("h100_sxm")
    changed = made.changed([("memory.hbm.technology", "hbm3e")])
    found = panel.values(answer.side(made), answer.side(changed))
    assert "memory.hbm.technology.stack_capacity" in found


def test_paths_read_as_people_say_them():
    assert panel.label("memory.hbm.technology.read") == "hbm read"
    assert panel.label("link.scale_up.latency_per_doubling") == "scale up latency per doubling"
    assert panel.label("sram_voltage") == "sram voltage"
