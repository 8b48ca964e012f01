"""``dse init``: a folder that checks, answers and runs, and that overwrites nothing."""

import re
import shlex

import pytest

from dse.cli.init import STARTER, parts


@pytest.fixture
def folder(dse, tmp_path, monkeypatch):
    assert dse("init", tmp_path / "mine").code == 0
    monkeypatch.chdir(tmp_path / "mine")
    return tmp_path / "mine"


def commands():
    blocks = re.findall(r"```sh\n(.*?)```", (STARTER / "README.md").read_text("utf-8"), re.S)
    return [line for block in blocks for line in block.splitlines()]


def test_every_command_of_its_readme_works(dse, folder):
    study = folder / "studies" / "my-study.toml"
    text = study.read_text("utf-8")  # the same study, searched as quickly as can be
    study.write_text(text.replace("[search]", '[search]\nsampler = "nsga2"\npopulation = 4'))
    for command in commands():
        words = shlex.split(command)[1:]
        answer = dse(*words, *(("--trials", "4") if words[0] == "run" else ()))
        assert answer.code == 0, (command, answer.err)
    assert "4 files, 0 with problems" in dse(*shlex.split(commands()[0])[1:]).out
    assert (folder / "front.html").is_file()


def test_its_files_are_commented_and_checked(dse, folder):
    for part in parts():
        if part.suffix == ".toml":
            assert (folder / part).read_text("utf-8").startswith("#")
            assert dse("check", folder / part).code == 0


def test_nothing_is_overwritten(dse, tmp_path):
    mine = tmp_path / "studies" / "my-study.toml"
    mine.parent.mkdir()
    mine.write_text("mine")
    answer = dse("init", tmp_path)
    assert (answer.code, answer.out) == (2, "")
    assert f"{mine}: already there" in answer.err
    assert mine.read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["studies"]


def test_here_is_the_default_and_json_names_the_files(dse, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert sorted(dse("init", "--json").json["files"]) == sorted(map(str, parts()))


def test_a_place_that_cannot_be_written_is_named(dse, tmp_path):
    (tmp_path / "file").write_text("")
    answer = dse("init", tmp_path / "file")
    assert answer.code == 2
    assert "file" in answer.err
