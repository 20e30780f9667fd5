"""Local models over HTTP: found, loaded on first use, generating, calling tools, stopped, killed, loading again."""

import json
import os
import select
import signal
import threading
import time

import pytest

from app.engines.gguf import for_llama
from app.local_models.catalog import catalog
from app.local_models.keeper_client import client_for
from app.local_models.targets import find_target
from tests.local_models.models import model_folder  # noqa: F401 (a fixture)

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data folder whose keeper lives as long as the tests of this file."""
    folder = tmp_path_factory.mktemp("data")
    yield folder
    for order in {str(order): order for order in used}.values():
        client_for(order["folder"], order["memory"], order["idle"]).close(wait=True)


used = []  # orders of the gateways that were started


@pytest.fixture
def local(serve, model_folder, data):  # noqa: F811
    """A gateway with nothing but the models of the folder."""

    def start(providers=None, **environ):
        environ = {"GATEWAY_LOCAL_MODELS": "1", "GATEWAY_MODEL_PATHS": str(model_folder), **environ}
        gateway = serve(providers or {}, GATEWAY_DATA_DIR=str(data), **environ)
        used.append(find_target("tiny", gateway.app.extensions["settings_store"].current).options["local"])
        return gateway

    return start


@pytest.fixture(params=[False, True], ids=["whole", "stream"])
def stream(request):
    return request.param


def test_without_any_configuration_it_is_there(local):
    gateway = local()
    listed = {row["id"]: row for row in gateway.get("/v1/models").json["data"]}
    assert {"tiny", "loop", "tool"} <= listed.keys() and "bad" not in listed
    assert listed["tiny"]["owned_by"] == "local"
    assert gateway.get("/v1/models/local/tiny").json["id"] == "local/tiny"


@pytest.mark.parametrize("name", ["tiny", "local/tiny", "TINY"])
def test_it_answers(local, stream, name):
    reply = local().chat(model=name, stream=stream, stream_options={"include_usage": True} if stream else None)
    assert "tiny test model" in reply.text
    assert reply.finish == ["stop"]
    counts = reply.chunks[-1]["usage"] if stream else reply.json["usage"]
    assert counts["completion_tokens"] == 19 and counts["prompt_tokens"] > 5


def test_the_output_limit_is_kept(local, stream):
    reply = local().chat(model="loop", stream=stream, max_tokens=5)
    assert reply.finish == ["length"] and reply.text.split() == ["one", "two", "three", "four", "five"]


def test_a_stop_text_is_kept(local, stream):
    reply = local().chat(model="loop", stream=stream, max_tokens=50, stop=["four"])
    assert reply.finish == ["stop"] and reply.text.split() == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("given", "sent"),
    [("x", {"stop": ["x"]}), (["", "x"], {"stop": ["x"]}), ([""], {"stop": []}), ("", {}), (None, {}), ([1], {"stop": [1]})],
)
def test_an_empty_stop_text_ends_nothing(given, sent):
    assert for_llama({"messages": [], "stop": given}) == {"messages": [], **sent}


def test_the_models_own_template_calls_tools(local, stream):
    reply = local().chat(model="tool", stream=stream, tools=[WEATHER])
    ((name, arguments),) = [(c["function"]["name"], json.loads(c["function"]["arguments"])) for c in reply.tool_calls]
    assert (name, arguments, reply.finish) == ("get_weather", {"city": "Paris"}, ["tool_calls"])
    assert "emulation" not in reply.headers.get("x-gateway-repairs", "")


def test_a_template_without_tools_is_helped_out(local, stream):
    reply = local().chat(model="plain", stream=stream, tools=[WEATHER])
    assert [call["function"]["name"] for call in reply.tool_calls] == ["get_weather"]
    assert "emulation.prompt=1" in reply.headers["x-gateway-repairs"]


def test_a_tool_that_is_named_must_be_called(local):
    other = {"type": "function", "function": {"name": "other", "parameters": {"type": "object", "properties": {}}}}
    named = {"type": "function", "function": {"name": "get_weather"}}
    made = for_llama({"messages": [], "tools": [other, WEATHER], "tool_choice": named})
    assert (made["tools"], made["tool_choice"]) == ([WEATHER], "required")
    for choice in ("auto", "none", {"type": "function", "function": {"name": "nobody"}}):
        assert for_llama({"messages": [], "tools": [other], "tool_choice": choice})["tool_choice"] == choice
    reply = local().chat(model="tiny", tools=[other, WEATHER], tool_choice=named, max_tokens=40)
    assert reply.finish == ["length"], "it may not end without the call, which these weights never write"


def test_an_image_is_named_and_does_not_end_the_conversation(local, stream):
    content = [{"type": "text", "text": "Look:"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]
    reply = local().chat(model="tiny", stream=stream, messages=[{"role": "user", "content": content}])
    assert "tiny test model" in reply.text
    if not stream:
        assert "emulation.images=1" in reply.headers["x-gateway-repairs"]
    (made,) = for_llama({"messages": [{"role": "user", "content": content}]})["messages"]
    assert made["content"] == "Look:\n[image left out: this model reads text only]"
    (plain,) = for_llama({"messages": [{"role": "user", "content": content[:1]}]})["messages"]
    assert plain["content"] == content[:1]


def test_the_second_turn_holds_calls_and_results(local, stream):
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'}}
    history = [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
    ]
    reply = local().chat(model="tiny", stream=stream, tools=[WEATHER], messages=history)
    assert reply.status == 200 and "tiny test model" in reply.text


def test_messages_without_content_are_taken(local, stream):
    history = [{"role": "user", "content": "a"}, {"role": "assistant", "content": None}, {"role": "user", "content": "b"}]
    assert "tiny test model" in local().chat(model="tiny", stream=stream, messages=history).text
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "call_1"}]}
    assert [*for_llama({"messages": [call]})["messages"][0]] == ["role", "tool_calls"]


def test_the_tokens_of_all_choices_are_counted(local, stream):
    counted = {"stream_options": {"include_usage": True}} if stream else {}
    reply = local().chat(model="tiny", stream=stream, n=3, max_tokens=4, **counted)
    chunks = reply.chunks if stream else [reply.json]
    (usage,) = [chunk["usage"] for chunk in chunks if chunk.get("usage")]
    assert (usage["completion_tokens"], usage["total_tokens"]) == (12, 12 + usage["prompt_tokens"])


def test_a_whole_answer_has_the_logprobs(local):
    (choice,) = local().chat(model="tiny", max_tokens=3, logprobs=True, top_logprobs=2).json["choices"]
    assert [token["token"] for token in choice["logprobs"]["content"]] == ["Hello", "!", " I"]


def test_a_schema_is_kept_by_grammar(local, stream):
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1, "maximum": 9}}, "required": ["n"],
              "additionalProperties": False}  # fmt: skip
    form = {"type": "json_schema", "json_schema": {"name": "number", "schema": schema, "strict": True}}
    reply = local().chat(model="noise", stream=stream, response_format=form, max_tokens=200, temperature=1, seed=3)
    assert 1 <= json.loads(reply.text)["n"] <= 9


def test_the_same_seed_says_the_same(local):
    gateway = local()
    first, again, other = (
        gateway.chat(model="noise", max_tokens=12, temperature=1, seed=seed).text for seed in (5, 5, 6)
    )
    assert first == again != other


def test_a_client_that_leaves_stops_the_model(local):
    gateway = local()
    with gateway.open_stream(model="loop", max_tokens=1_000_000) as stream:  # noqa: F811
        assert any(b"three" in next(iter(stream)) for _ in range(20))
    order = find_target("loop", gateway.app.extensions["settings_store"].current).options["local"]
    keeper = client_for(order["folder"], order["memory"], order["idle"])
    end = time.monotonic() + 20
    while keeper.status("loop").active and time.monotonic() < end:
        threading.Event().wait(0.02)
    assert keeper.status("loop").state == "ready"


def test_a_killed_model_is_an_error_and_the_next_request_works(local):
    gateway = local()
    order = find_target("loop", gateway.app.extensions["settings_store"].current).options["local"]
    keeper = client_for(order["folder"], order["memory"], order["idle"])
    with gateway.open_stream(model="loop", max_tokens=1_000_000) as stream:  # noqa: F811
        events = iter(stream)
        assert any(b"three" in next(events) for _ in range(20))
        with keeper.lease(order, 10) as loaded:
            host = os.pidfd_open(loaded.pid)
            os.kill(loaded.pid, signal.SIGKILL)
        assert select.select([host], [], [], 20)[0]
        os.close(host)
        *_, error, done = events
    assert b"upstream_truncated" in error and done == b"data: [DONE]"
    assert gateway.chat(model="loop", max_tokens=5).status == 200


def test_a_request_right_after_the_kill_works_too(local, stream):
    gateway = local()
    order = find_target("tiny", gateway.app.extensions["settings_store"].current).options["local"]
    keeper = client_for(order["folder"], order["memory"], order["idle"])
    for _ in range(4):
        os.kill(keeper.load(order, 30).pid, signal.SIGKILL)
        reply = gateway.chat(model="tiny", stream=stream, max_tokens=3)
        assert (reply.status, reply.finish) == (200, ["length"])


def test_a_damaged_file_says_why(local, stream):
    reply = local().chat(model="bad", stream=stream)
    assert (reply.status, reply.error["code"]) == (500, "model_load_failed")
    assert "bad" in reply.error["message"]


def test_a_provider_of_the_map_may_name_one(local, stream):
    provider = {"options": {"engine": "gguf"}, "models": {"my-tiny": {"id": "tiny"}, "gone": {}}}
    gateway = local({"here": provider})
    assert "tiny test model" in gateway.chat(model="my-tiny", stream=stream).text
    assert gateway.chat(model="gone", stream=stream).status == 404


def test_without_the_extra_it_says_what_to_install(local, stream, monkeypatch):
    gateway = local()
    monkeypatch.setattr("app.local_models.keeper_client.is_installed", lambda: False)
    reply = gateway.chat(model="tiny", stream=stream)
    assert (reply.status, reply.error["code"]) == (501, "local_models_missing")
    assert "./run.sh --local" in reply.error["message"]


def test_they_can_be_switched_off(serve, model_folder):  # noqa: F811
    gateway = serve({}, GATEWAY_LOCAL_MODELS="0", GATEWAY_MODEL_PATHS=str(model_folder))
    assert gateway.get("/v1/models").json["data"] == []
    assert gateway.chat(model="tiny").status == 404


def test_the_catalog_finds_new_files(local, model_folder):  # noqa: F811
    settings = local().app.extensions["settings_store"].current
    known = catalog(settings)
    assert known.find("later") is None
    (model_folder / "later.gguf").write_bytes((model_folder / "tiny.gguf").read_bytes())
    known.rescan()
    assert known.find("later") is not None


def test_the_openai_sdk_talks_to_it(local):
    import openai

    hello = [{"role": "user", "content": "hi"}]
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
    form = {"type": "json_schema", "json_schema": {"name": "number", "schema": schema, "strict": True}}
    with openai.OpenAI(base_url=f"{local().url}/v1", api_key="none", max_retries=0) as client:
        ask = client.chat.completions.create
        assert "tiny test model" in (ask(model="tiny", messages=hello).choices[0].message.content or "")
        with ask(model="tiny", messages=hello, stream=True) as stream:  # noqa: F811
            said = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
        assert "tiny test model" in said
        (call,) = ask(model="tool", messages=hello, tools=[WEATHER]).choices[0].message.tool_calls or ()
        assert json.loads(call.function.arguments) == {"city": "Paris"}
        number = ask(model="noise", messages=hello, response_format=form, max_tokens=200).choices[0].message.content
        assert isinstance(json.loads(number)["n"], int)
