"""Every study that ships loads, and some deployment of its grid exists."""

import pathlib

import pytest

from dse.search import deployments, settings

FOLDER = pathlib.Path(__file__).parents[2] / "studies"
NAMES = sorted(path.stem for path in FOLDER.glob("*.toml"))
SHARED = ("fidelity", "power_scope", "conventional")


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_study_loads_and_has_deployments_at_its_largest_batch(name):
    study = settings.read(name)
    values = study.deployment | {"batch": study.deployment["batch"][-1:]}
    chip = study.space.families[0].loaded.spec
    assert len(deployments.grid(chip, study.model.spec, study.workload.spec, values)) > 10
    assert study.bound("silicon") is not None


def test_the_flagship_studies_are_asked_alike():
    """Same formats, baselines and scope in all of them, and batches to the capacity wall at 8k."""
    studies = [settings.read(name) for name in NAMES if "moe" in name or "long" in name]
    assert len(studies) >= 4
    for key in SHARED:
        assert len({getattr(study, key) for study in studies}) == 1
    for study in studies:
        assert study.compare_chips == {"h100_sxm": 16}
        assert {chip.name for chip in study.compare} >= {"h100_sxm", "b200_sxm", "gb200_nvl72"}
        if study.workload.name == "chat-8k":
            assert max(study.deployment["batch"]) >= 32768
