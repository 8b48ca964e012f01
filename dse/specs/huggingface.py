"""From a Hugging Face ``config.json`` to a model spec: the text of a TOML file and what is unsure.

A config is read in two steps. A family (one function per ``model_type``) says for every layer what
its token mixer and its feed-forward part are; equal layers are then gathered into groups. Problems
are collected, so that a bad config is answered once with all of them.
"""

import collections
import json
from collections.abc import Callable, Mapping
from typing import Any

from dse.specs.errors import SpecError, nearest

Shape = tuple[tuple[str, Any], ...]  # keys of an inline table, its kind first
LARGEST = 10**9
MOST_LAYERS = 4096
# Keys that change neither shapes nor formats; anything else unread is reported.
IMMATERIAL = frozenset(
    """architectures attention_dropout attn_logit_softcapping attn_scale attn_temperature_tuning
    auto_map aux_loss_alpha beta_fast bos_token_id chunk_size dtype embd_pdrop eos_token_id ep_size
    experts_per_token expand final_logit_softcapping floor_scale for_llm_class hidden_act
    hidden_activation hidden_dropout indexer_rope_interleave initial_context_length
    initializer_range layer_norm_epsilon mamba_hidden_act max_position_embeddings max_window_layers
    mlp_hidden_act model_type moe_layer_freq n_group norm_topk_prob num_logits_to_keep
    num_nextn_predict_layers original_max_position_embeddings output_router_logits pad_token_id
    partial_rotary_factor pretraining_tp qk_head_dim query_pre_attn_scalar rescale_prenorm_residual
    resid_pdrop residual_in_fp32 rms_norm_eps rope_interleave rope_local_base_freq rope_parameters
    rope_scaling rope_theta rotary_dim routed_scaling_factor router_aux_loss_coef
    router_jitter_noise scoring_func seq_aux swiglu_limit time_step_floor time_step_limit
    time_step_max time_step_min time_step_rank topk_group topk_method torch_dtype
    transformers_version use_cache use_mamba_kernels _name_or_path""".split()  # noqa: SIM905
)


class _Reader:
    """Typed access to a config that notes problems, assumptions and which keys were read."""

    def __init__(self, config: Mapping):
        self.config = config
        self.seen: set[str] = set()
        self.problems: list[str] = []
        self.notes: list[str] = []

    def count(self, key: str, default: int | None = None, least: int = 1) -> int:
        """A whole number of at least ``least``; null reads as missing."""
        self.seen.add(key)
        value = self.config.get(key)
        if value is None:
            if default is None:
                self.problems.append(f"{key}: missing; wanted a whole number")
                return least
            return default
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= LARGEST:
            self.problems.append(f"{key}: {_shown(value)} is not a whole number from {least}")
            return least
        return value

    def flag(self, key: str, default: bool) -> bool:
        """True or false; null reads as missing."""
        self.seen.add(key)
        value = self.config.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.problems.append(f"{key}: {_shown(value)} is not true or false")
            return default
        return value

    def words(self, key: str, known: Mapping[str, str], length: int) -> list[str] | None:
        """A list of one word per layer, translated by ``known``; None where it is not given."""
        self.seen.add(key)
        value = self.config.get(key)
        if value is None:
            return None
        if not isinstance(value, (list, str)) or len(value) != length:
            self.problems.append(f"{key}: {_shown(value)} is not a list of {length} layers")
            return None
        unknown = sorted({_shown(word) for word in value if _word(word) not in known})
        if unknown:
            self.problems.append(
                f"{key}: unknown {', '.join(unknown[:4])}; known: {', '.join(known)}"
            )
            return None
        return [known[word] for word in value]

    def layers(self) -> int:
        """Number of layers, within reason."""
        layers = self.count("num_hidden_layers")
        if layers > MOST_LAYERS:
            self.problems.append(f"num_hidden_layers: {layers} is more than {MOST_LAYERS}")
            return 1
        return layers

    def note(self, text: str) -> None:
        """Record an assumption, once."""
        if text not in self.notes:
            self.notes.append(text)


class _Network:
    """What a family found out: a mixer and a feed-forward part per layer, and the small rest."""

    def __init__(self, layers: list[tuple[Shape, Shape]], other: int = 0, norms: int = 2,
                 is_tied: bool = False):  # fmt: skip
        self.layers, self.other, self.norms, self.is_tied = layers, other, norms, is_tied


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # integers and nestings too large to print
        text = type(value).__name__
    return text if len(text) <= 60 else f"{text[:57]}..."


def _word(value: Any) -> str:
    return value if isinstance(value, str) else ""


# --- parts --------------------------------------------------------------------------------------


def _heads(r: _Reader, head_key: str = "head_dim") -> tuple[int, int, int]:
    """Query heads, key and value heads, width of a head."""
    before = len(r.problems)
    heads, width = r.count("num_attention_heads"), r.count("hidden_size")
    kv_heads = r.count("num_key_value_heads", heads)
    if len(r.problems) == before and r.config.get(head_key) is None and width % heads:
        r.problems.append(f"{head_key}: missing, and hidden_size {width} is no multiple of {heads}")
    return heads, kv_heads, r.count(head_key, max(width // heads, 1))


def _attention(
    sizes: tuple[int, int, int], bias: int = 0, gate: int = 0, window: int | None = None
) -> Shape:
    heads, kv_heads, head = sizes
    shape = (("kind", "gqa"), ("heads", heads), ("kv_heads", kv_heads), ("head", head),
             ("bias", bias), ("output_gate", gate))  # fmt: skip
    return shape if window is None else (*shape, ("window", window))


def _gated(inner: int, bias: int = 0) -> Shape:
    return (("kind", "gated"), ("inner", inner), ("bias", bias))


def _experts(experts: int, chosen: int, inner: int, shared: int = 0, bias: int = 0) -> Shape:
    return (("kind", "moe"), ("experts", experts), ("experts_per_token", chosen), ("inner", inner),
            ("matrices", 3), ("shared_inner", shared), ("bias", bias))  # fmt: skip


NONE: Shape = (("kind", "none"),)
LOCAL = {"sliding_attention": "local", "chunked_attention": "local", "full_attention": "full"}


def _windows(r: _Reader, layers: int, key: str, is_local: Callable[[int], bool]) -> list:
    """Window of each layer, None where it sees everything: as listed, else by the family's rule."""
    listed = r.words("layer_types", LOCAL, layers)
    if r.config.get(key) is None:
        r.seen.add(key)
        if listed and "local" in listed:
            r.problems.append(f"{key}: missing, but layer_types names windowed layers")
        return [None] * layers
    window = r.count(key)
    if listed:
        return [window if word == "local" else None for word in listed]
    return [window if is_local(layer) else None for layer in range(layers)]


# --- families -----------------------------------------------------------------------------------


def _llama(r: _Reader) -> _Network:
    """Llama, dense Mistral and Phi-3 (whose projections are the same, fused): layers alike."""
    layers, bias = r.layers(), int(r.flag("attention_bias", False))
    feedforward = _gated(r.count("intermediate_size"), int(r.flag("mlp_bias", False)))
    windows = _windows(r, layers, "sliding_window", lambda _: True)
    sizes = _heads(r)
    return _Network([(_attention(sizes, bias, window=w), feedforward) for w in windows])


def _qwen2(r: _Reader) -> _Network:
    """Qwen2: biases on queries, keys and values only."""
    found = _qwen_dense(r, bias=0)
    heads, kv_heads, head = _heads(r)
    r.note("biases of queries, keys and values are counted in other_parameters")
    found.other = len(found.layers) * (heads + 2 * kv_heads) * head
    return found


def _qwen3(r: _Reader) -> _Network:
    """Qwen3: norms of queries and keys, one per head width."""
    found = _qwen_dense(r, int(r.flag("attention_bias", False)))
    found.other = len(found.layers) * 2 * _heads(r)[2]
    return found


def _qwen_dense(r: _Reader, bias: int) -> _Network:
    layers, feedforward = r.layers(), _gated(r.count("intermediate_size"))
    first = r.count("max_window_layers", layers, least=0)
    windows: list = [None] * layers
    if r.flag("use_sliding_window", False):
        windows = _windows(r, layers, "sliding_window", lambda layer: layer >= first)
    r.seen |= {"sliding_window", "layer_types"}
    sizes = _heads(r)
    return _Network([(_attention(sizes, bias, window=w), feedforward) for w in windows])


def _gemma2(r: _Reader) -> _Network:
    """Gemma 2: windowed and full layers alternate, four norms a layer, tied embedding."""
    return _gemma(r, lambda layer: layer % 2 == 0)


def _gemma3(r: _Reader) -> _Network:
    """Gemma 3: one full layer in six, norms of queries and keys."""
    period = r.count("sliding_window_pattern", 6)
    found = _gemma(r, lambda layer: (layer + 1) % period != 0)
    found.other = len(found.layers) * 2 * r.count("head_dim", 256)
    return found


def _gemma(r: _Reader, is_local: Callable[[int], bool]) -> _Network:
    layers, bias = r.layers(), int(r.flag("attention_bias", False))
    sizes = (
        r.count("num_attention_heads"),
        r.count("num_key_value_heads"),
        r.count("head_dim", 256),
    )
    feedforward = _gated(r.count("intermediate_size"))
    windows = _windows(r, layers, "sliding_window", is_local)
    pairs = [(_attention(sizes, bias, window=w), feedforward) for w in windows]
    return _Network(pairs, norms=4, is_tied=True)


def _mixtral(r: _Reader) -> _Network:
    """Mixtral: experts in every layer."""
    layers, sizes = r.layers(), _heads(r)
    experts = _experts(
        r.count("num_local_experts"), r.count("num_experts_per_tok"), r.count("intermediate_size")
    )
    windows = _windows(r, layers, "sliding_window", lambda _: True)
    return _Network([(_attention(sizes, window=w), experts) for w in windows])


def _minimax_m2(r: _Reader) -> _Network:
    """MiniMax-M2: norms over all query and all key heads, corrections in the routers."""
    found = _mixtral(r)
    heads, kv_heads, head = _heads(r)
    norms = (heads + kv_heads) * head if r.flag("use_qk_norm", True) else 0
    corrections = r.count("num_local_experts") if r.flag("use_routing_bias", True) else 0
    if r.count("shared_intermediate_size", 0, least=0):
        r.note("shared_intermediate_size: shared experts of this family are not mapped")
    r.note("draft modules (num_mtp_modules) are left out")
    r.seen |= {"qk_norm_type", "use_mtp", "mtp_transformer_layers", "num_mtp_modules"}
    found.other = len(found.layers) * (norms + corrections)
    return found


def _sparse_layers(r: _Reader, layers: int, experts: Shape) -> list[Shape]:
    """Feed-forward parts where ``decoder_sparse_step`` and ``mlp_only_layers`` leave dense ones."""
    step = r.count("decoder_sparse_step", 1)
    r.seen.add("mlp_only_layers")
    listed = r.config.get("mlp_only_layers") or []
    if not isinstance(listed, list) or not all(isinstance(layer, int) for layer in listed):
        r.problems.append(f"mlp_only_layers: {_shown(listed)} is not a list of layers")
        listed = []
    sparse = [layer not in listed and (layer + 1) % step == 0 for layer in range(layers)]
    if all(sparse):
        r.seen.add("intermediate_size")
        return [experts] * layers
    dense = _gated(r.count("intermediate_size"))
    return [experts if is_sparse else dense for is_sparse in sparse]


def _qwen3_moe(r: _Reader) -> _Network:
    """Qwen3-MoE: experts without shared ones, norms of queries and keys."""
    layers, sizes = r.layers(), _heads(r)
    bias = int(r.flag("attention_bias", False))
    experts = _experts(
        r.count("num_experts"), r.count("num_experts_per_tok"), r.count("moe_intermediate_size")
    )
    if r.flag("use_sliding_window", False):
        r.note("use_sliding_window: windows of this family are not mapped")
    r.seen |= {"sliding_window", "use_sliding_window"}
    parts = _sparse_layers(r, layers, experts)
    return _Network([(_attention(sizes, bias), part) for part in parts], layers * 2 * sizes[2])


HYBRID = {"linear_attention": "linear", "full_attention": "full"}


def _qwen3_next(r: _Reader) -> _Network:
    """Qwen3-Next and Qwen3.5: linear attention, one full layer in four; gated outputs."""
    layers, sizes = r.layers(), _heads(r)
    period = r.count("full_attention_interval", 4)
    default = ["full" if (layer + 1) % period == 0 else "linear" for layer in range(layers)]
    kinds = r.words("layer_types", HYBRID, layers) or default
    gate = int(r.flag("attn_output_gate", True))
    full = _attention(sizes, int(r.flag("attention_bias", False)), gate)
    experts = _experts(
        r.count("num_experts"),
        r.count("num_experts_per_tok"),
        r.count("moe_intermediate_size"),
        r.count("shared_expert_intermediate_size", least=0),
    )
    linear = (("kind", "linear"), ("key_heads", r.count("linear_num_key_heads")),
              ("value_heads", r.count("linear_num_value_heads")),
              ("key", r.count("linear_key_head_dim")), ("value", r.count("linear_value_head_dim")),
              ("convolution", r.count("linear_conv_kernel_dim")),
              ("state_bits", _state_bits(r, "mamba_ssm_dtype")))  # fmt: skip
    if r.count("mtp_num_hidden_layers", 0, least=0):
        r.note("draft layers (mtp_num_hidden_layers) are left out")
    r.seen |= {"use_sliding_window", "mtp_use_dedicated_embeddings"}
    parts = _sparse_layers(r, layers, experts)
    gates = sum(r.count("hidden_size") for part in parts if part is experts)
    pairs = [
        (full if kind == "full" else linear, part) for kind, part in zip(kinds, parts, strict=True)
    ]
    return _Network(pairs, gates + kinds.count("full") * 2 * sizes[2])


def _state_bits(r: _Reader, key: str) -> int:
    r.seen.add(key)
    value = r.config.get(key)
    bits = {"float32": 32, "bfloat16": 16, "float16": 16}
    if value is None:
        r.note(f"{key}: not given; recurrent state taken as 32 bits")
        return 32
    if _word(value) not in bits:
        r.problems.append(f"{key}: {_shown(value)} is unknown; known: {', '.join(bits)}")
        return 32
    return bits[value]


def _glm4_moe(r: _Reader) -> _Network:
    """GLM-4.5: dense layers first, then experts with shared ones."""
    layers, sizes = r.layers(), _heads(r)
    heads, kv_heads, head = sizes
    parts, corrections = _leading_dense(r, layers)
    biases = (heads + 2 * kv_heads) * head if r.flag("attention_bias", False) else 0
    if biases:
        r.note("biases of queries, keys and values are counted in other_parameters")
    norms = 2 * head if r.flag("use_qk_norm", False) else 0
    pairs = [(_attention(sizes), part) for part in parts]
    return _Network(pairs, corrections + layers * (biases + norms))


def _leading_dense(r: _Reader, layers: int) -> tuple[list[Shape], int]:
    """Feed-forward parts of the DeepSeek kind, and the score corrections of their routers."""
    first = min(r.count("first_k_dense_replace", 0, least=0), layers)
    inner, experts = r.count("moe_intermediate_size"), r.count("n_routed_experts")
    shared = inner * r.count("n_shared_experts", 0, least=0)
    sparse = _experts(experts, r.count("num_experts_per_tok"), inner, shared)
    dense = [_gated(r.count("intermediate_size"))] * first if first else []
    r.seen.add("intermediate_size")
    if r.count("moe_layer_freq", 1) != 1:
        r.problems.append("moe_layer_freq: only 1 is supported")
    if r.count("num_nextn_predict_layers", 0, least=0):
        r.note("draft layers (num_nextn_predict_layers) are left out")
    return [*dense, *[sparse] * (layers - first)], (layers - first) * experts


def _deepseek(r: _Reader) -> _Network:
    """DeepSeek-V3 and Kimi-K2: latent attention, dense layers first, experts."""
    return _latent(r, "mla", ())


def _deepseek_sparse(r: _Reader) -> _Network:
    """DeepSeek-V3.2 and GLM-5: latent attention over tokens that an indexer picks."""
    index = (("index_heads", r.count("index_n_heads")), ("index", r.count("index_head_dim")),
             ("selected", r.count("index_topk")))  # fmt: skip
    return _latent(r, "sparse_mla", index)


def _latent(r: _Reader, kind: str, index: Shape) -> _Network:
    layers = r.layers()
    if r.flag("attention_bias", False):
        r.note("attention_bias: biases of latent attention are not mapped")
    mixer = (("kind", kind), ("heads", r.count("num_attention_heads")),
             ("query_rank", r.count("q_lora_rank", 0, least=0)),
             ("kv_rank", r.count("kv_lora_rank")), ("rope", r.count("qk_rope_head_dim")),
             ("nope", r.count("qk_nope_head_dim")), ("value", r.count("v_head_dim")),
             *index)  # fmt: skip
    r.seen |= {"num_key_value_heads", "head_dim"}
    parts, corrections = _leading_dense(r, layers)
    return _Network([(mixer, part) for part in parts], corrections)


def _gpt_oss(r: _Reader) -> _Network:
    """gpt-oss: windowed and full layers alternate; sinks; biases on everything."""
    layers, sizes = r.layers(), _heads(r)
    bias = int(r.flag("attention_bias", True))
    experts = r.count("num_local_experts")
    part = _experts(experts, r.count("num_experts_per_tok"), r.count("intermediate_size"), bias=1)
    windows = _windows(r, layers, "sliding_window", lambda layer: layer % 2 == 0)
    pairs = [(_attention(sizes, bias, window=w), part) for w in windows]
    return _Network(pairs, layers * (sizes[0] + experts))


def _llama4(r: _Reader) -> _Network:
    """Llama 4: three chunked layers, then a full one; experts in every layer or every other."""
    layers, sizes = r.layers(), _heads(r)
    inner = r.count("intermediate_size")
    chosen = r.count("num_experts_per_tok", 1)
    experts = _experts(r.count("num_local_experts"), chosen, inner, inner)
    step = r.count("interleave_moe_layer_step", 1)
    dense = _gated(r.count("intermediate_size_mlp")) if step > 1 else NONE
    r.seen |= {"intermediate_size_mlp", "use_qk_norm", "moe_layers", "no_rope_layers"}
    period = r.count("no_rope_layer_interval", 4)
    windows = _windows(r, layers, "attention_chunk_size", lambda layer: (layer + 1) % period != 0)
    r.note("attention_chunk_size: chunks are taken as a sliding window of their size")
    bias = int(r.flag("attention_bias", False))
    pairs = [
        (_attention(sizes, bias, window=w), experts if (layer + 1) % step == 0 else dense)
        for layer, w in enumerate(windows)
    ]
    return _Network(pairs)


PATTERN = {"M": "mamba", "*": "attention", "-": "mlp", "E": "moe"}
BLOCKS = {"mamba": "mamba", "linear_attention": "mamba", "attention": "attention",
          "full_attention": "attention", "mlp": "mlp", "moe": "moe"}  # fmt: skip


def _nemotron_h(r: _Reader) -> _Network:
    """Nemotron-H: a layer is one norm and a Mamba-2 mixer, attention or a feed-forward part."""
    listed = r.config.get("hybrid_override_pattern") or r.config.get("layers_block_type")
    length = len(listed) if isinstance(listed, (str, list)) else 1
    layers = r.count("num_hidden_layers", length)
    if layers > MOST_LAYERS:
        r.problems.append(f"num_hidden_layers: {layers} is more than {MOST_LAYERS}")
    blocks = r.words("hybrid_override_pattern", PATTERN, layers)
    blocks = r.words("layers_block_type", BLOCKS, layers) or blocks
    if blocks is None:
        r.problems.append("hybrid_override_pattern: missing; wanted one of M, *, -, E per layer")
    makers = {"mamba": _mamba, "attention": _plain_attention, "mlp": _plain_mlp, "moe": _plain_moe}
    made = {kind: makers[kind](r) for kind in dict.fromkeys(blocks or [])}
    r.seen |= {"head_dim", "attention_head_dim", "intermediate_size", "mamba_num_heads",
               "mamba_head_dim", "num_attention_heads", "num_key_value_heads", "sliding_window",
               "use_bias", "mamba_proj_bias"}  # fmt: skip
    for key in ("use_bias", "mamba_proj_bias"):
        if r.config.get(key):
            r.note(f"{key}: biases of the state-space projections are not mapped")
    corrections = (blocks or []).count("moe") * r.count("n_routed_experts", 0, least=0)
    return _Network([made[kind] for kind in blocks or []], corrections, norms=1)


def _mamba(r: _Reader) -> tuple[Shape, Shape]:
    if not r.flag("use_conv_bias", True):
        r.note("use_conv_bias: the short convolution is counted with a bias all the same")
    shape = (("kind", "state_space"), ("heads", r.count("mamba_num_heads")),
             ("head", r.count("mamba_head_dim")), ("state", r.count("ssm_state_size")),
             ("groups", r.count("n_groups")), ("convolution", r.count("conv_kernel")),
             ("state_bits", _state_bits(r, "mamba_ssm_cache_dtype")))  # fmt: skip
    return shape, NONE


def _plain_attention(r: _Reader) -> tuple[Shape, Shape]:
    key = "head_dim" if r.config.get("head_dim") is not None else "attention_head_dim"
    return _attention(_heads(r, key), int(r.flag("attention_bias", False))), NONE


def _plain_mlp(r: _Reader) -> tuple[Shape, Shape]:
    bias = int(r.flag("mlp_bias", False))
    return NONE, (("kind", "dense"), ("inner", r.count("intermediate_size")), ("bias", bias))


def _plain_moe(r: _Reader) -> tuple[Shape, Shape]:
    shared = r.count("n_shared_experts", 1, least=0)
    shared *= r.count("moe_shared_expert_intermediate_size", 0, least=0)
    shape = _experts(
        r.count("n_routed_experts"),
        r.count("num_experts_per_tok"),
        r.count("moe_intermediate_size"),
        shared,
    )
    latent = r.count("moe_latent_size", 0, least=0)
    shape = tuple((key, 2 if key == "matrices" else value) for key, value in shape)
    return NONE, (*shape, ("latent", latent)) if latent else shape


FAMILIES: dict[str, Callable[[_Reader], _Network]] = {
    "llama": _llama,
    "mistral": _llama,
    "phi3": _llama,
    "qwen2": _qwen2,
    "qwen3": _qwen3,
    "gemma2": _gemma2,
    "gemma3": _gemma3,
    "gemma3_text": _gemma3,
    "mixtral": _mixtral,
    "minimax_m2": _minimax_m2,
    "qwen3_moe": _qwen3_moe,
    "qwen3_next": _qwen3_next,
    "qwen3_5_moe": _qwen3_next,
    "qwen3_5_moe_text": _qwen3_next,
    "glm4_moe": _glm4_moe,
    "deepseek_v3": _deepseek,
    "kimi_k2": _deepseek,
    "kimi_k25": _deepseek,
    "deepseek_v32": _deepseek_sparse,
    "glm_moe_dsa": _deepseek_sparse,
    "gpt_oss": _gpt_oss,
    "llama4": _llama4,
    "llama4_text": _llama4,
    "nemotron_h": _nemotron_h,
}


# --- formats ------------------------------------------------------------------------------------


def _formats(config: Mapping, notes: list[str]) -> dict[str, str]:
    """Formats of weights as published; KV cache and activations are a server's choice."""
    notes.append("kv, activations: not part of a config.json; taken as bf16")
    formats = {"weights": "bf16"}
    stored = config.get("torch_dtype") or config.get("dtype")
    quantization = config.get("quantization_config")
    if not isinstance(quantization, Mapping):
        if stored not in (None, "bfloat16", "float16"):
            notes.append(f"torch_dtype: {_shown(stored)} is taken as bf16")
        return formats
    method = _word(quantization.get("quant_method"))
    if method == "fp8":
        return {"weights": "fp8", "head_weights": "bf16"}
    if method == "mxfp4":
        return formats | {"expert_weights": "mxfp4"}
    if method == "compressed-tensors" and '"num_bits": 4' in _json(quantization):
        notes.append("quantization_config: 4-bit weights are taken to be those of the experts")
        return formats | {"expert_weights": "int4"}
    notes.append(f"quantization_config: method {_shown(method)} is not mapped; weights are bf16")
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
        raise SpecError(where, [f"{_shown(name)}: not a name for a model"])
    if not isinstance(config, Mapping) or not all(isinstance(key, str) for key in config):
        raise SpecError(where, [f"wanted an object, found {type(config).__name__}"])
    family, flat, notes = _flattened(config, where)
    reader = _Reader(flat)
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
    family = next((_word(t) for t in (inner_type, outer_type) if _word(t) in FAMILIES), None)
    if family is None:
        wanted = inner_type if inner_type is not None else outer_type
        if wanted is None:
            raise SpecError(where, [f"model_type: missing; known: {', '.join(sorted(FAMILIES))}"])
        raise SpecError(where, [f"model_type: {_shown(wanted)} is not supported"
                                f"{nearest(_word(wanted)[:60], FAMILIES)}"])  # fmt: skip
    if inner is None:
        return family, config, []
    kept = ("tie_word_embeddings", "quantization_config", "torch_dtype", "dtype")
    outer = {key: config[key] for key in kept if config.get(key) is not None}
    return family, outer | dict(inner), ["text_config: only the text decoder is described"]


def _head(r: _Reader, found: _Network) -> dict[str, int]:
    if r.config.get("tie_word_embeddings") is None and found.is_tied:
        r.note("tie_word_embeddings: not given; this family ties them")
    return {
        "width": r.count("hidden_size"),
        "vocabulary": r.count("vocab_size"),
        "tied_embedding": int(r.flag("tie_word_embeddings", found.is_tied)),
        "norms_per_layer": found.norms,
    }


def _text(name: str, head: dict[str, int], formats: dict[str, str], found: _Network) -> str:
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
