"""What a run gained, as tables for people, from the object of ``dse gains --json``."""

from typing import Any

from rich.table import Table
from rich.text import Text

from dse import units
from dse.report import tables, words
from dse.report.charts.theme import short

X, Y = "user_tokens_per_s", "system_tokens_per_s_per_w"
GOALS = {Y: "tokens per joule", X: "user speed"}
TALK = (
    "For comparison, a talk on the limits of decode (GTC 2026) shows 59 % weights and 40 % KV "
    "cache of the energy of data movement at peak throughput, and 89 % communication and 11 % "
    "compute and memory of the time at minimum latency. The first leaves out arithmetic, leakage "
    "and host, so it is the column of movement alone; its split fixes batch times context, which "
    "a search is free to choose. The second is the column of links (with dependent operations "
    "and wires on chip) against memory and compute."
)


def heading(found: dict[str, Any]) -> Text:
    """What was compared, and under which limits."""
    fidelity = words.fidelity(found["fidelity"])
    bounds = ", ".join(f"{name} {text}" for name, text in found["constraints"].items())
    return Text.assemble(
        (f"{found['run']}: {found['model_title']}, {found['workload_title'].lower()}; {fidelity}, "
         f"{found['power_scope']} power", "bold"),
        f"\nper replica {bounds or 'no bound'}; these bounds do not hold for shipped chips",
    )  # fmt: skip


def five_ways(found: dict[str, Any]) -> Table:
    """The gain over each baseline, five ways."""
    rows: dict[str, list[str]] = {}
    for base in found["baselines"]:
        for name, ours, cell in _ways(base, found["claim"]):
            rows.setdefault(name, [ours]).append(cell)
    titles = [short(base["title"]) for base in found["baselines"]]
    return tables.table("Gain over each baseline", ["", "this run", *titles],
                        [(name, *cells) for name, cells in rows.items()])  # fmt: skip


def _ways(base: dict[str, Any], claim: float):
    """(what, this run, ratio and baseline) of every row."""
    yield "energy per token, best", *_energy(base["energy"])
    for item in base["energy_at_speed"]:
        yield f"  at {item[X]:,.0f} tok/s/user", *_energy(item)
    yield "top user speed, tok/s", *_speed(base["top_speed"])
    _, cell = _speed(base["speed_at_equal_energy"])
    yield "speed at its best energy, tok/s", "", cell
    for goal, word in GOALS.items():
        chance = base["chances"][goal]
        ends = " to ".join(_times(chance[end]) for end in ("low", "high"))
        yield f"{word}, 5 to 95 % of draws", "", ends
        yield f"  chance of {claim:g}x in {word}", "", f"{100 * chance['at_least_claim']:.0f} %"


def _energy(pair: dict[str, Any]) -> tuple[str, str]:
    ours, theirs = (tables.quantity(pair[side], "joule")
                    for side in ("ours_j_per_token", "theirs_j_per_token"))  # fmt: skip
    return ours, f"{_times(pair['ratio'])} ({theirs})"


def _speed(pair: dict[str, Any]) -> tuple[str, str]:
    ours, theirs = (tables.quantity(pair[side], None, 4)
                    for side in ("ours_tokens_per_s", "theirs_tokens_per_s"))  # fmt: skip
    return ours, f"{_times(pair['ratio'])} ({theirs})"


def _times(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.3g}x"


def reading(found: dict[str, Any]) -> Text:
    """How the ratios and chances are to be read."""
    within = [base["chances"][goal]["within_limits"] for base in found["baselines"][:1]
              for goal in (Y, X)]  # fmt: skip
    kept = "" if not within else (
        f" As found, the two decoders keep their limits in {within[0]:.0%} and {within[1]:.0%} of "
        "the draws; a design for other constants would differ.")  # fmt: skip
    return Text(
        "In brackets: the baseline. A dash: one side serves no user that fast, or spends more at "
        "any speed. Ranges draw constants in pairs, designs and deployments held." + kept
    )


def binding(found: dict[str, Any]) -> Text:
    """What holds both decoders, and what of them no silicon has shown."""
    lines = []
    for item in found["binds"]:
        limits = ", ".join(item["active_constraints"]) or "no limit"
        lines.append(
            f"{item['name']} ({item['id']}, {item['family']}, {item['chips']:g} chips, "
            f"{item['silicon_mm2']:,.0f} mm2, {item['users_in_flight']:,g} users): waits for "
            f"{item['bottleneck']}; limited by {limits}"
        )
        if item["knobs_at_bounds"]:
            lines.append(f"  at a bound of the space: {', '.join(item['knobs_at_bounds'])}")
        if item["extrapolated"]:
            lines.append(f"  extrapolated beyond silicon shown: {'; '.join(item['extrapolated'])}")
        prefill = item["prefill_j_per_output_token"]
        if prefill:
            lines.append("  prefill, left out of the goals: "
                         f"{units.show(prefill, 'joule')} per output token")  # fmt: skip
    return Text("\n".join(lines))


def energies(found: dict[str, Any]) -> Table:
    """Energy per token of decoders and baselines: shares of all, and of movement alone."""
    parts = ("weights", "kv_cache", "compute", "communication", "static", "host")
    rows = []
    for item in found["breakdowns"]:
        moved = item["movement_fraction"]
        rows.append(
            (
                short(item["name"]),
                units.show(item["j_per_token"], "joule"),
                *(_percent(item["energy_fraction"].get(part)) for part in parts),
                " / ".join(_percent(moved[part]) for part in ("weights", "kv_cache")),
            )
        )
    columns = ("", "energy/token", "weights", "KV", "compute", "links", "static", "host",
               "of movement: weights / KV")  # fmt: skip
    return tables.table("Where a token's energy goes", columns, rows)


def times(found: dict[str, Any]) -> Table:
    """Time per token: shares of all, and links against memory and compute."""
    parts = ("weights", "kv_cache", "compute", "communication", "overhead")
    rows = []
    for item in found["breakdowns"]:
        waits = item["waiting_fraction"]
        rows.append((short(item["name"]), units.show(item["tpot_s"], "second"),
                     *(_percent(item["time_fraction"].get(part)) for part in parts),
                     f"{_percent(waits['communication'])} / "
                     f"{_percent(waits['memory and compute'])}"))  # fmt: skip
    columns = ("", "time/token", "weights", "KV", "compute", "links", "overhead",
               "links and overhead / memory and compute")  # fmt: skip
    return tables.table("Where a token's time goes", columns, rows)


def _percent(share: float | None) -> str:
    return f"{100 * (share or 0.0):.0f} %"


def families(found: dict[str, Any]) -> Table:
    """Each family searched by itself."""
    rows = [
        (item["title"], *_both(item[Y], item[X])) for item in found["ladder"]["families"]
    ]  # fmt: skip
    for base in found["baselines"]:
        if not base["searched"]:
            rows.insert(0, (f"stock: {short(base['title'])}",
                            units.show(base["energy"]["theirs_j_per_token"], "joule"),
                            tables.count(base['top_speed']['theirs_tokens_per_s'])))  # fmt: skip
    return tables.table("The ladder: each family by itself",
                        ("", "least energy/token", "fastest, tok/s/user"), rows)  # fmt: skip


def _both(efficiency: float | None, speed: float | None) -> tuple[str, str]:
    energy = "-" if not efficiency else units.show(1 / efficiency, "joule")
    return energy, "-" if not speed else tables.count(speed)


def taken_away(found: dict[str, Any]) -> list[Table]:
    """Both decoders with one technology taken away at a time."""
    return [_taken(item) for item in found["ladder"]["taken_away"]]


def _taken(item: dict[str, Any]) -> Table:
    is_speed = item["goal"] == X

    def shown(value: float | None) -> str:
        if not value:
            return "none feasible"
        return f"{tables.count(value)} tok/s" if is_speed else units.show(1 / value, "joule")

    word = "Low Latency Decoder: user speed" if is_speed else "High Efficiency Decoder: energy"
    rows = [("as found", shown(item["value"]), "", "")]
    rows += [(rung["without"], shown(rung["value"]), _times(rung["factor"]), rung["how"])
             for rung in item["rungs"]]  # fmt: skip
    title = f"{word} without one technology at a time (below 1x: better without)"
    return tables.table(title, ("", "then", "worse by", "how"), rows)


def break_even(found: dict[str, Any]) -> Table:
    """Up to where the constants that carry a gain carry it."""
    rows = []
    for item in found["break_even"]:
        unit = item["unit"] or None
        ends = " to ".join(tables.quantity(end, unit) for end in item["range"])
        rows.append((f"{GOALS[item['goal']]}, {item['claim']:g}x {short(item['over'])}",
                     _times(item["now"]), item["path"], tables.quantity(item["value"], unit), ends,
                     _turning(item, unit)))  # fmt: skip
    made = tables.table(
        "Break-even: where a claim turns as one constant moves",
        ("claim", "now", "constant", "stated", "range", "claim"),
        rows,
    )
    for column in (made.columns[2], made.columns[5]):
        column.justify = "left"
    return made


def _turning(item: dict[str, Any], unit: str | None) -> str:
    word = "holds {} to {}" if item["holds_now"] else "begins {} at {}"
    said = [
        word.format(way, tables.quantity(item[key], unit))
        for key, way in (("upward", "up"), ("downward", "down"))
        if item[key] is not None
    ]
    return "; ".join(said) or ("holds anywhere" if item["holds_now"] else "nowhere")
