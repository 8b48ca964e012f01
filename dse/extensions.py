"""Files of a user that add to the registries: kinds of attention, metrics, samplers, charts, laws.

A file is named with ``dse --extend FILE.py`` or in ``DSE_EXTENSIONS``, and is run once per process
before anything is read. It puts its functions into the package's own dicts, as a file of the
package would; nothing is found by itself, so that no folder a user steps into can run code.
"""

import importlib.util
import os
import pathlib
import sys

from dse.specs.errors import SpecError

VARIABLE = "DSE_EXTENSIONS"


def add(path: str) -> None:
    """Name one more file, for this process and those it starts."""
    named = os.environ.get(VARIABLE, "")
    os.environ[VARIABLE] = os.pathsep.join([*filter(None, [named]), path])


def load() -> None:
    """Run every file named that has not run yet.

    Raises:
        SpecError: no such file, or what it raised.
    """
    for text in filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)):
        path = pathlib.Path(text).resolve()
        name = f"dse_extension_{path.stem}"
        if name in sys.modules:
            continue
        if path.suffix != ".py" or not path.is_file():
            raise SpecError("--extend", [f"{text}: no such Python file"])
        _run(name, path)


def _run(name: str, path: pathlib.Path) -> None:
    described = importlib.util.spec_from_file_location(name, path)
    if described is None or described.loader is None:
        raise SpecError("--extend", [f"{path.name}: cannot be read as Python"])
    module = importlib.util.module_from_spec(described)
    sys.modules[name] = module
    try:
        described.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        words = " ".join(str(error).split())[:200]
        raise SpecError("--extend", [f"{path.name}: {type(error).__name__}: {words}"]) from None
