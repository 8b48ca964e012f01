"""One or two axes of a case, evaluated at every point, the deployment held or chosen again."""

import dataclasses
import itertools
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from dse import units
from dse.estimate.output import number
from dse.questions import optimum
from dse.questions.case import GOALS, Case
from dse.specs.errors import SpecError
from dse.specs.formats import FORMATS

SCHEMA = "dse.sweep/1"
MOST_POINTS = 2000
WIDE = 10.0  # ends further apart than this are spaced by factors
COUNTS = ("batch", "micro_batches", "tp", "kvp", "dp", "pp", "ep", "drafts")
FORMAT_FIELDS = ("weights", "attention_weights", "expert_weights", "kv", "activations")
SHARES = ("overlap", "stripe")
DEPLOYED = (*COUNTS, *FORMAT_FIELDS, *SHARES, "context")
SHOWN = (
    "user_tokens_per_s", "system_tokens_per_s_per_w", "tpot_s", "j_per_token", "power_w",
    "chip_power_w", "system_tokens_per_s", "usd_per_million_tokens", "area_mm2", "silicon_mm2",
    "clock_hz", "voltage_v", "batch", "chips", "tp", "dp", "ep", "pp",
)  # fmt: skip
_END = re.compile(r"^\s*([+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*?)\s*$")
FORM = "wanted PATH=FROM:TO:POINTS (or :POINTS:log) or PATH=A,B,C, e.g. voltage=0.55V:0.85V:7"


@dataclasses.dataclass(frozen=True)
class Axis:
    """What is swept: a path of the chip or a choice of deployment, and its values as text."""

    path: str
    values: tuple[str, ...]

    @property
    def is_deployment(self) -> bool:
        """Whether it is a choice of deployment."""
        return self.path in DEPLOYED


def parse_axis(text: str) -> Axis:
    """Read ``PATH=FROM:TO:POINTS`` or ``PATH=A,B,C``.

    Raises:
        SpecError: not of that form.
    """
    path, equals, said = text.partition("=")
    path = (
        path.strip().replace("-", "_")
        if path.strip().replace("-", "_") in DEPLOYED
        else path.strip()
    )
    if not equals or not path or not said.strip():
        raise SpecError("--over", [f"{text!r}: {FORM}"])
    parts = [part.strip() for part in said.split(":")]
    if len(parts) == 1:
        values = [value.strip() for value in said.split(",")]
        if not all(values):
            raise SpecError("--over", [f"{text!r}: {FORM}"])
        return Axis(path, tuple(dict.fromkeys(values)))
    return Axis(path, _spaced(text, path, parts))


def _spaced(text: str, path: str, parts: list[str]) -> tuple[str, ...]:
    ends = [_END.match(part) for part in parts[:2]]
    count = parts[2] if len(parts) > 2 else ""
    if len(parts) not in (3, 4) or None in ends or not count.isdecimal() or int(count) < 2:
        raise SpecError("--over", [f"{text!r}: {FORM}"])
    (low, unit), (high, last) = ((float(end[1].replace("_", "")), end[2]) for end in ends if end)
    unit = unit or last
    if unit != last:
        raise SpecError("--over", [f"{text!r}: both ends in one unit, found {unit!r} and {last!r}"])
    scale = parts[3] if len(parts) == 4 else None
    if scale not in (None, "log", "lin") or (scale == "log" and not low * high > 0):
        raise SpecError("--over", [f"{text!r}: {FORM}"])
    if not np.isfinite([low, high]).all():
        raise SpecError("--over", [f"{text!r}: both ends must be finite"])
    apart = low > 0 and high > 0 and max(high / low, low / high) >= WIDE
    by_factor = scale == "log" or (scale is None and apart)
    if int(count) > MOST_POINTS:
        raise SpecError("--over", [f"{text!r}: at most {MOST_POINTS:,} points"])
    spaced = (np.geomspace if by_factor else np.linspace)(low, high, int(count))
    if path in COUNTS:
        return tuple(dict.fromkeys(f"{round(value)}" for value in spaced))
    sign = "+" if unit == "%" else ""
    return tuple(dict.fromkeys(f"{float(f'{value:.10g}'):{sign}}{unit}" for value in spaced))


def swept(case: Case, axes: Sequence[Axis], chosen: str | None = None,
          speed: float | None = None) -> dict[str, Any]:  # fmt: skip
    """The object of ``dse sweep --json``.

    Args:
        case: the point that is moved along the axes; its split is held.
        axes: one or two.
        chosen: ``"batch"`` or ``"deploy"``: choose it again at each point, the most efficient at
            ``speed`` or faster.
        speed: user tokens/s; None: what the case reaches unmoved.

    Raises:
        SpecError: values that the chip or the deployment cannot take, all at once.
    """
    size = int(np.prod([len(axis.values) for axis in axes]))
    if not 1 <= len(axes) <= 2 or size > MOST_POINTS:
        raise SpecError("--over", [f"{len(axes)} axes, {size:,} points; wanted one or two, at most "
                                   f"{MOST_POINTS:,} points"])  # fmt: skip
    if chosen and speed is None:
        speed = number(case.held().estimate().user_tokens_per_s) or 0.0
    moves_split = any(axis.path == "tp" for axis in axes)
    start = case if moves_split else case.held()
    rows, problems = [], []
    for values in itertools.product(*(axis.values for axis in axes)):
        at = dict(zip((axis.path for axis in axes), values, strict=True))
        try:
            rows.append(_row(start, at, chosen, speed))
        except SpecError as error:
            where = ", ".join(f"{path}={value}" for path, value in at.items())
            problems += [f"{where}: {problem}" for problem in error.problems]
    if problems:
        raise SpecError("--over", list(dict.fromkeys(problems)))
    return {
        "schema": SCHEMA,
        "chip": case.chip.name,
        "title": case.chip.title,
        "model": case.model.name,
        "model_title": case.model.title,
        "workload": case.workload.name,
        "fidelity": case.fidelity,
        "power_scope": case.power_scope,
        "basis": {"batch": "best" if chosen else "fixed",
                  "deploy": "best" if chosen == "deploy" else "fixed", "speed": speed},
        "axes": [{"path": name, "values": list(axis.values),
                  "numbers": list(dict.fromkeys(row["values"][name] for row in rows)),
                  "unit": _unit(rows, name)}
                 for axis, name in zip(axes, rows[0]["values"], strict=True)],
        "points": rows,
        "best": best_points(rows),
        "feasible": any(row["feasible"] for row in rows),
    }  # fmt: skip


def moved_to(case: Case, at: dict[str, str]) -> tuple[Case, dict[str, Any]]:
    """A case at one point of a sweep, and path -> (value, unit) of where it stands."""
    stands: dict[str, Any] = {}
    for path, text in at.items():
        if path in DEPLOYED:
            value = _choice(path, text)
            case = case.deployed(**{path: value})
            stands[path] = (value, "token" if path == "context" else "")
            continue
        case = case.changed([(path, text)])
        full, value, unit = _standing(case, path)
        stands[full] = (value if value is not None else text, unit)
    return case, stands


def _standing(case: Case, path: str) -> tuple[str, float | None, str]:
    """Full path, value and unit of what was set last."""
    from dse.specs.load import numeric_unit

    prefix, spec = "", case.chip
    if path.startswith(("model.", "workload.")):
        prefix = path.partition(".")[0]
        spec = getattr(case, prefix)
    full = spec.changes[-1][0]
    value = spec.record.get(full)
    name = f"{prefix}.{full}" if prefix else full
    return name, None if value is None else value.number, numeric_unit(spec, full) or ""


def _choice(path: str, text: str) -> Any:
    if path in FORMAT_FIELDS:
        if text not in FORMATS:
            raise SpecError(path, [f"{path}: {text!r} is not a number format"])
        return text
    try:
        value = units.parse(text, "token" if path == "context" else None)
    except units.UnitError as error:
        raise SpecError(path, [f"{path}: {error}"]) from None
    return int(value) if path == "drafts" and value == int(value) else value


def _row(case: Case, at: dict[str, str], chosen: str | None, speed: float | None) -> dict[str, Any]:
    there, stands = moved_to(case, at)
    if chosen:
        tried = (optimum.batch_curve(there) if chosen == "batch"
                 else optimum.evaluated(optimum.deployments(there)))  # fmt: skip
        there = optimum.best(tried, speed or 0.0) or there
    found = there.estimate().to_dict()
    return {
        "at": dict(zip(stands, at.values(), strict=True)),
        "values": {path: value for path, (value, _) in stands.items()},
        "units": {path: unit for path, (_, unit) in stands.items()},
        **{name: found[name] for name in SHOWN},
        "bottleneck": found["bottleneck"],
        "feasible": found["feasible"],
        "violations": found["violations"],
    }


def _unit(rows: list[dict[str, Any]], path: str) -> str:
    return rows[0]["units"][path]


def best_points(rows: Sequence[dict[str, Any]]) -> dict[str, int | None]:
    """Where the feasible point that is best in each goal stands among the points."""
    good = [index for index, row in enumerate(rows) if row["feasible"]]
    return {goal: max(good, key=lambda index: rows[index][goal]) if good else None
            for goal in GOALS}  # fmt: skip
