"""Decode steps worked out by hand, from published shapes and rates written here as numbers.

Nothing below asks the package for an expected value. A `Line` is what one operator asks of one
chip in one layer; sums, maxima and the power of a board are plain Python. Agreement is to 1e-6.
"""

import math
from typing import NamedTuple

import pytest

pytestmark = pytest.mark.usefixtures("float64")
CONTEXT = 8192
BATCHES = (1, 16, 64)
BIT = 8e-12  # joules per byte of 1 pJ/bit


class Line(NamedTuple):
    """One operator on one chip and in one layer: bytes, FLOPs, values in and out."""

    layers: int
    weights: float = 0.0
    kv: float = 0.0
    tensor: float = 0.0
    vector: float = 0.0
    exponentials: float = 0.0
    values: float = 0.0
    longest: float = 1.0  # weight bytes of the fullest chip over the mean
    rate: str = "bf16"
    busiest: float = 1.0  # token slots of the fullest chip over the mean


def total(lines, field):
    return sum(line.layers * getattr(line, field) for line in lines)


class Chip(NamedTuple):
    """Nameplate of one package and its power constants."""

    bandwidth: float
    rates: dict  # FLOP/s at 1.755 GHz
    mac_pj: dict
    exponentials: float  # per second
    lanes: float  # FMA per second
    dram_pj: float  # per bit, above static
    stack_w: float  # all stacks
    silicon_mm2: float
    uncore_w: float
    host_w: float


CLOCK = 1.755e9
H100 = Chip(
    bandwidth=3.35e12,
    rates={"bf16": 989.4e12 * 1.755 / 1.83, "fp8": 1978.9e12 * 1.755 / 1.83},
    mac_pj={"bf16": 1.30, "fp8": 0.65},
    exponentials=2112 * CLOCK,
    lanes=16896 * CLOCK,
    dram_pj=3.0,
    stack_w=5 * 6.5,
    silicon_mm2=814,
    uncore_w=12,
    host_w=250,
)
H200 = H100._replace(bandwidth=4.8e12, dram_pj=2.7, stack_w=6 * 7)
B200 = Chip(
    bandwidth=7.7e12,
    rates={k: v * 1.755 / 1.85 for k, v in {"bf16": 2250e12, "fp8": 4500e12, "fp4": 9e15}.items()},
    mac_pj={"bf16": 0.72, "fp8": 0.36, "fp4": 0.18},
    exponentials=2368 * CLOCK,
    lanes=18944 * CLOCK,
    dram_pj=2.7,
    stack_w=8 * 7,
    silicon_mm2=1600,
    uncore_w=35,
    host_w=300,
)


def memory_and_math_s(lines, chip):
    """Operators follow one another; inside one the slowest of memory, tensor and vector binds."""
    seconds = 0.0
    for line in lines:
        memory = (line.weights * line.longest + line.kv) / chip.bandwidth
        tensor = line.tensor * line.busiest / chip.rates[line.rate]
        vector = line.vector / (2 * chip.lanes) + line.exponentials / chip.exponentials
        seconds += line.layers * max(memory, tensor, vector * line.busiest)
    return seconds


def joules_per_step(lines, chip, sent_bytes, busy_s, step_s, activation_bytes=2.0):
    """Joules of one chip and step at the wall of an air-cooled server, by cause.

    Regulators 0.90 and 0.95, fans 12 %, supplies 0.965. A byte of DRAM pays its device and, on
    the core rail, PHY 0.9 + network 2.0 + staging 0.6 pJ/bit. Everything at 0.80 V, so no V^2.
    """
    core = {
        "weights": total(lines, "weights") * 3.5 * BIT,
        "kv_cache": total(lines, "kv") * 3.5 * BIT,
        "compute": sum(
            line.layers * line.tensor * chip.mac_pj[line.rate] / 2 * 1e-12 for line in lines
        )
        + total(lines, "vector") * 5e-12 / 2
        + total(lines, "exponentials") * 5e-12
        + total(lines, "values") * activation_bytes * 0.6 * BIT,
        "communication": sum(size * pj * BIT for size, pj in sent_bytes),
    }
    device = {k: total(lines, {"weights": "weights", "kv_cache": "kv"}[k]) * chip.dram_pj * BIT
              for k in ("weights", "kv_cache")}  # fmt: skip
    tree_w = 0.092 * chip.silicon_mm2  # at 0.80 V and 1.755 GHz
    idle_w = 0.2 * tree_w + chip.uncore_w + 0.8 * 0.7 * tree_w * busy_s / step_s
    kelvin = 333.15
    for _ in range(40):  # leakage doubles every 28 K; the fixed point of temperature
        leak_w = 0.06 * chip.silicon_mm2 * math.exp((kelvin - 333.15) / 40)
        die_w = idle_w + leak_w + sum(core.values()) / step_s
        kelvin = 300.15 + 83 * die_w / chip.silicon_mm2
    wall = 1.12 / 0.965
    found = {k: (core[k] / 0.90 + device.get(k, 0) / 0.95) * wall for k in core}
    found["static"] = ((idle_w + leak_w) / 0.90 + chip.stack_w / 0.95) * step_s * wall
    found["host"] = chip.host_w * step_s * wall
    return found


def check(e, lines, chips, step_s, joules, batch):
    """Bytes, FLOPs, time and energy of an estimate against the lines of ``chips`` equal chips."""
    same = {"rel": 1e-6}
    assert float(e.bytes_per_step["weights"]) == pytest.approx(chips * total(lines, "weights"),
                                                               **same)  # fmt: skip
    assert float(e.bytes_per_step["kv_cache"]) == pytest.approx(chips * total(lines, "kv"), **same)
    flops = total(lines, "tensor") + total(lines, "vector")
    assert float(e.flops_per_step) == pytest.approx(chips * flops, **same)
    assert float(e.step_s) == pytest.approx(step_s, **same)
    for cause, joule in joules.items():
        got = float(e.energy_breakdown_j[cause])
        assert got == pytest.approx(chips * joule / batch, **same), cause
    assert float(e.j_per_token) == pytest.approx(chips * sum(joules.values()) / batch, **same)


# --- Llama-3.1-70B on eight H100 ----------------------------------------------------------------


def llama_lines(rows, b):
    """A chip of eight: 8 of 64 query heads, 1 of 8 KV heads, an eighth of FFN and vocabulary."""
    d, q, kv, inner, vocabulary = 8192, 8 * 128, 2 * 128, 28672 // 8, 128256 // 8
    scores = rows * 8 * CONTEXT
    rate = {1: "fp8", 2: "bf16"}[b]

    def matrix(layers, n_in, n_out, norm=0):
        return Line(layers, (n_in * n_out + norm) * b, tensor=2 * rows * n_in * n_out,
                    values=rows * (n_in + n_out), rate=rate)  # fmt: skip

    attention = Line(80, kv=rows * kv * (CONTEXT + 1) * b, tensor=4 * scores * 128,
                     vector=4 * scores, exponentials=scores, values=rows * (2 * q + kv),
                     rate=rate)  # fmt: skip
    return [
        matrix(80, d, q + kv, norm=d),
        attention,
        matrix(80, q, d),
        matrix(80, d, 2 * inner, norm=d),
        matrix(80, inner, d),
        Line(1, rows * d / 8 * b, values=rows * d),  # one embedding row per token
        matrix(1, d, vocabulary, norm=d),
    ]


@pytest.mark.parametrize("b", [1, 2], ids=["fp8", "bf16"])
@pytest.mark.parametrize("batch", BATCHES)
def test_llama_on_eight_h100(at, batch, b):
    lines = llama_lines(batch, b)
    # An exchange of 8 chips waits 2.4 us + 2 x 0.5 us; a switch that adds sends each byte once.
    summed, logits = batch * 8192 * 2, batch * 128256 * 2
    waiting = 161 * 3.4e-6 + (160 * summed + 7 / 8 * logits) / 450e9
    busy = memory_and_math_s(lines, H100)
    sent = [(160 * summed + 7 / 8 * logits, 5.5)]
    joules = joules_per_step(lines, H100, sent, busy, busy + waiting)
    name = {1: "fp8", 2: "bf16"}[b]
    e = at("h100_sxm", "llama-3.1-70b", batch=batch, tp=8, weights=name, kv=name)
    check(e, lines, 8, busy + waiting, joules, batch)
    # The byte floor: all matrices but the embedding once, and the cache, over all bandwidth.
    floor = (69.503e9 + batch * CONTEXT * 80 * 2048) * b / (8 * 3.35e12)
    assert busy == pytest.approx(floor, rel=2e-3)
    assert float(e.time_breakdown_s["communication"]) == pytest.approx(waiting, rel=1e-6)


# --- DeepSeek-V3 ---------------------------------------------------------------------------------


def deepseek_lines(rows, heads, experts, slots, shared_rows, dense_inner, tp, skew=(1.0, 1.0)):
    """Latent attention of ``heads`` heads for ``rows`` tokens; MoE as the split says.

    Published in fp8, embedding and output head in bf16; products of fp8 weights run in fp8.
    """
    d, latent, rope, nope, value, q_rank = 7168, 512, 64, 128, 128, 1536
    scores = rows * heads * CONTEXT

    def matrix(layers, tokens, n_in, n_out, vectors=0, b=1):
        return Line(layers, (n_in * n_out + vectors) * b, tensor=2 * tokens * n_in * n_out,
                    values=tokens * (n_in + n_out), rate="fp8")  # fmt: skip

    down = d * (q_rank + latent + rope) + q_rank * heads * (nope + rope)
    absorbed = heads * latent * (nope + value)
    mixer = [
        Line(61, down + d + q_rank + latent, tensor=2 * rows * down, rate="fp8",
             values=rows * (d + q_rank + latent + rope + q_rank + heads * (nope + rope))),
        Line(61, kv=rows * (latent + rope) * (CONTEXT + 1), exponentials=scores,
             tensor=2 * scores * (latent + rope + latent), vector=4 * scores, rate="fp8",
             values=rows * heads * (latent + rope + latent)),
        Line(61, absorbed, tensor=2 * rows * absorbed, rate="fp8",
             values=rows * heads * (latent + nope + latent + value)),
        matrix(61, rows, heads * value, d),
    ]  # fmt: skip
    dense = [
        matrix(3, shared_rows, d, 2 * dense_inner, vectors=d),
        matrix(3, shared_rows, dense_inner, d),
    ]
    inner, shared = 2048 * dense_inner / 18432, 2048 * dense_inner / 18432
    expert = 3 * d * inner
    mixture = [
        matrix(58, rows, d, 256, vectors=d),
        Line(58, experts * expert, tensor=2 * slots * expert, vector=slots * inner, rate="fp8",
             values=slots * (2 * d + 3 * inner), longest=skew[0], busiest=skew[1]),
        matrix(58, shared_rows, d, 3 * shared),
    ]  # fmt: skip
    head = [
        Line(1, rows * d / tp * 2, values=rows * d),
        # routers' score corrections, 14848 values, ride with the head
        matrix(1, rows, d, 129280 / tp, vectors=d + 14848 / tp, b=2),
    ]
    return mixer + dense + mixture + head


def distinct(tokens):
    """Experts that ``tokens`` tokens touch: each token leaves 248 of 256 alone."""
    return 256 * (1 - (248 / 256) ** tokens)


@pytest.mark.parametrize("batch", [16, 64, 256])
def test_deepseek_on_sixteen_h200_with_an_expert_group_each(point, at, batch):
    """tp 1, dp 16, ep 16: attention and dense weights on every chip, 16 experts each."""
    rows, slots = batch / 16, batch * 8 / 16
    split = {"batch": batch, "tp": 1, "dp": 16, "ep": 16}
    design, _ = point("h200_sxm", "deepseek-v3", **split)
    d = design.deployment
    skew = d.skew.expert_weights["1"], d.skew.expert_slots["1"]  # checked against Monte Carlo
    longer = d.skew.kv  # contexts differ by half their output: cv 1024 / 8192 / sqrt(12)
    z = 1.7688
    cv = 1024 / math.sqrt(12) / 8192
    assert longer == pytest.approx(1 + z * cv / math.sqrt(rows), rel=2e-3)
    lines = deepseek_lines(rows, 128, distinct(batch) / 16, slots, rows, 18432, 1, skew)
    fullest = [
        line._replace(kv=line.kv * longer, busiest=longer) if line.kv else line for line in lines
    ]
    # 8 copies a token in fp8 to the experts, back in bf16; of 16 chips 8 are in the same server.
    copies = slots * 7168
    near, far = 7 / 16 * copies, 8 / 16 * copies
    waiting = 58 * (2 * (3.4e-6 + 5.1e-6) + 3 * near / 450e9 + 3 * far / 50e9)
    busy = memory_and_math_s(fullest, H200)
    sent = [(58 * 3 * near, 5.5), (58 * 3 * far, 35)]
    joules = joules_per_step(lines, H200, sent, busy, busy + waiting)
    check(at("h200_sxm", "deepseek-v3", **split), lines, 16, busy + waiting, joules, batch)


@pytest.mark.parametrize("batch", BATCHES)
def test_deepseek_on_eight_b200_with_everything_sliced(at, batch):
    """tp 8, ep 1: 16 of 128 heads, an eighth of every expert; the latent cache on all chips."""
    lines = deepseek_lines(batch, 16, distinct(batch), batch * 8, batch, 18432 / 8, 8)
    # Two sums a layer over 8 chips and one gather of logits; B200 waits 3.9 us + 2 x 0.5 us.
    summed, logits = batch * 7168 * 2, batch * 129280 * 2
    waiting = 123 * 4.9e-6 + (122 * summed + 7 / 8 * logits) / 900e9
    busy = memory_and_math_s(lines, B200)
    sent = [(122 * summed + 7 / 8 * logits, 5.5)]
    joules = joules_per_step(lines, B200, sent, busy, busy + waiting)
    e = at("b200_sxm", "deepseek-v3", batch=batch, tp=8)
    check(e, lines, 8, busy + waiting, joules, batch)


# --- gpt-oss-120b on one and two B200 ------------------------------------------------------------


def gpt_oss_lines(rows, tp):
    """36 layers, every other one with a window of 128; biases; experts in mxfp4, 4.25 bit."""
    d, heads, kv_heads, head = 2880, 64 / tp, 8 / tp, 64
    q, kv, inner = heads * head, 2 * kv_heads * head, 2880 / tp

    def matrix(layers, n_in, n_out, vectors=0.0, bias=0.0):
        held = n_in * n_out + vectors + bias * n_out
        return Line(layers, 2 * held, tensor=2 * rows * n_in * n_out, values=rows * (n_in + n_out))

    def attention(tokens):
        scores = rows * heads * tokens
        return Line(18, kv=rows * kv * (tokens + 1) * 2, tensor=4 * scores * head,
                    vector=4 * scores, exponentials=scores, values=rows * (2 * q + kv))  # fmt: skip

    touched = 128 * (1 - (124 / 128) ** rows)
    matrices = 3 * d * inner
    expert_bytes = (matrices + 2 * inner + d) * 4.25 / 8  # biases of gate, up and down included
    experts = Line(36, touched * expert_bytes, tensor=2 * rows * 4 * matrices,
                   vector=rows * 4 * inner, values=rows * 4 * (2 * d + 3 * inner),
                   rate="fp4")  # fmt: skip
    return [
        matrix(36, d, q + kv, vectors=d, bias=1),
        attention(128),
        attention(CONTEXT),
        matrix(36, q, d, bias=1),
        matrix(36, d, 128, vectors=d),
        experts,
        Line(1, rows * d / tp * 2, values=rows * d),
        matrix(1, d, 201088 / tp, vectors=d + 6912 / tp),  # sinks and router biases beside it
    ]


@pytest.mark.parametrize("tp", [1, 2])
@pytest.mark.parametrize("batch", BATCHES)
def test_gpt_oss_on_one_and_two_b200(at, batch, tp):
    lines = gpt_oss_lines(batch, tp)
    waiting, sent = 0.0, 0.0
    if tp == 2:
        sent = 72 * batch * 2880 * 2 + batch * 201088 * 2 / 2
        waiting = 73 * 3.9e-6 + sent / 900e9
    busy = memory_and_math_s(lines, B200)
    joules = joules_per_step(lines, B200, [(sent, 5.5)], busy, busy + waiting)
    e = at("b200_sxm", "gpt-oss-120b", batch=batch, tp=tp)
    check(e, lines, tp, busy + waiting, joules, batch)
