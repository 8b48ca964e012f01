"""What a spec class may hold, and the one reader that fills it from a TOML tree.

A spec is a frozen Equinox module. Its fields are declared with the helpers below, once: the name
gives the unit (``bandwidth_bytes_per_s``), the helper gives the rules and the sentence that help
prints. `model_of` turns a class into a pydantic model, so that all problems of a tree are found
at once; `build` turns the validated tree into the module and a record of where each value is from.
"""

import dataclasses
import functools
import typing
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx

from dse import units
from dse.specs.errors import SpecError as SpecError  # callers know it by this name
from dse.specs.errors import nearest


@dataclasses.dataclass(frozen=True)
class Rule:
    """How one field is read: its shape in the file and the limits of its value."""

    shape: str  # number, numbers, text, table, tables, variant, variants
    about: str = ""
    positive: bool = False
    optional: bool = False
    choices: tuple[str, ...] = ()
    spec: Any = None  # the class of a table, or the registry of a variant
    folder: str = ""  # where a table may be named instead of written


@dataclasses.dataclass(frozen=True)
class Value:
    """One number of a spec file: SI value, and where it is from."""

    number: float
    text: str
    source: str = ""
    low: float | None = None
    high: float | None = None
    note: str = ""
    origin: str = ""  # the file, or the override, that stated it


def _field(rule: Rule, static: bool = False, **kw):
    if rule.optional:
        kw["default"] = None
    return eqx.field(static=static, kw_only=True, metadata={"rule": rule}, **kw)


def number(about: str, *, positive: bool = False, optional: bool = False):
    """A traced leaf: a quantity in the unit of the field's suffix, never negative."""
    return _field(Rule("number", about, positive=positive, optional=optional))


def numbers(about: str, *, optional: bool = False):
    """A traced vector of numbers."""
    return _field(Rule("numbers", about, optional=optional))


def text(about: str, *, choices: tuple[str, ...] = (), optional: bool = False):
    """A static word: changing it changes which operations exist."""
    return _field(Rule("text", about, choices=choices, optional=optional), static=True)


def table(spec, about: str = "", *, folder: str = "", optional: bool = False):
    """A nested spec; with ``folder`` it may be given as the name of a file there."""
    return _field(Rule("table", about, spec=spec, folder=folder, optional=optional))


def tables(spec, about: str = ""):
    """Named nested specs of one class, in file order."""
    return _field(Rule("tables", about, spec=spec))


def variant(registry: Mapping[str, Any], about: str = ""):
    """A nested spec whose class is chosen by its ``kind``."""
    return _field(Rule("variant", about, spec=registry))


def sequence(spec, about: str = ""):
    """A list of nested specs (``[[groups]]``)."""
    return _field(Rule("sequence", about, spec=spec))


@functools.cache
def rules(spec) -> dict[str, tuple[str, str, Rule]]:
    """File key -> (field name, unit, rule), in the order of the class."""
    found = {}
    taken = {field.name for field in dataclasses.fields(spec)}
    for field in dataclasses.fields(spec):
        if "rule" in field.metadata:
            key, unit = units.split_suffix(field.name)
            if key in taken - {field.name}:  # experts_per_token beside experts
                key, unit = field.name, None
            found[key] = (field.name, unit or "", field.metadata["rule"])
    return found


# --- reading ------------------------------------------------------------------------------------


def read_value(raw: Any, unit: str, rule: Rule, is_fraction: bool) -> Value:
    """A value as a file gives it: a quantity, or ``{ value, source, range, note }``."""
    record = raw if isinstance(raw, Mapping) else {"value": raw}
    unknown = set(record) - {"value", "source", "range", "note", "origin"}
    if unknown or "value" not in record:
        extra = f"unknown {', '.join(sorted(unknown))}" if unknown else "no value"
        raise units.UnitError(f"{extra}; wanted {{ value, source, range, note }}")
    value = _checked(units.parse(record["value"], unit or None), record["value"], rule, is_fraction)
    low, high = _range(record.get("range"), unit, value)
    return Value(value, str(record["value"]), str(record.get("source", "")), low, high,
                 str(record.get("note", "")), str(record.get("origin", "")))  # fmt: skip


def _checked(value: float, shown: Any, rule: Rule, is_fraction: bool) -> float:
    if value < 0 or (rule.positive and value == 0):
        wanted = "above zero" if rule.positive else "zero or more"
        raise units.UnitError(f"{shown!r}: this must be {wanted}")
    if is_fraction and value > 1:
        raise units.UnitError(f"{shown!r} is a share and must lie between 0 and 1")
    return value


def _range(raw: Any, unit: str, value: float) -> tuple[float | None, float | None]:
    if raw is None:
        return None, None
    if not isinstance(raw, (list, tuple)) or len(raw) != 2:
        raise units.UnitError(f"range {raw!r}: wanted [low, high]")
    low, high = (units.parse(end, unit or None) for end in raw)
    if not low <= value * (1 + 1e-9) or not value <= high * (1 + 1e-9):
        raise units.UnitError(f"range {raw!r} does not hold the value")
    return low, high


def _reader(name: str, unit: str, rule: Rule) -> Any:
    from pydantic import BeforeValidator

    def wrap(read: Callable[[Any], Any]) -> Any:
        return typing.Annotated[Any, BeforeValidator(read)]

    fraction = name.endswith("_fraction")
    match rule.shape:
        case "number":
            return wrap(lambda raw: read_value(raw, unit, rule, fraction))
        case "numbers":
            return wrap(lambda raw: _read_list(raw, unit, rule, fraction))
        case "text":
            return wrap(lambda raw: _read_text(raw, rule))
        case "table":
            return typing.Annotated[model_of(rule.spec), BeforeValidator(_no_leaf)]
        case "tables":
            return typing.Annotated[dict[str, model_of(rule.spec)], BeforeValidator(_no_leaf)]
        case "sequence":
            return typing.Annotated[list[model_of(rule.spec)], BeforeValidator(_no_leaf)]
        case _:
            return wrap(lambda raw: _read_variant(raw, rule))


def _no_leaf(raw: Any) -> Any:
    if isinstance(raw, Mapping) and {"value", "origin"} <= set(raw):
        raise units.UnitError(f"wanted a table, found {raw['value']!r}")
    return raw


def _read_list(raw: Any, unit: str, rule: Rule, fraction: bool) -> list[Value]:
    shared = {}
    if isinstance(raw, Mapping):
        shared = {k: v for k, v in raw.items() if k in ("source", "origin", "note")}
        raw = raw.get("value")
    if not isinstance(raw, (list, tuple)):
        raise units.UnitError(f"{raw!r}: wanted a list of numbers")
    raw = [item if isinstance(item, Mapping) else {"value": item} | shared for item in raw]
    return [read_value(item, unit, rule, fraction) for item in raw]


def _read_text(raw: Any, rule: Rule) -> str:
    if isinstance(raw, Mapping) and "value" in raw:
        raw = raw["value"]
    if not isinstance(raw, str):
        raise units.UnitError(f"{raw!r}: wanted a word")
    if rule.choices and raw not in rule.choices:
        raise units.UnitError(f"{raw!r} is unknown{nearest(raw, rule.choices)}")
    return raw


def _read_variant(raw: Any, rule: Rule):
    kind = kind_of(raw)
    if not isinstance(kind, str):
        raise units.UnitError(f"wanted a table with a kind: {', '.join(rule.spec)}")
    if kind not in rule.spec:
        raise units.UnitError(f"kind {kind!r} is unknown{nearest(kind, rule.spec)}")
    from pydantic import ValidationError

    spec = rule.spec[kind]
    try:
        return model_of(spec).model_validate({k: v for k, v in raw.items() if k != "kind"})
    except ValidationError as error:
        raise units.UnitError("; ".join(problems_of(error, spec))) from None


def kind_of(raw: Any) -> str | None:
    """The ``kind`` a variant table names, plain or as a sourced leaf."""
    kind = raw.get("kind") if isinstance(raw, Mapping) else None
    kind = kind.get("value") if isinstance(kind, Mapping) else kind
    return kind if isinstance(kind, str) else None


@functools.cache
def model_of(spec) -> Any:
    """The pydantic model that validates a tree for this spec class."""
    from pydantic import ConfigDict, create_model

    fields: dict[str, Any] = {}
    for key, (name, unit, rule) in rules(spec).items():
        kind = _reader(name, unit, rule)
        fields[key] = (kind | None, None) if rule.optional else (kind, ...)
    config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)
    model: Any = create_model(spec.__name__, __config__=config, **fields)
    model.__spec__ = spec
    return model


def build(model: Any, path: str, record: dict[str, Value]):
    """The module of a validated tree; each number is noted in ``record`` under its path."""
    kwargs = {}
    for key, (name, _, rule) in rules(model.__spec__).items():
        value = getattr(model, key)
        kwargs[name] = None if value is None else _built(value, rule, _join(path, key), record)
    return model.__spec__(**kwargs)


def _built(value: Any, rule: Rule, path: str, record: dict[str, Value]):
    match rule.shape:
        case "number":
            record[path] = value
            return value.number
        case "numbers":
            record.update({f"{path}.{i}": item for i, item in enumerate(value)})
            return tuple(item.number for item in value)
        case "text":
            return value
        case "tables":
            return {name: build(item, _join(path, name), record) for name, item in value.items()}
        case "sequence":
            return [build(item, _join(path, str(i)), record) for i, item in enumerate(value)]
        case _:
            return build(value, path, record)


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def problems_of(error: Any, spec) -> list[str]:
    """A pydantic error as sentences: key, what was found, what was wanted, the nearest name."""
    return [
        _sentence(item, spec) for item in error.errors(include_url=False, include_context=False)
    ]


def _sentence(item: dict, spec) -> str:
    place = [str(part) for part in item["loc"]]
    key = ".".join(place)
    known = _known_keys(spec, place[:-1])
    if item["type"] == "extra_forbidden":
        return f"{key}: unknown field{nearest(place[-1], known)}"
    if item["type"] == "missing":
        about = _about(spec, place)
        return f"{key}: missing" + (f" ({about})" if about else "")
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] in ("model_type", "model_attributes_type", "dict_type", "list_type"):
        wanted = "a list of tables" if item["type"] == "list_type" else "a table"
        message = f"wanted {wanted}, found {type(item.get('input')).__name__}"
    return f"{key}: {message}"


def _spec_at(spec, place: list[str]):
    """The spec class that a path of keys leads to, or None."""
    for part in place:
        if spec is None or not dataclasses.is_dataclass(spec):
            return None
        rule = rules(spec).get(part, (None, None, None))[2]
        if rule is None:  # the name of an entry of tables, or an index
            continue
        spec = rule.spec if rule.shape in ("table", "tables", "sequence") else None
    return spec


def _known_keys(spec, place: list[str]) -> list[str]:
    found = _spec_at(spec, place)
    return list(rules(found)) if found is not None else []


def _about(spec, place: list[str]) -> str:
    found = _spec_at(spec, place[:-1])
    entry = rules(found).get(place[-1]) if found is not None else None
    if entry is None:
        return ""
    _, unit, rule = entry
    return f"{rule.about}; {units.describe(unit)}" if unit else rule.about
