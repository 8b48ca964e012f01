"""Runs against each other as tables for people, from the object of ``dse pareto compare``."""

import math
from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from dse.metrics import METRICS
from dse.report import tables, words

X, Y = "user_tokens_per_s", "system_tokens_per_s_per_w"
SHORT = {X: "tok/s/user", Y: "tok/s/W"}


def heading(found: Mapping[str, Any]) -> Text:
    """The verdict: how much of what all reach together each run covers."""
    shares = ", ".join(f"{row['run']} {_percent(row['share'])}" for row in found["runs"])
    fidelity = words.fidelity(found["fidelity"])
    reference = ", ".join(f"{value:.4g} {SHORT.get(name, name)}" for name, value in
                          zip(found["objectives"], found["reference_point"],
                              strict=True))  # fmt: skip
    return Text.assemble(
        (f"share of the hypervolume of all together: {shares}", "bold"),
        f"\n{found['model_title']}, {found['workload_title'].lower()}; {fidelity}, "
        f"{found['power_scope']} power; hypervolume together {found['hypervolume']:.4f} (log10, "
        f"common reference {reference})",
    )


def runs(found: dict[str, Any]) -> Table:
    """A line per run: size, hypervolume, what of it survives on the merged front, its ends."""
    rows = [
        (row["run"], f"{row['trials']:,}", str(row["seed"]), f"{row['hypervolume']:.4f}",
         _percent(row["share"]), f"{row['surviving']:,} of {row['designs']:,}",
         _percent(row["share_of_merged"]),
         *(_value(name, row["best"][name]) for name in found["objectives"]))
        for row in found["runs"]
    ]  # fmt: skip
    columns = ("run", "trials", "seed", "hypervolume", "share", "survive", "of merged front",
               *(f"best {SHORT.get(name, name)}" for name in found["objectives"]))  # fmt: skip
    return tables.table("Runs, from one reference point", columns, rows)


def _value(name: str, value: float | None) -> str:
    return tables.count(value) if name == X else tables.quantity(value, METRICS[name].quantity)


def attainment(found: dict[str, Any]) -> Table | None:
    """Energy at equal user speed, and speed at the energy of the first run there."""
    names = [row["run"] for row in found["runs"]]
    rows = [
        (f"{item[X]:,g}", *_pairs(item["j_per_token"], item["energy_ratio"], _joules),
         *_pairs(item["speed_at_that_energy"], item["speed_ratio"], tables.count))
        for item in found["attainment"]
    ]  # fmt: skip
    if not rows:
        return None
    columns = ("user tok/s", *(f"energy: {name}" for name in names),
               *(f"speed: {name}" for name in names))  # fmt: skip
    return tables.table(f"At equal user speed; and at the energy that {names[0]} takes there "
                        "(to 1.2 %, the spacing of stored fronts)", columns, rows)  # fmt: skip


def _joules(value: float | None) -> str:
    return tables.quantity(value, "joule")


def _pairs(values, ratios, show) -> list[str]:
    """The first value as it is, the others with their ratio to it."""
    return [show(values[0]), *(
        show(value) if ratio is None else f"{show(value)} ({times(ratio)})"
        for value, ratio in zip(values[1:], ratios[1:], strict=True)
    )]  # fmt: skip


def times(ratio: float) -> str:
    """A ratio near one to three decimals, a large one to three digits."""
    return f"{ratio:.3f}x" if 0.5 < ratio < 2 else f"{ratio:.3g}x"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f} %"


def leads(found: dict[str, Any]) -> Text | None:
    """Which run serves which user speeds with the least energy."""
    lines = []
    for row, spans in zip(found["runs"], found["leads"], strict=True):
        if spans:
            low, high = spans[0]["from_user_tokens_per_s"], spans[-1]["to_user_tokens_per_s"]
            width = sum(_decades(span) for span in spans)
            lines.append(f"{row['run']}: {width:.2f} of the decades of user speed, "
                         f"{len(spans)} part{'s' * (len(spans) > 1)} between "
                         f"{tables.count(low)} and {tables.count(high)} tok/s")  # fmt: skip
    return Text("\n".join(["Least energy at a user speed:", *lines])) if lines else None


def _decades(span: dict[str, float]) -> float:
    return math.log10(span["to_user_tokens_per_s"] / span["from_user_tokens_per_s"])


def differences(found: dict[str, Any]) -> Any:
    """What is not the same in the studies; a sentence where everything is."""
    if not found["differences"]:
        return "Same study, seed and specs."
    rows = [(item["key"], *(_setting(value) for value in item["values"]))
            for item in found["differences"]]  # fmt: skip
    made = tables.table("What differs", ("", *(row["run"] for row in found["runs"])), rows)
    for column in made.columns[1:]:
        column.justify = "left"
    return made


def _setting(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "-" if value is None else str(value)
