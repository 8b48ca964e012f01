"""One decode step beside GenZ: the same model and chip, both numbers, both speeds.

Install GenZ in an environment of its own, then run both from here:

    python3 -m venv genz-venv && genz-venv/bin/pip install genz-llm
    python benchmarks/genz.py --genz genz-venv/bin/python

Case: Llama-3.1-70B, bf16, 8k context, 8 chips in tensor parallel, batch 1, 16, 64; 989 TFLOP/s,
3350 GB/s, 80 GB, 450 GB/s a direction, 1 us link latency, efficiencies 1. Times are CPU seconds.
"""

import argparse
import json
import subprocess
import sys
import time

BATCHES = (1, 16, 64)
REPEATS = 20

GENZ_SCRIPT = """
import json, sys, time, warnings, io, contextlib
warnings.filterwarnings("ignore")
from GenZ import System, decode_moddeling
chip = dict(Flops=989, Memory_size=80, Memory_BW=3350, ICN=450, ICN_LL=1, real_values=True)
system = System(flops=989, off_chip_mem_size=80*1024, offchip_mem_bw=3350, interchip_link_bw=450,
                interchip_link_latency=1, num_nodes=8, bits="bf16", compute_efficiency=1,
                memory_efficiency=1, comm_efficiency=1, topology="FullyConnected",
                parallelism_heirarchy="TP{8}_EP{1}_PP{1}")
def step(batch):
    with contextlib.redirect_stdout(io.StringIO()):
        return decode_moddeling(model="meta-llama/Llama-3.1-70B", batch_size=batch,
                                input_tokens=8192, output_tokens=1, Bb=1, system_name=system,
                                bits="bf16", tensor_parallel=8)
out = {"ms": {}}
for batch in BATCHES:
    result = step(batch)
    out["ms"][batch] = float(result["Latency"])
start = time.process_time()
for _ in range(REPEATS):
    step(16)
out["per_cpu_s"] = REPEATS / (time.process_time() - start)
print(json.dumps(out))
"""


def byte_floor_ms(batch: int) -> float:
    """By hand: weights without the embedding table, and KV, over 8 x 3350 GB/s."""
    attention = 8192 * (64 + 8 + 8) * 128 + 64 * 128 * 8192
    layer = attention + 3 * 8192 * 28672
    weights = 2 * (80 * layer + 8192 * 128256)
    cache = batch * 80 * 2 * 8 * 128 * 8192 * 2
    return (weights + cache) / 8 / 3.35e12 * 1e3


def genz(python: str) -> dict:
    """GenZ's step time (ms) and speed, from its own environment."""
    script = GENZ_SCRIPT.replace("BATCHES", repr(BATCHES)).replace("REPEATS", repr(REPEATS))
    done = subprocess.run([python, "-c", script], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"GenZ failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def ours() -> dict:
    """The same case here: step time (ms), single points and batched points per CPU-second."""
    import dse

    chip = dse.load("chips", "h100_sxm", [
        ("clock", "1.755 GHz"), ("compute.bf16.at_clock", "1.755 GHz"),
        ("compute.bf16.peak", "989 TFLOP/s"), ("link.scale_up.latency", "1 us"),
        ("link.scale_up.latency_per_doubling", "0 us"),
    ])  # fmt: skip
    model, workload = dse.load("models", "llama-3.1-70b"), dse.load("workloads", "chat-8k")

    def step(batch):
        choices = dse.Choices(tp=8, batch=batch, weights="bf16", kv="bf16", collective="ring")
        return dse.evaluate(chip, model, workload, choices, fidelity="sol")

    out = {"ms": {b: float(step(b).step_s) * 1e3 for b in BATCHES}}
    start = time.process_time()
    for _ in range(REPEATS):
        step(16)
    return out | {"per_cpu_s": REPEATS / (time.process_time() - start)}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--genz", required=True, help="python of an environment with genz-llm")
    theirs, here = genz(parser.parse_args().genz), ours()
    print(f"{'step time, ms':28}" + "".join(f"{f'batch {b}':>12}" for b in BATCHES))
    print(f"{'byte floor by hand':28}" + "".join(f"{byte_floor_ms(b):12.3f}" for b in BATCHES))
    print(f"{'dse (ring, 1 us stages)':28}" + "".join(f"{here['ms'][b]:12.3f}" for b in BATCHES))
    print(f"{'GenZ':28}" + "".join(f"{theirs['ms'][str(b)]:12.3f}" for b in BATCHES))
    print(f"single points per CPU-second: dse {here['per_cpu_s']:.0f} (specs, defaults and energy "
          f"included), GenZ {theirs['per_cpu_s']:.1f}")  # fmt: skip


if __name__ == "__main__":
    main()
