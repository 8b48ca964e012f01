"""Rescale every input by its suffix: every output must rescale by its own.

A hidden constant (a byte count, a nanosecond, a volt in an equation) breaks this at once. Counts
(tokens, FLOPs, values) have no unit to rescale; kelvins are rescaled where no stacked memory is,
since refresh is stated per 10 K.
"""

import dataclasses

import equinox as eqx
import jax
import numpy as np
import pytest

from dse import units
from dse.estimate.step import Design, estimate_step

pytestmark = pytest.mark.usefixtures("float64")
BASE = {"second": 3.7, "byte": 0.31, "joule": 11.0, "volt": 0.6, "meter": 2.3, "usd": 7.0,
        "flop": 1.0, "mac": 1.0, "token": 1.0, "kelvin": 1.0}  # fmt: skip
# Fitted numbers, and counts of bits, whose unit no suffix spells.
UNSPELLED = {
    "area_mm2_per_lane": lambda s: s["mm"] ** 2,
    "sram_growth_j_per_byte": lambda s: s["byte"] ** -0.5,  # joules per byte and root of a bit
    "macro_overhead": lambda s: s["byte"] ** 0.5,
    "state_bits": lambda s: s["byte"],
}
# Names that begin with their unit.
OUTPUTS = {"bytes_per_step": "byte", "capacity": "byte", "flops_per_step": None,
           "j_per_token": "joule", "j_per_token_by_scope": "joule",
           "prefill_j_per_output_token": "joule", "system_tokens_per_s_per_w": "1 / joule",
           "usd_per_million_tokens": "usd"}  # fmt: skip


def scales(kelvin=1.0):
    s = BASE | {"kelvin": kelvin}
    s["watt"] = s["joule"] / s["second"]
    s["ampere"] = s["watt"] / s["volt"]
    s["ohm"] = s["volt"] / s["ampere"]
    s["hertz"], s["mm"] = 1 / s["second"], s["meter"]
    return s


def factor(name, s):
    unit = units.split_suffix(name)[1]
    plain = 1.0 if unit is None else eval(unit, {"__builtins__": {}}, s)
    return plain * UNSPELLED.get(name, lambda _: 1.0)(s)


def rescaled(tree, s):
    """The same tree in other units, field by field."""

    def one(path, value):
        names = [part.name for part in path if isinstance(part, jax.tree_util.GetAttrKey)]
        return value * factor(names[-1], s)

    return jax.tree_util.tree_map_with_path(one, tree)


def leaves(estimate):
    """(name, value, unit) of every output that has one."""
    for field in dataclasses.fields(estimate):
        value = getattr(estimate, field.name)
        if field.name in ("limits", "labels", "placement", "extrapolation", "deployment"):
            continue
        if field.name == "critical_path":
            for stage, (_, seconds) in value.items():
                yield stage, seconds, "second"
            continue
        unit = OUTPUTS.get(field.name, units.split_suffix(field.name)[1])
        for leaf in jax.tree.leaves(value):
            yield field.name, leaf, unit


@pytest.mark.parametrize(
    ("chip", "model", "split", "kelvin"),
    [
        ("h100_sxm", "llama-3.1-70b", {"batch": 16, "tp": 8}, 1.7),
        ("reticle_n3_stacked", "deepseek-v3", {"batch": 64, "tp": 2, "dp": 16, "ep": 8}, 1.0),
        ("sram_macro_stacked_n3", "kimi-k2.5", {"batch": 60, "tp": 16, "pp": 60}, 1.0),
        ("reticle_n3_hbm4", "nemotron-h-56b", {"batch": 4, "tp": 4}, 0.6),
    ],
)  # fmt: skip
def test_outputs_rescale_with_inputs(point, chip, model, split, kelvin):
    s = scales(kelvin)
    design, scenario = point(chip, model, **split)
    before = estimate_step(design, scenario)
    hardware, deployment = rescaled(design.hardware, s), design.deployment
    formats = rescaled(deployment.formats, s)
    formats = eqx.tree_at(lambda f: f.math, formats, deployment.formats.math)
    network = rescaled(scenario.model, s)
    after = estimate_step(
        Design(hardware, dataclasses.replace(deployment, formats=formats)),
        scenario._replace(model=network),
    )
    for (name, old, unit), (_, new, _) in zip(leaves(before), leaves(after), strict=True):
        by = 1.0 if unit is None else eval(unit, {"__builtins__": {}}, s)
        np.testing.assert_allclose(new, old * by, rtol=1e-9, err_msg=name)
    for name, limit in before.limits.items():
        np.testing.assert_allclose(after.limits[name].margin, limit.margin, rtol=1e-9, atol=1e-12,
                                   err_msg=name)  # fmt: skip
