"""Many workers beside one: the same front, no design twice, how long.

    python benchmarks/workers.py --storage postgresql://dse@db/dse
    python benchmarks/workers.py --study two-goals --trials 1500 --workers 1 2 4

Without a storage, workers share the journal of their run folder. Each run is a study of its own
name. CPU seconds are those of the command and its workers together, and of the busiest of them,
which is the least that a machine with a core for each would take. "Twice" are trials whose
hardware, to six digits, another trial of the run has.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import pandas as pd

from dse.search import runs, shared, storage
from dse.search.space import SERVE_LEVEL
from dse.specs import library

COMMAND = (sys.executable, "-m", "dse.cli.main", "run")


def run(study: pathlib.Path, folder: pathlib.Path, arguments: list[str]) -> dict:
    """One search in a process of its own: the wall, the CPU of each process, the front."""
    started, used = time.perf_counter(), {}
    command = [*COMMAND, str(study), "-o", str(folder), *arguments]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            used |= cpu_s_of(process.pid)
            time.sleep(0.1)
    wall_s = time.perf_counter() - started
    if process.returncode:
        sys.exit(f"dse run ended with {process.returncode}")
    front = json.loads((folder / "front.json").read_text("utf-8"))
    return {"wall_s": wall_s, "cpu_s": list(used.values()), "front": front}


def cpu_s_of(command: int) -> dict[int, float]:
    """CPU seconds of a command and of its children so far, by process (Linux)."""
    found = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            number, rest = int(stat.parent.name), stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if command in (number, int(rest[1])):
            found[number] = (int(rest[11]) + int(rest[12])) / os.sysconf("SC_CLK_TCK")
    return found


def duplicates(folder: pathlib.Path, url: str | None, name: str) -> tuple[int, int]:
    """Trials whose hardware another has, and all trials."""
    run_folder = runs.Run(folder)
    found = shared.Shared(url or f"{storage.JOURNAL}{run_folder.shared_journal}", name)
    found.join()
    lines = []
    for trial in found.view().finished:
        values = {k: v for k, v in trial.params.items() if k != SERVE_LEVEL}
        rounded = {k: float(f"{v:.6g}") if isinstance(v, float) else v for k, v in values.items()}
        lines.append(json.dumps([trial.user_attrs["family"], rounded], sort_keys=True))
    return int(pd.Series(lines).duplicated().sum()), len(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", default="two-goals")
    parser.add_argument("--trials", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--islands", type=int)
    parser.add_argument("--storage")
    given = parser.parse_args()
    text = library.locate("studies", given.study).read_text("utf-8")
    total = ["--trials", str(given.trials), "--seed", str(given.seed)]
    head = ("", "trials", "twice", "wall s", "CPU s", "busiest", "hypervolume")
    print("{:>14} {:>7} {:>6} {:>7} {:>7} {:>8} {:>12}".format(*head))
    with tempfile.TemporaryDirectory() as place:
        for workers in [0, *given.workers]:
            name = f"{given.study}-{workers}-{os.getpid()}"
            study = pathlib.Path(place) / f"{name}.toml"
            study.write_text(re.sub(r'(?m)^name = ".*"$', f'name = "{name}"', text, count=1))
            arguments = [*total]  # one process alone is what the others are compared with
            if workers:
                arguments += ["--workers", str(workers)]
                arguments += ["--islands", str(given.islands)] if given.islands else []
                arguments += ["--storage", given.storage] if given.storage else []
                if workers == 1 and not given.storage and not given.islands:
                    arguments += ["--islands", "1"]
            folder = pathlib.Path(place) / name
            found = run(study, folder, arguments)
            volume = found["front"]["hypervolume"]
            said = f"{workers} workers" if workers else "in one process"
            twice, count = "-", found["front"]["trials"]
            if workers:
                twice, count = duplicates(folder, given.storage, name)
            total_s, busiest_s = sum(found["cpu_s"]), max(found["cpu_s"])
            print(f"{said:>14} {count:>7} {twice:>6} {found['wall_s']:>7.1f} {total_s:>7.1f} "
                  f"{busiest_s:>8.1f} {volume:>12.5f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
