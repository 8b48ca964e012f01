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
