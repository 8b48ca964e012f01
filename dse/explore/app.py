"""The page as a Dash app: its layout, and the two callbacks that answer it.

The browser keeps one question, as a query, and asks again when a slider moved; while an answer is
under way only the newest question waits (`assets/explore.js`). `quick` answers with what follows a
slider, `thorough` with the rest once the sliders rest.
"""

import contextlib
import pathlib
import traceback
from collections.abc import Mapping
from typing import Any

import dash
import jax
import numpy as np
from dash import Input, Output, dcc, html, no_update

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
STORES = ("asked", "answered", "answered-seen", "resting", "settled", "settled-seen", "comparing",
          "compared", "compared-seen")  # fmt: skip
MOST_NAME = 60  # characters of a curve's name
CLEAR = "rgba(0,0,0,0)"
NO_AXIS = {"visible": False}
EMPTY = {"data": [], "layout": {"autosize": True, "paper_bgcolor": CLEAR, "plot_bgcolor": CLEAR,
                                "xaxis": NO_AXIS, "yaxis": NO_AXIS}}  # fmt: skip
HEIGHT = "clamp(360px, 50vh, 560px)"
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

    def quick(self, data: Mapping[str, Any]) -> tuple:
        """Curve, headline, bars, gauges, message, command; and what the controls show."""
        number, words = data.get("n", 0), {}
        try:
            with self.guarded():
                asked = self.asked(str(data.get("query", "")))
                words = asked.words
                found = self.answers.quick(asked.words)
                drawn = self._chart(asked, found, bool(data.get("dark")))
                drawn["layout"]["meta"] = {"n": number}
                controls = self._controls(asked, found, str(data.get("panel", "")))
        except SpecError as error:
            return _wrong(number, words, error.problems)
        except Exception:  # told on the page and the terminal, and the page goes on
            traceback.print_exc()
            problem = "an error inside dse; the terminal shows where it arose"
            return _wrong(number, words, [problem])
        return (
            drawn,
            views.headline(found),
            views.spoken(found),
            views.bars(found),
            views.gauges(found),
            views.infeasible(found, None),
            self.answers.door.command(asked.words),
            controls | {"n": number, "ok": True},
        )

    def thorough(self, data: Mapping[str, Any]) -> tuple:
        """Knobs that pay, why, what helps."""
        try:
            with self.guarded():
                asked = self.asked(str(data.get("query", "")))
                result = self.answers.thorough(asked.words)
                found = self.answers.quick(asked.words)
        except SpecError:  # the quick answer has said it
            return (no_update,) * 4
        except Exception:
            traceback.print_exc()
            return (no_update,) * 4
        message = views.infeasible(found, result["remedies"])
        return views.pays(result), views.why(result), message, {"n": data.get("n", 0)}

    def compare(self, data: Mapping[str, Any]) -> Any:
        """The other chips at this model and load are known from here on."""
        try:
            with self.guarded():
                self.answers.others(self.asked(str(data.get("query", ""))).words)
        except SpecError:
            return no_update
        except Exception:
            traceback.print_exc()
            return no_update
        return {"n": data.get("n", 0)}

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
        return drawn

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


def _wrong(number: int, words: Mapping[str, Any], lines: list[str]) -> tuple:
    """What is wrong, and the words as far as they could be read; all else stays."""
    told = {"n": number, "ok": False, "words": dict(words)}
    return (*[no_update] * 5, views.problems(lines), no_update, told)


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
    app.callback(
        Output("curve", "figure"), Output("headline", "children"), Output("spoken", "children"),
        Output("bars", "children"), Output("gauges", "children"), Output("message", "children"),
        Output("command", "children"), Output("answered", "data"),
        Input("asked", "data"), prevent_initial_call=True,
    )(page.quick)  # fmt: skip
    app.callback(
        Output("pays", "children"), Output("why", "children"),
        Output("message", "children", allow_duplicate=True), Output("settled", "data"),
        Input("resting", "data"), prevent_initial_call=True,
    )(page.thorough)  # fmt: skip
    app.callback(Output("compared", "data"), Input("comparing", "data"), prevent_initial_call=True)(
        page.compare
    )
    for store in ("answered", "settled", "compared"):
        app.clientside_callback(
            dash.ClientsideFunction("explore", store), Output(f"{store}-seen", "data"),
            Input(store, "data"), prevent_initial_call=True,
        )  # fmt: skip
    return app


# --- layout -------------------------------------------------------------------------------------


def layout() -> html.Div:
    """The page: pickers above, numbers of the chip on the left, what they bring on the right."""
    stores = [dcc.Store(id=name) for name in STORES]
    return html.Div(
        [
            html.A("Skip to the results", href="#results", className="skip"),
            _header(),
            html.Div([_controls(), _results()], className="columns"),
            html.Div(id="spoken", className="unseen", role="status",
                     **{"aria-live": "polite", "aria-atomic": "true"}),
            *stores,
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
