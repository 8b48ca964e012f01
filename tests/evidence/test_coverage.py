"""Bands of predictions hold what was measured, on shipped rows of few structures."""

import pytest

from dse.evidence import coverage, tables, validate
from dse.questions import ranges
from dse.specs import load

CHIPS = ("a100_sxm", "h100_sxm", "b200_sxm")


@pytest.fixture(scope="module")
def rows():
    """Llama-3.1 on three chips: one structure but for splits."""
    points, _ = validate.read_points(tables.shipped().rows)
    some = [p for p in points if p.model.startswith("llama-3.1") and p.chip in CHIPS]
    return coverage.coverage(some, draws=32)


def test_an_80_percent_band_holds_most_rows(rows):
    times = [row for row in rows if row["metric"] == "tpot_s"]
    (share,) = coverage.shares(times, ("metric",))
    assert share["n"] >= 25
    assert 0.6 <= share["held"] <= 0.97  # all 361 rows: 78 %; Llama-70B 60 %
    assert all(0 < row["low"] < row["high"] for row in rows)


def test_shares_by_hand():
    rows = [
        {"chip": "a", "holds": True},
        {"chip": "a", "holds": False},
        {"chip": "b", "holds": True},
    ]
    assert coverage.shares(rows, ("chip",)) == [{"chip": "a", "n": 2, "held": 0.5},
                                                {"chip": "b", "n": 1, "held": 1.0}]  # fmt: skip


def test_chips_that_no_fit_saw_have_wider_bands():
    seen, sibling = (dict(ranges.fit_of(load.load("chips", name)).left_over)
                     for name in ("h100_sxm", "h200_sxm"))  # fmt: skip
    assert all(sibling[metric] > seen[metric] for metric in seen)


def test_every_fitted_constant_is_one_of_the_chip():
    for chip in ("a100_sxm", "h100_sxm", "gb200_nvl72", "mi300x", "rtx_4090", "m1_max"):
        loaded = load.load("chips", chip)
        fit = ranges.fit_of(loaded)
        paths = {knob.path for knob in ranges.uncertain(loaded)}
        assert {"style.memory", "style.framework.kernel_factor"} <= fit.constants
        assert fit.constants <= paths
        assert all(a in fit.constants and b in fit.constants for a, b, _ in fit.correlations)
