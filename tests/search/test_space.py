import jax
import numpy as np
import pytest

from dse.resources import logic
from dse.search import settings, space
from dse.specs import load


@pytest.fixture(scope="module")
def two_goals():
    return settings.read("two-goals").space


def test_an_axis_maps_its_range_onto_the_unit_cube():
    axis = space.Axis("die", "die", "mm**2", 100.0, 800.0, log=True)
    assert axis.from_unit_cube(0.0) == 100
    assert axis.from_unit_cube(1 / 3) == pytest.approx(200)  # 8x over three octaves
    assert axis.unit_cube(400.0) == pytest.approx(2 / 3)
    assert axis.bound_hit(800.0) == "high"
    assert axis.bound_hit(100.5) == "low"
    assert axis.bound_hit(300.0) is None


def test_counts_are_whole(two_goals):
    whole = {axis.path for axis in two_goals.parameters if axis.whole}
    assert "memory.hbm.stacks" in whole
    assert "memory.dram.layers" in whole
    assert "compute.fp8.macs" not in whole


def test_held_paths_are_no_axes(two_goals):
    paths = {axis.path for axis in two_goals.parameters}
    assert not paths & {"dies", "on_chip.dependent_cycles"}


def test_families_share_the_axes_they_have_in_common(two_goals):
    names = [axis.name for axis in two_goals.parameters]
    assert len(names) == len(set(names))
    assert names.count("voltage") == 1
    assert set(two_goals.distributions()) == {*names, "hardware", "serve_level"}


def test_starting_parameters_give_the_chip_of_the_file(two_goals):
    for family in two_goals.families:
        parameters = two_goals.start_parameters(family, 0.0)
        drawn, values = two_goals.values_of(parameters)
        assert drawn.name == family.name
        np.testing.assert_allclose(values, family.start)


def test_leaves_are_set_where_their_path_says():
    spec = load.load("chips", "reticle_n3_stacked").spec
    moved = space.with_leaves(spec, {"voltage": 0.6, "memory.dram.layers": 2.0})
    assert moved.voltage_v == 0.6
    assert moved.memory["dram"].layers == 2
    assert moved.die_mm2 == spec.die_mm2
    assert space.leaf_of(moved, "memory.dram.layers") == 2
    assert space.field_path(type(spec), "memory.dram.areal").endswith("_bytes_per_s_per_mm2")


def test_a_clock_above_the_limit_of_its_voltage_is_lowered_to_it():
    spec = load.load("chips", "reticle_n3_stacked").spec
    fast = space.with_leaves(spec, {"voltage": 0.55, "clock": 2.2e9})
    slow = space.with_leaves(spec, {"voltage": 0.55, "clock": 0.3e9})
    with jax.enable_x64(True):
        limit = float(logic.clock_limit_hz(fast, 0.55))
        assert float(space.settled(fast).clock_hz) == limit
        assert float(space.settled(slow).clock_hz) == 0.3e9


def test_a_categorical_choice_makes_one_family_each(tmp_path):
    file = tmp_path / "study.toml"
    file.write_text(
        """
hardware = ["reticle_n3_hbm4", "reticle_n3_stacked"]
model = "llama-3.1-8b"
workload = "chat-8k"

[space.hardware]
"memory.hbm.technology" = { choices = ["hbm3e", "hbm4"] }
"memory.hbm.stacks" = [1, 8]
""",
        "utf-8",
    )
    found = settings.read(str(file)).space
    assert [family.base for family in found.families].count("reticle_n3_hbm4") == 2
    assert len(found.families) == 3
    assert found.distributions()["memory.hbm.technology"].choices == ("hbm3e", "hbm4")
