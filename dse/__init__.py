"""Which chip, run by which software, decodes large language models best.

The public names, loaded on first use so that ``import dse`` stays light.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "evaluate": "dse.estimate.evaluate",
    "deployment_of": "dse.estimate.evaluate",
    "Estimate": "dse.estimate.step",
    "Choices": "dse.estimate.prepare",
    "load": "dse.specs.load",
    "whatif": "dse.notebook.ask",
    "sensitivity": "dse.notebook.ask",
    "sweep": "dse.notebook.ask",
    "explain": "dse.notebook.ask",
    "run": "dse.notebook.ask",
    "open_run": "dse.notebook.ask",
    "compare": "dse.notebook.ask",
    "point_line": "dse.notebook.answers",
    "estimate_html": "dse.notebook.answers",
    "SpecError": "dse.specs.schema",
}
__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'dse' has no attribute {name!r}")
    found = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = found
    return found
