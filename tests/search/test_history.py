"""The growth of a front is that of its run, and charts of runs draw it."""

import pytest

from dse.cli import contents
from dse.cli.main import main
from dse.report import charts
from dse.search.history import history


def test_the_hypervolume_grows_to_that_of_the_run(finished):
    found = history(finished)
    volumes = found["hypervolume"]
    assert volumes == sorted(volumes)
    assert found["trials"] == sorted(set(found["trials"]))
    assert found["trials"][-1] <= found["trials_done"] == 24
    assert volumes[-1] == pytest.approx(finished.state["hypervolume"][-1], rel=1e-9)


@pytest.mark.parametrize("name", charts.names("front", "history"))
def test_charts_of_a_run_are_plotted_by_name(name, finished, tmp_path, capsys):
    place = tmp_path / f"{name}.html"
    assert main(["pareto", "plot", str(finished.folder), "--chart", name, "-o", str(place)]) == 0
    assert "Plotly.newPlot" in place.read_text("utf-8")
    assert str(place) in capsys.readouterr().err


def test_an_unknown_chart_is_answered_with_the_nearest(finished, capsys):
    asked = ["pareto", "plot", str(finished.folder), "--chart", "hypervolum", "-o", "a.html"]
    assert main(asked) == 2
    assert "hypervolume" in capsys.readouterr().err


def test_every_chart_of_a_run_has_its_object():
    assert set(charts.names(*contents.OF_RUN)) >= {"bands", "ladder", "pareto", "parallel"}
