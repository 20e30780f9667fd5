"""What headers and the file's name say of a model, in the words of an API; values of the wrong type count as absent."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from app.local_models import file_name
from app.local_models.gguf_header import Header, Scalar
from app.local_models.gguf_types import FILE_TYPES, GUESSED, TENSOR_TYPES
from app.quirks.architectures import guess_architecture, no_text_model

TEXT, LORA, PROJECTOR, VOCABULARY = "text model", "LoRA adapter", "projector", "vocabulary"
LONGEST_NAME, LONGEST_LABEL = 200, 40  # characters
MOST_TOKENS, MOST_PARAMETERS = 2**40, 2**50
CACHE_BYTES = 2  # of one number in the key-value cache, which llama.cpp keeps as F16 by default
_UNITS = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "K"))
# A template offers tools if a statement or an expression of it, {% … %} or {{ … }}, uses that name.
_TOOLS = re.compile(r"\{[%{][^%{}]*(?<![\w.'\"])tools\b")


@dataclass(frozen=True)
class Metadata:
    """One model, None where nothing tells. Sizes are in tokens, parameters and bytes.

    `kind` is "text model", "LoRA adapter", "projector", "vocabulary", "embedding model", "speech model" or
    "image model". `parameter_count` is for people ("8B", "8x7B"), `parameters` is the exact number.
    `cache_bytes_per_token` estimates what one token of context costs besides the weights.
    """

    kind: str = TEXT
    architecture: str | None = None
    title: str | None = None
    size_label: str | None = None
    parameter_count: str | None = None
    parameters: int | None = None
    quantization: str | None = None
    context_length: int | None = None
    embedding_length: int | None = None
    cache_bytes_per_token: int | None = None
    chat_template: str | None = field(default=None, repr=False)
    template_has_tools: bool = False
    split_count: int = 1


def describe(headers: Sequence[Header], stem: str, whole: bool = True) -> Metadata:
    """Describe a model by the headers of its files (none where they cannot be read), first shard first, and its name.

    `whole` is False when a shard is missing: then the tensors that are there do not tell the size.
    """
    if not headers:
        return by_name(stem)
    header = headers[0]
    architecture = text(header, "general.architecture", LONGEST_LABEL)
    template = _raw_text(header, "tokenizer.chat_template")
    label = text(header, "general.size_label", LONGEST_LABEL)
    stated = number(header, "general.parameter_count", MOST_PARAMETERS)
    counted = sum(each.tensors.numbers for each in headers) if whole else 0
    parameters = stated or counted or None
    return Metadata(
        kind=kind_of(header),
        architecture=architecture or guess_architecture(stem),
        title=text(header, "general.name", LONGEST_NAME),
        size_label=label,
        parameter_count=_count(stated, label, counted, stem),
        parameters=parameters,
        quantization=quantization_of(headers, stem),
        context_length=number(header, f"{architecture}.context_length", MOST_TOKENS),
        embedding_length=number(header, f"{architecture}.embedding_length", MOST_TOKENS),
        cache_bytes_per_token=cache_bytes(header, architecture or ""),
        chat_template=template,
        template_has_tools=has_tools(header, template),
        split_count=number(header, "split.count", 2**16) or 1,
    )


def by_name(stem: str) -> Metadata:
    """Describe a model of which only the name is known."""
    return Metadata(
        architecture=guess_architecture(stem),
        parameter_count=file_name.size_label(stem),
        quantization=file_name.quantization(stem),
    )


def kind_of(header: Header) -> str:
    """Say what a file holds: a model that writes text, or something else."""
    declared = text(header, "general.type", LONGEST_LABEL)
    architecture = text(header, "general.architecture", LONGEST_LABEL) or ""
    if declared == "adapter" or "adapter.type" in header.values:
        return LORA
    if declared in ("mmproj", "clip-vision"):
        return PROJECTOR
    if found := no_text_model(architecture):
        return found
    if number(header, f"{architecture}.pooling_type", 2**16):
        return "embedding model"  # a text architecture trained to embed or to rank, as Qwen3-Embedding
    if header.tensors.count == 0 and (number(header, "split.count", 2**16) or 1) == 1:
        return VOCABULARY
    return TEXT


def quantization_of(headers: Sequence[Header], stem: str) -> str | None:
    """Name the quantisation: as the file states it, else the type of most numbers, else by the name."""
    stated = headers[0].values.get("general.file_type")
    if isinstance(stated, int) and not isinstance(stated, bool) and (stated & ~GUESSED) in FILE_TYPES:
        return FILE_TYPES[stated & ~GUESSED]
    by_type: dict[int, int] = {}
    for header in headers:
        for kind, numbers in header.tensors.by_type.items():
            by_type[kind] = by_type.get(kind, 0) + numbers
    most = TENSOR_TYPES.get(max(by_type, key=lambda kind: by_type[kind], default=-1))
    return most.name if most else file_name.quantization(stem)


def has_tools(header: Header, template: str | None) -> bool:
    """Tell whether the model's own chat template takes tools."""
    return "tokenizer.chat_template.tool_use" in header.values or bool(template and _TOOLS.search(template))


def cache_bytes(header: Header, architecture: str) -> int | None:
    """Estimate the key-value cache of one token: layers x heads x (key + value) numbers. None if the header lacks it."""

    def value(key: str) -> int | None:
        return number(header, f"{architecture}.{key}", 2**20)

    layers, heads, width = value("block_count"), value("attention.head_count"), value("embedding_length")
    listed = header.numbers.get(f"{architecture}.attention.head_count_kv")  # some models have a number for each layer
    key = value("attention.key_length") or (width // heads if width and heads else None)
    if not layers or not key:
        return None
    all_heads = int(sum(max(0, min(each, 2**20)) for each in listed)) if listed else None
    if all_heads is None:
        all_heads = layers * (value("attention.head_count_kv") or heads or 0)
    return all_heads * (key + (value("attention.value_length") or key)) * CACHE_BYTES or None


def label_of(count: int) -> str:
    """Write a number of parameters as people do: 8030261248 -> "8B", 1100048384 -> "1.1B", 134515008 -> "135M"."""
    for at, (unit, letter) in enumerate(_UNITS):
        shown = f"{count / unit:.1f}" if round(count / unit, 1) < 10 else f"{count / unit:.0f}"
        if count >= unit or (at + 1 < len(_UNITS) and round(count / _UNITS[at + 1][0]) >= 1000):
            return shown.removesuffix(".0") + letter
    return str(count)


def text(header: Header, key: str, longest: int) -> str | None:
    """Return a string of the header as one line without control characters, or None."""
    value = _raw_text(header, key)
    if value is None:
        return None
    return " ".join("".join(sign if sign.isprintable() else " " for sign in value[: 4 * longest]).split())[:longest] or None


def number(header: Header, key: str, most: int) -> int | None:
    """Return a positive whole number of the header up to `most`, or None."""
    value: Scalar | None = header.values.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= most else None


def _raw_text(header: Header, key: str) -> str | None:
    value = header.values.get(key)
    return value if isinstance(value, str) and value else None


def _count(stated: int | None, label: str | None, counted: int, stem: str) -> str | None:
    if stated:
        return label_of(stated)
    return label or (label_of(counted) if counted else None) or file_name.size_label(stem)
