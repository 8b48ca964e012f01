"""Every number of the page is the command line's."""

import json
import shlex

import pytest

from dse.cli.explore import Lent, repeats
from dse.explore import views
from dse.explore.answer import Answers
from dse.explore.app import Page
from dse.explore.query import Options

START = {"model": "llama-3.1-8b", "workload": "chat-8k", "tp": "2", "batch": "16"}
POINT = [word for name, value in START.items() for word in (f"--{name}", value)]
CHANGES = ["memory.hbm.bandwidth=2x", "voltage=0.72V"]


@pytest.fixture(scope="module")
def page():
    lent = Lent(frozenset({"h100_sxm"}))
    made = Page(Answers(lent), Options(repeats()), "chip=h100_sxm", lent.opened)
    with made.guarded():
        yield made


def asked(chip="h100_sxm", changes=(), **more):
    words = {"chip": chip, **START, **more}
    return words | ({"set": list(changes)} if changes else {})


def flags(changes):
    return [word for change in changes for word in ("--set", change)]


def numbers(components):
    """(metric, side) -> value of every number that components show."""
    found = {}

    def walk(node):
        if isinstance(node, (list, tuple)):
            for item in node:
                walk(item)
        elif hasattr(node, "to_plotly_json"):
            props = node.to_plotly_json()["props"]
            if "data-side" in props:
                found[props["data-metric"], props["data-side"]] = float(props["data-value"])
            walk(props.get("children"))

    walk(components)
    return found


def test_a_slider_is_answered_as_whatif_answers(page, whatif):
    quick = page.answers.quick(asked(changes=CHANGES))
    said = whatif("h100_sxm", *POINT, *flags(CHANGES), "--curve")
    assert json.loads(json.dumps(quick.before.result)) == said["base"]
    assert json.loads(json.dumps(quick.after.result)) == said["changed"]
    assert json.loads(json.dumps(quick.comparison)) == said["comparison"]
    assert quick.changes == said["changes"]
    assert json.loads(json.dumps(quick.before.curve)) == said["curve"]["base"]
    assert json.loads(json.dumps(quick.after.curve)) == said["curve"]["changed"]
    shown = numbers(views.headline(quick))
    assert len(shown) == 14
    for (metric, side), value in shown.items():
        assert value == said["comparison"][metric][side]


def test_the_slower_answer_is_the_object_of_whatif(page, whatif):
    said = whatif("h100_sxm", *POINT, *flags(CHANGES))
    assert json.loads(json.dumps(page.answers.thorough(asked(changes=CHANGES)))) == said


def test_no_change_is_exactly_no_change(page):
    quick = page.answers.quick(asked())
    assert quick.before.result == quick.after.result
    shown = numbers(views.headline(quick))
    assert {shown[m, "base"] == shown[m, "changed"] for m, _ in shown} == {True}
    assert "no change" in str(views.headline(quick))


def test_what_it_hands_back_asks_the_same(page):
    """The query of an answer, asked again, is the same question with the same numbers."""
    first = page.quick({"query": "chip=h100_sxm&tp=2&set=hbm.bandwidth=2x", "panel": ""})
    query = first["controls"]["query"]
    second = page.quick({"query": query, "panel": "h100_sxm"})
    assert "set=memory.hbm.bandwidth=6.7TB/s" in query
    assert second["controls"]["query"] == query
    assert numbers(second["shown"]["headline"]) == numbers(first["shown"]["headline"])
    assert "panel" in first["controls"]
    assert "panel" not in second["controls"]


def test_the_command_it_shows_gives_its_numbers(page, whatif):
    shown = page.quick({"query": "chip=h100_sxm&tp=2&set=voltage=0.7V&kv=fp8"})["shown"]
    said = whatif(*shlex.split(shown["command"][0])[2:])
    for (metric, side), value in numbers(shown["headline"]).items():
        assert value == said["comparison"][metric][side]


def test_infeasible_is_an_answer_with_what_helps(page):
    words = asked(batch="4000")
    quick = page.answers.quick(words)
    assert not quick.feasible
    message = views.infeasible(quick, page.answers.thorough(words)["remedies"])
    assert "capacity.hbm" in str(message)
    assert "data-apply='batch=" in str(message)
    assert "Infeasible" in views.spoken(quick)


def test_other_chips_are_drawn_once_they_are_known(page):
    words = asked("reticle_n3_hbm4")
    assert page.answers.known_others(words) == []
    lines = page.answers.others(words)
    assert [line["name"] for line in lines] == ["H100 SXM", "B200 SXM"]
    for line in lines:
        speeds = [p["user_tokens_per_s"] for p in line["points"]]
        assert speeds == sorted(speeds, reverse=True)
    assert page.answers.known_others(words) == lines


def test_a_design_of_a_run_is_a_start(page, run_of_one_design):
    shown = page.quick({"query": "chip=r%23a1"})["shown"]
    assert shown["message"] == []
    assert "dse whatif r#a1" in shown["command"][0].replace("'", "")
