"""Names of model files -> architecture; architectures that write no text."""

import pytest

from app.quirks.architectures import guess_architecture, no_text_model


@pytest.mark.parametrize(("name", "architecture"), [
    ("llama-7b-q4_k_m", "llama"),
    ("Meta-Llama-3.1-8B-Instruct-Q5_K_M", "llama"),
    ("tinyllama-1.1b", "llama"),
    ("codellama-13b", "llama"),
    ("DeepSeek-R1-Distill-Llama-8B", "llama"),
    ("DeepSeek-R1-Distill-Qwen-7B", "qwen"),
    ("deepseek-coder-6.7b", "deepseek"),
    ("gpt-oss-20b-mxfp4", "gpt-oss"),
    ("gpt_oss-120b", "gpt-oss"),
    ("Mixtral-8x7B", "mistral"),
    ("Phi-3-mini-4k-instruct", "phi"),
    ("dolphin-2.6", None),
    ("ollama-export", None),
    ("gemma-3-4b-it", "gemma"),
    ("c4ai-command-r-v01", "command-r"),
    ("gpt2-medium", "gpt2"),
    ("model", None),
    ("", None),
])
def test_a_name_tells_the_architecture(name, architecture):
    assert guess_architecture(name) == architecture


@pytest.mark.parametrize(("architecture", "what"), [
    ("llama", None), ("qwen3moe", None), ("gpt-oss", None), ("something-new", None), ("", None),
    ("bert", "embedding model"), ("nomic-bert-moe", "embedding model"), ("ModernBert", "embedding model"),
    ("gemma-embedding", "embedding model"), ("clip", "projector"), ("whisper", "speech model"), ("flux", "image model"),
])
def test_what_writes_no_text(architecture, what):
    assert no_text_model(architecture) == what
