"""Full evaluations and gradients per CPU-second, batched, beside one point at a time.

    python benchmarks/speed.py

An evaluation is a whole estimate: both goals, power, every limit. 1e4 designs a call in columns,
float32. Ratios are against the same model called one point after another (compiled, float64).
"""

import functools
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import dse
from dse import compiled
from dse.estimate.evaluate import prepared
from dse.estimate.step import estimate_step

POINTS, PART, ROUNDS, SINGLE = 10_000, 1_000, 20, 50
CASES = {
    "Llama-3.1-70B on stacked DRAM": ("reticle_n3_stacked", "llama-3.1-70b", {}),
    "Kimi-K2.5 (MLA, MoE) on SRAM and stacked DRAM": (
        "sram_macro_stacked_n3",
        "kimi-k2.5",
        {"tp": 8, "dp": 4, "ep": 32, "batch": 64},
    ),
}


def columns() -> dict[str, jnp.ndarray]:
    """Random designs and batches."""
    rng = np.random.default_rng(0)
    uniform = {"voltage": (0.5, 0.9), "die": (300, 830), "macs": (2e5, 3e6), "lanes": (16, 290),
               "areal": (2e9, 6e10), "cycles": (10, 50), "sram_voltage": (0.6, 0.9)}  # fmt: skip
    drawn = {name: rng.uniform(low, high, POINTS) for name, (low, high) in uniform.items()}
    drawn["batch"] = 2.0 ** rng.integers(4, 10, POINTS)
    return {name: jnp.asarray(column, jnp.float32) for name, column in drawn.items()}


def moved(design, x):
    """A design with the columns' values."""
    return eqx.tree_at(
        lambda d: (
            d.hardware.nominal_voltage_v, d.hardware.die_mm2, d.hardware.compute["fp8"].macs,
            d.hardware.link["scale_up"].lanes,
            d.hardware.memory["dram"].areal_bytes_per_s_per_mm2,
            d.hardware.on_chip.dependent_cycles, d.hardware.sram_voltage_v, d.deployment.batch,
        ),
        design,
        (x["voltage"], x["die"], x["macs"], x["lanes"], x["areal"], x["cycles"],
         x["sram_voltage"], x["batch"]),
    )  # fmt: skip


def rate(function, *arguments) -> tuple[float, float]:
    """(calls' points per CPU-second, CPU-seconds to compile)."""
    start = time.process_time()
    jax.block_until_ready(function(*arguments))
    compiled = time.process_time() - start
    start = time.process_time()
    for _ in range(ROUNDS):
        jax.block_until_ready(function(*arguments))
    return ROUNDS * POINTS / (time.process_time() - start), compiled


def slopes(goals, x):
    """Slopes of both goals in all variables: a reverse pass each, over columns in parts."""

    def of_part(part):
        values, pull = jax.vjp(jax.vmap(goals, out_axes=1), part)
        return [pull(jnp.zeros_like(values).at[goal].set(1.0))[0] for goal in (0, 1)]

    return jax.lax.map(of_part, {name: v.reshape(-1, PART) for name, v in x.items()})


def measure(chip: str, model: str, choices: dict) -> None:
    """Print the rates of one case."""
    design, scenario = prepared(chip, model, "chat-8k", dse.Choices(**choices))

    def goals(x):
        e = estimate_step(moved(design, x), scenario, exponent=32.0)
        return jnp.stack([jnp.log(e.user_tokens_per_s), jnp.log(e.system_tokens_per_s_per_w)])

    def full(x):
        e = estimate_step(moved(design, x), scenario)
        margins = [limit.margin for limit in e.limits.values()]
        return (e.user_tokens_per_s, e.system_tokens_per_s_per_w, e.power_w, e.silicon_mm2,
                functools.reduce(jnp.maximum, margins))  # fmt: skip

    x = columns()
    values, compiling = rate(compiled.quick(jax.vmap(full)), x)
    print(f"  evaluations  {values / 1e6:8.2f} M per CPU-s   compiled in {compiling:.1f} CPU-s")
    gradients, compiling = rate(compiled.quick(functools.partial(slopes, goals)), x)
    print(f"  gradients    {gradients / 1e6:8.3f} M per CPU-s   compiled in {compiling:.1f} CPU-s "
          "(both goals, 8 variables, reverse)")  # fmt: skip
    loaded = (dse.load("chips", chip), dse.load("models", model), dse.load("workloads", "chat-8k"))
    dse.evaluate(*loaded, dse.Choices(**choices))
    start = time.process_time()
    for _ in range(SINGLE):
        dse.evaluate(*loaded, dse.Choices(**choices))
    single = SINGLE / (time.process_time() - start)
    print(f"  one by one   {single:8.0f} per CPU-s         batched is {values / single:,.0f}x")


def main() -> None:
    """Measure every case."""
    for title, (chip, model, choices) in CASES.items():
        print(title)
        measure(chip, model, choices)


if __name__ == "__main__":
    main()
