"""Many workers beside one: the same front, no design twice, how long.

    python benchmarks/workers.py --storage postgresql://dse@db/dse
    python benchmarks/workers.py --study two-goals --trials 1500 --workers 1 2 4

Without a storage, workers share the journal of their run folder. Each run is a study of its own
name. Seconds are of the wall; CPU seconds are of the command and its workers together. Duplicates
are trials whose hardware, to six digits, another trial of the run has.
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
    """One search in a process of its own: the wall, the CPU, the front."""
    before, started = os.times(), time.perf_counter()
    done = subprocess.run([*COMMAND, str(study), "-o", str(folder), "--json", *arguments],
                          stdout=subprocess.PIPE, check=False)  # fmt: skip
    wall_s, after = time.perf_counter() - started, os.times()
    if done.returncode:
        sys.exit(f"dse run ended with {done.returncode}")
    cpu_s = sum(after[2:4]) - sum(before[2:4])
    return {"wall_s": wall_s, "cpu_s": cpu_s, "front": json.loads(done.stdout)}


def duplicates(folder: pathlib.Path, url: str | None, name: str) -> tuple[int, int, list[float]]:
    """Trials whose hardware another has, all trials, and the seconds of each island."""
    run_folder = runs.Run(folder)
    found = shared.Shared(url or f"{storage.JOURNAL}{run_folder.journal}", name)
    found.join()
    lines = []
    for trial in found.view().finished:
        values = {k: v for k, v in trial.params.items() if k != SERVE_LEVEL}
        rounded = {k: float(f"{v:.6g}") if isinstance(v, float) else v for k, v in values.items()}
        lines.append(json.dumps([trial.user_attrs["family"], rounded], sort_keys=True))
    seconds = [found.state_of(island).get("seconds", 0.0) for island in range(found.islands)]
    return int(pd.Series(lines).duplicated().sum()), len(lines), seconds


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
    head = f"{'':>20} {'trials':>7} {'twice':>6} {'wall s':>7} {'CPU s':>7} {'hypervolume':>12}"
    print(f"{head}   seconds of each island")
    with tempfile.TemporaryDirectory() as place:
        for workers in [0, *given.workers]:
            name = f"{given.study}-{workers}-{os.getpid()}"
            study = pathlib.Path(place) / f"{name}.toml"
            study.write_text(re.sub(r'(?m)^name = ".*"$', f'name = "{name}"', text, count=1))
            arguments = [*total]
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
            twice, count, seconds = "-", found["front"]["trials"], ""
            if workers:
                twice, count, each = duplicates(folder, given.storage, name)
                seconds = " ".join(f"{s:.1f}" for s in each)
            print(f"{said:>20} {count:>7} {twice:>6} {found['wall_s']:>7.1f} "
                  f"{found['cpu_s']:>7.1f} {volume:>12.5f}   {seconds}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
