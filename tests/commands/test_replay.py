"""`python -m app replay`: to a client, byte for byte and at its pace; to the formatter; to another model."""

import http.client
import json
import re
import signal
import time

import pytest

from app.capture import load_capture
from tests.captures import asks, capture, chunk, emitted_events, note, raw_events, save, says
from tests.commands.stored import HOSTILE, ask, request_id, running, say


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
def exported(gateway, run_here, tmp_path):
    """Ask, export, and return the file with what the client got."""

    def exported(**fields):
        reply = ask(gateway, **fields)
        path = tmp_path / "one.jsonl"
        assert run_here("export", request_id(reply), "-o", str(path)).returncode == 0
        return path, reply

    return exported


def post(url, body):
    connection = http.client.HTTPConnection(url.removeprefix("http://").partition("/")[0], timeout=20)
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


class TestToClient:
    def test_the_same_bytes_are_printed(self, exported, run):
        path, reply = exported()
        done = run("replay", str(path), "--to", "client", "--speed", "0")
        assert done.returncode == 0 and done.stdout.encode() == reply.raw

    def test_at_the_recorded_pace_unless_told_otherwise(self, run, tmp_path):
        path = save(capture(asks("Hi"), *emitted_events(["{}", "{}", "[DONE]"], step=0.6)), tmp_path / "slow.jsonl")
        took = []
        for speed in ("1", "0"):
            began = time.monotonic()
            assert run("replay", str(path), "--to", "client", "--speed", speed).returncode == 0
            took.append(time.monotonic() - began)
        assert took[0] >= 1.3 and took[0] - took[1] > 0.8

    @pytest.mark.parametrize("stream", [True, False])
    def test_it_is_served_to_any_client(self, exported, upstream, tmp_path, stream):
        if not stream:
            upstream.reply_json({"choices": [{"index": 0, "message": {"content": "Hello"}, "finish_reason": "stop"}]})
        path, reply = exported(stream=stream)
        with running(tmp_path, "replay", str(path), "--to", "client", "--speed", "0", "--port", "0") as command:
            url = re.search(r"http://\S+", command.wait_for(lambda line: "is served at" in line))[0]
            for _ in range(2):
                status, headers, raw = post(url, {"anything": 1})
                assert (status, raw) == (200, reply.raw)
                assert headers["Content-Type"] == reply.headers["content-type"]
            command.process.send_signal(signal.SIGTERM)
            assert command.process.wait(20) == 0

    def test_a_refusal_keeps_its_status(self, exported, upstream, tmp_path):
        upstream.refuse(429, {"error": {"message": "Too many."}})
        path, _ = exported()
        with running(tmp_path, "replay", str(path), "--to", "client", "--port", "0") as command:
            url = re.search(r"http://\S+", command.wait_for(lambda line: "is served at" in line))[0]
            status, _, raw = post(url, {})
        assert status == 429 and json.loads(raw)["error"]["message"] == "Too many."

    def test_a_taken_port_is_a_sentence(self, exported, run_here, gateway):
        path, _ = exported()
        done = run_here("replay", str(path), "--to", "client", "--port", str(gateway.port))
        assert done.returncode == 1 and "Cannot listen" in done.stderr

    def test_an_answer_that_was_not_kept_to_its_end_says_so(self, run_here, tmp_path):
        made = capture(asks("Hi"), *emitted_events(["{}"]), dropped_events=7)
        done = run_here("replay", str(save(made, tmp_path / "x.jsonl")), "--to", "client", "--speed", "0")
        assert done.stdout == "data: {}\n\n" and "7 reads and writes" in done.stderr

    def test_a_capture_without_an_answer(self, run_here, tmp_path):
        done = run_here("replay", str(save(capture(asks("Hi")), tmp_path / "x.jsonl")), "--to", "client")
        assert done.returncode == 1 and "does not hold" in done.stderr


class TestToFormatter:
    def test_the_same_as_then(self, exported, run_here):
        path, reply = exported()
        done = run_here("replay", str(path), "--to", "formatter")
        assert (done.returncode, done.stdout) == (0, f"{request_id(reply)}: the same as then\n")

    def test_v_tells_the_repairs_of_then_and_now(self, exported, run_here):
        path, _ = exported()
        printed = run_here("replay", str(path), "--to", "formatter", "-v", GATEWAY_REPAIRS="finish.map=warn").stdout
        assert "repairs then: finish.map=1" in printed and "finish.map=1;warn" in printed.partition("repairs now:")[2]

    def test_a_difference_is_a_diff_and_exit_code_1(self, exported, run_here):
        path, _ = exported()
        path.write_text(path.read_text("utf-8").replace("there.", "nowhere.", 1), "utf-8")
        done = run_here("replay", str(path), "--to", "formatter")
        assert done.returncode == 1
        assert [line for line in done.stdout.splitlines() if line.startswith("+") and "nowhere." in line]
        told = json.loads(run_here("replay", str(path), "--to", "formatter", "--json").stdout)
        assert told["same"] is False and "nowhere." in told["difference"]

    def test_other_settings_make_a_difference(self, exported, run_here):
        path, _ = exported()
        assert run_here("replay", str(path), "--to", "formatter", GATEWAY_REPAIRS="finish.map=off").returncode == 1

    def test_a_difference_cannot_steer_the_terminal(self, run_here, tmp_path):
        events = [*raw_events(says(HOSTILE)), *emitted_events([json.dumps(chunk({"content": "x"}))])]
        path = save(capture(asks("Hi"), *events), tmp_path / "x.jsonl")
        done = run_here("replay", str(path), "--to", "formatter")
        assert done.returncode == 1 and not [mark for mark in ("\x1b", "\x9b", "\u202e") if mark in done.stdout]

    def test_what_cannot_be_replayed_is_a_sentence(self, run_here, tmp_path):
        path = save(capture(asks("Hi"), note(0.1, "answer", {})), tmp_path / "x.jsonl")
        done = run_here("replay", str(path), "--to", "formatter")
        assert done.returncode == 2 and "cannot be replayed" in done.stderr


class TestToUpstream:
    @pytest.fixture
    def settings(self, tmp_path, upstream):
        models = {"some-model": {}, "other": {"id": "better-model"}}
        options = {"engine": "relay", "baseURL": upstream.base_url, "apiKey": "sk-upstream-0123456789"}
        config = tmp_path / "opencode.json"
        config.write_text(json.dumps({"provider": {"up": {"options": options, "models": models}}}), "utf-8")
        return {"OPENCODE_CONFIG": str(config)}

    def test_both_answers_side_by_side(self, exported, run_here, upstream, settings):
        path, _ = exported()
        counted = {"prompt_tokens": 70, "completion_tokens": 30, "total_tokens": 100}
        upstream.reply_sse([chunk({"content": "Good day."}), chunk({}, "stop"), {"choices": [], "usage": counted}])
        done = run_here("replay", str(path), "--to", "upstream", "--model", "other", **settings)
        assert done.returncode == 0, done.stderr
        (line,) = [line for line in done.stdout.splitlines() if "Good day." in line]
        assert line.startswith("Hello there. ") and "| Good day." in line and "| 70 + 30 tokens" in done.stdout
        assert upstream.bodies[-1]["model"] == "better-model"
        assert upstream.bodies[-1]["messages"][-1]["content"] == "Say hello."

    def test_json_and_the_same_model(self, exported, run_here, upstream, settings):
        path, _ = exported()
        call = {"index": 0, "id": "call_1", "function": {"name": "look", "arguments": "{}"}}
        upstream.reply_sse([{"choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]}])
        told = json.loads(run_here("replay", str(path), "--to", "upstream", "--json", **settings).stdout)
        assert told["then"]["text"] == "Hello there." and told["now"]["tool_calls"] == [{"name": "look", "arguments": "{}"}]
        assert told["now"]["model"] == "some-model" and told["now"]["error"] is None

    def test_a_refusal_is_shown_beside_and_is_exit_code_1(self, exported, run_here, upstream, settings):
        path, _ = exported()
        upstream.refuse(401, {"error": {"message": "Who are you?"}})
        done = run_here("replay", str(path), "--to", "upstream", **settings)
        assert done.returncode == 1 and "error: " in done.stdout and "Hello there." in done.stdout

    def test_an_unknown_model(self, exported, run_here, settings):
        path, _ = exported()
        done = run_here("replay", str(path), "--to", "upstream", "--model", "no-such", **settings)
        assert done.returncode == 1 and "no-such" in done.stdout and "Traceback" not in done.stderr


@pytest.mark.parametrize("text", ["", "no capture", '{"capture": 99, "summary": {}}', "\x1f\x8bnot packed"])
def test_a_file_that_is_no_capture_is_a_sentence(run_here, tmp_path, text):
    path = tmp_path / "x.jsonl"
    path.write_bytes(text.encode("latin-1"))
    done = run_here("replay", str(path), "--to", "client")
    assert done.returncode == 2 and "Error" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [(), ("--to", "nowhere"), ("--to", "client", "--speed", "-1")])
def test_a_wrong_command_ends_with_2(run_here, tmp_path, arguments):
    path = save(capture(asks("Hi")), tmp_path / "x.jsonl")
    assert load_capture(path).events
    assert run_here("replay", str(path), *arguments).returncode == 2
