import pytest

from dse.search import settings
from dse.specs.errors import SpecError
from tests.search.conftest import read_study

GOOD = """
hardware = "reticle_n3_stacked"
model = "llama-3.1-8b"
workload = "chat-8k"
"""


def problems(tmp_path, text) -> str:
    with pytest.raises(SpecError) as refused:
        read_study(tmp_path, text)
    return "\n".join(refused.value.problems)


def test_a_study_of_three_lines_takes_the_chips_own_knobs(tmp_path):
    study = read_study(tmp_path, GOOD)
    paths = {axis.path for axis in study.space.parameters}
    assert {"voltage", "die", "memory.dram.layers", "link.scale_up.lanes"} <= paths
    assert study.reference_point == (10.0, 1e-3)
    assert study.search.sampler == "gradient"
    assert study.fidelity == "sol"
    assert study.power_scope == "system"


def test_all_problems_of_a_file_are_named_at_once(tmp_path):
    said = problems(
        tmp_path,
        """
hardware = ["reticle_n3_stackd"]
model = "llama-3.1-70bb"
workload = "chat-8k"
fidelity = "sool"

[space.deployment]
batches = [1]
weights = ["fp9"]
tp = [3.5]

[constraints]
chip_powr = "<= 1200 W"
silicon = "<= 3 kg"
die_area = "830 mm2"

[search]
sampler = "nsga"
""",
    )
    for words in (
        "reticle_n3_stacked",
        "llama-3.1-70b",
        "fidelity: 'sool'",
        "batches: unknown choice; did you mean batch?",
        "'fp9' is not a number format",
        "3.5 must be a whole number",
        "chip_powr: unknown metric; did you mean chip_power?",
        "an area",
        "'830 mm2' is not a limit",
        "sampler: 'nsga'",
    ):
        assert words in said, words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GOOD + "goal = 1", "goal: unknown field"),
        (GOOD + "[search]\ntrails = 5", "search.trails: unknown field; did you mean trials?"),
        (GOOD + "[search]\ntrials = 0", "trials"),
        (GOOD + "[search]\nseed = 1.5", "seed"),
        ('model = "llama-3.1-8b"\nworkload = "chat-8k"', "hardware: missing"),
        (GOOD + "[space]\nknobs = 'some'", "space.knobs"),
        (GOOD + "[space]\nhold = ['voltag']", "voltag: no chip of this study has it"),
        (GOOD + "[space.hardware]\nvoltage = ['0.5 V', '80 GB']", "voltage"),
        (GOOD + "[space.hardware]\nvoltage = ['0.9 V', '0.5 V']", "is empty"),
        (GOOD + "[space.hardware]\nvoltage = ['0.7 V', '0.9 V']", "lies outside"),
        (GOOD + "[space.hardware]\nvoltage = '0.7 V'", "wanted [low, high]"),
        (GOOD + "[space.hardware]\n'memory.hbm.stacks' = [1, 8]", "no chip of this study"),
        (GOOD + "[space.hardware]\ndie = { range = ['100 mm2', '830 mm2'], scale = 'ln' }", "'ln'"),
        (GOOD + "[space.deployment]\nbatch = { range = [1.5, 4] }", "whole numbers from 1"),
        (GOOD + "[space.deployment]\nbatch = []", "no values"),
        (GOOD + "[reference_point]\nuser_tokens_per_s = 0", "above zero"),
        (GOOD + "objectives = ['tpot_s']", "objectives"),
    ],
)
def test_bad_study(tmp_path, text, words):
    assert words in problems(tmp_path, text)


def test_constraints_carry_units_and_thousands(tmp_path):
    study = read_study(
        tmp_path, GOOD + '[constraints]\nsilicon = "<= 115,000 mm2"\nload = ">= 0.5"'
    )
    silicon, load = study.constraints
    assert silicon.allowed == 115_000
    assert silicon.margin(230_000) == pytest.approx(1.0)
    assert load.margin(0.25) == pytest.approx(0.5)  # half of what is asked for
    assert study.bound("silicon") == 115_000
    assert study.bound("load") is None


def test_the_shipped_study_reads():
    study = settings.read("two-goals")
    assert len(study.space.families) == 4
    assert study.bound("silicon") == 115_000


def test_a_compared_chip_may_come_with_a_count(tmp_path):
    study = read_study(tmp_path, GOOD + 'compare = ["16 x h100_sxm", "b200_sxm"]\n')
    assert [chip.name for chip in study.compare] == ["h100_sxm", "b200_sxm"]
    assert study.compare_chips == {"h100_sxm": 16}


def test_no_chip_at_all_is_not_compared(tmp_path):
    said = problems(tmp_path, GOOD + 'compare = ["0 x h100_sxm"]\n')
    assert "wanted CHIP, or N x CHIP" in said


def test_the_conventional_arm_names_its_families(tmp_path):
    study = read_study(tmp_path, GOOD + 'conventional = "reticle_n3_stacked"\n')
    assert study.conventional_families == [study.space.families[0].name]


def test_the_conventional_arm_is_a_chip_of_the_space(tmp_path):
    said = problems(tmp_path, GOOD + 'conventional = "reticle_n3_hbm4"\n')
    assert "conventional: 'reticle_n3_hbm4' is unknown" in said
