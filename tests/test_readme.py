"""Every command the README shows works: read from the README, run as shown."""

import pathlib
import re
import shlex

import pytest

from dse.cli.main import main

ROOT = pathlib.Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", README, re.S)
    return [line for block in blocks for line in block.splitlines() if line.startswith("dse ")]


def test_every_command_of_the_readme_works_in_the_order_shown(tmp_path, monkeypatch, capsys):
    """In one test, since later commands read the run that an earlier one wrote."""
    monkeypatch.chdir(tmp_path)
    for command in commands():
        words = shlex.split(command)[1:]
        if words[0] == "run":
            words += ["--trials", "100"]  # the same study, cut short
        assert main(words) == 0, command
        printed = capsys.readouterr()
        assert printed.out or "wrote" in printed.err, command


def test_the_readme_shows_the_main_commands_and_its_picture():
    assert "dse run studies/two-goals.toml" in README
    assert "pytest" in README
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (ROOT / picture).is_file()
    assert len(commands()) >= 5


def test_the_answer_shown_in_the_readme_is_the_answer(capsys):
    """Line by line, spaces aside."""
    shown = re.search(r"```sh\n(dse whatif [^\n]*)\n```\n\n```text\n(.*?)```", README, re.S)
    assert shown
    assert main(shlex.split(shown[1])[1:]) == 0
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    for line in shown[2].splitlines():
        assert line.split() in printed, line


PYTHON = re.findall(r"```python\n(.*?)```", README, re.S)


@pytest.mark.parametrize("block", PYTHON, ids=["evaluate", "differentiate"])
def test_the_python_of_the_readme_runs(block, capsys):
    exec(compile(block, "README.md", "exec"), {})
    first, second = capsys.readouterr().out.split()[:2]
    assert float(first) > 0
    assert float(second) > 0
