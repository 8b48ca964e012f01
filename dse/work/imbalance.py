"""How much more the fullest rank carries than the mean one, for routed experts and for contexts.

The factors depend on counts only (tokens, experts, ranks), never on a chip, so they are computed
once per deployment in NumPy and travel as leaves. Each rank's load is taken as an independent
binomial of the right mean and variance; the expected maximum is then the exact sum
``E[max] = sum_x 1 - prod_ranks F(x)``. Against Monte Carlo it stays within 5 % from one slot per
rank upward (tests/work/test_imbalance.py). Real routers are skewed beyond this.
"""

import functools
import math

import numpy as np


@functools.lru_cache(maxsize=65536)
def slot_skew(tokens: float, experts: float, per_token: float, ranks: float) -> float:
    """Largest over mean token slots per rank, uniform top-k routing.

    A token puts k of E slots without replacement; a rank with e experts gets a hypergeometric
    share of them. Experts are dealt with a ceiling, so some ranks hold one more.
    """
    if ranks <= 1 or tokens <= 0:
        return 1.0
    mean = tokens * per_token / ranks
    loads = []
    for size, count in _deal(experts, ranks):
        share = size / experts
        slots = tokens * per_token * share
        # The total is fixed, so loads repel: the largest of them is that of independent loads
        # without the factor (1 - share) in their variance.
        spread = (experts - per_token) / max(experts - 1, 1)
        loads.append((slots, max(slots * spread, 1e-9), min(tokens * min(per_token, size), 1e9),
                      count))  # fmt: skip
    return _expected_maximum(loads, at_least=math.ceil(mean - 1e-9)) / mean


@functools.lru_cache(maxsize=65536)
def weight_skew(tokens: float, experts: float, per_token: float, ranks: float) -> float:
    """Largest over mean distinct experts touched per rank: the weight bytes of the fullest rank."""
    if ranks <= 1 or tokens <= 0:
        return 1.0
    touched = 1 - (1 - per_token / experts) ** tokens
    loads = [(size * touched, max(size * touched * (1 - touched), 1e-9), size, count)
             for size, count in _deal(experts, ranks)]  # fmt: skip
    at_least = math.ceil(per_token / ranks - 1e-9)
    return _expected_maximum(loads, at_least) / (experts * touched / ranks)


def context_skew(ranks: float, sequences: float, variation: float) -> float:
    """Largest over mean KV length among data-parallel ranks of ``sequences`` each.

    ``1 + z cv / sqrt(sequences)`` with z the expected maximum of ``ranks`` normals (Blom).
    """
    if ranks <= 1 or variation <= 0:
        return 1.0
    return 1 + blom(ranks) * variation / math.sqrt(max(sequences, 1.0))


def blom(ranks: float) -> float:
    """Expected maximum of standard normals: the quantile at (G - 0.375) / (G + 0.25).

    Blom, Statistical Estimates and Transformed Beta-Variables, 1958.
    """
    from scipy.special import ndtri

    return float(ndtri((ranks - 0.375) / (ranks + 0.25))) if ranks > 1 else 0.0


def _deal(experts: float, ranks: float) -> list[tuple[float, float]]:
    """(experts, ranks that hold so many) when experts are dealt as evenly as whole ones allow."""
    low = math.floor(experts / ranks + 1e-9)
    more = round(experts - low * ranks)
    dealt = [(low + 1.0, float(more)), (float(low), ranks - more)]
    return [(size, count) for size, count in dealt if size > 0 and count > 0]


def _expected_maximum(loads: list[tuple[float, float, float, float]], at_least: int) -> float:
    """Expected maximum of independent binomials given as (mean, variance, bound, count).

    Someone carries the mean, so the maximum is never below it: ``at_least``.
    """
    top = max(mean + 9 * math.sqrt(var) + 12 for mean, var, _, _ in loads)
    top = min(top, max(bound for _, _, bound, _ in loads))
    floor = max(0.0, max(mean - 9 * math.sqrt(var) for mean, var, _, _ in loads))
    start = math.floor(floor)
    if top - start > 4096:
        return _normal_maximum(loads)
    x = np.arange(start, math.ceil(top) + 1, dtype=float)
    log_all = np.zeros_like(x)
    for mean, var, bound, count in loads:
        log_all += count * np.log(np.maximum(_binomial_cdf(x, mean, var, bound), 1e-300))
    within = np.where(x < at_least, 0.0, np.exp(log_all))  # P(maximum <= x)
    return start + float(np.sum(1 - within))


def _normal_maximum(loads) -> float:
    """For thousands of slots per rank the normal maximum is exact enough."""
    ranks = sum(count for *_, count in loads)
    return max(mean + blom(ranks) * math.sqrt(var) for mean, var, _, _ in loads)


def _binomial_cdf(x: np.ndarray, mean: float, var: float, bound: float) -> np.ndarray:
    """P(load <= x) of a binomial with this mean and variance, trials a real number."""
    from scipy.special import betainc, pdtr

    chance = 1 - var / mean
    if chance < 1e-6:
        return np.where(x >= bound, 1.0, pdtr(x, mean))
    trials = mean / chance
    inside = x < trials
    rest = np.where(inside, trials - x, 1.0)
    cdf = np.where(inside, betainc(rest, x + 1, 1 - chance), 1.0)
    return np.where(x >= bound, 1.0, cdf)
