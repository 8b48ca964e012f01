"""One function per ``model_type``: the mixer and feed-forward part of every layer."""

from collections.abc import Callable

from dse.specs.hf.reader import MOST_LAYERS, Network, Reader, Shape, shown, word

# --- parts --------------------------------------------------------------------------------------


def _heads(r: Reader, head_key: str = "head_dim") -> tuple[int, int, int]:
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


def _windows(r: Reader, layers: int, key: str, is_local: Callable[[int], bool]) -> list:
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


def _llama(r: Reader) -> Network:
    """Llama, dense Mistral and Phi-3 (whose projections are the same, fused): layers alike."""
    layers, bias = r.layers(), int(r.flag("attention_bias", False))
    feedforward = _gated(r.count("intermediate_size"), int(r.flag("mlp_bias", False)))
    windows = _windows(r, layers, "sliding_window", lambda _: True)
    sizes = _heads(r)
    return Network([(_attention(sizes, bias, window=w), feedforward) for w in windows])


def _qwen2(r: Reader) -> Network:
    """Qwen2: biases on queries, keys and values only."""
    found = _qwen_dense(r, bias=0)
    heads, kv_heads, head = _heads(r)
    r.note("biases of queries, keys and values are counted in other_parameters")
    found.other = len(found.layers) * (heads + 2 * kv_heads) * head
    return found


def _qwen3(r: Reader) -> Network:
    """Qwen3: norms of queries and keys, one per head width."""
    found = _qwen_dense(r, int(r.flag("attention_bias", False)))
    found.other = len(found.layers) * 2 * _heads(r)[2]
    return found


def _qwen_dense(r: Reader, bias: int) -> Network:
    layers, feedforward = r.layers(), _gated(r.count("intermediate_size"))
    first = r.count("max_window_layers", layers, least=0)
    windows: list = [None] * layers
    if r.flag("use_sliding_window", False):
        windows = _windows(r, layers, "sliding_window", lambda layer: layer >= first)
    r.seen |= {"sliding_window", "layer_types"}
    sizes = _heads(r)
    return Network([(_attention(sizes, bias, window=w), feedforward) for w in windows])


def _gemma2(r: Reader) -> Network:
    """Gemma 2: windowed and full layers alternate, four norms a layer, tied embedding."""
    return _gemma(r, lambda layer: layer % 2 == 0)


def _gemma3(r: Reader) -> Network:
    """Gemma 3: one full layer in six, norms of queries and keys."""
    period = r.count("sliding_window_pattern", 6)
    found = _gemma(r, lambda layer: (layer + 1) % period != 0)
    found.other = len(found.layers) * 2 * r.count("head_dim", 256)
    return found


def _gemma(r: Reader, is_local: Callable[[int], bool]) -> Network:
    layers, bias = r.layers(), int(r.flag("attention_bias", False))
    sizes = (
        r.count("num_attention_heads"),
        r.count("num_key_value_heads"),
        r.count("head_dim", 256),
    )
    feedforward = _gated(r.count("intermediate_size"))
    windows = _windows(r, layers, "sliding_window", is_local)
    pairs = [(_attention(sizes, bias, window=w), feedforward) for w in windows]
    return Network(pairs, norms=4, is_tied=True)


def _mixtral(r: Reader) -> Network:
    """Mixtral: experts in every layer."""
    layers, sizes = r.layers(), _heads(r)
    experts = _experts(
        r.count("num_local_experts"), r.count("num_experts_per_tok"), r.count("intermediate_size")
    )
    windows = _windows(r, layers, "sliding_window", lambda _: True)
    return Network([(_attention(sizes, window=w), experts) for w in windows])


def _minimax_m2(r: Reader) -> Network:
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


def _sparse_layers(r: Reader, layers: int, experts: Shape) -> list[Shape]:
    """Feed-forward parts where ``decoder_sparse_step`` and ``mlp_only_layers`` leave dense ones."""
    step = r.count("decoder_sparse_step", 1)
    r.seen.add("mlp_only_layers")
    listed = r.config.get("mlp_only_layers") or []
    if not isinstance(listed, list) or not all(isinstance(layer, int) for layer in listed):
        r.problems.append(f"mlp_only_layers: {shown(listed)} is not a list of layers")
        listed = []
    sparse = [layer not in listed and (layer + 1) % step == 0 for layer in range(layers)]
    if all(sparse):
        r.seen.add("intermediate_size")
        return [experts] * layers
    dense = _gated(r.count("intermediate_size"))
    return [experts if is_sparse else dense for is_sparse in sparse]


def _qwen3_moe(r: Reader) -> Network:
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
    return Network([(_attention(sizes, bias), part) for part in parts], layers * 2 * sizes[2])


HYBRID = {"linear_attention": "linear", "full_attention": "full"}


def _qwen3_next(r: Reader) -> Network:
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
    return Network(pairs, gates + kinds.count("full") * 2 * sizes[2])


def _state_bits(r: Reader, key: str) -> int:
    r.seen.add(key)
    value = r.config.get(key)
    bits = {"float32": 32, "bfloat16": 16, "float16": 16}
    if value is None:
        r.note(f"{key}: not given; recurrent state taken as 32 bits")
        return 32
    if word(value) not in bits:
        r.problems.append(f"{key}: {shown(value)} is unknown; known: {', '.join(bits)}")
        return 32
    return bits[value]


def _glm4_moe(r: Reader) -> Network:
    """GLM-4.5: dense layers first, then experts with shared ones."""
    layers, sizes = r.layers(), _heads(r)
    heads, kv_heads, head = sizes
    parts, corrections = _leading_dense(r, layers)
    biases = (heads + 2 * kv_heads) * head if r.flag("attention_bias", False) else 0
    if biases:
        r.note("biases of queries, keys and values are counted in other_parameters")
    norms = 2 * head if r.flag("use_qk_norm", False) else 0
    pairs = [(_attention(sizes), part) for part in parts]
    return Network(pairs, corrections + layers * (biases + norms))


def _leading_dense(r: Reader, layers: int) -> tuple[list[Shape], int]:
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


def _deepseek(r: Reader) -> Network:
    """DeepSeek-V3 and Kimi-K2: latent attention, dense layers first, experts."""
    return _latent(r, "mla", ())


def _deepseek_sparse(r: Reader) -> Network:
    """DeepSeek-V3.2 and GLM-5: latent attention over tokens that an indexer picks."""
    index = (("index_heads", r.count("index_n_heads")), ("index", r.count("index_head_dim")),
             ("selected", r.count("index_topk")))  # fmt: skip
    return _latent(r, "sparse_mla", index)


def _latent(r: Reader, kind: str, index: Shape) -> Network:
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
    return Network([(mixer, part) for part in parts], corrections)


def _gpt_oss(r: Reader) -> Network:
    """gpt-oss: windowed and full layers alternate; sinks; biases on everything."""
    layers, sizes = r.layers(), _heads(r)
    bias = int(r.flag("attention_bias", True))
    experts = r.count("num_local_experts")
    part = _experts(experts, r.count("num_experts_per_tok"), r.count("intermediate_size"), bias=1)
    windows = _windows(r, layers, "sliding_window", lambda layer: layer % 2 == 0)
    pairs = [(_attention(sizes, bias, window=w), part) for w in windows]
    return Network(pairs, layers * (sizes[0] + experts))


def _llama4(r: Reader) -> Network:
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
    return Network(pairs)


PATTERN = {"M": "mamba", "*": "attention", "-": "mlp", "E": "moe"}
BLOCKS = {"mamba": "mamba", "linear_attention": "mamba", "attention": "attention",
          "full_attention": "attention", "mlp": "mlp", "moe": "moe"}  # fmt: skip


def _nemotron_h(r: Reader) -> Network:
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
    return Network([made[kind] for kind in blocks or []], corrections, norms=1)


def _mamba(r: Reader) -> tuple[Shape, Shape]:
    if not r.flag("use_conv_bias", True):
        r.note("use_conv_bias: the short convolution is counted with a bias all the same")
    shape = (("kind", "state_space"), ("heads", r.count("mamba_num_heads")),
             ("head", r.count("mamba_head_dim")), ("state", r.count("ssm_state_size")),
             ("groups", r.count("n_groups")), ("convolution", r.count("conv_kernel")),
             ("state_bits", _state_bits(r, "mamba_ssm_cache_dtype")))  # fmt: skip
    return shape, NONE


def _plain_attention(r: Reader) -> tuple[Shape, Shape]:
    key = "head_dim" if r.config.get("head_dim") is not None else "attention_head_dim"
    return _attention(_heads(r, key), int(r.flag("attention_bias", False))), NONE


def _plain_mlp(r: Reader) -> tuple[Shape, Shape]:
    bias = int(r.flag("mlp_bias", False))
    return NONE, (("kind", "dense"), ("inner", r.count("intermediate_size")), ("bias", bias))


def _plain_moe(r: Reader) -> tuple[Shape, Shape]:
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


FAMILIES: dict[str, Callable[[Reader], Network]] = {
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
