"""The text of a call, whole or cut."""

import pytest

from app.emulation.declared_tools import CLOSED, CUT_OFF, REPAIRED, DeclaredTools
from app.emulation.written_calls import read_calls
from tests.emulation.tools import TOOLS

DECLARED = DeclaredTools(TOOLS)

CASES = (
    ('{"name":"bash","arguments":{"command":"ls"}}', True, False, (), None),
    ("{'name': 'bash', 'arguments': {'command': 'ls'}}", True, False, (REPAIRED,), None),
    ('{"name":"bash","arguments":{"command":"ls"}', False, False, (CLOSED,), None),
    ('{"name":"bash","arguments":{"command":"ls"', False, True, (CLOSED,), None),
    ('{"name":"bash","arguments":{"command":"ls', False, False, (), CUT_OFF),
    ('{"name":"bash","arguments":{"command":"ls', False, True, (), CUT_OFF),
    ('{"name":"bash","arguments":{"command":', False, False, (), CUT_OFF),
    ('{"name":"bash","arguments":{', False, False, (), CUT_OFF),
    ('{"name":"bash","arguments":{"timeout":1', False, False, (), CUT_OFF),
    ('{"name":"bash","arguments":{"timeout":1', False, True, (CLOSED,), None),
    ('{"name":"bash"', False, False, (), CUT_OFF),
    ('{"name":"bash"', False, True, (CLOSED,), None),
)


@pytest.mark.parametrize(("raw", "closed", "tagged", "notes", "problem"), CASES)
def test_brackets_are_closed_but_nothing_that_was_cut_off_passes(raw, closed, tagged, notes, problem):
    found = read_calls(raw, "", DECLARED, closed=closed, tagged=tagged)
    assert found is not None
    assert [call.name for call in found.calls] == ["bash"]
    assert (found.notes, found.problem) == (notes, problem)


@pytest.mark.parametrize("raw", ("", "x", '{"a": 1}', "[]", "[1]", "{" * 400, '"bash"'))
def test_what_names_no_tool_is_no_call(raw):
    assert read_calls(raw, "", DECLARED, closed=True) is None


@pytest.mark.parametrize(
    ("raw", "arguments"),
    (
        ('{"command":"ls"}', {"command": "ls"}),
        ('{"name":"bash","arguments":{"command":"ls"}}', {"command": "ls"}),
        ('{"parameters":{"command":"ls"}}', {"command": "ls"}),
        ('{"input":"ls","timeout":1}', {"input": "ls", "timeout": 1}),
        ('(command="ls", timeout=5)', {"command": "ls", "timeout": 5}),
        ("{}", {}),
    ),
)
def test_arguments_behind_a_name_may_be_a_whole_call(raw, arguments):
    found = read_calls(raw, "bash", DECLARED, closed=True)
    assert found is not None and found.calls[0][:2] == ("bash", arguments)
