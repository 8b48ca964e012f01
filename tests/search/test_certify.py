"""Bounds against brute force, and the certificate that states them."""

import itertools
import json
from types import SimpleNamespace

import numpy as np
import pytest

from dse.report import certificates
from dse.search import aims, certify, polish, runs, sweeps
from dse.search.certificate import Level, Tree
from dse.search.convex import violations

LN10 = np.log(10)


def test_the_convex_form_is_convex_and_below_the_model(form, refined_run):
    drawn = form.drawn(512, np.random.default_rng(0))
    assert max(violations(form, drawn).values()) == 0
    logs, rows = refined_run.archive.points * LN10, refined_run.archive.rows
    knobs = [certify.knobs_of(form, row.values) for row in rows]
    places = np.column_stack([knobs, -logs[:, 0]])
    values = form.values(places, form.roots(0.0, np.array([row.point for row in rows])))
    assert (values[:, 0] <= -logs[:, 1] + 1e-5).all()
    assert (values[:, 0] >= -logs[:, 1] - 0.03).all()
    assert (values[:, 1:] <= 1e-5).all()


def grown(form, refined_run, row_index, joules_factor=1.0, both=0.0):
    """A tree at the level of a design found, made worse by a factor or by a shift in both goals."""
    logs, rows = refined_run.archive.points * LN10, refined_run.archive.rows
    place = certify.knobs_of(form, rows[row_index].values)
    level = Level(logs[row_index, 0] - both,
                  -logs[row_index, 1] + both + np.log(joules_factor))  # fmt: skip
    tree = Tree(form, form.roots(-level.log_speed), place, level)
    if both:
        tree.ask_for_both(level)
    tree.grow(level, 500)
    return level, tree


def test_no_design_is_below_its_bound(form, refined_run, tools):
    """Nor is any of twenty thousand random ones: brute force over the whole small space."""
    level, tree = grown(form, refined_run, len(refined_run.archive.rows) // 2)
    found = tree.worst
    assert level.log_joules - found.least == pytest.approx(0, abs=0.005)
    swept = sweeps.sweep(tools[0], np.random.default_rng(2).uniform(size=(1000, 3)))
    fast = (swept.broken <= 0) & (swept.goals[0] >= level.log_speed)
    assert fast.any()
    assert (-swept.goals[1][fast]).min() >= found.least - 1e-5


def test_a_crippled_front_shows_a_gap(form, refined_run):
    """Pretend the best design found were a fifth worse: the bound does not follow."""
    honest, tree = grown(form, refined_run, 2)
    assert honest.log_joules - tree.worst.least < 0.01
    level, tree = grown(form, refined_run, 2, joules_factor=1.2)
    assert level.log_joules - tree.worst.least > 0.17
    assert tree.leaves[0].least == tree.worst.least


def test_a_bound_of_both_goals_holds_and_follows_the_level(form, refined_run, tools):
    """No random design beats a level by more in both; a level made worse by 5 % shows 5 %."""
    level, tree = grown(form, refined_run, 2, both=0.05)
    found = tree.worst.least
    assert -0.06 < found <= -0.045
    swept = sweeps.sweep(tools[0], np.random.default_rng(2).uniform(size=(1000, 3)))
    goals = swept.goals[:, swept.broken <= 0]
    gains = np.minimum(goals[0] - level.log_speed, goals[1] + level.log_joules)
    assert gains.max() <= -found + 1e-5


def test_a_search_of_ten_steps_shows_a_large_gap(form, tools, refined_run):
    """Ten steps from random designs leave what the certificate then finds."""
    evaluator, polisher = tools
    level, _ = grown(form, refined_run, 2)
    rng = np.random.default_rng(5)
    shares, at = rng.uniform(size=(3, 3)), rng.integers(0, len(evaluator.grid), 3)
    wanted = aims.together([aims.level_aim(np.array([level.log_speed, -np.inf]))] * 3)
    moved = polisher(shares, at, wanted, polish.Pace(10, 0.02)).shares
    swept = sweeps.sweep(evaluator, moved)
    good = (swept.broken <= 0) & (swept.goals[0] >= level.log_speed)
    crippled = Level(level.log_speed, float(-swept.goals[1][good].max()))
    place = certify.knobs_of(form, refined_run.archive.rows[2].values)
    tree = Tree(form, form.roots(-level.log_speed), place, crippled)
    tree.grow(crippled, 500)
    gap = crippled.log_joules - tree.worst.least
    assert gap > 0.05
    assert gap >= crippled.log_joules - level.log_joules - 1e-5


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
        assert 0 <= line["gap_in_both"] <= line["gap"] + 0.003  # a branch is left within 0.2 %
        assert all(price["percent_per_percent"] > 0 for price in line["shadow_prices"])
        low, high = line["j_per_token_band"]
        assert low < line["j_per_token"] < high
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
    # Here knobs end at their bounds, and of limits only the laws of clock and pace bind.
    assert certificates.prices(found) is None
    price = {"limit": "silicon", "percent_per_percent": 0.2, "per_unit": 0.001, "unit": "mm**2"}
    priced = found | {"levels": [line | {"shadow_prices": [price]} for line in found["levels"]]}
    table = certificates.prices(priced)
    assert table is not None
    assert table.row_count == 3


def test_the_front_carries_the_certificate(certificate, refined_run):
    found, _ = certificate
    folder = refined_run.folder
    folder.write_certificate(found)
    folder.write_front(refined_run.settings, refined_run.archive, refined_run.evaluators,
                       refined_run.state)  # fmt: skip
    again = runs.Run(folder.folder).front()
    assert again["certificate"]["gap_worst"] == found["gap_worst"]
