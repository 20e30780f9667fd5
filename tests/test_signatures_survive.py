"""A client that drops thought signatures, before an upstream that refuses without them: it gets through every turn."""

import sqlite3
import time
from contextlib import closing, suppress

import pytest

from tests.answers import completion
from tests.client import LiveGateway
from tests.gateway import Gateway
from tests.maps import ENGINES, UPSTREAM_KEY, write_map
from tests.upstream_gemini import GeminiMode, Turn

MODEL = "gemini-3-flash-preview"
MODELS = {MODEL: {}}
CALLS = [("read", {"path": "a"}), ("read", {"path": "b"})]
TURNS = [Turn(calls=CALLS), Turn(calls=[("read", {"path": "c"})]), Turn("All read.")]
TOOL = {
    "type": "function",
    "function": {"name": "read", "parameters": {"type": "object", "properties": {"path": {"type": "string"}}}},
}
MODES = pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
DUMMY = "skip_thought_signature_validator"
OFF = {"GATEWAY_SIGNATURE_DAYS": "0"}


def without_extras(calls):
    """What OpenCode and Cline keep of a call."""
    return [{name: call[name] for name in ("id", "type", "function")} for call in calls]


class DroppingClient:
    """Goes on with the conversation at whichever gateway it is given."""

    def __init__(self, stream):
        self.messages = [{"role": "user", "content": "Read all."}]
        self.stream = stream

    def turn(self, gateway, model=MODEL):
        reply = gateway.chat(model=model, messages=self.messages, tools=[TOOL], stream=self.stream)
        assert reply.status == 200, reply.raw
        calls = without_extras(reply.tool_calls)
        self.messages.append({"role": "assistant", "content": "", "tool_calls": calls} if calls else {
            "role": "assistant", "content": reply.text})
        self.messages += [{"role": "tool", "tool_call_id": call["id"], "content": "text"} for call in calls]
        return reply


def client_of(process):
    """A client of a gateway that is a process of its own."""
    client = LiveGateway.__new__(LiveGateway)
    client.port = process.port
    return client


def until_stored(database, signatures):
    """Wait until other workers find these: no agent is as quick as this one."""
    deadline = time.monotonic() + 20
    while True:
        found = set()
        with suppress(sqlite3.OperationalError), closing(sqlite3.connect(database, timeout=20)) as connection:  # not there yet
            found = {row[0] for row in connection.execute("SELECT signature FROM signatures")}
        if signatures <= found:
            return
        assert time.monotonic() < deadline, (signatures, found)
        time.sleep(0.01)


def sent_signatures(upstream):
    """The signatures of each step in the last request that the upstream saw."""
    steps = [message["tool_calls"] for message in upstream.bodies[-1]["messages"] if message.get("tool_calls")]
    return [[((call.get("extra_content") or {}).get("google") or {}).get("thought_signature") for call in step]
            for step in steps]


@pytest.fixture
def gemini(upstream):
    mode = GeminiMode(TURNS, id_style="short")
    upstream.reply_with(mode)
    return mode


@MODES
def test_own_signatures_come_back_in_three_turns(client_for, engine, upstream, gemini, stream):
    gateway, client = client_for(engine, MODELS), DroppingClient(stream)
    for _ in range(2):
        assert client.turn(gateway).finish == ["tool_calls"]
    assert client.turn(gateway).text == "All read."
    (first, parallel), (second,) = sent_signatures(upstream)
    assert {first, second} == gemini.issued and parallel is None
    assert gemini.refusals == []


@MODES
def test_each_turn_may_be_served_by_another_gateway(client_for, engine, upstream, gemini, stream):
    client = DroppingClient(stream)
    for _ in TURNS:  # gateways with nothing but the database in common: workers, replicas, restarts
        gateway = client_for(engine, MODELS)
        last = client.turn(gateway)
        assert gateway.app.extensions["store"].flush(20)  # no agent is as quick as this one
    assert last.text == "All read."
    assert {step[0] for step in sent_signatures(upstream)} == gemini.issued
    assert gemini.refusals == []


@MODES
def test_minted_ids_carry_signatures_as_well(client_for, engine, upstream, stream):
    gemini = GeminiMode(TURNS, id_style="empty")
    upstream.reply_with(gemini)
    client = DroppingClient(stream)
    for _ in TURNS:
        last = client.turn(client_for(engine, MODELS))
    assert last.text == "All read." and gemini.refusals == []
    assert {step[0] for step in sent_signatures(upstream)} == gemini.issued


@MODES
def test_switched_off_the_dummy_is_sent(client_for, engine, upstream, gemini, stream):
    gateway, client = client_for(engine, MODELS, **OFF), DroppingClient(stream)
    for _ in TURNS:
        last = client.turn(gateway)
    assert last.text == "All read." and gemini.refusals == []
    assert sent_signatures(upstream) == [[DUMMY, None], [DUMMY]]


def test_without_a_database_the_worker_still_knows_its_own(client_for, engine, upstream, gemini, tmp_path):
    (tmp_path / "file").touch()
    gateway, client = client_for(engine, MODELS, GATEWAY_DATA_DIR=str(tmp_path / "file" / "var")), DroppingClient(True)
    for _ in TURNS:
        last = client.turn(gateway)
    assert last.text == "All read." and gemini.refusals == []
    assert {step[0] for step in sent_signatures(upstream)} == gemini.issued


@MODES
def test_a_refused_signature_is_replaced_by_the_dummy_once(client_for, engine, upstream, gemini, stream):
    gateway, client = client_for(engine, MODELS), DroppingClient(stream)
    client.turn(gateway)
    call = client.messages[1]["tool_calls"][0]
    call["extra_content"] = {"google": {"thought_signature": "of-another-account"}}
    assert client.turn(gateway).finish == ["tool_calls"]
    assert gemini.refusals == ["Corrupted thought signature."]
    assert sent_signatures(upstream) == [[DUMMY, None]]


@MODES
def test_an_upstream_that_refuses_the_dummy_too_is_asked_twice_and_no_more(client_for, engine, upstream, gemini, stream):
    gateway, client = client_for(engine, {"gemini-2.5-pro": {}}, **OFF), DroppingClient(stream)
    client.turn(gateway, "gemini-2.5-pro")  # no dummy of its own accord for this generation
    gemini.issued.clear()
    upstream.refuse(400, [{"error": {"code": 400, "message": "Thought signature is not valid", "status": "INVALID_ARGUMENT"}}])
    before = len(upstream.bodies)
    reply = gateway.chat(model="gemini-2.5-pro", messages=client.messages, tools=[TOOL], stream=stream)
    assert (reply.status, reply.error["message"]) == (400, "Thought signature is not valid")
    assert len(upstream.bodies) - before == 2


def test_no_signature_goes_to_an_upstream_of_another_family(client_for, engine, upstream, gemini):
    gateway, client = client_for(engine, {**MODELS, "some-model": {}}), DroppingClient(False)
    client.turn(gateway)
    upstream.reply_json(completion())
    gateway.chat(model="some-model", messages=client.messages, tools=[TOOL])
    assert sent_signatures(upstream) == [[None, None]]


@pytest.mark.e2e
def test_two_workers_and_a_restart(tmp_path, upstream, gemini):
    options = {"baseURL": upstream.base_url, "apiKey": UPSTREAM_KEY, "engine": ENGINES[0]}
    model_map = write_map(tmp_path, {"provider": {"up": {"options": options, "models": MODELS}}})
    client = DroppingClient(True)
    for _ in range(2):
        with Gateway(tmp_path, OPENCODE_CONFIG=model_map, GATEWAY_WORKERS="2") as process:
            for _ in range(4):  # whichever worker it is that takes each turn
                client.messages = client.messages[:4]
                client.turn(client_of(process))
                until_stored(tmp_path / "var" / "gateway.db", gemini.issued)
            repairs = client_of(process).get("/v1/repairs").json
    assert {step[0] for step in sent_signatures(upstream)} <= gemini.issued
    assert gemini.refusals == []
    used = {rule["id"]: rule["counts"] for rule in repairs["data"] if rule["count"]}
    assert repairs["scope"] == "server" and used["gemini.thought_signature"].keys() == {f"up/{MODEL}"}
