"""One page server in this process."""

import json

import pytest

from dse.cli.explore import server_of
from dse.cli.main import main
from dse.cli.point import Point

START = {"model": "llama-3.1-8b", "workload": "chat-8k", "tp": "2", "batch": "16"}


@pytest.fixture(scope="session")
def server():
    """The page, started with an H100 at one operating point, on a free port."""
    made = server_of(Point("h100_sxm", **START), 0)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def whatif(capsys):
    """``dse whatif --json`` of these words."""

    def asked(*words):
        capsys.readouterr()
        main(["whatif", *words, "--json"])
        return json.loads(capsys.readouterr().out)

    return asked
