"""The nearest change that makes an infeasible point feasible, found by trying."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from dse.cli.point import Question
from dse.specs.errors import SpecError

MOST_CHIPS = 1024
MARGIN = 1 + 1e-9


def remedies(question: Question, result: Mapping[str, Any]) -> list[str]:
    """Changes that would help, nearest first, each as words to type."""
    broken = {item["name"]: item for item in result["violations"]}
    found = []
    if "clock" in broken:
        found += _clock(question, broken["clock"])
    for name, option in (("minimum_voltage", "voltage"), ("sram_voltage", "sram_voltage")):
        if name in broken:
            found.append(f"raise {option} to {broken[name]['used']:.3g} V "
                         f"(--set {option}={broken[name]['used']:.3g}V)")  # fmt: skip
    if "clock" not in broken:
        found += _batch(question, result)
        if any(name.startswith("capacity.") for name in broken):
            found += _formats(question) + _splits(question, result) + _context(question, result)
        if broken.keys() & {"heat_flux", "junction", "current_density"}:
            found += _cooler(question)
    return found


def _holds(question: Question, **changed: Any) -> bool:
    """Whether a changed question has an answer within every limit."""
    from dse.estimate import output

    try:
        return output.feasible(question.evaluate(**changed))
    except SpecError:
        return False


def _with(question: Question, **fields: Any) -> dict[str, Any]:
    return {"choices": dataclasses.replace(question.choices, **fields)}


def _last_that_holds(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """Largest count in ``[low, high)`` that holds, given that ``low`` does."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _batch(question: Question, result: Mapping[str, Any]) -> list[str]:
    """Largest batch that fits on the same chips and splits."""
    c = question.choices
    micro = result["micro_batches"] if c.micro_batches is None else c.micro_batches
    unit = int(result["dp"] * micro)

    def holds(groups: int) -> bool:
        return _holds(question, **_with(question, batch=float(groups * unit), tp=result["tp"],
                                        micro_batches=float(micro)))  # fmt: skip

    if result["batch"] < 2 * unit or not holds(1):
        return []
    best = _last_that_holds(1, int(result["batch"] // unit), holds) * unit
    return [f"batch {best} is the largest that fits (--batch {best})"]


def _formats(question: Question) -> list[str]:
    """A narrower KV cache or narrower weights, whichever is enough."""
    for use, wide in (("kv", ("bf16",)), ("weights", ("bf16", "fp8", "int8"))):
        stated = getattr(question.choices, use) or getattr(question.model.spec, use)
        for narrow in ("fp8", "nvfp4"):
            if (
                stated in wide
                and narrow != stated
                and _holds(question, **_with(question, **{use: narrow}))
            ):
                return [f"{use} in {narrow} fits (--{use} {narrow})"]
    return []


def _splits(question: Question, result: Mapping[str, Any]) -> list[str]:
    """More chips: the smallest tensor split, else the shortest pipeline, that fits."""
    for name in ("tp", "pp"):
        size = int(result[name])
        chips = int(result["chips"])
        while chips * 2 <= MOST_CHIPS:
            size, chips = size * 2, chips * 2
            fields = {"tp": result["tp"], name: float(size)}
            if _holds(question, **_with(question, **fields)):
                return [f"{name} {size} fits, on {chips} chips (--{name} {size})"]
    return []


def _context(question: Question, result: Mapping[str, Any]) -> list[str]:
    """The longest context that fits, where the question states one."""
    if question.choices.context is None:
        return []

    def holds(tokens: int) -> bool:
        return _holds(question, **_with(question, context=float(tokens), tp=result["tp"]))

    if not holds(1):
        return []
    tokens = _last_that_holds(1, int(question.choices.context), holds)
    return [f"a context of {tokens} tokens is the longest that fits (--context {tokens})"]


def _clock(question: Question, broken: Mapping[str, Any]) -> list[str]:
    """The voltage whose limit is the stated clock, and the clock of the stated voltage."""
    from dse.resources import logic

    spec = question.chip.spec
    allowed, wanted = broken["allowed"], broken["used"]
    low = float(logic.voltage_v(spec))
    high = 1.6 * float(spec.logic.nominal_voltage_v)
    found = []
    if float(logic.clock_limit_hz(spec, high)) >= wanted > 0:
        for _ in range(40):
            middle = (low + high) / 2
            if float(logic.clock_limit_hz(spec, middle)) >= wanted:
                high = middle
            else:
                low = middle
        volts = -(-high * 1000 // 1) / 1000  # rounded up, so that the printed value suffices
        found.append(f"raise voltage to {volts:.3f} V (--set voltage={volts:.3f}V)")
    if allowed:
        hertz = allowed / 1e9 // 1e-3 * 1e-3
        found.append(f"lower the clock to {hertz:.3f} GHz (--set clock={hertz:.3f}GHz)")
    return found


def _cooler(question: Question) -> list[str]:
    """The highest logic voltage that holds, where the chip states one and its clock follows."""
    spec = question.chip.spec
    if spec.voltage_v is None or spec.clock_hz is not None:
        return []

    def holds(millivolts: int) -> bool:
        changed = dataclasses.replace(spec, voltage_v=millivolts / 1000)
        chip = dataclasses.replace(question.chip, spec=changed)
        return _holds(question, chip=chip)

    floor = round(float(spec.minimum_voltage_v) * 1000) + 1
    here = int(float(spec.voltage_v) * 1000)
    if here <= floor or not holds(floor):
        return []
    volts = _last_that_holds(floor, here, holds) / 1000
    return [f"lower voltage to {volts:.3f} V (--set voltage={volts:.3f}V)"]
