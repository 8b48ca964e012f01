"""What is saved at a user speed: designs by hand, loads, and the verb on the tiny run."""

import json

import pytest

import dse
from dse.cli.main import main
from dse.questions.case import case_of
from dse.search import runs, savings
from dse.specs.errors import SpecError

X, Y = "user_tokens_per_s", "system_tokens_per_s_per_w"


@pytest.fixture(scope="module")
def found(finished):
    front = finished.front()
    middle = sorted(design[X] for design in front["designs"])[len(front["designs"]) // 2]
    return savings.savings(finished, middle)


def test_the_leanest_design_that_serves_the_speed_is_taken(found, finished):
    ours = found["arms"][0]
    served = [d for d in finished.front()["designs"] if d[X] >= found[X]]
    best = max(served, key=lambda design: design[Y])
    assert ours["leanest"]["id"] == best["id"]
    assert ours["leanest"]["j_per_token"] == pytest.approx(best["j_per_token"])
    assert ours["energy_ratio"] == pytest.approx(1)
    assert ours["smallest"]["chips"] == min(design["chips"] for design in served)
    assert ours["leanest"]["feasible"]


def test_a_chip_compared_is_evaluated_the_same_way(found, finished):
    (curve,) = finished.front()["compare"]
    chip = found["arms"][1]
    served = [point for point in curve["points"] if point[X] >= found[X]]
    if not served:
        assert chip["leanest"] is chip["smallest"] is chip["energy_ratio"] is None
        return
    lean = max(point[Y] for point in served)
    assert chip["leanest"]["j_per_token"] == pytest.approx(1 / lean)
    assert chip["energy_ratio"] == pytest.approx(
        chip["leanest"]["j_per_token"] / found["arms"][0]["leanest"]["j_per_token"]
    )


def test_fewer_users_cost_more_each(found):
    at = found["arms"][0]["leanest"]["at_load"]
    assert [point["share"] for point in at] == list(savings.LOADS)
    assert at[0]["j_per_token"] == pytest.approx(found["arms"][0]["leanest"]["j_per_token"])
    users = [point["users"] for point in at]
    energy = [point["j_per_token"] for point in at]
    assert users == sorted(users, reverse=True)
    assert energy == sorted(energy)


@pytest.mark.parametrize(
    ("choices", "share", "users"),
    [
        (dse.Choices(tp=2, batch=64), 0.3, 20),  # 19.2, whole users
        (dse.Choices(tp=2, dp=2, ep=4, batch=64), 0.1, 8),  # 3.2 on each of two ranks
        (dse.Choices(tp=2, pp=4, batch=64), 0.5, 32),  # two of four micro-batches stay full
        (dse.Choices(tp=2, pp=4, batch=64), 0.02, 2),
    ],
)
def test_users_are_whole_and_on_every_rank(choices, share, users):
    case = case_of("reticle_n3_hbm4", "gpt-oss-20b", "chat-8k", choices, "sol")
    found = savings.at_load(case, share)
    assert found["users"] == users
    assert found["j_per_token"] > 0


def test_no_design_is_so_fast(finished):
    found = savings.savings(finished, 1e9)
    assert all(arm["leanest"] is arm["smallest"] is None for arm in found["arms"])
    assert found["arms"][0]["fastest"] == max(d[X] for d in finished.front()["designs"])


def test_changed_specs_are_refused(copied):
    then = copied.provenance
    runs.write_json(copied.folder / "provenance.json", then | {"package_version": "0"})
    with pytest.raises(SpecError, match="package version"):
        savings.savings(copied, 100.0)


def test_the_verb_prints_and_draws(finished, tmp_path, capsys):
    speed = "20"
    assert main(["gains", str(finished.folder), "--speed", speed, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer == json.loads(json.dumps(savings.savings(finished, 20.0)))
    picture = tmp_path / "savings.html"
    assert main(["gains", str(finished.folder), "--speed", speed, "-o", str(picture)]) == 0
    assert "Plotly.newPlot" in picture.read_text("utf-8")
    assert main(["gains", str(finished.folder), "--speed", speed]) == 0
    said = capsys.readouterr().out
    for words in ("less energy per token than", "Smallest replica", "at partial load", "30% of"):
        assert words in said


@pytest.mark.parametrize(
    ("speed", "code", "said"),
    [("1e9", 3, "no design of this run serves"), ("0", 2, "above zero"), ("fast", 2, "--speed")],
)
def test_what_has_no_answer(finished, capsys, speed, code, said):
    assert main(["gains", str(finished.folder), "--speed", speed]) == code
    printed = capsys.readouterr()
    assert said in printed.out + printed.err


def test_a_figure_wants_a_speed(finished, capsys):
    assert main(["gains", str(finished.folder), "-o", "x.png"]) == 2
    assert "--speed N" in capsys.readouterr().err
