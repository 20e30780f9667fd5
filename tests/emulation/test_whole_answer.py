"""When an answer may be nothing but a call, and when that is known."""

import pytest

from app.emulation.declared_tools import DeclaredTools
from app.emulation.whole_answer import LONGEST_HEAD, NO, Start, find_start
from tests.emulation.tools import TOOLS

DECLARED = DeclaredTools(TOOLS)

# The text, and how many characters decide it.
CALLS = (
    ('{"name": "bash", "arguments', 15, Start(0)),
    ("{'tool': 'bash'", 15, Start(0)),
    ('{"arguments": {', 12, Start(0)),
    ('{"type": "function", "n', 19, Start(0)),
    ('{"function": {"na', 14, Start(0)),
    ('{"tool_calls": [', 13, Start(0)),
    ('[ {"name": "bash", "', 17, Start(0)),
    ('```json\n{"name": "bash"', 23, Start(8, "", True)),
    ('```\n[{"name": "bash"', 20, Start(4, "", True)),
    ("bash.call(command", 10, Start(9, "bash")),
    ("functions.Bash.call(command", 20, Start(19, "bash")),
    ("```tool_code\nbash.call(command", 23, Start(22, "bash", True)),
)
TEXTS = (
    ("Hello", 1),
    ("bashful", 5),
    ("bash.cat(", 8),
    ("Read it", 5),
    ("```python\n", 4),
    ("```js\nx", 6),
    ("`code`", 2),
    ('{"title": "x"}', 4),
    ('{"na": 1}', 5),
    ('{"name": "sh"}', 11),
    ('{"name": 5}', 10),
    ('{"name" 5}', 9),
    ('{"type": "object"', 11),
    ("{}", 2),
    ("{{", 2),
    ("[1]", 2),
    ("[[", 2),
    ("[]", 2),
    ("# Title", 1),
    ("\ud800", 1),
)


@pytest.mark.parametrize(("text", "decides", "start"), [*CALLS, *((text, decides, NO) for text, decides in TEXTS)])
def test_it_is_decided_as_early_as_can_be(text, decides, start):
    for size in range(1, len(text) + 1):
        expected = None if size < decides else start
        assert find_start(text[:size], 0, DECLARED, False) == expected, text[:size]
        assert find_start("xy" + text[:size], 2, DECLARED, True) == (
            NO if expected in (None, NO) else start._replace(at=start.at + 2)
        )


def test_what_stays_open_for_long_is_text():
    text = "[" + " " * LONGEST_HEAD + '{"name": "bash"'
    assert find_start(text, 0, DECLARED, False) == NO
    assert find_start(text[:LONGEST_HEAD], 0, DECLARED, False) == NO
    assert find_start(text[: LONGEST_HEAD - 1], 0, DECLARED, False) is None
