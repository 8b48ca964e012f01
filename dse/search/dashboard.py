"""Optuna's own dashboard on a run: every trial as Optuna was told of it, to look at only.

Objectives are log10 of the goals, all maximized; a trial shows the one point that its level of user
speed picks, so the front of ``front.json`` has designs that no trial shows.
"""

import socketserver
import wsgiref.simple_server
from collections.abc import Callable, Iterable
from typing import Any

from dse.search import storage
from dse.search.runs import Run
from dse.specs.errors import SpecError

HOST = "127.0.0.1"
LOCAL = (HOST, "localhost", "[::1]")
SHOWN = ("GET", "HEAD")


def application(run: Run, url: str | None = None) -> Callable[..., Iterable[bytes]]:
    """The dashboard of a run as a WSGI application that changes nothing.

    Args:
        run: its journal is read, or the storage that its workers share.
        url: that storage, where the run folder does not know its password.

    Raises:
        ModuleNotFoundError: optuna-dashboard is not installed.
        SpecError: no trial was saved yet, or a storage that does not answer.
    """
    import optuna_dashboard

    inside = optuna_dashboard.wsgi(_storage(run, url))

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        refusal = refused(environ)
        if refusal is None:
            return inside(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "text/plain")])
        return [refusal.encode()]

    return app


def _storage(run: Run, url: str | None) -> Any:
    team = run.provenance.get("team") or {}
    place = url or team.get("storage")
    if place:
        return storage.at(place)
    saved = [path for path in (run.shared_journal, run.journal) if path.is_file()]
    if not saved:
        raise SpecError(run.name, ["the run has no finished trial yet; dse study resume it"])
    return storage.journal(saved[0])


def refused(environ: dict[str, Any]) -> str | None:
    """Why a request is not answered: it would change the run, or comes by a foreign name."""
    name = environ.get("HTTP_HOST", HOST)
    host = name if name.endswith("]") else name.rpartition(":")[0] or name
    if host not in LOCAL:
        return f"{host}: only {' or '.join(LOCAL[:2])} is answered"
    if environ["REQUEST_METHOD"] not in SHOWN:
        return "a run is shown, not changed"
    return None


class _Quiet(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *args: Any) -> None:
        """A line for each request would bury the terminal."""


class _Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True


def server(app: Callable[..., Iterable[bytes]], port: int) -> Any:
    """A server of an application on this machine only; port 0 picks a free one.

    Raises:
        SpecError: the port is taken.
    """
    try:
        return wsgiref.simple_server.make_server(HOST, port, app, _Server, _Quiet)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SpecError("--port", [f"{port}: {reason}; --port 0 picks a free one"]) from None
