"""What a run saves at one user speed as tables, from ``dse gains RUN --speed N --json``."""

from collections.abc import Callable, Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from dse.report import tables, words
from dse.report.charts.theme import short

SHOWN_LOADS = (1.0, 0.3, 0.1)


def heading(found: Mapping[str, Any]) -> Text:
    """The verdict: what is saved against the best of the others, and for how many users."""
    fidelity = words.fidelity(found["fidelity"])
    bounds = ", ".join(f"{name} {text}" for name, text in found["constraints"].items())
    return Text.assemble(
        (verdict(found), "bold"),
        f"\n{found['run']}: {found['model_title']}, {found['workload_title'].lower()}; {fidelity}, "
        f"{found['power_scope']} power; per replica of this run {bounds or 'no bound'}",
    )


def verdict(found: Mapping[str, Any], called: Callable[[str], str] = str) -> str:
    """One sentence at the speed; ``called``: how the title of a chip is shortened."""
    speed, arms = f"{found['user_tokens_per_s']:,.4g} tok/s/user", found["arms"]
    ours, others = arms[0]["leanest"], [arm for arm in arms[1:] if arm["leanest"]]
    if ours is None:
        return f"no design of this run serves {speed}: {tables.count(arms[0]['fastest'])} at most"
    users = f"for {ours['users_in_flight']:,g} users"
    if not others:
        return f"at {speed} {tables.quantity(ours['j_per_token'], 'joule')}/token {users}; no " \
               "chip compared serves it"  # fmt: skip
    best = min(others, key=lambda arm: arm["leanest"]["j_per_token"])
    return (f"at {speed} {best['energy_ratio']:.3g}x less energy per token than the best of the "
            f"others, {called(best['title'])}, {users}")  # fmt: skip


def leanest(found: dict[str, Any]) -> Table:
    """The design of least energy of each arm."""
    return tables.table("Least energy at the speed", _COLUMNS,
                        [_row(arm, "leanest") for arm in found["arms"]])  # fmt: skip


def smallest(found: dict[str, Any]) -> Table:
    """The smallest replica of each arm: what must be bought at least."""
    return tables.table("Smallest replica that serves it", _COLUMNS,
                        [_row(arm, "smallest") for arm in found["arms"]])  # fmt: skip


_COLUMNS = ("", "energy/token", "ratio", "users", "load of pipe", "chips", "silicon",
            "mm2 per tok/s", "replica", "waits for")  # fmt: skip


def _row(arm: dict[str, Any], which: str) -> tuple[Any, ...]:
    point = arm[which]
    if point is None:
        return (
            short(arm["title"]),
            f"none: {tables.count(arm['fastest'])} tok/s at most",
            *["-"] * 8,
        )
    ratio = arm["energy_ratio"] if which == "leanest" else None
    return (
        short(arm["title"]),
        tables.quantity(point["j_per_token"], "joule"),
        "-" if ratio is None else f"{ratio:.3g}x",
        f"{point['users_in_flight']:,g}",
        tables.share(point["load"], 1),
        f"{point['chips']:g}",
        tables.quantity(point["silicon_mm2"], "mm**2"),
        f"{point['mm2_per_token_per_s']:.3g}",
        tables.quantity(point["power_w"], "watt"),
        point["bottleneck"],
    )


def loads(found: dict[str, Any]) -> Table:
    """Energy per token of the leanest designs when fewer users are there."""
    places = [found["loads"].index(share) for share in SHOWN_LOADS]
    rows = []
    for arm in found["arms"]:
        if arm["leanest"] is not None:
            at = [arm["leanest"]["at_load"][i] for i in places]
            rows.append((short(arm["title"]), *(f"{tables.quantity(p['j_per_token'], 'joule')} "
                                         f"({p['users']:,g})" for p in at)))  # fmt: skip
    columns = ("", *(f"{share:.0%} of users" for share in SHOWN_LOADS))
    return tables.table("Energy per token (users) of those designs at partial load", columns, rows)


def reading() -> Text:
    """How the tables are to be read."""
    return Text(
        "Ratio: energy of an arm over that of this run. Users: in flight in one replica, all their "
        "KV cache resident. At partial load hardware and splits stay and static power is shared by "
        "fewer tokens; whole users, so a small batch is not exactly the share. Limits of the study "
        "hold for this run, not for shipped chips."
    )
