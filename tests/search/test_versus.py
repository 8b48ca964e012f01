"""Runs against each other, from fronts written by hand."""

import json

import numpy as np
import pytest

from dse.cli.main import main
from dse.search import runs, versus
from dse.specs.schema import SpecError

X, Y = "user_tokens_per_s", "system_tokens_per_s_per_w"
FIRST = ((100.0, 10.0), (1000.0, 1.0))
SECOND = ((100.0, 10.0), (200.0, 8.0), (1000.0, 0.5))


def write(root, name, points, front=None, study="", **provenance):
    """A run folder whose front is of these points, and what else its front says."""
    folder = root / name
    folder.mkdir()
    designs = [{"id": f"{i}.0", "family": "a", X: x, Y: y} for i, (x, y) in enumerate(points)]
    said = {
        "study": "tiny", "trials": 9, "evaluations": 900, "seed": 3, "objectives": [X, Y],
        "model": "m", "model_title": "M", "workload": "w", "workload_title": "W",
        "fidelity": "sol", "power_scope": "system", "reference_point": [10.0, 0.1],
        "designs": designs,
    }  # fmt: skip
    then = {"seed": 3, "trials": 9, "package_version": "0",
            "spec_files": {"models/m.toml": "1", "chips/a.toml": "2"}}  # fmt: skip
    (folder / "front.json").write_text(json.dumps(said | (front or {})))
    (folder / "state.json").write_text(json.dumps({"trials": 9}))
    (folder / "provenance.json").write_text(json.dumps(then | provenance))
    (folder / "study.toml").write_text(f'name = "{name}"\nmodel = "m"\n{study}')
    return runs.Run(folder)


@pytest.fixture
def pair(tmp_path):
    return [write(tmp_path, "one", FIRST), write(tmp_path, "two", SECOND)]


def test_volumes_shares_and_survivors_by_hand(pair):
    found = versus.versus(pair)
    # From (10, 0.1) in log10: 1 x 2 and then 1 x 1; 1 x 2, lg 2 x lg 80, lg 5 x lg 5.
    assert found["runs"][0]["hypervolume"] == pytest.approx(3)
    second = 2 + np.log10(2) * np.log10(80) + np.log10(5) ** 2
    assert found["runs"][1]["hypervolume"] == pytest.approx(second)
    together = 2 + np.log10(2) * np.log10(80) + np.log10(5)
    assert found["hypervolume"] == pytest.approx(together)
    assert found["runs"][0]["share"] == pytest.approx(3 / together)
    # The point that both found survives in both; the second's fast end is beaten.
    assert [row["surviving"] for row in found["runs"]] == [2, 2]
    assert [d["survives"] for d in found["runs"][1]["front"]] == [True, True, False]
    assert found["runs"][1]["best"] == {X: 1000.0, Y: 10.0}


def test_equal_speed_and_equal_energy_by_hand(pair):
    at = versus.versus(pair, [150.0, 5000.0])["attainment"]
    assert at[0]["j_per_token"] == [1.0, 0.125]
    assert at[0]["energy_ratio"] == [1, 0.125]
    assert at[0]["designs"] == ["1.0", "1.0"]
    assert at[0]["speed_at_that_energy"] == [1000, 200]  # 1 J or less
    assert at[0]["speed_ratio"] == [1, 0.2]
    assert at[1]["j_per_token"] == at[1]["energy_ratio"] == [None, None]
    assert [item[X] for item in versus.versus(pair)["attainment"]] == [100, 300, 1000]


def test_who_leads_where(pair):
    leads = versus.versus(pair)["leads"]
    (second,) = leads[1]
    assert [*second.values()] == pytest.approx([100, 200])
    assert leads[0][-1]["to_user_tokens_per_s"] == pytest.approx(1000)


def test_the_reference_point_is_the_lowest_of_all(tmp_path):
    one = write(tmp_path, "one", FIRST, {"reference_point": [50.0, 0.01]})
    two = write(tmp_path, "two", FIRST, {"reference_point": [20.0, 0.1]})
    found = versus.versus([one, two])
    assert found["reference_point"] == [20.0, 0.01]
    assert found["runs"][0]["hypervolume"] == found["runs"][1]["hypervolume"]


def test_of_a_goal_to_minimize_less_survives(tmp_path):
    cost = "usd_per_million_tokens"
    front = {"objectives": [X, cost], "reference_point": [10.0, 100.0]}
    pair = [write(tmp_path, name, FIRST, front) for name in ("one", "two")]
    for run, usd in zip(pair, (1.0, 2.0), strict=True):
        said = run.front()
        for design in said["designs"]:
            design[cost] = usd
        (run.folder / "front.json").write_text(json.dumps(said))
    found = versus.versus(pair)
    assert [row["surviving"] for row in found["runs"]] == [2, 0]
    assert found["runs"][1]["best"][cost] == 2
    assert found["attainment"] == []


def test_what_differs_is_named(tmp_path):
    one = write(tmp_path, "one", FIRST, study='[constraints]\nsilicon = "<= 1 mm2"\n')
    two = write(
        tmp_path,
        "two",
        FIRST,
        seed=4,
        spec_files={"models/m.toml": "1", "chips/a.toml": "5", "chips/b.toml": "6"},
    )
    said = {item["key"]: item["values"] for item in versus.differences([one, two])}
    assert said == {
        "constraints.silicon": ["<= 1 mm2", None],
        "search.seed": [3, 4],
        "content of chips/a.toml": ["2", "5"],
    }


@pytest.mark.parametrize(
    ("front", "said"),
    [
        ({"objectives": [X, "usd_per_million_tokens"]}, "other objectives"),
        ({"model": "n"}, "other models, so their numbers are of different kinds: one: m; two: n"),
        ({"workload": "v"}, "other workloads"),
        ({"fidelity": "calibrated"}, "other fidelity"),
        ({"power_scope": "facility"}, "other power scope"),
        ({"combine": "worst"}, "other way to combine scenarios"),
        ({"scenarios": [{"scenario": "m under w"}]}, "other scenarios"),
    ],
)
def test_unlike_runs_are_refused_with_the_reason(tmp_path, front, said):
    pair = [write(tmp_path, "one", FIRST), write(tmp_path, "two", FIRST, front)]
    with pytest.raises(SpecError, match=said):
        versus.versus(pair)


def test_a_model_whose_file_changed_is_another(tmp_path):
    changed = {"models/m.toml": "9", "chips/a.toml": "2"}
    pair = [write(tmp_path, "one", FIRST), write(tmp_path, "two", FIRST, spec_files=changed)]
    with pytest.raises(SpecError, match=r"models/m\.toml: was changed"):
        versus.versus(pair)


def test_an_empty_front_covers_nothing(tmp_path):
    pair = [write(tmp_path, "one", FIRST), write(tmp_path, "none", ())]
    found = versus.versus(pair)
    assert [row["share"] for row in found["runs"]] == [1, 0]
    assert found["runs"][1]["best"] == {X: None, Y: None}


# --- the verb -------------------------------------------------------------------------------------


def test_the_verb_prints_tables_and_draws(pair, tmp_path, capsys):
    folders = [str(run.folder) for run in pair]
    assert main(["pareto", "compare", *folders, "-o", str(tmp_path / "both.html")]) == 0
    printed = capsys.readouterr()
    for words in ("one 91.69 %, two 93.57 %", "2 of 3", "2.00 J (2x)",
                  "Same study, seed and specs", "Least energy at a user speed"):  # fmt: skip
        assert words in printed.out
    assert "wrote" in printed.err
    assert "Plotly.newPlot" in (tmp_path / "both.html").read_text("utf-8")
    assert main(["pareto", "compare", *folders, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(versus.versus(pair)))


@pytest.mark.parametrize(
    ("more", "said"),
    [((), "wanted two or more"), (("no-such-run",), "is not a run"), (("--at", "0"), "above zero")],
)
def test_the_verb_refuses_with_exit_2(pair, capsys, more, said):
    assert main(["pareto", "compare", str(pair[0].folder), *more]) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.out == ""
