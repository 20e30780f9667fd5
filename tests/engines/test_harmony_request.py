"""What a server of raw completions is asked: fields, limits, stops, the address."""

import re

import pytest

from app.engines import harmony_request
from app.errors import ConfigError
from app.utils.model_resolver import resolve_model
from tests.answers import tool
from tests.conftest import settings_for
from tests.upstream_completions import MARKERS

MODEL = "gpt-oss-20b"
ASK = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}


def target(address="http://up.example/v1", environ=None, entry=None, **options):
    given = {"engine": "harmony", **options} | ({"baseURL": address} if address else {})
    return resolve_model(MODEL, settings_for({"up": {"options": given, "models": {MODEL: entry or {}}}}, **(environ or {})))


def fields_of(body=None, **options):
    return harmony_request.request_of({**ASK, **(body or {})}, target(**options))[0]


def test_the_request():
    fields = fields_of({"tools": [tool()], "temperature": 0.5, "max_tokens": 77})
    assert fields.pop("prompt").endswith("<|start|>user<|message|>hi<|end|><|start|>assistant")
    assert fields == {
        "model": MODEL, "stream": True, "max_tokens": 77, "temperature": 0.5, "stop_token_ids": [200002, 200012],
        "skip_special_tokens": False, "spaces_between_special_tokens": False, "add_special_tokens": False,
        "preserved_tokens": list(MARKERS), "stream_options": {"include_usage": True},
    }  # fmt: skip


@pytest.mark.parametrize(("body", "sent"), [
    ({"max_completion_tokens": 5}, {"max_tokens": 5}),
    ({"max_tokens": 6, "max_completion_tokens": 5}, {"max_tokens": 5}),
    ({}, {"max_tokens": harmony_request.MOST_TOKENS}),
    ({"stop": "X"}, {"stop": ["X"]}),
    ({"stop": ["X", "", "<|call|>", 5]}, {"stop": ["X", "<|call|>"]}),
    ({"stop": []}, {"stop": None}),
    ({"n": 3}, {"n": 3}),
    ({"n": 1}, {"n": None}),
    ({"seed": 0, "top_p": 0.1, "presence_penalty": 1, "frequency_penalty": 2, "top_k": 5},
     {"seed": 0, "top_p": 0.1, "presence_penalty": 1, "frequency_penalty": 2, "top_k": 5}),
    ({"logprobs": True, "top_logprobs": 3, "response_format": {"type": "json_object"}, "store": True},
     dict.fromkeys(("logprobs", "top_logprobs", "response_format", "store"))),
])
def test_body_fields(body, sent):
    fields = fields_of(body)
    assert {name: fields.get(name) for name in sent} == sent


@pytest.mark.parametrize(("key", "entry", "sent"), [
    ("openai/gpt-oss-20b", {}, "openai/gpt-oss-20b"),
    ("small", {"id": "openai/gpt-oss-20b"}, "openai/gpt-oss-20b"),
    ("gpt-oss-120b", {}, "gpt-oss-120b"),
])
def test_the_model_is_named_as_the_map_names_it(key, entry, sent):
    """vLLM serves a model under the whole name that it was loaded by."""
    options = {"engine": "harmony", "baseURL": "http://up.example/v1"}
    found = resolve_model(key, settings_for({"up": {"options": options, "models": {key: entry}}}))
    assert harmony_request.request_of(ASK, found)[0]["model"] == sent


def test_the_ends_of_harmony_are_no_texts_for_a_file_may_hold_them():
    assert "stop" not in fields_of() and fields_of()["stop_token_ids"] == list(harmony_request.ENDS)


def test_the_simplified_dialect_ends_with_texts_for_any_model_may_speak_it():
    fields = fields_of({"stop": ["X"]}, harmonyDialect="simple")
    assert fields["stop"] == ["X", "<|end|>", "<|return|>"] and "stop_token_ids" not in fields


@pytest.mark.parametrize(("dialect", "text"), [
    ("harmony", "<|channel|>commentary to=functions.read<|message|>{'days': '3',}<|call|>"),
    ("simple", "<|tool_call|>read({'days': '3',})<|end_tool_call|>"),
])
@pytest.mark.parametrize("odd", [[], ["x", None]])
def test_the_reader_knows_the_tools(dialect, text, odd):
    offered = tool("read")
    offered["function"]["parameters"] = {"type": "object", "properties": {"days": {"type": "integer"}}}
    make = harmony_request.request_of({**ASK, "tools": [offered, *odd]}, target(harmonyDialect=dialect))[1]
    (call,) = make().feed(text)
    assert call[:4] == ("read", '{"days":3}', None, ("JSON repaired", "types converted"))


def test_the_models_limit_is_the_default():
    found = target(entry={"limit": {"output": 99}})
    assert harmony_request.request_of(ASK, found)[0]["max_tokens"] == 99


def test_completion_fields_are_laid_over_and_null_removes():
    fields = fields_of(completionFields={"preserved_tokens": None, "stop": None, "stop_token_ids": [200012], "max_tokens": 3})
    assert fields["stop_token_ids"] == [200012] and fields["max_tokens"] == 3
    assert "preserved_tokens" not in fields and "stop" not in fields


@pytest.mark.parametrize("options", [{"harmonyDialect": "chatml"}, {"harmonyDialect": ["simple"]}, {"completionFields": [1]}])
def test_options_that_cannot_be(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        fields_of(**options)


def test_the_date_is_today_unless_it_is_set():
    assert re.search(r"Current date: 20\d\d-\d\d-\d\d\n", fields_of(harmonyDate=None)["prompt"])


@pytest.mark.parametrize(("address", "url"), [
    ("http://up.example:8000", "http://up.example:8000/v1/completions"),
    ("http://up.example:8000/", "http://up.example:8000/v1/completions"),
    ("http://up.example/v1", "http://up.example/v1/completions"),
    ("http://up.example/v1/", "http://up.example/v1/completions"),
    ("http://up.example/v1/completions", "http://up.example/v1/completions"),
    ("http://up.example/v1/chat/completions/", "http://up.example/v1/completions"),
    ("https://up.example/models/gpt-oss/v1?key=1", "https://up.example/models/gpt-oss/v1/completions?key=1"),
])
def test_the_address(address, url):
    assert harmony_request.endpoint(target(address)) == url


def test_the_address_is_that_of_the_settings():
    found = target(None, {"TRANSFORMERS_URL": "http://localhost:8000"})
    assert harmony_request.endpoint(found) == "http://localhost:8000/v1/completions"
    with pytest.raises(ConfigError, match="TRANSFORMERS_URL"):
        harmony_request.endpoint(target(None))
