"""What the name of a model file tells: the model's own name, shard, size, quantisation, LoRA. It opens no file."""

import re
from collections.abc import Sequence
from typing import NamedTuple

SUFFIX = ".gguf"

_SHARD = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<total>\d{5})", re.DOTALL)
# A number before B (billions), M, or T at the start of a word, or right behind a word ("stories15M"). Not 4k and 128k:
# in names thousands are lengths of a context.
_SIZE = re.compile(
    r"(?:(?<![a-z0-9.])e?|(?<=[a-z]{3}))(?P<count>\d{1,4}x)?(?P<number>\d{1,4}(?:\.\d{1,3})?)(?P<unit>[bmt])(?![a-z0-9])"
)
_QUANTIZATION = re.compile(
    r"(?<![a-z0-9])(i?q[1-8]_(?:k(?:_(?:xxs|xs|s|m|l|xl))?|[01](?:_\d_\d)?|xxs|xs|nl|s|m|l)|tq[12]_0|mxfp4(?:_moe)?|nvfp4"
    r"|bf16|fp?16|fp?32)(?![a-z0-9])"
)
_WORDS = re.compile(r"[a-z0-9]+")
_LORA = ("lora", "qlora", "adapter")
_NO_TEXT_WORDS = ("whisper", "wav2vec", "wav2vec2", "bert", "clip", "mmproj")


class Shard(NamedTuple):
    """One file of a model that was split: `number` counts from 1."""

    stem: str
    number: int
    total: int


def split_shard(stem: str) -> Shard | None:
    """Read `name-00001-of-00004`, or return None for what is no such name."""
    found = _SHARD.fullmatch(stem)
    if not found:
        return None
    shard = Shard(found["stem"], int(found["number"]), int(found["total"]))
    return shard if 1 <= shard.number <= shard.total else None


def model_name(stem: str) -> str:
    """Return the name a model is called by: lower case, dashes for underlines, blanks and what cannot be printed."""
    return "".join("-" if sign in "_ " or not sign.isprintable() else sign for sign in stem).lower()


def size_label(stem: str) -> str | None:
    """Return the size that a name speaks of, as "8B", "1.1B", "8x7B" or "135M", or None."""
    found = _SIZE.search(stem.lower())
    return f"{found['count'] or ''}{found['number']}{found['unit'].upper()}" if found else None


def quantization(stem: str) -> str | None:
    """Return the quantisation that a name ends with, as "Q4_K_M", "IQ2_XS" or "F16", or None."""
    found: Sequence[str] = _QUANTIZATION.findall(stem.lower())
    return found[-1].upper().replace("FP16", "F16").replace("FP32", "F32") if found else None


def words(stem: str) -> list[str]:
    """Return the words of a name in lower case."""
    return _WORDS.findall(stem.lower())


def no_text_word(stem: str) -> str | None:
    """Return the word by which a name says that the model writes no text ("whisper", "mmproj"), or None."""
    return next((word for word in words(stem) if word in _NO_TEXT_WORDS), None)


def is_lora(stem: str) -> bool:
    """Tell whether a name is that of a LoRA adapter."""
    return any(word in _LORA for word in words(stem))


def base_of(stem: str) -> str:
    """Return what is left of the name of an adapter or a projector without its own words: its model's words."""
    own = (*_LORA, "mmproj", "model", "gguf")
    return "-".join(word for word in words(_QUANTIZATION.sub("", stem.lower())) if word not in own)
