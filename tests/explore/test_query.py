"""A question and the query of its address: round trips, and what malformed ones are answered."""

import contextlib
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dse.cli.explore import Lent, repeats, words
from dse.cli.point import Point
from dse.explore.query import LONGEST, Asked, Options
from dse.specs.errors import SpecError

OPTIONS = Options(repeats())
TEXT = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20)
ONE = [name for name, many in repeats().items() if not many]
MANY = [name for name, many in repeats().items() if many]
WORDS = st.tuples(
    st.dictionaries(st.sampled_from(ONE), TEXT, max_size=6),
    st.dictionaries(st.sampled_from(MANY), st.lists(TEXT, min_size=1, max_size=3), max_size=2),
).map(lambda pair: pair[0] | pair[1])


@given(WORDS, st.lists(TEXT, max_size=2))
def test_a_question_comes_back_from_its_query(said, pins):
    asked = Asked(said, tuple(pins))
    assert OPTIONS.read(asked.query) == asked
    assert OPTIONS.read("?" + asked.query).query == asked.query


@given(st.text(max_size=300))
def test_any_text_is_read_or_answered_by_its_problems(text):
    with contextlib.suppress(SpecError):
        OPTIONS.read(text)


@pytest.mark.parametrize(("query", "said"), [
    ("chp=h100_sxm", "did you mean chip?"),
    ("chip=a&chip=b", "given twice"),
    ("model=", "wanted a value"),
    ("chip=" + "x" * 400, "characters; at most"),
    ("x" * (LONGEST + 1), "at most"),
    ("pin=a&pin=b&pin=c&pin=d", "more than 3"),
    ("&".join(["set=voltage=0.7V"] * 70), "more than 64"),
    ("chip=a%00b", "wanted a value"),
])  # fmt: skip
def test_a_malformed_query_is_named(query, said):
    with pytest.raises(SpecError, match="problem") as found:
        OPTIONS.read(query)
    assert said in str(found.value)


def test_all_problems_come_at_once():
    with pytest.raises(SpecError) as found:
        OPTIONS.read("chp=a&model=&tp=1&tp=2")
    assert len(found.value.problems) == 3


@given(WORDS)
def test_the_command_says_the_same(said):
    lent = Lent(frozenset({said.get("chip", "")}))
    point = lent.point({"chip": "h100_sxm"} | said)
    typed = shlex.split(lent.command({"chip": "h100_sxm"} | said))
    assert typed[:3] == ["dse", "whatif", point.chip]
    flags = [word for word in typed if word.startswith("--")]
    assert len(flags) >= len([name for name in said if name != "chip"])
    assert words(point) == {"chip": "h100_sxm"} | said


@pytest.mark.parametrize("chip", ["../x#low", "/etc#low", "a/b#low", "..#low", "#low", "a..b#x"])
def test_a_page_names_runs_by_name_only(chip):
    with pytest.raises(SpecError, match="wanted RUN#ID"):
        Lent(frozenset()).point({"chip": chip})


def test_a_command_line_may_name_any_run():
    assert Lent(frozenset({"a/b#low"})).point({"chip": "a/b#low"}) == Point("a/b#low")
