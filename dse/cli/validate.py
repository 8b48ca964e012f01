"""``dse validate``: predictions beside published measurements, errors by chip, model and regime."""

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from dse.cli.console import Json, Output, emit
from dse.cli.figures import Dark, draw
from dse.specs.errors import SpecError

Data = Annotated[
    list[str] | None,
    typer.Option("--data", metavar="FILE", help="A CSV or .csv.gz table; repeat for more."),
]
Fidelity = Annotated[str, typer.Option(help="sol or calibrated: whether styles apply.")]
Figure = Annotated[
    str | None, typer.Option(metavar="FILE", help="Predicted against measured, HTML, PNG or SVG.")
]
Bands = Annotated[
    bool, typer.Option("--bands", help="Also the share of rows that 80 % bands hold; a minute.")
]
REASONS = 20


def validate(
    data: Data = None,
    fidelity: Fidelity = "calibrated",
    figure: Figure = None,
    dark: Dark = False,
    bands: Bands = False,
    json: Json = False,
    output: Output = None,
) -> None:
    """Compare the model with measured decode, and say how far to believe it.

    dse validate

    dse validate --data FILE.csv --json

    Without --data: the published figures that ship with the package. A table of decode steps has
    the columns hardware, model, tp, batch_or_concurrency and one or more of tpot_ms,
    power_w_per_chip, joules_per_output_token; it may have n_chips, pp, ep, dp, isl, osl,
    avg_context, weight_dtype, kv_dtype, framework, spec_decode, phase_note, clean_grade, suite,
    source, id. A table of operators has system, latency_us and the shape: gemm_dtype m n k;
    kv_cache_dtype batch_size seq_len num_heads num_key_value_heads head_dim; mla_dtype num_heads
    batch_size seq_len; moe_dtype num_tokens hidden_size inter_size topk num_experts moe_tp_size
    moe_ep_size; or allreduce_dtype num_gpus message_bytes. Rows that cannot be read are left out
    and counted by reason. Errors are fractions: mape 0.12 is 12 %, bias above 0 is predicted too
    high. Exit code 2 when no row remains. docs/evidence.md says more.
    """
    from dse.evidence import validate as evidence

    if fidelity not in ("sol", "calibrated"):
        raise SpecError("--fidelity", [f"{fidelity!r} is unknown; sol or calibrated"])
    found = evidence.of_files(data or [], fidelity)
    result = found.to_dict()
    if bands:
        from dse.evidence import coverage

        result["bands"] = coverage.of_files(data or [])
    if figure and found.rows:
        draw("parity", found.rows, figure, dark)
    emit(result, shown(result), json, output)
    if not found.rows:
        left = sum(item["n"] for item in result["left_out"])
        reasons = [f"{item['n']} x {item['reason']}" for item in result["left_out"][:REASONS]]
        raise SpecError("--data", [f"no row of {left} can be used", *reasons])


def shown(result: dict[str, Any]) -> Iterable[Any]:
    """Tables for people: overall, by chip, by group, and what was left out."""
    from dse.report import tables

    head = ("", "n", "MAPE %", "bias %", "p90 %", "rank corr.")
    yield tables.table("All rows", head, [_line(g["metric"], g) for g in result["overall"]])
    if "bands" in result:
        rows = [(g["metric"], g["chip"], str(g["n"]), f"{100 * g['held']:.0f}")
                for g in result["bands"]]  # fmt: skip
        yield tables.table("Rows that their 80 % band holds", ("", "chip", "n", "held %"), rows)
    chips = [_line(f"{g['metric']}  {g['chip']}", g) for g in _uncalibrated_first(result["chips"])]
    yield tables.table("\nBy chip, those without rows in the fit first", head, chips)
    groups = _uncalibrated_first(result["groups"])
    named = [_line("  ".join((g["metric"], g["chip"], g["model"], g["suite"] or "-")), g)
             for g in groups]  # fmt: skip
    yield tables.table("\nBy chip, model and suite", head, named)
    yield "\n* rows of this chip and model were in the fit of its style; bias above 0: too high"
    left = sum(item["n"] for item in result["left_out"])
    if left:
        rows = [(item["reason"], item["n"]) for item in result["left_out"]]
        yield tables.table(f"\nLeft out: {left} rows", ("reason", "rows"), rows)


def _uncalibrated_first(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(groups, key=lambda g: (g["metric"], bool(g["calibrated_on"])))


def _line(name: str, group: dict[str, Any]) -> tuple[Any, ...]:
    mark = " *" if group.get("calibrated_on") else ""
    errors = [f"{100 * group[key]:.1f}" for key in ("mape", "bias", "p90")]
    rank = "-" if group["spearman"] is None else f"{group['spearman']:.3f}"
    return (name + mark, group["n"], *errors, rank)
