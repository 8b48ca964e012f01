"""Where spec files are found by name, and what a file says before any unit is read.

Search order: the folders given with ``--specs`` or ``DSE_SPECS``, the current folder's ``hwspecs``
and ``studies``, then what ships with the package. Listing names reads TOML only: no pint, no JAX.
"""

import contextlib
import contextvars
import dataclasses
import functools
import os
import pathlib
import tomllib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from dse.specs.errors import SpecError, nearest

FOLDERS = {
    "chips": "hwspecs/chips",
    "logic": "hwspecs/logic",
    "memory": "hwspecs/memory",
    "links": "hwspecs/links",
    "packaging": "hwspecs/packaging",
    "cooling": "hwspecs/cooling",
    "styles": "hwspecs/styles",
    "frameworks": "hwspecs/frameworks",
    "models": "studies/models",
    "workloads": "studies/workloads",
    "studies": "studies",
}
META = frozenset({"name", "aliases", "about", "base", "source", "sources", "facts", "knobs"})
LARGEST_FILE_BYTES = 1_000_000
DEEPEST = 32
_F = TypeVar("_F", bound=Callable)
_extra: list[pathlib.Path] = []
# Paths that may be opened besides names; None: any.
_paths: contextvars.ContextVar[frozenset[str] | None] = contextvars.ContextVar(
    "paths", default=None
)


@dataclasses.dataclass(frozen=True)
class SpecFile:
    """One TOML file as written: its metadata apart from its values."""

    path: pathlib.Path
    name: str
    meta: dict
    tree: dict

    @property
    def title(self) -> str:
        """The name people use."""
        return str(self.meta.get("name", self.name))


def add_folder(folder: str | pathlib.Path) -> None:
    """Put a user's spec folder before all others (``--specs DIR``)."""
    path = pathlib.Path(folder)
    if not path.is_dir():
        raise SpecError("--specs", [f"{folder}: no such folder"])
    _extra.insert(0, path)
    forget()


@contextlib.contextmanager
def names_only(besides: Iterable[str] = ()) -> Iterator[None]:
    """Inside, words that came from elsewhere find specs by name and open no file by its path."""
    token = _paths.set(frozenset(besides))
    try:
        yield
    finally:
        _paths.reset(token)


_kept: list[Any] = []


def kept(function: _F) -> _F:
    """Remember what a function of names and files answers, until `forget`."""
    cached: Any = functools.cache(function)
    _kept.append(cached)
    return cached


def forget() -> None:
    """Drop what was read, so that changed folders and files are read again."""
    for cached in _kept:
        cached.cache_clear()


def _package_root() -> pathlib.Path:
    inside = pathlib.Path(__file__).parents[1] / "_specs"
    return inside if inside.is_dir() else pathlib.Path(__file__).parents[2]


def roots() -> list[pathlib.Path]:
    """Folders that may hold ``hwspecs`` and ``studies``, first match wins."""
    named = [pathlib.Path(p) for p in os.environ.get("DSE_SPECS", "").split(os.pathsep) if p]
    return [*_extra, *named, pathlib.Path.cwd(), _package_root()]


@kept
def folder_of(kind: str) -> dict[str, pathlib.Path]:
    """Name -> file of every spec of a kind (``chips``, ``models``, ...)."""
    found: dict[str, pathlib.Path] = {}
    for root in roots():
        inner = FOLDERS[kind]
        for folder in (root / inner, root / inner.split("/", 1)[-1]):
            if folder.is_dir() and (folder != root / "studies" or kind == "studies"):
                for path in sorted(folder.glob("*.toml")):
                    found.setdefault(path.stem, path)
    return found


def names(kind: str) -> list[str]:
    """Names of a kind, without the classes that others only inherit from (``_class``)."""
    return sorted(name for name in folder_of(kind) if not name.startswith("_"))


def locate(kind: str, name: str) -> pathlib.Path:
    """The file of a named spec, or of a path to one; aliases count as names."""
    known = folder_of(kind)
    if name in known:
        return known[name]
    as_path = pathlib.Path(name)
    aliased = _aliases(kind).get(name.lower()) if not name.endswith(".toml") else None
    if aliased:
        return known[aliased]
    allowed = _paths.get()
    is_path = name.endswith(".toml") or as_path.parent != pathlib.Path()
    if is_path and (allowed is None or name in allowed):
        if as_path.is_file():
            return as_path
        raise SpecError(name, [f"{name}: no such file"])
    raise SpecError(name, [f"{name!r} is not one of the {kind}{nearest(name, names(kind))}"])


@kept
def _aliases(kind: str) -> dict[str, str]:
    found = {}
    for name, path in folder_of(kind).items():
        with contextlib.suppress(SpecError):  # a broken file is reported when it is asked for
            for alias in _words(read_file(path).meta.get("aliases", [])):
                found[alias.lower()] = name
    return found


def _words(value) -> list[str]:
    return [word for word in value if isinstance(word, str)] if isinstance(value, list) else []


@kept
def read_file(path: pathlib.Path) -> SpecFile:
    """Parse one TOML file; anything wrong with it as a file is one `SpecError`."""
    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise SpecError(str(path), [f"larger than {LARGEST_FILE_BYTES:,} bytes"])
        content = tomllib.loads(path.read_bytes().decode("utf-8"))
    except UnicodeDecodeError as error:
        raise SpecError(str(path), [f"not UTF-8 at byte {error.start}"]) from None
    except tomllib.TOMLDecodeError as error:
        raise SpecError(str(path), [f"not TOML: {error}"]) from None
    except RecursionError:
        raise SpecError(str(path), [f"nested deeper than {DEEPEST} tables"]) from None
    except OSError as error:
        raise SpecError(str(path), [error.strerror or "cannot be read"]) from None
    except SpecError:
        raise
    except ValueError as error:  # a name no file system takes, an integer of 5000 digits
        raise SpecError(repr(str(path)), [str(error)]) from None
    if _depth(content) > DEEPEST:
        raise SpecError(str(path), [f"nested deeper than {DEEPEST} tables"])
    meta = {key: value for key, value in content.items() if key in META}
    tree = {key: value for key, value in content.items() if key not in META}
    return SpecFile(path, path.stem, meta, tree)


def _depth(content: dict) -> int:
    """How deep tables and lists of a file are nested, counted without recursion."""
    depth, layer = 0, [content]
    while layer and depth <= DEEPEST:
        depth += 1
        inner = [v for node in layer for v in (node.values() if isinstance(node, dict) else node)]
        layer = [v for v in inner if isinstance(v, (dict, list))]
    return depth


@kept
def sources() -> dict[str, dict]:
    """The shared list of sources: id -> kind, title."""
    found: dict[str, dict] = {}
    for root in reversed(roots()):
        path = root / "hwspecs" / "sources.toml"
        if path.is_file():
            file = read_file(path)
            found.update(file.meta | file.tree)
    return found
