"""How the hypervolume of a run grew, trial by trial."""

from typing import Any

import numpy as np

from dse.search.archive import Archive
from dse.search.runs import Run

SCHEMA = "dse.history/1"


def history(run: Run) -> dict[str, Any]:
    """Trials at which the front grew and the hypervolume after each, from what competed.

    ``trials`` counts trials from 1; hypervolume in log10 of the goals, as of ``front.json``.
    """
    settings, state = run.settings(), run.state
    points, rows = run.competed(settings)
    numbers = np.array([row.trial for row in rows], int)
    archive = Archive(settings.reference_point)
    trials, volumes = [], []
    for number in np.unique(numbers):
        mine = np.flatnonzero(numbers == number)
        before = archive.hypervolume
        archive.add(points[mine], [rows[i] for i in mine])
        if archive.hypervolume > before or not trials:
            trials.append(int(number) + 1)
            volumes.append(archive.hypervolume)
    return {
        "schema": SCHEMA,
        "run": run.name,
        "study": settings.name,
        "fidelity": settings.fidelity,
        "seed": settings.search.seed,
        "sampler": settings.search.sampler,
        "trials_done": state["trials"],
        "trials_asked": settings.search.trials,
        "evaluations": state["evaluations"],
        "seconds": state["seconds"],
        "converged": state["converged"],
        "objectives": [objective.name for objective in settings.objectives],
        "trials": trials,
        "hypervolume": volumes,
    }
