"""From a row of a table to an operating point: chip, model, split, formats, lengths, regime.

What a row leaves unsaid is filled in as the benchmarks that publish such rows do it; every such
reading is a named constant or a short function here. A row that cannot be read is left out with
one reason, in words that group: the same reason for the same cause.
"""

import dataclasses
import functools
import math
import re
from typing import Any

from dse.estimate.prepare import LARGEST, Choices
from dse.evidence import names
from dse.evidence.tables import MEASURED_COLUMNS, number, word
from dse.specs import load
from dse.specs.network import MixtureOfExperts, ModelSpec, MultiLatent
from dse.specs.schema import SpecError

# Where a benchmark publishes output lengths only (ML.ENERGY): one length per task, fitted to the
# joules of its rows, which contain the prompts. ShareGPT conversations bring their history along.
UNSTATED_INPUT_TOKENS = {"gpqa": 250.0, "lm-arena": 200.0, "ml-energy-v3": 200.0,
                         "sharegpt": 400.0, "ml-energy-v2": 400.0, "": 150.0}  # fmt: skip
GPT_FAST_OUTPUT_TOKENS = 200.0  # the default of its generate script
# A request of 1024 tokens averages 922: InferenceX draws lengths from 0.8 to 1 of the nominal one.
NOMINAL_LENGTH_SHARE = 0.9
# Longer outputs are in flight longer: with a coefficient of variation v of output lengths the mean
# output in flight is (1 + v^2) / 2 of the mean one. 0.6 is v = 0.45; more would not fit in memory
# at the largest batches that ML.ENERGY reports.
IN_FLIGHT_SHARE = {"drawn": 0.6, "fixed": 0.5}
PLAUSIBLE = {"tpot_s": (5e-5, 60.0), "power_w": (3.0, 3e4), "j_per_token": (1e-4, 1e5)}
DISAGREEMENT = 1.7
CLEAN_GRADES = ("A", "B")
_FORMATS = {
    "bf16": ("bfloat16", "bf16", "fp16", "float16", "half", "native 16-bit"),
    "fp8": ("fp8", "fp8_block", "fp8 (moe fp8_block)", "fp8_static", "e4m3"),
    "nvfp4": ("nvfp4", "fp4", "nvfp4/mxfp4", "nvfp4 moe, bf16 attention"),
    "mxfp4": ("mxfp4",),
    "int8": ("int8", "q8_0", "int8_wo"),
    "int4": ("int4", "int4_wo", "int4 g32", "uint4", "q4_k_m", "q4_0", "q4_1", "w4a16"),
}
FORMAT_WORDS = {text: name for name, texts in _FORMATS.items() for text in texts}
FRAMEWORKS = {
    "trtllm": ("trtllm", "trt-llm", "tensorrt"),
    "sglang": ("sglang",),
    "gpt_fast": ("gpt-fast",),
    "llama_cpp": ("llama.cpp", "ollama"),
    "vllm_2024": ("vllm (2024)",),
    "vllm_2025": ("vllm 0.11", "vllm 0.10", "vllm 0.9", "vllm 0.8"),
    "vllm": ("vllm",),
}
SERVED_APART = ("vllm", "sglang", "trtllm")  # whose decode workers have a framework of their own
# InferenceX runs these configurations with multi-token prediction only (its configuration files of
# early 2026; TensorRT-LLM since pull request 392), but compilations of its rows drop the marker:
# (framework, start of date, model, weight_dtype, tp, ep, least concurrency); "" and 0 for any.
UNMARKED_SPECULATION = (
    ("trtllm 1.2.0rc6.post3", "", "", "", 0, 0, 0),
    ("trtllm 1.1.0rc2.post2", "2026", "", "", 0, 0, 0),
    ("sglang 0.5.9", "", "qwen3.5-397b-a17b", "fp8", 4, 1, 0),
    ("sglang 0.5.9", "", "deepseek-v3", "fp8", 8, 1, 65),
)
_PREFILL_IN_TIME = re.compile(r"prefill interleaved|first prefill included|incl\. .*prefill")
_FIRST_TOKEN = re.compile(r"TTFT (\d+(?:\.\d+)?(?:e[+-]?\d+)?) ms")
_APART = re.compile(r"^disaggregated\b", re.IGNORECASE)
_ACCEPTED = re.compile(r"MTP(\d) \(accept len (\d(?:\.\d+)?)\)")


@dataclasses.dataclass(frozen=True)
class Point:
    """One measured operating point; metrics in the unit of their names."""

    identity: str
    chip: str
    model: str
    suite: str
    grade: str
    framework: str
    choices: Choices
    input_tokens: float
    output_tokens: float
    prefill_in_time: bool  # prompts are processed between the steps that TPOT spans
    measured: dict[str, float]
    limit_w: float | None = None  # board limit the row states
    first_token_s: float = 0.0  # time to first token, where the batch counts those who wait for it

    def decoding(self, tpot_s: float) -> "Point":
        """The point with the batch of those past their first token, by Little's law.

        Of a stated concurrency, the share ``output tpot / (first token + output tpot)`` decodes.
        """
        steps_s = self.output_tokens * tpot_s
        share = steps_s / (self.first_token_s + steps_s)
        c = self.choices
        batch = whole_batch(float(c.batch or 1.0) * share, c.dp, c.pp)
        return dataclasses.replace(self, choices=dataclasses.replace(c, batch=batch))


class LeftOutError(ValueError):
    """Why a row cannot be used, in words that group."""


def point_of(row: dict[str, Any]) -> Point:
    """The operating point of one row of a table of decode steps.

    Raises:
        LeftOutError: with the reason.
    """
    hardware, model = word(row, "hardware"), word(row, "model")
    if not hardware or not model:
        raise LeftOutError("no hardware or model name")
    chip, network = _matched(names.chip_of(hardware)), _matched(names.model_of(model))
    _refuse_grade(row)
    measured = _measured(row)
    _refuse_contradiction(row, measured)
    _refuse_unmarked_speculation(row, network)
    inputs, outputs, context = _lengths(row)
    return Point(
        identity=word(row, "id"),
        chip=chip,
        model=network,
        suite=word(row, "suite"),
        grade=word(row, "clean_grade"),
        framework=_framework(row),
        choices=_choices(row, network, context, names.cores_per_chip(hardware)),
        input_tokens=inputs,
        output_tokens=outputs,
        prefill_in_time=bool(_PREFILL_IN_TIME.search(word(row, "phase_note"))),
        measured=measured,
        limit_w=names.limit_w(hardware),
        first_token_s=_first_token_s(row),
    )


def _first_token_s(row: dict[str, Any]) -> float:
    """From ``ttft_ms``, or a note that states it; 0 where neither does."""
    stated = number(row, "ttft_ms")
    if stated is None:
        found = _FIRST_TOKEN.search(word(row, "confidence_note"))
        stated = float(found.group(1)) if found else 0.0
    return max(stated, 0.0) * 1e-3


def _framework(row: dict[str, Any]) -> str:
    found = framework_of(word(row, "framework"))
    if _APART.match(word(row, "phase_note")):
        return "_".join([*([found] if found in SERVED_APART else []), "disaggregated"])
    # A batch run without a server has none of the scheduling of early serving.
    return found.split("_20")[0] if "static batch" in word(row, "phase_note") else found


def framework_of(text: str) -> str:
    """The serving framework a row names, as the styles call it; empty where none of them."""
    lower = text.lower()
    for name, marks in FRAMEWORKS.items():
        if any(mark in lower for mark in marks):
            return name
    return ""


def _matched(found: names.Found) -> str:
    if found.name is None:
        raise LeftOutError(found.reason)
    return found.name


def _refuse_contradiction(row: dict[str, Any], measured: dict[str, float]) -> None:
    """Little's law: sequences in flight are throughput times time per token."""
    batch, rate = number(row, "batch_or_concurrency"), number(row, "tokens_per_s_total")
    if batch and rate and "tpot_s" in measured:
        ratio = batch / (rate * measured["tpot_s"])
        if not 1 / DISAGREEMENT <= ratio <= DISAGREEMENT:
            raise LeftOutError("batch, throughput and time per token disagree by more than "
                               f"{DISAGREEMENT:g} (Little's law)")  # fmt: skip


def _refuse_unmarked_speculation(row: dict[str, Any], model: str) -> None:
    """Configurations of InferenceX that speculate although the row does not say so."""
    if "inferencex" not in word(row, "source").lower() or _APART.match(word(row, "phase_note")):
        return
    tp, ep, batch = (number(row, c) or 1.0 for c in ("tp", "ep", "batch_or_concurrency"))
    for framework, date, name, form, groups, experts, least in UNMARKED_SPECULATION:
        if (
            word(row, "framework") == framework
            and word(row, "date").startswith(date)
            and name in ("", model)
            and word(row, "weight_dtype").startswith(form)
            and groups in (0, tp)
            and experts in (0, ep)
            and batch >= least
        ):
            raise LeftOutError("speculative decoding that its source states and the row does not")


def _refuse_grade(row: dict[str, Any]) -> None:
    grade = word(row, "clean_grade")
    if grade and grade not in CLEAN_GRADES:
        raise LeftOutError(f"graded {grade} by the table: not a clean decode measurement")


def _measured(row: dict[str, Any]) -> dict[str, float]:
    found = {}
    for metric, (column, unit) in MEASURED_COLUMNS.items():
        value = number(row, column)
        if value is None:
            continue
        low, high = PLAUSIBLE[metric]
        if not low <= value * unit <= high:
            raise LeftOutError(f"{column} outside {low / unit:g} to {high / unit:g}: wrong unit?")
        found[metric] = value * unit
    if not found:
        raise LeftOutError("no measured value: none of tpot_ms, power_w_per_chip, "
                           "joules_per_output_token is a number")  # fmt: skip
    return found


# --- lengths and split --------------------------------------------------------------------------


def _lengths(row: dict[str, Any]) -> tuple[float, float, float]:
    """Mean input, mean output, and mean KV tokens read per step."""
    inputs, outputs, context = (number(row, c) for c in ("isl", "osl", "avg_context"))
    if outputs is None and context is None and "gpt-fast" in word(row, "framework"):
        outputs = GPT_FAST_OUTPUT_TOKENS
    if outputs is None and context is None:
        raise LeftOutError("no lengths: neither osl nor avg_context is a number")
    drawn = inputs is None
    share = IN_FLIGHT_SHARE["drawn" if drawn else "fixed"]
    if drawn:
        inputs = _unstated_input(row) if outputs is not None else float(context or 0)
    outputs = 1.0 if outputs is None else outputs
    if min(inputs, outputs) < 0 or outputs == 0:
        raise LeftOutError("lengths below zero, or no output")
    if max(inputs, outputs, context or 0.0) > LARGEST:
        raise LeftOutError(f"lengths beyond {LARGEST:g} tokens")
    if "inferencex" in word(row, "source").lower():
        inputs, outputs = NOMINAL_LENGTH_SHARE * inputs, NOMINAL_LENGTH_SHARE * outputs
        context = None
    if context is None or drawn:
        context = inputs + share * outputs
    return inputs, max(outputs, 1.0), max(context, 1.0)


def _unstated_input(row: dict[str, Any]) -> float:
    source = word(row, "source").lower()
    return next(tokens for task, tokens in UNSTATED_INPUT_TOKENS.items() if task in source)


def _choices(row: dict[str, Any], model: str, context: float, cores: float) -> Choices:
    """The deployment; a row of several replicas is read as one of them."""
    tp, dp, pp = _split(row, cores)
    batch = number(row, "batch_or_concurrency")
    if batch is None or not 0 < batch <= LARGEST:
        raise LeftOutError("no batch: batch_or_concurrency is not a number above zero")
    chips = number(row, "n_chips") or tp * dp * pp
    replicas = max(chips / (tp * dp * pp), 1.0)
    ep = number(row, "ep") or 1.0
    if ep == 1 and dp > 1 and tp == 1:
        ep = dp  # attention is data parallel, so experts are spread
    if not _is_routed(model):
        ep = 1.0  # a column of ones and zeros in tables of dense models
    drafts, acceptance = _speculation(word(row, "spec_decode"))
    return Choices(
        batch=whole_batch(batch / replicas, dp, pp),
        tp=tp,
        dp=dp,
        pp=pp,
        ep=ep,
        context=context,
        drafts=drafts,
        acceptance=acceptance,
        **_formats(row, model),
    )


def _split(row: dict[str, Any], cores: float) -> tuple[float, float, float]:
    chips = number(row, "n_chips")
    stated = number(row, "tp")
    if stated is None and chips is None:
        raise LeftOutError("no split: neither tp nor n_chips is a number")
    tp = float(stated if stated is not None else chips or 1) / cores
    if "layer split" in word(row, "phase_note"):
        return 1.0, 1.0, max(chips or 1.0, 1.0)  # one chip after another
    dp, pp = number(row, "dp") or 1.0, number(row, "pp") or 1.0
    if any(v < 1 or v != int(v) for v in (tp, dp, pp)):
        raise LeftOutError("tp, dp or pp is not a whole number of chips")
    if chips is not None and chips < tp * dp * pp:
        raise LeftOutError("fewer chips than tp x dp x pp")
    return tp, dp, pp


def whole_batch(batch: float, dp: float, pp: float) -> float:
    """The nearest batch of whole sequences, as many on every rank and in every micro-batch."""
    share = max(round(batch / dp), 1)
    if share > pp:  # else each sequence is a micro-batch of its own
        share = round(share / pp) * pp
    return share * dp


def _speculation(text: str) -> tuple[int, tuple[float, ...] | None]:
    """Drafts and acceptance where a row states both; a row that states one only is no use."""
    found = _ACCEPTED.search(text)
    if found:
        drafts, length = int(found.group(1)), float(found.group(2))
        each = min((length - 1) / drafts, 1.0)
        return drafts, (each,) * drafts
    if text and not text.startswith("none") and "(not" not in text:
        raise LeftOutError("speculative decoding without a stated acceptance length")
    return 0, None


# --- formats ------------------------------------------------------------------------------------


def _formats(row: dict[str, Any], model: str) -> dict[str, Any]:
    """Formats by use. Checkpoints in four bits keep latent attention in 16; the cache follows."""
    text = word(row, "weight_dtype").lower()
    if not text:
        return {}
    if text not in FORMAT_WORDS:
        raise LeftOutError(f"weight_dtype {text}: not a known number format")
    weights = FORMAT_WORDS[text]
    spec = _model(model)
    if weights == "bf16" and spec.expert_weights not in (None, "bf16"):
        return _cache(row, "bf16")  # published in a narrower format: its own is meant
    found: dict[str, str] = {"weights": weights}
    if weights in ("nvfp4", "mxfp4") and _keeps_attention(spec):
        found = {"weights": "bf16", "attention_weights": "bf16", "expert_weights": weights}
    return found | _cache(row, weights)


def _cache(row: dict[str, Any], weights: str) -> dict[str, str]:
    """The KV format: as stated, else 8 bits where weights were quantized for serving."""
    text = word(row, "kv_dtype").lower()
    if text in FORMAT_WORDS:
        return {"kv": FORMAT_WORDS[text]}
    return {"kv": "fp8" if weights in ("fp8", "nvfp4", "mxfp4") else "bf16"}


def _keeps_attention(spec: ModelSpec) -> bool:
    return any(isinstance(group.attention, MultiLatent) for group in spec.groups)


@functools.cache
def _model(name: str) -> ModelSpec:
    return load.load("models", name).spec


def _is_routed(name: str) -> bool:
    return any(isinstance(g.feedforward, MixtureOfExperts) for g in _model(name).groups)


def refused(error: SpecError) -> LeftOutError:
    """A split or value the model refuses, as the reason to leave a row out."""
    return LeftOutError(f"cannot be built: {re.sub(r'[0-9.]+', 'N', error.problems[0])}")


def is_finite(values: dict[str, float]) -> bool:
    """Whether every value is a finite number above zero."""
    return all(math.isfinite(v) and v > 0 for v in values.values())
