"""Which capture answers which request: tolerant of what changes from run to run, strict about the conversation."""

import pytest

from app.recorded_session import NoCapture, RecordedSession, gist_of, likeness, words_of
from app.recording import Recording
from tests.captures import asks, called, capture, emitted_events, note, raw_events, result, says

TITLE = {"role": "user", "content": "Generate a title for this conversation:"}
TASK = "Write /old/project/hello.txt with 3 words in it."
WROTE = "Wrote file successfully."


def recording(name, body, started=0.0):
    return Recording(capture(body, *raw_events(says(name)), id=f"req_{name}", started=started), f"{name}.jsonl")


BODIES = {
    "title": asks(TITLE, TASK, tools=False),
    "first": asks(TASK),
    "second": asks(TASK, called("write", filePath="/old/project/hello.txt"), result(WROTE)),
    "third": asks(TASK, called("write"), result(WROTE), called("read", "call_2"), result("1: Hello there", "call_2")),
    "again": asks(TASK, called("write"), result(WROTE), {"role": "assistant", "content": "Done."}, "Now delete it, please."),
}


@pytest.fixture
def session():
    return RecordedSession(recording(name, body, at) for at, (name, body) in enumerate(BODIES.items()))


def found(session, body, client=""):
    return session.find(body, client).id.removeprefix("req_")


@pytest.mark.parametrize("name", BODIES)
def test_each_request_finds_itself(session, name):
    assert found(session, BODIES[name]) == name


def elsewhere(value):
    """The same on another day, in another folder, with other ids."""
    if isinstance(value, str):
        moved = value.replace("/old/project", "/home/somebody/else-where").replace("Mon Jan 5 2026", "Tue Feb 17 2027")
        return moved.replace("call_1", "call_a81f00d7c9").replace("call_2", "call_0000000000")
    if isinstance(value, dict):
        return {key: elsewhere(inner) for key, inner in value.items()}
    return [elsewhere(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", BODIES)
def test_ids_dates_and_folders_do_not_matter(session, name):
    assert elsewhere(BODIES[name]) != BODIES[name]
    assert found(session, elsewhere(BODIES[name])) == name


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (asks("Write hello.txt with three short words in it."), "first"),
        (asks(TASK, called("write"), result("Error: permission denied, nothing was written")), "second"),
        (asks(TASK, {"role": "assistant", "content": "I write"}, called("write"), result(WROTE)), "second"),
        (asks(TITLE, "Something nobody asked", tools=False), "title"),
        (asks({"role": "user", "content": [{"type": "text", "text": TASK}]}), "first"),
    ],
)
def test_what_is_nearly_the_same_is_found(session, body, name):
    assert found(session, body) == name


@pytest.mark.parametrize(
    ("body", "nearest", "why"),
    [
        (asks("How do birds migrate over oceans?"), "first", "% alike"),
        (asks("How do birds migrate over oceans?", tools=False), "title", "% alike"),
        (asks(TASK, called("write"), "never mind"), "second", "shape"),
        (asks(TASK, *[called("write"), result(WROTE)] * 5), "third", "shape"),
    ],
)
def test_what_fits_nothing_is_refused_with_the_nearest(session, body, nearest, why):
    with pytest.raises(NoCapture) as refused:
        session.find(body)
    assert (refused.value.status, refused.value.code) == (404, "no_capture")
    assert f"The nearest is req_{nearest} " in str(refused.value) and why in str(refused.value)


def test_a_message_cannot_steer_a_terminal_through_the_refusal(session):
    with pytest.raises(NoCapture) as refused:
        session.find(asks("\x1b[2J\x9b31m" * 3))
    assert "\x1b" not in str(refused.value) and "\x9b" not in str(refused.value)


class TestRepeatedRequests:
    """A client that was refused asks the very same again; what was answered then came in an order."""

    @pytest.fixture
    def session(self):
        return RecordedSession([recording("late", BODIES["first"], 9), recording("early", BODIES["first"], 3)], "twice")

    def test_they_are_answered_in_the_order_of_their_time(self, session):
        assert [found(session, BODIES["first"]) for _ in range(2)] == ["early", "late"]

    def test_after_the_last_comes_the_first_again(self, session):
        assert [found(session, BODIES["first"]) for _ in range(4)][2:] == ["early", "late"]

    def test_each_session_of_a_client_begins_anew(self, session):
        assert [found(session, BODIES["first"], client) for client in "ababca"] == [
            "early", "early", "late", "late", "early", "early",
        ]  # fmt: skip

    def test_a_recording_made_elsewhere_is_one_of_them(self):
        session = RecordedSession([recording("a", BODIES["first"], 1), recording("b", elsewhere(BODIES["first"]), 2)])
        assert [found(session, BODIES["first"]) for _ in range(2)] == ["a", "b"]


def test_what_cannot_be_played_is_no_answer():
    empty = Recording(capture(BODIES["first"]), "empty.jsonl")
    other = Recording(capture({}, *raw_events(says("x")), path="/v1/models"), "models.jsonl")
    session = RecordedSession([empty, other], "nothing")
    assert session.entries == []
    with pytest.raises(NoCapture, match="no capture in `nothing`"):
        session.find(BODIES["first"])


def test_what_a_client_got_can_be_played_too():
    made = capture(BODIES["first"], *emitted_events(["[DONE]"]), id="req_mock")
    assert found(RecordedSession([Recording(made)]), BODIES["first"]) == "mock"


def test_a_refused_request_is_played_as_it_was():
    made = capture(BODIES["first"], note(0.1, "error", {"message": "No.", "status": 400}), id="req_refused")
    assert found(RecordedSession([Recording(made)]), BODIES["first"]) == "refused"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("", "", True),
        ("at 12:30 in /tmp/x/a.txt", "at 09:01 in /home/y/z/a.txt", True),
        (r"C:\Users\me\a.txt", "/home/me/a.txt", True),
        ("id 3f2b8c1d-0000-4000-8000-9a8b7c6d5e4f", "id 00000000-1111-4111-8111-222222222222", True),
        ("a b c", "a b d", False),
        ("", "words", False),
    ],
)
def test_likeness(one, other, same):
    assert (likeness(words_of(one), words_of(other)) == 1.0) is same
    assert likeness(words_of(one), words_of(other)) == likeness(words_of(other), words_of(one))


@pytest.mark.parametrize("body", [{}, {"messages": None}, {"messages": [None, 1]}, {"messages": [{"role": 1, "content": 2}]}])
def test_an_odd_body_has_a_gist(body):
    assert gist_of(body).turns == 0


def test_long_texts_take_no_long_time():
    text = "word and " * 2_000_000
    assert likeness(words_of(text), words_of(text + "x")) > 0.9
