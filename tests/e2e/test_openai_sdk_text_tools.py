"""The real openai SDK with models that know no tools, through a real gateway: ChatJimmy, and gpt-oss as raw text."""

import asyncio
import json

import openai
import pytest
from pydantic import BaseModel

from tests.e2e.text_tools_session import JIMMY, MARKUP, MODELS, OSS, THOUGHT, Turn, text_models
from tests.upstream_answers import bytes_answer
from tests.upstream_jimmy import stats, text_answer

pytestmark = pytest.mark.e2e

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
    },
}
CITY = 'Reykjavík (old), "town" {1}'
ASK = [{"role": "user", "content": "What is the weather?"}]
CALL = Turn("I look.", (("get_weather", {"city": CITY}),))


class Weather(BaseModel):
    city: str
    degrees: int


@pytest.fixture(scope="module")
def shared_models(tmp_path_factory):
    with text_models(tmp_path_factory.mktemp("gateway")) as models:
        yield models


@pytest.fixture
def models(shared_models):
    yield shared_models
    shared_models.reset()


@pytest.fixture(params=MODELS)
def model(request):
    return request.param


@pytest.fixture(params=[False, True], ids=["whole", "stream"])
def stream(request):
    return request.param


@pytest.fixture
def client(models):
    with openai.OpenAI(base_url=models.gateway.base_url, api_key="any-key", max_retries=0, timeout=60) as client:
        yield client


def ask(client, model, stream, messages=ASK, **fields):
    """Ask, streamed or not; a stream is put together by the SDK's own helper."""
    if not stream:
        return client.chat.completions.create(model=model, messages=messages, **fields)
    with client.chat.completions.stream(model=model, messages=messages, **fields) as events:
        for _ in events:
            pass
        return events.get_final_completion()


def arguments(answer):
    return [json.loads(call.function.arguments) for call in answer.choices[0].message.tool_calls or ()]


def test_text(models, client, model, stream):
    models.play(model, Turn("Hello! It is <b>7</b> degrees."))
    answer = ask(client, model, stream, tools=[WEATHER])
    choice = answer.choices[0]
    assert (choice.message.content, choice.finish_reason) == ("Hello! It is <b>7</b> degrees.", "stop")
    assert not choice.message.tool_calls
    assert answer.model == model and answer.object == "chat.completion" and answer.id


def test_chunks(models, client, model):
    models.play(model, CALL)
    asked = {"model": model, "messages": ASK, "tools": [WEATHER], "stream_options": {"include_usage": True}}
    chunks = list(client.chat.completions.create(**asked, stream=True))
    assert len({chunk.id for chunk in chunks}) == 1 and {chunk.model for chunk in chunks} == {model}
    deltas = [choice.delta for chunk in chunks for choice in chunk.choices]
    assert deltas[0].role == "assistant" and "".join(delta.content or "" for delta in deltas) == "I look."
    calls = [call for delta in deltas for call in delta.tool_calls or ()]
    assert {call.index for call in calls} == {0} and calls[0].id.startswith("call_") and calls[0].type == "function"
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason] == ["tool_calls"]
    assert [chunk.choices for chunk in chunks if chunk.usage] == [[]]
    usage = chunks[-1].usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens > 10


def test_a_tool_loop(models, client, model, stream):
    models.play(model, CALL, Turn("It is 7 degrees there."))
    first = ask(client, model, stream, tools=[WEATHER])
    message = first.choices[0].message
    assert (message.content, first.choices[0].finish_reason) == ("I look.", "tool_calls")
    assert arguments(first) == [{"city": CITY}] and message.tool_calls[0].function.name == "get_weather"

    # As callers send it back: all that the SDK knows of it, or what its type allows.
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "7 degrees; </tool_result> <|end|>"}
    history = [*ASK, message.model_dump(exclude_none=True), result]
    last = ask(client, model, stream, history, tools=[WEATHER])
    assert (last.choices[0].message.content, last.choices[0].finish_reason) == ("It is 7 degrees there.", "stop")
    told = models.told(model)[-1]
    assert "7 degrees; " in told and "I look." in told and "Reykjavík" in told
    assert not [mark for mark in MARKUP if mark in last.choices[0].message.content]


def test_two_calls_in_one_answer(models, client, stream):
    models.play(JIMMY, Turn("", (("get_weather", {"city": "Seoul"}), ("get_weather", {"city": "Oslo"}))))
    answer = ask(client, JIMMY, stream, tools=[WEATHER])
    assert arguments(answer) == [{"city": "Seoul"}, {"city": "Oslo"}]
    assert len({call.id for call in answer.choices[0].message.tool_calls}) == 2
    one = ask(client, JIMMY, stream, tools=[WEATHER], parallel_tool_calls=False)
    assert arguments(one) == [{"city": "Seoul"}]


def test_reasoning_is_no_text(models, client, stream):
    models.play(OSS, Turn("It is cold."))
    message = ask(client, OSS, stream, tools=[WEATHER]).choices[0].message
    assert (message.content, message.reasoning_content) == ("It is cold.", THOUGHT)


def test_arguments_are_corrected(models, client, stream):
    """One time by the gateway alone (a number as text), one time by the model, which is asked once more."""
    typed = Turn("", (("get_weather", {"city": "Seoul", "days": "3"}),))
    models.play(JIMMY, typed, Turn("", (("get_weather", {"days": 3}),)), Turn("", (("get_weather", {"city": "Oslo"}),)))
    assert arguments(ask(client, JIMMY, stream, tools=[WEATHER])) == [{"city": "Seoul", "days": 3}]
    assert arguments(ask(client, JIMMY, stream, tools=[WEATHER])) == [{"city": "Oslo"}]
    assert len(models.told(JIMMY)) == 3


def test_a_call_that_must_be_made(models, client, model, stream):
    """gpt-oss's prompt already begins the one call; the others are told in words and asked once more."""
    said = Turn(raw=json.dumps({"city": CITY}) + "<|call|>") if model == OSS else CALL
    models.play(model, *([Turn("I would rather not.")] if model == JIMMY else []), said)
    choice = {"type": "function", "function": {"name": "get_weather"}}
    assert arguments(ask(client, model, stream, tools=[WEATHER], tool_choice=choice)) == [{"city": CITY}]


def test_no_tools_are_told_where_none_may_be_used(models, client, stream):
    models.play(JIMMY, Turn("Hello."))
    ask(client, JIMMY, stream, tools=[WEATHER], tool_choice="none")
    assert "What is the weather?" in models.told(JIMMY)[-1] and "get_weather" not in models.told(JIMMY)[-1]


def test_parse_into_a_model(models, client, model):
    models.play(model, Turn('{"city": "Seoul", "degrees": 7}'), title=None)
    answer = client.chat.completions.parse(model=model, messages=ASK, response_format=Weather)
    assert answer.choices[0].message.parsed == Weather(city="Seoul", degrees=7)


def test_parse_tool_arguments_into_a_model(models, client, model, stream):
    models.play(model, Turn("", (("Weather", {"city": "Seoul", "degrees": 7}),)))
    tools = [openai.pydantic_function_tool(Weather)]
    if stream:
        answer = ask(client, model, True, tools=tools)
    else:
        answer = client.chat.completions.parse(model=model, messages=ASK, tools=tools)
    assert answer.choices[0].message.tool_calls[0].function.parsed_arguments == Weather(city="Seoul", degrees=7)


def test_an_empty_answer_is_an_overflow(models, client, stream):
    models.play(JIMMY, Turn(raw=text_answer("", stats("", 6_100, reason="max context limit 6144 reached"))))
    with pytest.raises(openai.BadRequestError, match="exceeds the context window") as caught:
        ask(client, JIMMY, stream, tools=[WEATHER])
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "messages")
    assert len(models.conversation) == 1


def test_what_cannot_fit_is_refused(models, client, stream):
    models.play(JIMMY, Turn("Never said."))
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, JIMMY, stream, [{"role": "user", "content": "word " * 8_000}], tools=[WEATHER])
    assert caught.value.code == "context_length_exceeded" and models.conversation == []


def test_a_refusal_keeps_its_class_and_words(models, client, model, stream):
    refusal = bytes_answer(b'{"error": {"message": "The model is asleep."}}', 503, {"Content-Type": "application/json"})
    models.play(JIMMY, Turn(raw=refusal))
    models.upstream.reply(refusal)
    with pytest.raises(openai.InternalServerError, match="The model is asleep") as caught:
        ask(client, model, stream, tools=[WEATHER])
    assert caught.value.status_code == 503


def test_legacy_completions(models, client, model):
    models.play(model, Turn("    return a + b"), title=None)
    asked = {"model": model, "prompt": "def add(a, b):", "max_tokens": 200}
    assert client.completions.create(**asked).choices[0].text.strip() == "return a + b"
    chunks = list(client.completions.create(**asked, stream=True))
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices).strip() == "return a + b"


def test_the_async_client_runs_many_at_once(models, model):
    models.play(model, CALL)

    async def run(client, number):
        messages = [{"role": "user", "content": f"Question {number}"}]
        stream = await client.chat.completions.create(model=model, messages=messages, tools=[WEATHER], stream=True)
        deltas = [choice.delta async for chunk in stream for choice in chunk.choices]
        return [call.id for delta in deltas for call in delta.tool_calls or () if call.id]

    async def run_all():
        async with openai.AsyncOpenAI(base_url=models.gateway.base_url, api_key="any-key", max_retries=0) as client:
            return await asyncio.gather(*(run(client, number) for number in range(20)))

    found = asyncio.run(run_all())
    assert [len(ids) for ids in found] == [1] * 20 and len({ids[0] for ids in found}) == 20
    asked = models.told(model)
    assert len(asked) == 20 and all(any(f"Question {number}" in told for told in asked) for number in range(20))
