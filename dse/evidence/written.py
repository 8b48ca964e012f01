"""Fitted constants as lines of a style file: value, 90 % interval, note."""

from collections.abc import Mapping, Sequence

import numpy as np

Z_90 = 1.645  # standard deviations that hold 90 % of a normal
SCALES = {"us": 1e6, "flop": 1.0, "": 1.0}
WEAKEST = 0.1  # correlations below it are noise of the fit
ROUNDING = 0.006  # of a value shown with three digits


def interval(value: float, spread: float, most: float | None = None) -> tuple[float, float]:
    """The 90 % interval of a lognormal constant, widened by what rounding may take."""
    low = value * np.exp(-Z_90 * spread) * (1 - ROUNDING)
    high = value * np.exp(Z_90 * spread) * (1 + ROUNDING)
    return float(low), float(high if most is None else min(high, most))


def line(key: str, value: float, ends: tuple[float, float], unit: str = "", note: str = "") -> str:
    """``key = { value, range, note }``; times are given in seconds and written in us."""
    scale = SCALES[unit]

    def shown(x: float) -> str:
        text = f"{x * scale:.3g}"
        return f'"{text} {unit}"' if unit else text

    extra = f', note = "{note}"' if note else ""
    low, high = ends
    return f"{key} = {{ value = {shown(value)}, range = [{shown(low)}, {shown(high)}]{extra} }}"


def fit_lines(
    names: Sequence[str], correlation: np.ndarray, left_over: Mapping[str, Mapping[str, float]]
) -> list[str]:
    """``[facts.fit]``: which constants were fitted, how they go together, what they leave open.

    Args:
        names: paths of the constants below the style.
        correlation: of their logarithms, ``[constant, constant]``; weak ones are left out.
        left_over: table name -> metric -> standard deviation of the logarithm.
    """
    pairs = [
        f'  ["{a}", "{names[j]}", {correlation[i, j]:.2f}],'
        for i, a in enumerate(names) for j in range(i + 1, len(names))
        if abs(correlation[i, j]) >= WEAKEST and _together(a, names[j])
    ]  # fmt: skip
    quoted = ", ".join(f'"{name}"' for name in names)
    rows = ["", "[facts.fit]", f"constants = [{quoted}]", "correlations = [", *pairs, "]"]
    return [*rows, *left_over_lines(left_over)]


def _together(a: str, b: str) -> bool:
    """Whether two constants can act at once: one framework runs at a time."""
    hosts = {name.split(".")[1] for name in (a, b) if name.startswith("framework.")}
    return len(hosts) < 2


def left_over_lines(left_over: Mapping[str, Mapping[str, float]]) -> list[str]:
    """What a fit leaves open, one table a line."""
    return [
        f"{table} = {{ {', '.join(f'{metric} = {v:.3f}' for metric, v in values.items())} }}"
        for table, values in left_over.items()
    ]


def power_line(key: str, value: float, spread: float, note: str = "") -> str:
    """A power per area, W/mm2, never below zero."""
    low, high = max(value - Z_90 * spread, 0.0), value + Z_90 * spread
    extra = f', note = "{note}"' if note else ""
    return (f'{key} = {{ value = "{value:.3f} W/mm2", range = ["{max(low - 6e-4, 0):.3f} W/mm2", '
            f'"{high + 6e-4:.3f} W/mm2"]{extra} }}')  # fmt: skip
