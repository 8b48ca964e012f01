"""Malformed files and command lines: exit 2 or 3, a place and a remedy, never a traceback.

Points are answered operator by operator, so that no example compiles anything.
"""

import pathlib
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dse.cli.main import main
from dse.specs import library, load, overrides

ROOT = pathlib.Path(__file__).parents[2]
CHIP, MODEL, WORKLOAD = "h100_sxm", "gpt-oss-20b", "chat-8k"
EVAL = {"chips": 1, "models": 3, "workloads": 5}  # where a kind's file stands in the words
FILES = {
    "chips": [ROOT / "hwspecs/chips" / f"{n}.toml" for n in ("h100_sxm", "reticle_n3_stacked")],
    "models": [ROOT / "studies/models" / f"{n}.toml" for n in ("gpt-oss-20b", "deepseek-v3.2")],
    "workloads": [ROOT / "studies/workloads" / f"{n}.toml" for n in ("chat-8k", "chat-mix")],
    "studies": [ROOT / "studies/two-goals.toml"],
}
quick = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
SCALES = ["0", "-1", "1e-300", "1e300", "1e400", "nan", "inf", "1", "2x", "0x", "+20%", "-100%", ""]
GARBAGE = [
    "0", "-1", "nan", "inf", "-inf", "1e99", "1e400", "1e-300", "", " ", "x", "8k", "1M", "1.5",
    "0x10", "1_000", "½", "日本", "\u202e", "a" * 500, "=", "hbm=1", "fp8", "true", "[1]", "1 TB/s",
    "--json", "-", "%s", "{}", "../..", "\\", "'", '"',
]  # fmt: skip
OPTIONS = [
    "--context", "--batch", "--micro-batches", "--tp", "--ep", "--pp", "--dp", "--kvp", "--weights",
    "--kv", "--activations", "--attention-weights", "--expert-weights", "--math", "--set",
    "--fidelity", "--power-scope", "--overlap", "--drafts", "--acceptance", "--collective",
    "--prefill", "--weights-in", "--kv-in", "--model", "--workload", "-o",
]  # fmt: skip


def words(kind="chips", name=None):
    line = ["eval", CHIP, "--model", MODEL, "--workload", WORKLOAD, "--json"]
    if name is not None:
        line[EVAL[kind]] = str(name)
    return line


def answered(dse, *line):
    """A question with an answer, or a refusal that says where and what."""
    answer = dse(*line)
    assert answer.code in (0, 2, 3), f"{line}: {answer.err}"
    if answer.code == 2:
        assert answer.err.strip() or "problem" in answer.out or not line
    elif line[0] == "eval" and "--json" in line and "-o" not in line:
        result = answer.json
        assert result["feasible"] is (answer.code == 0)
        if answer.code == 0:
            assert result["user_tokens_per_s"] > 0
            assert result["system_tokens_per_s_per_w"] > 0
        else:
            assert "helps" in answer.err
    return answer


# --- command lines ------------------------------------------------------------------------------


@quick
@given(
    st.lists(
        st.tuples(
            st.sampled_from(OPTIONS), st.one_of(st.sampled_from(GARBAGE), st.text(max_size=8))
        ),
        min_size=1,
        max_size=3,
    )
)
def test_any_command_line_is_answered(dse, monkeypatch, tmp_path_factory, options):
    monkeypatch.chdir(tmp_path_factory.getbasetemp())
    extra = [part for pair in options for part in pair]
    answered(dse, *words(), *extra)


@quick
@given(st.lists(st.one_of(st.sampled_from(GARBAGE), st.text(max_size=6)), max_size=3))
@pytest.mark.parametrize("verb", [["hw", "show"], ["model", "import"], ["explain"], ["check"], []])
def test_any_words_are_answered(dse, monkeypatch, tmp_path_factory, verb, more):
    monkeypatch.chdir(tmp_path_factory.getbasetemp())
    answered(dse, *verb, *more)


@settings(quick, max_examples=15)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    "--set",
                    "--over",
                    "--batch",
                    "--deploy",
                    "--speed",
                    "--target",
                    "--break-even",
                    "--fidelity",
                ]
            ),
            st.one_of(
                st.sampled_from([*GARBAGE, "voltage=2x", "tdp=1x,2x", "best"]), st.text(max_size=8)
            ),
        ),
        max_size=3,
    )
)
@pytest.mark.parametrize("verb", ["whatif", "sensitivity", "sweep"])
def test_any_question_is_answered(dse, monkeypatch, tmp_path_factory, verb, options):
    monkeypatch.chdir(tmp_path_factory.getbasetemp())
    extra = [part for pair in options for part in pair]
    answered(dse, verb, *words()[1:], *extra)


def _places(kind, name):
    loaded = load.load(kind, name)
    found = [path for path, _, _ in overrides.paths(loaded.tree, type(loaded.spec))]
    prefix = {"chips": "", "models": "model.", "workloads": "workload."}[kind]
    return [(prefix + path, load.numeric_unit(loaded, path) or "") for path in found]


PLACES = [*_places("chips", CHIP), *_places("models", MODEL), *_places("workloads", WORKLOAD)]


@quick
@given(
    st.sampled_from(PLACES),
    st.sampled_from([*SCALES, "foo", "7 wombat", "3 TB", "0.7V", "2 GHz"]),
    st.booleans(),
)
def test_any_setting_is_answered(dse, place, value, with_unit):
    path, unit = place
    number = with_unit and not value.endswith(("x", "%"))
    answered(dse, *words(), "--tp", "1", "--set", f"{path}={value} {unit if number else ''}")


@pytest.mark.parametrize(
    "setting",
    [
        "clock=nan", "hbm.bandwidth=0 TB/s", "hbm.bandwidth=1e400 TB/s", "die=0 mm2", "logic=foo",
        "hbm.stacks=0", "hbm.capacity=0 GB", "link.scale_up.radix=1", "voltage=1e-300 V",
        "compute.bf16.peak=1e-300 FLOP/s", "logic.alpha=1e300", "nominal_clock=1e300 Hz",
        "=", "clock=", "=1", "a.b.c=1", "hbm=1", "memory.hbm.technology=hbm9", "hbm.bandwidth",
        "economics.lifetime=0 s", "tdp=1e-9 W", "cooling.coolant=1e9 K", "style=nothing",
    ],
)  # fmt: skip
def test_settings_known_to_be_hard(dse, setting):
    answered(dse, *words(), "--set", setting)


# --- files --------------------------------------------------------------------------------------

REPLACED = [
    (r'"([\d.]+) ([A-Za-z/]+)"', ['"0 {1}"', '"-{0} {1}"', '"{0} wombat"', '"{0}"', '"1e300 {1}"',
                                  '"nan {1}"', '"1e-300 {1}"', "{0}", "true", "[]", '"2x"',
                                  '"{1}"']),
    (r"= (\d+)$", ["= 0", "= -{0}", "= nan", "= inf", "= 1e300", '= "{0} GB"', "= []", "= {{}}",
                   '= "x"', "= {0}.5", "= 1979-05-27", "= {{ value = {0} }}",
                   "= {{ value = {0}, range = [9e9, 1] }}", "= {{ valeu = {0} }}"]),
    (r"^(\w+) +=", ["{0}x =", "x{0} =", '"{0}.y" =', "{0}.z =", "=", "[{0}]\n{0} ="]),
    (r'"(\w+)"', ['""', '"{0}x"', '"\\u0000"', '"../{0}"', "{0}", "1"]),
    (r"^\[(.*)\]$", ["[[{0}]]", "[{0}", "[{0}.x]", "[x.{0}]", "[{0}]\n[{0}]"]),
]  # fmt: skip


@st.composite
def mutated(draw, kind):
    """A shipped file with a few slips of the keyboard or of the disk."""
    text = draw(st.sampled_from(FILES[kind])).read_text("utf-8")
    for _ in range(draw(st.integers(1, 3))):
        pattern, forms = draw(st.sampled_from(REPLACED))
        hits = list(re.finditer(pattern, text, re.M))
        if hits:
            hit = draw(st.sampled_from(hits))
            new = draw(st.sampled_from(forms)).format(*hit.groups())
            text = text[: hit.start()] + new + text[hit.end() :]
    raw = text.encode()
    cut = draw(st.integers(0, len(raw)))
    slip = draw(st.sampled_from(["none", "none", "none", "cut", "bytes", "line", "twice"]))
    if slip == "cut":
        return raw[:cut]
    if slip == "bytes":
        return raw[:cut] + draw(st.binary(min_size=1, max_size=3)) + raw[cut:]
    lines = raw.splitlines(keepends=True)
    at = draw(st.integers(0, len(lines) - 1))
    if slip == "line":
        return b"".join(lines[:at] + lines[at + 1 :])
    return raw + lines[at] if slip == "twice" else raw


@quick
@given(st.data())
@pytest.mark.parametrize("kind", EVAL)
def test_any_file_is_answered(dse, tmp_path_factory, kind, data):
    folder = tmp_path_factory.getbasetemp() / kind
    folder.mkdir(exist_ok=True)
    path = folder / "mine.toml"
    path.write_bytes(data.draw(mutated(kind)))
    answer = answered(dse, *words(kind, path))
    if answer.code == 2:
        assert "mine.toml" in answer.err or "deployment" in answer.err or "values" in answer.err, (
            answer.err
        )
    answered(dse, "check", path)


@quick
@given(mutated("studies"))
def test_any_study_file_is_checked(dse, tmp_path_factory, raw):
    folder = tmp_path_factory.getbasetemp() / "studies"
    folder.mkdir(exist_ok=True)
    path = folder / "mine.toml"
    path.write_bytes(raw)
    answered(dse, "check", path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "missing"),
        ('base = "absent"', "absent"),
        ("base = 3", "base: wanted a name"),
        ('base = "h100_sxm"\nlogic = "n33"', "n33"),
        ('base = "h100_sxm"\nmemory = 3', "memory"),
        ('base = "h100_sxm"\n[memory]\nhbm = 3', "memory.hbm"),
        ('base = "h100_sxm"\n[[memory]]\nhbm = 3', "memory"),
        ('base = "h100_sxm"\n[memory.hbm]\ntechnology = 5', "memory.hbm.technology"),
        ('base = "h100_sxm"\n[memory.hbm]\ntechnology = { base = "hbm9" }', "hbm9"),
        ('base = "h100_sxm"\ntdp = nan', "tdp"),
        ('base = "h100_sxm"\ntdp = { value = "700 W", range = ["1 W"] }', "range"),
        ('base = "h100_sxm"\ntdp = { value = "700 W", range = ["1 kW", "2 kW"] }', "range"),
        ('base = "h100_sxm"\ntdp = { value = { value = "700 W" } }', "tdp"),
        ('base = "h100_sxm"\ntdp = "5x5"', "tdp"),
        ('base = "h100_sxm"\ndie = "1e400 mm2"', "die"),
        ('base = "h100_sxm"\nvoltage = "2x"', "voltage"),
        ('base = "h100_sxm"\naliases = 3\nsources = 3\nname = 4\nfacts = 5\n[x]', "x: unknown"),
        ("tdp = '''", "not TOML"),
        (f"tdp = {'9' * 5000}", "mine.toml"),
        ("a = " + "[" * 20000, "mine.toml"),
        ("[" + "a." * 5000 + "a]", "mine.toml"),
        ("# " + "x" * 1_000_001, "larger than"),
        ("\ud800", "not UTF-8"),
    ],
)
def test_files_known_to_be_hard(dse, tmp_path, text, said):
    path = tmp_path / "chips" / "mine.toml"
    path.parent.mkdir()
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    for line in (words("chips", path), ["check", path], ["hw", "show", path]):
        answer = answered(dse, *line)
        assert answer.code == 2, line
        assert said in answer.out + answer.err, line


def test_a_circular_base_is_named(dse, tmp_path):
    chips = tmp_path / "hwspecs" / "chips"
    chips.mkdir(parents=True)
    (chips / "a.toml").write_text('base = "b"')
    (chips / "b.toml").write_text('base = "a"')
    answer = answered(dse, "--specs", tmp_path, *words("chips", "a"))
    assert answer.code == 2
    assert "circular inheritance a -> b -> a" in answer.err


def test_paths_that_are_no_files(dse, tmp_path):
    for name in (tmp_path, tmp_path / "absent.toml", "/dev/null/x.toml", "x\0y.toml", "~/x.toml"):
        assert answered(dse, *words("chips", name)).code == 2


def test_a_broken_file_in_a_spec_folder_does_not_hide_the_others(dse, tmp_path):
    chips = tmp_path / "hwspecs" / "chips"
    chips.mkdir(parents=True)
    (chips / "broken.toml").write_text("name = ")
    (tmp_path / "hwspecs" / "sources.toml").write_text("[a]\nkind = 'x'")
    listed = dse("--specs", tmp_path, "hw", "list")
    assert listed.code == 2
    assert "h100_sxm" in listed.out
    assert "broken.toml" in listed.err
    assert dse("--specs", tmp_path, *words()).code == 0
    assert dse("--specs", tmp_path, *words("chips", "NVIDIA H100 SXM5 80GB")).code == 0
    assert dse("--specs", tmp_path, *words("chips", "broken")).code == 2


def test_broken_shared_sources_are_the_users_to_mend(dse, tmp_path):
    (tmp_path / "hwspecs").mkdir()
    (tmp_path / "hwspecs" / "sources.toml").write_text("x = [")
    answer = dse("--specs", tmp_path, "check", "h100_sxm")
    assert answer.code == 2
    assert "sources.toml" in answer.err


def test_main_takes_no_traceback_from_odd_arguments(capsys):
    library.forget()
    for line in (["\udcff"], ["eval", "\udcff"], ["hw", "show", "\ud800"], ["-" * 50], ["--specs"]):
        assert main(line) == 2
        assert "Traceback" not in capsys.readouterr().err
