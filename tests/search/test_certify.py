"""Bounds against brute force, and the certificate that states them."""

import itertools
import json
from types import SimpleNamespace

import numpy as np
import pytest

from dse.report import certificates
from dse.search import certify, runs, warm
from dse.search.certificate import Level, bound
from dse.search.convex import ConvexForm, violations

LN10 = np.log(10)


@pytest.fixture(scope="session")
def form(tools):
    return ConvexForm(tools[0])


def cell(form):
    return (1.0, 1.0, form.radixes()[0])


def test_the_convex_form_is_convex_and_below_the_model(form, tools, refined_run):
    points = np.random.default_rng(0).integers(0, len(tools[0].grid), 256)
    assert max(violations(form, points, cell(form)).values()) == 0
    logs, rows = refined_run.archive.points * LN10, refined_run.archive.rows
    knobs = [certify.knobs_of(form, row.values) for row in rows]
    places = np.column_stack([knobs, -logs[:, 0]])
    values = form.values(places, np.array([row.point for row in rows]), cell(form))
    assert (values[:, 0] <= -logs[:, 1] + 1e-5).all()
    assert (values[:, 0] >= -logs[:, 1] - 0.03).all()
    assert (values[:, 1:] <= 1e-5).all()


def certified(form, refined_run, row_index, joules_factor=1.0):
    logs, rows = refined_run.archive.points * LN10, refined_run.archive.rows
    row = rows[row_index]
    places = certify.knobs_of(form, row.values)[None]
    level = Level(logs[row_index, 0], -logs[row_index, 1] + np.log(joules_factor))
    every = np.arange(len(form.evaluator.grid))
    return level, bound(form, cell(form), every, places, level)


def test_no_design_is_below_its_bound(form, refined_run, tools):
    """Nor is any of twenty thousand random ones: brute force over the whole small space."""
    level, found = certified(form, refined_run, len(refined_run.archive.rows) // 2)
    assert level.log_joules - found.least == pytest.approx(0, abs=0.04)
    swept = warm.sweep(tools[0], np.random.default_rng(2).uniform(size=(1000, 3)))
    fast = (swept.broken <= 0) & (swept.goals[0] >= level.log_speed)
    assert fast.any()
    assert (-swept.goals[1][fast]).min() >= found.least - 1e-5


def test_a_crippled_front_shows_a_gap(form, refined_run):
    """Pretend the best design found were a fifth worse: the bound does not follow."""
    _, honest = certified(form, refined_run, 2)
    level, found = certified(form, refined_run, 2, joules_factor=1.2)
    assert found.least == pytest.approx(honest.least, abs=0.01)
    assert level.log_joules - found.least > 0.15


def test_a_bound_of_both_goals_holds_and_follows_the_level(form, refined_run, tools):
    """No random design beats a level by more in both; a level made worse by 5 % shows 5 %."""
    logs, rows = refined_run.archive.points * LN10, refined_run.archive.rows
    places = certify.knobs_of(form, rows[2].values)[None]
    every = np.arange(len(form.evaluator.grid))

    def least(shift):
        level = Level(logs[2, 0] - shift, -logs[2, 1] + shift)
        return bound(form, cell(form), every, places, level, both=True).least

    found, worse = least(0.0), least(0.05)
    assert -0.05 < found <= 1e-5
    assert worse == pytest.approx(found - 0.05, abs=0.006)
    swept = warm.sweep(tools[0], np.random.default_rng(2).uniform(size=(1000, 3)))
    goals = swept.goals[:, swept.broken <= 0]
    gains = np.minimum(goals[0] - logs[2, 0], goals[1] - logs[2, 1])
    assert gains.max() <= -found + 1e-5


@pytest.fixture(scope="module")
def certificate(refined_run):
    """Three speeds of the tiny run, and what was said on the way."""
    said = []
    found = certify.certify(refined_run, 3, said.append)
    return found, said


def test_a_certificate_states_gap_and_prices_of_each_level(certificate, refined_run):
    found, said = certificate
    assert len(said) == len(found["levels"]) == 3
    assert found["certified_share"] == 1
    for line in found["levels"]:
        assert 0 < line["j_per_token_bound"] <= line["j_per_token"] * (1 + 1e-9)
        saved = max(1 - line["j_per_token_bound"] / line["j_per_token"], 0)
        assert line["gap"] == pytest.approx(saved, abs=1e-9)
        assert 0 <= line["gap_in_both"] <= line["gap"] + 0.004  # a program stops within 0.3 %
        assert all(price["percent_per_percent"] > 0 for price in line["shadow_prices"])
    assert found["gap_worst"] == max(line["gap"] for line in found["levels"])
    json.dumps(found, allow_nan=False)
    # The bound of a speed is at least as high as that of a lower one.
    least = [line["j_per_token_bound"] for line in found["levels"]]
    assert all(b >= a * 0.99 for a, b in itertools.pairwise(least))


def test_a_price_counts_percent_and_units():
    """0.2 % per percent at 50 mJ/token and 4,000 mm2 is 0.2 x 20 tokens/J over 4,000: 0.001."""
    one = SimpleNamespace(level=Level(0.0, np.log(0.05)), limits={"silicon": (4000.0, "mm**2")})
    price = certify._price("silicon", 0.2, one)
    assert price["per_unit"] == pytest.approx(0.001)
    assert certificates._worth(price) == "0.001 per mm2"
    assert certify._price("unheard", 0.2, one)["per_unit"] is None


def test_tables_of_a_certificate(certificate):
    found, _ = certificate
    assert "better in both goals" in certificates.sentence(found)
    assert "not certified" in certificates.sentence(None)
    assert certificates.levels(found).row_count == 3
    table = certificates.prices(found)
    assert table is not None
    assert table.row_count > 0


def test_the_front_carries_the_certificate(certificate, refined_run):
    found, _ = certificate
    folder = refined_run.folder
    folder.write_certificate(found)
    folder.write_front(refined_run.settings, refined_run.archive, refined_run.evaluators,
                       refined_run.state)  # fmt: skip
    again = runs.Run(folder.folder).front()
    assert again["certificate"]["gap_worst"] == found["gap_worst"]
