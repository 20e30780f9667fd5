"""Captures served as a model, to real clients over HTTP: what they get, and what they are told when nothing fits."""

import json
import time

import pytest

from app.check import check
from app.engines import replay
from app.errors import ConfigError
from tests.captures import (
    asks,
    called,
    calls,
    capture,
    chunk,
    emitted_events,
    note,
    raw_events,
    result,
    save,
    says,
    target,
)
from tests.conftest import settings_for

TASK = "Write hello.txt"
DONE = asks(TASK, called("write"), result("Wrote file."))
STEPS = {
    "1": (asks("Generate a title", TASK, tools=False), says("A title")),
    "2": (asks(TASK), calls("write", filePath="hello.txt", content="hi")),
    "3": (DONE, says("Done, ", "it is.")),
}


@pytest.fixture
def folder(tmp_path):
    """A session of three requests, as it was recorded."""
    session = tmp_path / "captures" / "session1"
    session.mkdir(parents=True)
    for at, (name, (body, chunks)) in enumerate(STEPS.items()):
        save(capture(body, *raw_events(chunks), id=f"req_{name}", started=at), session / f"{name}.jsonl.gz")
    return session.parent


def recorded(captures, models=("session1",), **options):
    return {"rec": {"options": {"engine": "replay", "captures": str(captures), **options}, "models": {m: {} for m in models}}}


@pytest.fixture
def gateway(serve, folder):
    return serve(recorded(folder))


def ask(gateway, body, model="session1", **headers):
    return gateway.post("/v1/chat/completions", {**body, "model": model}, headers)


class TestSession:
    def test_a_whole_session_is_answered_without_a_network(self, gateway):
        assert ask(gateway, STEPS["1"][0]).text == "A title"
        call = ask(gateway, STEPS["2"][0])
        assert [made["function"]["name"] for made in call.tool_calls] == ["write"]
        assert json.loads(call.tool_calls[0]["function"]["arguments"]) == {"filePath": "hello.txt", "content": "hi"}
        last = ask(gateway, DONE)
        assert (last.text, last.finish) == ("Done, it is.", ["stop"])

    def test_what_the_upstream_said_is_repaired_as_it_was_then(self, gateway):
        reply = ask(gateway, STEPS["2"][0])
        assert reply.tool_calls[0]["id"] and reply.finish == ["tool_calls"]
        wanted = ("tool.id", "stream.tool_index", "finish.map")
        repairs = gateway.repairs(lambda found: all(found[rule]["count"] for rule in wanted))
        assert all(repairs[rule]["count"] for rule in wanted), repairs

    def test_it_answers_under_the_name_it_is_asked_by(self, gateway):
        assert {made["model"] for made in ask(gateway, STEPS["1"][0], "rec/session1").chunks} == {"rec/session1"}

    @pytest.mark.parametrize("name", STEPS)
    def test_a_stream_can_be_asked_for_whole(self, gateway, name):
        streamed, whole = ask(gateway, STEPS[name][0]), ask(gateway, {**STEPS[name][0], "stream": False})
        assert not whole.streamed and streamed.finish == whole.finish
        assert streamed.text == (whole.json["choices"][0]["message"]["content"] or "")
        assert [made["function"] for made in streamed.tool_calls] == [made["function"] for made in whole.tool_calls]

    def test_a_request_that_fits_nothing_is_a_404_with_the_nearest(self, gateway):
        reply = ask(gateway, asks("Describe how birds migrate", called("write"), result("x")))
        assert reply.status == 404 and reply.error["code"] == "no_capture"
        assert "`session1`" in reply.error["message"] and "req_3" in reply.error["message"]

    def test_new_captures_are_seen_without_a_restart(self, gateway, folder):
        other = asks("Something entirely different", stream=False)
        assert ask(gateway, other).status == 404
        answer = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "New."}, "finish_reason": "stop"}]}
        save(capture(other, note(0.2, "upstream_response", json.dumps(answer))), folder / "session1" / "4.jsonl")
        assert ask(gateway, other).text == "New."

    def test_a_damaged_capture_does_not_end_the_others(self, gateway, folder):
        (folder / "session1" / "0.jsonl").write_text("{", "utf-8")
        assert ask(gateway, STEPS["1"][0]).text == "A title"

    def test_sessions_of_clients_do_not_disturb_each_other(self, serve, tmp_path):
        busy = {"type": "UpstreamError", "message": "busy", "status": 429, "upstream_status": 429, "upstream_body": "busy"}
        save(capture(asks(TASK), note(0.1, "error", busy), started=1, status=429), tmp_path / "1.jsonl")
        save(capture(asks(TASK), *raw_events(says("ok")), started=2), tmp_path / "2.jsonl")
        gateway = serve(recorded(tmp_path))
        said = [ask(gateway, asks(TASK), **{"x-session-id": client}).status for client in ("a", "b", "a", "b")]
        assert said == [429, 429, 200, 200]


class TestAnswers:
    """Each kind of answer that an upstream gave comes again."""

    def play(self, serve, tmp_path, *events, body=None, **more):
        save(capture(body or asks(TASK), *events, **more), tmp_path / "one.jsonl")
        gateway = serve(recorded(tmp_path / "one.jsonl", models=("m",)))
        return ask(gateway, body or asks(TASK), "m")

    def test_a_refusal_with_its_status_words_and_waiting_time(self, serve, tmp_path):
        said = {"upstream_status": 429, "upstream_headers": {"retry-after": "7"}}
        said["upstream_body"] = json.dumps({"error": {"message": "Quota is gone.", "code": "rate_limit_exceeded"}})
        error = {"type": "UpstreamError", "message": "Quota is gone.", "status": 429, **said}
        reply = self.play(serve, tmp_path, note(0.2, "error", error))
        assert reply.status == 429 and reply.error["message"] == "Quota is gone." and reply.headers["retry-after"] == "7"

    def test_a_stream_that_was_cut(self, serve, tmp_path):
        error = {"type": "UpstreamTruncated", "message": "It hung up."}
        reply = self.play(serve, tmp_path, *raw_events(says("Half a")[:2], done=False), note(0.3, "error", error))
        assert reply.stream_error["code"] == "upstream_truncated" and b"Half a" in reply.raw

    def test_an_upstream_that_was_not_reached(self, serve, tmp_path):
        error = {"type": "UpstreamUnreachable", "message": "No answer from the upstream."}
        reply = self.play(serve, tmp_path, note(0.3, "error", error))
        assert (reply.status, reply.error["code"]) == (502, "upstream_unreachable")

    def test_a_first_answer_that_was_useless_and_the_second(self, serve, tmp_path):
        again = note(0.5, "upstream_request", asks(TASK))
        empty = raw_events([chunk({"role": "assistant"}), chunk({}, "stop")])
        assert self.play(serve, tmp_path, *empty, again, *raw_events(says("Now."), start=0.6)).text == "Now."

    def test_text_of_a_model_without_tools(self, serve, tmp_path):
        block = '<tool_call>\n{"name": "write", "arguments": {"filePath": "a"}}\n</tool_call>'
        pieces = ["I write. ", block[:20], block[20:]]
        options = {"toolEmulation": True, "maxSystemCharacters": 28_000}
        jimmy = target(engine_name="chatjimmy", model="llama3.1-8B", base_url="https://chatjimmy.ai", options=options)
        reply = self.play(serve, tmp_path, *raw_events(pieces, done=False), resolved=jimmy)
        assert reply.text.strip() == "I write." and reply.tool_calls[0]["function"]["name"] == "write"

    def test_raw_harmony(self, serve, tmp_path):
        text = '<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant to=functions.write<|channel|>commentary json'
        text += '<|message|>{"filePath":"a"}<|call|>'
        pieces = [{"id": "cmpl-1", "choices": [{"index": 0, "text": text[at : at + 9]}]} for at in range(0, len(text), 9)]
        pieces.append({"id": "cmpl-1", "choices": [{"index": 0, "text": "", "finish_reason": "stop"}]})
        oss = target(engine_name="harmony", model="gpt-oss-20b", base_url="http://vllm.example")
        reply = self.play(serve, tmp_path, *raw_events(pieces), resolved=oss)
        assert reply.tool_calls[0]["function"] == {"name": "write", "arguments": '{"filePath":"a"}'}
        assert "<|" not in reply.text

    def test_what_the_client_got_where_nothing_else_is_known(self, serve, tmp_path):
        events = [json.dumps(each) for each in says("From ", "the mock")] + ["[DONE]"]
        mock = target(engine_name="mock", model="mock", base_url=None)
        assert self.play(serve, tmp_path, *emitted_events(events), resolved=mock).text == "From the mock"

    def test_the_older_text_completion(self, serve, tmp_path):
        body = {"model": "m", "prompt": "Once upon", "stream": True}
        save(capture(body, *raw_events(says(" a time")), path="/v1/completions"), tmp_path / "one.jsonl")
        reply = serve(recorded(tmp_path, models=("m",))).post("/v1/completions", body)
        assert "".join(made["choices"][0]["text"] for made in reply.chunks if made["choices"]) == " a time"


class TestPace:
    def test_at_once_unless_asked_otherwise(self, serve, tmp_path):
        save(capture(asks(TASK), *raw_events(says("a", "b"), step=60)), tmp_path / "slow.jsonl")
        began = time.monotonic()
        assert ask(serve(recorded(tmp_path)), asks(TASK)).text == "ab"
        assert time.monotonic() - began < 20

    def test_at_the_recorded_pace(self, serve, tmp_path):
        save(capture(asks(TASK), *raw_events(says("a", "b"), start=0.25, step=0.1)), tmp_path / "slow.jsonl")
        began = time.monotonic()
        assert ask(serve(recorded(tmp_path, speed=1)), asks(TASK)).text == "ab"
        assert 0.5 <= time.monotonic() - began < 10

    def test_silence_is_bridged(self, serve, tmp_path):
        save(capture(asks(TASK), *raw_events(says("a"), step=0.3)), tmp_path / "slow.jsonl")
        gateway = serve(recorded(tmp_path, speed=1), GATEWAY_KEEP_ALIVE="0.05")
        reply = ask(gateway, asks(TASK))
        assert reply.text == "a" and b": keep-alive" in reply.raw


class TestSettings:
    def test_the_address_may_say_it_all(self, serve, folder):
        providers = {"rec": {"options": {"baseURL": f"replay:{folder}"}, "models": {"session1": {}}}}
        assert ask(serve(providers), STEPS["1"][0]).text == "A title"

    @pytest.mark.parametrize("engine", [None, "relay"])
    def test_the_models_id_may_say_it_all(self, serve, folder, monkeypatch, engine):
        monkeypatch.setattr(replay, "USUAL_FOLDER", str(folder))
        options = {"baseURL": "https://upstream.invalid/v1"} | ({"engine": engine} if engine else {})
        models = {"replay:session1": {}, "mine": {"id": "replay:session1"}, "gone": {"id": "replay:nobody"}}
        gateway = serve({"any": {"options": options, "models": models}})
        for name in ("replay:session1", "mine"):
            assert ask(gateway, STEPS["1"][0], name).text == "A title"
        reply = ask(gateway, STEPS["1"][0], "gone")
        assert reply.status == 500 and "There is no capture nobody" in reply.error["message"]

    def test_a_client_cannot_say_it(self, serve, upstream, folder, monkeypatch):
        monkeypatch.setattr(replay, "USUAL_FOLDER", str(folder))
        upstream.reply_json({"choices": [{"index": 0, "message": {"content": "Real"}, "finish_reason": "stop"}]})
        options = {"engine": "relay", "baseURL": upstream.base_url, "apiKey": "sk-upstream-0123456789"}
        gateway = serve({"any": {"options": options, "models": {"*": {}}}})
        body = STEPS["1"][0] | {"model": "replay:session1", "stream": False}
        assert gateway.post("/v1/chat/completions", body).json["choices"][0]["message"]["content"] == "Real"

    def test_one_file_serves_opencode_and_the_gateway(self, serve, folder):
        providers = recorded(folder, baseURL="http://localhost:8000/v1", apiKey="not-needed")
        assert ask(serve(providers), STEPS["1"][0]).text == "A title"

    @pytest.mark.parametrize("name", ["session1/1.jsonl.gz", "session1/1"])
    def test_a_file_is_found_with_and_without_its_ending(self, folder, name):
        assert [entry.recording.id for entry in replay.open_session(folder / name).entries] == ["req_1"]

    def test_without_an_entry_of_its_name_a_model_is_all_of_the_folder(self, serve, folder):
        gateway = serve(recorded(folder / "session1", models=("any-name",)))
        assert ask(gateway, STEPS["1"][0], "any-name").text == "A title"

    @pytest.mark.parametrize("model", ["..", "../captures/session1", "/etc/hosts", "x" * 5_000, "\x00"])
    def test_a_name_does_not_lead_out_of_the_folder(self, folder, model):
        assert len(replay.open_session(folder / "session1", model).entries) == len(STEPS)

    @pytest.mark.parametrize(
        "options", [{"captures": "no/such/folder"}, {"captures": ""}, {"captures": 1}, {"speed": -1}, {"speed": "x"}]
    )
    def test_settings_that_cannot_work_are_told(self, serve, folder, options):
        providers = recorded(folder)
        providers["rec"]["options"] |= options
        reply = ask(serve(providers), STEPS["1"][0])
        assert (reply.status, reply.error["code"]) == (500, "config_error")
        findings = check(settings_for(providers))
        assert [finding.level for finding in findings if "session1" in finding.path] == ["error"]

    def test_sound_settings_are_no_finding(self, folder):
        assert [finding for finding in check(settings_for(recorded(folder))) if finding.level == "error"] == []

    def test_captures_without_anything_to_replay_are_a_warning(self, tmp_path):
        save(capture(asks(TASK)), tmp_path / "empty.jsonl")
        findings = check(settings_for(recorded(tmp_path)))
        assert [finding.level for finding in findings if "session1" in finding.path] == ["warning"]

    def test_a_single_file_that_is_no_capture_is_told(self, tmp_path):
        (tmp_path / "x.jsonl").write_text("no capture", "utf-8")
        with pytest.raises(ConfigError, match=r"x\.jsonl"):
            replay.open_session(tmp_path / "x.jsonl")

    def test_nobodys_key_is_needed(self, serve, folder):
        gateway = serve(recorded(folder))
        assert ask(gateway, STEPS["1"][0], Authorization="Bearer sk-clients-own-key-000").status == 200
