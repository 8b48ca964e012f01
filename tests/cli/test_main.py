"""The table of verbs, global options, exit codes."""

import os
import subprocess
import sys

import pytest

from dse import __version__
from dse.cli import main as cli
from dse.specs.errors import SpecError

HEAVY = ("jax", "pint", "pandas", "equinox", "optuna", "plotly", "dse.specs.schema")


def loaded_by(code):
    """Heavy packages that a fresh interpreter has imported after running this code."""
    script = f"import sys\n{code}\nprint([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def test_help_and_lists_import_nothing_heavy():
    lists = "; ".join(f"main(['{verb}', 'list'])" for verb in ("hw", "model", "workload"))
    code = f"from dse.cli.main import main; main(['--help']); {lists}"
    assert loaded_by(code) == "[]"


def test_help_imports_no_pydantic():
    code = "from dse.cli.main import main; main(['--help']); assert 'pydantic' not in sys.modules"
    assert loaded_by(code) == "[]"


def test_the_module_runs_as_a_program():
    done = subprocess.run(
        [sys.executable, "-m", "dse", "--version"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.strip()) == (0, f"dse {__version__}")


def test_help_names_each_verb_that_exists(dse):
    answer = dse("--help")
    assert answer.code == 0
    for verb in ("eval", "explain", "check", "hw", "model", "workload"):
        assert verb in answer.out


@pytest.mark.parametrize("verb", sorted(cli.VERBS))
def test_each_verb_prints_help(dse, verb):
    if cli._exists(cli.VERBS[verb][0]):
        answer = dse(verb, "--help")
        assert answer.code == 0
        assert "Usage" in answer.out


@pytest.mark.parametrize(
    "words",
    [["evl"], ["--unknown"], ["eval"], ["eval", "h100_sxm", "--nonsense", "1"], ["hw", "lst"],
     ["eval", "h100_sxm", "extra"], ["eval", "h100_sxm", "--batch"], []],
)  # fmt: skip
def test_usage_errors_exit_2(dse, words):
    answer = dse(*words)
    assert answer.code == 2
    assert answer.out == "" or not words


def test_a_misspelt_verb_is_told_the_nearest(dse):
    assert "eval" in dse("evall").err


def test_an_unknown_spec_folder_is_refused(dse):
    answer = dse("--specs", "no/such/folder", "hw", "list")
    assert answer.code == 2
    assert "no/such/folder: no such folder" in answer.err


def test_a_spec_folder_comes_first(dse, tmp_path):
    chips = tmp_path / "hwspecs" / "chips"
    chips.mkdir(parents=True)
    (chips / "mine.toml").write_text('base = "h100_sxm"\nname = "My chip"\n')
    answer = dse("--specs", tmp_path, "hw", "list", "--json")
    assert {"name": "mine", "title": "My chip", "file": str(chips / "mine.toml")} in answer.json[
        "chips"
    ]


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (SpecError("file.toml", ["a: b"]), 2, "file.toml: 1 problem\n  * a: b"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (ModuleNotFoundError("x", name="dash"), 5, "pip install 'dse[explore]'"),
        (ModuleNotFoundError("x", name="dash.dependencies"), 5, "pip install 'dse[explore]'"),
        (ModuleNotFoundError("x", name="unheard_of"), 1, "ModuleNotFoundError"),
        (ValueError("odd\nlines"), 1, "internal error: ValueError: odd lines"),
        (RecursionError(), 1, "DSE_TRACEBACK=1"),
        (BrokenPipeError(), 0, ""),
    ],
)
def test_errors_become_exit_codes(dse, monkeypatch, error, code, said):
    def fail(*args, **kw):
        raise error

    monkeypatch.setattr(cli, "_drop_output", lambda: None)
    monkeypatch.setattr("dse.cli.specs.emit", fail)
    monkeypatch.delenv("DSE_TRACEBACK", raising=False)
    answer = dse("hw", "list")
    assert answer.code == code
    assert said in answer.err


def test_the_traceback_is_shown_on_request(monkeypatch, capsys):
    def fail(*args, **kw):
        raise ValueError("odd")

    monkeypatch.setattr("dse.cli.specs.emit", fail)
    monkeypatch.setenv("DSE_TRACEBACK", "1")
    assert cli.main(["hw", "list"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_closed_pipe_is_no_error():
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "dse", "hw", "list", "--json"], stdout=write, stderr=subprocess.PIPE
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("words", [("--levels", "1"), ()])
def test_a_certificate_of_nothing_is_refused(dse, words):
    answer = dse("certify", "no-such-run", *words)
    assert (answer.code, answer.out) == (2, "")
    assert "no-such-run" in answer.err or "--levels" in answer.err
