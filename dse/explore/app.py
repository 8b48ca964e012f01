"""The page as a Dash app: its layout, and the three addresses that answer it.

The browser keeps one question, as a query, and asks again when a slider moved; while an answer is
under way only the newest question waits (`assets/explore.js`). `quick` answers with what follows a
slider, `thorough` with the rest once the sliders rest, `compare` when other chips are known.
Answers go around Dash's callbacks, which cost more than both the answer and the redrawn chart.
"""

import contextlib
import functools
import pathlib
import traceback
from collections.abc import Mapping
from typing import Any

import dash
import jax
import numpy as np
from dash import dcc, html

from dse.explore import panel, views
from dse.explore.answer import Answers, Quick
from dse.explore.query import Asked, Options
from dse.report.charts import curves
from dse.specs import library
from dse.specs.errors import SpecError
from dse.specs.formats import FORMATS

ASSETS = pathlib.Path(__file__).with_name("assets")
PICKED = (("chip", "Chip", "chips"), ("model", "Model", "models"),
          ("workload", "Workload", "workloads"))  # fmt: skip
FIDELITIES = (("", "auto"), ("sol", "speed of light"), ("calibrated", "calibrated"))
DEFAULTS = {"chip": "h100_sxm", "model": "llama-3.1-70b", "workload": "chat-8k"}
FIELDS = ("tp", "ep", "dp", "pp", "kvp", "context", "weights", "kv", "activations")
MOST_NAME = 60  # characters of a curve's name
CLEAR = "rgba(0,0,0,0)"
NO_AXIS = {"visible": False}
EMPTY = {"data": [], "layout": {"autosize": True, "paper_bgcolor": CLEAR, "plot_bgcolor": CLEAR,
                                "xaxis": NO_AXIS, "yaxis": NO_AXIS}}  # fmt: skip
HEIGHT = "clamp(360px, 50vh, 560px)"
KINDS = ("quick", "thorough", "compare")
CHART = {"displaylogo": False, "displayModeBar": False, "responsive": True,
         "doubleClick": "reset"}  # fmt: skip


class Page:
    """One page server's answers, in the outputs of its callbacks."""

    def __init__(self, answers: Answers, options: Options, start: str, opened: frozenset[str]):
        self.answers = answers
        self.options = options
        self.start = start
        self.opened = opened  # what the command line named, besides names

    @contextlib.contextmanager
    def guarded(self):
        """Double precision, and no file opened by a path that a page names."""
        with library.names_only(self.opened), jax.enable_x64(True), np.errstate(all="ignore"):
            yield

    def asked(self, query: str) -> Asked:
        """The question of a query; of an empty one the question the page was started with."""
        asked = self.options.read(query or self.start)
        words = asked.words
        if "chip" not in words:
            words["chip"] = DEFAULTS["chip"]
        if "#" not in str(words["chip"]):
            words |= {key: value for key, value in DEFAULTS.items() if key not in words}
        return asked

    def quick(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Curve, headline, bars, gauges, message, command; and what the controls show."""
        asked = self.asked(str(data.get("query", "")))
        found = self.answers.quick(asked.words)
        return {
            "figure": self._chart(asked, found, bool(data.get("dark"))),
            "shown": {
                "headline": views.headline(found),
                "spoken": [views.spoken(found)],
                "bars": views.bars(found),
                "gauges": views.gauges(found),
                "message": views.infeasible(found, None),
                "command": [self.answers.door.command(asked.words)],
            },
            "controls": self._controls(asked, found, str(data.get("panel", ""))),
        }

    def thorough(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Knobs that pay, why, what helps."""
        words = self.asked(str(data.get("query", ""))).words
        result = self.answers.thorough(words)
        message = views.infeasible(self.answers.quick(words), result["remedies"])
        return {"shown": {"pays": views.pays(result), "why": views.why(result),
                          "message": message}}  # fmt: skip

    def compare(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """The other chips at this model and load are known from here on."""
        self.answers.others(self.asked(str(data.get("query", ""))).words)
        return {}

    def answer(self, kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """One of these answers, or what is wrong with its question; `KINDS` names them."""
        words: Mapping[str, Any] = {}
        try:
            with self.guarded():
                words = self.options.read(str(data.get("query", ""))).words
                return {"ok": True} | getattr(self, kind)(data)
        except SpecError as error:
            problems = error.problems
        except Exception:  # told on the page and the terminal, and the page goes on
            traceback.print_exc()
            problems = ["an error inside dse; the terminal shows where it arose"]
        return {"ok": False, "words": dict(words), "shown": {"message": views.problems(problems)}}

    # --- parts of an answer ---------------------------------------------------------------------

    def _chart(self, asked: Asked, found: Quick, dark: bool) -> dict[str, Any]:
        """The batch curves, laid out for the page."""
        before, after = found.before, found.after
        chip = str(asked.words["chip"])
        title = chip if "#" in chip else before.case.chip.title
        name = f"{title} x{before.result['chips']:g}"
        batch = before.result["batch"]
        lines = [{"name": name, "role": "base", "points": before.curve, "at": batch}]
        if found.changes:
            words = views.changed_words(found)
            words = words if len(words) <= MOST_NAME else words[: MOST_NAME - 1] + "\u2026"
            lines.append({"name": words, "role": "changed", "points": after.curve,
                          "at": after.result["batch"]})  # fmt: skip
        for pin in asked.pins:
            pinned = self.asked(pin).words
            lines.append({"name": f"pinned: {self._named(pinned)}", "role": "pinned",
                          "points": self.answers.pinned(pinned), "at": None})  # fmt: skip
        lines += self.answers.known_others(asked.words)
        drawn = curves.drawing({"lines": lines}, dark)
        layout = drawn["layout"]
        for key in ("title", "width", "height", "modebar"):
            layout.pop(key, None)
        layout |= {"autosize": True, "margin": {"l": 64, "r": 36, "t": 34, "b": 52},
                   "paper_bgcolor": CLEAR, "plot_bgcolor": CLEAR,
                   "uirevision": "page"}  # fmt: skip
        layout["annotations"] = layout["annotations"][:-1]  # the page has its own small print
        return drawn | {"config": CHART}

    def _named(self, words: Mapping[str, Any]) -> str:
        said = ", ".join(words.get("set", []))
        name = f"{words['chip']} {said}".strip()
        return name if len(name) <= MOST_NAME else name[: MOST_NAME - 1] + "\u2026"

    def _controls(self, asked: Asked, found: Quick, shown: str) -> dict[str, Any]:
        """What the controls show: the question as it was read, values, and rows of a new chip."""
        before, after = found.before, found.after
        changes = [f"{c['path']}={c['after'].replace(' ', '')}" for c in found.changes]
        words = asked.words
        if changes or "set" in words:
            words = {k: v for k, v in words.items() if k != "set"} | {"set": changes}
        result = after.result
        controls = {
            "query": Asked(words, asked.pins).query,
            "values": panel.values(before, after) if changes else {},
            "set": {c["path"]: c["after"] for c in found.changes},
            "words": {"model": before.case.model.name, "workload": before.case.workload.name}
            | {k: v for k, v in words.items() if k != "set"},
            "defaults": {name: _plain(result.get(name)) for name in (*FIELDS, "batch")}
            | {"context": f"{result['context_tokens']:,.0f}", "fidelity": result["fidelity"]},
            "bare": Asked({k: v for k, v in words.items() if k != "set"}).query,
            "shown": str(words["chip"]),
        }  # fmt: skip
        if shown != controls["shown"]:
            controls["panel"] = panel.panel(before)
        return controls


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value or "")


def app_of(page: Page) -> dash.Dash:
    """The Dash app; everything it serves lies in this package and in Dash."""
    app = dash.Dash(
        "dse.explore",
        assets_folder=str(ASSETS),
        serve_locally=True,
        title="dse explore",
        update_title="",
        compress=False,
        add_log_handler=False,
    )
    app.layout = layout()
    for kind in KINDS:
        app.server.add_url_rule(f"/{kind}", kind, functools.partial(_answered, page, kind),
                                methods=["POST"])  # fmt: skip
    return app


def _answered(page: Page, kind: str) -> Any:
    """An answer to what the page's script sent, as JSON."""
    from flask import Response, abort, request
    from plotly.io.json import to_json_plotly

    asked = request.get_json(silent=True)
    if not isinstance(asked, dict):
        abort(400, "wanted a question as a JSON object")
    return Response(to_json_plotly(page.answer(kind, asked)), mimetype="application/json")


# --- layout -------------------------------------------------------------------------------------


def layout() -> html.Div:
    """The page: pickers above, numbers of the chip on the left, what they bring on the right."""
    return html.Div(
        [
            html.A("Skip to the results", href="#results", className="skip"),
            _header(),
            html.Div([_controls(), _results()], className="columns"),
            html.Div(id="spoken", className="unseen", role="status",
                     **{"aria-live": "polite", "aria-atomic": "true"}),
        ],
        id="page",
    )  # fmt: skip


def _header() -> html.Header:
    pickers = [
        html.Label(
            [
                html.Span(title),
                html.Select([html.Option(n, value=n) for n in library.names(kind)], id=name,
                            **{"data-word": name}),
            ],
            htmlFor=name,
        )
        for name, title, kind in PICKED
    ]  # fmt: skip
    fidelity = html.Label(
        [html.Span("Fidelity"),
         html.Select([html.Option(text, value=value) for value, text in FIDELITIES], id="fidelity",
                     **{"data-word": "fidelity"})],
        htmlFor="fidelity",
    )  # fmt: skip
    buttons = [
        html.Button("Pin curve", id="pin", title="Keep the changed curve on the chart"),
        html.Button("Unpin", id="unpin", title="Take the pinned curves away"),
        html.Button("Reset", id="reset", title="Undo every change"),
        html.Button("Copy link", id="link", title="The address that asks this question"),
        html.Button("Dark", id="theme", **{"aria-pressed": "false"}),
    ]
    return html.Header(
        [
            html.H1([html.Span("dse", className="mark"), " explore"]),
            html.Div([*pickers, fidelity], className="pickers"),
            html.Div(buttons, className="actions"),
        ]
    )


def _controls() -> html.Aside:
    return html.Aside(
        [
            html.H2("Deployment"),
            html.Div(id="deployment", **{"data-formats": " ".join(FORMATS)}),
            html.Div([html.H2("Numbers of the chip"), html.Div(id="finder")], className="finding"),
            html.Div(id="knobs"),
        ],
        id="controls",
        **{"aria-label": "Deployment and numbers of the chip"},
    )


def _card(title: str, name: str) -> html.Section:
    return html.Section([html.H2(title), html.Div(id=name)], className="card")


def _results() -> html.Main:
    return html.Main(
        [
            html.Div(id="message", role="alert"),
            html.Section(id="headline", **{"aria-label": "Before and after"}),
            html.Section(
                [
                    dcc.Graph(id="curve", config=CHART, figure=EMPTY, style={"height": HEIGHT}),
                    html.P(
                        "Each line is one chip over all batches at its split; real chips at their "
                        "best split. A bar ends a curve where a limit stops it; hollow points "
                        "cannot run. Rings: the batch asked about. tokens/s/W: output tokens "
                        "over average system power.",
                        className="small",
                    ),
                ],
                className="card chart",
                **{"aria-label": "Batch curves of both goals"},
            ),
            html.Div([_card("Where time and energy go", "bars"),
                      _card("Knobs that pay most now", "pays")], className="pile"),
            html.Div([_card("Limits", "gauges"), _card("Why", "why")], className="pile"),
            html.Section(
                [
                    html.H2("The same on the command line"),
                    html.Div([html.Code(id="command", tabIndex="0"),
                              html.Button("Copy", id="copy")], className="copying"),
                ],
                className="card wide",
            ),
        ],
        id="results",
        tabIndex="-1",
    )  # fmt: skip
