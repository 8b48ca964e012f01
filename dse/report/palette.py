"""One colour per component, the same in tables, charts and pages.

Chosen together: any two that meet in one bar stay at least 28 units of CIELAB apart, also for
people with protanopia or deuteranopia, and each stands out from a white and from a dark page.
"""

from collections.abc import Iterable

COMPONENTS = {
    "weights": "#1A9AF8",
    "kv_cache": "#C38F07",
    "compute": "#3CAA61",
    "communication": "#B118A1",
    "static": "#696969",
    "host": "#844E02",
    "overhead": "#318273",
    "prefill": "#9A0EFE",
}
LABELS = {
    "weights": "weights",
    "kv_cache": "KV cache",
    "compute": "compute",
    "communication": "communication",
    "static": "static",
    "host": "host",
    "overhead": "overhead",
    "prefill": "prefill",
}


def colour(component: str) -> str:
    """Hex colour of a component; that of ``static`` for one without its own."""
    return COMPONENTS.get(component, COMPONENTS["static"])


def label(component: str) -> str:
    """How a component is written for people."""
    return LABELS.get(component, component.replace("_", " "))


def key(parts: Iterable[str]) -> list[tuple[str, str]]:
    """(words, colour) of components, for the key of a chart."""
    return [(label(part), colour(part)) for part in parts]
