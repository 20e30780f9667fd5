"""What may stand behind an opening tag, cut anywhere."""

import pytest

from app.emulation.call_body import FAILED, FUNCTION, PYTHON_TAG, READ, READING, TOOL_CALL, CallBody
from app.emulation.declared_tools import DeclaredTools
from tests.emulation.tools import TOOLS, pieces_of

DECLARED = DeclaredTools(TOOLS)


def feed(opener: str, text: str, size: int = 0) -> tuple[CallBody, str]:
    """Return the body and what it left of the text."""
    body, rest = CallBody(DECLARED, opener), ""
    for piece in pieces_of(text, size or 1000):
        rest += piece
        rest = rest[body.feed(rest, 0, False) :]
    return body, rest[body.feed(rest, 0, True) :]


LS = '{"name":"bash","arguments":{"command":"ls"}}'
ARGS = '{"command":"ls"}'

CALLS = (
    (TOOL_CALL, f">{LS}", "</tool_call>"),
    (TOOL_CALL, f">\n{LS}", "\n</tool_call>"),
    (TOOL_CALL, f"s>{LS}", ""),
    (TOOL_CALL, f" {LS}", ""),
    (TOOL_CALL, LS, ""),
    (TOOL_CALL, f"><|eot_id|>{LS}", ""),
    (TOOL_CALL, f">\n```json\n{LS}", "\n```"),
    (TOOL_CALL, f">```\n{LS}", "```"),
    (TOOL_CALL, f">bash\n{ARGS}", ""),
    (TOOL_CALL, f">bash: {ARGS}", ""),
    (TOOL_CALL, f">functions.bash{ARGS}", ""),
    (TOOL_CALL, '>bash(command="ls")', ""),
    (TOOL_CALL, '>bash.call(command="ls")', ""),
    (TOOL_CALL, f' name="bash">{ARGS}', ""),
    (TOOL_CALL, f" name='bash'>{LS}", ""),
    (TOOL_CALL, f" name=bash {ARGS}", ""),
    (TOOL_CALL, f"s>\n<tool_call>{LS}", "</tool_call>"),
    (TOOL_CALL, f"><function=bash>{ARGS}", "</function>"),
    (TOOL_CALL, ">\n<function=bash>\n<parameter=command>\nls\n</parameter>\n", "</function>\n</tool_call>"),
    (TOOL_CALL, ">{'name': 'bash', 'arguments': {'command': 'ls',}}", ""),
    (TOOL_CALL, '>{"name":"bash","arguments":{"command":"ls"}', "</tool_call>"),
    (TOOL_CALL, '>{"name":"bash","arguments":{"command":"ls"\n', "</tool_call>"),
    (TOOL_CALL, '>{"name":"bash","arguments":{"command":"ls"}<|eot_id|>}', ""),
    (FUNCTION, f"bash>{ARGS}", "</function>"),
    (FUNCTION, f'"bash">\n{ARGS}', "</function>"),
    (FUNCTION, f"bash{ARGS}", "</function>"),
    (FUNCTION, "bash><parameter=command>ls</parameter>", "</function>"),
    (PYTHON_TAG, LS, ""),
    (PYTHON_TAG, ' bash.call(command="ls")', ""),
)


@pytest.mark.parametrize(("opener", "text", "rest"), CALLS)
def test_a_call_is_read_wherever_it_is_cut(opener, text, rest):
    for size in (0, 1, 2, 3, 5):
        body, left = feed(opener, text + rest, size)
        assert (body.status, left, body.text) == (READ, rest, opener + text)
        found = body.found()
        assert found is not None and found.problem is None
        call = DECLARED.make(found.calls[0], body.raw)
        assert call is not None and (call.name, call.arguments, call.problem) == ("bash", ARGS, None)


@pytest.mark.parametrize(
    ("opener", "text", "rest"),
    (
        (TOOL_CALL, ">todo_read", "</tool_call>"),
        (FUNCTION, "Todo_Read>\n", "</function>"),
        (PYTHON_TAG, "Todo_Read.call()", ""),
    ),
)
def test_a_call_may_have_no_arguments(opener, text, rest):
    for size in (0, 1, 2):
        body, left = feed(opener, text + rest, size)
        found = body.found()
        assert found is not None and (body.status, left) == (READ, rest)
        assert found.calls[0].arguments == {} and DECLARED.find(found.calls[0].name) == "Todo_Read"


FAILURES = (
    (TOOL_CALL, "_id>", "_id>"),
    (TOOL_CALL, "", ""),
    (TOOL_CALL, "s", "s"),
    (TOOL_CALL, "> tag is used", "tag is used"),
    (TOOL_CALL, ">read the file", "read the file"),
    (TOOL_CALL, ">sh {}", "sh {}"),
    (TOOL_CALL, "></tool_call>", "</tool_call>"),
    (TOOL_CALL, "> <b>", "<b>"),
    (TOOL_CALL, ">`x", "`x"),
    (TOOL_CALL, ">>", ">"),
    (TOOL_CALL, "\n\n", ""),
    (TOOL_CALL, ' name="sh">{}', 'name="sh">{}'),
    (TOOL_CALL, " name of it>", "name of it>"),
    (FUNCTION, "sh>{}", "sh>{}"),
    (FUNCTION, "bash> then", "then"),
    (FUNCTION, "bash><parameter=>", ""),
    (FUNCTION, "a b>", "a b>"),
    (FUNCTION, "x" * 300, "x" * 300),
    (PYTHON_TAG, "print(1)", "print(1)"),
    (PYTHON_TAG, "]bash", "]bash"),
)


@pytest.mark.parametrize(("opener", "text", "rest"), FAILURES)
def test_what_is_no_call_is_known_early_and_kept(opener, text, rest):
    for size in (0, 1, 2, 5):
        body, left = feed(opener, text, size)
        if body.status == READ:
            assert body.found() is None or rest == ""
        else:
            assert (body.status, body.text + left, left) == (FAILED, opener + text, rest)


def test_an_undeclared_name_is_told():
    assert feed(FUNCTION, "sh>{}")[0].undeclared == "sh"
    assert feed(TOOL_CALL, ' name="sh">{}')[0].undeclared == "sh"


def test_prose_is_not_waited_for():
    body = CallBody(DECLARED, TOOL_CALL)
    assert body.feed("> t", 0, False) == 2 and body.status == READING  # todo_read?
    assert body.feed("the", 0, False) == 0 and body.status == FAILED


def test_the_raw_text_is_json_or_has_its_tags():
    assert feed(TOOL_CALL, f">\n{LS}\n</tool_call>")[0].raw == LS
    assert feed(TOOL_CALL, f">bash\n{ARGS}</tool_call>")[0].raw == f"<tool_call>bash\n{ARGS}"
