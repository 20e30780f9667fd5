"""Questions and answers on /ws/generate: by the mock, by an upstream over both engines, and by a tiny real model."""

import json
from pathlib import Path

import pytest

from tests.answers import USAGE, stream
from tests.local_gateway import local, local_data, local_folder  # noqa: F401 (fixtures)
from tests.routes.test_local_models import status_when_idle
from tests.socket_client import SocketClient

FIXTURE = Path(__file__).resolve().parent.parent / "fixtures" / "shimmy" / "documented_vs_actual.json"
MAP = {"m": {"options": {"engine": "mock"}, "models": {"mock": {}}}}
BODY = {"model": "some-model", "prompt": "Hello"}


def test_the_described_frames(serve):
    described = json.loads(FIXTURE.read_text("utf-8"))["WS /ws/generate"]
    with SocketClient(serve(MAP).port) as client:
        *tokens, done = client.ask(**described["send"])
    *documented, end = described["receive_documented"]
    assert [set(frame) for frame in tokens] == [set(frame) for frame in documented]
    assert done.items() >= end.items()
    assert "".join(frame["token"] for frame in tokens) == described["send"]["prompt"]
    assert done["finish_reason"] == "stop" and done["usage"]["completion_tokens"] == 2


def test_an_upstream(gateway, upstream):
    upstream.reply_sse([*stream("Hel", "lo"), {"choices": [], "usage": USAGE}])
    with SocketClient(gateway.port) as client:
        frames = client.ask(**BODY, max_tokens=5, temperature=0.5)
    assert frames == [{"token": "Hel"}, {"token": "lo"}, {"done": True, "finish_reason": "stop", "usage": USAGE}]
    sent = upstream.bodies[0]
    assert sent["messages"] == [{"role": "user", "content": "Hello"}]
    assert (sent["max_tokens"], sent["temperature"], sent["stream"]) == (5, 0.5, True)


@pytest.mark.parametrize("text", ["[DONE]", '"}', 'a "quoted"\nline', "Grüße 🎉", "\u2028"])
def test_any_text_is_a_token(gateway, upstream, text):
    upstream.reply_sse(stream(text))
    with SocketClient(gateway.port) as client:
        assert client.ask(**BODY)[0] == {"token": text}


def test_several_questions_one_after_another(serve):
    with SocketClient(serve(MAP).port) as client:
        for word in ("one", "two", "three"):
            token, done = client.ask(model="mock", prompt=word)
            assert (token, done["done"]) == ({"token": word}, True)


def test_questions_may_be_sent_ahead(serve):
    with SocketClient(serve(MAP).port) as client:
        for number in range(40):
            client.send({"model": "mock", "prompt": str(number)})
        assert [client.answer()[0]["token"] for _ in range(40)] == [str(number) for number in range(40)]


@pytest.mark.parametrize("body", [b'{"model": "mock", "prompt": "Hi"}', '{"model": "mock", "prompt": "Hi", "stream": false}'])
def test_frames_of_bytes_and_of_text(serve, body):
    with SocketClient(serve(MAP).port) as client:
        client.send(body)
        assert client.answer()[0] == {"token": "Hi"}


def test_messages_and_system_are_taken_too(client_for, upstream):
    upstream.reply_sse(stream())
    with SocketClient(client_for("relay").port) as client:
        client.ask(model="default", system="Be brief.", messages=[{"role": "user", "content": "Hi"}])
    assert [message["role"] for message in upstream.bodies[0]["messages"]] == ["system", "user"]


def test_each_token_leaves_before_the_next_one_comes(gateway, upstream):
    answer = upstream.reply_sse(stream("one ", "two ", "three "))
    gates = [answer.gate_after(number) for number in (2, 3, 4)]
    with SocketClient(gateway.port) as client:
        client.send(BODY)
        for gate, word in zip(gates, ("one ", "two ", "three "), strict=True):
            assert client.next() == {"token": word}
            gate.open()
        assert client.next()["done"]


@pytest.mark.parametrize(("frame", "code", "details", "end"), [
    ("{", "invalid_request", "invalid_json", 1008),
    (b"\xff\xfe", "invalid_request", "invalid_json", 1008),
    ("[]", "invalid_request", "invalid_type", 1008),
    ('"text"', "invalid_request", "invalid_type", 1008),
    ({"prompt": "x"}, "invalid_request", "missing_required_parameter in `model`", 1008),
    ({"model": "some-model"}, "invalid_request", "missing_required_parameter in `prompt`", 1008),
    ({**BODY, "max_tokens": 0}, "invalid_request", "invalid_value in `max_tokens`", 1008),
    ({**BODY, "n": 2}, "invalid_request", "unsupported_value in `n`", 1008),
    ({**BODY, "model": "nix"}, "model_not_found", "model_not_found in `model`", 1008),
])
def test_what_cannot_be_answered(client_for, upstream, frame, code, details, end):
    with SocketClient(client_for("relay").port) as client:
        client.send(frame)
        (told,) = client.answer()
        assert set(told) == {"error"} and set(told["error"]) == {"code", "message", "details"}
        assert (told["error"]["code"], told["error"]["details"]) == (code, details)
        assert client.end() == end
    assert upstream.requests == []


@pytest.mark.parametrize(("status", "code", "end"), [(400, "invalid_request", 1008), (500, "generation_failed", 1011)])
def test_a_refusal_of_the_upstream(gateway, upstream, status, code, end):
    upstream.refuse(status, {"error": {"message": 'no "luck"'}})
    with SocketClient(gateway.port) as client:
        (told,) = client.ask(**BODY)
        assert told["error"]["code"] == code and 'no "luck"' in told["error"]["message"]
        assert client.end() == end


def test_an_error_after_the_first_words(gateway, upstream):
    gate = upstream.reply_sse([*stream()[:2], {"error": {"message": "later trouble"}}], done=False).gate_after(2)
    with SocketClient(gateway.port) as client:
        client.send(BODY)
        assert client.next() == {"token": "Hel"}
        gate.open()
        assert "later trouble" in client.next()["error"]["message"]
        assert client.end() == 1011


def test_a_cut_answer_is_not_done(gateway, upstream):
    upstream.reply_sse(stream(), done=False).cut_after(2)
    with SocketClient(gateway.port) as client:
        *_, last = client.ask(**BODY)
        assert last["error"]["details"] == "upstream_truncated"


@pytest.mark.parametrize("words", [True, False], ids=["in words", "without"])
@pytest.mark.parametrize("place", [0, 2])
def test_a_client_that_leaves_ends_the_upstreams_work(gateway, upstream, words, place):
    gate = upstream.reply_sse(stream()).gate_after(place)
    with SocketClient(gateway.port) as client:
        client.send(BODY)
        assert gate.wait_reached()
        if words:
            client.close()
            while client.next() is not None:
                pass
            assert client.close_code == 1000
    assert upstream.wait_closed()


def test_silence_is_bridged_by_pings(client_for, engine, upstream):
    gate = upstream.reply_sse(stream()).gate_after(2)
    with SocketClient(client_for(engine, GATEWAY_KEEP_ALIVE="0.05").port) as client:
        client.send(BODY)
        assert client.next() == {"token": "Hel"}
        while client.pings < 3:
            client.protocol.receive_data(client.socket.recv(4096))
            for event in client.protocol.events():
                client._take(event)
        gate.open()
        assert client.answer()[-1]["done"]


def test_a_bug_is_told_in_a_frame(serve):
    gateway = serve(MAP)
    gateway.app.extensions["repair_counts"] = None
    with SocketClient(gateway.port) as client:
        *_, told = [*client.ask(model="mock", prompt="Hi"), client.next()]
        assert told["error"]["code"] == "server_error" and "NoneType" not in told["error"]["message"]
        assert client.end() == 1011


def test_repairs_of_each_question_are_counted(client_for, upstream):
    upstream.reply_sse(stream())
    gateway = client_for("relay")

    def counted():
        rows = gateway.get("/v1/repairs").json["data"]
        return sum(row["count"] for row in rows if row["id"] == "usage.estimated")

    before = counted()
    with SocketClient(gateway.port) as client:
        client.ask(**BODY)
        client.ask(**BODY)
        client.ask(model="nix", prompt="x")
        assert counted() == before + 2


def test_a_model_on_this_machine(local):  # noqa: F811
    with SocketClient(local().port) as client:
        *tokens, done = client.ask(model="tiny", prompt="Hello", max_tokens=50)
        assert "tiny test model" in "".join(frame["token"] for frame in tokens)
        assert done["finish_reason"] == "stop" and done["usage"]["completion_tokens"] > 5
        assert client.ask(model="loop", prompt="x", max_tokens=5)[-1]["finish_reason"] == "length"


def test_a_model_on_this_machine_is_stopped_when_nobody_listens(local):  # noqa: F811
    gateway = local()
    with SocketClient(gateway.port) as client:
        client.send({"model": "loop", "prompt": "x", "max_tokens": 100_000})
        assert "one" in client.next()["token"]
    assert status_when_idle(gateway, "loop")["state"] in ("ready", "discovered")


def test_a_damaged_model(local):  # noqa: F811
    with SocketClient(local().port) as client:
        (told,) = client.ask(model="bad", prompt="x")
        assert told["error"]["code"] == "generation_failed" and "truncated" in told["error"]["message"]
        assert client.end() == 1011
