"""A study from file to front: bounds, seeds, saving, resuming, refusing."""

import json

import numpy as np
import pandas as pd
import pytest

from dse.estimate.evaluate import evaluate
from dse.search import archive, designs, journal, runs, settings, study
from dse.search.study import Infeasible
from dse.specs import library
from dse.specs.schema import SpecError
from tests.search.conftest import STUDY, run_tiny

GOALS = ["user_tokens_per_s", "system_tokens_per_s_per_w"]


def points(front):
    return np.array([[d[g] for g in GOALS] for d in front["designs"]])


def test_the_front_is_a_front_and_its_ends_are_the_decoders(finished):
    front = finished.front()
    logs = np.log10(points(front))
    assert len(logs) >= 5
    assert archive.nondominated(logs).all()
    by_id = {d["id"]: d for d in front["designs"]}
    assert by_id[front["low_latency_decoder"]][GOALS[0]] == points(front)[:, 0].max()
    assert by_id[front["high_efficiency_decoder"]][GOALS[1]] == points(front)[:, 1].max()
    assert front["knee"] in by_id
    assert front["trials"] == 24
    reference = np.log10(front["reference_point"])
    assert front["hypervolume"] == pytest.approx(archive.hypervolume(logs, reference))


def test_every_design_keeps_its_bounds_and_constraints(finished):
    for design in finished.front()["designs"]:
        assert design["silicon_mm2"] <= 4000 * (1 + 1e-6)
        assert 0.50 <= design["hardware"]["voltage_v"] <= 0.90
        assert 300 <= design["hardware"]["die_mm2"] <= 830
        assert design["deployment"]["tp"] in (1, 2, 4)
        assert design["deployment"]["batch"] in (1, 2, 4, 8, 16, 32, 64)


def test_designs_evaluate_again_to_what_the_front_says(finished):
    front = finished.front()
    for key in ("high_efficiency_decoder", "low_latency_decoder", "knee"):
        chip, choices, model, workload = designs.design_of(finished, front[key])
        design = designs.design(finished, front[key])
        again = evaluate(chip, model, workload, choices, fidelity=front["fidelity"],
                         power_scope=front["power_scope"])  # fmt: skip
        assert float(again.user_tokens_per_s) == pytest.approx(design[GOALS[0]], rel=1e-9)
        assert float(again.j_per_token) == pytest.approx(design["j_per_token"], rel=1e-9)


def test_what_competed_is_on_disk_once(finished):
    table = pd.read_parquet(finished.evaluated)
    assert not table["id"].duplicated().any()
    assert set(GOALS) <= set(table.columns)
    assert len(table) >= len(finished.front()["designs"])
    front = pd.read_parquet(finished.folder / "front.parquet")
    assert len(front) == len(finished.front()["designs"])


def test_front_json_holds_no_nan(finished):
    def refuse(word):
        raise AssertionError(word)

    text = (finished.folder / "front.json").read_text()
    json.loads(text, parse_constant=refuse)


def test_the_same_seed_finds_the_same_and_another_does_not(finished, study_file, tmp_path):
    again = run_tiny(study_file, tmp_path / "again").front()
    assert points(again).tolist() == points(finished.front()).tolist()
    other = run_tiny(study_file, tmp_path / "other", seed=4).front()
    assert points(other).tolist() != points(finished.front()).tolist()


def test_searching_longer_is_never_worse(copied):
    read = runs.with_total(copied, copied.settings(), 32)
    before = copied.front()["hypervolume"]
    study.run(read, copied)
    after = copied.front()
    assert after["trials"] == 32
    assert after["hypervolume"] >= before * (1 - 1e-6)


def test_a_stopped_run_goes_on_to_its_total_without_loss(half):
    found, search = half
    competed = len(pd.read_parquet(found.evaluated))
    study.run(search.settings, found)
    front = found.front()
    table = pd.read_parquet(found.evaluated)
    assert front["trials"] == 24
    assert len(table) >= competed
    assert not table["id"].duplicated().any()


def evaluated(run):
    """Every design that competed, in the order of the trials."""
    parts = sorted(run.evaluated.glob("part-*.parquet"))
    return pd.concat([pd.read_parquet(part) for part in parts], ignore_index=True)


def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(finished, half):
    found, search = half
    study.run(search.settings, found)
    pd.testing.assert_frame_equal(evaluated(found), evaluated(finished))
    one, other = found.front(), finished.front()
    assert {**one, "run": ""} == {**other, "run": ""}


class Killed(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("after", ["part", "journal", "state"])
def test_killed_after_any_write_a_run_loses_one_generation_at_most(
    finished, half, after, monkeypatch
):
    found, search = half
    write = runs.write_json

    def dies(*_):
        raise Killed

    def writes_and_dies(path, content):
        write(path, content)
        raise Killed

    with monkeypatch.context() as patch:
        if after == "part":
            patch.setattr(journal.Trials, "flush", dies)
        else:
            patch.setattr(runs, "write_json", dies if after == "journal" else writes_and_dies)
        with pytest.raises(Killed):
            search.generation()
    again = runs.Run(found.folder)
    assert again.state["trials"] == (16 if after == "state" else 8)
    assert again.front()["designs"]
    study.run(again.settings(), again)
    pd.testing.assert_frame_equal(evaluated(again), evaluated(finished))


def test_an_interrupt_keeps_the_state_and_writes_the_front(study_file, tmp_path):
    def stop(progress):
        if progress.trials == 16:
            raise KeyboardInterrupt

    read = settings.read(str(study_file))
    found = runs.start(read, str(study_file), tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        study.run(read, found, stop)
    assert found.state["trials"] == 16
    front = json.loads((found.folder / "front.json").read_text())
    assert front["trials"] == 16


def test_optuna_is_told_a_design_of_each_trial(finished):
    told = journal.Trials(finished.journal, "tiny").study.get_trials(deepcopy=False)
    assert len(told) == 24
    table = evaluated(finished).set_index("id")
    of_front = [trial for trial in told if trial.user_attrs["design"] in table.index]
    assert len(of_front) > 5
    for trial in of_front:
        line = table.loc[trial.user_attrs["design"], GOALS]
        np.testing.assert_allclose(10 ** np.array(trial.values), line.astype(float))


@pytest.mark.parametrize(("key", "said"), [("package_version", "package version"),
                                           ("spec_files", r"chips/h100_sxm\.toml")])  # fmt: skip
def test_a_changed_package_or_spec_is_refused_by_name(copied, key, said):
    then = copied.provenance
    changed = "0.0.1" if key == "package_version" else then[key] | {"chips/h100_sxm.toml": "-"}
    runs.write_json(copied.folder / "provenance.json", then | {key: changed})
    with pytest.raises(SpecError, match=said):
        runs.check_unchanged(copied, copied.settings())


@pytest.mark.parametrize("left", ["part", "journal", "both"])
def test_what_a_killed_generation_left_is_cut_off(half, left):
    """Killed between two writes: the run is the one before that generation."""
    found, search = half
    before = found.state
    if left in ("part", "both"):
        (found.evaluated / "part-00001.parquet").write_bytes(b"half a file")
    if left in ("journal", "both"):
        with found.journal.open("ab") as journal:
            journal.write(b'{"op_code": 4, "trunc')
    assert found.recover() == before
    study.run(search.settings, found)
    assert found.front()["trials"] == 24


def test_a_run_without_a_front_writes_it_when_asked(copied):
    (copied.folder / "front.json").unlink()
    assert copied.front()["trials"] == 24


def test_a_changed_study_is_refused_by_name(finished, study_file, tmp_path):
    changed = tmp_path / "tiny.toml"
    changed.write_text(STUDY.replace("4000 mm2", "3000 mm2"))
    library.forget()
    run = run_tiny(changed, tmp_path / "run", trials=8)
    changed.write_text(STUDY.replace("4000 mm2", "2000 mm2"))
    library.forget()
    with pytest.raises(SpecError, match=r"constraints\.silicon"):
        runs.check_unchanged(run, run.settings())


def test_fewer_trials_than_done_are_refused(copied):
    with pytest.raises(SpecError, match="total"):
        runs.with_total(copied, copied.settings(), 8)


def test_no_feasible_design_says_which_limit_forbids(study_file, tmp_path):
    impossible = tmp_path / "impossible.toml"
    impossible.write_text(STUDY.replace("<= 4000 mm2", "<= 300 mm2").replace("[1, 2, 4]", "[4]"))
    with pytest.raises((Infeasible, SpecError), match=r"silicon|split"):
        run_tiny(impossible, tmp_path / "run", trials=8)


BAD = {
    'hardware = ["reticle_n3_stacked"]': ('hardware = ["reticle_n3_stackd"]', "reticle_n3_stacked"),
    'model = "llama-3.1-8b"': ('model = "llama-3.1-9b"', "llama-3.1-8b"),
    'knobs = "none"': ('knobs = "some"', "knobs"),
    '"voltage" = ["0.50 V", "0.90 V"]': ('"voltage" = ["0.50 V", "0.90 W"]', "voltage"),
    '"die" = { range = ["300 mm2", "830 mm2"]': ('"dye" = { range = ["300 mm2", "830 mm2"]', "dye"),
    "tp = [1, 2, 4]": ("tp = [0, 2]", "tp"),
    'silicon = "<= 4000 mm2"': ('silicon = "<= 4000 W"', "silicon"),
    "population = 8": ("population = 1", "population"),
    'sampler = "nsga2"': ('sampler = "nsga9"', "nsga"),
}


@pytest.mark.parametrize("good", BAD)
def test_a_bad_study_names_the_place_and_the_nearest(good, tmp_path):
    bad, said = BAD[good]
    path = tmp_path / "bad.toml"
    path.write_text(STUDY.replace(good, bad))
    library.forget()
    with pytest.raises(SpecError) as caught:
        settings.read(str(path))
    assert said in str(caught.value)


def test_all_problems_of_a_study_come_at_once(tmp_path):
    text = STUDY
    for good in ('model = "llama-3.1-8b"', "tp = [1, 2, 4]", 'silicon = "<= 4000 mm2"'):
        text = text.replace(good, BAD[good][0])
    path = tmp_path / "bad.toml"
    path.write_text(text)
    library.forget()
    with pytest.raises(SpecError) as caught:
        settings.read(str(path))
    assert len(caught.value.problems) >= 3


@pytest.mark.parametrize("sampler", ["nsga2", "nsga3", "random", "qmc", "tpe"])
def test_every_sampler_keeps_the_same_contract(sampler, study_file, tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(STUDY.replace('"nsga2"', f'"{sampler}"'))
    front = run_tiny(path, tmp_path / "run", trials=12).front()
    assert front["sampler"] == sampler
    assert front["trials"] == 12
    assert front["designs"]
