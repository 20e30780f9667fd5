"""What the name of a model file tells of its architecture, and which architectures write no text: data, no I/O.

Source of the names: MODEL_ARCH_NAMES of the `gguf` package 0.19; image models as ComfyUI-GGUF and stable-diffusion.cpp
call them.
"""

import re
from collections.abc import Mapping

# First match wins: a distillation ("DeepSeek-R1-Distill-Llama-8B") has the architecture of what it was distilled into.
_NAMES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), architecture)
    for pattern, architecture in (
        (r"gpt[-_]?oss", "gpt-oss"),
        (r"(?<!o)llama", "llama"),
        (r"mi[sx]tral|codestral|devstral|ministral|magistral", "mistral"),
        (r"qwen|qwq", "qwen"),
        (r"gemma", "gemma"),
        (r"(?<![a-z])phi(?![a-z])", "phi"),
        (r"granite", "granite"),
        (r"starcoder", "starcoder"),
        (r"command[-_]?[ar](?![a-z])", "command-r"),
        (r"falcon", "falcon"),
        (r"stable-?lm", "stablelm"),
        (r"smollm", "smollm"),
        (r"olmo", "olmo"),
        (r"nemotron", "nemotron"),
        (r"glm", "glm"),
        (r"kimi", "kimi"),
        (r"minimax", "minimax"),
        (r"deepseek", "deepseek"),
        (r"rwkv", "rwkv"),
        (r"mamba", "mamba"),
        (r"gpt-?2(?!\d)", "gpt2"),
    )
)

EMBEDDING, SPEECH, PROJECTOR, IMAGE = "embedding model", "speech model", "projector", "image model"
_NO_TEXT: Mapping[str, str] = {
    "gemma-embedding": EMBEDDING,
    "llama-embed": EMBEDDING,
    "t5encoder": EMBEDDING,
    "clip": PROJECTOR,
    "mmproj": PROJECTOR,
    "whisper": SPEECH,
    "wav2vec": SPEECH,
    "wav2vec2": SPEECH,
    "wavtokenizer-dec": SPEECH,
} | dict.fromkeys("aura cosmos flux hidream hyvid lumina2 ltxv pixart qwen_image sd1 sd3 sdxl wan z_image".split(), IMAGE)


def guess_architecture(file_name: str) -> str | None:
    """Name the family that a file's name speaks of, or None."""
    name = file_name.lower()
    return next((architecture for pattern, architecture in _NAMES if pattern.search(name)), None)


def no_text_model(architecture: str) -> str | None:
    """Say what a model of this architecture is if it writes no text ("embedding model"), or None."""
    name = architecture.lower()
    return _NO_TEXT.get(name) or (EMBEDDING if "bert" in name else None)
