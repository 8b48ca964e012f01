"""A config.json maps to the shipped shapes; anything malformed raises `SpecError` only."""

import copy
import pathlib
import tomllib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dse.specs import huggingface, library, load, parameters
from dse.specs.schema import SpecError

FOLDER = pathlib.Path(__file__).parents[2] / "studies" / "models"

FP8 = {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128]}
DEEPSEEK = {
    "hidden_size": 7168,
    "intermediate_size": 18432,
    "moe_intermediate_size": 2048,
    "num_hidden_layers": 61,
    "num_key_value_heads": 128,
    "q_lora_rank": 1536,
    "kv_lora_rank": 512,
    "qk_rope_head_dim": 64,
    "qk_nope_head_dim": 128,
    "v_head_dim": 128,
    "n_shared_experts": 1,
    "num_experts_per_tok": 8,
    "tie_word_embeddings": False,
    "quantization_config": FP8,
    "moe_layer_freq": 1,
}
V3 = DEEPSEEK | {
    "model_type": "deepseek_v3",
    "num_attention_heads": 128,
    "n_routed_experts": 256,
    "first_k_dense_replace": 3,
    "vocab_size": 129280,
    "num_nextn_predict_layers": 1,
}
K2 = DEEPSEEK | {
    "model_type": "kimi_k2",
    "num_attention_heads": 64,
    "n_routed_experts": 384,
    "first_k_dense_replace": 1,
    "vocab_size": 163840,
}
NEMOTRON = {
    "model_type": "nemotron_h",
    "hidden_size": 4480,
    "intermediate_size": 15680,
    "num_hidden_layers": 56,
    "num_attention_heads": 40,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 131072,
    "mamba_num_heads": 128,
    "mamba_head_dim": 80,
    "ssm_state_size": 128,
    "n_groups": 8,
    "conv_kernel": 4,
    "hybrid_override_pattern": "M-M-M-MM-M-M-M*-M-M-M*-M-M-M-M*-M-M-M-M*-M-MM-M-M-M-M-M-",
    "use_conv_bias": True,
    "mlp_bias": False,
    "attention_bias": False,
    "tie_word_embeddings": False,
}
CONFIGS = {
    "llama-3.1-8b": {
        "model_type": "llama",
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "vocab_size": 128256,
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
    },
    "mistral-large": {
        "model_type": "mistral",
        "hidden_size": 12288,
        "intermediate_size": 28672,
        "num_hidden_layers": 88,
        "num_attention_heads": 96,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "vocab_size": 32768,
        "sliding_window": None,
        "tie_word_embeddings": False,
    },
    "phi-3-mini": {
        "model_type": "phi3",
        "hidden_size": 3072,
        "intermediate_size": 8192,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "vocab_size": 32064,
        "sliding_window": 2047,
        "attention_bias": False,
        "tie_word_embeddings": False,
    },
    "mixtral-8x7b": {
        "model_type": "mixtral",
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "num_local_experts": 8,
        "num_experts_per_tok": 2,
        "sliding_window": None,
        "vocab_size": 32000,
    },
    "qwen3-8b": {
        "model_type": "qwen3",
        "hidden_size": 4096,
        "intermediate_size": 12288,
        "num_hidden_layers": 36,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "vocab_size": 151936,
        "use_sliding_window": False,
        "sliding_window": None,
        "max_window_layers": 36,
        "tie_word_embeddings": False,
    },
    "qwen3-30b-a3b": {
        "model_type": "qwen3_moe",
        "hidden_size": 2048,
        "intermediate_size": 6144,
        "num_hidden_layers": 48,
        "moe_intermediate_size": 768,
        "num_attention_heads": 32,
        "num_key_value_heads": 4,
        "head_dim": 128,
        "num_experts": 128,
        "num_experts_per_tok": 8,
        "decoder_sparse_step": 1,
        "mlp_only_layers": [],
        "vocab_size": 151936,
        "tie_word_embeddings": False,
    },
    "qwen3-next-80b-a3b": {
        "model_type": "qwen3_next",
        "hidden_size": 2048,
        "intermediate_size": 5120,
        "num_hidden_layers": 48,
        "moe_intermediate_size": 512,
        "shared_expert_intermediate_size": 512,
        "num_experts": 512,
        "num_experts_per_tok": 10,
        "num_attention_heads": 16,
        "num_key_value_heads": 2,
        "head_dim": 256,
        "full_attention_interval": 4,
        "linear_conv_kernel_dim": 4,
        "linear_key_head_dim": 128,
        "linear_num_key_heads": 16,
        "linear_num_value_heads": 32,
        "linear_value_head_dim": 128,
        "mlp_only_layers": [],
        "vocab_size": 151936,
        "tie_word_embeddings": False,
    },
    "qwen3.5-397b-a17b": {
        "model_type": "qwen3_5_moe",
        "tie_word_embeddings": False,
        "vision_config": {"depth": 27},
        "text_config": {
            "model_type": "qwen3_5_moe_text",
            "attn_output_gate": True,
            "full_attention_interval": 4,
            "hidden_size": 4096,
            "head_dim": 256,
            "num_attention_heads": 32,
            "num_key_value_heads": 2,
            "num_hidden_layers": 60,
            "moe_intermediate_size": 1024,
            "num_experts": 512,
            "num_experts_per_tok": 10,
            "shared_expert_intermediate_size": 1024,
            "linear_conv_kernel_dim": 4,
            "linear_key_head_dim": 128,
            "linear_num_key_heads": 16,
            "linear_num_value_heads": 64,
            "linear_value_head_dim": 128,
            "mamba_ssm_dtype": "float32",
            "layer_types": (["linear_attention"] * 3 + ["full_attention"]) * 15,
            "vocab_size": 248320,
        },
    },
    "deepseek-v3": V3,
    "deepseek-v3.2": V3
    | {
        "model_type": "deepseek_v32",
        "index_n_heads": 64,
        "index_head_dim": 128,
        "index_topk": 2048,
    },
    "kimi-k2": K2,
    "kimi-k2.5": {"model_type": "kimi_k25", "text_config": K2},
    "glm-5": DEEPSEEK
    | {
        "model_type": "glm_moe_dsa",
        "hidden_size": 6144,
        "intermediate_size": 12288,
        "q_lora_rank": 2048,
        "num_attention_heads": 64,
        "num_hidden_layers": 78,
        "qk_nope_head_dim": 192,
        "v_head_dim": 256,
        "n_routed_experts": 256,
        "first_k_dense_replace": 3,
        "vocab_size": 154880,
        "index_n_heads": 32,
        "index_head_dim": 128,
        "index_topk": 2048,
    },
    "gpt-oss-20b": {
        "model_type": "gpt_oss",
        "hidden_size": 2880,
        "intermediate_size": 2880,
        "num_hidden_layers": 24,
        "num_attention_heads": 64,
        "num_key_value_heads": 8,
        "head_dim": 64,
        "num_local_experts": 32,
        "num_experts_per_tok": 4,
        "sliding_window": 128,
        "attention_bias": True,
        "vocab_size": 201088,
        "layer_types": ["sliding_attention", "full_attention"] * 12,
        "tie_word_embeddings": False,
        "quantization_config": {"quant_method": "mxfp4"},
    },
    "gemma-2-27b": {
        "model_type": "gemma2",
        "hidden_size": 4608,
        "intermediate_size": 36864,
        "num_hidden_layers": 46,
        "num_attention_heads": 32,
        "num_key_value_heads": 16,
        "head_dim": 128,
        "sliding_window": 4096,
        "vocab_size": 256000,
    },
    "gemma-3-27b": {
        "model_type": "gemma3",
        "vision_config": {"hidden_size": 1152},
        "text_config": {
            "model_type": "gemma3_text",
            "hidden_size": 5376,
            "intermediate_size": 21504,
            "num_hidden_layers": 62,
            "num_attention_heads": 32,
            "num_key_value_heads": 16,
            "head_dim": 128,
            "sliding_window": 1024,
            "vocab_size": 262208,
        },
    },
    "llama-4-maverick": {
        "model_type": "llama4",
        "text_config": {
            "model_type": "llama4_text",
            "hidden_size": 5120,
            "intermediate_size": 8192,
            "intermediate_size_mlp": 16384,
            "num_hidden_layers": 48,
            "num_attention_heads": 40,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "interleave_moe_layer_step": 2,
            "attention_chunk_size": 8192,
            "num_local_experts": 128,
            "num_experts_per_tok": 1,
            "vocab_size": 202048,
        },
    },
    "minimax-m2.5": {
        "model_type": "minimax_m2",
        "hidden_size": 3072,
        "intermediate_size": 1536,
        "num_hidden_layers": 62,
        "num_attention_heads": 48,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "num_local_experts": 256,
        "num_experts_per_tok": 8,
        "use_qk_norm": True,
        "use_routing_bias": True,
        "vocab_size": 200064,
        "shared_intermediate_size": 0,
        "tie_word_embeddings": False,
        "quantization_config": FP8,
    },
    "nemotron-nano-9b-v2": NEMOTRON,
}
NAMES = sorted(CONFIGS)


def _imported(config, folder, name="model"):
    text, notes = huggingface.from_config(config, name)
    path = folder / "imported.toml"
    path.write_text(text, encoding="utf-8")
    library.forget()
    return load.load("models", str(path)), notes


def _layers(model):
    """Layers by the shape of their parts, whatever the order of the groups."""
    return sorted((repr(g.attention), repr(g.feedforward), g.layers) for g in model.groups)


@pytest.mark.parametrize("name", NAMES)
def test_config_gives_the_shipped_parameters(name, tmp_path):
    shipped = load.load("models", str(FOLDER / f"{name}.toml")).spec
    imported, _ = _imported(CONFIGS[name], tmp_path)
    for count in (parameters.total_parameters, parameters.active_parameters):
        assert count(imported.spec) == pytest.approx(count(shipped), rel=1e-3)
    assert _layers(imported.spec) == _layers(shipped)


@pytest.mark.parametrize("name", NAMES)
def test_config_is_left_as_it_was(name, tmp_path):
    config = copy.deepcopy(CONFIGS[name])
    huggingface.from_config(config, name)
    assert config == CONFIGS[name]


def test_formats_follow_the_quantization(tmp_path):
    fp8, _ = _imported(CONFIGS["deepseek-v3"], tmp_path)
    assert (fp8.spec.weights, fp8.spec.head_weights) == ("fp8", "bf16")
    mxfp4, _ = _imported(CONFIGS["gpt-oss-20b"], tmp_path)
    assert (mxfp4.spec.weights, mxfp4.spec.expert_weights) == ("bf16", "mxfp4")
    groups = {"group_0": {"weights": {"num_bits": 4, "type": "int"}}}
    int4 = {"quant_method": "compressed-tensors", "config_groups": groups}
    found, notes = _imported(K2 | {"quantization_config": int4}, tmp_path)
    assert (found.spec.weights, found.spec.expert_weights) == ("bf16", "int4")
    assert any("4-bit" in note for note in notes)


def test_unmapped_keys_and_assumptions_are_named(tmp_path):
    config = CONFIGS["gemma-3-27b"] | {"tie_word_embeddings": None}
    config["text_config"] = config["text_config"] | {"some_new_gate": 3}
    _, notes = _imported(config, tmp_path)
    assert "some_new_gate: not mapped" in notes
    assert any("tie_word_embeddings" in note for note in notes)
    assert any("text decoder" in note for note in notes)


def test_missing_and_ill_typed_keys_are_named_together():
    config = CONFIGS["llama-3.1-8b"] | {"hidden_size": "wide", "vocab_size": -1}
    del config["num_hidden_layers"], config["intermediate_size"]
    with pytest.raises(SpecError) as caught:
        huggingface.from_config(config, "broken")
    text = str(caught.value)
    for key in ("hidden_size", "vocab_size", "num_hidden_layers", "intermediate_size"):
        assert key in text
    assert len(caught.value.problems) == 4


@pytest.mark.parametrize(
    ("model_type", "expected"), [("lama", "llama"), ("qwen3_mo", "qwen3_moe"), (None, "llama")]
)
def test_unknown_family_names_what_is_supported(model_type, expected):
    with pytest.raises(SpecError, match=expected):
        huggingface.from_config({"model_type": model_type}, "x")


@pytest.mark.parametrize("name", ["", " ", "a\nb", "\x00", "\ud800", None, 3])
def test_unusable_names_are_refused(name):
    with pytest.raises(SpecError):
        huggingface.from_config(CONFIGS["llama-3.1-8b"], name)


def test_quotes_in_a_name_survive(tmp_path):
    loaded, _ = _imported(CONFIGS["llama-3.1-8b"], tmp_path, 'My "7\\8" Modell é')
    assert loaded.title == 'My "7\\8" Modell é'


def test_biases_of_qwen2_are_counted(tmp_path):
    base = {k: v for k, v in CONFIGS["llama-3.1-8b"].items() if k != "attention_bias"}
    plain, _ = _imported(base, tmp_path)
    found, notes = _imported(base | {"model_type": "qwen2"}, tmp_path)
    difference = parameters.total_parameters(found.spec) - parameters.total_parameters(plain.spec)
    assert difference == 32 * (32 + 2 * 8) * 128
    assert any("biases" in note for note in notes)


def test_glm_4_5(tmp_path):
    """GLM-4.5-Air: 106B in total, 12B active."""
    config = {
        "model_type": "glm4_moe",
        "hidden_size": 4096,
        "intermediate_size": 10944,
        "num_hidden_layers": 46,
        "moe_intermediate_size": 1408,
        "num_attention_heads": 96,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "n_routed_experts": 128,
        "n_shared_experts": 1,
        "num_experts_per_tok": 8,
        "first_k_dense_replace": 1,
        "attention_bias": True,
        "use_qk_norm": False,
        "vocab_size": 151552,
        "tie_word_embeddings": False,
    }
    found, _ = _imported(config, tmp_path)
    assert parameters.total_parameters(found.spec) == pytest.approx(106e9, rel=0.01)
    head = found.spec.vocabulary * found.spec.width  # which the published label leaves out
    assert parameters.active_parameters(found.spec) - head == pytest.approx(12e9, rel=0.02)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=6,
)
DECODERS = [config.get("text_config", config) for config in CONFIGS.values()]
KEYS = sorted({key for config in [*CONFIGS.values(), *DECODERS] for key in config})


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    name=st.sampled_from(NAMES),
    changed=st.dictionaries(st.sampled_from(KEYS), JSON, max_size=4),
    dropped=st.sets(st.sampled_from(KEYS), max_size=3),
    is_inner=st.booleans(),
)
def test_malformed_configs_raise_spec_errors_only(name, changed, dropped, is_inner):
    config = copy.deepcopy(CONFIGS[name])
    place = config.get("text_config", config) if is_inner else config
    place.update(changed)
    for key in dropped:
        place.pop(key, None)
    try:
        text, notes = huggingface.from_config(config, "fuzzed")
    except SpecError:
        return
    assert tomllib.loads(text)["name"] == "fuzzed"
    assert all(isinstance(note, str) for note in notes)


@settings(max_examples=100, deadline=None)
@given(config=JSON)
def test_anything_else_raises_spec_errors_only(config):
    with pytest.raises(SpecError):
        huggingface.from_config(config, "fuzzed")


def test_numbers_too_long_to_print():
    with pytest.raises(SpecError, match="hidden_size"):
        huggingface.from_config(CONFIGS["llama-3.1-8b"] | {"hidden_size": 10**5000}, "x")


@pytest.mark.parametrize("value", [10**20, float("nan"), float("inf"), True, [], {}, "8", 2.5, 0])
@pytest.mark.parametrize("key", ["num_hidden_layers", "num_attention_heads", "hidden_size"])
def test_numbers_that_are_no_counts(key, value):
    with pytest.raises(SpecError, match=key):
        huggingface.from_config(CONFIGS["llama-3.1-8b"] | {key: value}, "x")
