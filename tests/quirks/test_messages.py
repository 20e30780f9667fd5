import copy

import orjson
import pytest

from app.quirks import messages as rules
from app.quirks.messages import NO_RESULT, ORPHAN, private_copy
from tests.quirks.targets import Notes, apply, facts

USER = {"role": "user", "content": "go"}


def call(identifier: object, name: str = "f", arguments: object = "{}") -> dict:
    return {"id": identifier, "type": "function", "function": {"name": name, "arguments": arguments}}


def assistant(*calls: dict, **more: object) -> dict:
    return {"role": "assistant", "tool_calls": list(calls), **more}


def result(identifier: object, content: object = "done") -> dict:
    return {"role": "tool", "tool_call_id": identifier, "content": content}


def test_the_copy_is_private():
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}, assistant(call("a"))],
    }
    before = copy.deepcopy(body)
    made = private_copy(body, Notes())
    made["messages"][0]["content"][0]["text"] = "changed"
    made["messages"][1]["tool_calls"][0]["function"]["name"] = "changed"
    made["messages"].append(USER)
    assert body == before


@pytest.mark.parametrize(
    ("message", "expected"),
    (
        ("hello", {"role": "user", "content": "hello"}),
        ({"content": "x"}, {"role": "user", "content": "x"}),
        ({"role": "user", "content": {"type": "text", "text": "x"}},
         {"role": "user", "content": [{"type": "text", "text": "x"}]}),
        ({"role": "user", "content": ["x", None]},
         {"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "text", "text": ""}]}),
        ({"role": "user", "content": 7}, {"role": "user", "content": "7"}),
        ({"role": "assistant", "content": "x", "tool_calls": []}, {"role": "assistant", "content": "x"}),
        ({"role": "assistant", "content": "x", "tool_calls": None}, {"role": "assistant", "content": "x"}),
        ({"role": "assistant", "tool_calls": ["junk", {"id": "a"}]},
         {"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": ""}}]}),
    ),
)  # fmt: skip
def test_wrong_types_do_not_reach_the_rules(message, expected):
    assert private_copy({"messages": [message]}, Notes())["messages"] == [expected]


def test_what_is_no_message_is_left_out():
    assert private_copy({"messages": [None, 3, []]}, Notes())["messages"] == []
    assert private_copy({"messages": "junk"}, Notes()) == {"messages": "junk"}


@pytest.mark.parametrize(
    ("calls", "answers"),
    (
        ([call(""), call("")], [result(""), result("")]),
        ([call(None), call(None)], [{"role": "tool", "content": "1"}, result(None)]),
        ([call("a"), call("a")], [result("a"), result("a")]),
    ),
)
def test_ids_are_repaired_pairwise_in_order(calls, answers):
    body, places = apply(rules.repair_ids, {"messages": [USER, assistant(*calls), *answers]})
    ids = [one["id"] for one in body["messages"][1]["tool_calls"]]
    assert len(set(ids)) == 2 and all(ids)
    assert [message["tool_call_id"] for message in body["messages"][2:]] == ids
    assert places
    again, places = apply(rules.repair_ids, body)
    assert again == body and places == []


def test_an_id_that_comes_again_in_a_later_turn_gets_its_own():
    history = [USER, assistant(call("a")), result("a"), assistant(call("a")), result("a", "second")]
    body, _ = apply(rules.repair_ids, {"messages": history})
    first, second = (body["messages"][n]["tool_calls"][0]["id"] for n in (1, 3))
    assert first == "a" != second
    assert [body["messages"][n]["tool_call_id"] for n in (2, 4)] == [first, second]
    assert apply(rules.repair_ids, {"messages": history})[0] == body  # the same ids each time: prompt caches


def test_a_result_that_never_came_does_not_take_the_next_ones():
    history = [USER, assistant(call("")), assistant(call("")), result("", "second")]
    body, _ = apply(rules.repair_ids, {"messages": history})
    assert body["messages"][3]["tool_call_id"] == body["messages"][2]["tool_calls"][0]["id"]


def test_types_names_and_indexes_of_calls():
    bare = {"id": "a", "index": 0, "function": {"arguments": "{}"}}
    body, places = apply(rules.repair_call_types, {"messages": [assistant(bare)]})
    assert body["messages"][0]["tool_calls"] == [call("a", "unknown_tool")]
    assert len(places) == 3


def test_glued_arguments_become_two_calls():
    body, _ = apply(
        rules.repair_arguments, {"messages": [assistant(call("a", "w", '{"p":1}{"p":2}'), call("b", "w", {"p": 3}))]}
    )
    calls = body["messages"][0]["tool_calls"]
    assert [one["function"]["arguments"] for one in calls] == ['{"p":1}', '{"p":2}', '{"p":3}']
    assert len({one["id"] for one in calls}) == 3


TEXT = {"role": "assistant", "content": "ok"}


@pytest.mark.parametrize(
    ("history", "expected"),
    (
        # sound: untouched
        ([USER, assistant(call("a"), call("b")), result("a"), result("b"), TEXT], None),
        # a missing result is filled in
        ([USER, assistant(call("a"), call("b")), result("a"), TEXT],
         [USER, assistant(call("a"), call("b")), result("a"), result("b", NO_RESULT), TEXT]),
        ([USER, assistant(call("a"))], [USER, assistant(call("a")), result("a", NO_RESULT)]),
        # another order than the calls'
        ([USER, assistant(call("a"), call("b")), result("b"), result("a")],
         [USER, assistant(call("a"), call("b")), result("a"), result("b")]),
        # text between
        ([assistant(call("a"), call("b")), result("a"), USER, result("b")],
         [assistant(call("a"), call("b")), result("a"), result("b"), USER]),
        # without a call
        ([USER, result("z", "x"), TEXT], [USER, {"role": "user", "content": f"{ORPHAN}\nx"}, TEXT]),
        ([USER, result("z", ""), TEXT], [USER, TEXT]),
        ([USER, assistant(call("a")), result("a"), result("a", "again"), TEXT],
         [USER, assistant(call("a")), result("a"), {"role": "user", "content": f"{ORPHAN}\nagain"}, TEXT]),
        # a client that rewrites ids
        ([USER, assistant(call("a"), call("b")), result("x1", "1"), result("x2", "2")],
         [USER, assistant(call("a"), call("b")), result("a", "1"), result("b", "2")]),
    ),
)  # fmt: skip
def test_each_call_is_followed_by_its_result(history, expected):
    body, places = apply(rules.pair_results, {"messages": history})
    assert body["messages"] == (expected or history)
    assert bool(places) is (expected is not None)
    again, places = apply(rules.pair_results, body)
    assert again == body and places == []


def test_results_without_a_call_can_be_dropped():
    body, _ = apply(rules.pair_results, {"messages": [USER, result("z")]}, facts(orphanToolResults="drop"))
    assert body["messages"] == [USER]


@pytest.mark.parametrize(
    ("part", "expected"),
    (
        ({"type": "input_text", "text": "x"}, {"type": "text", "text": "x"}),
        ({"type": "input_image", "image_url": "data:jpg;base64,AA", "detail": "low"},
         {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,AA", "detail": "low"}}),
        ({"type": "image_url", "image_url": "http://x/y.png"},
         {"type": "image_url", "image_url": {"url": "http://x/y.png"}}),
        ({"type": "image_url", "image_url": {"url": "data:png;base64,AA"}},
         {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}),
        ({"type": "text", "text": None}, {"type": "text", "text": ""}),
        ({"text": "x"}, {"type": "text", "text": "x"}),
        ({"type": "text", "text": "x", "cache_control": {}}, {"type": "text", "text": "x", "cache_control": {}}),
        ({"type": "input_audio", "input_audio": {}}, {"type": "input_audio", "input_audio": {}}),
    ),
)  # fmt: skip
def test_content_parts(part, expected):
    body, _ = apply(rules.repair_parts, {"messages": [{"role": "user", "content": [part]}]})
    assert body["messages"][0]["content"] == [expected]


def test_null_fields_go_but_null_content_stays():
    message = {"role": "assistant", "content": None, "refusal": None, "audio": None, "function_call": None}
    assert apply(rules.drop_null_fields, {"messages": [message]})[0]["messages"] == [
        {"role": "assistant", "content": None}
    ]


def test_half_surrogates_become_replacement_characters_everywhere():
    dirty = {
        "messages": [{"role": "user", "content": [{"type": "text", "text": "a\ud83d한"}]}],
        "tools": [{"x\ud800": 1}],
    }
    body, places = apply(rules.replace_surrogates, dirty)
    assert body["messages"][0]["content"][0]["text"] == "a\ufffd한"
    assert places == ["messages", "tools"]
    orjson.dumps(body)
    whole = {"messages": [{"role": "user", "content": "😀"}]}
    assert apply(rules.replace_surrogates, whole) == (whole, [])
