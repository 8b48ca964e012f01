"""From joules and seconds to watts: temperature, delivery loss, throttling, host, facility."""

from typing import NamedTuple

import jax.numpy as jnp

from dse import smooth
from dse.resources import logic
from dse.resources.table import Resources, Scalar
from dse.specs.hardware import HardwareSpec

LEAST_ROOM = 1e-3  # of the power limit, for chips whose idle power already breaks it
ROUNDS = 4  # fixed-point rounds of temperature and throttling; the contraction is 0.1-0.3 a round


class Board(NamedTuple):
    """One chip in steady state. Core watts include the loss of their delivery."""

    core_w: Scalar  # after regulators, at the board input
    device_w: Scalar  # memory rail, at the board input
    die_w: Scalar  # dissipated in the die
    dram_w: Scalar  # dissipated in memory devices
    leakage_w: Scalar
    refresh_w: Scalar
    core_factor: Scalar  # board joules per core joule
    device_factor: Scalar
    junction_k: Scalar
    idle_w: Scalar  # at the board input while nothing moves: no waiting brings it lower
    step_s: Scalar  # at or above what the work needs: a hot chip waits

    @property
    def board_w(self) -> Scalar:
        """Power of the board."""
        return self.core_w + self.device_w


class Demand(NamedTuple):
    """What one chip spends per step, before static power."""

    core_j: Scalar
    device_j: Scalar
    busy_s: Scalar
    step_s: Scalar


def board(demand: Demand, hardware: HardwareSpec, resources: Resources) -> Board:
    """Steady state of one chip: temperature feeds leakage, the power limit stretches the step.

    ``t >= T`` with ``E / t + static <= limit``; leakage and refresh follow the temperature that
    results. Solved by a few fixed-point rounds, which keeps it differentiable.
    """
    step_s = demand.step_s
    junction = hardware.logic.reference_temperature_k
    state = steady(demand, hardware, resources, junction, step_s)
    for _ in range(ROUNDS):
        step_s = _throttled_s(demand, hardware, resources, state)
        # The temperature is that of the stretched step: the heat of the work alone, far above
        # the limit, would leak away the whole limit in the next round.
        junction = junction_k(hardware, _stretched(state, demand, resources, step_s))
        state = steady(demand, hardware, resources, junction, step_s)
    return state


def _stretched(state: Board, demand: Demand, resources: Resources, step_s: Scalar) -> Board:
    """The same board doing the same work in ``step_s``: static power stays, the rest thins out."""
    core_j = demand.core_j + resources.gated_clock_w * demand.busy_s
    fewer = 1 / state.step_s - 1 / step_s
    return state._replace(die_w=state.die_w - core_j * fewer,
                          dram_w=state.dram_w - demand.device_j * fewer)  # fmt: skip


def junction_k(hardware: HardwareSpec, state: Board) -> Scalar:
    """``T = T_coolant + (P / A) R``; memory stacked on the die heats through the same path."""
    area = hardware.die_mm2 * hardware.dies
    heat = state.die_w + (state.dram_w if stacked(hardware) else 0.0)
    return hardware.cooling.coolant_k + heat / area * hardware.cooling.resistance_k_mm2_per_w


def stacked(hardware: HardwareSpec) -> bool:
    """Whether memory sits on the die."""
    return any(tier.technology.law == "areal" for tier in hardware.memory.values())


def steady(demand: Demand, hardware, resources: Resources, junction, step_s) -> Board:
    """Power of one chip at a given junction temperature and step time."""
    power = hardware.power
    settled = _settled_k(hardware, junction)
    leakage = resources.leakage_w * logic.leakage_temperature_factor(hardware, settled)
    refresh = sum(
        (
            watts * 2 ** ((settled - resources.tiers[name].refresh_reference_k) / 10)
            for name, watts in resources.refresh_w.items()
        ),
        0.0,
    )
    static_core = sum(resources.idle_core_w.values()) + leakage
    gated = resources.gated_clock_w * demand.busy_s / step_s
    core = static_core + gated + demand.core_j / step_s
    static_device = sum(resources.idle_device_w.values()) + refresh
    device = static_device + demand.device_j / step_s
    loss = logic.delivery_loss_fraction(hardware, core)
    core_factor = (1 + loss) / power.regulator_fraction
    device_factor = 1 / power.memory_regulator_fraction
    return Board(
        core_w=core * core_factor,
        device_w=device * device_factor,
        die_w=core,
        dram_w=device,
        leakage_w=leakage,
        refresh_w=refresh,
        core_factor=core_factor,
        device_factor=device_factor,
        junction_k=junction,
        idle_w=static_core * core_factor + static_device * device_factor,
        step_s=step_s,
    )


def _settled_k(hardware: HardwareSpec, junction: Scalar) -> Scalar:
    """The temperature leakage is taken at: no more than two e-folds above the junction limit.

    Beyond the limit a design is infeasible whatever its power; without a bound its leakage runs
    away, round by round, to infinity.
    """
    hottest = hardware.cooling.junction_limit_k + 2 * hardware.logic.leakage_temperature_k
    return -smooth.maximum([-junction, -hottest])


def _throttled_s(demand: Demand, hardware, resources: Resources, state: Board) -> Scalar:
    """Shortest step whose power stays within the limit, delivery loss as last seen.

    Idle power at or above the limit leaves no room at any step: `limits` reports that, and the
    small room kept here only keeps the numbers finite.
    """
    core_j = demand.core_j + resources.gated_clock_w * demand.busy_s
    step_j = core_j * state.core_factor + demand.device_j * state.device_factor
    room_w = jnp.maximum(hardware.tdp_w - state.idle_w, LEAST_ROOM * hardware.tdp_w)
    return jnp.maximum(demand.step_s, step_j / room_w)


def host_w(hardware: HardwareSpec, board_w: Scalar, chips: Scalar, switch_w: Scalar) -> Scalar:
    """Host, management and switches per chip, before fans and supplies."""
    host = hardware.host
    groups = smooth.ceiling(chips / host.group_chips)
    shared = host.group_w * groups / chips
    return host.share_w + host.board_fraction * board_w + shared + switch_w


def system_factor(hardware: HardwareSpec) -> Scalar:
    """Wall watts per watt of board or host: fans and power supplies."""
    return (1 + hardware.cooling.fan_fraction) / hardware.host.supply_fraction
