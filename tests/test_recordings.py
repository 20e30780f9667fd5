"""Recorded answers of about thirty providers, replayed as upstream: what they say arrives, through every door.

Each is asked for as it was recorded and the other way round (a whole answer streamed again, a stream put together), over
both engines and cut at awkward places.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests import legal, recordings
from tests.maps import ENGINES, UPSTREAM_KEY
from tests.served import Served
from tests.upstream import FakeUpstream

FINISH = {
    "length": "length",
    "MAX_TOKENS": "length",
    "content_filter": "content_filter",
}
ASK = {"messages": [{"role": "user", "content": "Go on."}]}
NOT_REPLAYED = ("model", "stream", "stream_options")


def model_map(base_url: str) -> dict[str, Any]:
    """Write a provider per engine in which each recording is a model under its own id."""
    rows = {row["id"]: {"id": row["model"] or row["provider"]} for row in recordings.records("openai", "chat", "completions")}
    providers: dict[str, Any] = {
        engine: {"options": {"baseURL": base_url, "apiKey": UPSTREAM_KEY, "engine": engine}, "models": rows}
        for engine in ENGINES
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


def request_body(record: dict[str, Any], engine: str, streamed: bool) -> dict[str, Any]:
    """Return the recorded request, or a short one where none was recorded, in this mode."""
    sent = record["request"]["body"]
    body = {name: value for name, value in (sent if isinstance(sent, dict) else ASK).items() if name not in NOT_REPLAYED}
    body["model"] = f"{engine}/{record['id']}"
    return body | ({"stream": True, "stream_options": {"include_usage": True}} if streamed else {})


def replay(gateway: Served, upstream: FakeUpstream, record: dict[str, Any], engine: str, streamed: bool) -> legal.Answer:
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
    assert answer.error is None, answer.error
    assert sorted(answer.choices) == sorted(told.choices)
    for index, said in told.choices.items():
        got = answer.choices[index]
        assert got.text == said.text
        assert got.reasoning == said.reasoning
        assert got.calls == [(name, json.loads(arguments or "{}")) for name, arguments in said.calls]
        assert got.finish == ("tool_calls" if said.calls and said.finish != "length" else FINISH.get(str(said.finish), "stop"))
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
    assert answer.error["message"].replace("\u2060", "") == message
