"""Recorded answers of about thirty providers, replayed as upstream: what they say arrives, through every door.

Each is asked for as it was recorded and the other way round (a whole answer streamed again, a stream put together), over
both engines and cut at awkward places.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from app.engines import wire
from tests import legal, recordings
from tests.maps import ENGINES, UPSTREAM_KEY
from tests.served import Served, events
from tests.upstream import FakeUpstream

FINISH = {
    "length": "length",
    "MAX_TOKENS": "length",
    "content_filter": "content_filter",
    "SAFETY": "content_filter",
}
ASK = {"messages": [{"role": "user", "content": "Go on."}]}
NOT_REPLAYED = ("model", "stream", "stream_options")
NATIVE = ("generateContent", "streamGenerateContent")
# A mock that is no answer at all; LiteLLM (1.106.2) also refuses whole answers without usageMetadata, which some
# recordings lack (trimmed by their SDK) and the endpoint always sends.
NOT_GOOGLES = {"vertex-streamGenerateContent-e5e822c3f542"}
WORDS_FOR_NOTHING = {
    "SAFETY": "withheld the answer",
    "MALFORMED_FUNCTION_CALL": "empty answer",  # LiteLLM makes `stop` of it in streams and keeps no trace
    "OTHER": "empty answer",
    "2": "empty answer",  # a number where the SDK dumped an enum; the wire has words
}
# Words that arrive otherwise than they were recorded, and why.
OTHER_WORDS = {
    # the error's message is another error in JSON: agents would show braces
    '{"error":{"code":"validation_error","message":"Model does not support image modality","param":null,'
    '"type":"invalid_request_error"}}': "Model does not support image modality",
    # what looks like a key never leaves, even half-masked by the upstream
    "Authentication Fails, Your api key: ****-key is invalid": "Authentication Fails, Your api key: … is invalid",
}


def model_map(base_url: str) -> dict[str, Any]:
    """Write a provider per engine in which each recording is a model under its own id."""
    found = recordings.records("openai", "chat", "completions")
    rows = {row["id"]: {"id": row["model"] or row["provider"]} for row in found}
    providers: dict[str, Any] = {
        engine: {
            "npm": "@ai-sdk/openai-compatible",
            "options": {"baseURL": base_url, "apiKey": UPSTREAM_KEY, "engine": engine, "rawIds": True},
            "models": rows,
        }
        for engine in ENGINES
    }
    native = [row["id"] for row in recordings.records("gemini-native", *NATIVE)]
    providers["native"] = {
        "npm": "@ai-sdk/google",
        "options": {"baseURL": base_url, "apiKey": UPSTREAM_KEY},
        "models": {name: {"id": "gemini-2.5-flash"} for name in native},
    }
    return {"provider": providers}


@pytest.fixture(scope="module")
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def gateway(upstream: FakeUpstream, tmp_path_factory: pytest.TempPathFactory, litellm_loaded: None) -> Iterator[Served]:
    folder = str(tmp_path_factory.mktemp("var"))
    with Served(model_map(upstream.base_url), GATEWAY_DATA_DIR=folder) as served:
        yield served
    wire.close_idle()


def request_body(record: dict[str, Any], engine: str, streamed: bool) -> dict[str, Any]:
    """Return the recorded request, or a short one where none was recorded, in this mode."""
    sent = record["request"]["body"]
    body = {k: v for k, v in (sent if isinstance(sent, dict) else ASK).items() if k not in NOT_REPLAYED}
    body["model"] = f"{engine}/{record['id']}"
    return body | ({"stream": True, "stream_options": {"include_usage": True}} if streamed else {})


def replay(
    gateway: Served, upstream: FakeUpstream, record: dict[str, Any], engine: str, streamed: bool
) -> legal.Answer:
    upstream.reply(recordings.answer_to_replay(record))
    body = request_body(record, engine, streamed)
    response = gateway.post("/v1/chat/completions", body)
    return legal.read(response, streamed, functions="functions" in body)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("streamed", (False, True), ids=("whole", "stream"))
@pytest.mark.parametrize("record", recordings.params("openai", "chat", refused=False))
def test_what_was_said_arrives(
    gateway: Served, upstream: FakeUpstream, record: dict[str, Any], streamed: bool, engine: str
) -> None:
    answer, told = replay(gateway, upstream, record, engine, streamed), recordings.read_openai(record)
    if told.error and told.error.get("code") == "tool_use_failed" and told.choices[0].text:
        told.error = None  # Groq: the model answered in words where it had to call; they are the answer
    if told.error:
        assert answer.error is not None
        assert answer.error["message"] == told.error["message"]
        return
    assert answer.error is None, answer.error
    assert sorted(answer.choices) == sorted(told.choices)
    for index, said in told.choices.items():
        got = answer.choices[index]
        assert got.text == said.text
        assert got.reasoning == said.reasoning
        assert got.calls == said.calls
        finish = FINISH.get(str(said.finish), "stop")
        assert got.finish == ("tool_calls" if said.calls and finish == "stop" else finish)
    if told.usage:
        prompt, total = told.usage["prompt_tokens"], told.usage["total_tokens"]
        assert answer.usage is not None
        assert answer.usage["prompt_tokens"] == prompt
        assert answer.usage["completion_tokens"] == max(told.usage["completion_tokens"], total - prompt)
        assert answer.usage["total_tokens"] == total


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("streamed", (False, True), ids=("whole", "stream"))
@pytest.mark.parametrize("record", recordings.params("openai", "chat", refused=True))
def test_refusals_keep_status_and_words(
    gateway: Served, upstream: FakeUpstream, record: dict[str, Any], streamed: bool, engine: str
) -> None:
    answer = replay(gateway, upstream, record, engine, streamed)
    assert answer.error is not None
    assert answer.status == record["response"]["status"]
    body = record["response"]["body"]
    body = body[0] if isinstance(body, list) else body
    error = body.get("error", body)
    message = error if isinstance(error, str) else error.get("message") or error.get("detail")
    assert answer.error["message"].replace("\u2060", "") == OTHER_WORDS.get(message, message)


def text_completions() -> list[Any]:
    """List records of text completions; Writer's stream is in a dialect of its own."""
    found = recordings.params("openai", "completions", refused=False)
    return [param for param in found if param.id != "writer-completions-53c2e443a03b"]


@pytest.mark.parametrize("streamed", (False, True), ids=("whole", "stream"))
@pytest.mark.parametrize("record", text_completions())
def test_text_completions(gateway: Served, upstream: FakeUpstream, record: dict[str, Any], streamed: bool) -> None:
    upstream.reply(recordings.answer_to_replay(record))
    body = {"model": f"relay/{record['id']}", "prompt": "Go on.", "stream": streamed}
    response = gateway.post("/v1/completions", body)
    assert response.status == 200, response.data
    parts = events(response.data) if streamed else [response.json()]
    for index, said in recordings.read_openai(record).choices.items():
        choices = [choice for part in parts for choice in part["choices"] if choice["index"] == index]
        assert "".join(choice["text"] for choice in choices) == said.text
        finish = [choice["finish_reason"] for choice in choices if choice["finish_reason"]]
        assert finish == ["length" if said.finish == "length" else "stop"]


@pytest.mark.parametrize("record", recordings.params("gemini-native", *NATIVE, refused=False))
def test_googles_own_dialect(gateway: Served, upstream: FakeUpstream, record: dict[str, Any]) -> None:
    streamed = record["endpoint"] == "streamGenerateContent"
    upstream.reply(recordings.answer_to_replay(record))
    body = ASK | {"model": f"native/{record['id']}", "stream": streamed, "stream_options": {"include_usage": True}}
    answer, told = legal.read(gateway.post("/v1/chat/completions", body), streamed), recordings.read_gemini(record)
    if record["id"] in NOT_GOOGLES or (not streamed and told.usage is None):
        assert answer.error is not None and answer.status == 502
        return
    assert answer.error is None, answer.error
    said, got = told.choices.get(0, recordings.Said()), answer.choices[0]
    if said.text or said.calls:
        assert got.text == said.text
    else:
        assert WORDS_FOR_NOTHING.get(str(said.finish), "") in got.text  # an image alone needs no words
    assert got.reasoning == said.reasoning
    assert got.calls == said.calls
    assert got.finish == ("tool_calls" if said.calls else FINISH.get(str(said.finish), "stop"))


@pytest.mark.parametrize("record", recordings.params("gemini-native", *NATIVE, refused=True))
def test_googles_own_refusals(gateway: Served, upstream: FakeUpstream, record: dict[str, Any]) -> None:
    upstream.reply(recordings.answer_to_replay(record))
    streamed = record["endpoint"] == "streamGenerateContent"
    body = ASK | {"model": f"native/{record['id']}", "stream": streamed}
    answer = legal.read(gateway.post("/v1/chat/completions", body), streamed)
    assert answer.error is not None and answer.status == record["response"]["status"]
    response = record["response"]
    said = json.loads(response["raw"]) if "raw" in response else response["body"]
    assert answer.error["message"].replace("\u2060", "") == said["error"]["message"]
