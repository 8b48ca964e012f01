"""Errors of predictions: size, bias, tail and order, over groups of rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

TAIL = 0.9


def scores(predicted: ArrayLike, measured: ArrayLike) -> dict[str, float | int]:
    """Count, mean absolute percentage error, bias and 90th percentile, as fractions.

    ``bias`` is the mean of predicted over measured, less one: above zero the model is too high.
    """
    error = np.asarray(predicted, float) / np.asarray(measured, float) - 1
    return {
        "n": int(error.size),
        "mape": float(np.mean(np.abs(error))),
        "bias": float(np.mean(error)),
        "p90": float(np.quantile(np.abs(error), TAIL)),
    }


def spearman(predicted: ArrayLike, measured: ArrayLike) -> float | None:
    """Rank correlation; None where fewer than three rows or no order to find.

    Ties share their mean rank (Spearman, American Journal of Psychology 15, 1904).
    """
    if np.size(measured) < 3:
        return None
    from scipy.stats import rankdata

    a, b = rankdata(predicted), rankdata(measured)
    spread = float(np.std(a) * np.std(b))
    if spread == 0:
        return None
    return float(np.mean((a - a.mean()) * (b - b.mean())) / spread)


def grouped(rows: list[dict[str, Any]], keys: Sequence[str]) -> list[dict[str, Any]]:
    """Scores of each group of rows that agree in ``keys``; rows hold predicted and measured."""
    groups: dict[tuple, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    found = []
    for values, members in sorted(groups.items(), key=lambda item: [str(v) for v in item[0]]):
        pair = [[m[name] for m in members] for name in ("predicted", "measured")]
        found.append(
            dict(zip(keys, values, strict=True)) | scores(*pair) | {"spearman": spearman(*pair)}
        )
    return found
