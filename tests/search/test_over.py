"""The front searched again at each value of a limit, on the tiny study compiled once."""

import json

import pytest

from dse.cli import sweep_study
from dse.cli.main import main
from dse.search import batch, over, polish, settings
from dse.search.goals import OBJECTIVES
from dse.specs import library
from dse.specs.errors import SpecError

X, Y = OBJECTIVES
VALUES = ("800 mm2", "1600 mm2", "4000 mm2")


@pytest.fixture(scope="module")
def compiled(refined_run):
    """The tiny study's programs wherever some are asked for."""
    made = refined_run.evaluators, refined_run.polishers
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch, "evaluators", lambda study: {
            name: e.under(study) for name, e in made[0].items()})  # fmt: skip
        patch.setattr(polish, "Polisher", lambda e: made[1][e.family.name].under(e.settings))
        patch.setattr(over.warm, "compile_all", lambda *given: None)
        yield refined_run.settings


@pytest.fixture(scope="module")
def found(compiled):
    return over.fronts_over(over.limited(compiled, "silicon", VALUES), rounds=2)


def test_each_value_keeps_its_limit_and_a_looser_one_is_never_worse(found):
    volumes = []
    for point in found["points"]:
        for design in (*point["winners"], point["fastest"], point["most_efficient"]):
            assert design is None or design["silicon_mm2"] <= point["value"] * (1 + 1e-9)
        volumes.append(point["hypervolume"])
    assert volumes == sorted(volumes)
    assert volumes[0] < volumes[-1]
    assert [point["text"] for point in found["points"]] == ["800 mm2", "1,600 mm2", "4,000 mm2"]


def test_the_loosest_front_is_about_that_of_a_run(found, refined_run):
    assert found["points"][-1]["hypervolume"] == pytest.approx(
        refined_run.archive.hypervolume, rel=0.01
    )


def test_a_winner_has_the_least_energy_of_its_front(found):
    for point in found["points"]:
        for speed, winner in zip(found["speeds"], point["winners"], strict=True):
            served = [design[Y] for design in point["front"] if design[X] >= speed]
            assert (winner[Y] if winner else None) == max(served, default=None)


def test_the_placement_map_adds_up(found):
    winner = found["points"][-1]["most_efficient"]
    assert sum(tier["weights_fraction"] for tier in winner["tiers"].values()) == pytest.approx(1)
    dram = winner["tiers"]["dram"]
    assert 0 < dram["resident_bytes"] <= dram["capacity_bytes"]
    assert dram["read_bytes_per_s"] > 8e9 / winner["tpot_s"]  # fp8 weights, at least once a step
    assert winner["most_weights_in"] == "dram"


def test_turns_are_stretches_of_one_winner():
    def point(value, family, tier):
        return {"value": value, "winners": [family and {"family": family, "most_weights_in": tier}]}

    points = [point(1, None, ""), point(2, "a", "dram"), point(3, "a", "dram"),
              point(4, "a", "sram"), point(5, "b", "sram")]  # fmt: skip
    assert over._turns(points, 0) == [
        {"family": "a", "most_weights_in": "dram", "from": 2, "to": 3},
        {"family": "a", "most_weights_in": "sram", "from": 4, "to": 4},
        {"family": "b", "most_weights_in": "sram", "from": 5, "to": 5},
    ]


def test_a_limit_is_replaced_or_added_and_values_are_put_in_order(compiled):
    given = over.limited(compiled, "silicon", ["4000 mm2", "800 mm2", "800.0 mm2"])
    assert given.texts == ("800 mm2", "4,000 mm2")
    assert [[c.text for c in s.constraints] for s in given.settings] == [
        ["<= 800 mm2"], ["<= 4,000 mm2"]]  # fmt: skip
    more = over.limited(compiled, "chip_power", ["1 kW"]).settings[0]
    assert [c.stem for c in more.constraints] == ["silicon", "chip_power"]
    loads = over.limited(compiled, "load", ["0.2", "0.9"])
    assert [c.sense for s in loads.settings for c in s.constraints[1:]] == [">=", ">="]
    assert loads.texts == ("0.900", "0.200")  # from the tightest


@pytest.mark.parametrize(
    ("stem", "values", "said"),
    [
        ("silicn", ["1 mm2"], "did you mean silicon"),
        ("voltage", ["0.7 V"], "is no metric"),
        ("silicon", ["5 V"], "silicon: "),
        ("silicon", ["0 mm2"], "above zero"),
    ],
)
def test_what_cannot_be_swept_is_refused(compiled, stem, values, said):
    with pytest.raises(SpecError, match=said):
        over.limited(compiled, stem, values)


def test_a_run_is_where_the_search_starts_from(compiled, refined_run):
    known = over._of_run(refined_run.folder, refined_run.evaluators)
    (shares,) = known.values()
    assert 0 < len(shares) <= over.HANDED_ON
    assert ((shares >= 0) & (shares <= 1)).all()


def test_at_its_own_limit_a_sweep_of_a_run_is_no_worse_than_the_run(compiled, refined_run):
    given = over.limited(compiled, "silicon", ["4000 mm2"])
    found = over.fronts_over(given, rounds=1, run=refined_run.folder)
    run = refined_run.folder.front()
    assert found["points"][0]["hypervolume"] >= run["hypervolume"] * (1 - 1e-9)


# --- the verb -------------------------------------------------------------------------------------


def test_the_verb_searches_prints_and_draws(compiled, refined_file, tmp_path, capsys):
    library.forget()
    words = ["sweep", str(refined_file), "--over", "silicon=800mm2,4000mm2", "--rounds", "1"]
    picture = tmp_path / "map.html"
    assert main([*words, "--speed", "100,1000", "-o", str(picture)]) == 0
    printed = capsys.readouterr()
    for said in ("Least energy at a user speed", "in DRAM from 800 mm2", "Placement of the winners",
                 "Ends of each front"):  # fmt: skip
        assert said in printed.out
    assert "silicon <= 800 mm2" in printed.err
    assert "Plotly.newPlot" in picture.read_text("utf-8")
    assert main([*words, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["schema"] == over.SCHEMA
    assert len(answer["points"]) == 2


def test_a_limit_that_nothing_keeps_exits_3(compiled, refined_file, capsys):
    words = ["sweep", str(refined_file), "--over", "chip_power=1mW,2mW", "--rounds", "1"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(over, "_searched", lambda *given: [])
        assert main(words) == 3
    assert "no value of the limit leaves a feasible design" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--over", "silicn=1mm2,2mm2"), "did you mean silicon"),
        (("--over", "silicon=1mm2,2mm2", "--tp", "4"), "--tp: a study states its own"),
        (("--over", "silicon=1mm2,2mm2", "--set", "a=b"), "--set: a study states its own"),
        (("--over", "silicon=1mm2,2mm2", "--deploy", "best"), "chooses its deployments itself"),
        (("--over", "silicon=1mm2", "--over", "load=1"), "over one limit"),
        (("--over", "silicon=1mm2,2mm2", "--speed", "fast"), "--speed"),
        (("--over", "silicon=1mm2,2mm2", "--rounds", "0"), "--rounds: 0 must be at least 1"),
        (("--over", "silicon=1mm2,2mm2", "-o", "x.txt"), "wanted a name ending in"),
    ],
)
def test_the_verb_refuses_with_exit_2(refined_file, capsys, more, said):
    library.forget()
    assert main(["sweep", str(refined_file), *more]) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.out == ""


def test_chips_come_first_and_files_are_read(refined_file, refined_run):
    assert not sweep_study.is_study("h100_sxm")
    assert not sweep_study.is_study("hwspecs/chips/h100_sxm.toml")
    assert not sweep_study.is_study("mine#high")
    assert sweep_study.is_study("two-goals")
    assert sweep_study.is_study(str(refined_file))
    assert sweep_study.is_study(str(refined_run.folder.folder))
    assert main(["sweep", "h100_sxm", "--over", "voltage=0.7V,0.8V", "--rounds", "2"]) == 2


def test_other_goals_cannot_be_swept(compiled):
    other = settings.dataclasses.replace(compiled, objectives=compiled.objectives[:1])
    with pytest.raises(SpecError, match="a sweep of fronts is of"):
        over.fronts_over(over.limited(other, "silicon", VALUES))
