"""How far an answer moves: over the ranges of the chip's constants, and by what a fit leaves open.

A constant with a stated range is drawn from a triangle over it with its peak at the stated value
(of the logarithm, where the range spans more than a factor of two), independent of the others, by
Latin hypercube. Constants of a fitted execution style are drawn from the fit: lognormal, their 90 %
intervals and correlations as the style's ``[facts.fit]`` states them. The same constant takes the
same quantile in every case, so differences between cases are those of paired draws.

A fit also states what its constants leave unexplained of measured rows (``left_over``): one more
factor on each goal, in `Spread.bands` and not in `Spread.goals`. It is common to alike cases, so
changes and rankings are made of the goals.
"""

import dataclasses
import zlib
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from dse.estimate.step import Design, Estimate
from dse.questions.case import GOALS, Case, column, feasible
from dse.questions.knobs import Knob, decided, knobs_of
from dse.specs import library, load
from dse.specs.hardware import HardwareSpec

DRAWS = 512
QUANTILES = (0.1, 0.9)  # the ends of an 80 % band
SEED = 1
TELLING = 3  # constants named as those that matter most
Z_90 = 1.645  # standard deviations that hold 90 % of a normal: what ranges of a fit hold
# What a metric inherits of the errors of a fit: as measured rows call it, and its direction.
LEFT_OVER = {
    "user_tokens_per_s": ("tpot_s", -1), "tpot_s": ("tpot_s", 1),
    "system_tokens_per_s": ("tpot_s", -1), "j_per_token": ("j_per_token", 1),
    "system_tokens_per_s_per_w": ("j_per_token", -1), "power_w": ("power_w", 1),
    "chip_power_w": ("power_w", 1),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class StyleFit:
    """What the fit behind a chip's execution style says; empty where the style is no fit."""

    constants: frozenset[str] = frozenset()  # paths
    correlations: tuple[tuple[str, str, float], ...] = ()  # of the logarithms
    left_over: tuple[tuple[str, float], ...] = ()  # metric -> standard deviation of its logarithm


@dataclasses.dataclass(frozen=True)
class Spread:
    """Both goals over the draws, [draw], which draws are feasible, and what was drawn."""

    goals: dict[str, np.ndarray]
    feasible: np.ndarray
    quantiles: dict[str, np.ndarray]  # path -> [draw]
    bands: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)  # goals, with left over


def uncertain(chip: load.Loaded, fixed: Sequence[str] = ()) -> list[Knob]:
    """Constants with a range: not what a designer decides, not what a user has set."""
    apart = decided(chip) | set(fixed)
    return [
        knob for knob in knobs_of(chip)
        if knob.low is not None and knob.high is not None and knob.low < knob.high
        and knob.path not in apart and not knob.is_whole
    ]  # fmt: skip


def spread(case: Case, fixed: Sequence[str] = (), draws: int = DRAWS) -> Spread:
    """Both goals of a case over draws of its constants; the paths in ``fixed`` keep their value."""
    estimate, quantiles = estimates(case, fixed, draws)
    goals = {name: column(getattr(estimate, name), draws) for name in GOALS}
    bands = {name: goals[name] * left_over(case, name, draws) for name in GOALS}
    return Spread(goals, feasible(estimate, draws), quantiles, bands)


def estimates(
    case: Case, fixed: Sequence[str] = (), draws: int = DRAWS
) -> tuple[Estimate, dict[str, np.ndarray]]:
    """The estimate over draws, leaves of shape [] or [draw], and the quantile of each constant."""
    design, scenario = case.prepared
    hardware, quantiles = hardware_drawn(case.chip, design.hardware, fixed, draws)
    return case.run(Design(hardware, design.deployment), scenario), quantiles


def hardware_drawn(
    chip: load.Loaded, hardware: HardwareSpec, fixed: Sequence[str], draws: int
) -> tuple[HardwareSpec, dict[str, np.ndarray]]:
    """A chip with its uncertain constants as columns, [draw], and the quantile of each."""
    leaves, tree = jax.tree.flatten(hardware)
    fit = fit_of(chip)
    knobs = uncertain(chip, fixed)
    quantiles = drawn_together([knob.path for knob in knobs], fit, draws)
    for knob in knobs:
        fitted = knob.path in fit.constants
        leaves[knob.index] = (normal if fitted else drawn)(knob, quantiles[knob.path])
    return jax.tree.unflatten(tree, leaves), quantiles


def left_over(case: Case, metric: str, draws: int = DRAWS) -> Any:
    """The factor on a metric of what a fit leaves unexplained, [draw]; 1 where there is none."""
    if case.fidelity != "calibrated" or metric not in LEFT_OVER:
        return 1.0
    cause, sign = LEFT_OVER[metric]
    return left_over_of(case.chip, cause, draws) ** sign


def left_over_of(chip: load.Loaded, cause: str, draws: int) -> np.ndarray:
    """The factor on ``tpot_s``, ``power_w`` or ``j_per_token`` that a chip's fit leaves open."""
    spread_of = dict(fit_of(chip).left_over).get(cause, 0.0)
    return np.exp(spread_of * _deviates(_stratified(f"left over {cause}", draws)))


# --- what a fit says ------------------------------------------------------------------------------


def fit_of(chip: load.Loaded) -> StyleFit:
    """The fit behind a chip's style: ``[facts.fit]`` of the first of its files that has one.

    Constants of frameworks are stated as ``framework.NAME.step``: those of the one that runs count.
    """
    host = next((f.stem for f in chip.files if f.parent.name == "frameworks"), "")
    for file in chip.files:
        facts = library.read_file(file).meta.get("facts", {})
        found = facts.get("fit") if isinstance(facts, dict) else None
        if not found:
            continue
        places = {name: _path(name, host) for name in found["constants"]}
        paths = {name: path for name, path in places.items() if path}
        pairs = [(paths[a], paths[b], float(r)) for a, b, r in found.get("correlations", ())
                 if a in paths and b in paths]  # fmt: skip
        which = "left_over" if _is_seen(chip, facts) else "left_over_elsewhere"
        return StyleFit(frozenset(paths.values()), tuple(pairs),
                        tuple(found.get(which, found.get("left_over", {})).items()))  # fmt: skip
    return StyleFit()


def _path(name: str, host: str) -> str | None:
    """Where a constant of a fit is in a chip; None for those of a framework that does not run."""
    parts = name.split(".")
    if len(parts) < 3:
        return f"style.{name}"
    return f"style.framework.{parts[2]}" if parts[1] == host else None


def _is_seen(chip: load.Loaded, facts: dict[str, Any]) -> bool:
    """Whether rows of this chip took part in the fit."""
    pairs = facts.get("calibrated", {}).get("tpot_s", [])
    own = {file.stem for file in chip.files} | {chip.name}
    return any(pair.split(" ")[0] in own for pair in pairs)


# --- draws ----------------------------------------------------------------------------------------


def drawn_together(paths: Sequence[str], fit: StyleFit, draws: int) -> dict[str, np.ndarray]:
    """Quantiles of constants, path -> [draw]; those of a fit go together as it says."""
    found = {path: _stratified(path, draws) for path in paths}
    joint = [path for path in paths if path in fit.constants]
    if not fit.correlations or len(joint) < 2:
        return found
    place = {path: index for index, path in enumerate(joint)}
    correlation = np.eye(len(joint))
    for a, b, r in fit.correlations:
        if a in place and b in place:
            correlation[place[a], place[b]] = correlation[place[b], place[a]] = r
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.maximum(values, 0.0)) @ vectors.T  # symmetric: no order of names
    root = root / np.linalg.norm(root, axis=1, keepdims=True)
    together = root @ np.stack([_deviates(found[path]) for path in joint])
    from scipy.special import ndtr

    return found | {path: ndtr(row) for path, row in zip(joint, together, strict=True)}


def _deviates(share: np.ndarray) -> np.ndarray:
    """Standard normal deviates at quantiles."""
    from scipy.special import ndtri

    return ndtri(share)


def normal(knob: Knob, share: np.ndarray) -> np.ndarray:
    """Values of a fitted constant at quantiles, [draw]: its range is a 90 % interval.

    Of the logarithm, each side as wide as its end of the range says; no share exceeds one.
    """
    low, high = float(knob.low or 0.0), float(knob.high or 0.0)
    z = _deviates(share) / Z_90
    if low > 0:
        ends = np.log(knob.value / low), np.log(high / knob.value)
        values = knob.value * np.exp(np.where(z < 0, z * ends[0], z * ends[1]))
    else:
        ends = knob.value - low, high - knob.value
        values = np.maximum(knob.value + np.where(z < 0, z * ends[0], z * ends[1]), 0.0)
    return np.minimum(values, 1.0) if high == 1.0 and not knob.unit else values


def drawn(knob: Knob, share: np.ndarray) -> np.ndarray:
    """Values of a constant at quantiles, [draw]: a triangle whose peak is the stated value."""
    low, high = float(knob.low or 0.0), float(knob.high or 0.0)
    if low > 0 and high / low > 2:
        return np.exp(_triangle(np.log(low), np.log(knob.value), np.log(high), share))
    return _triangle(low, knob.value, high, share)


def _triangle(low, peak, high, share):
    """Inverse of the distribution function of a triangle."""
    rising = (peak - low) / (high - low)
    up = low + np.sqrt(np.maximum(share * (high - low) * (peak - low), 0.0))
    down = high - np.sqrt(np.maximum((1 - share) * (high - low) * (high - peak), 0.0))
    return np.where(share < rising, up, down)


def _stratified(path: str, draws: int) -> np.ndarray:
    """One quantile per stratum in an order that depends on the path alone, [draw]."""
    random = np.random.default_rng([SEED, zlib.crc32(path.encode())])
    return (random.permutation(draws) + random.random(draws)) / draws


def ends(values: np.ndarray) -> list[float] | None:
    """The ends of an 80 % band; None where none can be computed."""
    good = values[np.isfinite(values)]
    return [float(end) for end in np.quantile(good, QUANTILES)] if len(good) else None


def telling(spread: Spread, values: np.ndarray) -> list[dict[str, Any]]:
    """The constants whose quantile goes most with a result, by rank correlation."""
    if not np.isfinite(values).all() or np.ptp(values) == 0:
        return []
    rank = np.argsort(np.argsort(values))
    found = [(float(np.corrcoef(share, rank)[0, 1]), path)
             for path, share in spread.quantiles.items()]  # fmt: skip
    found.sort(key=lambda item: -abs(item[0]))
    return [{"path": path, "correlation": value} for value, path in found[:TELLING]]


def band(case: Case, draws: int = DRAWS) -> dict[str, Any]:
    """The object ``bands`` of ``dse eval --json``: 80 % bands of metrics, and what makes them."""
    estimate, quantiles = estimates(case, (), draws)
    found = {}
    for name in LEFT_OVER:
        values = column(getattr(estimate, name), draws)
        found[name] = ends(values * left_over(case, name, draws))
    fit = fit_of(case.chip) if case.fidelity == "calibrated" else StyleFit()
    drawn_of = Spread({}, np.ones(0), quantiles)
    return {
        "level": QUANTILES[1] - QUANTILES[0],
        "draws": draws,
        "constants": len(quantiles),
        "left_over": dict(fit.left_over),
        "feasible_fraction": float(feasible(estimate, draws).mean()),
        **found,
        "telling": {name: telling(drawn_of, column(getattr(estimate, name), draws))
                    for name in GOALS},
    }  # fmt: skip
