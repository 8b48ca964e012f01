"""One Plotly figure per file; each module's ``figure`` draws it from plain data.

The same function serves terminal exports, reports and pages, so a picture cannot say anything
else than the numbers do. A module's ``OF`` says what it draws: ``front`` (the object of
``front.json``), ``gains``, ``history`` and ``bands`` of a run; ``explain``, ``sensitivity``,
``whatif``, ``sweep`` and ``compare`` as the verbs of those names print it with ``--json``;
``fronts`` as a sweep of a study, ``savings`` as gains at a speed, ``exchange`` and ``break_even``
as a sensitivity where area is modelled or with a claim do. Adding a chart is adding a file.
"""

import functools
import importlib
import pkgutil
from typing import Any

SHARED = ("theme",)
EXTRA: dict[str, Any] = {}  # charts of a user's own files (dse/extensions.py): name -> OF, figure


def names(*of: str) -> tuple[str, ...]:
    """Every chart, or those that draw one of some objects; the first drawn is the usual one."""
    found = [*_files(), *EXTRA]
    drawn = {name: getattr(chart(name), "OF", None) for name in found}
    chosen = [name for name in found if not of or drawn[name] in of]
    return tuple(sorted(chosen, key=lambda name: (of.index(drawn[name]) if of else 0, name)))


@functools.cache
def _files() -> tuple[str, ...]:
    return tuple(i.name for i in pkgutil.iter_modules(__path__) if i.name not in SHARED)


def chart(name: str) -> Any:
    """The module of a chart."""
    return EXTRA[name] if name in EXTRA else importlib.import_module(f"dse.report.charts.{name}")


def library() -> str:
    """Plotly's own script, for pages that draw without a connection."""
    from plotly.offline import get_plotlyjs

    return get_plotlyjs()
