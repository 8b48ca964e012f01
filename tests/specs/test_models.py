"""Every shipped model loads, and its shape gives the parameters its vendor publishes."""

import pathlib

import pytest

from dse.specs import formats, library, load, parameters

FOLDER = pathlib.Path(__file__).parents[2] / "studies" / "models"
NAMES = sorted(path.stem for path in FOLDER.glob("*.toml"))
PRECISE = 0.005

# Published totals that are coarser than 0.5 %, or count more than the text decoder: the largest
# relative difference allowed, and why.
TOTAL_TOLERANCE = {
    "kimi-k2": (0.014, "the report says 1.04T, the shapes of the checkpoint give 1.026T"),
    "kimi-k2.5": (0.03, "published as 1T only; the text decoder is Kimi-K2's 1.026T"),
    "llama-4-scout": (0.012, "109B includes 0.87B of vision encoder and projector"),
    "minimax-m2.5": (0.01, "230B is rounded; the shapes of the checkpoint give 228.7B"),
    "nemotron-h-56b": (0.009, "published as 56B only, rounded down from 56.3B"),
}
# Published active counts that include the input embedding (+1 vocabulary x width), or neither it
# nor the output head (-1); 0 is the convention of `active_parameters`.
ACTIVE_TABLES = {
    "qwen3-30b-a3b": 1,
    "qwen3-235b-a22b": 1,
    "qwen3.5-397b-a17b": 1,
    "mixtral-8x7b": 1,
    "mixtral-8x22b": 1,
    "llama-4-scout": 1,
    "llama-4-maverick": 1,
    "kimi-k2": 1,
    "glm-5": -1,
    "qwen3-next-80b-a3b": -1,
}
# Active counts published as a label: half a unit of its last digit, and which digit that is.
ACTIVE_ROUNDING = {
    "qwen3-30b-a3b": (0.06e9, "3.3B, cut off from 3.35B"),
    "qwen3-235b-a22b": (0.5e9, "22B"),
    "qwen3.5-397b-a17b": (0.5e9, "17B"),
    "qwen3-next-80b-a3b": (0.5e9, "3B"),
    "deepseek-v3.2": (0.5e9, "37B, stated for DeepSeek-V3 without the 0.85B of the indexer"),
    "kimi-k2": (0.3e9, "32.6B, with part of the embeddings: 31.7B without, 32.9B with the input's"),
    "kimi-k2.5": (0.5e9, "32B"),
    "minimax-m2.5": (0.5e9, "10B"),
    "glm-5": (0.5e9, "40B"),
    "llama-4-scout": (0.5e9, "17B"),
    "llama-4-maverick": (0.5e9, "17B"),
}


def _load(name):
    return load.load("models", str(FOLDER / f"{name}.toml"))


@pytest.mark.parametrize("name", NAMES)
def test_total_is_the_published_one(name):
    model = _load(name).spec
    tolerance, _ = TOTAL_TOLERANCE.get(name, (PRECISE, ""))
    assert model.published_parameters is not None
    assert parameters.total_parameters(model) == pytest.approx(
        model.published_parameters, rel=tolerance
    )


@pytest.mark.parametrize("name", NAMES)
def test_active_is_the_published_one(name):
    model = _load(name).spec
    published = model.published_active_parameters
    if published is None:
        return
    tables = ACTIVE_TABLES.get(name, 0) * model.vocabulary * model.width
    allowed, _ = ACTIVE_ROUNDING.get(name, (PRECISE * published, ""))
    assert abs(parameters.active_parameters(model) + tables - published) <= allowed


@pytest.mark.parametrize("name", NAMES)
def test_active_is_published_for_mixtures_of_experts_only(name):
    model = _load(name).spec
    is_mixture = any(hasattr(group.feedforward, "experts") for group in model.groups)
    assert (model.published_active_parameters is not None) == is_mixture
    total, active = parameters.total_parameters(model), parameters.active_parameters(model)
    embedding = 0 if model.tied_embedding else model.vocabulary * model.width
    if is_mixture:
        assert active < total - embedding
    else:
        assert active == total - embedding


@pytest.mark.parametrize("name", NAMES)
def test_every_number_has_a_source_and_every_estimate_a_range(name):
    loaded = _load(name)
    known = library.sources()
    for path, value in loaded.record.items():
        if value.source == "estimate":
            assert value.low is not None, path
            assert value.high is not None, path
        else:
            assert value.source in known, f"{path}: {value.source}"


@pytest.mark.parametrize("name", NAMES)
def test_formats_exist(name):
    model = _load(name).spec
    stated = [model.weights, model.kv, model.activations]
    optional = [model.attention_weights, model.expert_weights, model.head_weights]
    assert {fmt for fmt in [*stated, *optional] if fmt is not None} <= set(formats.FORMATS)


def test_tables_of_exceptions_name_models_that_exist():
    stated = {*TOTAL_TOLERANCE, *ACTIVE_TABLES, *ACTIVE_ROUNDING}
    assert stated <= set(NAMES)


def test_no_alias_is_claimed_twice():
    claimed = [name.lower() for name in NAMES]
    for name in NAMES:
        claimed += [alias.lower() for alias in _load(name).meta["aliases"]]
    assert sorted({alias for alias in claimed if claimed.count(alias) > 1}) == []


def test_liminal_reads_405e9_values_per_step():
    model = _load("llama-3.1-405b-liminal").spec
    assert parameters.active_parameters(model) == 405e9


def test_layers_are_those_of_the_papers():
    layers = {name: sum(group.layers for group in _load(name).spec.groups) for name in NAMES}
    expected = {"llama-3.1-405b": 126, "deepseek-v3": 61, "kimi-k2.5": 61, "gpt-oss-120b": 36,
                "qwen3.5-397b-a17b": 60, "glm-5": 78, "nemotron-h-56b": 118, "minimax-m2.5": 62,
                "gemma-3-27b": 62, "llama-4-maverick": 48}  # fmt: skip
    assert {name: layers[name] for name in expected} == expected


def test_kv_values_per_token():
    """Cached values per token and layer of the full-attention layers, by hand."""
    expected = {"llama-3.1-70b": 2 * 8 * 128, "deepseek-v3": 576, "gpt-oss-120b": 2 * 8 * 64,
                "qwen3.5-397b-a17b": 2 * 2 * 256}  # fmt: skip
    for name, values in expected.items():
        mixer = _load(name).spec.groups[-1].attention
        found = mixer.kv_rank + mixer.rope if name == "deepseek-v3" else (
            2 * mixer.kv_heads * mixer.head
        )  # fmt: skip
        assert found == values, name
