"""From TOML to specs: inheritance, named technologies, overrides, sources, all problems at once."""

import copy
import dataclasses
import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeGuard

from dse import units
from dse.specs import consistency, library, schema
from dse.specs.hardware import HardwareSpec
from dse.specs.network import ModelSpec
from dse.specs.schema import Rule, SpecError, Value, nearest
from dse.specs.workload import Workload

CLASSES = {"chips": HardwareSpec, "models": ModelSpec, "workloads": Workload}
# A factor or difference on a value left unset applies to what it would follow.
FOLLOWS = {
    "voltage": "nominal_voltage",
    "clock": "nominal_clock",
    "sram_voltage": "nominal_voltage",
}
UNSET = "unset"  # the value that takes one away again
_FACTOR = re.compile(r"^\s*(\d+(?:\.\d*)?|\.\d+)\s*[xX]\s*$")
_PERCENT = re.compile(r"^\s*([+-]\d+(?:\.\d*)?)\s*%\s*$")
_NUMBER = re.compile(r"^\s*([+-]?[\d._]+(?:[eE][+-]?\d+)?)(.*)$", re.S)


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
    spec = CLASSES[kind]
    tree, meta, files = inherited(kind, library.locate(kind, name))
    where = _shown(files[0])
    changes: list[tuple[str, str, str]] = []
    left = _name_technologies(tree, spec, overrides, changes)
    tree = resolved(tree, spec, files, where)
    _apply(tree, spec, left, changes)
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
    if isinstance(tree, Mapping) and not _is_leaf(tree):
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


def _is_leaf(node: Any) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(node, Mapping) and "value" in node and "kind" not in node


def _merged(base: Any, child: Any, path: str, problems: list[str]) -> Any:
    if isinstance(base, Mapping) and isinstance(child, Mapping):
        if _is_leaf(child):
            return _changed_leaf(base, child, path, problems)
        if not _is_leaf(base):
            # A child that states a bandwidth or peak replaces the law the base followed.
            merged = dict(base)
            for key, value in child.items():
                inner = f"{path}.{key}" if path else key
                old = base.get(key)
                if _is_leaf(value) and value["value"] == UNSET:
                    merged.pop(key, None)  # back to the law it would follow
                    continue
                merged[key] = value if old is None else _merged(old, value, inner, problems)
            return merged
    return child


def _changed_leaf(base: Any, child: Mapping, path: str, problems: list[str]) -> Any:
    change = child["value"]
    if not isinstance(change, str) or not (_FACTOR.match(change) or _PERCENT.match(change)):
        return child
    if not _is_leaf(base):
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


def scaled_leaf(leaf: Mapping, change: str) -> dict | None:
    """A leaf with ``2x`` or ``+20%`` applied to its value and range; None if it is no number."""
    factor = _FACTOR.match(change)
    percent = _PERCENT.match(change)
    by = float(factor[1]) if factor else 1 + float(percent[1]) / 100 if percent else None
    value = _times(leaf["value"], by) if by is not None else None
    if value is None:
        return None
    scaled = dict(leaf) | {"value": value}
    if isinstance(leaf.get("range"), list):
        scaled["range"] = [_times(end, by) for end in leaf["range"]]
    return scaled


def _times(value: Any, factor: float | None) -> Any:
    if factor is None or isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return value * factor
    match = _NUMBER.match(value) if isinstance(value, str) else None
    if not match:
        return None
    try:
        return f"{float(match[1].replace('_', '')) * factor!r}{match[2]}"
    except ValueError:
        return None


# --- named technologies -------------------------------------------------------------------------


def _references(tree: Any, spec, path: str = "") -> Iterator[tuple[str, dict, str, Rule]]:
    """Every place of a tree that may name a file: path, its table, key, rule."""
    if not isinstance(tree, dict) or spec is None:
        return
    for key, (_, _, rule) in schema.rules(spec).items():
        inner = f"{path}.{key}" if path else key
        node = tree.get(key)
        if rule.shape == "table":
            if rule.folder:
                yield inner, tree, key, rule
            if isinstance(node, dict) and not _is_leaf(node):
                yield from _references(node, rule.spec, inner)
        elif rule.shape == "tables" and isinstance(node, dict):
            for name, item in node.items():
                yield from _references(item, rule.spec, f"{inner}.{name}")


def _name_technologies(tree, spec, overrides, changes) -> list[tuple[str, str]]:
    """Apply the overrides that choose a technology; hand back the others."""
    places = {path: (table, key, rule) for path, table, key, rule in _references(tree, spec)}
    left, problems = [], []
    for path, value in overrides:
        match = _match(path, list(places))
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
        changes.append((match[0], str(before["value"]) if _is_leaf(before) else "-", value))
    if problems:
        raise SpecError("--set", problems)
    return left


def resolved(tree: dict, spec, files: list[pathlib.Path], where: str) -> dict:
    """The tree with each named technology written out in place."""
    tree = copy.deepcopy(tree)
    problems: list[str] = []
    for path, table, key, rule in list(_references(tree, spec)):
        node = table.get(key)
        named = node.get("base", node) if isinstance(node, dict) else node
        name = named.get("value") if _is_leaf(named) else None
        if name is None:
            continue
        try:
            found, _, more = inherited(rule.folder, library.locate(rule.folder, str(name)))
        except SpecError as error:
            problems += [f"{path}: {problem}" for problem in error.problems]
            continue
        files.extend(more)
        written = node if isinstance(node, dict) and not _is_leaf(node) else {}
        changed = {key: value for key, value in written.items() if key != "base"}
        table[key] = _merged(found, changed, path, problems)
    if problems:
        raise SpecError(where, problems)
    return tree


# --- overrides ----------------------------------------------------------------------------------


def paths(tree: Any, spec, path: str = "") -> Iterator[tuple[str, dict, str]]:
    """Every settable value: its path, the table that holds it, its key; unset ones included."""
    if not isinstance(tree, dict) or spec is None:
        return
    for key, (_, _, rule) in schema.rules(spec).items():
        inner = f"{path}.{key}" if path else key
        node = tree.get(key)
        if rule.shape in ("number", "text", "numbers"):
            yield inner, tree, key
        elif rule.shape == "table" and node is not None:
            yield from paths(node, rule.spec, inner)
        elif rule.shape == "tables" and isinstance(node, dict):
            for name, item in node.items():
                yield from paths(item, rule.spec, f"{inner}.{name}")
        elif rule.shape == "sequence" and isinstance(node, list):
            for index, item in enumerate(node):
                yield from paths(item, rule.spec, f"{inner}.{index}")
        elif rule.shape == "variant" and isinstance(node, dict):
            yield from paths(node, rule.spec.get(schema.kind_of(node)), inner)


def _match(wanted: str, known: Sequence[str]) -> list[str]:
    """Paths a user's path may mean: itself, else its tails, else its words in order."""
    if wanted in known:
        return [wanted]
    tails = [path for path in known if path.endswith(f".{wanted}")]
    if tails:
        return tails
    words = wanted.split(".")
    return [p for p in known if p.split(".")[-1] == words[-1] and _in_order(words, p.split("."))]


def _in_order(words: list[str], path: list[str]) -> bool:
    rest = iter(path)
    return all(word in rest for word in words)


def _apply(tree: dict, spec, overrides, changes: list[tuple[str, str, str]]) -> None:
    problems: list[str] = []
    for wanted, change in overrides:
        places = {path: (table, key) for path, table, key in paths(tree, spec)}
        match = find_path(wanted, places, problems)
        if match is None:
            continue
        table, key = places[match]
        old = table.get(key)
        if change == UNSET:
            _unset(table, key, match, changes, problems)
            continue
        new = _new_leaf(table, key, old, change)
        if new is None:
            problems.append(
                f'{match}="{change}": it is unset and follows a law, so there is nothing to '
                "multiply; give it a value"
            )
            continue
        table[key] = new
        changes.append((match, str(old["value"]) if _is_leaf(old) else "unset", str(new["value"])))
    if problems:
        raise SpecError("--set", problems)


def _unset(table: dict, key: str, path: str, changes: list, problems: list[str]) -> None:
    """Take a value away, so that it follows its law; validation refuses one that has none."""
    old = table.pop(key, None)
    if old is None:
        problems.append(f"{path}: is unset already")
        return
    changes.append((path, str(old["value"]) if _is_leaf(old) else "-", UNSET))


def find_path(wanted: str, places: Mapping, problems: list[str]) -> str | None:
    """The one path a user means, preferring values the spec states; else a problem is noted."""
    match = _match(wanted, list(places))
    if len(match) > 1:
        stated = [path for path in match if places[path][0].get(places[path][1]) is not None]
        match = stated if stated else match
    if len(match) == 1:
        return match[0]
    if match:
        problems.append(f"{wanted}: means more than one: {', '.join(sorted(match)[:12])}")
        return None
    tails = {path.split(".")[-1]: path for path in places} | {path: path for path in places}
    problems.append(f"{wanted}: unknown path{nearest(wanted, list(tails))}")
    return None


def _new_leaf(table: dict, key: str, old: Any, change: str) -> dict | None:
    if _FACTOR.match(change) or _PERCENT.match(change):
        base = old if _is_leaf(old) else table.get(FOLLOWS.get(key, ""))
        scaled = scaled_leaf(base, change) if _is_leaf(base) else None
        if scaled is None:
            return None
        scaled.pop("range", None)
        return scaled | {"origin": "--set"}
    return {"value": change, "source": "user", "origin": "--set"}


def parse_setting(text: str) -> tuple[str, str]:
    """``"hbm.bandwidth=2x"`` -> (``"hbm.bandwidth"``, ``"2x"``)."""
    path, equals, value = text.partition("=")
    if not equals or not path.strip() or not value.strip():
        raise SpecError("--set", [f'"{text}": wanted PATH=VALUE, e.g. hbm.bandwidth=2x'])
    return path.strip(), value.strip()


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


__all__ = ["Loaded", "SpecError", "from_tree", "load", "parse_setting", "paths", "units"]
