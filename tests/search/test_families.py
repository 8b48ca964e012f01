"""Choices of technology as families, and knobs that only some of them have."""

import numpy as np
import pandas as pd
import pytest

from dse.estimate.evaluate import evaluate
from dse.search import designs, runs, settings, study
from dse.specs.errors import SpecError
from tests.search.conftest import read_study

MIXED = """
name = "mixed"
hardware = ["reticle_n3_stacked", "sram_macro_n3"]
model = "llama-3.1-8b"
workload = "chat-8k"

[space]
knobs = "none"

[space.hardware]
"logic" = { choices = ["n3", "n4"] }
"memory.dram" = { choices = ["stacked_dram", "hbm4"] }
"voltage" = ["0.50 V", "0.90 V"]
"memory.dram.layers" = [1, 8]
"memory.dram.areal" = { range = ["2 GB/s/mm2", "60 GB/s/mm2"], scale = "log" }
"memory.dram.stacks" = [1, 6]
"link.scale_up.lanes" = { range = [16, 290], scale = "log" }

[space.deployment]
batch = { range = [1, 64], scale = "log2" }
tp = [1, 2, 8, 32]

[search]
sampler = "nsga2"
seed = 3
trials = 48
population = 24
"""
TEMPLATE = """
hardware = ["reticle_n3_stacked", "reticle_n3_hbm4", "sram_macro_n3"]
model = "llama-3.1-8b"
workload = "chat-8k"
[space.hardware]
"""


@pytest.fixture(scope="session")
def mixed(tmp_path_factory):
    """A run over two categories with the knobs each brings."""
    folder = tmp_path_factory.mktemp("mixed")
    (folder / "mixed.toml").write_text(MIXED.replace(', "sram_macro_n3"', ""))
    found = settings.read(str(folder / "mixed.toml"))
    run = runs.start(found, str(folder / "mixed.toml"), folder / "run")
    study.run(found, run)
    return run


KNOBS = {
    "stacked_dram": {"voltage", "link.scale_up.lanes", "memory.dram.layers", "memory.dram.areal"},
    "hbm4": {"voltage", "link.scale_up.lanes", "memory.dram.stacks"},
    None: {"voltage", "link.scale_up.lanes"},
}


def test_each_combination_is_a_family_with_the_knobs_it_has(tmp_path):
    found = read_study(tmp_path, MIXED).space
    assert len(found.families) == 2 * 2 + 2
    for family in found.families:
        memory = dict(family.choices).get("memory.dram.technology")
        assert {axis.path for axis in family.axes} == KNOBS[memory]
    choices = dict(found.choices)
    assert choices == {"logic": ("n3", "n4"), "memory.dram.technology": ("stacked_dram", "hbm4")}
    assert {f.title for f in found.families} >= {"DRAM stacked on logic (logic n4, dram hbm4)"}


def test_a_study_of_two_categories_runs(mixed):
    table = pd.read_parquet(mixed.evaluated)
    assert table["family"].nunique() == 4
    front = mixed.front()
    assert set(front["families"]) >= set(table["family"])
    for design in front["designs"]:
        memory = design["hardware"]["choices"].get("memory.dram.technology")
        assert {knob["path"] for knob in design["hardware"]["knobs"]} == KNOBS[memory]


def test_a_design_of_a_category_evaluates_again_to_what_the_front_says(mixed):
    front = mixed.front()
    for design in (front["designs"][0], front["designs"][-1]):
        chip, choices, model, workload = designs.design_of(mixed, design["id"])
        again = evaluate(chip, model, workload, choices, fidelity="sol", power_scope="system")
        assert float(again.j_per_token) == pytest.approx(design["j_per_token"], rel=1e-9)


def test_parameters_that_a_family_lacks_are_carried_along(tmp_path):
    found = read_study(tmp_path, MIXED).space
    for family in found.families:
        parameters = found.start_parameters(family, 0.5)
        assert set(parameters) == set(found.distributions())
        drawn, values = found.values_of(parameters)
        assert drawn.name == family.name
        np.testing.assert_allclose(values, family.start)


@pytest.mark.parametrize(
    ("choice", "word", "families"),
    [
        ('"logic" = { choices = ["n3", "n2"] }', "logic=n2", 6),
        ('"packaging" = { choices = ["organic", "cowos_s"] }', "packaging=cowos_s", 6),
        ('"cooling" = { choices = ["air", "two_phase"] }', "cooling=two_phase", 6),
        ('"style" = { choices = ["static_dataflow"] }', "style=static_dataflow", 3),
        ('"memory.hbm" = { choices = ["hbm3e", "hbm4"] }', "hbm=hbm3e", 4),
        ('"memory.sram.technology" = { choices = ["sram_macro", "sram_scratchpad"] }',
         "sram=sram_scratchpad", 4),
        ('"link.scale_up" = { choices = ["long_reach", "short_reach"] }', "scale_up=short", 6),
        ('"link.scale_up.topology" = { choices = ["switch", "torus_2d"] }', "topology=torus", 6),
        ('"memory.dram.layers" = { choices = [2, 4] }', "layers=4", 4),
        ('"die" = { choices = ["400 mm2", "800 mm2"] }', "die=400 mm2", 6),
    ],
)  # fmt: skip
def test_every_category_makes_families(choice, word, families, tmp_path):
    found = read_study(tmp_path, TEMPLATE + choice).space
    assert len(found.families) == families
    assert any(word in family.name for family in found.families)
    for family in found.families:
        taken = {path for path, _ in family.choices}
        assert not taken & {axis.path for axis in family.axes}


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ('"memory.hbm" = { choices = ["hbm44"] }', "'hbm44' is not one of the memory; did you"),
        ('"logic" = { choices = [] }', "wanted a list of names or values"),
        ('"logic" = ["n3", "n4"]', "names a technology; wanted { choices"),
        ('"memory.hbm" = { choices = ["gddr7"] }', "state bandwidth; give it a range"),
        ('"memory.dram.stacks" = [1, 8]', "no technology of this study looks at it"),
        ('"memory.dramm" = { choices = ["hbm4"] }', "no chip of this study has it"),
        ("\n".join(f'"{key}" = {{ choices = {values} }}' for key, values in (
            ("logic", ["n2", "n3", "n4", "n5"]), ("cooling", ["air", "cold_plate", "two_phase"]))),
         "36 structures; at most 24"),
    ],
)  # fmt: skip
def test_a_bad_category_is_named(choice, said, tmp_path):
    with pytest.raises(SpecError) as refused:
        read_study(tmp_path, TEMPLATE + choice)
    assert said in "\n".join(refused.value.problems)
    assert len(refused.value.problems) == 1
