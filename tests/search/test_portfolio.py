"""Portfolios of a finished run, and the command that prints them."""

import itertools
import json

import numpy as np
import pandas as pd
import pytest

from dse.cli.main import main
from dse.search import designs, runs
from dse.search.archive import hypervolume
from dse.search.portfolio import portfolio
from dse.search.settings import OBJECTIVES
from dse.specs.errors import SpecError

pytestmark = pytest.mark.usefixtures("compiled_once")


@pytest.fixture(scope="module")
def found(finished):
    return portfolio(finished, 4)


def logs(chip):
    return np.log10([[point[goal] for goal in OBJECTIVES] for point in chip["curve"]])


def test_shares_rise_to_at_most_the_whole(found):
    shares = [item["share"] for item in found["portfolios"]]
    assert [item["k"] for item in found["portfolios"]] == list(range(1, len(shares) + 1))
    assert len(shares) >= 2
    assert all(low < high for low, high in itertools.pairwise(shares))
    assert shares[0] > 0.5
    assert shares[-1] <= 1
    assert [item["exact"] for item in found["portfolios"]] == [k < 2 for k in range(len(shares))]


def test_the_whole_is_the_runs_hypervolume_but_for_thinning(found, finished):
    assert found["hypervolume"] >= finished.state["hypervolume"][-1] * (1 - 1e-6)
    assert found["hypervolume"] == pytest.approx(finished.front()["hypervolume"], rel=0.01)


def test_a_share_is_that_of_the_chips_curves(found):
    reference = np.log10(found["reference_point"])
    for item in found["portfolios"]:
        area = hypervolume(np.concatenate([logs(chip) for chip in item["chips"]]), reference)
        assert item["hypervolume"] == pytest.approx(area, rel=1e-9)
        assert item["share"] == pytest.approx(area / found["hypervolume"], rel=1e-9)
        assert item["share"] <= sum(chip["share"] for chip in item["chips"]) * (1 + 1e-9)


def test_no_stored_chip_or_pair_covers_more(found, finished):
    """Every chip and pair of the run by brute force, from the curves the run stored."""
    reference = np.log10(found["reference_point"])
    table = pd.read_parquet(finished.evaluated)
    curves = [np.log10(chip[list(OBJECTIVES)].to_numpy()) for _, chip in table.groupby("trial")]
    assert len(curves) == found["candidates"]
    one = max(hypervolume(curve, reference) for curve in curves)
    two = max(hypervolume(np.concatenate([a, b]), reference) for a in curves for b in curves)
    for item, stored in zip(found["portfolios"], (one, two), strict=False):
        assert item["hypervolume"] >= stored * (1 - 1e-6)
        assert item["hypervolume"] == pytest.approx(stored, rel=0.01)


def test_a_chip_serves_where_it_is_best_and_all_of_them_serve_all(found):
    for item in found["portfolios"]:
        spans = sorted((span["from_user_tokens_per_s"], span["to_user_tokens_per_s"])
                       for chip in item["chips"] for span in chip["serves"])  # fmt: skip
        assert spans[0][0] == pytest.approx(found["reference_point"][0])
        assert spans[-1][1] == pytest.approx(max(c["user_tokens_per_s"] for c in item["chips"]))
        for (_, end), (start, _) in itertools.pairwise(spans):
            assert start == pytest.approx(end)


def test_one_chip_gives_up_what_the_front_has_beyond_it(found, finished):
    one = found["portfolios"][0]
    best = {goal: max(d[goal] for d in finished.front()["designs"]) for goal in OBJECTIVES}
    chip = one["chips"][0]
    speed, efficiency = (best[goal] / chip[goal] for goal in OBJECTIVES)
    assert one["gives_up"]["user_tokens_per_s"] == pytest.approx(max(speed, 1), rel=1e-6)
    assert one["gives_up"]["j_per_token"] == pytest.approx(max(efficiency, 1), rel=1e-6)
    assert chip["j_per_token"] == pytest.approx(1 / chip["system_tokens_per_s_per_w"])


def test_a_chips_curve_agrees_with_its_designs_on_the_front(found, finished):
    seen = 0
    for item in found["portfolios"]:
        for chip in item["chips"]:
            for identifier in chip["designs_on_front"]:
                design = designs.design(finished, identifier)
                point = next(p for p in chip["curve"] if p["id"] == identifier)
                assert point["deployment"] == design["deployment"]
                assert chip["hardware"] == design["hardware"]
                for goal in OBJECTIVES:
                    assert point[goal] == pytest.approx(design[goal], rel=1e-9)
                seen += 1
    assert seen


# --- the command ----------------------------------------------------------------------------------


@pytest.fixture
def dse(capsys):
    def run(*words):
        capsys.readouterr()
        code = main([str(word) for word in words])
        return code, *capsys.readouterr()

    return run


def test_the_command_prints_each_set(dse, finished):
    code, out, _ = dse("portfolio", finished.folder, "-k", 3)
    assert code == 0
    for word in ("one chip for both goals", "exact", "up to", "voltage", "dse explain"):
        assert word in out
    assert "nan" not in out.lower().split()


def test_json_holds_what_was_promised(dse, finished, found):
    code, out, _ = dse("portfolio", finished.folder, "--json")
    answer = json.loads(out)
    assert code == 0
    assert answer["schema"] == "dse.portfolio/1"
    assert answer["run"] == finished.name
    assert answer["portfolios"] == json.loads(json.dumps(found["portfolios"]))[:2]


def test_sets_stop_where_all_is_covered_and_the_table_says_so(dse, finished):
    code, out, _ = dse("portfolio", finished.folder, "-k", 1000)
    assert code == 0
    assert "no further chip adds anything" in out
    assert "100.00 %" in out


@pytest.mark.parametrize("words", [("-k", 0), ("-k", "x"), ("-k", -1)])
def test_less_than_one_chip_exits_2(dse, finished, words):
    code, out, err = dse("portfolio", finished.folder, *words)
    assert (code, out) == (2, "")
    assert "-k" in err


def test_an_unknown_run_exits_2(dse):
    code, _, err = dse("portfolio", "no-such-run")
    assert code == 2
    assert "is not a run" in err


def test_a_reference_beyond_every_chip_exits_3(dse, copied):
    study = copied.folder / "study.toml"
    high = "\n[reference_point]\nuser_tokens_per_s = 1e9\n"
    study.write_text(study.read_text() + high)
    code, out, err = dse("portfolio", copied.folder)
    assert (code, out) == (3, "")
    assert "reference point" in err


def test_a_changed_spec_is_refused(copied):
    changed = copied.provenance["spec_files"] | {"chips/h100_sxm.toml": "-"}
    then = copied.provenance | {"spec_files": changed}
    runs.write_json(copied.folder / "provenance.json", then)
    with pytest.raises(SpecError, match=r"chips/h100_sxm\.toml"):
        portfolio(copied, 2)
