"""A config as a reader that collects problems, and what a family finds in it."""

from collections.abc import Mapping
from typing import Any

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


class Reader:
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
            self.problems.append(f"{key}: {shown(value)} is not a whole number from {least}")
            return least
        return value

    def flag(self, key: str, default: bool) -> bool:
        """True or false; null reads as missing."""
        self.seen.add(key)
        value = self.config.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.problems.append(f"{key}: {shown(value)} is not true or false")
            return default
        return value

    def words(self, key: str, known: Mapping[str, str], length: int) -> list[str] | None:
        """A list of one word per layer, translated by ``known``; None where it is not given."""
        self.seen.add(key)
        value = self.config.get(key)
        if value is None:
            return None
        if not isinstance(value, (list, str)) or len(value) != length:
            self.problems.append(f"{key}: {shown(value)} is not a list of {length} layers")
            return None
        unknown = sorted({shown(item) for item in value if word(item) not in known})
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


class Network:
    """What a family found out: a mixer and a feed-forward part per layer, and the small rest."""

    def __init__(self, layers: list[tuple[Shape, Shape]], other: int = 0, norms: int = 2,
                 is_tied: bool = False):  # fmt: skip
        self.layers, self.other, self.norms, self.is_tied = layers, other, norms, is_tied


def shown(value: Any) -> str:
    """A value of a config for a message, however large or deep it is."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # integers and nestings too large to print
        text = type(value).__name__
    return text if len(text) <= 60 else f"{text[:57]}..."


def word(value: Any) -> str:
    """The value if it is a word, else an empty one."""
    return value if isinstance(value, str) else ""
