"""Names of model files: sizes, quantisations, shards and adapters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.local_models import file_name
from app.local_models.file_name import Shard


@pytest.mark.parametrize(("stem", "size"), [
    ("llama-7b-q4_k_m", "7B"),
    ("llama-13b-q4_0", "13B"),
    ("Meta-Llama-3.1-8B-Instruct-Q5_K_M", "8B"),
    ("gpt-oss-20b-mxfp4", "20B"),
    ("TinyLlama-1.1B-Chat-v1.0", "1.1B"),
    ("tinyllama1.1b", "1.1B"),
    ("Qwen2.5-0.5B-Instruct", "0.5B"),
    ("Qwen2.5-Coder-32B", "32B"),
    ("Qwen3-30B-A3B", "30B"),
    ("mixtral-8x7b-instruct-v0.1", "8x7B"),
    ("gemma-3n-E4B-it", "4B"),
    ("SmolLM2-135M", "135M"),
    ("stories15M-q8_0", "15M"),
    ("bitnet-b1.58-2B-4T", "2B"),
    ("Kimi-K2-1T", "1T"),
    ("Llama-3.1-405B", "405B"),
    ("Phi-3-mini-4k-instruct", None),
    ("model-128k-2bit-4bpw", None),
    ("model-q8_0", None),
    ("", None),
])
def test_the_size_in_a_name(stem, size):
    assert file_name.size_label(stem) == size


@pytest.mark.parametrize(("stem", "quantization"), [
    ("llama-7b-q4_k_m", "Q4_K_M"),
    ("llama-13b-q4_0", "Q4_0"),
    ("llama-7b.Q5_1", "Q5_1"),
    ("Meta-Llama-3.1-8B-Instruct-Q5_K_M", "Q5_K_M"),
    ("gpt-oss-20b-mxfp4", "MXFP4"),
    ("gpt-oss-20b-MXFP4_MOE", "MXFP4_MOE"),
    ("x-UD-Q4_K_XL", "Q4_K_XL"),
    ("x-Q6_K", "Q6_K"),
    ("x-IQ2_XXS", "IQ2_XXS"),
    ("x-IQ4_NL", "IQ4_NL"),
    ("x-TQ1_0", "TQ1_0"),
    ("x-q4_0_4_8", "Q4_0_4_8"),
    ("x-fp16", "F16"),
    ("x-bf16", "BF16"),
    ("from-f16-x-Q8_0", "Q8_0"),
    ("q4", None),
    ("x-Q4_K_MERGED", "Q4_K"),
    ("model", None),
])
def test_the_quantization_in_a_name(stem, quantization):
    assert file_name.quantization(stem) == quantization


@pytest.mark.parametrize(("stem", "shard"), [
    ("model-00001-of-00004", Shard("model", 1, 4)),
    ("a-00001-of-00002-00002-of-00003", Shard("a-00001-of-00002", 2, 3)),
    ("model-00005-of-00004", None),
    ("model-00000-of-00004", None),
    ("model-1-of-4", None),
    ("model-00001-of-00004-q4_0", None),
    ("-00001-of-00004", None),
])
def test_shards(stem, shard):
    assert file_name.split_shard(stem) == shard


@pytest.mark.parametrize(("stem", "name"), [
    ("Meta-Llama_3 8B", "meta-llama-3-8b"),
    ("a\x1b[31m\nb\u202ec", "a-[31m-b-c"),
    ("caf\udce9", "caf-"),
    ("모델", "모델"),
])
def test_the_name_of_a_model(stem, name):
    assert file_name.model_name(stem) == name


@pytest.mark.parametrize(("stem", "word"), [
    ("whisper-large-v3", "whisper"), ("ggml-BERT-base", "bert"), ("mmproj-model-f16", "mmproj"), ("clip-vit", "clip"),
    ("wav2vec2-base", "wav2vec2"), ("Robert-7b", None), ("eclipse-7b", None), ("llama-7b", None),
])
def test_words_of_models_that_write_no_text(stem, word):
    assert file_name.no_text_word(stem) == word


@pytest.mark.parametrize(("stem", "lora", "base"), [
    ("phi3-lora", True, "phi3"), ("phi3.lora.f16", True, "phi3"), ("Adapter_phi3", True, "phi3"),
    ("flora-7b", False, "flora-7b"), ("mmproj-F16", False, ""), ("mmproj-model-f16", False, ""),
    ("gemma-3-4b-it-mmproj-BF16", False, "gemma-3-4b-it"), ("phi3-q4_0", False, "phi3"),
])
def test_adapters(stem, lora, base):
    assert file_name.is_lora(stem) is lora
    assert file_name.base_of(stem) == base


@given(st.text(st.characters(codec=None), max_size=60) | st.text("0123456789.-_qkxbmQ", max_size=60))
def test_no_name_is_too_odd(stem):
    file_name.size_label(stem), file_name.quantization(stem), file_name.split_shard(stem), file_name.base_of(stem)
    name = file_name.model_name(stem)
    assert name.isprintable()
    assert not set("_ ") & set(name)
    assert file_name.model_name(name) == name
