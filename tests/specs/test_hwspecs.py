"""Every file of the hardware library loads, and every number says where it is from."""

import pathlib

import pytest

from dse import units
from dse.resources import provision
from dse.specs import library, load, overrides, schema, technology

TECHNOLOGIES = {
    "logic": technology.LogicProcess,
    "memory": technology.MemoryTechnology,
    "links": technology.LinkTechnology,
    "packaging": technology.Packaging,
    "cooling": technology.Cooling,
    "styles": technology.ExecutionStyle,
    "frameworks": technology.Framework,
}
FOLDER = pathlib.Path(__file__).parents[2] / "hwspecs"
CHIPS = sorted(p.stem for p in (FOLDER / "chips").glob("*.toml") if not p.stem.startswith("_"))
FILES = [
    (kind, path.stem)
    for kind in TECHNOLOGIES
    for path in sorted((FOLDER / kind).glob("*.toml"))
    if not path.stem.startswith("_")
]
DESIGNS = [
    "reticle_n3_hbm4",
    "reticle_n3_stacked",
    "sram_macro_n3",
    "sram_macro_stacked_n3",
    "half_reticle_n4_stacked",
]


def read(kind, name):
    """A technology as a module, the record of its numbers, and its files."""
    tree, _, files = load.inherited(kind, library.locate(kind, name))
    record = {}
    tree = load.resolved(tree, TECHNOLOGIES[kind], files, name)
    model = schema.model_of(TECHNOLOGIES[kind]).model_validate(tree)
    return schema.build(model, "", record), record, files


def unsourced(record, files):
    """Numbers without a known source, and estimates without a range."""
    known = set(library.sources())
    for file in files:
        known |= set(library.read_file(file).meta.get("sources", {}))
    lost = [path for path, v in record.items() if v.source not in known | {"estimate"}]
    return lost + [p for p, v in record.items() if v.source == "estimate" and v.low is None]


@pytest.mark.parametrize(("kind", "name"), FILES)
def test_each_number_of_a_technology_has_a_source_and_estimates_a_range(kind, name):
    _, record, files = read(kind, name)
    assert record
    assert unsourced(record, files) == []


@pytest.mark.parametrize("name", CHIPS)
def test_each_number_of_a_chip_has_a_source_and_estimates_a_range(name):
    chip = load.load("chips", name)
    assert unsourced(chip.record, chip.files) == []
    assert chip.title != name, "a chip has a name for people"


def test_estimate_is_no_listed_source_and_each_source_has_a_kind_and_a_title():
    sources = library.sources()
    assert "estimate" not in sources
    for name, entry in sources.items():
        assert {"kind", "title"} <= set(entry), name


def test_no_alias_means_two_chips():
    owner = {}
    for name in CHIPS:
        meta = library.read_file(library.locate("chips", name)).meta
        for alias in [name, *meta.get("aliases", [])]:
            assert owner.setdefault(alias.lower(), name) == name, alias


@pytest.mark.parametrize("name", DESIGNS)
def test_each_knob_of_a_design_chip_exists_and_its_default_lies_in_its_range(name):
    chip = load.load("chips", name)
    found = overrides.paths(chip.tree, type(chip.spec))
    places = {path: (table, key) for path, table, key in found}
    assert chip.meta["knobs"]
    for path, knob in chip.meta["knobs"].items():
        assert path in places, path
        assert knob["scale"] in ("log", "linear")
        assert knob["coupled"]
        unit = load.numeric_unit(chip, path)
        low, high = (units.parse(end, unit) for end in knob["range"])
        assert low < high
        if path in chip.record:
            assert low <= chip.record[path].number <= high, path


@pytest.mark.parametrize("name", DESIGNS)
def test_a_design_chip_fits_its_die_and_its_edge(name):
    chip = load.load("chips", name).spec
    table = provision.provision(chip)
    assert sum(float(v) for v in table.area_mm2.values()) <= chip.die_mm2 * chip.dies
    perimeter = 4 * chip.die_mm2**0.5
    edge = sum(float(v) for v in table.edge_mm.values())
    assert edge <= chip.packaging.edge_fraction * perimeter
    assert float(table.clock_hz) <= float(table.clock_limit_hz) * (1 + 1e-6)


@pytest.mark.parametrize(
    ("node", "energy", "sram", "area", "macro"),
    [
        ("n7", 1.43, 1.3, 1.51, 1.29),
        ("n4", 1.0, 1.0, 1.0, 1.0),
        ("n3", 0.68, 0.92, 0.72, 0.97),
        ("n2", 0.50, 0.85, 0.62, 0.84),
    ],
)
def test_nodes_scale_from_n5(node, energy, sram, area, macro):
    n5, scaled = read("logic", "n5")[0], read("logic", node)[0]
    assert scaled.energy_scale == pytest.approx(energy * n5.energy_scale)
    assert scaled.sram_read_j_per_byte == pytest.approx(sram * n5.sram_read_j_per_byte)
    assert scaled.area_scale == pytest.approx(area * n5.area_scale)
    assert scaled.macro_mm2_per_byte == pytest.approx(macro * n5.macro_mm2_per_byte)


def test_six_hbm4_stacks_give_12_3_terabytes_per_second():
    chip = load.load("chips", "reticle_n3_hbm4").spec
    table = provision.provision(chip)
    assert float(table.tiers["hbm"].bytes_per_s) == pytest.approx(12.288e12, rel=1e-6)
    assert float(table.tiers["hbm"].capacity_bytes) == pytest.approx(216e9, rel=1e-6)


def test_four_stacked_layers_give_61_gigabytes_at_8_6_terabytes_per_second():
    chip = load.load("chips", "reticle_n3_stacked").spec
    table = provision.provision(chip)
    assert float(table.tiers["dram"].bytes_per_s) == pytest.approx(8.6e12, rel=1e-6)
    # 4 layers x 800 mm2 x 0.02 GB/mm2, less the share that 8.6 TB/s takes of 60 GB/s/mm2.
    expected = 4 * 800 * 0.02e9 * (1 - 8.6e12 / (4 * 800 * 60e9))
    assert expected == pytest.approx(61.1e9, rel=1e-3)
    assert float(table.tiers["dram"].capacity_bytes) == pytest.approx(expected, rel=1e-5)


def test_600_megabytes_at_the_macros_read_a_petabyte_per_second():
    chip = load.load("chips", "sram_macro_n3").spec
    table = provision.provision(chip)
    assert float(table.tiers["sram"].bytes_per_s) == pytest.approx(1e15, rel=0.03)


def test_measured_exchanges_on_switched_gpus():
    hopper = load.load("chips", "h100_sxm").spec.link["scale_up"]
    blackwell = load.load("chips", "gb200_nvl72").spec.link["scale_up"]
    assert hopper.latency_s + 2 * hopper.latency_per_doubling_s == pytest.approx(3.4e-6)
    doublings = 5.17  # from 2 to 72 chips
    at_72 = blackwell.latency_s + doublings * blackwell.latency_per_doubling_s
    assert at_72 == pytest.approx(6.5e-6, rel=0.01)


@pytest.mark.parametrize("name", [n for n in DESIGNS if "stacked" in n])
def test_a_stacked_design_meets_its_heat_limit_with_memory_busy(name):
    chip = load.load("chips", name).spec
    table = provision.provision(chip)
    streams = sum(
        float(tier.bytes_per_s) * (float(table.core_j[key]) + float(table.device_j[key]))
        for key, tier in table.tiers.items()
    )
    # Half of the DRAM traffic is KV cache at 15 MACs per bit (Kimi-K2.5), 2 flops each.
    flops = float(table.tiers["dram"].bytes_per_s) * 0.5 * 8 * 15 * 2
    standing = sum(float(w) for w in table.idle_core_w.values()) + float(table.gated_clock_w)
    standing += sum(float(w) for w in table.refresh_w.values())
    leakage = 1.65 * float(table.leakage_w)  # 80 degC over the reference 60 degC
    heat_w = streams + flops * float(table.core_j["tensor_fp8"]) + standing + leakage
    limit = chip.memory["dram"].technology.heat_limit_w_per_mm2
    assert heat_w / chip.die_mm2 <= limit
