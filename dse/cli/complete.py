"""Values that a shell completes: names of specs and runs, paths of ``--set``; nothing heavy."""

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any

import typer

from dse.search import places
from dse.specs import library
from dse.specs.errors import SpecError

# Settable also on a chip that leaves them to their laws, so that no file states them.
RAILS = ("clock", "sram_voltage", "voltage")
# Key of a chip that names a file -> the kind of that file; and of each memory tier and link.
REFERENCES = {"logic": "logic", "packaging": "packaging", "cooling": "cooling", "style": "styles"}
TECHNOLOGIES = {"memory": "memory", "link": "links"}
DESIGNS = ("high", "low", "knee")


def names(kind: str) -> Callable[[str], list[str]]:
    """Completion of the names of a kind of spec."""
    return lambda incomplete: starting(incomplete, library.names(kind))


def one_of(*words: str) -> Callable[[str], list[str]]:
    """Completion of a few words."""
    return lambda incomplete: starting(incomplete, words)


def starting(incomplete: str, known: Iterable[str]) -> list[str]:
    """What begins as typed."""
    return [word for word in known if word.startswith(incomplete)]


def runs(incomplete: str) -> list[str]:
    """Completion of the names of runs."""
    return starting(incomplete, places.names())


def points(incomplete: str) -> list[str]:
    """Completion of what has an operating point: a chip, or a design of a run."""
    run, hash_, _ = incomplete.partition("#")
    if hash_:
        return starting(incomplete, [f"{run}#{word}" for word in DESIGNS])
    return starting(incomplete, [*library.names("chips"), *[f"{name}#" for name in places.names()]])


def settings(ctx: typer.Context, incomplete: str) -> list[str]:
    """Completion of the paths of ``--set``: of the chip typed before, or any tail of one."""
    # Where the option typed last has no value yet, nothing of the line was read into parameters.
    said = [ctx.params.get("chip"), ctx.params.get("name"), *ctx.args]
    chip = next((word for word in said if word), None)
    try:
        known = paths(str(chip)) if chip else set(RAILS)
    except (SpecError, RecursionError):
        return []
    tails = {tail for path in known for tail in _tails(path)} if incomplete else known
    return sorted(starting(incomplete, tails))


def _tails(path: str) -> list[str]:
    """A path, and what is left of it without its first words."""
    words = path.split(".")
    return [".".join(words[start:]) for start in range(len(words))]


def paths(chip: str) -> set[str]:
    """Dotted paths that a chip's file, its bases and the files it names state."""
    tree = inherited("chips", chip)
    found = set(RAILS) | leaves(tree)
    for path, kind in REFERENCES.items():
        found |= _of_file(path, kind, tree.get(path))
    for part, kind in TECHNOLOGIES.items():
        for name, table in tree.get(part, {}).items():
            if isinstance(table, Mapping):
                found |= _of_file(f"{part}.{name}.technology", kind, table.get("technology"))
    return found


def _of_file(path: str, kind: str, name: Any) -> set[str]:
    """What a named file states, below the path that names it."""
    if not isinstance(name, str):
        return set()
    return {f"{path}.{inner}" for inner in leaves(inherited(kind, name))}


def inherited(kind: str, name: str) -> dict[str, Any]:
    """The tables of a spec file over those of its bases, as written: no unit is read."""
    file = library.read_file(library.locate(kind, name))
    base = file.meta.get("base")
    under = inherited(kind, base) if isinstance(base, str) else {}
    return _merged(under, file.tree)


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def leaves(tree: Mapping[str, Any], path: str = "") -> set[str]:
    """Dotted paths of the values of a tree; a table with a value is one."""
    found: set[str] = set()
    for key, value in tree.items():
        inner = f"{path}.{key}" if path else key
        is_table = isinstance(value, Mapping) and "value" not in value
        found |= leaves(value, inner) if is_table else {inner}
    return found


RunName = Annotated[
    str,
    typer.Argument(metavar="RUN", help="Run folder, or a name under runs/.", autocompletion=runs),
]
