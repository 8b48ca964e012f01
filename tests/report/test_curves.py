"""Batch curves: the wall, the marked batch, names of other chips, from plain data."""

import pytest

from dse.report.charts import curves


def point(batch, speed, efficiency, breaks=()):
    return {"batch": batch, "user_tokens_per_s": speed, "system_tokens_per_s_per_w": efficiency,
            "feasible": not breaks, "breaks": list(breaks)}  # fmt: skip


@pytest.fixture
def line():
    points = [point(1, 100, 0.1), point(8, 90, 0.7), point(64, 50, 2.0)]
    beyond = [point(2.0**i, 40 - i, 2.1, ["capacity.hbm"]) for i in range(7, 13)]
    return {"name": "chip", "role": "changed", "points": points + beyond, "at": 8}


def test_a_curve_stops_at_its_wall_and_goes_on_faintly(line):
    drawn = curves.drawing({"lines": [line]})
    solid, dotted, wall, ring = drawn["data"]
    assert solid["x"] == [100, 90, 50]
    assert dotted["line"]["dash"] == "dot"
    assert len(dotted["x"]) == curves.MOST_BEYOND + 1  # joined to the last that runs
    assert wall["x"] == [50]
    assert ring["x"] == [90]
    said = [note["text"] for note in drawn["layout"]["annotations"]]
    assert "hbm full by batch 128" in said
    assert "batch 1" in said
    assert "batch 8" not in said  # it is ringed


def test_what_runs_nowhere_and_what_cannot_be_computed_still_draws(line):
    nothing = [point(1, None, None)]
    stopped = [point(1, 100, 0.1, ["heat_flux"]), point(2, 90, 0.2, ["heat_flux"])]
    for points in (nothing, stopped, []):
        drawn = curves.drawing({"lines": [line | {"points": points}]})
        assert drawn["layout"]["xaxis"]["type"] == "log"
    assert curves.figure({"lines": []}).layout.xaxis.type == "log"


def test_other_chips_are_named_beside_their_fast_end(line):
    other = {"name": "Other", "role": "reference", "at": None,
             "points": [point(1, 200, 0.1), point(64, 20, 1.0), point(32, 100, 0.5)]}  # fmt: skip
    drawn = curves.drawing({"lines": [line, other]})
    assert drawn["data"][0]["x"] == [200, 100, 20]  # behind the rest, by speed
    assert not drawn["data"][0]["showlegend"]
    assert "Other" in [note["text"] for note in drawn["layout"]["annotations"]]


def test_axes_end_at_steps_so_that_they_stay_still(line):
    low, high = curves._range([line], "user_tokens_per_s")
    assert (low, high) == (20, 200)
    assert curves._step(0.021, down=True) == pytest.approx(0.02)
    assert curves._step(0.021, down=False) == pytest.approx(0.05)
