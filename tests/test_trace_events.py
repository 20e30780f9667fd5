"""Events of a capture: exact texts, keys hidden also where they are cut, in the order of time."""

import json

import pytest

from app.trace_events import exact_chunks, in_order
from app.utils.masking import Masker
from tests.traces import CANARY


def test_texts_without_keys_stay_to_the_byte():
    raw = [(0.1, [b'{"a":  1}', b"\xff"]), (0.2, []), (0.3, [b"[DONE]"])]
    emitted = [(0.15, b"data: {}\r\n\n"), (0.3, b": \xfe\n\n")]
    reads, writes = exact_chunks(Masker([CANARY]), raw, emitted)
    assert reads == [(0.1, ['{"a":  1}', "\udcff"]), (0.2, []), (0.3, ["[DONE]"])]
    assert writes == [(0.15, "data: {}\r\n\n"), (0.3, ": \udcfe\n\n")]


@pytest.mark.parametrize("cut", (1, 10, len(CANARY) - 1))
def test_a_key_cut_over_two_chunks_is_hidden(cut):
    payloads = [b'{"choices":[{"index":0,"delta":{"content":"%b"}}]}' % part.encode() for part in (CANARY[:cut], CANARY[cut:])]
    emitted = [(float(at), b"data: " + payload + b"\n\n") for at, payload in enumerate(payloads)]
    reads, writes = exact_chunks(Masker([CANARY]), [(float(at), [payload]) for at, payload in enumerate(payloads)], emitted)
    for texts in ([text for _, data in reads for text in data], [text[6:] for _, text in writes]):
        joined = "".join(json.loads(text)["choices"][0]["delta"]["content"] for text in texts)
        assert CANARY[5:-5] not in joined and "…" in joined
    assert [at for at, _ in reads] == [0.0, 1.0] == [at for at, _ in writes]


def test_events_are_merged_by_time_notes_first():
    notes = [(0.5, "answer", 1), (0.1, "client_request", 2)]
    events = list(in_order(notes, [(0.1, ["r"]), (0.5, ["s"])], [(0.1, "w"), (0.2000000001, "x")]))
    assert [(event["at"], event["station"]) for event in events] == [
        (0.1, "client_request"),
        (0.1, "raw"),
        (0.1, "emitted"),
        (0.2, "emitted"),
        (0.5, "answer"),
        (0.5, "raw"),
    ]
    assert events[1] == {"at": 0.1, "station": "raw", "data": ["r"]}
    assert events[2] == {"at": 0.1, "station": "emitted", "text": "w"}
