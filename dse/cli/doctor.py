"""``dse doctor``: what is installed, where things are kept, what is missing and how to get it."""

import importlib.metadata
import importlib.util
import os
import pathlib
import platform
import re
import sys
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

import typer

from dse.cli import complete
from dse.cli.console import Json, emit, note
from dse.cli.main import EXTRAS
from dse.search import places
from dse.specs import library

OK, WARN, BAD = "ok", "warn", "bad"
OLDEST_PYTHON = (3, 11)
LISTED = ("chips", "models", "workloads", "studies")
NAMED = ("jax", "jaxlib", "numpy", "optuna", "plotly", "pydantic", "pint")
_REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)")


class Finding(NamedTuple):
    """One line: what was looked at, how it is, what was found, what would help."""

    name: str
    state: str  # ok, warn or bad
    found: str
    helps: str = ""


def doctor(
    warm: Annotated[
        bool, typer.Option("--warm", help="Fill the compile cache first (minutes).")
    ] = False,
    study: Annotated[
        list[str] | None,
        typer.Option(
            "--study",
            metavar="STUDY",
            autocompletion=complete.names("studies"),
            help="Warm for this study; repeat for more. All that ship if not given.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Versions, devices, caches, spec folders, optional parts: what is there and what is missing.

    dse doctor --warm --study two-goals

    --warm compiles what eval, whatif, sensitivity and sweep need for the chips and models of the
    studies, and what the studies themselves need. Exit code 1 where something required is broken.
    """  # fmt: skip
    done = _warm(study) if warm or study else []
    found = [*python(), *packages(), *machine(), cache(), *specs(), runs_folder(), *extras(),
             browser()]  # fmt: skip
    result = {"schema": "dse.doctor/1", "ok": all(f.state != BAD for f in found),
              "findings": [f._asdict() for f in found], "warmed": done}  # fmt: skip
    emit(result, _shown(found, done), json)
    if not result["ok"]:
        raise typer.Exit(1)


def _warm(studies: list[str] | None) -> list[str]:
    from dse import compile_cache

    compile_cache.enable()
    from dse.search import caches

    return caches.warm_all(studies or library.names("studies"), lambda line: note(f"warm: {line}"))


# --- findings -------------------------------------------------------------------------------------


def python() -> Iterator[Finding]:
    """The package and the interpreter."""
    from dse import __version__

    yield Finding("dse", OK, f"{__version__} in {pathlib.Path(__file__).parents[1]}")
    words = f"{platform.python_version()} at {sys.executable}"
    if sys.version_info >= OLDEST_PYTHON:
        yield Finding("python", OK, words)
    else:
        yield Finding("python", BAD, words, "wants 3.11 or newer")


def packages() -> Iterator[Finding]:
    """Versions of what dse rests on; what it requires and lacks."""
    said = [f"{name} {version}" for name in NAMED if (version := _version(name))]
    missing = sorted(name for name in required() if _version(name) is None)
    if missing:
        yield Finding("packages", BAD, f"missing: {', '.join(missing)}",
                      f"pip install {' '.join(missing)}")  # fmt: skip
    else:
        yield Finding("packages", OK, ", ".join(said))


def required() -> list[str]:
    """Distributions that dse requires; the main ones where it runs from its folder."""
    try:
        stated = importlib.metadata.requires("dse") or []
    except importlib.metadata.PackageNotFoundError:
        return list(NAMED)
    plain = [text for text in stated if "extra ==" not in text]
    return [match[1] for text in plain if (match := _REQUIREMENT.match(text))]


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def machine() -> Iterator[Finding]:
    """Cores, and what JAX computes on."""
    yield Finding("cores", OK, f"{os.cpu_count()}; dse run STUDY --workers N uses several")
    try:
        import jax

        devices = jax.devices()
    except Exception as error:  # a driver that does not fit, of any kind
        yield Finding("jax devices", BAD, " ".join(str(error).split())[:200],
                      "JAX_PLATFORMS=cpu")  # fmt: skip
        return
    kinds = [f"{d.platform}:{d.id} ({d.device_kind})" for d in devices]
    yield Finding("jax devices", OK, ", ".join(kinds))


def cache() -> Finding:
    """Where compiled programs are kept, and how many."""
    from dse import compile_cache

    place = compile_cache.folder()
    if not compile_cache.enable():
        return Finding("compile cache", WARN, f"{place} cannot be written: every question compiles",
                       "set JAX_COMPILATION_CACHE_DIR")  # fmt: skip
    files = [path for path in place.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    words = f"{place}: {len(files):,} programs, {size / 1e6:,.0f} MB"
    if not files:
        return Finding("compile cache", WARN, words, "dse doctor --warm")
    return Finding("compile cache", OK, words)


def specs() -> Iterator[Finding]:
    """Spec folders in the order they are searched, and what they hold."""
    counts = ", ".join(f"{len(library.names(kind))} {kind}" for kind in LISTED)
    roots = dict.fromkeys(str(root) for root in library.roots() if (root / "hwspecs").is_dir()
                          or (root / "studies").is_dir())  # fmt: skip
    state = OK if library.names("chips") and library.names("models") else BAD
    yield Finding("specs", state, f"{counts}; from {', then '.join(roots) or 'nowhere'}",
                  "" if state == OK else "reinstall dse, or --specs DIR")  # fmt: skip
    broken = [str(path) for kind in library.FOLDERS for path in library.folder_of(kind).values()
              if not _reads(path)]  # fmt: skip
    if broken:
        yield Finding("specs", WARN, f"not TOML: {', '.join(broken)}", "dse check")


def _reads(path: pathlib.Path) -> bool:
    from dse.specs.errors import SpecError

    try:
        library.read_file(path)
    except SpecError:
        return False
    return True


def runs_folder() -> Finding:
    """Where runs are kept, and how many there are."""
    folder = places.ROOT.resolve()
    here = folder if folder.is_dir() else folder.parent
    if not os.access(here, os.W_OK):
        return Finding("runs", WARN, f"{here} cannot be written", "dse run STUDY -o DIR")
    return Finding("runs", OK, f"{len(places.names())} in {folder}")


def extras() -> Iterator[Finding]:
    """Optional parts: what each package is for."""
    by_extra: dict[str, list[str]] = {}
    for package, extra in EXTRAS.items():
        by_extra.setdefault(extra, []).append(package)
    for extra, names in by_extra.items():
        missing = [name for name in names if importlib.util.find_spec(name) is None]
        if missing:
            yield Finding(f"extra {extra}", WARN, f"missing: {', '.join(missing)}",
                          f"pip install 'dse[{extra}]'")  # fmt: skip
        else:
            yield Finding(f"extra {extra}", OK, ", ".join(names))


def browser() -> Finding:
    """What draws PNG and SVG."""
    from dse.report.export import browser as found_by

    found = found_by()
    if found is None:
        return Finding("browser", WARN, "no Chrome or Chromium on the path: figures as HTML only",
                       "install chromium")  # fmt: skip
    return Finding("browser", OK, found)


# --- for people -----------------------------------------------------------------------------------

STYLES: dict[str, str] = {OK: "green", WARN: "yellow", BAD: "bold red"}


def _shown(found: list[Finding], done: list[str]) -> Iterator[Any]:
    from rich.text import Text

    from dse.report import tables

    made = tables.table(None, ("", "", ""), [])
    made.show_header = False
    for column in made.columns:
        column.justify = "left"
    for item in found:
        words = f"{item.found}; {item.helps}" if item.helps else item.found
        made.add_row(Text(item.name), Text(item.state, style=STYLES[item.state]), Text(words))
    yield made
    if done:
        yield f"\nwarmed: {len(done)} structures and studies"
