"""Words that tables, charts and pages say alike."""

FIDELITIES = {"sol": "speed of light", "both": "speed of light and calibrated"}


def fidelity(word: str) -> str:
    """A fidelity as people call it."""
    return FIDELITIES.get(word, word)
