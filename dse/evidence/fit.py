"""Fit the constants of execution styles to measured times: robust, with priors, in logarithms.

Every constant is positive, so its logarithm is fitted. A constant of a row is a product of factors
(shared, of the generation, of the framework); a plan says which row has which. Residuals are log
ratios over `NOISE`, softened (soft L1) so that rows with an unstated trick do not pull the fit.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dse.evidence.features import CONSTANTS, Features, times_s

NOISE = 0.1  # of a log ratio: what two runs of one configuration differ by, versions included
EXPONENT = 4.0  # of the p-norm inside an operator; not separable from the shares, so not fitted
MOST_STEPS = 60
# Beyond this share of its prior spread, a constant is what the prior says, not the data.
UNIDENTIFIED = 0.8


class Prior(NamedTuple):
    """Expected value in SI units, and standard deviation of its logarithm."""

    value: float
    spread: float


# From the public kernel tables of NVIDIA AIConfigurator: sustained bandwidth 0.80 to 0.93 on every
# generation since A100, matrix products 3 to 5 us, attention 10 to 13 us, experts 23 to 45 us,
# all-reduce kernels 1.3 to 2 times the best; wider where a graph differs from a single kernel.
PRIORS = {
    "memory": Prior(0.85, 0.08),
    "cache": Prior(0.80, 0.12),
    "tensor": Prior(0.70, 0.12),
    "prefill": Prior(0.45, 0.30),
    "link": Prior(0.60, 0.30),
    "projection": Prior(4e-6, 0.6),
    "attention": Prior(20e-6, 0.6),
    "experts": Prior(25e-6, 0.6),
    "exchange": Prior(4e-6, 0.8),
    "quantize": Prior(2e-6, 0.6),
    "quantize_experts": Prior(10e-6, 0.8),
    "stage_factor": Prior(1.5, 0.25),
    "convert": Prior(5.0, 0.5),
    "routing_exponent": Prior(0.93, 0.05),
    "prompt_layer": Prior(1e-4, 1.0),
    "kernel_factor": Prior(0.7, 0.3),
    "expert_factor": Prior(1.0, 0.4),
    "attention_factor": Prior(1.0, 0.6),
    "quantize_factor": Prior(1.0, 0.8),
    "exchange_factor": Prior(1.0, 0.5),
    "prompt_factor": Prior(1.0, 0.6),
    "step": Prior(3e-4, 0.8),
    "sequence": Prior(2e-5, 0.8),
}
# How much generations differ, by constant; the others are shared.
GENERATION_SPREADS = {"memory": 0.08, "cache": 0.08, "projection": 0.25, "attention": 0.25,
                      "experts": 0.25, "exchange": 0.3}  # fmt: skip
# A framework picks the libraries of attention, experts and exchanges; a factor each.
FACTORS = ("kernel_factor", "expert_factor", "attention_factor", "quantize_factor",
           "exchange_factor", "prompt_factor")  # fmt: skip
OF_FRAMEWORK = (*FACTORS, "step", "sequence")
# Of these a factor of every framework says what a shared value would say once more, and that value
# would carry the habits of frameworks to chips that ran others: it stays at its prior.
HELD = ("attention", "quantize_experts", "exchange", "prompt_layer")
HELD_SPREADS: dict[str, float] = dict.fromkeys(HELD, 0.05)
# Decode workers run the kernels of the framework they belong to under a scheduler without prompts:
# their constants are its own times what is left, within this share of the spreads of the priors.
WORKERS, WORKER_SHARE = "_disaggregated", 0.5
# Served before graphs were captured: each kernel is launched from Python.
EAGER = {"vllm_2024": Prior(5.0, 0.7)}
SHARES = ("memory", "cache", "tensor", "prefill", "link", "routing_exponent")  # at most 1


class Plan(NamedTuple):
    """Parameters (logarithms), their priors, and which of them make a constant of a row."""

    names: tuple[str, ...]
    mean: np.ndarray  # [parameter]
    spread: np.ndarray
    design: dict[str, np.ndarray]  # constant -> [row, parameter], zeros and ones


class Fit(NamedTuple):
    """Values with their covariance, all of logarithms."""

    plan: Plan
    values: np.ndarray
    covariance: np.ndarray

    def spread_of(self, name: str) -> float:
        """Posterior standard deviation of a parameter."""
        index = self.plan.names.index(name)
        return float(np.sqrt(self.covariance[index, index]))

    def unidentified(self) -> list[str]:
        """Parameters that the data leave where their prior put them."""
        found = np.sqrt(np.diag(self.covariance)) / self.plan.spread
        pairs = zip(self.plan.names, found, strict=True)
        return [name for name, share in pairs if share > UNIDENTIFIED]

    def constant(self, *parameters: str) -> tuple[float, float]:
        """A product of parameters: value, and standard deviation of its logarithm."""
        pick = np.array([float(name in parameters) for name in self.plan.names])
        return float(np.exp(pick @ self.values)), float(np.sqrt(pick @ self.covariance @ pick))


def one_style(rows: int, priors: Mapping[str, Prior], fixed: Sequence[str] = ()) -> Plan:
    """One value per constant for all rows; ``fixed`` constants keep their prior value."""
    names = tuple(name for name in priors if name not in fixed)
    column = {name: np.eye(len(names))[i] for i, name in enumerate(names)}
    design = {name: np.tile(column[name], (rows, 1)) for name in names}
    mean = np.array([np.log(priors[name].value) for name in names])
    return Plan(names, mean, np.array([priors[name].spread for name in names]), design)


def many_styles(generations: Sequence[str], frameworks: Sequence[str]) -> Plan:
    """Shared constants, offsets of generations, constants of frameworks; a label per row."""
    shared = [name for name in PRIORS if name not in OF_FRAMEWORK]
    offsets = [(c, g) for c in GENERATION_SPREADS for g in sorted(set(generations))]
    served = sorted({name for f in frameworks for name in (f, f.removesuffix(WORKERS))})
    hosts = [(c, f) for c in OF_FRAMEWORK for f in served]
    prior = {(c, f): _prior_of(c, f) for c, f in hosts}
    names = (*shared, *(f"{c} of {g}" for c, g in offsets), *(f"{c} of {f}" for c, f in hosts))
    mean = [np.log(PRIORS[c].value) for c in shared] + [0.0] * len(offsets)
    mean += [np.log(prior[host].value) for host in hosts]
    spread = [HELD_SPREADS.get(c, PRIORS[c].spread) for c in shared]
    spread += [GENERATION_SPREADS[c] for c, _ in offsets]
    spread += [prior[host].spread for host in hosts]
    place = {name: index for index, name in enumerate(names)}
    design = {c: np.zeros((len(generations), len(names))) for c in PRIORS}
    for row, (generation, framework) in enumerate(zip(generations, frameworks, strict=True)):
        for c in shared:
            design[c][row, place[c]] = 1.0
        for c in GENERATION_SPREADS:
            design[c][row, place[f"{c} of {generation}"]] = 1.0
        for c in OF_FRAMEWORK:
            for name in parameters_of(c, framework):
                design[c][row, place[name]] = 1.0
    return Plan(names, np.array(mean), np.array(spread), design)


def _prior_of(constant: str, framework: str) -> Prior:
    if framework.endswith(WORKERS):
        return Prior(1.0, WORKER_SHARE * PRIORS[constant].spread)
    eager = EAGER.get(framework) if constant == "kernel_factor" else None
    return eager or PRIORS[constant]


def parameters_of(constant: str, framework: str) -> tuple[str, ...]:
    """The parameters whose product is a constant of a framework."""
    pair = dict.fromkeys((framework.removesuffix(WORKERS), framework))
    return tuple(f"{constant} of {name}" for name in pair)


def constants_at(plan: Plan, values: Any, fixed: Mapping[str, float]) -> dict[str, Any]:
    """Constants per row under parameter values; those outside the plan as given."""
    found = {name: jnp.exp(matrix @ values) for name, matrix in plan.design.items()}
    return {name: fixed.get(name, 0.0) for name in CONSTANTS if name not in found} | found


def predicted_s(
    features: Features, plan: Plan, values: Any, fixed: Mapping[str, float] | None = None
) -> Any:
    """Time per output token of each row, ``[row]``."""
    return times_s(features, constants_at(plan, values, fixed or {}), EXPONENT)


def fit(
    features: Features,
    measured_s: np.ndarray,
    plan: Plan,
    weights: np.ndarray | None = None,
    fixed: Mapping[str, float] | None = None,
) -> Fit:
    """Robust least squares on log ratios plus priors; the covariance is that of the linearization.

    Rows of soft residuals count by their slope, so outliers widen nothing and narrow nothing.
    """
    from scipy.optimize import least_squares

    weight = np.ones(len(measured_s)) if weights is None else np.asarray(weights)
    with jax.enable_x64(True):
        residuals = _residuals(features, np.log(measured_s), plan, weight, fixed or {})
        slope, quick = jax.jit(jax.jacfwd(residuals)), jax.jit(residuals)
        bound = np.where([n.split(" ")[0] in SHARES and " of " not in n for n in plan.names],
                         0.0, np.inf)  # fmt: skip
        jacobian: Any = slope  # scipy's types know words only
        done = least_squares(quick, plan.mean, jac=jacobian, max_nfev=MOST_STEPS,
                             bounds=(-np.inf, bound))  # fmt: skip
    covariance = np.linalg.inv(done.jac.T @ done.jac)
    return Fit(plan, done.x, covariance)


def _residuals(features, log_measured, plan: Plan, weight, fixed) -> Callable[[Any], Any]:
    held = jax.tree.map(jnp.asarray, features)

    def residuals(values):
        ratio = (jnp.log(predicted_s(held, plan, values, fixed)) - log_measured) / NOISE
        soft = jnp.sign(ratio) * jnp.sqrt(2 * (jnp.sqrt(1 + ratio**2) - 1))
        return jnp.concatenate([soft * weight, (values - plan.mean) / plan.spread])

    return residuals


def weights_of(labels: Sequence[str], full: float = 8.0) -> np.ndarray:
    """Weights by which no label counts more than ``full`` rows: a sample is not a census."""
    counts = {label: labels.count(label) for label in set(labels)}
    return np.array([min(1.0, full / counts[label]) ** 0.5 for label in labels])
