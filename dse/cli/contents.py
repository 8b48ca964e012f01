"""What charts and reports of a run are made of: objects that verbs print with ``--json``."""

from collections.abc import Callable
from typing import Any

from dse.cli.console import note


def front(run: Any) -> dict[str, Any]:
    """The object of ``front.json``."""
    return run.front()


def with_bands(run: Any) -> dict[str, Any]:
    """The front with how sure it is, which ``bands.json`` of the run then holds."""
    from dse.search.bands import bands
    from dse.search.runs import write_json

    found = run.front()
    found["bands"] = bands(run)
    try:
        write_json(run.folder / "bands.json", found["bands"])
    except OSError as error:
        note(f"bands.json not kept: {error.strerror or error}")
    return found


def gains(run: Any) -> dict[str, Any]:
    """The object of ``dse gains --json``."""
    from dse.search.gains import gains

    return gains(run)


def history(run: Any) -> dict[str, Any]:
    """How the hypervolume grew."""
    from dse.search.history import history

    return history(run)


# What a chart of a run draws (`OF` of its module) -> where that is from.
OF_RUN: dict[str, Callable[[Any], dict[str, Any]]] = {
    "front": front, "gains": gains, "history": history, "bands": with_bands,
}  # fmt: skip
