"""Bodies in bytes say what they said as values, and come over whole, whatever was repaired in them."""

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.trace_bodies import bytes_of, lengthen, pieces_of, read_value, shorten

MESSAGES = [{"role": "user", "content": f"{number} é " + "text " * 300} for number in range(12)]
TOOLS = [{"type": "function", "function": {"name": f"tool_{number}", "description": "does " * 400}} for number in range(6)]
BODY = {"model": "a/b", "messages": MESSAGES, "tools": TOOLS, "stream": True}


def over(received, sent):
    """Return the notes of a request as they arrive, and how many bytes were sent of what went upstream."""
    notes = [(0.1, "client_request", received), (0.2, "resolved", {"model": "m"}), (0.3, "upstream_request", sent)]
    short = shorten(notes)
    own = [len(piece) for piece in short[2][2] if isinstance(piece, bytes)] if isinstance(short[2][2], tuple) else []
    return lengthen(short), sum(own)


@pytest.mark.parametrize("order", (list(BODY), ["tools", "model", "messages"], ["messages", "stream", "tools"]))
def test_what_repeats_is_not_sent_twice(order):
    received = {name: BODY[name] for name in order}
    sent = received | {"model": "upstream-model", "max_tokens": 7}
    notes, own = over(orjson.dumps(received), sent)
    assert [note[1:] for note in notes] == [
        ("client_request", received), ("resolved", {"model": "m"}), ("upstream_request", orjson.dumps(sent)),
    ]  # fmt: skip
    assert own < 12_000 < len(orjson.dumps(sent)) / 2


@given(st.data())
def test_any_repair_comes_over(data):
    sent = json.loads(json.dumps(BODY))
    for _ in range(data.draw(st.integers(0, 4))):
        items = sent[data.draw(st.sampled_from(("messages", "tools")))]
        place = data.draw(st.integers(0, len(items) - 1)) if items else 0
        items[place : place + data.draw(st.integers(0, 2))] = data.draw(st.sampled_from(([], [{"messages": []}], items[:1])))
    wanted = orjson.dumps(sent)
    written = data.draw(st.sampled_from((orjson.dumps(BODY), json.dumps(BODY, indent=1).encode(), b"{}", b"")))
    pieces = pieces_of(wanted, written)
    assert b"".join(piece if isinstance(piece, bytes) else written[slice(*piece)] for piece in pieces) == wanted


def test_a_retry_is_told_by_what_the_client_sent_too():
    received = orjson.dumps(BODY)
    notes = [(0.1, "client_request", received), *((at, "upstream_request", dict(BODY)) for at in (0.2, 0.3))]
    assert [value for _, _, value in lengthen(shorten(notes))] == [BODY, received, received]


def test_what_json_cannot_say_stays_a_value():
    odd = {"messages": ["\ud800"], "n": 2**70}
    assert over(odd, odd)[0][2][2] == odd and over(b'{"messages":[]}', "no JSON")[0][2][2] == "no JSON"


@pytest.mark.parametrize(
    ("data", "kept"),
    (
        (b'{"a":[1,"x: y"]}', b'{"a":[1,"x: y"]}'),
        (b'{"a": [1,\n 2]}', b'{"a":[1,2]}'),
        (b'{"a": "\\ud800"}', '{"a":"\ufffd"}'.encode()),
        (b'{"a": ' + b"[" * 900 + b"]" * 900 + b"}", b'{"a": ' + b"[" * 900 + b"]" * 900 + b"}"),
        (b"[1]", None),
        (b'"text"', None),
    ),
)
def test_a_body_is_kept_as_the_gateway_writes_it(data, kept):
    body = read_value("client_request", data)
    assert bytes_of(data, body) == kept and (kept is None or read_value("client_request", kept) == body)


@pytest.mark.parametrize(
    ("station", "data", "value"),
    (
        ("client_request", b'{"a":"\\ud800"}', {"a": "\ufffd"}),
        ("client_request", b'{"a":1}', {"a": 1}),
        ("upstream_request", b'{"a":NaN}', '{"a":NaN}'),
        ("upstream_response", b'{"a":1}', {"a": 1}),
        ("upstream_response", b"[1]", "[1]"),
        ("upstream_response", b'{"a":"\\ud800"}', '{"a":"\\ud800"}'),
        ("upstream_response", b"\xff", "\udcff"),
        ("answer", {"a": b"x"}, {"a": b"x"}),
    ),
)
def test_bytes_are_read_as_what_they_say(station, data, value):
    assert read_value(station, data) == value
