"""What is packed is unpacked as it was, its keys hidden; what repeats costs little."""

import struct
import zlib

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.trace_packing import Packer, pack_chunks, unpack_chunks, unpack_notes
from app.utils.masking import Masker
from tests.traces import CANARY

ITEM = st.sampled_from(("x", {"role": "user", "content": "long " * 200}, {"a": [1, None]}, 7, [], {}, [2]))
LISTS = st.lists(ITEM, max_size=5)
BODY = st.fixed_dictionaries({"model": st.just("m")}, optional={"messages": LISTS, "tools": LISTS | st.none(), "input": LISTS})
DAMAGE = (ValueError, LookupError, struct.error, zlib.error)


@given(BODY, BODY, BODY)
def test_any_request_comes_back(first, sent, again):
    notes = [(0.1, "client_headers", {"a": "b"}), (0.25, "client_request", first)]
    notes += [(0.5, "upstream_request", sent), (0.75, "upstream_request", again), (1.0, "answer", {"messages": [1]})]
    packer = Packer()
    for _ in range(2):
        assert unpack_notes(packer.pack_notes(notes, Masker())) == notes


@given(BODY, st.lists(st.integers(0, 4), max_size=5), st.lists(ITEM, max_size=2))
def test_a_request_that_repeats_what_came_comes_back(body, places, new):
    items = body.get("messages", [])
    sent = body | {"messages": [items[place] for place in places if place < len(items)] + new}
    notes = [(0.0, "client_request", body), (0.5, "upstream_request", sent)]
    assert unpack_notes(Packer().pack_notes(notes, Masker())) == notes


@given(BODY, BODY, st.sampled_from(("metadata", "model", "zzz")))
def test_bytes_of_a_request_come_back_as_what_they_say(body, sent, name):
    """Also where a list of the client stands further inside of what was sent, before or behind its own place."""
    sent = dict(sorted((sent | {name: body}).items()))
    notes = [(0.0, "client_request", body), (0.5, "upstream_request", orjson.dumps(sent))]
    notes.append((0.75, "upstream_request", orjson.dumps(body)))
    assert [value for _, _, value in unpack_notes(Packer().pack_notes(notes, Masker()))] == [body, sent, body]


def test_what_was_sent_on_is_not_stored_twice():
    letters = [{"role": "user", "content": "".join(chr(33 + (number * at) % 90) for at in range(4000))} for number in (7, 11)]
    body = {"messages": letters}
    once = len(Packer().pack_notes([(0.0, "client_request", body)], Masker()))
    for sent in (body, orjson.dumps(body)):
        twice = len(Packer().pack_notes([(0.0, "client_request", body), (0.1, "upstream_request", sent)], Masker()))
        assert twice < once + 100


@pytest.mark.parametrize("station", ("client_request", "resolved", "error", "client_headers"))
@pytest.mark.parametrize("wrap", (lambda key: {"messages": [{"content": key}]}, lambda key: {"x": [key]}, lambda key: key))
def test_keys_are_hidden_at_every_station(station, wrap):
    notes = [(0.0, station, wrap(f"my key is {CANARY}."))]
    (masked,) = unpack_notes(Packer().pack_notes(notes, Masker([CANARY])))
    assert CANARY not in str(masked) and "my key is" in str(masked)


def test_keys_of_one_request_are_hidden_though_another_one_knew_none():
    packer, notes = Packer(), [(0.0, "client_request", {"messages": [f"say {CANARY} " * 50]})]
    assert CANARY in str(unpack_notes(packer.pack_notes(notes, Masker())))
    assert CANARY not in str(unpack_notes(packer.pack_notes(notes, Masker([CANARY]))))
    assert CANARY not in packer.shown(f"say {CANARY}", Masker([CANARY]))


def test_bytes_are_stored_as_what_they_say():
    notes = [(0.0, "client_request", b'{"a": 1}'), (0.0, "upstream_response", b"<html>\xff")]
    assert unpack_notes(Packer().pack_notes(notes, Masker())) == [
        (0.0, "client_request", {"a": 1}),
        (0.0, "upstream_response", "<html>\udcff"),
    ]


@given(st.lists(st.lists(st.text(st.characters()), max_size=3), max_size=3), st.lists(st.text(st.characters()), max_size=3))
def test_chunks_come_back_exactly(reads, writes):
    raw, emitted = list(enumerate(reads)), list(enumerate(writes))
    assert unpack_chunks(pack_chunks(raw, emitted)) == (raw, emitted)


@given(st.data())
def test_damage_is_an_error_and_nothing_else(data):
    package = Packer().pack_notes([(0.0, "client_request", {"messages": ["x" * 2000]})], Masker())
    cut = data.draw(st.integers(0, len(package) - 1))
    with pytest.raises(DAMAGE):
        unpack_notes(package[:cut])
    with pytest.raises(DAMAGE):
        unpack_notes(b"q" + package[1:])
