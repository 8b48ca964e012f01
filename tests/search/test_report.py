"""A report says what the command line says, asks for nothing, and is linked in a browser."""

import copy
import html
import json
import pathlib
import re
import shlex
import shutil

import pytest

from dse.cli import contents
from dse.cli.main import main
from dse.report import charts, page
from dse.report.page import figures
from dse.search.runs import Run

pytestmark = pytest.mark.usefixtures("compiled_once")
DECODERS = {"high": "high_efficiency_decoder", "knee": "knee", "low": "low_latency_decoder"}
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def reported(finished, tmp_path_factory):
    """A copy of the finished run, which a report may add to."""
    folder = tmp_path_factory.mktemp("reported") / "tiny"
    shutil.copytree(finished.folder, folder)
    return Run(folder)


@pytest.fixture(scope="module")
def made(reported):
    return contents.report(reported)


@pytest.fixture(scope="module")
def text(made):
    return page.html(made)


@pytest.fixture
def asked(capsys):
    """What the command line prints with ``--json``."""

    def ask(*words):
        capsys.readouterr()
        assert main([*map(str, words), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return ask


def words_of(text):
    """The page as people read it, without scripts."""
    plain = re.sub(r"<script.*?</script>", " ", text, flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", plain)).split())


# --- the same numbers -----------------------------------------------------------------------------


def test_the_report_holds_what_the_verbs_print(made, reported, asked):
    run = reported.folder
    assert made["front"] == asked("pareto", "show", run)
    assert made["gains"] == asked("gains", run)
    for identifier, key in DECODERS.items():
        explained = asked("explain", f"{run}#{identifier}")
        assert {name: made["points"][key][name] for name in explained} == explained
        sensed = asked("sensitivity", f"{run}#{identifier}")
        for name in ("elasticities", "shadow_prices", "exchange_rates", "point"):
            assert made["sensitivities"][key][name] == sensed[name]


def test_named_designs_stand_in_full_with_units_and_bounds(made, text):
    said = words_of(text)
    front = made["front"]
    by_id = {design["id"]: design for design in front["designs"]}
    for key in DECODERS.values():
        design = by_id[front[key]]
        assert design["id"] in said
        for knob in design["hardware"]["knobs"]:
            assert knob["path"] in said
        for reached in design["knobs_at_bounds"]:
            word = "upper" if reached.endswith("high") else "lower"
            assert f"at its {word} bound" in said
    for item in made["definitions"]:
        assert item["definition"] in said
    assert f"{len(front['designs'])} designs" in said


def test_every_row_of_the_front_has_its_numbers(made, text):
    rows = re.findall(r'<tr data-id="(.*?)".*?</tr>', text, re.S)
    assert rows == [d["id"] for d in made["front"]["designs"]]
    keys = re.findall(r'data-key="(.*?)"', text)
    assert all(str(d["user_tokens_per_s"]) in keys for d in made["front"]["designs"])
    csv = made["csv"].splitlines()
    assert len(csv) == 1 + len(rows)
    assert csv[0].startswith("id,family,user_tokens_per_s")


# --- one file, safe and whole ---------------------------------------------------------------------


def test_the_file_is_self_contained_and_not_too_large(text):
    head = text.split("<script", 1)[0]
    assert not re.findall(r'(?:src|href)\s*=\s*["\'](?!#)', re.sub(r"<script.*?</script>", "", text,
                                                                   flags=re.S))  # fmt: skip
    assert "url(" not in head
    assert "@import" not in head
    assert len(text.encode()) < 6e6


def test_names_of_a_study_are_escaped_wherever_they_stand(made):
    bad = copy.deepcopy(made)
    bad["front"] |= {"study": SCRIPT, "about": SCRIPT, "run": SCRIPT, "model_title": SCRIPT}
    bad["front"]["families"] = dict.fromkeys(bad["front"]["families"], SCRIPT)
    bad["front"]["compare"][0]["title"] = SCRIPT
    bad["provenance"] |= {"study_file": SCRIPT, "command": SCRIPT}
    bad["study_file"] = bad["csv"] = f"# </script>{SCRIPT}"
    text = page.html(bad)
    assert SCRIPT not in text
    assert text.count("</script>") == page.html(made).count("</script>")
    assert html.escape(SCRIPT) in text


def test_headings_captions_and_alternatives_are_there(text):
    assert text.count("<h1>") == 1
    assert len(re.findall(r"<h2>", text)) >= 8
    for block in re.findall(r"<table.*?</table>", text, re.S):
        assert "<caption>" in block
    for plot in re.findall(r'<div class="plot".*?>', text):
        assert re.search(r'role="img" aria-label="[^"]{20,}"', plot)
    assert "@media print" in text
    assert "prefers-color-scheme: dark" in text


def test_what_is_missing_names_the_command_that_makes_it(text):
    said = words_of(text)
    assert "not certified: dse certify tiny" in said
    assert "dse pareto show tiny --bands" in said


def test_a_dark_figure_is_the_light_one_with_its_differences():
    light = {"a": [1, {"b": "white", "c": 2}], "d": None}
    dark = {"a": [1, {"b": "black", "c": 2}], "d": {"e": 1}}
    assert figures.difference(light, dark) == {"a": {"1": {"b": "black"}}, "d": {"e": 1}}
    assert figures.difference(light, light) is None


# --- runs of all kinds ----------------------------------------------------------------------------


def test_designs_that_would_come_out_otherwise_are_not_evaluated_again(reported, tmp_path):
    folder = tmp_path / "changed"
    shutil.copytree(reported.folder, folder)
    place = folder / "provenance.json"
    said = json.loads(place.read_text())
    said["spec_files"]["chips/h100_sxm.toml"] = "0" * 64
    place.write_text(json.dumps(said))
    made = contents.report(Run(folder))
    assert made["gains"] is None
    assert not made["points"]
    words = words_of(page.html(made))
    assert words.count("chips/h100_sxm.toml: changed since the run was started; its designs") >= 3


def test_an_unfinished_run_says_so(half, tmp_path, capsys):
    found, search = half
    found.write_front(search.settings, search.archive, search.evaluators, search.state)
    place = tmp_path / "half.html"
    assert main(["report", str(found.folder), "-o", str(place)]) == 0
    assert f"wrote {place}" in capsys.readouterr().err
    assert "Unfinished: 8 of 24 trials" in words_of(place.read_text("utf-8"))


def test_an_empty_front_is_answered_with_exit_3(reported, tmp_path, capsys):
    folder = tmp_path / "empty"
    shutil.copytree(reported.folder, folder)
    front = json.loads((folder / "front.json").read_text())
    (folder / "front.json").write_text(json.dumps(front | {"designs": []}))
    assert main(["report", str(folder)]) == 3
    assert "no design on its front" in capsys.readouterr().err
    assert not (folder / "report.html").exists()


def test_only_html_is_written(reported, capsys):
    assert main(["report", str(reported.folder), "-o", "a.pdf"]) == 2
    assert "wanted a name ending in html" in capsys.readouterr().err


def test_more_goals_scenarios_certificate_and_bands_have_their_place(made):
    more = copy.deepcopy(made)
    front = more["front"]
    front["objectives"] = [*front["objectives"], "usd_per_million_tokens"]
    front |= {"combine": "worst", "scenarios": [{"scenario": "one"}, {"scenario": "two"}]}
    front["reference_point"] = [*front["reference_point"], 1.0]
    front["certificate"] = {
        "gap_worst": 0.013, "gap_median": 0.004, "certified_share": 1.0,
        "structures": [{"convex": True, "deployments": 12}],
        "levels": [{"user_tokens_per_s": 100.0, "j_per_token": 0.02, "j_per_token_bound": 0.0198,
                    "gap": 0.013, "branches_opened": 3, "branches_left": 0, "family": "a",
                    "shadow_prices": []}],
    }  # fmt: skip
    more["left_out"] = {"bands": "not computed"}
    said = words_of(page.html(more))
    assert "Goals are over one, two (worst)" in said
    assert "1.30% at worst" in said
    assert "Energy per token at a user speed" in said
    assert "usd_per_million_tokens" in said


# --- as documented --------------------------------------------------------------------------------


def documented():
    page = pathlib.Path(__file__).parents[2] / "docs" / "report.md"
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text("utf-8"), re.S)
    return [line for block in blocks for line in block.splitlines()]


@pytest.mark.parametrize("command", documented())
def test_every_command_of_the_documentation_works(command, reported, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = shlex.split(command.replace("two-goals", str(reported.folder)))
    assert main(words[1:]) == 0
    assert (tmp_path / words[-1]).stat().st_size > 1e6


ADDED = """
\"\"\"Users of each design.\"\"\"
from dse.report.charts import theme
OF = "front"

def figure(front, dark=False):
    import plotly.graph_objects as go
    users = [design["users_in_flight"] for design in front["designs"]]
    plot = go.Figure(go.Scatter(y=users))
    words = theme.Words("Most users first", theme.of_run(front), [theme.source(front)])
    theme.dress(plot, words, dark)
    return plot
"""


def test_a_chart_is_added_by_adding_a_file(made, tmp_path, monkeypatch):
    (tmp_path / "most_users.py").write_text(ADDED)
    monkeypatch.setattr(charts, "__path__", [*charts.__path__, str(tmp_path)])
    charts._files.cache_clear()
    assert "most_users" in charts.names("front")
    drawn = figures.embedded("most_users", made["front"])
    assert drawn.claim == "Most users first"
    charts._files.cache_clear()


# --- in a browser ---------------------------------------------------------------------------------


@pytest.fixture
def opened(browser, text, tmp_path):
    """The page in Chromium, with what it logged and asked for."""
    place = tmp_path / "report.html"
    place.write_text(text, "utf-8")
    view = browser.new_page(viewport={"width": 1400, "height": 1000}, reduced_motion="reduce")
    view.said, view.asked = [], []
    view.on("console", lambda message: view.said.append(message.text))
    view.on("pageerror", lambda error: view.said.append(str(error)))
    view.on("request", lambda request: view.asked.append(request.url))
    view.goto(place.as_uri())
    view.wait_for_selector("html[data-ready]", timeout=60_000)
    yield view
    assert view.said == []
    assert all(url.startswith(("file:", "data:", "blob:")) for url in view.asked)
    view.close()


def marked(view):
    return view.locator("#designs-table tr.on").evaluate_all("rows => rows.map(r => r.dataset.id)")


def drag(view, selector, ends):
    """A drag over shares of a plot's drag layer, until the page says what it selected."""
    before = view.locator("#selected").inner_text()
    view.locator(selector).scroll_into_view_if_needed()
    box = view.locator(f"{selector} .nsewdrag").first.bounding_box()
    (x0, y0), (x1, y1) = [(box["x"] + fx * box["width"], box["y"] + fy * box["height"])
                          for fx, fy in ends]  # fmt: skip
    view.mouse.move(x0, y0)
    view.mouse.down()
    view.mouse.move((x0 + x1) / 2, (y0 + y1) / 2, steps=4)
    view.mouse.move(x1, y1, steps=4)
    view.mouse.up()
    view.wait_for_function(
        "said => document.getElementById('selected').textContent !== said", arg=before
    )


def test_a_brush_marks_the_other_charts_and_the_table(opened, made):
    every = [d["id"] for d in made["front"]["designs"]]
    drag(opened, '[data-figure="pareto"]', ((0.01, 0.01), (0.99, 0.99)))
    assert marked(opened) == every
    speed = '[data-figure="parallel"]'
    drag(opened, speed, ((0.001, -0.01 + 0.5), (0.06, 0.99)))
    lower = marked(opened)
    assert lower
    assert set(lower) < set(every)
    faint = opened.evaluate(
        "() => document.querySelector('[data-figure=\"parallel\"]').data"
        ".filter(t => t.opacity < 0.1).map(t => t.name)"
    )
    assert sorted(faint) == sorted(set(every) - set(lower))
    picked = opened.evaluate(
        "() => document.querySelector('[data-figure=\"pareto\"]').data.filter(t => t.customdata)"
        ".flatMap(t => (t.selectedpoints || []).map(i => t.customdata[i]))"
    )
    assert sorted(picked) == sorted(lower)
    opened.keyboard.press("Escape")
    assert marked(opened) == []
    assert opened.locator("#selected").inner_text() == f"{len(every)} designs"


def test_rows_are_picked_and_heads_sorted_by_keyboard(opened, made):
    first = opened.locator("#designs-table tbody tr").first
    first.focus()
    opened.keyboard.press("Space")
    opened.keyboard.press("ArrowDown")
    opened.keyboard.press("Enter")
    slow = [d["id"] for d in made["front"]["designs"]]
    assert marked(opened) == slow[:2]
    head = opened.locator("#designs-table th button", has_text="user tok/s")
    head.focus()
    opened.keyboard.press("Enter")
    opened.keyboard.press("Enter")
    rows = opened.locator("#designs-table tbody tr")
    assert rows.evaluate_all("rows => rows.map(r => r.dataset.id)") == slow[::-1]
    assert head.locator("xpath=..").get_attribute("aria-sort") == "descending"
    with opened.expect_download() as download:
        opened.locator("#csv").click()
    assert download.value.path().read_text("utf-8") == made["csv"]


def test_dark_pages_narrow_ones_and_print_keep_their_width(opened):
    ink = "() => document.querySelector('[data-figure=\"pareto\"]').layout.font.color"
    assert opened.evaluate(ink) == "#1B1F23"
    opened.emulate_media(color_scheme="dark")
    opened.wait_for_function(f"({ink})() === '#E8E6E1'")
    opened.set_viewport_size({"width": 700, "height": 900})
    opened.wait_for_function("document.documentElement.scrollWidth <= 700")
