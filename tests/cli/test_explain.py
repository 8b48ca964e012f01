"""``dse explain``: points, metrics, laws, and words that are none of them."""

import pytest

from dse.cli.targets import LAWS, explanation
from dse.metrics import METRICS


def test_a_chip_is_explained_op_by_op(dse):
    answer = dse("explain", "reticle_n3_hbm4", "--model", "gpt-oss-120b")
    assert answer.code == 0
    for said in ("Operators", "Energy per token by scope", "ns per layer", "Area of a package",
                 "Bill of materials", "Critical path", "reciprocal of j_per_token"):  # fmt: skip
        assert said in " ".join(answer.out.split())
    result = dse("explain", "reticle_n3_hbm4", "--model", "gpt-oss-120b", "--json").json
    assert result["ops"]


@pytest.mark.parametrize("name", METRICS)
def test_each_metric_has_a_printable_definition(dse, name):
    answer = dse("explain", name)
    assert answer.code == 0
    assert METRICS[name].definition[:40] in " ".join(answer.out.split())


@pytest.mark.parametrize("name", LAWS)
def test_each_law_says_more_than_its_name(name):
    for law in explanation(name)["laws"]:
        assert len(law["text"]) > 30
        assert "`" not in law["text"]


def test_a_stem_names_its_metric(dse):
    found = dse("explain", "chip_power", "--json").json
    assert (found["metric"], found["unit"]) == ("chip_power_w", "W")


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("clok_limit", "did you mean clock_limit?"),
        ("h100_sxn", "did you mean h100_sxm?"),
        ("user_token_per_s", "did you mean user_tokens_per_s?"),
        ("no/such/chip.toml", "no such file"),
        ("nowhere#3", "'nowhere' is not a run"),
        ("#", "wanted RUN#ID"),
        ("", "is no chip, metric or law"),
    ],
)
def test_an_unknown_word_exits_2_with_the_nearest(dse, word, said):
    answer = dse("explain", word)
    assert answer.code == 2
    assert said in answer.err


def test_the_price_of_links_stands_beside_what_a_stage_takes(dse):
    design = ("reticle_n3_stacked", "--model", "llama-3.1-8b", "--tp", "4")
    (link,) = dse("explain", *design, "--json").json["links"]
    assert sum(link["parts_s"].values()) == pytest.approx(link["stage_s"])
    assert link["parts_s"]["phy"] == pytest.approx(60e-9)  # two of long reach
    assert link["parts_s"]["error_correction"] == 0  # lanes slow enough
    assert link["edge_mm"] > 0
    faster = (*design, "--set", "lane_rate=112Gb/s", "--json")
    (changed,) = dse("explain", *faster).json["links"]
    assert changed["parts_s"]["error_correction"] > 0
    assert changed["bytes_per_s"] == pytest.approx(3.5 * link["bytes_per_s"])
    shown = " ".join(dse("explain", *design).out.split())
    assert "Price of the links, one chip" in shown
    assert "phy 60" in shown
    shipped = dse("explain", "h100_sxm", "--model", "llama-3.1-8b").out
    assert "as its spec states" in shipped
