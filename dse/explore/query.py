"""A question as the query of an address, and back: the one form the page keeps it in.

``?chip=h100_sxm&model=llama-3.1-70b&batch=32&set=memory.hbm.bandwidth=6.7TB/s``: keys are the
options of ``dse whatif`` (``set`` may repeat, as ``pin`` may: the query of a curve that stays).
"""

import dataclasses
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode

from dse.specs.errors import SpecError, nearest

LONGEST = 8000  # characters of a query
LONGEST_VALUE = 300
MOST_SETTINGS = 64
MOST_PINS = 3
WHERE = "page address"
SET, PIN = "set", "pin"
Words = dict[str, str | list[str]]


@dataclasses.dataclass(frozen=True)
class Options:
    """The options a question may have: name -> whether it repeats; ``set`` is one of them."""

    repeats: Mapping[str, bool]

    def read(self, text: str) -> "Asked":
        """Read a query.

        Raises:
            SpecError: too long, unknown or repeated keys, an empty value; all at once.
        """
        if len(text) > LONGEST:
            raise SpecError(WHERE, [f"{len(text):,} characters; at most {LONGEST:,}"])
        problems: list[str] = []
        words: Words = {}
        pins: list[str] = []
        for key, value in parse_qsl(text.removeprefix("?"), keep_blank_values=True):
            if key == PIN:
                pins.append(value)
            elif _sound(key, value, self.repeats, problems):
                _add(words, key, value, self.repeats[key], problems)
        if len(words.get(SET, [])) > MOST_SETTINGS:
            problems.append(f"set: more than {MOST_SETTINGS} changes")
        if len(pins) > MOST_PINS:
            problems.append(f"pin: more than {MOST_PINS} curves")
        if problems:
            raise SpecError(WHERE, problems)
        return Asked(words, tuple(pins))


@dataclasses.dataclass(frozen=True)
class Asked:
    """A question in words, and the questions whose curves stay pinned."""

    words: Words
    pins: tuple[str, ...] = ()

    @property
    def query(self) -> str:
        """The query of the address that asks this."""
        pairs = [*_pairs(self.words), *((PIN, pin) for pin in self.pins)]
        return urlencode(pairs, safe="=/:,")  # what an address may hold stays readable


def _pairs(words: Words):
    for key, value in words.items():
        for item in value if isinstance(value, list) else [value]:
            yield key, item


def _sound(key: str, value: str, known: Mapping[str, bool], problems: list[str]) -> bool:
    if key not in known:
        problems.append(f"{key[:40]!r} is unknown{nearest(key[:40], [*known, PIN])}")
    elif not value.strip() or not value.isprintable():
        problems.append(f"{key}: wanted a value")
    elif len(value) > LONGEST_VALUE:
        problems.append(f"{key}: {len(value)} characters; at most {LONGEST_VALUE}")
    else:
        return True
    return False


def _add(words: Words, key: str, value: str, repeats: bool, problems: list[str]) -> None:
    if repeats:
        held = words.setdefault(key, [])
        if isinstance(held, list):
            held.append(value.strip())
    elif key in words:
        problems.append(f"{key}: given twice")
    else:
        words[key] = value.strip()
