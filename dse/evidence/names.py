"""Which chip and which model a published name means.

Tables name hardware in many ways (``NVIDIA B200 180GB (DGX)``, ``h200_sxm``, ``AMD MI355X``).
Vendor, form-factor and memory-size words are ignored as far as that leaves one chip; a name that
could mean two is left out with the reason.
"""

import dataclasses
import functools
import re

from dse.specs import library

_VENDORS = frozenset(
    ["nvidia", "amd", "intel", "apple", "google", "aws", "instinct", "geforce", "tesla", "cerebras"]
)
_FORMS = frozenset(
    [
        "sxm",
        "sxm2",
        "sxm4",
        "sxm5",
        "hgx",
        "dgx",
        "oam",
        "nvl72",
        "server",
        "package",
        "edition",
        "ws",
    ]
)
_MEMORY = re.compile(r"^(\d+(\.\d+)?(gb|gib)|hbm\d?e?|gddr\d\w?|lpddr\d\w?)$")
# Endings of model names that say how it was tuned or stored, not what it is.
_MODEL_ENDINGS = re.compile(
    r"-(instruct|chat|it|base|hf|fp8|nvfp4|fp4|bf16|awq|gptq|thinking|\d{4}|v0\.\d|4k|8k)$"
)
_LIMITED = re.compile(r"power.limited to (\d+(?:\.\d+)?) ?W", re.IGNORECASE)
_CORES = re.compile(r"(\d+) chips? ?/ ?(\d+) NeuronCores", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Found:
    """A spec name, or why there is none."""

    name: str | None
    reason: str = ""


def chip_of(text: str) -> Found:
    """The chip a table means.

    >>> chip_of("NVIDIA H200 SXM").name
    'h200_sxm'
    """
    if re.search(r"\bone (gcd|die|gpu core)\b", text, re.IGNORECASE):
        return Found(None, f"{text}: a part of a package, specs are of whole packages")
    return _matched(str(text), "chips", _chip_forms(str(text)))


def model_of(text: str) -> Found:
    """The model a table means; endings that say tuning or storage are ignored.

    >>> model_of("meta-llama/Llama-3.3-70B-Instruct").name
    'llama-3.1-70b'
    """
    return _matched(str(text), "models", _model_forms(str(text)))


def limit_w(text: str) -> float | None:
    """The board power limit a hardware name states, if any: ``(power limited to 330 W)``."""
    found = _LIMITED.search(text)
    return float(found.group(1)) if found else None


def cores_per_chip(text: str) -> float:
    """Cores a name counts per chip, where tensor parallelism is stated in cores: 2 on Trainium."""
    found = _CORES.search(text)
    return float(found.group(2)) / float(found.group(1)) if found else 1.0


def _matched(text: str, kind: str, forms: list[frozenset[str]]) -> Found:
    for form in forms:
        hits = {name for word in form for name in _index(kind).get(word, ())}
        if len(hits) == 1:
            return Found(hits.pop())
        if hits:
            return Found(None, f"{text}: may be {' or '.join(sorted(hits))}")
    return Found(None, f"{text}: no such {kind[:-1]} in the library")


@functools.cache
def _index(kind: str) -> dict[str, set[str]]:
    """Every written form of every spec of a kind -> spec names: file names win over aliases."""
    forms_of = _chip_forms if kind == "chips" else _model_forms
    exact: dict[str, set[str]] = {}
    loose: dict[str, set[str]] = {}
    for name in library.names(kind):
        meta = library.read_file(library.folder_of(kind)[name]).meta
        for written in (str(meta.get("name", name)), *meta.get("aliases", [])):
            first, *rest = forms_of(written)
            for word in first:
                exact.setdefault(word, set()).add(name)
            for form in rest:
                for word in form:
                    loose.setdefault(word, set()).add(name)
    return loose | exact | {name: {name} for name in library.names(kind)}


def _words(text: str) -> list[str]:
    plain = re.sub(r"\((r|tm)\)", "", text.lower().replace("\u2011", "-"))
    return re.split(r"[\s_\-,]+", re.sub(r"\(.*?\)", " ", plain).strip())


def _chip_forms(text: str) -> list[frozenset[str]]:
    """From the name as written to the name without the words that say nothing."""
    named = [w for w in _words(text) if w]
    plain = [w for w in named if w not in _VENDORS]
    smaller = [w for w in plain if not _MEMORY.match(w)]
    bare = [w for w in smaller if w not in _FORMS]
    written = text.strip().lower()
    chain = [[written], *([" ".join(ws)] for ws in (named, plain, smaller, bare))]
    return [frozenset(form) for form in chain]


def _model_forms(text: str) -> list[frozenset[str]]:
    written = re.sub(r"\s*\(.*?\)", "", text).strip().lower()
    unsized = re.sub(r" \d+b(-a\d+b)?$", "", written)  # "Llama-4-Maverick 400B-A17B"
    forms = [written, "-".join(written.split()), unsized, written.rpartition("/")[2]]
    short = "-".join(forms[-1].split())
    while short != (shorter := _MODEL_ENDINGS.sub("", short)):
        forms.append(shorter)
        short = shorter
    forms.append(re.sub(r"^meta-", "", short))
    return [frozenset([form]) for form in forms]
