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
    "whatif": "dse.questions.doors",
    "sensitivity": "dse.questions.doors",
    "SpecError": "dse.specs.schema",
}
__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'dse' has no attribute {name!r}")
    found = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = found
    return found
