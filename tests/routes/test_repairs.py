"""GET /v1/repairs: every rule with its words, its setting and its counts."""

import time
from pathlib import Path

import pytest

from tests.answers import completion, tool, tool_call

TURN = completion(None, tool_calls=[tool_call(identifier="")])
FLASH = {"gemini-2.5-flash": {}, "some-model": {}}


def rules(gateway, query=""):
    answer = gateway.get("/v1/repairs" + query)
    assert answer.status == 200, answer.raw
    return {rule["id"]: rule for rule in answer.json["data"]}, answer.json


def test_every_rule_is_listed_once_with_what_it_repairs(client_for):
    found, answer = rules(client_for("relay"))
    assert answer["object"] == "list" and len(found) == len(answer["data"]) > 60
    for rule in found.values():
        assert rule["departure"].endswith((".", ":", ")")), rule
        assert rule["stage"] in ("request", "answer", "error") and rule["mode"] in ("fix", "warn", "off")
        assert rule["count"] == 0 and rule["counts"] == {} and rule["warnings"] == {}
    assert found["gemini.schema"]["families"] == ["gemini"] and found["tool.id"]["families"] == []


def test_repairs_of_whole_answers_streams_and_failures_are_counted(client_for, upstream):
    gateway = client_for("relay")
    upstream.reply_json(TURN)
    assert gateway.chat(tools=[tool()], stream=True).tool_calls[0]["id"]
    assert gateway.chat(tools=[tool()]).tool_calls[0]["id"]
    upstream.refuse(400)
    assert gateway.chat(parallel_tool_calls=True).status == 400
    gateway.repairs(lambda found: found["tool.id"]["count"] == 2 and found["parameter.tool_choice"]["count"] == 1)
    found, answer = rules(gateway)
    assert answer["scope"] == "server"
    assert found["tool.id"]["counts"] == {"up/some-model": 2}
    assert found["tool.id"]["count"] == found["tool.id"]["total"] == 2
    assert found["parameter.tool_choice"]["counts"] == {"up/some-model": 1}


def test_settings_are_shown_and_a_warning_is_no_repair(client_for, upstream):
    gateway = client_for("relay", GATEWAY_REPAIRS="tool.id=warn,usage=off")
    upstream.reply_json(TURN)
    gateway.chat(tools=[tool()])
    gateway.repairs(lambda found: bool(found["tool.id"]["warnings"]))
    found, _ = rules(gateway)
    assert (found["tool.id"]["mode"], found["tool.id"]["default"]) == ("warn", "fix")
    assert found["tool.id"]["count"] == 0 and found["tool.id"]["warnings"] == {"up/some-model": 1}
    assert found["usage.final_chunk"]["mode"] == "off"


def test_one_model_shows_its_own_rules_and_settings(serve):
    options = {"baseURL": "http://127.0.0.1:1/v1", "engine": "relay", "repairs": {"tool.id": "off"}}
    gateway = serve({"up": {"options": options, "models": FLASH}})
    plain, _ = rules(gateway, "?model=some-model")
    flash, _ = rules(gateway, "?model=up/gemini-2.5-flash")
    assert "gemini.schema" not in plain and "gemini.schema" in flash
    assert plain["tool.id"]["mode"] == flash["tool.id"]["mode"] == "off"


def test_an_unknown_model_is_an_error(client_for):
    answer = client_for("relay").get("/v1/repairs?model=nothing")
    assert (answer.status, answer.error["code"]) == (404, "model_not_found")


def test_it_needs_a_key_where_keys_are_set(client_for):
    gateway = client_for("relay", GATEWAY_API_KEYS="a-key-of-this-gateway")
    assert gateway.get("/v1/repairs").status == 401
    assert gateway.get("/v1/repairs", {"Authorization": "Bearer a-key-of-this-gateway"}).status == 200


def read_when(path: Path, word: str) -> str:
    """Read a file as soon as `word` stands in it: a request's last line is written just after its last byte."""
    deadline = time.monotonic() + 5
    while word not in (text := path.read_text("utf-8")):
        assert time.monotonic() < deadline, text
        time.sleep(0.01)
    return text


@pytest.mark.parametrize("verbose", ["0", "1"])
def test_the_log_names_the_repairs_also_of_a_stream(client_for, upstream, tmp_path, verbose):
    log = tmp_path / "gateway.log"
    gateway = client_for("relay", GATEWAY_LOG_FILE=str(log), GATEWAY_VERBOSE=verbose)
    upstream.reply_json(TURN)
    for stream in (False, True):
        log.write_bytes(b"")
        gateway.chat(tools=[tool()], stream=stream)
        text = read_when(log, "repairs[")
        assert "tool.id=1" in text
        assert ("choices[0].tool_calls[0].id" in text) == (verbose == "1")
