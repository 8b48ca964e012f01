"""``dse dashboard``: Optuna's own dashboard on a run, on this machine only."""

from typing import Annotated

import typer

from dse.cli.complete import RunName
from dse.cli.console import note


def dashboard(
    run: RunName,
    port: Annotated[int, typer.Option(metavar="N", help="Port; 0 picks a free one.")] = 8080,
    storage: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Where the run's workers share it, with its password."),
    ] = None,
) -> None:
    """Optuna's dashboard on a run: every trial, its parameters, the front as Optuna sees it.

    dse dashboard two-goals

    Answers on 127.0.0.1 only, and shows without changing. Values are log10 of the goals; a trial's
    attribute "design" is the ID of RUN#ID. Needs pip install 'dse[dashboard]'. Ctrl-C ends it.
    """
    from dse.search import dashboard as boards
    from dse.search import runs

    with boards.server(boards.application(runs.find(run), storage), port) as server:
        note(f"http://{boards.HOST}:{server.server_port}/dashboard   Ctrl-C ends it")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            note("")
