"""The commands of the page's documentation start a page."""

import pathlib
import re
import shlex

import pytest

from dse.cli.main import main
from dse.explore.server import Server

ROOT = pathlib.Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explore.md").read_text("utf-8")
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.S)
            for line in block.splitlines()]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_documentation_starts_a_page(command, monkeypatch, capsys):
    served = []

    def run(self, ready):
        ready(self.address)
        served.append(self.address)
        self._server.server_close()

    monkeypatch.setattr(Server, "run", run)
    assert main([*shlex.split(command)[1:], "--no-open", "--port", "0"]) == 0
    assert served[0] in capsys.readouterr().err


def test_the_documentation_shows_the_page():
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", PAGE):
        assert (ROOT / "docs" / picture).stat().st_size < 400_000
