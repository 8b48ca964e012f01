"""Who may import whom: the layers of the package, and what stays out of which part."""

import ast
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2] / "dse"
FILES = sorted(path for path in ROOT.rglob("*.py") if "_specs" not in path.parts)
# A part imports its own files and lower layers; work and resources share a layer.
LAYERS = [
    {"units", "smooth", "compile_cache", "compiled", "interpreter"},
    {"specs"},
    {"work", "resources", "extensions"},
    {"estimate"},
    {"metrics"},
    {"questions"},
    {"search", "evidence", "report"},
    {"explore"},
    {"cli"},
    {"notebook"},
    {"__main__"},
]
LEVEL = {part: level for level, parts in enumerate(LAYERS) for part in parts}
HOMES = {
    "optuna": ("search",),
    "optuna_dashboard": ("search",),
    "plotly": ("report/charts", "explore"),
    "pandas": ("report", "search", "evidence", "explore"),
    "dash": ("explore",),
    "typer": ("cli",),
}  # fmt: skip


def imports(path):
    """Dotted names a file imports, also inside functions; not those for type checkers only."""
    skipped = set()
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            skipped |= {id(inner) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part_of(path):
    return path.relative_to(ROOT).with_suffix("").parts[0]


def within(path, place):
    return str(path.relative_to(ROOT).with_suffix("")).startswith(place)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_imports_its_own_part_and_lower_layers(path):
    part = part_of(path)
    if part == "__init__":
        return
    assert part in LEVEL, f"{part}: name its layer"
    for name in imports(path):
        pieces = name.split(".")
        if pieces[0] != "dse" or len(pieces) == 1 or pieces[1] in (part, "__version__"):
            continue
        assert LEVEL.get(pieces[1], 0) < LEVEL[part], f"{part} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_heavy_libraries_stay_in_their_part(path):
    for name in imports(path):
        homes = HOMES.get(name.split(".")[0])
        assert homes is None or any(within(path, home) for home in homes), name


@pytest.mark.parametrize("path", [p for p in FILES if part_of(p) in ("work", "resources",
                                                                     "estimate")],
                         ids=lambda p: str(p.relative_to(ROOT)))  # fmt: skip
def test_guards_live_in_one_file(path):
    text = path.read_text()
    for word in ("nan_to_num", "stop_gradient", "finfo", "isnan"):
        assert word not in text, f"{word} belongs in dse/smooth.py"


def test_importing_the_package_stays_light():
    code = "import dse, sys; print([m for m in ('jax', 'pint', 'pydantic') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
