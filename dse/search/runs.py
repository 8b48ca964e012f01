"""Run folders: what a run leaves on disk, so that it can be read, resumed and rebuilt.

A generation is saved in three steps: a part of ``evaluated.parquet`` (written aside, then renamed),
the journal (one append), then ``state.json`` (renamed over the old). Whatever lies beyond the state
is cut off on resume, so a run killed between any two steps is the run before that generation.
"""

import dataclasses
import datetime
import hashlib
import json
import os
import pathlib
import re
import shutil
import sys
import tomllib
from typing import Any

import numpy as np
import pandas as pd

from dse import __version__
from dse.search import goals
from dse.search import settings as study_settings
from dse.search.archive import Archive, Row, nondominated, thin
from dse.search.places import ROOT
from dse.search.settings import Settings
from dse.specs import library
from dse.specs.schema import SpecError, nearest

THIN_DRAWN = 0.02  # log10 of both goals, for curves that are only looked at
SCHEMA = "dse.run/1"


def fresh_state() -> dict[str, Any]:
    """The state of a search that has not begun."""
    return {"schema": SCHEMA, "generations": 0, "trials": 0, "feasible": 0, "evaluations": 0,
            "seconds": 0.0, "hypervolume": [], "stalled": 0, "converged": False,
            "journal_bytes": 0}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Run:
    """One run folder."""

    folder: pathlib.Path

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def journal(self) -> pathlib.Path:
        """The Optuna journal."""
        return self.folder / "journal.log"

    @property
    def shared_journal(self) -> pathlib.Path:
        """The journal that workers of one machine share, where there are several."""
        return self.folder / "shared.log"

    @property
    def evaluated(self) -> pathlib.Path:
        """Every design that competed: a Parquet dataset of one part per generation."""
        return self.folder / "evaluated.parquet"

    @property
    def state(self) -> dict[str, Any]:
        """What was saved last."""
        path = self.folder / "state.json"
        return json.loads(path.read_text("utf-8")) if path.is_file() else fresh_state()

    @property
    def provenance(self) -> dict[str, Any]:
        """How the run came about."""
        return json.loads((self.folder / "provenance.json").read_text("utf-8"))

    def trials(self, name: str, objectives) -> Any:
        """The trials so far, in memory and in the journal."""
        from dse.search.journal import Trials  # Optuna, which readers of runs do without

        return Trials(self.journal, name, objectives)

    # --- writing ---------------------------------------------------------------------------------

    def save(self, state: dict[str, Any], competed: list[pd.DataFrame], trials) -> None:
        """Save a generation; ``state`` is updated to what is on disk."""
        if competed:
            part = self.evaluated / f"part-{state['generations']:05d}.parquet"
            write_parquet(part, pd.concat(competed, ignore_index=True))
        trials.flush()
        state["generations"] += 1
        state["journal_bytes"] = self.journal.stat().st_size
        write_json(self.folder / "state.json", state)

    def recover(self) -> dict[str, Any]:
        """Cut off what a killed run left beyond its last saved state; hand back that state."""
        state = self.state
        for part in self.evaluated.glob("*"):
            number = re.fullmatch(r"part-(\d+)\.parquet", part.name)
            if number is None or int(number[1]) >= state["generations"]:
                part.unlink()
        if self.journal.is_file() and self.journal.stat().st_size > state["journal_bytes"]:
            os.truncate(self.journal, state["journal_bytes"])
        self.journal.with_name("journal.log.lock").unlink(missing_ok=True)
        return state

    def write_front(self, settings: Settings, archive: Archive, evaluators, state) -> None:
        """``front.json`` and ``front.parquet``: the front confirmed in float64."""
        from dse.search.front import front_of, table_of

        front = front_of(self.name, settings, archive, evaluators, state)
        front["family_fronts"] = self.family_fronts(settings)
        front["certificate"] = self.certificate
        write_parquet(self.folder / "front.parquet", table_of(front))
        write_json(self.folder / "front.json", front)

    def write_certificate(self, certificate: dict[str, Any]) -> None:
        """``certificate.json``, which the next ``front.json`` carries."""
        write_json(self.folder / "certificate.json", certificate)

    # --- reading ---------------------------------------------------------------------------------

    @property
    def certificate(self) -> dict[str, Any] | None:
        """The bounds of the run's space, None where none were computed."""
        path = self.folder / "certificate.json"
        return json.loads(path.read_text("utf-8")) if path.is_file() else None

    def settings(self) -> Settings:
        """The study as it was started, from the copy in the folder."""
        with_copy = library.read_file(self.folder / "study.toml")
        started = self.provenance
        return study_settings.parse(with_copy, trials=started["trials"], seed=started["seed"])

    def competed(self, settings: Settings) -> tuple[np.ndarray, list[Row]]:
        """Log10 of the goals of every design that competed, and where each is from."""
        parts = sorted(self.evaluated.glob("part-*.parquet"))
        points, rows = [], []
        for part in parts:
            table = pd.read_parquet(part)
            points.append(goals.logs_of(settings.objectives, table))
            rows += _rows(table, settings)
        return (np.concatenate(points) if points else np.empty((0, len(settings.objectives)))), rows

    def family_fronts(self, settings: Settings) -> dict[str, list[list[float]]]:
        """Both goals along the front of each family alone: what is technology, what is search.

        Of a study of more goals, along the front of these two; none where it lacks one of them.
        """
        points, rows = self.competed(settings)
        names = [objective.name for objective in settings.objectives]
        if not set(goals.OBJECTIVES) <= set(names):
            return {}
        points = points[:, [names.index(name) for name in goals.OBJECTIVES]]
        families = np.array([row.family for row in rows])
        found = {}
        for family in settings.space.families:
            mine = points[families == family.name] if len(rows) else points
            if len(mine):
                best = mine[nondominated(mine)]
                found[family.name] = (10 ** best[thin(best, THIN_DRAWN)]).tolist()
        return found

    def front(self) -> dict[str, Any]:
        """The front, written now if a killed run did not come to it."""
        path = self.folder / "front.json"
        state = self.state
        if path.is_file():
            front = json.loads(path.read_text("utf-8"))
            if front["trials"] == state["trials"]:
                return front
        if not state["trials"]:
            raise SpecError(self.name, ["the run has no finished trial yet; dse study resume it"])
        from dse.search import batch

        settings = self.settings()
        archive = Archive(settings.reference_point)
        archive.add(*self.competed(settings))
        self.write_front(settings, archive, batch.evaluators(settings), state)
        return json.loads(path.read_text("utf-8"))


def _rows(table: pd.DataFrame, settings: Settings) -> list[Row]:
    fields = {f.name: [axis.field for axis in f.axes] for f in settings.space.families}
    columns = {name: table[name].to_numpy() for name in table.columns}
    absent = np.full(len(table), np.nan)
    found = []
    for i in range(len(table)):
        family = str(columns["family"][i])
        values = tuple(float(columns.get(field, absent)[i]) for field in fields[family])
        found.append(Row(int(columns["trial"][i]), family, values, int(columns["point"][i])))
    return found


# --- files ----------------------------------------------------------------------------------------


def write_json(path: pathlib.Path, content: Any) -> None:
    """Write a JSON file so that it is either the old one or the new one."""
    text = json.dumps(content, indent=1, allow_nan=False)
    replace(path, lambda aside: aside.write_text(text + "\n", "utf-8"))


def write_parquet(path: pathlib.Path, table: pd.DataFrame) -> None:
    """Write a Parquet file so that it is either complete or absent."""
    replace(path, lambda aside: table.to_parquet(aside, index=False))


def replace(path: pathlib.Path, write) -> None:
    """Write aside, flush to disk, rename into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(aside)
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


# --- starting and finding -------------------------------------------------------------------------


def start(settings: Settings, given: str, folder: pathlib.Path | None = None) -> Run:
    """A fresh run folder with a copy of the study and its provenance.

    Raises:
        SpecError: the folder already holds something.
    """
    if folder is None:
        folder = _free(ROOT / re.sub(r"[^A-Za-z0-9._-]+", "-", settings.name))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SpecError(str(folder), ["already there; choose another folder, or dse study resume"])
    folder.mkdir(parents=True, exist_ok=True)
    run = Run(folder)
    shutil.copyfile(settings.path, folder / "study.toml")
    write_json(folder / "provenance.json", provenance_of(settings, given))
    return run


def _free(folder: pathlib.Path) -> pathlib.Path:
    number, free = 1, folder
    while free.exists():
        number += 1
        free = folder.with_name(f"{folder.name}-{number}")
    return free


def provenance_of(settings: Settings, given: str) -> dict[str, Any]:
    """What a run is of, and how it was started."""
    grid = {name: list(values) for name, values in settings.deployment.items()}
    families = [{"name": f.name, "base": f.base, "choices": dict(f.choices)}
                for f in settings.space.families]  # fmt: skip
    axes = [{"name": a.name, "low": a.low, "high": a.high, "log": a.log, "whole": a.whole,
             "unit": a.unit, "origin": a.origin} for a in settings.space.parameters]  # fmt: skip
    return {
        "schema": SCHEMA,
        "study": settings.name,
        "study_file": given,
        "package_version": __version__,
        "seed": settings.search.seed,
        "trials": settings.search.trials,
        "command": " ".join(["dse", *sys.argv[1:]]),
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "spec_files": hashes(settings),
        "families": families,
        "axes": axes,
        "deployment": grid,
    }


def hashes(settings: Settings) -> dict[str, str]:
    """SHA-256 of every spec file, by its kind and name."""
    return {
        f"{path.parent.name}/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest()
        for path in settings.files
    }


def list_runs(root: pathlib.Path | None = None) -> list[Run]:
    """The runs under a folder, by name."""
    root = ROOT if root is None else root
    found = root.glob("*/provenance.json") if root.is_dir() else []
    return sorted((Run(path.parent) for path in found), key=lambda run: run.name)


def find(name: str) -> Run:
    """A run by folder or by name under ``runs/``.

    Raises:
        SpecError: no such run, with the nearest one.
    """
    for folder in (pathlib.Path(name), ROOT / name):
        if (folder / "provenance.json").is_file():
            return Run(folder)
    known = [run.name for run in list_runs()]
    hint = nearest(name, known) if known else "; there is none yet: dse run STUDY"
    raise SpecError(name, [f"{name!r} is not a run{hint}"])


def check_unchanged(run: Run, settings: Settings) -> None:
    """Refuse to continue a run whose study, specs or package are not what they were.

    Raises:
        SpecError: naming each changed key or file.
    """
    problems = model_changes(run, settings) + _study_changes(run, run.provenance["study_file"])
    if problems:
        problems.append("start a fresh run instead: dse run STUDY")
        raise SpecError(run.name, problems)


def model_changes(run: Run, settings: Settings) -> list[str]:
    """What would evaluate the designs of a run otherwise now: the package, its spec files."""
    then, problems = run.provenance, []
    if then["package_version"] != __version__:
        problems.append(f"package version: was {then['package_version']}, is {__version__}")
    now = hashes(settings)
    for name in sorted(set(then["spec_files"]) | set(now)):
        if then["spec_files"].get(name) != now.get(name):
            problems.append(f"{name}: changed since the run was started")
    return problems


def _study_changes(run: Run, given: str) -> list[str]:
    try:
        path = library.locate("studies", given)
    except SpecError:
        return []  # the study was moved away; the copy in the folder is what counts
    old = flat(tomllib.loads((run.folder / "study.toml").read_text("utf-8")))
    new = flat(tomllib.loads(path.read_text("utf-8")))
    said = "search.trials"  # a total, which may grow
    changed = [key for key in {**old, **new} if old.get(key) != new.get(key) and key != said]
    return [f"{path.parent.name}/{path.name}: {key}: was {old.get(key)!r}, is {new.get(key)!r}"
            for key in changed]  # fmt: skip


def with_total(run: Run, settings: Settings, trials: int) -> Settings:
    """The study with another total; the run's provenance says so from now on.

    Raises:
        SpecError: fewer trials than the run already has.
    """
    done = run.state["trials"]
    if trials < max(done, 1):
        raise SpecError("--trials", [f"{trials}: the run has {done} already; this is a total"])
    write_json(run.folder / "provenance.json", run.provenance | {"trials": trials})
    search = dataclasses.replace(settings.search, trials=trials)
    return dataclasses.replace(settings, search=search)


def flat(tree: Any, path: str = "") -> dict[str, Any]:
    """A tree as dotted path -> leaf."""
    if not isinstance(tree, dict):
        return {path: tree}
    found = {}
    for key, value in tree.items():
        found |= flat(value, f"{path}.{key}" if path else key)
    return found
