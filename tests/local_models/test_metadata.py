"""What a model's headers and name say, told in the words of an API."""

import io
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.local_models import metadata
from app.local_models.gguf_header import read_header_of
from app.local_models.metadata import describe, label_of
from tests.gguf_files import F16, F32, Q4_0, Q4_K, Q6_K, Typed, header_bytes

CASES = json.loads((Path(__file__).parent.parent / "fixtures/shimmy/filename_cases.json").read_text("utf-8"))
NAMED = [case for case in CASES if isinstance(case["ours"], list)]
TENSORS = {"token_embd.weight": ((64, 32), F16)}


def header(values=None, tensors=None):
    values = {"general.architecture": "llama", **(values or {})}
    return read_header_of(io.BytesIO(data := header_bytes(values, TENSORS if tensors is None else tensors)), len(data))


def told(values=None, tensors=None, stem="model"):
    return describe([header(values, tensors)], stem)


@pytest.mark.parametrize("case", NAMED, ids=lambda case: case["file"])
def test_without_a_header_the_name_tells(case):
    found = describe([], case["file"].removesuffix(".gguf"))
    assert [found.architecture, found.parameter_count, found.quantization] == case["ours"]


@pytest.mark.parametrize("case", NAMED, ids=lambda case: case["file"])
def test_the_header_is_believed_before_the_name(case):
    values = {"general.architecture": "qwen3moe", "general.size_label": "30B-A3B", "general.file_type": 30}
    found = told(values, stem=case["file"].removesuffix(".gguf"))
    assert [found.architecture, found.parameter_count, found.quantization] == ["qwen3moe", "30B-A3B", "IQ4_XS"]


def test_a_whole_description():
    found = told({
        "general.name": "Tiny  Test\n\x1b[31m", "general.size_label": "0.5M", "general.file_type": 15,
        "llama.context_length": 4096, "llama.embedding_length": 128, "llama.block_count": 2,
        "llama.attention.head_count": 4, "llama.attention.head_count_kv": 2,
        "tokenizer.chat_template": "{% if tools %}{{ tools | tojson }}{% endif %}",
    })  # fmt: skip
    assert found == metadata.Metadata(
        kind="text model", architecture="llama", title="Tiny Test [31m", size_label="0.5M", parameter_count="0.5M",
        parameters=2048, quantization="Q4_K_M", context_length=4096, embedding_length=128,
        cache_bytes_per_token=2 * 2 * (32 + 32) * 2,
        chat_template="{% if tools %}{{ tools | tojson }}{% endif %}", template_has_tools=True, split_count=1)


# --- size --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("values", "tensors", "stem", "count"), [
    ({"general.parameter_count": 13_015_864_320, "general.size_label": "7B"}, TENSORS, "a-3b", "13B"),
    ({"general.size_label": "8x7B"}, TENSORS, "a-3b", "8x7B"),
    ({}, {"t": ((2**20, 8, 1024), Q4_K)}, "a-3b", "8.6B"),
    ({}, {}, "a-13b", "13B"),
    ({}, {}, "model", None),
    ({"general.parameter_count": "many"}, {}, "a-13b", "13B"),
    ({"general.parameter_count": 10**18}, {}, "a-13b", "13B"),
    ({"general.parameter_count": True}, {}, "a-13b", "13B"),
    ({"general.size_label": 8}, {}, "a-13b", "13B"),
])
def test_where_the_size_comes_from(values, tensors, stem, count):
    assert told(values, tensors, stem).parameter_count == count


@pytest.mark.parametrize(("count", "label"), [
    (8_030_261_248, "8B"), (1_100_048_384, "1.1B"), (134_515_008, "135M"), (6_738_415_616, "6.7B"),
    (20_914_757_184, "21B"), (46_702_792_704, "47B"), (999_999_999, "1B"), (9_960_000_000, "10B"),
    (405_853_388_800, "406B"), (1_026_000_000_000, "1T"), (2048, "2K"), (999, "999"), (1, "1"),
])
def test_numbers_as_people_write_them(count, label):
    assert label_of(count) == label


def test_shards_are_added_up():
    shards = [header({"split.count": 2}, {"a": ((256, 4), Q4_K)}), header({}, {"b": ((256, 8), Q6_K)})]
    found = describe(shards, "a-7b")
    assert (found.parameters, found.quantization, found.split_count) == (3072, "Q6_K", 2)
    partial = describe(shards, "a-7b", whole=False)
    assert (partial.parameters, partial.parameter_count) == (None, "7B")


# --- quantisation ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("values", "tensors", "quantization"), [
    ({"general.file_type": 7}, TENSORS, "Q8_0"),
    ({"general.file_type": 1024 + 15}, TENSORS, "Q4_K_M"),
    ({"general.file_type": 38}, TENSORS, "MXFP4_MOE"),
    ({"general.file_type": 0}, TENSORS, "F32"),
    ({"general.file_type": 999}, {"a": ((256, 9), Q4_K), "b": ((256, 8), Q6_K), "c": ((256,), F32)}, "Q4_K"),
    ({"general.file_type": "Q4"}, {"a": ((32, 1), Q4_0)}, "Q4_0"),
    ({"general.file_type": True}, {"a": ((32, 1), Q4_0)}, "Q4_0"),
    ({}, {}, "Q5_K_M"),
])
def test_where_the_quantization_comes_from(values, tensors, quantization):
    assert told(values, tensors, "x-Q5_K_M").quantization == quantization


# --- other values ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "length"), [
    (8192, 8192), (Typed(10, 10_485_760), 10_485_760), ("8192", None), (0, None), (Typed(5, -1), None), (True, None),
    (8192.0, None), (Typed(10, 2**60), None),
])
def test_context_length(value, length):
    assert told({"llama.context_length": value}).context_length == length


@pytest.mark.parametrize(("template", "has_tools"), [
    ("{%- if tools %}", True),
    ("{%- if not tools is defined %}{% set tools = none %}", True),
    ("{{- tools | tojson }}", True),
    ("{% for tool in tools %}", True),
    ("{{ messages }} use your tools", False),
    ("{{ message.tools }}", False),
    ("{{ 'tools' }}", False),
    ("{{ toolset }}", False),
    ("{{ a " * 200_000, False),
    ("{{" * 200_000 + "tools", True),
    ("{% " * 200_000, False),
])
def test_tools_in_the_template(template, has_tools):
    assert told({"tokenizer.chat_template": template}).template_has_tools is has_tools


def test_a_template_of_its_own_for_tools():
    assert told({"tokenizer.chat_template.tool_use": "{{ x }}"}).template_has_tools


@pytest.mark.parametrize(("values", "size"), [
    ({"llama.block_count": 32, "llama.embedding_length": 4096, "llama.attention.head_count": 32,
      "llama.attention.head_count_kv": 8}, 131_072),
    ({"llama.block_count": 32, "llama.embedding_length": 4096, "llama.attention.head_count": 32}, 524_288),
    ({"llama.block_count": 2, "llama.attention.head_count_kv": [8, 4], "llama.attention.key_length": 64,
      "llama.attention.value_length": 32}, 2304),
    ({"llama.block_count": 2, "llama.attention.head_count_kv": [-1, 2**31 - 1], "llama.attention.key_length": 64},
     2**20 * 256),
    ({"llama.block_count": 32}, None),
    ({}, None),
])
def test_memory_of_one_token(values, size):
    assert told(values).cache_bytes_per_token == size


@pytest.mark.parametrize(("values", "tensors", "kind"), [
    ({}, TENSORS, "text model"),
    ({"general.architecture": "gpt-oss"}, TENSORS, "text model"),
    ({"general.type": "adapter"}, TENSORS, "LoRA adapter"),
    ({"adapter.type": "lora"}, TENSORS, "LoRA adapter"),
    ({"general.type": "mmproj"}, TENSORS, "projector"),
    ({"general.architecture": "clip"}, TENSORS, "projector"),
    ({"general.architecture": "nomic-bert"}, TENSORS, "embedding model"),
    ({"general.architecture": "qwen3", "qwen3.pooling_type": 3}, TENSORS, "embedding model"),
    ({"general.architecture": "qwen3", "qwen3.pooling_type": 0}, TENSORS, "text model"),
    ({"general.architecture": "whisper"}, TENSORS, "speech model"),
    ({}, {}, "vocabulary"),
    ({"split.count": 3}, {}, "text model"),
])
def test_what_a_file_holds(values, tensors, kind):
    assert told(values, tensors).kind == kind


def test_names_are_one_short_line():
    assert told({"general.name": "x" * 900_000}).title == "x" * 200
    assert told({"general.name": "\n\t "}).title is None
    assert told({"general.name": 5}).title is None
    assert told({"general.architecture": "x" * 900}).architecture == "x" * 40


KEYS = st.sampled_from([
    "general.architecture", "general.name", "general.size_label", "general.parameter_count", "general.file_type",
    "general.type", "llama.context_length", "llama.block_count", "llama.attention.head_count_kv", "split.count",
    "llama.attention.head_count", "llama.embedding_length", "tokenizer.chat_template", "llama.pooling_type"])  # fmt: skip
SCALARS = st.text(max_size=9) | st.booleans() | st.integers(0, 2**64 - 1) | st.floats(width=32)
ARRAYS = st.lists(st.integers(0, 2**32 - 1), max_size=4) | st.lists(st.floats(width=32), max_size=4)


@settings(max_examples=150)
@given(st.dictionaries(KEYS, SCALARS | ARRAYS), st.text(max_size=12))
def test_no_type_of_value_is_too_odd(values, stem):
    described = describe([header(values)], stem)
    json.dumps({**vars(described), "chat_template": None}, allow_nan=False)
    assert described.parameter_count
