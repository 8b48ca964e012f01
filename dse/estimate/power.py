"""From joules and seconds to watts: temperature, delivery loss, throttling, host, facility."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from dse import smooth
from dse.resources import logic
from dse.resources.table import Resources, Scalar
from dse.specs.hardware import HardwareSpec

LEAST_ROOM = 1e-3  # of the power limit, for chips whose idle power already breaks it
ROUNDS = 2  # Newton steps before the differentiated one; together below 0.01 K where cooling holds
LEAST_PULL = 0.25  # of 1 - d heated / d T, where leakage outruns the cooling


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
    results. The temperature is the one that its own heat brings about, found by Newton steps from
    the coolant's, which approach the cooler of the two roots from below. Gradients are those of
    the fixed point.
    """

    def heated(kelvin):
        return junction_k(hardware, _working(demand, hardware, resources, kelvin))

    junction = hardware.cooling.coolant_k
    for _ in range(ROUNDS):
        junction = _newton(heated, junction)
    # The last step alone is differentiated: by the implicit function theorem that is enough.
    junction = _newton(heated, smooth.fixed(junction))
    return _working(demand, hardware, resources, junction)


def _newton(heated, kelvin: Scalar) -> Scalar:
    """One step towards ``heated(T) = T``; short where leakage would outrun the cooling."""
    start = jnp.asarray(kelvin) * 1.0
    reached, slope = jax.jvp(heated, (start,), (jnp.ones_like(start),))
    return start + (reached - start) / smooth.fixed(jnp.maximum(1 - slope, LEAST_PULL))


def _working(demand: Demand, hardware, resources: Resources, kelvin: Scalar) -> Board:
    """The board at a temperature, its step stretched until the power limit is met."""
    idle = steady(demand._replace(core_j=0.0, device_j=0.0, busy_s=0.0), hardware, resources,
                  kelvin, demand.step_s)  # fmt: skip
    step_s = _throttled_s(demand, hardware, resources, idle)
    return steady(demand, hardware, resources, kelvin, step_s)


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


def _throttled_s(demand: Demand, hardware, resources: Resources, idle: Board) -> Scalar:
    """Shortest step whose power stays within the limit.

    With ``y = 1 / t``, core power is ``S + C y`` and delivery loses the share ``k (S + C y)`` of
    it, so the limit is a quadratic in ``y``. Idle power at or above the limit leaves no room at
    any step: `limits` reports that, and the small room kept here only keeps the numbers finite.
    """
    power = hardware.power
    core_j = demand.core_j + resources.gated_clock_w * demand.busy_s
    loss_per_w = logic.delivery_loss_fraction(hardware, 1.0)
    room_w = jnp.maximum(hardware.tdp_w - idle.idle_w, LEAST_ROOM * hardware.tdp_w)
    square = loss_per_w * core_j**2 / power.regulator_fraction
    line = core_j * (1 + 2 * loss_per_w * idle.die_w) / power.regulator_fraction
    line = line + demand.device_j / power.memory_regulator_fraction
    # The stable form of the positive root: 1 / y = (b + sqrt(b^2 + 4 a c)) / (2 c).
    least_s = (line + smooth.sqrt(line**2 + 4 * square * room_w)) / (2 * room_w)
    return jnp.maximum(demand.step_s, least_s)


def host_w(hardware: HardwareSpec, board_w: Scalar, chips: Scalar, switch_w: Scalar) -> Scalar:
    """Host, management and switches per chip, before fans and supplies."""
    host = hardware.host
    groups = smooth.ceiling(chips / host.group_chips)
    shared = host.group_w * groups / chips
    return host.share_w + host.board_fraction * board_w + shared + switch_w


def system_factor(hardware: HardwareSpec) -> Scalar:
    """Wall watts per watt of board or host: fans and power supplies."""
    return (1 + hardware.cooling.fan_fraction) / hardware.host.supply_fraction
