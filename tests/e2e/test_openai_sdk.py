"""The real openai SDK against a real gateway process: its own mock, and both engines with an upstream behind them."""

import asyncio
import json

import openai
import pytest
from pydantic import BaseModel

pytestmark = pytest.mark.e2e

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CITIES = ("Seoul", "Reykjavík")
CALLS = [{"name": "get_weather", "arguments": {"city": city}} for city in CITIES]
TWO_CALLS = {
    "turns": [
        {"tool_calls": CALLS, "arguments_pieces": 4},
        {"text": "The last tool said: {{last_tool}}"},
    ]
}


class Weather(BaseModel):
    city: str
    degrees: int


@pytest.fixture(params=["mock", "through-litellm", "through-relay"])
def model(request):
    return request.param


@pytest.fixture
def client(gateway):
    with openai.OpenAI(base_url=gateway.base_url, api_key="any-key", max_retries=0, timeout=60) as client:
        yield client


def script(step, text="Do as the script says."):
    return [{"role": "user", "content": f"{text}\nmock-script: {json.dumps(step)}"}]


def joined(chunks):
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


def test_text(client, model):
    answer = client.chat.completions.create(model=model, messages=script({"text": "Hello from the script."}))
    assert answer.choices[0].message.content == "Hello from the script."
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == model and answer.object == "chat.completion" and answer.id.startswith("chatcmpl-")
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0


def test_stream(client, model):
    chunks = list(
        client.chat.completions.create(
            model=model,
            messages=script({"text": "One two three four."}),
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert joined(chunks) == "One two three four."
    assert len({chunk.id for chunk in chunks}) == 1 and {chunk.model for chunk in chunks} == {model}
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason] == ["stop"]
    assert [chunk.choices for chunk in chunks if chunk.usage] == [[]] and chunks[-1].usage.total_tokens > 0


def test_stream_without_usage_has_none(client, model):
    chunks = list(client.chat.completions.create(model=model, messages=script({"text": "Hi."}), stream=True))
    assert not any(chunk.usage for chunk in chunks) and all(chunk.choices for chunk in chunks)


def test_a_tool_loop(client, model):
    messages = script(TWO_CALLS)
    first = client.chat.completions.create(model=model, messages=messages, tools=[WEATHER])
    message = first.choices[0].message
    assert first.choices[0].finish_reason == "tool_calls"
    assert [json.loads(call.function.arguments)["city"] for call in message.tool_calls] == list(CITIES)
    assert len({call.id for call in message.tool_calls}) == 2

    messages.append(message.model_dump(exclude_none=True))
    for call in message.tool_calls:
        city = json.loads(call.function.arguments)["city"]
        messages.append({"role": "tool", "tool_call_id": call.id, "content": f"{city}: 7 degrees"})
    last = client.chat.completions.create(model=model, messages=messages, tools=[WEATHER])
    assert last.choices[0].message.content == "The last tool said: Reykjavík: 7 degrees"


def test_the_stream_helper_puts_parallel_calls_together(client, model):
    with client.chat.completions.stream(model=model, messages=script(TWO_CALLS), tools=[WEATHER]) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    calls = final.choices[0].message.tool_calls
    assert [json.loads(call.function.arguments)["city"] for call in calls] == list(CITIES)
    assert [call.index for call in calls] == [0, 1] and final.choices[0].finish_reason == "tool_calls"
    assert "tool_calls.function.arguments.done" in kinds


def test_parse_into_a_model(client, model):
    answer = client.chat.completions.parse(
        model=model, messages=script({"text": '{"city": "Seoul", "degrees": 7}'}), response_format=Weather
    )
    assert answer.choices[0].message.parsed == Weather(city="Seoul", degrees=7)


def test_parse_tool_arguments_into_a_model(client, model):
    step = {"tool_calls": [{"name": "Weather", "arguments": {"city": "Seoul", "degrees": 7}}]}
    answer = client.chat.completions.parse(
        model=model, messages=script(step), tools=[openai.pydantic_function_tool(Weather)]
    )
    assert answer.choices[0].message.tool_calls[0].function.parsed_arguments == Weather(city="Seoul", degrees=7)


def test_raw_response(client, model):
    raw = client.chat.completions.with_raw_response.create(model=model, messages=script({"text": "Hi."}))
    assert raw.headers["x-request-id"].startswith("req_")
    assert raw.parse().choices[0].message.content == "Hi."


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_upstream_refusals_keep_their_class_and_message(client, model, status, kind, stream):
    step = {"error": {"status": status, "message": "No, said the script.", "retry_after": 3}}
    with pytest.raises(kind) as caught:
        client.chat.completions.create(model=model, messages=script(step), stream=stream)
    assert caught.value.status_code == status
    assert "No, said the script." in caught.value.body["message"]
    assert set(caught.value.body) == {"message", "type", "param", "code"}
    if status == 429:
        assert caught.value.response.headers["retry-after"] == "3"


def test_an_error_within_a_stream_is_raised(client, model):
    step = {"text": "one two three four five", "error": {"status": 500, "message": "It broke."}, "error_after": 3}
    step["delay"] = 0.05  # what comes in one read with the error may share its fate
    chunks = []
    with pytest.raises(openai.APIError, match="It broke"):
        for chunk in client.chat.completions.create(model=model, messages=script(step), stream=True):
            chunks.append(chunk)
    assert joined(chunks).startswith("one")


def test_a_cut_stream_is_not_a_happy_end(client, model):
    step = {"text": "one two three four five", "cut_after": 3}
    with pytest.raises(openai.APIError):
        list(client.chat.completions.create(model=model, messages=script(step), stream=True))


def test_an_unknown_model_is_a_not_found_error(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="through-litelm", messages=script({"text": "Hi."}))
    assert caught.value.code == "model_not_found" and "through-litellm" in caught.value.body["message"]


def test_a_bad_request_names_its_parameter(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="mock", messages=script({}), temperature="hot")
    assert caught.value.param == "temperature" and caught.value.type == "invalid_request_error"


def test_models(client):
    names = [model.id for model in client.models.list()]
    assert {"mock", "through-litellm", "through-relay"} <= set(names)
    assert client.models.retrieve("mock").id == "mock"
    assert client.models.retrieve("own/mock").object == "model"


def test_legacy_completions(client, model):
    answer = client.completions.create(model=model, prompt="def add(a, b):", max_tokens=20)
    assert answer.object == "text_completion" and answer.choices[0].text
    chunks = list(client.completions.create(model=model, prompt="def add(a, b):", max_tokens=20, stream=True))
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices) == answer.choices[0].text


def test_the_async_client_runs_many_at_once(gateway, model):
    async def ask(client, number):
        stream = await client.chat.completions.create(
            model=model, messages=script({"text": f"Answer number {number}."}), stream=True
        )
        return joined([chunk async for chunk in stream])

    async def ask_all():
        async with openai.AsyncOpenAI(base_url=gateway.base_url, api_key="any-key", max_retries=0) as client:
            return await asyncio.gather(*(ask(client, number) for number in range(20)))

    assert asyncio.run(ask_all()) == [f"Answer number {number}." for number in range(20)]
