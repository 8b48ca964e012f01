"""Exact derivatives of one operating point in every continuous number of its chip.

The smooth maximum stands for the hard one (exponent `EXPONENT`), so that two lanes that tie both
count. Whole numbers of things (chips, ports) have no slope; a batch is taken as continuous.
"""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dse.estimate.step import Design, Scenario, estimate_step
from dse.interpreter import Program
from dse.questions.case import Case
from dse.questions.knobs import Knob, knobs_of, with_rail
from dse.resources.provision import provision

EXPONENT = 32.0  # of the smooth maximum: two equal lanes take 2 % longer than one


class Slopes(NamedTuple):
    """Derivatives in the logarithm of each knob, [knob]; the batch comes last."""

    knobs: list[Knob]
    goals: dict[str, np.ndarray]  # of the logarithm: elasticities
    used: dict[str, np.ndarray]  # of what each limit counts, in its unit
    allowed: dict[str, np.ndarray]

    def at(self, path: str) -> int | None:
        """Where a knob stands; None if it is none."""
        return next((i for i, knob in enumerate(self.knobs) if knob.path == path), None)


def slopes(case: Case) -> Slopes:
    """The derivatives of a case, placement of weights following capacity where it is a default."""
    design, scenario = case.prepared
    design = design._replace(hardware=with_rail(design.hardware))
    knobs = [knob for knob in knobs_of(case.chip, design.hardware)
             if not knob.is_whole and knob.value]  # fmt: skip
    tiers = None if case.choices.weights_in is not None else spilling(design)
    structure = jax.tree.structure((design, scenario))
    program = _program(structure, case.fidelity, case.power_scope, tiers)
    rail = next(knob.index for knob in knobs if knob.path == "voltage")
    rows = np.zeros((structure_of(design.hardware) + 1, len(knobs) + 1))
    for column, knob in enumerate(knobs):
        rows[knob.index, column] = knob.value
        if knob.path == "nominal_voltage" and case.chip.spec.voltage_v is None:
            rows[rail, column] = knob.value  # an unset rail follows
    batch = float(design.deployment.batch)
    rows[-1, -1] = batch
    *hardware, of_batch = rows
    found = program(design, scenario, hardware, of_batch)
    wide = jax.tree.map(lambda leaf: np.broadcast_to(leaf, (len(knobs) + 1,)), found)
    last = Knob("batch", batch, None, f"{batch:g}", "", None, None, -1)
    return Slopes([*knobs, last], wide["goals"], wide["used"], wide["allowed"])


def structure_of(tree: Any) -> int:
    """How many numbers a spec has."""
    return jax.tree.structure(tree).num_leaves


def spilling(design: Design) -> tuple[str, str] | None:
    """(fastest, largest) tier where weights fill the first and spill into the second."""
    placed = {name: float(share) for name, share in design.deployment.weights_in.items()}
    partly = [name for name, share in placed.items() if 0 < share < 1]
    large = max(design.deployment.kv_in, key=lambda name: float(design.deployment.kv_in[name]))
    fast = [name for name in partly if name != large]
    return (fast[0], large) if len(fast) == 1 and large in partly else None


@functools.lru_cache(maxsize=16)
def _program(structure, fidelity: str, scope: str, tiers: tuple[str, str] | None) -> Program:
    """Slopes by forward differentiation of the traced step, one program per structure."""

    def changes(design: Design, scenario: Scenario, hardware: list, of_batch):
        leaves, tree = jax.tree.flatten(design.hardware)
        batch = design.deployment.batch

        def outputs(values, size):
            chip = jax.tree.unflatten(tree, values)
            deployment = dataclasses.replace(design.deployment, batch=size)
            if tiers is not None:
                deployment = _following(design.hardware, chip, deployment, tiers)
            estimate = estimate_step(Design(chip, deployment), scenario, fidelity, scope, EXPONENT)
            return {
                "goals": {
                    "user_tokens_per_s": jnp.log(estimate.user_tokens_per_s),
                    "system_tokens_per_s_per_w": -jnp.log(estimate.j_per_token),
                },
                "used": {name: jnp.asarray(x.used) for name, x in estimate.limits.items()},
                "allowed": {name: jnp.asarray(x.allowed) for name, x in estimate.limits.items()},
            }

        return jax.jvp(outputs, (leaves, batch), (hardware, of_batch))[1]

    design, scenario = jax.tree.unflatten(structure, [1.0] * structure.num_leaves)
    knobs = [1.0] * structure_of(design.hardware)
    name = f"slopes {fidelity} {scope} {EXPONENT} {tiers}"
    return Program(changes, design, scenario, knobs, 1.0, name=name)


def _following(before, chip, deployment, tiers: tuple[str, str]):
    """Weights fill the fast tier as far as it goes: their share there grows with its capacity."""
    fast, large = tiers
    room = [provision(spec, deployment.chips).tiers[fast].capacity_bytes for spec in (before, chip)]
    share = deployment.weights_in[fast] * room[1] / room[0]
    placed = {**deployment.weights_in, fast: share, large: 1 - share}
    return dataclasses.replace(deployment, weights_in=placed)
