"""Fit one execution style to a table of measured decode, and write it with what is unsure.

One style holds for all rows of the table: rows of one chip, or of one generation. What several
frameworks do is not told apart within a fit; filter the table for that.
"""

import collections
import dataclasses
import datetime
from collections.abc import Mapping
from typing import Any

import numpy as np

from dse.evidence import electric, fit, scores, tables, validate, written
from dse.evidence.columns import Case, case_of
from dse.evidence.features import Features, features_of
from dse.evidence.fit import PRIORS, Fit, Prior
from dse.evidence.points import LeftOutError, Point
from dse.specs import library, load, schema
from dse.specs.errors import SpecError
from dse.specs.technology import ExecutionStyle

FEWEST = 8
FEWEST_POWERED = 12
HELD_OUT_SHARE = 0.2
CORRELATED = 0.9
SIGMAS = 1.25  # standard deviations of a normal in its mean absolute deviation, inverse
UNITS = {"memory": "", "cache": "", "tensor": "", "prefill": "", "link": "", "stage_factor": "",
         "routing_exponent": "", "convert": "flop", **dict.fromkeys(fit.FACTORS, "")}  # fmt: skip
# A style and its framework scale one another: its factors stay 1 in a fit of one style.
HELD = fit.FACTORS
UNTOLD = "not identified by the data: its prior"


@dataclasses.dataclass(frozen=True)
class Calibration:
    """A fitted style: constants, errors in and out of the fit, and what the data leave open."""

    found: Fit
    power: electric.PowerFit | None
    points: list[Point]
    in_fit: dict[str, float | int]
    held_out: dict[str, float | int] | None
    left_out: collections.Counter[str]
    base: str

    def correlated(self) -> list[tuple[str, str, float]]:
        """Pairs of constants the data cannot tell apart: only a product or ratio is known."""
        spread = np.sqrt(np.diag(self.found.covariance))
        correlation = self.found.covariance / np.outer(spread, spread)
        names = self.found.plan.names
        return [
            (a, names[j], float(correlation[i, j]))
            for i, a in enumerate(names) for j in range(i + 1, len(names))
            if abs(correlation[i, j]) > CORRELATED
        ]  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """The object of ``dse calibrate --json``."""
        return {
            "schema": "dse.calibrate/1",
            "base": self.base,
            "constants": [self._constant(i) for i in range(len(self.found.plan.names))],
            "covariance": self.found.covariance.tolist(),
            "power_w_per_mm2": self.power.values if self.power else None,
            "unidentified": self.found.unidentified(),
            "correlated": [{"a": a, "b": b, "correlation": r} for a, b, r in self.correlated()],
            "in_fit": self.in_fit,
            "held_out": self.held_out,
            "left_out": [{"reason": r, "n": n} for r, n in self.left_out.most_common()],
        }

    def _constant(self, index: int) -> dict[str, Any]:
        plan = self.found.plan
        return {
            "name": plan.names[index],
            "value": float(np.exp(self.found.values[index])),
            "log_spread": self.found.spread_of(plan.names[index]),
            "prior": float(np.exp(plan.mean[index])),
            "prior_log_spread": float(plan.spread[index]),
        }


def calibrate(path: str, base: str = "gpu_kernels", seed: int = 0) -> Calibration:
    """Fit a style to a table; priors are those of `base`, its ranges where it states them."""
    table = tables.read(path)
    if table.kind != "decode":
        raise SpecError(path, [f"a table of {table.kind} latencies; a style is fitted to decode"])
    kept, left_out = _usable(table.rows)
    if len(kept) < FEWEST:
        reasons = [f"{n} x {reason}" for reason, n in left_out.most_common(10)]
        raise SpecError(path, [f"{len(kept)} usable rows; a fit needs {FEWEST}", *reasons])
    points = [point for point, _, _ in kept]
    features = features_of([case for _, case, _ in kept])
    measured = np.array([point.measured["tpot_s"] for point in points])
    priors = priors_of(base)
    everything = np.ones(len(points), bool)
    found, predicted = _fitted(features, measured, points, everything, priors)
    outside = _held_out(points, seed)
    held = None
    if 0 < outside.sum() < len(points) - FEWEST:
        _, other = _fitted(features, measured, points, ~outside, priors)
        held = scores.scores(other[outside], measured[outside])
    power = _power([(point, case) for point, _, case in kept])
    return Calibration(found, power, points, scores.scores(predicted, measured), held, left_out,
                       base)  # fmt: skip


def priors_of(base: str) -> dict[str, Prior]:
    """The priors, centred on a style's values where it states them above zero."""
    path = library.locate("styles", base)
    tree, _, files = load.inherited("styles", path)
    tree = load.resolved(tree, ExecutionStyle, files, path.name)
    model, record = load.validated(tree, ExecutionStyle, path.name)
    schema.build(model, "", record)
    found = {}
    for name, prior in PRIORS.items():
        stated = record.get(f"framework.{name}" if name in fit.OF_FRAMEWORK else name)
        value = prior.value if stated is None or stated.number <= 0 else stated.number
        found[name] = Prior(min(value, 0.99) if name in fit.SHARES else value, prior.spread)
    return found


def _usable(rows) -> tuple[list[tuple[Point, Case, Case]], collections.Counter[str]]:
    """Points with a time, and their cases for time and for energy."""
    points, left_out = validate.read_points(rows)
    kept = []
    for point in points:
        if "tpot_s" not in point.measured:
            left_out["no time per token to fit"] += 1
            continue
        try:
            now = point.decoding(point.measured["tpot_s"]) if point.first_token_s else point
            time, energy = (case_of(now, mode(point)) for mode in
                            (validate.time_prefill, validate.energy_prefill))  # fmt: skip
        except LeftOutError as reason:
            left_out[str(reason)] += 1
            continue
        if len(time.design.hardware.memory) > 1:
            left_out["chip of several memory tiers: where its weights lie is not stated"] += 1
            continue
        kept.append((point, time, energy))
    return kept, left_out


def _fitted(features: Features, measured, points, pick, priors: Mapping[str, Prior]):
    """The fit of the picked rows, and its prediction of all."""
    fixed: dict[str, float] = dict.fromkeys(HELD, 1.0)  # as the file will say
    plan = fit.one_style(len(points), priors, HELD)
    some = plan._replace(design={name: m[pick] for name, m in plan.design.items()})
    part = Features(*({k: v[pick] for k, v in table.items()} for table in features))
    labels = [f"{p.chip} {p.model} {p.suite}" for p, used in zip(points, pick, strict=True) if used]
    found = fit.fit(part, measured[pick], some, fit.weights_of(labels), fixed)
    predicted = np.asarray(fit.predicted_s(features, plan, found.values, fixed))
    return found._replace(plan=plan), predicted


def _held_out(points: list[Point], seed: int) -> np.ndarray:
    """A fifth of the chip-and-model pairs, whole: rows of one pair resemble one another."""
    pairs = sorted({(point.chip, point.model) for point in points})
    if len(pairs) < 3:
        return np.zeros(len(points), bool)
    count = max(1, round(HELD_OUT_SHARE * len(pairs)))
    chosen = np.random.default_rng(seed).choice(len(pairs), count, replace=False)
    out = {pairs[i] for i in chosen}
    return np.array([(point.chip, point.model) in out for point in points])


def _power(kept: list[tuple[Point, Case]]) -> electric.PowerFit | None:
    powered = [(point, case) for point, case in kept if "power_w" in point.measured]
    if len(powered) < FEWEST_POWERED:
        return None
    measured = np.array([point.measured["power_w"] for point, _ in powered])
    labels = [f"{p.chip} {p.model} {p.suite}" for p, _ in powered]
    return electric.fit([c for _, c in powered], measured, weights=fit.weights_of(labels))


# --- writing ------------------------------------------------------------------------------------


def style_file(done: Calibration, path: str) -> str:
    """The TOML of a fitted style: every constant with its range, its source and its rows."""
    count = len(done.points)
    title = f"dse calibrate on {count} rows of {path}, {datetime.date.today()}; 90 % intervals"
    unsure = set(done.found.unidentified())
    rows = [
        f'name = "Fitted to {count} rows"',
        f'base = "{done.base}"',
        'source = "calibration"',
        "",
        *_constants(done, [n for n in done.found.plan.names if n not in fit.OF_FRAMEWORK], unsure),
    ]
    if done.power:
        rows += [written.power_line(name, value, done.power.spreads[name])
                 for name, value in done.power.values.items()]  # fmt: skip
    rows += ["", "[framework]", 'kernel_factor = { value = 1, source = "definition" }',
             *_constants(done, ("step", "sequence"), unsure)]  # fmt: skip
    rows += ["", "[sources.calibration]", 'kind = "fit"', f"title = {_quoted(title)}", "",
             "[facts.calibrated]"]  # fmt: skip
    for metric in ("tpot_s", *(("power_w", "j_per_token") if done.power else ())):
        pairs = sorted({f'"{p.chip} {p.model}"' for p in done.points if metric in p.measured})
        rows.append(f"{metric} = [{', '.join(pairs)}]")
    return "\n".join([*rows, *_joint(done)]) + "\n"


def _joint(done: Calibration) -> list[str]:
    """How the constants go together and what they leave open, for bands of predictions."""
    names = [f"framework.{n}" if n in fit.OF_FRAMEWORK else n for n in done.found.plan.names]
    spread = np.sqrt(np.diag(done.found.covariance))
    correlation = done.found.covariance / np.outer(spread, spread)
    seen = done.in_fit["mape"] * SIGMAS
    other = max(seen, (done.held_out or done.in_fit)["mape"] * SIGMAS)
    left_over = {"left_over": {"tpot_s": seen, "j_per_token": seen},
                 "left_over_elsewhere": {"tpot_s": other, "j_per_token": other}}  # fmt: skip
    return written.fit_lines(names, correlation, left_over)


def _constants(done: Calibration, names, unsure: set[str]):
    for name in names:
        value, spread = done.found.constant(name)
        ends = written.interval(value, spread, 1.0 if name in fit.SHARES else None)
        note = UNTOLD if name in unsure else ""
        yield written.line(name, value, ends, UNITS.get(name, "us"), note)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', "'") + '"'
