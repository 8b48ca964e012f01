"""``dse calibrate``: a style file that loads, checks and predicts; bad tables are refused."""

import json

import pytest

from dse.cli.main import main
from dse.evidence import calibrate, tables, written
from dse.specs import load
from dse.specs.errors import SpecError


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A few rows of the shipped table: one chip, dense models."""
    rows = [
        row for row in tables.shipped().rows
        if row["hardware"] == "NVIDIA H100 SXM 80GB" and "Qwen3-" in row["model"]
        and "A" not in row["model"].split("Qwen3-")[1]
    ]  # fmt: skip
    path = tmp_path_factory.mktemp("data") / "small.csv"
    import pandas

    pandas.DataFrame(rows).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def style(small):
    """The verb's object and the file it writes."""
    import contextlib
    import io

    path = small.parent / "fitted.toml"
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        assert main(["calibrate", str(small), "-o", str(path), "--json"]) == 0
    return json.loads(said.getvalue()), path


def test_the_report_says_what_the_data_leave_open(style):
    found, _ = style
    assert found["schema"] == "dse.calibrate/1"
    size = len(found["constants"])
    assert [len(row) for row in found["covariance"]] == [size] * size
    assert {"experts", "link", "prefill"} <= set(found["unidentified"])
    assert found["in_fit"]["mape"] < 0.12
    assert found["held_out"] is None or found["held_out"]["n"] > 0


def test_the_file_checks_and_drives_a_chip(style, capsys):
    _, path = style
    assert main(["check", str(path)]) == 0
    chip = load.load("chips", "h100_sxm", (("style", str(path)),)).spec
    assert 0.5 < chip.style.memory_fraction <= 1
    assert chip.style.framework is not None
    capsys.readouterr()


def test_an_unidentified_constant_keeps_its_prior_and_says_so(style):
    _, path = style
    line = next(text for text in path.read_text().splitlines() if text.startswith("experts"))
    assert "not identified" in line
    prior = calibrate.priors_of("gpu_kernels")["experts"].value
    assert f'"{prior * 1e6:.3g} us"' in line


def test_too_few_rows_and_operator_tables_are_refused(tmp_path):
    few = tmp_path / "few.csv"
    few.write_text("hardware,model,tp,batch_or_concurrency,osl,tpot_ms\nNVIDIA X,M,1,1,9,9\n")
    with pytest.raises(SpecError, match="0 usable rows"):
        calibrate.calibrate(str(few))
    few.write_text("system,latency_us,gemm_dtype,m,n,k\nh100_sxm,9,bfloat16,1,64,64\n")
    with pytest.raises(SpecError, match="fitted to decode"):
        calibrate.calibrate(str(few))


def test_lines_hold_their_rounded_value():
    low, high = written.interval(1.0049, 0.0)
    assert low < 1.0 < 1.0049 < high
    line = written.line("step", 2e-4, (1e-4, 4e-4), "us")
    assert line == 'step = { value = "200 us", range = ["100 us", "400 us"] }'
    assert '"0.000 W/mm2"' in written.power_line("busy_power", 0.01, 0.02)
