"""CPU-seconds of a new process for a first answer, traced and compiled programs kept.

    python benchmarks/cold.py

Each command runs twice unmeasured, to fill the caches, then `ROUNDS` times; the least is printed.
"""

import resource
import shlex
import subprocess
import sys

ROUNDS = 3
MOE = "--model kimi-k2.5 --workload chat-8k --batch 64 --tp 8 --dp 8 --ep 64"
DENSE = "--model llama-3.1-70b --workload chat-8k --batch 32 --tp 8"
# Command -> budget in CPU-seconds.
COMMANDS = {
    "--help": 0.2,
    "whatif --help": 0.2,
    f"eval h100_sxm {DENSE}": 2.0,
    f"whatif h100_sxm {DENSE} --set hbm.bandwidth=2x --set voltage=0.7V": 2.0,
    f"whatif sram_macro_stacked_n3 {MOE} --set voltage=0.6V": 2.0,
    f"sensitivity h100_sxm {DENSE}": 2.0,
    f"sweep h100_sxm {DENSE} --over voltage=0.70V:0.85V:7": 2.0,
}


def cpu_s(command: str) -> float:
    """User and system time of one run."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    words = [sys.executable, "-m", "dse", *shlex.split(command)]
    subprocess.run(words, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print the least of a few runs beside the budget."""
    for command, budget_s in COMMANDS.items():
        for _ in range(2):
            cpu_s(command)
        least_s = min(cpu_s(command) for _ in range(ROUNDS))
        print(f"{least_s:5.2f} s of {budget_s:.1f}   dse {command}")


if __name__ == "__main__":
    main()
