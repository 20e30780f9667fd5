"""The table of misbehaviours: what an upstream says, in both modes, and what a client must get for it. Data, no I/O.

Play a row with `upstream.reply(*scenario.stream)` or `upstream.reply(*scenario.plain)`, send
`scenario.request_body(model, stream)`, compare with `scenario.expect` or `scenario.expect_plain`. Whatever the row,
each answer must also keep the invariants: exactly one legal finish_reason per choice, unique non-empty tool ids,
indices 0..n, arguments that parse to an object, at most one usage chunk with `choices: []`, errors in OpenAI's shape,
and no RETRY_DIGITS in the body of a 4xx other than 429.
"""

from tests.scenarios.errors import CUTS, ERRORS
from tests.scenarios.groq import GROQ
from tests.scenarios.shapes import BODIES, REASONING, SSE, USAGE
from tests.scenarios.table import GEMINI, LEGAL_FINISH, PLAIN_MODEL, RETRY_DIGITS, TOOLS, Expect, Scenario
from tests.scenarios.turns import FINISH, TOOL_CALLS

__all__ = ["GEMINI", "LEGAL_FINISH", "PLAIN_MODEL", "RETRY_DIGITS", "SCENARIOS", "TOOLS", "Expect", "Scenario"]

SCENARIOS: tuple[Scenario, ...] = (
    *TOOL_CALLS,
    *FINISH,
    *BODIES,
    *REASONING,
    *USAGE,
    *SSE,
    *CUTS,
    *ERRORS,
    *GROQ,
)
