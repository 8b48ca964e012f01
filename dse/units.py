"""Units at the edge: ``"3.35 TB/s"`` in, ``3.35e12`` inside, ``"3.35 TB/s"`` out.

Inside the package every number is SI and the unit is the end of its name
(``bandwidth_bytes_per_s``). This file owns the two doors: reading a quantity string into the unit
a field's suffix demands, and writing a number for people. The registry is our own, because in
pint's default one a byte is dimensionless and a TFLOP is undefined.
"""

import functools
import math
import re
from typing import Any

_PREFIXES = {
    "femto": (1e-15, "f"),
    "pico": (1e-12, "p"),
    "nano": (1e-9, "n"),
    "micro": (1e-6, "u"),
    "milli": (1e-3, "m"),
    "centi": (1e-2, "c"),
    "kilo": (1e3, "k"),
    "mega": (1e6, "M"),
    "giga": (1e9, "G"),
    "tera": (1e12, "T"),
    "peta": (1e15, "P"),
    "kibi": (2.0**10, "Ki"),
    "mebi": (2.0**20, "Mi"),
    "gibi": (2.0**30, "Gi"),
    "tebi": (2.0**40, "Ti"),
}
_DEFINITIONS = (
    "meter = [length] = m",
    "second = [time] = s",
    "gram = [mass] = g",
    "ampere = [current] = A",
    "kelvin = [temperature] = K",
    "byte = [data] = B",
    "flop = [work] = FLOP = flops = FLOPs",
    "token = [token] = tokens = tok",
    "usd = [money] = USD",
    "bit = byte / 8 = b",
    "mac = 2 * flop = MAC",
    "fma = 2 * flop = FMA",
    "watt = 1000 * gram * meter ** 2 / second ** 3 = W",
    "joule = watt * second = J",
    "volt = watt / ampere = V",
    "ohm = volt / ampere = Ohm",
    "hertz = 1 / second = Hz",
    "minute = 60 * second = min",
    "hour = 3600 * second = h",
    "year = 8766 * hour = yr",
    "percent = 0.01 = %",
)
# The suffix tokens of field names and the unit each stands for.
_TOKENS = {
    "s": "second",
    "hz": "hertz",
    "bytes": "byte",
    "byte": "byte",
    "flops": "flop",
    "flop": "flop",
    "mac": "mac",
    "j": "joule",
    "w": "watt",
    "v": "volt",
    "a": "ampere",
    "k": "kelvin",
    "ohm": "ohm",
    "m": "meter",
    "mm": "mm",
    "mm2": "mm**2",
    "usd": "usd",
    "tokens": "token",
    "token": "token",
}
_EXAMPLES = {
    "byte / second": ("a rate", "3.35 TB/s"),
    "byte": ("a size", "80 GB"),
    "second": ("a time", "1.2 us"),
    "hertz": ("a frequency", "1.755 GHz"),
    "flop / second": ("an arithmetic rate", "989 TFLOP/s"),
    "joule / byte": ("an energy per bit", "3.9 pJ/bit"),
    "joule / mac": ("an energy per multiply-accumulate", "0.65 pJ/MAC"),
    "watt": ("a power", "700 W"),
    "volt": ("a voltage", "0.80 V"),
    "mm**2": ("an area", "814 mm2"),
    "usd": ("an amount of money", "16000 USD"),
    "kelvin": ("a temperature", "60 degC"),
    "token": ("a number of tokens", "8192"),
    "mm": ("a length", "12.5 mm"),
    "meter": ("a length", "2 m"),
}
_QUANTITY = re.compile(r"^\s*([+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*?)\s*$", re.S)
_TOKEN_COUNTS = {"k": 1024.0, "M": 1e6}


class UnitError(ValueError):
    """A quantity that cannot be read in the unit its field demands."""


@functools.cache
def registry():
    """The pint registry, built on first use (pint costs a quarter second to import)."""
    import pint

    empty: Any = None  # no default definitions
    ureg = pint.UnitRegistry(empty, cache_folder=None)
    for name, (factor, symbol) in _PREFIXES.items():
        ureg.define(f"{name}- = {factor!r} = {symbol}-")
    for definition in _DEFINITIONS:
        ureg.define(definition)
    return ureg


def _is_unit(tokens: list[str]) -> bool:
    """Whether tokens read ``unit* (per unit)*``, with at least one unit."""
    head = tokens[: tokens.index("per")] if "per" in tokens else tokens
    pairs = list(zip(tokens[len(head) :: 2], tokens[len(head) + 1 :: 2], strict=False))
    return (
        all(token in _TOKENS for token in head)
        and (len(tokens) - len(head)) % 2 == 0
        and all(per == "per" and unit in _TOKENS for per, unit in pairs)
    )


@functools.cache
def split_suffix(field: str) -> tuple[str, str | None]:
    """``bandwidth_bytes_per_s`` -> (``bandwidth``, ``byte / second``); no unit -> (field, None)."""
    if field.endswith("_fraction"):
        return field.removesuffix("_fraction"), None
    tokens = field.split("_")
    for start in range(1, len(tokens)):
        tail = tokens[start:]
        if _is_unit(tail):
            return "_".join(tokens[:start]), _unit_of(tail)
    return field, None


def _unit_of(tokens: list[str]) -> str:
    head = tokens[: tokens.index("per")] if "per" in tokens else tokens
    over = [_TOKENS[token] for token in tokens[len(head) :] if token != "per"]
    return " / ".join([" * ".join(_TOKENS[token] for token in head) or "1", *over])


def stem(field: str) -> str:
    """The key a field has in files and on the command line: its name without the unit."""
    return split_suffix(field)[0]


def describe(unit: str | None) -> str:
    """What a field of this unit is, with an example, for error messages."""
    if unit is None:
        return "a plain number"
    what, example = _EXAMPLES.get(unit, (f"a quantity in {unit.replace(' ', '')}", None))
    return f'{what}, e.g. "{example}"' if example else what


def _plain(text: str) -> str:
    """Spell the unit as pint reads it: ``mm2`` is ``mm**2``, ``degC`` is added by the caller."""
    text = re.sub(r"\b([mc]?m)([23])\b", r"\1**\2", text)
    text = f"1{text}" if text.startswith("/") else text
    return text.replace("·", "*").replace("µ", "u").replace("^", "**")


@functools.lru_cache(maxsize=8192)
def _factor(unit_text: str, wanted: str) -> float:
    ureg = registry()
    try:
        got = ureg.parse_expression(_plain(unit_text), case_sensitive=True)
    except Exception as error:  # pint raises a dozen kinds, all meaning "not a unit"
        raise UnitError(f'"{unit_text}" is not a unit') from error
    target = ureg.parse_units(wanted) if wanted else ureg.parse_units("")
    got = ureg.Quantity(got)
    if got.dimensionality != target.dimensionality:
        raise UnitError(f'"{unit_text}" is not a unit of this kind')
    return float(got.to(target).magnitude)


def parse(value: object, unit: str | None) -> float:
    """Read a quantity string (or a plain number, where the field has no unit) into ``unit``.

    Args:
        value: ``"3.35 TB/s"``, ``0.5`` or ``"12 %"``.
        unit: the unit wanted, as `split_suffix` gives it; None for a plain number.

    Raises:
        UnitError: not a number, not finite, no unit, or a unit of another kind.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise UnitError(f"{value!r} is not a number or a quantity; this is {describe(unit)}")
    if isinstance(value, (int, float)):
        return _finite(_bare(float(value), unit), value)
    match = _QUANTITY.match(value)
    if len(value) > 200 or not match:
        raise UnitError(f"{value[:60]!r} is not a quantity; this is {describe(unit)}")
    number, text = float(match[1].replace("_", "")), match[2]
    if unit == "token" and text in _TOKEN_COUNTS:
        return _finite(number * _TOKEN_COUNTS[text], value)
    if unit == "kelvin" and text in ("degC", "C", "°C"):
        return _finite(number + 273.15, value)
    if not text:
        return _finite(_bare(number, unit), value)
    try:
        return _finite(number * _factor(text, unit or ""), value)
    except UnitError as error:
        raise UnitError(f'"{value}": {error}; this is {describe(unit)}') from None


def _bare(number: float, unit: str | None) -> float:
    if unit not in (None, "token"):
        raise UnitError(f"{number:g} has no unit; this is {describe(unit)}")
    return number


def _finite(number: float, shown: object) -> float:
    if not math.isfinite(number):
        raise UnitError(f"{shown!r} is not a finite number")
    return number


_SCALES = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"),
           (1e-6, "u"), (1e-9, "n"), (1e-12, "p"), (1e-15, "f"))  # fmt: skip
_SHOWN = {
    "byte / second": ("B/s", 1.0),
    "byte / second / mm**2": ("B/s/mm2", 1.0),
    "byte": ("B", 1.0),
    "second": ("s", 1.0),
    "hertz": ("Hz", 1.0),
    "flop / second": ("FLOP/s", 1.0),
    "flop": ("FLOP", 1.0),
    "joule": ("J", 1.0),
    "joule / byte": ("J/bit", 1 / 8),
    "joule / byte / mm": ("J/bit/mm", 1 / 8),
    "joule / mac": ("J/MAC", 1.0),
    "joule / flop": ("J/FLOP", 1.0),
    "watt": ("W", 1.0),
    "volt": ("V", 1.0),
    "meter": ("m", 1.0),
    "meter / second": ("m/s", 1.0),
    "ampere": ("A", 1.0),
}
_UNSCALED = {
    "mm**2": "mm2",
    "mm": "mm",
    "usd": "USD",
    "token": "tokens",
    "watt / mm**2": "W/mm2",
    "joule / token": "J/token",
    "token / second": "tok/s",
    "1 / second": "/s",
    "token / joule": "tok/s/W",
    "ampere / mm**2": "A/mm2",
}


def show(value: float, unit: str | None, digits: int = 3) -> str:
    """A number for people: scaled prefix, a few digits, its unit."""
    if not math.isfinite(value):
        return "-"
    if unit == "kelvin":
        return f"{value - 273.15:.{digits}g} degC"
    if unit not in _SHOWN:
        text = _UNSCALED.get(unit or "", (unit or "").replace(" ", ""))
        return f"{_rounded(value, digits)} {text}".strip()
    text, factor = _SHOWN[unit]
    value *= factor
    smallest = (1.0, "") if value == 0 else _SCALES[-1]
    scale, prefix = next((pair for pair in _SCALES if abs(value) >= pair[0] * 0.9995), smallest)
    return f"{_rounded(value / scale, digits)} {prefix}{text}"


def _rounded(value: float, digits: int) -> str:
    """At most ``digits`` significant digits, without exponent for everyday sizes."""
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if -4 <= size < 7:
        return f"{value:,.{max(digits - 1 - size, 0)}f}"
    return f"{value:.{digits}g}"
