"""The budget of a small context: the tools stay whole, the oldest goes first, pairs stay together, no silent loss."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.emulation.budget import Limits, cost, estimate_tokens, fit, units_of, without_middle
from app.errors import InvalidRequest

AGENTS = Path(__file__).parent.parent / "fixtures" / "agents"
WORDS = "The quick brown fox jumps over the lazy dog. "


def user(text):
    return {"role": "user", "content": text}


def system(text):
    return {"role": "system", "content": text}


def pair(number, result):
    call = {"id": f"c{number}", "type": "function", "function": {"name": "read", "arguments": "{}"}}
    return [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": f"c{number}", "content": result},
    ]


def total(fitted, section=""):
    return sum(map(cost, fitted.messages)) + estimate_tokens(section)


# What tiktoken's cl100k_base counts for these texts.
COUNTED = [
    (WORDS * 100, 1001),
    ("def f(x):\n    return x + 1\n" * 100, 1100),
    ('{"name": "read_file", "arguments": {"path": "src/main.py"}}\n' * 50, 900),
    ("3fa85f6457174562b3fc2c963f66afa6" * 50, 851),
    ("우리는 게이트웨이가 필요합니다. " * 50, 750),
    ("我们需要一个网关来处理请求" * 50, 400),
    ("🙂👍🏽🚀" * 50, 550),
]


@pytest.mark.parametrize(("text", "tokens"), COUNTED, ids=lambda value: str(value)[:12])
def test_the_estimate_is_near_the_truth(text, tokens):
    assert 0.88 <= estimate_tokens(text) / tokens <= 1.5


@pytest.mark.parametrize("text", ["x" * 40_000, "word " * 8_000, " " * 40_000, "-" * 40_000, "x = 1\n" + " " * 40_000])
def test_a_text_of_few_pieces_is_no_reason_to_send_more_than_was_seen_to_pass(text):
    fitted = fit([system(text), user("Hi")], "# Tools", Limits(28_000, 5_400))
    assert 15_000 < len(fitted.messages[0]["content"]) <= 24_000


def test_what_fits_is_left_as_it_is():
    messages = [system("Be brief."), user("Hi"), *pair(1, "text")]
    fitted = fit(messages, "# Tools", Limits(28_000, 5_400))
    assert fitted.messages == messages
    assert fitted.changes == ()
    assert fit(messages, "# Tools", Limits()).messages == messages


def test_the_system_text_is_cut_so_that_the_tools_stay_whole():
    fitted = fit([system("x" * 30_000), user("Hi")], "T" * 3_000, Limits(28_000, None))
    assert len(fitted.messages[0]["content"]) <= 25_000
    assert fitted.messages[0]["content"].startswith("xxxx")
    assert "left out by the gateway" in fitted.messages[0]["content"]
    assert fitted.messages[1] == user("Hi")
    assert "system text cut from 30000" in fitted.changes[0]


def test_the_oldest_turns_go_first_and_the_last_user_message_stays():
    turns = [user(f"question {n} " + WORDS * 20) for n in range(20)]
    fitted = fit([system("Be brief."), *turns], "", Limits(None, 1_500))
    assert fitted.messages[0] == system("Be brief.")
    assert fitted.messages[-1] == turns[-1]
    assert [m["content"][:11] for m in fitted.messages[1:]] == [m["content"][:11] for m in turns[-len(fitted.messages) + 1 :]]
    assert total(fitted) <= 1_500
    assert total(fitted) > 1_000


@pytest.mark.parametrize("limit", range(900, 1_500, 60))
def test_what_is_left_of_a_conversation_begins_with_a_question(limit):
    said = {"role": "assistant", "content": WORDS}
    turns = [[user(f"question {n} " + WORDS * 3), *pair(n, WORDS * 5), said] for n in range(9)]
    fitted = fit([system("Be brief."), *sum(turns, []), user("The last.")], "", Limits(None, limit))
    assert fitted.messages[1]["role"] == "user" and total(fitted) <= limit and len(fitted.messages) > 6


def test_an_agent_keeps_its_task_and_whole_pairs():
    task = user("Fix the bug in main.py")
    steps = [message for number in range(30) for message in pair(number, f"result {number} " + WORDS * 10)]
    fitted = fit([system("Be brief."), task, *steps], "tools", Limits(None, 1_500))
    assert fitted.messages[1] == task
    assert fitted.messages[-2:] == steps[-2:]
    rest = fitted.messages[2:]
    for call, result in zip(rest[::2], rest[1::2], strict=True):
        assert call["tool_calls"][0]["id"] == result["tool_call_id"]


def test_a_long_result_loses_its_middle_and_says_so():
    result = "FIRST " + WORDS * 2_000 + " LAST"
    fitted = fit([system("Be brief."), user("Read it"), *pair(1, result)], "tools", Limits(None, 1_500))
    text = fitted.messages[-1]["content"]
    assert text.startswith("FIRST") and text.endswith("LAST") and "left out by the gateway" in text
    assert total(fitted, "tools") <= 1_500
    assert any("tool result cut" in change for change in fitted.changes)


def test_the_system_text_gives_way_to_a_result_but_not_wholly():
    messages = [system("S" + WORDS * 300), user("Read it"), *pair(1, WORDS * 300)]
    fitted = fit(messages, "tools", Limits(None, 3_000))
    assert total(fitted, "tools") <= 3_000
    assert estimate_tokens(fitted.messages[0]["content"]) > 1_000
    assert estimate_tokens(fitted.messages[-1]["content"]) > 1_000


@pytest.mark.parametrize(
    "messages", [[user(WORDS * 1_000)], [system("Be brief."), user(WORDS * 1_000)]], ids=["alone", "with system"]
)
def test_a_user_message_is_never_cut(messages):
    with pytest.raises(InvalidRequest) as caught:
        fit(messages, "", Limits(None, 1_500))
    assert (caught.value.status, caught.value.code) == (400, "context_length_exceeded")


def test_a_long_system_text_gives_way_before_a_short_history_is_dropped():
    steps = [message for number in range(3) for message in pair(number, f"number {number}")]
    fitted = fit([system("Be kind and careful with files. " * 620), user("The task."), *steps], "", Limits(28_000, 4_400))
    assert len(fitted.messages) == 8 and total(fitted) <= 4_400


def test_the_end_of_the_system_text_stays_and_one_mark_counts_it_all():
    text = "Be kind and careful with files. " * 900 + "\nWorking directory: /home/me"
    fitted = fit([system(text), user("Read it"), *pair(1, WORDS * 400)], "", Limits(28_000, 5_400))
    head = fitted.messages[0]["content"]
    assert head.endswith("Working directory: /home/me") and head.count("left out by the gateway") == 1
    assert len([change for change in fitted.changes if "system" in change]) == 1
    assert f"{len(text) - len(head)} characters" in head


def test_two_long_results_share_the_room():
    first, result = pair(1, WORDS * 300)
    second = {**result, "tool_call_id": "c2"}
    fitted = fit([user("Read both"), first, result, second], "", Limits(None, 2_000))
    one, two = (len(message["content"]) for message in fitted.messages[-2:])
    assert one == two > 3_000


def test_tools_that_do_not_fit_are_refused_not_cut():
    with pytest.raises(InvalidRequest, match="tools alone"):
        fit([user("Hi")], "T" * 30_000, Limits(28_000, None))
    with pytest.raises(InvalidRequest, match="tokens"):
        fit([user("Hi")], WORDS * 2_000, Limits(None, 5_400))


def test_what_comes_in_is_not_changed():
    messages = [system("Be brief."), user("Read it"), *pair(1, WORDS * 2_000)]
    before = json.dumps(messages)
    fit(messages, "tools", Limits(None, 1_500))
    assert json.dumps(messages) == before


@pytest.mark.parametrize("path", sorted(AGENTS.glob("*.json")), ids=lambda path: path.stem)
def test_requests_of_real_agents_fit_or_are_refused(path):
    found = json.loads(path.read_text("utf-8"))
    body = found.get("body", found)
    try:
        fitted = fit(body["messages"], "# Tools " + WORDS * 50, Limits(28_000, 5_400))
    except InvalidRequest as error:
        pytest.fail(str(error))
    assert total(fitted) <= 5_400


def test_pieces_that_belong_together():
    messages = [user("a"), *pair(1, "x"), {"role": "tool", "tool_call_id": "c2", "content": "y"}, user("b")]
    assert [len(unit) for unit in units_of(messages)] == [1, 3, 1]


def test_the_middle_is_what_is_left_out():
    cut = without_middle("a" * 600 + "b" * 300, 300)
    assert cut.startswith("a" * 160) and cut.endswith("b" * 80) and "left out" in cut and len(cut) == 300
    assert without_middle("abc", 3) == "abc" and without_middle("a" * 100, 10) == "a" * 10


parts = st.lists(
    st.one_of(
        st.text(max_size=3_000).map(user),
        st.text(max_size=3_000).map(lambda text: {"role": "assistant", "content": text}),
        st.tuples(st.integers(0, 9), st.text(max_size=3_000)).map(lambda made: pair(*made)),
    ),
    max_size=12,
)


@given(parts, st.text(max_size=3_000), st.integers(200, 2_000))
@settings(max_examples=60, deadline=None)
def test_whatever_comes_fits_or_is_refused(made, prompt, limit):
    messages = [message for part in made for message in (part if isinstance(part, list) else [part])]
    try:
        fitted = fit([system(prompt), *messages], "tools", Limits(28_000, limit))
    except InvalidRequest as error:
        assert error.code == "context_length_exceeded"
        return
    assert total(fitted) <= limit + 40  # the marks that stand for what was cut
    wanted = {call["id"] for message in fitted.messages for call in message.get("tool_calls") or ()}
    assert {m["tool_call_id"] for m in fitted.messages if m["role"] == "tool"} <= wanted
    asked = [message for message in messages if message["role"] == "user"]
    assert not asked or asked[-1] in fitted.messages
