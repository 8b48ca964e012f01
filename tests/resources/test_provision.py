"""The resource table: areas of known dies, and laws over every chip of the library."""

import pathlib

import jax
import numpy as np
import pytest

from dse.resources.provision import provision

pytestmark = pytest.mark.usefixtures("float64")
FOLDER = pathlib.Path(__file__).parents[2] / "hwspecs" / "chips"
CHIPS = sorted(path.stem for path in FOLDER.glob("[!_]*.toml"))


@pytest.mark.parametrize("name", CHIPS)
def test_every_chip_provides_finite_and_positive_resources(name, chip):
    table = provision(chip(name), 8.0)
    for leaf in jax.tree.leaves((table.seconds, table.core_j, table.device_j, table.idle_core_w,
                                 table.idle_device_w, table.area_mm2, table.edge_mm,
                                 table.cost_usd, table.leakage_w, table.refresh_w)):  # fmt: skip
        assert np.isfinite(float(leaf))
        assert float(leaf) >= 0
    rates = {"vector", "exponential", *table.tiers, *table.fabrics}
    assert all(float(table.seconds[name]) > 0 for name in rates)
    assert set(table.core_j) - {"activation"} <= set(table.seconds)


@pytest.mark.parametrize("name", [n for n in CHIPS if "_n3_" in n or n.endswith("_n3")])
def test_design_chips_fit_their_own_floorplan(name, chip):
    hardware = chip(name)
    used = sum(float(area) for area in provision(hardware).area_mm2.values())
    assert used <= hardware.die_mm2 * hardware.dies


# Full dies before harvesting: cores of the product and of the die, HBM sites and stacks mounted,
# registers and scratchpad per core and L2 in MiB, and SRAM area over N5.
# Registers take 1.6, scratchpads 1.1 and L2 1.3 mm2 per MiB on N5; a PCIe port 10.9 mm2.
DIES = {
    "h100_sxm": (132, 144, 6, 5, 0.25, 0.25, 60, 1.0, 1, 791, 814),
    "a100_sxm": (108, 128, 6, 5, 0.25, 0.1875, 48, 1.29, 1, 860, 826),
    "b200_sxm": (148, 160, 8, 8, 0.25, 0.25, 126, 1.0, 2, 2 * 679, 2 * 800),
}


@pytest.mark.parametrize("name", DIES)
def test_area_of_a_shipped_die_as_a_sum_of_its_parts(name, chip):
    """Within 10 % of the real die and of an earlier sum by the same constants.

    Caches and registers of a GPU are no memory tier of its spec, so they are counted here. The
    Blackwell sum is 9 % short of the die: its die-to-die link and tensor memory are not in it.
    """
    active, cores, sites, stacks, registers, scratch, l2, sram, dies, summed, actual = DIES[name]
    area = {part: float(mm2) for part, mm2 in provision(chip(name)).area_mm2.items()}
    logic = (area["arrays"] + area["vector"] + area["control"]) * cores / active
    caches = (cores * (registers * 1.6 + scratch * 1.1) + l2 * 1.3) * sram
    pads = area["hbm"] * sites / stacks + area["scale_up"] + 10.9
    total = logic + caches + pads + area["network"] + area["fixed"]
    assert total == pytest.approx(actual, rel=0.10), dies
    assert total == pytest.approx(summed, rel=0.08)


def test_area_of_h100_arrays_lanes_and_links(chip):
    """270,300 bf16 MACs of 280 um2; 16,896 lanes of 3,300 um2; 18 links of 1.6 mm2."""
    area = provision(chip("h100_sxm")).area_mm2
    assert float(area["arrays"]) == pytest.approx(989.4e12 / 2 / 1.83e9 * 280e-6)
    assert float(area["vector"]) == pytest.approx(16896 * 0.0033)
    assert float(area["scale_up"]) == pytest.approx(18 * (0.97 + 0.63))
    assert float(area["hbm"]) == pytest.approx(5 * (10 + 4))
    assert float(area["control"]) == pytest.approx(132 * 1.1, rel=0.01)


def test_node_factors_on_area_and_energy(chip):
    """N3 logic is 0.72 of N5 in area and 0.68 in energy; SRAM and PHYs hardly shrink."""
    n5, n3 = (provision(chip("reticle_n3_hbm4", {"logic": n})) for n in ("n5", "n3"))
    assert float(n3.area_mm2["arrays"] / n5.area_mm2["arrays"]) == pytest.approx(0.72)
    assert float(n3.core_j["tensor_fp8"] / n5.core_j["tensor_fp8"]) == pytest.approx(0.68)
    assert float(n3.area_mm2["hbm"] - n5.area_mm2["hbm"]) == pytest.approx(-6 * 6 * 0.28)
    assert float(n3.core_j["hbm"]) == pytest.approx(float(n5.core_j["hbm"]))
