"""Time per token of measured rows by this model and by others, on the same rows.

    python benchmarks/accuracy.py [DATA.csv.gz] [--genz PYTHON] [--aiconfigurator PYTHON]

Without a table: the published figures that ship. GenZ (`pip install genz-llm`) and AIConfigurator
(`pip install aiconfigurator`, which has tables of kernels) run in environments of their own.

- roofline: the larger of memory and arithmetic time of a step at nameplate rates
- LIMINAL's form: the same and its synchronization per layer (0.6 us, 4.5 us from 32 chips)
- five constants: shares of bandwidth and arithmetic, time per layer, per exchange, per sequence,
  fitted to these rows, for all chips and frameworks
- dse: the styles that ship, most of whose chips took part in the fit
- chip left out: both fits again to the rows of all other chips, of this table alone
"""

import argparse
import datetime
import json
import pathlib
import subprocess
import tempfile

import fit_styles
import numpy as np
from scipy.optimize import least_squares

from dse.evidence import columns, tables
from dse.evidence.features import features_of
from dse.evidence.scores import scores

SYNC_S, SYNC_LARGE_S, LARGE_CHIPS = 0.6e-6, 4.5e-6, 32
LOWEST = 8  # rows of a chip below which it is not left out
AIC_SYSTEMS = {"h100_sxm": "h100_sxm", "b200_sxm": "b200_sxm", "gb200_nvl72": "gb200",
               "a100_sxm": "a100_sxm"}  # fmt: skip
AIC_MODELS = {
    "llama-3.1-8b": "meta-llama/Meta-Llama-3.1-8B", "qwen3-32b": "Qwen/Qwen3-32B",
    "llama-3.1-70b": "meta-llama/Meta-Llama-3.1-70B", "qwen3-8b": "Qwen/Qwen3-8B",
    "llama-3.1-405b": "meta-llama/Meta-Llama-3.1-405B", "qwen3-14b": "Qwen/Qwen3-14B",
    "deepseek-v3": "deepseek-ai/DeepSeek-V3", "qwen3-30b-a3b": "Qwen/Qwen3-30B-A3B",
    "qwen3-235b-a22b": "Qwen/Qwen3-235B-A22B", "gpt-oss-20b": "openai/gpt-oss-20b",
    "kimi-k2.5": "moonshotai/Kimi-K2.5", "minimax-m2.5": "MiniMaxAI/MiniMax-M2.5",
    "mixtral-8x7b": "mistralai/Mixtral-8x7B-v0.1", "glm-5": "zai-org/GLM-5",
    "qwen3.5-397b-a17b": "Qwen/Qwen3.5-397B-A17B",
}  # fmt: skip
AIC_SCRIPT = """
import json, logging, sys, warnings
warnings.filterwarnings("ignore"); logging.disable(logging.ERROR)
from aiconfigurator.cli.api import cli_estimate
found = []
for call in json.load(open(sys.argv[1])):
    try:
        found.append(float(cli_estimate(**call).tpot) * 1e-3)
    except Exception as error:
        found.append(str(error)[:200])
print("\\n" + json.dumps(found))
"""
DENSE = ("llama-3.1", "qwen3-8b", "qwen3-14b", "qwen3-32b")
GENZ_MODELS = ("llama-3.1-8b", "llama-3.1-70b", "llama-3.1-405b")
GENZ_SCRIPT = """
import contextlib, io, json, sys, warnings
warnings.filterwarnings("ignore")
from GenZ import System, decode_moddeling
found = []
for call in json.load(open(sys.argv[1])):
    chips = call.pop("chips")
    system = System(**call.pop("system"), num_nodes=chips, compute_efficiency=1,
                    memory_efficiency=1, comm_efficiency=1, topology="FullyConnected",
                    parallelism_heirarchy="TP{%d}_EP{1}_PP{1}" % chips)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            made = decode_moddeling(system_name=system, tensor_parallel=chips, output_tokens=1,
                                    Bb=1, **call)
        found.append(float(made["Latency"]) * 1e-3)
    except Exception as error:
        found.append(str(error)[:200])
print("\\n" + json.dumps(found))
"""


def roofline_s(features):
    """The larger of both times of a step at nameplate, per accepted token, ``[row]``."""
    memory, arithmetic, _ = parts(features)
    return np.maximum(memory, arithmetic) / features.point["accepted"]


def parts(features):
    """Nameplate seconds of memory and of arithmetic, and the number of exchanges, ``[row]``."""
    op = features.op
    memory = (op["layers"] * (op["weights_s"] + op["cache_s"])).sum(axis=1)
    arithmetic = (op["layers"] * op["tensor_s"]).sum(axis=1)
    return memory, arithmetic, (op["layers"] * op["exchange"]).sum(axis=1)


def liminal_s(features, chips):
    """LIMINAL's form: roofline and synchronization per layer where chips work together."""
    sync = np.where(chips >= LARGE_CHIPS, SYNC_LARGE_S, np.where(chips > 1, SYNC_S, 0.0))
    return roofline_s(features) + sync * features.point["total_layers"] / features.point["accepted"]


def five_s(features, values):
    """A step of five constants (logarithms): two shares, times per layer, exchange, sequence."""
    memory, arithmetic, exchanges = parts(features)
    eb, ef, layer, exchange, sequence = np.exp(values)
    point = features.point
    busy = np.maximum(memory / eb, arithmetic / ef) + layer * point["total_layers"]
    return (busy + exchange * exchanges + sequence * point["sequences"]) / point["accepted"]


def five_fitted(features, measured, keep):
    """The five constants that fit some rows, robust, in logarithms."""

    def residuals(values):
        return np.log(five_s(features, values)[keep] / measured[keep])

    start = np.log([0.8, 0.7, 5e-5, 5e-6, 5e-5])
    top = [0.0, 0.0, np.inf, np.inf, np.inf]
    return least_squares(residuals, start, bounds=(-np.inf, top), loss="soft_l1", f_scale=0.1).x


def chip_left_out(predict, chips, measured):
    """Predictions of each chip from a fit to the others, NaN for chips of few rows."""
    found = np.full(len(measured), np.nan)
    for name in sorted(set(chips)):
        out = chips == name
        if out.sum() >= LOWEST:
            found[out] = predict(~out)[out]
    return found


# --- the others -----------------------------------------------------------------------------------


def elsewhere(python, script, calls):
    """Seconds from another environment, NaN where it has no answer, ``[call]``; reasons."""
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder) / "calls.json"
        place.write_text(json.dumps(calls))
        done = subprocess.run([python, "-c", script, str(place)], capture_output=True, text=True,
                              check=True)  # fmt: skip
    found = json.loads(done.stdout.strip().splitlines()[-1])
    reasons = sorted({x for x in found if isinstance(x, str)})
    return np.array([np.nan if isinstance(x, str) else x for x in found]), reasons


def aic_call(point):
    """The arguments of AIConfigurator for a row; None where it knows no such chip or model."""
    if point.chip not in AIC_SYSTEMS or point.model not in AIC_MODELS or point.choices.drafts:
        return None
    c = point.choices
    ranks = int(c.tp * c.dp)
    hosts = (name for name in ("vllm", "sglang", "trtllm") if point.framework.startswith(name))
    backend = next(hosts, "trtllm")
    weights, experts = str(c.weights or "bf16"), str(c.expert_weights or c.weights or "bf16")
    words = {"bf16": "bfloat16", "mxfp4": "w4a16_mxfp4", "int8": "int8_wo", "int4": "int4_wo"}
    call = {
        "model_path": AIC_MODELS[point.model], "system_name": AIC_SYSTEMS[point.chip],
        "mode": "agg" if point.prefill_in_time else "static_gen", "backend_name": backend,
        "tp_size": int(c.tp), "pp_size": int(c.pp), "attention_dp_size": int(c.dp),
        "batch_size": max(int(c.batch // c.dp), 1), "gemm_quant_mode": words.get(weights, weights),
        "kvcache_quant_mode": words.get(str(c.kv or "bf16"), "fp8"),
        "isl": max(int(point.input_tokens), 1), "osl": max(int(point.output_tokens), 2),
    }  # fmt: skip
    if not point.model.startswith(DENSE):
        ep = int(c.ep or 1)
        call |= {"moe_ep_size": ep, "moe_tp_size": max(ranks // ep, 1),
                 "moe_quant_mode": words.get(experts, experts)}  # fmt: skip
    return call


def genz_call(point, case):
    """The arguments of GenZ for a row; None where it knows no such model or split."""
    c = point.choices
    form = str(c.weights or "bf16")
    if point.model not in GENZ_MODELS or c.dp * c.pp != 1 or form not in ("bf16", "fp8", "int8"):
        return None
    size = {"8b": "8B", "70b": "70B", "405b": "405B"}[point.model.rpartition("-")[2]]
    resources = nameplate(case)
    bits = "bf16" if form == "bf16" else "int8"
    system = {"flops": resources["flops"], "off_chip_mem_size": 1e6,
              "offchip_mem_bw": resources["bytes"], "interchip_link_bw": resources["link"],
              "interchip_link_latency": 1, "bits": bits}  # fmt: skip
    return {"chips": int(c.tp), "system": system, "model": f"meta-llama/Llama-3.1-{size}",
            "batch_size": int(c.batch), "input_tokens": int(c.context),
            "bits": bits}  # fmt: skip


def nameplate(case):
    """TFLOP/s in bf16, GB/s of memory and of the scale-up link of a chip."""
    import jax

    from dse.resources.provision import provision

    with jax.enable_x64(True):
        made = provision(case.design.hardware, float(case.design.deployment.chips))
    link = made.fabrics.get("scale_up")
    return {"flops": 1e-12 / float(made.seconds["tensor_bf16"]),
            "bytes": sum(float(t.bytes_per_s) for t in made.tiers.values()) * 1e-9,
            "link": 100.0 if link is None else float(link.bytes_per_s) * 1e-9}  # fmt: skip


# --- the table ------------------------------------------------------------------------------------


def table(title, named, measured, keep):
    """Scores of each model on the rows that all of them predict."""
    keep = keep & np.all([np.isfinite(p) for p in named.values()], axis=0)
    print(f"\n{title}\n{'':32}{'n':>5}{'MAPE %':>9}{'bias %':>9}{'p90 %':>9}")
    for name, predicted in named.items():
        s = scores(predicted[keep], measured[keep])
        print(
            f"{name:32}{s['n']:5}" + "".join(f"{100 * s[k]:9.1f}" for k in ("mape", "bias", "p90"))
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?")
    parser.add_argument("--genz")
    parser.add_argument("--aiconfigurator")
    given = parser.parse_args()
    source = given.data or str(tables.SHIPPED)
    kept = [item for item in fit_styles.usable(source) if "tpot_s" in item[0].measured]
    points, cases = [p for p, *_ in kept], [case for _, case, _ in kept]
    features = features_of(cases)
    measured = np.array([p.measured["tpot_s"] for p in points])
    chips = np.array([p.chip for p in points])
    everything = np.ones(len(points), bool)
    together = np.array([p.choices.tp * p.choices.dp for p in points])
    ours = columns.estimated(cases, ["tpot_s"], "calibrated")["tpot_s"]
    simple = {
        "roofline": roofline_s(features),
        "LIMINAL's form": liminal_s(features, together),
        "five constants, fitted": five_s(features, five_fitted(features, measured, everything)),
        "dse, styles that ship": ours,
    }  # fmt: skip
    print(f"{datetime.date.today()}: {len(points)} rows of {pathlib.Path(source).name}")
    table("All rows", simple, measured, everything)
    out = {
        "five constants, chip left out": chip_left_out(
            lambda keep: five_s(features, five_fitted(features, measured, keep)), chips, measured),
        "dse, chip left out": chip_left_out(
            lambda keep: fit_styles.joint(kept, features, keep)[1], chips, measured),
    }  # fmt: skip
    table("Rows of chips that a fit did not see", {"roofline": simple["roofline"], **out}, measured,
          everything)  # fmt: skip
    for name, python, script, calls in (
        ("GenZ, efficiencies 1", given.genz, GENZ_SCRIPT,
         [genz_call(p, c) for p, c in zip(points, cases, strict=True)]),
        ("AIConfigurator, SILICON", given.aiconfigurator, AIC_SCRIPT,
         [aic_call(p) for p in points]),
    ):  # fmt: skip
        if not python:
            continue
        asked = np.flatnonzero([call is not None for call in calls])
        predicted = np.full(len(points), np.nan)
        predicted[asked], reasons = elsewhere(python, script, [calls[i] for i in asked])
        answered = int(np.isfinite(predicted).sum())
        table(f"Rows that {name} answers: {answered} of {len(asked)} asked",
              {**simple, name: predicted}, measured, everything)  # fmt: skip
        for reason in reasons[:6]:
            print(f"  no answer: {reason[:150]}")


if __name__ == "__main__":
    main()
