"""What a word on the command line means: a chip, a metric, a law, or a design of a run."""

import importlib
import inspect
from typing import NamedTuple

from dse.cli.point import is_design
from dse.specs import library
from dse.specs.errors import SpecError, nearest

# Law -> the functions that state it; help prints their docstrings.
LAWS = {
    "bill_of_materials": ("dse.resources.packaging:bill_of_materials_usd",),
    "board_memory": ("dse.resources.memory:board",),
    "clock_limit": ("dse.resources.logic:clock_limit_hz", "dse.resources.logic:speed"),
    "clock_tree": ("dse.resources.logic:clock_tree_w",),
    "context": ("dse.estimate.prepare:context_of",),
    "delivery_loss": ("dse.resources.logic:delivery_loss_fraction",),
    "die_yield": ("dse.resources.packaging:die_yield", "dse.resources.packaging:dies_per_wafer"),
    "distinct_experts": ("dse.work.feedforward:distinct_experts",),
    "dynamic_energy": ("dse.resources.logic:energy_factor",),
    "hbm": ("dse.resources.memory:stack",),
    "heat_flux": ("dse.estimate.limits:heat_flux",),
    "imbalance": ("dse.work.imbalance:slot_skew", "dse.work.imbalance:weight_skew",
                  "dse.work.imbalance:context_skew"),
    "junction": ("dse.estimate.power:junction_k",),
    "leakage": ("dse.resources.logic:leakage_w",
                "dse.resources.logic:leakage_temperature_factor"),
    "link_latency": ("dse.resources.links:_stage",),
    "overlap": ("dse.estimate.passes:total", "dse.smooth:maximum"),
    "pipeline": ("dse.estimate.pipeline:pipelined",),
    "prefill": ("dse.estimate.pipeline:prefill",),
    "sram_at_macros": ("dse.resources.memory:macro",),
    "sram_energy": ("dse.resources.logic:sram_energy_factor",),
    "stacked_capacity": ("dse.resources.memory:areal",),
    "stages": ("dse.resources.links:stages", "dse.resources.links:forwarding"),
    "throttling": ("dse.estimate.power:board",),
    "wire_speed": ("dse.resources.logic:wire_m_per_s",),
    "ring": ("dse.work.collectives:ring",),
    "one_shot": ("dse.work.collectives:one_shot",),
    "two_shot": ("dse.work.collectives:two_shot",),
    "tree": ("dse.work.collectives:tree",),
    "in_switch": ("dse.work.collectives:in_switch",),
    "all_gather": ("dse.work.collectives:all_gather",),
    "all_to_all": ("dse.work.collectives:all_to_all",),
    "across_domains": ("dse.work.collectives:across_domains",),
}  # fmt: skip


class Target(NamedTuple):
    """What was meant: ``kind`` is point (a chip or a design) or word (a metric or a law)."""

    kind: str
    name: str


def resolve(text: str) -> Target:
    """What a word means.

    Raises:
        SpecError: nothing of that name; the nearest chip, metric or law.
    """
    if is_design(text):
        return Target("point", text)
    if text in LAWS:
        return Target("word", text)
    try:
        library.locate("chips", text)
        return Target("point", text)
    except SpecError as error:
        if text.endswith(".toml") or "/" in text:
            raise error from None
    metrics = _metrics()
    if text in metrics:
        return Target("word", text)
    known = [*LAWS, *metrics, *library.names("chips")]
    raise SpecError("explain", [f"{text!r} is no chip, metric or law{nearest(text, known)}"])


def _metrics() -> set[str]:
    from dse.metrics import METRICS

    return {word for metric in METRICS.values() for word in (metric.name, metric.stem)}


def explanation(word: str) -> dict:
    """Definition of a metric, statements of a law, or both, as plain text."""
    found: dict = {"schema": "dse.explain/1", "word": word}
    metric = _metric(word)
    if metric is not None:
        from dse import units

        shown = units.show(1.0, metric.quantity).removeprefix("1").strip(" .0")
        better = {"max": "more is better", "min": "less is better"}.get(metric.better, "")
        found |= {"metric": metric.name, "label": metric.label, "definition": metric.definition,
                  "unit": shown, "better": better}  # fmt: skip
    if word in LAWS:
        found["laws"] = [_law(place) for place in LAWS[word]]
    return found


def _metric(word: str):
    from dse.metrics import METRICS, by_stem

    return METRICS.get(word) or by_stem(word)


def _law(place: str) -> dict[str, str]:
    module, _, name = place.partition(":")
    function = getattr(importlib.import_module(module), name)
    text = (inspect.getdoc(function) or "").replace("``", "").replace("`", "")
    return {"function": f"{module}.{name}", "text": text}
