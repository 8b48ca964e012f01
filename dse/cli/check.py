"""``dse check``: every file loads, every number has a unit and a source, every estimate a range."""

import pathlib
from collections.abc import Iterable
from typing import Annotated, Any

import typer

from dse.cli.console import Json, Output, emit
from dse.specs import library
from dse.specs.errors import SpecError

Files = Annotated[
    list[str] | None, typer.Argument(metavar="FILE", help="All of the library if none is given.")
]


def check(files: Files = None, json: Json = False, output: Output = None) -> None:
    """Check spec files strictly; one line per file, every problem with its place.

    Exit code 2 if there is any problem.
    """
    wanted = _given(files) if files else _library()
    found = []
    for kind, path in wanted:
        problems = problems_of(kind, path)
        found.append({"file": str(path), "kind": kind, "problems": problems})
    result = {"schema": "dse.check/1", "files": found}
    emit(result, _lines(found), json, output)
    if any(item["problems"] for item in found):
        raise typer.Exit(2)


def _library() -> list[tuple[str, pathlib.Path]]:
    return [(kind, path) for kind in library.FOLDERS for path in library.folder_of(kind).values()]


def _given(files: Iterable[str]) -> list[tuple[str, pathlib.Path]]:
    found = []
    for text in files:
        path = pathlib.Path(text)
        if path.suffix == ".toml" or "/" in text:
            found.append((kind_of(path), path))
            continue
        homes = [(k, library.folder_of(k)[text]) for k in library.FOLDERS
                 if text in library.folder_of(k)]  # fmt: skip
        found += homes or [(kind_of(path), path)]
    return found


def kind_of(path: pathlib.Path) -> str:
    """The kind of a file: by its folder, else by the keys it has."""
    if path.parent.name in library.FOLDERS:
        return path.parent.name
    try:
        tree = library.read_file(path).tree
    except SpecError:
        return "chips"  # reading it again says what is wrong
    marks = {"groups": "models", "requests": "workloads", "space": "studies", "hardware": "studies"}
    named = next((kind for key, kind in marks.items() if key in tree), None)
    if named or not tree:
        return named or "chips"
    from dse.specs import schema

    keys = {kind: set(schema.rules(spec)) for kind, spec in _specs().items()}
    return max(keys, key=lambda kind: len(keys[kind] & set(tree)))


def _specs() -> dict[str, Any]:
    from dse.specs import load, technology

    return {
        **load.CLASSES,
        "logic": technology.LogicProcess,
        "memory": technology.MemoryTechnology,
        "links": technology.LinkTechnology,
        "packaging": technology.Packaging,
        "cooling": technology.Cooling,
        "styles": technology.ExecutionStyle,
        "frameworks": technology.Framework,
    }


def problems_of(kind: str, path: pathlib.Path) -> list[str]:
    """What is wrong with one file, as sentences; empty where all is well."""
    try:
        if kind == "studies":
            return _study_problems(path)
        if path.name.startswith("_"):
            return _class_problems(kind, path)
        record, files = _read(kind, path)
    except SpecError as error:
        return list(error.problems)
    return _unsourced(record, files)


def _read(kind: str, path: pathlib.Path):
    """The record of every number of a file and its bases."""
    from dse.specs import load, schema

    if kind in load.CLASSES:
        loaded = load.load(kind, str(path))
        if kind == "chips":
            _provisioned(loaded.spec)
        return loaded.record, loaded.files
    tree, _, files = load.inherited(kind, path)
    tree = load.resolved(tree, _specs()[kind], files, path.name)
    model, record = load.validated(tree, _specs()[kind], path.name)
    schema.build(model, "", record)
    return record, files


def _provisioned(spec: Any) -> None:
    """A chip's laws have what they need: its resource table can be written out."""
    from dse.resources.provision import provision

    provision(spec)


def _class_problems(kind: str, path: pathlib.Path) -> list[str]:
    """A class is incomplete by intention: its keys must exist; its numbers are checked in heirs."""
    from dse.specs import load

    tree, _, files = load.inherited(kind, path)
    tree = load.resolved(tree, _specs()[kind], files, path.name)
    try:
        load.validated(tree, _specs()[kind], path.name)
    except SpecError as error:
        return [p for p in error.problems if ": unknown field" in p]
    return []


def _unsourced(record: dict[str, Any], files: Iterable[pathlib.Path]) -> list[str]:
    """Numbers without a known source, and estimates without a range."""
    from dse.specs.errors import nearest

    known = set(library.sources())
    for file in files:
        known |= set(library.read_file(file).meta.get("sources", {}))
    problems = []
    for path, value in record.items():
        place = f"{path} ({value.origin})" if value.origin else path
        if value.source == "estimate" and value.low is None:
            problems.append(f"{place}: an estimate needs range = [low, high]")
        elif not value.source:
            problems.append(f"{place}: no source; give it one, or the file a source")
        elif value.source not in known | {"estimate"}:
            problems.append(f"{place}: source {value.source!r} is not listed under [sources] or in "
                            f"sources.toml{nearest(value.source, known)}")  # fmt: skip
    return problems


def _study_problems(path: pathlib.Path) -> list[str]:
    from dse.search import settings

    settings.read(str(path))
    return []


def _lines(found: list[dict[str, Any]]) -> Iterable[str]:
    for item in found:
        problems = item["problems"]
        count = "ok" if not problems else f"{len(problems)} problem{'s' * (len(problems) > 1)}"
        yield "\n".join([f"{item['file']}: {count}", *[f"  * {p}" for p in problems]])
    bad = sum(bool(item["problems"]) for item in found)
    yield f"{len(found)} files, {bad} with problems"
