import contextlib
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import openai
import pytest
from pydantic import BaseModel

from app import create_app
from app.config import is_loopback
from app.errors import ConfigError
from app.mock_server import main, mock_settings, read_arguments
from tests.gateway import clean_environ

ROOT = Path(__file__).resolve().parent.parent
HELLO = {"model": "gpt-3.5-turbo", "messages": [{"role": "user", "content": "Hello!"}]}
CANNED = "Based on the context, I recommend this approach..."


@pytest.fixture
def client():
    return create_app(mock_settings({}, dotenv=False)).test_client()


def chat(client, path="/v1/chat/completions", **fields):
    return client.post(path, json={**HELLO, **fields})


def events(response):
    """The JSON events of a stream, which must end with [DONE]."""
    assert response.mimetype == "text/event-stream"
    assert response.data.endswith(b"data: [DONE]\n\n")
    return [json.loads(block.removeprefix(b"data: ")) for block in response.data.split(b"\n\n")[:-2]]


def test_a_whole_answer_as_described(client):
    answer = chat(client, messages=[{"role": "user", "content": CANNED}]).json
    assert re.fullmatch("chatcmpl-[0-9a-f]{12}", answer["id"])
    assert (answer["object"], answer["model"]) == ("chat.completion", "gpt-3.5-turbo")
    (choice,) = answer["choices"]
    assert choice["message"]["role"] == "assistant"
    assert (choice["message"]["content"], choice["finish_reason"]) == (CANNED, "stop")
    assert answer["usage"] == {"prompt_tokens": 12, "completion_tokens": 12, "total_tokens": 24}


def test_a_stream_as_described(client):
    chunks = events(chat(client, messages=[{"role": "user", "content": CANNED}], stream=True))
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert {chunk["model"] for chunk in chunks} == {"gpt-3.5-turbo"}
    assert len({chunk["id"] for chunk in chunks}) == 1
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas[0] == {"role": "assistant", "content": ""}
    words = [delta["content"] for delta in deltas if delta.get("content")]
    assert words == ["Based ", "on ", "the ", "context, ", "I ", "recommend ", "this ", "approach..."]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None] * (len(chunks) - 1) + ["stop"]
    assert deltas[-1] == {}


@pytest.mark.parametrize("stream", (False, True))
@pytest.mark.parametrize(
    "name", ("gpt-3.5-turbo", "gpt-4", "GPT-3.5-turbo", "openai/gpt-4o", "any/thing:at@all", "gemini-3-flash", "*")
)
def test_any_model_name_is_answered_and_echoed(client, name, stream):
    response = chat(client, model=name, stream=stream)
    answers = events(response) if stream else [response.json]
    assert {answer["model"] for answer in answers} == {name}


@pytest.mark.parametrize("stream", (False, True))
def test_without_a_model_it_is_the_default_one(client, stream):
    response = client.post("/v1/chat/completions", json={"messages": HELLO["messages"], "stream": stream})
    assert (events(response)[0] if stream else response.json)["model"] == "gpt-3.5-turbo"


@pytest.mark.parametrize("headers", ({}, {"Authorization": "Bearer dummy-key"}, {"Authorization": "nonsense"}))
def test_no_key_and_any_key_are_accepted(headers):
    settings = mock_settings({"GATEWAY_API_KEYS": "the-gateways-own-key"}, dotenv=False)
    response = create_app(settings).test_client().post("/v1/chat/completions", json=HELLO, headers=headers)
    assert response.status_code == 200


@pytest.mark.parametrize("text", ("Hello!", "x" * 400))
def test_tokens_are_counted_by_length(client, text):
    usage = chat(client, messages=[{"role": "user", "content": text}]).json["usage"]
    assert usage["prompt_tokens"] == usage["completion_tokens"] == len(text) // 4


def test_usage_of_a_stream_is_told_to_who_asks(client):
    asked = events(chat(client, stream=True, stream_options={"include_usage": True}))
    assert (asked[-1]["choices"], asked[-1]["usage"]["total_tokens"]) == ([], 2)
    assert not any(chunk.get("usage") for chunk in events(chat(client, stream=True)))


@pytest.mark.parametrize("path", ("/v1/models", "/", "/health", "/v1/models/gpt-3.5-turbo"))
def test_what_clients_look_at_first_is_there(client, path):
    response = client.get(path)
    assert (response.status_code, response.mimetype) == (200, "application/json")


def test_the_wildcard_is_not_listed(client):
    assert [model["id"] for model in client.get("/v1/models").json["data"]] == ["gpt-3.5-turbo"]


@pytest.mark.parametrize(
    "path", ("/v1/completions", "/v1/chat/completions", "/chat/completions", "/v1/chat/completions/")
)
def test_autocomplete_and_other_spellings_are_served(client, path):
    body = {"model": "gpt-3.5-turbo", "prompt": "def add(a, b):"} if path == "/v1/completions" else HELLO
    assert client.post(path, json=body).status_code == 200


@pytest.mark.parametrize(
    ("data", "param"),
    (
        (b"{bad", None),
        (b"", None),
        (b"[]", None),
        (b'"text"', None),
        (b'{"messages": []}', "messages"),
        (b'{"messages": [{"role": "user", "content": "x"}], "mock": {"turns": [{"txet": "x"}]}}', "mock"),
    ),
)
def test_bad_requests_get_openais_error(client, data, param):
    response = client.post("/v1/chat/completions", data=data, content_type="application/json")
    assert (response.status_code, response.mimetype) == (400, "application/json")
    assert sorted(response.json["error"]) == ["code", "message", "param", "type"]
    assert (response.json["error"]["type"], response.json["error"]["param"]) == ("invalid_request_error", param)


@pytest.mark.parametrize("stream", (False, True))
def test_a_scripted_refusal_goes_through_like_a_real_one(client, stream):
    response = chat(client, stream=stream, mock={"error": {"status": 429, "message": "slow down", "retry_after": 7}})
    assert (response.status_code, response.headers["Retry-After"]) == (429, "7")
    assert response.json["error"]["message"] == "slow down"


def test_a_scripted_error_within_a_stream_is_an_event(client):
    chunks = events(chat(client, stream=True, mock={"text": "one two", "error_after": 2, "error": {"message": "gone"}}))
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks[:-1]) == "one "
    assert chunks[-1]["error"]["message"] == "gone"


# --- settings and the command ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "arguments", "address"),
    (
        ({}, [], ("127.0.0.1", 8888)),
        ({"WEBSITES_PORT": "8001"}, [], ("127.0.0.1", 8001)),
        ({"WEBSITES_PORT": "8001"}, ["--port", "0"], ("127.0.0.1", 0)),
        ({"PORT": "8000", "HOST": "192.0.2.1"}, [], ("127.0.0.1", 8888)),
        ({}, ["--host", "localhost", "--port", "9"], ("localhost", 9)),
        ({"GATEWAY_API_KEYS": "a-long-secret"}, ["--host", "0.0.0.0"], ("0.0.0.0", 8888)),
    ),
)
def test_where_it_listens(environ, arguments, address):
    given = read_arguments(arguments)
    settings = mock_settings(environ, given.host, given.port, given.log_file, dotenv=False)
    assert (settings.host, settings.port) == address
    assert bool(settings.api_keys) is not is_loopback(settings.host)


@pytest.mark.parametrize(
    ("environ", "host"),
    (({}, "0.0.0.0"), ({"WEBSITES_PORT": "http"}, "127.0.0.1"), ({"WEBSITES_PORT": "99999"}, "::1")),
)
def test_where_it_does_not_listen(environ, host):
    with pytest.raises(ConfigError):
        mock_settings(environ, host, dotenv=False)


def test_a_wide_bind_without_keys_ends_with_a_sentence(monkeypatch):
    monkeypatch.delenv("GATEWAY_API_KEYS", raising=False)
    with pytest.raises(SystemExit, match="Error: HOST=0.0.0.0 is reachable from other machines"):
        main(["--host", "0.0.0.0"])


@contextlib.contextmanager
def served(folder, *arguments):
    """Run the command on a free port; yield its address. What it prints is in `folder`/out.txt."""
    with (folder / "out.txt").open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.mock_server", "--port", "0", *arguments],
            cwd=ROOT,
            env=clean_environ(folder),
            stdout=subprocess.PIPE,
            stderr=out,
        )
        try:
            first = process.stdout.readline().decode()
            address = re.search(r"http://127\.0\.0\.1:[1-9]\d*/v1", first)
            assert address, first + (folder / "out.txt").read_text()
            yield address[0]
        finally:
            process.send_signal(signal.SIGTERM)
            rest, _ = process.communicate(timeout=30)
            out.write(rest)


class Answer(BaseModel):
    name: str
    count: int


@pytest.mark.e2e
def test_the_command_serves_the_sdk_and_prints_requests_without_keys(tmp_path):
    key = "sk-dummy-0123456789abcdefghij"
    with served(tmp_path, "--log-file", str(tmp_path / "log.txt")) as address:
        with openai.OpenAI(base_url=address, api_key=key, max_retries=0) as sdk:
            whole = sdk.chat.completions.create(**HELLO)
            assert whole.choices[0].message.content == "Hello!"
            parsed = sdk.chat.completions.parse(**HELLO, response_format=Answer)
            assert parsed.choices[0].message.parsed == Answer(name="text", count=0)
            with sdk.chat.completions.stream(**HELLO) as stream:
                assert stream.get_final_completion().choices[0].message.content == "Hello!"
            with pytest.raises(openai.RateLimitError, match="slow down"):
                refusal = {"mock": {"error": {"status": 429, "message": "slow down"}}}
                sdk.chat.completions.create(**HELLO, extra_body=refusal)
    for name in ("out.txt", "log.txt"):
        printed = (tmp_path / name).read_text("utf-8")
        assert "/v1/chat/completions" in printed and "Hello!" in printed
        assert key not in printed
