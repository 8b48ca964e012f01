"""Gains stated five ways, the ladder, and what carries a gain, on a run of the tiny study."""

import json

import numpy as np
import pytest

from dse.cli.main import main
from dse.search import ladder
from dse.search.gains import best, breakdown, case_of, compared, five_ways, gains

GOAL = "system_tokens_per_s_per_w"


pytestmark = pytest.mark.usefixtures("compiled_once")


@pytest.fixture(scope="module")
def found(finished):
    return gains(finished)


def points(*goals):
    return [
        {"user_tokens_per_s": speed, "system_tokens_per_s_per_w": efficiency}
        for speed, efficiency in goals
    ]


OURS = points((50, 80.0), (400, 40.0), (1000, 8.0))
THEIRS = points((40, 10.0), (300, 4.0))


def test_four_ratios_by_hand():
    ways = five_ways(OURS, THEIRS)
    assert ways["energy"]["ratio"] == 8
    assert ways["energy"]["ours_j_per_token"] == 1 / 80
    assert [item["ratio"] for item in ways["energy_at_speed"]] == [10, 10, None]
    assert ways["top_speed"]["ratio"] == pytest.approx(1000 / 300)
    assert ways["speed_at_equal_energy"]["ratio"] == 10  # 400 over 40 tok/s at 0.1 J or less
    assert ways["speed_at_equal_energy"]["j_per_token"] == 0.1


def test_a_front_that_spends_more_everywhere_has_no_speed_at_equal_energy():
    ways = five_ways(THEIRS, OURS)
    assert ways["speed_at_equal_energy"]["ratio"] is None
    assert ways["energy"]["ratio"] == 1 / 8


def test_shares_have_two_denominators():
    point = {
        "user_tokens_per_s": 10.0, "system_tokens_per_s_per_w": 2.0,
        "energy_breakdown_j": {"weights": 0.118, "kv_cache": 0.08, "communication": 0.002,
                               "host": 0.3},
        "time_breakdown_s": {"weights": 0.05, "kv_cache": 0.03, "compute": 0.03,
                             "communication": 0.8, "overhead": 0.09},
    }  # fmt: skip
    shares = breakdown("talk", point)
    assert shares["movement_fraction"]["weights"] == pytest.approx(0.59)
    assert shares["energy_fraction"]["weights"] == pytest.approx(0.236)
    assert shares["waiting_fraction"]["communication"] == pytest.approx(0.89)
    assert sum(shares["time_fraction"].values()) == pytest.approx(1)


def test_gains_over_the_compared_chip_are_those_of_the_front(found, finished):
    gain = finished.front()["gain"]
    (base,) = found["baselines"]
    assert base["energy"]["ratio"] == pytest.approx(gain["system_tokens_per_s_per_w"]["ratio"])
    assert base["top_speed"]["ratio"] == pytest.approx(gain["user_tokens_per_s"]["ratio"])
    for goal, chance in base["chances"].items():
        assert chance["nominal"] == pytest.approx(gain[goal]["ratio"])
        assert 0 <= chance["at_least_claim"] <= 1
        assert chance["low"] < chance["high"]


def test_a_chip_compared_says_how_many_of_it_are_used(finished):
    """An NVL72 has 72 chips; splits in powers of two use at most 64 of them."""
    curve = {"chip": "gb200_nvl72", "title": "NVL72", "chips_in_domain": 72.0,
             "points": [{"chips": 64.0}, {"chips": 8.0}]}  # fmt: skip
    (base,) = compared({"compare": [curve, curve | {"points": []}]})
    assert base["title"] == "up to 64 x NVL72"
    (base,) = compared(finished.front())
    assert base["title"].endswith(" x NVIDIA H100 SXM")


def test_the_ladder_takes_one_technology_away_at_a_time(found):
    (family,) = found["ladder"]["families"]
    lean, fast = found["ladder"]["taken_away"]
    assert lean["value"] == pytest.approx(family["system_tokens_per_s_per_w"], rel=1e-9)
    assert fast["value"] == pytest.approx(family["user_tokens_per_s"], rel=1e-9)
    words = [rung["without"] for rung in lean["rungs"]]
    assert words == ["no stacked DRAM", "nominal voltage, same clock"]
    assert lean["rungs"][0]["value"] is None  # the study has no family without it


def test_a_constant_at_its_break_even_turns_the_claim(found):
    (base,) = found["baselines"]
    assert {item["over"] for item in found["break_even"]} == {base["title"]}
    for item in found["break_even"]:
        assert item["holds_now"] == (item["now"] >= item["claim"])
        assert item["upward"] is None or item["upward"] > item["value"]
        assert item["downward"] is None or item["downward"] < item["value"]


def test_a_break_even_is_where_the_gain_is_the_claim(finished):
    settings = finished.settings()
    front = finished.front()
    ours = case_of(best(front["designs"], GOAL), "", settings)
    theirs = case_of(best(front["compare"][0]["points"], GOAL), "h100_sxm", settings)
    gain = ladder._Gain(ours, None, theirs, GOAL, "host.share")
    found = gain.turning(0.9 * float(gain(np.array([gain.knob.value]))[0]))
    assert found["downward"] is None  # a smaller host share helps
    there = ours.changed([("host.share", f"{found['upward']!r} W")]).estimate()
    ratio = float(there.system_tokens_per_s_per_w) / float(getattr(theirs.estimate(), GOAL))
    assert ratio == pytest.approx(0.9 * found["now"], rel=1e-4)


def test_the_command_prints_every_part_and_writes_json(found, capsys, tmp_path, monkeypatch, done):
    monkeypatch.setattr("dse.search.gains.gains", lambda run: found)
    assert main(["gains", str(done.folder)]) == 0
    said = capsys.readouterr().out
    for part in ("Gain over each baseline", "The ladder", "without one technology at a time",
                 "Where a token's energy goes", "Break-even", "x H100 SXM"):  # fmt: skip
        assert part in said
    path = tmp_path / "gains.json"
    assert main(["gains", str(done.folder), "-o", str(path)]) == 0
    assert json.loads(path.read_text())["schema"] == "dse.gains/1"
