"""`evaluate`: names or specs in, one estimate out; float64, compiled once per structure."""

import contextlib
import dataclasses
import functools
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from dse.estimate.prepare import Choices, context_of, deploy, format_names
from dse.estimate.step import Design, Estimate, Scenario, estimate_step
from dse.interpreter import Program
from dse.specs import load
from dse.specs.deployment import Deployment
from dse.specs.hardware import HardwareSpec
from dse.specs.network import ModelSpec
from dse.specs.schema import SpecError, nearest
from dse.specs.workload import Workload

FIDELITIES = ("sol", "calibrated")
POWER_SCOPES = ("accelerator", "system", "facility")
SMALLEST, LARGEST = 1e-60, 1e60  # no quantity of a chip in SI lies outside


def evaluate(  # noqa: PLR0913 - the public door; the rest is keyword-only
    hardware: str | load.Loaded | HardwareSpec,
    model: str | load.Loaded | ModelSpec,
    workload: str | load.Loaded | Workload,
    deployment: Deployment | Choices | None = None,
    *,
    fidelity: str | None = None,
    power_scope: str = "system",
    overlap: float | None = None,
    exponent: float | None = None,
    compiled: bool = True,
) -> Estimate:
    """One decode operating point.

    Names are loaded from the spec library. Given specs and a `Deployment` whose leaves are traced,
    it may be called under `jax.jit`, `jax.grad` and `jax.vmap`.

    Args:
        hardware: a chip: name, loaded spec, or spec.
        model: a model, likewise.
        workload: a workload, likewise.
        deployment: splits, batch and formats; `Choices` (or None) takes defaults for the rest.
        fidelity: ``"sol"`` or ``"calibrated"``; None: calibrated where the chip names a style
            other than speed of light, else speed of light.
        power_scope: ``"accelerator"``, ``"system"`` or ``"facility"``.
        overlap: 0 (operators follow one another) to 1 (everything overlaps).
        exponent: None for the hard maximum, else the exponent of a smooth one (for gradients).
        compiled: False runs the traced program by numpy: without the seconds of a first
            compilation, and as fast for one point.

    Returns:
        The estimate; every leaf a scalar array in the unit of its name.

    Raises:
        SpecError: an unknown name, a split that cannot exist, a value out of range.
    """
    check_word("fidelity", fidelity, (None, *FIDELITIES))
    check_word("power_scope", power_scope, POWER_SCOPES)
    fidelity = fidelity or default_fidelity(hardware)
    given = (hardware, model, workload, deployment)
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(given)):
        design, scenario = _overlapped(*prepared(*given), overlap)
        return estimate_step(design, scenario, fidelity, power_scope, exponent)
    with jax.enable_x64(True):
        design, scenario = _overlapped(*prepared(*given), overlap)
        if compiled:
            estimate = _compiled(fidelity, power_scope, exponent)(design, scenario)
        else:
            estimate = interpreted(design, scenario, fidelity, power_scope, exponent)
    return labelled(estimate, given, design.deployment, fidelity, power_scope)


def labelled(
    estimate: Estimate,
    given: tuple[Any, Any, Any, Any],
    resolved: Deployment,
    fidelity: str,
    power_scope: str,
) -> Estimate:
    """An estimate of one point that says what it is of.

    Args:
        estimate: its leaves scalars.
        given: hardware, model, workload and deployment as `evaluate` takes them.
        resolved: the deployment with every default filled in.
        fidelity: of the estimate.
        power_scope: of the estimate.
    """
    # Plain numbers, so that arithmetic on them outside keeps its 64 bits.
    estimate = jax.tree.map(np.float64, estimate)
    labels = _labels(*given, resolved) | {"fidelity": fidelity, "power_scope": power_scope}
    return dataclasses.replace(estimate, labels=tuple(labels.items()))


def interpreted(
    design: Design,
    scenario: Scenario,
    fidelity: str,
    power_scope: str = "system",
    exponent: float | None = None,
) -> Estimate:
    """The estimate of plain numbers, or of many points at once: leaves of shape [] or [point]."""
    structure = jax.tree.structure((design, scenario))
    return _traced(structure, fidelity, power_scope, exponent)(design, scenario)


@functools.lru_cache(maxsize=32)
def _traced(structure, fidelity: str, scope: str, exponent: float | None) -> Program:
    """One program per structure, as with `jax.jit`: what a leaf is never changes it."""
    example = jax.tree.unflatten(structure, [1.0] * structure.num_leaves)
    name = f"estimate {fidelity} {scope} {exponent}"
    return Program(_step(fidelity, scope, exponent), *example, name=name)


def _overlapped(design: Design, scenario: Scenario, overlap: float | None):
    if overlap is None:
        return design, scenario
    check_share("overlap", overlap)
    return Design(
        design.hardware, dataclasses.replace(design.deployment, overlap=overlap)
    ), scenario


def _labels(hardware, model, workload, deployment, resolved: Deployment) -> dict[str, str]:
    """What the estimate is of, in words, for people and JSON."""
    labels = {}
    for key, kind, given in (("chip", "chips", hardware), ("model", "models", model),
                             ("workload", "workloads", workload)):  # fmt: skip
        if isinstance(given, load.Loaded):
            labels[key] = given.name
        else:
            labels[key] = load.load(kind, given).name if isinstance(given, str) else "given"
    spec = _spec("models", model)
    if isinstance(deployment, Choices) or deployment is None:
        labels |= format_names(spec, deployment or Choices())
    uses = resolved.formats.math
    labels |= {
        f"{use}_math": max(mix, key=lambda a, m=mix: float(m[a])) for use, mix in uses.items()
    }
    return labels | {"collective": resolved.collective, "prefill": resolved.prefill}


def check_share(name: str, value: float) -> None:
    """Refuse a share outside 0 to 1."""
    if not 0 <= value <= 1:
        raise SpecError(name, [f"{value!r} must lie between 0 and 1"])


def deployment_of(
    hardware: str | load.Loaded | HardwareSpec,
    model: str | load.Loaded | ModelSpec,
    workload: str | load.Loaded | Workload,
    choices: Choices | None = None,
) -> Deployment:
    """The deployment that `evaluate` would use for these choices, every default filled in.

    Its leaves are plain numbers: with it, `evaluate` can be differentiated and mapped.
    """
    with jax.enable_x64(True):
        design, _ = prepared(hardware, model, workload, choices)
    return design.deployment


def check_word(name: str, word: Any, known: tuple) -> None:
    """Refuse a word that is none of the known ones."""
    if word not in known:
        raise SpecError(name, [f"{word!r} is unknown{nearest(word, [k for k in known if k])}"])


def prepared(hardware, model, workload, deployment=None) -> tuple[Design, Scenario]:
    """The design and scenario of an evaluation, names loaded and defaults filled in."""
    chip = _spec("chips", hardware)
    network = _spec("models", model)
    load_shape = _spec("workloads", workload)
    if isinstance(deployment, Deployment):
        context = context_of(load_shape)
    else:
        with _computable(hardware, model, workload):
            deployment, context = deploy(chip, network, load_shape, deployment or Choices())
    return Design(chip, deployment), Scenario(network, context, load_shape.reserve_fraction)


@contextlib.contextmanager
def _computable(*specs: Any):
    """Turn a division by zero or an overflow of plain numbers into the values that cause it."""
    try:
        with np.errstate(all="ignore"):  # infinities are refused later, by name of the result
            yield
    except (ZeroDivisionError, OverflowError):
        raise SpecError("values", _extremes(*specs)) from None


def _extremes(*specs: Any) -> list[str]:
    """Values that a division or product cannot take, where they are stated."""
    found = [
        f"{path}: {value.text!r} ({value.origin}) is too {'small' if small else 'large'} to compute"
        for spec in specs if isinstance(spec, load.Loaded)
        for path, value in spec.record.items()
        if (small := value.number < SMALLEST and (value.number > 0 or "--set" in value.origin))
        or value.number > LARGEST
    ]  # fmt: skip
    return found or ["a rate or size among them is zero, where the model divides by it"]


def default_fidelity(hardware) -> str:
    """``calibrated`` where the chip's style states fixed times or efficiencies, else ``sol``."""
    style = _spec("chips", hardware).style
    stated = (style.layer_s, style.step_s, style.sequence_s, style.sync_small_s, style.sync_large_s)
    shares = (style.memory_fraction, style.tensor_fraction, style.link_fraction)
    return "calibrated" if any(s > 0 for s in stated) or any(f < 1 for f in shares) else "sol"


def _spec(kind: str, given: Any) -> Any:
    if isinstance(given, str):
        return load.load(kind, given).spec
    return given.spec if isinstance(given, load.Loaded) else given


@functools.cache
def _compiled(fidelity: str, scope: str, exponent: float | None):
    """One compiled function; JAX keeps one program per structure of its arguments."""
    return jax.jit(_step(fidelity, scope, exponent))


def _step(fidelity: str, scope: str, exponent: float | None):
    def step(design: Design, scenario: Scenario) -> Estimate:
        return estimate_step(design, scenario, fidelity, scope, exponent)

    return step
