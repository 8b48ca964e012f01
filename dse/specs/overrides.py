"""Changes to a spec by path: ``2x``, ``+20%``, ``0.7 V``, ``unset``; which path a user means.

A path is the full one or its unique tail. Factors apply to the value as the file resolves it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeGuard

from dse.specs import schema
from dse.specs.errors import SpecError, nearest

# A factor or difference on a value left unset applies to what it would follow.
FOLLOWS = {
    "voltage": "nominal_voltage",
    "clock": "nominal_clock",
    "sram_voltage": "nominal_voltage",
}
UNSET = "unset"  # the value that takes one away again
FACTOR = re.compile(r"^\s*(\d+(?:\.\d*)?|\.\d+)\s*[xX]\s*$")
PERCENT = re.compile(r"^\s*([+-]\d+(?:\.\d*)?)\s*%\s*$")
_NUMBER = re.compile(r"^\s*([+-]?[\d._]+(?:[eE][+-]?\d+)?)(.*)$", re.S)


def is_leaf(node: Any) -> TypeGuard[Mapping[str, Any]]:
    """Whether a node of a tree is one value with its source, not a table."""
    return isinstance(node, Mapping) and "value" in node and "kind" not in node


def scaled_leaf(leaf: Mapping, change: str) -> dict | None:
    """A leaf with ``2x`` or ``+20%`` applied to its value and range; None if it is no number."""
    factor = FACTOR.match(change)
    percent = PERCENT.match(change)
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


def matching(wanted: str, known: Sequence[str]) -> list[str]:
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


def apply(tree: dict, spec, overrides, changes: list[tuple[str, str, str]]) -> None:
    """Apply ``--set`` pairs to a resolved tree, noting each change.

    Raises:
        SpecError: every override that names no place, or cannot change it.
    """
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
        changes.append((match, str(old["value"]) if is_leaf(old) else "unset", str(new["value"])))
    if problems:
        raise SpecError("--set", problems)


def _unset(table: dict, key: str, path: str, changes: list, problems: list[str]) -> None:
    """Take a value away, so that it follows its law; validation refuses one that has none."""
    old = table.pop(key, None)
    if old is None:
        problems.append(f"{path}: is unset already")
        return
    changes.append((path, str(old["value"]) if is_leaf(old) else "-", UNSET))


def find_path(wanted: str, places: Mapping, problems: list[str]) -> str | None:
    """The one path a user means, preferring values the spec states; else a problem is noted."""
    match = matching(wanted, list(places))
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
    if FACTOR.match(change) or PERCENT.match(change):
        base = old if is_leaf(old) else table.get(FOLLOWS.get(key, ""))
        scaled = scaled_leaf(base, change) if is_leaf(base) else None
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
