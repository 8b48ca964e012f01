"""Portfolios of chips as tables for people, from the object of ``dse portfolio --json``."""

import math
from typing import Any

from rich.table import Table
from rich.text import Text

from dse import units
from dse.report import tables

X = "user_tokens_per_s"
ABREAST = 6  # chips beside each other


def heading(found: dict[str, Any]) -> Text:
    """What was compared with what."""
    speed, efficiency = found["reference_point"]
    shares = ", ".join(
        f"{item['k']} {'chip' if item['k'] == 1 else 'chips'} {_percent(item['share'])}"
        for item in found["portfolios"]
    )
    return Text.assemble(
        (f"{found['run']}: share of the front's hypervolume: {shares}", "bold"),
        f"\n{found['candidates']:,} chips competed, {found['swept_again']:,} of them swept again "
        f"over {found['deployments']:,} deployments; hypervolume of all {found['hypervolume']:.4f} "
        f"(log10, reference {speed:g} tok/s/user, {efficiency:g} tok/s/W)",
    )


def gives_up(found: dict[str, Any]) -> Text:
    """What one chip for both goals costs at each end of the front."""
    lost = found["portfolios"][0]["gives_up"]
    return Text(
        f"one chip for both goals: {lost['j_per_token']:.2f}x the front's energy per token at the "
        f"efficient end, {lost[X]:.2f}x its time per token at the fast end"
    )


def sets(found: dict[str, Any]) -> Table:
    """A line per chip of each set, from the one for slow users to the one for fast users."""
    rows = []
    for item in found["portfolios"]:
        how = "exact" if item["exact"] else "greedy"
        first = (str(item["k"]), _percent(item["share"]), how)
        for chip in item["chips"]:
            rows.append((*first, _name(chip), chip["design"], chip["title"], _serves(chip, found),
                         _speed(chip[X]), units.show(chip["j_per_token"], "joule")))  # fmt: skip
            first = ("", "", "")
    columns = ("chips", "share", "choice", "chip", "design", "family", "serves best, user tok/s",
               "fastest, user tok/s", "least energy/token")  # fmt: skip
    made = tables.table("Portfolios", columns, rows)
    for column in made.columns[2:7]:
        column.justify = "left"
    return made


def knobs(found: dict[str, Any]) -> list[Table]:
    """The knobs of every chip named, a column each, a few chips abreast."""
    chips = {_name(chip): chip for item in found["portfolios"] for chip in item["chips"]}
    names = list(chips)
    parts = [names[start : start + ABREAST] for start in range(0, len(names), ABREAST)]
    return [_knobs({name: chips[name] for name in part}) for part in parts]


def _knobs(chips: dict[str, Any]) -> Table:
    values = {
        name: dict(chip["hardware"]["choices"])
        | {knob["path"]: _value(knob) for knob in chip["hardware"]["knobs"]}
        for name, chip in chips.items()
    }
    paths = dict.fromkeys(path for named in values.values() for path in named)
    rows = [(path, *(values[name].get(path) for name in chips)) for path in paths]
    return tables.table("Their knobs", ("", *chips), rows)


def _value(knob: dict[str, Any]) -> str:
    value = knob["value"]
    whole = knob["unit"] is None and value == int(value)
    return f"{value:,.0f}" if whole else units.show(value, knob["unit"])


def notes(found: dict[str, Any], run: str) -> str | None:
    """What to type next for a chip on the front, and what to know of one that is not."""
    sets = found["portfolios"]
    chips = [chip for item in sets for chip in item["chips"]]
    on_front = [chip["design"] for chip in chips if chip["design"]]
    lines = []
    if len(sets) < found["k"]:
        lines.append(f"no further chip adds anything to these {len(sets)}")
    if len(on_front) < len(chips):
        lines.append("a chip without a design holds no point of the front as written; its "
                     "curve, knobs and deployments: --json")  # fmt: skip
    if on_front:
        lines.append(f"next: dse explain {run}#{on_front[-1]}")
    return "\n".join(lines) or None


def _percent(share: float) -> str:
    """Rounded down: less than the whole, to float32, never reads as all of it."""
    return f"{math.floor(1e4 * (share + 1e-6)) / 100:.2f} %"


def _speed(value: float) -> str:
    return units.show(value, None, 4)


def _name(chip: dict[str, Any]) -> str:
    return f"trial {chip['trial']}"


def _serves(chip: dict[str, Any], found: dict[str, Any]) -> str | None:
    """The user speeds a chip serves best; from the reference point on is any slower speed too."""
    said = []
    for span in chip["serves"]:
        low, high = span["from_user_tokens_per_s"], span["to_user_tokens_per_s"]
        slowest = low <= found["reference_point"][0] * (1 + 1e-9)
        said.append(f"up to {_speed(high)}" if slowest else f"{_speed(low)} to {_speed(high)}")
    return "; ".join(said) or None
