"""Shell completion through bash's own protocol: names and paths, without anything heavy."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from dse.cli import complete
from dse.specs import load, overrides

HEAVY = "[m for m in ('jax', 'pint', 'pandas', 'optuna', 'plotly') if m in sys.modules]"
CODE = f"import sys; from dse.cli.main import main; code = main([]); sys.exit({HEAVY} or code)"


def completed(line, folder=None):
    """What bash is offered for the last word of a line; a run that imports JAX fails."""
    words = line.split(" ")
    extra = {"_DSE_COMPLETE": "complete_bash", "COMP_WORDS": line,
             "COMP_CWORD": str(len(words) - 1)}  # fmt: skip
    done = subprocess.run([sys.executable, "-c", CODE], env=os.environ | extra, cwd=folder,
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with two runs and a study of its own."""
    root = tmp_path_factory.mktemp("work")
    for name in ("mine", "mine-2"):
        (root / "runs" / name).mkdir(parents=True)
        (root / "runs" / name / "provenance.json").write_text("{}")
    (root / "studies").mkdir()
    (root / "studies" / "mine.toml").write_text("")
    return root


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("dse wha", ["whatif"]),
        ("dse pareto ", ["show", "plot", "export", "compare"]),
        ("dse whatif h100_", ["h100_nvl", "h100_pcie", "h100_sxm"]),
        ("dse eval h100_sxm --power", ["--power-scope"]),
        ("dse eval h100_sxm --model kimi-k2.", ["kimi-k2.5"]),
        ("dse eval h100_sxm --workload long-", ["long-128k", "long-1m"]),
        ("dse eval h100_sxm --fidelity s", ["sol"]),
        ("dse eval h100_sxm --set hbm.ban", ["hbm.bandwidth"]),
        ("dse eval h100_sxm --set volt", ["voltage"]),
        ("dse explain mine#l", ["mine#low"]),
        ("dse hw show groq_lpu", ["groq_lpu_v1"]),
        ("dse run min", ["mine"]),
        ("dse pareto show mine", ["mine", "mine-2"]),
        ("dse pareto compare mine mine-", ["mine-2"]),
        ("dse study resume m", ["mine", "mine-2"]),
    ],
)
def test_bash_is_offered(folder, line, wanted):
    assert completed(line, folder) == wanted


def test_verbs_are_all_offered(folder):
    offered = completed("dse ", folder)
    assert {"whatif", "run", "doctor", "init", "dashboard"} <= set(offered)


def test_bash_is_told_how(capsys, monkeypatch):
    from dse.cli.main import main

    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    assert main(["--show-completion", "bash"]) == 0
    assert "_DSE_COMPLETE=complete_bash" in capsys.readouterr().out


@pytest.mark.parametrize("chip", ["h100_sxm", "reticle_n3_stacked", "sram_macro_n3"])
def test_offered_paths_are_paths_of_set(chip):
    loaded = load.load("chips", chip)
    known = [path for path, *_ in overrides.paths(loaded.tree, type(loaded.spec))]
    offered = {path for path in complete.paths(chip) if not path.endswith("technology")}
    unknown = {path for path in offered if not overrides.matching(path, known)}
    stated = {path for path in known if path in loaded.record}
    assert len(unknown) <= len(offered) / 10, unknown
    assert len(stated & offered) >= len(stated) * 0.7


def test_a_chip_that_does_not_read_offers_nothing(tmp_path):
    (tmp_path / "bad.toml").write_text("= nothing")
    context = SimpleNamespace(params={"chip": str(tmp_path / "bad.toml")}, args=[])
    assert complete.settings(context, "hbm") == []
