"""``dse doctor``: what it finds, what it says of what is missing, what it warms."""

import importlib.util
import sys

import jax
import pytest

from dse.cli import doctor
from dse.cli.main import EXTRAS, main
from dse.estimate.evaluate import _traced
from dse.questions.slopes import _program
from dse.report import export
from dse.search import caches, settings


def findings(dse, *words):
    return {item["name"]: item for item in dse("doctor", *words, "--json").json["findings"]}


def test_it_finds_what_is_here(dse, request):
    found = findings(dse)
    for name in ("dse", "python", "packages", "cores", "jax devices", "specs", "runs"):
        assert found[name]["state"] == "ok", found[name]
    assert "jax " in found["packages"]["found"]
    assert jax.devices()[0].platform in found["jax devices"]["found"]
    assert str(request.config.cache.mkdir("jax")) in found["compile cache"]["found"]
    assert "chips" in found["specs"]["found"]
    assert {name.removeprefix("extra ") for name in found if name.startswith("extra ")} == set(
        EXTRAS.values()
    )
    shown = dse("doctor")
    assert shown.code == 0
    assert "compile cache" in shown.out


def test_what_is_missing_is_a_warning_with_the_line_that_helps(dse, monkeypatch):
    there = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "dash" else there(name, *rest),
    )
    monkeypatch.setattr(export, "browser", lambda: None)
    found = findings(dse)
    assert found["extra explore"]["state"] == found["browser"]["state"] == "warn"
    assert found["extra explore"]["helps"] == "pip install 'dse[explore]'"
    assert dse("doctor").code == 0


def test_a_broken_file_and_an_unwritable_cache_are_warnings(dse, tmp_path, monkeypatch):
    (tmp_path / "hwspecs" / "chips").mkdir(parents=True)
    (tmp_path / "hwspecs" / "chips" / "bad.toml").write_text("= nothing")
    (tmp_path / "file").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "file"))
    answer = dse("doctor", "--json").json
    states = {item["name"]: (item["state"], item["found"]) for item in answer["findings"]}
    assert states["specs"][0] == states["compile cache"][0] == "warn"
    assert "bad.toml" in states["specs"][1]
    assert answer["ok"]


@pytest.mark.parametrize("broken", ["packages", "python", "devices"])
def test_what_dse_cannot_do_without_exits_1(monkeypatch, capsys, broken):
    if broken == "packages":
        monkeypatch.setattr(doctor, "required", lambda: ["no-such-package"])
    elif broken == "python":
        monkeypatch.setattr(doctor, "OLDEST_PYTHON", (sys.version_info.major + 1, 0))
    else:
        monkeypatch.setattr(jax, "devices", lambda: 1 / 0)
    assert main(["doctor"]) == 1
    assert "bad" in capsys.readouterr().out


def test_warming_asks_about_each_structure_and_compiles_each_study(study_of_one_chip, monkeypatch):
    said, asked, compiled = [], [], []
    monkeypatch.setattr(caches, "compile_study", compiled.append)
    monkeypatch.setattr(caches, "sensitivity_of", asked.append)
    done = caches.warm_all([study_of_one_chip], said.append)
    # Two chips of two structures, one of them also with its rail set; at both fidelities.
    assert len(asked) == 6
    assert said == done
    assert "reticle_n3_hbm4 on llama-3.1-8b, sol" in done[0]
    assert [study.name for study in compiled] == ["one"]


def test_a_warmed_question_traces_nothing(study_of_one_chip, dse, tmp_path, monkeypatch):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(caches, "compile_study", lambda study: None)
    monkeypatch.setattr(caches, "FIDELITIES", ("sol",))
    of_study = caches.cases
    monkeypatch.setattr(
        caches,
        "cases",
        lambda study: [case for case in of_study(study) if case.chip.name == "h100_sxm"],
    )
    kept = jax.config.jax_compilation_cache_dir
    _traced.cache_clear()
    _program.cache_clear()
    assert dse("doctor", "--warm", "--study", study_of_one_chip).code == 0
    programs = {path.name for path in (tmp_path / "cache" / "programs").iterdir()}
    assert len(programs) == 3  # an estimate with and without its rail set, slopes of both
    answer = dse("whatif", "h100_sxm", "--model", "llama-3.1-8b", "--fidelity", "sol",
                 "--set", "voltage=0.75V")  # fmt: skip
    assert answer.code == 0
    assert {path.name for path in (tmp_path / "cache" / "programs").iterdir()} == programs
    jax.config.update("jax_compilation_cache_dir", kept)


def test_chips_of_one_structure_are_asked_about_once(study_of_one_chip):
    read = settings.read(study_of_one_chip)
    twice = [case for _ in range(2) for case in caches.cases(read)]
    assert len(twice) == 16
    assert len(caches.different(twice)) == 6


def test_an_unknown_study_is_refused(dse):
    answer = dse("doctor", "--warm", "--study", "no-such-study")
    assert answer.code == 2
    assert "no-such-study" in answer.err


@pytest.fixture
def study_of_one_chip(tmp_path):
    file = tmp_path / "one.toml"
    file.write_text(
        'name = "one"\nhardware = "reticle_n3_hbm4"\nmodel = "llama-3.1-8b"\n'
        'workload = "chat-8k"\ncompare = ["h100_sxm"]\n'
        "[space.deployment]\nbatch = [1, 2]\ntp = [1]\n"
    )
    return str(file)
