"""From a Hugging Face ``config.json`` to a model spec: the text of a TOML file and what is unsure.

A config is read in two steps. A family (one function per ``model_type``) says for every layer what
its token mixer and its feed-forward part are; equal layers are then gathered into groups. Problems
are collected, so that a bad config is answered once with all of them.
"""

import collections
import json
from collections.abc import Mapping
from typing import Any

from dse.specs.errors import SpecError, nearest
from dse.specs.hf.families import FAMILIES
from dse.specs.hf.reader import (
    IMMATERIAL,
    Network,
    Reader,
    Shape,
    shown,
    word,
)

# --- formats ------------------------------------------------------------------------------------


def _formats(config: Mapping, notes: list[str]) -> dict[str, str]:
    """Formats of weights as published; KV cache and activations are a server's choice."""
    notes.append("kv, activations: not part of a config.json; taken as bf16")
    formats = {"weights": "bf16"}
    stored = config.get("torch_dtype") or config.get("dtype")
    quantization = config.get("quantization_config")
    if not isinstance(quantization, Mapping):
        if stored not in (None, "bfloat16", "float16"):
            notes.append(f"torch_dtype: {shown(stored)} is taken as bf16")
        return formats
    method = word(quantization.get("quant_method"))
    if method == "fp8":
        return {"weights": "fp8", "head_weights": "bf16"}
    if method == "mxfp4":
        return formats | {"expert_weights": "mxfp4"}
    if method == "compressed-tensors" and '"num_bits": 4' in _json(quantization):
        notes.append("quantization_config: 4-bit weights are taken to be those of the experts")
        return formats | {"expert_weights": "int4"}
    notes.append(f"quantization_config: method {shown(method)} is not mapped; weights are bf16")
    return formats


def _json(value: Any) -> str:
    try:
        return json.dumps(value, default=str)
    except (TypeError, ValueError, RecursionError):
        return ""


# --- the whole ----------------------------------------------------------------------------------


def from_config(config: dict, name: str) -> tuple[str, list[str]]:
    """The TOML text of a model spec, and the keys and assumptions a reader should look at.

    Args:
        config: a parsed ``config.json``; a ``text_config`` inside it is what is read.
        name: the name the spec is to carry.

    Raises:
        SpecError: unknown ``model_type``, or every missing and ill-typed key.
    """
    where = "config.json"
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise SpecError(where, [f"{shown(name)}: not a name for a model"])
    if not isinstance(config, Mapping) or not all(isinstance(key, str) for key in config):
        raise SpecError(where, [f"wanted an object, found {type(config).__name__}"])
    family, flat, notes = _flattened(config, where)
    reader = Reader(flat)
    found = FAMILIES[family](reader)
    head = _head(reader, found)
    if reader.problems:
        raise SpecError(where, list(dict.fromkeys(reader.problems)))
    formats = _formats(flat, notes)
    reader.seen |= {"quantization_config", "text_config", "vision_config"}
    unread = sorted(set(flat) - reader.seen - IMMATERIAL)
    notes += reader.notes + [f"{key}: not mapped" for key in unread if flat[key] is not None]
    return _text(name, head, formats, found), notes


def _flattened(config: Mapping, where: str) -> tuple[str, Mapping, list[str]]:
    """The family, the config of the text decoder, and what was left out."""
    inner = config.get("text_config")
    if inner is not None and not (
        isinstance(inner, Mapping) and all(isinstance(key, str) for key in inner)
    ):
        raise SpecError(where, [f"text_config: wanted an object, found {type(inner).__name__}"])
    outer_type, inner_type = config.get("model_type"), (inner or {}).get("model_type")
    family = next((word(t) for t in (inner_type, outer_type) if word(t) in FAMILIES), None)
    if family is None:
        wanted = inner_type if inner_type is not None else outer_type
        if wanted is None:
            raise SpecError(where, [f"model_type: missing; known: {', '.join(sorted(FAMILIES))}"])
        raise SpecError(where, [f"model_type: {shown(wanted)} is not supported"
                                f"{nearest(word(wanted)[:60], FAMILIES)}"])  # fmt: skip
    if inner is None:
        return family, config, []
    kept = ("tie_word_embeddings", "quantization_config", "torch_dtype", "dtype")
    outer = {key: config[key] for key in kept if config.get(key) is not None}
    return family, outer | dict(inner), ["text_config: only the text decoder is described"]


def _head(r: Reader, found: Network) -> dict[str, int]:
    if r.config.get("tie_word_embeddings") is None and found.is_tied:
        r.note("tie_word_embeddings: not given; this family ties them")
    return {
        "width": r.count("hidden_size"),
        "vocabulary": r.count("vocab_size"),
        "tied_embedding": int(r.flag("tie_word_embeddings", found.is_tied)),
        "norms_per_layer": found.norms,
    }


def _text(name: str, head: dict[str, int], formats: dict[str, str], found: Network) -> str:
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    lines = [f'name = "{quoted}"', 'source = "config"', ""]
    lines += [f"{key} = {value}" for key, value in head.items()]
    lines += [f'{key} = "{value}"' for key, value in formats.items()]
    lines += ['kv = "bf16"', 'activations = "bf16"']
    if found.other:
        lines.append(f"other_parameters = {found.other}")
    for (mixer, feedforward), layers in collections.Counter(found.layers).items():
        lines += ["", "[[groups]]", f"layers = {layers}"]
        lines += [f"attention = {_table(mixer)}", f"feedforward = {_table(feedforward)}"]
    lines += ["", "[sources.config]", 'kind = "datasheet"']
    lines.append(f'title = "config.json of {quoted}"')
    return "\n".join(lines) + "\n"


def _table(shape: Shape) -> str:
    pairs = (f'{key} = "{value}"' if key == "kind" else f"{key} = {value}" for key, value in shape)
    return f"{{ {', '.join(pairs)} }}"
