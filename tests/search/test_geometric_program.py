"""The certificate against a geometric program written by hand and solved by someone else's code.

Llama-3.1-8B on one reticle of stacked DRAM, voltage and bandwidth per area held: what is left to
choose is die, clock and pace. Times, energies and limits below are typed in from the equations of
the documentation, over the work table and the numbers of the specs; nothing is shared with
`dse.search.convex`. cvxpy checks that each line is of a form it can solve to the optimum.
"""

import numpy as np
import pytest

from dse.resources import logic
from dse.search import sweeps
from dse.search.certificate import Level, Tree
from dse.work import decode

cp = pytest.importorskip("cvxpy", reason="needs cvxpy: pip install 'dse[test]'")

# Rail in volts, areal bandwidth in bytes/s/mm2, batch, user tokens/s.
CASES = [(0.6, 10e9, 8, 300.0), (0.8, 40e9, 4, 500.0), (0.55, 15e9, 64, 120.0)]


def point_of(form, batch):
    """The deployment of one chip with a batch."""
    table = form.evaluator.points
    return int(np.flatnonzero((table["batch"] == batch) & (table["tp"] == 1))[0])


COUNTS = ("layers", "tensor_flops", "vector_flops", "exponentials", "dependent_ops",
          "die_crossings", "memory_waits", "weight_skew", "kv_skew", "flops_skew")  # fmt: skip


class Work:
    """What a step asks of one chip: its operators as plain numbers, and the bytes it holds."""

    def __init__(self, form, batch):
        evaluator, point = form.evaluator, point_of(form, batch)
        d = evaluator.grid.columns
        ops = decode.decode_ops(evaluator.settings.model.spec, evaluator.grid.context, d)

        def number(value):
            return float(np.broadcast_to(np.asarray(value, float), len(evaluator.grid))[point])

        self.rows = [
            {name: number(getattr(op, name)) for name in COUNTS}
            | {
                "mix": {k: number(share) for k, share in d.formats.math[op.math].items()},
                "weights": number(op.read_values * decode.weight_bytes(op, d)),
                "cache": number((op.kv_read_values + op.kv_write_values) * d.formats.kv_bytes),
                "activations": number(op.activation_values * d.formats.activation_bytes),
            }
            for op in ops
        ]
        reserve = 1 + evaluator.settings.workload.spec.reserve_fraction
        cache = sum(number(op.layers * op.kv_stored_values * d.formats.kv_bytes) for op in ops)
        self.held_bytes = sum(number(decode.stored_bytes(op, d)) for op in ops)
        self.held_bytes += cache * batch * reserve

    def total(self, name):
        """A column summed over operators and layers."""
        return sum(op["layers"] * op[name] for op in self.rows)


class Chip:
    """The reticle as expressions of what is left to choose: die, clock, pace, junction, watts."""

    def __init__(self, spec, rail, areal):
        self.spec, self.rail, self.areal = spec, rail, areal
        self.die, self.clock, self.pace = (cp.Variable(pos=True) for _ in range(3))
        self.kelvin, self.core_w, self.device_w = (cp.Variable(pos=True) for _ in range(3))
        self.side = self.die**0.5
        self.v2 = (rail / spec.logic.nominal_voltage_v) ** 2
        fp8 = spec.compute["fp8"].macs
        self.macs = {k: fp8 if k == "fp8" else a.shares_rate * fp8 for k, a in spec.compute.items()}
        self.limit_hz = float(logic.clock_limit_hz(spec, rail))
        up, dram = spec.link["scale_up"], spec.memory["dram"]
        self.link = up.lanes * up.lane_rate_bytes_per_s
        used = areal / (dram.layers * dram.technology.layer_bandwidth_bytes_per_s_per_mm2)
        density = dram.technology.density_bytes_per_mm2
        self.capacity = dram.layers * density * (1 - used) * self.die

    def times(self, op):
        """Seconds of an operator: its longest lane, and what waits."""
        s, chip = self.spec, self.spec.on_chip
        tensor = sum(x * op["tensor_flops"] / (2 * self.macs[k]) for k, x in op["mix"].items())
        lanes = (
            op["vector_flops"] / (2 * s.vector.lanes) + op["exponentials"] / s.vector.exponentials
        )
        stream = (op["weights"] * op["weight_skew"] + op["cache"] * op["kv_skew"]) / self.areal
        found = [(tensor * op["flops_skew"], self.clock), (lanes * op["flops_skew"], self.clock),
                 (stream, self.die)]  # fmt: skip
        busy = [size / rate for size, rate in found if size > 0]
        wire = chip.wire_m_per_s * (self.limit_hz / s.logic.nominal_clock_hz) ** chip.wire_exponent
        crossing = 2e-3 * self.side / wire + 2 * np.log2(chip.tiles) / self.clock
        waits = [(op["dependent_ops"], chip.dependent_cycles / self.clock),
                 (op["die_crossings"], crossing),
                 (op["memory_waits"], s.memory["dram"].technology.latency_s)]  # fmt: skip
        longest = [cp.maximum(*busy) if len(busy) > 1 else busy[0]] if busy else []
        return longest, [count * wait for count, wait in waits if count > 0]

    def core_j(self, work):
        """Moved bytes, arithmetic, and the staging of activations, of a step."""
        s, v2 = self.spec, self.v2
        t, wire, stage = s.memory["dram"].technology, s.logic.wire_j_per_byte_per_mm, s.power
        way = stage.stage_j_per_byte * v2 + wire * t.travel_fraction * v2 * self.side
        found = (work.total("weights") + work.total("cache")) * (t.phy_j_per_byte + way)
        flops_j = sum(op["layers"] * op["tensor_flops"] * x * s.compute[k].energy_j_per_mac / 2
                      for op in work.rows for k, x in op["mix"].items())  # fmt: skip
        lanes = work.total("vector_flops") / 2 + work.total("exponentials")
        found += (flops_j + lanes * s.vector.energy_j_per_mac) * s.logic.energy_scale * v2
        return found + work.total("activations") * v2 * (stage.stage_j_per_byte
                                                         + 2 * wire * self.side)  # fmt: skip

    def core_needs_w(self, work, busy):
        """Leakage at the junction, clock tree, links, all that is on, and what a step spends."""
        n, power, rail = self.spec.logic, self.spec.power, self.rail
        lane = self.spec.link["scale_up"].technology
        grown = np.exp((rail - n.nominal_voltage_v) / n.leakage_voltage_v) * rail
        cold = np.exp(-n.reference_temperature_k / n.leakage_temperature_k)
        leakage = n.leakage_w_per_mm2 * grown / n.nominal_voltage_v * cold * self.die
        tree = power.clock_tree_w_per_mm2 * self.v2 / n.nominal_clock_hz * self.die * self.clock
        floor = power.clock_floor_fraction
        found = leakage * cp.exp(self.kelvin / n.leakage_temperature_k) + tree * floor
        found += self.link * lane.energy_j_per_byte * lane.always_on_fraction + power.uncore_w
        gated = tree * (1 - floor) * power.activity_fraction * busy
        return found + (gated + self.core_j(work)) / self.pace

    def device_needs_w(self, work):
        """Refresh, which doubles every 10 K, and bytes read."""
        t = self.spec.memory["dram"].technology
        doubled = cp.exp(self.kelvin * np.log(2) / 10) * 2 ** (-t.refresh_temperature_k / 10)
        moved = work.total("weights") + work.total("cache")
        return (
            t.refresh_w_per_byte * self.capacity * doubled + moved * t.read_j_per_byte / self.pace
        )

    def board_w(self):
        """Both rails at the board's input, with the loss of delivery."""
        power = self.spec.power
        loss = power.delivery_ohm_mm2 / self.rail**2 * self.core_w / self.die
        core = self.core_w * (1 + loss) / power.regulator_fraction
        return core + self.device_w / power.memory_regulator_fraction

    def limits(self, work, speed, step, busy):
        """Every limit that a design chip has to keep."""
        s, die, lane = self.spec, self.die, self.spec.link["scale_up"].technology
        scale, plan, cooling = s.logic.area_scale, s.floorplan, s.cooling
        area = s.compute["fp8"].area_mm2_per_mac * self.macs["fp8"] * scale
        area += s.vector.lanes * s.vector.area_mm2_per_lane * scale + plan.control_mm2 * scale
        area += self.link * lane.phy_mm2_s_per_byte
        per_lane = s.link["scale_up"].lane_rate_bytes_per_s / lane.reference_lane_bytes_per_s
        edge = self.link / (lane.edge_bytes_per_s_per_mm * per_lane)
        flux = (self.core_w + self.device_w) / die
        hottest = s.memory["dram"].technology.heat_limit_w_per_mm2
        return [
            self.core_needs_w(work, busy) <= self.core_w,
            self.device_needs_w(work) <= self.device_w,
            step <= self.pace,
            self.pace <= 1 / speed,
            self.clock <= self.limit_hz,
            area + (plan.noc_fraction + plan.fixed_fraction) * die <= die,
            edge <= s.packaging.edge_fraction * 4 * self.side,
            work.held_bytes <= self.capacity,
            self.board_w() <= s.tdp_w,
            cooling.coolant_k + cooling.resistance_k_mm2_per_w * flux <= self.kelvin,
            self.kelvin <= cooling.junction_limit_k,
            flux <= min(cooling.heat_limit_w_per_mm2, hottest),
            self.core_w / die <= s.power.current_limit_a_per_mm2 * self.rail,
        ]


def least(form, rail, areal, batch, speed, follows=False):
    """The least energy per token of a batch on one chip, in joules, and its die.

    The clock lies at the limit of its voltage where it ``follows``, else at or below it.
    """
    spec, work = form.evaluator.family.loaded.spec, Work(form, batch)
    chip = Chip(spec, rail, areal)
    times = [(op["layers"], *chip.times(op)) for op in work.rows]
    busy = sum(layers * x for layers, longest, _ in times for x in longest)
    step = busy + sum(layers * x for layers, _, waits in times for x in waits)
    axis = next(a for a in form.axes if a.path == "die")
    limits = [*chip.limits(work, speed, step, busy), axis.low <= chip.die, chip.die <= axis.high]
    limits += [chip.clock == chip.limit_hz] if follows else []
    host, factor = spec.host, (1 + spec.cooling.fan_fraction) / spec.host.supply_fraction
    system_w = chip.board_w() * (1 + host.board_fraction) + host.share_w + host.group_w
    problem = cp.Problem(cp.Minimize(factor * system_w * chip.pace / batch), limits)
    assert problem.is_dgp()
    problem.solve(gp=True)
    assert problem.status == "optimal"
    return problem.value, float(chip.die.value)


@pytest.mark.parametrize(("rail", "areal", "batch", "speed"), CASES)
def test_bound_and_best_design_meet_the_optimum_of_a_program_written_by_hand(
    form, tools, rail, areal, batch, speed
):
    joules, _ = least(form, rail, areal, batch, speed)
    held = {"voltage": np.log(rail), "memory.dram.areal": np.log(areal)}
    roots = form.roots(-np.log(speed), np.array([point_of(form, batch)]))
    for column, axis in enumerate(form.axes):
        if axis.path in held:
            roots.low[:, column] = roots.high[:, column] = held[axis.path]
    middle = 0.5 * (roots.low + roots.high)[0, :-1]
    tree = Tree(form, roots, middle, Level(np.log(speed), np.inf))
    tree.grow(Level(np.log(speed), np.inf), 200)
    # Below it by what a program stops short of, and by the refresh of what is not used.
    assert -0.003 < tree.worst.least - np.log(joules) < 1e-4
    joules, die = least(form, rail, areal, batch, speed, follows=True)
    best = best_of_many(form, tools[0], (rail, areal, batch, speed), die)
    assert best == pytest.approx(np.log(joules), abs=0.002)


def best_of_many(form, evaluator, case, die):
    """The least log J/token that the model itself gives, over dies around one."""
    rail, areal, batch, speed = case
    dies = np.geomspace(0.97 * die, 1.03 * die, 97)
    values = {"voltage": rail, "memory.dram.areal": areal, "die": dies}
    family, at = evaluator.family, point_of(form, batch)
    designs = np.column_stack([np.broadcast_to(values[a.path], len(dies)) for a in family.axes])
    swept = sweeps.sweep(evaluator, np.clip(family.unit_cube(designs), 0, 1))
    good = (swept.broken[:, at] <= 0) & (swept.goals[0][:, at] >= np.log(speed) - 1e-4)
    return -swept.goals[1][good, at].max()
