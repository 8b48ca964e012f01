"""``dse hw``, ``dse model``, ``dse workload``: what there is, and where each number is from."""

import pathlib
from collections.abc import Callable
from typing import Annotated, Any

import typer

from dse.cli import complete
from dse.cli.console import Json, Output, emit, note, write_text
from dse.specs import library
from dse.specs.errors import SpecError

Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Show it with a value changed.",
                 autocompletion=complete.settings),
]  # fmt: skip


def _listing(kind: str) -> Callable[..., None]:
    def command(json: Json = False, output: Output = None) -> None:
        found, broken = [], []
        for name in library.names(kind):
            try:
                file = library.read_file(library.folder_of(kind)[name])
                found.append({"name": name, "title": file.title, "file": str(file.path)})
            except SpecError as error:
                broken.append(str(error))
        emit({"schema": "dse.list/1", kind: found}, _list_table(found), json, output)
        if broken:
            note(*[f"dse: {text}" for text in broken])
            raise typer.Exit(2)

    command.__doc__ = f"Names and titles of all {kind}."
    return command


def _list_table(found: list[dict[str, str]]):
    from dse.report import tables

    made = tables.table(None, ["name", "title"], [(f["name"], f["title"]) for f in found])
    made.columns[1].justify = "left"
    yield made


def _showing(kind: str) -> Callable[..., None]:
    about = {"help": "Name, alias or file.", "autocompletion": complete.names(kind)}

    def command(
        name: Annotated[str, typer.Argument(metavar="NAME", **about)],
        settings: Settings = None,
        json: Json = False,
        output: Output = None,
    ) -> None:
        from dse.specs import load, overrides

        changes = [overrides.parse_setting(text) for text in settings or []]
        loaded = load.load(kind, name, changes)
        found = described(loaded)
        emit(found, _shown(found), json, output)

    command.__doc__ = f"Every value of one of the {kind}: unit, source, range, where it is from."
    return command


def described(loaded: Any) -> dict[str, Any]:
    """Every value of a loaded spec with its unit, source, range and origin."""
    from dse.specs import load, overrides

    values = {}
    for path, value in loaded.record.items():
        unit = load.numeric_unit(loaded, path)
        values[path] = {"value": value.number, "unit": unit, "text": value.text,
                        "source": value.source, "low": value.low, "high": value.high,
                        "note": value.note, "origin": value.origin}  # fmt: skip
    words = {
        path: table[key].get("value")
        for path, table, key in overrides.paths(loaded.tree, type(loaded.spec))
        if isinstance(table.get(key), dict) and isinstance(table[key].get("value"), str)
        and path not in values
    }  # fmt: skip
    return {
        "schema": "dse.show/1", "kind": loaded.kind, "name": loaded.name, "title": loaded.title,
        "about": str(loaded.meta.get("about", "")), "files": [str(f) for f in loaded.files],
        "changes": [{"path": p, "before": b, "after": a} for p, b, a in loaded.changes],
        "words": words, "values": values,
    }  # fmt: skip


def _shown(found: dict[str, Any]) -> list[Any]:
    from dse.report import tables

    rows = []
    for path, v in found["values"].items():
        ends = [_like(v["text"], end, v["unit"]) for end in (v["low"], v["high"])
                if end is not None]  # fmt: skip
        origin = pathlib.Path(v["origin"]).stem if v["origin"].endswith(".toml") else v["origin"]
        rows.append((path, v["text"], " .. ".join(ends), v["source"], origin, v["note"]))
    values = tables.table(None, ["value of", "", "range", "source", "from", "note"], rows)
    for column in values.columns[3:]:
        column.justify, column.no_wrap = "left", column.header != "note"
    words = tables.table(None, ["choice of", ""], found["words"].items())
    changes = [f"{c['path']} {c['before']} -> {c['after']}" for c in found["changes"]]
    head = f"{found['title']} ({found['name']})\n{found['about']}".rstrip()
    files = "read: " + ", ".join(pathlib.Path(f).name for f in found["files"])
    return tables.blank([head, *changes, *([words] if found["words"] else []), values, files])


def _like(text: str, number: float, unit: str | None) -> str:
    """A number in its unit; kelvin stay kelvin where the file says so (differences do)."""
    from dse import units

    if unit == "kelvin" and not text.endswith("C"):
        return f"{number:.4g} K"
    return units.show(number, unit)


def _verbs(kind: str, about: str) -> typer.Typer:
    app = typer.Typer(no_args_is_help=True, add_completion=False, help=about)
    app.command("list")(_listing(kind))
    app.command("show")(_showing(kind))
    return app


hardware = _verbs("chips", "Chips of the library.")
models = _verbs("models", "Models of the library, and import of a config.json.")
workloads = _verbs("workloads", "Workloads of the library.")


@models.command("import")
def import_config(
    config: Annotated[str, typer.Argument(metavar="CONFIG", help="A Hugging Face config.json.")],
    name: Annotated[
        str | None, typer.Option(metavar="N", help="Name of the model; else of its folder.")
    ] = None,
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="FILE", help="Write the TOML here.")
    ] = None,
) -> None:
    """A model spec from a Hugging Face config.json: TOML out, what is unsure on standard error."""
    from dse.specs import huggingface

    path = pathlib.Path(config)
    text, notes = huggingface.from_config(_read_json(path), name or path.resolve().parent.name)
    write_text(text, output)
    note(*[f"dse: {line}" for line in notes])


def _read_json(path: pathlib.Path) -> dict[str, Any]:
    import json

    try:
        if path.stat().st_size > library.LARGEST_FILE_BYTES:
            raise SpecError(str(path), [f"larger than {library.LARGEST_FILE_BYTES:,} bytes"])
        found = json.loads(path.read_bytes().decode("utf-8"))
    except UnicodeDecodeError as error:
        raise SpecError(str(path), [f"not UTF-8 at byte {error.start}"]) from None
    except RecursionError:
        raise SpecError(str(path), ["nested too deeply"]) from None
    except OSError as error:
        raise SpecError(str(path), [error.strerror or "cannot be read"]) from None
    except ValueError as error:
        raise SpecError(str(path), [f"not JSON: {error}"]) from None
    if not isinstance(found, dict):
        raise SpecError(str(path), [f"wanted an object, found {type(found).__name__}"])
    return found
