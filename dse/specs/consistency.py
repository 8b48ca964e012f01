"""What a single value cannot show: fields of a spec that do not go together."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

from dse.specs import network
from dse.specs.errors import nearest
from dse.specs.formats import FORMATS

DOMAINS = ("scale_up", "scale_out")
ARITHMETIC = sorted({name for fmt in FORMATS.values() for name in fmt.arithmetic})
STORED = ("weights", "attention_weights", "expert_weights", "head_weights", "kv", "activations")


def problems(kind: str, spec: Any) -> list[str]:
    """Contradictions inside a spec, as sentences; empty where there are none."""
    return CHECKS[kind](spec)


def _chip(spec: Any) -> list[str]:
    found = [
        f"{name}: a chip needs at least one" for name in ("compute", "memory")
        if not getattr(spec, name)
    ]  # fmt: skip
    found += [f"link.{name}: unknown domain{nearest(name, DOMAINS)}"
              for name in spec.link if name not in DOMAINS]  # fmt: skip
    found += [f"link.{name}.radix: {link.radix:g} must be 2 or more"
              for name, link in spec.link.items()
              if link.radix is not None and link.radix < 2]  # fmt: skip
    for name in spec.compute:
        if name not in ARITHMETIC:
            found.append(f"compute.{name}: unknown arithmetic{nearest(name, ARITHMETIC)}")
        found += _arrays(spec.compute, name)
    return found


def _arrays(compute: dict[str, Any], name: str) -> list[str]:
    """A format states MACs or a peak, or runs on the arrays of one that does."""
    seen: list[str] = []
    while compute[name].macs is None and compute[name].peak_flops_per_s is None:
        seen.append(name)
        array = compute[name]
        if array.shares is None or array.shares_rate is None:
            return [f"compute.{name}: state peak, macs, or shares and shares_rate"]
        if array.shares not in compute:
            return [f"compute.{name}.shares: this chip has no {array.shares!r}"
                    f"{nearest(array.shares, [n for n in compute if n != name])}"]  # fmt: skip
        name = array.shares
        if name in seen:
            return [f"compute.{name}.shares: circular: {' -> '.join([*seen, name])}"]
    return []


def _model(spec: network.ModelSpec) -> list[str]:
    found = [] if spec.groups else ["groups: a model needs at least one layer group"]
    for use in STORED:
        name = getattr(spec, use)
        if name is not None and name not in FORMATS:
            found.append(f"{use}: {name!r} is not a number format{nearest(name, FORMATS)}")
    for index, group in enumerate(spec.groups):
        moe = group.feedforward
        if isinstance(moe, network.MixtureOfExperts) and moe.experts_per_token > moe.experts:
            found.append(
                f"groups.{index}.feedforward.experts_per_token: {moe.experts_per_token:g} is more "
                f"than the {moe.experts:g} experts"
            )
    problem = acceptance_problem(spec.acceptance or ())
    return [*found, f"acceptance: {problem}"] if problem else found


def acceptance_problem(shares: Sequence[float]) -> str | None:
    """What is wrong with an acceptance vector: shares of steps that accept each draft."""
    if any(not 0 <= share <= 1 for share in shares):
        return "each share must lie between 0 and 1"
    if any(later > earlier for earlier, later in itertools.pairwise(shares)):
        return ("a later draft is accepted only after the earlier ones, so shares of steps cannot "
                "rise; multiply rates that are conditional")  # fmt: skip
    return None


def _workload(spec: Any) -> list[str]:
    return [] if spec.requests else ["requests: a workload needs at least one kind of request"]


CHECKS: dict[str, Callable[[Any], list[str]]] = {
    "chips": _chip,
    "models": _model,
    "workloads": _workload,
}
