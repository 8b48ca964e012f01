"""``dse init``: a commented starting folder with a chip, a model, a workload and a study."""

import pathlib
from collections.abc import Iterator
from typing import Annotated

import typer

from dse.cli.console import Json, emit
from dse.specs.errors import SpecError

STARTER = pathlib.Path(__file__).parents[1] / "starter"
NEXT = ("dse check my_chip my-model my-workload my-study",
        "dse whatif my_chip --model my-model --workload my-workload --set voltage=0.55V",
        "dse run my-study")  # fmt: skip


def init(
    folder: Annotated[str, typer.Argument(metavar="[DIR]", help="Where; here if not given.")] = ".",
    json: Json = False,
) -> None:
    """A starting folder: a chip on a shipped base, a model, a workload, a study, first commands.

    dse init my-chips

    Existing files are never overwritten: exit code 2 names them, and nothing is written.
    """
    root = pathlib.Path(folder)
    there = [str(root / part) for part in parts() if (root / part).exists()]
    if there:
        raise SpecError("dse init", [f"{path}: already there" for path in there])
    written = []
    try:
        for part in parts():
            (root / part).parent.mkdir(parents=True, exist_ok=True)
            with (root / part).open("x", encoding="utf-8") as file:
                file.write((STARTER / part).read_text("utf-8"))
            written.append(str(root / part))
    except OSError as error:
        raise SpecError("dse init", [f"{error.filename}: {error.strerror or error}"]) from None
    first = [] if folder == "." else [f"cd {folder}"]
    lines = [f"next: {first[0]}" if first else f"next: {NEXT[0]}",
             *[f"      {line}" for line in (NEXT if first else NEXT[1:])]]  # fmt: skip
    emit({"schema": "dse.init/1", "files": written}, [*written, "", *lines], json)


def parts() -> Iterator[pathlib.Path]:
    """The files of a starting folder, relative to it."""
    for path in sorted(STARTER.rglob("*")):
        if path.is_file():
            yield path.relative_to(STARTER)
