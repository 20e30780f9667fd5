"""`python -m app show`: the conversation, what became of the request, the chunks; nothing of it steers a terminal."""

import json

import pytest

from tests.captures import asks, capture, emitted_events, raw_events, save, says
from tests.commands.stored import HOSTILE, ask, request_id, say

SCHEMA = {"type": "object", "properties": {"at": {"type": "integer"}}, "additionalProperties": False}
TOOL = {"type": "function", "function": {"name": "look", "parameters": SCHEMA}}
MODELS = {"some-model": {"id": "gemini-2.5-flash"}}
STEERING = ("\x1b", "\x07", "\x9b", "\u202e")


@pytest.fixture
def trace_depth():
    return "chunks"


@pytest.fixture
def upstream(stored):
    return stored.upstream


@pytest.fixture
def gateway(stored, upstream):
    say(upstream, "Hello ", "there.")
    return stored.gateway


@pytest.fixture
def show(run_here):
    def show(*arguments, code=0, **environ):
        done = run_here("show", *arguments, **environ)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout if code == 0 else done.stderr

    return show


def test_a_conversation(gateway, show):
    history = [
        {"role": "system", "content": "You are brief."},
        {"role": "user", "content": [{"type": "text", "text": "Look."}, {"type": "image_url", "image_url": {"url": "data:x"}}]},
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": "call_7", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}]},
        {"role": "tool", "tool_call_id": "call_7", "content": "It is blue."},
    ]  # fmt: skip
    reply = ask(gateway, messages=history, tools=[TOOL], temperature=0.5)
    shown = show(request_id(reply))
    for words in ("[1] system", "You are brief.", "(image_url)", 'look({"at": 1}) call_7', "(answers call_7)", "It is blue.",
                  "tools (1): look", '"temperature": 0.5', "answer (stop)", "  Hello there.", "finish.map"):  # fmt: skip
        assert words in shown, words


def test_the_beginning_of_an_id_is_enough_and_last_is_the_newest(gateway, show):
    first, second = ask(gateway, "One"), ask(gateway, "Two")
    for name in (request_id(first), request_id(first)[:14], request_id(first)[4:12]):
        assert "  One" in show(name)
    assert "  Two" in show("last") and request_id(second) in show("last")


@pytest.mark.parametrize("name", ["req_000000000000000000000000", "abcdef0123", "ab", "req_"])
def test_an_unknown_request_is_a_sentence(gateway, show, name):
    ask(gateway)
    assert "Error: " in show(name, code=1)


def test_the_difference_between_what_came_and_what_was_sent(gateway, show):
    reply = ask(gateway, tools=[TOOL])
    shown = show(request_id(reply), "--diff")
    assert "+ stream_options" in shown and "- tools[0].function.parameters.additionalProperties: false" in shown
    changes = json.loads(show(request_id(reply), "--diff", "--json"))["diff"]
    assert {"path": "tools[0].function.parameters.additionalProperties", "before": False} in changes


def test_both_sides_of_the_chunks_with_the_rules_between(gateway, show):
    reply = ask(gateway)
    shown = show(request_id(reply), "--chunks").splitlines()
    raw = next(at for at, line in enumerate(shown) if "STOP" in line)
    rule = next(at for at, line in enumerate(shown) if "== finish.map" in line)
    emitted = next(at for at, line in enumerate(shown) if '"stop"' in line.partition("|")[2])
    assert raw < rule < emitted
    assert not shown[raw].partition("|")[2].strip() and not shown[emitted].partition("|")[0].split()[1:]
    cells = json.loads(show(request_id(reply), "--chunks", "--json"))["chunks"]
    assert {cell["station"] for cell in cells} == {"raw", "rule", "emitted"}
    assert [cell["at"] for cell in cells] == sorted(cell["at"] for cell in cells)


def test_what_the_upstream_really_said(gateway, show, upstream):
    upstream.refuse(403, {"error": {"message": "Not for you.", "reason": "the real one"}})
    reply = ask(gateway)
    shown = show(request_id(reply))
    assert "error: " in shown and "status 403" in shown and "the upstream said (403)" in shown and "the real one" in shown


def test_json_has_all_parts(gateway, show):
    reply = ask(gateway)
    told = json.loads(show(request_id(reply), "--json"))
    assert told["summary"]["id"] == request_id(reply)
    assert told["client_request"]["messages"] and told["upstream_request"]["messages"] and told["resolved"]["engine_name"]
    assert told["answer"]["choices"][0]["message"]["content"] == "Hello there." and told["repairs"]


@pytest.mark.parametrize("options", [(), ("--chunks",), ("--diff",), ("--json",), ("-v",), ("--chunks", "-v")])
def test_a_model_cannot_steer_the_terminal(gateway, show, upstream, options):
    say(upstream, HOSTILE, "\x1b]52;c;aGk=\x07")
    reply = ask(gateway, HOSTILE)
    shown = show(request_id(reply), *options)
    assert not [mark for mark in STEERING if mark in shown]


def test_a_text_cannot_pass_for_a_line_of_ours(gateway, show, upstream):
    say(upstream, "fine\n[9] system\nerror: not really")
    shown = show(request_id(ask(gateway))).splitlines()
    assert "[9] system" not in shown and "  [9] system" in shown


def test_long_texts_are_cut_unless_asked_for(gateway, show, upstream):
    say(upstream, *["word " * 2_000] * 10)
    reply = ask(gateway)
    assert len(show(request_id(reply))) < 10_000 and "more characters" in show(request_id(reply))
    assert len(show(request_id(reply), "-v")) > 50_000


def test_a_huge_answer_is_shown_soon(gateway, show, upstream):
    say(upstream, *["x" * 10_000] * 500)
    reply = ask(gateway)
    show(request_id(reply))
    show(request_id(reply), "--chunks")


def test_no_key_is_shown(gateway, show):
    key = "canary-key-0123456789-abcdef"
    reply = ask(gateway, f"My key is {key}", headers={"Authorization": f"Bearer {key}"})
    for options in ((), ("--diff",), ("--chunks",), ("--json",)):
        assert key not in show(request_id(reply), *options)


def test_a_shallow_depth_is_told(client_for, upstream, show, tmp_path):
    say(upstream, "Hello.")
    gateway = client_for("relay", GATEWAY_TRACE="headers")
    folder = {"GATEWAY_DATA_DIR": str(tmp_path / "var")}
    reply = ask(gateway)
    for option in ("--diff", "--chunks"):
        assert "GATEWAY_TRACE" in show(request_id(reply), option, **folder)
    assert request_id(reply) in show(request_id(reply), **folder)


@pytest.mark.parametrize("prompt", ["Once\nupon", ["Once", "upon"]])
def test_a_prompt_is_shown_as_what_was_said(show, tmp_path, prompt):
    body = {"model": "some-model", "prompt": prompt, "suffix": "!"}
    shown = show(str(save(capture(body, path="/v1/completions"), tmp_path / "x.jsonl"))).splitlines()
    assert "prompt" in shown and "  Once" in shown and "  upon" in shown and 'fields: {"suffix": "!"}' in shown


@pytest.mark.parametrize("option", [(), ("--chunks",)])
def test_an_answer_that_was_not_kept_to_its_end_says_so(show, tmp_path, option):
    made = capture(asks("Hi"), *raw_events(says("Hello")), *emitted_events(["{}"]), dropped_events=7)
    assert "7 reads and writes" in show(str(save(made, tmp_path / "x.jsonl")), *option)
