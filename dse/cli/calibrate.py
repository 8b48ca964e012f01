"""``dse calibrate``: fit an execution style to measured decode; say what the data leave open."""

import contextlib
import pathlib
from collections.abc import Iterable
from typing import Annotated, Any

import typer

from dse.cli.console import Json, emit, note, write_text
from dse.specs.errors import SpecError

Base = Annotated[str, typer.Option(help="Style whose values are the priors, and that is extended.")]
Style = Annotated[
    str | None, typer.Option("-o", "--output", metavar="STYLE.toml", help="Write the style here.")
]
Seed = Annotated[int, typer.Option(help="Which chip-and-model pairs are held out.")]


def calibrate(
    data: Annotated[str, typer.Argument(metavar="DATA", help="A table as of dse validate.")],
    output: Style = None,
    base: Base = "gpu_kernels",
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Fit the constants of one execution style to a table of measured decode.

    dse calibrate DATA.csv -o my_style.toml

    dse eval CHIP --set style=my_style.toml ...

    Robust least squares on log ratios of the time per token, with priors; power constants too where
    at least 12 rows state board power. Prints each constant with its 90 % interval, the error on a
    fifth of the chip-and-model pairs held out, the constants that the data do not identify (their
    value is the prior) and those they cannot tell apart. Exit code 2 where fewer than 8 rows can
    be used. docs/evidence.md says more.
    """
    from dse.evidence import calibrate as evidence

    if output and not output.endswith(".toml"):
        raise SpecError("-o", [f"{output!r}: a style is a TOML file"])
    done = evidence.calibrate(data, base, seed)
    if output:
        with contextlib.suppress(OSError):
            pathlib.Path(output).parent.mkdir(parents=True, exist_ok=True)
        write_text(evidence.style_file(done, pathlib.Path(data).name), output)
        note(f"use it with --set style={output}")
    result = done.to_dict()
    emit(result, shown(result), json)


def shown(result: dict[str, Any]) -> Iterable[Any]:
    """Constants, errors, and what is open."""
    from dse.report import tables

    open_ = set(result["unidentified"])
    rows = [
        (item["name"], f"{item['value']:.3g}", f"{item['log_spread']:.2f}", f"{item['prior']:.3g}",
         f"{item['prior_log_spread']:.2f}", "not identified" if item["name"] in open_ else "")
        for item in result["constants"]
    ]  # fmt: skip
    head = ("constant (SI)", "value", "log spread", "prior", "log spread", "")
    yield tables.table("Constants", head, rows)
    if result["power_w_per_mm2"]:
        pairs = [(n, f"{v:.3f} W/mm2") for n, v in result["power_w_per_mm2"].items()]
        yield tables.table("\nPower", ("constant", "value"), pairs)
    yield f"\nIn the fit: {_errors(result['in_fit'])}"
    held = result["held_out"]
    yield f"Held out:   {_errors(held) if held else 'too few chip-and-model pairs'}"
    for pair in result["correlated"]:
        yield f"Cannot be told apart: {pair['a']} and {pair['b']} ({pair['correlation']:+.2f})"
    for item in result["left_out"]:
        yield f"Left out: {item['n']} x {item['reason']}"


def _errors(found: dict[str, Any]) -> str:
    mape, bias, p90 = (100 * found[key] for key in ("mape", "bias", "p90"))
    return f"{found['n']} rows, MAPE {mape:.1f} %, bias {bias:+.1f} %, p90 {p90:.1f} %"
