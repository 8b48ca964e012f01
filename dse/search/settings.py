"""Study files: what is searched, under which limits, and how; every problem of a file at once."""

import dataclasses
import pathlib
import re
from collections.abc import Mapping
from typing import Any

from dse import metrics, units
from dse.search import families, goals, scenarios, space
from dse.search.deployments import FIELDS, axis_values
from dse.search.goals import OBJECTIVES, Objective
from dse.search.samplers import SAMPLERS
from dse.search.scenarios import Combination, Scenario
from dse.specs import library, load
from dse.specs.schema import SpecError, nearest

FIDELITIES = ("sol", "calibrated")
POWER_SCOPES = ("accelerator", "system", "facility")
_COMPARED = re.compile(r"^(?:(\d+)\s*x\s+)?(\S+)$")  # "16 x h100_sxm", or a name alone
_LIMIT = re.compile(r"^\s*(<=|>=)\s*(.+?)\s*$")


@dataclasses.dataclass(frozen=True)
class Constraint:
    """A limit on a metric: ``silicon <= 115000 mm2``."""

    stem: str
    sense: str  # "<=" or ">="
    allowed: float
    text: str

    @property
    def metric(self) -> metrics.Metric:
        """The metric it bounds."""
        found = metrics.by_stem(self.stem)
        if found is None:
            raise KeyError(self.stem)
        return found

    def margin(self, used):
        """``used / allowed - 1``, feasible at or below zero; its negative for a lower bound."""
        ratio = used / self.allowed - 1
        return ratio if self.sense == "<=" else -ratio


@dataclasses.dataclass(frozen=True)
class Search:
    """How the space is searched."""

    seed: int = 0
    trials: int = 1000
    sampler: str = "gradient"
    population: int = 100
    patience: int = 5  # generations without gain before a refined search asks whether it is done


@dataclasses.dataclass(frozen=True)
class Settings:
    """A study, checked: specs loaded, bounds in SI, constraints resolved to metrics."""

    name: str
    about: str
    path: pathlib.Path
    tree: dict
    space: space.Space
    scenarios: tuple[Scenario, ...]
    combination: Combination  # of the scenarios
    compare: tuple[load.Loaded, ...]
    fidelity: str
    power_scope: str
    deployment: dict[str, tuple]
    constraints: tuple[Constraint, ...]
    objectives: tuple[Objective, ...]
    reference_point: tuple[float, ...]  # of the goals: of what is minimized, the reciprocal
    search: Search
    compare_chips: Mapping[str, float] = dataclasses.field(default_factory=dict)
    conventional: str | None = None  # a base chip of the space whose own front is searched too

    @property
    def conventional_families(self) -> list[str]:
        """The families of the conventional arm."""
        return [f.name for f in self.space.families if f.base == self.conventional]

    @property
    def model(self) -> load.Loaded:
        """The model, of several scenarios the first one's."""
        return self.scenarios[0].model

    @property
    def workload(self) -> load.Loaded:
        """The workload, of several scenarios the first one's."""
        return self.scenarios[0].workload

    def alone(self, scenario: Scenario) -> "Settings":
        """The study of one of its scenarios."""
        return dataclasses.replace(self, scenarios=(scenario,))

    @property
    def limit_names(self) -> tuple[str, ...]:
        """What each constraint is called: its metric's stem, with its sense if it is one of two."""
        stems = [constraint.stem for constraint in self.constraints]
        return tuple(c.stem if stems.count(c.stem) == 1 else f"{c.stem} {c.sense}"
                     for c in self.constraints)  # fmt: skip

    def bound(self, stem: str) -> float | None:
        """The upper limit on a metric, or None."""
        for constraint in self.constraints:
            if constraint.stem == stem and constraint.sense == "<=":
                return constraint.allowed
        return None

    @property
    def files(self) -> tuple[pathlib.Path, ...]:
        """Every spec file the study depends on."""
        loaded = [family.loaded for family in self.space.families]
        loaded += [part for s in self.scenarios for part in (s.model, s.workload)]
        loaded += self.compare
        return tuple(dict.fromkeys(path for item in loaded for path in item.files))


def read(name: str, *, trials: int | None = None, seed: int | None = None) -> Settings:
    """A study by name or path, with the command line's changes.

    Raises:
        SpecError: with every problem of the file.
    """
    path = library.locate("studies", name)
    return parse(library.read_file(path), trials=trials, seed=seed)


def parse(
    file: library.SpecFile, *, trials: int | None = None, seed: int | None = None
) -> Settings:
    """The settings of a study file already read."""
    where = f"{file.path.parent.name}/{file.path.name}"
    raw = _validated(file, where)
    problems: list[str] = []
    searched = _search(raw.search, trials, seed, problems)
    bases = [raw.hardware] if isinstance(raw.hardware, str) else raw.hardware
    models = _all_loaded("models", raw.model, "model", problems)
    workloads = _all_loaded("workloads", raw.workload, "workload", problems)
    counted = [_counted(text, problems) for text in raw.compare]
    compare = [_loaded("chips", chip, "compare", problems) for chip, _ in counted]
    for key, known in (("fidelity", FIDELITIES), ("power_scope", POWER_SCOPES)):
        _known(key, getattr(raw, key), known, problems)
    objectives = goals.read(raw.objectives, problems)
    if raw.conventional is not None:
        _known("conventional", raw.conventional, bases, problems)
    deployment = _deployment(raw.space.deployment, problems)
    constraints = _constraints(raw.constraints, problems)
    reference = goals.reference(raw.reference_point, objectives, problems)
    cases, combination = scenarios.read(models, workloads, raw.scenarios, problems)
    searched_space = families.read(bases, raw.space, problems)
    if problems:
        raise SpecError(where, problems)
    return Settings(
        name=str(file.meta.get("name", file.name)),
        about=str(file.meta.get("about", "")),
        path=file.path,
        tree={**file.meta, **file.tree},
        space=searched_space,
        scenarios=cases,
        combination=combination,
        compare=tuple(compare),
        fidelity=raw.fidelity,
        power_scope=raw.power_scope,
        deployment=deployment,
        constraints=constraints,
        objectives=objectives,
        reference_point=reference,
        search=searched,
        compare_chips={chip: count for chip, count in counted if count is not None},
        conventional=raw.conventional,
    )


# --- the form of the file -------------------------------------------------------------------------


def _form():
    """The pydantic models of a study file, built on first use."""
    from pydantic import BaseModel, ConfigDict, Field

    class Form(BaseModel):
        model_config = ConfigDict(extra="forbid", strict=True)

    class SpaceForm(Form):
        knobs: str = "default"
        hold: list[str] = Field(default_factory=list)
        hardware: dict[str, Any] = Field(default_factory=dict)
        deployment: dict[str, Any] = Field(default_factory=dict)

    class ScenariosForm(Form):
        combine: str = "worst"
        weights: list[float] | None = None

    class SearchForm(Form):
        seed: int = Field(default=0, ge=0)
        trials: int = Field(default=1000, ge=1)
        sampler: str = "gradient"
        population: int = Field(default=100, ge=4, le=5000)
        patience: int = Field(default=5, ge=0)

    class StudyForm(Form):
        hardware: str | list[str]
        model: str | list[str]
        workload: str | list[str]
        scenarios: ScenariosForm = Field(default_factory=ScenariosForm)
        compare: list[str] = Field(default_factory=list)
        conventional: str | None = None
        fidelity: str = "sol"
        power_scope: str = "system"
        objectives: list[str] = Field(default_factory=lambda: list(OBJECTIVES))
        reference_point: dict[str, Any] = Field(default_factory=dict)
        space: SpaceForm = Field(default_factory=SpaceForm)
        constraints: dict[str, Any] = Field(default_factory=dict)
        search: SearchForm = Field(default_factory=SearchForm)

    return StudyForm


def _validated(file: library.SpecFile, where: str):
    from pydantic import ValidationError

    form = _form()
    unknown = [f"{key}: unknown field of a study" for key in ("base", "knobs") if key in file.meta]
    try:
        found = form.model_validate(file.tree)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False)
        raise SpecError(where, unknown + [_sentence(form, item) for item in details]) from None
    if unknown:
        raise SpecError(where, unknown)
    return found


def _sentence(form, item: Mapping[str, Any]) -> str:
    """A pydantic error as key, what was found, what is wanted, the nearest name."""
    place = [str(part) for part in item["loc"] if part not in ("str", "list[str]")]
    key = ".".join(place)
    if item["type"] == "extra_forbidden":
        at = form
        for part in place[:-1]:
            at = at.model_fields[part].annotation
        return f"{key}: unknown field{nearest(place[-1], at.model_fields)}"
    if item["type"] == "missing":
        return f"{key}: missing"
    return f"{key}: {item['msg']}, found {item.get('input')!r}"


# --- its meaning ----------------------------------------------------------------------------------


def _known(key: str, word: str, known, problems: list[str]) -> None:
    if word not in known:
        problems.append(f"{key}: {word!r} is unknown{nearest(word, known)}")


def _counted(text: str, problems: list[str]) -> tuple[str, float | None]:
    """``16 x h100_sxm`` as a chip and how many; None: as many as one scale-up domain holds."""
    match = _COMPARED.match(text)
    if match is None or match[1] == "0":
        problems.append(f"compare: {text!r}: wanted CHIP, or N x CHIP")
        return text, None
    return match[2], None if match[1] is None else float(match[1])


def _loaded(kind: str, name: str, key: str, problems: list[str]) -> Any:
    try:
        return load.load(kind, name)
    except SpecError as error:
        problems += [f"{key}: {problem}" for problem in error.problems]
        return None


def _all_loaded(kind: str, given: str | list[str], key: str, problems: list[str]) -> list[Any]:
    """The specs a key names: one or a list of different ones."""
    names = [given] if isinstance(given, str) else given
    if not names or len(set(names)) < len(names):
        problems.append(f"{key}: {given!r}: wanted a name or a list of different ones")
    found = [_loaded(kind, name, key, problems) for name in dict.fromkeys(names)]
    return [loaded for loaded in found if loaded is not None]


def _search(raw, trials: int | None, seed: int | None, problems: list[str]) -> Search:
    _known("search.sampler", raw.sampler, SAMPLERS, problems)
    trials = raw.trials if trials is None else trials
    seed = raw.seed if seed is None else seed
    if trials < 1:
        problems.append(f"--trials: {trials} must be at least 1")
    if seed < 0:
        problems.append(f"--seed: {seed} must be zero or more")
    return Search(seed, trials, raw.sampler, raw.population, raw.patience)


def _deployment(raw: dict[str, Any], problems: list[str]) -> dict[str, tuple]:
    found = {}
    for key, entry in raw.items():
        if key not in FIELDS:
            problems.append(f"space.deployment.{key}: unknown choice{nearest(key, FIELDS)}")
            continue
        values = axis_values(key, entry, problems)
        if values:
            found[key] = values
    if not problems and "tp" not in found:
        found["tp"] = (1, 2, 4, 8)
    return found


def _constraints(raw: dict[str, Any], problems: list[str]) -> tuple[Constraint, ...]:
    """One limit for each metric, or a list of one from below and one from above."""
    found: list[Constraint] = []
    for stem, entry in raw.items():
        metric = metrics.by_stem(stem)
        if metric is None:
            known = [m.stem for m in metrics.METRICS.values()]
            problems.append(f"constraints.{stem}: unknown metric{nearest(stem, known)}")
            continue
        for text in entry if isinstance(entry, list) and entry else [entry]:
            limit = _limit(stem, metric, text, problems)
            if limit is None:
                continue
            if any((c.stem, c.sense) == (limit.stem, limit.sense) for c in found):
                problems.append(f"constraints.{stem}: limited twice by {limit.sense}")
            found.append(limit)
    return tuple(found)


def _limit(stem: str, metric: metrics.Metric, text: Any, problems: list[str]) -> Constraint | None:
    match = _LIMIT.match(text) if isinstance(text, str) else None
    if match is None:
        example = f'"<= 1200 W" ({units.describe(metric.quantity)})'
        problems.append(f"constraints.{stem}: {text!r} is not a limit; wanted {example}")
        return None
    try:
        allowed = units.parse(_number(match[2]), metric.quantity)
    except units.UnitError as error:
        problems.append(f"constraints.{stem}: {error}")
        return None
    if allowed <= 0:
        problems.append(f"constraints.{stem}: {text!r}: the limit must be above zero")
        return None
    return Constraint(metric.stem, match[1], allowed, text)


def _number(text: str) -> str:
    """Thousands may be written with a comma or a blank: ``115 000 mm2``."""
    return re.sub(r"(?<=\d)[ ,](?=\d{3}\b)", "", text)
