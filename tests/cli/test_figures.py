"""Figures of single points: asked for by the ending of a file name, beside the JSON they draw."""

import pytest

POINT = ("h100_sxm", "--model", "llama-3.1-8b", "--batch", "8", "--tp", "1")


@pytest.mark.parametrize(
    ("words", "claim"),
    [
        (("explain", *POINT), "Arithmetic and memory at full rate"),
        (("explain", *POINT, "--chart", "critical_path", "--dark"), "per layer"),
        (("sensitivity", *POINT), "Pays most"),
        (("whatif", *POINT, "--set", "voltage=0.75V"), "With voltage"),
        (("whatif", *POINT, "--set", "voltage=0.75V", "--curve"), "the batch asked about"),
    ],
)
def test_a_figure_is_written_and_the_json_still_printed(dse, tmp_path, words, claim):
    place = tmp_path / "figure.html"
    answer = dse(*words, "-o", place, "--json")
    assert answer.code == 0
    assert answer.json["chip"] == "h100_sxm"
    assert answer.err.endswith(f"wrote {place}\n")
    text = place.read_text("utf-8")
    assert claim in text
    assert 'src="http' not in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("explain", *POINT, "--chart", "roofing", "-o", "a.html"), "roofline"),
        (("explain", "heat_flux", "-o", "a.png"), "figures show a chip"),
        (("whatif", *POINT, "--fidelity", "both", "-o", "a.svg"), "one fidelity"),
    ],
)
def test_what_has_no_figure_is_refused(dse, words, said):
    answer = dse(*words)
    assert answer.code == 2
    assert said in answer.err
