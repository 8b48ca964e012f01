"""The page about extensions, tested by doing it: its files written, its commands run as shown.

Every command is a process of its own, since a file of a user's adds to the package's registries.
"""

import os
import pathlib
import re
import shlex
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "extending.md").read_text("utf-8")
SECTIONS = PAGE.split("\n## ")[1:]
# Section -> what its last command must have said or left.
SHOWN = {
    "A memory technology": "token per joule|tok/s/W",
    "An attention kind": "mixer_in",
    "A metric": "High Efficiency Decoder",
    "A sampler": "High Efficiency Decoder",
    "A chart": "wrote users.html",
}


def title(section):
    return section.partition("\n")[0]


def blocks(section, kind):
    return re.findall(rf"```{kind}\n(.*?)```", section, re.S)


def run(words, folder):
    done = subprocess.run(
        [sys.executable, "-m", "dse", *words], cwd=folder, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An empty folder with the files of every section."""
    root = tmp_path_factory.mktemp("extended")
    for section in SECTIONS:
        for text in blocks(section, "python") + blocks(section, "toml"):
            path = root / text.partition("\n")[0].removeprefix("# ")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
    return root


@pytest.mark.parametrize("group", [SECTIONS[:3], SECTIONS[3:]], ids=["specs", "search"])
def test_the_page_works_as_shown(group, folder):
    for section in group:
        said = ""
        for block in blocks(section, "sh"):
            for line in block.splitlines():
                said = run(shlex.split(line)[1:], folder)
        assert re.search(SHOWN[title(section)], said), said


def test_every_section_is_one_place():
    assert [title(section) for section in SECTIONS] == list(SHOWN)
    for section in SECTIONS:
        assert len(blocks(section, "python")) <= 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "no such Python file"),
        ("def (", "SyntaxError"),
        ("import no_such_package", "ModuleNotFoundError"),
    ],
)
def test_a_file_that_does_not_run_exits_2(text, said, tmp_path, monkeypatch, capsys):
    from dse.cli.main import main

    monkeypatch.setenv("DSE_EXTENSIONS", "")
    path = tmp_path / f"bad_{abs(hash(said))}.py"
    if text is not None:
        path.write_text(text)
    assert main(["--extend", str(path), "hw", "list"]) == 2
    assert said in capsys.readouterr().err


def test_a_file_runs_once_and_is_handed_to_workers(tmp_path, monkeypatch):
    from dse import extensions

    path = tmp_path / "counts_itself.py"
    path.write_text(f"with open({str(tmp_path / 'ran')!r}, 'a') as file:\n    file.write('x')\n")
    monkeypatch.setenv(extensions.VARIABLE, "")
    extensions.add(str(path))
    extensions.load()
    extensions.load()
    assert (tmp_path / "ran").read_text() == "x"
    assert str(path) in os.environ[extensions.VARIABLE]
    monkeypatch.delitem(sys.modules, "dse_extension_counts_itself")
