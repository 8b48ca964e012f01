"""From TOML to specs: inheritance, named technologies, overrides, sources, all problems at once."""

import dataclasses
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dse.specs import consistency, library, schema
from dse.specs.hardware import HardwareSpec
from dse.specs.network import ModelSpec
from dse.specs.overrides import FACTOR, PERCENT, UNSET, apply, is_leaf, matching, scaled_leaf
from dse.specs.schema import Rule, SpecError, Value
from dse.specs.workload import Workload

CLASSES = {"chips": HardwareSpec, "models": ModelSpec, "workloads": Workload}


@dataclasses.dataclass(frozen=True)
class Loaded:
    """A spec, where each of its numbers is from, and what was changed on the way."""

    spec: Any
    kind: str
    name: str
    title: str
    meta: dict
    record: dict[str, Value]
    files: tuple[pathlib.Path, ...]
    changes: tuple[tuple[str, str, str], ...] = ()  # path, before, after
    tree: dict = dataclasses.field(default_factory=dict, repr=False)


def load(kind: str, name: str, overrides: Sequence[tuple[str, str]] = ()) -> Loaded:
    """Read a chip, model or workload by name or path, with ``--set`` overrides applied.

    Args:
        kind: ``"chips"``, ``"models"`` or ``"workloads"``.
        name: a name of the library, an alias, or a path to a TOML file.
        overrides: pairs of path (or its unique tail) and new value (``2x``, ``+20%``, ``0.7 V``).

    Raises:
        SpecError: with every problem of the file, or every unusable override.
    """
    if not isinstance(name, str) or not name.strip() or "\0" in name:
        raise SpecError(repr(name), [f"not a name of one of the {kind}"])
    path = library.locate(kind, name)
    return _loaded(kind, path, overrides) if overrides else _unchanged(kind, path)


@library.kept
def _unchanged(kind: str, path: pathlib.Path) -> Loaded:
    return _loaded(kind, path, ())


def _loaded(kind: str, path: pathlib.Path, overrides: Sequence[tuple[str, str]]) -> Loaded:
    spec = CLASSES[kind]
    tree, meta, files = inherited(kind, path)
    where = _shown(files[0])
    changes: list[tuple[str, str, str]] = []
    left = _name_technologies(tree, spec, overrides, changes)
    tree = resolved(tree, spec, files, where)
    if left:  # a technology inside a technology: the framework of a style
        left = _name_technologies(tree, spec, left, changes)
        tree = resolved(tree, spec, files, where)
    apply(tree, spec, left, changes)
    model, record = validated(tree, spec, where)
    built = consistent(kind, schema.build(model, "", record), where)
    title = str(meta.get("name", files[0].stem))
    return Loaded(built, kind, files[0].stem, title, meta, record, tuple(files),
                  tuple(changes), tree)  # fmt: skip


def from_tree(kind: str, tree: dict, title: str) -> Loaded:
    """A spec from a tree already in memory, for importers and exported designs."""
    spec, files = CLASSES[kind], []
    complete = resolved(_sourced(tree, {}, title), spec, files, title)
    model, record = validated(complete, spec, title)
    built = consistent(kind, schema.build(model, "", record), title)
    return Loaded(built, kind, title, title, {}, record, tuple(files), tree=complete)


def consistent(kind: str, spec: Any, where: str) -> Any:
    """The spec, or one error with all of its contradictions."""
    found = consistency.problems(kind, spec)
    if found:
        raise SpecError(where, found)
    return spec


def _shown(path: pathlib.Path) -> str:
    try:
        return str(path.relative_to(pathlib.Path.cwd()))
    except ValueError:
        return f"{path.parent.name}/{path.name}"


def validated(tree: dict, spec, where: str) -> tuple[Any, dict[str, Value]]:
    """The validated tree of a spec class and an empty record for `schema.build` to fill."""
    from pydantic import ValidationError

    try:
        return schema.model_of(spec).model_validate(tree), {}
    except ValidationError as error:
        raise SpecError(where, schema.problems_of(error, spec)) from None
    except RecursionError:
        raise SpecError(where, ["tables nested too deeply"]) from None


# --- inheritance --------------------------------------------------------------------------------


def inherited(kind: str, path: pathlib.Path, seen: tuple[str, ...] = ()):
    """The tree of a file on top of its bases: tables merge, lists replace, factors apply."""
    file = library.read_file(path)
    if file.name in seen:
        chain = " -> ".join([*seen, file.name])
        raise SpecError(_shown(path), [f"base: circular inheritance {chain}"])
    tree = _sourced(file.tree, file.meta, _shown(path))
    base = file.meta.get("base")
    if base is None:
        return tree, file.meta, [path]
    if not isinstance(base, str):
        raise SpecError(_shown(path), [f"base: wanted a name, found {base!r}"])
    try:
        parent_path = library.locate(kind, base)
    except SpecError as error:
        raise SpecError(_shown(path), [f"base: {p}" for p in error.problems]) from None
    parent, _, files = inherited(kind, parent_path, (*seen, file.name))
    problems: list[str] = []
    merged = _merged(parent, tree, "", problems)
    if problems:
        raise SpecError(_shown(path), problems)
    return merged, file.meta, [path, *files]


def _sourced(tree: Any, meta: Mapping, origin: str) -> Any:
    """Every leaf as ``{ value, source, range, note, origin }``; peaks keep their clock beside."""
    if isinstance(tree, Mapping) and not is_leaf(tree):
        found: dict[str, Any] = {}
        for key, value in tree.items():
            if isinstance(value, Mapping) and "value" in value and "at_clock" in value:
                found["at_clock"] = _leaf(value["at_clock"], meta, origin)
                value = {k: v for k, v in value.items() if k != "at_clock"}
            found[key] = _sourced(value, meta, origin)
        return found
    if isinstance(tree, list) and tree and all(isinstance(item, Mapping) for item in tree):
        return [_sourced(item, meta, origin) for item in tree]
    return _leaf(tree, meta, origin)


def _leaf(raw: Any, meta: Mapping, origin: str) -> dict:
    record = dict(raw) if isinstance(raw, Mapping) else {"value": raw}
    record.setdefault("source", meta.get("source", ""))
    record["origin"] = origin
    return record


def _merged(base: Any, child: Any, path: str, problems: list[str]) -> Any:
    if isinstance(base, Mapping) and isinstance(child, Mapping):
        if is_leaf(child):
            return _changed_leaf(base, child, path, problems)
        if not is_leaf(base):
            # A child that states a bandwidth or peak replaces the law the base followed.
            merged = dict(base)
            for key, value in child.items():
                inner = f"{path}.{key}" if path else key
                old = base.get(key)
                if is_leaf(value) and value["value"] == UNSET:
                    merged.pop(key, None)  # back to the law it would follow
                    continue
                merged[key] = value if old is None else _merged(old, value, inner, problems)
            return merged
    return child


def _changed_leaf(base: Any, child: Mapping, path: str, problems: list[str]) -> Any:
    change = child["value"]
    if not isinstance(change, str) or not (FACTOR.match(change) or PERCENT.match(change)):
        return child
    if not is_leaf(base):
        problems.append(f'{path}: "{change}" changes a value, but the base states none')
        return child
    scaled = scaled_leaf(base, change)
    if scaled is None:
        problems.append(f'{path}: "{change}" changes a number, but the base says {base["value"]!r}')
        return child
    kept = {key: child[key] for key in ("range", "note") if key in child}
    if child.get("source"):
        kept["source"] = child["source"]
    return scaled | kept | {"origin": child["origin"]}


# --- named technologies -------------------------------------------------------------------------


def references(tree: Any, spec, path: str = "") -> Iterator[tuple[str, dict, str, Rule]]:
    """Every place of a tree that may name a file: path, its table, key, rule."""
    if not isinstance(tree, dict) or spec is None:
        return
    for key, (_, _, rule) in schema.rules(spec).items():
        inner = f"{path}.{key}" if path else key
        node = tree.get(key)
        if rule.shape == "table":
            if rule.folder:
                yield inner, tree, key, rule
                node = tree.get(key)  # may have been written out meanwhile
            if isinstance(node, dict) and not is_leaf(node):
                yield from references(node, rule.spec, inner)
        elif rule.shape == "tables" and isinstance(node, dict):
            for name, item in node.items():
                yield from references(item, rule.spec, f"{inner}.{name}")


def _name_technologies(tree, spec, overrides, changes) -> list[tuple[str, str]]:
    """Apply the overrides that choose a technology; hand back the others."""
    places = {path: (table, key, rule) for path, table, key, rule in references(tree, spec)}
    left, problems = [], []
    for path, value in overrides:
        match = matching(path, list(places))
        if len(match) != 1:
            left.append((path, value))
            continue
        table, key, rule = places[match[0]]
        try:
            library.locate(rule.folder, value)
        except SpecError as error:
            problems += [f"{match[0]}: {problem}" for problem in error.problems]
            continue
        before = table.get(key)
        table[key] = {"value": value, "origin": "--set"}
        changes.append((match[0], str(before["value"]) if is_leaf(before) else "-", value))
    if problems:
        raise SpecError("--set", problems)
    return left


def resolved(tree: dict, spec, files: list[pathlib.Path], where: str) -> dict:
    """The tree with each named technology written out in place."""
    tree = _copied(tree)
    problems: list[str] = []
    for path, table, key, rule in references(tree, spec):
        node = table.get(key)
        named = node.get("base", node) if isinstance(node, dict) else node
        name = named.get("value") if is_leaf(named) else None
        if name is None:
            continue
        try:
            found, _, more = inherited(rule.folder, library.locate(rule.folder, str(name)))
        except SpecError as error:
            problems += [f"{path}: {problem}" for problem in error.problems]
            continue
        files.extend(more)
        written = node if isinstance(node, dict) and not is_leaf(node) else {}
        changed = {key: value for key, value in written.items() if key != "base"}
        table[key] = _merged(found, changed, path, problems)
    if problems:
        raise SpecError(where, problems)
    return tree


def _copied(tree: Any) -> Any:
    """A tree whose tables may be changed; a leaf is replaced, never changed, and so shared."""
    if isinstance(tree, dict) and not is_leaf(tree):
        return {key: _copied(node) for key, node in tree.items()}
    return [_copied(node) for node in tree] if isinstance(tree, list) else tree


def numeric_unit(loaded: Loaded, path: str) -> str | None:
    """The unit of a path of a loaded spec, as `units.parse` wants it."""
    node, unit = loaded.spec, ""
    for part in path.split("."):
        if isinstance(node, dict):
            node = node.get(part)
        elif isinstance(node, (list, tuple)):
            node = node[int(part)] if part.isdecimal() and int(part) < len(node) else None
        else:
            entry = schema.rules(type(node)).get(part) if dataclasses.is_dataclass(node) else None
            if entry is None:
                return None
            unit, node = entry[1], getattr(node, entry[0])
    return unit or None
