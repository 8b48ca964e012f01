"""The verbs as functions: the same arguments, the same numbers, answers that show themselves."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from dse.estimate.prepare import Choices
from dse.estimate.step import Estimate
from dse.notebook.answers import Answer, drawn
from dse.questions import doors
from dse.questions.case import Case, case_of
from dse.questions.sweep import parse_axis, swept
from dse.specs.errors import SpecError
from dse.specs.overrides import parse_setting

_exact = jax.enable_x64


def whatif(*given: Any, **options: Any) -> Answer:
    """Before and after a change; arguments as of `dse.questions.doors.whatif`.

    ``dse.whatif("h100_sxm", "llama-3.1-70b", "chat-8k", ["hbm.bandwidth=2x", "voltage=0.7V"])``
    """
    with _exact(True), np.errstate(all="ignore"):
        return Answer(doors.whatif(*given, **options))


def sensitivity(*given: Any, **options: Any) -> Answer:
    """What every number of a chip is worth; arguments as of `dse.questions.doors.sensitivity`."""
    with _exact(True), np.errstate(all="ignore"):
        return Answer(doors.sensitivity(*given, **options))


def sweep(
    hardware: Any, model: Any, over: str | Sequence[str], workload: Any = "chat-8k",
    choices: Choices | None = None, **options: Any,
) -> Answer:  # fmt: skip
    """One or two axes, each as ``--over`` takes it: ``"voltage=0.70V:0.85V:7"``.

    Args:
        hardware: a chip: name or loaded spec.
        model: a model, likewise.
        over: what to move, once or twice.
        workload: a workload.
        choices: the deployment.
        options: ``fidelity``, ``power_scope``; ``chosen`` and ``speed`` as of `whatif`.
    """
    again = {name: options.pop(name, None) for name in ("chosen", "speed")}
    case = case_of(hardware, model, workload, choices, **options)
    axes = [parse_axis(text) for text in ([over] if isinstance(over, str) else over)]
    with _exact(True), np.errstate(all="ignore"):
        return Answer(swept(case, axes, **again))


def explain(word_or_chip: str, model: Any = None, workload: Any = "chat-8k",
            choices: Choices | None = None, **options: Any) -> Answer:  # fmt: skip
    """What a metric or a law means; or, with a model, where time and energy of a chip go.

    ``dse.explain("clock_limit")``, ``dse.explain("h100_sxm", "llama-3.1-70b")``
    """
    from dse.cli.targets import explanation, resolve

    if model is None:
        target = resolve(word_or_chip)
        if target.kind != "word":
            raise SpecError("explain", [f"{word_or_chip}: a chip is explained on a model"])
        return Answer(explanation(target.name))
    return _explained(case_of(word_or_chip, model, workload, choices, **options))


def _explained(case: Case) -> Answer:
    from dse.cli.eval import answer
    from dse.cli.point import Question

    stated = frozenset({"workload", "fidelity", "power_scope"})
    question = Question(case.chip, case.model, case.workload, case.choices, case.fidelity,
                        case.power_scope, stated)  # fmt: skip
    return Answer(answer(question, with_ops=True))


class OpenRun:
    """A run of a study: its front, its designs, evaluated and asked about again."""

    def __init__(self, run: Any):
        self._run = run
        self.front = Answer(run.front())

    def __repr__(self) -> str:
        return f"OpenRun({self.front!r})"

    def _repr_html_(self) -> str:
        return self.front._repr_html_()

    @property
    def name(self) -> str:
        """The run folder's name."""
        return self._run.name

    @property
    def table(self) -> Any:
        """The front as a pandas table, one line per design, units in the names of columns."""
        from dse.search.front import table_of

        return table_of(self.front)

    def design(self, identifier: str) -> dict[str, Any]:
        """A design of the front by id, or by ``"high"``, ``"low"``, ``"knee"``."""
        from dse.search import designs

        return designs.design(self._run, identifier)

    def case(self, identifier: str) -> Case:
        """What evaluates a design again, everything loaded."""
        from dse.search import designs

        settings = self._run.settings()
        given = designs.design_of(self._run, identifier)
        chip, choices, model, workload = given
        return Case(chip, model, workload, choices, settings.fidelity, settings.power_scope)

    def estimate(self, identifier: str) -> Estimate:
        """A design evaluated again, in double precision."""
        with _exact(True):
            return self.case(identifier).estimate()

    def whatif(self, identifier: str, settings: Sequence[str] = (), **options: Any) -> Answer:
        """A design before and after a change; ``options``: ``chosen``, ``speed``, ``curve``."""
        case = self.case(identifier)
        pairs = [parse_setting(text) for text in settings]
        with _exact(True), np.errstate(all="ignore"):
            changed = case.changed(pairs) if pairs else case
            return Answer(doors.compared(case, changed, **options))

    def sensitivity(self, identifier: str) -> Answer:
        """What every number of a design's chip is worth."""
        with _exact(True), np.errstate(all="ignore"):
            return Answer(doors.sensitivity_of(self.case(identifier)))

    def figure(self, chart: str = "pareto", dark: bool = False) -> Any:
        """A Plotly figure of the front, by the name of its chart."""
        return drawn(chart, dict(self.front), dark)


def open_run(name: str) -> OpenRun:
    """A finished run by folder, or by name under ``runs/``: ``dse.open_run("two-goals")``."""
    from dse.search import runs

    return OpenRun(runs.find(name))


def run(study: str, trials: int | None = None, seed: int | None = None,
        folder: str | None = None) -> OpenRun:  # fmt: skip
    """Search a study, as ``dse run`` does in one process; its run folder is left behind."""
    import pathlib

    from dse.search import runs, settings
    from dse.search import study as studies

    read = settings.read(study, trials=trials, seed=seed)
    started = runs.start(read, study, pathlib.Path(folder) if folder else None)
    studies.run(read, started)
    return OpenRun(started)


def compare(*names: str, speeds: Sequence[float] | None = None) -> Answer:
    """Two or more runs from one reference point, as ``dse pareto compare``."""
    from dse.search import runs
    from dse.search.versus import versus

    return Answer(versus([runs.find(name) for name in names], speeds))
