"""Fit the shipped GPU styles and frameworks to a table of measured decode, and write them.

    python benchmarks/fit_styles.py DATA.csv.gz [--write --power] [--leave-out] [--left-over]

Constants of generations are offsets from shared ones, constants of frameworks are shared by all
generations (`dse.evidence.fit.many_styles`). Chips of `NEVER` take no part in any case.
"""

import argparse
import pathlib

import numpy as np
import pandas as pd

from dse.evidence import coverage, electric, fit, tables, validate, written
from dse.evidence.columns import case_of
from dse.evidence.features import Features, features_of
from dse.evidence.points import LeftOutError
from dse.evidence.scores import scores
from dse.evidence.styles import own_style
from dse.specs import library

NEVER = ("h200_sxm", "b300_sxm", "gb300_nvl72", "mi355x", "h800_sxm", "h20_sxm", "vr200_nvl72")
ROOT = pathlib.Path(__file__).parents[1] / "hwspecs"
STYLES = {
    "gpu_ampere": "GPU kernels on Ampere",
    "gpu_hopper": "GPU kernels on Hopper",
    "gpu_blackwell": "GPU kernels on Blackwell",
    "gpu_cdna": "GPU kernels on CDNA3 and CDNA4",
    "gpu_rtx": "GPU kernels on cards with GDDR memory",
    "gpu_apple": "GPU kernels on Apple silicon",
}
FRAMEWORKS = {
    "vllm": "vLLM 0.12 and later",
    "vllm_2025": "vLLM 0.8 to 0.11",
    "vllm_2024": "vLLM of 2024, serving",
    "sglang": "SGLang of 2025-2026",
    "trtllm": "TensorRT-LLM of 2025-2026",
    "sglang_disaggregated": "Decode workers of disaggregated SGLang",
    "trtllm_disaggregated": "Decode workers of disaggregated TensorRT-LLM",
    "vllm_disaggregated": "Decode workers of disaggregated vLLM",
    "gpt_fast": "gpt-fast, compiled PyTorch",
    "llama_cpp": "llama.cpp",
}
# Geometric means of frameworks: what a chip runs under unless a row names one, and what decode
# workers of a framework without a fit do.
MEANS = {
    "serving": ("A serving framework of 2026", ("vllm", "sglang", "trtllm")),
    "disaggregated": ("Decode workers of disaggregated serving",
                      ("vllm_disaggregated", "sglang_disaggregated", "trtllm_disaggregated")),
}  # fmt: skip
TODAY = MEANS["serving"][1]
# Data-center parts without a measured board; half of their silicon is cache and links below the
# compute dies, and their limit per area is as much lower.
UNMETERED, UNMETERED_SHARE = ("gpu_cdna",), 0.6
UNKNOWN_POWER = electric.PowerFit(electric.PRIOR_W_PER_MM2,
                                  dict.fromkeys(electric.CONSTANTS, 0.06))  # fmt: skip
UNMETERED_NOTE = "not measured: six tenths of the mean of Ampere, Hopper and Blackwell"
SHARED = ("tensor", "prefill", "prompt_layer", "link", "quantize", "quantize_experts",
          "stage_factor", "convert", "routing_exponent")  # fmt: skip
# Chips with a sibling of their generation in the fit when they are left out.
SIBLINGS = ("gb200_nvl72", "b200_sxm", "a100_sxm_40gb", "a100_sxm")
MOST_OF_A_SIBLING = 60  # each counts alike
Z_80 = 1.2816  # standard deviations that hold 80 % of a normal
FEW = 15  # rows of a metric below which a style takes what all leave open
SECONDS = ("projection", "attention", "experts", "exchange", "quantize", "quantize_experts",
           "prompt_layer")  # fmt: skip
KEYS = {"memory": "memory", "tensor": "tensor", "link": "link", "cache": "cache",
        "prefill": "prefill", "stage_factor": "stage_factor", "convert": "convert",
        "routing_exponent": "routing_exponent"}  # fmt: skip


def usable(path):
    """Points of the chips that may take part, decoding as measured, with their cases."""
    points, _ = validate.read_points(tables.read(path).rows)
    kept = []
    for point in points:
        if point.chip in NEVER or not own_style(point.chip).startswith("gpu_"):
            continue
        try:
            decoding = point.decoding(point.measured["tpot_s"]) if point.first_token_s else point
            time = case_of(decoding, "interleaved" if point.prefill_in_time else "ignored")
            energy = case_of(decoding, validate.ENERGY_PREFILL.get(point.suite, "interleaved"))
        except LeftOutError:
            continue
        kept.append((point, time, energy))
    return kept


def joint(kept, features, keep):
    """The joint fit of the rows in ``keep``; the plan covers all rows, so any can be predicted."""
    generations = [own_style(point.chip) for point, *_ in kept]
    hosts = [point.framework if point.framework in FRAMEWORKS else "vllm" for point, *_ in kept]
    plan = fit.many_styles(generations, hosts)
    labels = [f"{p.suite} {p.chip} {p.model} {p.framework}" for p, *_ in kept]
    some = plan._replace(design={name: matrix[keep] for name, matrix in plan.design.items()})
    part = Features(*({k: v[keep] for k, v in table.items()} for table in features))
    measured = np.array([point.measured["tpot_s"] for point, *_ in kept])
    weights = fit.weights_of([label for label, used in zip(labels, keep, strict=True) if used])
    found = fit.fit(part, measured[keep], some, weights)
    return found._replace(plan=plan), np.asarray(fit.predicted_s(features, plan, found.values))


def leave_out(kept, features):
    """Errors on each chip and each model that the fit did not see."""
    measured = np.array([point.measured["tpot_s"] for point, *_ in kept])
    for what in ("chip", "model"):
        names = np.array([getattr(point, what) for point, *_ in kept])
        for name in sorted(set(names)):
            out = names == name
            if out.sum() >= 4:
                _, predicted = joint(kept, features, ~out)
                found = scores(predicted[out], measured[out])
                print(
                    f"without {what} {name}: n {found['n']}  MAPE {100 * found['mape']:.1f}  "
                    f"bias {100 * found['bias']:.1f}  p90 {100 * found['p90']:.1f}",
                    flush=True,
                )


# --- writing ------------------------------------------------------------------------------------


def line(key, value, spread, unit="", note="", most=None):
    """One value with its 90 % interval."""
    value = value if most is None else min(value, most)
    return written.line(key, value, written.interval(value, spread, most), unit, note)


def unsure(found, *names):
    """What the data say about a constant whose value is its prior."""
    alone = set(found.unidentified())
    return "not identified by the data: its prior" if set(names) <= alone else ""


def generation_lines(found, style):
    rows = []
    for constant in fit.GENERATION_SPREADS:
        names = [constant] + ([f"{constant} of {style}"] if style else [])
        names = [name for name in names if name in found.plan.names]
        value, spread = found.constant(*names)
        unit = "us" if constant in SECONDS else ""
        rows.append(
            line(constant, value, spread, unit, unsure(found, *names), None if unit else 1.0)
        )
    return rows


def shared_lines(found):
    rows = []
    for constant in SHARED:
        value, spread = found.constant(constant)
        unit = "us" if constant in SECONDS else ""
        unit = "flop" if constant == "convert" else unit
        most = 1.0 if constant in fit.SHARES else None
        rows.append(line(constant, value, spread, unit, unsure(found, constant), most))
    return rows


def power_lines(fitted, note="", scale=1.0):
    return [
        written.power_line(name, scale * value, scale * fitted.spreads[name], note)
        for name, value in fitted.values.items()
    ]


def seen(kept, style, metric):
    pairs = sorted(
        {
            f"{p.chip} {p.model}"
            for p, *_ in kept
            if metric in p.measured and own_style(p.chip) == style
        }
    )
    return f"{metric} = [" + ", ".join(f'"{pair}"' for pair in pairs) + "]"


def write(kept, found, powers, shared_power):
    """Every style and framework file."""
    head = 'name = "GPU kernels in a captured graph"\nsource = "decode-fit"\n'
    about = "Means over generations, for a GPU of none of the fitted ones."
    base = [
        head + f'about = "{about}"\n',
        'framework = "serving"',
        f'smoothness = {{ value = {fit.EXPONENT:g}, range = [2.5, 8], note = "held in the fit" }}',
        *generation_lines(found, ""),
        *shared_lines(found),
    ]
    nothing = '{ value = "0 s", source = "definition", note = "%s" }'
    base += [
        f'{name} = {{ value = "0 W/mm2", source = "definition", note = "no board power measured" }}'
        for name in electric.CONSTANTS
    ]
    base += [
        f"layer = {nothing % 'inside the fixed times of operators'}",
        f"step = {nothing % 'with the framework'}",
        f"sequence = {nothing % 'with the framework'}",
        f"sync_small = {nothing % 'inside the exchange time'}",
        f"sync_large = {nothing % 'inside the exchange time'}",
        'sync_large_chips = { value = 32, source = "definition" }',
    ]
    (ROOT / "styles" / "gpu_kernels.toml").write_text("\n".join(base) + "\n")
    for style, title in STYLES.items():
        text = [
            f'name = "{title}"\nbase = "gpu_kernels"\nsource = "decode-fit"\n',
            *generation_lines(found, style),
        ]
        if style in powers:
            text += power_lines(powers[style])
        if style in UNMETERED:
            text += power_lines(shared_power, UNMETERED_NOTE, UNMETERED_SHARE)
        text += ["", "[facts.calibrated]"]
        text += [seen(kept, style, metric) for metric in ("tpot_s", "power_w", "j_per_token")]
        hosts = sorted(
            {p.framework for p, *_ in kept if own_style(p.chip) == style} & set(FRAMEWORKS)
        )
        text += written.fit_lines(*together(found, style, hosts, powers.get(style)), {})
        (ROOT / "styles" / f"{style}.toml").write_text("\n".join(text) + "\n")
    hosts = ROOT / "frameworks"
    hosts.mkdir(exist_ok=True)
    for name, title in FRAMEWORKS.items():
        rows = [f'name = "{title}"\nsource = "decode-fit"\n']
        rows += host_lines(found, [name])
        (hosts / f"{name}.toml").write_text("\n".join(rows) + "\n")
    for name, (title, members) in MEANS.items():
        rows = [
            f'name = "{title}"\nsource = "decode-fit"',
            'about = "Geometric mean of vLLM, SGLang and TensorRT-LLM; the range spans them."\n',
            *host_lines(found, members),
        ]
        (hosts / f"{name}.toml").write_text("\n".join(rows) + "\n")


def together(found, style, hosts, power):
    """Paths of a style's constants, those of frameworks it ran under too, and their correlation."""
    column = {name: np.eye(len(found.plan.names))[i] for i, name in enumerate(found.plan.names)}
    rows = {c: column[c] + column.get(f"{c} of {style}", 0.0)
            for c in (*fit.GENERATION_SPREADS, *SHARED)}  # fmt: skip

    def of_host(host):
        pairs = ((c, fit.parameters_of(c, host)) for c in fit.OF_FRAMEWORK)
        return {c: sum(column[name] for name in names) for c, names in pairs}

    for host in hosts:
        rows |= {f"framework.{host}.{c}": row for c, row in of_host(host).items()}
    members = [np.stack(list(of_host(host).values())) for host in TODAY]
    mean = np.mean(members, axis=0)
    rows |= {f"framework.serving.{c}": mean[i] for i, c in enumerate(fit.OF_FRAMEWORK)}
    matrix = np.stack(list(rows.values()))
    covariance = matrix @ found.covariance @ matrix.T
    covariance[-len(mean) :, -len(mean) :] += beside_mean(found, members, mean)
    correlation = covariance / np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    if power is None:
        return list(rows), correlation
    names = [*rows, *power.values]
    both = np.eye(len(names))
    both[: len(rows), : len(rows)] = correlation
    both[len(rows) :, len(rows) :] = power.correlation
    return names, both


def beside_mean(found, members, mean):
    """How far one framework may be from the mean of some: a covariance, ``[constant, constant]``.

    A framework with slow attention has fast products, so the constants differ together.
    """
    between = np.cov([m @ found.values for m in members], rowvar=False, bias=True)
    own = np.mean([m @ found.covariance @ m.T for m in members], axis=0)
    return between + own - mean @ found.covariance @ mean.T


def left_over(kept, features, path):
    """What the shipped constants leave open, by style and metric, appended to the style files."""
    points, _ = validate.read_points(tables.read(path).rows)
    points = [p for p in points if p.chip not in NEVER and own_style(p.chip) in STYLES]
    rows = pd.DataFrame(coverage.coverage(points))
    rows["style"] = [own_style(chip) for chip in rows.chip]
    rows["middle"] = np.log(rows.low * rows.high) / 2
    rows["apart"] = np.abs(np.log(rows.measured) - rows.middle)
    rows["spread"] = np.log(rows.high / rows.low) / 2 / Z_80
    away = beyond(kept, features)
    for style in STYLES:
        own, seen, elsewhere = rows[rows["style"] == style], {}, {}
        for metric, all_of in rows.groupby("metric"):
            some = own[own.metric == metric]
            seen[metric] = needed(
                *(some if len(some) >= FEW else all_of)[["apart", "spread"]].T.values
            )
            everyone = needed(*all_of[["apart", "spread"]].T.values)
            widened = (
                away
                * everyone
                / needed(*rows[rows.metric == "tpot_s"][["apart", "spread"]].T.values)
            )
            elsewhere[metric] = max(seen[metric], widened)
        print(style, seen, elsewhere)
        file = ROOT / "styles" / f"{style}.toml"
        lines = [x for x in file.read_text().splitlines() if not x.startswith("left_over")]
        file.write_text(
            "\n".join(
                [
                    *lines,
                    *written.left_over_lines({"left_over": seen, "left_over_elsewhere": elsewhere}),
                ]
            )
            + "\n"
        )


def needed(apart, spread):
    """The standard deviation beside that of the constants with which 80 % of rows lie in a band."""
    low, high = 0.0, 2.0
    for _ in range(40):
        middle = (low + high) / 2
        held = np.mean(apart <= Z_80 * np.sqrt(spread**2 + middle**2))
        low, high = (middle, high) if held < 0.8 else (low, middle)
    return float(high)


def beyond(kept, features):
    """The same for chips that a fit did not see, while a sibling of their generation was in it."""
    measured = np.array([point.measured["tpot_s"] for point, *_ in kept])
    names = np.array([point.chip for point, *_ in kept])
    apart = []
    for name in SIBLINGS:
        out = names == name
        _, predicted = joint(kept, features, ~out)
        apart.append(np.abs(np.log(predicted[out] / measured[out])))
        print(f"without {name}: {needed(apart[-1], 0.0):.3f}", flush=True)
    each = np.concatenate([np.resize(some, MOST_OF_A_SIBLING) for some in apart])
    return needed(each, 0.0)


def host_lines(found, names):
    rows = []
    for constant in fit.OF_FRAMEWORK:
        values = [found.constant(*fit.parameters_of(constant, name)) for name in names]
        mean = float(np.exp(np.mean([np.log(value) for value, _ in values])))
        spread = float(
            np.sqrt(
                np.mean([s**2 for _, s in values]) + np.var([np.log(value) for value, _ in values])
            )
        )
        note = unsure(found, *(p for name in names for p in fit.parameters_of(constant, name)))
        rows.append(line(constant, mean, spread, "" if constant in fit.FACTORS else "us", note))
    return rows


def power(kept):
    """Shared power constants, then those of each generation with enough rows."""
    rows = [(p, case) for p, _, case in kept if "power_w" in p.measured]
    cases, measured = [case for _, case in rows], np.array([p.measured["power_w"] for p, _ in rows])
    labels = [f"{p.suite} {p.chip} {p.model}" for p, _ in rows]
    weights = fit.weights_of(labels)
    shared = electric.fit(cases, measured, weights=weights)
    found = {}
    for style in STYLES:
        pick = [i for i, (p, _) in enumerate(rows) if own_style(p.chip) == style]
        if len(pick) >= 20:
            found[style] = electric.fit(
                [cases[i] for i in pick], measured[pick], shared.values, 0.08, weights[pick]
            )
    return shared, found


def again(path):
    """The points under the constants just written: power is fitted at the times they predict."""
    library.forget()
    return usable(path)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--leave-out", action="store_true")
    parser.add_argument("--power", action="store_true")
    parser.add_argument("--left-over", action="store_true", help="after --write, in a new process")
    given = parser.parse_args()
    kept = usable(given.data)
    timed = [item for item in kept if "tpot_s" in item[0].measured]
    features = features_of([time for _, time, _ in timed])
    if given.leave_out:
        leave_out(timed, features)
        return
    if given.left_over:
        left_over(timed, features, given.data)
        return
    found, predicted = joint(timed, features, np.ones(len(timed), bool))
    measured = np.array([p.measured["tpot_s"] for p, *_ in timed])
    print({k: round(v, 4) for k, v in scores(predicted, measured).items()})
    for index, name in enumerate(found.plan.names):
        print(
            f"{name:28s} {np.exp(found.values[index]):.4g}  +- {found.spread_of(name):.2f} "
            f"of {found.plan.spread[index]:.2f}"
        )
    if given.write:
        write(kept, found, {}, UNKNOWN_POWER)
    if given.write and given.power:
        shared, powers = power(again(given.data))
        print(shared, powers)
        write(kept, found, powers, shared)


if __name__ == "__main__":
    main()
