"""What config.json says becomes the right switches, and every tensor lands where it belongs."""

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from engine.errors import FileError
from engine.model.attention import rotary_tables
from engine.model.checkpoint import load, peek
from engine.model.config import Llama3Scaling

FAMILIES = Path(__file__).parents[1] / "data" / "families"
WITH_OLDER = sorted(path.parent.name for path in FAMILIES.glob("*/config.older.json"))

Copy = Callable[..., Path]


def rewrite(folder: Path, change: Callable[[dict[str, np.ndarray]], object]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def same_weights(one: Path, other: Path) -> None:
    expected = dict(load(peek(one)).named())
    found = dict(load(peek(other)).named())
    assert list(found) == list(expected)
    for name, array in found.items():
        assert np.array_equal(array, expected[name]), name


@pytest.mark.parametrize("family", WITH_OLDER)
def test_the_older_spelling_of_a_config_means_the_same(family: str, copy: Copy) -> None:
    folder = copy(family)
    new = peek(folder).config
    shutil.copy(FAMILIES / family / "config.older.json", folder / "config.json")
    assert peek(folder).config == new


# --- where the tensors go ----------------------------------------------------------------------


def test_gpt2_takes_its_fused_matrix_as_it_is_and_not_the_mask_buffer() -> None:
    stored = load_file(FAMILIES / "gpt2-hub-names" / "model.safetensors")
    block = load(peek(FAMILIES / "gpt2-hub-names")).blocks[1]
    assert block.b_QKV is not None
    assert np.array_equal(block.W_QKV, stored["h.1.attn.c_attn.weight"])
    assert np.array_equal(block.b_QKV, stored["h.1.attn.c_attn.bias"])


def test_neox_is_regrouped_from_one_head_after_another_to_q_k_v() -> None:
    found = peek(FAMILIES / "neox-serial")
    c, block = found.config, load(found).blocks[0]
    stored = load_file(FAMILIES / "neox-serial" / "model.safetensors")
    at = "gpt_neox.layers.0.attention.query_key_value"
    assert block.b_QKV is not None
    for head in range(c.n_heads):
        for part in range(3):
            rows = slice((3 * head + part) * c.d_head, (3 * head + part + 1) * c.d_head)
            own = slice(part * c.d_attn + head * c.d_head, part * c.d_attn + (head + 1) * c.d_head)
            assert np.array_equal(block.W_QKV[:, own], stored[f"{at}.weight"][rows].T)
            assert np.array_equal(block.b_QKV[own], stored[f"{at}.bias"][rows])


def test_llama_like_query_key_value_stand_side_by_side() -> None:
    found = peek(FAMILIES / "qwen2-plain")
    c, block = found.config, load(found).blocks[1]
    stored = load_file(FAMILIES / "qwen2-plain" / "model.safetensors")
    ends = {"q": slice(0, c.d_attn), "k": slice(c.d_attn, c.d_attn + c.d_kv)}
    ends["v"] = slice(c.d_attn + c.d_kv, c.d_attn + 2 * c.d_kv)
    assert block.b_QKV is not None
    for part, own in ends.items():
        at = f"model.layers.1.self_attn.{part}_proj"
        assert np.array_equal(block.W_QKV[:, own], stored[f"{at}.weight"].T)
        assert np.array_equal(block.b_QKV[own], stored[f"{at}.bias"])
    assert block.W_gate is not None
    assert block.W_in is not None
    assert np.array_equal(block.W_gate, stored["model.layers.1.mlp.gate_proj.weight"].T)
    assert np.array_equal(block.W_in, stored["model.layers.1.mlp.up_proj.weight"].T)
    assert block.b_O is None


def test_heads_of_transformer_lens_are_laid_side_by_side() -> None:
    found = peek(FAMILIES / "tl-ln-gelu")
    c, block = found.config, load(found).blocks[0]
    stored = load_file(FAMILIES / "tl-ln-gelu" / "model.safetensors")
    for head in range(c.n_heads):
        own = slice(head * c.d_head, (head + 1) * c.d_head)
        for part, name in enumerate("QKV"):
            columns = slice(own.start + part * c.d_attn, own.stop + part * c.d_attn)
            assert np.array_equal(block.W_QKV[:, columns], stored[f"blocks.0.attn.W_{name}"][head])
        assert np.array_equal(block.W_O[own], stored["blocks.0.attn.W_O"][head])


def test_half_precision_files_give_the_same_numbers_as_their_float32_copy(copy: Copy) -> None:
    folder = copy("neox-parallel")
    rewrite(folder, lambda tensors: tensors.update(
        {name: array.astype(np.float32) for name, array in tensors.items()}))  # fmt: skip
    same_weights(FAMILIES / "neox-parallel", folder)


# --- tied and untied ----------------------------------------------------------------------------


def test_a_head_in_the_file_is_used_whatever_the_config_says(copy: Copy) -> None:
    found = peek(copy("gpt2-untied", tie_word_embeddings=True))
    assert not found.config.tied
    assert not np.shares_memory(load(found).W_U, load(found).W_E)


def test_an_untied_model_without_a_head_is_refused(copy: Copy) -> None:
    with pytest.raises(FileError, match=r"'lm_head.weight' \[24, 12\] is missing"):
        peek(copy("gpt2-tied", tie_word_embeddings=False))
    with pytest.raises(FileError, match=r"'lm_head.weight' \[24, 18\] is missing"):
        peek(copy("qwen2-plain", tie_word_embeddings=...))


@pytest.mark.parametrize(
    ("family", "prefix"),
    [("gpt2-tied", "transformer."), ("neox-serial", "gpt_neox."), ("qwen2-plain", "model.")],
)
def test_a_model_saved_without_its_prefix_is_the_same(family: str, prefix: str, copy: Copy) -> None:
    folder = copy(family)

    def shorten(tensors: dict[str, np.ndarray]) -> None:
        for name in list(tensors):
            tensors[name.removeprefix(prefix)] = tensors.pop(name)

    rewrite(folder, shorten)
    same_weights(FAMILIES / family, folder)


# --- switches -----------------------------------------------------------------------------------


def test_switches_of_gpt2(copy: Copy) -> None:
    c = peek(copy("gpt2-tied", activation_function="gelu_pytorch_tanh")).config
    assert (c.architecture, c.act_fn, c.normalization_type) == ("gpt2", "gelu_new", "LN")
    assert (c.positional_embedding_type, c.n_ctx, c.d_mlp) == ("standard", 16, 48)
    assert c.attn_scale == 2.0
    assert c.bos_token_id is None  # 50256 in the file is no row of 24
    assert peek(copy("gpt2-tied", scale_attn_weights=False)).config.attn_scale == 1.0
    assert peek(copy("gpt2-tied", eos_token_id=[3, 4])).config.eos_token_ids == (3, 4)


def test_switches_of_neox(copy: Copy) -> None:
    c = peek(FAMILIES / "neox-parallel").config
    assert (c.parallel_attn_mlp, c.rotary_dim, c.rotary_base) == (True, 4, 10_000.0)
    assert not peek(FAMILIES / "neox-serial").config.parallel_attn_mlp
    absent = copy("neox-parallel", rope_parameters=..., use_parallel_residual=...)
    assert peek(absent).config == c  # the defaults of transformers


def test_neox_without_attention_biases(copy: Copy) -> None:
    folder = copy("neox-serial", attention_bias=False)
    with pytest.raises(FileError, match=r"dense.bias.* no place"):
        peek(folder)

    def strip(tensors: dict[str, np.ndarray]) -> None:
        for name in [name for name in tensors if ".attention." in name and "bias" in name]:
            del tensors[name]

    rewrite(folder, strip)
    block = load(peek(folder)).blocks[0]
    assert block.b_QKV is None
    assert block.b_O is None


def test_switches_of_llama(copy: Copy) -> None:
    c = peek(FAMILIES / "llama-gqa").config
    assert (c.n_heads, c.n_key_value_heads, c.d_head, c.d_model) == (4, 2, 8, 16)
    assert (c.gated_mlp, c.normalization_type, c.eps, c.tied) == (True, "RMS", 1e-6, False)
    assert c.attn_scale == pytest.approx(math.sqrt(8))
    assert c.rotary_scaling == Llama3Scaling(8.0, 1.0, 4.0, 64)
    assert (c.bos_token_id, c.eos_token_ids) == (1, (2,))
    linear = copy("llama-gqa", rope_parameters=..., rope_scaling={"type": "linear", "factor": 2})
    scaling = peek(linear).config.rotary_scaling
    assert scaling is not None
    assert (scaling.factor, scaling.original_max_position_embeddings) == (2.0, 0)


def test_linear_scaling_is_the_same_rotation_at_a_fraction_of_the_position(copy: Copy) -> None:
    plain = peek(copy("llama-gqa", rope_parameters=...)).config
    rope = {"rope_type": "linear", "factor": 4.0}
    linear = peek(copy("llama-gqa", rope_parameters=rope)).config
    slow = rotary_tables(linear, np.array([4, 8, 400]))
    fast = rotary_tables(plain, np.array([1, 2, 100]))
    assert slow is not None
    assert fast is not None
    np.testing.assert_allclose(slow, fast, atol=1e-5)


def test_windows_of_mistral_and_qwen2(copy: Copy) -> None:
    c = peek(FAMILIES / "mistral-window").config
    assert (c.window_size, c.sliding_layers) == (5, (0, 1))
    assert peek(copy("mistral-window", sliding_window=None)).config.window_size == 0
    assert peek(copy("mistral-window", sliding_window=...)).config.window_size == 4096
    c = peek(FAMILIES / "qwen2-window").config
    assert (c.window_size, c.sliding_layers) == (5, (1, 2))
    off = copy("qwen2-window", use_sliding_window=False, layer_types=...)
    assert peek(off).config.sliding_layers == ()
    kinds = ["sliding_attention", "full_attention", "full_attention"]
    assert peek(copy("qwen2-window", layer_types=kinds)).config.sliding_layers == (0,)


REFUSED = [
    ("gpt2-tied", {"activation_function": "mish"}, "activation_function: 'mish' is not supported"),
    ("gpt2-tied", {"n_embd": "12"}, "n_embd: '12' is not a whole number"),
    ("gpt2-tied", {"n_embd": True}, "n_embd: True is not a whole number"),
    ("gpt2-tied", {"n_embd": 0}, "n_embd: 0 is not a whole number from 1"),
    ("gpt2-tied", {"n_embd": 13}, "n_embd 13 is not a multiple of n_head 3"),
    ("gpt2-tied", {"n_layer": ...}, "the field n_layer is missing"),
    ("gpt2-tied", {"n_layer": 10_001}, "n_layer: 10,001 is above 10,000"),
    ("gpt2-tied", {"layer_norm_epsilon": 0}, "layer_norm_epsilon: 0 is not a finite number"),
    ("gpt2-tied", {"layer_norm_epsilon": "x"}, "layer_norm_epsilon: 'x' is not a number"),
    ("gpt2-tied", {"add_cross_attention": True}, "add_cross_attention: True is not supported"),
    ("gpt2-tied", {"tie_word_embeddings": "yes"}, "'yes' is neither true nor false"),
    ("neox-serial", {"is_decoder": True}, "is_decoder: True is not supported"),
    ("neox-serial", {"rope_parameters": {"partial_rotary_factor": 0.4}}, "rotates 3"),
    ("neox-serial", {"rope_parameters": [1]}, "rope_parameters: [1] is not an object"),
    ("llama-gqa", {"num_key_value_heads": 3}, "num_attention_heads 4 is no multiple of"),
    ("llama-gqa", {"rope_scaling": {"rope_type": "yarn", "factor": 4}}, "type 'yarn' are not"),
    ("llama-gqa", {"rope_scaling": {"type": "llama3"}}, "the field low_freq_factor is missing"),
    ("llama-gqa", {"partial_rotary_factor": 0.5}, "partial_rotary_factor"),
    ("mistral-window", {"sliding_window": -1}, "sliding_window: -1 is not a whole number"),
    ("mistral-window", {"num_hidden_layers": 2**31 - 1}, "is above 10,000"),
    ("qwen2-window", {"layer_types": ["full_attention"]}, "is not a list of 3"),
    ("qwen2-window", {"layer_types": ["chunked_attention"] * 3}, "layer_types"),
    ("qwen2-window", {"use_sliding_window": False}, "use_sliding_window is off"),
    ("tl-ln-gelu", {"act_fn": "solu_ln"}, "act_fn: 'solu_ln' is not supported"),
    ("tl-ln-gelu", {"normalization_type": "Group"}, "normalization_type: 'Group'"),
    ("tl-ln-gelu", {"positional_embedding_type": "alibi"}, "'alibi' is not supported"),
    ("tl-ln-gelu", {"use_qk_norm": True}, "use_qk_norm: True is not supported"),
    ("tl-ln-gelu", {"output_logits_soft_cap": 30.0}, "output_logits_soft_cap: 30.0"),
    ("tl-ln-gelu", {"num_experts": 4}, "num_experts: 4 is not supported"),
    ("tl-ln-gelu", {"attn_scale": -2.0}, "attn_scale: -2.0 is not above 0"),
    ("tl-ln-gelu", {"mask_token": 24}, "mask_token: 24 is no token of d_vocab = 24"),
    ("tl-ln-gelu", {"use_local_attn": True, "attn_types": ["local"]}, "is not a list of 2 kinds"),
    ("tl-rms-rotary", {"rotary_dim": 5}, "rotary_dim: 5 is not an even number up to d_head = 6"),
]


@pytest.mark.parametrize(("family", "fields", "message"), REFUSED)
def test_what_is_not_supported_is_refused_by_name(
    family: str, fields: dict[str, Any], message: str, copy: Copy
) -> None:
    with pytest.raises(FileError) as caught:
        peek(copy(family, **fields))
    assert message in str(caught.value)
    assert "config.json" in str(caught.value)


# --- the layout of TransformerLens --------------------------------------------------------------


def test_switches_of_transformer_lens(copy: Copy) -> None:
    c = peek(FAMILIES / "tl-bidirectional").config
    assert (c.attention_dir, c.d_vocab, c.d_vocab_out) == ("bidirectional", 11, 5)
    assert (c.mask_token, c.mask_value) == (3, -1e5)
    c = peek(FAMILIES / "tl-attn-only").config
    assert (c.attn_only, c.normalization_type, c.d_mlp) == (True, None, 0)
    c = peek(FAMILIES / "tl-ln-rotary-part").config
    assert (c.rotary_dim, c.rotary_adjacent_pairs) == (4, True)
    c = peek(FAMILIES / "tl-lnpre-parallel").config
    assert (c.parallel_attn_mlp, c.attn_scale, c.normalization_type) == (True, 1.0, "LN")
    c = peek(copy("tl-rms-rotary", use_NTK_by_parts_rope=True, NTK_by_parts_factor=32.0)).config
    assert c.rotary_scaling == Llama3Scaling(32.0, 1.0, 4.0, 8192)
    local = {"use_local_attn": True, "attn_types": ["global", "local"], "window_size": 4}
    c = peek(copy("tl-ln-gelu", **local)).config
    assert (c.window_size, c.sliding_layers) == (4, (1,))
    defaults = copy("tl-ln-gelu", attn_scale=-1.0, d_vocab_out=-1, normalization_type=...)
    assert peek(defaults).config == peek(FAMILIES / "tl-ln-gelu").config


def test_folded_norms_have_no_gain_of_their_own() -> None:
    weights = load(peek(FAMILIES / "tl-lnpre-parallel"))
    norms = [weights.ln_final, weights.blocks[0].ln1, weights.blocks[1].ln2]
    assert all(norm is not None and np.array_equal(norm.w, np.ones(16)) for norm in norms)
    weights = load(peek(FAMILIES / "tl-attn-only"))
    assert weights.ln_final is None
    assert weights.blocks[0].ln1 is None


def test_a_last_norm_of_another_kind(copy: Copy) -> None:
    folder = copy("tl-ln-gelu", final_rms=True)
    rewrite(folder, lambda tensors: tensors.pop("ln_final.b"))
    found = peek(folder)
    weights = load(found)
    assert found.config.final_rms
    assert weights.ln_final is not None
    assert weights.ln_final.b is None
    assert weights.blocks[0].ln1 is not None
    assert weights.blocks[0].ln1.b is not None


def older(tensors: dict[str, np.ndarray]) -> None:
    """As the tools of 2022 wrote them: matrices that multiply from the left."""
    for name, array in tensors.items():
        last = name.rpartition(".")[2]
        if last in ("W_Q", "W_K", "W_V", "W_O"):
            tensors[name] = np.ascontiguousarray(array.transpose(0, 2, 1))
        elif last in ("W_in", "W_out", "W_E"):
            tensors[name] = np.ascontiguousarray(array.T)


def test_older_matrices_under_the_same_names_are_recognised_by_their_shape(copy: Copy) -> None:
    folder = copy("tl-ln-gelu")
    rewrite(folder, older)
    same_weights(FAMILIES / "tl-ln-gelu", folder)


def test_the_output_matrix_of_the_grokking_runs(copy: Copy) -> None:
    folder = copy("tl-attn-only")

    def flatten(tensors: dict[str, np.ndarray]) -> None:
        older(tensors)
        for name in [name for name in tensors if name.endswith("W_O")]:
            heads = tensors[name].transpose(1, 0, 2)  # [d_model, head, d_head]
            tensors[name] = np.ascontiguousarray(heads.reshape(heads.shape[0], -1))

    rewrite(folder, flatten)
    same_weights(FAMILIES / "tl-attn-only", folder)


def test_an_older_file_with_a_square_matrix_is_not_guessed(copy: Copy) -> None:
    folder = copy("tl-ln-gelu", d_mlp=16)

    def square(tensors: dict[str, np.ndarray]) -> None:
        older(tensors)
        for name, array in tensors.items():
            last = name.rpartition(".")[2]
            if last in ("W_in", "W_out"):
                tensors[name] = np.ascontiguousarray(array[:16, :16])
            elif last == "b_in":
                tensors[name] = array[:16].copy()

    rewrite(folder, square)
    with pytest.raises(FileError, match=r"older layout.*does not tell"):
        peek(folder)


def test_biases_may_be_absent_everywhere_but_not_in_one_layer(copy: Copy) -> None:
    folder = copy("tl-ln-gelu")
    rewrite(folder, lambda tensors: tensors.pop("blocks.1.mlp.b_in"))
    with pytest.raises(FileError, match=r"'blocks.1.mlp.b_in' \[24\] is missing"):
        peek(folder)
    rewrite(folder, lambda tensors: tensors.pop("blocks.0.mlp.b_in"))
    assert load(peek(folder)).blocks[0].b_in is None


def test_grouped_heads_are_stored_under_names_with_an_underscore(copy: Copy) -> None:
    folder = copy("tl-attn-only", n_key_value_heads=1)

    def group(tensors: dict[str, np.ndarray]) -> None:
        for name in list(tensors):
            if name.rpartition(".")[2] in ("W_K", "W_V", "b_K", "b_V"):
                stem, _, last = name.rpartition(".")
                tensors[f"{stem}._{last}"] = tensors.pop(name)[:1].copy()

    rewrite(folder, group)
    stored = load_file(folder / "model.safetensors")
    block = load(peek(folder)).blocks[1]
    assert block.W_QKV.shape == (16, 18 + 6 + 6)
    assert np.array_equal(block.W_QKV[:, 18:24], stored["blocks.1.attn._W_K"][0])


def test_a_bias_after_the_gate_is_refused_unless_it_is_zero(copy: Copy) -> None:
    folder = copy("tl-ln-gelu", gated_mlp=True)

    def gate(tensors: dict[str, np.ndarray]) -> None:
        for layer in range(2):
            tensors[f"blocks.{layer}.mlp.W_gate"] = np.ones((16, 24), np.float32)

    rewrite(folder, gate)
    with pytest.raises(FileError, match=r"'blocks.0.mlp.b_in' is not zero"):
        load(peek(folder))

    def silence(tensors: dict[str, np.ndarray]) -> None:
        for layer in range(2):
            tensors[f"blocks.{layer}.mlp.b_in"] = np.zeros(24, np.float32)

    rewrite(folder, silence)
    block = load(peek(folder)).blocks[0]
    assert block.b_in is None
    assert block.W_gate is not None
