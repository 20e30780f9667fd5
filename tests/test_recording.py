"""What a capture says, turned into answers of an upstream that can be played."""

import json

import pytest

from app import sse
from app.errors import UpstreamTimeout, UpstreamTruncated
from app.recording import EVENTS, Recording, as_event
from tests.captures import asks, capture, emitted_events, note, raw_events, says, target

TOO_MANY = {"type": "UpstreamError", "message": "Slow down.", "status": 429, "code": "rate_limit_exceeded"}


def recording(*events, body=None, **more):
    return Recording(capture(asks("Hi") if body is None else body, *events, **more))


def bodies(made):
    return [b"".join(data for _, data in said.reads) for said in made.answers]


def test_reads_come_out_as_the_events_they_were_with_their_times():
    made = recording(*raw_events([says("a")[0], [says("b")[1], says("c")[2]]]))
    (said,) = made.answers
    assert [round(at, 3) for at, _ in said.reads] == [0.05, 0.06, 0.07]
    assert [data.count(b"\n\n") for _, data in said.reads] == [1, 2, 1]
    assert said.reads[-1][1] == b"data: [DONE]\n\n"


@pytest.mark.parametrize("payload", [b"{}", b"a\nb", b"", b"\xff\xfe", b"[DONE]", "ü\u2028".encode()])
def test_a_payload_that_was_read_is_read_again(payload):
    assert sse.Decoder().feed(as_event(payload)) == [payload]


def test_each_question_has_its_answer():
    again = note(0.5, "upstream_request", asks("Hi"))
    made = recording(*raw_events(says("one")), again, *raw_events(says("two"), start=0.6))
    assert ["one" in body.decode() for body in bodies(made)] == [True, False]
    assert made.answers[1].reads[0][0] == pytest.approx(0.1)


def test_several_notes_of_one_question_are_one():
    made = recording(note(0.06, "upstream_request", {"prompt": "rendered"}), *raw_events(says("one")))
    assert len(made.answers) == 1


@pytest.mark.parametrize("value", ['{"choices": []}', {"choices": []}])
def test_a_whole_answer(value):
    made = recording(note(0.2, "upstream_response", value), body=asks("Hi", stream=False))
    assert [body.replace(b" ", b"") for body in bodies(made)] == [b'{"choices":[]}']
    assert made.answers[0].headers["Content-Type"] == "application/json"


def test_one_whole_completion_in_place_of_events_is_no_event():
    answer = '{"object":"chat.completion","choices":[{"message":{"content":"x"}}]}'
    made = recording(*raw_events([answer], done=False))
    assert (bodies(made), made.answers[0].headers["Content-Type"]) == ([answer.encode()], "application/json")


def test_a_text_engine_gets_its_bytes():
    made = recording(*raw_events(["Hel", "lo"], done=False), resolved=target(engine_name="chatjimmy"))
    assert bodies(made) == [b"Hello"]


def test_a_refusal_is_an_answer_with_its_status_and_words():
    error = TOO_MANY | {"upstream_status": 429, "upstream_body": '{"error":1}', "upstream_headers": {"Retry-After": "7"}}
    (said,) = recording(note(0.3, "error", error)).answers
    assert (said.status, said.headers, said.reads) == (429, {"Retry-After": "7"}, [(0.25, b'{"error":1}')])


@pytest.mark.parametrize("kind", [UpstreamTimeout, UpstreamTruncated])
def test_a_connection_that_broke_breaks_again(kind):
    error = note(0.4, "error", {"type": kind.__name__, "message": "It ended."})
    (said,) = recording(*raw_events(says("a"), done=False), error).answers
    assert isinstance(said.failure, kind) and said.failed_after == pytest.approx(0.35) and len(said.reads) == 3


def test_what_the_client_got_stands_in_where_no_upstream_is_known():
    made = recording(*emitted_events(['{"choices": []}', "[DONE]"]), resolved=target(engine_name="mock"))
    assert not made.is_raw
    (said,) = made.playable
    assert said.headers["Content-Type"] == EVENTS and b"".join(data for _, data in said.reads).endswith(b"data: [DONE]\n\n")


def test_of_a_replayed_request_only_what_the_client_got_is_known():
    made = recording(*raw_events(says("x")), *emitted_events(["{}", "[DONE]"]), resolved=target(engine_name="replay"))
    assert not made.is_raw and b"".join(data for _, data in made.playable[0].reads).startswith(b"data: {}")


def test_an_upstream_that_said_nothing_at_all_says_nothing_again():
    made = recording(*emitted_events(['{"choices": []}', "[DONE]"]))
    assert made.is_raw and [said.reads for said in made.playable] == [[]]


def test_a_line_outside_of_any_event_stays_one():
    made = recording(*raw_events([["{}"]]), {"at": 0.3, "station": "raw", "data": ['{"error": 1}']})
    decoder = sse.Decoder()
    assert [decoder.feed(data) for _, data in made.answers[0].reads] == [[b"{}"], [b"[DONE]"]]
    assert decoder.stray.strip() == b'{"error": 1}'


def test_a_refusal_that_was_mended_is_known_by_what_was_noted_of_it():
    refused = {"status": 400, "headers": {"content-type": "application/json", "content-length": "9"}, "body": '{"a": 1}'}
    again = note(0.3, "upstream_request", asks("Hi"))
    first, second = recording(note(0.2, "upstream_response", refused), again, *raw_events(says("x"), start=0.4)).answers
    assert (first.status, first.headers, first.reads[0][1]) == (400, {"content-type": "application/json"}, b'{"a": 1}')
    assert second.status == 200


def test_a_refusal_that_was_told_is_not_played_twice():
    refused = {"status": 400, "headers": {}, "body": "no"}
    error = {"type": "UpstreamError", "message": "no", "status": 400, "upstream_status": 400, "upstream_body": "no"}
    assert len(recording(note(0.2, "upstream_response", refused), note(0.3, "error", error)).answers) == 1


def test_a_request_that_failed_before_any_upstream_fails_again():
    (said,) = recording(note(0.1, "error", {"message": "No.", "status": 400, "code": "bad"})).playable
    assert (str(said.failure), said.failure.status, said.failure.code) == ("No.", 400, "bad")


def test_nothing_is_known_of_a_request_without_bodies():
    made = Recording(capture(asks("Hi")))
    assert made.playable == [] and made.writes == []


@pytest.mark.parametrize(
    ("path", "body", "asked"),
    [
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}]}, "x"),
        ("/chat/completions?a=b", {"messages": [{"role": "user", "content": "x"}]}, "x"),
        ("/v1/completions", {"prompt": "x"}, "x"),
        ("/api/generate", {"model": "m", "prompt": "x"}, "x"),
        ("/v1/completions", {"prompt": [1]}, None),
        ("/v1/chat/completions", "no JSON", None),
        ("/v1/models", None, None),
    ],
)
def test_each_route_has_its_chat(path, body, asked):
    chat = recording(body=body if body is not None else {}, path=path).chat
    assert (chat and chat["messages"][-1]["content"]) == asked


# --- what the client was told of an error -----------------------------------------------------------------------------


def test_an_error_leaves_as_it_did():
    told = {"error": {"message": "Slow down.", "type": "rate_limit_error", "param": None, "code": "rate_limit_exceeded"}}
    made = recording(note(0.2, "error", {**TOO_MANY, "answer": told, "headers": {"Retry-After": "7"}}), status=429)
    ((_, data),) = made.writes
    assert json.loads(data) == told and made.headers == {"Retry-After": "7"}


def test_an_error_of_a_model_without_a_wire_is_raised_as_it_was():
    told = {"error": {"message": "Slow down.", "type": "rate_limit_error", "param": None, "code": None}}
    noted = note(0.2, "error", {**TOO_MANY, "answer": told, "headers": {"Retry-After": "7"}})
    (said,) = recording(noted, resolved=target(engine_name="gguf"), status=429).playable
    assert (said.failure.type, said.failure.status, said.failure.headers) == ("rate_limit_error", 429, {"Retry-After": "7"})


@pytest.mark.parametrize(
    "header", [("X-A\r\nX-B", "1"), ("X-A", "1\r\n\r\nbody"), ("Content-Length", "0"), ("transfer-encoding", "x"), ("X", "é")]
)
def test_headers_that_would_break_an_answer_are_none(header):
    made = recording(note(0.2, "error", {**TOO_MANY, "headers": dict([header])}), status=429)
    assert made.headers == {}


def test_a_broken_answer_before_a_sound_one_stays_broken():
    broken = note(0.2, "upstream_failure", {"type": "UpstreamTruncated", "message": "It hung up."})
    again = note(0.3, "upstream_request", asks("Hi"))
    made = recording(note(0.15, "upstream_response", "Hel"), broken, again, note(0.4, "upstream_response", "Hello"),
                     resolved=target(engine_name="chatjimmy"))  # fmt: skip
    assert bodies(made) == [b"Hel", b"Hello"]
    assert isinstance(made.answers[0].failure, UpstreamTruncated) and made.answers[1].failure is None


def test_what_was_too_much_to_be_kept_is_no_end_of_an_answer():
    made = recording(*raw_events(says("Hel"), done=False), dropped_events=7)
    assert made.missing == 7 and isinstance(made.answers[-1].failure, UpstreamTruncated)


@pytest.mark.parametrize(
    ("noted", "summary", "left"),
    [
        ([note(0.3, "error", {"type": "ClientGone", "message": "gone"})], {"error": "gone"}, True),
        ([], {"error": "The client went away."}, True),
        ([note(0.3, "error", TOO_MANY)], {"error": "Slow down."}, False),
        ([], {}, False),
    ],
)
def test_whether_the_client_left(noted, summary, left):
    assert recording(*raw_events(says("a")), *noted, **summary).is_left is left
