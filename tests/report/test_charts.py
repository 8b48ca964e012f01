"""Every chart draws from a fixed front, light and dark, with its axes and claim in words."""

import json
import math

import pytest

from dse.report import charts, export
from dse.report.charts import theme
from dse.specs.schema import SpecError
from tests.report.conftest import design

ROWS = [{"metric": "tpot_s", "chip": "a", "model": "m", "calibrated_on": True,
         "predicted": 0.01, "measured": 0.011}]  # fmt: skip

CURVES = {"claim": "A curve", "corner": "Chip, speed of light",
          "lines": [{"name": "chip", "role": "base", "at": 1, "points": [
              {"batch": 1, "user_tokens_per_s": 90.0, "system_tokens_per_s_per_w": 0.1,
               "feasible": True}]}]}  # fmt: skip


def with_bands(front):
    """A front with bands of its goals, two designs unsure, one of another family robust."""
    goals = ("user_tokens_per_s", "system_tokens_per_s_per_w")
    rows = [
        {"id": d["id"], "family": d["family"], "nominal": {g: d[g] for g in goals},
         "goals": {g: [0.8 * d[g], 1.1 * d[g]] for g in goals},
         "robust": {g: 0.75 * d[g] for g in goals}, "on_front": 0.5, "within_limits": 0.9,
         "regret": {"mean": 0.01, "late": 0.05}, "on_robust_front": d["family"] == "b"}
        for d in front["designs"]
    ]  # fmt: skip
    attained = {"levels": [100.0, 400.0, 900.0], "low": [6.0, 3.0, None],
                "median": [7.0, 4.0, 0.9], "high": [9.0, 6.0, 1.1]}  # fmt: skip
    return front | {"bands": {"designs": rows, "rivals": [], "attained": attained, "level": 0.8,
                              "draws": 256, "tail": 0.2, "compared": 40}}  # fmt: skip


def row(volts, batch, feasible=True):
    broken = [] if feasible else [{"name": "minimum_voltage"}]
    return {"values": {"voltage": volts, "batch": batch}, "feasible": feasible,
            "user_tokens_per_s": 100 * volts, "system_tokens_per_s_per_w": batch / volts,
            "violations": broken}  # fmt: skip


@pytest.fixture(scope="module")
def sweep():
    """Two axes, a point of which breaks a limit."""
    volts, batches = [0.5, 0.7], [1.0, 64.0]
    axes = [{"path": "voltage", "values": ["0.5V", "0.7V"], "numbers": volts, "unit": "volt"},
            {"path": "batch", "values": ["1", "64"], "numbers": batches, "unit": ""}]  # fmt: skip
    return {
        "title": "Chip", "model_title": "Llama", "workload": "chat-8k", "fidelity": "sol",
        "power_scope": "system", "basis": {"batch": "fixed", "deploy": "fixed", "speed": None},
        "axes": axes, "points": [row(v, b, (v, b) != (0.5, 64)) for v in volts for b in batches],
    }  # fmt: skip


@pytest.fixture(scope="module")
def compare():
    """Two runs, one of whose designs is beaten."""
    rows = [{"run": run, "study": "tiny", "seed": 1, "trials": 9, "share": share,
             "front": [design(str(i), x, y) | {"survives": i == 0}
                       for i, (x, y) in enumerate([(100, 9.0), (900, high)])]}
            for run, share, high in (("one", 0.99, 2.0), ("two", 0.9, 1.0))]  # fmt: skip
    return {"model_title": "Llama", "workload_title": "Chat", "fidelity": "sol",
            "power_scope": "system", "runs": rows,
            "differences": [{"key": "search.seed", "values": [1, 2]}]}  # fmt: skip


def winner(family, share):
    tiers = {tier: {"weights_fraction": part, "kv_cache_fraction": 0.5, "read_bytes_per_s": 1e12}
             for tier, part in (("sram", share), ("dram", 1 - share))}  # fmt: skip
    return {"family": family, "user_tokens_per_s": 500.0, "j_per_token": 0.02, "chips": 4.0,
            "silicon_mm2": 900.0, "users_in_flight": 8.0, "tiers": tiers}  # fmt: skip


@pytest.fixture(scope="module")
def placement():
    """Two values of a limit, two speeds, one of which the first value does not serve."""
    points = [
        {"value": 1e3, "text": "1,000 mm2", "winners": [winner("a", 0.0), None],
         "fastest": winner("a", 0.1)},
        {"value": 4e3, "text": "4,000 mm2", "winners": [winner("b", 1.0), winner("b", 0.9)],
         "fastest": winner("b", 1.0)},
    ]  # fmt: skip
    turns = [[{"family": "a", "most_weights_in": "dram", "from": 1e3, "to": 1e3},
              {"family": "b", "most_weights_in": "sram", "from": 4e3, "to": 4e3}],
             [{"family": "b", "most_weights_in": "sram", "from": 4e3, "to": 4e3}]]  # fmt: skip
    return {"study": "tiny", "model_title": "Llama", "workload_title": "Chat", "fidelity": "sol",
            "power_scope": "system", "constraints": {}, "rounds": 3, "seed": 1,
            "axis": {"path": "silicon", "label": "Silicon", "sense": "<="},
            "families": {"a": "stacked", "b": "SRAM"}, "speeds": [100.0, 300.0],
            "points": points, "turns": turns}  # fmt: skip


@pytest.fixture(scope="module")
def saved():
    """Two arms at a speed, one of which does not serve it."""
    loads = [{"share": share, "users": 64 * share, "j_per_token": 0.1 / share,
              "user_tokens_per_s": 400.0, "power_w": 900.0} for share in (1.0, 0.1)]  # fmt: skip
    lean = {"j_per_token": 0.1, "users_in_flight": 64.0, "at_load": loads}
    arms = [{"title": "this run", "leanest": lean, "fastest": 900.0, "energy_ratio": 1.0},
            {"title": "8 x NVIDIA H100 SXM", "leanest": None, "fastest": 90.0,
             "energy_ratio": None}]  # fmt: skip
    return {"run": "tiny", "model_title": "Llama", "workload_title": "Chat", "fidelity": "sol",
            "power_scope": "system", "constraints": {}, "seed": 1, "trials": 9,
            "user_tokens_per_s": 300.0, "loads": [1.0, 0.1], "arms": arms}  # fmt: skip


def carried(sensed):
    """A sensitivity with a claim that ceases to hold at three times the assumption."""
    curve = [{"value": value, "metric": 6.0 / value} for value in (0.5, 1.0, 3.0, 12.0)]
    found = {"path": "memory.hbm.technology.read", "value": 1.0, "unit": "joule", "over": "h100",
             "target": "gain>=2 over h100", "metric": "system_tokens_per_s_per_w", "now": 6.0,
             "holds_now": True, "upward": 3.0, "downward": None, "searched": [0.001, 1000.0],
             "stated_range": [0.5, 2.0], "wanted": 2.0, "curve": curve}  # fmt: skip
    return sensed | {"break_even": found}


def exchanged(sensed, *gains):
    """A sensitivity whose MACs and SRAM change places; the last exchange breaks a limit."""
    paths = ["compute.fp8.macs", "memory.sram.capacity"]
    rows = [{"into": paths[i % 2], "out_of": paths[1 - i % 2], "user_tokens_per_s": gain,
             "system_tokens_per_s_per_w": gain / 2, "voltage_v": 0.6,
             "breaks": ["heat_flux"] if i == len(gains) - 1 else []}
            for i, gain in enumerate(gains)]  # fmt: skip
    best = max(rows[:-1], key=lambda row: row["user_tokens_per_s"])
    best = best if best["user_tokens_per_s"] > 0 else None
    goals = "user_tokens_per_s", "system_tokens_per_s_per_w"
    found = {
        "step_mm2": 100.0,
        "fixed_heat": True,
        "rows": rows,
        "best": dict.fromkeys(goals, best),
    }
    return sensed | {"exchange_rates": found}


def test_the_claim_of_an_exchange_is_the_best_that_can_be_had(sensed):
    def claim(*gains):
        return charts.chart("exchange").claim(exchanged(sensed, *gains)["exchange_rates"])

    assert claim(0.2, 0.9).startswith("The next 100 mm2: +20.0 % user speed from SRAM to fp8 MACs")
    assert claim(-0.2, 0.9).endswith("heat flux forbids +90.0 % user speed from fp8 MACs to SRAM")
    assert claim(-0.2, -0.9) == "No exchange of 100 mm2 pays within the limits"


@pytest.fixture(scope="module")
def drawn(request):
    """What each kind of chart draws, by the ``OF`` of its module."""
    front, named = request.getfixturevalue("front"), request.getfixturevalue
    return {
        "front": front, "bands": with_bands(front), "rows": ROWS, "curves": CURVES,
        "sweep": named("sweep"),
        "compare": named("compare"), "gains": named("gains"), "history": named("history"),
        "explain": named("explained"), "sensitivity": named("sensed"),
        "whatif": named("changed"), "fronts": named("placement"), "savings": named("saved"),
        "break_even": carried(named("sensed")),
        "exchange": exchanged(named("sensed"), 0.02, -0.7),
    }  # fmt: skip


def numbers(node):
    """Every number of a figure."""
    if isinstance(node, dict):
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for inner in node:
            yield from numbers(inner)
    elif isinstance(node, float):
        yield node


def says_what_it_measures(plain):
    """Whether some axis across and, unless bars have names, every axis upwards has a title."""
    drawn = {name: axis for name, axis in plain["layout"].items()
             if name[1:].startswith("axis") and axis.get("visible") is not False}  # fmt: skip
    titled = {name for name, axis in drawn.items() if (axis.get("title") or {}).get("text")}
    words = any(trace.get("orientation") == "h" for trace in plain["data"])
    up = {name for name in drawn if name.startswith("y")}
    return not drawn or ((words or up <= titled) and any(n.startswith("x") for n in titled))


@pytest.mark.parametrize("name", charts.names())
def test_every_chart_is_a_claim_with_legible_ink_and_numbers(name, drawn):
    """The law of all charts, also of one added tomorrow."""
    module = charts.chart(name)
    given = drawn[module.OF]
    light, dark = module.figure(given), module.figure(given, True)
    assert module.__doc__
    for figure, is_dark in ((light, False), (dark, True)):
        assert figure.layout.title.text.startswith("<b>")
        assert figure.layout.paper_bgcolor == theme.page(is_dark)["page"]
        assert figure.layout.font.color == theme.page(is_dark)["ink"]
        assert len(figure.data) >= 1
    assert light.layout.meta["claim"] == dark.layout.meta["claim"] != ""
    assert light.layout.meta["small"]
    assert all(len(line) for line in light.layout.meta["small"])
    plain = json.loads(light.to_json())
    assert plain != json.loads(dark.to_json())
    assert not any(math.isnan(number) for number in numbers(plain))
    assert says_what_it_measures(plain)
    assert "<div" in light.to_html(include_plotlyjs=False, full_html=False)


def test_charts_are_found_by_what_they_draw():
    assert charts.names("explain") == ("critical_path", "roofline")
    assert charts.names("front", "gains")[-1] == "ladder"
    assert set(charts.names("front")) < set(charts.names())


def test_the_pareto_chart_names_axes_decoders_and_ratio(front):
    from dse.report.charts import pareto

    figure = pareto.figure(front)
    assert "User tokens/s" in figure.layout.xaxis.title.text
    assert "System tokens/s/W" in figure.layout.yaxis.title.text
    said = " ".join([*(note.text for note in figure.layout.annotations),
                     *figure.layout.meta["small"]])  # fmt: skip
    for words in ("High Efficiency Decoder", "Low Latency Decoder", "knee", "NVIDIA H100 SXM",
                  "4.5\u00d7", "seed 1", "silicon <= 1000 mm2",
                  "Beyond what silicon has shown"):  # fmt: skip
        assert words in said
    assert "4.5\u00d7" in figure.layout.title.text
    assert "10\u00d7" in figure.layout.title.text


def test_bands_say_how_far_the_likely_front_is_from_the_stated(front):
    from dse.report.charts import bands

    figure = bands.figure(with_bands(front))
    assert "likely 22 % below" in figure.layout.title.text
    assert [t.name for t in figure.data][-1] == "robust front"
    assert tuple(figure.data[-1].x) == (675.0,)


def test_a_sweep_has_a_line_per_value_of_its_second_axis_and_hollow_points(sweep):
    from dse.report.charts import sweep as chart

    figure = chart.figure(sweep)
    named = [line.name for line in figure.data if line.showlegend]
    assert named == ["batch 1", "batch 64"]
    hollow = [line for line in figure.data if line.mode == "markers"]
    assert [tuple(line.x) for line in hollow] == [(0.5,), (0.5,)]
    assert tuple(figure.layout.xaxis2.ticktext) == ("500 mV", "700 mV")
    assert figure.layout.xaxis2.title.text == "voltage"
    one = sweep | {"axes": sweep["axes"][:1], "points": [row(0.5, 1.0), row(0.7, 1.0)]}
    assert "User tokens/s up to 1.40x" in chart.figure(one).layout.title.text
    none = sweep | {"points": [point | {"feasible": False} for point in sweep["points"]]}
    assert "No feasible point" in chart.figure(none).layout.title.text


def test_compared_runs_are_named_and_the_lower_panel_says_what_they_lack(compare):
    from dse.report.charts import compare as chart

    figure = chart.figure(compare)
    assert "one covers 99.00 %" in figure.layout.title.text
    over = [line for line in figure.data if line.yaxis == "y2"]
    assert [tuple(line.y) for line in over] == [(0, 0), (0, 100)]
    assert tuple(figure.layout.yaxis2.range) == (0, chart.STEEP)


def test_a_placement_map_says_where_sram_begins_and_outlines_it(placement):
    from dse.report.charts import placement as chart

    figure = chart.figure(placement)
    assert figure.layout.title.text == "<b>Weights belong in SRAM from 4,000 mm2 on</b>"
    texts = [text for trace in figure.data if trace.type == "heatmap" for row in trace.text
             for text in row if text]  # fmt: skip
    assert texts.count("<b>20.0 mJ</b><br>SRAM 0%") == 1
    assert len(texts) == 5
    outline = figure.data[-1]
    assert sum(x is None for x in outline.x) == 3  # cells whose weights lie mostly in SRAM
    none = placement | {"turns": [[], []]}
    assert "at no silicon looked at" in chart.figure(none).layout.title.text


def test_an_empty_front_still_draws(front):
    from dse.report.charts import breakdown, pareto

    empty = front | {"designs": [], "family_fronts": {}, "high_efficiency_decoder": None,
                     "low_latency_decoder": None, "knee": None,
                     "gain": {k: {"ratio": None, "over": None} for k in
                              ("user_tokens_per_s", "system_tokens_per_s_per_w")}}  # fmt: skip
    for chart in (pareto, breakdown):
        assert chart.figure(empty).layout.title.text


def test_ticks_read_one_two_five():
    assert theme.ticks(0.9, 25) == pytest.approx([1, 2, 5, 10, 20])
    assert theme.ticks(1, 1e6) == pytest.approx([1, 10, 100, 1e3, 1e4, 1e5, 1e6])


def test_a_short_title_loses_its_maker_and_what_is_in_brackets_only():
    assert theme.short("NVIDIA GB200 NVL72 (per GPU), fastest") == "GB200 NVL72, fastest"
    assert theme.short("AMD Instinct MI300X") == "Instinct MI300X"


def test_html_is_self_contained(front, tmp_path):
    from dse.report.charts import pareto

    path = export.write_figure(pareto.figure(front), tmp_path / "front.html")
    text = path.read_text("utf-8")
    assert "Plotly.newPlot" in text
    assert 'src="http' not in text


@pytest.mark.parametrize("name", ["front.gif", "front", "front.txt"])
def test_other_endings_are_refused(name, front, tmp_path):
    from dse.report.charts import pareto

    with pytest.raises(SpecError, match="html, png or svg"):
        export.write_figure(pareto.figure(front), tmp_path / name)


def test_without_a_browser_pictures_say_what_is_missing(front, tmp_path, monkeypatch):
    from dse.report.charts import pareto

    monkeypatch.setattr(export, "browser", lambda: None)
    with pytest.raises(export.NoBrowser):
        export.write_figure(pareto.figure(front), tmp_path / "front.png")
