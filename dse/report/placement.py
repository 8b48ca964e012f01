"""Fronts over a limit as tables for people, from the object of ``dse sweep STUDY --json``."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from dse import units
from dse.report import tables, words

X = "user_tokens_per_s"


def heading(found: Mapping[str, Any]) -> Text:
    """What was searched, over which limit."""
    fidelity = words.fidelity(found["fidelity"])
    bounds = ", ".join(f"{name} {text}" for name, text in found["constraints"].items())
    axis = found["axis"]
    return Text.assemble(
        (f"{found['study']} over {axis['path']} {axis['sense']}: {found['model_title']}, "
         f"{found['workload_title'].lower()}", "bold"),
        f"\n{fidelity}, {found['power_scope']} power; {bounds or 'no other bound'}; the front "
        f"searched again at each value ({found['rounds']} rounds of gradients, seed "
        f"{found['seed']})",
    )  # fmt: skip


def verdict(found: dict[str, Any]) -> Text:
    """At each speed: which family wins with its weights where, over which values of the limit."""
    letters = letters_of(found)
    legend = "; ".join(f"{letter} {found['families'][name]}" for name, letter in letters.items())
    lines = []
    for speed, turns in zip(found["speeds"], found["turns"], strict=True):
        said = [f"{letters[turn['family']]} in {turn['most_weights_in'].upper()} "
                f"{_stretch(found, turn)}" for turn in turns]  # fmt: skip
        lines.append(f"{speed:>7,g} tok/s   {'; '.join(said) or 'no design is so fast'}")
    head = "Least energy at a user speed: the family, and where most of its weights lie"
    return Text.assemble((head, "bold"),
                         "\n" + "\n".join([*lines, f"families: {legend}"]))  # fmt: skip


def _stretch(found: dict[str, Any], turn: dict[str, Any]) -> str:
    """Over which values a winner wins."""
    texts = {point["value"]: point["text"] for point in found["points"]}
    first, last = texts[turn["from"]], texts[turn["to"]]
    if turn["to"] == found["points"][-1]["value"]:
        return f"from {first}"
    return f"at {first}" if first == last else f"{first} to {last}"


def winners(found: dict[str, Any]) -> Table:
    """Energy, family and share of weights in SRAM: a line per value, a column per speed."""
    letters = letters_of(found)
    rows = [
        (point["text"], *(_cell(winner, letters) for winner in point["winners"]))
        for point in found["points"]
    ]  # fmt: skip
    columns = (found["axis"]["path"], *(f"{speed:,g} tok/s" for speed in found["speeds"]))
    return tables.table("Least energy per token, its family, weights in SRAM", columns, rows)


def letters_of(found: dict[str, Any]) -> dict[str, str]:
    """A letter for each family of the study."""
    return {name: chr(ord("A") + index) for index, name in enumerate(found["families"])}


def _cell(winner: dict[str, Any] | None, letters: dict[str, str]) -> str:
    if winner is None:
        return "-"
    energy = units.show(winner["j_per_token"], "joule")
    return f"{energy}  {letters[winner['family']]} {sram(winner):>4.0%}"


def sram(design: dict[str, Any]) -> float:
    """Share of the weights that lies in SRAM."""
    return design["tiers"].get("sram", {}).get("weights_fraction", 0.0)


def placement(found: dict[str, Any]) -> Table:
    """Where the winners of one speed keep weights and KV cache, and how fast each tier is read."""
    middle = len(found["speeds"]) // 2
    rows = []
    for point in found["points"]:
        winner = (point["winners"][middle] if found["speeds"] else None) or {"tiers": {}}
        for index, (tier, at) in enumerate(winner["tiers"].items()):
            once = (point["text"], f"{winner['chips']:g}", f"{winner['users_in_flight']:,g}")
            rows.append((*(("", "", "") if index else once), tier, *_tier(at)))
    columns = (found["axis"]["path"], "chips", "users", "tier", "of weights", "of KV cache",
               "resident", "full", "read rate")  # fmt: skip
    speed = f" at {found['speeds'][middle]:,g} tok/s" if found["speeds"] else ""
    made = tables.table(f"Placement of the winners{speed}, whole replica (all speeds: --json)",
                        columns, rows)  # fmt: skip
    made.columns[3].justify = "left"
    return made


def _tier(at: dict[str, Any]) -> tuple[str, ...]:
    return (
        tables.share(at["weights_fraction"], 1),
        tables.share(at["kv_cache_fraction"], 1),
        tables.quantity(at["resident_bytes"], "byte"),
        tables.share(at["resident_bytes"], at["capacity_bytes"]),
        tables.quantity(at["read_bytes_per_s"], "byte / second"),
    )


def ends(found: dict[str, Any]) -> Table:
    """Both ends of each front."""
    rows = []
    for point in found["points"]:
        lean, fast = point["most_efficient"], point["fastest"]
        if lean is None or fast is None:
            rows.append((point["text"], *["-"] * 5))
            continue
        rows.append((point["text"], units.show(lean["j_per_token"], "joule"),
                     found["families"][lean["family"]], tables.count(fast[X]),
                     found["families"][fast["family"]], f"{point['hypervolume']:.3f}"))  # fmt: skip
    columns = (found["axis"]["path"], "least energy", "by", "fastest, tok/s", "by", "hypervolume")
    made = tables.table("Ends of each front", columns, rows)
    made.columns[2].justify = made.columns[4].justify = "left"
    return made
