"""`dse`: the table of verbs, global options, and the one place that turns errors into exit codes.

A verb's module is imported when the verb runs. ``dse --help`` therefore imports neither JAX nor
pint, and a verb that needs an optional package costs nothing to those who lack it.
"""

import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from dse import __version__, extensions
from dse.specs import library
from dse.specs.errors import SpecError

INTERNAL, USER_INPUT, INFEASIBLE, STOPPED_EARLY, MISSING_EXTRA, INTERRUPTED = 1, 2, 3, 4, 5, 130

# Verb -> where it is, and the line help prints without importing it.
VERBS = {
    "eval": ("dse.cli.eval:eval_", "One operating point: both goals, breakdowns, limits."),
    "explain": ("dse.cli.explain:explain", "Where time and energy go; what a metric or law means."),
    "whatif": ("dse.cli.whatif:whatif", "Before and after a change; which knob pays most now."),
    "sweep": ("dse.cli.sweep:sweep", "One or two axes: table, JSON or chart."),
    "sensitivity": (
        "dse.cli.sensitivity:sensitivity",
        "What each number is worth: elasticities, prices, break-even.",
    ),
    "explore": ("dse.cli.explore:explore", "The what-if page: sliders, curves, in a browser."),
    "run": ("dse.cli.run:run", "Run a study."),
    "pareto": ("dse.cli.pareto:app", "Show, plot, export or compare the fronts of runs."),
    "certify": ("dse.cli.certify:certify", "Bound how far from optimal a run's front can be."),
    "portfolio": ("dse.cli.portfolio:portfolio", "Which few chips together cover a run's front."),
    "gains": ("dse.cli.gains:gains", "What a run gained over real chips, and what carries it."),
    "report": ("dse.cli.report:report", "A run as one offline HTML file for a review."),
    "dashboard": ("dse.cli.dashboard:dashboard", "Optuna's own dashboard on a run."),
    "study": ("dse.cli.study:app", "List, inspect, resume or remove runs."),
    "validate": ("dse.cli.validate:validate", "Predictions against published measurements."),
    "calibrate": ("dse.cli.calibrate:calibrate", "Fit an execution style to measurements."),
    "hw": ("dse.cli.specs:hardware", "List chips, show one with sources."),
    "model": ("dse.cli.specs:models", "List models, show one, import a config.json."),
    "workload": ("dse.cli.specs:workloads", "List workloads, show one."),
    "init": ("dse.cli.init:init", "A commented starting folder of your own."),
    "doctor": ("dse.cli.doctor:doctor", "Versions, caches, devices, spec folders, what lacks."),
    "check": ("dse.cli.check:check", "Check spec files: fields, units, sources, ranges."),
}
# Package of an optional part -> the extra that installs it.
EXTRAS = {
    "dash": "explore",
    "flask": "explore",
    "werkzeug": "explore",
    "kaleido": "images",
    "optuna_dashboard": "dashboard",
    "psycopg": "distributed",
    "sqlalchemy": "distributed",
    "grpc": "distributed",
}
# `typer` exports the most special of these only; its bases moved between packages over versions.
UsageError: Any = typer.BadParameter.__mro__[1]
ClickError: Any = UsageError.__mro__[1]


class _Verbs(TyperGroup):
    """A group that knows its verbs by name and line of help, and imports one when it is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [verb for verb, (place, _) in VERBS.items() if _exists(place)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.list_commands(ctx):
            return None
        return TyperCommand(cmd_name, help=VERBS[cmd_name][1])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and _imported(command.name), rest

    def invoke(self, ctx: Any) -> Any:
        # Typer would answer these two itself, with other exit codes.
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            _drop_output()
            raise typer.Exit from None
        except KeyboardInterrupt:
            raise typer.Exit(_say("interrupted", INTERRUPTED)) from None


def _exists(place: str) -> bool:
    return importlib.util.find_spec(place.partition(":")[0]) is not None


def _imported(verb: str | None) -> Any:
    place, _, name = VERBS[str(verb)][0].partition(":")
    found = getattr(importlib.import_module(place), name)
    if not isinstance(found, typer.Typer):
        app = typer.Typer(add_completion=False)
        app.command(verb)(found)
        found = app
    command = typer.main.get_command(found)
    command.name = verb
    return command


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"dse {__version__}")
        raise typer.Exit


def _extended(paths: list[str] | None) -> list[str] | None:
    """Run files of the user before a verb is imported, which may look at the registries."""
    for path in paths or []:
        extensions.add(path)
    extensions.load()
    return paths


app = typer.Typer(cls=_Verbs, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def _global_options(
    specs: Annotated[
        list[str] | None,
        typer.Option(metavar="DIR", help="A folder of spec files, searched before all others."),
    ] = None,
    extend: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE.py",
            callback=_extended,
            is_eager=True,
            help="A file that adds kinds, metrics, samplers, charts.",
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Version.")
    ] = False,
) -> None:
    """Which chip, run by which software, decodes large language models best."""
    for folder in specs or []:
        library.add_folder(folder)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code; nothing escapes as a traceback."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    try:
        command = typer.main.get_command(app)
        code = command.main(arguments, prog_name="dse", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except SystemExit as stop:  # shell completion ends this way
        return stop.code if isinstance(stop.code, int) else 0
    except BrokenPipeError:
        _drop_output()
        return 0
    except (KeyboardInterrupt, typer.Abort):
        return _say("interrupted", INTERRUPTED)
    except Exception as error:
        return _answered(error)


def _answered(error: Exception) -> int:
    """The exit code of an error, after its message."""
    if isinstance(error, SpecError):
        return _say(str(error), USER_INPUT)
    if isinstance(error, ClickError):
        return _usage(error)
    extra = EXTRAS.get((getattr(error, "name", None) or "").partition(".")[0])
    if isinstance(error, ModuleNotFoundError) and extra:
        return _say(f"{error.name} is not installed: pip install 'dse[{extra}]'", MISSING_EXTRA)
    if os.environ.get("DSE_TRACEBACK"):
        traceback.print_exception(error)
    hint = "this is a bug of dse; DSE_TRACEBACK=1 shows where it arose"
    text = " ".join(str(error).split())[:300]
    return _say(f"internal error: {type(error).__name__}: {text}\n  {hint}", INTERNAL)


def _usage(error: Any) -> int:
    context = getattr(error, "ctx", None)
    message = error.format_message()
    if context is None or "NoArgs" in type(error).__name__:
        return _say(message, USER_INPUT) if message.strip() else USER_INPUT
    usage = context.get_usage().removeprefix("Usage: ")
    return _say(f"{message}\n  usage: {usage}\n  help: {context.command_path} --help", USER_INPUT)


def _say(message: str, code: int) -> int:
    try:
        print(f"dse: {message}", file=sys.stderr)
    except UnicodeEncodeError:
        print(f"dse: {message.encode('ascii', 'backslashreplace').decode()}", file=sys.stderr)
    except BrokenPipeError:
        _drop_output()
    return code


def _drop_output() -> None:
    """The reader of our output is gone: let the interpreter flush into nothing."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            os.dup2(nothing, stream.fileno())
        except (OSError, ValueError):
            continue


if __name__ == "__main__":
    sys.exit(main())
