"""Events are plain tuples, told apart by their class."""

from app.emulation.events import Call, End, Reasoning, Text


def test_a_call_has_defaults():
    assert Call("bash") == ("bash", "{}", None, (), "")
    assert Call("bash")._replace(problem="missing: command").problem == "missing: command"


def test_events_are_told_apart_by_their_class():
    assert not isinstance(Text("a"), Reasoning)
    assert End("stop").finish == "stop"
