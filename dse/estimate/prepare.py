"""From what a user says to a deployment: defaults, checks of splits, formats, placement.

Everything here runs once, on plain numbers, before tracing; `estimate_step` sees only the result.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dse import interpreter
from dse.estimate import skew
from dse.resources.provision import provided
from dse.specs import network
from dse.specs.consistency import acceptance_problem
from dse.specs.deployment import Deployment, Formats, Skew
from dse.specs.formats import arithmetic_of, format_of
from dse.specs.hardware import HardwareSpec
from dse.specs.network import ModelSpec
from dse.specs.schema import SpecError, nearest
from dse.specs.workload import Workload
from dse.work import decode
from dse.work.collectives import ALL_REDUCE
from dse.work.split import Context

PREFILL = ("ignored", "interleaved", "disaggregated")
LARGEST = 1e9  # of a batch, a split, a context in tokens: more is a slip of the keyboard
FULL = 0.98  # share of the fastest tier that default placement gives to weights


@dataclasses.dataclass(frozen=True)
class Choices:
    """A deployment as a user states it; None takes the default, which is then printed."""

    batch: float | None = None
    micro_batches: float | None = None
    tp: float | None = None
    kvp: float = 1
    dp: float = 1
    pp: float = 1
    ep: float = 1
    weights: str | None = None
    attention_weights: str | None = None
    expert_weights: str | None = None
    kv: str | None = None
    activations: str | None = None
    math: Mapping[str, str] | None = None  # attention, projection, expert -> arithmetic
    weights_in: Mapping[str, float] | None = None
    kv_in: Mapping[str, float] | None = None
    stripe: float = 1.0
    overlap: float = 0.0
    drafts: int = 0
    acceptance: tuple[float, ...] | None = None
    collective: str = "auto"
    prefill: str = "ignored"
    context: float | None = None


def context_of(workload: Workload, tokens: float | None = None) -> Context:
    """Lengths in steady state: longer outputs are in flight longer, so they weigh more.

    One request averages ``I + (O - 1) / 2``; over a mix each kind weighs share times output.
    """
    requests = workload.requests
    weights = [r.share * r.output_tokens for r in requests]
    shares = tuple(weight / sum(weights) for weight in weights)
    means = tuple(r.input_tokens + (r.output_tokens - 1) / 2 for r in requests)
    of_requests = [r.share / sum(q.share for q in requests) for r in requests]
    inputs = sum(s * r.input_tokens for s, r in zip(of_requests, requests, strict=True))
    outputs = sum(s * r.output_tokens for s, r in zip(of_requests, requests, strict=True))
    stated = workload.context_tokens if tokens is None else tokens
    if stated is not None:
        return Context((stated,), (1.0,), stated + outputs / 2, inputs, outputs)
    ends = sum(s * (r.input_tokens + r.output_tokens) for s, r in zip(shares, requests,
                                                                      strict=True))  # fmt: skip
    return Context(means, shares, ends, inputs, outputs)


def length_variation(workload: Workload, context: Context) -> float:
    """Standard deviation over mean of the lengths in flight: between kinds and along each."""
    if workload.length_variation is not None:
        return workload.length_variation
    mean = context.attended()
    within = sum(
        s * r.output_tokens**2 / 12 for s, r in zip(_in_flight(workload), workload.requests,
                                                    strict=True)
    )  # fmt: skip
    pairs = zip(context.tokens, context.shares, strict=True)
    between = sum(share * (tokens - mean) ** 2 for tokens, share in pairs)
    return math.sqrt(within + between) / mean


def _in_flight(workload: Workload) -> list[float]:
    weights = [r.share * r.output_tokens for r in workload.requests]
    return [weight / sum(weights) for weight in weights]


def deploy(
    hardware: HardwareSpec, model: ModelSpec, workload: Workload, choices: Choices
) -> tuple[Deployment, Context]:
    """The deployment of a model on a chip, every default filled in.

    Raises:
        SpecError: a split that cannot exist, an unknown format or tier; all problems at once.
    """
    context = context_of(workload, choices.context)
    batch = workload.batch if choices.batch is None else choices.batch
    formats = formats_of(hardware, model, choices)
    problems = [*_word_problems(hardware, choices), *_length_problems(context)]
    if problems:
        raise SpecError("deployment", problems)
    for tp in [choices.tp] if choices.tp is not None else _candidates(hardware, model, choices):
        plain = _plain(choices, batch, tp, formats, speculation(model, choices))
        problems = split_problems(model, plain)
        if problems:
            continue
        placed = _placed(hardware, model, context, workload, plain, choices)
        if choices.tp is not None or fits(hardware, model, context, workload, placed):
            break
    if problems:
        raise SpecError("deployment", problems)
    return _skewed(placed, model, workload, context), context


def _skewed(d: Deployment, model: ModelSpec, workload: Workload, context: Context) -> Deployment:
    """With the loads of its fullest ranks."""
    return dataclasses.replace(d, skew=skew.of(model, length_variation(workload, context), d))


def unplaced(
    hardware: HardwareSpec, model: ModelSpec, workload: Workload, choices: Choices
) -> tuple[Deployment | None, list[str]]:
    """A deployment whose placement is left open, for sweeps; None and why if it cannot exist."""
    batch = workload.batch if choices.batch is None else choices.batch
    formats = formats_of(hardware, model, choices)
    plain = _plain(choices, batch, choices.tp, formats, speculation(model, choices))
    problems = [*_word_problems(hardware, choices), *split_problems(model, plain)]
    if problems:
        return None, problems
    context = context_of(workload, choices.context)
    return _skewed(plain, model, workload, context), []


def at_batches(
    model: ModelSpec, workload: Workload, choices: Choices, held: Deployment,
    batches: Sequence[float],
) -> tuple[Deployment, np.ndarray]:  # fmt: skip
    """A deployment at other batches as columns, [point], and which of them are possible, [batch].

    Of what `deploy` fills in, only the micro-batches and the skew follow the batch; weights and KV
    cache stay where ``held`` has them.
    """
    batch = np.array(batches, float)
    micro = np.array([_micro_batches(choices, b) for b in batches], float)
    columns = dataclasses.replace(held, batch=batch, micro_batches=micro)
    possible = split_possible(model, columns)
    batch, micro = batch[possible], micro[possible]
    variation = length_variation(workload, context_of(workload, choices.context))
    skews = skew.at_batches(model, variation, held, batch, micro)
    columns = dataclasses.replace(held, batch=batch, micro_batches=micro, skew=skews)
    return columns, possible


def _candidates(hardware: HardwareSpec, model: ModelSpec, choices: Choices) -> list[int]:
    """Powers of two inside the scale-up domain that divide the heads, smallest first."""
    up = hardware.link.get("scale_up")
    room = (up.chips if up is not None else 1) / (choices.kvp * choices.dp)
    sizes = [2**i for i in range(int(math.log2(max(room, 1))) + 1)]
    heads = [h for h in _heads(model) if h]
    good = [tp for tp in sizes if all(h % tp == 0 for h in heads)]
    return good or [1]


def _heads(model: ModelSpec) -> list[float]:
    found = []
    for group in model.groups:
        attention = group.attention
        for field in ("heads", "value_heads"):
            found.append(getattr(attention, field, 0))
    return found


def format_names(model: ModelSpec, choices: Choices) -> dict[str, str]:
    """The storage format of each use: as stated, else as the model is published."""
    plain = choices.weights or model.weights
    said = choices.weights  # a stated weight format also holds for parts the model names apart
    return {
        "weights": plain,
        "attention_weights": choices.attention_weights or said or model.attention_weights or plain,
        "expert_weights": choices.expert_weights or said or model.expert_weights or plain,
        "head_weights": said or model.head_weights or plain,
        "kv": choices.kv or model.kv,
        "activations": choices.activations or model.activations,
    }


def formats_of(hardware: HardwareSpec, model: ModelSpec, choices: Choices) -> Formats:
    """Bytes per value by use, and the arithmetic each use runs in on this chip."""
    names = format_names(model, choices)
    attention, expert = names["attention_weights"], names["expert_weights"]
    plain, head, cache, moved = (names[k] for k in ("weights", "head_weights", "kv", "activations"))
    available = list(hardware.compute)
    stated = dict(choices.math or {})
    math_by_use = {}
    for use, stored in (("attention", cache), ("projection", attention), ("expert", expert)):
        name = stated.get(use) or arithmetic_of(stored, available)
        if name not in available:
            raise SpecError("math", [f"{use}: this chip has no {name}{nearest(name, available)}"])
        math_by_use[use] = {a: 1.0 if a == name else 0.0 for a in available}
    narrow = min(format_of(expert).bytes, format_of(moved).bytes)
    return Formats(
        attention_bytes=format_of(attention).bytes,
        expert_bytes=format_of(expert).bytes,
        dense_bytes=format_of(plain).bytes,
        head_bytes=format_of(head).bytes,
        kv_bytes=format_of(cache).bytes,
        activation_bytes=format_of(moved).bytes,
        # Tokens travel to experts in fp8 where experts are stored in 8 bits or fewer.
        dispatch_bytes=min(format_of(moved).bytes, max(narrow, 1.0)),
        math=math_by_use,
    )


def speculation(model: ModelSpec, choices: Choices) -> tuple[float, float, float]:
    """(tokens accepted per step, query tokens per step, extra layer passes)."""
    vector = choices.acceptance or model.acceptance or ()
    drafts = choices.drafts or len(choices.acceptance or ())
    if drafts > len(vector):
        raise SpecError("drafts", [f"{drafts} draft tokens, but the acceptance vector has "
                                   f"{len(vector)}; state --acceptance"])  # fmt: skip
    used = vector[:drafts]
    problem = acceptance_problem(used)
    if problem:
        raise SpecError("acceptance", [f"acceptance: {problem}"])
    per_draft = 1.0 if model.draft_layers is None else model.draft_layers
    return 1.0 + sum(used), 1.0 + drafts, drafts * per_draft


def _plain(choices: Choices, batch, tp, formats: Formats, speculation) -> Deployment:
    accepted, queries, draft_layers = speculation
    return Deployment(
        batch=float(batch),
        micro_batches=_micro_batches(choices, batch),
        tp=float(tp),
        kvp=float(choices.kvp),
        dp=float(choices.dp),
        pp=float(choices.pp),
        ep=float(choices.ep),
        formats=formats,
        skew=Skew({}, {}, 1.0),
        weights_in={},
        kv_in={},
        stripe_fraction=float(choices.stripe),
        overlap=float(choices.overlap),
        accepted=accepted,
        queries=queries,
        draft_layers=draft_layers,
        collective=choices.collective,
        prefill=choices.prefill,
    )


def _micro_batches(choices: Choices, batch: float) -> float:
    """As stated, else one per pipeline stage, and no more than there are sequences."""
    if choices.micro_batches is not None:
        return float(choices.micro_batches)
    return float(min(choices.pp, max(batch / choices.dp, 1)))


def _word_problems(hardware: HardwareSpec, choices: Choices) -> list[str]:
    problems = []
    if choices.collective != "auto" and choices.collective not in ALL_REDUCE:
        problems.append(f"collective: {choices.collective!r} is unknown"
                        f"{nearest(choices.collective, ['auto', *ALL_REDUCE])}")  # fmt: skip
    if choices.prefill not in PREFILL:
        problems.append(
            f"prefill: {choices.prefill!r} is unknown{nearest(choices.prefill, PREFILL)}"
        )
    for name, low in (("overlap", 0.0), ("stripe", 1e-6)):
        value = getattr(choices, name)
        if not low <= value <= 1:
            problems.append(f"{name}: {value:g} must lie between 0 and 1")
    for what in ("weights_in", "kv_in"):
        placed = getattr(choices, what)
        for tier in placed or {}:
            if tier not in hardware.memory:
                problems.append(f"{what}: no memory tier {tier!r}{nearest(tier, hardware.memory)}")
        if placed and abs(sum(placed.values()) - 1) > 1e-6:
            problems.append(f"{what}: shares add up to {sum(placed.values()):g}, not 1")
    return problems


def _length_problems(context: Context) -> list[str]:
    mean = context.attended()
    if not 1 <= mean <= LARGEST:
        return [f"context: {mean:g} tokens; must lie between 1 and {LARGEST:g}"]
    return []


def split_problems(model: ModelSpec, d: Deployment) -> list[str]:
    """Why a split cannot exist, in words; empty where it can."""
    problems = []
    for name in ("batch", "tp", "kvp", "dp", "pp", "ep", "micro_batches"):
        value = getattr(d, name)
        if not 1 <= value <= LARGEST or value != int(value):
            problems.append(f"{name}: {value:g} must be a whole number from 1 to {LARGEST:g}")
    if problems:
        return problems
    for heads in sorted({h for h in _heads(model) if h and h % d.tp}):
        problems.append(f"tp: {d.tp:g} does not divide {heads:g} attention heads")
    if d.stage_chips % d.ep:
        problems.append(f"ep: {d.ep:g} does not divide the {d.stage_chips:g} chips of a stage "
                        "(tp x kvp x dp)")  # fmt: skip
    experts = [g.feedforward.experts for g in model.groups
               if isinstance(g.feedforward, network.MixtureOfExperts)]  # fmt: skip
    if experts and d.ep > min(experts):
        problems.append(f"ep: {d.ep:g} is more than the {min(experts):g} experts")
    layers = sum(group.layers for group in model.groups)
    if d.pp > layers:
        problems.append(f"pp: {d.pp:g} is more than the {layers:g} layers")
    if d.batch % (d.dp * d.micro_batches):
        problems.append(f"batch: {d.batch:g} does not divide over dp {d.dp:g} and "
                        f"{d.micro_batches:g} micro-batches")  # fmt: skip
    return problems


def split_possible(model: ModelSpec, d: Deployment) -> np.ndarray:
    """Which of some deployments in columns `split_problems` finds nothing against."""
    counts = np.broadcast_arrays(d.batch, d.tp, d.kvp, d.dp, d.pp, d.ep, d.micro_batches)
    good = np.all([(c >= 1) & (c <= LARGEST) & (c == np.floor(c)) for c in counts], axis=0)
    for heads in {h for h in _heads(model) if h}:
        good &= heads % d.tp == 0
    good &= d.stage_chips % d.ep == 0
    experts = [g.feedforward.experts for g in model.groups
               if isinstance(g.feedforward, network.MixtureOfExperts)]  # fmt: skip
    if experts:
        good &= d.ep <= min(experts)
    good &= d.pp <= sum(group.layers for group in model.groups)
    return good & (d.batch % (d.dp * d.micro_batches) == 0)


# --- placement ----------------------------------------------------------------------------------


def _placed(hardware, model, context, workload, d: Deployment, choices: Choices) -> Deployment:
    """Where weights and KV live: as stated, else weights in the fastest tier as far as they fit."""
    if choices.weights_in is not None and choices.kv_in is not None:
        tiers = dict.fromkeys(hardware.memory, 0.0)
        return dataclasses.replace(
            d,
            weights_in=_stated(choices.weights_in, tiers),
            kv_in=_stated(choices.kv_in, tiers),
        )
    resources = provided(hardware, d.chips)
    tiers = resources.tiers
    weights, _ = resident_bytes(model, context, workload, d)
    fastest = min(tiers, key=lambda name: float(resources.seconds[name]))
    largest = max(tiers, key=lambda name: float(tiers[name].capacity_bytes))
    share = min(1.0, FULL * float(tiers[fastest].capacity_bytes) / weights)
    if fastest == largest:
        share = 1.0
    in_fast = dict.fromkeys(tiers, 0.0)
    in_fast[largest] = 1.0 - share
    in_fast[fastest] += share
    in_large = {name: 1.0 if name == largest else 0.0 for name in tiers}
    return dataclasses.replace(
        d,
        weights_in=_stated(choices.weights_in, in_fast),
        kv_in=_stated(choices.kv_in, in_large),
    )


def _stated(placed: Mapping[str, float] | None, otherwise: dict[str, float]) -> dict[str, float]:
    if placed is None:
        return otherwise
    return {name: float(placed.get(name, 0.0)) for name in otherwise}


def resident_bytes(model, context, workload, d: Deployment) -> tuple[float, float]:
    """Bytes of weights and of KV cache on one chip, on plain numbers."""
    unplaced = dataclasses.replace(d, weights_in={}, kv_in={})  # one structure, placed or not
    given = (model, context, unplaced, workload.reserve_fraction)
    weights, cache = interpreter.program(_resident_bytes, *given)(*given)
    return float(weights), float(cache)


def _resident_bytes(model: ModelSpec, context: Context, d: Deployment, reserve_fraction: Any):
    ops = decode.decode_ops(model, context, d)
    stages = d.pp / decode.stage_skew(model, d)  # the fullest stage counts
    weights = sum(decode.stored_bytes(op, d) for op in ops) / stages
    values = sum(op.layers * op.kv_stored_values for op in ops) * d.formats.kv_bytes
    states = sum(op.layers * op.state_stored_bytes for op in ops)
    sequences = d.batch / d.dp / stages * (1 + reserve_fraction)
    return weights, (values + states) * sequences


def fits(hardware, model, context, workload, d: Deployment) -> bool:
    """Whether weights and KV of all users fit in memory, tier by tier."""
    weights, cache = resident_bytes(model, context, workload, d)
    tiers = provided(hardware, d.chips).tiers
    return all(
        weights * d.weights_in[name] + cache * d.kv_in[name] <= float(tier.capacity_bytes)
        for name, tier in tiers.items()
    )
