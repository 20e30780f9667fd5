import pytest

from app.quirks import gemini_messages as rules
from app.quirks.gemini_messages import CONTINUE, EARLIER
from tests.quirks.targets import apply, facts

PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}


def system(content: object) -> dict:
    return {"role": "system", "content": content}


def user(content: object) -> dict:
    return {"role": "user", "content": content}


def assistant(content: object, *names: str) -> dict:
    calls = [{"id": name, "type": "function", "function": {"name": name, "arguments": "{}"}} for name in names]
    return {"role": "assistant", "content": content} | ({"tool_calls": calls} if calls else {})


def result(identifier: str, content: object = "done", **more: object) -> dict:
    return {"role": "tool", "tool_call_id": identifier, "content": content, **more}


def text(words: str, **more: object) -> dict:
    return {"type": "text", "text": words, **more}


CASES = (
    # several system messages: only the last would be obeyed
    (rules.merge_system, [system("a"), user("x"), system("b")], [system("a\n\nb"), user("x")]),
    (rules.merge_system, [user("x"), system("b")], [system("b"), user("x")]),
    (rules.merge_system, [system([text("a"), text("b")]), user("x")], [system("a\nb"), user("x")]),
    (rules.merge_system, [system(""), user("x")], [user("x")]),
    (rules.merge_system, [system([text("a"), PICTURE])], [system("a"), user([PICTURE])]),
    (rules.merge_system, [system("a"), user("x")], None),
    (rules.merge_system, [user("x")], None),
    # turns
    (rules.order_turns, [user("x"), assistant("a"), assistant("b")], [user("x"), assistant("a\n\nb")]),
    (rules.order_turns, [user("x"), assistant("a"), assistant("", "f")], [user("x"), assistant("a", "f")]),
    (rules.order_turns, [system("s"), assistant("", "f")], [system("s"), user(EARLIER), assistant("", "f")]),
    (rules.order_turns, [assistant("hello"), user("x")], None),
    (rules.need_user_turn, [system("s")], [system("s"), user(".")]),
    (rules.need_user_turn, [user("x")], None),
    (rules.end_with_user, [user("x"), assistant("a")], [user("x"), assistant("a"), user(CONTINUE)]),
    (rules.end_with_user, [user("x"), assistant("", "f"), result("f")], None),
    (rules.merge_users, [user("a"), user("b"), user("c")], [user("a\n\nb\n\nc")]),
    (rules.merge_users, [user("a"), user([PICTURE])], [user([text("a"), PICTURE])]),
    (rules.merge_users, [assistant("", "f"), result("f"), user("b")], None),
    # parts
    (rules.plain_parts, [result("f", [text("a"), text("b")])], [result("f", "a\nb")]),
    (rules.plain_parts, [result("f", [text("a"), PICTURE]), result("g"), user("b")],
     [result("f", "a"), result("g"), user([PICTURE, text("b")])]),
    (rules.plain_parts, [result("f", [PICTURE]), assistant("a")], [result("f", ""), user([PICTURE]), assistant("a")]),
    (rules.plain_parts, [result("f", [PICTURE])], [result("f", ""), user([PICTURE])]),
    (rules.plain_parts, [user([text("a", cache_control={"type": "ephemeral"})])], [user([text("a")])]),
    (rules.plain_parts, [assistant([{"type": "thinking", "thinking": "x"}, text("a")])], [assistant([text("a")])]),
    (rules.plain_parts, [assistant([{"type": "refusal", "refusal": "no"}])], [assistant([text("no")])]),
    (rules.plain_parts, [user([{"type": "file", "file": {"file_data": "data:application/pdf;base64,AA"}}])],
     [user([{"type": "image_url", "image_url": {"url": "data:application/pdf;base64,AA"}}])]),
    (rules.plain_parts, [user([{"type": "file", "file": {"file_id": "f1"}}])],
     [user([text("[file f1: not available]")])]),
    (rules.plain_parts, [user([text("a"), PICTURE])], None),
    # names of results
    (rules.name_results, [assistant("", "f"), result("f")], [assistant("", "f"), result("f", name="f")]),
    (rules.name_results, [assistant("", "f"), result("f", name="wrong")], [assistant("", "f"), result("f", name="f")]),
    (rules.name_results, [assistant("", "f"), result("f", name="f")], None),
    # nothing said
    (rules.fill_empty, [{**assistant("", "f")}], [{k: v for k, v in assistant("", "f").items() if k != "content"}]),
    (rules.fill_empty, [user("x"), assistant(None, "f")],
     [user("x"), {k: v for k, v in assistant("", "f").items() if k != "content"}]),
    (rules.fill_empty, [user("x"), assistant(""), user("y")], [user("x"), assistant(" "), user("y")]),
    (rules.fill_empty, [result("f"), assistant(None), user("y")], [result("f"), user("y")]),
    (rules.fill_empty, [user("x"), assistant([text("")])], [user("x")]),
    (rules.fill_empty, [user(""), result("f", "")], [user(" "), result("f", "(empty)")]),
    (rules.fill_empty, [user([text(""), PICTURE])], [user([PICTURE])]),
    (rules.fill_empty, [user([])], [user(" ")]),
    (rules.fill_empty, [user("x"), assistant("a", "f")], None),
)  # fmt: skip


@pytest.mark.parametrize(("rule", "history", "expected"), CASES)
def test_history(rule, history, expected):
    body, places = apply(rule, {"messages": history})
    assert body["messages"] == (history if expected is None else expected)
    assert bool(places) is (expected is not None)
    again, places = apply(rule, body)
    assert again == body and places == []


def test_a_prefill_may_be_kept():
    history = [user("x"), assistant("{")]
    assert apply(rules.end_with_user, {"messages": history}, facts(prefill=True))[0]["messages"] == history


def test_older_apis_are_converted():
    body = {
        "functions": [{"name": "f"}],
        "function_call": {"name": "f"},
        "messages": [
            {"role": "human", "content": "x"},
            {"role": "model", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "done"},
        ],
    }
    converted, places = apply(rules.convert_legacy, body)
    assert converted["tools"] == [{"type": "function", "function": {"name": "f"}}]
    assert converted["tool_choice"] == {"type": "function", "function": {"name": "f"}}
    assert [message["role"] for message in converted["messages"]] == ["user", "assistant", "tool"]
    assert converted["messages"][1]["tool_calls"][0]["function"]["name"] == "f"
    assert converted["messages"][2]["tool_call_id"] == "" and "functions" not in converted
    assert len(places) == 5


def test_fields_that_the_endpoint_does_not_know_are_stripped():
    history = [
        {"role": "user", "content": "x", "name": "bob", "cache_control": {}},
        {
            **assistant("a", "f"),
            "reasoning_content": "r",
            "refusal": "no",
            "extra_content": {"google": {}},
            "annotations": [],
        },
        {**result("f", name="f"), "is_error": False},
    ]
    history[1]["tool_calls"][0] |= {"provider_specific_fields": {}, "extra_content": {"google": {}}}
    history[1]["tool_calls"][0]["function"]["thought_signature"] = "s"
    body, places = apply(rules.strip_fields, {"messages": history})
    assert [sorted(message) for message in body["messages"]] == [
        ["content", "role"], ["content", "extra_content", "role", "tool_calls"],
         ["content", "name", "role", "tool_call_id"],
    ]  # fmt: skip
    call = body["messages"][1]["tool_calls"][0]
    assert sorted(call) == ["extra_content", "function", "id", "type"] and sorted(call["function"]) == [
        "arguments",
        "name",
    ]
    assert len(places) == 8
    kept, _ = apply(rules.strip_fields, {"messages": history[:1]}, facts(messageFields=["name"]))
    assert kept["messages"][0]["name"] == "bob"
