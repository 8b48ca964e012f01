"""``dse sweep STUDY --over LIMIT=...``: the front searched again at each value of a limit."""

import dataclasses
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import typer

from dse.cli import figures
from dse.cli.console import emit, note
from dse.cli.point import Point
from dse.specs import library
from dse.specs.errors import SpecError

KINDS = (*figures.KINDS, ".json")


def is_study(text: str) -> bool:
    """Whether a word names a study or a run, and no chip."""
    from dse.cli.check import kind_of
    from dse.search import places

    if text in library.folder_of("chips") or "#" in text:
        return False
    if text.endswith(".toml"):
        return pathlib.Path(text).is_file() and kind_of(pathlib.Path(text)) == "studies"
    return text in library.folder_of("studies") or is_run(text) or text in places.names()


def is_run(text: str) -> bool:
    """Whether a word is a run folder."""
    return (pathlib.Path(text) / "provenance.json").is_file()


def sweep_study(
    point: Point, over: list[str], speed: str | None, rounds: int | None, show: Mapping[str, Any]
) -> None:
    """Search, then print, draw or write.

    Args:
        point: the command line; what it says beside the study's name is refused.
        over: one limit and its values.
        speed: user tokens/s to name winners at, with commas between.
        rounds: of the gradient phase at each value.
        show: ``json``, ``output`` and ``dark``.
    """
    from dse import compile_cache

    compile_cache.enable()
    from dse.search import over as sweeps

    study, run = _read(point.chip)
    given, speeds = _asked(point, study, over, speed, rounds, show["output"])
    found = sweeps.fronts_over(given, rounds or sweeps.ROUNDS, speeds, run, note)
    output = show["output"]
    if figures.is_figure(output):
        figures.draw("placement", found, output, show["dark"])
        output = None
    emit(found, shown(found), show["json"], output)
    if not found["feasible"]:
        note("dse: no value of the limit leaves a feasible design")
        raise typer.Exit(3)


def _read(name: str) -> tuple[Any, Any]:
    """The study, and the run whose designs the search starts from."""
    from dse.search import places, runs, settings

    if is_run(name) or name in places.names():
        run = runs.find(name)
        study = run.settings()
        # A run of changed specs is a different question: its designs are no starting points then.
        return study, None if runs.model_changes(run, study) else run
    return settings.read(name), None


def _asked(point: Point, study: Any, over, speed, rounds, output) -> tuple[Any, Any]:
    """The study under each value, and the speeds; every problem of the command line at once."""
    from dse.questions.sweep import parse_axis
    from dse.search.over import limited

    said = [field.name for field in dataclasses.fields(Point)[1:]
            if getattr(point, field.name) is not None]  # fmt: skip
    problems = [f"--{'set' if name == 'settings' else name.replace('_', '-')}: a study states its "
                "own; change its file" for name in said]  # fmt: skip
    speeds = _speeds(speed, problems)
    if rounds is not None and rounds < 1:
        problems.append(f"--rounds: {rounds} must be at least 1")
    if output and pathlib.Path(output).suffix.lower() not in KINDS:
        problems.append(f"-o: {pathlib.Path(output).name!r}: wanted a name ending in "
                        f"{', '.join(kind[1:] for kind in KINDS)}")  # fmt: skip
    given = None
    if len(over) != 1:
        problems.append(f"--over: {len(over)} axes; a study is swept over one limit")
    else:
        try:
            axis = parse_axis(over[0])
            given = limited(study, axis.path, axis.values)
        except SpecError as error:
            problems += [f"--over: {problem}" for problem in error.problems]
    if problems or given is None:
        raise SpecError("command line", problems)
    return given, speeds


def _speeds(text: str | None, problems: list[str]) -> list[float] | None:
    from dse import units

    if text is None:
        return None
    try:
        found = [units.parse(part, None) for part in text.split(",")]
    except units.UnitError as error:
        problems.append(f"--speed: {error}")
        return None
    if not all(0 < speed < 1e300 for speed in found):
        problems.append(f"--speed: {text!r} must be above zero")
    return found


def shown(found: dict[str, Any]) -> Iterator[Any]:
    """The verdict, the winner at each speed, where weights go, the fast end."""
    from dse.report import placement as report
    from dse.report import tables

    yield from tables.blank([
        report.heading(found),
        report.verdict(found),
        report.winners(found),
        report.placement(found),
        report.ends(found),
        "next: the same with -o placement.html for a picture, --json for every design",
    ])  # fmt: skip
