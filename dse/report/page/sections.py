"""What a report says, part by part, as plain words and rows for the template."""

import dataclasses
import datetime
import shlex
from collections.abc import Mapping
from typing import Any

from dse import __version__, units
from dse.report import certificates, fronts, sensitivity, tables, whatif
from dse.report import gains as gained
from dse.report.charts import pareto, theme
from dse.report.page import designs
from dse.report.page.figures import Figure, embedded
from dse.report.page.tables import Rows, every, plain
from dse.report.words import fidelity

X, Y = "user_tokens_per_s", "system_tokens_per_s_per_w"
DECODERS = ("high_efficiency_decoder", "low_latency_decoder")


def view(contents: Mapping[str, Any]) -> dict[str, Any]:
    """Everything the template shows, from the object of ``dse report --json``."""
    front = contents["front"]
    figures = _figures(contents)
    return {
        "front": front,
        "claim": pareto.claim(front),
        "about": theme.of_run(front),
        "stats": _stats(front),
        "notice": _notice(contents),
        "left_out": contents["left_out"],
        "verdict": plain(fronts.verdict(front), "Both decoders, the knee, and the best real chips"),
        "verdict_words": _lines(fronts.gains(front)),
        "scenarios": _scenarios(front),
        "figures": figures,
        "drawn": {f.name: {"light": f.light, "dark": f.dark} for f in figures.values()},
        "named": designs.named(contents),
        "table": designs.table(front),
        "csv": contents["csv"],
        "heads": _parallel_heads(front),
        **_gains(contents["gains"]),
        **_limits(contents),
        **_sureness(contents),
        "definitions": contents["definitions"],
        "provenance": _provenance(contents),
        "made": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "version": __version__,
    }


def _figures(contents: Mapping[str, Any]) -> dict[str, Figure]:
    """Every figure that there is data for, by its name on the page."""
    front = contents["front"]
    both = dataclasses.replace(
        embedded("pareto", front), claim="Both goals: the front beside real chips"
    )
    found = [both, embedded("parallel", front), embedded("breakdown", front),
             embedded("hypervolume", contents["history"])]  # fmt: skip
    if contents["gains"]:
        found.append(embedded("ladder", contents["gains"]))
    for key in DECODERS:
        point = contents["points"].get(key)
        if point:
            found += [embedded("critical_path", point, f"critical_path_{key}"),
                      embedded("roofline", point, f"roofline_{key}"),
                      embedded("tornado", contents["sensitivities"][key],
                               f"tornado_{key}")]  # fmt: skip
    if contents["curves"]:
        found.append(embedded("curves", _worded_curves(contents)))
    if contents["bands"]:
        found.append(embedded("bands", front | {"bands": contents["bands"]}))
    return {figure.name: figure for figure in found}


def _worded_curves(contents: Mapping[str, Any]) -> dict[str, Any]:
    front, lines = contents["front"], contents["curves"]["lines"]
    lines = [line | {"name": theme.short(line["name"])} for line in lines]
    return {
        "lines": lines,
        "claim": "One chip each: what its batch trades, from a single user to its limit",
        "about": theme.of_run(front),
        "corner": f"Splits of each design held, batch moved; ringed: the batch of the front. A bar "
        f"across a curve: a limit is reached. {theme.source(front)}.",
    }


def _parallel_heads(front: Mapping[str, Any]) -> list[str]:
    from dse.report.charts import parallel

    return [axis.head for axis in parallel.axes_of(front, parallel.thinned(front))]


# --- the verdict --------------------------------------------------------------------------------


def _stats(front: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(figure, what it is) of the strip below the claim."""
    by_id = {design["id"]: design for design in front["designs"]}
    lean, fast = (by_id[front[key]] for key in DECODERS)
    found = []
    for goal, words in ((Y, "tokens per joule of"), (X, "user speed of")):
        gain = front["gain"][goal]
        if gain["ratio"] is not None:
            over = theme.short(gain["over"]["title"])
            found.append((f"{gain['ratio']:.3g}\u00d7", f"{words} {over}, best against best"))
    found += [
        (units.show(lean["j_per_token"], "joule"), "least energy per token"),
        (f"{fast[X]:,.0f} tok/s", "fastest for one user"),
    ]
    found.append(_certainty(front["certificate"]))
    return found


def _certainty(certificate: Mapping[str, Any] | None) -> tuple[str, str]:
    """The gap of a certificate, the worst speed named, or that there is none."""
    if certificate is None or certificate["gap_median"] is None:
        return "open", "how far from optimal: not certified"
    worst = max(certificate["levels"], key=lambda level: level["gap"])
    both = certificate.get("gap_in_both_worst")
    further = "" if both is None else f"; no design is {both:.1%} better in both goals"
    return (f"{certificate['gap_median']:.1%}",
            f"of the energy could still be saved, median of {len(certificate['levels'])} speeds, "
            f"{worst['gap']:.0%} at {worst[X]:,.0f} tok/s{further}")  # fmt: skip


def _notice(contents: Mapping[str, Any]) -> str | None:
    """That a run was not finished when this was written."""
    state, asked = contents["state"], contents["provenance"]["trials"]
    if state["converged"] or state["trials"] >= asked:
        return None
    front = contents["front"]
    return (f"Unfinished: {state['trials']:,} of {asked:,} trials. "
            f"dse study resume {front['run']} goes on.")  # fmt: skip


def _scenarios(front: Mapping[str, Any]) -> str | None:
    """Of several scenarios, which part of the report is under which."""
    if "scenarios" not in front:
        return None
    names = ", ".join(item["scenario"] for item in front["scenarios"])
    first = front["scenarios"][0]["scenario"]
    return (f"Goals are over {names} ({front['combine']}); time and energy of a design are those "
            f"of its slowest scenario, operators and sensitivities those of {first}.")  # fmt: skip


def _lines(text: Any) -> list[str]:
    return [] if text is None else text.plain.splitlines()


# --- gains, limits, certainty -------------------------------------------------------------------


def _gains(found: dict[str, Any] | None) -> dict[str, Any]:
    empty: dict[str, Any] = {"gains": [], "gains_words": [], "ladder": [], "shares": [], "talk": ""}
    if found is None:
        return empty
    return {
        "gains": every([gained.five_ways(found)]),
        "gains_words": _lines(gained.reading(found)),
        "ladder": every([gained.families(found), *gained.taken_away(found),
                         gained.break_even(found)]),
        "shares": every([gained.energies(found), gained.times(found)]),
        "talk": gained.TALK,
    }  # fmt: skip


def _limits(contents: Mapping[str, Any]) -> dict[str, Any]:
    """Limits of each named design with what a step of them buys; a certificate's prices."""
    found = []
    for key, point in contents["points"].items():
        sensed = contents["sensitivities"][key]
        prices = whatif.prices(sensed, point)
        rows: list[Rows | None] = [plain(tables.limits(point, most=8))]
        said = prices if isinstance(prices, str) else None
        rows.append(None if said else plain(prices))
        exchange = sensitivity.exchange(sensed)
        rows.append(None if isinstance(exchange, str) else plain(exchange))
        found.append({"name": key, "title": designs.NAMES[key], "said": said,
                      "advice": whatif.advice(sensed["best_knobs"]),
                      "rows": [row for row in rows if row is not None]})  # fmt: skip
    return {"limits": found}


def _sureness(contents: Mapping[str, Any]) -> dict[str, Any]:
    front, kept = contents["front"], contents["bands"]
    certificate = front["certificate"]
    shown = front | {"bands": kept} if kept else None
    return {
        "certificate": every([certificates.levels(certificate), certificates.prices(certificate)])
        if certificate else [],
        "certificate_words": _lines(certificates.heading(certificate)) if certificate else [],
        "bands": every([fronts.bands(shown)]) if shown else [],
        "bands_words": _lines(fronts.certainty(shown)) if shown else [],
    }  # fmt: skip


# --- provenance ---------------------------------------------------------------------------------


def _provenance(contents: Mapping[str, Any]) -> dict[str, Any]:
    front, said, state = contents["front"], contents["provenance"], contents["state"]
    rows = [
        ("Study", f"{front['study']} ({said['study_file']})"),
        ("Run", front["run"]),
        ("Started", said["started"]),
        ("Command", said["command"]),
        ("Version", f"dse {said['package_version']}"),
        ("Fidelity, power", f"{fidelity(front['fidelity'])}, {front['power_scope']} power"),
        ("Seed, sampler", f"{front['seed']}, {front['sampler']}"),
        ("Searched", f"{state['trials']:,} trials, {state['feasible']:,} of them feasible; "
                     f"{state['evaluations']:,} designs in {state['seconds']:,.0f} s"),
        ("Hypervolume", f"{front['hypervolume']:.4f}, log10 of the goals, reference point "
                        f"{', '.join(f'{value:g}' for value in front['reference_point'])}"),
        ("Limits", ", ".join(f"{n} {t}" for n, t in front["constraints"].items()) or "none"),
        ("Compared", ", ".join(chip["title"] for chip in front["compare"]) or "none"),
    ]  # fmt: skip
    run, study = shlex.quote(front["run"]), shlex.quote(said["study_file"])
    commands = [
        f"dse run {study} --seed {said['seed']} --trials {said['trials']}",
        f"dse pareto show {run}", f"dse gains {run}", f"dse explain {run}#high",
        f"dse sensitivity {run}#low", f"dse report {run}",
    ]  # fmt: skip
    return {"rows": rows, "commands": commands, "hashes": sorted(said["spec_files"].items()),
            "study": contents["study_file"]}  # fmt: skip
