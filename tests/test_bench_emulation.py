"""The bench of the emulation's readers completes, with tiny answers; how fast they are, no test asks."""

from app.emulation.events import Call
from bench.emulation import CASES, call, calls, measure_emulation, tool_call_reader


def test_each_case_gives_a_row():
    rows = list(measure_emulation(1, 500))
    assert [row.name for row in rows] == [case.name for case in CASES]
    assert all(row.chunk_us and row.requests and not row.bad for row in rows)


def test_the_calls_that_are_measured_are_sound():
    for text, count in ((call(2000), 1), (calls(2000), 20)):
        reader = tool_call_reader()
        found = [event for event in reader.feed(text) + reader.end() if isinstance(event, Call)]
        assert len(found) == count and not any(event.problem for event in found)
