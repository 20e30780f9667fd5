import pytest

from app.quirks import groq as rules
from app.quirks.families import NPM_PROVIDERS
from app.quirks.parameters import learn
from app.quirks.preparation import prepare
from app.quirks.report import Report
from app.quirks.rule import Facts
from tests.quirks.targets import FakeTarget, apply, facts

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
HISTORY = [
    {"role": "user", "content": "x", "name": "bob"},
    {
        "role": "assistant",
        "content": None,
        "reasoning": "r",
        "reasoning_content": "r",
        "refusal": None,
        "channel": "commentary",
        "tool_calls": [{"id": "a", "index": 0, "extra_content": {}, "function": {"name": "f"}}],
    },
    {"role": "tool", "tool_call_id": "a", "content": None, "name": "f"},
]


def groq(host: str = "api.groq.com", model: str = "openai/gpt-oss-20b", **options: object) -> Facts:
    return facts(model, **options)._replace(host=host, dropped=[])


def test_the_history_is_cleaned():
    body, places = apply(rules.clean_history, {"messages": HISTORY}, groq())
    assert body["messages"] == [
        {"role": "user", "content": "x"},
        {"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f"}}]},
        {"role": "tool", "tool_call_id": "a", "content": ""},
    ]
    assert len(places) == 9
    again, places = apply(rules.clean_history, body, groq())
    assert again == body and places == []


def test_fields_that_are_to_stay_in_the_history():
    messages = [{"role": "assistant", "content": "x", "reasoning": "r", "channel": "c"}]
    body, _ = apply(rules.clean_history, {"messages": messages}, groq(messageFields=["reasoning"]))
    assert body["messages"] == [{"role": "assistant", "content": "x", "reasoning": "r"}]


def test_gpt_oss_elsewhere_keeps_its_reasoning():
    assert apply(rules.clean_history, {"messages": HISTORY}, groq("localhost")) == ({"messages": HISTORY}, [])


def test_only_users_send_parts():
    text = [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "b"}]
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    messages = [
        {"role": "system", "content": text},
        {"role": "user", "content": [*text, image]},
        {"role": "assistant", "content": text},
        {"role": "tool", "tool_call_id": "a", "content": text},
        {"role": "user", "content": "plain"},
    ]
    body, places = apply(rules.plain_content, {"messages": messages}, groq())
    contents = [message["content"] for message in body["messages"]]
    plain = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert contents == ["a\nb", [*plain, image], "a\nb", "a\nb", "plain"]
    assert places == [f"messages[{position}].content" for position in range(4)]
    assert apply(rules.plain_content, body, groq()) == (body, [])
    assert apply(rules.plain_content, {"messages": messages}, groq("localhost"))[1] == []


def test_parameters():
    known = groq()
    body, _ = apply(rules.drop_unsupported, {"logprobs": True, "logit_bias": {}, "n": 2, "seed": 1}, known)
    assert body == {"messages": [], "seed": 1}
    assert known.dropped == ["logprobs", "logit_bias", "n"]
    assert apply(rules.drop_unsupported, {"n": 1}, groq())[0] == {"messages": [], "n": 1}
    assert apply(rules.drop_unsupported, {"n": 2}, groq("localhost"))[1] == []


@pytest.mark.parametrize(
    ("model", "given", "sent"),
    (
        ("openai/gpt-oss-20b", "low", "low"),
        ("openai/gpt-oss-20b", "medium", "medium"),
        ("openai/gpt-oss-120b", "high", "high"),
        ("openai/gpt-oss-20b", "none", "low"),
        ("openai/gpt-oss-20b", "minimal", "low"),
        ("openai/gpt-oss-20b", "xhigh", "high"),
        ("openai/gpt-oss-20b", "default", None),
        ("openai/gpt-oss-20b", 7, None),
        ("qwen/qwen3-32b", "none", "none"),
        ("qwen/qwen3-32b", "default", "default"),
        ("qwen/qwen3-32b", "minimal", "default"),
        ("qwen/qwen3-32b", "high", "default"),
        ("llama-3.3-70b-versatile", "high", "high"),
    ),
)
def test_reasoning_effort(model, given, sent):
    known = groq(model=model)
    body, places = apply(rules.known_effort, {"reasoning_effort": given}, known)
    assert body.get("reasoning_effort") == sent
    assert places == ([] if sent == given else ["reasoning_effort"])
    assert known.dropped == ([] if sent else ["reasoning_effort"])
    assert apply(rules.known_effort, body, known) == (body, [])


def test_reasoning_effort_by_option_as_an_object_and_elsewhere():
    own = groq(reasoningEfforts={"minimal": "medium"})
    assert apply(rules.known_effort, {"reasoning_effort": "minimal"}, own)[0]["reasoning_effort"] == "medium"
    body, _ = apply(rules.known_effort, {"reasoning": {"effort": "xhigh"}}, groq())
    assert body == {"messages": [], "reasoning_effort": "high"}
    body, _ = apply(rules.known_effort, {"reasoning": {"max_tokens": 5}}, groq())
    assert body == {"messages": []}
    assert apply(rules.known_effort, {"reasoning_effort": "minimal"}, groq("localhost"))[1] == []


@pytest.mark.parametrize("name", ["reasoning_format", "reasoning_effort", "include_reasoning"])
def test_what_a_model_does_not_know_is_learned(name):
    assert learn(f'{{"error": {{"message": "`{name}` is not supported with this model"}}}}') == [(name, "")]
    assert learn('{"error": {"message": "`tools` is not supported with this model"}}') == []


@pytest.mark.parametrize(
    ("given", "sent"),
    (
        ({"reasoning_format": "raw", "tools": [TOOL]}, {"reasoning_format": "parsed", "tools": [TOOL]}),
        ({"reasoning_format": "raw"}, {"reasoning_format": "raw"}),
        ({"reasoning_format": "hidden", "tools": [TOOL]}, {"reasoning_format": "hidden", "tools": [TOOL]}),
        ({"reasoning_format": "parsed", "include_reasoning": True}, {"reasoning_format": "parsed"}),
        ({"reasoning_format": "parsed", "include_reasoning": False}, {"reasoning_format": "hidden"}),
        ({"include_reasoning": False}, {"include_reasoning": False}),
    ),
)
def test_the_format_of_reasoning(given, sent):
    body, places = apply(rules.parse_reasoning, given, groq())
    assert body == {"messages": []} | sent
    assert bool(places) is (given != sent)
    assert apply(rules.parse_reasoning, given, groq("localhost"))[1] == []


SCHEMA = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}


def test_json_beside_tools_goes_into_the_prompt():
    given = {"response_format": SCHEMA, "tools": [TOOL], "messages": [{"role": "system", "content": "s"}]}
    known = groq()
    body, places = apply(rules.json_beside_tools, given, known)
    assert "response_format" not in body and places == ["response_format"]
    assert body["messages"][0]["content"].startswith("s\n\n") and '{"type":"object"}' in body["messages"][0]["content"]
    assert known.dropped == ["response_format"]
    for kept in (groq("localhost"), groq(jsonWithTools=True)):
        assert apply(rules.json_beside_tools, given, kept)[1] == []


@pytest.mark.parametrize(
    ("given", "streamed"),
    (
        ({"stream": True, "response_format": SCHEMA}, False),
        ({"stream": True, "response_format": {"type": "json_object"}}, False),
        ({"stream": True, "response_format": {"type": "text"}}, True),
        ({"stream": True}, True),
    ),
)
def test_json_is_not_streamed(given, streamed):
    given = given | {"stream_options": {"include_usage": True}}
    body, places = apply(rules.whole_json, given, groq())
    assert body["stream"] is streamed
    assert ("stream_options" in body) is streamed
    assert bool(places) is not streamed
    assert apply(rules.whole_json, given, groq("localhost"))[1] == []


def test_gpt_oss_at_any_address_of_groqs_package_is_groqs():
    from app.config import Settings
    from app.utils.model_resolver import resolve_model

    package = next(npm for npm, provider in NPM_PROVIDERS.items() if provider == "groq")
    options = {"baseURL": "http://relay.example/v1"}
    provider = {"npm": package, "options": options, "models": {"gpt-oss-20b": {}}}
    target = resolve_model("gpt-oss-20b", Settings.load({}, dotenv=False, opencode={"provider": {"g": provider}}))
    prepared = prepare({"messages": HISTORY, "tools": [TOOL], "logprobs": True}, target, Report())
    assert "logprobs" not in prepared and "reasoning" not in prepared["messages"][1]


def test_preparing_twice_changes_nothing_more():
    target = FakeTarget(model="openai/gpt-oss-20b", base_url="https://api.groq.com/openai/v1")
    body = {
        "messages": HISTORY,
        "tools": [TOOL],
        "response_format": SCHEMA,
        "reasoning_effort": "minimal",
        "reasoning_format": "raw",
        "stream": True,
    }
    once = prepare(body, target, Report())
    report = Report()
    assert prepare(once, target, report) == once
    assert report.counts == {}
