"""Published names find their specs; ambiguous and unknown ones say why not."""

import pytest

from dse.evidence import names
from dse.specs import library

# Names of published tables that specs list as aliases: a command line takes them too.
ALIASES = {
    "NVIDIA H200 SXM": "h200_sxm",
    "NVIDIA B200 180GB (DGX)": "b200_sxm",
    "NVIDIA GB300 NVL72": "gb300_nvl72",
    "AMD MI355X": "mi355x",
    "AWS Trainium1 (trn1.32xlarge, 16 chips / 32 NeuronCores)": "trainium1",
    "Apple M3 Max 40-Core GPU 64GB": "m3_max",
    "NVIDIA DGX Spark (GB10, 273 GB/s LPDDR5x)": "dgx_spark",
    "h200_sxm": "h200_sxm",
    "b300_sxm": "b300_sxm",
}
WORDY = {
    "AMD Instinct MI300X 192GB HBM3": "mi300x",
    "NVIDIA A100-SXM4-40GB": "a100_sxm_40gb",
    "Intel(R) Arc Pro(R) B60": "arc_pro_b60",
}


@pytest.mark.parametrize(("written", "chip"), (ALIASES | WORDY).items())
def test_hardware_names(written, chip):
    assert names.chip_of(written).name == chip


@pytest.mark.parametrize(("written", "chip"), ALIASES.items())
def test_an_alias_is_a_name_of_the_library(written, chip):
    assert library.locate("chips", written).stem == chip


@pytest.mark.parametrize(
    ("written", "model"),
    [
        ("openai/gpt-oss-120b", "gpt-oss-120b"),
        ("meta-llama/Llama-3.3-70B-Instruct", "llama-3.1-70b"),
        ("Llama-3.1-405B", "llama-3.1-405b"),
        ("deepseek-ai/DeepSeek-V3 (InferenceX: DeepSeek-R1-0528)", "deepseek-v3"),
        ("DeepSeek-V3/R1 671B", "deepseek-v3"),
        ("Qwen/Qwen3-235B-A22B-Thinking-2507-FP8", "qwen3-235b-a22b"),
        ("Llama-4-Maverick 400B-A17B", "llama-4-maverick"),
    ],
)
def test_model_names(written, model):
    assert names.model_of(written).name == model


def test_a_part_of_a_package_and_an_unknown_chip_say_so():
    assert "part of a package" in names.chip_of("AMD MI250X (one GCD)").reason
    assert "no such chip" in names.chip_of("NVIDIA 3070 8GB").reason
    assert "no such model" in names.model_of("GPT-J 6B").reason


def test_a_name_that_may_be_two_is_left_out(monkeypatch):
    monkeypatch.setattr(names, "_index", lambda kind: {"x1": {"x1_sxm", "x1_pcie"}})
    found = names.chip_of("NVIDIA X1")
    assert found.name is None
    assert "x1_pcie or x1_sxm" in found.reason


def test_what_a_name_says_beside_the_chip():
    assert names.limit_w("NVIDIA A100 SXM 80GB (power limited to 330 W)") == 330
    assert names.limit_w("NVIDIA A100") is None
    assert names.cores_per_chip("AWS Trainium1 (trn1.32xlarge, 16 chips / 32 NeuronCores)") == 2
