import json

import jax
import pytest

import dse
from dse.cli.main import main
from dse.search import designs, runs, settings
from dse.search.settings import OBJECTIVES
from dse.specs.errors import SpecError


@pytest.fixture
def here(done, monkeypatch):
    monkeypatch.chdir(done.folder.parent)
    return done


@pytest.mark.parametrize("which", ["high", "low", "knee"])
def test_a_design_of_a_run_evaluates_to_what_the_front_says(here, which):
    design = designs.design(here, which)
    found = designs.design_of(here.name, which)
    estimate = dse.evaluate(*_ordered(found), fidelity="sol")
    for goal in OBJECTIVES:
        assert float(getattr(estimate, goal)) == pytest.approx(design[goal], rel=1e-9)


def _ordered(found):
    chip, choices, model, workload = found
    return chip, model, workload, choices


def test_an_exported_chip_evaluates_to_what_the_front_says(here, tmp_path):
    file = tmp_path / "chip.toml"
    assert main(["pareto", "export", here.name, "--hw", "knee", "-o", str(file)]) == 0
    design = designs.design(here, "knee")
    choices = dse.Choices(**design["deployment"])
    estimate = dse.evaluate(str(file), "llama-3.1-8b", "chat-8k", choices, fidelity="sol")
    for goal in OBJECTIVES:
        assert float(getattr(estimate, goal)) == pytest.approx(design[goal], rel=1e-6)
    assert estimate.to_dict()["feasible"]


def test_an_exported_chip_is_accepted_by_questions_and_studies(here, tmp_path, capsys):
    file = tmp_path / "chip.toml"
    assert main(["pareto", "export", here.name, "--hw", "low", "-o", str(file)]) == 0
    design = designs.design(here, "low")
    flags = [word for name, value in design["deployment"].items()
             for word in (f"--{name}", f"{value:g}")]  # fmt: skip
    asked = [str(file), "--model", "llama-3.1-8b", *flags, "--fidelity", "sol", "--json"]
    capsys.readouterr()
    for verb in ("eval", "whatif"):
        assert main([verb, *asked]) == 0
        found = json.loads(capsys.readouterr().out)
        point = found if verb == "eval" else found["changed"]
        for goal in OBJECTIVES:
            assert point[goal] == pytest.approx(design[goal], rel=1e-6)
    assert found["comparison"]["j_per_token"]["difference"] == 0  # nothing set, nothing changed


def test_a_study_of_an_exported_chip_starts_where_that_chip_stands(here, tmp_path, study_file):
    """The tiny study again, on its own fastest chip: one structure, so nothing new is compiled."""
    file, folder = tmp_path / "chip.toml", tmp_path / "again"
    assert main(["pareto", "export", here.name, "--hw", "low", "-o", str(file)]) == 0
    study = tmp_path / "study.toml"
    text = study_file.read_text("utf-8").replace('["reticle_n3_stacked"]', f'"{file}"')
    study.write_text(text, "utf-8")
    design = designs.design(here, "low")
    (family,) = settings.read(str(study)).space.families
    values = {knob["path"]: knob["value"] for knob in design["hardware"]["knobs"]}
    assert family.start == pytest.approx([values[axis.path] for axis in family.axes])
    assert main(["run", str(study), "--trials", "8", "-o", str(folder)]) == 0
    run = runs.Run(folder)
    assert run.state["trials"] == 8
    fastest = designs.design(run, "low")
    speed = OBJECTIVES[0]
    assert fastest[speed] >= design[speed] * (1 - 1e-6)  # the starting point competes


def test_names_of_runs_and_designs_are_found_or_the_nearest_is_named(here):
    assert runs.find(str(here.folder)).name == here.name
    with pytest.raises(SpecError, match="is not a run"):
        runs.find("no-such-run")
    with pytest.raises(SpecError, match="is no design"):
        designs.design(here, "0.99999")
    run, identifier = designs.parse_reference(f"{here.name}#low")
    assert (run.name, identifier) == (here.name, "low")
    with pytest.raises(SpecError, match="RUN#ID"):
        designs.parse_reference("two-goals")


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

    assert designs.quantity(value, unit) == text
    assert units.parse(text, unit) == value


def test_a_designs_changes_are_only_changes_and_its_clock_follows_the_voltage(here):
    from dse.resources import logic
    from dse.specs import load

    for which in ("high", "low", "knee"):
        chip, *_ = designs.design_of(here.name, which)
        assert all(before != after for _, before, after in chip.changes)
        assert chip.spec.clock_hz is None
        changes = [*designs.overrides_of(designs.design(here, which)), ("voltage", "0.90 V")]
        faster = load.load("chips", "reticle_n3_stacked", changes)
        assert float(logic.clock_hz(faster.spec)) >= float(logic.clock_hz(chip.spec))


def test_a_searched_clock_at_its_limit_is_left_to_the_voltage():
    """The search states every clock; at the limit it must follow a changed voltage again."""
    from dse.resources import logic
    from dse.specs import load

    base = load.load("chips", "sram_macro_stacked_n3", [("voltage", "0.6 V"), ("clock", "unset")])
    with jax.enable_x64(True):
        limit = float(logic.clock_hz(base.spec))
    knobs = [("voltage", 0.6, "volt"), ("clock", limit, "hertz"), ("die", 800.0, "mm**2")]
    design = {"hardware": {"base": "sram_macro_stacked_n3", "choices": {}, "knobs": [
        {"path": path, "value": value, "unit": unit} for path, value, unit in knobs]}}  # fmt: skip
    assert designs.overrides_of(design) == [("voltage", "0.6 V"), ("clock", "unset")]
    design["hardware"]["knobs"][1]["value"] = 0.9 * limit  # below it: the designer's choice
    assert dict(designs.overrides_of(design))["clock"].endswith("Hz")


def test_a_stated_clock_is_taken_away_and_a_needed_value_is_not():
    from dse.specs import load

    stated = load.load("chips", "sram_macro_stacked_n3")
    assert stated.spec.clock_hz is not None
    assert load.load("chips", "sram_macro_stacked_n3", [("clock", "unset")]).spec.clock_hz is None
    with pytest.raises(SpecError, match="die"):
        load.load("chips", "h100_sxm", [("die", "unset")])
    with pytest.raises(SpecError, match="unset already"):
        load.load("chips", "h100_sxm", [("clock", "unset")])
