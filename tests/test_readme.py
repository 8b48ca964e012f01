"""Every command that the README and the pages for newcomers show works, run in order."""

import json
import pathlib
import re
import shlex
import shutil

import pytest

from dse.cli.main import main
from dse.search import runs
from dse.specs import library

ROOT = pathlib.Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
PAGES = ("README.md", "docs/questions.md", "docs/start.md")
# Of `dse run two-goals` what the pages' questions read: its named designs, those that serve 700
# tok/s/user best, and the fast designs of its conventional family.
RECORDED = pathlib.Path(__file__).with_name("recorded") / "two-goals"
# A config.json as a newcomer may have one.
CONFIG = {
    "model_type": "llama", "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16,
    "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 64, "vocab_size": 128256,
    "tie_word_embeddings": True, "torch_dtype": "bfloat16",
}  # fmt: skip
QUICK = '[search]\nsampler = "nsga2"\npopulation = 4'


def commands(page: str = "README.md") -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / page).read_text("utf-8"), re.S)
    return [line for block in blocks for line in block.splitlines() if line.startswith("dse ")]


def answers(page: str) -> dict[str, list[str]]:
    """Command -> lines of its answer, where a page shows it right behind; searches left out."""
    text = (ROOT / page).read_text("utf-8")
    found = re.findall(
        r"```sh\n(?:dse [^\n]*\n)*(dse [^\n]*)\n```\n\n```text\n(.*?)```", text, re.S
    )
    return {command: [line for line in lines.splitlines() if line]
            for command, lines in found if not SEARCHES.match(command)}  # fmt: skip


SEARCHES = re.compile(r"dse (run|sweep \S+ --over silicon)")
ANSWERED = answers("README.md") | answers("docs/questions.md")


def shortened(command: str) -> list[str]:
    """The words of a command, its search cut short."""
    words = shlex.split(command)[1:]
    if words[0] == "run":
        return [*words, "--trials", "4" if words[1] == "my-study" else "100"]
    if words[:2] == ["sweep", "two-goals"]:
        return ["sweep", "two-goals", "--over", "silicon=25000mm2,115000mm2", "--rounds", "1",
                *words[4:]]  # fmt: skip
    return words


def test_every_command_works_in_the_order_shown(tmp_path, monkeypatch, capsys):
    """In one test, since later commands read the run that an earlier one wrote."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    shown = dict.fromkeys(command for page in PAGES for command in commands(page))
    for command in shown:
        words = shortened(command)
        if command in ANSWERED:
            continue
        if words[0] == "init":  # "in an empty folder"
            monkeypatch.chdir(tmp_path / "mine")
            (tmp_path / "mine" / "config.json").write_text(json.dumps(CONFIG))
        library.forget()
        assert main(words) == 0, command
        if words[0] == "init":
            study = tmp_path / "mine" / "studies" / "my-study.toml"
            study.write_text(study.read_text("utf-8").replace("[search]", QUICK))
        printed = capsys.readouterr()
        assert printed.out or "wrote" in printed.err, command


def test_every_page_is_linked_and_every_picture_there():
    linked = set(re.findall(r"\]\((docs/\w+\.md)\)", README))
    assert linked == {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")}
    for page in (ROOT / "docs").glob("*.md"):
        for picture in re.findall(r"!\[.*?\]\((.*?)\)", page.read_text("utf-8")):
            assert (page.parent / picture).is_file(), (page, picture)


def test_the_readme_shows_the_main_commands_and_its_picture():
    assert "dse run studies/two-goals.toml" in README
    assert "pytest" in README
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (ROOT / picture).is_file()
    assert len(commands()) >= 5


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A folder with the recorded run, as one of the specs of today."""
    folder = tmp_path_factory.mktemp("recorded") / "runs" / "two-goals"
    shutil.copytree(RECORDED, folder)
    run = runs.Run(folder)
    provenance = run.provenance | {"spec_files": runs.hashes(run.settings())}
    (folder / "provenance.json").write_text(json.dumps(provenance), "utf-8")
    return folder.parents[1]


@pytest.mark.parametrize("command", ANSWERED)
def test_an_answer_shown_is_the_answer(command, recorded, capsys, monkeypatch):
    """Line by line, spaces aside."""
    monkeypatch.chdir(recorded)
    monkeypatch.setenv("COLUMNS", "160")
    library.forget()
    assert main(shlex.split(command)[1:]) == 0
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    for line in ANSWERED[command]:
        assert line.split() in printed, line


def test_the_pages_answer_four_of_the_five_questions_without_a_search():
    assert len(answers("docs/questions.md")) == 4


PYTHON = re.findall(r"```python\n(.*?)```", README, re.S)


@pytest.mark.parametrize("block", PYTHON, ids=["evaluate", "differentiate"])
def test_the_python_of_the_readme_runs(block, capsys):
    exec(compile(block, "README.md", "exec"), {})
    first, second = capsys.readouterr().out.split()[:2]
    assert float(first) > 0
    assert float(second) > 0
