"""Yield, die cost and bill of materials against published estimates."""

import math

import pytest

from dse.resources import packaging
from dse.resources.provision import provision

pytestmark = pytest.mark.usefixtures("float64")


def test_dies_per_wafer():
    """300 mm and 814 mm2: 86.8 by area, 23.4 lost at the edge."""
    assert float(packaging.dies_per_wafer(814.0, 300.0)) == pytest.approx(
        math.pi * 150**2 / 814 - math.pi * 300 / math.sqrt(2 * 814)
    )
    assert float(packaging.dies_per_wafer(46225.0, 300.0)) == 1  # a wafer is one part


def test_yield_of_a_repairable_reticle_die(chip):
    """814 mm2, 60 % repairable, 0.08 per cm2: (1 + 0.2605 / 3)^-3 = 0.78."""
    logic = chip("h100_sxm").logic
    assert float(packaging.die_yield(814.0, 0.6, logic)) == pytest.approx(
        (1 + 8.14 * 0.4 * 0.08 / 3) ** -3
    )
    assert float(packaging.die_yield(814.0, 1.0, logic)) == 1


def test_die_of_an_h100(chip):
    assert float(packaging.die_usd(chip("h100_sxm"))) == pytest.approx(324, rel=0.005)


def test_bill_of_materials_of_an_h100(chip):
    """324 + 80 x 16 + 750 + 900 = 3254 USD of parts; assembly loses 3 %; published 3320 USD."""
    bill = {part: float(usd) for part, usd in provision(chip("h100_sxm")).cost_usd.items()}
    kept = 0.97
    parts = (bill["dies"] + bill["memory"] + bill["package"]) * kept + bill["test"]
    assert parts == pytest.approx(3254, rel=0.001)
    assert sum(bill.values()) == pytest.approx(3320, rel=0.01)


def test_bill_of_materials_of_a_b200(chip):
    """Two dies, the 192 GB that are mounted, yield 0.97^2: 5850 USD; published 6400 USD."""
    bill = provision(chip("b200_sxm", {"capacity": "192 GB"})).cost_usd
    assert float(sum(bill.values())) == pytest.approx(5850, rel=0.02)


def test_bonded_layers_cost_area_and_yield(chip):
    """0.12 USD/mm2 a layer on 800 mm2; a failed bond loses the die too."""
    bare = provision(chip("reticle_n3_stacked", {"layers": "1"})).cost_usd
    four = provision(chip("reticle_n3_stacked")).cost_usd
    assert float(four["dies"] / bare["dies"]) == pytest.approx(0.98**-3)
    assert float(four["memory"]) == pytest.approx(4 * 96 / (0.96 * 0.98**4))
