"""The page's server: on this machine only, for pages of its own only."""

import threading
from collections.abc import Callable
from typing import Any

from dse.specs.errors import SpecError

HOST = "127.0.0.1"
LARGEST_REQUEST_BYTES = 64_000


def protect(flask: Any, port: int, hashes: list[str]) -> None:
    """Refuse foreign hosts, foreign pages and large requests; forbid the page outside sources.

    A page of another site can reach a loopback port, by a name that it lets point here: the Host
    header then names that site.
    """
    from flask import abort, request

    hosts = {f"{name}:{port}" for name in (HOST, "localhost")}
    flask.config["MAX_CONTENT_LENGTH"] = LARGEST_REQUEST_BYTES

    def check() -> None:
        if request.host not in hosts:
            abort(403, "this page answers this machine only")
        origin = request.headers.get("Origin")
        if origin is not None and origin.removeprefix("http://") not in hosts:
            abort(403, "asked by a page of another site")

    def harden(response: Any) -> Any:
        response.headers["Content-Security-Policy"] = "; ".join([
            "default-src 'none'", f"script-src 'self' {' '.join(hashes)}",
            "style-src 'self' 'unsafe-inline'", "img-src 'self' data: blob:", "font-src 'self'",
            "connect-src 'self'", "base-uri 'none'", "form-action 'none'",
            "frame-ancestors 'none'",
        ])  # fmt: skip
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    flask.before_request(check)
    flask.after_request(harden)


class Server:
    """A page on a loopback port; port 0 takes a free one."""

    def __init__(self, app: Any, port: int = 0):
        """Bind the port.

        Raises:
            SpecError: the port is taken.
        """
        from werkzeug.serving import WSGIRequestHandler, make_server

        class Quiet(WSGIRequestHandler):
            protocol_version = "HTTP/1.1"  # one connection for many answers

            def log(self, type: str, message: str, *args: Any) -> None:
                """A page asks often; say nothing."""

        try:
            self._server = make_server(HOST, port, app.server, threaded=True,
                                       request_handler=Quiet)  # fmt: skip
        except (OSError, SystemExit) as error:
            problem = f"port {port} cannot be opened: in use or not allowed; 0 takes a free one"
            raise SpecError("--port", [problem]) from error
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        protect(app.server, self.port, app.csp_hashes())

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://{HOST}:{self.port}/"

    def run(self, ready: Callable[[str], None] = lambda address: None) -> None:
        """Serve until interrupted."""
        ready(self.address)
        self._server.serve_forever()

    def start(self) -> None:
        """Serve in a thread of this process, for tests."""
        self._thread.start()

    def stop(self) -> None:
        """End what `start` began, and give the port back."""
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()
