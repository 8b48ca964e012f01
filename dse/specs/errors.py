"""What a wrong input is answered with; apart from the reader, so that listing needs no JAX."""


class SpecError(ValueError):
    """The user's input is wrong. `problems` names each place, what was found and what is wanted."""

    def __init__(self, where: str, problems: list[str]):
        self.where, self.problems = where, problems
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(f"{where}: {count}\n" + "\n".join(f"  * {p}" for p in problems))


def nearest(name: str, known) -> str:
    """``; did you mean X?`` or the list of what is known."""
    import difflib

    known = [str(k) for k in known]
    close = difflib.get_close_matches(str(name), known, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]}?"
    holding = [k for k in known if len(str(name)) > 2 and str(name) in k]
    if holding:
        return f"; did you mean one of {', '.join(holding[:12])}?"
    return f"; known: {', '.join(sorted(known)[:24])}{', ...' if len(known) > 24 else ''}"
