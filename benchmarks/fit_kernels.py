"""Fit the styles of isolated kernels to tables of operator latencies, and write them.

    python benchmarks/fit_kernels.py OP_TABLE.csv.gz ... [--write]

One style per generation over all frameworks and formats: kernels of different libraries differ, so
this is the middle of them. Chips of `NEVER` take no part.
"""

import argparse
import dataclasses
import pathlib

import numpy as np
from scipy.optimize import least_squares

from dse.evidence import ops, tables, written
from dse.evidence.calibrate import UNITS
from dse.evidence.fit import PRIORS, SHARES
from dse.evidence.styles import hardware_of, own_style

NEVER = ("h200_sxm", "b300_sxm", "gb300_nvl72", "mi355x")
MOST_SHAPES = 600  # of a kind on a chip: the rest repeats them
CONSTANTS = ("memory", "cache", "tensor", "link", "projection", "attention", "experts", "exchange",
             "quantize", "quantize_experts", "stage_factor")  # fmt: skip
SUFFIX = {"": "_fraction", "us": "_s"}
# A kernel alone is not a graph: wider, and centred on the public tables' own medians.
MEAN = {name: PRIORS[name].value for name in CONSTANTS} | {
    "attention": 12e-6,
    "exchange": 1e-6,
    "stage_factor": 1.2,
    "projection": 5e-6,
}
SPREAD = 0.5
NOISE = 0.2
ROOT = pathlib.Path(__file__).parents[1] / "hwspecs" / "styles"


def field(name):
    if name == "stage_factor":
        return name
    return name + SUFFIX[UNITS.get(name, "us")]


def under(style, values):
    changes = {field(n): float(np.exp(v)) for n, v in zip(CONSTANTS, values, strict=True)}
    host = dataclasses.replace(style.framework, kernel_factor=1.0)
    return dataclasses.replace(style, framework=host, **changes)


def fitted(groups):
    """Constants of one generation: groups are (kind, hardware, shapes)."""
    mean = np.log([MEAN[name] for name in CONSTANTS])
    measured = [np.array([s.latency_s for s in shapes]) for _, _, shapes in groups]

    def residuals(values):
        parts = []
        for (kind, hardware, shapes), wanted in zip(groups, measured, strict=True):
            found = ops.seconds_under(under(hardware.style, values), kind, hardware, shapes)
            parts.append(np.log(found / wanted) / NOISE / np.sqrt(len(shapes) / 50))
        return np.concatenate([*parts, (values - mean) / SPREAD])

    top = np.array([0.0 if name in SHARES else np.inf for name in CONSTANTS])
    done = least_squares(residuals, mean, bounds=(-np.inf, top), loss="soft_l1", max_nfev=25,
                         diff_step=1e-3)  # fmt: skip
    spread = np.sqrt(np.diag(np.linalg.inv(done.jac.T @ done.jac)))
    return done.x, spread


def text(style, values, spread, groups):
    title = style.removeprefix("gpu_").upper() if style == "gpu_rtx" else style[4:].title()
    rows = [
        f'name = "Single kernels on {title}"',
        f'base = "{style}"',
        'source = "kernel-fit"',
        'about = "Kernels measured alone, for dse validate on tables of operators."',
        "",
    ]
    for name, value, wide in zip(CONSTANTS, values, spread, strict=True):
        ends = written.interval(float(np.exp(value)), wide, 1.0 if name in SHARES else None)
        rows.append(written.line(name, float(np.exp(value)), ends, UNITS.get(name, "us")))
    rows += [
        "",
        "[framework]",
        'base = "serving"',
        'kernel_factor = { value = 1, source = "definition" }',
        "",
        "[facts.calibrated]",
    ]
    pairs = sorted({f'"{chip} {kind}"' for kind, chip in groups})
    return "\n".join([*rows, f"latency_s = [{', '.join(pairs)}]"]) + "\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tables", nargs="+")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    by_style = {}
    for path in given.tables:
        table = tables.read(path)
        shapes, _ = ops.shapes_of(table)
        for chip in sorted({shape.chip for shape in shapes} - set(NEVER)):
            some = [shape for shape in shapes if shape.chip == chip]
            step = max(1, len(some) // MOST_SHAPES)
            by_style.setdefault(own_style(chip), []).append((table.kind, chip, some[::step]))
    for style, groups in by_style.items():
        if style not in ("gpu_ampere", "gpu_hopper", "gpu_blackwell", "gpu_rtx"):
            continue
        held = [(kind, hardware_of(chip, "", None), shapes) for kind, chip, shapes in groups]
        values, spread = fitted(held)
        print(style, {n: f"{np.exp(v):.3g}" for n, v in zip(CONSTANTS, values, strict=True)})
        if given.write:
            place = ROOT / f"isolated_{style}.toml"
            place.write_text(text(style, values, spread, [(k, c) for k, c, _ in groups]))


if __name__ == "__main__":
    main()
