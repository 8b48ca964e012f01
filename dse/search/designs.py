"""Designs of a run: found by id, loaded again, written as changes to their base chip."""

import re
from collections.abc import Mapping
from typing import Any

import jax

from dse.estimate.prepare import Choices
from dse.resources import logic
from dse.search import runs
from dse.specs import load, overrides
from dse.specs.schema import SpecError, nearest


def design(run: runs.Run, identifier: str) -> dict[str, Any]:
    """A design of a run's front by id, or by ``high``, ``low``, ``knee``.

    Raises:
        SpecError: no such design.
    """
    front = run.front()
    named = {"high": "high_efficiency_decoder", "low": "low_latency_decoder", "knee": "knee"}
    key = named.get(identifier, identifier)
    wanted = str(front.get(key)) if key in named.values() else identifier
    for found in front["designs"]:
        if found["id"] == wanted:
            return found
    known = [*named, *(found["id"] for found in front["designs"])]
    hint = nearest(identifier, known)
    raise SpecError(run.name, [f"{identifier!r} is no design of its front{hint}"])


def design_of(run: runs.Run | str, identifier: str):
    """What evaluates a design again: loaded chip, deployment choices, model, workload."""
    run = runs.find(run) if isinstance(run, str) else run
    found = design(run, identifier)
    settings = run.settings()
    hardware = found["hardware"]
    chip = load.load("chips", hardware["base"], overrides_of(found))
    choices = Choices(**found["deployment"])
    return chip, choices, settings.model, settings.workload


def overrides_of(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A design's changes to its base chip as ``--set`` pairs, exact to the last digit.

    What the base states already is left out. A clock at the limit of its voltage is left unset, so
    that it goes on following the voltage when that is changed.
    """
    hardware = found["hardware"]
    choices = list(hardware["choices"].items())
    base = load.load("chips", hardware["base"], choices)
    knobs = [
        (knob["path"], quantity(knob["value"], knob["unit"]))
        for knob in hardware["knobs"]
        if knob["path"] not in base.record or base.record[knob["path"]].number != knob["value"]
    ]
    chip = load.load("chips", hardware["base"], [*choices, *knobs]).spec
    if chip.clock_hz is not None and _clock_follows(chip):
        knobs = [pair for pair in knobs if pair[0] != "clock"]
        if "clock" in base.record:
            knobs.append(("clock", overrides.UNSET))
    return [*choices, *knobs]


def _clock_follows(chip) -> bool:
    """Whether a stated clock is the limit of its voltage, to the rounding of float64."""
    with jax.enable_x64(True):
        limit = float(logic.clock_limit_hz(chip, logic.voltage_v(chip)))
    return abs(chip.clock_hz / limit - 1) < 1e-12


def quantity(value: float, unit: str | None) -> str:
    """A number in SI with its unit, as spec files write it."""
    names = {"byte": "B", "second": "s", "hertz": "Hz", "volt": "V", "watt": "W", "joule": "J",
             "mm**2": "mm2", "meter": "m"}  # fmt: skip
    text = unit or ""
    for long, short in names.items():
        text = re.sub(rf"\b{re.escape(long)}(?!\w)", short, text)
    return f"{value!r} {text.replace(' ', '')}".strip()


def parse_reference(text: str) -> tuple[runs.Run, str]:
    """``RUN#ID`` as a run and a design id.

    Raises:
        SpecError: not of that form, or no such run.
    """
    name, hash_, identifier = text.rpartition("#")
    if not hash_ or not name or not identifier:
        raise SpecError(text, ["wanted RUN#ID, e.g. two-goals#low"])
    return runs.find(name), identifier
