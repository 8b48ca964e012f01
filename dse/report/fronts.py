"""A run's front as tables for people, from the object of ``front.json``."""

from typing import Any

from rich.table import Table
from rich.text import Text

from dse import units
from dse.report import certificates, tables, words

NAMED = (
    ("high_efficiency_decoder", "High Efficiency Decoder"),
    ("low_latency_decoder", "Low Latency Decoder"),
    ("knee", "knee"),
)
X, Y = "user_tokens_per_s", "system_tokens_per_s_per_w"


def heading(front: dict[str, Any]) -> Text:
    """What was searched, at which fidelity, and how much of it."""
    fidelity = words.fidelity(front["fidelity"])
    bounds = ", ".join(f"{name} {text}" for name, text in front["constraints"].items())
    return Text(
        f"{front['study']}: {front['model_title']}, {front['workload_title'].lower()}; "
        f"{fidelity}, {front['power_scope']} power; per replica {bounds or 'no bound'}\n"
        f"{front['trials']:,} trials, {front['evaluations']:,} designs, "
        f"{len(front['designs'])} on the front, hypervolume {front['hypervolume']:.4f} "
        f"(log10, reference {_reference(front)}); {certificates.sentence(front['certificate'])}"
    )


def _reference(front: dict[str, Any]) -> str:
    units_of = {X: "tok/s/user", Y: "tok/s/W"}
    pairs = zip(front.get("objectives", (X, Y)), front["reference_point"], strict=True)
    return ", ".join(f"{value:g} {units_of.get(name, name)}" for name, value in pairs)


def _further(front: dict[str, Any]) -> list[str]:
    """Objectives beside the two goals."""
    return [name for name in front.get("objectives", ()) if name not in (X, Y)]


def verdict(front: dict[str, Any]) -> Table:
    """Both decoders, the knee, and the best real chip in each goal."""
    by_id = {design["id"]: design for design in front["designs"]}
    rows, further = [], _further(front)
    for key, name in NAMED:
        if front[key] in by_id:
            design = by_id[front[key]]
            rows.append((name, design["id"], design["family"], *_goals(design),
                         *_values(design, further)))  # fmt: skip
    for goal, word in ((Y, "most efficient"), (X, "fastest")):
        over = front["gain"][goal]["over"]
        if over:
            rows.append((f"{word} chip compared", "-", over["title"], *_goals(over),
                         *_values(over, further)))  # fmt: skip
    columns = ("", "id", "chip", "user tok/s", "tok/s/W", "energy/token", "chips", "batch",
               *further)  # fmt: skip
    return tables.table(None, columns, rows)


def _goals(point: dict[str, Any]) -> tuple[str, ...]:
    batch = point.get("users_in_flight", point.get("batch"))
    return (
        tables.count(point[X]),
        f"{point[Y]:.3g}",
        units.show(1 / point[Y], "joule"),
        f"{point['chips']:g}",
        "-" if batch is None else f"{batch:,g}",
    )


def _values(point: dict[str, Any], names: list[str]) -> list[str]:
    return [f"{point[name]:.4g}" if name in point else "-" for name in names]


def gains(front: dict[str, Any]) -> Text | None:
    """Ratios to the best chip compared, with the comparison named."""
    gain = front["gain"]
    if gain[X]["ratio"] is None or gain[Y]["ratio"] is None:
        return None
    lines = [
        f"tokens per joule: {gain[Y]['ratio']:.1f}x the most efficient chip compared; "
        f"user speed: {gain[X]['ratio']:.1f}x the fastest (each at its own best point)"
    ]
    equal = [f"{item['ratio']:.1f}x at {item['user_tokens_per_s']:,g} tok/s"
             for item in gain["at_equal_speed"] if item["ratio"] is not None]  # fmt: skip
    if equal:
        lines.append("tokens per joule at equal user speed: " + ", ".join(equal))
    return Text("\n".join(lines))


def designs(front: dict[str, Any], most: int | None = None) -> Table:
    """The front from the efficient end to the fast one, thinned to ``most`` rows."""
    found = sorted(front["designs"], key=lambda design: design[X])
    if most is not None and len(found) > most:
        named = {front[key] for key, _ in NAMED}
        step = (len(found) - 1) / (most - 1)
        kept = {round(i * step) for i in range(most)}
        found = [d for i, d in enumerate(found) if i in kept or d["id"] in named]
    further = _further(front)
    marks = {front[key]: name for key, name in reversed(NAMED)}
    rows = [
        (design["id"], marks.get(design["id"], ""), design["family"], *_goals(design),
         *_values(design, further), _splits(design))
        for design in found
    ]  # fmt: skip
    columns = ("id", "", "chip", "user tok/s", "tok/s/W", "energy/token", "chips", "batch",
               *further, "split")  # fmt: skip
    return tables.table("The front", columns, rows)


def bands(front: dict[str, Any], most: int = 14) -> Table:
    """The front with bands of both goals, the chance to be on it, and what is lost if not."""
    found = front["bands"]
    names = list(found["designs"][0]["goals"])
    flipping = {flip["a"] for flip in found["flips"]} | {flip["b"] for flip in found["flips"]}
    marks = {front[key]: name for key, name in reversed(NAMED)}
    rows = [
        (row["id"], marks.get(row["id"], ""), *(_band(row, name) for name in names),
         f"{100 * row['on_front']:.0f} %", f"{100 * row['within_limits']:.0f} %",
         f"{100 * row['regret']['mean']:.1f} %", "yes" if row["on_robust_front"] else "",
         "~" if row["id"] in flipping else "")
        for row in _some(found["designs"], marks, most)
    ]  # fmt: skip
    level = f"{100 * found['level']:.0f} %"
    columns = ("id", "", *(f"{SHORT.get(name, name)}, {level} band" for name in names),
               "on front", "keeps limits", "regret", "robust", "order")  # fmt: skip
    return tables.table(f"The front over {found['draws']} joint draws", columns, rows)


def certainty(front: dict[str, Any]) -> Text:
    """The same in sentences: who may be best, which rivals, which order is noise."""
    found = front["bands"]
    sure = sum(row["on_front"] >= 0.5 for row in found["designs"])
    lines = [f"{sure} of {len(found['designs'])} designs are on the front in at least half of the "
             f"draws; {found['compared']} designs compared"]  # fmt: skip
    for name, best in found["best"].items():
        said = ", ".join(f"{item['id']} {100 * item['chance']:.0f} %" for item in best)
        lines.append(f"best in {SHORT.get(name, name)}: {said}")
    if found["rivals"]:
        said = ", ".join(
            f"{row['id']} {100 * row['on_front']:.0f} %" for row in found["rivals"][:4]
        )
        lines.append(f"{len(found['rivals'])} designs off the nominal front may be on it: {said}")
    lines.append(f"robust front (mean of the worst {100 * found['tail']:.0f} % of draws in each "
                 f"goal): {len(found['robust_front'])} designs")  # fmt: skip
    lines.append(f"{len(found['flips'])} pairs of neighbours (~) change order in a goal in a tenth "
                 "of the draws or more: noise" if found["flips"] else
                 "no neighbours change order in a tenth of the draws")  # fmt: skip
    lines += ["regret: by how much another design is better in every goal, mean over draws",
              found["meaning"]]  # fmt: skip
    return Text("\n".join(lines))


SHORT = {X: "user tok/s", Y: "tok/s/W"}


def _band(row: dict[str, Any], name: str) -> str:
    ends = row["goals"][name]
    if ends is None:
        return "-"
    return " .. ".join(tables.count(end) if name == X else f"{end:.3g}" for end in ends)


def _some(rows: list[dict[str, Any]], named, most: int) -> list[dict[str, Any]]:
    step = (len(rows) - 1) / max(most - 1, 1)
    kept = {round(i * step) for i in range(most)}
    return [row for i, row in enumerate(rows) if i in kept or row["id"] in named]


def _splits(design: dict[str, Any]) -> str:
    said = []
    for name, value in design["deployment"].items():
        if name != "batch" and value != 1:
            said.append(f"{name} {value:g}" if not isinstance(value, str) else str(value))
    return " ".join(said)


def bounds(front: dict[str, Any]) -> Text | None:
    """Knobs of the named designs that ended at a bound, and what limits them."""
    by_id = {design["id"]: design for design in front["designs"]}
    lines = []
    for key, name in NAMED:
        design = by_id.get(front[key])
        if design is None:
            continue
        if design["knobs_at_bounds"]:
            lines.append(f"{name}: at a bound of the space: {', '.join(design['knobs_at_bounds'])}")
        if design["active_constraints"]:
            lines.append(f"{name}: limited by {', '.join(design['active_constraints'])}")
        if design["extrapolated"]:
            lines.append(f"{name}: beyond silicon shown: {'; '.join(design['extrapolated'])}")
    return Text("\n".join(lines)) if lines else None
