"""Fit what a chip draws for running at all, from measured board power.

The board's power is nearly linear in these constants (temperature and the power limit bend it), so
the model itself is differenced around the last solution, and a bounded linear problem is solved.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dse.evidence import columns
from dse.evidence.columns import Case

CONSTANTS = ("busy_power", "kernel_power", "exchange_power", "sequence_power")
NOISE = 0.1  # of measured power, relative
STEP_W_PER_MM2 = 0.02
ROUNDS = 3
# W/mm2 at the core rail: a busy GPU draws 40 to 67 % of its limit before traffic and arithmetic.
PRIOR_W_PER_MM2 = {"busy_power": 0.17, "kernel_power": 0.10, "exchange_power": 0.05,
                   "sequence_power": 0.17}  # fmt: skip
PRIOR_SPREAD_W_PER_MM2 = 0.10


class PowerFit(NamedTuple):
    """W/mm2 of each constant, with standard deviations and their correlations."""

    values: dict[str, float]
    spreads: dict[str, float]
    correlation: np.ndarray = np.eye(len(CONSTANTS))


def with_constants(case: Case, constants: dict[str, float]) -> Case:
    """A case whose style has other power constants."""
    hardware = case.design.hardware
    fields = {f"{name}_w_per_mm2": value for name, value in constants.items()}
    style = dataclasses.replace(hardware.style, **fields)
    hardware = dataclasses.replace(hardware, style=style)
    return case._replace(design=case.design._replace(hardware=hardware))


def board_w(cases: Sequence[Case], constants: dict[str, float]) -> np.ndarray:
    """Predicted power of one board, ``[case]``."""
    changed = [with_constants(case, constants) for case in cases]
    return columns.estimated(changed, ["chip_power_w"], "calibrated")["chip_power_w"]


def fit(
    cases: Sequence[Case],
    measured_w: np.ndarray,
    prior: dict[str, float] | None = None,
    spread: float = PRIOR_SPREAD_W_PER_MM2,
    weights: np.ndarray | None = None,
) -> PowerFit:
    """Bounded least squares on relative errors (soft L1), with a prior; none below zero."""
    from scipy.optimize import lsq_linear

    expected = np.array([(prior or PRIOR_W_PER_MM2)[name] for name in CONSTANTS])
    counted = np.ones(len(cases)) if weights is None else weights
    values, slope = expected, np.zeros((len(cases), len(CONSTANTS)))
    for _ in range(ROUNDS):
        now = board_w(cases, dict(zip(CONSTANTS, values, strict=True)))
        for index in range(len(CONSTANTS)):
            moved = values + STEP_W_PER_MM2 * (np.arange(len(CONSTANTS)) == index)
            there = board_w(cases, dict(zip(CONSTANTS, moved, strict=True)))
            slope[:, index] = (there - now) / STEP_W_PER_MM2
        # Errors relative to the geometric mean of both: relative to the measured alone, low
        # predictions would cost least.
        error = (now - measured_w) / (NOISE * np.sqrt(now * measured_w))
        weight = counted / (NOISE * np.sqrt(now * measured_w)) / (1 + error**2) ** 0.25
        wanted = measured_w - now + slope @ values
        matrix = np.vstack([slope * weight[:, None], np.eye(len(values)) / spread])
        target = np.concatenate([wanted * weight, expected / spread])
        values = lsq_linear(matrix, target, bounds=(0, np.inf)).x
    covariance = np.linalg.inv(matrix.T @ matrix)
    spreads = np.sqrt(np.diag(covariance))
    return PowerFit(dict(zip(CONSTANTS, values.tolist(), strict=True)),
                    dict(zip(CONSTANTS, spreads.tolist(), strict=True)),
                    covariance / np.outer(spreads, spreads))  # fmt: skip
