"""From a slider's move to the redrawn curve, in headless Chromium: p50 and p95.

    python benchmarks/explore.py [--events 40] [--chip h100_sxm] [--model llama-3.1-70b]

Each event moves one slider by a step and waits until Plotly has drawn the answer to it and the
frame is on its way. A second row drags: moves every 16 ms, as a mouse does, and counts how long
after the last of each burst of ten the curve stands still.
"""

import argparse
import subprocess
import sys
import time

import numpy as np

from dse.report.export import browser as browser_path

MOVE = """
async ([path, step, moves]) => {
  const slider = document.querySelector(`input[type=range][data-path="${path}"]`);
  const graph = document.querySelector('#curve .js-plotly-plot');
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  let began = 0;
  for (let move = 0; move < moves; move += 1) {
    slider.value = Number(slider.value) + step;
    began = performance.now();
    slider.dispatchEvent(new Event('input', { bubbles: true }));
    if (move < moves - 1) await new Promise((done) => setTimeout(done, 16));
  }
  await new Promise((done) => {
    const look = () => {
      const drawn = graph.layout.meta ? graph.layout.meta.n : 0;
      if (drawn < window.dseExplore.newest()) return;
      graph.removeListener('plotly_afterplot', look);
      done();
    };
    graph.on('plotly_afterplot', look);
  });
  await frame();
  return performance.now() - began;
}
"""


def measured(page, path: str, events: int, moves: int) -> np.ndarray:
    """Milliseconds of some events on a slider, back and forth."""
    found = []
    for event in range(events):
        step = 3 if event // 8 % 2 == 0 else -3
        found.append(page.evaluate(MOVE, [path, step, moves]))
        page.wait_for_timeout(60)
    return np.array(found)


def started(words: list[str]):
    """A server of the page in a process of its own, and its address."""
    command = [sys.executable, "-m", "dse.cli.main", "explore", *words, "--no-open", "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    line = process.stderr.readline() if process.stderr else ""
    return process, line.split()[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=40)
    parser.add_argument("--chip", default="h100_sxm")
    parser.add_argument("--model", default="llama-3.1-70b")
    parser.add_argument("--path", default="memory.hbm.bandwidth")
    parser.add_argument("--tp", default="8")
    given = parser.parse_args()
    from playwright.sync_api import sync_playwright

    process, address = started([given.chip, "--model", given.model, "--tp", given.tp])
    try:
        with sync_playwright() as driver:
            chromium = driver.chromium.launch(executable_path=browser_path(), args=["--no-sandbox"])
            page = chromium.new_page(viewport={"width": 1440, "height": 1000})
            page.goto(address)
            page.wait_for_selector(".pays", timeout=60_000)
            time.sleep(1.5)
            measured(page, given.path, 8, 1)  # the browser compiles its scripts too
            print(f"{given.chip}, {given.model}, slider {given.path}; ms to the redrawn curve")
            print(f"{'':24}{'events':>8}{'p50':>8}{'p95':>8}{'max':>8}")
            for name, moves in (("single moves", 1), ("last of ten in 160 ms", 10)):
                ms = measured(page, given.path, given.events, moves)
                p50, p95 = np.quantile(ms, [0.5, 0.95])
                print(f"{name:24}{len(ms):8}{p50:8.0f}{p95:8.0f}{ms.max():8.0f}")
            chromium.close()
    finally:
        process.terminate()
        process.wait(timeout=10)


if __name__ == "__main__":
    main()
