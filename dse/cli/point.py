"""The options of one operating point, shared by every verb that asks about one.

Values arrive as text and are read here, so that all problems of a command line are answered at
once and in the words of the field.
"""

import contextlib
import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any, NamedTuple

import typer

from dse.cli import complete
from dse.specs import library
from dse.specs.errors import SpecError, nearest

Text = str | None
Words = list[str] | None
DEFAULT_WORKLOAD = "chat-8k"
_KINDS = {"chip": "chips", "model": "models", "workload": "workloads"}


def _option(about: str, *names: str, metavar: str = "N", panel: str = "Deployment", **kw) -> Any:
    return typer.Option(*names, help=about, metavar=metavar, rich_help_panel=panel, **kw)


@dataclasses.dataclass(frozen=True)
class Point:
    """What a command line says about one operating point, as text."""

    chip: Annotated[
        str,
        typer.Argument(
            metavar="CHIP", help="Name, file, or RUN#ID.", autocompletion=complete.points
        ),
    ]
    model: Annotated[
        Text,
        _option("Name or file (dse model list).", metavar="M", panel="Question",
                autocompletion=complete.names("models")),
    ] = None  # fmt: skip
    workload: Annotated[
        Text,
        _option("Name or file (dse workload list); chat-8k if not given.", metavar="W",
                panel="Question", autocompletion=complete.names("workloads")),
    ] = None  # fmt: skip
    context: Annotated[
        Text, _option("Mean KV tokens read per step, e.g. 8k, 128k, 1M.", panel="Question")
    ] = None
    settings: Annotated[
        Words,
        _option("Change a value: hbm.bandwidth=2x, voltage=0.7V, link.latency=+20%.", "--set",
                metavar="PATH=VALUE", panel="Question", autocompletion=complete.settings),
    ] = None  # fmt: skip
    fidelity: Annotated[
        Text, _option("sol or calibrated; as the chip's style allows.", metavar="F",
                      panel="Question", autocompletion=complete.one_of("sol", "calibrated")),
    ] = None  # fmt: skip
    power_scope: Annotated[
        Text, _option("accelerator, system (default) or facility.", metavar="S", panel="Question",
                      autocompletion=complete.one_of("accelerator", "system", "facility")),
    ] = None  # fmt: skip
    batch: Annotated[Text, _option("Sequences in flight in the replica.")] = None
    micro_batches: Annotated[Text, _option("Micro-batches in flight; pp if not given.")] = None
    tp: Annotated[Text, _option("Tensor-parallel ranks; the fewest that fit if not given.")] = None
    ep: Annotated[Text, _option("Expert-parallel ranks.")] = None
    pp: Annotated[Text, _option("Pipeline stages.")] = None
    dp: Annotated[Text, _option("Data-parallel attention ranks.")] = None
    kvp: Annotated[Text, _option("Context-parallel KV ranks.")] = None
    weights: Annotated[Text, _option("Format of weights.", metavar="F")] = None
    attention_weights: Annotated[Text, _option("Format of attention weights.", metavar="F")] = None
    expert_weights: Annotated[Text, _option("Format of routed experts.", metavar="F")] = None
    kv: Annotated[Text, _option("Format of the KV cache.", metavar="F")] = None
    activations: Annotated[Text, _option("Format of activations.", metavar="F")] = None
    math: Annotated[
        Words,
        _option("Arithmetic of a use (attention, projection, expert).", metavar="USE=FMT"),
    ] = None
    overlap: Annotated[Text, _option("0: operators in turn; 1: all at once.", metavar="X")] = None
    drafts: Annotated[Text, _option("Draft tokens per step.")] = None
    acceptance: Annotated[
        Text, _option("Share of steps that accept each draft, e.g. 0.9,0.6.", metavar="A,B,...")
    ] = None
    collective: Annotated[
        Text, _option("All-reduce algorithm; auto: the fastest.", metavar="C")
    ] = None
    prefill: Annotated[Text, _option("ignored, interleaved or disaggregated.", metavar="P")] = None
    weights_in: Annotated[
        Words, _option("Share of the weights in a memory tier.", metavar="TIER=SHARE")
    ] = None
    kv_in: Annotated[
        Words, _option("Share of the KV cache in a memory tier.", metavar="TIER=SHARE")
    ] = None


def takes_point(command: Callable) -> Callable:
    """Give a command the options of `Point`, gathered into its first argument."""
    own = list(inspect.signature(command).parameters.values())[1:]
    fields = dataclasses.fields(Point)
    shared = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=field.type,
            default=inspect.Parameter.empty if field.default is dataclasses.MISSING
            else field.default,
        )
        for field in fields
    ]  # fmt: skip

    @functools.wraps(command)
    def wrapper(**given: Any) -> Any:
        point = Point(**{field.name: given.pop(field.name) for field in fields})
        return command(point, **given)

    rest = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    both: Any = [*shared, *rest]
    wrapper.__signature__ = inspect.Signature(both)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {parameter.name: parameter.annotation for parameter in both}
    return wrapper


@dataclasses.dataclass(frozen=True)
class Question:
    """An operating point with everything read: specs, deployment, and what was not said."""

    chip: Any
    model: Any
    workload: Any
    choices: Any
    fidelity: str | None
    power_scope: str
    stated: frozenset[str]
    design: str | None = None  # RUN#ID, where it is one

    def evaluate(self, **changed: Any) -> Any:
        """The estimate of this point, with fields of the question changed."""
        from dse.estimate.evaluate import evaluate

        q = dataclasses.replace(self, **changed)
        try:
            return evaluate(q.chip, q.model, q.workload, q.choices, fidelity=q.fidelity,
                            power_scope=q.power_scope, compiled=False)  # fmt: skip
        except SpecError as error:
            if error.where.partition(".")[0] in ("memory", "link"):  # laws know no file
                raise SpecError(str(q.chip.files[0]), error.problems) from None
            raise


@contextlib.contextmanager
def exact() -> Iterator[None]:
    """Double precision, and no warning of numpy's about values that are then refused by name."""
    import jax
    import numpy as np

    with jax.enable_x64(True), np.errstate(all="ignore"):
        yield


def ask(point: Point) -> Question:
    """Read a command line into a question; every problem of it in one error.

    CHIP may be a design of a run (``RUN#ID``): its chip, deployment, model, workload, fidelity and
    scope are then what options leave open.
    """
    from dse import compile_cache
    from dse.estimate.evaluate import FIDELITIES, POWER_SCOPES, check_word
    from dse.specs import load

    compile_cache.enable()
    base = _design(point.chip) if is_design(point.chip) else None
    names = {"chip": point.chip, "model": point.model, "workload": point.workload}
    if base is None:
        names["workload"] = point.workload or DEFAULT_WORKLOAD
    else:
        names["chip"] = base.hardware
    problems: list[str] = []
    settings = _settings(point.settings, problems)
    settings["chip"] = [*(base.changes if base else ()), *settings["chip"]]
    specs: dict[str, Any] = {}
    for option, kind in _KINDS.items():
        name = names[option]
        if name is None and base is None:
            known = ", ".join(library.names("models")[:12])
            problems.append(f"--model: missing; known: {known}, ... (dse model list)")
        elif name is None:
            specs[option] = getattr(base, option)
        else:
            specs[option] = _collected(problems, load.load, kind, name, settings[option])
    for word, known in (("fidelity", (None, *FIDELITIES)), ("power_scope", (None, *POWER_SCOPES))):
        _collected(problems, check_word, word, getattr(point, word), known)
    choices = _choices(point, problems, base.deployment if base else {})
    if problems:
        raise SpecError("command line", problems)
    stated = {f.name for f in dataclasses.fields(Point) if getattr(point, f.name) is not None}
    if base is not None:
        stated |= {"model", "workload", "context", "fidelity", "power_scope", *base.deployment}
    return Question(
        specs["chip"],
        specs["model"],
        specs["workload"],
        choices,
        point.fidelity or (base.fidelity if base else None),
        point.power_scope or (base.power_scope if base else "system"),
        frozenset(stated),
        point.chip if base else None,
    )


class _Base(NamedTuple):
    """What a design of a run stands for."""

    hardware: str
    changes: list[tuple[str, str]]
    deployment: dict[str, Any]
    model: Any
    workload: Any
    fidelity: str
    power_scope: str


def is_design(text: str) -> bool:
    """Whether a word names a design of a run; a file whose name has a # does not."""
    return "#" in text and not text.endswith(".toml")


def _design(text: str) -> _Base:
    from dse.search import designs

    run, identifier = designs.parse_reference(text)
    found, settings = designs.design(run, identifier), run.settings()
    return _Base(
        found["hardware"]["base"],
        designs.overrides_of(found),
        found["deployment"],
        settings.model,
        settings.workload,
        settings.fidelity,
        settings.power_scope,
    )


def _collected(problems: list[str], call: Callable, *arguments: Any) -> Any:
    try:
        return call(*arguments)
    except SpecError as error:
        where = {"--set": "--set "}.get(error.where, f"{error.where}: ")
        problems += [p if str(error.where) in p else where + p for p in error.problems]
        return None


def _settings(texts: Iterable[str] | None, problems: list[str]) -> dict[str, list]:
    """``--set`` pairs by the spec they change: ``model.`` and ``workload.`` before a path."""
    from dse.specs import overrides

    found: dict[str, list] = {option: [] for option in _KINDS}
    for text in texts or []:
        pair = _collected(problems, overrides.parse_setting, text)
        if pair is None:
            continue
        head, _, tail = pair[0].partition(".")
        if head in ("model", "workload") and tail:
            found[head].append((tail, pair[1]))
        else:
            found["chip"].append(pair)
    return found


def _choices(point: Point, problems: list[str], base: Mapping[str, Any]) -> Any:
    """The deployment a command line states; what it leaves out is the base's, else a default."""
    from dse.estimate.prepare import Choices
    from dse.specs.formats import FORMATS

    said: dict[str, Any] = {}
    for name in ("batch", "micro_batches", "tp", "ep", "pp", "dp", "kvp", "drafts", "overlap"):
        said[name] = _number(name, getattr(point, name), None, problems)
    said["context"] = _number("context", point.context, "token", problems)
    for name in ("weights", "attention_weights", "expert_weights", "kv", "activations"):
        said[name] = value = getattr(point, name)
        if value is not None and value not in FORMATS:
            problems.append(f"{_flag(name)}: {value!r} is not a number format"
                            f"{nearest(value, FORMATS)}")  # fmt: skip
    said["collective"], said["prefill"] = point.collective, point.prefill
    said["math"] = _math(point.math, problems)
    said["weights_in"] = _shares("weights_in", point.weights_in, problems)
    said["kv_in"] = _shares("kv_in", point.kv_in, problems)
    said["acceptance"] = _acceptance(point.acceptance, problems)
    drafts = said["drafts"]
    if drafts is not None and (drafts < 0 or drafts != int(drafts)):
        problems.append(f"--drafts: {drafts:g} must be a whole number, zero or more")
    elif drafts is not None:
        said["drafts"] = int(drafts)
    return Choices(**{**base, **{n: value for n, value in said.items() if value is not None}})


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _number(name: str, text: Text, unit: Text, problems: list[str]) -> float | None:
    from dse import units

    if text is None:
        return None
    try:
        return units.parse(text, unit)
    except units.UnitError as error:
        problems.append(f"{_flag(name)}: {error}")
        return None


def _pairs(name: str, texts: Words, form: str, problems: list[str]) -> dict[str, str] | None:
    if not texts:
        return None
    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip() or not value.strip():
            problems.append(f"{_flag(name)}: {text!r} is not of the form {form}")
        found[key.strip()] = value.strip()
    return found


def _math(texts: Words, problems: list[str]) -> Mapping[str, str] | None:
    uses = ("attention", "projection", "expert")
    found = _pairs("math", texts, "USE=FMT", problems)
    for use in found or {}:
        if use not in uses:
            problems.append(f"--math: {use!r} is not a use of arithmetic{nearest(use, uses)}")
    return found


def _shares(name: str, texts: Words, problems: list[str]) -> dict[str, float] | None:
    found = {}
    for tier, text in (_pairs(name, texts, "TIER=SHARE", problems) or {}).items():
        share = _number(name, text, None, problems)
        if share is not None and not 0 <= share <= 1:
            problems.append(f"{_flag(name)}: {tier}={text} must lie between 0 and 1")
        found[tier] = share or 0.0
    return found or None


def _acceptance(text: Text, problems: list[str]) -> tuple[float, ...] | None:
    if text is None:
        return None
    shares = [_number("acceptance", part, None, problems) for part in text.split(",")]
    if any(share is not None and not 0 <= share <= 1 for share in shares):
        problems.append(f"--acceptance: {text!r}: each share must lie between 0 and 1")
    return tuple(share or 0.0 for share in shares)
