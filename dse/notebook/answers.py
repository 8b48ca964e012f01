"""What questions answer in Python: the object of ``--json``, shown as the terminal shows it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from dse.notebook import html
from dse.report import fronts, links, placement, tables, versus
from dse.report import sensitivity as sensitivities
from dse.report import sweep as sweeps
from dse.report import whatif as whatifs

GOALS = ("user_tokens_per_s", "system_tokens_per_s_per_w")
MOST_ROWS = 14


class Answer(dict):
    """The object that a verb prints with ``--json``; a notebook shows its tables."""

    def __repr__(self) -> str:
        said = SHORT.get(self.kind)
        return f"<{self.kind}: {said(self)}>" if said else f"<{self.kind}>"

    @property
    def kind(self) -> str:
        """Which question it answers: ``whatif``, ``front``, ..."""
        return str(self.get("schema", "answer")).removeprefix("dse.").partition("/")[0]

    def _repr_html_(self) -> str:
        shown = SHOWN.get(self.kind)
        return html.page(shown(self)) if shown else html.page([repr(self)])


# --- in one line ----------------------------------------------------------------------------------


def point_line(found: Mapping[str, Any]) -> str:
    """An operating point in one line, units in it."""
    goals = " at ".join([tables.quantity(found[GOALS[0]], "token / second"),
                         tables.quantity(found["j_per_token"], "joule / token")])  # fmt: skip
    state = "" if found["feasible"] else ", INFEASIBLE"
    return (f"{found['chip']} x{found['chips']:g}, {found['model']}, {found['workload']}, "
            f"{found['fidelity']}: {goals}, {found['bottleneck']}{state}")  # fmt: skip


def _whatif_line(found: Mapping[str, Any]) -> str:
    changes = ", ".join(f"{c['path']} {tables.stated(c['before'])} -> {tables.stated(c['after'])}"
                        for c in found["changes"]) or "nothing set"  # fmt: skip
    goals = ", ".join(f"{label} {whatifs.percent(found['comparison'][goal]['change_fraction'])}"
                      for goal, label in whatifs.GOALS.items())  # fmt: skip
    return f"{found['chip']}, {changes}: {goals}"


def _front_line(found: Mapping[str, Any]) -> str:
    return (f"{found['run']}, {len(found['designs'])} designs on {found['model_title']}, "
            f"hypervolume {found['hypervolume']:.4f}")  # fmt: skip


def _sweep_line(found: Mapping[str, Any]) -> str:
    paths = " and ".join(axis["path"] for axis in found["axes"])
    return f"{found['chip']} over {paths}, {len(found['points'])} points"


SHORT: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "eval": point_line,
    "whatif": _whatif_line,
    "front": _front_line,
    "sweep": _sweep_line,
    "sensitivity": lambda found: point_line(found["point"]),
    "explain": lambda found: found["word"],
    "compare": lambda found: versus.heading(found).plain.partition("\n")[0],
    "fronts": lambda found: placement.heading(found).plain.partition("\n")[0],
}


# --- at length ------------------------------------------------------------------------------------


def point(found: Mapping[str, Any]) -> Iterator[Any]:
    """An operating point: verdict, bars, path, memory, limits."""
    yield f"{point_line(found)}; {found['power_scope']} power"
    yield from tables.infeasible(found)
    yield from (tables.verdict(found), html.bars(found), tables.critical_path(found),
                tables.capacity(found), tables.limits(found))  # fmt: skip
    if "ops" in found:
        yield links.table(dict(found))
        yield tables.ops(found)


def _whatif(found: Mapping[str, Any]) -> Iterator[Any]:
    yield "\n".join([point_line(found["base"]), whatifs.basis(found), *whatifs.causes(found),
                     whatifs.waits(found)])  # fmt: skip
    yield from tables.infeasible(found["changed"])
    yield whatifs.verdict(found)
    yield html.bars(found["changed"])
    yield whatifs.where(found)
    yield whatifs.payoffs(found["payoffs"], found["best_knobs"], "What +1 % of a knob pays now")
    yield whatifs.prices(found, found["changed"])
    yield whatifs.span(found)


def _sensitivity(found: Mapping[str, Any]) -> Iterator[Any]:
    yield point_line(found["point"])
    yield tables.verdict(found["point"])
    yield whatifs.advice(found["best_knobs"])
    yield sensitivities.elasticities(found, MOST_ROWS)
    yield whatifs.prices(found, found["point"])
    yield sensitivities.exchange(found)


def _front(found: Mapping[str, Any]) -> Iterator[Any]:
    front = dict(found)
    yield fronts.heading(front)
    yield fronts.verdict(front)
    yield fronts.gains(front)
    yield html.Markup(drawn("pareto", front).to_html(full_html=False, include_plotlyjs=True))
    yield fronts.designs(front, MOST_ROWS)


def _compare(found: Mapping[str, Any]) -> Iterator[Any]:
    both = dict(found)
    yield from (versus.heading(both), versus.runs(both), versus.attainment(both),
                versus.differences(both))  # fmt: skip


def _fronts(found: Mapping[str, Any]) -> Iterator[Any]:
    over = dict(found)
    yield from (placement.heading(over), placement.verdict(over), placement.winners(over),
                placement.placement(over))  # fmt: skip


def _explain(found: Mapping[str, Any]) -> Iterator[Any]:
    if "metric" in found:
        unit = f" [{found['unit']}]" if found["unit"] else ""
        yield f"{found['metric']}{unit}: {found['label']}\n{found['definition']}"
    for law in found.get("laws", ()):
        yield f"{law['function']}\n{law['text']}"


SHOWN: dict[str, Callable[[Mapping[str, Any]], Iterator[Any]]] = {
    "eval": point,
    "whatif": _whatif,
    "front": _front,
    "sweep": lambda found: iter([*sweeps.sweep(found), sweeps.best_points(found)]),
    "sensitivity": _sensitivity,
    "explain": _explain,
    "compare": _compare,
    "fronts": _fronts,
}


def drawn(chart: str, data: Any, dark: bool = False) -> Any:
    """A Plotly figure of ``dse/report/charts`` by name."""
    from dse.report import charts

    return charts.chart(chart).figure(data, dark)


def estimate_html(estimate: Any) -> str:
    """An estimate as a notebook shows it."""
    return html.page(point(estimate.to_dict()))
