"""Hypervolume against CPU time: the gradient search beside plain samplers, on one study.

    pip install pymoo          # only for its NSGA-II
    python benchmarks/search.py two-goals --seconds 20 --seeds 5

Every method has the same CPU seconds per seed and the same model: each of its trials is a piece of
hardware whose whole deployment grid is swept by the same compiled batch. Compiling and importing
are stated apart; nothing is written to disk. Caveats: Optuna's samplers spend most of their time in
ask and tell, which a batched implementation would not; pymoo draws hardware only, with whole
numbers rounded, and one run of it per family shares the time; the gradient search alone uses
slopes. The reference is a long run of the gradient search (other seeds, more rounds, more of
everything), joined with whatever any method found: its recipe is `reference`, and what it last came
to is in `references.toml`. Keep it to one core (`taskset -c 0`): threads that wait count too.
"""

import argparse
import json
import pathlib
import time
import tomllib
from collections.abc import Callable

import numpy as np
import optuna

from dse import compile_cache
from dse.report.export import write_figure
from dse.search import archive, batch, polish, samplers, settings, trial, warm
from dse.search.archive import Archive, Row

RECORDED = pathlib.Path(__file__).with_name("references.toml")
PLAIN = ("nsga2", "nsga3", "tpe", "random")
SHARES = (0.9, 0.99, 0.999)
Curve = list[tuple[float, float]]  # CPU seconds, hypervolume


class Clock:
    """CPU seconds of one method, and the hypervolume reached at each."""

    def __init__(self, reference_point):
        self.archive = Archive(reference_point)
        self.curve: Curve = []
        self._start = time.process_time()

    @property
    def spent(self) -> float:
        """CPU seconds so far."""
        return time.process_time() - self._start

    def mark(self) -> None:
        """Note how far the front is."""
        self.curve.append((self.spent, self.archive.hypervolume))


def gradient(study, evaluators, polishers, seed: int, seconds: float) -> Clock:
    """The gradient phase, again and again from new seeds until the time is over."""
    clock = Clock(study.reference_point)
    again = 0
    while clock.spent < seconds:
        phase = warm.Warm(evaluators, polishers, study, seed + 1000 * again)

        def noted(_number, found: Archive) -> None:
            clock.archive.add(found.points, found.rows)
            clock.mark()

        phase.run(warm.ROUNDS, noted)
        again += 1
    return clock


def plain(name: str, study, evaluators, seed: int, seconds: float) -> Clock:
    """An Optuna sampler, asked for generations of a hundred."""
    clock = Clock(study.reference_point)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    search = optuna.create_study(directions=["maximize"] * 2)
    distributions = study.space.distributions()
    while clock.spent < seconds:
        search.sampler = samplers.sampler(name, seed, 100, len(search.get_trials(deepcopy=False)))
        asked = [search.ask(distributions) for _ in range(100)]
        drawn = [study.space.values_of(one.params) for one in asked]
        for family, evaluator in evaluators.items():
            mine = [i for i, (drawn_family, _) in enumerate(drawn) if drawn_family.name == family]
            if not mine:
                continue
            outcome = evaluator(np.array([drawn[i][1] for i in mine], float))
            for row, i in enumerate(mine):
                level = asked[i].params["serve_level"]
                found = trial.swept(outcome, row, study, level=level)
                for key, margin in trial.constraints_of(found, study).items():
                    asked[i].set_constraint(key, margin)
                search.tell(asked[i], found.values)
                if len(found.front):
                    values = tuple(drawn[i][1])
                    rows = [Row(i, family, values, int(p)) for p in found.front]
                    clock.archive.add(found.logs, rows)
        clock.mark()
    return clock


def pymoo(study, evaluators, seed: int, seconds: float) -> Clock:
    """pymoo's NSGA-II over the knobs of each family in turn, the time divided among them."""
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.problem import Problem

    clock = Clock(study.reference_point)

    class Hardware(Problem):
        def __init__(self, evaluator):
            self.evaluator = evaluator
            axes = len(evaluator.family.axes)
            super().__init__(n_var=axes + 1, n_obj=2, n_ieq_constr=1, xl=0.0, xu=1.0)

        def _evaluate(self, x, out, *_args, **_kwargs):
            designs = self.evaluator.family.from_unit_cube(x[:, :-1])
            outcome = self.evaluator(designs)
            goals, worst = [], []
            for row in range(len(x)):
                found = trial.swept(outcome, row, study, level=float(x[row, -1]))
                goals.append([-value for value in found.values])
                worst.append(max(found.margins))
                if len(found.front):
                    rows = [Row(0, self.evaluator.family.name, tuple(designs[row]), int(p))
                            for p in found.front]  # fmt: skip
                    clock.archive.add(found.logs, rows)
            out["F"], out["G"] = np.array(goals), np.array(worst)[:, None]
            clock.mark()

    share = seconds / len(evaluators)
    for number, evaluator in enumerate(evaluators.values()):
        until = share * (number + 1)
        algorithm = NSGA2(pop_size=100)
        algorithm.setup(Hardware(evaluator), seed=seed, verbose=False)
        while clock.spent < until:
            algorithm.next()
    return clock


def reference(study, evaluators, polishers, rounds: int) -> Archive:
    """A long gradient search: three times the aims, all explored, twice the starts, two seeds."""
    kept = {name: getattr(warm, name) for name in ("AIMS", "STARTS", "LEVELS", "EXPLORED")}
    found = Archive(study.reference_point)
    warm.AIMS, warm.STARTS, warm.LEVELS, warm.EXPLORED = 150, 60, 40, 1
    for seed in (90001, 90002):
        phase = warm.Warm(evaluators, polishers, study, seed)
        phase.run(rounds, lambda number, front: print(f"  {number} {front.hypervolume:.4f}"))
        found.add(phase.archive.points, phase.archive.rows)
    for name, value in kept.items():
        setattr(warm, name, value)
    return found


def reached(curve: Curve, wanted: float) -> float | None:
    """CPU seconds until a hypervolume, None where it was not reached."""
    return next((seconds for seconds, volume in curve if volume >= wanted), None)


def within(curve: Curve, seconds: float) -> float:
    """The hypervolume when the time was over; a generation that ended later is not counted."""
    return max((volume for spent, volume in curve if spent <= seconds), default=0.0)


def table(curves: dict[str, list[Curve]], best: float, seconds: float) -> str:
    """Shares of the reference at the end; CPU seconds to some, and how many seeds came so far."""
    lines = [f"{'method':<12} {'median':>8} {'worst':>8}   CPU-s to " + "  ".join(map(str, SHARES))]
    for name, runs in curves.items():
        ends = sorted(within(curve, seconds) / best for curve in runs)
        said = []
        for share in SHARES:
            times = [reached(curve, share * best) for curve in runs]
            done = sorted(t for t in times if t is not None and t <= seconds)
            said.append(
                f"{done[len(done) // 2]:.1f} ({len(done)}/{len(runs)})" if done else "never"
            )
        lines.append(f"{name:<12} {ends[len(ends) // 2]:8.4f} {ends[0]:8.4f}   " + "  ".join(said))
    return "\n".join(lines)


def figure(curves: dict[str, list[Curve]], best: float, seconds: float):
    """Share of the reference hypervolume against CPU seconds, one line per method and seed."""
    import plotly.graph_objects as go
    from plotly.colors import qualitative

    colors = dict(zip(curves, qualitative.D3, strict=False))
    lines = [
        go.Scatter(x=[s for s, _ in curve], y=[v / best for _, v in curve], mode="lines",
                   line={"color": colors[name], "width": 2.5 if name == "gradient" else 1.2},
                   name=name, legendgroup=name, showlegend=number == 0)
        for name, all_curves in curves.items() for number, curve in enumerate(all_curves)
    ]  # fmt: skip
    drawn = go.Figure(lines)
    drawn.update_xaxes(title="CPU seconds", type="log", range=[-0.7, np.log10(seconds)],
                      tickvals=[0.2, 0.5, 1, 2, 5, 10, 20, 50])  # fmt: skip
    drawn.update_yaxes(title="share of the reference hypervolume", range=[0.68, 1.005])
    drawn.update_layout(template="plotly_white", width=860, height=460,
                        margin={"t": 24, "r": 24}, font={"size": 14})  # fmt: skip
    return drawn


def main() -> None:
    """Run all methods on all seeds and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("study", nargs="?", default="two-goals")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("-o", "--output", type=pathlib.Path)
    asked = parser.parse_args()
    compile_cache.enable()
    study = settings.read(asked.study)
    evaluators = batch.evaluators(study)
    polishers = {name: polish.Polisher(e) for name, e in evaluators.items()}
    start = time.process_time()
    warm.compile_all(evaluators, polishers)
    print(f"{asked.study}: compiled in {time.process_time() - start:.1f} CPU-s")
    long = reference(study, evaluators, polishers, asked.rounds)
    methods: dict[str, Callable[[int], Clock]] = {
        "gradient": lambda seed: gradient(study, evaluators, polishers, seed, asked.seconds),
        **{name: lambda seed, name=name: plain(name, study, evaluators, seed, asked.seconds)
           for name in PLAIN},
        "pymoo nsga2": lambda seed: pymoo(study, evaluators, seed, asked.seconds),
    }  # fmt: skip
    runs = {name: [method(seed) for seed in range(asked.seeds)] for name, method in methods.items()}
    for clocks in runs.values():
        for clock in clocks:
            long.add(clock.archive.points, clock.archive.rows)
    best = archive.hypervolume(long.points, long.reference)
    recorded = tomllib.loads(RECORDED.read_text()).get(asked.study, {}).get("hypervolume")
    print(f"reference hypervolume {best:.4f} (recorded: {recorded})")
    print(f"{asked.seconds:g} CPU-s each, {asked.seeds} seeds")
    curves = {name: [clock.curve for clock in clocks] for name, clocks in runs.items()}
    print(table(curves, best, asked.seconds))
    if asked.output:
        asked.output.write_text(json.dumps({"reference": best, "curves": curves}) + "\n")
        write_figure(figure(curves, best, asked.seconds), asked.output.with_suffix(".html"))


if __name__ == "__main__":
    main()
