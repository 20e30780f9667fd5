import copy
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import ConfigError
from app.quirks.preparation import prepare
from app.quirks.report import Report
from tests.quirks.strict_gemini import refusals
from tests.quirks.targets import FakeTarget

AGENTS = Path(__file__).resolve().parent.parent / "fixtures" / "agents"
CAPTURED = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(AGENTS.glob("*.json"))}
REQUESTS = {name: captured for name, captured in CAPTURED.items() if "body" in captured}


def prepared(body: dict, target: FakeTarget | None = None, **more) -> tuple[dict, Report]:
    report = Report()
    return prepare(body, target or FakeTarget(), report, **more), report


@pytest.mark.parametrize("name", REQUESTS)
def test_what_agents_send_is_taken_by_strict_gemini(name):
    captured = REQUESTS[name]
    before = copy.deepcopy(captured["body"])
    body, report = prepared(captured["body"], headers=captured["headers"])
    assert refusals(body) == []
    assert captured["body"] == before  # the client's request is left alone
    if captured["would_400"]:
        assert refusals(before) and report.counts  # the validator sees what the recording saw


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize("model", ["gemini-2.5-flash", "gemini-3-flash-preview", "llama-3.3", "openai/gpt-oss-20b"])
def test_preparing_twice_changes_nothing(name, model):
    target = FakeTarget(model=model, base_url="https://api.groq.com/openai/v1" if "oss" in model else "http://x/v1")
    once, _ = prepared(REQUESTS[name]["body"], target)
    twice, report = prepared(once, target)
    assert twice == once
    assert report.counts == {}


def test_a_plain_request_to_any_upstream_is_left_as_it_is():
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "temperature": 0.2,
        "seed": 7,
        "logprobs": True,
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "$schema": "x"}}}],
    }
    sent, report = prepared(body, FakeTarget(model="some-model"))
    assert sent == body and report.counts == {}


def test_a_rule_can_be_off_or_only_warn():
    body = {"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}
    off, report = prepared(body, FakeTarget(options={"repairs": {"gemini.merge_users": "off"}}))
    assert off["messages"] == body["messages"] and report.counts == {}
    warned, report = prepared(body, FakeTarget(options={"repairs": {"gemini.merge_users": "warn"}}))
    assert warned["messages"] == body["messages"]
    assert (report.counts, report.warnings) == ({}, {"gemini.merge_users": 1})
    assert report.header() == "gemini.merge_users=1;warn"


def test_the_provider_overrides_the_setting_and_a_group_sets_all_its_rules():
    class Settings:
        repairs = "gemini=off, gemini.merge_users=warn"

    body = {"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}], "store": True}
    _, report = prepared(body, settings=Settings())
    assert (report.counts, report.warnings) == ({}, {"gemini.merge_users": 1})
    _, report = prepared(body, FakeTarget(options={"repairs": {"gemini.merge_users": "on"}}), settings=Settings())
    assert report.counts == {"gemini.merge_users": 1}


def test_a_mode_that_does_not_exist_is_said():
    with pytest.raises(ConfigError, match=r"gemini\.schema.*sometimes"):
        prepared({"messages": []}, FakeTarget(options={"repairs": {"gemini.schema": "sometimes"}}))


def test_dropped_parameters_are_named_and_refused_ones_learned():
    body = {"messages": [{"role": "user", "content": "a"}], "store": False, "top_p": 1, "top_k": 3}
    sent, report = prepared(body, learned={"top_p"})
    assert sent == {"messages": body["messages"]}
    assert report.dropped_header() == "store,top_k,top_p"


def test_long_names_go_out_short_and_the_report_knows_the_way_back():
    name = "mcp__" + "very_long_server_name_" * 3 + "create"
    calls = [{"id": "c", "type": "function", "function": {"name": name, "arguments": "{}"}}]
    body = {
        "tools": [{"type": "function", "function": {"name": name}}],
        "tool_choice": {"type": "function", "function": {"name": name}},
        "messages": [
            {"role": "user", "content": "go"},
            {"role": "assistant", "tool_calls": calls},
            {"role": "tool", "tool_call_id": "c", "content": "done"},
        ],
    }
    sent, report = prepared(body)
    new = sent["tools"][0]["function"]["name"]
    assert report.renames == {new: name} and len(new) == 64
    assert sent["tool_choice"]["function"]["name"] == new == sent["messages"][1]["tool_calls"][0]["function"]["name"]
    assert sent["messages"][2]["name"] == new
    assert refusals(sent) == []


def test_signatures_come_from_the_store_in_one_question():
    asked = []

    class Store:
        def get_many(self, ids):
            asked.append(list(ids))
            return {"call_0118da07": "SIG"}

    body = REQUESTS["opencode-parallel-turn2"]["body"]
    sent, _ = prepared(body, signatures=Store())
    assert asked == [["call_0118da07"]]
    call = next(message["tool_calls"][0] for message in sent["messages"] if "tool_calls" in message)
    assert call["extra_content"] == {"google": {"thought_signature": "SIG"}}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
CONTENT = st.one_of(
    st.none(),
    st.text(max_size=6),
    st.lists(
        st.one_of(
            st.builds(lambda text: {"type": "text", "text": text}, st.text(max_size=4)),
            st.just({"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}),
            st.just({"type": "input_text", "text": "x", "cache_control": {"type": "ephemeral"}}),
            JSON,
        ),
        max_size=3,
    ),
    JSON,
)
IDS = st.sampled_from(["a", "b", "", None, "c__thought__SIG", "d" * 80])
ARGUMENTS = st.sampled_from(['{"a":1}', "", None, {"a": 1}, '{"a":1}{"b":2}', '{"a":', "[1]", '"x"', "null", 3])
CALL = st.one_of(
    st.builds(
        lambda i, name, arguments: {"id": i, "type": "function", "function": {"name": name, "arguments": arguments}},
        IDS,
        st.sampled_from(["f", "g", "bad name!", "", "x" * 90, None]),
        ARGUMENTS,
    ),
    JSON,
)
MESSAGE = st.one_of(
    st.builds(
        lambda role, content, more: {"role": role, "content": content, **more},
        st.sampled_from(["system", "user", "assistant", "developer", "tool", "function", "alien", None]),
        CONTENT,
        st.sampled_from([{}, {"name": "n", "refusal": None, "reasoning_content": "r"}, {"tool_call_id": "a"}]),
    ),
    st.builds(lambda calls, content: {"role": "assistant", "content": content, "tool_calls": calls},
              st.lists(CALL, max_size=3), CONTENT),
    st.builds(lambda i, content: {"role": "tool", "tool_call_id": i, "content": content}, IDS, CONTENT),
    JSON,
)  # fmt: skip
BODIES = st.builds(
    lambda messages, tools, more: {"model": "m", "messages": messages, **({"tools": tools} if tools else {}), **more},
    st.lists(MESSAGE, max_size=7),
    st.lists(st.builds(lambda name, schema: {"type": "function", "function": {"name": name, "parameters": schema}},
                       st.sampled_from(["f", "g", "1st", "x" * 90]), JSON) | JSON, max_size=3),
    st.dictionaries(st.sampled_from(["store", "n", "tool_choice", "reasoning_effort", "stream_options", "extra_body",
                                     "response_format", "max_tokens", "max_completion_tokens", "stop", "google",
                                     "functions", "thinking_config", "reasoning", "temperature"]), JSON, max_size=4),
)  # fmt: skip
MODELS = st.sampled_from(["gemini-2.5-pro", "gemini-2.5-flash", "gemini-3-pro", "gpt-oss-20b", "other"])


@settings(max_examples=300, deadline=None)
@given(BODIES, MODELS)
def test_whatever_is_sent_nothing_raises_and_once_is_enough(body, model):
    before = copy.deepcopy(body)
    once, _ = prepared(body, FakeTarget(model=model))
    twice, _ = prepared(once, FakeTarget(model=model))
    assert body == before
    assert twice == once
    if model.startswith("gemini"):
        assert refusals(once, signatures=model == "gemini-3-pro") == []
