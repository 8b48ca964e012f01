"""The picture of predictions against measurements holds every row."""

from dse.report.charts import parity

ROWS = [
    {"metric": metric, "chip": chip, "model": "m", "calibrated_on": chip == "a",
     "predicted": 1.1 * value, "measured": value}
    for metric, value in (("tpot_s", 0.01), ("power_w", 500.0), ("latency_s", 2e-5))
    for chip in ("a", "b")
]  # fmt: skip


def test_one_panel_per_metric_with_its_diagonal():
    plot = parity.figure(ROWS)
    markers = [trace for trace in plot.data if trace.mode == "markers"]
    assert sum(len(trace.x) for trace in markers) == len(ROWS)
    assert sum(trace.mode == "lines" for trace in plot.data) == 3
    assert markers[0].x[0] == 10.0  # milliseconds
    assert {trace.marker.symbol[0] for trace in markers} == {"circle", "circle-open"}
    assert "100 % of 6" in plot.layout.title.text


def test_dark_pages_and_no_rows():
    assert parity.figure(ROWS, dark=True).layout.paper_bgcolor == "#14171A"
    assert not parity.figure([]).data
