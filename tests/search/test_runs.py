import pytest

import dse
from dse.cli.main import main
from dse.search import runs
from dse.search.settings import OBJECTIVES
from dse.specs.errors import SpecError


@pytest.fixture
def here(done, monkeypatch):
    monkeypatch.chdir(done.folder.parent)
    return done


@pytest.mark.parametrize("which", ["high", "low", "knee"])
def test_a_design_of_a_run_evaluates_to_what_the_front_says(here, which):
    design = runs.design(here, which)
    found = runs.design_of(here.name, which)
    estimate = dse.evaluate(*_ordered(found), fidelity="sol")
    for goal in OBJECTIVES:
        assert float(getattr(estimate, goal)) == pytest.approx(design[goal], rel=1e-9)


def _ordered(found):
    chip, choices, model, workload = found
    return chip, model, workload, choices


def test_an_exported_chip_evaluates_to_what_the_front_says(here, tmp_path):
    file = tmp_path / "chip.toml"
    assert main(["pareto", "export", here.name, "--hw", "knee", "-o", str(file)]) == 0
    design = runs.design(here, "knee")
    choices = dse.Choices(**design["deployment"])
    estimate = dse.evaluate(str(file), "llama-3.1-8b", "chat-8k", choices, fidelity="sol")
    for goal in OBJECTIVES:
        assert float(getattr(estimate, goal)) == pytest.approx(design[goal], rel=1e-6)
    assert estimate.to_dict()["feasible"]


def test_names_of_runs_and_designs_are_found_or_the_nearest_is_named(here):
    assert runs.find(str(here.folder)).name == here.name
    with pytest.raises(SpecError, match="is not a run"):
        runs.find("no-such-run")
    with pytest.raises(SpecError, match="is no design"):
        runs.design(here, "0.99999")
    run, identifier = runs.parse_reference(f"{here.name}#low")
    assert (run.name, identifier) == (here.name, "low")
    with pytest.raises(SpecError, match="RUN#ID"):
        runs.parse_reference("two-goals")


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "state.json"
    runs.write_json(path, {"trials": 1})
    with pytest.raises(ValueError, match="JSON"):
        runs.write_json(path, {"trials": float("nan")})
    assert path.read_text() == '{\n "trials": 1\n}\n'
    assert [p.name for p in tmp_path.iterdir()] == ["state.json"]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.55, "volt", "0.55 V"),
        (1.5e12, "byte / second", "1500000000000.0 B/s"),
        (4e9, "byte / second / mm**2", "4000000000.0 B/s/mm2"),
        (3.0, None, "3.0"),
    ],
)
def test_quantities_are_written_as_spec_files_write_them(value, unit, text):
    from dse import units

    assert runs.quantity(value, unit) == text
    assert units.parse(text, unit) == value
