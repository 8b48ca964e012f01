"""The doors of Python: the numbers of the command line, and answers that show themselves."""

import json
import pathlib
import re

import pytest

import dse
from dse.cli.main import main
from dse.notebook import html
from dse.report import tables
from dse.specs.errors import SpecError

DOCS = pathlib.Path(__file__).parents[2] / "docs" / "python.md"
BLOCKS = re.findall(r"```python\n(.*?)```", DOCS.read_text("utf-8"), re.S)
GIVEN = ("h100_sxm", "llama-3.1-8b", "chat-8k")
FLAGS = ("h100_sxm", "--model", "llama-3.1-8b", "--workload", "chat-8k", "--tp", "2")
CHOICES = dse.Choices(tp=2)


def printed(capsys, *words):
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def plain(answer):
    return json.loads(json.dumps(answer))


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_the_blocks_of_the_documentation_run(number, folder, capsys):
    exec(compile(BLOCKS[number], "docs/python.md", "exec"), {})
    assert capsys.readouterr().out.strip()


def test_all_public_names_are_there():
    assert len(BLOCKS) == 5
    for name in dse.__all__:
        assert getattr(dse, name) is not None
    with pytest.raises(AttributeError):
        dse.no_such_name  # noqa: B018


def test_a_whatif_is_that_of_the_command_line(capsys):
    answer = dse.whatif(*GIVEN, ["hbm.bandwidth=2x"], CHOICES, curve=True)
    asked = printed(capsys, "whatif", *FLAGS, "--set", "hbm.bandwidth=2x", "--curve")
    assert plain(answer) == {key: asked[key] for key in answer}
    assert repr(answer).startswith("<whatif: h100_sxm, memory.hbm.bandwidth 3.35 TB/s -> 6.7 TB/s")
    shown = answer._repr_html_()
    row = answer["comparison"]["user_tokens_per_s"]
    assert tables.quantity(row["changed"], "token / second") in shown
    assert "Where the difference is" in shown


def test_a_sensitivity_is_that_of_the_command_line(capsys):
    answer = dse.sensitivity(*GIVEN, CHOICES)
    asked = printed(capsys, "sensitivity", *FLAGS)
    assert plain(answer) == {key: asked[key] for key in answer}
    assert "Elasticities" in answer._repr_html_()


def test_a_sweep_is_that_of_the_command_line(capsys):
    answer = dse.sweep(*GIVEN[:2], "voltage=0.75V,0.8V", choices=CHOICES)
    assert plain(answer) == printed(capsys, "sweep", *FLAGS, "--over", "voltage=0.75V,0.8V")
    assert repr(answer) == "<sweep: h100_sxm over voltage, 2 points>"
    assert "750 mV" in answer._repr_html_()


def test_an_explanation_is_that_of_the_command_line(capsys):
    answer = dse.explain(*GIVEN, CHOICES)
    asked = printed(capsys, "explain", *FLAGS)
    said = [key for key in asked if key != "defaults"]  # what a command line leaves open
    assert {key: plain(answer)[key] for key in said} == {key: asked[key] for key in said}
    assert "Operators" in answer._repr_html_()
    word = dse.explain("clock_limit")
    assert plain(word) == printed(capsys, "explain", "clock_limit")
    assert "clock_limit_hz" in word._repr_html_()
    assert repr(word) == "<explain: clock_limit>"
    with pytest.raises(SpecError, match="is explained on a model"):
        dse.explain("h100_sxm")


def test_an_estimate_shows_itself(capsys):
    estimate = dse.evaluate(*GIVEN, CHOICES, compiled=False)
    asked = printed(capsys, "eval", *FLAGS)
    assert estimate.to_dict()["j_per_token"] == asked["j_per_token"]
    assert repr(estimate).startswith("<estimate: h100_sxm x2, llama-3.1-8b, chat-8k, calibrated: ")
    shown = estimate._repr_html_()
    for said in ("User tokens/s", "energy per token", "background: #1A9AF8", "Critical path"):
        assert said in shown
    unlabelled = dse.Estimate(**{**vars(estimate), "labels": ()})
    assert "tpot_s" in repr(unlabelled)  # of many points, or traced: as Equinox shows it


def test_a_run_is_opened_asked_and_drawn(folder, capsys):
    found = dse.open_run("two-goals")
    front = json.loads((folder / "runs/two-goals/front.json").read_text())
    assert plain(found.front) == front
    assert found.name == "two-goals"
    assert len(found.table) == len(front["designs"])
    low = found.design("low")
    assert found.estimate("low").user_tokens_per_s == pytest.approx(low["user_tokens_per_s"])
    changed = found.whatif("low", ["voltage=+2%"])
    asked = printed(capsys, "whatif", "two-goals#low", "--set", "voltage=+2%")
    assert plain(changed) == {key: asked[key] for key in changed}
    same = found.whatif("low")["comparison"]["j_per_token"]
    assert same["difference"] == 0
    assert found.sensitivity("low")["elasticities"]
    assert found.figure("pareto", dark=True).layout.title.text
    shown = found._repr_html_()
    assert "High Efficiency Decoder" in shown
    assert "plotly" in shown.lower()
    assert 'src="http' not in shown
    assert repr(found).startswith("OpenRun(<front: tiny, ")
    both = dse.compare("two-goals", "two-goals")
    assert "share of the hypervolume" in repr(both)
    assert "Runs, from one reference point" in both._repr_html_()
    with pytest.raises(SpecError, match="is not a run"):
        dse.open_run("no-such-run")


def test_a_study_is_run(study_file, folder):
    found = dse.run(str(study_file), trials=4, folder=str(folder / "mine"))
    assert found.front["trials"] == 4
    assert dse.open_run(str(folder / "mine")).front == found.front


def test_what_a_user_wrote_is_no_markup():
    made = tables.table("<b>", ["<i>", "n"], [("<script>", 1)])
    shown = html.page([made, "a < b"])
    for words in ("&lt;b&gt;", "&lt;i&gt;", "&lt;script&gt;", "a &lt; b"):
        assert words in shown
    assert "<script>" not in shown
