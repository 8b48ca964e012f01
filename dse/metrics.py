"""Every metric by name: what a study may optimize or constrain, and what help prints.

A metric is a function of an `Estimate`. Its stem (the name without unit) is what a study's
constraints use. Adding one is one entry here.
"""

import dataclasses
from collections.abc import Callable

from dse import units
from dse.estimate.step import Estimate
from dse.resources.table import Scalar


@dataclasses.dataclass(frozen=True)
class Metric:
    """A named scalar of an estimate; the unit is the end of its name."""

    name: str
    better: str  # "max", "min" or "" where it depends
    label: str  # for axes and tables
    definition: str
    of: Callable[[Estimate], Scalar]
    unit: str | None = None  # where the name's suffix does not say it

    def __reduce__(self):
        # By name, since its function has none: settings go to other processes.
        return named, (self.name,)

    @property
    def stem(self) -> str:
        """The name without its unit: what constraints are called."""
        return self.name if self.unit else units.stem(self.name)

    @property
    def quantity(self) -> str | None:
        """The unit as `units.parse` and `units.show` want it."""
        return self.unit or units.split_suffix(self.name)[1]


def _index(*metrics: Metric) -> dict[str, Metric]:
    return {metric.name: metric for metric in metrics}


METRICS = _index(
    Metric(
        "user_tokens_per_s",
        "max",
        "User tokens/s",
        "Output tokens per second one user sees in steady state, the reciprocal of tpot_s. "
        "High at the Low Latency Decoder.",
        lambda e: e.user_tokens_per_s,
        "token / second",
    ),
    Metric(
        "system_tokens_per_s_per_w",
        "max",
        "System tokens/s/W",
        "Output tokens per second of all users of a replica over its average power at that "
        "operating point, the reciprocal of j_per_token. Watts are those of the power scope: "
        "accelerator (board), system (default: and host, switches, NICs, fans, power supplies), "
        "facility (times PUE). High at the High Efficiency Decoder.",
        lambda e: e.system_tokens_per_s_per_w,
        "token / joule",
    ),
    Metric(
        "tpot_s",
        "min",
        "Time per output token",
        "Time between two output tokens of one user in steady state: step time over tokens "
        "accepted per step.",
        lambda e: e.tpot_s,
    ),
    Metric(
        "j_per_token",
        "min",
        "Energy per output token",
        "Energy of the whole replica at the power scope per output token; its breakdown adds up "
        "to it. Only output tokens count.",
        lambda e: e.j_per_token,
        "joule / token",
    ),
    Metric(
        "system_tokens_per_s",
        "max",
        "System tokens/s",
        "Output tokens per second of all users of the replica.",
        lambda e: e.system_tokens_per_s,
        "token / second",
    ),
    Metric(
        "power_w",
        "min",
        "Power of the replica",
        "Average power of all chips of the replica and their share of host, at the power scope, "
        "at that operating point (not TDP).",
        lambda e: e.power_w,
    ),
    Metric(
        "chip_power_w",
        "min",
        "Power of one chip",
        "Average board power of one chip: cores, memory, links and conversion losses.",
        lambda e: e.chip_power_w,
    ),
    Metric(
        "die_area_mm2",
        "min",
        "Area of one die",
        "Area of one die; a reticle holds 858 mm2.",
        lambda e: e.area_mm2,
    ),
    Metric(
        "silicon_mm2",
        "min",
        "Silicon of the replica",
        "Logic dies of all chips of the replica; memory dies not counted.",
        lambda e: e.silicon_mm2,
    ),
    Metric(
        "silicon_per_rate_mm2",
        "min",
        "Silicon per token/s",
        "Silicon of the replica over its tokens per second (mm2_per_token_per_s).",
        lambda e: e.mm2_per_token_per_s,
        "mm**2 * second / token",
    ),
    Metric(
        "heat_flux_w_per_mm2",
        "min",
        "Heat flux",
        "Heat of the die, and of DRAM stacked on it, over die area.",
        lambda e: e.die_power_density_w_per_mm2,
    ),
    Metric(
        "bom_usd",
        "min",
        "Bill of materials",
        "Parts of the whole replica: dies, memory, package, test, switches, host.",
        lambda e: e.cost_usd,
    ),
    Metric(
        "usd_per_million_tokens",
        "min",
        "USD per million tokens",
        "Depreciation of parts and host over the tokens of a lifetime, plus facility electricity.",
        lambda e: e.usd_per_million_tokens,
        "usd",
    ),
    Metric(
        "users_in_flight",
        "",
        "Users in flight",
        "Sequences in flight in the replica (the batch); all their KV is resident.",
        lambda e: e.users_in_flight,
    ),
    Metric(
        "chips",
        "",
        "Chips",
        "Chips of the replica: pp x tp x kvp x dp.",
        lambda e: e.chips,
    ),
    Metric(
        "load",
        "max",
        "Load",
        "Utilization of the pipeline, 0 to 1: on a statically scheduled chip the busy share of the "
        "busiest lane of a stage, at most its fill; elsewhere stages at work over all stages.",
        lambda e: e.load,
    ),
    Metric(
        "junction_k",
        "min",
        "Junction temperature",
        "Coolant temperature plus heat flux times thermal resistance.",
        lambda e: e.junction_k,
    ),
)


def by_stem(stem: str) -> Metric | None:
    """The metric a constraint names (``chip_power``, ``silicon``), or None."""
    return next((m for m in METRICS.values() if stem in (m.stem, m.name)), None)


def named(name: str) -> Metric:
    """The metric of a name."""
    return METRICS[name]
